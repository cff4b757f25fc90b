//! The log: one JSON object per line, with the fields of the surrounding spans. CloudWatch receives these lines.

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

use super::{TARGET, error_chain};
use crate::SystemClock;

/// Roster's crates. Only these crates may log events of the levels INFO, DEBUG and TRACE.
const OWN_CRATES: [&str; 8] =
    ["actions", "console", "domain", "lambda_api", "links", "mail", "schedule", "store"];
/// The target with which Lambda's runtime logs a handler's error again, in the `Debug` form. The filter drops it.
///
/// Roster has already logged the error, and a panic ends the process.
const RUNTIME_ERRORS: &str = "lambda_runtime::layers::panic";

/// Starts logging to the standard output, which Lambda forwards to CloudWatch. `main` calls this function once.
///
/// `AWS_LAMBDA_LOG_LEVEL` (from Lambda's logging controls) sets the level. Without a valid level, the level is INFO.
pub fn start_log() {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
    let lines = JsonLog::new(Arc::new(SystemClock), |line: &str| {
        // If the standard output fails, there is nowhere left to report it.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    });
    let log = tracing_subscriber::registry().with(lines.with_filter(filter(self::level(&level))));
    // Only a second call fails. Then the first logger stays.
    let _ = tracing::subscriber::set_global_default(log);
}

fn level(text: &str) -> LevelFilter {
    match text.to_ascii_uppercase().as_str() {
        // `parse` reads an empty text as ERROR.
        "" => LevelFilter::INFO,
        "FATAL" => LevelFilter::ERROR,
        text => text.parse().unwrap_or(LevelFilter::INFO),
    }
}

/// Returns the filter for `level`. Roster's crates log at this level, other crates only warnings and errors.
///
/// Other crates log whole requests at the level DEBUG, with private data. The summary line of an invocation passes at
/// every level, because it contains the metrics.
#[must_use]
pub fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_targets(OWN_CRATES.map(|target| (target, level)))
        .with_target(TARGET, level.max(LevelFilter::INFO))
        .with_target(RUNTIME_ERRORS, LevelFilter::OFF)
}

/// Writes each event as one line of JSON, with `level` and `timestamp`.
///
/// Without `timestamp`, Lambda ignores the level of a line and treats it as INFO.
pub struct JsonLog<Write> {
    clock: Arc<dyn Clock>,
    write: Write,
}

impl<Write: Fn(&str)> JsonLog<Write> {
    /// Calls `write` with one complete line at a time. `clock` provides the timestamps.
    pub fn new(clock: Arc<dyn Clock>, write: Write) -> Self {
        Self { clock, write }
    }
}

/// The JSON fields of a line in the order of their names, and the text of the field `summary`.
#[derive(Debug, Default)]
struct JsonFields(BTreeMap<&'static str, Value>, Option<String>);

impl JsonFields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name(), value.into());
    }
}

impl Visit for JsonFields {
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
        self.put(field, error_chain(value));
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
        let mut fields = JsonFields::default();
        attributes.record(&mut fields);
        // `replace` also works if a second layer of this type already stored the same fields.
        span.extensions_mut().replace(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<JsonFields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut event_fields = JsonFields::default();
        event.record(&mut event_fields);
        let mut line: BTreeMap<String, Value> = BTreeMap::new();
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("timestamp".to_owned(), self.clock.now().to_string().into());
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(JsonFields(fields, _)) = span.extensions().get() {
                line.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            }
        }
        let JsonFields(fields, summary) = event_fields;
        if summary.is_none() {
            line.insert("target".to_owned(), event.metadata().target().into());
        }
        line.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let Ok(mut text) = serde_json::to_string(&line) else { return };
        // A summary is the text of a JSON object. Append its fields to the fields of the line.
        if let Some(fields) = summary.as_deref().and_then(|summary| summary.strip_prefix('{')) {
            text.pop();
            text.push(',');
            text.push_str(fields);
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
    fn parses_lambdas_levels_and_defaults_to_info() {
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
    fn other_crates_log_at_most_warnings_and_the_summary_always_passes() {
        let passes = |at: LevelFilter, target: &str, level: Level| filter(at).would_enable(target, &level);
        for own in ["actions::role_edit", "store::commit", "lambda_api::http", "links", "domain"] {
            assert!(passes(LevelFilter::TRACE, own, Level::TRACE), "{own}");
            assert!(!passes(LevelFilter::INFO, own, Level::DEBUG), "{own}");
        }
        for other in ["aws_smithy_runtime", "hyper_util", "lambda_runtime"] {
            assert!(!passes(LevelFilter::TRACE, other, Level::INFO), "{other}");
            assert!(passes(LevelFilter::INFO, other, Level::WARN), "{other}");
            assert!(!passes(LevelFilter::ERROR, other, Level::WARN), "{other}");
        }
        assert!(!passes(LevelFilter::TRACE, RUNTIME_ERRORS, Level::ERROR));
        assert!(passes(LevelFilter::ERROR, TARGET, Level::INFO));
    }
}
