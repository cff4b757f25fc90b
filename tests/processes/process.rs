//! Processes that end with the test, and the binaries that they run. The suite `histories` uses this module as well.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(10);
const LOG_LINES_SHOWN: usize = 20;

/// Returns the path of a binary of the workspace.
pub fn binary(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).get(name).unwrap_or_else(|| panic!("there is no binary {name}"))
}

/// The environment variable with the folder of the functions' binaries, for example of `--profile release-quick`.
///
/// Without it, the tests build the binaries.
const FUNCTIONS: &str = "ROSTER_FUNCTIONS";

/// Returns the path of a function's binary.
pub fn function(name: &str) -> PathBuf {
    let folder = std::env::var_os(FUNCTIONS).filter(|folder| !folder.is_empty());
    folder
        .map_or_else(|| binary(name).to_owned(), |folder| harness::repository_root().join(folder).join(name))
}

/// Builds all binaries of the workspace, and returns their paths by name.
///
/// `cargo test` builds only the binaries of the test's own package.
fn build() -> BTreeMap<String, PathBuf> {
    let mut build = harness::cargo();
    build.args(["build", "--workspace", "--bins", "--message-format=json-render-diagnostics"]);
    let output = build.stderr(Stdio::inherit()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo could not build the binaries");
    let messages = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let messages =
        messages.lines().map(|line| serde_json::from_str::<Value>(line).expect("cargo writes JSON"));
    let binary = |message: Value| {
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    };
    messages.filter_map(binary).collect()
}

/// Starts the laptop's own binary.
pub fn roster(port: u16, arguments: &[&str]) -> Process {
    let mut command = Command::new(binary("roster"));
    // Without the console, because building it needs Node.js.
    let fixed = ["--no-console", "--port", &port.to_string()];
    Process::start("roster", command.args(fixed).args(arguments))
}

/// A running process. It is killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the command. A file receives its output, which is shown if the test fails.
    pub fn start(name: &str, command: &mut Command) -> Self {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let logs = Path::new(env!("CARGO_TARGET_TMPDIR")).join(env!("CARGO_CRATE_NAME"));
        std::fs::create_dir_all(&logs).expect("a directory for the logs");
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let log = logs.join(format!("{number:02}-{name}.log"));
        let output = File::create(&log).expect("a log");
        command.stdin(Stdio::null()).stderr(output.try_clone().expect("a log")).stdout(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { name: name.to_owned(), child, log }
    }

    /// Waits until the process listens on the port.
    pub fn wait_until_it_listens(&mut self, port: u16) {
        let deadline = Instant::now() + TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            self.assert_runs();
            assert!(Instant::now() < deadline, "{} does not listen on {port}", self.name);
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Asserts that the process is running.
    pub fn assert_runs(&mut self) {
        let ended = self.ended();
        assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
    }

    /// Waits until the process ends by itself, and returns its status.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end", self.name);
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Kills the process without warning, like `kill -9`.
    pub fn kill(&mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Returns the output of the process so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the status of a process can be read")
    }
}

#[expect(clippy::print_stderr, reason = "a failed test shows what its processes wrote")]
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let shown = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
            eprintln!("---- {} ({})\n{}", self.name, self.log.display(), shown.join("\n"));
        }
    }
}
