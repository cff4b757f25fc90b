//! JSON Web Tokens, verified as API Gateway's JWT authorizer does.
//!
//! The code uses `ring` directly, because verifying a signature needs little code, and token libraries check other rules
//! than the authorizer: they allow a leeway, and take the algorithm from the token.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents,
};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The claims of a token.
pub type Claims = Map<String, Value>;

const MALFORMED: Unauthorized = Unauthorized::Invalid("the token is malformed");
const WRONG_ALGORITHM: Unauthorized = Unauthorized::Invalid("the signing method is invalid");
pub(crate) const NO_KEYS: Unauthorized = Unauthorized::Invalid("unable to fetch the issuer's keys");
pub(crate) const UNKNOWN_KEY: Unauthorized =
    Unauthorized::Invalid("unable to find a key that matches the token's kid");
pub(crate) const UNKNOWN_ISSUER: Unauthorized =
    Unauthorized::Invalid("the token does not have a valid issuer");

/// Why the authorizer refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// The request has no token.
    #[error("no token")]
    Missing,
    /// The token is invalid, for this reason.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Unauthorized {
    /// Returns the value of the `www-authenticate` header, worded as in API Gateway.
    #[must_use]
    pub fn challenge(self) -> String {
        match self {
            Self::Missing => "Bearer".to_owned(),
            Self::Invalid(reason) => {
                format!(r#"Bearer scope="" error="invalid_token" error_description="{reason}""#)
            }
        }
    }
}

/// A signature algorithm of tokens. The authorizer accepts the ones that are based on RSA.
pub(crate) struct Algorithm {
    /// The name in a token's header.
    name: &'static str,
    parameters: &'static RsaParameters,
}

/// The algorithm of the laptop's own tokens.
pub(crate) const RS256: [Algorithm; 1] =
    [Algorithm { name: "RS256", parameters: &RSA_PKCS1_2048_8192_SHA256 }];
/// The algorithms of other issuers.
pub(crate) const RSA: [Algorithm; 3] = [
    Algorithm { name: "RS256", parameters: &RSA_PKCS1_2048_8192_SHA256 },
    Algorithm { name: "RS384", parameters: &RSA_PKCS1_2048_8192_SHA384 },
    Algorithm { name: "RS512", parameters: &RSA_PKCS1_2048_8192_SHA512 },
];

/// A public key with which an issuer's tokens are verified.
#[derive(Debug)]
pub(crate) struct PublicKey {
    /// The `kid` of the tokens that the key signs.
    pub(crate) id: String,
    /// The only algorithm of the key. `None` if the key set names none.
    pub(crate) algorithm: Option<String>,
    pub(crate) components: RsaPublicKeyComponents<Box<[u8]>>,
}

/// A key of a JSON Web Key Set (RFC 7517).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    r#use: Option<String>,
    n: Option<String>,
    e: Option<String>,
}

impl PublicKey {
    /// Reads the key from an entry of a key set. Returns `None` if the entry is not an RSA key for signatures, or has
    /// no id.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        if jwk.kty != "RSA" || jwk.r#use.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let number = |text: Option<String>| Some(URL_SAFE_NO_PAD.decode(text?).ok()?.into_boxed_slice());
        let components = RsaPublicKeyComponents { n: number(jwk.n)?, e: number(jwk.e)? };
        Some(Self { id: jwk.kid?, algorithm: jwk.alg, components })
    }

    /// Verifies that this key signed the token with one of these algorithms, and returns the claims.
    pub(crate) fn verify(&self, token: &str, allowed: &[Algorithm]) -> Result<Claims, Unauthorized> {
        let (message, signature) = token.rsplit_once('.').ok_or(MALFORMED)?;
        let (_, claims) = message.split_once('.').ok_or(MALFORMED)?;
        let header = header(token)?;
        let algorithm = algorithm(&header, allowed)?;
        if self.algorithm.as_ref().is_some_and(|only| only != algorithm.name) {
            return Err(WRONG_ALGORITHM);
        }
        if header["kid"] != *self.id {
            return Err(UNKNOWN_KEY);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| MALFORMED)?;
        self.components
            .verify(algorithm.parameters, message.as_bytes(), &signature)
            .map_err(|_| Unauthorized::Invalid("the signature is invalid"))?;
        decode(claims).ok_or(MALFORMED)
    }
}

/// Returns the token in an `Authorization` header. As in API Gateway, the prefix `Bearer ` is optional.
pub(crate) fn bearer_token(authorization: Option<&str>) -> Result<&str, Unauthorized> {
    let header = authorization.map(str::trim).filter(|header| !header.is_empty());
    let header = header.ok_or(Unauthorized::Missing)?;
    Ok(header.strip_prefix("Bearer ").unwrap_or(header).trim())
}

/// Returns the algorithm that a token's header names, if it is allowed. This rejects `none`, and HMAC with the public key
/// as the secret.
pub(crate) fn algorithm<'a>(header: &Value, allowed: &'a [Algorithm]) -> Result<&'a Algorithm, Unauthorized> {
    allowed.iter().find(|algorithm| header["alg"] == algorithm.name).ok_or(WRONG_ALGORITHM)
}

/// Returns a token's header.
pub(crate) fn header(token: &str) -> Result<Value, Unauthorized> {
    decode(token.split('.').next().unwrap_or_default()).ok_or(MALFORMED)
}

/// Returns the issuer that a token names. The token is not verified.
pub(crate) fn unverified_issuer(token: &str) -> Result<Option<String>, Unauthorized> {
    #[derive(Deserialize)]
    struct Issuer {
        iss: Option<Value>,
    }
    let claims = token.split('.').nth(1).ok_or(MALFORMED)?;
    let Issuer { iss } = decode(claims).ok_or(MALFORMED)?;
    Ok(iss.and_then(|issuer| issuer.as_str().map(str::to_owned)))
}

/// Checks the claims as the authorizer does, at `now` and without a leeway.
pub(crate) fn check<A: AsRef<str>>(
    claims: &Claims,
    issuer: &str,
    audiences: &[A],
    now: i64,
) -> Result<(), Unauthorized> {
    if claims.get("iss").and_then(Value::as_str) != Some(issuer) {
        return Err(UNKNOWN_ISSUER);
    }
    let is_listed = |claim: &Value| audiences.iter().any(|audience| claim == audience.as_ref());
    // `client_id` counts only if there is no `aud`.
    let is_audience = match claims.get("aud").or_else(|| claims.get("client_id")) {
        Some(Value::Array(values)) => values.iter().any(is_listed),
        Some(value) => is_listed(value),
        None => false,
    };
    if !is_audience {
        return Err(Unauthorized::Invalid("the token does not have a valid audience"));
    }
    if time_claim(claims, "exp")?.is_none_or(|exp| exp <= now) {
        return Err(Unauthorized::Invalid("the token has expired"));
    }
    if time_claim(claims, "nbf")?.is_some_and(|nbf| nbf > now) {
        return Err(Unauthorized::Invalid("the token is not valid yet"));
    }
    if time_claim(claims, "iat")?.is_some_and(|iat| iat > now) {
        return Err(Unauthorized::Invalid("the token was issued in the future"));
    }
    Ok(())
}

/// Reads a claim that is a time. Returns `None` if the claim is absent.
fn time_claim(claims: &Claims, name: &str) -> Result<Option<i64>, Unauthorized> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_i64().or_else(|| {
        #[expect(clippy::cast_possible_truncation, reason = "cuts off the fraction of a second")]
        value.as_f64().map(|seconds| seconds as i64)
    });
    seconds.map(Some).ok_or(Unauthorized::Invalid("the token has a time that is not a number"))
}

/// Converts a claim to a string as API Gateway does in events.
pub(crate) fn flatten(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            format!("[{}]", values.iter().map(flatten).collect::<Vec<_>>().join(" "))
        }
        other => other.to_string(),
    }
}

/// Decodes header or claims of a token.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}
