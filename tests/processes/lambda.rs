//! Lambda on this machine: cargo-lambda as the Runtime API, and the functions' own binaries as its processes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use local::function_table::{PAGES, ROUTES};
use serde_json::Value;

use crate::process::{Process, free_port};

/// Where cargo-lambda is, if it is not on the `PATH`. A test that finds this set fails if it cannot run.
const CARGO_LAMBDA: &str = "ROSTER_CARGO_LAMBDA";

/// The functions that no route leads to.
const EVENT_FUNCTIONS: [&str; 5] = ["mail", "schedule", "expire", "feedback", "reconcile"];

/// Every function's name.
pub fn functions() -> BTreeSet<&'static str> {
    ROUTES.iter().chain(&*PAGES).map(|route| route.function).chain(EVENT_FUNCTIONS).collect()
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

/// What `infra/laptop.env` sets.
fn laptop_env() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(harness::top().join("infra/laptop.env")).expect("the file is there");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once('=').expect("a line is NAME=VALUE"));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// The Runtime API, and what was started on it.
pub struct Lambda {
    url: String,
    /// The functions before the Runtime API: they would complain if it ended first.
    functions: Vec<Process>,
    runtime_api: Process,
}

impl Lambda {
    /// Starts the Runtime API, and returns once it listens.
    pub fn start(cargo_lambda: &Path) -> Self {
        let port = free_port();
        let mut watch = Command::new(cargo_lambda);
        watch.current_dir(harness::top()).args(["lambda", "watch", "--only-lambda-apis", "--ignore-changes"]);
        watch.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        let mut runtime_api = Process::start("cargo-lambda", &mut watch);
        runtime_api.wait_until_it_listens(port);
        Self { url: format!("http://127.0.0.1:{port}"), functions: Vec::new(), runtime_api }
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
        run.env("CONSOLE_ISSUER", laptop);
        run.env("ROSTER_CLOCK_FILE", clock_file);
        run.env("AWS_LAMBDA_RUNTIME_API", format!("{}/.rt/{function}", self.url));
        run.env("AWS_LAMBDA_FUNCTION_NAME", function);
        run.env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        run.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
        self.functions.push(Process::start(function, &mut run));
    }

    /// Every function has written objects of JSON, one a line, and among them a last line with its metrics.
    pub fn assert_all_tell(&self) {
        for function in &self.functions {
            let said = function.said();
            let read = |line: &str| -> Value {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            };
            let lines: Vec<_> = said.lines().map(read).collect();
            assert!(lines.iter().all(|line| line["level"].is_string()), "{said}");
            assert!(lines.iter().any(|line| line["_aws"].is_object()), "{said}");
        }
    }

    /// Nothing has ended by itself.
    pub fn assert_all_run(&mut self) {
        self.runtime_api.assert_runs();
        self.functions.iter_mut().for_each(Process::assert_runs);
    }
}
