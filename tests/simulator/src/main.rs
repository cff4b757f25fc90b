//! Makes many runs of the simulator and prints how often each event happened.

#![expect(clippy::print_stdout, reason = "a command-line program prints its report")]

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Parser;
use simulator::{Report, run, too_seldom};

/// The number of trace lines that are printed for a failed run.
const LINES_SHOWN: usize = 60;

/// The smallest number of runs that must contain each event often enough.
const RUNS_MIN: u64 = 100;

/// Runs Roster's functions under simulated faults. Every event of a run follows from its seed.
#[derive(Parser)]
struct Arguments {
    /// Number of runs.
    #[arg(long, default_value_t = 300)]
    runs: u64,
    /// Seed of the first run; each further run has the next seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Replays the run with this seed and prints its whole trace.
    #[arg(long)]
    replay: Option<u64>,
    /// Stops after the first failed run.
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
    println!("runs {from} to {}", from + runs - 1);
    let began = Instant::now();
    let mut totals = BTreeMap::<String, u64>::new();
    let (mut done, mut days, mut failed) = (0, 0.0, Vec::new());
    for report in all(from, runs) {
        done += 1;
        days += f64::from(u32::try_from(report.seconds).unwrap_or(u32::MAX)) / 86_400.0;
        for (event, count) in &report.counts {
            *totals.entry(event.clone()).or_default() += count;
        }
        if !report.failures.is_empty() {
            failed.push(report);
            if fail_fast {
                break;
            }
        }
    }
    for (event, count) in &totals {
        println!("{count:>10} {event}");
    }
    println!(
        "{done} runs, {days:.0} days in {:.0} s; {} failed",
        began.elapsed().as_secs_f64(),
        failed.len()
    );
    failed.sort_by_key(|report| report.seed);
    let Some(first) = failed.first() else {
        if done < RUNS_MIN {
            return ExitCode::SUCCESS;
        }
        let seldom = too_seldom(&totals, done);
        for (event, count, min) in &seldom {
            println!("TOO SELDOM: {event}, {count} times instead of {min}");
        }
        return if seldom.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    };
    let seeds: Vec<_> = failed.iter().map(|report| report.seed.to_string()).collect();
    println!("seeds that failed: {}", seeds.join(" "));
    show(&run(first.seed, true))
}

/// Makes the runs on all processors and returns their reports in the order in which they end.
fn all(from: u64, runs: u64) -> impl Iterator<Item = Report> {
    let (sender, receiver) = mpsc::channel();
    let next = std::sync::Arc::new(AtomicU64::new(from));
    for _ in 0..thread::available_parallelism().map_or(1, NonZeroUsize::get) {
        let (next, sender) = (std::sync::Arc::clone(&next), sender.clone());
        thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= from + runs || sender.send(run(seed, false)).is_err() {
                    return;
                }
            }
        });
    }
    receiver.into_iter()
}

/// Prints the end of the trace and the failures of a run.
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
