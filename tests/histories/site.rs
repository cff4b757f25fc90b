//! The laptop's own binary as clients find it: there, away for a moment, and there again somewhere else.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use harness::Person;
use local::laptop::{Laptop, Options};
use tokio::sync::watch;

use crate::history::Moments;
use crate::process::{Process, free_port, roster};

/// A process's life. Every one listens on a port of its own, so that a call which was made to one is never answered
/// by the next: what it was asked is done when it is killed, or never.
#[derive(Clone)]
pub struct Life {
    /// Counts the processes, from 0.
    pub number: usize,
    /// Somebody who is not signed in there.
    pub visitor: Person,
}

/// The laptop, one process after another on one file.
pub struct Site {
    // Before the directory: what still runs would write there again.
    process: Option<Process>,
    directory: tempfile::TempDir,
    seats: u32,
    moments: Arc<Moments>,
    ports: BTreeSet<u16>,
    life: watch::Sender<Option<Life>>,
    /// When each process was killed.
    killed: Vec<u64>,
}

impl Site {
    /// Starts the laptop, with organizations of so many seats.
    pub fn start(seats: u32, moments: Arc<Moments>) -> Self {
        let directory = tempfile::tempdir().expect("a directory for the laptop's file");
        let life = watch::Sender::new(None);
        let mut site = Self {
            directory,
            seats,
            moments,
            process: None,
            ports: BTreeSet::new(),
            life,
            killed: Vec::new(),
        };
        site.begin();
        site
    }

    /// Whoever listens learns of every life.
    pub fn lives(&self) -> watch::Receiver<Option<Life>> {
        self.life.subscribe()
    }

    /// When each process was killed, in their order.
    pub fn killed(&self) -> &[u64] {
        &self.killed
    }

    /// Kills the process in the middle of whatever it does, and starts the next one.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.begin();
    }

    /// Kills the process, and opens its file in this one.
    pub async fn open(&mut self) -> Laptop {
        self.kill();
        let options = Options { db: Some(self.file()), ..Options::default() };
        Laptop::start(options, |_| {}).await.expect("a laptop opens the file that another one has left")
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("roster.db")
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.assert_runs();
            process.kill();
            self.killed.push(self.moments.next());
        }
        self.life.send_replace(None);
    }

    fn begin(&mut self) {
        let port = std::iter::repeat_with(free_port).find(|port| !self.ports.contains(port));
        let port = port.expect("there are more ports than processes");
        self.ports.insert(port);
        let (file, seats) = (self.file(), self.seats.to_string());
        let file = file.to_str().expect("a path in UTF-8");
        let mut process = roster(port, &["--no-demo", "--no-limits", "--seats", &seats, "--db", file]);
        process.wait_until_it_listens(port);
        self.process = Some(process);
        let visitor = Person::at(&format!("http://127.0.0.1:{port}"));
        self.life.send_replace(Some(Life { number: self.killed.len(), visitor }));
    }
}
