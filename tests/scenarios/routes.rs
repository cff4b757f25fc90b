//! The same routes in the document, in the template and at the laptop's gateway. (That those of
//! `cargo lambda watch` are the gateway's is a test of the gateway.)

use std::collections::BTreeSet;

use dev::gateway::ROUTES;
use world::World;
use world::document::{document, operations};
use world::template::{Template, file};

/// What the laptop serves below `/v1` and AWS does not: an HTTP API has nothing to serve a file with.
const ONLY_HERE: &str = "/v1/openapi.yaml";

#[test]
fn document_template_and_gateway_have_the_same_routes() {
    let gateway: BTreeSet<_> = ROUTES
        .iter()
        .map(|route| (route.method.to_string(), route.pattern.to_owned(), route.authorized))
        .collect();
    assert_eq!(operations().into_iter().collect::<BTreeSet<_>>(), gateway, "the document");
    let template = Template::load();
    assert_eq!(template.properties("Api")["Auth"]["DefaultAuthorizer"], "Issuer");
    let functions = template.functions();
    let deployed: BTreeSet<_> =
        functions.values().flat_map(|function| function.routes.iter().cloned()).collect();
    assert_eq!(deployed, gateway, "the template");
    for route in ROUTES {
        let asked = (route.method.to_string(), route.pattern.to_owned(), route.authorized);
        assert!(functions[route.function].routes.contains(&asked), "{} is {}", route.key(), route.function);
    }
}

#[tokio::test]
async fn the_laptop_serves_the_document() {
    let world = World::start().await;
    let served = world.nobody().gets(ONLY_HERE).await;
    assert_eq!(served.headers["content-type"], "application/yaml");
    assert_eq!(served.is(200), file("infra/openapi.yaml"));
    world.ends_well().await;
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
