//! A local Lambda service: cargo-lambda provides the Runtime API, and the functions' binaries run as processes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use harness::free_port;
use local::function_table::{PAGES, ROUTES};
use serde_json::Value;

use crate::process::Process;

/// The environment variable with the path of cargo-lambda. If it is set, the test fails without cargo-lambda.
///
/// If it is not set, the test uses `cargo-lambda` from `PATH`, and is skipped if there is none.
const CARGO_LAMBDA: &str = "ROSTER_CARGO_LAMBDA";

/// The functions without a route.
const EVENT_FUNCTIONS: [&str; 5] = ["mail", "schedule", "expire", "feedback", "reconcile"];

/// Returns the names of all functions.
pub fn functions() -> BTreeSet<&'static str> {
    ROUTES.iter().chain(&*PAGES).map(|route| route.function).chain(EVENT_FUNCTIONS).collect()
}

/// Returns the command `cargo-lambda`, if it is installed.
///
/// Otherwise reports the skipped test directly to stderr, because the test harness hides the output of passed tests.
pub fn cargo_lambda() -> Option<PathBuf> {
    let configured = std::env::var_os(CARGO_LAMBDA).filter(|path| !path.is_empty());
    let is_required = configured.is_some();
    let program = configured.map_or_else(|| PathBuf::from("cargo-lambda"), PathBuf::from);
    let output = Command::new(&program).args(["lambda", "--version"]).output();
    match output {
        Ok(output) if output.status.success() => return Some(program),
        output if is_required => panic!("{CARGO_LAMBDA}={}: {output:?}", program.display()),
        _ => {}
    }
    let mut error = std::io::stderr().lock();
    let _ = writeln!(
        error,
        "\nNOT RUN: the test of the functions as real processes needs cargo-lambda.\n\
         Install it with `python3 -m venv V && V/bin/pip install cargo-lambda==1.9.2`, and run the test:\n\
         {CARGO_LAMBDA}=$PWD/V/bin/cargo-lambda cargo test -p tests --test processes\n"
    );
    None
}

/// Returns the variables in `infra/laptop.env`.
fn laptop_env() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(harness::repository_root().join("infra/laptop.env"))
        .expect("infra/laptop.env can be read");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once('=').expect("a line is NAME=VALUE"));
    pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect()
}

/// The Runtime API and the processes of the functions.
pub struct Lambda {
    url: String,
    /// Fields are dropped in order. The functions must end before the Runtime API, or they log errors.
    functions: Vec<Process>,
    runtime_api: Process,
}

impl Lambda {
    /// Starts the Runtime API, and returns once it listens.
    pub fn start(cargo_lambda: &Path) -> Self {
        let port = free_port();
        let mut watch = Command::new(cargo_lambda);
        watch.current_dir(harness::repository_root()).args([
            "lambda",
            "watch",
            "--only-lambda-apis",
            "--ignore-changes",
        ]);
        watch.args(["--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()]);
        let mut runtime_api = Process::start("cargo-lambda", &mut watch);
        runtime_api.wait_until_it_listens(port);
        Self { url: format!("http://127.0.0.1:{port}"), functions: Vec::new(), runtime_api }
    }

    /// Returns the URL at which functions are invoked.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Starts the binary of a function as Lambda does.
    ///
    /// The function uses the variables in `infra/laptop.env` and the services of the laptop at the URL `laptop`.
    pub fn run(&mut self, function: &str, binary: &Path, laptop: &str, clock_file: &Path) {
        let mut command = Command::new(binary);
        command.env_clear().envs(laptop_env());
        command.env("AWS_ENDPOINT_URL", format!("{laptop}/_aws"));
        command.env("ACCEPT_URL", format!("{laptop}/accept"));
        command.env("CONSOLE_ISSUER", laptop);
        command.env("ROSTER_CLOCK_FILE", clock_file);
        command.env("AWS_LAMBDA_RUNTIME_API", format!("{}/.rt/{function}", self.url));
        command.env("AWS_LAMBDA_FUNCTION_NAME", function);
        command.env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
        command.env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128");
        self.functions.push(Process::start(function, &mut command));
    }

    /// Asserts that every function wrote only JSON objects, one per line, and at least one line with an outcome.
    pub fn assert_all_logged(&self) {
        for function in &self.functions {
            let log = function.log();
            let parse = |line: &str| -> Value {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            };
            let lines: Vec<_> = log.lines().map(parse).collect();
            assert!(lines.iter().all(|line| line["level"].is_string()), "{log}");
            assert!(lines.iter().any(|line| line["outcome"].is_string()), "{log}");
        }
    }

    /// Asserts that no process ended by itself.
    pub fn assert_all_run(&mut self) {
        self.runtime_api.assert_runs();
        self.functions.iter_mut().for_each(Process::assert_runs);
    }
}
