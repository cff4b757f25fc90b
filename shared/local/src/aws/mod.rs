//! The AWS services that the functions call through real SDK clients, under one base URL.
//!
//! Mounted at `/_aws`, so that `AWS_ENDPOINT_URL=http://127.0.0.1:4000/_aws` is all a process needs.

pub mod dynamodb;
mod error;
pub mod kms;
pub mod scheduler;
pub mod ses;

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::{Method, Request, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, Limited};

pub use error::AwsError;

/// Where the services are, under the laptop's base URL.
pub const PREFIX: &str = "/_aws";

/// DynamoDB's own limit; the others take far less.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

const JSON_1_1: &str = "application/x-amz-json-1.1";
const JSON: &str = "application/json";

/// The services.
pub struct Aws {
    /// DynamoDB and DynamoDB Streams.
    pub dynamodb: dynamodb::DynamoDbProxy,
    /// KMS.
    pub kms: kms::Kms,
    /// SES, version 2.
    pub ses: ses::Ses,
    /// EventBridge Scheduler.
    pub scheduler: Arc<scheduler::Schedules>,
}

/// All services under [`PREFIX`].
pub fn router(aws: Aws) -> Router {
    // As a service and not as routes: SDKs put a slash after the prefix, which a nested `/` would not match.
    let services = Router::new().fallback(dispatch).with_state(Arc::new(aws));
    Router::new().nest_service(PREFIX, services)
}

async fn dispatch(extract::State(aws): extract::State<Arc<Aws>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let answer = match read(body).await {
        Ok(body) => aws.answer(&parts, body).await,
        Err(refusal) => Err(refusal),
    };
    let mut answer = answer.unwrap_or_else(AwsError::into_response);
    if let Ok(id) = http::HeaderValue::from_str(&crate::random::hex::<16>()) {
        answer.headers_mut().insert("x-amzn-requestid", id);
    }
    answer
}

async fn read(body: Body) -> Result<Bytes, AwsError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) => {
            Err(AwsError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", e.to_string()))
        }
    }
}

impl Aws {
    async fn answer(&self, parts: &Parts, body: Bytes) -> Result<Response, AwsError> {
        let path = parts.uri.path().trim_end_matches('/');
        match (&parts.method, path) {
            (&Method::POST, "") => self.by_target(parts, body).await,
            (&Method::POST, "/v2/email/outbound-emails") => Ok(respond(JSON, &self.ses.send(&body)?)),
            (method, path) => match path.strip_prefix("/schedules/") {
                Some(name) => {
                    let query = parts.uri.query().unwrap_or_default();
                    Ok(respond(JSON, &self.scheduler.answer(method, name, query, &body)?))
                }
                None => Err(AwsError::unknown(format!(
                    "the laptop has no {method} {}: it serves DynamoDB, DynamoDB Streams, KMS GenerateMac and \
                     VerifyMac, SESv2 SendEmail and EventBridge Scheduler's schedules",
                    parts.uri.path()
                ))),
            },
        }
    }

    async fn by_target(&self, parts: &Parts, body: Bytes) -> Result<Response, AwsError> {
        let target =
            parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        match target.split_once('.') {
            Some(("DynamoDB_20120810" | "DynamoDBStreams_20120810", _)) => {
                self.dynamodb.forward(parts, body).await
            }
            Some(("TrentService", operation @ ("GenerateMac" | "VerifyMac"))) => {
                Ok(respond(JSON_1_1, &self.kms.answer(operation, &body)?))
            }
            _ => Err(AwsError::unknown(format!("the laptop has no operation {target:?} (X-Amz-Target)"))),
        }
    }
}

fn respond(content_type: &'static str, body: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
