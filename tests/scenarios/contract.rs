//! Rules for all routes: malformed requests, the size limit of bodies, responses of the gateway, and every code.

use std::collections::BTreeSet;

use domain::UserId;
use domain::idempotency::IdempotencyKey;
use harness::{ApiResponse, Fault, MAIL_COOLDOWN, Organization, Person, TWO_DAYS, World, assert_fields, id};
use http::{Method, Request, header};
use local::function_table::ROUTES;
use serde_json::{Value, json};

use crate::every_route::Parameters;

const BODY_BYTES_MAX: usize = 64 * 1024;

/// Returns valid calls of all routes: method, path, and the body if the route takes one.
fn all_calls(acme: &Organization) -> impl Iterator<Item = (Method, String, Option<Value>)> {
    let parameters = Parameters { organization: &acme.id, invitation: "inv_1", user: "ada", token: "forged" };
    ROUTES.iter().map(move |route| parameters.call(route))
}

/// Returns the calls with a body: method, path, and a valid body.
fn calls(acme: &Organization) -> impl Iterator<Item = (Method, String, Value)> {
    all_calls(acme).filter_map(|(method, path, body)| Some((method, path, body?)))
}

async fn sends(person: &Person, method: &Method, path: &str, body: impl Into<Vec<u8>>) -> ApiResponse {
    let request =
        Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    person.sends(request.body(body.into().into()).unwrap()).await
}

/// Checks that the request is refused as malformed, with `pointer` as the place of the error.
async fn assert_malformed(person: &Person, path: &str, body: &Value, pointer: &str) {
    let response = person.posts(path, body).await;
    assert_eq!(response.pointers(), [pointer], "{body}: {}", response.body);
    response.refused(400, "malformed_request");
}

/// Checks that a body without `field` is refused. The pointer refers to the whole body, and the detail names the field.
async fn assert_lacks(person: &Person, path: &str, body: &Value, field: &str) {
    assert_malformed(person, path, body, "").await;
    let problem = person.posts(path, body).await.body;
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains(field), "{problem}");
}

#[tokio::test]
async fn s32_refuses_bodies_that_are_not_json_objects() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let before = world.records().await;
    for (method, path, valid) in calls(&acme) {
        let valid = valid.to_string();
        let values: Vec<_> =
            serde_json::from_str::<Value>(&valid).unwrap().as_object().unwrap().values().cloned().collect();
        let mut not_utf_8 = valid.clone().into_bytes();
        let end = not_utf_8.len() - 2;
        not_utf_8.insert(end, 0xff);
        let bodies: Vec<Vec<u8>> = vec![
            b"".into(),
            b" \r\n\t ".into(),
            b"name=Acme".into(),
            b"{".into(),
            b"null".into(),
            b"true".into(),
            b"1".into(),
            b"\"Acme\"".into(),
            b"[]".into(),
            b"{}".into(),
            // The values as an array without names.
            json!(values).to_string().into(),
            format!("[{valid}]").into(),
            valid[..valid.len() - 1].into(),
            format!("{valid}}}").into(),
            format!("{valid} x").into(),
            format!("{valid}{valid}").into(),
            format!("{valid}\0").into(),
            format!("\u{feff}{valid}").into(),
            format!("{}, \"more\": 1}}", &valid[..valid.len() - 1]).into(),
            // The same field twice.
            format!("{}, {}", &valid[..valid.len() - 1], &valid[1..]).into(),
            valid.replace('"', "'").into(),
            format!("{},}}", &valid[..valid.len() - 1]).into(),
            format!("// valid\n{valid}").into(),
            not_utf_8,
            vec![0xff, 0xfe],
            valid.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "[".repeat(BODY_BYTES_MAX).into(),
            "{\"a\":".repeat(BODY_BYTES_MAX / 5).into(),
            format!(
                "{}, \"more\": {}{}}}",
                &valid[..valid.len() - 1],
                "[".repeat(20_000),
                "]".repeat(20_000)
            )
            .into(),
        ];
        for body in bodies {
            let shown = String::from_utf8_lossy(&body).chars().take(100).collect::<String>();
            let response = sends(&ada, &method, &path, body).await;
            assert_eq!(response.status_and_code(), "400 malformed_request", "{method} {path} {shown:?}");
            assert_eq!(response.pointers().len(), 1, "{shown:?}: {}", response.body);
            response.refused(400, "malformed_request");
        }
    }
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn s28_refuses_wrong_types_with_a_pointer_to_the_field() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let create = "/v1/organizations";
    for name in [json!(null), json!(1), json!(true), json!([]), json!(["Acme"]), json!({})] {
        assert_malformed(&ada, create, &json!({ "name": name }), "/name").await;
    }
    assert_malformed(&ada, create, &json!({ "name": "Acme", "owner": "eve" }), "/owner").await;
    assert_malformed(&ada, create, &json!({ "name": "Acme", "a/b~c": 1 }), "/a~1b~0c").await;
    assert_malformed(&ada, create, &json!({ "Name": "Acme" }), "/Name").await;
    assert_lacks(&ada, create, &json!({}), "name").await;
    let invite = acme.path("/invitations");
    let invite = invite.as_str();
    let ok = "ok@example.com";
    for emails in [json!(null), json!(ok), json!({ "0": ok }), json!(1)] {
        assert_malformed(&ada, invite, &json!({ "emails": emails, "role": "member" }), "/emails").await;
    }
    for email in [json!(null), json!(1), json!([ok]), json!({ "email": ok })] {
        let body = json!({ "emails": [ok, ok, email, ok], "role": "member" });
        assert_malformed(&ada, invite, &body, "/emails/2").await;
    }
    assert_malformed(&ada, invite, &json!({ "emails": [], "role": "member" }), "/emails").await;
    assert_lacks(&ada, invite, &json!({ "emails": [ok] }), "role").await;
    assert_lacks(&ada, invite, &json!({ "role": "member" }), "emails").await;
    assert_malformed(&ada, invite, &json!({ "emails": [ok], "role": "member", "admin": true }), "/admin")
        .await;
    let preview = "/v1/invitations/preview";
    for token in [json!(null), json!(1), json!(["v1"]), json!({})] {
        assert_malformed(&ada, preview, &json!({ "token": token }), "/token").await;
    }
    assert_malformed(&ada, preview, &json!({ "link": "v1" }), "/link").await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn s07_refuses_unknown_roles() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    for role in [
        json!("admin"),
        json!(""),
        json!("Owner"),
        json!("OWNER"),
        json!("owner,member"),
        json!("member,owner"),
        json!("owner "),
        json!(" member"),
        json!("member\n"),
        json!("owner\0"),
        json!("o\u{ff57}ner"),
        json!("0"),
        json!(null),
        json!(0),
        json!(true),
        json!(["member"]),
        json!({ "member": null }),
        json!({ "owner": {} }),
    ] {
        let body = json!({ "emails": ["eve@example.com"], "role": role });
        assert_malformed(&ada, &acme.path("/invitations"), &body, "/role").await;
        let body = json!({ "role": role }).to_string();
        let response = sends(&ada, &Method::PATCH, &acme.path("/members/bob"), body).await;
        assert_eq!(response.pointers(), ["/role"], "{role}");
        response.refused(400, "malformed_request");
    }
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(ada.lists_members(&acme, "?role=owner").await.items().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn refuses_unknown_languages() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for language in [
        json!(""),
        json!("EN"),
        json!("De"),
        json!("en-US"),
        json!("de_DE"),
        json!("en,de"),
        json!("fr"),
        json!(" de"),
        json!(null),
        json!(0),
        json!(["de"]),
        json!({ "de": null }),
    ] {
        let body = json!({ "emails": ["eve@example.com"], "role": "member", "language": language });
        assert_malformed(&ada, &acme.path("/invitations"), &body, "/language").await;
    }
    let body = json!({ "emails": ["eve@example.com"], "role": "member", "language": "fr" });
    let response = ada.posts(&acme.path("/invitations"), &body).await;
    assert_eq!(response.body["errors"][0]["detail"], "a language is `en` or `de`");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn s32_refuses_bodies_above_64_kib() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (method, path, valid) in calls(&acme) {
        let body = |bytes: usize| {
            let valid = valid.to_string();
            format!("{valid}{}", " ".repeat(bytes - valid.len()))
        };
        let fits = sends(&ada, &method, &path, body(BODY_BYTES_MAX)).await;
        assert!(fits.status.is_success() || fits.code() == "invalid_token", "{method} {path}: {}", fits.body);
        sends(&ada, &method, &path, body(BODY_BYTES_MAX + 1)).await.refused(413, "too_large");
        sends(&ada, &method, &path, vec![0xff; BODY_BYTES_MAX + 1]).await.refused(413, "too_large");
        sends(&ada, &method, &path, vec![0xff; BODY_BYTES_MAX]).await.refused(400, "malformed_request");
        // The limit is in bytes, not characters.
        sends(&ada, &method, &path, "ü".repeat(BODY_BYTES_MAX / 2 + 1)).await.refused(413, "too_large");
        sends(&ada, &method, &path, vec![b'{'; 1024 * 1024]).await.refused(413, "too_large");
    }
    world.finish().await;
}

#[tokio::test]
async fn reads_json_with_any_content_type() {
    let world = World::start().await;
    let ada = world.person("ada");
    for content_type in
        [None, Some("application/json; charset=utf-8"), Some("application/octet-stream"), Some("text/plain")]
    {
        let mut request = Request::post("/v1/organizations");
        if let Some(content_type) = content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let response = ada.sends(request.body(r#"{ "name": "Müller" }"#.into()).unwrap()).await;
        assert_eq!(response.is(201)["name"], "Müller");
    }
    world.finish().await;
}

#[tokio::test]
async fn responses_have_a_content_type_and_are_not_cached() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let content_type = |response: &ApiResponse| response.headers["content-type"].to_str().unwrap().to_owned();
    for response in
        [ada.gets_organization(&acme).await, ada.creates("Acme").await, ada.lists_organizations().await]
    {
        assert_eq!(content_type(&response), "application/json");
        assert_eq!(response.headers["cache-control"], "no-store");
    }
    let refused = ada.creates("").await;
    assert_eq!(content_type(&refused), "application/problem+json");
    assert_eq!(refused.headers["cache-control"], "no-store");
    world.finish().await;
}

#[tokio::test]
async fn the_gateway_refuses_missing_tokens_and_unknown_routes() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let assert_gateway = |response: ApiResponse, status: u16, message: &str| {
        assert_eq!(response.headers["content-type"], "application/json");
        assert_eq!(response.is(status), json!({ "message": message }));
    };
    let expired = world
        .laptop()
        .issuer()
        .token(&serde_json::from_value(json!({ "sub": "ada" })).unwrap())
        .await
        .unwrap();
    let other_world = World::start().await;
    let foreign_token = other_world
        .laptop()
        .issuer()
        .token(&serde_json::from_value(json!({ "sub": "ada" })).unwrap())
        .await
        .unwrap();
    let with_expired = ada.with_token(&expired);
    with_expired.gets_organization(&acme).await.is(200);
    world.advance(3_601).await;
    let mut unsigned = expired.rsplit_once('.').unwrap().0.to_owned();
    unsigned.push('.');
    let callers = [
        world.anonymous(),
        with_expired,
        ada.with_token(&foreign_token),
        ada.with_token(&unsigned),
        ada.with_token("nonsense"),
        ada.with_token("eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."),
    ];
    for caller in &callers {
        for (method, path, body) in all_calls(&acme) {
            if path != "/v1/invitations/preview" {
                // The authorizer refuses the call before the function reads the body.
                let body = body.map(|body| body.to_string()).unwrap_or_default();
                assert_gateway(sends(caller, &method, &path, body).await, 401, "Unauthorized");
                assert_gateway(sends(caller, &method, &path, "{").await, 401, "Unauthorized");
            }
        }
    }
    for (method, path) in [
        (Method::GET, "/v1/nothing".to_owned()),
        (Method::GET, "/v1/organizations/".to_owned()),
        (Method::PUT, "/v1/organizations".to_owned()),
        (Method::DELETE, acme.path("")),
        (Method::GET, acme.path("/members/ada")),
        (Method::GET, acme.path("/members/")),
        (Method::DELETE, acme.path("/members/")),
        (Method::DELETE, acme.path("/members/a/b")),
        (Method::POST, acme.path("/invitations/x/resend/y")),
        (Method::GET, "/v1/invitations/accept".to_owned()),
        (Method::GET, "/v1/invitations/preview".to_owned()),
    ] {
        for person in [&ada, &world.anonymous()] {
            assert_gateway(person.calls(method.clone(), &path, None).await, 404, "Not Found");
        }
    }
    world.finish().await;
    other_world.finish().await;
}

/// Returns API Gateway's event for `POST /v1/organizations`, with these claims from the authorizer.
fn create_event(claims: &Value) -> Value {
    let mut event = json!({
        "version": "2.0", "routeKey": "POST /v1/organizations", "rawPath": "/v1/organizations",
        "rawQueryString": "", "headers": { "content-type": "application/json" }, "isBase64Encoded": false,
        "body": json!({ "name": "Acme" }).to_string(),
        "requestContext": {
            "accountId": "000000000000", "apiId": "api", "domainName": "api.example", "domainPrefix": "api",
            "http": {
                "method": "POST", "path": "/v1/organizations", "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "test",
            },
            "requestId": "1", "routeKey": "POST /v1/organizations", "stage": "$default",
            "time": "24/Nov/2026:07:00:00 +0000", "timeEpoch": 1_795_503_600_000_u64,
        },
    });
    if !claims.is_null() {
        event["requestContext"]["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": null } });
    }
    event
}

#[tokio::test]
async fn s03_only_the_string_true_verifies_an_address() {
    let world = World::start().await;
    let with =
        |verified: &str| json!({ "sub": "ada", "email": "ada@example.com", "email_verified": verified });
    let response = world.invoke("create", create_event(&with("true"))).await.unwrap();
    assert_eq!(response["statusCode"], 201, "{response}");
    for verified in ["True", "TRUE", " true", "true ", "1", "yes", "false", "", "[true]", "null"] {
        let response = world.invoke("create", create_event(&with(verified))).await.unwrap();
        assert_eq!(response["statusCode"], 403, "{verified}: {response}");
        assert!(response["body"].as_str().unwrap().contains("email_not_verified"), "{verified}: {response}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_function_without_an_authorizer_refuses_every_call() {
    let world = World::start().await;
    let long = "s".repeat(256);
    for claims in [
        json!(null),
        json!({}),
        json!({ "email": "ada@example.com" }),
        json!({ "sub": "" }),
        json!({ "sub": long }),
    ] {
        let response = world.invoke("create", create_event(&claims)).await.unwrap();
        assert_eq!(response["statusCode"], 401, "{claims}: {response}");
    }
    world.finish().await;
}

/// Every code of the contract, except those of limits and idempotency keys, which have their own tests.
const CODES: [&str; 24] = [
    "400 bad_cursor",
    "400 invalid_token",
    "400 malformed_request",
    "403 email_mismatch",
    "403 email_not_verified",
    "403 owner_required",
    "403 role_not_grantable",
    "404 invitation_not_found",
    "404 member_not_found",
    "404 organization_not_found",
    "409 conflict",
    "409 invitation_not_pending",
    "409 last_owner",
    "409 seats_exhausted",
    "409 sender_lost_authority",
    "410 invitation_accepted",
    "410 invitation_declined",
    "410 invitation_expired",
    "410 invitation_revoked",
    "410 invitation_superseded",
    "413 too_large",
    "422 invalid_email",
    "422 invalid_name",
    "503 unavailable",
];

#[tokio::test]
async fn every_code_of_the_contract_occurs() {
    let world = World::with_seats(4).await;
    let ada = world.person("ada");
    let eve = world.person("eve");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let mut responses = vec![
        ada.creates("a/b").await,
        ada.creates(&"n".repeat(BODY_BYTES_MAX)).await,
        ada.posts("/v1/organizations", &json!({})).await,
        world.signed_in("new", json!({})).creates("Acme").await,
        ada.invites(&acme, &["not-an-address"], "member").await,
        ada.invites(&acme, &["1@x.example", "2@x.example", "3@x.example"], "member").await,
        mem.invites(&acme, &["1@x.example"], "owner").await,
        eve.gets_organization(&acme).await,
        ada.lists_members(&acme, "?cursor=x").await,
        ada.resends(&acme, "x").await,
        ada.removes(&acme, "x").await,
        mem.removes(&acme, "ada").await,
        ada.leaves(&acme).await,
        eve.accepts("x").await,
    ];
    let invitation = world.invited(&acme, &mem, "eve@example.com", "member").await;
    let id = id(&invitation);
    let old = world.token_for("eve@example.com").await;
    world.advance(MAIL_COOLDOWN).await;
    mem.resends(&acme, id).await.is(200);
    let token = world.token_for("eve@example.com").await;
    responses.extend([eve.accepts(&old).await, ada.accepts(&token).await]);
    ada.removes(&acme, "mem").await.is(204);
    responses.push(eve.accepts(&token).await);
    responses.push(mem.accepts(&world.token_for("mem@example.com").await).await);
    world.advance(TWO_DAYS).await;
    responses.push(eve.accepts(&token).await);
    world.invited(&acme, &ada, "eve@example.com", "member").await;
    let token = world.token_for("eve@example.com").await;
    ada.revokes(&acme, id).await.is(204);
    responses.extend([eve.accepts(&token).await, ada.revokes(&acme, id).await]);
    world.advance(MAIL_COOLDOWN).await;
    world.invited(&acme, &ada, "eve@example.com", "member").await;
    let token = world.token_for("eve@example.com").await;
    eve.declines(&token).await.is(204);
    responses.push(eve.accepts(&token).await);
    world.wait_until_idle().await;
    let failed_guard = Fault::Cancelled(vec!["ConditionalCheckFailed", "None", "None"]);
    world.wire().inject_fault("TransactWriteItems", failed_guard, 6);
    responses.push(ada.creates("Acme").await);
    world.wire().inject_fault("TransactGetItems", Fault::RequestLost, 20);
    responses.push(ada.gets_organization(&acme).await);
    let mut codes = BTreeSet::new();
    for response in responses {
        codes.insert(response.status_and_code());
        let (status, code) = (response.status.as_u16(), response.code().to_owned());
        response.refused(status, &code);
    }
    assert_eq!(codes.iter().map(String::as_str).collect::<Vec<_>>(), CODES);
    world.finish().await;
}

#[tokio::test]
async fn problems_about_seats_and_status_contain_the_values() {
    let world = World::with_seats(1).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let problem = ada.invites(&acme, &["bob@example.com"], "member").await.refused(409, "seats_exhausted");
    assert_fields(&problem["seats"], &["total", "taken", "free"]);
    let founder = ada.finds_invitation(&acme, "ada@example.com").await;
    let problem = ada.revokes(&acme, id(&founder)).await.refused(409, "invitation_not_pending");
    assert_eq!(problem["invitation_status"], "accepted");
    world.finish().await;
}

/// DynamoDB's limits for key attributes of the table and of indexes, in bytes. `pk` is also the sort key of an index.
const KEY_BYTES_MAX: [(&str, usize); 3] = [("pk", 1_024), ("sk", 1_024), ("person", 2_048)];

/// Returns the longest user id: 254 characters of four bytes, and `end`.
fn longest(end: char) -> String {
    let longest = "𐍈".repeat(254) + &end.to_string();
    assert_eq!(longest.len(), UserId::BYTES_MAX);
    longest
}

#[tokio::test]
async fn the_longest_user_id_works_in_every_action() {
    let world = World::start().await;
    let signed_in = |sub: &str, name: &str| {
        world.signed_in(sub, json!({ "email": format!("{name}@example.com"), "email_verified": true }))
    };
    let too_long = signed_in(&(longest('a') + "a"), "ada");
    too_long.creates("Acme").await.is(401);
    let (ada, bob, carl) =
        (signed_in(&longest('a'), "ada"), signed_in(&longest('b'), "bob"), signed_in(&longest('c'), "carl"));
    let acme = world.founded_by(&ada).await;
    let key = "k".repeat(IdempotencyKey::BYTES_MAX);
    let both = ["bob@example.com", "carl@example.com"];
    let invited = ada.with_key(&key).invites(&acme, &both, "owner").await.is(200);
    assert_eq!(ada.with_key(&key).invites(&acme, &both, "owner").await.is(200), invited);
    world.advance(MAIL_COOLDOWN).await;
    let bobs = ada.finds_invitation(&acme, both[0]).await;
    ada.resends(&acme, bobs["id"].as_str().unwrap()).await.is(200);
    bob.accepts(&world.token_for(both[0]).await).await.is(200);
    carl.accepts(&world.token_for(both[1]).await).await.is(200);
    world.invited(&acme, &bob, "dora@example.com", "member").await;
    let doras = bob.finds_invitation(&acme, "dora@example.com").await;
    bob.revokes(&acme, doras["id"].as_str().unwrap()).await.is(204);
    bob.edits_role(&acme, &longest('c'), "member").await.is(200);
    bob.removes(&acme, &longest('c')).await.is(204);
    bob.renames(&acme, "Umbrella").await.is(200);
    assert_eq!(bob.lists_organizations().await.items().len(), 1);
    assert_eq!(bob.reads_all(&acme.path("/members"), 1).await.len(), 2);
    ada.removes(&acme, &longest('a')).await.is(204);
    // The embedded DynamoDB may accept longer keys than DynamoDB.
    for item in world.laptop().table().items().await.unwrap() {
        for (name, most) in KEY_BYTES_MAX {
            let bytes = item.get(name).map_or(0, |value| value.as_s().unwrap().len());
            assert!(bytes <= most, "{name} has {bytes} bytes");
        }
    }
    world.finish().await;
}
