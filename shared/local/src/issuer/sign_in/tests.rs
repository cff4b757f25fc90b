use axum::body::Body;
use dynoxide::Database;
use http::Request;

use super::*;
use crate::clock::LocalClock;
use crate::issuer::{AUDIENCE, store_key};
use crate::state::State;
use crate::testing::send;

const URL: &str = "http://127.0.0.1:4000";
const CALLBACK: &str = "http://127.0.0.1:4000/accept";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Fixture {
    issuer: Issuer,
    clock: LocalClock,
    router: Router,
}

/// Status, headers and body of a response.
type TestResponse = (StatusCode, HeaderMap, String);

impl Fixture {
    fn new() -> Self {
        Self::with_demo(true)
    }

    fn with_demo(demo: bool) -> Self {
        let state = State::open(Database::memory().unwrap()).unwrap();
        store_key(&state, crate::testing::key()).unwrap();
        let clock = LocalClock::new();
        let issuer = Issuer::start(URL, clock.clone(), state).unwrap();
        let other_origins = [HeaderValue::from_static("https://app.example")];
        let router = SignIn::new(issuer.clone(), &other_origins, demo).router();
        Self { issuer, clock, router }
    }

    async fn get(&self, path: &str, parameters: &[(&str, &str)], cookie: Option<&str>) -> TestResponse {
        let mut request = Request::get(format!("{path}?{}", form(parameters)));
        if let Some(cookie) = cookie {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        send(self.router.clone(), request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, parameters: &[(&str, &str)]) -> TestResponse {
        let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        send(self.router.clone(), request.body(Body::from(form(parameters))).unwrap()).await
    }

    /// Signs in as `email`, and returns the code and the session cookie.
    async fn sign_in_as(&self, email: &str) -> (String, String) {
        let (status, headers, body) = self.post(AUTHORIZE, &with(&authorization(), &[("as", email)])).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{body}");
        let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        (parameter(&headers, "code").unwrap(), cookie)
    }

    async fn exchange(&self, parameters: &[(&str, &str)]) -> (StatusCode, Value) {
        let (status, headers, body) = self.post(TOKEN, parameters).await;
        assert_eq!(headers["content-type"], "application/json", "{body}");
        (status, serde_json::from_str(&body).unwrap())
    }

    /// Sends a token request that must fail, and returns the error.
    async fn exchange_error(&self, parameters: &[(&str, &str)]) -> String {
        let (status, body) = self.exchange(parameters).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(body["error_description"].is_string(), "{body}");
        body["error"].as_str().unwrap().to_owned()
    }
}

fn form(parameters: &[(&str, &str)]) -> String {
    let encoded = |text| utf8_percent_encode(text, QUERY).to_string();
    let pairs = parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// The parameters of an authorization request.
fn authorization() -> Vec<(&'static str, &'static str)> {
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

/// The parameters of a token request.
fn token_request(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

/// Returns `parameters` with these changes. An empty value removes the parameter.
fn with<'a>(parameters: &[(&'a str, &'a str)], changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let unchanged = parameters.iter().filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    unchanged.chain(changes.iter().filter(|(_, value)| !value.is_empty())).copied().collect()
}

/// Returns a parameter of the URL that the browser is redirected to.
fn parameter(headers: &HeaderMap, name: &str) -> Option<String> {
    let (uri, query) = headers["location"].to_str().unwrap().split_once('?').unwrap();
    assert!(["/accept", "/"].iter().any(|page| uri.ends_with(page)), "{uri}");
    query_pairs(query).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

fn claims(token: &Value) -> Value {
    let claims = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn signing_in_returns_a_code_for_tokens_that_the_api_accepts() {
    let fixture = Fixture::new();
    let (status, headers, _) =
        fixture.post(AUTHORIZE, &with(&authorization(), &[("as", "ada@acme.example")])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let location = headers["location"].to_str().unwrap();
    assert!(location.starts_with(&format!("{CALLBACK}?code=")), "{location}");
    assert_eq!(parameter(&headers, "state").as_deref(), Some("s&t=a te"));
    assert_eq!(parameter(&headers, "iss").as_deref(), Some(URL));
    assert_eq!(parameter(&headers, "error"), None);

    let code = parameter(&headers, "code").unwrap();
    let (status, tokens) = fixture.exchange(&token_request(&code)).await;
    assert_eq!(status, StatusCode::OK, "{tokens}");
    assert_eq!(
        (&tokens["token_type"], &tokens["expires_in"], &tokens["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("openid email"))
    );
    let caller = fixture.issuer.verify(tokens["access_token"].as_str().unwrap()).await.unwrap();
    assert_eq!((caller["sub"].as_str(), caller["email"].as_str()), (Some("ada"), Some("ada@acme.example")));
    assert_eq!((&caller["email_verified"], caller["aud"].as_str()), (&json!(true), Some(AUDIENCE)));

    let id_claims = claims(&tokens["id_token"]);
    assert_eq!(
        (&id_claims["iss"], &id_claims["aud"], &id_claims["nonce"]),
        (&json!(URL), &json!(CLIENT), &json!("n0nce"))
    );
    assert_eq!((&id_claims["sub"], &id_claims["email"]), (&json!("ada"), &json!("ada@acme.example")));
    assert_eq!(id_claims["exp"].as_i64().unwrap() - id_claims["iat"].as_i64().unwrap(), TOKEN_SECONDS);
    // The ID token is for the page only. The API does not accept it.
    assert!(fixture.issuer.verify(tokens["id_token"].as_str().unwrap()).await.is_err());
}

#[tokio::test]
async fn returns_an_id_token_only_for_the_scope_openid_and_with_a_nonce_only_if_requested() {
    let fixture = Fixture::new();
    for (scope, has_id_token) in
        [("openid", true), ("email openid", true), ("email", false), ("", false), ("openids", false)]
    {
        let request = with(&authorization(), &[("scope", scope), ("nonce", ""), ("as", "ada@acme.example")]);
        let (_, headers, _) = fixture.post(AUTHORIZE, &request).await;
        let code = parameter(&headers, "code").unwrap();
        let (_, tokens) = fixture.exchange(&token_request(&code)).await;
        assert_eq!(tokens.get("id_token").is_some(), has_id_token, "{scope}");
        assert!(tokens["access_token"].is_string());
        assert!(!has_id_token || claims(&tokens["id_token"]).get("nonce").is_none());
    }
}

#[tokio::test]
async fn page_offers_users_and_its_forms_repeat_the_request() {
    let fixture = Fixture::new();
    let (status, headers, page) = fixture.get(AUTHORIZE, &authorization(), None).await;
    assert_eq!(status, StatusCode::OK);
    let offered = |page: &str| -> Vec<String> {
        page.split(r#"name="as" value=""#)
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(offered(&page), ["ada@acme.example", "grace@acme.example", "ivy@partner.example"]);
    // The page has three forms. Each one contains all parameters of the request.
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
    assert!(headers.get("set-cookie").is_none(), "showing the page signs no user in");

    // The user in `login_hint` comes first.
    let with_hint = with(&authorization(), &[("login_hint", "New@Partner.example")]);
    let (_, _, page) = fixture.get(AUTHORIZE, &with_hint, None).await;
    assert_eq!(offered(&page)[0], "new@partner.example");
    assert!(page.contains(r#"name="email" value="""#), "the text field stays empty: {page}");
    let with_hint = with(&authorization(), &[("login_hint", "ivy@partner.example")]);
    let (_, _, page) = fixture.get(AUTHORIZE, &with_hint, None).await;
    assert_eq!(offered(&page), ["ivy@partner.example", "ada@acme.example", "grace@acme.example"]);
    // A hint that is not an address only fills the text field.
    let with_hint = with(&authorization(), &[("login_hint", "\"><b>")]);
    let (_, _, page) = fixture.get(AUTHORIZE, &with_hint, None).await;
    assert_eq!(offered(&page).len(), 3);
    assert!(page.contains("&#34;&#62;&#60;b&#62;") && !page.contains("\"><b>"), "{page}");

    let (_, _, page) = Fixture::with_demo(false).get(AUTHORIZE, &authorization(), None).await;
    assert_eq!(offered(&page), [""; 0], "without a demo organization, the page offers no users");
}

#[tokio::test]
async fn a_typed_address_becomes_the_user_id_unless_it_belongs_to_the_demo() {
    let fixture = Fixture::new();
    for (sent, sub, verified) in [
        (&[("email", " New@Partner.Example "), ("verified", "yes")][..], "new@partner.example", true),
        (&[("email", "new@partner.example")], "new@partner.example", false),
        (&[("email", "anna.abt@acme.example"), ("verified", "yes")], "anna-abt", true),
    ] {
        let (_, headers, _) = fixture.post(AUTHORIZE, &with(&authorization(), sent)).await;
        let code = parameter(&headers, "code").unwrap();
        let (_, tokens) = fixture.exchange(&token_request(&code)).await;
        let claims = claims(&tokens["access_token"]);
        assert_eq!((&claims["sub"], &claims["email_verified"]), (&json!(sub), &json!(verified)), "{sent:?}");
    }
    for invalid in ["", "nobody", "a@b@c", "<b>@example.com"] {
        let (status, headers, page) =
            fixture.post(AUTHORIZE, &with(&authorization(), &[("email", invalid)])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{invalid}");
        assert!(page.contains("is not an e-mail address") && !page.contains("<b>@"), "{page}");
        assert!(!headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn an_unverified_address_stays_unverified_when_the_user_signs_in_again() {
    let fixture = Fixture::new();
    let (_, headers, _) =
        fixture.post(AUTHORIZE, &with(&authorization(), &[("email", "new@partner.example")])).await;
    let cookie = headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    for (email, verified) in [("new@partner.example", false), ("ada@acme.example", true)] {
        let body = form(&with(&authorization(), &[("as", email)]));
        let request = Request::post(AUTHORIZE).header("cookie", cookie).body(Body::from(body)).unwrap();
        let (_, headers, _) = send(fixture.router.clone(), request).await;
        let (_, tokens) = fixture.exchange(&token_request(&parameter(&headers, "code").unwrap())).await;
        assert_eq!(claims(&tokens["access_token"])["email_verified"], verified, "{email}");
    }
}

#[tokio::test]
async fn cancelling_redirects_with_an_error_and_without_a_code() {
    let fixture = Fixture::new();
    let (status, headers, _) = fixture.post(AUTHORIZE, &with(&authorization(), &[("cancel", "yes")])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(parameter(&headers, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&headers, "state").as_deref(), Some("s&t=a te"));
    assert_eq!(parameter(&headers, "iss").as_deref(), Some(URL));
    assert_eq!(parameter(&headers, "code"), None);
    assert!(!headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn prompt_none_redirects_at_once_with_a_code_or_an_error() {
    let fixture = Fixture::new();
    let silent = with(&authorization(), &[("prompt", "none")]);
    let (status, headers, _) = fixture.get(AUTHORIZE, &silent, None).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(parameter(&headers, "error").as_deref(), Some("login_required"));

    let (_, cookie) = fixture.sign_in_as("grace@acme.example").await;
    let (status, headers, _) = fixture.get(AUTHORIZE, &silent, Some(&cookie)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (_, tokens) = fixture.exchange(&token_request(&parameter(&headers, "code").unwrap())).await;
    assert_eq!(claims(&tokens["id_token"])["sub"], "grace");

    // The hint names another user than the session.
    let with_hint = with(&silent, &[("login_hint", "ivy@partner.example")]);
    let (_, headers, _) = fixture.get(AUTHORIZE, &with_hint, Some(&cookie)).await;
    assert_eq!(parameter(&headers, "error").as_deref(), Some("login_required"));
    for hint in ["grace@acme.example", "Grace@ACME.example"] {
        let with_hint = with(&silent, &[("login_hint", hint)]);
        let (_, headers, _) = fixture.get(AUTHORIZE, &with_hint, Some(&cookie)).await;
        assert!(parameter(&headers, "code").is_some(), "{hint}");
    }

    // Any other prompt shows the page. Its first button is the user of the session.
    for prompt in ["", "login", "select_account", "login consent"] {
        let request = with(&authorization(), &[("prompt", prompt)]);
        let (status, _, page) = fixture.get(AUTHORIZE, &request, Some(&cookie)).await;
        assert_eq!(status, StatusCode::OK, "{prompt}");
        let first = page.split(r#"name="as" value=""#).nth(1).unwrap();
        assert!(first.starts_with("grace@acme.example"), "{first}");
    }
    let both = with(&authorization(), &[("prompt", "none login")]);
    let (_, headers, _) = fixture.get(AUTHORIZE, &both, Some(&cookie)).await;
    assert_eq!(parameter(&headers, "error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn session_is_a_cookie_of_this_issuer_that_is_valid_for_30_days() {
    let fixture = Fixture::new();
    let (_, headers, _) =
        fixture.post(AUTHORIZE, &with(&authorization(), &[("as", "ada@acme.example")])).await;
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("roster-session-4000="), "{cookie}");
    assert!(cookie.ends_with("; Path=/_dev; Max-Age=2592000; HttpOnly; SameSite=Lax"), "{cookie}");
    let session = cookie.split(['=', ';']).nth(1).unwrap().to_owned();

    let silent = with(&authorization(), &[("prompt", "none")]);
    let is_signed_in = async |session: &str| {
        let cookie = format!("roster-session-4000={session}");
        let (_, headers, _) = fixture.get(AUTHORIZE, &silent, Some(&cookie)).await;
        parameter(&headers, "code").is_some()
    };
    assert!(is_signed_in(&session).await);
    // The issuer accepts no other token as a session, and the API does not accept the session token.
    let ada = Person { sub: "ada".into(), email: None, email_verified: None };
    assert!(!is_signed_in(&fixture.issuer.token(&ada).await.unwrap()).await);
    assert!(!is_signed_in(&fixture.issuer.sign_token(CLIENT, &ada, None, 60).await.unwrap()).await);
    assert!(!is_signed_in(&format!("{session}x")).await);
    assert!(!is_signed_in("").await);
    assert!(fixture.issuer.verify(&session).await.is_err());

    fixture.clock.advance(SESSION_SECONDS.unsigned_abs() - 5).unwrap();
    assert!(is_signed_in(&session).await);
    fixture.clock.advance(5).unwrap();
    assert!(!is_signed_in(&session).await);
}

#[tokio::test]
async fn code_is_valid_once_for_one_minute_and_for_its_request_only() {
    let fixture = Fixture::new();
    let (code, _) = fixture.sign_in_as("ada@acme.example").await;
    assert_eq!(fixture.exchange(&token_request(&code)).await.0, StatusCode::OK);
    assert_eq!(
        fixture.exchange_error(&token_request(&code)).await,
        "invalid_grant",
        "the code was used before"
    );

    for changes in [
        [("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl")],
        // The challenge is public, so it must not work as the verifier.
        [("code_verifier", CHALLENGE)],
        [("redirect_uri", "http://127.0.0.1:4000/")],
        [("redirect_uri", "https://app.example/accept")],
    ] {
        let (code, _) = fixture.sign_in_as("ada@acme.example").await;
        assert_eq!(
            fixture.exchange_error(&with(&token_request(&code), &changes)).await,
            "invalid_grant",
            "{changes:?}"
        );
        assert_eq!(
            fixture.exchange_error(&token_request(&code)).await,
            "invalid_grant",
            "a failed exchange uses the code up"
        );
    }
    assert_eq!(fixture.exchange_error(&token_request("nonsense")).await, "invalid_grant");

    let (code, _) = fixture.sign_in_as("ada@acme.example").await;
    let other_client = with(&token_request(&code), &[("client_id", "other")]);
    assert_eq!(fixture.exchange_error(&other_client).await, "invalid_client");

    let (expired, _) = fixture.sign_in_as("ada@acme.example").await;
    fixture.clock.advance(CODE_SECONDS.unsigned_abs()).unwrap();
    assert_eq!(fixture.exchange_error(&token_request(&expired)).await, "invalid_grant");
}

#[tokio::test]
async fn token_request_needs_each_parameter_exactly_once() {
    let fixture = Fixture::new();
    let (code, _) = fixture.sign_in_as("ada@acme.example").await;
    for name in ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"] {
        assert_eq!(
            fixture.exchange_error(&with(&token_request(&code), &[(name, "")])).await,
            "invalid_request",
            "{name}"
        );
        let mut twice = token_request(&code);
        twice.extend(token_request(&code).into_iter().filter(|(parameter, _)| *parameter == name));
        assert_eq!(fixture.exchange_error(&twice).await, "invalid_request", "{name} twice");
    }
    for grant in ["password", "refresh_token", "client_credentials"] {
        let other = with(&token_request(&code), &[("grant_type", grant)]);
        assert_eq!(fixture.exchange_error(&other).await, "unsupported_grant_type");
    }
    assert_eq!(
        fixture.exchange(&token_request(&code)).await.0,
        StatusCode::OK,
        "the refused requests did not use the code up"
    );
    let (status, ..) = fixture.get(TOKEN, &token_request(&code), None).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn redirects_to_allowed_origins_only() {
    let fixture = Fixture::new();
    let allowed = [
        "http://127.0.0.1:4000/",
        "http://localhost:4000/accept",
        "https://app.example/",
        "https://app.example/?a=b",
    ];
    for uri in allowed {
        let request = with(&authorization(), &[("redirect_uri", uri), ("as", "ada@acme.example")]);
        let (status, headers, _) = fixture.post(AUTHORIZE, &request).await;
        assert_eq!(status, StatusCode::SEE_OTHER, "{uri}");
        let location = headers["location"].to_str().unwrap();
        let rest = location.strip_prefix(uri).unwrap();
        assert!(rest.starts_with(if uri.contains('?') { "&code=" } else { "?code=" }), "{location}");
    }
    let not_allowed = [
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
    for uri in not_allowed {
        let request = with(&authorization(), &[("redirect_uri", uri), ("as", "ada@acme.example")]);
        let silent = with(&authorization(), &[("redirect_uri", uri), ("prompt", "none")]);
        let sign_out = [("post_logout_redirect_uri", uri)];
        let mut responses =
            vec![fixture.post(AUTHORIZE, &request).await, fixture.get(AUTHORIZE, &silent, None).await];
        if !uri.is_empty() {
            responses.push(fixture.get(SIGN_OUT, &sign_out, None).await);
        }
        for (status, headers, page) in responses {
            assert_eq!(status, StatusCode::BAD_REQUEST, "{uri}: {page}");
            assert!(!headers.contains_key("location") && !headers.contains_key("set-cookie"), "{uri}");
            assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"));
        }
    }
    let mut twice = authorization();
    twice.push(("redirect_uri", "https://evil.example/"));
    assert_eq!(fixture.get(AUTHORIZE, &twice, None).await.0, StatusCode::BAD_REQUEST);
    let other = with(&authorization(), &[("client_id", "other")]);
    assert_eq!(fixture.get(AUTHORIZE, &other, None).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn reports_an_invalid_request_to_the_page_that_sent_it() {
    let fixture = Fixture::new();
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
            let request = with(&authorization(), &changes);
            let (status, headers, _) = match method {
                "GET" => fixture.get(AUTHORIZE, &request, None).await,
                _ => fixture.post(AUTHORIZE, &with(&request, &[("as", "ada@acme.example")])).await,
            };
            assert_eq!(status, StatusCode::SEE_OTHER, "{changes:?}");
            assert_eq!(parameter(&headers, "error").as_deref(), Some(error), "{changes:?}");
            assert_eq!(parameter(&headers, "state").as_deref(), Some("s&t=a te"));
            assert_eq!(parameter(&headers, "iss").as_deref(), Some(URL));
            assert!(!headers.contains_key("set-cookie"));
        }
    }
    for repeated in ["state", "nonce", "scope", "code_challenge", "response_type"] {
        let mut twice = authorization();
        twice.push((repeated, "again"));
        let (_, headers, _) = fixture.get(AUTHORIZE, &twice, None).await;
        assert_eq!(parameter(&headers, "error").as_deref(), Some("invalid_request"), "{repeated}");
    }
}

#[tokio::test]
async fn signing_out_deletes_the_cookie_and_redirects() {
    let fixture = Fixture::new();
    let redirect = [("post_logout_redirect_uri", "http://127.0.0.1:4000/"), ("state", "a b")];
    let (status, headers, _) = fixture.get(SIGN_OUT, &redirect, None).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_eq!(headers["location"], "http://127.0.0.1:4000/?state=a%20b");
    let deleted = "roster-session-4000=; Path=/_dev; Max-Age=0; HttpOnly; SameSite=Lax";
    assert_eq!(headers["set-cookie"], deleted);

    let (status, headers, page) = fixture.get(SIGN_OUT, &[], None).await;
    assert_eq!((status, headers["set-cookie"].to_str().unwrap()), (StatusCode::OK, deleted));
    assert!(page.contains("Signed out"), "{page}");
}

#[tokio::test]
async fn allowed_origins_may_exchange_codes_and_read_the_discovery_document_and_keys() {
    let fixture = Fixture::new();
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
            let (_, headers, _) = send(fixture.router.clone(), request).await;
            let granted = headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap());
            let expected = (allowed && path != AUTHORIZE).then_some(origin);
            assert_eq!(granted, expected, "{method} {path} {origin}");
            assert!(!headers.contains_key("access-control-allow-credentials"));
        }
    }
}

#[tokio::test]
async fn discovery_document_names_the_existing_endpoints() {
    let fixture = Fixture::new();
    let (_, _, body) = fixture.get("/.well-known/openid-configuration", &[], None).await;
    let document: Value = serde_json::from_str(&body).unwrap();
    for (name, path) in
        [("authorization_endpoint", AUTHORIZE), ("token_endpoint", TOKEN), ("end_session_endpoint", SIGN_OUT)]
    {
        assert_eq!(document[name], format!("{URL}{path}"));
        let (status, ..) = fixture.get(path, &[], None).await;
        assert_ne!(status, StatusCode::NOT_FOUND, "{name}");
    }
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
}
