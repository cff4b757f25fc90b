//! The AWS services that the functions call through real SDK clients, under one base URL.
//!
//! The base URL ends in `/_aws`. A process reaches all services with `AWS_ENDPOINT_URL=http://127.0.0.1:4000/_aws`.

pub mod dynamodb;
mod error;
pub mod kms;
pub mod scheduler;
pub mod ses;
mod shard_ids;

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

/// The path of the services under the laptop's base URL.
pub const PREFIX: &str = "/_aws";

/// DynamoDB's limit for a request. The other services accept far less.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

const JSON_1_1: &str = "application/x-amz-json-1.1";
const JSON: &str = "application/json";

/// The AWS services that the laptop provides.
pub struct Aws {
    /// DynamoDB and DynamoDB Streams.
    pub dynamodb: dynamodb::Engine,
    /// KMS.
    pub kms: kms::Kms,
    /// SES, version 2.
    pub ses: ses::Ses,
    /// EventBridge Scheduler.
    pub scheduler: Arc<scheduler::Schedules>,
}

/// Creates the router that serves all services under [`PREFIX`].
pub fn router(aws: Aws) -> Router {
    // SDKs append a slash to the prefix. `nest_service` matches it, a nested route `/` would not.
    let services = Router::new().fallback(dispatch).with_state(Arc::new(aws));
    Router::new().nest_service(PREFIX, services)
}

async fn dispatch(extract::State(aws): extract::State<Arc<Aws>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let response = match read_body(body).await {
        Ok(body) => aws.handle(&parts, &body),
        Err(error) => Err(error),
    };
    let mut response = response.unwrap_or_else(AwsError::into_response);
    if let Ok(id) = http::HeaderValue::from_str(&crate::random::hex::<16>()) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

async fn read_body(body: Body) -> Result<Bytes, AwsError> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(e) => {
            Err(AwsError::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLargeException", e.to_string()))
        }
    }
}

impl Aws {
    fn handle(&self, parts: &Parts, body: &Bytes) -> Result<Response, AwsError> {
        let path = parts.uri.path().trim_end_matches('/');
        match (&parts.method, path) {
            (&Method::POST, "") => self.handle_target(parts, body),
            (&Method::POST, "/v2/email/outbound-emails") => Ok(json_response(JSON, &self.ses.send(body)?)),
            // Newer SDKs list identities with the second request.
            (&Method::GET, "/v2/email/identities") | (&Method::POST, "/v2/email/list-identities") => {
                Ok(json_response(JSON, &ses::identities()))
            }
            (&Method::GET, "/schedules") => {
                let query = parts.uri.query().unwrap_or_default();
                Ok(json_response(JSON, &self.scheduler.list(query)?))
            }
            (method, path) => match path.strip_prefix("/schedules/") {
                Some(name) => {
                    let query = parts.uri.query().unwrap_or_default();
                    Ok(json_response(JSON, &self.scheduler.handle(method, name, query, body)?))
                }
                None => Err(AwsError::unknown_operation(format!(
                    "the laptop does not support {method} {}. It serves DynamoDB, DynamoDB Streams, KMS DescribeKey, \
                     GenerateMac and VerifyMac, SESv2 SendEmail and ListEmailIdentities, and the schedules of \
                     EventBridge Scheduler",
                    parts.uri.path()
                ))),
            },
        }
    }

    /// Handles a request whose `X-Amz-Target` header names the service and the operation.
    fn handle_target(&self, parts: &Parts, body: &Bytes) -> Result<Response, AwsError> {
        let target =
            parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
        match target.split_once('.') {
            Some(("DynamoDB_20120810" | "DynamoDBStreams_20120810", _)) => {
                Ok(self.dynamodb.respond(&parts.headers, body))
            }
            Some(("TrentService", operation @ ("DescribeKey" | "GenerateMac" | "VerifyMac"))) => {
                Ok(json_response(JSON_1_1, &self.kms.handle(operation, body)?))
            }
            _ => Err(AwsError::unknown_operation(format!(
                "the laptop does not support the operation {target:?} (X-Amz-Target)"
            ))),
        }
    }
}

fn json_response(content_type: &'static str, body: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, content_type)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests;
