//! Proxy for DynamoDB and DynamoDB Streams: forwards requests of other processes to the embedded engine's HTTP
//! server.

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

use super::AwsError;

/// Forwards requests to the embedded engine.
pub struct DynamoDbProxy {
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl DynamoDbProxy {
    /// Creates a proxy for the engine that listens at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { url: format!("{}/", url.trim_end_matches('/')), client }
    }

    pub(super) async fn forward(&self, parts: &Parts, body: Bytes) -> Result<Response, AwsError> {
        let unavailable = |e: &dyn std::error::Error| {
            AwsError::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", e.to_string())
        };
        let mut request = Request::new(Full::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.parse().map_err(|e: http::uri::InvalidUri| unavailable(&e))?;
        *request.headers_mut() = forwarded_headers(&parts.headers);
        let response = self.client.request(request).await.map_err(|e| unavailable(&e))?;
        let (mut parts, body) = response.into_parts();
        parts.headers = forwarded_headers(&parts.headers);
        Ok(Response::from_parts(parts, Body::new(body)))
    }
}

/// Copies the headers, except those that apply to one connection only or that hyper sets itself.
fn forwarded_headers(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    for name in
        [header::HOST, header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::EXPECT]
    {
        headers.remove(name);
    }
    headers
}
