//! The faults of a run, drawn from its seed.

use std::time::Duration;

use fastrand::Rng;

/// Which faults a run has. Fields of type `f64` are probabilities.
///
/// In each run about half of the kinds never happen, because a fault that is always present can hide the effect of
/// another one.
#[derive(Debug, Clone)]
pub struct Faults {
    /// A request is lost before it reaches the service.
    pub lost_requests: f64,
    /// The service executes a request, and its response is lost.
    pub lost_responses: f64,
    /// The service executes a request, and its response arrives after the client's timeout.
    pub late_responses: f64,
    /// The service throttles.
    pub throttling: f64,
    /// The service responds with a 5xx error, before or after it executes the request.
    pub errors: f64,
    /// DynamoDB reports `TransactionConflict`.
    pub conflicts: f64,
    /// A function is killed between two of its awaits.
    pub kills: f64,
    /// A stream batch, a timer or an event is delivered twice.
    pub duplicates: f64,
    /// A stream batch is delayed by up to 20 minutes, in one of five cases by up to three hours.
    pub delays: f64,
    /// SES rejects a mail permanently.
    pub rejections: f64,
    /// A timer never fires.
    pub lost_timers: f64,
    /// A timer fires seconds too early, or up to three hours too late.
    pub inexact_timers: f64,
    /// A read of an index returns an older result.
    pub stale_reads: f64,
    /// SES accepts no mail: when this begins, and how long it lasts.
    pub outage: Option<(Duration, Duration)>,
    /// The largest difference between the clocks of two execution environments.
    pub skew: Duration,
    /// The time after which no fault happens, except clock skew.
    pub end: Duration,
}

impl Faults {
    /// Draws the faults of a run. They happen for 1 to 95 hours; an invitation is valid for 48 hours.
    pub fn draw(rng: &mut Rng) -> Self {
        let end = Duration::from_secs(rng.u64(1..96) * 3_600);
        let mut rate = |max: f64| if rng.bool() { 0.0 } else { max * rng.f64() * rng.f64() };
        let mut faults = Self {
            lost_requests: rate(0.4),
            lost_responses: rate(0.4),
            late_responses: rate(0.2),
            throttling: rate(0.4),
            errors: rate(0.4),
            conflicts: rate(0.5),
            kills: rate(0.5),
            duplicates: rate(0.5),
            delays: rate(0.2),
            rejections: rate(0.2),
            lost_timers: rate(1.0),
            inexact_timers: rate(0.8),
            stale_reads: rate(1.0),
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
