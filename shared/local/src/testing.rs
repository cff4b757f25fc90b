//! What the unit tests of several modules share.

use std::sync::LazyLock;

use axum::{Router, body::Body, http::StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

/// A signing key that all tests share: making one takes a second or two.
pub(crate) fn key() -> &'static str {
    static KEY: LazyLock<String> = LazyLock::new(|| crate::issuer::make_key().unwrap());
    &KEY
}

/// Serves the router on a free port of the loopback and gives its base URL.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}

/// The status, headers and body that a request to the router gets.
pub(crate) async fn send(
    router: Router,
    request: http::Request<Body>,
) -> (StatusCode, http::HeaderMap, String) {
    let answer = router.oneshot(request).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

pub(crate) async fn post_json(router: Router, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = http::Request::post(path).body(Body::from(body.to_string())).unwrap();
    let (status, _, body) = send(router, request).await;
    (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
}
