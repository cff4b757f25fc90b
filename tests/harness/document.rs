//! `infra/openapi.yaml`, and what it says of calls and answers.

use std::sync::OnceLock;

use http::Method;
use local::function_table::{ROUTES, Route};
use serde_json::Value;

use crate::template::{file, yaml};

/// The contract.
pub fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| yaml(&file("infra/openapi.yaml")))
}

/// The first example of a body that the contract has for a route; `None`: the route takes none.
pub fn example(route: &Route) -> Option<Value> {
    let method = route.method.as_str().to_lowercase();
    let body = &document()["paths"][route.pattern][method]["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object()?;
    examples.values().next().map(|example| example["value"].clone())
}

/// Every operation: method, path, and whether it needs sign-in.
pub fn operations() -> Vec<(String, String, bool)> {
    let document = document();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("the document has paths") {
        let methods = methods.as_object().expect("a path has methods");
        for (method, operation) in methods.iter().filter(|(name, _)| *name != "parameters") {
            let security = operation.get("security").unwrap_or(&document["security"]);
            let signed_in = security.as_array().is_some_and(|schemes| !schemes.is_empty());
            operations.push((method.to_uppercase(), path.clone(), signed_in));
        }
    }
    operations
}

/// Whether the document knows of an answer with this status and, if it is a problem, this code.
///
/// # Errors
/// What it lacks.
pub fn knows(method: &Method, path: &str, status: u16, code: Option<&str>) -> Result<(), String> {
    let fits = |pattern: &str| {
        let (path, pattern): (Vec<_>, Vec<_>) = (path.split('/').collect(), pattern.split('/').collect());
        path.len() == pattern.len()
            && path
                .iter()
                .zip(&pattern)
                .all(|(part, is)| part == is || (is.starts_with('{') && !part.is_empty()))
    };
    let Some(route) = ROUTES.iter().find(|route| route.method == *method && fits(route.pattern)) else {
        return Ok(());
    };
    let key = route.key();
    let operation = &document()["paths"][route.pattern][method.as_str().to_lowercase()];
    let mut response = &operation["responses"][status.to_string()];
    if let Some(shared) = response["$ref"].as_str() {
        let pointer = shared.trim_start_matches('#');
        response = document().pointer(pointer).ok_or_else(|| format!("{shared} is nowhere"))?;
    }
    if response.is_null() {
        return Err(format!("infra/openapi.yaml knows of no {status} for {key}"));
    }
    let Some(code) = code else { return Ok(()) };
    let schema = &response["content"]["application/problem+json"]["schema"];
    let codes = schema["allOf"][1]["properties"]["code"]["enum"].as_array();
    if codes.is_some_and(|codes| codes.iter().any(|known| known == code)) {
        return Ok(());
    }
    Err(format!("infra/openapi.yaml knows of no {status} {code} for {key}"))
}
