//! Serves the API contract, with the laptop's own address, and a page that shows it.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing;
use bytes::Bytes;
use http::{StatusCode, header};
use swagger_ui_dist::{ApiDefinition, OpenApiSource};

use crate::function_env::DEFAULT_URL;
use crate::yaml;

/// The API contract: the text of `infra/openapi.yaml`.
pub const OPENAPI: &str = include_str!("../../../infra/openapi.yaml");
/// The path of the page that shows the contract.
pub const DOCS: &str = "/docs";
/// The path of the contract in JSON.
const JSON: &str = "/v1/openapi.json";
/// The permissions of the page: its own scripts and styles, and requests to the laptop. Swagger UI sets styles in its
/// elements, and has icons as data URLs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// Creates the routes of the contract for the laptop at `url`. They exist only on the laptop, because an HTTP API cannot
/// serve a file.
pub fn router(url: &str) -> Router {
    let yaml: Bytes = OPENAPI.replace(DEFAULT_URL, url).into();
    let for_json = yaml.clone();
    let openapi_yaml = move || async move { ([(header::CONTENT_TYPE, "application/yaml")], yaml) };
    // Converted for each request, because the conversion takes time and few laptops get such a request.
    let openapi_json = move || async move {
        let document = yaml::to_json(&String::from_utf8_lossy(&for_json), |_, _| None);
        match document {
            Ok(document) => {
                ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
            }
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
        }
    };
    let page = ApiDefinition {
        uri_prefix: DOCS.to_owned(),
        api_definition: OpenApiSource::Uri(JSON.to_owned()),
        title: Some("Roster".to_owned()),
    };
    Router::new()
        .route("/v1/openapi.yaml", routing::get(openapi_yaml))
        .route(JSON, routing::get(openapi_json))
        .merge(swagger_ui_dist::generate_routes(page).layer(axum::middleware::map_response(add_page_policy)))
}

async fn add_page_policy(mut response: Response) -> Response {
    let policy = header::HeaderValue::from_static(PAGE_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}
