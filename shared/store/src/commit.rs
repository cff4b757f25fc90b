//! Committing a plan: one transaction, and what its answer means.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use domain::{GuardFailed, Plan};

use crate::Store;
use crate::error::{Cause, Error, ErrorKind, kind};
use crate::retry::{Backoff, RetryStats, count};
use crate::transaction::transaction_item;

/// What a transaction came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// All of it is done.
    Committed,
    /// Nothing of it is done: a rival wrote first. Every change whose guard failed, in the plan's order.
    GuardFailed(GuardFailed),
}

/// Why it is not known to be done.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Not done: other transactions kept touching the same items.
    #[error("other transactions kept touching the same items")]
    Contended(#[source] Cause),
    /// Not done: DynamoDB throttles.
    #[error("DynamoDB throttles")]
    Throttled(#[source] Cause),
    /// Perhaps done, perhaps not: no answer came.
    #[error("the transaction's outcome is unknown")]
    Unknown(#[source] Cause),
    /// Not done, and never will be: a permission, a missing table, a mistake of ours.
    #[error("DynamoDB refuses the transaction")]
    Refused(#[source] Cause),
}

impl CommitError {
    /// Whether the same may well work later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contended(_) | Self::Throttled(_) | Self::Unknown(_) => true,
            Self::Refused(_) => false,
        }
    }
}

/// What one answer means.
enum Answer {
    Outcome(CommitOutcome),
    /// `TransactionConflict` alone: nobody's guard failed, so what was decided still stands.
    Conflict,
    Throttled,
    Unknown,
    Refused,
}

impl Store {
    /// Commits `plan`, and after a lost race does not decide again: for whoever has a plan and no facts.
    pub async fn commit_once(&self, plan: &Plan) -> Result<CommitOutcome, CommitError> {
        self.commit(plan, &mut Backoff::new(self.retry_policy)).await
    }

    /// Commits `plan` under guard. A retry after a conflict has a fresh token, as long as no earlier attempt can still be carried
    /// out; every other retry sends the identical request.
    pub(crate) async fn commit(
        &self,
        plan: &Plan,
        backoff: &mut Backoff,
    ) -> Result<CommitOutcome, CommitError> {
        let mut token = fresh_token();
        let mut answer_lost = false;
        loop {
            // Made anew for each attempt: nearly always there is one, and the request takes them.
            let items: Result<Vec<_>, Error> =
                plan.changes().iter().map(|it| transaction_item(&self.table, it)).collect();
            let items = items.map_err(|error| CommitError::Refused(error.into()))?;
            let Err(error) = self.send(items, &token).await else {
                return Ok(CommitOutcome::Committed);
            };
            let reasons = distinct(reasons(&error), error.code());
            count(|stats| stats.because_of(&reasons));
            let mut again: fn(&mut RetryStats) = |stats| stats.conflicts += 1;
            let failure: fn(Cause) -> CommitError = match judge(&error) {
                Answer::Outcome(outcome) => {
                    tracing::debug!(reasons = reasons.join(" "), "a guard failed");
                    return Ok(outcome);
                }
                // An earlier attempt may have been carried out.
                Answer::Refused if answer_lost => return Err(CommitError::Unknown(error.into())),
                Answer::Refused => return Err(CommitError::Refused(error.into())),
                Answer::Unknown => {
                    answer_lost = true;
                    again = |stats| stats.answers_lost += 1;
                    CommitError::Unknown
                }
                // While an earlier attempt may still be carried out, only its own token is safe.
                Answer::Conflict | Answer::Throttled if answer_lost => CommitError::Unknown,
                Answer::Conflict => {
                    token = fresh_token();
                    CommitError::Contended
                }
                Answer::Throttled => CommitError::Throttled,
            };
            if !backoff.wait().await {
                return Err(failure(error.into()));
            }
            count(again);
            tracing::debug!(reasons = reasons.join(" "), "the transaction is sent again");
        }
    }

    async fn send(
        &self,
        items: Vec<TransactWriteItem>,
        token: &str,
    ) -> Result<(), SdkError<TransactWriteItemsError, HttpResponse>> {
        let request = self.writes.transact_write_items().set_transact_items(Some(items));
        request.client_request_token(token).send().await.map(drop)
    }
}

/// DynamoDB remembers a token for 10 minutes, and takes up to 36 characters.
fn fresh_token() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn judge(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> Answer {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(_)) => {
            let reasons = reasons(error);
            let has = |codes: &[&str]| reasons.iter().any(|reason| codes.contains(reason));
            let failed =
                reasons.iter().enumerate().filter(|(_, reason)| **reason == "ConditionalCheckFailed");
            let failed: Vec<_> = failed.map(|(place, _)| place).collect();
            if !failed.is_empty() {
                Answer::Outcome(CommitOutcome::GuardFailed(GuardFailed(failed)))
            } else if has(&["ValidationError", "ItemCollectionSizeLimitExceeded", "DuplicateItem"]) {
                Answer::Refused
            } else if has(&["ThrottlingError", "ProvisionedThroughputExceeded"]) {
                Answer::Throttled
            } else if has(&["TransactionConflict"]) {
                Answer::Conflict
            } else {
                Answer::Refused
            }
        }
        _ => match kind(error) {
            ErrorKind::Throttled => Answer::Throttled,
            ErrorKind::Unknown => Answer::Unknown,
            ErrorKind::Refused => Answer::Refused,
        },
    }
}

/// Why an attempt came to nothing, each reason once: for logs and counts.
pub(crate) fn distinct<'a>(reasons: Vec<&'a str>, code: Option<&'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<_> = reasons.into_iter().filter(|reason| *reason != "None").collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.is_empty() { vec![code.unwrap_or("NoAnswer")] } else { distinct }
}

/// The codes of a cancellation, by position in the plan.
fn reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Vec<&str> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => in_order(cancelled),
        _ => Vec::new(),
    }
}

/// The codes of a cancellation, by position.
pub(crate) fn in_order(cancelled: &TransactionCanceledException) -> Vec<&str> {
    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect()
}
