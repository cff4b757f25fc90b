//! Lambda on this machine: cargo-lambda as the Runtime API, and the functions' own binaries as its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dev::gateway::ROUTES;
use serde_json::Value;

/// Where cargo-lambda is, if it is not on the `PATH`. A test that finds this set fails if it cannot run.
const CARGO_LAMBDA: &str = "ROSTER_CARGO_LAMBDA";
const READY_WITHIN: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(20);
const LOG_LINES_SHOWN: usize = 20;

/// The functions that no route leads to.
const EVENT_FUNCTIONS: [&str; 3] = ["mail", "schedule", "expire"];

/// The top of the repository.
fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Every function's name.
pub fn functions() -> BTreeSet<&'static str> {
    ROUTES.iter().map(|route| route.function).chain(EVENT_FUNCTIONS).collect()
}

/// The command `cargo-lambda`, if it is installed. Says so if it is not: past the test harness, which would
/// keep it to itself.
pub fn cargo_lambda() -> Option<PathBuf> {
    let named = std::env::var_os(CARGO_LAMBDA).filter(|path| !path.is_empty());
    let asked_for = named.is_some();
    let program = named.map_or_else(|| PathBuf::from("cargo-lambda"), PathBuf::from);
    let answer = Command::new(&program).args(["lambda", "--version"]).output();
    match answer {
        Ok(answer) if answer.status.success() => return Some(program),
        answer if asked_for => panic!("{CARGO_LAMBDA}={}: {answer:?}", program.display()),
        _ => {}
    }
    let mut error = std::io::stderr().lock();
    let _ = writeln!(
        error,
        "\nNOT RUN: the test of the functions as real processes needs cargo-lambda.\n\
         Install it with `python3 -m venv V && V/bin/pip install cargo-lambda==1.9.2`, and say where it is:\n\
         {CARGO_LAMBDA}=$PWD/V/bin/cargo-lambda cargo test -p tests --test processes\n"
    );
    None
}

/// Builds the workspace's binaries, as they are in the tree now, and gives their paths: `cargo test` builds
/// those of other packages only as far as it needs them as libraries.
pub fn build() -> BTreeMap<String, PathBuf> {
    let mut build = Command::new(env!("CARGO"));
    build.current_dir(top()).args(["build", "--workspace", "--bins"]);
    build.arg("--message-format=json-render-diagnostics");
    // What cargo tells a test about its package; some build scripts run again when that changes, and half of the
    // tree is built anew behind them.
    let about_the_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_the_package)) {
        build.env_remove(name);
    }
    let output = build.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "the binaries do not build");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let messages =
        messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("cargo writes JSON"));
    let binary = |message: Value| {
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    };
    messages.filter_map(binary).collect()
}

/// What `infra/laptop.env` sets.
fn laptop_env() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(top().join("infra/laptop.env")).expect("the file is there");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once('=').expect("a line is NAME=VALUE"));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// The Runtime API, and what was started on it. All of it ends with this.
pub struct Lambda {
    url: String,
    processes: Vec<Process>,
    logs: PathBuf,
}

struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Lambda {
    /// Starts the Runtime API, and resolves once it listens.
    pub fn start(cargo_lambda: &Path) -> Self {
        let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join("processes");
        std::fs::create_dir_all(&logs).expect("a directory for the logs");
        let port = free_port();
        let url = format!("http://127.0.0.1:{port}");
        let mut lambda = Self { url, processes: Vec::new(), logs };
        let mut watch = Command::new(cargo_lambda);
        watch.current_dir(top()).args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"]);
        watch.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        lambda.spawn("cargo-lambda", &mut watch);

        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            lambda.assert_all_run();
            assert!(Instant::now() < deadline, "cargo-lambda does not listen");
            std::thread::sleep(POLL_EVERY);
        }
        lambda
    }

    /// Where functions are invoked.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts a function as Lambda does: its binary, told by the environment where the Runtime API is and what
    /// `infra/laptop.env` says, for the laptop at `laptop`.
    pub fn run(&mut self, function: &str, binary: &Path, laptop: &str, clock_file: &Path) {
        let mut run = Command::new(binary);
        run.env_clear().envs(laptop_env());
        run.env("AWS_ENDPOINT_URL", format!("{laptop}/_aws"));
        run.env("ACCEPT_URL", format!("{laptop}/accept"));
        run.env("ROSTER_CLOCK_FILE", clock_file);
        run.env("AWS_LAMBDA_RUNTIME_API", format!("{}/.rt/{function}", self.url));
        run.env("AWS_LAMBDA_FUNCTION_NAME", function);
        run.env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        run.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
        self.spawn(function, &mut run);
    }

    /// Nothing has ended by itself.
    pub fn assert_all_run(&mut self) {
        for Process { name, child, .. } in &mut self.processes {
            let ended = child.try_wait().expect("a process can be asked");
            assert!(ended.is_none(), "{name} has ended: {ended:?}");
        }
    }

    fn spawn(&mut self, name: &str, command: &mut Command) {
        let log = self.logs.join(format!("{name}.log"));
        let output = File::create(&log).expect("a log");
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("a log")).stdout(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        self.processes.push(Process { name: name.to_owned(), child, log });
    }
}

impl Drop for Lambda {
    fn drop(&mut self) {
        // The functions first: they complain when the Runtime API goes.
        for Process { name, child, log } in self.processes.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let log = std::fs::read_to_string(log).unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
                eprintln!("---- {name}\n{}", shown.join("\n"));
            }
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a port").port()
}
