//! The laptop itself: what it keeps, what it starts with, and what it serves beyond the contract.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use domain::Record;
use domain::{OrganizationId, Status};
use harness::{Options, Organization, Person, World, moment};
use http::{HeaderMap, Method, Request, header};
use local::demo;
use local::issuer::sign_in::{AUTHORIZE, TOKEN};
use local::laptop::{Laptop, StartError};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const HOUR: u64 = 60 * 60;

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn kept_in(db: &Path, port: u16) -> Options {
    Options { port, db: Some(db.to_owned()), ..Options::default() }
}

/// A laptop that may be the next one at its port: the tasks of the one before have to have ended.
async fn start(options: Options) -> Laptop {
    let begin = async {
        loop {
            match Laptop::start(options.clone(), |_| {}).await {
                Err(StartError::PortInUse(_)) => tokio::task::yield_now().await,
                started => break started.expect("the laptop starts"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), begin).await.expect("the port is given back")
}

async fn now(person: &Person) -> i64 {
    moment(&person.gets("/_dev/clock").await.is(200)["now"]).unix()
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
async fn a_file_keeps_everything_over_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());

    let laptop = start(kept_in(&db, port)).await;
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

    let laptop = start(kept_in(&db, port)).await;
    assert_eq!(laptop.url(), url);
    let visitor = Person::at(&url);
    let after = now(&visitor).await;
    assert!((before..before + 60).contains(&after), "the clock went from {before} to {after}");
    assert_eq!(visitor.gets("/.well-known/jwks.json").await.is(200), keys);
    // The same issuer: the token from before is still good.
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    // The position in the stream: nothing is read, and mailed, a second time.
    assert_eq!(mails(&ada, "").await, mailed);
    // The link key.
    let bob = visitor.signs_in_as("bob").await;
    bob.accepts(&bobs).await.is(200);
    // The schedule.
    advance(&visitor, 48 * HOUR).await;
    let ada = visitor.signs_in_as("ada").await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(ada.finds(&acme, "eve@example.com").await["status"], "expired");
    assert_eq!(laptop.table().check().await.unwrap().1, []);
    assert_eq!(laptop.dead_letters().unwrap(), []);
}

#[tokio::test]
async fn a_mail_that_is_owed_at_the_stop_goes_out_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());
    // Nobody serves the functions, so that no mail can go out.
    let deaf = Some(format!("http://127.0.0.1:{}", free_port()));
    let laptop = start(Options { demo: true, functions: deaf, ..kept_in(&db, port) }).await;
    assert_eq!(laptop.mailbox().items(None), []);
    drop(laptop);

    let laptop = start(kept_in(&db, port)).await;
    laptop.idle().await.unwrap();
    assert_eq!(laptop.dead_letters().unwrap(), []);
    let stored = laptop.table().records().await.unwrap();
    let acme = demo::organization();
    let pending = stored.invitations(&acme).filter(|it| it.status() == Status::Pending);
    let sent = pending.filter(|it| laptop.mailbox().items(Some(it.email.as_str())).len() == 1).count();
    assert_eq!((sent, laptop.mailbox().items(None).len()), (5, 5));
}

#[tokio::test]
async fn a_busy_port_is_named_with_the_flag_that_chooses_another() {
    let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = other.local_addr().unwrap().port();
    let started = Laptop::start(Options { port, ..Options::default() }, |_| {}).await;
    let error = started.err().expect("the port is in use").to_string();
    assert!(error.contains(&format!("port {port}")) && error.contains("--port"), "{error}");
}

#[tokio::test]
async fn without_the_demo_there_is_nothing() {
    let world = World::start().await;
    let check = world.nobody().gets("/_dev/check").await.is(200);
    assert_eq!(check, json!({ "organizations": 0, "violations": [] }));
    assert_eq!(mails(&world.nobody(), "").await, Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_demo_has_been_in_use_for_a_while() {
    let world = World::with(Options { demo: true, ..Options::default() }).await;
    let acme = Organization::new(demo::organization().as_str());
    let person =
        |(sub, email): (&str, &str)| world.signed_in(sub, json!({ "email": email, "email_verified": true }));
    let owner = person(demo::OWNER);
    let organization = owner.looks_at(&acme).await.is(200);
    assert_eq!(organization["name"], "Acme");
    assert_eq!(organization["owners"], 2);
    assert_eq!(organization["seats"], json!({ "total": 1000, "taken": 312, "free": 688 }));
    for (status, count) in [("pending", 8), ("expired", 4), ("revoked", 1), ("declined", 1)] {
        let list = owner.lists_invitations(&acme, &format!("?status={status}&limit=1000")).await.is(200);
        assert_eq!(list["items"].as_array().unwrap().len(), count, "{status}");
    }
    assert_eq!(person(demo::MEMBER).looks_at(&acme).await.is(200)["role"], "member");

    // The mail of a pending invitation is in the mailbox, and its link works.
    let token = world.token_for(demo::INVITEE.1).await;
    let preview = world.nobody().previews(&token).await.is(200);
    assert_eq!((&preview["status"], &preview["email"]), (&json!("pending"), &json!(demo::INVITEE.1)));
    person(demo::INVITEE).accepts(&token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn a_file_that_holds_something_gets_no_demo() {
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());
    let laptop = start(kept_in(&db, port)).await;
    Person::at(laptop.url()).signs_in_as("ada").await.creates("Mine").await.is(201);
    drop(laptop);
    let laptop = start(Options { demo: true, ..kept_in(&db, port) }).await;
    assert_eq!(laptop.table().check().await.unwrap().0, 1);
}

/// The one behind `getToken` of a page that is developed on another port.
#[tokio::test]
async fn a_page_of_this_machine_reads_a_token_only_if_it_is_on_the_list() {
    let (page, elsewhere) = ("http://127.0.0.1:5173", "https://app.example.com");
    let origins = [page, elsewhere].map(|origin| local::cors::origin(origin).unwrap()).to_vec();
    let world = World::with(Options { origins, ..Options::default() }).await;
    let body = json!({ "sub": "ada", "email": "ada@example.com", "email_verified": true }).to_string();
    for (origin, status, readable) in [
        (page, 200, true),
        ("http://127.0.0.1:5174", 200, false),
        // On the list for the API, which asks for a token; here anybody may be anybody.
        (elsewhere, 403, false),
        ("https://evil.example", 403, false),
    ] {
        let request = Request::post("/_dev/token").header(header::ORIGIN, origin);
        let answer = world.nobody().sends(request.body(Body::from(body.clone())).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{origin}");
        let told = answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(told.is_some_and(|it| it == origin), readable, "{origin}");
    }
    world.finish().await;
}

#[tokio::test]
async fn the_issuer_signs_for_anybody() {
    let world = World::start().await;
    let nobody = world.nobody();
    let claims = json!({ "sub": "ada", "email": "ada@example.com", "email_verified": true });
    let answer = nobody.posts("/_dev/token", &claims).await.is(200);
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["access_token"]);
    let ada = nobody.with_token(answer["access_token"].as_str().unwrap());
    ada.creates("Acme").await.is(201);
    for wrong in [json!({}), json!({ "sub": 1 }), json!({ "sub": "ada", "admin": true }), json!([])] {
        nobody.posts("/_dev/token", &wrong).await.is(400);
    }
    // Good for an hour of the laptop's clock.
    world.passes(HOUR - 60).await;
    ada.gets("/v1/organizations").await.is(200);
    world.passes(61).await;
    assert_eq!(ada.gets("/v1/organizations").await.is(401), json!({ "message": "Unauthorized" }));
    world.finish().await;
}

#[tokio::test]
async fn the_mailbox_is_a_list_and_a_page() {
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
    moment(&mail["sent_at"]);
    assert_eq!(mails(&ada, "nobody@example.com").await, Vec::<Value>::new());

    let request = Request::get("/_dev/mail").header(header::ACCEPT, "text/html,*/*;q=0.8");
    let page = world.nobody().sends(request.body(Body::empty()).unwrap()).await;
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
async fn the_clock_is_told_and_advanced_and_nothing_else() {
    let world = World::start().await;
    let nobody = world.nobody();
    let before = now(&nobody).await;
    let answer = nobody.posts("/_dev/clock", &json!({ "advance_seconds": 3600 })).await.is(200);
    let told = moment(&answer["now"]).unix();
    assert!((before + 3600..before + 3660).contains(&told), "from {before} to {told}");
    assert_eq!(answer.as_object().unwrap().len(), 1);
    nobody.posts("/_dev/clock", &json!({ "advance_seconds": 0 })).await.is(200);
    for wrong in [
        "",
        "soon",
        "{}",
        r#"{"advance_seconds": -1}"#,
        r#"{"advance_seconds": 1.5}"#,
        r#"{"advance_seconds": "60"}"#,
        r#"{"advance_seconds": 60, "set": true}"#,
        // After the last moment that RFC 3339 can tell.
        r#"{"advance_seconds": 999999999999}"#,
        r#"{"advance_seconds": 18446744073709551615}"#,
    ] {
        nobody.calls(Method::POST, "/_dev/clock", Some(wrong.to_owned())).await.is(400);
    }
    let after = now(&nobody).await;
    assert!((told..told + 60).contains(&after), "from {told} to {after}");
    world.finish().await;
}

#[tokio::test]
async fn idle_answers_once_every_mail_is_out() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails: Vec<_> = (0..50).map(|n| format!("guest-{n}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    ada.invites(&acme, &emails, "member").await.is(200);
    assert_eq!(ada.gets("/_dev/idle").await.is(200), json!({ "idle": true }));
    assert_eq!(world.laptop().mailbox().items(None).len(), 50);
    assert_eq!(ada.finds(&acme, "guest-49@example.com").await["delivery"], "sent");
    world.finish().await;
}

#[tokio::test]
async fn check_counts_organizations_and_tells_what_is_wrong() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.founded_by(&ada).await;
    assert_eq!(ada.gets("/_dev/check").await.is(200), json!({ "organizations": 2, "violations": [] }));
    // An owner too many is counted, behind the functions' backs.
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
async fn s21_s29_the_page_behind_the_link_may_run_its_own_script_only_and_passes_its_address_on_to_nobody() {
    let world = World::start().await;
    for path in ["/", "/accept"] {
        let page = world.nobody().gets(path).await;
        let policy = assert_is_page(&page.headers);
        // Built or not, which changes what it needs.
        let runs: Vec<_> = policy.iter().filter(|it| it.starts_with("script-src")).collect();
        assert!(runs.is_empty() || runs == [&"script-src 'self'"], "{policy:?}");
        assert!(!policy.join(" ").contains("unsafe"), "{policy:?}");
        assert!(policy.contains(&"form-action 'none'".to_owned()), "{policy:?}");
        // It may be kept, since it holds nothing of anybody; whether it is still the one is asked each time.
        assert_eq!(page.headers["cache-control"], "no-cache");
        let tag = page.headers["etag"].clone();
        assert!(page.is(200).as_str().unwrap().starts_with("<!doctype html>"));
        let again = Request::get(path).header(header::IF_NONE_MATCH, tag).body(Body::empty()).unwrap();
        world.nobody().sends(again).await.is(304);
    }
    world.nobody().gets("/assets/nothing.js").await.is(404);
    // It asks nobody for anything.
    assert_eq!(world.wire().take_actions(), Vec::<String>::new());
    world.finish().await;
}

/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

#[tokio::test]
async fn whoever_is_invited_signs_in_and_accepts() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "new@partner.example", "member").await;
    let link = world.token_for("new@partner.example").await;
    let url = world.laptop().url();
    let asked = format!(
        "client_id=roster-console&redirect_uri={url}/accept&response_type=code&scope=openid+email&state=s\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
         &login_hint=new@partner.example"
    );
    let page = world.nobody().gets(&format!("{AUTHORIZE}?{asked}")).await;
    let policy = assert_is_page(&page.headers);
    assert!(policy.iter().any(|it| it.starts_with("form-action 'self' ")), "{policy:?}");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "same-origin");
    assert!(page.is(200).as_str().unwrap().contains("value=\"new@partner.example\""));

    let form = |path: &str, body: String| {
        let request = Request::post(path).header(header::ORIGIN, url);
        request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body.into()).unwrap()
    };
    let chosen = form(AUTHORIZE, format!("{asked}&as=new@partner.example"));
    let chosen = world.nobody().sends(chosen).await;
    let location = chosen.headers["location"].to_str().unwrap().to_owned();
    chosen.is(303);
    let (back, query) = location.split_once("?code=").unwrap();
    assert_eq!(back, format!("{url}/accept"));
    let code = query.split('&').next().unwrap();
    let exchange = format!(
        "grant_type=authorization_code&client_id=roster-console&code={code}&redirect_uri={url}/accept\
         &code_verifier={VERIFIER}"
    );
    let tokens = world.nobody().sends(form(TOKEN, exchange.clone())).await;
    assert_eq!(tokens.headers["cache-control"], "no-store");
    let tokens = tokens.is(200);
    world.nobody().sends(form(TOKEN, exchange)).await.is(400);

    let new = world.nobody().with_token(tokens["access_token"].as_str().unwrap());
    assert_eq!(new.accepts(&link).await.is(200)["email"], "new@partner.example");
    world.finish().await;
}

/// Mails, links and tokens are for whoever asked, and nobody's cache.
#[tokio::test]
async fn s21_what_the_laptop_serves_beyond_the_contract_is_kept_by_nobody() {
    let world = World::start().await;
    let nobody = world.nobody();
    for answer in [
        nobody.gets("/_dev/mail").await,
        nobody.gets("/_dev/clock").await,
        nobody.gets("/_dev/check").await,
        nobody.gets("/_dev/idle").await,
        nobody.posts("/_dev/token", &json!({ "sub": "ada" })).await,
        nobody.posts("/_dev/token", &json!({})).await,
        nobody.posts("/_dev/feedback", &json!({})).await,
    ] {
        assert_eq!(answer.headers["cache-control"], "no-store", "{}", answer.body);
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "{}", answer.body);
    }
    world.finish().await;
}

#[tokio::test]
async fn a_page_of_another_site_reaches_nothing() {
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

/// What every page that the laptop serves is sent with; gives its policy.
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
    // A token stands in the accept page's address, and a code in that of both pages for a moment.
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
