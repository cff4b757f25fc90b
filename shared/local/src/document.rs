//! Serves the API contract, with the laptop's own address, and a page that shows it.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing;
use bytes::Bytes;
use http::{StatusCode, header};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Value, json};
use swagger_ui_dist::{ApiDefinition, OpenApiSource};

/// The API contract: the text of `infra/openapi.yaml`.
pub const OPENAPI: &str = include_str!("../../../infra/openapi.yaml");
/// The path of the page that shows the contract.
pub const DOCS: &str = "/docs";
/// The path of the contract in JSON.
const JSON: &str = "/v1/openapi.json";
/// The laptop's address in [`OPENAPI`].
const DEFAULT_URL: &str = "http://127.0.0.1:4000";
/// The permissions of the page: its own scripts and styles, and requests to the laptop. Swagger UI sets styles in its
/// elements, and has icons as data URLs.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; \
    style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// Creates the routes of the contract for the laptop at `url`. They exist only on the laptop, because an HTTP API cannot
/// serve a file.
pub fn router(url: &str) -> Router {
    let yaml: Bytes = OPENAPI.replace(DEFAULT_URL, url).into();
    let document = json_document(url).map(|document| Bytes::from(document.to_string()));
    let openapi_json = move || async move {
        match document {
            Some(document) => ([(header::CONTENT_TYPE, "application/json")], document).into_response(),
            None => (StatusCode::INTERNAL_SERVER_ERROR, "the contract is not valid YAML\n").into_response(),
        }
    };
    let openapi_yaml = move || async move { ([(header::CONTENT_TYPE, "application/yaml")], yaml) };
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

/// Returns the contract for the laptop at `url` as JSON. Returns `None` if it is not valid YAML.
fn json_document(url: &str) -> Option<Value> {
    let documents = Yaml::load_from_str(&OPENAPI.replace(DEFAULT_URL, url)).ok()?;
    to_json(documents.first()?)
}

fn to_json(yaml: &Yaml<'_>) -> Option<Value> {
    Some(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(value)) => json!(value),
        Yaml::Sequence(items) => items.iter().map(to_json).collect::<Option<_>>()?,
        Yaml::Mapping(entries) => {
            let entry = |(key, item): (&Yaml<'_>, &Yaml<'_>)| {
                let key = match to_json(key)? {
                    Value::String(key) => key,
                    // Status codes are numbers in YAML.
                    key => key.to_string(),
                };
                Some((key, to_json(item)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Option<Map<_, _>>>()?)
        }
        _ => return None,
    })
}
