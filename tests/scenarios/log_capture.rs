//! Hears what the functions of one test log: the lines that Lambda would get, and everything that our crates
//! could say at their loudest.

use local::function_table::FUNCTIONS;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Once};

use lambda_api::observe::{JsonLog, filter};
use serde_json::Value;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{FilterExt as _, Targets, dynamic_filter_fn};
use tracing_subscriber::layer::{Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// What has been logged.
#[derive(Default)]
pub struct Heard {
    /// The lines of all functions, as they are written to the standard output at INFO.
    pub lines: String,
    /// The same at TRACE.
    pub loud: String,
    /// The same once more, with the laptop's own words, as text.
    pub text: String,
}

thread_local! {
    /// What this thread has logged, if anybody listens to it.
    static HEARD: RefCell<Option<Heard>> = const { RefCell::new(None) };
}

struct LogCapture;

impl io::Write for LogCapture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        hear(|heard| heard.text.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn hear(hearing: impl FnOnce(&mut Heard)) {
    HEARD.with_borrow_mut(|heard| heard.as_mut().map(hearing));
}

/// Every function's name.
pub fn functions() -> BTreeSet<String> {
    FUNCTIONS.iter().map(|function| function.name.to_owned()).collect()
}

/// What functions let through. The laptop is in no function's process, and neither is its engine.
fn functions_filter(level: LevelFilter) -> Targets {
    let off = ["dev", "dynoxide"].map(|target| (target, LevelFilter::OFF));
    filter(level).with_targets(off)
}

/// The same, where somebody listens.
fn heard_by<S: tracing::Subscriber>(targets: Targets) -> impl Filter<S> {
    dynamic_filter_fn(|_, _| HEARD.with_borrow(Option::is_some)).and(targets)
}

/// Listens to this thread, which is all of a world that is played on one. The subscriber is the whole
/// process's: one of a thread's own may miss what other threads were the first to log (tracing remembers by
/// place in the code that nobody wants to hear it).
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = functions_filter(LevelFilter::TRACE).with_target("dev", LevelFilter::TRACE);
        let lines = JsonLog::new(Arc::new(lambda_api::SystemClock), |line: &str| {
            hear(|heard| heard.lines.push_str(line))
        });
        let loud = JsonLog::new(Arc::new(lambda_api::SystemClock), |line: &str| {
            hear(|heard| heard.loud.push_str(line))
        });
        let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| LogCapture);
        tracing_subscriber::registry()
            .with(lines.with_filter(heard_by(functions_filter(LevelFilter::INFO))))
            .with(loud.with_filter(heard_by(functions_filter(LevelFilter::TRACE))))
            .with(text.with_filter(heard_by(all)))
            .init();
    });
    HEARD.set(Some(Heard::default()));
}

/// What has been heard since the last time.
pub fn heard() -> Heard {
    HEARD.with_borrow_mut(|heard| heard.replace(Heard::default())).unwrap()
}

/// The lines since the last time, each an object.
pub fn lines() -> Vec<Value> {
    let Heard { lines, .. } = heard();
    assert!(lines.is_empty() || lines.ends_with('\n'));
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}
