//! The dev identity provider: signs tokens for any person, and checks them as API Gateway's JWT authorizer
//! does. Written on `rsa` and `ring` directly: an RS256 token is two lines of base64, and the authorizer's rules differ
//! from what token libraries check (its clock is the laptop's). People get theirs by [`sign_in`], scripts by a call.

pub mod sign_in;

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, extract, http::StatusCode, response::IntoResponse, routing};
use base64::{Engine as _, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
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
    state::{State, StateError},
};

/// The audience of every token, and the one that the authorizer asks for.
pub const AUDIENCE: &str = "roster";

const KEY_BITS: usize = 2048;
const LIFETIME_SECONDS: i64 = 3600;
const KIND: &str = "issuer";
const KEY_ID: &str = "key";

/// The issuer and the authorizer that trusts it. Clones are the same issuer.
#[derive(Clone)]
pub struct Issuer {
    url: Arc<str>,
    clock: LocalClock,
    /// None until the background thread has made the key.
    key: watch::Receiver<Option<Result<Arc<Key>, Arc<IssuerError>>>>,
}

/// Why the issuer can't sign or verify.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    /// The key could not be kept or read back.
    #[error(transparent)]
    State(#[from] StateError),
    /// The key could not be made, or the kept one is broken.
    #[error("the issuer's key is unusable: {0}")]
    Key(String),
}

/// The authorizer's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// No token was sent.
    #[error("no token")]
    Missing,
    /// The token is not to be trusted.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Unauthorized {
    /// The `www-authenticate` header, in the words that API Gateway uses.
    #[must_use]
    pub fn challenge(self) -> String {
        match self {
            Self::Missing => "Bearer".to_owned(),
            Self::Invalid(why) => {
                format!(r#"Bearer scope="" error="invalid_token" error_description="{why}""#)
            }
        }
    }
}

/// Whom a token is for. Claims left out are left out of the token too.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The person's id at the issuer.
    pub sub: String,
    /// The e-mail address.
    pub email: Option<String>,
    /// Whether the person has shown that the address is theirs.
    pub email_verified: Option<bool>,
}

#[derive(Serialize)]
struct Claims<'a> {
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
    id: String,
    signing: SigningKey<Sha256>,
    public: RsaPublicKeyComponents<Box<[u8]>>,
}

impl Issuer {
    /// An issuer under that base URL. A first key is made on a thread of its own, so that starting isn't
    /// held up; whoever needs it before it is there waits.
    pub fn start(url: &str, clock: LocalClock, state: State) -> Result<Self, IssuerError> {
        let (sender, key) = watch::channel(None);
        if let Some(kept) = state.get::<String>(KIND, KEY_ID)? {
            sender.send_replace(Some(Ok(Arc::new(Key::read(&kept)?))));
        } else {
            std::thread::Builder::new()
                .name("issuer-key".to_owned())
                .spawn(move || {
                    let made = make_key().and_then(|text| {
                        keep_key(&state, &text)?;
                        Key::read(&text)
                    });
                    sender.send_replace(Some(made.map(Arc::new).map_err(Arc::new)));
                })
                .map_err(|e| IssuerError::Key(e.to_string()))?;
        }
        Ok(Self { url: url.trim_end_matches('/').into(), clock, key })
    }

    /// An RS256 token for that person, good for an hour of the laptop's clock.
    pub async fn token(&self, person: &Person) -> Result<String, Arc<IssuerError>> {
        self.signed(AUDIENCE, person, None, LIFETIME_SECONDS).await
    }

    /// A token about that person for `audience`, good for so many seconds.
    async fn signed(
        &self,
        audience: &str,
        person: &Person,
        nonce: Option<&str>,
        seconds: i64,
    ) -> Result<String, Arc<IssuerError>> {
        let key = self.key().await?;
        let now = self.clock.now_unix();
        let claims = Claims {
            iss: &self.url,
            aud: audience,
            sub: &person.sub,
            email: person.email.as_deref(),
            email_verified: person.email_verified,
            nonce,
            iat: now,
            exp: now + seconds,
        };
        let unwritable = |e: serde_json::Error| Arc::new(IssuerError::Key(e.to_string()));
        key.sign(
            &json!({"alg": "RS256", "typ": "JWT", "kid": key.id}),
            &serde_json::to_value(claims).map_err(unwritable)?,
        )
        .map_err(Arc::new)
    }

    /// Checks the `Authorization` header as a JWT authorizer of an HTTP API does and gives the claims as it
    /// passes them on: every one a string. The token may stand alone or after `Bearer `, as there.
    pub async fn authorize(
        &self,
        authorization: Option<&str>,
    ) -> Result<BTreeMap<String, String>, Unauthorized> {
        let header = authorization.map(str::trim).filter(|h| !h.is_empty()).ok_or(Unauthorized::Missing)?;
        let token = header.strip_prefix("Bearer ").unwrap_or(header).trim();
        let key = self.key().await.map_err(|_| Unauthorized::Invalid("unable to fetch the issuer's keys"))?;
        let claims = key.verify(token)?;
        self.check(&claims)?;
        Ok(claims.into_iter().map(|(name, value)| (name, flatten(&value))).collect())
    }

    /// The discovery document.
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

    /// The public key, as a JSON Web Key Set.
    pub async fn key_set(&self) -> Result<Value, Arc<IssuerError>> {
        let key = self.key().await?;
        Ok(json!({"keys": [key.jwk()]}))
    }

    /// Discovery and keys, for whoever is to trust the tokens.
    pub fn published<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        async fn discovery(extract::State(issuer): extract::State<Issuer>) -> Json<Value> {
            Json(issuer.discovery())
        }
        async fn keys(extract::State(issuer): extract::State<Issuer>) -> axum::response::Response {
            answer(issuer.key_set().await)
        }
        Router::new()
            .route("/.well-known/openid-configuration", routing::get(discovery))
            .route("/.well-known/jwks.json", routing::get(keys))
            .with_state(self)
    }

    /// `POST /_dev/token`: a token for anybody, without any of it.
    pub fn router(self) -> Router {
        async fn token(
            extract::State(issuer): extract::State<Issuer>,
            // Not `Json`: it insists on a content type, which a curl line easily leaves out.
            body: bytes::Bytes,
        ) -> axum::response::Response {
            match serde_json::from_slice(&body) {
                Ok(person) => answer(issuer.token(&person).await.map(|token| json!({"access_token": token}))),
                Err(e) => (StatusCode::BAD_REQUEST, format!("{e}\n")).into_response(),
            }
        }
        Router::new().route("/_dev/token", routing::post(token)).with_state(self)
    }

    async fn key(&self) -> Result<Arc<Key>, Arc<IssuerError>> {
        let mut key = self.key.clone();
        let gone = || Arc::new(IssuerError::Key("the thread that makes it has died".to_owned()));
        match &*key.wait_for(Option::is_some).await.map_err(|_| gone())? {
            Some(outcome) => outcome.clone(),
            None => Err(gone()),
        }
    }

    fn check(&self, claims: &serde_json::Map<String, Value>) -> Result<(), Unauthorized> {
        let now = self.clock.now_unix();
        if claims.get("iss").and_then(Value::as_str) != Some(&self.url) {
            return Err(Unauthorized::Invalid("the token does not have a valid issuer"));
        }
        // `client_id` counts only where there is no `aud`.
        let ours = match claims.get("aud").or_else(|| claims.get("client_id")) {
            Some(Value::String(audience)) => audience == AUDIENCE,
            Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == AUDIENCE),
            _ => false,
        };
        if !ours {
            return Err(Unauthorized::Invalid("the token does not have a valid audience"));
        }
        if moment(claims, "exp")?.is_none_or(|exp| exp <= now) {
            return Err(Unauthorized::Invalid("the token has expired"));
        }
        if moment(claims, "nbf")?.is_some_and(|nbf| nbf > now) {
            return Err(Unauthorized::Invalid("the token is not valid yet"));
        }
        if moment(claims, "iat")?.is_some_and(|iat| iat > now) {
            return Err(Unauthorized::Invalid("the token was issued in the future"));
        }
        Ok(())
    }
}

fn answer(outcome: Result<Value, Arc<IssuerError>>) -> axum::response::Response {
    match outcome {
        Ok(value) => Json(value).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

/// Makes a signing key: PKCS#8 in base64. It takes a second or two.
pub fn make_key() -> Result<String, IssuerError> {
    let private =
        PrivateKey::new(&mut getrandom::SysRng, KEY_BITS).map_err(|e| IssuerError::Key(e.to_string()))?;
    let der = private.to_pkcs8_der().map_err(|e| IssuerError::Key(e.to_string()))?;
    Ok(STANDARD.encode(der.as_bytes()))
}

/// Keeps a key for the issuer to start with: tests make one and share it.
pub fn keep_key(state: &State, key: &str) -> Result<(), StateError> {
    state.put(KIND, KEY_ID, key)
}

/// A claim that is a time, if it is there at all.
fn moment(claims: &serde_json::Map<String, Value>, name: &str) -> Result<Option<i64>, Unauthorized> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "a fraction of a second is cut off, not judged")]
        value.as_f64().map(|seconds| seconds as i64)
    });
    whole.map(Some).ok_or(Unauthorized::Invalid("the token has a time that is not a number"))
}

/// A claim as API Gateway hands it to a function.
fn flatten(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(flatten).collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

impl Key {
    fn read(kept: &str) -> Result<Self, IssuerError> {
        let der = STANDARD.decode(kept).map_err(|e| IssuerError::Key(e.to_string()))?;
        let private = PrivateKey::from_pkcs8_der(&der).map_err(|e| IssuerError::Key(e.to_string()))?;
        Ok(Self::from(private))
    }

    fn sign(&self, header: &Value, claims: &Value) -> Result<String, IssuerError> {
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature =
            self.signing.try_sign(signed.as_bytes()).map_err(|e| IssuerError::Key(e.to_string()))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes())))
    }

    /// The claims of a token that this key signed.
    fn verify(&self, token: &str) -> Result<serde_json::Map<String, Value>, Unauthorized> {
        const MALFORMED: Unauthorized = Unauthorized::Invalid("the token is malformed");
        let (signed, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (header, claims) = signed.split_once('.').ok_or(MALFORMED)?;
        let header: Value = decode(header).ok_or(MALFORMED)?;
        // The algorithm is ours to say, never the token's: this refuses `none` and a public key used as an
        // HMAC secret.
        if header["alg"] != "RS256" {
            return Err(Unauthorized::Invalid("the signing method is invalid"));
        }
        if header["kid"] != *self.id {
            return Err(Unauthorized::Invalid("unable to find a key that matches the token's kid"));
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
        self.public
            .verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature)
            .map_err(|_| Unauthorized::Invalid("the signature is invalid"))?;
        decode(claims).ok_or(MALFORMED)
    }

    fn jwk(&self) -> Value {
        let (n, e) = numbers(&self.public);
        json!({"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, "n": n, "e": e})
    }
}

impl From<PrivateKey> for Key {
    fn from(private: PrivateKey) -> Self {
        let public = private.to_public_key();
        let public = RsaPublicKeyComponents { n: public.n_bytes(), e: public.e_bytes() };
        // The thumbprint of RFC 7638: members in this order, without blanks.
        let (n, e) = numbers(&public);
        let id = URL_SAFE_NO_PAD
            .encode(Sha256::digest(format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#).as_bytes()));
        Self { id, signing: SigningKey::new(private), public }
    }
}

/// Modulus and exponent as a JSON Web Key writes them.
fn numbers(public: &RsaPublicKeyComponents<Box<[u8]>>) -> (String, String) {
    (URL_SAFE_NO_PAD.encode(&public.n), URL_SAFE_NO_PAD.encode(&public.e))
}

fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;

    use super::*;

    const URL: &str = "http://127.0.0.1:4000";

    fn issuer() -> (Issuer, LocalClock, State) {
        let state = State::open(Database::memory().unwrap()).unwrap();
        keep_key(&state, crate::testing::key()).unwrap();
        let clock = LocalClock::new();
        (Issuer::start(URL, clock.clone(), state.clone()).unwrap(), clock, state)
    }

    fn ada() -> Person {
        Person { sub: "ada".into(), email: Some("ada@acme.example".into()), email_verified: Some(true) }
    }

    async fn refused(issuer: &Issuer, token: &str) -> String {
        issuer.authorize(Some(&format!("Bearer {token}"))).await.unwrap_err().to_string()
    }

    /// A token with any header and claims, signed with the issuer's own key.
    async fn signed(issuer: &Issuer, header: Value, claims: Value) -> String {
        issuer.key().await.unwrap().sign(&header, &claims).unwrap()
    }

    async fn with_claims(issuer: &Issuer, change: impl FnOnce(&mut Value)) -> String {
        let key = issuer.key().await.unwrap();
        let now = issuer.clock.now_unix();
        let mut claims = json!({"iss": URL, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 60});
        change(&mut claims);
        signed(issuer, json!({"alg": "RS256", "kid": key.id}), claims).await
    }

    #[tokio::test]
    async fn claims_arrive_as_strings() {
        let (issuer, clock, _) = issuer();
        let token = issuer.token(&ada()).await.unwrap();
        let claims = issuer.authorize(Some(&format!("Bearer {token}"))).await.unwrap();
        assert_eq!(claims["sub"], "ada");
        assert_eq!(claims["email"], "ada@acme.example");
        assert_eq!(claims["email_verified"], "true");
        assert_eq!(claims["iss"], URL);
        assert_eq!(claims["aud"], AUDIENCE);
        let exp: i64 = claims["exp"].parse().unwrap();
        assert!((exp - clock.now_unix() - LIFETIME_SECONDS).abs() <= 1);
        assert_eq!(issuer.authorize(Some(&token)).await.unwrap(), claims, "Bearer is optional, as on AWS");
    }

    #[tokio::test]
    async fn the_boolean_is_a_boolean_in_the_token_and_left_out_claims_are_absent() {
        let (issuer, _, _) = issuer();
        let token = issuer.token(&ada()).await.unwrap();
        let claims: Value = decode(token.split('.').nth(1).unwrap()).unwrap();
        assert_eq!(claims["email_verified"], true);

        let nobody = Person { sub: "x".into(), email: None, email_verified: None };
        let claims = issuer.authorize(Some(&issuer.token(&nobody).await.unwrap())).await.unwrap();
        assert!(!claims.contains_key("email") && !claims.contains_key("email_verified"));
    }

    #[tokio::test]
    async fn arrays_are_flattened_as_api_gateway_does() {
        let (issuer, _, _) = issuer();
        let token = with_claims(&issuer, |c| c["groups"] = json!(["a", "b"])).await;
        assert_eq!(issuer.authorize(Some(&token)).await.unwrap()["groups"], "[a b]");
    }

    #[tokio::test]
    async fn a_token_dies_with_the_dev_clock_at_its_expiry_second() {
        let (issuer, clock, _) = issuer();
        let token = issuer.token(&ada()).await.unwrap();
        clock.advance(LIFETIME_SECONDS.unsigned_abs() - 5).unwrap();
        assert!(issuer.authorize(Some(&token)).await.is_ok());
        clock.advance(5).unwrap();
        assert_eq!(refused(&issuer, &token).await, "the token has expired");
    }

    #[tokio::test]
    async fn nothing_sent_is_told_from_something_wrong() {
        let (issuer, _, _) = issuer();
        assert_eq!(issuer.authorize(None).await, Err(Unauthorized::Missing));
        assert_eq!(issuer.authorize(Some(" ")).await, Err(Unauthorized::Missing));
        assert_eq!(Unauthorized::Missing.challenge(), "Bearer");
        assert_eq!(
            issuer.authorize(Some("Basic YTpi")).await.unwrap_err().challenge(),
            r#"Bearer scope="" error="invalid_token" error_description="the token is malformed""#
        );
    }

    #[tokio::test]
    async fn wrong_claims_are_refused() {
        let (issuer, clock, _) = issuer();
        let now = clock.now_unix();
        for (claim, value, why) in [
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
            let token = with_claims(&issuer, |c| c[claim] = value.clone()).await;
            assert_eq!(refused(&issuer, &token).await, why, "{claim} {value}");
        }
        let token = with_claims(&issuer, |c| {
            c.as_object_mut().unwrap().remove("exp");
        });
        assert_eq!(refused(&issuer, &token.await).await, "the token has expired");
        let fine = with_claims(&issuer, |c| c["aud"] = json!(["other", AUDIENCE])).await;
        assert!(issuer.authorize(Some(&fine)).await.is_ok());
    }

    #[tokio::test]
    async fn forged_tokens_are_refused() {
        let (issuer, _, _) = issuer();
        let good = issuer.token(&ada()).await.unwrap();
        let parts: Vec<&str> = good.split('.').collect();
        let header: Value = decode(parts[0]).unwrap();
        let claims: Value = decode(parts[1]).unwrap();

        let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": header["kid"]}).to_string());
        assert_eq!(refused(&issuer, &format!("{none}.{}.", parts[1])).await, "the signing method is invalid");
        let hmac = signed(&issuer, json!({"alg": "HS256", "kid": header["kid"]}), claims.clone()).await;
        assert_eq!(refused(&issuer, &hmac).await, "the signing method is invalid");

        let state = State::open(Database::memory().unwrap()).unwrap();
        let other = Issuer::start(URL, LocalClock::new(), state).unwrap();
        let foreign = other.token(&ada()).await.unwrap();
        assert_eq!(refused(&issuer, &foreign).await, "unable to find a key that matches the token's kid");
        let foreign = signed(&other, header.clone(), claims.clone()).await;
        assert_eq!(refused(&issuer, &foreign).await, "the signature is invalid");

        let mut owner = claims.clone();
        owner["sub"] = json!("somebody else");
        let swapped = URL_SAFE_NO_PAD.encode(owner.to_string());
        let swapped = format!("{}.{swapped}.{}", parts[0], parts[2]);
        assert_eq!(refused(&issuer, &swapped).await, "the signature is invalid");
    }

    #[tokio::test]
    async fn a_first_key_is_made_kept_and_published() {
        let state = State::open(Database::memory().unwrap()).unwrap();
        let clock = LocalClock::new();
        let first = Issuer::start(URL, clock.clone(), state.clone()).unwrap();
        let token = first.token(&ada()).await.unwrap();
        let next = Issuer::start(URL, clock, state).unwrap();
        assert!(next.authorize(Some(&token)).await.is_ok());
        assert_eq!(next.key_set().await.unwrap(), first.key_set().await.unwrap());

        let set = next.key_set().await.unwrap();
        let public = &set["keys"][0];
        assert_eq!(public["e"], "AQAB");
        assert_eq!(URL_SAFE_NO_PAD.decode(public["n"].as_str().unwrap()).unwrap().len(), KEY_BITS / 8);
        assert!(public.get("d").is_none());
        assert_eq!(next.discovery()["jwks_uri"], "http://127.0.0.1:4000/.well-known/jwks.json");
    }

    #[tokio::test]
    async fn tokens_are_had_over_http() {
        let (issuer, _, _) = issuer();
        let router = issuer.clone().router();
        let body = json!({"sub": "ada", "email": "ada@acme.example", "email_verified": false});
        let (status, answer) = crate::testing::post_json(router, "/_dev/token", &body).await;
        assert_eq!(status, StatusCode::OK);
        let claims = issuer.authorize(answer["access_token"].as_str()).await.unwrap();
        assert_eq!(claims["email_verified"], "false");
    }
}
