//! What goes wrong in a run, drawn from its seed.

use std::time::Duration;

use fastrand::Rng;

/// How often each thing goes wrong, from 0 to 1. In each run some kinds do not happen at all: a fault that is always
/// there hides what another one would show.
#[derive(Debug, Clone)]
pub struct Faults {
    /// A request never arrives.
    pub lost_before: f64,
    /// A request is done, and its answer is lost.
    pub lost_after: f64,
    /// A request is done, and its answer comes when nobody waits any more.
    pub hangs: f64,
    /// The service throttles.
    pub throttles: f64,
    /// The service fails, and has done nothing, or all of it.
    pub fails: f64,
    /// DynamoDB reports `TransactionConflict`.
    pub conflicts: f64,
    /// A function is killed between two of its awaits.
    pub kills: f64,
    /// A batch of the stream, a timer or an event comes twice.
    pub duplicates: f64,
    /// A batch of the stream waits for minutes, or up to three hours.
    pub delays: f64,
    /// SES refuses a mail for good.
    pub refuses: f64,
    /// A timer never fires.
    pub timers_lost: f64,
    /// A timer fires seconds too early, or hours too late.
    pub timers_off: f64,
    /// An index answers as it did before.
    pub stale: f64,
    /// SES is away, or sending is paused: from when, and how long.
    pub outage: Option<(Duration, Duration)>,
    /// The furthest that the clocks of two functions are apart.
    pub skew: Duration,
    /// After this long nothing goes wrong any more.
    pub end: Duration,
}

impl Faults {
    /// What goes wrong in a run of up to four days: longer than an invitation lives.
    pub fn draw(rng: &mut Rng) -> Self {
        let end = Duration::from_secs(rng.u64(1..96) * 3_600);
        let mut rate = |most: f64| if rng.bool() { 0.0 } else { most * rng.f64() * rng.f64() };
        let mut faults = Self {
            lost_before: rate(0.4),
            lost_after: rate(0.4),
            hangs: rate(0.2),
            throttles: rate(0.4),
            fails: rate(0.4),
            conflicts: rate(0.5),
            kills: rate(0.5),
            duplicates: rate(0.5),
            delays: rate(0.2),
            refuses: rate(0.2),
            timers_lost: rate(1.0),
            timers_off: rate(0.8),
            stale: rate(1.0),
            outage: None,
            skew: Duration::ZERO,
            end,
        };
        if rng.u8(0..4) == 0 {
            let begins = end.mul_f64(rng.f64());
            faults.outage =
                Some((begins, end.saturating_sub(begins).mul_f64(rng.f64()).min(Duration::from_hours(12))));
        }
        if rng.bool() {
            faults.skew = Duration::from_millis(rng.u64(0..5_000));
        }
        faults
    }
}
