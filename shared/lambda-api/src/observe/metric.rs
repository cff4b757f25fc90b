//! Metrics in CloudWatch's embedded metric format: a line of the log says which of its members are metrics.
//!
//! Every metric of every value of its dimensions is paid for, so that these are all.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use domain::Timestamp;
use serde::Serialize;

use crate::env::Env;

/// The metrics' namespace, unless `METRICS_NAMESPACE` names another.
pub const NAMESPACE: &str = "Roster";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Invocations; of the stream's readers, invitations looked after.
    Invocations,
    /// How often it was decided again after a lost race.
    Retries,
    /// How often a transaction was sent again because of a conflict or throttling.
    Conflicts,
    /// From the commit that owed a mail to the moment SES took it.
    MailDelay,
    /// Mails owed for too long.
    OverdueMail,
    /// Since when the oldest of them is owed.
    OldestQueuedMail,
    /// Invitations past their deadline that nobody has closed.
    OverdueInvitations,
}

impl Metric {
    /// Name, unit and dimensions.
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

    /// As CloudWatch shows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }
}

/// The members that make a line an embedded metrics document: `_aws`, and the values. Its dimensions are
/// members of the line anyway. Nothing at all where nothing was measured.
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
    /// Milliseconds.
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
            let (name, unit, by) = metric.row();
            let definition = Definition { name, unit };
            match directives.iter_mut().find(|directive| directive.dimensions == [by]) {
                Some(directive) => directive.metrics.push(definition),
                None => directives.push(Directive {
                    namespace: namespace(),
                    dimensions: [by],
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
    static NAMED: OnceLock<String> = OnceLock::new();
    NAMED.get_or_init(|| namespace_of(Env::of_process()))
}

/// The namespace of the functions' metrics: `METRICS_NAMESPACE`, or `Roster`.
#[must_use]
pub fn namespace_of(env: Env<'_>) -> String {
    env.optional("METRICS_NAMESPACE").ok().flatten().unwrap_or_else(|| NAMESPACE.to_owned())
}
