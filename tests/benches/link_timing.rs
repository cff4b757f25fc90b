//! Checks that the response time does not reveal why a link is invalid (`ATTACKS.md`, row 36).
//!
//! The benchmark sends forged tokens with every cause of invalidity in random order. It compares the times of each
//! cause with those of a token for an organization that does not exist. It also compares the times of all tokens with
//! an existing record with the times of all tokens without one. The comparison is Welch's t-test without the slowest
//! calls, as in dudect. If |t| exceeds 4.5, this number of calls is enough to distinguish the times.
//!
//! `cargo bench -p tests --bench link_timing --profile dev -- 1000` makes 1,000 calls per cause and action, with a key
//! in the process and with a key in KMS. `-- 1000 process preview` selects one key and one action.

#![expect(clippy::print_stdout, reason = "the benchmark prints its results")]

use std::collections::BTreeMap;
use std::time::Instant;

use harness::{Options, Person, World};

/// Above this |t| two means differ, by dudect's rule of thumb.
const T_MAX: f64 = 4.5;
/// The percentage of calls that are compared: the fastest ones.
const PERCENT_KEPT: usize = 90;
const REFERENCE: &str = "unknown organization";
/// The causes of tokens without a record. The tokens of all other causes have one.
const WITHOUT_RECORD: [&str; 4] =
    [REFERENCE, "unknown invitation", "another organization", "unknown organization and invitation"];
const KEYS: [&str; 2] = ["process", "kms"];
const ACTIONS: [&str; 3] = ["preview", "accept", "decline"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let calls = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(500);
    // The words in the arguments, or all words if there is none.
    let chosen = |words: &[&'static str]| {
        let named: Vec<_> =
            words.iter().copied().filter(|word| arguments.iter().any(|it| it == word)).collect();
        if named.is_empty() { words.to_vec() } else { named }
    };
    for key in chosen(&KEYS) {
        println!("{calls} calls of each cause and action, key in {key}; medians in microseconds");
        let world = World::with(Options { kms: key == "kms", ..Options::default() }).await;
        let (forgeries, _) = world.forgeries().await;
        let bob = world.with_one_token("bob").await;
        world.wait_until_idle().await;
        for action in chosen(&ACTIONS) {
            let mut times = BTreeMap::<_, Vec<f64>>::new();
            // The first round is the warm-up.
            for round in 0..=calls {
                let mut order: Vec<_> = forgeries.iter().collect();
                fastrand::shuffle(&mut order);
                for forgery in order {
                    let started_at = Instant::now();
                    let response = call(&bob, action, &forgery.token).await;
                    let micros = started_at.elapsed().as_secs_f64() * 1e6;
                    response.refused(400, "invalid_token");
                    // Discard the recorded requests, which would fill the memory.
                    let _ = world.wire().take_requests();
                    if round > 0 {
                        times.entry(forgery.cause).or_default().push(micros);
                    }
                }
            }
            report(action, times);
        }
        world.finish().await;
    }
}

async fn call(person: &Person, action: &str, token: &str) -> harness::ApiResponse {
    match action {
        "preview" => person.previews(token).await,
        "accept" => person.accepts(token).await,
        _ => person.declines(token).await,
    }
}

fn report(action: &str, mut times: BTreeMap<&str, Vec<f64>>) {
    let mut all: Vec<_> = times.values().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    let longest = all[all.len() * PERCENT_KEPT / 100];
    for of_cause in times.values_mut() {
        of_cause.retain(|micros| *micros <= longest);
    }
    for (cause, of_cause) in &times {
        print_comparison(action, cause, of_cause, &times[REFERENCE]);
    }
    let pooled = |without: bool| {
        let of_these = times.iter().filter(|(cause, _)| WITHOUT_RECORD.contains(cause) == without);
        of_these.flat_map(|(_, of_cause)| of_cause).copied().collect::<Vec<_>>()
    };
    print_comparison(action, "RECORD AGAINST NO RECORD", &pooled(false), &pooled(true));
}

fn print_comparison(action: &str, cause: &str, times: &[f64], others: &[f64]) {
    let t = welch(times, others);
    let verdict = if t.abs() < T_MAX { "the same" } else { "DIFFERS" };
    println!("  {action:8} {cause:28} {:8.1} {:8.1}  t {t:6.2}  {verdict}", median(times), median(others));
}

fn median(sample: &[f64]) -> f64 {
    let mut sample = sample.to_vec();
    sample.sort_by(f64::total_cmp);
    sample[sample.len() / 2]
}

/// Welch's t of two samples.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let ((mean, error), (other_mean, other_error)) = (moments(one), moments(other));
    let error = (error + other_error).sqrt();
    if error == 0.0 { 0.0 } else { (mean - other_mean) / error }
}

/// The mean, and the square of its standard error.
#[expect(clippy::cast_precision_loss, reason = "the number of calls is far below 2^52")]
fn moments(sample: &[f64]) -> (f64, f64) {
    let count = sample.len() as f64;
    let mean = sample.iter().sum::<f64>() / count;
    let variance = sample.iter().map(|it| (it - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance / count)
}
