//! The API contract: `infra/openapi.yaml`.

use std::sync::OnceLock;

use http::Method;
use local::function_table::{ROUTES, Route};
use serde_json::Value;

use crate::template::{parse_yaml, read_file};

/// Returns the contract as JSON.
pub fn contract() -> &'static Value {
    static CONTRACT: OnceLock<Value> = OnceLock::new();
    CONTRACT.get_or_init(|| parse_yaml(&read_file("infra/openapi.yaml")))
}

/// Returns the first example of a request body for a route, or `None` if the route has no body.
pub fn example(route: &Route) -> Option<Value> {
    let method = route.method.as_str().to_lowercase();
    let body = &contract()["paths"][route.pattern][method]["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object()?;
    examples.values().next().map(|example| example["value"].clone())
}

/// Returns every operation: method, path, and whether it requires a signed-in caller.
pub fn operations() -> Vec<(String, String, bool)> {
    let contract = contract();
    let mut operations = Vec::new();
    for (path, methods) in contract["paths"].as_object().expect("the contract has paths") {
        let methods = methods.as_object().expect("a path has methods");
        for (method, operation) in methods.iter().filter(|(name, _)| *name != "parameters") {
            let security = operation.get("security").unwrap_or(&contract["security"]);
            let signed_in = security.as_array().is_some_and(|schemes| !schemes.is_empty());
            operations.push((method.to_uppercase(), path.clone(), signed_in));
        }
    }
    operations
}

/// Checks that the contract documents a response with this status and, for a problem, this code.
///
/// # Errors
/// A message that names the missing response.
pub fn check_documented(method: &Method, path: &str, status: u16, code: Option<&str>) -> Result<(), String> {
    let matches = |pattern: &str| {
        let (path, pattern): (Vec<_>, Vec<_>) = (path.split('/').collect(), pattern.split('/').collect());
        path.len() == pattern.len()
            && path
                .iter()
                .zip(&pattern)
                .all(|(part, expected)| part == expected || (expected.starts_with('{') && !part.is_empty()))
    };
    let Some(route) = ROUTES.iter().find(|route| route.method == *method && matches(route.pattern)) else {
        return Ok(());
    };
    let key = route.key();
    let operation = &contract()["paths"][route.pattern][method.as_str().to_lowercase()];
    let mut response = &operation["responses"][status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        response = contract().pointer(pointer).ok_or_else(|| format!("{reference} does not exist"))?;
    }
    if response.is_null() {
        return Err(format!("infra/openapi.yaml does not document {status} for {key}"));
    }
    let Some(code) = code else { return Ok(()) };
    let schema = &response["content"]["application/problem+json"]["schema"];
    let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
    if codes.is_some_and(|codes| codes.iter().any(|documented| documented == code)) {
        return Ok(());
    }
    Err(format!("infra/openapi.yaml does not document {status} {code} for {key}"))
}
