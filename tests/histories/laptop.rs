//! The laptop's binary, which the test kills and restarts.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use harness::{Person, free_port};
use local::laptop::{Laptop, Options};
use tokio::sync::watch;

use crate::history::LogicalClock;
use crate::process::{Process, roster};

/// A running process of the laptop.
///
/// Each process listens on its own port, so a later process never receives a request that was sent to an earlier one. A
/// request takes effect before its process is killed, or never.
#[derive(Clone)]
pub struct Instance {
    /// The number of the process. The first one is 0.
    pub number: usize,
    /// An HTTP client of this process that is not signed in.
    pub anonymous: Person,
}

/// A laptop that can be killed and restarted on the same database file.
pub struct RestartableLaptop {
    // Declared before `directory`, so it is dropped first: a running process would write to the directory again.
    process: Option<Process>,
    directory: tempfile::TempDir,
    seats: u32,
    clock: Arc<LogicalClock>,
    ports: BTreeSet<u16>,
    instance: watch::Sender<Option<Instance>>,
    /// The time at which each process was killed.
    killed_at: Vec<u64>,
}

impl RestartableLaptop {
    /// Starts the laptop. Organizations have `seats` seats.
    pub fn start(seats: u32, clock: Arc<LogicalClock>) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let instance = watch::Sender::new(None);
        let mut laptop = Self {
            directory,
            seats,
            clock,
            process: None,
            ports: BTreeSet::new(),
            instance,
            killed_at: Vec::new(),
        };
        laptop.start_process();
        laptop
    }

    /// Notifies the receiver of each new process. The value is `None` while no process runs.
    pub fn subscribe(&self) -> watch::Receiver<Option<Instance>> {
        self.instance.subscribe()
    }

    /// The times at which the processes were killed, by process number.
    pub fn killed_at(&self) -> &[u64] {
        &self.killed_at
    }

    /// Kills the process with SIGKILL and starts the next one.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.start_process();
    }

    /// Kills the process, and opens its database file in a laptop inside the test's process.
    pub async fn kill_and_open(&mut self) -> Laptop {
        self.kill();
        let options = Options { db: Some(self.file()), ..Options::default() };
        Laptop::start(options, |_| {})
            .await
            .expect("the laptop opens the database file of the killed process")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("roster.db")
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.assert_runs();
            process.kill();
            self.killed_at.push(self.clock.tick());
        }
        self.instance.send_replace(None);
    }

    fn start_process(&mut self) {
        let port = std::iter::repeat_with(free_port).find(|port| !self.ports.contains(port));
        let port = port.expect("a port is free that no earlier process used");
        self.ports.insert(port);
        let (file, seats) = (self.file(), self.seats.to_string());
        let file = file.to_str().expect("the path is UTF-8");
        let mut process = roster(port, &["--no-demo", "--no-limits", "--seats", &seats, "--db", file]);
        process.wait_until_it_listens(port);
        self.process = Some(process);
        let anonymous = Person::at(&format!("http://127.0.0.1:{port}"));
        self.instance.send_replace(Some(Instance { number: self.killed_at.len(), anonymous }));
    }
}
