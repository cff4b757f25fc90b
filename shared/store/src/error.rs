//! What can go wrong between Roster and its table.

use std::error::Error as StdError;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The cause, kept for the log.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// A read that gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// DynamoDB throttles, or is contended beyond the retry policy.
    #[error("DynamoDB throttles")]
    Throttled(#[source] Cause),
    /// DynamoDB cannot be reached or fails.
    #[error("DynamoDB cannot be reached")]
    Unavailable(#[source] Cause),
    /// DynamoDB will never do what was asked: a permission, a missing table, a mistake of ours.
    #[error("DynamoDB refuses the request")]
    Refused(#[source] Cause),
    /// What is stored is not what Roster writes.
    #[error(transparent)]
    Corrupt(#[from] CorruptItem),
}

impl Error {
    /// Whether the same may well work later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::Unavailable(_) => true,
            Self::Refused(_) | Self::Corrupt(_) => false,
        }
    }
}

/// A stored item that cannot be read, and where: ids only, so that it may be logged.
#[derive(Debug, thiserror::Error)]
#[error("item {key} is corrupt: {what}")]
pub struct CorruptItem {
    /// Its key, or as much of it as there is.
    pub key: String,
    /// The attribute and what is wrong with it.
    pub what: String,
}

/// How a failed call is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// Certainly not done, for lack of capacity.
    Throttled,
    /// Perhaps done: the answer is lost.
    Unknown,
    /// Certainly not done, and never will be.
    Refused,
}

/// Tells by error code, status and the way the call failed.
pub(crate) fn kind<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> ErrorKind {
    match error {
        SdkError::ServiceError(service) => match service.err().code() {
            Some(
                "ThrottlingException"
                | "ProvisionedThroughputExceededException"
                | "RequestLimitExceeded"
                | "LimitExceededException",
            ) => ErrorKind::Throttled,
            Some("TransactionInProgressException") => ErrorKind::Unknown,
            _ if service.raw().status().is_server_error() => ErrorKind::Unknown,
            _ => ErrorKind::Refused,
        },
        SdkError::ConstructionFailure(_) => ErrorKind::Refused,
        _ => ErrorKind::Unknown,
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Error
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        match kind(&error) {
            ErrorKind::Throttled => Self::Throttled(error.into()),
            ErrorKind::Unknown => Self::Unavailable(error.into()),
            ErrorKind::Refused => Self::Refused(error.into()),
        }
    }
}
