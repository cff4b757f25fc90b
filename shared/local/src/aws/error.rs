//! Errors in the shape that SDK clients turn into their typed ones.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::state::StateError;

/// An AWS service's error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The exception's name.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
}

impl AwsError {
    /// An error of that status and exception.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "UnknownOperationException", message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException", message)
    }
}

impl From<StateError> for AwsError {
    fn from(error: StateError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "an AWS service of the laptop lost its state"
        );
        Self::internal(error.to_string())
    }
}

impl IntoResponse for AwsError {
    fn into_response(self) -> Response {
        // The protocols differ in where the name stands and how the message is spelt; clients look for
        // theirs and skip the rest, so one body serves them all.
        let body = json!({"__type": self.code, "message": self.message, "Message": self.message});
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-amzn-errortype", self.code)];
        (self.status, headers, body.to_string()).into_response()
    }
}
