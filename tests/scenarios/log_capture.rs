//! Captures the logs of one test: the lines that functions write on Lambda, and everything that our crates log at
//! TRACE.

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

/// The logs of one thread.
#[derive(Default)]
pub struct CapturedLogs {
    /// The lines of all functions at INFO, as the functions write them to the standard output.
    pub lines: String,
    /// The lines of all functions at TRACE.
    pub trace_lines: String,
    /// All logs at TRACE as text, with those of the laptop.
    pub trace_text: String,
}

thread_local! {
    /// The logs of this thread, if they are captured.
    static CAPTURED: RefCell<Option<CapturedLogs>> = const { RefCell::new(None) };
}

/// Appends to [`CapturedLogs::trace_text`].
struct TextWriter;

impl io::Write for TextWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        capture(|logs| logs.trace_text.push_str(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn capture(append: impl FnOnce(&mut CapturedLogs)) {
    CAPTURED.with_borrow_mut(|logs| logs.as_mut().map(append));
}

/// Returns the names of all functions.
pub fn functions() -> BTreeSet<String> {
    FUNCTIONS.iter().map(|function| function.name.to_owned()).collect()
}

/// Returns the filter of a function's process. The laptop does not run in such a process.
fn functions_filter(level: LevelFilter) -> Targets {
    filter(level).with_target("local", LevelFilter::OFF)
}

/// Restricts a filter to threads with captured logs.
fn on_captured_threads<S: tracing::Subscriber>(targets: Targets) -> impl Filter<S> {
    dynamic_filter_fn(|_, _| CAPTURED.with_borrow(Option::is_some)).and(targets)
}

/// Starts to capture the logs of this thread. A world on a current-thread runtime logs only on its own thread.
///
/// The subscriber is global. A thread-local subscriber could miss events, because tracing caches for each call site
/// whether any subscriber is interested, and another thread may have logged there first.
pub fn start_capture() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let all = functions_filter(LevelFilter::TRACE).with_target("local", LevelFilter::TRACE);
        let lines = JsonLog::new(Arc::new(lambda_api::SystemClock), |line: &str| {
            capture(|logs| logs.lines.push_str(line));
        });
        let trace_lines = JsonLog::new(Arc::new(lambda_api::SystemClock), |line: &str| {
            capture(|logs| logs.trace_lines.push_str(line));
        });
        let text = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| TextWriter);
        tracing_subscriber::registry()
            .with(lines.with_filter(on_captured_threads(functions_filter(LevelFilter::INFO))))
            .with(trace_lines.with_filter(on_captured_threads(functions_filter(LevelFilter::TRACE))))
            .with(text.with_filter(on_captured_threads(all)))
            .init();
    });
    CAPTURED.set(Some(CapturedLogs::default()));
}

/// Takes the logs since the last call.
pub fn take_logs() -> CapturedLogs {
    CAPTURED.with_borrow_mut(|logs| logs.replace(CapturedLogs::default())).unwrap()
}

/// Takes the lines at INFO since the last call, each as a JSON object.
pub fn take_lines() -> Vec<Value> {
    let CapturedLogs { lines, .. } = take_logs();
    assert!(lines.is_empty() || lines.ends_with('\n'));
    lines.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"))).collect()
}
