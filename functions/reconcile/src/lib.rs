//! Every 15 minutes: whatever is overdue is driven again, and what was found is told.
//!
//! It neither sends mail nor makes links: a mail that waits too long has its record written once more, so that
//! the stream brings it to `mail` again. An invitation whose timer never fired is closed here.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use domain::reconcile::{self, Outcome};
use edge::App;
use edge::event::Handled;
use edge::observe::{self, Failed, Outcome as Told};
use futures_util::future::join_all;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::Value;
use store::record::DUE_SHARDS;
use store::{Overdue, SettleError, Store};
use tokio::time::Instant;

/// Invitations of one shard that are read at once, and looked after at the same time.
const PAGE: usize = 25;
const CONCURRENCY: usize = 4;
/// No further page is begun after this long: the function has 10 s (infra/template.yaml).
const BUDGET: Duration = Duration::from_secs(6);

/// What was overdue, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Mails that waited too long; they were driven again.
    pub overdue_mail: u64,
    /// Seconds since the oldest one of them was owed.
    pub oldest_queued_seconds: u64,
    /// Invitations that nobody had closed at their expiry; now they are.
    pub overdue_invitations: u64,
    /// Invitations that could not be looked after, or read.
    pub failed: u64,
    /// Whether time ran out; what is left is the next run's.
    pub unfinished: bool,
}

/// Some of what was overdue could not be driven again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Incomplete(Found);

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} overdue invitations could not be driven again; the log says which and why",
            self.0.failed
        )
    }
}

impl std::error::Error for Incomplete {}

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
pub async fn handle(app: Arc<App>, _event: Value) -> Result<Handled<Found>, Failed> {
    let until = Instant::now() + BUDGET;
    let shards = join_all((0..DUE_SHARDS).map(|shard| drive_shard(&app, shard, until))).await;
    let found = shards.into_iter().fold(Found::default(), Found::and);
    // Told even if nothing is overdue: an alarm is for a reconcile that does not run, too.
    let told = |word| {
        Told::overdue(word, found.overdue_mail, found.oldest_queued_seconds, found.overdue_invitations)
    };
    if found.failed > 0 {
        return Err(Failed { outcome: told("retry"), cause: Incomplete(found).into() });
    }
    let word = if found.unfinished { "unfinished" } else { "ok" };
    Ok(Handled { outcome: told(word), answer: found })
}

async fn drive_shard(app: &App, shard: u8, until: Instant) -> Found {
    let mut found = Found::default();
    let mut rest = None;
    let now = app.now();
    loop {
        let page = match app.store.overdue(shard, now, PAGE, rest.take()).await {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(
                    shard,
                    error = &error as &dyn std::error::Error,
                    "what is overdue cannot be read"
                );
                return found.and(Found { failed: 1, ..Found::default() });
            }
        };
        let driven = stream::iter(page.items).map(async |item| match item {
            Ok(overdue) => drive(app, &overdue).await,
            Err(broken) => {
                tracing::error!(%broken, "an overdue invitation cannot be read");
                Found { failed: 1, ..Found::default() }
            }
        });
        found = driven.buffer_unordered(CONCURRENCY).fold(found, async |sum, one| sum.and(one)).await;
        rest = page.rest;
        if rest.is_none() {
            return found;
        }
        if Instant::now() >= until {
            return Found { unfinished: true, ..found };
        }
    }
}

async fn drive(app: &App, overdue: &Overdue) -> Found {
    let (organization, invitation) = (overdue.organization.as_str(), overdue.invitation.as_str());
    match settle(&app.store, app, overdue).await {
        Ok((Outcome::Nothing, _)) => Found::default(),
        Ok((Outcome::Expired, _)) => {
            tracing::warn!(organization, invitation, "closed long after its expiry: its timer did not fire");
            Found { overdue_invitations: 1, ..Found::default() }
        }
        Ok((Outcome::Driven, oldest_queued_seconds)) => {
            tracing::warn!(organization, invitation, "its mail waits too long, and is driven again");
            Found { overdue_mail: 1, oldest_queued_seconds, ..Found::default() }
        }
        Err(error) => {
            let cause = observe::chain(&error);
            tracing::error!(organization, invitation, cause, "it is overdue, and could not be driven again");
            Found { failed: 1, ..Found::default() }
        }
    }
}

/// What was done about the invitation, and for how many seconds its mail had been owed.
async fn settle(
    store: &Store,
    app: &App,
    Overdue { organization, invitation }: &Overdue,
) -> Result<(Outcome, u64), SettleError<std::convert::Infallible>> {
    let read = async |_| store.reconcile_facts(organization, invitation).await;
    let decide = |facts: &reconcile::Facts| {
        let now = app.now();
        let owed_since = facts.invitation.as_ref().map(|it| it.expires_at.unix());
        let lifetime = i64::try_from(app.policy.lifetime.as_secs()).unwrap_or(i64::MAX);
        let waited = owed_since.map_or(0, |expires_at| now.unix() - expires_at.saturating_sub(lifetime));
        let decision = reconcile::decide(facts, &app.policy, now);
        Ok(domain::Decision {
            answer: (decision.answer, u64::try_from(waited).unwrap_or(0)),
            plan: decision.plan,
        })
    };
    store.settle(read, decide).await
}
