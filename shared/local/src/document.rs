//! Serves the API contract.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing,
};
use http::header;

/// The API contract: the text of `infra/openapi.yaml`.
pub const OPENAPI: &str = include_str!("../../../infra/openapi.yaml");

/// Creates the route `GET /v1/openapi.yaml`. It exists only on the laptop, because an HTTP API cannot serve a file.
pub fn router() -> Router {
    async fn openapi() -> Response {
        ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
    }
    Router::new().route("/v1/openapi.yaml", routing::get(openapi))
}
