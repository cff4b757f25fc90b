//! Metrics in CloudWatch's embedded metric format: a log line declares which of its fields are metrics.
//!
//! AWS charges for each metric and each combination of dimension values. So there are only these metrics.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use domain::Timestamp;
use serde::Serialize;

use crate::env::Env;

/// The default namespace of the metrics, without `METRICS_NAMESPACE`.
pub const NAMESPACE: &str = "Roster";

/// The metrics of Roster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// The number of invocations. Functions that read the stream count processed invitations instead.
    Invocations,
    /// The number of new decisions after a failed guard.
    Retries,
    /// The number of retries after a conflict or throttling.
    Conflicts,
    /// The time from the commit that queued a mail until SES accepted the mail.
    MailDelay,
    /// The number of mails that were queued for too long.
    OverdueMail,
    /// The age of the oldest of these mails.
    OldestQueuedMail,
    /// The number of invitations that were not closed at their expiry.
    OverdueInvitations,
}

impl Metric {
    /// Returns the name, the unit and the dimensions.
    fn row(self) -> (&'static str, &'static str, &'static [&'static str]) {
        const ACTION: &[&str] = &["action"];
        match self {
            Self::Invocations => ("Invocations", "Count", &["action", "outcome"]),
            Self::Retries => ("Retries", "Count", ACTION),
            Self::Conflicts => ("Conflicts", "Count", ACTION),
            Self::MailDelay => ("MailDelay", "Seconds", ACTION),
            Self::OverdueMail => ("OverdueMail", "Count", ACTION),
            Self::OldestQueuedMail => ("OldestQueuedMail", "Seconds", ACTION),
            Self::OverdueInvitations => ("OverdueInvitations", "Count", ACTION),
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
/// The dimensions are other fields of the line.
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
    cloud_watch_metrics: Vec<Directive>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [&'static [&'static str]; 1],
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
        let mut directives: Vec<Directive> = Vec::new();
        for (metric, _) in measured {
            let (name, unit, dimensions) = metric.row();
            let definition = Definition { name, unit };
            match directives.iter_mut().find(|directive| directive.dimensions == [dimensions]) {
                Some(directive) => directive.metrics.push(definition),
                None => directives.push(Directive {
                    namespace: namespace(),
                    dimensions: [dimensions],
                    metrics: vec![definition],
                }),
            }
        }
        let metadata = (!directives.is_empty())
            .then(|| Metadata { timestamp: now.unix() * 1_000, cloud_watch_metrics: directives });
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
