//! Commits a plan as one transaction, and classifies DynamoDB's response.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use domain::{GuardFailed, Plan};

use crate::Store;
use crate::error::{Cause, Error, ErrorKind, kind};
use crate::retry::{Backoff, RetryStats, update_stats};
use crate::transaction::transaction_item;

/// The definite outcome of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// DynamoDB made all changes.
    Committed,
    /// DynamoDB made no change, because at least one guard failed: a concurrent write came first.
    GuardFailed(GuardFailed),
}

/// The transaction failed, or its outcome is unknown.
///
/// The retry budget is the time that a function spends on retries ([`RetryPolicy`](crate::RetryPolicy)).
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Not committed: the transaction conflicted with others until the retry budget ended.
    #[error("the transaction conflicted with others until the retry budget ended")]
    Contended(#[source] Cause),
    /// Not committed: DynamoDB throttled the transaction until the retry budget ended.
    #[error("DynamoDB throttles the transaction")]
    Throttled(#[source] Cause),
    /// Possibly committed: the response to an earlier attempt is missing.
    #[error("the transaction's outcome is unknown")]
    Unknown(#[source] Cause),
    /// Not committed, and a retry cannot succeed: a missing permission, a missing table or an invalid request.
    #[error("DynamoDB rejects the transaction")]
    Rejected(#[source] Cause),
}

impl CommitError {
    /// Whether a later retry can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Contended(_) | Self::Throttled(_) | Self::Unknown(_) => true,
            Self::Rejected(_) => false,
        }
    }
}

/// The meaning of one response, or of a missing response.
enum AttemptResult {
    Outcome(CommitOutcome),
    /// `TransactionConflict` without a graver reason. No guard failed, so the decision is still valid.
    Conflict,
    Throttled,
    Unknown,
    Rejected,
}

impl Store {
    /// Commits a plan that no action has decided, as tests do. Retries it, but makes no new decision.
    pub async fn commit_plan(&self, plan: &Plan) -> Result<CommitOutcome, CommitError> {
        self.commit(plan, &mut Backoff::new(self.retry_policy)).await
    }

    /// Commits `plan`, and retries until the outcome is definite or the retry budget ends.
    ///
    /// A retry after a conflict uses a fresh client request token, unless an earlier attempt may still take effect. All
    /// other retries send the identical request.
    pub(crate) async fn commit(
        &self,
        plan: &Plan,
        backoff: &mut Backoff,
    ) -> Result<CommitOutcome, CommitError> {
        let mut token = fresh_token()?;
        let mut response_lost = false;
        loop {
            // Built for each attempt, because the request consumes the items and a second attempt is rare.
            let items: Result<Vec<_>, Error> =
                plan.changes().iter().map(|it| transaction_item(&self.table, it)).collect();
            let items = items.map_err(|error| CommitError::Rejected(error.into()))?;
            let Err(error) = self.send(items, &token).await else {
                return Ok(CommitOutcome::Committed);
            };
            let reasons = distinct(reasons(&error), error.code());
            update_stats(|stats| stats.add_reasons(&reasons));
            let mut count_retry: fn(&mut RetryStats) = |stats| stats.conflicts += 1;
            let to_error: fn(Cause) -> CommitError = match classify(&error) {
                AttemptResult::Outcome(outcome) => {
                    tracing::debug!(reasons = reasons.join(" "), "a guard failed");
                    return Ok(outcome);
                }
                // An earlier attempt may have taken effect.
                AttemptResult::Rejected if response_lost => return Err(CommitError::Unknown(error.into())),
                AttemptResult::Rejected => return Err(CommitError::Rejected(error.into())),
                AttemptResult::Unknown => {
                    response_lost = true;
                    count_retry = |stats| stats.responses_lost += 1;
                    CommitError::Unknown
                }
                // An earlier attempt may still take effect. With a fresh token the plan could be applied twice.
                AttemptResult::Conflict | AttemptResult::Throttled if response_lost => CommitError::Unknown,
                AttemptResult::Conflict => {
                    token = fresh_token()?;
                    CommitError::Contended
                }
                AttemptResult::Throttled => CommitError::Throttled,
            };
            if !backoff.wait().await {
                return Err(to_error(error.into()));
            }
            update_stats(count_retry);
            tracing::debug!(reasons = reasons.join(" "), "retrying the transaction");
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

/// Makes a client request token. DynamoDB remembers a token for 10 minutes and accepts at most 36 characters.
fn fresh_token() -> Result<String, CommitError> {
    aws_client::client_request_token().map_err(|error| CommitError::Rejected(error.into()))
}

fn classify(error: &SdkError<TransactWriteItemsError, HttpResponse>) -> AttemptResult {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(_)) => {
            let reasons = reasons(error);
            let has = |codes: &[&str]| reasons.iter().any(|reason| codes.contains(reason));
            let failed =
                reasons.iter().enumerate().filter(|(_, reason)| **reason == "ConditionalCheckFailed");
            let failed: Vec<_> = failed.map(|(place, _)| place).collect();
            if !failed.is_empty() {
                AttemptResult::Outcome(CommitOutcome::GuardFailed(GuardFailed(failed)))
            } else if has(&["ValidationError", "ItemCollectionSizeLimitExceeded", "DuplicateItem"]) {
                AttemptResult::Rejected
            } else if has(&["ThrottlingError", "ProvisionedThroughputExceeded"]) {
                AttemptResult::Throttled
            } else if has(&["TransactionConflict"]) {
                AttemptResult::Conflict
            } else {
                AttemptResult::Rejected
            }
        }
        _ => match kind(error) {
            ErrorKind::Throttled => AttemptResult::Throttled,
            ErrorKind::Unknown => AttemptResult::Unknown,
            ErrorKind::Rejected => AttemptResult::Rejected,
        },
    }
}

/// Returns each reason of a failed attempt once, for the log and the statistics. `code` replaces missing reasons.
pub(crate) fn distinct<'a>(reasons: Vec<&'a str>, code: Option<&'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<_> = reasons.into_iter().filter(|reason| *reason != "None").collect();
    distinct.sort_unstable();
    distinct.dedup();
    if distinct.is_empty() { vec![code.unwrap_or("NoAnswer")] } else { distinct }
}

/// Returns the reason codes of a cancelled transaction, in the order of the plan's changes.
fn reasons<R>(error: &SdkError<TransactWriteItemsError, R>) -> Vec<&str> {
    match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => reason_codes(cancelled),
        _ => Vec::new(),
    }
}

/// Returns the reason codes of a cancellation, in the order of the request's items.
pub(crate) fn reason_codes(cancelled: &TransactionCanceledException) -> Vec<&str> {
    cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_do_not_depend_on_the_seed_of_the_jitter() {
        let seeded_token = || {
            fastrand::seed(7);
            fresh_token().unwrap()
        };
        assert_ne!(seeded_token(), seeded_token());
    }
}
