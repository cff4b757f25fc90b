//! Time, CPU time and instructions of warm invocations, without the time in AWS.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::World;

use crate::better_auth::{self, PeerResults};
use crate::lambda::{Invocation, Lambda, Launch, Recording};
use crate::page::{BASELINE, Bounds, target_directory};
use crate::process::{median, ms, percentile};
use crate::workloads::{finish, start_world, workloads};

/// The number of live invocations of each workload. Each has other members or addresses.
const INVOCATIONS: usize = 60;
/// The number of invocations of a process before the measured ones.
const WARM_UP: usize = 20;
/// The number of replays of an invocation.
const REPLAYS: usize = 1_000;
/// The number of invocations over which the instructions are averaged.
const COUNTED_INVOCATIONS: usize = 10;

/// The calls that are compared with the peer's: the peer's name and Roster's.
const PEER_CALLS: [(&str, &str); 8] = [
    ("invite", "invite of 1"),
    ("resend", "resend"),
    ("revoke", "revoke"),
    ("accept", "accept"),
    ("role-edit", "role-edit"),
    ("remove", "remove"),
    ("list of 50", "list of 50 members"),
    ("list of all 1,000", "list of all 1,000 members"),
];
/// The minimum ratio of the peer's CPU time to Roster's.
const PEER_RATIO_MIN: f64 = 10.0;
/// The maximum ratio of a function's instructions to the baseline's, in hundredths.
const BASELINE_HUNDREDTHS_MAX: u64 = 110;
const INVITE_OUTSIDE_MAX: Duration = Duration::from_micros(300);
const LIST_CPU_MAX: Duration = Duration::from_millis(5);

/// The measurements of one workload.
struct Measurement {
    name: &'static str,
    /// Different invocations, executed by the laptop (the local server started by `cargo run`).
    live: Vec<Invocation>,
    /// Replays of one invocation.
    replayed: Vec<Invocation>,
    /// The instructions of a start and of an invocation.
    instructions: Option<(u64, u64)>,
    /// The instructions of the baseline for the same invocation.
    baseline: Option<u64>,
}

/// Measures the section. Returns it as Markdown.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let peer = better_auth::results().await?;
    let launch = Launch { binaries: binaries.to_owned(), under: None, others: BTreeMap::new() };
    let lambda = Lambda::start(launch).await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let world = start_world(&lambda, &directory).await;
    let measurements = measure_all(&lambda, &world).await;
    report(&finish(world, measurements).await?, peer)
}

async fn measure_all(lambda: &Lambda, world: &World) -> Result<Vec<Measurement>, String> {
    let has_valgrind = Command::new("valgrind").arg("--version").output().is_ok();
    let mut all = Vec::new();
    let mut workloads = workloads(world, WARM_UP + INVOCATIONS).await;
    for workload in &mut workloads {
        println!("{}", workload.name);
        let function = workload.function;
        lambda.restart(function).await?;
        let calls = workload.left();
        lambda.start_recording(function);
        for _ in 0..calls {
            workload.run_next(world).await?;
        }
        let recording = lambda.take_recording(function)?;
        let live = skip_warm_up(lambda.take_invocations(function), WARM_UP.min(calls / 2));
        for _ in 0..WARM_UP + REPLAYS {
            lambda.replay(function, &recording).await?;
        }
        let replayed = skip_warm_up(lambda.take_invocations(function), WARM_UP);
        let instructions =
            if has_valgrind { Some(count_instructions(lambda, function, &recording).await?) } else { None };
        lambda.stop(function);
        let baseline = if has_valgrind {
            recording.save_for_baseline()?;
            let (_, each) = count_instructions(lambda, BASELINE, &recording).await?;
            lambda.stop(BASELINE);
            Some(each)
        } else {
            None
        };
        all.push(Measurement { name: workload.name, live, replayed, instructions, baseline });
    }
    Ok(all)
}

fn skip_warm_up(mut invocations: Vec<Invocation>, warm_up: usize) -> Vec<Invocation> {
    invocations.split_off(warm_up.min(invocations.len()))
}

/// Counts the instructions of a start and of an invocation.
async fn count_instructions(
    lambda: &Lambda,
    function: &str,
    recording: &Recording,
) -> Result<(u64, u64), String> {
    // The process may be terminated before it has received the reply to its last result. This cost is in both `few` and
    // `many`, so it cancels out.
    let start = instructions_of_run(lambda, function, recording, 0).await?;
    let few = instructions_of_run(lambda, function, recording, 1).await?;
    let many = instructions_of_run(lambda, function, recording, 1 + COUNTED_INVOCATIONS).await?;
    Ok((start, many.saturating_sub(few) / COUNTED_INVOCATIONS as u64))
}

/// Counts the instructions of a process that starts and executes this number of invocations.
async fn instructions_of_run(
    lambda: &Lambda,
    function: &str,
    recording: &Recording,
    calls: usize,
) -> Result<u64, String> {
    let file = target_directory().join("bench/callgrind.out");
    let under = ["valgrind", "--tool=callgrind", "--quiet"].map(OsString::from).into_iter();
    let option = OsString::from(format!("--callgrind-out-file={}", file.display()));
    let _ = fs::create_dir_all(target_directory().join("bench"));
    let _ = fs::remove_file(&file);
    lambda.run_under(under.chain([option]).collect(), function);
    lambda.restart(function).await?;
    for _ in 0..calls {
        lambda.replay(function, recording).await?;
    }
    lambda.terminate(function);
    lambda.run_under(Vec::new(), function);
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let summary =
        text.lines().find_map(|line| line.strip_prefix("summary: ").or(line.strip_prefix("totals: ")));
    let summary = summary.and_then(|summary| summary.trim().parse().ok());
    summary.ok_or_else(|| format!("{} has no summary", file.display()))
}

fn report(all: &[Measurement], peer: &PeerResults) -> Result<String, String> {
    let mut text = format!(
        "Warm invocations, in milliseconds. *Replayed*: the same invocation {REPLAYS} times without a pause, \
         after {WARM_UP} others. The requests to AWS get the recorded responses, so no store runs. *Live*: \
         {INVOCATIONS} different invocations after {WARM_UP} others (8 after 8 for invites of 50). Between \
         them the gateway, the DynamoDB engine and the other functions use the processors and their caches. \
         *Outside* is the time from sending the event to receiving the result, without the time in which a \
         request to AWS is open. It includes Roster, the SDK, the Lambda runtime and the loopback \
         connections. Instructions are those of valgrind, without the kernel. Valgrind does not emulate the \
         processor's SHA instructions, so the share of signing is larger than in reality. *Of the baseline*: \
         the instructions as a multiple of those of a minimal program (`src/bin/baseline.rs`). This program \
         has the same Lambda runtime and SDK configuration, sends the same requests with the same items, and \
         decides nothing.\n\n\
         | invocation | replayed: CPU, p50 | p99 | outside, p50 | p99 | live: CPU, p50 | outside, p50 | instructions | of the baseline |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
    );
    let mut cpu_by_name = BTreeMap::new();
    let mut outside_by_name = BTreeMap::new();
    let mut baseline_ratios = Vec::new();
    for Measurement { name, live, replayed, instructions, baseline } in all {
        let at = |of: &[Invocation], part: fn(&Invocation) -> Duration, share| {
            let mut values: Vec<_> = of.iter().map(part).collect();
            values.sort_unstable();
            percentile(&values, share).unwrap_or_default()
        };
        let cpu = |it: &Invocation| it.cpu;
        let count = instructions.map_or("not counted".to_owned(), |(_, each)| each.to_string());
        let times = instructions.zip(*baseline).map(|((_, each), baseline)| hundredths(each, baseline));
        baseline_ratios.extend(times.map(|times| (*name, times)));
        let multiple = times.map_or("not counted".to_owned(), in_hundredths);
        writeln!(
            text,
            "| {name} | {} | {} | {} | {} | {} | {} | {count} | {multiple} |",
            ms(at(replayed, cpu, 500)),
            ms(at(replayed, cpu, 990)),
            ms(at(replayed, Invocation::outside, 500)),
            ms(at(replayed, Invocation::outside, 990)),
            ms(at(live, cpu, 500)),
            ms(at(live, Invocation::outside, 500)),
        )
        .map_err(|error| error.to_string())?;
        cpu_by_name.insert(*name, at(replayed, cpu, 500));
        outside_by_name.insert(*name, at(replayed, Invocation::outside, 500));
    }
    let starts: Vec<_> =
        all.iter().filter_map(|measurement| measurement.instructions).map(|(start, _)| start).collect();
    if let Some(start) = median(starts) {
        writeln!(text, "\nA start takes {start} instructions (the median of the functions).")
            .map_err(|error| error.to_string())?;
    } else {
        text.push_str("\nWithout valgrind, instructions are not counted.\n");
    }
    let mut bounds = Bounds::new();
    let outside = outside_by_name.get("invite of 1").copied().unwrap_or_default();
    bounds.add(
        "invite of 1, replayed: at most 0.3 ms outside the store",
        ms(outside),
        outside <= INVITE_OUTSIDE_MAX,
    );
    let listing = cpu_by_name.get("list of all 1,000 members").copied().unwrap_or_default();
    bounds.add("list of all 1,000 members, replayed: at most 5 ms CPU", ms(listing), listing <= LIST_CPU_MAX);
    if let Some((name, times)) = baseline_ratios.iter().max_by_key(|(_, times)| times) {
        let bound = format!(
            "every action: at most {} times the instructions of the baseline",
            in_hundredths(BASELINE_HUNDREDTHS_MAX)
        );
        bounds.add(
            bound,
            format!("{} (maximum, {name})", in_hundredths(*times)),
            *times <= BASELINE_HUNDREDTHS_MAX,
        );
    }
    for (peer_call, name) in PEER_CALLS {
        let (ours, theirs) = (cpu_by_name.get(name).copied().unwrap_or_default(), peer.of(peer_call)?.cpu);
        let times = theirs.as_secs_f64() / ours.as_secs_f64();
        bounds.add(
            format!(
                "{name}, replayed without a store: at most a tenth of the peer's {} ms CPU with its store",
                ms(theirs)
            ),
            format!("{} ms, 1/{times:.1}", ms(ours)),
            times >= PEER_RATIO_MIN,
        );
    }
    Ok(format!("{text}{bounds}"))
}

/// Returns `each` as a multiple of `baseline`, in hundredths.
fn hundredths(each: u64, baseline: u64) -> u64 {
    each * 100 / baseline.max(1)
}

fn in_hundredths(times: u64) -> String {
    format!("{}.{:02}", times / 100, times % 100)
}
