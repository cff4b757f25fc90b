use std::sync::Mutex;

use axum::extract::State as Extract;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router, routing};
use dynoxide::Database;
use http::StatusCode;
use serde_json::json;
use tokio::net::TcpListener;

use super::*;
use crate::authorizer::Authorizer;
use crate::issuer::{Issuer, Person, generate_key, store_key};
use crate::state::State;

/// A provider whose answers a test can change.
struct FakeProvider {
    url: String,
    answers: Arc<Mutex<Answers>>,
}

struct Answers {
    /// `None` if the provider responds with a server error.
    discovery: Option<Value>,
    keys: Value,
}

/// Serves the document that `select` returns.
fn document(select: fn(&Answers) -> Option<Value>) -> routing::MethodRouter<Arc<Mutex<Answers>>> {
    routing::get(async move |Extract(answers): Extract<Arc<Mutex<Answers>>>| -> Response {
        match select(&answers.lock().unwrap()) {
            Some(document) => Json(document).into_response(),
            None => StatusCode::BAD_GATEWAY.into_response(),
        }
    })
}

impl FakeProvider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/tenant/", listener.local_addr().unwrap());
        let answers = Answers { discovery: None, keys: json!({"keys": []}) };
        let answers = Arc::new(Mutex::new(answers));
        let router = Router::new()
            .route("/tenant/.well-known/openid-configuration", document(|it| it.discovery.clone()))
            .route("/keys", document(|it| Some(it.keys.clone())))
            .with_state(Arc::clone(&answers));
        tokio::spawn(async move { axum::serve(listener, router).await });
        let provider = Self { url, answers };
        provider.comes_up();
        provider
    }

    fn comes_up(&self) {
        let keys = self.url.replace("/tenant/", "/keys");
        self.answers.lock().unwrap().discovery = Some(json!({"issuer": self.url, "jwks_uri": keys}));
    }

    fn goes_down(&self) {
        self.answers.lock().unwrap().discovery = None;
    }

    fn has_keys(&self, keys: &[&Value]) {
        self.answers.lock().unwrap().keys = json!({ "keys": keys });
    }

    /// Starts a laptop that accepts the provider's tokens.
    async fn laptop(&self) -> Result<Laptop, ProviderError> {
        let issuer = IssuerUrl::parse(&self.url).unwrap();
        let clock = LocalClock::new();
        let provider =
            IdentityProvider::start(issuer, vec!["other-api".to_owned(), "my-api".to_owned()], clock.clone())
                .await?;
        let state = State::open(Database::memory().unwrap()).unwrap();
        store_key(&state, crate::testing::key()).unwrap();
        let own = Issuer::start("http://127.0.0.1:4000", clock.clone(), state).unwrap();
        Ok(Laptop { authorizer: Authorizer::new(own.clone(), Some(Arc::new(provider))), own, clock })
    }
}

struct Laptop {
    authorizer: Authorizer,
    own: Issuer,
    clock: LocalClock,
}

impl Laptop {
    /// Returns the subject of a token, or why it is refused.
    async fn subject(&self, token: &str) -> Result<String, String> {
        let claims = self.authorizer.authorize(Some(&format!("Bearer {token}"))).await;
        claims.map(|claims| claims["sub"].clone()).map_err(|error| error.to_string())
    }
}

/// A key pair of the provider.
struct KeyPair {
    pair: Issuer,
    public: Value,
}

impl KeyPair {
    async fn new(key: &str) -> Self {
        let state = State::open(Database::memory().unwrap()).unwrap();
        store_key(&state, key).unwrap();
        let pair = Issuer::start("http://unused", LocalClock::new(), state).unwrap();
        let public = pair.key_set().await.unwrap()["keys"][0].clone();
        Self { pair, public }
    }

    /// Signs a token of `provider` for Bob, valid for a minute of the machine's time. `change` can change its claims.
    async fn token(&self, provider: &FakeProvider, change: impl FnOnce(&mut Value)) -> String {
        let now = LocalClock::new().machine_unix();
        let mut claims =
            json!({"iss": provider.url, "aud": "my-api", "sub": "bob", "iat": now, "exp": now + 60});
        change(&mut claims);
        self.pair.sign(&json!({"alg": "RS256", "kid": self.public["kid"]}), &claims).await
    }
}

fn refused(reason: &str) -> Result<String, String> {
    Err(reason.to_owned())
}

#[tokio::test]
async fn accepts_tokens_of_the_provider_and_of_the_laptop() {
    let provider = FakeProvider::start().await;
    let key = KeyPair::new(crate::testing::key()).await;
    provider.has_keys(&[&json!({"kty": "EC", "kid": "a", "crv": "P-256"}), &key.public]);
    let laptop = provider.laptop().await.unwrap();
    assert_eq!(laptop.subject(&key.token(&provider, |_| {}).await).await, Ok("bob".to_owned()));
    let by_client = key.token(&provider, |claims| {
        claims["client_id"] = claims["aud"].take();
        claims.as_object_mut().unwrap().remove("aud");
    });
    assert_eq!(laptop.subject(&by_client.await).await, Ok("bob".to_owned()));
    let ada = Person { sub: "ada".to_owned(), email: None, email_verified: None };
    assert_eq!(laptop.subject(&laptop.own.token(&ada).await.unwrap()).await, Ok("ada".to_owned()));
}

#[tokio::test]
async fn refuses_wrong_claims_and_wrong_signatures() {
    let provider = FakeProvider::start().await;
    let key = KeyPair::new(crate::testing::key()).await;
    provider.has_keys(&[&key.public]);
    let laptop = provider.laptop().await.unwrap();
    let now = laptop.clock.machine_unix();
    for (claim, value, reason) in [
        ("aud", json!("roster"), "the token does not have a valid audience"),
        ("iss", json!("https://login.example.com/"), "the token does not have a valid issuer"),
        // The laptop's own issuer has the same key in this test, but its tokens have another audience.
        ("iss", json!("http://127.0.0.1:4000"), "the token does not have a valid audience"),
        ("iss", json!(provider.url.trim_end_matches('/')), "the token does not have a valid issuer"),
        ("exp", json!(now), "the token has expired"),
        ("nbf", json!(now + 60), "the token is not valid yet"),
        ("iat", json!(now + 60), "the token was issued in the future"),
    ] {
        let token = key.token(&provider, |claims| claims[claim] = value.clone()).await;
        assert_eq!(laptop.subject(&token).await, refused(reason), "{claim} {value}");
    }
    let valid = key.token(&provider, |_| {}).await;
    let (message, signature) = valid.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other = key.token(&provider, |claims| claims["sub"] = json!("ada")).await;
    let other_claims = other.split('.').nth(1).unwrap();
    let forged = format!("{header}.{other_claims}.{signature}");
    assert_eq!(laptop.subject(&forged).await, refused("the signature is invalid"));
}

#[tokio::test]
async fn accepts_algorithms_based_on_rsa_unless_the_key_has_another_one() {
    let provider = FakeProvider::start().await;
    let key = KeyPair::new(crate::testing::key()).await;
    let mut other_algorithm = key.public.clone();
    other_algorithm["alg"] = json!("RS512");
    provider.has_keys(&[&other_algorithm]);
    let laptop = provider.laptop().await.unwrap();
    let token = key.token(&provider, |_| {}).await;
    assert_eq!(laptop.subject(&token).await, refused("the signing method is invalid"));

    let mut any_algorithm = key.public.clone();
    any_algorithm.as_object_mut().unwrap().remove("alg");
    provider.has_keys(&[&any_algorithm]);
    let laptop = provider.laptop().await.unwrap();
    assert_eq!(laptop.subject(&token).await, Ok("bob".to_owned()));
    for algorithm in ["none", "HS256", "ES256"] {
        let header = json!({"alg": algorithm, "kid": key.public["kid"]});
        let token = key.pair.sign(&header, &json!({"iss": provider.url})).await;
        assert_eq!(laptop.subject(&token).await, refused("the signing method is invalid"), "{algorithm}");
    }
}

#[tokio::test]
async fn reads_the_keys_again_if_a_token_has_an_unknown_key() {
    let provider = FakeProvider::start().await;
    let old = KeyPair::new(crate::testing::key()).await;
    provider.has_keys(&[&old.public]);
    let laptop = provider.laptop().await.unwrap();
    let new = KeyPair::new(&generate_key().unwrap()).await;
    let token = new.token(&provider, |_| {}).await;
    let unknown = refused("unable to find a key that matches the token's kid");
    assert_eq!(laptop.subject(&token).await, unknown);
    provider.has_keys(&[&new.public]);
    assert_eq!(laptop.subject(&token).await, Ok("bob".to_owned()));
    assert_eq!(laptop.subject(&old.token(&provider, |_| {}).await).await, unknown);
}

#[tokio::test]
async fn an_unavailable_provider_does_not_prevent_the_start() {
    let provider = FakeProvider::start().await;
    let key = KeyPair::new(crate::testing::key()).await;
    provider.has_keys(&[&key.public]);
    provider.goes_down();
    let laptop = provider.laptop().await.unwrap();
    let token = key.token(&provider, |_| {}).await;
    assert_eq!(laptop.subject(&token).await, refused("unable to fetch the issuer's keys"));
    provider.comes_up();
    assert_eq!(laptop.subject(&token).await, Ok("bob".to_owned()));
    // The provider is only needed for new keys.
    provider.goes_down();
    assert_eq!(laptop.subject(&token).await, Ok("bob".to_owned()));
}

#[tokio::test]
async fn the_error_of_an_unusable_provider_names_its_address_and_the_problem() {
    let provider = FakeProvider::start().await;
    let keys = provider.url.replace("/tenant/", "/keys");
    let error = provider.laptop().await.err().unwrap().to_string();
    assert!(error.starts_with(&format!("{keys} cannot be used: it has no RSA key")), "{error}");

    provider.answers.lock().unwrap().discovery =
        Some(json!({"issuer": "https://x.example", "jwks_uri": keys}));
    let error = provider.laptop().await.err().unwrap();
    assert_eq!(error, ProviderError::OtherIssuer("https://x.example".to_owned()));
    assert!(error.to_string().contains("--issuer https://x.example"), "{error}");

    let plain_http = json!({"issuer": provider.url, "jwks_uri": "http://login.example.com/keys"});
    for discovery in [plain_http, json!({"issuer": provider.url}), json!([])] {
        provider.answers.lock().unwrap().discovery = Some(discovery.clone());
        let error = provider.laptop().await.err().unwrap();
        assert!(matches!(error, ProviderError::NotAProvider { .. }), "{discovery}: {error}");
    }

    // No server listens on this port.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let error = read::<Value>(&url).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert!(error.to_string().starts_with(&format!("{url} cannot be read: Connection refused")), "{error}");
}

#[tokio::test]
async fn tokens_of_the_provider_follow_the_time_of_the_machine() {
    let provider = FakeProvider::start().await;
    let key = KeyPair::new(crate::testing::key()).await;
    provider.has_keys(&[&key.public]);
    let laptop = provider.laptop().await.unwrap();
    laptop.clock.advance(48 * 60 * 60).unwrap();
    assert_eq!(laptop.subject(&key.token(&provider, |_| {}).await).await, Ok("bob".to_owned()));
}

#[test]
fn an_issuer_is_https_or_on_this_machine() {
    for valid in [
        "https://login.example.com/",
        "https://login.example.com/a/b",
        "http://localhost:5000",
        "http://[::1]:1/",
    ] {
        assert_eq!(IssuerUrl::parse(valid).unwrap().as_str(), valid);
    }
    for invalid in [
        "",
        "login.example.com",
        "http://login.example.com/",
        "http://localhost.example.com",
        "https://login.example.com/?a=b",
        "https://login.example.com/#a",
        "https://user@login.example.com/",
        "ftp://localhost",
    ] {
        assert_eq!(IssuerUrl::parse(invalid), Err(InvalidIssuer), "{invalid}");
    }
}
