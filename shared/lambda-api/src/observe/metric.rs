//! Metrics in CloudWatch's embedded metric format: a log line declares which of its fields are metrics.
//!
//! AWS charges for each metric and each combination of dimension values. So there are only metrics that an alarm or the
//! dashboard uses. The log lines contain the rest: outcomes, durations and retries.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use domain::Timestamp;
use serde::Serialize;

use crate::env::Env;

/// The default namespace of the metrics, without `METRICS_NAMESPACE`.
pub const NAMESPACE: &str = "Roster";

/// The metrics of Roster. Each is measured by one function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// The time from the commit that queued a mail until SES accepted the mail.
    MailDelay,
    /// The number of mails that SES refused permanently.
    RefusedMail,
    /// The number of mails that were queued for too long.
    OverdueMail,
    /// The age of the oldest of these mails.
    OldestQueuedMail,
    /// The number of invitations that were not closed at their expiry.
    OverdueInvitations,
}

impl Metric {
    /// Returns the name and the unit.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::MailDelay => ("MailDelay", "Seconds"),
            Self::RefusedMail => ("RefusedMail", "Count"),
            Self::OverdueMail => ("OverdueMail", "Count"),
            Self::OldestQueuedMail => ("OldestQueuedMail", "Seconds"),
            Self::OverdueInvitations => ("OverdueInvitations", "Count"),
        }
    }

    /// Returns the name in CloudWatch.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }
}

/// The fields of a log line that contain metrics: `_aws` and the values. Without metrics, there are no fields.
///
/// The only dimension is `action`, another field of the line.
#[derive(Serialize)]
pub(super) struct EmbeddedMetrics {
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(flatten)]
    values: BTreeMap<&'static str, u64>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    /// Milliseconds since the Unix epoch.
    timestamp: i64,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl EmbeddedMetrics {
    pub fn new(measured: &[(Metric, u64)], now: Timestamp) -> Self {
        let definitions: Vec<_> = measured.iter().map(|(metric, _)| metric.row()).collect();
        let metadata = (!definitions.is_empty()).then(|| Metadata {
            timestamp: now.unix() * 1_000,
            cloud_watch_metrics: [Directive {
                namespace: namespace(),
                dimensions: [["action"]],
                metrics: definitions.into_iter().map(|(name, unit)| Definition { name, unit }).collect(),
            }],
        });
        Self { metadata, values: measured.iter().map(|(metric, value)| (metric.name(), *value)).collect() }
    }
}

fn namespace() -> &'static str {
    static NAMESPACE_OF_PROCESS: OnceLock<String> = OnceLock::new();
    NAMESPACE_OF_PROCESS.get_or_init(|| namespace_of(Env::of_process()))
}

/// Returns the namespace of the metrics: the value of `METRICS_NAMESPACE`, or `Roster`.
#[must_use]
pub fn namespace_of(env: Env<'_>) -> String {
    env.optional("METRICS_NAMESPACE").ok().flatten().unwrap_or_else(|| NAMESPACE.to_owned())
}
