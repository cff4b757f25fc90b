//! The laptop's identity provider. It signs tokens for any user, and verifies its own tokens. The clock is the laptop's.
//!
//! Users get their tokens by [`sign_in`], scripts by `POST /_dev/token`.

pub mod sign_in;

use std::sync::Arc;

use axum::{Json, Router, extract, http::StatusCode, response::IntoResponse, routing};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::RsaPublicKeyComponents;
use rsa::{
    PrivateKey,
    pkcs1v15::SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _},
    signature::{SignatureEncoding as _, Signer as _},
    traits::PublicKeyParts as _,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::{
    clock::LocalClock,
    jwt::{self, Claims, PublicKey, RS256, Unauthorized},
    state::{State, StateError},
};

/// The audience of access tokens, which the authorizer requires.
pub const AUDIENCE: &str = "roster";

const KEY_BITS: usize = 2048;
const TOKEN_SECONDS: i64 = 3600;
const KIND: &str = "issuer";
const KEY_ID: &str = "key";

/// The issuer of tokens. Clones share the same key.
#[derive(Clone)]
pub struct Issuer {
    url: Arc<str>,
    clock: LocalClock,
    /// `None` until the background thread has generated the key.
    key: watch::Receiver<Option<Result<Arc<Key>, Arc<IssuerError>>>>,
}

/// Why the issuer cannot sign or verify.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key cannot be stored or read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The key cannot be generated, or the stored key is invalid.
    #[error("the issuer's key is unusable: {0}")]
    Key(String),
}

/// The user that a token is for. The token has no claim for a field that is `None`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The user's id at the issuer.
    pub sub: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the address is verified.
    pub email_verified: Option<bool>,
}

#[derive(Serialize)]
struct TokenClaims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    iat: i64,
    exp: i64,
}

struct Key {
    signing: SigningKey<Sha256>,
    public: PublicKey,
}

impl Issuer {
    /// Starts an issuer with this base URL. If `state` has no key, a background thread generates one and stores it.
    /// Calls that need the key wait for it.
    pub fn start(url: &str, clock: LocalClock, state: State) -> Result<Self, IssuerError> {
        let (sender, key) = watch::channel(None);
        if let Some(stored) = state.get::<String>(KIND, KEY_ID)? {
            sender.send_replace(Some(Ok(Arc::new(Key::read(&stored)?))));
        } else {
            std::thread::Builder::new()
                .name("issuer-key".to_owned())
                .spawn(move || {
                    let generated = generate_key().and_then(|text| {
                        store_key(&state, &text)?;
                        Key::read(&text)
                    });
                    sender.send_replace(Some(generated.map(Arc::new).map_err(Arc::new)));
                })
                .map_err(|e| IssuerError::Key(e.to_string()))?;
        }
        Ok(Self { url: url.trim_end_matches('/').into(), clock, key })
    }

    /// Signs an access token (RS256) for this user, valid for one hour of the laptop's clock.
    pub async fn token(&self, person: &Person) -> Result<String, Arc<IssuerError>> {
        self.sign_token(AUDIENCE, person, None, TOKEN_SECONDS).await
    }

    /// Signs a token for `audience` about this user, valid for this number of seconds.
    async fn sign_token(
        &self,
        audience: &str,
        person: &Person,
        nonce: Option<&str>,
        seconds: i64,
    ) -> Result<String, Arc<IssuerError>> {
        let key = self.key().await?;
        let now = self.clock.now_unix();
        let claims = TokenClaims {
            iss: &self.url,
            aud: audience,
            sub: &person.sub,
            email: person.email.as_deref(),
            email_verified: person.email_verified,
            nonce,
            iat: now,
            exp: now + seconds,
        };
        let key_error = |e: serde_json::Error| Arc::new(IssuerError::Key(e.to_string()));
        key.sign(
            &json!({"alg": "RS256", "typ": "JWT", "kid": key.public.id}),
            &serde_json::to_value(claims).map_err(key_error)?,
        )
        .map_err(Arc::new)
    }

    /// Returns the base URL, which is the `iss` of all tokens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Verifies an access token of this issuer, and returns its claims.
    pub async fn verify(&self, token: &str) -> Result<Claims, Unauthorized> {
        let key = self.key().await.map_err(|_| jwt::NO_KEYS)?;
        let claims = key.public.verify(token, &RS256)?;
        jwt::check(&claims, &self.url, &[AUDIENCE], self.clock.now_unix())?;
        Ok(claims)
    }

    /// Returns the OpenID Connect discovery document.
    #[must_use]
    pub fn discovery(&self) -> Value {
        json!({
            "issuer": &*self.url,
            "jwks_uri": format!("{}/.well-known/jwks.json", self.url),
            "authorization_endpoint": format!("{}{}", self.url, sign_in::AUTHORIZE),
            "token_endpoint": format!("{}{}", self.url, sign_in::TOKEN),
            "end_session_endpoint": format!("{}{}", self.url, sign_in::SIGN_OUT),
            "authorization_response_iss_parameter_supported": true,
            "claims_supported": ["iss", "aud", "sub", "email", "email_verified", "nonce", "iat", "exp"],
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": ["authorization_code"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "prompt_values_supported": ["none", "login", "select_account"],
            "response_modes_supported": ["query"],
            "response_types_supported": ["code"],
            "scopes_supported": ["openid", "email"],
            "subject_types_supported": ["public"],
            "token_endpoint_auth_methods_supported": ["none"],
        })
    }

    /// Returns the public key as a JSON Web Key Set.
    pub async fn key_set(&self) -> Result<Value, Arc<IssuerError>> {
        let key = self.key().await?;
        Ok(json!({"keys": [key.jwk()]}))
    }

    /// Serves the discovery document and the public key to parties that verify tokens.
    pub fn discovery_router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        async fn discovery(extract::State(issuer): extract::State<Issuer>) -> Json<Value> {
            Json(issuer.discovery())
        }
        async fn keys(extract::State(issuer): extract::State<Issuer>) -> axum::response::Response {
            json_response(issuer.key_set().await)
        }
        Router::new()
            .route("/.well-known/openid-configuration", routing::get(discovery))
            .route("/.well-known/jwks.json", routing::get(keys))
            .with_state(self)
    }

    /// Serves `POST /_dev/token`, which returns an access token for any user, without signing in.
    pub fn router(self) -> Router {
        async fn token(
            extract::State(issuer): extract::State<Issuer>,
            // Not `Json`, because that requires a content type, and curl commands often have none.
            body: bytes::Bytes,
        ) -> axum::response::Response {
            match serde_json::from_slice(&body) {
                Ok(person) => {
                    json_response(issuer.token(&person).await.map(|token| json!({"access_token": token})))
                }
                Err(e) => {
                    let text = format!(
                        "The body must be JSON like {{\"sub\": \"ada\", \"email\": \"ada@acme.example\"}}: {e}\n"
                    );
                    (StatusCode::BAD_REQUEST, text).into_response()
                }
            }
        }
        Router::new().route("/_dev/token", routing::post(token)).with_state(self)
    }

    async fn key(&self) -> Result<Arc<Key>, Arc<IssuerError>> {
        let mut key = self.key.clone();
        let no_key = || Arc::new(IssuerError::Key("the thread that generates it has ended".to_owned()));
        match &*key.wait_for(Option::is_some).await.map_err(|_| no_key())? {
            Some(result) => result.clone(),
            None => Err(no_key()),
        }
    }
}

fn json_response(result: Result<Value, Arc<IssuerError>>) -> axum::response::Response {
    match result {
        Ok(value) => Json(value).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

/// Generates a signing key as PKCS#8 in base64. This takes one to two seconds.
pub fn generate_key() -> Result<String, IssuerError> {
    let private =
        PrivateKey::new(&mut getrandom::SysRng, KEY_BITS).map_err(|e| IssuerError::Key(e.to_string()))?;
    let der = private.to_pkcs8_der().map_err(|e| IssuerError::Key(e.to_string()))?;
    Ok(STANDARD.encode(der.as_bytes()))
}

/// Stores a signing key. An issuer that starts with this state uses it. Tests share one key in this way.
pub fn store_key(state: &State, key: &str) -> Result<(), StateError> {
    state.put(KIND, KEY_ID, key)
}

impl Key {
    fn read(stored: &str) -> Result<Self, IssuerError> {
        let der = STANDARD.decode(stored).map_err(|e| IssuerError::Key(e.to_string()))?;
        let private = PrivateKey::from_pkcs8_der(&der).map_err(|e| IssuerError::Key(e.to_string()))?;
        Ok(Self::from(private))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String, IssuerError> {
        let message = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature =
            self.signing.try_sign(message.as_bytes()).map_err(|e| IssuerError::Key(e.to_string()))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }

    fn jwk(&self) -> Value {
        let (n, e) = encode_public_key(&self.public.components);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.public.id, "n": n, "e": e})
    }
}

impl From<PrivateKey> for Key {
    fn from(private: PrivateKey) -> Self {
        let public = private.to_public_key();
        let components = RsaPublicKeyComponents { n: public.n_bytes(), e: public.e_bytes() };
        // The thumbprint of RFC 7638 requires this order of members, and no whitespace.
        let (n, e) = encode_public_key(&components);
        let id = URL_SAFE_NO_PAD
            .encode(Sha256::digest(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()));
        Self { signing: SigningKey::new(private), public: PublicKey { id, algorithm: None, components } }
    }
}

/// Encodes modulus and exponent as in a JSON Web Key.
fn encode_public_key(public: &RsaPublicKeyComponents<Box<[u8]>>) -> (String, String) {
    (URL_SAFE_NO_PAD.encode(&public.n), URL_SAFE_NO_PAD.encode(&public.e))
}

#[cfg(test)]
impl Issuer {
    /// Signs a token with any header and claims with the issuer's key.
    pub(crate) async fn sign(&self, header: &Value, claims: &Value) -> String {
        self.key().await.unwrap().sign(header, claims).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use dynoxide::Database;

    use super::*;
    use crate::authorizer::Authorizer;
    use crate::jwt::decode;

    const URL: &str = "http://127.0.0.1:4000";

    fn issuer() -> (Issuer, LocalClock, State) {
        let state = State::open(Database::memory().unwrap()).unwrap();
        store_key(&state, crate::testing::key()).unwrap();
        let clock = LocalClock::new();
        (Issuer::start(URL, clock.clone(), state.clone()).unwrap(), clock, state)
    }

    fn ada() -> Person {
        Person { sub: "ada".into(), email: Some("ada@acme.example".into()), email_verified: Some(true) }
    }

    async fn authorize(
        issuer: &Issuer,
        authorization: Option<&str>,
    ) -> Result<BTreeMap<String, String>, Unauthorized> {
        Authorizer::new(issuer.clone(), None).authorize(authorization).await
    }

    async fn refusal(issuer: &Issuer, token: &str) -> String {
        authorize(issuer, Some(&format!("Bearer {token}"))).await.unwrap_err().to_string()
    }

    async fn token_with_claims(issuer: &Issuer, change: impl FnOnce(&mut Value)) -> String {
        let key = issuer.key().await.unwrap();
        let now = issuer.clock.now_unix();
        let mut claims = json!({"iss": URL, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 60});
        change(&mut claims);
        issuer.sign(&json!({"alg": "RS256", "kid": key.public.id}), &claims).await
    }

    #[tokio::test]
    async fn authorizer_returns_claims_as_strings() {
        let (issuer, clock, _) = issuer();
        let token = issuer.token(&ada()).await.unwrap();
        let claims = authorize(&issuer, Some(&format!("Bearer {token}"))).await.unwrap();
        assert_eq!(claims["sub"], "ada");
        assert_eq!(claims["email"], "ada@acme.example");
        assert_eq!(claims["email_verified"], "true");
        assert_eq!(claims["iss"], URL);
        assert_eq!(claims["aud"], AUDIENCE);
        let exp: i64 = claims["exp"].parse().unwrap();
        assert!((exp - clock.now_unix() - TOKEN_SECONDS).abs() <= 1);
        assert_eq!(
            authorize(&issuer, Some(&token)).await.unwrap(),
            claims,
            "`Bearer` is optional, as on AWS"
        );
    }

    #[tokio::test]
    async fn token_has_a_boolean_claim_and_no_claims_for_missing_fields() {
        let (issuer, _, _) = issuer();
        let token = issuer.token(&ada()).await.unwrap();
        let claims: Value = decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(claims["email_verified"], true);

        let person = Person { sub: "x".into(), email: None, email_verified: None };
        let claims = authorize(&issuer, Some(&issuer.token(&person).await.unwrap())).await.unwrap();
        assert!(!claims.contains_key("email") && !claims.contains_key("email_verified"));
    }

    #[tokio::test]
    async fn authorizer_joins_arrays_as_api_gateway_does() {
        let (issuer, _, _) = issuer();
        let token = token_with_claims(&issuer, |c| c["groups"] = json!(["a", "b"])).await;
        assert_eq!(authorize(&issuer, Some(&token)).await.unwrap()["groups"], "[a b]");
    }

    #[tokio::test]
    async fn token_expires_when_the_laptops_clock_reaches_its_expiry() {
        let (issuer, clock, _) = issuer();
        let token = issuer.token(&ada()).await.unwrap();
        clock.advance(TOKEN_SECONDS.unsigned_abs() - 5).unwrap();
        assert!(authorize(&issuer, Some(&token)).await.is_ok());
        clock.advance(5).unwrap();
        assert_eq!(refusal(&issuer, &token).await, "the token has expired");
    }

    #[tokio::test]
    async fn challenge_differs_between_a_missing_and_an_invalid_token() {
        let (issuer, _, _) = issuer();
        assert_eq!(authorize(&issuer, None).await, Err(Unauthorized::Missing));
        assert_eq!(authorize(&issuer, Some(" ")).await, Err(Unauthorized::Missing));
        assert_eq!(Unauthorized::Missing.challenge(), "Bearer");
        assert_eq!(
            authorize(&issuer, Some("Basic YTpi")).await.unwrap_err().challenge(),
            r#"Bearer scope="" error="invalid_token" error_description="the token is malformed""#
        );
    }

    #[tokio::test]
    async fn refuses_a_token_with_wrong_claims() {
        let (issuer, clock, _) = issuer();
        let now = clock.now_unix();
        for (claim, value, reason) in [
            ("iss", json!("http://127.0.0.1:4001"), "the token does not have a valid issuer"),
            ("iss", Value::Null, "the token does not have a valid issuer"),
            ("aud", json!("other"), "the token does not have a valid audience"),
            ("aud", json!(["other"]), "the token does not have a valid audience"),
            ("aud", Value::Null, "the token does not have a valid audience"),
            ("exp", json!(now), "the token has expired"),
            ("exp", json!("soon"), "the token has a time that is not a number"),
            ("nbf", json!(now + 60), "the token is not valid yet"),
            ("iat", json!(now + 60), "the token was issued in the future"),
        ] {
            let token = token_with_claims(&issuer, |c| c[claim] = value.clone()).await;
            assert_eq!(refusal(&issuer, &token).await, reason, "{claim} {value}");
        }
        let token = token_with_claims(&issuer, |c| {
            c.as_object_mut().unwrap().remove("exp");
        });
        assert_eq!(refusal(&issuer, &token.await).await, "the token has expired");
        let valid = token_with_claims(&issuer, |c| c["aud"] = json!(["other", AUDIENCE])).await;
        assert!(authorize(&issuer, Some(&valid)).await.is_ok());
    }

    #[tokio::test]
    async fn refuses_forged_tokens() {
        let (issuer, _, _) = issuer();
        let valid = issuer.token(&ada()).await.unwrap();
        let parts: Vec<&str> = valid.split('.').collect();
        let header: Value = decode(parts[0]).unwrap();
        let claims: Value = decode(parts[1]).unwrap();

        let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": header["kid"]}).to_string());
        assert_eq!(refusal(&issuer, &format!("{none}.{}.", parts[1])).await, "the signing method is invalid");
        let hmac = issuer.sign(&json!({"alg": "HS256", "kid": header["kid"]}), &claims).await;
        assert_eq!(refusal(&issuer, &hmac).await, "the signing method is invalid");

        let state = State::open(Database::memory().unwrap()).unwrap();
        let other = Issuer::start(URL, LocalClock::new(), state).unwrap();
        let foreign = other.token(&ada()).await.unwrap();
        assert_eq!(refusal(&issuer, &foreign).await, "unable to find a key that matches the token's kid");
        let foreign = other.sign(&header, &claims).await;
        assert_eq!(refusal(&issuer, &foreign).await, "the signature is invalid");

        let mut other_claims = claims.clone();
        other_claims["sub"] = json!("another user");
        let other_claims = URL_SAFE_NO_PAD.encode(other_claims.to_string());
        let changed = format!("{}.{other_claims}.{}", parts[0], parts[2]);
        assert_eq!(refusal(&issuer, &changed).await, "the signature is invalid");
    }

    #[tokio::test]
    async fn generates_stores_and_publishes_a_key_at_the_first_start() {
        let state = State::open(Database::memory().unwrap()).unwrap();
        let clock = LocalClock::new();
        let first = Issuer::start(URL, clock.clone(), state.clone()).unwrap();
        let token = first.token(&ada()).await.unwrap();
        let next = Issuer::start(URL, clock, state).unwrap();
        assert!(authorize(&next, Some(&token)).await.is_ok());
        assert_eq!(next.key_set().await.unwrap(), first.key_set().await.unwrap());

        let set = next.key_set().await.unwrap();
        let public = &set["keys"][0];
        assert_eq!(public["e"], "AQAB");
        assert_eq!(URL_SAFE_NO_PAD.decode(public["n"].as_str().unwrap()).unwrap().len(), KEY_BITS / 8);
        assert!(public.get("d").is_none());
        assert_eq!(next.discovery()["jwks_uri"], "http://127.0.0.1:4000/.well-known/jwks.json");
    }

    #[tokio::test]
    async fn returns_a_token_over_http() {
        let (issuer, _, _) = issuer();
        let router = issuer.clone().router();
        let person = json!({"sub": "ada", "email": "ada@acme.example", "email_verified": false});
        let (status, body) = crate::testing::post_json(router, "/_dev/token", &person).await;
        assert_eq!(status, StatusCode::OK);
        let claims = authorize(&issuer, body["access_token"].as_str()).await.unwrap();
        assert_eq!(claims["email_verified"], "false");
    }
}
