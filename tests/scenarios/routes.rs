//! The contract (`infra/openapi.yaml`), the template and the laptop's gateway have the same routes.
//!
//! The routes of the pages exist only in the template and at the gateway. A test of the gateway checks the routes of
//! `cargo lambda watch`.

use std::collections::BTreeSet;

use harness::World;
use harness::openapi::{check_documented, contract, operations};
use harness::template::{Template, read_file};
use http::Method;
use local::function_table::{PAGES, ROUTES, Route};
use serde_json::{Value, json};

#[test]
fn contract_template_and_gateway_have_the_same_routes() {
    let description = |route: &Route| (route.method.to_string(), route.pattern.to_owned(), route.authorized);
    let contract: BTreeSet<_> = ROUTES.iter().map(description).collect();
    assert_eq!(operations().into_iter().collect::<BTreeSet<_>>(), contract, "the contract");
    let gateway: BTreeSet<_> = ROUTES.iter().chain(&*PAGES).map(description).collect();
    let template = Template::load();
    assert_eq!(template.properties("Api")["Auth"]["DefaultAuthorizer"], "Issuer");
    let functions = template.functions();
    let deployed: BTreeSet<_> =
        functions.values().flat_map(|function| function.routes.iter().cloned()).collect();
    assert_eq!(deployed, gateway, "the template");
    for route in ROUTES.iter().chain(&*PAGES) {
        let routes = &functions[route.function].routes;
        assert!(routes.contains(&description(route)), "{} belongs to {}", route.key(), route.function);
    }
}

/// The settings of a route outlive the route. Afterwards, each deployment that changes the stage fails.
///
/// So a route of the console, which a parameter removes, has no settings. The only other route without sign-in is part
/// of the contract. To rename it, an operator must first delete its settings.
#[test]
fn only_a_route_that_every_deployment_has_may_have_settings() {
    let template = Template::load();
    let limit = json!({ "ThrottlingRateLimit": 50, "ThrottlingBurstLimit": 100 });
    let expected = json!({ "POST /v1/invitations/preview": limit });
    assert_eq!(template.properties("Api")["RouteSettings"], expected);
    let route = ROUTES.iter().find(|route| route.key() == "POST /v1/invitations/preview");
    assert!(route.is_some_and(|route| !route.authorized));
}

/// No page has a path that the API or the laptop's own pages use.
#[test]
fn the_paths_of_the_contract_and_of_the_pages_differ() {
    assert!(ROUTES.iter().all(|route| route.pattern.starts_with("/v1/")));
    assert!(PAGES.iter().all(|route| !route.pattern.starts_with("/v1") && !route.pattern.starts_with("/_")));
}

#[tokio::test]
async fn the_laptop_serves_the_contract_with_its_own_address() {
    let world = World::start().await;
    let url = world.laptop().url();
    let yaml = world.anonymous().gets("/v1/openapi.yaml").await;
    assert_eq!(yaml.headers["content-type"], "application/yaml");
    let expected = read_file("infra/openapi.yaml").replace("http://127.0.0.1:4000", url);
    assert!(expected.contains(url));
    assert_eq!(yaml.is(200), expected);

    let json = world.anonymous().gets("/v1/openapi.json").await;
    assert_eq!(json.headers["content-type"], "application/json");
    let json = json.is(200);
    assert_eq!(json["servers"][0]["url"], url);
    let mut expected = contract().clone();
    expected["servers"][0]["url"] = url.into();
    assert_eq!(json, expected);
    world.finish().await;
}

#[tokio::test]
async fn the_laptop_shows_the_contract_as_a_page_without_network() {
    let world = World::start().await;
    let page = world.anonymous().gets("/docs").await;
    let policy = page.headers["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    let html = page.is(200);
    let html = html.as_str().unwrap();
    assert!(html.contains("/v1/openapi.json"), "{html}");
    let assets: Vec<_> = ["href=\"", "src=\""].iter().flat_map(|name| html.split(name).skip(1)).collect();
    assert!(assets.len() >= 2, "{html}");
    for asset in assets {
        let path = asset.split('"').next().unwrap();
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/docs/{path}") };
        world.anonymous().gets(&path).await.is(200);
    }
    world.finish().await;
}

#[test]
fn every_problem_code_has_an_example_in_the_contract() {
    let codes = contract()["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    let text = read_file("infra/openapi.yaml");
    for code in codes {
        let example = format!("type: urn:roster:problem:{}", code.as_str().unwrap());
        assert!(text.contains(&example), "{code}");
    }
}

/// The harness checks every response of every scenario against the contract. This test shows that the check can fail.
#[test]
fn responses_that_the_contract_does_not_document_fail() {
    let member = json!({ "user_id": "ada", "email": "ada@example.com", "role": "owner", "joined_at": "2026-11-24T07:35:51Z" });
    let page = |change: &dyn Fn(&mut Value)| {
        let mut body = json!({ "items": [member], "next_cursor": null });
        change(&mut body);
        check_documented(&Method::GET, "/v1/organizations/org_1/members", 200, &body)
    };
    assert_eq!(page(&|_| {}), Ok(()));
    assert!(page(&|body| body["total"] = json!(1)).is_err(), "an additional field");
    assert!(page(&|body| body["items"][0]["name"] = json!("Ada")).is_err(), "an additional field of an item");
    assert!(page(&|body| body["items"][0]["role"] = json!("admin")).is_err(), "another value");
    assert!(page(&|body| body["items"][0]["email"] = json!(null)).is_err(), "another type");
    assert!(page(&|body| body["items"][0].as_object_mut().unwrap().remove("role").map_or((), drop)).is_err());
    let problem = |status: u16, code: &str| {
        let body = json!({
            "type": format!("urn:roster:problem:{code}"), "title": "No", "status": status, "detail": "No.", "code": code,
        });
        check_documented(&Method::GET, "/v1/organizations/org_1/members", status, &body)
    };
    assert_eq!(problem(404, "organization_not_found"), Ok(()));
    assert!(problem(404, "member_not_found").is_err(), "a code of another operation");
    assert!(problem(409, "conflict").is_err(), "another status");
    let gateway = json!({ "message": "Unauthorized" });
    assert_eq!(check_documented(&Method::GET, "/v1/organizations", 401, &gateway), Ok(()));
}
