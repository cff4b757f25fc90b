//! What a function tells about itself: one line of JSON per invocation, and of a batch one per invitation,
//! which is its metrics too.
//!
//! Whatever is logged meanwhile carries who asked for what: see [`Invocation`], [`organization`],
//! [`invitation`] and [`actor`]. Ids and codes, never an address, a name, a token or a key.
//!
//! A function's `main` calls `http::main` or `event::main` with the function's name, and that starts the log. The code of an
//! HTTP answer is its outcome. A handler of events returns `HandlerOutput::new(word)` or [`InvocationError`], and a handler of the stream
//! gives `stream::each` an [`Outcome`] for each invitation.

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

pub use lines::{JsonLog, filter, start};
pub use metric::{Metric, NAMESPACE, namespace_of};

/// Where the spans and the last lines come from, which are told at every level.
const TARGET: &str = "lambda_api::observe";

/// Which invocation of which function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    action: &'static str,
    request_id: String,
    gateway_request_id: Option<String>,
    trace: Option<String>,
}

impl Invocation {
    /// Of the function `action`, as Lambda knows it.
    #[must_use]
    pub fn new(action: &'static str, context: &Context) -> Self {
        Self {
            action,
            request_id: context.request_id.clone(),
            gateway_request_id: None,
            trace: context.xray_trace_id.clone(),
        }
    }

    /// The id that API Gateway gave to the request, which is in its own access log.
    #[must_use]
    pub fn through_gateway(self, request_id: Option<String>) -> Self {
        Self { gateway_request_id: request_id, ..self }
    }
}

/// What came of it: one word of a small set per function, and what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    word: &'static str,
    status: Option<u16>,
    measured: Vec<(Metric, u64)>,
}

impl Outcome {
    /// `word`, which is counted as an invocation. It is a dimension of metrics, each of which costs money.
    #[must_use]
    pub fn new(word: &'static str) -> Self {
        Self { word, status: None, measured: vec![(Metric::Invocations, 1)] }
    }

    /// `word`, of a batch: what it was about has been counted one by one.
    #[must_use]
    pub fn of_batch(word: &'static str) -> Self {
        Self { word, status: None, measured: Vec::new() }
    }

    /// What was overdue: `mails` not sent, the oldest of which is owed for `oldest_mail_seconds`, and
    /// `invitations` whose deadline has passed without anybody closing them. None of either is a figure too.
    #[must_use]
    pub fn overdue(word: &'static str, mails: u64, oldest_mail_seconds: u64, invitations: u64) -> Self {
        Self::new(word)
            .measuring(Metric::OverdueMail, mails)
            .measuring(Metric::OldestQueuedMail, oldest_mail_seconds)
            .measuring(Metric::OverdueInvitations, invitations)
    }

    /// The same, answered with this HTTP status.
    #[must_use]
    pub fn answered(self, status: u16) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The same, and `metric` was `value`.
    #[must_use]
    pub fn measuring(mut self, metric: Metric, value: u64) -> Self {
        self.measured.push((metric, value));
        self
    }
}

/// Something failed: what that is called, and why.
///
/// It is no error itself, so that `?` makes one of any error: a failure that nobody has foreseen is `failed`.
#[derive(Debug)]
pub struct InvocationError {
    /// `failed`, unless it is known better.
    pub outcome: Outcome,
    /// For the log.
    pub cause: lambda_runtime::Error,
}

impl InvocationError {
    /// A failure that is called `outcome`.
    pub fn new(outcome: &'static str, cause: impl Into<lambda_runtime::Error>) -> Self {
        Self { outcome: Outcome::new(outcome), cause: cause.into() }
    }

    /// `retry`, if the same may well work later; else `failed`.
    pub fn retryable(is_retryable: bool, cause: impl Into<lambda_runtime::Error>) -> Self {
        Self::new(if is_retryable { "retry" } else { "failed" }, cause)
    }
}

impl<Cause: Into<lambda_runtime::Error>> From<Cause> for InvocationError {
    fn from(cause: Cause) -> Self {
        Self::new("failed", cause)
    }
}

/// An error and its causes, in one line.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        chain = format!("{chain}: {source}");
        next = source.source();
    }
    chain
}

/// From now on it is known which organization this is about.
pub fn organization(organization: &OrganizationId) {
    Span::current().record("organization", organization.as_str());
}

/// From now on it is known which invitation this is about.
pub fn invitation(invitation: &InvitationId) {
    Span::current().record("invitation", invitation.as_str());
}

/// From now on it is known which invitation of which organization this is about.
pub fn link(link: &Link) {
    organization(&link.organization);
    invitation(&link.invitation);
}

/// From now on it is known who is calling. Some identity providers take addresses for a `sub`; those are kept
/// out of the log.
pub fn actor(user: &UserId) {
    let user = user.as_str();
    Span::current().record("actor", if user.contains('@') { "an address" } else { user });
}

/// Does the work of one invocation; its last line is told when it is done.
pub async fn invoked<Answer>(
    invocation: Invocation,
    clock: &impl Clock,
    work: impl Future<Output = (Outcome, Answer)>,
) -> Answer {
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
    told(span, clock, work).await
}

/// Does what an invocation has to do about one of several invitations; its last line is told when it is done.
pub async fn looked_after<Answer>(
    organization: &OrganizationId,
    invitation: &InvitationId,
    clock: &impl Clock,
    work: impl Future<Output = (Outcome, Answer)>,
) -> Answer {
    let (organization, invitation) = (organization.as_str(), invitation.as_str());
    told(tracing::info_span!(target: TARGET, "invitation", organization, invitation), clock, work).await
}

/// Tells of something that could not even be looked after.
pub fn unread(clock: &impl Clock) {
    tell(&Outcome::new("failed"), 0, &RetryStats::default(), clock);
}

async fn told<Answer>(
    span: Span,
    clock: &impl Clock,
    work: impl Future<Output = (Outcome, Answer)>,
) -> Answer {
    let started = Instant::now();
    let ((outcome, answer), stats) = with_retry_stats(work).instrument(span.clone()).await;
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tell(&outcome, duration_ms, &stats, clock));
    answer
}

fn tell(outcome: &Outcome, duration_ms: u64, stats: &RetryStats, clock: &impl Clock) {
    // Evaluated only where somebody listens.
    tracing::info!(target: TARGET, summary = %Summary::new(outcome, duration_ms, stats, clock.now()));
}

/// The last line, but for what the spans say: an embedded metrics document with more in it.
#[derive(Serialize)]
struct Summary<'a> {
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
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
        let mut measured = outcome.measured.clone();
        let again = [(Metric::Retries, stats.decided_again), (Metric::Conflicts, stats.conflicts)];
        measured.extend(again.into_iter().filter(|(_, n)| *n > 0).map(|(metric, n)| (metric, n.into())));
        Self {
            outcome: outcome.word,
            status: outcome.status,
            duration_ms,
            decided_again: stats.decided_again,
            sent_again: stats.sent_again(),
            reasons: &stats.reasons,
            metrics: EmbeddedMetrics::new(&measured, now),
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
