//! AWS error responses in the form that SDK clients parse into their typed errors.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

use crate::state::StateError;

/// An error response of an AWS service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The exception's name, such as `ValidationException`.
    pub code: &'static str,
    /// The error message.
    pub message: String,
}

impl AwsError {
    /// Creates an error with this HTTP status, exception name and message.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "ValidationException", message)
    }

    pub(crate) fn unknown_operation(message: impl Into<String>) -> Self {
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
            "an AWS service of the laptop could not read or write its state"
        );
        Self::internal(error.to_string())
    }
}

impl IntoResponse for AwsError {
    fn into_response(self) -> Response {
        // AWS protocols differ in where they put the exception's name and in the spelling of `message`.
        // Clients ignore the fields of other protocols, so one response serves all protocols.
        let body = json!({"__type": self.code, "message": self.message, "Message": self.message});
        let headers = [(header::CONTENT_TYPE.as_str(), "application/json"), ("x-amzn-errortype", self.code)];
        (self.status, headers, body.to_string()).into_response()
    }
}
