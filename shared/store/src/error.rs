//! Errors of DynamoDB calls, and their classification.

use std::error::Error as StdError;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The cause, kept for the log.
pub(crate) type Cause = Box<dyn StdError + Send + Sync>;

/// The error of a read, or of building a request.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// DynamoDB throttles, or the read conflicted with transactions until the retry budget ended.
    #[error("DynamoDB throttles")]
    Throttled(#[source] Cause),
    /// DynamoDB cannot be reached, or fails.
    #[error("DynamoDB cannot be reached")]
    Unavailable(#[source] Cause),
    /// A retry cannot succeed: a missing permission, a missing table or an invalid request.
    #[error("DynamoDB rejects the request")]
    Rejected(#[source] Cause),
    /// A stored item does not have the form that Roster writes.
    #[error(transparent)]
    Corrupt(#[from] CorruptItem),
}

impl Error {
    /// Whether a later retry can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Throttled(_) | Self::Unavailable(_) => true,
            Self::Rejected(_) | Self::Corrupt(_) => false,
        }
    }
}

/// A stored item that cannot be parsed. The error contains no attribute values, so it may be logged.
#[derive(Debug, thiserror::Error)]
#[error("item {key} is corrupt: {what}")]
pub struct CorruptItem {
    /// The item's primary key, or the readable part of it.
    pub key: String,
    /// The invalid attribute, and the reason.
    pub what: String,
}

/// What a failed call means for a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The call had no effect, because the capacity was exceeded.
    Throttled,
    /// The call may have had an effect, because no definite response arrived.
    Unknown,
    /// The call had no effect, and a retry cannot succeed.
    Rejected,
}

/// Classifies a failed call by its error code, its HTTP status and the kind of SDK error.
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
            _ => ErrorKind::Rejected,
        },
        SdkError::ConstructionFailure(_) => ErrorKind::Rejected,
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
            ErrorKind::Rejected => Self::Rejected(error.into()),
        }
    }
}
