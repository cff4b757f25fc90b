//! Logs and metrics: one summary line of JSON per invocation, which also contains the metrics.
//!
//! A function that reads the stream also writes one summary line per invitation of a batch.
//!
//! Every log line during an invocation contains the ids of [`Invocation`], [`log_organization`], [`log_invitation`] and
//! [`log_caller`]. Log lines contain ids and codes, but no addresses, names, tokens or keys.
//!
//! A function's `main` calls `http::main` or `event::main` with the function's name, which starts the log. The outcome
//! of an HTTP request is `ok` or the problem's code. A handler of events returns a `HandlerOutput` with an [`Outcome`],
//! or an [`InvocationError`]. A handler of the stream returns one [`Outcome`] per invitation to
//! `stream::for_each_invitation`.

mod lines;
mod metric;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Instant;

use domain::{Clock, InvitationId, Link, OrganizationId, Timestamp, UserId};
use lambda_runtime::Context;
use serde::Serialize;
use store::{RetryStats, with_retry_stats};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use metric::EmbeddedMetrics;

pub use lines::{JsonLog, filter, start_log};
pub use metric::{Metric, NAMESPACE, namespace_of};

/// The target of the spans and the summary lines, which are logged at every level.
const TARGET: &str = "lambda_api::observe";

/// The function and the ids of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    action: &'static str,
    request_id: String,
    gateway_request_id: Option<String>,
    trace: Option<String>,
}

impl Invocation {
    /// Takes the ids of an invocation of the function `action` from Lambda's context.
    #[must_use]
    pub fn new(action: &'static str, context: &Context) -> Self {
        Self {
            action,
            request_id: context.request_id.clone(),
            gateway_request_id: None,
            trace: context.xray_trace_id.clone(),
        }
    }

    /// Adds the request id of API Gateway, which is also in API Gateway's access log.
    #[must_use]
    pub fn through_gateway(self, request_id: Option<String>) -> Self {
        Self { gateway_request_id: request_id, ..self }
    }
}

/// The outcome of an invocation: one word from a small set for each function, and the metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    word: &'static str,
    status: Option<u16>,
    records: Option<usize>,
    metrics: Vec<(Metric, u64)>,
}

impl Outcome {
    /// The outcome `word` of a call, an event, or one invitation of a batch.
    #[must_use]
    pub fn new(word: &'static str) -> Self {
        Self { word, status: None, records: None, metrics: Vec::new() }
    }

    /// The outcome `word` of a batch with this number of records.
    ///
    /// Its line has the field `records`, so that queries can exclude it: each invitation of the batch has its own line.
    #[must_use]
    pub fn of_batch(word: &'static str, records: usize) -> Self {
        Self { records: Some(records), ..Self::new(word) }
    }

    /// The outcome `word` of a run of `reconcile`, with the overdue work as metrics, even if there is none.
    ///
    /// `mails` and `invitations` are numbers of overdue items. `oldest_mail_seconds` is the age of the oldest
    /// such mail.
    #[must_use]
    pub fn with_overdue_work(
        word: &'static str,
        mails: u64,
        oldest_mail_seconds: u64,
        invitations: u64,
    ) -> Self {
        Self::new(word)
            .with_metric(Metric::OverdueMail, mails)
            .with_metric(Metric::OldestQueuedMail, oldest_mail_seconds)
            .with_metric(Metric::OverdueInvitations, invitations)
    }

    /// Adds the HTTP status of the response.
    #[must_use]
    pub fn with_status(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Adds the metric `metric` with the value `value`.
    #[must_use]
    pub fn with_metric(mut self, metric: Metric, value: u64) -> Self {
        self.metrics.push((metric, value));
        self
    }
}

/// A failed invocation: its outcome and its cause.
///
/// Does not implement `Error`, so `?` can convert any error to it, with the outcome `failed`.
#[derive(Debug)]
pub struct InvocationError {
    /// The outcome; `failed` unless there is a more precise word.
    pub outcome: Outcome,
    /// The cause, for the log.
    pub cause: lambda_runtime::Error,
}

impl InvocationError {
    /// A failure with the outcome `outcome`.
    pub fn new(outcome: &'static str, cause: impl Into<lambda_runtime::Error>) -> Self {
        Self { outcome: Outcome::new(outcome), cause: cause.into() }
    }

    /// A failure with the outcome `retry` if a later retry can succeed, or `failed` otherwise.
    pub fn retry_if(is_retryable: bool, cause: impl Into<lambda_runtime::Error>) -> Self {
        Self::new(if is_retryable { "retry" } else { "failed" }, cause)
    }
}

impl<Cause: Into<lambda_runtime::Error>> From<Cause> for InvocationError {
    fn from(cause: Cause) -> Self {
        Self::new("failed", cause)
    }
}

/// Formats an error and its causes in one line.
#[must_use]
pub fn error_chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        chain = format!("{chain}: {source}");
        next = source.source();
    }
    chain
}

/// Adds the organization's id to the log lines of the invocation from now on.
pub fn log_organization(organization: &OrganizationId) {
    Span::current().record("organization", organization.as_str());
}

/// Adds the invitation's id to the log lines of the invocation from now on.
pub fn log_invitation(invitation: &InvitationId) {
    Span::current().record("invitation", invitation.as_str());
}

/// Adds the ids of a link's organization and invitation to the log lines of the invocation from now on.
pub fn log_link(link: &Link) {
    log_organization(&link.organization);
    log_invitation(&link.invitation);
}

/// Adds the caller's user id to the log lines of the invocation from now on.
///
/// Some identity providers use addresses as `sub`. The log contains `an address` instead.
pub fn log_caller(user: &UserId) {
    let user = user.as_str();
    Span::current().record("actor", if user.contains('@') { "an address" } else { user });
}

/// Runs the work of one invocation, and logs its summary line.
pub async fn run_invocation<Output>(
    invocation: Invocation,
    clock: &impl Clock,
    work: impl Future<Output = (Outcome, Output)>,
) -> Output {
    let Invocation { action, request_id, gateway_request_id, trace } = invocation;
    let span = tracing::info_span!(
        target: TARGET,
        "invocation",
        action,
        request_id,
        gateway_request_id,
        trace,
        organization = Empty,
        invitation = Empty,
        actor = Empty,
    );
    run_in_span(span, clock, work).await
}

/// Runs the work for one invitation of a batch, and logs its summary line.
pub async fn run_for_invitation<Output>(
    organization: &OrganizationId,
    invitation: &InvitationId,
    clock: &impl Clock,
    work: impl Future<Output = (Outcome, Output)>,
) -> Output {
    let (organization, invitation) = (organization.as_str(), invitation.as_str());
    let span = tracing::info_span!(target: TARGET, "invitation", organization, invitation);
    run_in_span(span, clock, work).await
}

/// Logs the summary line `failed` for a stream record that cannot be read.
pub fn log_unreadable_record(clock: &impl Clock) {
    log_summary(&Outcome::new("failed"), 0, &RetryStats::default(), clock);
}

async fn run_in_span<Output>(
    span: Span,
    clock: &impl Clock,
    work: impl Future<Output = (Outcome, Output)>,
) -> Output {
    let started = Instant::now();
    let ((outcome, output), stats) = with_retry_stats(work).instrument(span.clone()).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| log_summary(&outcome, duration_ms, &stats, clock));
    output
}

fn log_summary(outcome: &Outcome, duration_ms: u64, stats: &RetryStats, clock: &impl Clock) {
    // tracing builds the summary only if the event is enabled.
    tracing::info!(target: TARGET, summary = %Summary::new(outcome, duration_ms, stats, clock.now()));
}

/// The summary line without the fields of the spans: metrics in the embedded metric format, and other fields.
#[derive(Serialize)]
struct Summary<'a> {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<usize>,
    duration_ms: u64,
    decided_again: u32,
    sent_again: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: &'a BTreeMap<String, u32>,
    #[serde(flatten)]
    metrics: EmbeddedMetrics,
}

impl<'a> Summary<'a> {
    fn new(outcome: &Outcome, duration_ms: u64, stats: &'a RetryStats, now: Timestamp) -> Self {
        Self {
            outcome: outcome.word,
            status: outcome.status,
            records: outcome.records,
            duration_ms,
            decided_again: stats.decided_again,
            sent_again: stats.sent_again(),
            reasons: &stats.reasons,
            metrics: EmbeddedMetrics::new(&outcome.metrics, now),
        }
    }
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests;
