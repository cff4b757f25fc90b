//! Runs an action: read, decide, commit; and after a lost race once more.

use domain::{Action, Clock, GuardFailed, Plan, PlanError, Policy, Snapshot};

use crate::commit::CommitOutcome;
use crate::retry::{Backoff, count};
use crate::{CommitError, Error, Store};

/// How often an action is decided at most: the first time, and five times after lost races.
pub const ATTEMPTS_MAX: usize = 6;

/// Why an action has no answer.
#[derive(Debug, thiserror::Error)]
pub enum RunError<Refusal> {
    /// The rules say no.
    #[error("refused")]
    Refused(Refusal),
    /// Rivals wrote first, every time.
    #[error("lost too many races")]
    Contended,
    /// The items could not be read.
    #[error("the items could not be read")]
    Read(#[source] Error),
    /// The action planned changes that are not one transaction.
    #[error("the action planned no transaction")]
    Plan(#[source] PlanError),
    /// The plan could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl<Refusal> RunError<Refusal> {
    /// Whether the same may well work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Plan(_) => false,
            Self::Contended => true,
            Self::Read(error) => error.is_retryable(),
            Self::Commit(error) => error.is_retryable(),
        }
    }
}

impl Store {
    /// Runs `action`: reads its items as one snapshot, decides, and commits the changes as one transaction.
    ///
    /// Only the action refuses. A guard that fails says no more than that a rival wrote first: then all of it is done
    /// again, [`ATTEMPTS_MAX`] times at most. A plan that writes nothing is not committed: the snapshot vouches for its
    /// answer.
    pub async fn run<A: Action>(
        &self,
        action: &A,
        policy: &Policy,
        clock: &dyn Clock,
    ) -> Result<A::Answer, RunError<A::Refusal>> {
        let mut seen: Option<Snapshot> = None;
        let mut failed: Vec<&str> = Vec::new();
        // All attempts, reads and commits, share one retry budget.
        let mut backoff = Backoff::new(self.retry_policy);
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                count(|stats| stats.decided_again += 1);
            }
            let keys = action.reads(seen.as_ref());
            let snapshot = self.snapshot(keys, &mut backoff).await.map_err(RunError::Read)?;
            let decision = action.decide(&snapshot, policy, clock.now()).map_err(RunError::Refused)?;
            let plan = Plan::new(decision.changes).map_err(RunError::Plan)?;
            if !plan.writes() {
                return Ok(decision.answer);
            }
            match self.commit(&plan, &mut backoff).await? {
                CommitOutcome::Committed => return Ok(decision.answer),
                CommitOutcome::GuardFailed(GuardFailed(places)) => {
                    let kinds = places.iter().filter_map(|place| plan.changes().get(*place));
                    failed = kinds.map(|change| change.item.kind()).collect();
                }
            }
            seen = Some(snapshot);
        }
        // A guard that never holds looks the same, so the log names the items.
        tracing::error!(
            action = A::NAME,
            failed = failed.join(" "),
            "the guards of these items failed at every attempt"
        );
        Err(RunError::Contended)
    }
}
