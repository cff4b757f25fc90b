//! Histories from outside: many clients call a running laptop at once, over HTTP, and every call and answer is taken
//! down; then a checker decides whether the answers can have been given in some order by the contract's own, sequential
//! organization. So it goes while nothing else happens, and while the laptop's process is killed again and again.

mod checker;
mod client;
mod contract;
mod history;
#[path = "../processes/process.rs"]
#[expect(dead_code, reason = "the functions' processes need more of it than the laptop's")]
mod process;
mod run;
mod site;
mod tests;

use std::time::{Duration, Instant};

use run::{Figures, Plan, run};

/// Where chance begins, instead of anywhere.
const SEED: &str = "ROSTER_HISTORIES_SEED";
/// How long the long run goes on.
const MINUTES: &str = "ROSTER_HISTORIES_MINUTES";

/// What a newcomer has the patience for, or more ([`harness::effort`]).
fn short() -> Plan {
    let calls = 40 * usize::try_from(harness::effort()).unwrap_or(usize::MAX);
    Plan { seed: 0, organizations: 2, clients: 5, calls, seats: 6, kills: 0 }
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, and not {value}")))
}

fn seed() -> u64 {
    number(SEED).unwrap_or_else(|| fastrand::u64(..))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_many_are_answered_at_once_has_an_order() {
    let seed = seed();
    let figures = run(Plan { seed, ..short() }).await;
    println!("{figures}");
    figures.hold(seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_again_and_again_it_keeps_what_it_has_answered_and_mails_what_it_owes() {
    let seed = seed();
    let figures = run(Plan { seed, kills: 5, ..short() }).await;
    println!("{figures}");
    figures.hold(seed);
}

/// Runs of both kinds, one after another, each with the next seed, until the minutes are over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as many minutes as ROSTER_HISTORIES_MINUTES says"]
async fn for_as_long_as_one_asks_for() {
    let until = Instant::now() + Duration::from_mins(number(MINUTES).unwrap_or(1));
    let mut figures = Figures::default();
    let mut seed = seed();
    println!("{SEED}={seed}");
    'runs: while Instant::now() < until {
        for kills in [0, 10] {
            let plan = Plan { seed, organizations: 3, clients: 8, calls: 120, kills, ..short() };
            figures.add(run(plan).await);
            if !figures.violations.is_empty() {
                break 'runs;
            }
        }
        seed = seed.wrapping_add(1);
    }
    println!("{figures}");
    figures.hold(seed);
}
