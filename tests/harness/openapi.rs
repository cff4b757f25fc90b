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

/// Returns the names of the query parameters of a route.
pub fn query_parameters(route: &Route) -> Vec<String> {
    let path = &contract()["paths"][route.pattern];
    let operation = &path[route.method.as_str().to_lowercase()];
    let parameters = [&path["parameters"], &operation["parameters"]];
    let parameters = parameters.into_iter().filter_map(Value::as_array).flatten().map(resolve);
    let of_query = parameters.filter(|parameter| parameter["in"] == "query");
    of_query.map(|parameter| parameter["name"].as_str().expect("a parameter has a name").to_owned()).collect()
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

/// Checks a response: the contract documents its status, its code, and each part of its body.
///
/// The check is stricter than the contract, which lets responses grow: a field that is not documented fails, and so
/// does a value that an open enumeration does not list.
///
/// # Errors
/// A message that names the part of the response that is not documented.
pub fn check_documented(method: &Method, path: &str, status: u16, body: &Value) -> Result<(), String> {
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
    let place = format!("{status} of {}", route.key());
    let operation = &contract()["paths"][route.pattern][method.as_str().to_lowercase()];
    let response = resolve(&operation["responses"][status.to_string()]);
    if response.is_null() {
        return Err(format!("infra/openapi.yaml does not document {place}"));
    }
    // The introduction of the contract documents API Gateway's own responses.
    if status >= 400 && body["code"].is_null() {
        return check_value(&contract()["components"]["schemas"]["GatewayMessage"], body, &place);
    }
    let Some(content) = response["content"].as_object() else {
        let undocumented = format!("infra/openapi.yaml documents no body for {place}");
        return if body.is_null() { Ok(()) } else { Err(undocumented) };
    };
    let media = content.values().next().filter(|_| content.len() == 1);
    let media = media.ok_or_else(|| format!("infra/openapi.yaml needs one media type for {place}"))?;
    let mut examples = media["examples"].as_object().into_iter().flat_map(serde_json::Map::values);
    let code = &body["code"];
    if status >= 400 && !examples.any(|example| example["value"]["code"] == *code) {
        return Err(format!("infra/openapi.yaml has no example with the code {code} for {place}"));
    }
    check_value(&media["schema"], body, &place)
}

/// Returns the object that `node` refers to, or `node` itself.
fn resolve(node: &'static Value) -> &'static Value {
    let Some(reference) = node["$ref"].as_str() else { return node };
    let target = contract().pointer(reference.trim_start_matches('#'));
    target.unwrap_or_else(|| panic!("infra/openapi.yaml has no {reference}"))
}

/// Checks that the schema describes every part of the value at `place`.
fn check_value(schema: &'static Value, value: &Value, place: &str) -> Result<(), String> {
    let schema = resolve(schema);
    if let Some(discriminator) = schema.get("discriminator") {
        let name = discriminator["propertyName"].as_str().expect("a discriminator has a name");
        let reference = value[name].as_str().and_then(|value| discriminator["mapping"][value].as_str());
        let reference =
            reference.ok_or_else(|| format!("{place}/{name} has no documented value: {value}"))?;
        let target = contract().pointer(reference.trim_start_matches('#'));
        return check_value(target.expect("a mapping refers to a schema"), value, place);
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = &schema["type"];
    if types != kind && !types.as_array().is_some_and(|types| types.contains(&kind.into())) {
        return Err(format!("{place} is documented as {types}: {value}"));
    }
    let listed = match schema["x-open-enum"].as_str() {
        Some(name) => &contract()["components"]["schemas"][name]["enum"],
        None => &schema["enum"],
    };
    if !value.is_null() && listed.as_array().is_some_and(|values| !values.contains(value)) {
        return Err(format!("{place} has a value that is not documented: {value}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        check_value(&schema["items"], item, &format!("{place}/{index}"))?;
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        let documented = schema["properties"].get(name);
        check_value(documented.ok_or_else(|| format!("{place} is not documented"))?, field, &place)?;
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    match required.filter(|_| value.is_object()).find(|name| value.get(name).is_none()) {
        Some(name) => Err(format!("{place}/{name} is missing")),
        None => Ok(()),
    }
}
