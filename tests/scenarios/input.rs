//! Every route refuses query parameters and bodies that it does not take, before it does anything else.
//!
//! The contract says which ones a route takes. So a new route whose function declares too much fails these tests.

use std::collections::BTreeSet;

use harness::openapi::{example, query_parameters};
use harness::{ApiResponse, Person, World};
use http::{Request, header};
use local::function_table::{PAGES, ROUTES, Route};
use serde_json::{Value, json};

use crate::every_route::{Parameters, sample_organization};

/// Calls a route with this query, and with `body` instead of the route's own body.
async fn calls(
    person: &Person,
    route: &Route,
    parameters: Parameters<'_>,
    query: &str,
    body: Option<&[u8]>,
) -> ApiResponse {
    let (method, path, valid) = parameters.call(route);
    let valid = valid.map(|body| body.to_string().into_bytes()).unwrap_or_default();
    let body = body.map_or(valid, <[u8]>::to_vec);
    let request = Request::builder().method(method).uri(format!("{path}{query}"));
    let request = request.header(header::CONTENT_TYPE, "application/json").body(body.into());
    person.sends(request.expect("this is a valid request")).await
}

/// Returns whether the response refuses exactly the parts of the request at `pointers`.
fn refuses(response: ApiResponse, pointers: &[&str]) -> bool {
    let is_at_pointers = response.pointers() == pointers;
    is_at_pointers && response.refused(400, "malformed_request")["errors"].is_array()
}

#[tokio::test]
async fn every_route_refuses_query_parameters_that_the_contract_does_not_name() {
    let world = World::start().await;
    let sample = sample_organization(&world).await;
    let token = world.token_for("ivy@example.com").await;
    let parameters =
        Parameters { organization: &sample.acme.id, invitation: &sample.rob, user: "mem", token: &token };
    let documented: BTreeSet<_> = ROUTES.iter().flat_map(query_parameters).collect();
    assert!(documented.contains("cursor") && documented.contains("role"), "{documented:?}");
    let names = documented.iter().map(String::as_str).chain(["user_id", "token", "Limit", "role[]"]);
    let names: Vec<_> = names.collect();
    let before = world.records().await;
    for route in &*ROUTES {
        let known = query_parameters(route);
        for name in names.iter().filter(|name| !known.iter().any(|known| known == *name)) {
            let pointer = format!("/{name}");
            for query in [format!("?{name}=owner"), format!("?{name}"), format!("?{name}=&{name}=x")] {
                let response = calls(&sample.ada, route, parameters, &query, None).await;
                assert!(refuses(response, &[&pointer]), "{} {query}", route.key());
            }
        }
        let response = calls(&sample.ada, route, parameters, "?a%2Fb~c=x&user_id=nobody", None).await;
        assert!(refuses(response, &["/a~1b~0c", "/user_id"]), "{}", route.key());
    }
    assert_eq!(world.records().await, before, "a refused call changes nothing");
    world.finish().await;
}

#[tokio::test]
async fn every_route_without_a_body_refuses_any_body() {
    let world = World::start().await;
    let sample = sample_organization(&world).await;
    let parameters =
        Parameters { organization: &sample.acme.id, invitation: &sample.rob, user: "mem", token: "-" };
    let before = world.records().await;
    let mut count = 0;
    for route in ROUTES.iter().filter(|route| example(route).is_none()) {
        count += 1;
        let huge = b" ".repeat(65 * 1024);
        for body in [&br#"{"role":"owner"}"#[..], b"{}", b" ", b"null", &[0xff], &huge] {
            let response = calls(&sample.ada, route, parameters, "", Some(body)).await;
            assert!(refuses(response, &[""]), "{} {:.20}", route.key(), String::from_utf8_lossy(body));
        }
        let response = calls(&sample.ada, route, parameters, "?all=true", Some(b"{}")).await;
        assert!(refuses(response, &["/all", ""]), "{}", route.key());
    }
    assert_eq!(count, 7, "four lists, resend, revoke and remove");
    assert_eq!(world.records().await, before, "a refused call changes nothing");
    world.finish().await;
}

#[tokio::test]
async fn an_unknown_parameter_reveals_nothing_about_an_organization() {
    let world = World::start().await;
    let sample = sample_organization(&world).await;
    let existing =
        Parameters { organization: &sample.acme.id, invitation: &sample.rob, user: "mem", token: "-" };
    let invented = Parameters { organization: "org_0", invitation: "inv_0", user: "nobody", token: "-" };
    let mallory = world.person("mallory");
    let _ = world.wire().take_requests();
    for route in &*ROUTES {
        let mut texts = BTreeSet::new();
        for (person, parameters) in
            [(&sample.ada, existing), (&mallory, existing), (&sample.gone, existing), (&mallory, invented)]
        {
            let response = calls(person, route, parameters, "?user_id=nobody", None).await;
            texts.insert(response.text.clone());
            assert!(refuses(response, &["/user_id"]), "{}", route.key());
        }
        assert_eq!(texts.len(), 1, "{}: {texts:?}", route.key());
        if route.authorized {
            let response = calls(&world.anonymous(), route, existing, "?user_id=nobody", None).await;
            assert_eq!(response.is(401), json!({ "message": "Unauthorized" }), "{}", route.key());
        }
    }
    assert!(world.wire().take_requests().is_empty(), "no call reads the table");
    world.finish().await;
}

#[tokio::test]
async fn the_detail_names_the_parameters_that_the_route_takes() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let detail = async |path: &str| {
        let problem = ada.gets(path).await.refused(400, "malformed_request");
        (problem["errors"][0]["detail"].clone(), problem["detail"].clone())
    };
    let members = "unknown query parameter; this request takes `cursor`, `limit` and `role`";
    assert_eq!(
        detail(&acme.path("/members?user_id=nobody")).await,
        (json!(members), json!(format!("/user_id: {members}.")))
    );
    let one = "unknown query parameter; this request takes none";
    assert_eq!(detail(&acme.path("?user_id=nobody")).await.0, one);
    let with_body = ada.calls(http::Method::DELETE, &acme.path("/members/ada"), Some("{}".to_owned())).await;
    let problem: Value = with_body.refused(400, "malformed_request");
    assert_eq!(problem["detail"], "body: this request takes no body.");
    world.finish().await;
}

#[tokio::test]
async fn pages_take_any_query_parameters() {
    let world = World::start().await;
    for route in PAGES.iter().filter(|route| !route.pattern.contains('{')) {
        let bare = world.anonymous().gets(route.pattern).await;
        let query = "?code=abc&state=x&utm_source=mail";
        let queried = world.anonymous().gets(&format!("{}{query}", route.pattern)).await;
        assert_eq!((queried.status, queried.text), (bare.status, bare.text), "{}", route.pattern);
        assert!(queried.status.is_success(), "{}: {}", route.pattern, queried.status);
    }
    world.finish().await;
}
