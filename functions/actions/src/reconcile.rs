//! The function `reconcile`: finds overdue work every 15 minutes, repairs it and reports how much it found.
//!
//! It does not send mail or make links. To requeue a mail that was queued for too long, it writes the record again, so
//! the stream passes the record to `mail` again. It also closes invitations that `expire` did not close at their
//! expiry.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::reconcile::ReconcileOutcome;
use domain::{Action, Clock, Decision, ItemKey, Policy, Reconcile, Snapshot, Timestamp};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use lambda_api::App;
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{self, InvocationError, Outcome};
use serde::Serialize;
use serde_json::Value;
use store::Overdue;
use store::record::DUE_SHARDS;
use tokio::time::{Instant, timeout_at};

/// Invitations of one shard that one query reads.
const PAGE_SIZE: usize = 25;
/// Invitations of one shard that are processed at the same time.
const CONCURRENCY: usize = 4;
/// The time for the work of one run. The next run does the rest.
///
/// The function's timeout is 10 s (infra/template.yaml). The difference is for reporting the result.
const BUDGET: Duration = Duration::from_secs(7);

/// The result of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReconcileReport {
    /// Mails that were queued for too long. The run requeued them, except for failures.
    pub overdue_mail: u64,
    /// Age of the oldest of these mails, in seconds.
    pub oldest_queued_seconds: u64,
    /// Invitations that were not closed at their expiry. The run closed them, except for failures.
    pub overdue_invitations: u64,
    /// Invitations that could not be processed, and shards that could not be read.
    pub failed: u64,
    /// Whether the time ran out. The next run does the rest.
    pub unfinished: bool,
}

impl ReconcileReport {
    fn merge(self, other: Self) -> Self {
        Self {
            overdue_mail: self.overdue_mail + other.overdue_mail,
            oldest_queued_seconds: self.oldest_queued_seconds.max(other.oldest_queued_seconds),
            overdue_invitations: self.overdue_invitations + other.overdue_invitations,
            failed: self.failed + other.failed,
            unfinished: self.unfinished || other.unfinished,
        }
    }
}

/// Processes everything that is overdue now.
///
/// A failure of one invitation or shard does not stop the others. The run then ends with an error, so Lambda retries.
pub async fn handle(app: Arc<App>, _event: Value) -> Result<HandlerOutput<ReconcileReport>, InvocationError> {
    let deadline = Instant::now() + BUDGET;
    let shards = join_all((0..DUE_SHARDS).map(|shard| reconcile_shard(&app, shard, deadline))).await;
    let report = shards.into_iter().fold(ReconcileReport::default(), ReconcileReport::merge);
    // The metrics are written even if nothing is overdue. An alarm goes off if they are missing.
    let outcome = |word| {
        Outcome::with_overdue_work(
            word,
            report.overdue_mail,
            report.oldest_queued_seconds,
            report.overdue_invitations,
        )
    };
    if report.failed > 0 {
        let cause =
            format!("{} overdue invitations or shards failed; see the log lines before this", report.failed);
        return Err(InvocationError { outcome: outcome("retry"), cause: cause.into() });
    }
    let word = if report.unfinished { "unfinished" } else { "ok" };
    Ok(HandlerOutput { outcome: outcome(word), answer: report })
}

async fn reconcile_shard(app: &App, shard: u8, deadline: Instant) -> ReconcileReport {
    let mut report = ReconcileReport::default();
    let mut next_page = None;
    let now = app.now();
    while Instant::now() < deadline {
        let page =
            match timeout_at(deadline, app.store.overdue(shard, now, PAGE_SIZE, next_page.take())).await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) => {
                    let cause = observe::error_chain(&error);
                    tracing::error!(shard, cause, "the overdue invitations of a shard cannot be read");
                    return ReconcileReport { failed: report.failed + 1, ..report };
                }
                Err(_) => break,
            };
        let reports = stream::iter(page.items).map(async |item| match item {
            Ok(overdue) => reconcile_invitation(app, &overdue, deadline).await,
            Err(corrupt) => {
                tracing::error!(broken = %corrupt, "the key of an overdue invitation cannot be read");
                ReconcileReport { failed: 1, ..ReconcileReport::default() }
            }
        });
        report = reports.buffer_unordered(CONCURRENCY).fold(report, async |sum, next| sum.merge(next)).await;
        next_page = page.next;
        if next_page.is_none() {
            return report;
        }
    }
    ReconcileReport { unfinished: true, ..report }
}

/// Processes one overdue invitation. The report counts the invitation even if the repair fails, because the alarms need
/// it.
async fn reconcile_invitation(
    app: &App,
    Overdue { organization, invitation }: &Overdue,
    deadline: Instant,
) -> ReconcileReport {
    let report = Mutex::new(ReconcileReport::default());
    let reconcile = Reconcile { organization: organization.clone(), invitation: invitation.clone() };
    // A commit that times out here may still succeed. The next run reads the record again.
    let run = timeout_at(deadline, app.run(&ReportingReconcile { reconcile, report: &report })).await;
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (organization, invitation) = (organization.as_str(), invitation.as_str());
    match run {
        Ok(Ok(outcome)) => {
            let message = match outcome {
                ReconcileOutcome::Nothing => return report,
                ReconcileOutcome::Expired => {
                    "closed an invitation that `expire` had not closed at its expiry"
                }
                ReconcileOutcome::Requeued { .. } => "requeued a mail that was queued for too long",
            };
            tracing::warn!(organization, invitation, "{message}");
            report
        }
        Ok(Err(error)) => {
            let cause = observe::error_chain(&error);
            tracing::error!(organization, invitation, cause, "an overdue invitation could not be processed");
            ReconcileReport { failed: 1, ..report }
        }
        Err(_) => ReconcileReport { unfinished: true, ..report },
    }
}

/// The action [`Reconcile`]. It writes to `report` what the last attempt found overdue, even if the commit fails.
struct ReportingReconcile<'a> {
    reconcile: Reconcile,
    report: &'a Mutex<ReconcileReport>,
}

impl Action for ReportingReconcile<'_> {
    const NAME: &'static str = Reconcile::NAME;
    type Answer = ReconcileOutcome;
    type Refusal = Infallible;

    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey> {
        self.reconcile.reads(seen)
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<ReconcileOutcome>, Infallible> {
        let Ok(decision) = self.reconcile.decide(snapshot, policy, now);
        let report = match decision.answer {
            ReconcileOutcome::Nothing => ReconcileReport::default(),
            ReconcileOutcome::Expired => {
                ReconcileReport { overdue_invitations: 1, ..ReconcileReport::default() }
            }
            ReconcileOutcome::Requeued { queued_seconds } => ReconcileReport {
                overdue_mail: 1,
                oldest_queued_seconds: queued_seconds,
                ..ReconcileReport::default()
            },
        };
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
        Ok(decision)
    }
}
