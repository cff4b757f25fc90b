//! Starts of the functions' processes, their memory and their size, beside the same write by other means.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::Bytes;
use harness::World;
use serde_json::json;

use crate::lambda::{Invocation, Lambda, Launch, Start};
use crate::page::{Bounds, functions, target};
use crate::peers::{self, Installed, PEERS};
use crate::process::{Memory, median, mib, ms};
use crate::scenes::{ended, scenes, world};

/// Starts of each process; the one in the middle is told.
const STARTS: usize = 15;
/// Invocations before memory is looked at.
const INVOCATIONS: usize = 100;

/// The bounds.
const INIT_MAX: Duration = Duration::from_millis(4);
const NODE_TIMES_MIN: f64 = 40.0;
const PYTHON_TIMES_MIN: f64 = 100.0;
const ZIP_BYTES_MAX: u64 = 3_000_000;
const RESIDENT_MAX: u64 = 10 * 1024 * 1024;

/// What is known of a process.
#[derive(Default)]
struct Measured {
    starts: Vec<Start>,
    first: Vec<Invocation>,
    memory: Option<Memory>,
}

impl Measured {
    /// Has the function's work done: by processes that have just started, and by the last of them so many times more.
    async fn is_invoked(
        &mut self,
        lambda: &Lambda,
        function: &str,
        mut invokes: impl AsyncFnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        for _ in 0..STARTS {
            lambda.restarts(function).await?;
            invokes().await?;
            self.first.extend(lambda.takes(function));
        }
        for _ in 1..INVOCATIONS {
            invokes().await?;
        }
        self.memory = Some(lambda.memory(function)?);
        lambda.ends(function);
        Ok(())
    }

    fn init(&self) -> Duration {
        median(self.starts.iter().map(|start| start.cpu).collect()).unwrap_or_default()
    }

    fn row(&self, name: &str) -> String {
        let wall = median(self.starts.iter().map(|start| start.wall).collect()).unwrap_or_default();
        let of_first = |part: fn(&Invocation) -> Duration| {
            median(self.first.iter().map(part).collect()).map_or(String::new(), ms)
        };
        let memory = self.memory.map_or(String::new(), |memory| mib(memory.resident));
        let (cpu, first_cpu, first_outside) =
            (ms(self.init()), of_first(|first| first.cpu), of_first(Invocation::outside));
        format!("| {name} | {cpu} | {} | {first_cpu} | {first_outside} | {memory} |", ms(wall))
    }
}

/// Measures.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let Installed { launch: others, versions } = peers::installed()?;
    let lambda = Lambda::start(Launch { binaries: binaries.to_owned(), under: None, others }).await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let world = world(&lambda, &directory).await;
    let all = all(&lambda, &world).await;
    let all = ended(world, all).await?;
    page(binaries, &all, &versions)
}

async fn all(lambda: &Lambda, world: &World) -> Result<BTreeMap<String, Measured>, String> {
    peers::make_table(world).await?;
    let mut all = starts(lambda).await?;
    for scene in &mut scenes(world, STARTS + INVOCATIONS).await {
        let function = scene.function;
        let Some(measured) = all.get_mut(function) else { continue };
        if measured.first.is_empty() && scene.left() >= STARTS + INVOCATIONS {
            println!("{}", scene.what);
            measured.is_invoked(lambda, function, async || scene.plays(world).await).await?;
        }
    }
    let pages = ("console", page_event());
    for (name, event) in PEERS.map(|peer| (peer, peers::event())).into_iter().chain([pages]) {
        let Some(measured) = all.get_mut(name) else { continue };
        println!("{name}");
        let invokes = async || lambda.invokes(name, event.clone()).await.map(drop);
        measured.is_invoked(lambda, name, invokes).await?;
    }
    Ok(all)
}

/// Starts every function and the peers, in turns, so that a machine that is slower for a while is so for all of them. What
/// counts is the second of two starts, so that each finds as much of what it needs in the processor's caches.
async fn starts(lambda: &Lambda) -> Result<BTreeMap<String, Measured>, String> {
    println!("{STARTS} starts of each");
    let names = functions().into_iter().chain(PEERS.map(str::to_owned));
    let mut all: BTreeMap<_, _> = names.map(|name| (name, Measured::default())).collect();
    for _ in 0..STARTS {
        for (name, measured) in &mut all {
            lambda.restarts(name).await?;
            measured.starts.push(lambda.restarts(name).await?);
            lambda.ends(name);
        }
    }
    Ok(all)
}

/// Somebody opens a page: the one function that answers people, but not for the laptop's gateway.
fn page_event() -> Bytes {
    let event = json!({
        "version": "2.0",
        "routeKey": "GET /accept",
        "rawPath": "/accept",
        "rawQueryString": "",
        "headers": { "host": "roster.example", "accept-encoding": "br, gzip" },
        "requestContext": {
            "http": { "method": "GET", "path": "/accept", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "bench" },
            "routeKey": "GET /accept",
            "stage": "$default",
        },
        "isBase64Encoded": false,
    });
    Bytes::from(event.to_string())
}

fn page(
    binaries: &Path,
    all: &BTreeMap<String, Measured>,
    versions: &BTreeMap<&str, String>,
) -> Result<String, String> {
    let mut text = format!(
        "From the process' start to its first question for an event, and its first invocation; medians of {STARTS} starts, in \
         milliseconds, all processes in turns. Resident memory after {INVOCATIONS} invocations, in MiB. AWS is at the other end of a loopback connection \
         without TLS; a function that answers people has opened it before it asks. The two others write what `create` writes.\n\n\
         | process | init, CPU | init, wall | first invocation, CPU | outside the store, wall | resident |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for (name, measured) in all {
        let name = versions.get(name.as_str()).unwrap_or(name);
        writeln!(text, "{}", measured.row(name)).map_err(|error| error.to_string())?;
    }
    text.push_str(
        "\n| function | binary, bytes | zip, bytes | zip for arm64, bytes |\n| --- | --- | --- | --- |\n",
    );
    let (mut zip_max, mut arm64_max) = (0, 0);
    for function in functions() {
        let binary = binaries.join(&function);
        let bytes = length(&binary)?;
        let zipped = zipped(&binary)?;
        zip_max = zip_max.max(zipped);
        let arm64 = target().join("lambda").join(&function).join("bootstrap.zip");
        let arm64 = if arm64.exists() { length(&arm64)? } else { 0 };
        arm64_max = arm64_max.max(arm64);
        let arm64 = if arm64 == 0 { "not built".to_owned() } else { arm64.to_string() };
        writeln!(text, "| {function} | {bytes} | {zipped} | {arm64} |").map_err(|error| error.to_string())?;
    }
    let mut bounds = Bounds::new();
    let of = |name: &str| all.get(name).map(Measured::init).unwrap_or_default();
    let ours = all.iter().filter(|(name, one)| !one.first.is_empty() && !PEERS.contains(&name.as_str()));
    let slowest = ours.clone().map(|(_, one)| one.init()).max().unwrap_or_default();
    let largest =
        ours.filter_map(|(_, one)| one.memory).map(|memory| memory.resident).max().unwrap_or_default();
    bounds.add(
        "init of every function that answers people: at most 4 ms CPU",
        ms(slowest),
        slowest <= INIT_MAX,
    );
    for (peer, least) in [("node", NODE_TIMES_MIN), ("python", PYTHON_TIMES_MIN)] {
        let times = of(peer).as_secs_f64() / slowest.as_secs_f64();
        let what = format!("init of the slowest of them: at most 1/{least} of that of {}", versions[peer]);
        bounds.add(what, format!("1/{times:.0}"), times >= least);
    }
    let resident = format!("{} MiB", mib(largest));
    bounds.add("at most 10 MiB resident after 100 invocations", resident, largest <= RESIDENT_MAX);
    bounds.add("every zip at most 3 MB, here", zip_max, zip_max <= ZIP_BYTES_MAX);
    if arm64_max > 0 {
        bounds.add("every zip at most 3 MB, for arm64", arm64_max, arm64_max <= ZIP_BYTES_MAX);
    }
    Ok(format!("{text}{bounds}"))
}

fn length(path: &Path) -> Result<u64, String> {
    fs::metadata(path).map(|data| data.len()).map_err(|error| format!("{}: {error}", path.display()))
}

/// How large the binary is in a zip, as Python's standard library makes it.
fn zipped(binary: &Path) -> Result<u64, String> {
    const MAKE: &str = "import sys, zipfile, tempfile, os
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'bootstrap.zip')
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as made:
        made.write(sys.argv[1], 'bootstrap')
    print(os.path.getsize(path))";
    let output = Command::new("python3").args(["-c", MAKE]).arg(binary).output();
    let output = output.map_err(|error| format!("python3 does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse().map_err(|_| format!("{} cannot be zipped", binary.display()))
}
