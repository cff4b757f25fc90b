//! An identity provider of the developer's choice: the laptop accepts its tokens, like an API in AWS that is deployed
//! with the parameters `JwtIssuer` and `JwtAudience`.
//!
//! The provider's tokens follow the machine's time, because advancing the laptop's clock does not change the provider's.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::clock::LocalClock;
use crate::jwt::{self, Claims, PublicKey, Unauthorized};

/// API Gateway's timeout for reading one document of the provider.
const TIMEOUT: Duration = Duration::from_millis(1500);
/// API Gateway's limit for the size of a key set.
const DOCUMENT_BYTES_MAX: usize = 150_000;
/// The path of the discovery document below the issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// An identity provider and the audiences of its tokens.
pub struct IdentityProvider {
    issuer: IssuerUrl,
    audiences: Vec<String>,
    clock: LocalClock,
    keys: RwLock<Arc<[PublicKey]>>,
    /// Allows one fetch of the keys at a time.
    fetching: Mutex<()>,
}

/// The URL of an issuer, exactly as in its tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerUrl(String);

/// The text is not the URL of an issuer that the laptop accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an issuer is a URL like https://login.example.com/, without a query; \
     only on this machine it can begin with http://, as in http://localhost:5000"
)]
pub struct InvalidIssuer;

/// Why the keys of a provider cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// There is no response, or a server error. A later attempt can succeed.
    #[error("{url} cannot be read: {problem}")]
    Unavailable {
        /// The address of the document.
        url: String,
        /// The cause.
        problem: String,
    },
    /// A document of the provider is missing or not valid.
    #[error("{url} cannot be used: {problem}; check --issuer and the settings of the provider")]
    NotAProvider {
        /// The address of the document.
        url: String,
        /// The cause.
        problem: String,
    },
    /// The discovery document names another issuer than `--issuer`. The provider's tokens contain this other one.
    #[error("the provider's tokens name the issuer {0}: start the laptop with --issuer {0}")]
    OtherIssuer(String),
}

impl IssuerUrl {
    /// Parses the URL of an issuer. It must be HTTPS, or plain HTTP on this machine.
    pub fn parse(text: &str) -> Result<Self, InvalidIssuer> {
        let url = text.parse::<Uri>().map_err(|_| InvalidIssuer)?;
        let is_valid = is_protected(&url) && url.query().is_none() && !text.contains(['#', '@']);
        if is_valid { Ok(Self(text.to_owned())) } else { Err(InvalidIssuer) }
    }

    /// Returns the URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether the connection uses TLS or stays on this machine, so that no other machine can change the response.
fn is_protected(url: &Uri) -> bool {
    let is_local = matches!(url.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    match url.scheme_str() {
        Some("https") => url.host().is_some(),
        Some("http") => is_local,
        _ => false,
    }
}

impl IdentityProvider {
    /// Reads the provider's keys. If the provider is unavailable, logs a warning: the laptop then reads the keys when
    /// the first token comes, so that both servers can start in any order.
    pub async fn start(
        issuer: IssuerUrl,
        audiences: Vec<String>,
        clock: LocalClock,
    ) -> Result<Self, ProviderError> {
        let keys = RwLock::new(Arc::from([]));
        let provider = Self { issuer, audiences, clock, keys, fetching: Mutex::default() };
        match provider.fetch_keys().await {
            Err(error @ ProviderError::Unavailable { .. }) => {
                tracing::warn!(
                    "{error}. Tokens of the issuer {} are refused (401) until the laptop can read its keys",
                    provider.issuer()
                );
                Ok(provider)
            }
            fetched => fetched.map(|()| provider),
        }
    }

    /// Returns the `iss` of the provider's tokens.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Verifies a token of the provider, and returns its claims.
    pub async fn verify(&self, token: &str) -> Result<Claims, Unauthorized> {
        let header = jwt::header(token)?;
        jwt::algorithm(&header, &jwt::RSA)?;
        let key_id = header["kid"].as_str().ok_or(jwt::UNKNOWN_KEY)?;
        let find = |keys: &[PublicKey]| keys.iter().position(|key| key.id == key_id);
        let mut keys = self.keys();
        if find(&keys).is_none() {
            // The provider may have a new key.
            self.refresh_keys(&keys).await?;
            keys = self.keys();
        }
        let key = find(&keys).and_then(|position| keys.get(position)).ok_or(jwt::UNKNOWN_KEY)?;
        let claims = key.verify(token, &jwt::RSA)?;
        jwt::check(&claims, self.issuer(), &self.audiences, self.clock.machine_unix())?;
        Ok(claims)
    }

    fn keys(&self) -> Arc<[PublicKey]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys again, unless another request has done so since it saw `seen`.
    async fn refresh_keys(&self, seen: &Arc<[PublicKey]>) -> Result<(), Unauthorized> {
        let _fetching = self.fetching.lock().await;
        if !Arc::ptr_eq(seen, &self.keys()) {
            return Ok(());
        }
        self.fetch_keys().await.map_err(|error| {
            tracing::warn!("a token of the issuer {} is refused (401): {error}", self.issuer());
            jwt::NO_KEYS
        })
    }

    async fn fetch_keys(&self) -> Result<(), ProviderError> {
        #[derive(Deserialize)]
        struct Discovery {
            issuer: String,
            jwks_uri: String,
        }
        #[derive(Deserialize)]
        struct KeySet {
            keys: Vec<Value>,
        }
        let url = format!("{}{DISCOVERY}", self.issuer().trim_end_matches('/'));
        let Discovery { issuer, jwks_uri } = read(&url).await?;
        if issuer != self.issuer() {
            return Err(ProviderError::OtherIssuer(issuer));
        }
        let KeySet { keys } = read(&jwks_uri).await?;
        let keys: Arc<[_]> = keys.iter().filter_map(PublicKey::from_jwk).collect();
        if keys.is_empty() {
            let problem = "it has no RSA key with a kid, and API Gateway accepts only RS256, RS384 and RS512"
                .to_owned();
            return Err(ProviderError::NotAProvider { url: jwks_uri, problem });
        }
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }
}

/// Reads a JSON document of the provider.
async fn read<T: serde::de::DeserializeOwned>(url: &str) -> Result<T, ProviderError> {
    let unavailable = |problem: String| ProviderError::Unavailable { url: url.to_owned(), problem };
    let not_a_provider = |problem: String| ProviderError::NotAProvider { url: url.to_owned(), problem };
    let uri = url.parse::<Uri>().ok().filter(is_protected);
    let uri = uri.ok_or_else(|| not_a_provider("its address must begin with https://".to_owned()))?;
    let response = tokio::time::timeout(TIMEOUT, get(uri)).await;
    let response = response.unwrap_or_else(|_| Err(format!("no response within {} ms", TIMEOUT.as_millis())));
    let (status, body) = response.map_err(unavailable)?;
    if status.is_server_error() {
        return Err(unavailable(format!("the response has the status {status}")));
    }
    if !status.is_success() {
        return Err(not_a_provider(format!("the response has the status {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| not_a_provider(error.to_string()))
}

/// Sends a GET request. Reads the system's root certificates only if `uri` needs TLS.
async fn get(uri: Uri) -> Result<(http::StatusCode, Bytes), String> {
    let is_https = uri.scheme_str() == Some("https");
    let request = Request::get(uri).header(http::header::ACCEPT, "application/json");
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let builder = Client::builder(TokioExecutor::new());
    let response = if is_https {
        let tls = HttpsConnectorBuilder::new().with_native_roots();
        let tls = tls.map_err(|error| format!("the system's root certificates cannot be read: {error}"))?;
        builder.build(tls.https_only().enable_http1().build()).request(request).await
    } else {
        builder.build_http().request(request).await
    };
    let response = response.map_err(|error| root_cause(&error))?;
    let status = response.status();
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES_MAX).collect().await;
    Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
}

/// Returns the text of the innermost cause, such as `Connection refused`. The outer texts only name the parts of the HTTP
/// client.
fn root_cause(mut error: &dyn std::error::Error) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

#[cfg(test)]
mod tests;
