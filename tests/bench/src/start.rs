//! Cold start, memory and size of the functions, compared with a function in Node.js and one in Python that write the
//! same items as `create`.

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
use crate::page::{Bounds, function_names, target_directory};
use crate::peers::{self, Installed, PEERS};
use crate::process::{Memory, median, mib, ms};
use crate::workloads::{finish, start_world, workloads};

/// The number of starts per function. The results are medians.
const STARTS: usize = 15;
/// The number of invocations before the memory is measured.
const INVOCATIONS: usize = 100;

// The bounds.
const INIT_MAX: Duration = Duration::from_millis(4);
const NODE_TIMES_MIN: f64 = 40.0;
const PYTHON_TIMES_MIN: f64 = 100.0;
const ZIP_BYTES_MAX: u64 = 3_000_000;
const RESIDENT_MAX: u64 = 10 * 1024 * 1024;

/// The measurements of a function.
#[derive(Default)]
struct StartMeasurement {
    starts: Vec<Start>,
    first: Vec<Invocation>,
    memory: Option<Memory>,
}

impl StartMeasurement {
    /// Measures the first invocation of `STARTS` new processes, and the memory of the last process after `INVOCATIONS`
    /// invocations.
    async fn measure_invocations(
        &mut self,
        lambda: &Lambda,
        function: &str,
        mut invoke: impl AsyncFnMut() -> Result<(), String>,
    ) -> Result<(), String> {
        for _ in 0..STARTS {
            lambda.restart(function).await?;
            invoke().await?;
            self.first.extend(lambda.take_invocations(function));
        }
        for _ in 1..INVOCATIONS {
            invoke().await?;
        }
        self.memory = Some(lambda.memory(function)?);
        lambda.stop(function);
        Ok(())
    }

    fn init(&self) -> Duration {
        median(self.starts.iter().map(|start| start.cpu).collect()).unwrap_or_default()
    }

    fn row(&self, name: &str) -> String {
        let wall = median(self.starts.iter().map(|start| start.wall).collect()).unwrap_or_default();
        let first_invocation = |part: fn(&Invocation) -> Duration| {
            median(self.first.iter().map(part).collect()).map_or(String::new(), ms)
        };
        let memory = self.memory.map_or(String::new(), |memory| mib(memory.resident));
        let (cpu, first_cpu, first_outside) =
            (ms(self.init()), first_invocation(|first| first.cpu), first_invocation(Invocation::outside));
        format!("| {name} | {cpu} | {} | {first_cpu} | {first_outside} | {memory} |", ms(wall))
    }
}

/// Measures the section. Returns it as Markdown.
pub async fn measure(binaries: &Path) -> Result<String, String> {
    let Installed { launch: others, versions } = peers::install()?;
    let lambda = Lambda::start(Launch { binaries: binaries.to_owned(), under: None, others }).await?;
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let world = start_world(&lambda, &directory).await;
    let all = measure_all(&lambda, &world).await;
    let all = finish(world, all).await?;
    report(binaries, &all, &versions)
}

async fn measure_all(lambda: &Lambda, world: &World) -> Result<BTreeMap<String, StartMeasurement>, String> {
    peers::make_table(world).await?;
    let mut all = measure_starts(lambda).await?;
    for workload in &mut workloads(world, STARTS + INVOCATIONS).await {
        let function = workload.function;
        let Some(measurement) = all.get_mut(function) else { continue };
        if measurement.first.is_empty() && workload.left() >= STARTS + INVOCATIONS {
            println!("{}", workload.name);
            measurement
                .measure_invocations(lambda, function, async || workload.run_next(world).await)
                .await?;
        }
    }
    let pages = ("console", page_event());
    for (name, event) in PEERS.map(|peer| (peer, peers::event())).into_iter().chain([pages]) {
        let Some(measurement) = all.get_mut(name) else { continue };
        println!("{name}");
        let invoke = async || lambda.invoke(name, event.clone()).await.map(drop);
        measurement.measure_invocations(lambda, name, invoke).await?;
    }
    Ok(all)
}

/// Starts all functions and the peers in turns, so a slow phase of the machine affects all of them. Each is started
/// twice, and the second start counts, so the CPU caches are equally warm for all.
async fn measure_starts(lambda: &Lambda) -> Result<BTreeMap<String, StartMeasurement>, String> {
    println!("{STARTS} starts of each");
    let names = function_names().into_iter().chain(PEERS.map(str::to_owned));
    let mut all: BTreeMap<_, _> = names.map(|name| (name, StartMeasurement::default())).collect();
    for _ in 0..STARTS {
        for (name, measurement) in &mut all {
            lambda.restart(name).await?;
            measurement.starts.push(lambda.restart(name).await?);
            lambda.stop(name);
        }
    }
    Ok(all)
}

/// The event of a request for a page. The laptop's gateway does not invoke `console`, so the benchmark does.
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

fn report(
    binaries: &Path,
    all: &BTreeMap<String, StartMeasurement>,
    versions: &BTreeMap<&str, String>,
) -> Result<String, String> {
    let mut text = format!(
        "*Init* is the time from the process' start to its first request for an event. Times are medians of \
         {STARTS} starts in milliseconds, and all functions start in turns. *Outside the store* is the \
         elapsed time without the time in which a request to AWS is open. *Memory* is the resident memory in \
         MiB after {INVOCATIONS} invocations. AWS is the laptop's emulation, over a loopback connection \
         without TLS. The functions that serve the API open this connection in the init phase. The functions \
         in Node.js and Python write the same items as `create`.\n\n\
         | function | init, CPU | init, wall | first invocation, CPU | outside the store, wall | memory |\n\
         | --- | --- | --- | --- | --- | --- |\n"
    );
    for (name, measurement) in all {
        let name = versions.get(name.as_str()).unwrap_or(name);
        writeln!(text, "{}", measurement.row(name)).map_err(|error| error.to_string())?;
    }
    text.push_str(
        "\n| function | binary, bytes | zip, bytes | zip for arm64, bytes |\n| --- | --- | --- | --- |\n",
    );
    let (mut zip_max, mut arm64_max) = (0, 0);
    for function in function_names() {
        let binary = binaries.join(&function);
        let bytes = file_size(&binary)?;
        let zipped = zip_size(&binary)?;
        zip_max = zip_max.max(zipped);
        let arm64 = target_directory().join("lambda").join(&function).join("bootstrap.zip");
        let arm64 = if arm64.exists() { file_size(&arm64)? } else { 0 };
        arm64_max = arm64_max.max(arm64);
        let arm64 = if arm64 == 0 { "not built".to_owned() } else { arm64.to_string() };
        writeln!(text, "| {function} | {bytes} | {zipped} | {arm64} |").map_err(|error| error.to_string())?;
    }
    let mut bounds = Bounds::new();
    let of = |name: &str| all.get(name).map(StartMeasurement::init).unwrap_or_default();
    let api_functions =
        all.iter().filter(|(name, one)| !one.first.is_empty() && !PEERS.contains(&name.as_str()));
    let slowest = api_functions.clone().map(|(_, one)| one.init()).max().unwrap_or_default();
    let largest = api_functions
        .filter_map(|(_, one)| one.memory)
        .map(|memory| memory.resident)
        .max()
        .unwrap_or_default();
    bounds.add(
        "init of every function behind the HTTP API: at most 4 ms CPU",
        ms(slowest),
        slowest <= INIT_MAX,
    );
    for (peer, least) in [("node", NODE_TIMES_MIN), ("python", PYTHON_TIMES_MIN)] {
        let times = of(peer).as_secs_f64() / slowest.as_secs_f64();
        let what = format!(
            "init of the slowest of these functions: at most 1/{least} of that of {}",
            versions[peer]
        );
        bounds.add(what, format!("1/{times:.0}"), times >= least);
    }
    let resident = format!("{} MiB", mib(largest));
    bounds.add("memory after 100 invocations: at most 10 MiB", resident, largest <= RESIDENT_MAX);
    bounds.add("every zip for this machine: at most 3 MB", zip_max, zip_max <= ZIP_BYTES_MAX);
    if arm64_max > 0 {
        bounds.add("every zip for arm64: at most 3 MB", arm64_max, arm64_max <= ZIP_BYTES_MAX);
    }
    Ok(format!("{text}{bounds}"))
}

fn file_size(path: &Path) -> Result<u64, String> {
    fs::metadata(path).map(|data| data.len()).map_err(|error| format!("{}: {error}", path.display()))
}

/// The size of a zip file with the binary, written by Python's `zipfile`.
fn zip_size(binary: &Path) -> Result<u64, String> {
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
