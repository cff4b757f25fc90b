//! Checks the model, and says how much of it there is.

#![expect(clippy::print_stdout, reason = "this is what it is for")]

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use model::{Report, all, check};

/// Checks every state of the model: a few calls, functions and faults, interleaved in every possible way.
#[derive(Parser)]
struct Arguments {
    /// So many more calls and faults than `cargo test` looks at; each makes it several times as many states.
    #[arg(long, default_value_t = 0)]
    more: u8,
    /// Only the bounds of this name: people, seats, outbox or timers.
    #[arg(long)]
    only: Option<String>,
    /// Looks no further once something is broken.
    #[arg(long)]
    fail_fast: bool,
}

fn main() -> ExitCode {
    let Arguments { more, only, fail_fast } = Arguments::parse();
    let mut sound = true;
    println!("{:8} {:>12} {:>12} {:>6} {:>8}", "bounds", "transitions", "states", "depth", "seconds");
    for bounds in all(more).into_iter().filter(|it| only.as_ref().is_none_or(|only| it.name == only)) {
        let (name, began) = (bounds.name, Instant::now());
        let Report { transitions, states, depth, broken } = check(bounds);
        let seconds = began.elapsed().as_secs_f64();
        println!("{name:8} {transitions:>12} {states:>12} {depth:>6} {seconds:>8.1}");
        for (property, path) in broken {
            sound = false;
            println!("\nBROKEN {property}\n{path}");
        }
        if fail_fast && !sound {
            break;
        }
    }
    if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
