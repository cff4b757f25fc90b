//! Attacks on all routes, and properties of all responses. `ATTACKS.md` lists every attack with its tests.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use harness::{ApiResponse, AwsRequest, Fault, Forgery, Organization, Person, World, id};
use http::{HeaderMap, Method, Request, header};
use local::function_table::{ROUTES, Route};
use serde_json::{Value, json};

use crate::every_route::{Parameters, SampleOrganization, call_all, call_route, sample_organization};

/// Well-formed ids of an organization and an invitation that do not exist.
const NO_ORGANIZATION: &str = "org_00000000000000000000000000";
const NO_INVITATION: &str = "inv_00000000000000000000000000";
const READS: [&str; 2] = ["GetItem", "TransactGetItems"];

/// Returns the routes with an organization in their path.
fn organization_routes() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.pattern.contains("{organization_id}"))
}

/// A call with the id of an invitation or of a member.
type CallById = for<'a> fn(&'a Person, &'a Organization, &'a str) -> BoxFuture<'a, ApiResponse>;

/// The response is the same for an existing id of another organization, an unknown id, and an invalid id.
#[tokio::test]
async fn s18_does_not_find_ids_of_another_organization() {
    let of_an_invitation: [(&str, CallById); 2] = [
        ("resend", |person, organization, id| Box::pin(person.resends(organization, id))),
        ("revoke", |person, organization, id| Box::pin(person.revokes(organization, id))),
    ];
    let of_a_member: [(&str, CallById); 2] = [
        ("role-edit", |person, organization, id| Box::pin(person.edits_role(organization, id, "owner"))),
        ("remove", |person, organization, id| Box::pin(person.removes(organization, id))),
    ];
    let world = World::start().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let (acme, evil) = (world.founded_by(&ada).await, world.founded_by(&eve).await);
    let invitation = world.invited(&acme, &ada, "kim@example.com", "member").await;
    world.joined(&acme, &ada, "bob", "member").await;
    world.invited(&evil, &eve, "zoe@example.com", "member").await;
    let no_ids = [NO_INVITATION, "inv_1", "kim@example.com", &acme.id];
    let no_users = ["ada", "zoe", "eve@example.com", "Eve", "eve ", "MEMBER#eve", "\u{0}"];
    let neither = ["a/b", "%41", "%00", "ü |"];
    for (calls, theirs, none, code) in [
        (of_an_invitation, id(&invitation), &no_ids[..], "invitation_not_found"),
        (of_a_member, "bob", &no_users[..], "member_not_found"),
    ] {
        for (name, call) in calls {
            let not_found = call(&eve, &evil, theirs).await.refused(404, code);
            for other in none.iter().chain(&neither) {
                assert_eq!(call(&eve, &evil, other).await.refused(404, code), not_found, "{name} of {other}");
            }
            let stranger = call(&eve, &acme, theirs).await.refused(404, "organization_not_found");
            for nowhere in [NO_ORGANIZATION, "nowhere", "%41", "a/b"] {
                let response = call(&eve, &Organization::new(nowhere), theirs).await;
                assert_eq!(response.refused(404, "organization_not_found"), stranger, "{name} in {nowhere}");
            }
        }
    }
    assert_eq!(ada.finds_invitation(&acme, "kim@example.com").await["status"], "pending");
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    world.finish().await;
}

/// Removes the headers that differ between equal requests.
fn comparable(response: &ApiResponse) -> ApiResponse {
    let mut comparable = response.clone();
    comparable.headers.remove("apigw-requestid");
    comparable.headers.remove("date");
    comparable.headers.remove("content-length");
    comparable
}

/// Makes a call. Returns the response, and operation and number of items of each request to AWS.
async fn with_requests(
    world: &World,
    call: impl Future<Output = ApiResponse>,
) -> (ApiResponse, Vec<(String, usize)>) {
    let _ = world.wire().take_requests();
    let response = call.await;
    let items = |request: &AwsRequest| request.body["TransactItems"].as_array().map_or(1, Vec::len);
    let sent = world.wire().take_requests().into_iter().filter(|request| request.from_api_call);
    let mut sent: Vec<_> = sent.map(|request| (request.operation.clone(), items(&request))).collect();
    // Sorted because concurrent requests have no fixed order.
    sent.sort();
    (comparable(&response), sent)
}

/// Calls every route three times: with a 2xx, a 4xx, and (while the table fails) a 5xx response.
async fn responses_of_each_class(world: &World) -> Vec<(&'static Route, ApiResponse)> {
    let SampleOrganization { ada, acme, rob, .. } = sample_organization(world).await;
    let ivys = world.token_for("ivy@example.com").await;
    let parameters = Parameters { organization: &acme.id, invitation: &rob, user: "mem", token: &ivys };
    let mut responses = Vec::new();
    for operation in ["TransactGetItems", "TransactWriteItems", "GetItem", "Query"] {
        world.wire().inject_api_fault(operation, Fault::Refused("AccessDeniedException"), usize::MAX);
    }
    for route in &*ROUTES {
        responses.push((route, call_route(&ada, route, parameters).await));
    }
    world.wire().clear_faults();
    let nowhere =
        Parameters { organization: "nowhere", invitation: "nothing", user: "unknown", token: "forged" };
    for route in &*ROUTES {
        let (method, path, body) = nowhere.call(route);
        let refused = match path.as_str() {
            "/v1/organizations" if method == Method::POST => ada.creates("https://evil.example").await,
            "/v1/organizations" => ada.gets("/v1/organizations?limit=0").await,
            path => ada.calls(method, path, body.map(|body| body.to_string())).await,
        };
        responses.push((route, refused));
    }
    responses.extend(call_all(world, &ada, parameters).await);
    responses
}

#[tokio::test]
async fn s19_s21_every_response_has_exactly_the_security_headers() {
    let world = World::start().await;
    let responses = responses_of_each_class(&world).await;
    let classes: BTreeSet<_> =
        responses.iter().map(|(route, response)| (route.key(), response.status.as_u16() / 100)).collect();
    assert_eq!(classes.len(), 3 * ROUTES.len(), "each route responds with 2xx, 4xx and 5xx: {classes:#?}");
    for (route, response) in responses {
        let mut expected = vec![
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000"),
            ("x-content-type-options", "nosniff"),
        ];
        match response.status.as_u16() {
            204 => {}
            200..300 => expected.push(("content-type", "application/json")),
            _ => expected.push(("content-type", "application/problem+json")),
        }
        expected.sort_unstable();
        let response = comparable(&response);
        let headers: BTreeSet<_> =
            response.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        // No other headers: no cookies, no CORS, no name of the software.
        assert_eq!(headers, expected.into_iter().collect(), "{} {}", route.key(), response.status);
    }
    world.finish().await;
}

#[tokio::test]
async fn s19_no_response_contains_a_link_or_token() {
    let world = World::start().await;
    let SampleOrganization { ada, mem, gone, acme, rob } = sample_organization(&world).await;
    let link = world.mails_to("rob@example.com").await[0]["link"].as_str().unwrap().to_owned();
    let (url, token) = link.split_once('#').unwrap();
    let mac = token.rsplit_once('.').unwrap().1;
    let parameters = Parameters { organization: &acme.id, invitation: &rob, user: "unknown", token };
    let (mut statuses, mut seen) = (BTreeSet::new(), String::new());
    for person in [&world.anonymous(), &world.person("eve"), &gone, &world.person("rob"), &mem, &ada] {
        for route in &*ROUTES {
            let response = call_route(person, route, parameters).await;
            statuses.insert(response.status.as_u16());
            seen.extend([format!("{:?}", response.headers), response.body.to_string()]);
        }
    }
    assert_eq!(statuses, [200, 201, 401, 403, 404, 409, 410].into());
    assert!(seen.contains("rob@example.com"), "members saw the invitation");
    for secret in [mac, url, "v1.dev.", "/accept", "#"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    world.finish().await;
}

#[tokio::test]
async fn s20_s35_strangers_get_the_same_response_whether_or_not_the_organization_exists() {
    let world = World::start().await;
    let SampleOrganization { gone, acme, rob, .. } = sample_organization(&world).await;
    let strangers = [
        ("a stranger", world.person("eve")),
        ("an invitee", world.person("rob")),
        ("a removed member", gone),
        ("a stranger without an address", world.signed_in("eve", json!({}))),
        // Idempotency keys of strangers are neither read nor stored.
        ("a stranger with a key", world.person("eve").with_key("k")),
    ];
    for route in organization_routes() {
        for (who, stranger) in &strangers {
            let refused = ["organization_not_found", "email_not_verified"];
            let own = stranger.sub.as_str();
            let mut responses = Vec::new();
            // Whether the invitation or the member exists makes no difference.
            for (invitation, user) in [(rob.as_str(), "mem"), (NO_INVITATION, "unknown"), (&rob, own)] {
                let real = Parameters { organization: &acme.id, invitation, user, token: "" };
                let (response, sent) = with_requests(&world, call_route(stranger, route, real)).await;
                assert!(refused.contains(&response.code()), "{who}: {} {}", route.key(), response.body);
                assert!(sent.iter().all(|(kind, _)| READS.contains(&kind.as_str())), "{sent:?}");
                assert!(sent.len() <= 1, "{}: {sent:?}", route.key());
                let none = Parameters { organization: NO_ORGANIZATION, ..real };
                let nowhere = with_requests(&world, call_route(stranger, route, none)).await;
                assert_eq!(nowhere, (response.clone(), sent.clone()), "{who}: {}", route.key());
                responses.push((response, sent));
            }
            assert_eq!(responses[0], responses[1], "{who}: {}", route.key());
            assert_eq!(responses[0].0, responses[2].0, "{who}: {}", route.key());
        }
    }
    world.finish().await;
}

/// Uses the emulated KMS as on AWS, so that requests to KMS are compared as well.
#[tokio::test]
async fn s01_s36_every_forged_token_gets_the_same_response_for_the_same_requests() {
    let world = World::with(harness::Options { kms: true, ..Default::default() }).await;
    let (forgeries, acme) = world.forgeries().await;
    assert_eq!(forgeries.len(), 14);
    let before = world.records().await;
    // The response is the same for the invitee, a member, an owner, a stranger, and a caller without an address.
    let without_address = world.signed_in("bob", json!({}));
    let callers =
        ["bob", "accepted", "ada", "eve"].map(|name| world.person(name)).into_iter().chain([without_address]);
    let first = comparable(&world.anonymous().previews("malformed").await);
    first.clone().refused(400, "invalid_token");
    for caller in callers.collect::<Vec<_>>() {
        let mut requests = Vec::new();
        for Forgery { cause, token } in &forgeries {
            let calls = [
                with_requests(&world, world.anonymous().previews(token)).await,
                with_requests(&world, caller.previews(token)).await,
                with_requests(&world, caller.accepts(token)).await,
                with_requests(&world, caller.declines(token)).await,
            ];
            for (response, _) in &calls {
                assert_eq!(*response, first, "{cause}");
            }
            requests.push((cause, calls.map(|(_, sent)| sent)));
        }
        // Without a request to the table, the response time cannot depend on the table's contents.
        for (cause, sent) in requests {
            for sent in sent {
                assert_eq!(sent, [("VerifyMac".to_owned(), 1)], "{cause}");
            }
        }
    }
    assert_eq!(world.records().await, before);
    assert_eq!(world.person("ada").finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    world.finish().await;
}

#[tokio::test]
async fn s31_removing_or_demoting_a_member_takes_effect_at_once_on_every_route() {
    let world = World::start().await;
    let SampleOrganization { ada, mem, acme, rob, .. } = sample_organization(&world).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let sam = world.joined(&acme, &ada, "sam", "owner").await;
    // Tokens from before the change, which are still valid.
    let token = async |name: &str| {
        let claims = json!({ "sub": name, "email": format!("{name}@example.com"), "email_verified": true });
        let response = world.anonymous().posts("/_dev/token", &claims).await.is(200);
        response["access_token"].as_str().unwrap().to_owned()
    };
    let (bob, sam) = (bob.with_token(&token("bob").await), sam.with_token(&token("sam").await));
    let parameters = Parameters { organization: &acme.id, invitation: &rob, user: "mem", token: "" };
    ada.removes(&acme, "bob").await.is(204);
    for route in organization_routes() {
        call_route(&bob, route, parameters).await.refused(404, "organization_not_found");
    }
    assert_eq!(bob.lists_organizations().await.items(), Vec::<Value>::new());
    ada.edits_role(&acme, "sam", "member").await.is(200);
    world.invited(&acme, &ada, "zoe@example.com", "owner").await;
    let zoe = ada.finds_invitation(&acme, "zoe@example.com").await;
    sam.invites(&acme, &["new@example.com"], "owner").await.refused(403, "role_not_grantable");
    sam.resends(&acme, id(&zoe)).await.refused(403, "role_not_grantable");
    sam.revokes(&acme, id(&zoe)).await.refused(403, "role_not_grantable");
    sam.edits_role(&acme, "mem", "owner").await.refused(403, "owner_required");
    sam.edits_role(&acme, "sam", "owner").await.refused(403, "owner_required");
    sam.removes(&acme, "mem").await.refused(403, "owner_required");
    sam.renames(&acme, "Acme of Sam").await.refused(403, "owner_required");
    assert_eq!(sam.gets_organization(&acme).await.is(200)["role"], "member");
    assert_eq!(mem.lists_members(&acme, "?role=owner").await.items().len(), 1, "ada");
    world.finish().await;
}

#[tokio::test]
async fn s18_a_member_of_two_organizations_finds_an_id_only_in_its_own() {
    let world = World::start().await;
    let SampleOrganization { ada, acme, rob, .. } = sample_organization(&world).await;
    let other = world.founded_by(&ada).await;
    let before = world.records().await;
    let parameters = Parameters { organization: &other.id, invitation: &rob, user: "mem", token: "" };
    for route in organization_routes() {
        let code = match route.pattern {
            pattern if pattern.contains("{invitation_id}") => "invitation_not_found",
            pattern if pattern.contains("{user_id}") => "member_not_found",
            _ => continue,
        };
        call_route(&ada, route, parameters).await.refused(404, code);
    }
    assert_eq!(world.records().await, before);
    assert_eq!(ada.finds_invitation(&acme, "rob@example.com").await["status"], "pending");
    world.finish().await;
}

#[tokio::test]
async fn s32_every_route_refuses_huge_deep_and_binary_bodies() {
    let world = World::start().await;
    let SampleOrganization { ada, acme, .. } = sample_organization(&world).await;
    let parameters =
        Parameters { organization: &acme.id, invitation: NO_INVITATION, user: "unknown", token: "forged" };
    let bodies = [
        vec![b' '; 64 * 1024 + 1],
        vec![0xff; 10 * 1024],
        "[".repeat(60 * 1024).into_bytes(),
        "{\"a\":".repeat(12 * 1024).into_bytes(),
        json!({ "token": "\u{0}".repeat(8 * 1024) }).to_string().into_bytes(),
    ];
    for route in &*ROUTES {
        for kind in ["application/json", "application/octet-stream", "multipart/form-data"] {
            for body in &bodies {
                let (method, path, valid) = parameters.call(route);
                let request = Request::builder().method(method).uri(&path).header(header::CONTENT_TYPE, kind);
                let response = ada.sends(request.body(body.clone().into()).unwrap()).await;
                let expected = match (body.len(), &valid) {
                    (65_537.., Some(_)) => "413 too_large",
                    (_, Some(_)) if response.code() == "invalid_token" => "400 invalid_token",
                    _ => "400 malformed_request",
                };
                assert_eq!(response.status_and_code(), expected, "{}", route.key());
                let (status, code) = (response.status.as_u16(), response.code().to_owned());
                if !code.is_empty() {
                    response.refused(status, &code);
                }
            }
        }
    }
    world.finish().await;
}

/// CORS headers as in the template for configured origins, and none for others.
#[tokio::test]
async fn only_configured_origins_may_call_the_api_from_a_page() {
    let app = "https://app.example.com";
    let configured =
        harness::Options { origins: vec![local::cors::origin(app).unwrap()], ..Default::default() };
    let (world, strict) = (World::with(configured).await, World::start().await);
    let cors = |headers: &HeaderMap| {
        let cors = headers.iter().filter(|(name, _)| name.as_str().starts_with("access-control-"));
        cors.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect::<BTreeSet<_>>()
    };
    let send = async |world: &World, method: Method, origin: &str| {
        let request =
            Request::builder().method(method).uri("/v1/organizations").header(header::ORIGIN, origin);
        let request = request.header("access-control-request-method", "POST");
        world.person("ada").sends(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let preflight = send(&world, Method::OPTIONS, app).await;
    assert!(preflight.status.is_success(), "{preflight:?}");
    let template = harness::template::Template::load();
    let cors_configuration = &template.properties("Api")["CorsConfiguration"]["Fn::If"][1];
    let list = |property: &str| {
        let words = cors_configuration[property].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        words.collect::<Vec<_>>().join(",")
    };
    let expected = [
        ("access-control-allow-origin", app.to_owned()),
        ("access-control-allow-methods", list("AllowMethods")),
        ("access-control-allow-headers", list("AllowHeaders")),
        ("access-control-max-age", cors_configuration["MaxAge"].to_string()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(cors(&preflight.headers), expected.clone().into_iter().collect(), "as in the template");
    let response = send(&world, Method::GET, app).await;
    let exposed = ("access-control-expose-headers".to_owned(), list("ExposeHeaders"));
    assert_eq!(cors(&response.headers), [expected[0].clone(), exposed].into());
    response.is(200);
    for origin in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        for method in [Method::OPTIONS, Method::GET] {
            let response = send(&world, method, origin).await;
            assert!(!response.headers.contains_key("access-control-allow-origin"), "{origin}");
        }
    }
    // Without configured origins, no page of another origin may call the API.
    assert_eq!(cors(&send(&strict, Method::GET, app).await.headers), BTreeSet::new());
    send(&strict, Method::OPTIONS, app).await.is(404);
    world.finish().await;
    strict.finish().await;
}
