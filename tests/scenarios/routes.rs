//! The same routes in the document, in the template and at the laptop's gateway; and those of the pages, which are no
//! part of the contract, in the two latter. (That those of `cargo lambda watch` are the gateway's is a test of the gateway.)

use std::collections::BTreeSet;

use harness::World;
use harness::document::{document, operations};
use harness::template::{Template, file};
use local::function_table::{PAGES, ROUTES, Route};

/// What the laptop serves below `/v1` and AWS does not: an HTTP API has nothing to serve a file with.
const ONLY_HERE: &str = "/v1/openapi.yaml";

#[test]
fn document_template_and_gateway_have_the_same_routes() {
    let asked = |route: &Route| (route.method.to_string(), route.pattern.to_owned(), route.authorized);
    let contract: BTreeSet<_> = ROUTES.iter().map(asked).collect();
    assert_eq!(operations().into_iter().collect::<BTreeSet<_>>(), contract, "the document");
    let gateway: BTreeSet<_> = ROUTES.iter().chain(&*PAGES).map(asked).collect();
    let template = Template::load();
    assert_eq!(template.properties("Api")["Auth"]["DefaultAuthorizer"], "Issuer");
    let functions = template.functions();
    let deployed: BTreeSet<_> =
        functions.values().flat_map(|function| function.routes.iter().cloned()).collect();
    assert_eq!(deployed, gateway, "the template");
    for route in ROUTES.iter().chain(&*PAGES) {
        let routes = &functions[route.function].routes;
        assert!(routes.contains(&asked(route)), "{} is {}", route.key(), route.function);
    }
    // What API Gateway has no route for must not have settings, or the deployment fails.
    let keys: BTreeSet<_> = ROUTES.iter().chain(&*PAGES).map(Route::key).collect();
    let settings = template.properties("Api")["RouteSettings"].as_object().unwrap();
    assert!(settings.keys().all(|key| keys.contains(key)), "{settings:?}");
}

/// A page is told from the API by its path, and its name is nobody's id.
#[test]
fn the_contracts_routes_and_the_pages_do_not_meet() {
    assert!(ROUTES.iter().all(|route| route.pattern.starts_with("/v1/")));
    assert!(PAGES.iter().all(|route| !route.pattern.starts_with("/v1") && !route.pattern.starts_with("/_")));
}

#[tokio::test]
async fn the_laptop_serves_the_document() {
    let world = World::start().await;
    let served = world.nobody().gets(ONLY_HERE).await;
    assert_eq!(served.headers["content-type"], "application/yaml");
    assert_eq!(served.is(200), file("infra/openapi.yaml"));
    world.finish().await;
}

/// The codes of the contract are those that a problem may have; each has an example.
#[test]
fn every_code_is_documented_with_an_example() {
    let document = document();
    let codes =
        document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    let text = file("infra/openapi.yaml");
    for code in codes {
        let example = format!("type: urn:roster:problem:{}", code.as_str().unwrap());
        assert!(text.contains(&example), "{code}");
    }
}
