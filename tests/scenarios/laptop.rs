//! The laptop (the local server that `cargo run` starts): its database file, its demo data, and its routes beyond the
//! contract.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use domain::Record;
use domain::{OrganizationId, Status};
use harness::{Options, Organization, Person, SCHEDULE_FIRED, World, free_port, timestamp};
use http::{HeaderMap, Method, Request, header};
use local::demo;
use local::issuer::sign_in::{AUTHORIZE, TOKEN};
use local::laptop::{Laptop, StartError};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::log_capture::{start_capture, take_lines};

const HOUR: u64 = 60 * 60;

fn with_file(db: &Path, port: u16) -> Options {
    Options { port, db: Some(db.to_owned()), ..Options::default() }
}

/// Starts a laptop. Waits for its port, which the tasks of a stopped laptop release a moment later.
async fn start(options: Options) -> Laptop {
    let attempts = async {
        loop {
            match Laptop::start(options.clone(), |_| {}).await {
                Err(StartError::PortInUse(_)) => tokio::task::yield_now().await,
                started => break started.expect("the laptop starts"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), attempts).await.expect("the port becomes free")
}

async fn now(person: &Person) -> i64 {
    timestamp(&person.gets("/_dev/clock").await.is(200)["now"]).unix()
}

async fn advance(person: &Person, seconds: u64) {
    person.posts("/_dev/clock", &json!({ "advance_seconds": seconds })).await.is(200);
}

async fn mails(person: &Person, to: &str) -> Vec<Value> {
    person.gets("/_dev/idle").await.is(200);
    person.gets(&format!("/_dev/mail?to={to}")).await.is(200)["items"].as_array().unwrap().clone()
}

async fn token(person: &Person, to: &str) -> String {
    mails(person, to).await[0]["token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_database_file_keeps_all_state_across_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());

    let laptop = start(with_file(&db, port)).await;
    let url = laptop.url().to_owned();
    let visitor = Person::at(&url);
    advance(&visitor, HOUR).await;
    let ada = visitor.signs_in_as("ada").await;
    let created = ada.creates("Acme").await.is(201);
    let acme = Organization::new(created["id"].as_str().unwrap());
    ada.invites(&acme, &["bob@example.com", "eve@example.com"], "member").await.is(200);
    let bobs = token(&ada, "bob@example.com").await;
    let (mailed, keys) = (mails(&ada, "").await, visitor.gets("/.well-known/jwks.json").await.is(200));
    let before = now(&visitor).await;
    drop(laptop);

    let laptop = start(with_file(&db, port)).await;
    assert_eq!(laptop.url(), url);
    let visitor = Person::at(&url);
    let after = now(&visitor).await;
    assert!((before..before + 60).contains(&after), "the clock went from {before} to {after}");
    assert_eq!(visitor.gets("/.well-known/jwks.json").await.is(200), keys);
    // The issuer's key: the token from before the restart is still valid.
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    // The position in the stream: no mail is sent a second time.
    assert_eq!(mails(&ada, "").await, mailed);
    // The link key.
    let bob = visitor.signs_in_as("bob").await;
    bob.accepts(&bobs).await.is(200);
    // The schedule.
    advance(&visitor, SCHEDULE_FIRED).await;
    let ada = visitor.signs_in_as("ada").await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(ada.finds_invitation(&acme, "eve@example.com").await["status"], "expired");
    assert_eq!(laptop.table().check().await.unwrap().1, []);
    assert_eq!(laptop.dead_letters().unwrap(), []);
}

#[tokio::test]
async fn sends_queued_mail_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());
    // No functions are served at this URL, so no mail can be sent.
    let unreachable = Some(format!("http://127.0.0.1:{}", free_port()));
    let laptop = start(Options { demo: true, functions: unreachable, ..with_file(&db, port) }).await;
    assert_eq!(laptop.mailbox().items(None), []);
    drop(laptop);

    let laptop = start(with_file(&db, port)).await;
    laptop.idle().await.unwrap();
    assert_eq!(laptop.dead_letters().unwrap(), []);
    let stored = laptop.table().records().await.unwrap();
    let acme = demo::organization();
    let pending = stored.invitations(&acme).filter(|it| it.status() == Status::Pending);
    let sent = pending.filter(|it| laptop.mailbox().items(Some(it.email.as_str())).len() == 1).count();
    assert_eq!((sent, laptop.mailbox().items(None).len()), (5, 5));
}

#[tokio::test]
async fn the_error_of_a_busy_port_names_the_port_and_the_flag() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let started = Laptop::start(Options { port, ..Options::default() }, |_| {}).await;
    let error = started.err().expect("the port is in use").to_string();
    assert!(error.contains(&format!("port {port}")) && error.contains("--port"), "{error}");
}

#[tokio::test]
async fn starts_empty_without_the_demo() {
    let world = World::start().await;
    let check = world.anonymous().gets("/_dev/check").await.is(200);
    assert_eq!(check, json!({ "organizations": 0, "violations": [] }));
    assert_eq!(mails(&world.anonymous(), "").await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_demo_has_invitations_of_every_status() {
    let world = World::with(Options { demo: true, ..Options::default() }).await;
    let acme = Organization::new(demo::organization().as_str());
    let person =
        |(sub, email): (&str, &str)| world.signed_in(sub, json!({ "email": email, "email_verified": true }));
    let owner = person(demo::OWNER);
    let organization = owner.gets_organization(&acme).await.is(200);
    assert_eq!(organization["name"], "Acme");
    assert_eq!(organization["owners"], 2);
    assert_eq!(organization["seats"], json!({ "total": 1000, "taken": 312, "free": 688 }));
    for (status, count) in [("pending", 8), ("expired", 4), ("revoked", 1), ("declined", 1)] {
        let list = owner.lists_invitations(&acme, &format!("?status={status}&limit=1000")).await.is(200);
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{status}");
    }
    assert_eq!(person(demo::MEMBER).gets_organization(&acme).await.is(200)["role"], "member");

    // The mail of a pending invitation is in the mailbox, and its link works.
    let token = world.token_for(demo::INVITEE.1).await;
    let preview = world.anonymous().previews(&token).await.is(200);
    assert_eq!((&preview["status"], &preview["email"]), (&json!("pending"), &json!(demo::INVITEE.1)));
    person(demo::INVITEE).accepts(&token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn adds_no_demo_to_a_file_with_data() {
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());
    let laptop = start(with_file(&db, port)).await;
    Person::at(laptop.url()).signs_in_as("ada").await.creates("Mine").await.is(201);
    drop(laptop);
    let laptop = start(Options { demo: true, ..with_file(&db, port) }).await;
    assert_eq!(laptop.table().check().await.unwrap().0, 1);
}

/// The route that `getToken` calls in a page that is developed on another port.
#[tokio::test]
async fn only_listed_pages_of_this_machine_read_tokens_of_the_issuer() {
    let (page, elsewhere) = ("http://127.0.0.1:5173", "https://app.example.com");
    let origins = [page, elsewhere].map(|origin| local::cors::origin(origin).unwrap()).to_vec();
    let world = World::with(Options { origins, ..Options::default() }).await;
    let body = json!({ "sub": "ada", "email": "ada@example.com", "email_verified": true }).to_string();
    for (origin, status, readable) in [
        (page, 200, true),
        ("http://127.0.0.1:5174", 200, false),
        // Listed for the API, which requires a token. But this route signs any claims, so it allows only local pages.
        (elsewhere, 403, false),
        ("https://evil.example", 403, false),
    ] {
        let request = Request::post("/_dev/token").header(header::ORIGIN, origin);
        let response = world.anonymous().sends(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(response.status.as_u16(), status, "{origin}");
        let allowed = response.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(allowed.is_some_and(|it| it == origin), readable, "{origin}");
    }
    world.finish().await;
}

#[tokio::test]
async fn the_issuer_signs_any_claims() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    let claims = json!({ "sub": "ada", "email": "ada@example.com", "email_verified": true });
    let response = anonymous.posts("/_dev/token", &claims).await.is(200);
    assert_eq!(response.as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token"]);
    let ada = anonymous.with_token(response["access_token"].as_str().unwrap());
    ada.creates("Acme").await.is(201);
    for wrong in [json!({}), json!({ "sub": 1 }), json!({ "sub": "ada", "admin": true }), json!([])] {
        anonymous.posts("/_dev/token", &wrong).await.is(400);
    }
    // The token is valid for one hour by the laptop's clock.
    world.advance(HOUR - 60).await;
    ada.gets("/v1/organizations").await.is(200);
    world.advance(61).await;
    assert_eq!(ada.gets("/v1/organizations").await.is(401), json!({ "message": "Unauthorized" }));
    world.finish().await;
}

#[tokio::test]
async fn the_mailbox_is_available_as_json_and_as_a_page() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
    world.invited(&acme, &ada, "eve@example.com", "owner").await;
    let all = mails(&ada, "").await;
    let to: Vec<_> = all.iter().map(|mail| mail["to"].as_str().unwrap()).collect();
    assert_eq!(to, ["eve@example.com", "bob@example.com"], "newest first");
    let of_bob = mails(&ada, "BOB@example.com").await;
    assert_eq!(of_bob, [all[1].clone()]);
    let mail = &of_bob[0];
    let mut fields: Vec<_> = mail.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        ["from", "headers", "html", "link", "message_id", "sent_at", "subject", "text", "to", "token"]
    );
    let (link, token) = (mail["link"].as_str().unwrap(), mail["token"].as_str().unwrap());
    assert_eq!(link, format!("{}/accept#{token}", world.laptop().url()));
    for part in ["text", "html"] {
        assert!(mail[part].as_str().unwrap().contains(link), "{part}");
    }
    assert_eq!(mail["headers"]["Auto-Submitted"], "auto-generated");
    timestamp(&mail["sent_at"]);
    assert_eq!(mails(&ada, "unknown@example.com").await, Vec::<Value>::new());

    let request = Request::get("/_dev/mail").header(header::ACCEPT, "text/html,*/*;q=0.8");
    let page = world.anonymous().sends(request.body(Body::empty()).unwrap()).await;
    let policy = assert_is_page(&page.headers);
    assert!(policy.contains(&"form-action 'none'".to_owned()), "{policy:?}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
    let page = page.is(200);
    let page = page.as_str().unwrap();
    assert!(page.contains("bob@example.com") && page.contains(&format!("href=\"{link}\"")), "{page}");
    world.finish().await;
}

#[tokio::test]
async fn the_clock_can_be_read_and_advanced_only() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    let before = now(&anonymous).await;
    let response = anonymous.posts("/_dev/clock", &json!({ "advance_seconds": 3600 })).await.is(200);
    let advanced = timestamp(&response["now"]).unix();
    assert!((before + 3600..before + 3660).contains(&advanced), "from {before} to {advanced}");
    assert_eq!(response.as_object().unwrap().len(), 1);
    anonymous.posts("/_dev/clock", &json!({ "advance_seconds": 0 })).await.is(200);
    for wrong in [
        "",
        "soon",
        "{}",
        r#"{"advance_seconds": -1}"#,
        r#"{"advance_seconds": 1.5}"#,
        r#"{"advance_seconds": "60"}"#,
        r#"{"advance_seconds": 60, "set": true}"#,
        // After the last time that RFC 3339 can represent.
        r#"{"advance_seconds": 999999999999}"#,
        r#"{"advance_seconds": 18446744073709551615}"#,
    ] {
        anonymous.calls(Method::POST, "/_dev/clock", Some(wrong.to_owned())).await.is(400);
    }
    let after = now(&anonymous).await;
    assert!((advanced..advanced + 60).contains(&after), "from {advanced} to {after}");
    world.finish().await;
}

#[tokio::test]
async fn idle_responds_after_every_mail_is_sent() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails: Vec<_> = (0..50).map(|n| format!("guest-{n}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    ada.invites(&acme, &emails, "member").await.is(200);
    assert_eq!(ada.gets("/_dev/idle").await.is(200), json!({ "idle": true }));
    assert_eq!(world.laptop().mailbox().items(None).len(), 50);
    assert_eq!(ada.finds_invitation(&acme, "guest-49@example.com").await["delivery"], "sent");
    world.finish().await;
}

#[tokio::test]
async fn check_counts_organizations_and_lists_violations() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.founded_by(&ada).await;
    assert_eq!(ada.gets("/_dev/check").await.is(200), json!({ "organizations": 2, "violations": [] }));
    // Write an organization with a wrong number of owners.
    let id = OrganizationId::parse(&acme.id).unwrap();
    let right = world.records().await.organization(&id).unwrap().clone();
    let mut wrong = right.clone();
    wrong.owners += 1;
    world.laptop().table().fill(&[Record::Organization(wrong)]).await.unwrap();
    let check = ada.gets("/_dev/check").await.is(200);
    let violations = check["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 1, "{check}");
    assert!(violations[0].as_str().unwrap().contains(&acme.id), "{check}");
    world.laptop().table().fill(&[Record::Organization(right)]).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn s21_s29_the_accept_page_runs_only_its_own_script_and_sends_no_referrer() {
    let world = World::start().await;
    for path in ["/", "/accept"] {
        let page = world.anonymous().gets(path).await;
        let policy = assert_is_page(&page.headers);
        // Without the built console the page has no script.
        let scripts: Vec<_> = policy.iter().filter(|it| it.starts_with("script-src")).collect();
        assert!(scripts.is_empty() || scripts == [&"script-src 'self'"], "{policy:?}");
        assert!(!policy.join(" ").contains("unsafe"), "{policy:?}");
        assert!(policy.contains(&"form-action 'none'".to_owned()), "{policy:?}");
        // The page contains no personal data. A browser may cache it, but must revalidate it each time.
        assert_eq!(page.headers["cache-control"], "no-cache");
        let tag = page.headers["etag"].clone();
        assert!(page.is(200).as_str().unwrap().starts_with("<!doctype html>"));
        let again = Request::get(path).header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
        world.anonymous().sends(again).await.is(304);
    }
    world.anonymous().gets("/assets/nothing.js").await.is(404);
    // The pages send no requests to AWS.
    assert_eq!(world.wire().take_api_operations(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn a_link_checker_gets_the_headers_of_a_page_without_its_body() {
    let world = World::start().await;
    for path in ["/", "/accept"] {
        let page = world.anonymous().gets(path).await;
        let head = Request::head(path).body(Body::empty()).unwrap();
        let head = world.anonymous().sends(head).await;
        assert_eq!((head.status, head.text.as_str()), (page.status, ""), "{path}");
        assert_eq!(head.headers["etag"], page.headers["etag"], "{path}");
        assert_eq!(head.headers["content-type"], page.headers["content-type"], "{path}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_link_that_a_mail_scanner_has_encoded_leads_to_the_accept_page() {
    start_capture();
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let link = mails(&ada, "bob@example.com").await[0]["link"].as_str().unwrap().to_owned();
    let (page, token) = link.split_once('#').unwrap();
    let path = page.strip_prefix(world.laptop().url()).unwrap();
    for number_sign in ["%23", "%2523"] {
        let scanned = world.anonymous().gets(&format!("{path}{number_sign}{token}")).await;
        assert_eq!(scanned.headers["location"], format!("{path}#{token}"), "{number_sign}");
        let head = Request::head(format!("{path}{number_sign}{token}")).body(Body::empty()).unwrap();
        let head = world.anonymous().sends(head).await;
        assert_eq!((head.status, &head.headers["location"]), (scanned.status, &scanned.headers["location"]));
        assert_eq!(scanned.headers["cache-control"], "no-store", "{number_sign}");
        scanned.is(302);
    }
    world.anonymous().gets("/accept%23").await.is(404);
    world.anonymous().gets("/favicon.ico").await.is(404);
    let lines = take_lines();
    assert!(lines.iter().any(|line| line["action"] == "console"), "{lines:?}");
    assert!(!lines.iter().any(|line| line.to_string().contains(token)), "{lines:?}");
    world.finish().await;
}

/// The code verifier of the example in RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn an_invited_person_signs_in_and_accepts() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "new@partner.example", "member").await;
    let link = world.token_for("new@partner.example").await;
    let url = world.laptop().url();
    let request = format!(
        "client_id=roster-console&redirect_uri={url}/accept&response_type=code&scope=openid+email&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
         &login_hint=new@partner.example"
    );
    let page = world.anonymous().gets(&format!("{AUTHORIZE}?{request}")).await;
    let policy = assert_is_page(&page.headers);
    assert!(policy.iter().any(|it| it.starts_with("form-action 'self' ")), "{policy:?}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    assert!(page.is(200).as_str().unwrap().contains("value=\"new@partner.example\""));

    let form = |path: &str, body: String| {
        let request = Request::post(path).header(header::ORIGIN, url);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.into()).unwrap()
    };
    let chosen = form(AUTHORIZE, format!("{request}&as=new@partner.example"));
    let chosen = world.anonymous().sends(chosen).await;
    let location = chosen.headers["location"].to_str().unwrap().to_owned();
    chosen.is(303);
    let (back, query) = location.split_once("?code=").unwrap();
    assert_eq!(back, format!("{url}/accept"));
    let code = query.split('&').next().unwrap();
    let exchange = format!(
        "grant_type=authorization_code&client_id=roster-console&code={code}&redirect_uri={url}/accept\
         &code_verifier={VERIFIER}"
    );
    let tokens = world.anonymous().sends(form(TOKEN, exchange.clone())).await;
    assert_eq!(tokens.headers["cache-control"], "no-store");
    let tokens = tokens.is(200);
    world.anonymous().sends(form(TOKEN, exchange)).await.is(400);

    let new = world.anonymous().with_token(tokens["access_token"].as_str().unwrap());
    assert_eq!(new.accepts(&link).await.is(200)["email"], "new@partner.example");
    world.finish().await;
}

/// Mails, links and tokens must not be stored in a cache.
#[tokio::test]
async fn s21_responses_of_development_routes_are_not_cached() {
    let world = World::start().await;
    let anonymous = world.anonymous();
    for response in [
        anonymous.gets("/_dev/mail").await,
        anonymous.gets("/_dev/clock").await,
        anonymous.gets("/_dev/check").await,
        anonymous.gets("/_dev/idle").await,
        anonymous.posts("/_dev/token", &json!({ "sub": "ada" })).await,
        anonymous.posts("/_dev/token", &json!({})).await,
        anonymous.posts("/_dev/feedback", &json!({})).await,
    ] {
        assert_eq!(response.headers["cache-control"], "no-store", "{}", response.body);
        assert_eq!(response.headers["referrer-policy"], "no-referrer", "{}", response.body);
    }
    world.finish().await;
}

#[tokio::test]
async fn refuses_requests_of_other_sites() {
    let world = World::start().await;
    let status = |request: http::request::Builder| {
        let router = world.laptop().router();
        async move { router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status().as_u16() }
    };
    for path in ["/accept", "/_dev/mail", "/_dev/clock", "/v1/organizations", "/_aws/"] {
        let foreign = Request::get(path).header(header::HOST, "evil.example:4000");
        assert_eq!(status(foreign).await, 421, "{path}");
    }
    for path in ["/_dev/mail", "/_dev/clock", "/_aws/"] {
        let foreign = Request::get(path)
            .header(header::HOST, "127.0.0.1")
            .header(header::ORIGIN, "https://evil.example");
        assert_eq!(status(foreign).await, 403, "{path}");
    }
    world.finish().await;
}

/// Checks the headers of a page. Returns the directives of its content security policy.
#[track_caller]
fn assert_is_page(headers: &HeaderMap) -> Vec<String> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert!(header("content-type").starts_with("text/html"), "{headers:?}");
    let policy: Vec<_> = header("content-security-policy").split("; ").map(str::to_owned).collect();
    for directive in [
        "default-src 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    ] {
        assert!(policy.contains(&directive.to_owned()), "{directive}: {policy:?}");
    }
    let types = policy.iter().filter(|it| it.starts_with("trusted-types ")).map(String::as_str);
    let types: Vec<_> = types.collect();
    assert!(
        [["trusted-types 'none'"], ["trusted-types lit-html"]].iter().any(|it| types == it),
        "{policy:?}"
    );
    // The URL of the accept page contains a token in the fragment. After signing in, a page's URL contains a code.
    assert!(["no-referrer", "same-origin"].contains(&header("referrer-policy")), "{headers:?}");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("strict-transport-security", "max-age=63072000"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(header(name), value, "{name}");
    }
    policy
}
