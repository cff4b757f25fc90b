//! Attacks that go over all routes, and what every answer has in common. `ATTACKS.md` beside this file lists every
//! attack with the tests that prove what is required.

use std::collections::BTreeSet;

use futures_util::future::BoxFuture;
use harness::{Answer, Call, Fault, Forgery, Organization, Person, World, id};
use http::{HeaderMap, Method, Request, header};
use local::function_table::{ROUTES, Route};
use serde_json::{Value, json};

use crate::every_route::{About, Cast, call_all, calls, cast};

/// Ids as they are made, of nothing.
const NO_ORGANIZATION: &str = "org_00000000000000000000000000";
const NO_INVITATION: &str = "inv_00000000000000000000000000";
const READS: [&str; 2] = ["GetItem", "TransactGetItems"];

/// The routes that name an organization.
fn within() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.pattern.contains("{organization_id}"))
}

/// A call about something in an organization, by its id.
type Try = for<'a> fn(&'a Person, &'a Organization, &'a str) -> BoxFuture<'a, Answer>;

/// Whose thing it is, and what may stand for its id, makes no difference where it is another organization's.
#[tokio::test]
async fn s18_what_is_of_another_organization_is_not_found() {
    let of_an_invitation: [(&str, Try); 2] = [
        ("resend", |person, organization, id| Box::pin(person.resends(organization, id))),
        ("revoke", |person, organization, id| Box::pin(person.revokes(organization, id))),
    ];
    let of_a_member: [(&str, Try); 2] = [
        ("role-edit", |person, organization, id| Box::pin(person.edits(organization, id, "owner"))),
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
        for (what, call) in calls {
            let not_found = call(&eve, &evil, theirs).await.refused(404, code);
            for other in none.iter().chain(&neither) {
                assert_eq!(call(&eve, &evil, other).await.refused(404, code), not_found, "{what} of {other}");
            }
            let stranger = call(&eve, &acme, theirs).await.refused(404, "organization_not_found");
            for nowhere in [NO_ORGANIZATION, "nowhere", "%41", "a/b"] {
                let answer = call(&eve, &Organization::new(nowhere), theirs).await;
                assert_eq!(answer.refused(404, "organization_not_found"), stranger, "{what} in {nowhere}");
            }
        }
    }
    assert_eq!(ada.finds(&acme, "kim@example.com").await["status"], "pending");
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    world.finish().await;
}

/// An answer without what tells requests apart.
fn same(answer: &Answer) -> Answer {
    let mut same = answer.clone();
    same.headers.remove("apigw-requestid");
    same.headers.remove("date");
    same.headers.remove("content-length");
    same
}

/// What a call is answered, and what it sends: each request's kind, and how many items it asks for.
async fn costs(world: &World, call: impl Future<Output = Answer>) -> (Answer, Vec<(String, usize)>) {
    let _ = world.wire().take();
    let answer = call.await;
    let items = |call: &Call| call.body["TransactItems"].as_array().map_or(1, Vec::len);
    let sent = world.wire().take().into_iter().filter(|call| call.action);
    // What is read at the same time may be sent in either order.
    let mut sent: Vec<_> = sent.map(|call| (call.operation.clone(), items(&call))).collect();
    sent.sort();
    (same(&answer), sent)
}

/// Every route, answered well, refused, and while the table is out of order.
async fn answers_of_each_class(world: &World) -> Vec<(&'static Route, Answer)> {
    let Cast { ada, acme, rob, .. } = cast(world).await;
    let ivys = world.token_for("ivy@example.com").await;
    let about = About { organization: &acme.id, invitation: &rob, user: "mem", token: &ivys };
    let mut answers = Vec::new();
    for operation in ["TransactGetItems", "TransactWriteItems", "GetItem", "Query"] {
        world.wire().disturb_actions(operation, Fault::Refused("AccessDeniedException"), usize::MAX);
    }
    for route in &*ROUTES {
        answers.push((route, calls(&ada, route, about).await));
    }
    world.wire().clear_faults();
    let nowhere = About { organization: "nowhere", invitation: "nothing", user: "nobody", token: "forged" };
    for route in &*ROUTES {
        let (method, path, body) = nowhere.call(route);
        let wrong = match path.as_str() {
            "/v1/organizations" if method == Method::POST => ada.creates("https://evil.example").await,
            "/v1/organizations" => ada.gets("/v1/organizations?limit=0").await,
            path => ada.calls(method, path, body.map(|body| body.to_string())).await,
        };
        answers.push((route, wrong));
    }
    answers.extend(call_all(world, &ada, about).await);
    answers
}

#[tokio::test]
async fn s19_s21_every_answer_of_every_route_has_the_headers_that_keep_it_from_leaking() {
    let world = World::start().await;
    let answers = answers_of_each_class(&world).await;
    let classes: BTreeSet<_> =
        answers.iter().map(|(route, answer)| (route.key(), answer.status.as_u16() / 100)).collect();
    assert_eq!(classes.len(), 3 * ROUTES.len(), "each route is answered 2xx, 4xx and 5xx: {classes:#?}");
    for (route, answer) in answers {
        let mut expected = vec![
            ("cache-control", "no-store"),
            ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
            ("referrer-policy", "no-referrer"),
            ("strict-transport-security", "max-age=63072000"),
            ("x-content-type-options", "nosniff"),
        ];
        match answer.status.as_u16() {
            204 => {}
            200..300 => expected.push(("content-type", "application/json")),
            _ => expected.push(("content-type", "application/problem+json")),
        }
        expected.sort_unstable();
        let answer = same(&answer);
        let headers: BTreeSet<_> =
            answer.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        // No other header, either: no cookie, no CORS, nothing that names the software.
        assert_eq!(headers, expected.into_iter().collect(), "{} {}", route.key(), answer.status);
    }
    world.finish().await;
}

#[tokio::test]
async fn s19_no_answer_shows_a_link_to_anybody() {
    let world = World::start().await;
    let Cast { ada, mem, gone, acme, rob } = cast(&world).await;
    let link = world.mails_to("rob@example.com").await[0]["link"].as_str().unwrap().to_owned();
    let (url, token) = link.split_once('#').unwrap();
    let mac = token.rsplit_once('.').unwrap().1;
    let about = About { organization: &acme.id, invitation: &rob, user: "nobody", token };
    let (mut statuses, mut seen) = (BTreeSet::new(), String::new());
    for person in [&world.nobody(), &world.person("eve"), &gone, &world.person("rob"), &mem, &ada] {
        for route in &*ROUTES {
            let answer = calls(person, route, about).await;
            statuses.insert(answer.status.as_u16());
            seen.extend([format!("{:?}", answer.headers), answer.body.to_string()]);
        }
    }
    assert_eq!(statuses, [200, 201, 401, 403, 404, 409, 410].into());
    assert!(seen.contains("rob@example.com"), "somebody saw the invitation");
    for secret in [mac, url, "v1.dev.", "/accept", "#"] {
        assert!(!seen.contains(secret), "{secret} in {seen}");
    }
    world.finish().await;
}

#[tokio::test]
async fn s20_s35_strangers_are_told_the_same_for_the_same_work_whether_an_organization_exists() {
    let world = World::start().await;
    let Cast { gone, acme, rob, .. } = cast(&world).await;
    let strangers = [
        ("nobody's friend", world.person("eve")),
        ("one who is invited", world.person("rob")),
        ("one who was removed", gone),
        ("one without an address", world.signed_in("eve", json!({}))),
        // Keys are kept for members only: a stranger's is neither looked up nor written down.
        ("one with a key", world.person("eve").with_key("k")),
    ];
    for route in within() {
        for (who, stranger) in &strangers {
            let refused = ["organization_not_found", "email_not_verified"];
            let own = stranger.sub.as_str();
            let mut answers = Vec::new();
            // Whether what is named within it exists makes no difference, either.
            for (invitation, user) in [(rob.as_str(), "mem"), (NO_INVITATION, "nobody"), (&rob, own)] {
                let real = About { organization: &acme.id, invitation, user, token: "" };
                let (answer, sent) = costs(&world, calls(stranger, route, real)).await;
                assert!(refused.contains(&answer.code()), "{who}: {} {}", route.key(), answer.body);
                assert!(sent.iter().all(|(kind, _)| READS.contains(&kind.as_str())), "{sent:?}");
                assert!(sent.len() <= 1, "{}: {sent:?}", route.key());
                let none = About { organization: NO_ORGANIZATION, ..real };
                let nowhere = costs(&world, calls(stranger, route, none)).await;
                assert_eq!(nowhere, (answer.clone(), sent.clone()), "{who}: {}", route.key());
                answers.push((answer, sent));
            }
            assert_eq!(answers[0], answers[1], "{who}: {}", route.key());
            assert_eq!(answers[0].0, answers[2].0, "{who}: {}", route.key());
        }
    }
    world.finish().await;
}

/// The key is in KMS, as in AWS, so that its requests are counted, too.
#[tokio::test]
async fn s01_s36_a_link_that_roster_never_made_is_told_the_same_for_the_same_work_whatever_is_wrong_with_it()
{
    let world = World::with(harness::Options { kms: true, ..Default::default() }).await;
    let (forgeries, acme) = world.forgeries().await;
    assert_eq!(forgeries.len(), 14);
    let before = world.records().await;
    // Who asks makes no difference either: the invitee, a member, an owner, a stranger, one without an address.
    let anonymous = world.signed_in("bob", json!({}));
    let askers =
        ["bob", "accepted", "ada", "eve"].map(|name| world.person(name)).into_iter().chain([anonymous]);
    let first = same(&world.nobody().previews("malformed").await);
    first.clone().refused(400, "invalid_token");
    for asker in askers.collect::<Vec<_>>() {
        let mut work = Vec::new();
        for Forgery { cause, token } in &forgeries {
            let of_each = [
                costs(&world, world.nobody().previews(token)).await,
                costs(&world, asker.previews(token)).await,
                costs(&world, asker.accepts(token)).await,
                costs(&world, asker.declines(token)).await,
            ];
            for (answer, _) in &of_each {
                assert_eq!(*answer, first, "{cause}");
            }
            work.push((cause, of_each.map(|(_, sent)| sent)));
        }
        // What the table holds cannot show in the time of a call that never asks it.
        for (cause, sent) in work {
            for sent in sent {
                assert_eq!(sent, [("VerifyMac".to_owned(), 1)], "{cause}");
            }
        }
    }
    assert_eq!(world.records().await, before);
    assert_eq!(world.person("ada").finds(&acme, "bob@example.com").await["status"], "pending");
    world.finish().await;
}

#[tokio::test]
async fn s31_whoever_was_removed_or_demoted_is_so_at_once_on_every_route_whatever_their_token_says() {
    let world = World::start().await;
    let Cast { ada, mem, acme, rob, .. } = cast(&world).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let sam = world.joined(&acme, &ada, "sam", "owner").await;
    // Tokens from before, which the issuer still vouches for.
    let token = async |name: &str| {
        let claims = json!({ "sub": name, "email": format!("{name}@example.com"), "email_verified": true });
        let answer = world.nobody().posts("/_dev/token", &claims).await.is(200);
        answer["access_token"].as_str().unwrap().to_owned()
    };
    let (bob, sam) = (bob.with_token(&token("bob").await), sam.with_token(&token("sam").await));
    let about = About { organization: &acme.id, invitation: &rob, user: "mem", token: "" };
    ada.removes(&acme, "bob").await.is(204);
    for route in within() {
        calls(&bob, route, about).await.refused(404, "organization_not_found");
    }
    assert_eq!(bob.lists_organizations().await.items(), Vec::<Value>::new());
    ada.edits(&acme, "sam", "member").await.is(200);
    world.invited(&acme, &ada, "zoe@example.com", "owner").await;
    let zoe = ada.finds(&acme, "zoe@example.com").await;
    sam.invites(&acme, &["new@example.com"], "owner").await.refused(403, "role_not_grantable");
    sam.resends(&acme, id(&zoe)).await.refused(403, "role_not_grantable");
    sam.revokes(&acme, id(&zoe)).await.refused(403, "role_not_grantable");
    sam.edits(&acme, "mem", "owner").await.refused(403, "owner_required");
    sam.edits(&acme, "sam", "owner").await.refused(403, "owner_required");
    sam.removes(&acme, "mem").await.refused(403, "owner_required");
    assert_eq!(sam.looks_at(&acme).await.is(200)["role"], "member");
    assert_eq!(mem.lists_members(&acme, "?role=owner").await.items().len(), 1, "ada");
    world.finish().await;
}

#[tokio::test]
async fn s18_whoever_is_in_both_organizations_finds_an_id_only_where_it_belongs() {
    let world = World::start().await;
    let Cast { ada, acme, rob, .. } = cast(&world).await;
    let other = world.founded_by(&ada).await;
    let before = world.records().await;
    let about = About { organization: &other.id, invitation: &rob, user: "mem", token: "" };
    for route in within() {
        let code = match route.pattern {
            pattern if pattern.contains("{invitation_id}") => "invitation_not_found",
            pattern if pattern.contains("{user_id}") => "member_not_found",
            _ => continue,
        };
        calls(&ada, route, about).await.refused(404, code);
    }
    assert_eq!(world.records().await, before);
    assert_eq!(ada.finds(&acme, "rob@example.com").await["status"], "pending");
    world.finish().await;
}

#[tokio::test]
async fn s32_no_body_brings_a_route_down() {
    let world = World::start().await;
    let Cast { ada, acme, .. } = cast(&world).await;
    let about = About { organization: &acme.id, invitation: NO_INVITATION, user: "nobody", token: "forged" };
    let bodies = [
        vec![b' '; 64 * 1024 + 1],
        vec![0xff; 10 * 1024],
        "[".repeat(60 * 1024).into_bytes(),
        "{\"a\":".repeat(12 * 1024).into_bytes(),
        json!({ "token": "\u{0}".repeat(8 * 1024) }).to_string().into_bytes(),
    ];
    for route in ROUTES.iter().filter(|route| [Method::POST, Method::PATCH].contains(&route.method)) {
        for kind in ["application/json", "application/octet-stream", "multipart/form-data"] {
            for body in &bodies {
                let (method, path, fine) = about.call(route);
                let request = Request::builder().method(method).uri(&path).header(header::CONTENT_TYPE, kind);
                let answer = ada.sends(request.body(body.clone().into()).unwrap()).await;
                let expected = match (body.len(), &fine) {
                    (65_537.., _) => "413 too_large",
                    (_, Some(_)) if answer.code() == "invalid_token" => "400 invalid_token",
                    (_, Some(_)) => "400 malformed_request",
                    // Who asks for no body reads none.
                    (_, None) => &calls(&ada, route, about).await.short(),
                };
                assert_eq!(answer.short(), expected, "{}", route.key());
                let (status, code) = (answer.status.as_u16(), answer.code().to_owned());
                if !code.is_empty() {
                    answer.refused(status, &code);
                }
            }
        }
    }
    world.finish().await;
}

/// What stands in the way of a page of another origin, and who may pass.
#[tokio::test]
async fn pages_of_other_origins_call_the_api_only_if_they_are_on_the_list() {
    let app = "https://app.example.com";
    let listed = harness::Options { origins: vec![local::cors::origin(app).unwrap()], ..Default::default() };
    let (world, strict) = (World::with(listed).await, World::start().await);
    let cors = |headers: &HeaderMap| {
        let ours = headers.iter().filter(|(name, _)| name.as_str().starts_with("access-control-"));
        ours.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect::<BTreeSet<_>>()
    };
    let asks = async |world: &World, method: Method, origin: &str| {
        let request =
            Request::builder().method(method).uri("/v1/organizations").header(header::ORIGIN, origin);
        let request = request.header("access-control-request-method", "POST");
        world.person("ada").sends(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let preflight = asks(&world, Method::OPTIONS, app).await;
    assert!(preflight.status.is_success(), "{preflight:?}");
    let template = harness::template::Template::load();
    let configured = &template.properties("Api")["CorsConfiguration"]["Fn::If"][1];
    let list = |property: &str| {
        let words = configured[property].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
        words.collect::<Vec<_>>().join(",")
    };
    let expected = [
        ("access-control-allow-origin", app.to_owned()),
        ("access-control-allow-methods", list("AllowMethods")),
        ("access-control-allow-headers", list("AllowHeaders")),
        ("access-control-max-age", configured["MaxAge"].to_string()),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value));
    assert_eq!(cors(&preflight.headers), expected.clone().into_iter().collect(), "as in the template");
    let answer = asks(&world, Method::GET, app).await;
    let exposed = ("access-control-expose-headers".to_owned(), list("ExposeHeaders"));
    assert_eq!(cors(&answer.headers), [expected[0].clone(), exposed].into());
    answer.is(200);
    for origin in
        ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com"]
    {
        for method in [Method::OPTIONS, Method::GET] {
            let answer = asks(&world, method, origin).await;
            assert!(!answer.headers.contains_key("access-control-allow-origin"), "{origin}");
        }
    }
    // Without a list there is nothing but the API's own origin.
    assert_eq!(cors(&asks(&strict, Method::GET, app).await.headers), BTreeSet::new());
    asks(&strict, Method::OPTIONS, app).await.is(404);
    world.finish().await;
    strict.finish().await;
}
