//! The log as CloudWatch gets it: one JSON object per line, with what the spans around it know.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Write as _;
use std::sync::Arc;

use domain::Clock;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::{LookupSpan, Scope};

use super::{TARGET, chain};
use crate::SystemClock;

/// Our crates below the functions, which alone may be told at length.
const OURS: [&str; 8] = ["actions", "console", "domain", "lambda_api", "links", "mail", "schedule", "store"];
/// The runtime repeats a handler's error in words of its own (`Debug`), and ours has been told already.
/// Panics end the process.
const REPEATS: &str = "lambda_runtime::layers::panic";

/// Logs to the standard output, which is CloudWatch; called once, by `main`.
///
/// `AWS_LAMBDA_LOG_LEVEL` (Lambda's logging controls) is how much; INFO if it is not set or no level.
pub fn start() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
    let lines = JsonLog::new(Arc::new(SystemClock), |line: &str| {
        // There is nobody to tell that nothing can be told.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    });
    let log = tracing_subscriber::registry().with(lines.with_filter(filter(self::level(&level))));
    // Only a second call fails, and the first one stands.
    let _ = tracing::subscriber::set_global_default(log);
}

fn level(text: &str) -> LevelFilter {
    match text.to_ascii_uppercase().as_str() {
        // Which would be read as ERROR.
        "" => LevelFilter::INFO,
        "FATAL" => LevelFilter::ERROR,
        text => text.parse().unwrap_or(LevelFilter::INFO),
    }
}

/// What is told at `level`: of ours all, of other people's crates warnings at most, since what they say of a
/// request at DEBUG holds the request. The last line of an invocation is told at every level: it is the
/// metrics.
#[must_use]
pub fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OURS.map(|target| (target, level)))
        .with_target(TARGET, level.max(LevelFilter::INFO))
        .with_target(REPEATS, LevelFilter::OFF)
}

/// Writes events as lines of JSON. Each has a `level` and a `timestamp`: Lambda takes a line without the second for
/// INFO, whatever it says.
pub struct JsonLog<Write> {
    clock: Arc<dyn Clock>,
    write: Write,
}

impl<Write: Fn(&str)> JsonLog<Write> {
    /// `write` is given one whole line at a time, dated by `clock`.
    pub fn new(clock: Arc<dyn Clock>, write: Write) -> Self {
        Self { clock, write }
    }
}

/// Members of a line, in the order of their names.
#[derive(Debug, Default)]
struct Members(BTreeMap<&'static str, Value>, Option<String>);

impl Members {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name(), value.into());
    }
}

impl Visit for Members {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "summary" { self.1 = Some(text) } else { self.put(field, text) }
    }
}

impl<S, Write> Layer<S> for JsonLog<Write>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    Write: Fn(&str) + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut members = Members::default();
        attributes.record(&mut members);
        // Another layer of this kind would have put the same there.
        span.extensions_mut().replace(members);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(members) = span.extensions_mut().get_mut::<Members>() {
            values.record(members);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut own = Members::default();
        event.record(&mut own);
        let mut line: BTreeMap<String, Value> = BTreeMap::new();
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("timestamp".to_owned(), self.clock.now().to_string().into());
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(Members(members, _)) = span.extensions().get() {
                line.extend(members.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            }
        }
        let Members(members, summary) = own;
        if summary.is_none() {
            line.insert("target".to_owned(), event.metadata().target().into());
        }
        line.extend(members.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        // A summary is an object's text already: its members go behind the others, as they are.
        if let Some(members) = summary.as_deref().and_then(|summary| summary.strip_prefix('{')) {
            text.pop();
            text.push(',');
            text.push_str(members);
        }
        text.push('\n');
        (self.write)(&text);
    }
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_level_is_lambdas_and_info_where_it_is_none() {
        for (text, expected) in [
            ("", LevelFilter::INFO),
            ("loud", LevelFilter::INFO),
            ("INFO", LevelFilter::INFO),
            ("debug", LevelFilter::DEBUG),
            ("TRACE", LevelFilter::TRACE),
            ("WARN", LevelFilter::WARN),
            ("ERROR", LevelFilter::ERROR),
            ("FATAL", LevelFilter::ERROR),
        ] {
            assert_eq!(level(text), expected, "{text}");
        }
    }

    #[test]
    fn others_never_say_more_than_warnings_and_the_last_line_is_always_told() {
        let told = |at: LevelFilter, target: &str, level: Level| filter(at).would_enable(target, &level);
        for ours in ["actions::role_edit", "store::commit", "lambda_api::http", "links", "domain"] {
            assert!(told(LevelFilter::TRACE, ours, Level::TRACE), "{ours}");
            assert!(!told(LevelFilter::INFO, ours, Level::DEBUG), "{ours}");
        }
        for other in ["aws_smithy_runtime", "hyper_util", "lambda_runtime"] {
            assert!(!told(LevelFilter::TRACE, other, Level::INFO), "{other}");
            assert!(told(LevelFilter::INFO, other, Level::WARN), "{other}");
            assert!(!told(LevelFilter::ERROR, other, Level::WARN), "{other}");
        }
        assert!(!told(LevelFilter::TRACE, REPEATS, Level::ERROR));
        assert!(told(LevelFilter::ERROR, TARGET, Level::INFO));
    }
}
