//! Checks the model within all bounds and prints the number of states.

#![expect(clippy::print_stdout, reason = "a command-line program prints its report")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use model::{Report, all, check};

/// Checks every state of the model: all interleavings of a few calls, functions and faults.
#[derive(Parser)]
struct Arguments {
    /// Number of calls and faults in addition to those of `cargo test`; each one multiplies the number of states.
    #[arg(long, default_value_t = 0)]
    more: u8,
    /// Checks only the bounds with this name: people, seats, addresses, outbox or timers.
    #[arg(long)]
    only: Option<String>,
    /// Stops after the first bounds in which a property does not hold.
    #[arg(long)]
    fail_fast: bool,
}

fn main() -> ExitCode {
    let Arguments { more, only, fail_fast } = Arguments::parse();
    let mut holds = true;
    println!("{:8} {:>12} {:>12} {:>6} {:>8}", "bounds", "transitions", "states", "depth", "seconds");
    for bounds in all(more).into_iter().filter(|it| only.as_ref().is_none_or(|only| it.name == only)) {
        let (name, began) = (bounds.name, Instant::now());
        let Report { transitions, states, depth, broken } = check(bounds);
        let seconds = began.elapsed().as_secs_f64();
        println!("{name:8} {transitions:>12} {states:>12} {depth:>6} {seconds:>8.1}");
        for (property, path) in broken {
            holds = false;
            println!("\nBROKEN {property}\n{path}");
        }
        if fail_fast && !holds {
            break;
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
