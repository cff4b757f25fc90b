//! Runs many worlds, and says what happened in them.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Parser;
use simulator::{Report, run, too_seldom};

/// Lines of the trace that are shown of a run that failed.
const LINES_SHOWN: usize = 60;

/// Fewer worlds than these are not held to have seen everything.
const WORLDS_MIN: u64 = 100;

/// Runs Roster's functions in worlds where everything goes wrong; each follows from one number.
#[derive(Parser)]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 300)]
    runs: u64,
    /// The first one's number: from 1 on always the same worlds, from another number others.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Replays one world, and shows everything that happens in it.
    #[arg(long)]
    replay: Option<u64>,
    /// Runs no more worlds once one has failed.
    #[arg(long)]
    fail_fast: bool,
}

fn main() -> ExitCode {
    let Arguments { runs, from, replay, fail_fast } = Arguments::parse();
    if let Some(seed) = replay {
        let report = run(seed, true);
        for line in &report.trace {
            println!("{line}");
        }
        println!("digest {:016x}", report.digest);
        return show(&report);
    }
    println!("worlds {from} to {}", from + runs - 1);
    let began = Instant::now();
    let mut totals = BTreeMap::<String, u64>::new();
    let (mut worlds, mut days, mut failed) = (0, 0.0, Vec::new());
    for report in all(from, runs) {
        worlds += 1;
        days += f64::from(u32::try_from(report.seconds).unwrap_or(u32::MAX)) / 86_400.0;
        for (what, times) in &report.counts {
            *totals.entry(what.clone()).or_default() += times;
        }
        if !report.failures.is_empty() {
            failed.push(report);
            if fail_fast {
                break;
            }
        }
    }
    for (what, times) in &totals {
        println!("{times:>10} {what}");
    }
    println!(
        "{worlds} worlds, {days:.0} days in {:.0} s; {} failed",
        began.elapsed().as_secs_f64(),
        failed.len()
    );
    failed.sort_by_key(|report| report.seed);
    let Some(first) = failed.first() else {
        if worlds < WORLDS_MIN {
            return ExitCode::SUCCESS;
        }
        let seldom = too_seldom(&totals, worlds);
        for (what, times, least) in &seldom {
            println!("TOO SELDOM: {what}, {times} times of {least}");
        }
        return if seldom.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let seeds: Vec<_> = failed.iter().map(|report| report.seed.to_string()).collect();
    println!("seeds that failed: {}", seeds.join(" "));
    show(&run(first.seed, true))
}

/// The reports of `runs` worlds, in any order, as they come.
fn all(from: u64, runs: u64) -> impl Iterator<Item = Report> {
    let (reports, reported) = mpsc::channel();
    let next = std::sync::Arc::new(AtomicU64::new(from));
    for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
        let (next, reports) = (std::sync::Arc::clone(&next), reports.clone());
        thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= from + runs || reports.send(run(seed, false)).is_err() {
                    return;
                }
            }
        });
    }
    reported.into_iter()
}

fn show(report: &Report) -> ExitCode {
    if report.failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("\nseed {} (cargo run -p simulator -- --replay {}):", report.seed, report.seed);
    for line in &report.trace[report.trace.len().saturating_sub(LINES_SHOWN)..] {
        println!("{line}");
    }
    for failure in &report.failures {
        println!("WRONG: {failure}");
    }
    ExitCode::FAILURE
}
