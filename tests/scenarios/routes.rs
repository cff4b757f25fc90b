//! The contract (`infra/openapi.yaml`), the template and the laptop's gateway have the same routes.
//!
//! The routes of the pages exist only in the template and at the gateway. A test of the gateway checks the routes of
//! `cargo lambda watch`.

use std::collections::BTreeSet;

use harness::World;
use harness::openapi::{contract, operations};
use harness::template::{Template, read_file};
use local::function_table::{PAGES, ROUTES, Route};

/// The only path below `/v1` that the laptop serves and AWS does not, because an HTTP API cannot serve a file.
const LAPTOP_ONLY: &str = "/v1/openapi.yaml";

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
    // A deployment fails if a route has settings but does not exist.
    let keys: BTreeSet<_> = ROUTES.iter().chain(&*PAGES).map(Route::key).collect();
    let settings = template.properties("Api")["RouteSettings"].as_object().unwrap();
    assert!(settings.keys().all(|key| keys.contains(key)), "{settings:?}");
}

/// No page has a path that the API or the laptop's own pages use.
#[test]
fn the_paths_of_the_contract_and_of_the_pages_differ() {
    assert!(ROUTES.iter().all(|route| route.pattern.starts_with("/v1/")));
    assert!(PAGES.iter().all(|route| !route.pattern.starts_with("/v1") && !route.pattern.starts_with("/_")));
}

#[tokio::test]
async fn the_laptop_serves_the_contract() {
    let world = World::start().await;
    let served = world.anonymous().gets(LAPTOP_ONLY).await;
    assert_eq!(served.headers["content-type"], "application/yaml");
    assert_eq!(served.is(200), read_file("infra/openapi.yaml"));
    world.finish().await;
}

#[test]
fn every_problem_code_has_an_example_in_the_contract() {
    let contract = contract();
    let codes =
        contract["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    let text = read_file("infra/openapi.yaml");
    for code in codes {
        let example = format!("type: urn:roster:problem:{}", code.as_str().unwrap());
        assert!(text.contains(&example), "{code}");
    }
}
