//! Tests of concurrent calls from outside the process.
//!
//! Many clients call a running laptop (the local server started by `cargo run`) over HTTP at the same time, and record
//! every call and response. Then a checker decides whether a sequential organization can have given these responses in
//! some order. Some runs also kill and restart the laptop's process.

mod checker;
mod client;
mod contract;
mod history;
mod laptop;
#[path = "../processes/process.rs"]
#[expect(dead_code, reason = "the suite `processes` shares this module and uses more of it")]
mod process;
mod run;
mod tests;

use std::time::{Duration, Instant};

use run::{RunOptions, RunReport, run};

/// The environment variable with the seed of all random choices. By default each run has another seed.
const SEED: &str = "ROSTER_HISTORIES_SEED";
/// The environment variable with the duration of the long run in minutes.
const MINUTES: &str = "ROSTER_HISTORIES_MINUTES";

/// A run of seconds, multiplied by [`harness::effort`].
fn short_run() -> RunOptions {
    let calls = 40 * usize::try_from(harness::effort()).unwrap_or(usize::MAX);
    RunOptions { seed: 0, organizations: 2, clients: 5, calls, seats: 6, kills: 0 }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} must be a number, but is {value}")))
}

fn seed() -> u64 {
    number(SEED).unwrap_or_else(|| fastrand::u64(..))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_to_concurrent_clients_have_an_order() {
    let seed = seed();
    let report = run(RunOptions { seed, ..short_run() }).await;
    println!("{report}");
    report.assert_passed(seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_acknowledged_write_and_no_mail() {
    let seed = seed();
    let report = run(RunOptions { seed, kills: 5, ..short_run() }).await;
    println!("{report}");
    report.assert_passed(seed);
}

/// Alternates runs without and with kills, and increments the seed after each pair, until the time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes ROSTER_HISTORIES_MINUTES minutes"]
async fn runs_with_consecutive_seeds_have_an_order() {
    let until = Instant::now() + Duration::from_mins(number(MINUTES).unwrap_or(1));
    let mut report = RunReport::default();
    let mut seed = seed();
    println!("{SEED}={seed}");
    'runs: while Instant::now() < until {
        for kills in [0, 10] {
            let options = RunOptions { seed, organizations: 3, clients: 8, calls: 120, kills, ..short_run() };
            report.add(run(options).await);
            if !report.violations.is_empty() {
                break 'runs;
            }
        }
        seed = seed.wrapping_add(1);
    }
    println!("{report}");
    report.assert_passed(seed);
}
