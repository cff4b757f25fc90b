//! What an invocation costs outside the store: time, processor, instructions.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use world::World;

use crate::lambda::{Invocation, Lambda, Launch};
use crate::page::target;
use crate::process::{median, ms, percentile};
use crate::scenes::{Scene, ended, scenes, world};

/// Invocations of each kind that are looked at.
const INVOCATIONS: usize = 300;
/// Invocations of a process before that.
const WARMING_UP: usize = 20;
/// Under valgrind: so many, and as many again.
const COUNTED: usize = 10;

/// What a peer's server spends on the same, in milliseconds of processor time: Better Auth 1.7 on `SQLite`, measured on a
/// machine like the one that this page was first made on.
const PEER: [(&str, f64); 5] = [
    ("invite of 1", 8.3),
    ("accept", 6.9),
    ("role-edit", 5.4),
    ("remove", 6.0),
    ("list of all 1,000 members", 51.0),
];
/// Roster's part of it, at most.
const PEER_TIMES_MIN: f64 = 10.0;
const INVITE_OUTSIDE_MAX: Duration = Duration::from_micros(300);
const LIST_CPU_MAX: Duration = Duration::from_millis(5);

/// Measures.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let timed = in_a_world(binaries, async |lambda, world| timed(lambda, world).await).await?;
    let counted = if Command::new("valgrind").arg("--version").output().is_ok() {
        in_a_world(binaries, async |lambda, world| counted(lambda, world).await).await?
    } else {
        BTreeMap::new()
    };
    page(&timed, &counted)
}

/// Measures with functions and a laptop that nobody has used.
async fn in_a_world<T>(
    binaries: &Path,
    measure: impl AsyncFnOnce(&Lambda, &World) -> Result<T, String>,
) -> Result<T, String> {
    let launch = Launch { binaries: binaries.to_owned(), under: None, others: BTreeMap::new() };
    let lambda = Lambda::start(launch).await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let world = world(&lambda, &directory).await;
    let measured = measure(&lambda, &world).await;
    ended(world, measured).await
}

/// Of each scene, what its invocations take in a process that is warm.
async fn timed(lambda: &Lambda, world: &World) -> Result<Vec<(&'static str, Vec<Invocation>)>, String> {
    let mut all = Vec::new();
    for scene in &mut scenes(world, WARMING_UP + INVOCATIONS).await {
        println!("{}", scene.what);
        lambda.restarts(scene.function).await?;
        let calls = scene.left();
        for _ in 0..calls {
            scene.plays(world).await?;
        }
        let mut invocations = lambda.takes(scene.function);
        all.push((scene.what, invocations.split_off(WARMING_UP.min(invocations.len()))));
    }
    Ok(all)
}

/// Instructions of a start, and of one invocation of each kind.
async fn counted(lambda: &Lambda, world: &World) -> Result<BTreeMap<&'static str, (u64, u64)>, String> {
    let mut all = BTreeMap::new();
    // The last answer may not be there yet when the process is told to end: so each run ends behind its own calls.
    for scene in &mut scenes(world, 6 * COUNTED).await {
        println!("{}, counted", scene.what);
        let start = instructions(lambda, world, scene, 0).await?;
        let few = instructions(lambda, world, scene, 1).await?;
        let many = instructions(lambda, world, scene, 1 + COUNTED).await?;
        all.insert(scene.what, (start, (many.saturating_sub(few)) / COUNTED as u64));
    }
    Ok(all)
}

/// Instructions of a process that starts and is invoked so many times.
async fn instructions(
    lambda: &Lambda,
    world: &World,
    scene: &mut Scene,
    calls: usize,
) -> Result<u64, String> {
    let place = target().join("bench/callgrind.out");
    let under = ["valgrind", "--tool=callgrind", "--quiet"].map(OsString::from).into_iter();
    let file = OsString::from(format!("--callgrind-out-file={}", place.display()));
    let _ = fs::remove_file(&place);
    lambda.launches_under(under.chain([file]).collect(), scene.function);
    lambda.restarts(scene.function).await?;
    for _ in 0..calls {
        scene.plays(world).await?;
    }
    lambda.leaves(scene.function);
    lambda.launches_under(Vec::new(), scene.function);
    let text = fs::read_to_string(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    let summary =
        text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    let summary = summary.and_then(|summary| summary.trim().parse().ok());
    summary.ok_or_else(|| format!("{} has no summary", place.display()))
}

fn page(
    times: &[(&str, Vec<Invocation>)],
    instructions: &BTreeMap<&str, (u64, u64)>,
) -> Result<String, String> {
    let mut text = format!(
        "Warm: {INVOCATIONS} invocations behind {WARMING_UP} others (a fifth of that for invites of 50). *Outside* is the time from the \
         event's being handed out to the answer's being there, less the time in which a request to AWS was being answered: what \
         Roster, the SDK, the runtime and the two loopback connections take, in milliseconds. Instructions are valgrind's, which \
         has no SHA instructions to offer, so that signing counts for more than it takes.\n\n\
         | invocation | outside, p50 | outside, p99 | CPU, p50 | CPU, p99 | instructions |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    let mut of_cpu = BTreeMap::new();
    let mut of_outside = BTreeMap::new();
    for (what, invocations) in times {
        let sorted = |part: fn(&Invocation) -> Duration| {
            let mut values: Vec<_> = invocations.iter().map(part).collect();
            values.sort_unstable();
            values
        };
        let (outside, cpu) = (sorted(Invocation::outside), sorted(|it| it.cpu));
        let at = |sorted: &[Duration], share| percentile(sorted, share).unwrap_or_default();
        let count = instructions.get(what).map_or("not counted".to_owned(), |(_, each)| each.to_string());
        writeln!(
            text,
            "| {what} | {} | {} | {} | {} | {count} |",
            ms(at(&outside, 500)),
            ms(at(&outside, 990)),
            ms(at(&cpu, 500)),
            ms(at(&cpu, 990)),
        )
        .map_err(|error| error.to_string())?;
        of_cpu.insert(*what, at(&cpu, 500));
        of_outside.insert(*what, at(&outside, 500));
    }
    if let Some(start) = median(instructions.values().map(|(start, _)| *start).collect()) {
        writeln!(text, "\nA start takes {start} instructions (the median of the functions).")
            .map_err(|error| error.to_string())?;
    } else {
        text.push_str("\nInstructions are not counted: valgrind is not installed.\n");
    }
    text.push_str("\n| bound | measured | kept |\n| --- | --- | --- |\n");
    let mut bound = |what: &str, measured: String, kept: bool| {
        let kept = if kept { "yes" } else { "**no**" };
        let _ = writeln!(text, "| {what} | {measured} | {kept} |");
    };
    let outside = of_outside.get("invite of 1").copied().unwrap_or_default();
    bound("invite of 1: at most 0.3 ms outside the store", ms(outside), outside <= INVITE_OUTSIDE_MAX);
    let listing = of_cpu.get("list of all 1,000 members").copied().unwrap_or_default();
    bound("list of all 1,000 members: at most 5 ms CPU", ms(listing), listing <= LIST_CPU_MAX);
    for (what, peers) in PEER {
        let ours = of_cpu.get(what).copied().unwrap_or_default();
        let times = peers / 1e3 / ours.as_secs_f64();
        let bounds = format!("{what}: at most a tenth of a peer's {peers} ms CPU");
        bound(&bounds, format!("{} ms, 1/{times:.0}", ms(ours)), times >= PEER_TIMES_MIN);
    }
    Ok(text)
}
