//! The contract.

use axum::{
    Router,
    response::{IntoResponse, Response},
    routing,
};
use http::header;

/// The contract, as `infra/openapi.yaml` has it.
pub const OPENAPI: &str = include_str!("../../../infra/openapi.yaml");

/// `GET /v1/openapi.yaml`, which is no route of the functions: an HTTP API has nothing to serve a file with.
pub fn router() -> Router {
    async fn openapi() -> Response {
        ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
    }
    Router::new().route("/v1/openapi.yaml", routing::get(openapi))
}
