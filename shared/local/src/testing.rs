//! Helpers for the unit tests of several modules.

use std::sync::LazyLock;

use axum::{Router, body::Body, http::StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// A signing key that all tests share, because generating one takes one to two seconds.
pub(crate) fn key() -> &'static str {
    static KEY: LazyLock<String> = LazyLock::new(|| crate::issuer::generate_key().unwrap());
    &KEY
}

/// Serves the router on a free loopback port and returns its base URL.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// Sends a request to the router and returns the status, headers and body of the response.
pub(crate) async fn send(
    router: Router,
    request: http::Request<Body>,
) -> (StatusCode, http::HeaderMap, String) {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

/// Posts JSON to the router and returns the status and the body of the response.
pub(crate) async fn post_json(router: Router, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = http::Request::post(path).body(Body::from(body.to_string())).unwrap();
    let (status, _, body) = send(router, request).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}
