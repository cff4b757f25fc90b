//! What an invocation costs outside the store: time, processor, instructions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::World;

use crate::better_auth::{self, Figures};
use crate::lambda::{Invocation, Lambda, Launch, Tape};
use crate::page::{Bounds, FLOOR, target};
use crate::process::{median, ms, percentile};
use crate::scenes::{ended, scenes, world};

/// Invocations of each kind, each of other members or addresses.
const INVOCATIONS: usize = 60;
/// Invocations of a process before any that are looked at.
const WARMING_UP: usize = 20;
/// Repetitions of one of them.
const REPETITIONS: usize = 1_000;
/// Under valgrind: so many, and as many again.
const COUNTED: usize = 10;

/// What the peer has a call of, too: its call, and ours.
const AT_PEERS: [(&str, &str); 8] = [
    ("invite", "invite of 1"),
    ("resend", "resend"),
    ("revoke", "revoke"),
    ("accept", "accept"),
    ("role-edit", "role-edit"),
    ("remove", "remove"),
    ("list of 50", "list of 50 members"),
    ("list of all 1,000", "list of all 1,000 members"),
];
/// Roster's part of it, at most.
const PEER_TIMES_MIN: f64 = 10.0;
/// What deciding may add to the requests themselves, in hundredths.
const FLOOR_TIMES_MAX: u64 = 110;
const INVITE_OUTSIDE_MAX: Duration = Duration::from_micros(300);
const LIST_CPU_MAX: Duration = Duration::from_millis(5);

/// What is known of the invocations of one kind.
struct Looked {
    what: &'static str,
    /// As they come.
    live: Vec<Invocation>,
    /// One of them, again and again.
    again: Vec<Invocation>,
    /// Instructions of a start, and of an invocation.
    instructions: Option<(u64, u64)>,
    /// Instructions of the floor of that invocation.
    floor: Option<u64>,
}

/// Measures.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let peer = better_auth::figures().await?;
    let launch = Launch { binaries: binaries.to_owned(), under: None, others: BTreeMap::new() };
    let lambda = Lambda::start(launch).await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let world = world(&lambda, &directory).await;
    let looked = all(&lambda, &world).await;
    page(&ended(world, looked).await?, peer)
}

async fn all(lambda: &Lambda, world: &World) -> Result<Vec<Looked>, String> {
    let counts = Command::new("valgrind").arg("--version").output().is_ok();
    let mut all = Vec::new();
    let mut scenes = scenes(world, WARMING_UP + INVOCATIONS).await;
    for scene in &mut scenes {
        println!("{}", scene.what);
        let function = scene.function;
        lambda.restarts(function).await?;
        let calls = scene.left();
        lambda.records(function);
        for _ in 0..calls {
            scene.plays(world).await?;
        }
        let tape = lambda.tape(function)?;
        let live = behind(lambda.takes(function), WARMING_UP.min(calls / 2));
        for _ in 0..WARMING_UP + REPETITIONS {
            lambda.replays(function, &tape).await?;
        }
        let again = behind(lambda.takes(function), WARMING_UP);
        let instructions = if counts { Some(counted(lambda, function, &tape).await?) } else { None };
        lambda.ends(function);
        let floor = if counts {
            tape.lay_floor()?;
            let (_, each) = counted(lambda, FLOOR, &tape).await?;
            lambda.ends(FLOOR);
            Some(each)
        } else {
            None
        };
        all.push(Looked { what: scene.what, live, again, instructions, floor });
    }
    Ok(all)
}

fn behind(mut invocations: Vec<Invocation>, warming_up: usize) -> Vec<Invocation> {
    invocations.split_off(warming_up.min(invocations.len()))
}

/// Instructions of a start, and of the invocation.
async fn counted(lambda: &Lambda, function: &str, tape: &Tape) -> Result<(u64, u64), String> {
    // The last answer may not be there yet when the process is told to end: so each run ends behind its own calls.
    let start = instructions(lambda, function, tape, 0).await?;
    let few = instructions(lambda, function, tape, 1).await?;
    let many = instructions(lambda, function, tape, 1 + COUNTED).await?;
    Ok((start, many.saturating_sub(few) / COUNTED as u64))
}

/// Instructions of a process that starts and is invoked so many times.
async fn instructions(lambda: &Lambda, function: &str, tape: &Tape, calls: usize) -> Result<u64, String> {
    let place = target().join("bench/callgrind.out");
    let under = ["valgrind", "--tool=callgrind", "--quiet"].map(OsString::from).into_iter();
    let file = OsString::from(format!("--callgrind-out-file={}", place.display()));
    let _ = fs::create_dir_all(target().join("bench"));
    let _ = fs::remove_file(&place);
    lambda.launches_under(under.chain([file]).collect(), function);
    lambda.restarts(function).await?;
    for _ in 0..calls {
        lambda.replays(function, tape).await?;
    }
    lambda.leaves(function);
    lambda.launches_under(Vec::new(), function);
    let text = fs::read_to_string(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let summary =
        text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    let summary = summary.and_then(|summary| summary.trim().parse().ok());
    summary.ok_or_else(|| format!("{} has no summary", place.display()))
}

fn page(all: &[Looked], peer: &Figures) -> Result<String, String> {
    let mut text = format!(
        "Warm, in milliseconds. *Again*: one invocation, handed out {REPETITIONS} times without a pause to a process that has had \
         {WARMING_UP} before, with the answers that AWS gave the first time: replayed, without a store behind it. *Live*: {INVOCATIONS} invocations behind {WARMING_UP} others (8 \
         behind 8 for invites of 50), all of them different, between which the gateway, the engine and the other functions have had \
         the processors, and their caches. *Outside* is the time from the event's being handed out to the answer's being there, less \
         the time in which a request to AWS was being answered: what Roster, the SDK, the runtime and the loopback connections take. \
         Instructions are valgrind's, without the kernel's; it has no SHA instructions to offer, so that signing counts for more than \
         it takes. *Of the floor*: those instructions as a multiple of what a bare program takes, with the same runtime and SDK \
         configuration, that sends the same requests with the same items and decides nothing (`src/bin/floor.rs`).\n\n\
         | invocation | again: CPU, p50 | p99 | outside, p50 | p99 | live: CPU, p50 | outside, p50 | instructions | of the floor |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    let mut of_cpu = BTreeMap::new();
    let mut of_outside = BTreeMap::new();
    let mut of_floor = Vec::new();
    for Looked { what, live, again, instructions, floor } in all {
        let at = |of: &[Invocation], part: fn(&Invocation) -> Duration, share| {
            let mut values: Vec<_> = of.iter().map(part).collect();
            values.sort_unstable();
            percentile(&values, share).unwrap_or_default()
        };
        let cpu = |it: &Invocation| it.cpu;
        let count = instructions.map_or("not counted".to_owned(), |(_, each)| each.to_string());
        let times = instructions.zip(*floor).map(|((_, each), floor)| hundredths(each, floor));
        of_floor.extend(times.map(|times| (*what, times)));
        let multiple = times.map_or("not counted".to_owned(), in_hundredths);
        writeln!(
            text,
            "| {what} | {} | {} | {} | {} | {} | {} | {count} | {multiple} |",
            ms(at(again, cpu, 500)),
            ms(at(again, cpu, 990)),
            ms(at(again, Invocation::outside, 500)),
            ms(at(again, Invocation::outside, 990)),
            ms(at(live, cpu, 500)),
            ms(at(live, Invocation::outside, 500)),
        )
        .map_err(|error| error.to_string())?;
        of_cpu.insert(*what, at(again, cpu, 500));
        of_outside.insert(*what, at(again, Invocation::outside, 500));
    }
    let starts: Vec<_> =
        all.iter().filter_map(|looked| looked.instructions).map(|(start, _)| start).collect();
    if let Some(start) = median(starts) {
        writeln!(text, "\nA start takes {start} instructions (the median of the functions).")
            .map_err(|error| error.to_string())?;
    } else {
        text.push_str("\nInstructions are not counted: valgrind is not installed.\n");
    }
    let mut bounds = Bounds::new();
    let outside = of_outside.get("invite of 1").copied().unwrap_or_default();
    bounds.add(
        "invite of 1, replayed: at most 0.3 ms outside the store",
        ms(outside),
        outside <= INVITE_OUTSIDE_MAX,
    );
    let listing = of_cpu.get("list of all 1,000 members").copied().unwrap_or_default();
    bounds.add("list of all 1,000 members, replayed: at most 5 ms CPU", ms(listing), listing <= LIST_CPU_MAX);
    if let Some((what, times)) = of_floor.iter().max_by_key(|(_, times)| times) {
        let bound = format!(
            "every action: at most {} times its floor in instructions",
            in_hundredths(FLOOR_TIMES_MAX)
        );
        bounds.add(bound, format!("{} ({what}, the most)", in_hundredths(*times)), *times <= FLOOR_TIMES_MAX);
    }
    for (at_peers, what) in AT_PEERS {
        let (ours, theirs) = (of_cpu.get(what).copied().unwrap_or_default(), peer.of(at_peers)?.cpu);
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        bounds.add(
            format!(
                "{what}, replayed without a store: at most a tenth of the peer's {} ms CPU with its store",
                ms(theirs)
            ),
            format!("{} ms, 1/{times:.1}", ms(ours)),
            times >= PEER_TIMES_MIN,
        );
    }
    Ok(format!("{text}{bounds}"))
}

/// `each` as a multiple of `floor`, in hundredths.
fn hundredths(each: u64, floor: u64) -> u64 {
    each * 100 / floor.max(1)
}

fn in_hundredths(times: u64) -> String {
    format!("{}.{:02}", times / 100, times % 100)
}
