//! Every 15 minutes: whatever is overdue is driven again, and what was found is told.
//!
//! It neither sends mail nor makes links: a mail that waits too long has its record written once more, so that
//! the stream brings it to `mail` again. An invitation whose timer never fired is closed here.

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

/// Invitations of one shard that are read at once, and looked after at the same time.
const PAGE: usize = 25;
const CONCURRENCY: usize = 4;
/// Whatever is not done by then is the next run's: the function has 10 s (infra/template.yaml), and has to tell what it
/// found.
const BUDGET: Duration = Duration::from_secs(7);

/// What was overdue, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Mails that waited too long; they were driven again, unless that failed.
    pub overdue_mail: u64,
    /// Seconds since the oldest one of them was owed.
    pub oldest_queued_seconds: u64,
    /// Invitations that nobody had closed at their expiry; now they are, unless that failed.
    pub overdue_invitations: u64,
    /// Invitations that could not be looked after, or read.
    pub failed: u64,
    /// Whether time ran out; what is left is the next run's.
    pub unfinished: bool,
}

impl Found {
    fn and(self, other: Self) -> Self {
        Self {
            overdue_mail: self.overdue_mail + other.overdue_mail,
            oldest_queued_seconds: self.oldest_queued_seconds.max(other.oldest_queued_seconds),
            overdue_invitations: self.overdue_invitations + other.overdue_invitations,
            failed: self.failed + other.failed,
            unfinished: self.unfinished || other.unfinished,
        }
    }
}

/// Drives again what is overdue now. An error makes Lambda try again: of a dependency, or of one of the
/// invitations, which keeps no other one waiting.
pub async fn handle(app: Arc<App>, _event: Value) -> Result<HandlerOutput<Found>, InvocationError> {
    let until = Instant::now() + BUDGET;
    let shards = join_all((0..DUE_SHARDS).map(|shard| drive_shard(&app, shard, until))).await;
    let found = shards.into_iter().fold(Found::default(), Found::and);
    // Outcome even if nothing is overdue: an alarm is for a reconcile that does not run, too.
    let told = |word| {
        Outcome::overdue(word, found.overdue_mail, found.oldest_queued_seconds, found.overdue_invitations)
    };
    if found.failed > 0 {
        let cause =
            format!("{} overdue invitations could not be driven again; the log says why", found.failed);
        return Err(InvocationError { outcome: told("retry"), cause: cause.into() });
    }
    let word = if found.unfinished { "unfinished" } else { "ok" };
    Ok(HandlerOutput { outcome: told(word), answer: found })
}

async fn drive_shard(app: &App, shard: u8, until: Instant) -> Found {
    let mut found = Found::default();
    let mut next_page = None;
    let now = app.now();
    while Instant::now() < until {
        let page = match timeout_at(until, app.store.overdue(shard, now, PAGE, next_page.take())).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                tracing::error!(shard, cause = observe::chain(&error), "what is overdue cannot be read");
                return Found { failed: found.failed + 1, ..found };
            }
            Err(_) => break,
        };
        let driven = stream::iter(page.items).map(async |item| match item {
            Ok(overdue) => drive(app, &overdue, until).await,
            Err(broken) => {
                tracing::error!(%broken, "an overdue invitation cannot be read");
                Found { failed: 1, ..Found::default() }
            }
        });
        found = driven.buffer_unordered(CONCURRENCY).fold(found, async |sum, one| sum.and(one)).await;
        next_page = page.next;
        if next_page.is_none() {
            return found;
        }
    }
    Found { unfinished: true, ..found }
}

/// Counts what is overdue even if nothing can be done about it: the alarms need it.
async fn drive(app: &App, Overdue { organization, invitation }: &Overdue, until: Instant) -> Found {
    let found = Mutex::new(Found::default());
    let reconcile = Reconcile { organization: organization.clone(), invitation: invitation.clone() };
    // A commit that is given up may still be carried out; the next run looks again.
    let run = timeout_at(until, app.run(&Counted { reconcile, found: &found })).await;
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (organization, invitation) = (organization.as_str(), invitation.as_str());
    match run {
        Ok(Ok(outcome)) => {
            let done = match outcome {
                ReconcileOutcome::Nothing => return found,
                ReconcileOutcome::Expired => "closed long after its expiry: its timer did not fire",
                ReconcileOutcome::Driven { .. } => "its mail waits too long, and is driven again",
            };
            tracing::warn!(organization, invitation, "{done}");
            found
        }
        Ok(Err(error)) => {
            let cause = observe::chain(&error);
            tracing::error!(organization, invitation, cause, "it is overdue, and could not be driven again");
            Found { failed: 1, ..found }
        }
        Err(_) => Found { unfinished: true, ..found },
    }
}

/// The action, which notes what it found at its last attempt, also where that comes to nothing.
struct Counted<'a> {
    reconcile: Reconcile,
    found: &'a Mutex<Found>,
}

impl Action for Counted<'_> {
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
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = match decision.answer {
            ReconcileOutcome::Nothing => Found::default(),
            ReconcileOutcome::Expired => Found { overdue_invitations: 1, ..Found::default() },
            ReconcileOutcome::Driven { owed_seconds } => {
                Found { overdue_mail: 1, oldest_queued_seconds: owed_seconds, ..Found::default() }
            }
        };
        Ok(decision)
    }
}
