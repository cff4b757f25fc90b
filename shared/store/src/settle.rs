//! Read, decide, commit; and after a lost race once more.

use domain::Decision;

use crate::commit::{Outcome, Pauses};
use crate::effort::count;
use crate::{CommitError, Error, Store};

/// Looks at the facts, at most: the first one, and five more after lost races (DESIGN section 5).
pub const ATTEMPTS_MAX: usize = 6;

/// Why an action has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SettleError<Refusal, Failure = Error> {
    /// The rules say no.
    #[error("refused")]
    Refused(Refusal),
    /// Rivals wrote first, every time.
    #[error("lost too many races")]
    Contended,
    /// The facts could not be read.
    #[error("the facts could not be read")]
    Read(#[source] Failure),
    /// The plan could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl<Refusal, Failure> SettleError<Refusal, Failure> {
    /// Whether the same may well work later; `read` says so of the facts' own failure.
    pub fn passes(&self, read: impl Fn(&Failure) -> bool) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Contended => true,
            Self::Read(failure) => read(failure),
            Self::Commit(failure) => failure.passes(),
        }
    }
}

impl Store {
    /// Reads the facts, decides, and commits the decision's plan.
    ///
    /// `read` is given the facts of the lost race before, if there was one. Only `decide` refuses: a guard
    /// that fails says no more than that the facts have changed. A plan that writes nothing is not
    /// committed: the snapshot vouches for its answer.
    pub async fn settle<Facts, Answer, Refusal, Failure, Reading>(
        &self,
        read: impl Fn(Option<Facts>) -> Reading,
        decide: impl Fn(&Facts) -> Result<Decision<Answer>, Refusal>,
    ) -> Result<Answer, SettleError<Refusal, Failure>>
    where
        Reading: Future<Output = Result<Facts, Failure>>,
    {
        let mut before = None;
        // One budget for all of it: the function's own time is one, too.
        let mut pauses = Pauses::new(self.patience);
        for attempt in 0..ATTEMPTS_MAX {
            if attempt > 0 {
                count(|effort| effort.decided_again += 1);
            }
            let facts = read(before.take()).await.map_err(SettleError::Read)?;
            let Decision { plan, answer } = decide(&facts).map_err(SettleError::Refused)?;
            if !plan.writes() || self.commit(plan, &mut pauses).await? == Outcome::Committed {
                return Ok(answer);
            }
            before = Some(facts);
        }
        Err(SettleError::Contended)
    }
}
