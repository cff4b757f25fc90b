use axum::body::Body;
use dynoxide::Database;
use http::Request;

use super::*;
use crate::clock::LocalClock;
use crate::issuer::{AUDIENCE, keep_key};
use crate::state::State;
use crate::testing::send;

const URL: &str = "http://127.0.0.1:4000";
const CALLBACK: &str = "http://127.0.0.1:4000/accept";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct World {
    issuer: Issuer,
    clock: LocalClock,
    router: Router,
}

type Answer = (StatusCode, HeaderMap, String);

impl World {
    fn new() -> Self {
        Self::with(true)
    }

    fn with(demo: bool) -> Self {
        let state = State::open(Database::memory().unwrap()).unwrap();
        keep_key(&state, crate::testing::key()).unwrap();
        let clock = LocalClock::new();
        let issuer = Issuer::start(URL, clock.clone(), state).unwrap();
        let others = [HeaderValue::from_static("https://app.example")];
        let router = SignIn::new(issuer.clone(), &others, demo).router();
        Self { issuer, clock, router }
    }

    async fn gets(&self, path: &str, parameters: &[(&str, &str)], cookie: Option<&str>) -> Answer {
        let mut request = Request::get(format!("{path}?{}", form(parameters)));
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        send(self.router.clone(), request.body(Body::empty()).unwrap()).await
    }

    async fn posts(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        send(self.router.clone(), request.body(Body::from(form(parameters))).unwrap()).await
    }

    /// Chooses to be `email` and gives the code and the cookie that come back.
    async fn chooses(&self, email: &str) -> (String, String) {
        let (status, headers, body) = self.posts(AUTHORIZE, &with(&asking(), &[("as", email)])).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
        let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        (parameter(&headers, "code").unwrap(), cookie)
    }

    async fn exchanges(&self, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
        let (status, headers, body) = self.posts(TOKEN, parameters).await;
        assert_eq!(headers["content-type"], "application/json", "{body}");
        (status, serde_json::from_str(&body).unwrap())
    }

    async fn refuses(&self, parameters: &[(&str, &str)]) -> String {
        let (status, answer) = self.exchanges(parameters).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["error_description"].is_string(), "{answer}");
        answer["error"].as_str().unwrap().to_owned()
    }
}

fn form(parameters: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, QUERY).to_string();
    let pairs = parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn asking() -> Vec<(&'static str, &'static str)> {
    vec![
        ("client_id", CLIENT),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid email"),
        ("state", "s&t=a te"),
        ("nonce", "n0nce"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]
}

fn exchange(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

/// `parameters` with some of them changed, or left out if they are empty.
fn with<'a>(parameters: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let kept = parameters.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    kept.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

/// A parameter of where the browser is sent.
fn parameter(headers: &HeaderMap, name: &str) -> Option<String> {
    let (uri, query) = headers["location"].to_str().unwrap().split_once('?').unwrap();
    assert!(["/accept", "/"].iter().any(|page| uri.ends_with(page)), "{uri}");
    query_pairs(query).into_iter().find(|(it, _)| it == name).map(|(_, value)| value)
}

fn claims(token: &Value) -> Value {
    let claims = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn whoever_is_chosen_comes_back_with_a_code_for_tokens_that_the_api_takes() {
    let world = World::new();
    let (status, headers, _) = world.posts(AUTHORIZE, &with(&asking(), &[("as", "ada@acme.example")])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let location = headers["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{CALLBACK}?code=")), "{location}");
    assert_eq!(parameter(&headers, "state").as_deref(), Some("s&t=a te"));
    assert_eq!(parameter(&headers, "iss").as_deref(), Some(URL));
    assert_eq!(parameter(&headers, "error"), None);

    let code = parameter(&headers, "code").unwrap();
    let (status, tokens) = world.exchanges(&exchange(&code)).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"], &tokens["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("openid email"))
    );
    let caller = world.issuer.authorize(tokens["access_token"].as_str()).await.unwrap();
    assert_eq!((caller["sub"].as_str(), caller["email"].as_str()), ("ada", "ada@acme.example"));
    assert_eq!((caller["email_verified"].as_str(), caller["aud"].as_str()), ("true", AUDIENCE));

    let about = claims(&tokens["id_token"]);
    assert_eq!(
        (&about["iss"], &about["aud"], &about["nonce"]),
        (&json!(URL), &json!(CLIENT), &json!("n0nce"))
    );
    assert_eq!((&about["sub"], &about["email"]), (&json!("ada"), &json!("ada@acme.example")));
    assert_eq!(about["exp"].as_i64().unwrap() - about["iat"].as_i64().unwrap(), LIFETIME_SECONDS);
    // It tells the page who is there, and is no key to the API.
    assert!(world.issuer.authorize(tokens["id_token"].as_str()).await.is_err());
}

#[tokio::test]
async fn an_id_token_is_given_to_who_asks_for_openid_and_has_no_nonce_if_none_was_given() {
    let world = World::new();
    for (scope, has_one) in
        [("openid", true), ("email openid", true), ("email", false), ("", false), ("openids", false)]
    {
        let asked = with(&asking(), &[("scope", scope), ("nonce", ""), ("as", "ada@acme.example")]);
        let (_, headers, _) = world.posts(AUTHORIZE, &asked).await;
        let code = parameter(&headers, "code").unwrap();
        let (_, tokens) = world.exchanges(&exchange(&code)).await;
        assert_eq!(tokens.get("id_token").is_some(), has_one, "{scope}");
        assert!(tokens["access_token"].is_string());
        assert!(!has_one || claims(&tokens["id_token"]).get("nonce").is_none());
    }
}

#[tokio::test]
async fn the_page_offers_whom_one_may_be_and_carries_what_was_asked() {
    let world = World::new();
    let (status, headers, page) = world.gets(AUTHORIZE, &asking(), None).await;
    assert_eq!(status, StatusCode::OK);
    let offered = |page: &str| -> Vec<String> {
        page.split(r#"name="as" value=""#)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(offered(&page), ["ada@acme.example", "grace@acme.example", "ivy@partner.example"]);
    // Three forms, each with all of it.
    assert_eq!(
        page.matches(r#"name="code_challenge" value="E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM""#).count(),
        3
    );
    assert_eq!(page.matches(r#"name="state" value="s&#38;t=a te""#).count(), 3);
    let policy = headers["content-security-policy"].to_str().unwrap();
    let forms = "form-action 'self' http://127.0.0.1:4000 http://localhost:4000 https://app.example;";
    assert!(policy.contains(forms) && policy.contains("style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("script-src") && !page.contains("<script"), "{policy}");
    assert_eq!(headers["referrer-policy"], "same-origin");
    assert!(headers.get("set-cookie").is_none(), "nobody is signed in by looking");

    // Whoever was just invited comes first.
    let hinted = with(&asking(), &[("login_hint", "New@Partner.example")]);
    let (_, _, page) = world.gets(AUTHORIZE, &hinted, None).await;
    assert_eq!(offered(&page)[0], "new@partner.example");
    let hinted = with(&asking(), &[("login_hint", "ivy@partner.example")]);
    let (_, _, page) = world.gets(AUTHORIZE, &hinted, None).await;
    assert_eq!(offered(&page), ["ivy@partner.example", "ada@acme.example", "grace@acme.example"]);
    // A hint that is no address is only something typed.
    let hinted = with(&asking(), &[("login_hint", "\"><b>")]);
    let (_, _, page) = world.gets(AUTHORIZE, &hinted, None).await;
    assert_eq!(offered(&page).len(), 3);
    assert!(page.contains("&#34;&#62;&#60;b&#62;") && !page.contains("\"><b>"), "{page}");

    let (_, _, page) = World::with(false).gets(AUTHORIZE, &asking(), None).await;
    assert_eq!(offered(&page), [""; 0], "without a demo there is nobody to know");
}

#[tokio::test]
async fn anybody_else_is_known_by_the_address() {
    let world = World::new();
    for (sent, sub, verified) in [
        (&[("email", " New@Partner.Example "), ("verified", "yes")][..], "new@partner.example", true),
        (&[("email", "new@partner.example")], "new@partner.example", false),
        (&[("email", "anna.abt@acme.example"), ("verified", "yes")], "anna-abt", true),
    ] {
        let (_, headers, _) = world.posts(AUTHORIZE, &with(&asking(), sent)).await;
        let code = parameter(&headers, "code").unwrap();
        let (_, tokens) = world.exchanges(&exchange(&code)).await;
        let about = claims(&tokens["access_token"]);
        assert_eq!((&about["sub"], &about["email_verified"]), (&json!(sub), &json!(verified)), "{sent:?}");
    }
    for wrong in ["", "nobody", "a@b@c", "<b>@example.com"] {
        let (status, headers, page) = world.posts(AUTHORIZE, &with(&asking(), &[("email", wrong)])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(page.contains("is no e-mail address") && !page.contains("<b>@"), "{page}");
        assert!(!headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn whoever_is_signed_in_without_a_verified_address_stays_so() {
    let world = World::new();
    let (_, headers, _) = world.posts(AUTHORIZE, &with(&asking(), &[("email", "new@partner.example")])).await;
    let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    for (chosen, verified) in [("new@partner.example", false), ("ada@acme.example", true)] {
        let body = form(&with(&asking(), &[("as", chosen)]));
        let request = Request::post(AUTHORIZE).header("cookie", cookie).body(Body::from(body)).unwrap();
        let (_, headers, _) = send(world.router.clone(), request).await;
        let (_, tokens) = world.exchanges(&exchange(&parameter(&headers, "code").unwrap())).await;
        assert_eq!(claims(&tokens["access_token"])["email_verified"], verified, "{chosen}");
    }
}

#[tokio::test]
async fn whoever_cancels_goes_back_without_a_code() {
    let world = World::new();
    let (status, headers, _) = world.posts(AUTHORIZE, &with(&asking(), &[("cancel", "yes")])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(parameter(&headers, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&headers, "state").as_deref(), Some("s&t=a te"));
    assert_eq!(parameter(&headers, "iss").as_deref(), Some(URL));
    assert_eq!(parameter(&headers, "code"), None);
    assert!(!headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn a_page_that_asks_silently_is_answered_at_once() {
    let world = World::new();
    let silently = with(&asking(), &[("prompt", "none")]);
    let (status, headers, _) = world.gets(AUTHORIZE, &silently, None).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(parameter(&headers, "error").as_deref(), Some("login_required"));

    let (_, cookie) = world.chooses("grace@acme.example").await;
    let (status, headers, _) = world.gets(AUTHORIZE, &silently, Some(&cookie)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (_, tokens) = world.exchanges(&exchange(&parameter(&headers, "code").unwrap())).await;
    assert_eq!(claims(&tokens["id_token"])["sub"], "grace");

    // Somebody else is meant.
    let hinted = with(&silently, &[("login_hint", "ivy@partner.example")]);
    let (_, headers, _) = world.gets(AUTHORIZE, &hinted, Some(&cookie)).await;
    assert_eq!(parameter(&headers, "error").as_deref(), Some("login_required"));
    let hinted = with(&silently, &[("login_hint", "grace@acme.example")]);
    let (_, headers, _) = world.gets(AUTHORIZE, &hinted, Some(&cookie)).await;
    assert!(parameter(&headers, "code").is_some());

    // Asked otherwise, people see the page, and themselves on it.
    for prompt in ["", "login", "select_account", "login consent"] {
        let asked = with(&asking(), &[("prompt", prompt)]);
        let (status, _, page) = world.gets(AUTHORIZE, &asked, Some(&cookie)).await;
        assert_eq!(status, StatusCode::OK, "{prompt}");
        let first = page.split(r#"name="as" value=""#).nth(1).unwrap();
        assert!(first.starts_with("grace@acme.example"), "{first}");
    }
    let both = with(&asking(), &[("prompt", "none login")]);
    let (_, headers, _) = world.gets(AUTHORIZE, &both, Some(&cookie)).await;
    assert_eq!(parameter(&headers, "error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_session_is_a_cookie_of_this_issuer_for_a_month() {
    let world = World::new();
    let (_, headers, _) = world.posts(AUTHORIZE, &with(&asking(), &[("as", "ada@acme.example")])).await;
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("roster-session-4000="), "{cookie}");
    assert!(cookie.ends_with("; Path=/_dev; Max-Age=2592000; HttpOnly; SameSite=Lax"), "{cookie}");
    let session = cookie.split(['=', ';']).nth(1).unwrap().to_owned();

    let silently = with(&asking(), &[("prompt", "none")]);
    let is_signed_in = async |session: &str| {
        let cookie = format!("roster-session-4000={session}");
        let (_, headers, _) = world.gets(AUTHORIZE, &silently, Some(&cookie)).await;
        parameter(&headers, "code").is_some()
    };
    assert!(is_signed_in(&session).await);
    // Neither is any other token a session, nor a session any other token.
    let ada = Person { sub: "ada".into(), email: None, email_verified: None };
    assert!(!is_signed_in(&world.issuer.token(&ada).await.unwrap()).await);
    assert!(!is_signed_in(&world.issuer.signed(CLIENT, &ada, None, 60).await.unwrap()).await);
    assert!(!is_signed_in(&format!("{session}x")).await);
    assert!(!is_signed_in("").await);
    assert!(world.issuer.authorize(Some(&session)).await.is_err());

    world.clock.advance(SESSION_SECONDS.unsigned_abs() - 5).unwrap();
    assert!(is_signed_in(&session).await);
    world.clock.advance(5).unwrap();
    assert!(!is_signed_in(&session).await);
}

#[tokio::test]
async fn a_code_is_good_once_for_a_minute_and_for_who_asked() {
    let world = World::new();
    let (code, _) = world.chooses("ada@acme.example").await;
    assert_eq!(world.exchanges(&exchange(&code)).await.0, StatusCode::OK);
    assert_eq!(world.refuses(&exchange(&code)).await, "invalid_grant", "a second time");

    for changes in [
        [("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl")],
        // The challenge is what everybody sees.
        [("code_verifier", CHALLENGE)],
        [("redirect_uri", "http://127.0.0.1:4000/")],
        [("redirect_uri", "https://app.example/accept")],
    ] {
        let (code, _) = world.chooses("ada@acme.example").await;
        assert_eq!(world.refuses(&with(&exchange(&code), &changes)).await, "invalid_grant", "{changes:?}");
        assert_eq!(world.refuses(&exchange(&code)).await, "invalid_grant", "a try uses it up");
    }
    assert_eq!(world.refuses(&exchange("nonsense")).await, "invalid_grant");

    let (code, _) = world.chooses("ada@acme.example").await;
    let foreign = with(&exchange(&code), &[("client_id", "other")]);
    assert_eq!(world.refuses(&foreign).await, "invalid_client");

    let (late, _) = world.chooses("ada@acme.example").await;
    world.clock.advance(CODE_SECONDS.unsigned_abs()).unwrap();
    assert_eq!(world.refuses(&exchange(&late)).await, "invalid_grant");
}

#[tokio::test]
async fn an_exchange_says_all_of_it_once() {
    let world = World::new();
    let (code, _) = world.chooses("ada@acme.example").await;
    for left_out in ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"] {
        assert_eq!(
            world.refuses(&with(&exchange(&code), &[(left_out, "")])).await,
            "invalid_request",
            "{left_out}"
        );
        let mut twice = exchange(&code);
        twice.extend(exchange(&code).into_iter().filter(|(name, _)| *name == left_out));
        assert_eq!(world.refuses(&twice).await, "invalid_request", "{left_out} twice");
    }
    for grant in ["password", "refresh_token", "client_credentials"] {
        let other = with(&exchange(&code), &[("grant_type", grant)]);
        assert_eq!(world.refuses(&other).await, "unsupported_grant_type");
    }
    assert_eq!(world.exchanges(&exchange(&code)).await.0, StatusCode::OK, "none of that was a try");
    let (status, ..) = world.gets(TOKEN, &exchange(&code), None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn people_are_sent_back_to_pages_of_ours_only() {
    let world = World::new();
    let fine = [
        "http://127.0.0.1:4000/",
        "http://localhost:4000/accept",
        "https://app.example/",
        "https://app.example/?a=b",
    ];
    for uri in fine {
        let asked = with(&asking(), &[("redirect_uri", uri), ("as", "ada@acme.example")]);
        let (status, headers, _) = world.posts(AUTHORIZE, &asked).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{uri}");
        let location = headers["location"].to_str().unwrap();
        let rest = location.strip_prefix(uri).unwrap();
        assert!(rest.starts_with(if uri.contains('?') { "&code=" } else { "?code=" }), "{location}");
    }
    let foreign = [
        "",
        "/",
        "//evil.example/",
        "https://evil.example/",
        "http://127.0.0.1:4001/",
        "http://[::1]:4000/",
        "https://127.0.0.1:4000/",
        "http://127.0.0.1:4000@evil.example/",
        "http://ada@127.0.0.1:4000/",
        "http://127.0.0.1:4000.evil.example/",
        "http://127.0.0.1:4000\\@evil.example/",
        "https://app.example.evil.example/",
        "http://app.example/",
        "https://app.example:444/",
        "http://127.0.0.1:4000/#fragment",
        "http://127.0.0.1:4000/\r\nset-cookie: a=b",
        "javascript:alert(1)",
        "data:text/html,a",
    ];
    for uri in foreign {
        let asked = with(&asking(), &[("redirect_uri", uri), ("as", "ada@acme.example")]);
        let silently = with(&asking(), &[("redirect_uri", uri), ("prompt", "none")]);
        let out = [("post_logout_redirect_uri", uri)];
        let mut answers =
            vec![world.posts(AUTHORIZE, &asked).await, world.gets(AUTHORIZE, &silently, None).await];
        if !uri.is_empty() {
            answers.push(world.gets(SIGN_OUT, &out, None).await);
        }
        for (status, headers, page) in answers {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}: {page}");
            assert!(!headers.contains_key("location") && !headers.contains_key("set-cookie"), "{uri}");
            assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"));
        }
    }
    let mut twice = asking();
    twice.push(("redirect_uri", "https://evil.example/"));
    assert_eq!(world.gets(AUTHORIZE, &twice, None).await.0, StatusCode::BAD_REQUEST);
    let other = with(&asking(), &[("client_id", "other")]);
    assert_eq!(world.gets(AUTHORIZE, &other, None).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_request_that_asks_for_less_than_a_code_with_a_proof_is_told_so() {
    let world = World::new();
    for (changes, error) in [
        ([("response_type", "token")], "unsupported_response_type"),
        ([("response_type", "")], "unsupported_response_type"),
        ([("code_challenge_method", "plain")], "invalid_request"),
        ([("code_challenge_method", "")], "invalid_request"),
        ([("code_challenge", "")], "invalid_request"),
        ([("code_challenge", "abc")], "invalid_request"),
        ([("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM")], "invalid_request"),
    ] {
        for method in ["GET", "POST"] {
            let asked = with(&asking(), &changes);
            let (status, headers, _) = match method {
                "GET" => world.gets(AUTHORIZE, &asked, None).await,
                _ => world.posts(AUTHORIZE, &with(&asked, &[("as", "ada@acme.example")])).await,
            };
            assert_eq!(status, StatusCode::SEE_OTHER, "{changes:?}");
            assert_eq!(parameter(&headers, "error").as_deref(), Some(error), "{changes:?}");
            assert_eq!(parameter(&headers, "state").as_deref(), Some("s&t=a te"));
            assert_eq!(parameter(&headers, "iss").as_deref(), Some(URL));
            assert!(!headers.contains_key("set-cookie"));
        }
    }
    for repeated in ["state", "nonce", "scope", "code_challenge", "response_type"] {
        let mut twice = asking();
        twice.push((repeated, "again"));
        let (_, headers, _) = world.gets(AUTHORIZE, &twice, None).await;
        assert_eq!(parameter(&headers, "error").as_deref(), Some("invalid_request"), "{repeated}");
    }
}

#[tokio::test]
async fn signing_out_forgets_who_was_there_and_goes_back() {
    let world = World::new();
    let back = [("post_logout_redirect_uri", "http://127.0.0.1:4000/"), ("state", "a b")];
    let (status, headers, _) = world.gets(SIGN_OUT, &back, None).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "http://127.0.0.1:4000/?state=a%20b");
    let gone = "roster-session-4000=; Path=/_dev; Max-Age=0; HttpOnly; SameSite=Lax";
    assert_eq!(headers["set-cookie"], gone);

    let (status, headers, page) = world.gets(SIGN_OUT, &[], None).await;
    assert_eq!((status, headers["set-cookie"].to_str().unwrap()), (StatusCode::OK, gone));
    assert!(page.contains("Signed out"), "{page}");
}

#[tokio::test]
async fn pages_of_allowed_origins_may_exchange_codes_and_read_what_is_published() {
    let world = World::new();
    for (origin, allowed) in [
        ("https://app.example", true),
        ("http://localhost:4000", true),
        ("http://127.0.0.1:4000", true),
        ("https://evil.example", false),
        ("http://localhost:4001", false),
    ] {
        for (method, path) in [
            ("POST", TOKEN),
            ("OPTIONS", TOKEN),
            ("GET", "/.well-known/openid-configuration"),
            ("GET", "/.well-known/jwks.json"),
            ("GET", AUTHORIZE),
        ] {
            let request = Request::builder().method(method).uri(path).header("origin", origin);
            let request =
                request.header("access-control-request-method", "POST").body(Body::empty()).unwrap();
            let (_, headers, _) = send(world.router.clone(), request).await;
            let told = headers.get("access-control-allow-origin").map(|it| it.to_str().unwrap());
            let expected = (allowed && path != AUTHORIZE).then_some(origin);
            assert_eq!(told, expected, "{method} {path} {origin}");
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
    }
}

#[tokio::test]
async fn the_discovery_document_names_what_there_is() {
    let world = World::new();
    let (_, _, body) = world.gets("/.well-known/openid-configuration", &[], None).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    for (name, path) in
        [("authorization_endpoint", AUTHORIZE), ("token_endpoint", TOKEN), ("end_session_endpoint", SIGN_OUT)]
    {
        assert_eq!(document[name], format!("{URL}{path}"));
        let (status, ..) = world.gets(path, &[], None).await;
        assert_ne!(status, StatusCode::NOT_FOUND, "{name}");
    }
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
}
