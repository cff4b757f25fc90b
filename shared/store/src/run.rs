//! Runs an action: read, decide, commit. After a failed guard, runs all three again.

use domain::{Action, Clock, GuardFailed, Plan, PlanError, Policy, Snapshot};

use crate::commit::CommitOutcome;
use crate::retry::{Backoff, update_stats};
use crate::{CommitError, Error, Store};

/// The maximum number of decisions per run: the first one, and five more after failed guards.
pub const ATTEMPTS_MAX: usize = 6;

/// The error of running an action.
#[derive(Debug, thiserror::Error)]
pub enum RunError<Refusal> {
    /// The action refuses.
    #[error("refused")]
    Refused(Refusal),
    /// A guard failed at every attempt, because of concurrent writes.
    #[error("a guard failed at every attempt")]
    Contended,
    /// The items could not be read.
    #[error("the items could not be read")]
    Read(#[source] Error),
    /// The action's changes are not a valid plan.
    #[error("the action's changes are not a valid plan")]
    Plan(#[source] PlanError),
    /// The plan could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl<Refusal> RunError<Refusal> {
    /// Whether a later retry can succeed.
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
    /// Only the action refuses. A failed guard means that a concurrent write came first. Then the method reads and
    /// decides again, at most [`ATTEMPTS_MAX`] times in total. The method does not commit a plan without writes: the
    /// result is true as of the snapshot.
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
                update_stats(|stats| stats.decided_again += 1);
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
        // The log names the items, because a guard that can never hold is a bug and looks like contention here.
        tracing::error!(
            action = A::NAME,
            failed = failed.join(" "),
            "a guard failed at every attempt; `failed` lists the items of the last attempt"
        );
        Err(RunError::Contended)
    }
}
