//! What a request says: who is calling, the path, the body.

use std::fmt::Write;
use std::str::FromStr;

use domain::idempotency::{IdempotencyKey, InvalidIdempotencyKey};
use domain::{Caller, EmailAddress, InvitationId, Language, OrganizationId, Refusal, Role, Token, UserId};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_path_to_error::{Path, Segment};

use crate::observe;
use crate::problem::{Code, Problem};

/// 64 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Who is calling, by the claims that API Gateway's authorizer has verified. `Err`: no authorizer did.
///
/// The address counts only if `email_verified` is exactly true and it is one that can be invited.
pub fn caller(request: &Request) -> Result<Caller, Unauthenticated> {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
        return Err(Unauthenticated);
    };
    let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
    let claims = &jwt.ok_or(Unauthenticated)?.claims;
    let user = claims.get("sub").and_then(|sub| UserId::parse(sub).ok()).ok_or(Unauthenticated)?;
    let verified = claims.get("email_verified").is_some_and(|verified| verified == "true");
    let email = claims.get("email").filter(|_| verified).and_then(|email| EmailAddress::parse(email).ok());
    Ok(Caller { user, email })
}

/// Tells the log who is calling about what, as far as the request says so; whether it is any good is told
/// later.
pub(crate) fn observe_ids(request: &Request) {
    if let Ok(caller) = caller(request) {
        observe::actor(&caller.user);
    }
    if let Ok(id) = organization(request) {
        observe::organization(&id);
    }
    if let Some(id) = invitation(request) {
        observe::invitation(&id);
    }
}

/// Nobody is signed in: an answer that only a gateway without its authorizer leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unauthenticated;

/// The organization in the path.
pub fn organization(request: &Request) -> Result<OrganizationId, Problem> {
    path(request, "organization_id").parse().map_err(|_| Refusal::NoSuchOrganization.into())
}

/// The invitation in the path; `None`: what stands there is no id. The action refuses that, after a caller who may not even
/// see the organization.
pub fn invitation(request: &Request) -> Option<InvitationId> {
    path(request, "invitation_id").parse().ok()
}

/// The member in the path, as the `sub` is, which the gateway has decoded; `None`: what stands there is no user. The action
/// refuses that, as it does for [`invitation`].
pub fn member(request: &Request) -> Option<UserId> {
    path(request, "user_id").parse().ok()
}

fn path(request: &Request, name: &str) -> String {
    request.path_parameters_ref().and_then(|path| path.first(name)).unwrap_or_default().to_owned()
}

/// The name that the client has given to the request, if it has.
pub fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Problem> {
    const NAME: &str = "Idempotency-Key";
    let mut values = request.headers().get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| values.next().is_none());
    let key = key.ok_or(InvalidIdempotencyKey).and_then(IdempotencyKey::parse);
    key.map(Some).map_err(|error| Problem::malformed(format!("/{NAME}"), error.to_string()))
}

/// The body, as JSON with exactly the fields of `T`.
pub fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let bytes: &[u8] = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    };
    // serde would take an array for an object, its items for the fields in order.
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(_) => return Err(Problem::malformed("", "a JSON object is needed")),
        None => return Err(Problem::malformed("", "a JSON object is needed, and there is no body")),
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::malformed(pointer, without_position(&error.into_inner()))
    })?;
    deserializer.end().map_err(|error| Problem::malformed("", without_position(&error)))?;
    Ok(value)
}

/// serde's words without the position, which nobody needs who has a pointer.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.is_data() => text[..end].to_owned(),
        _ => text,
    }
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(pointer, "/{index}");
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                let _ = write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    pointer
}

/// The body of preview, accept and decline.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    token: String,
}

/// The token in the body; whatever is wrong with one has the same answer. The log is told the ids in it,
/// genuine or not.
pub fn token(request: &Request) -> Result<Token, Problem> {
    let TokenBody { token } = json(request)?;
    let token = Token::parse(&token).map_err(Refusal::from)?;
    observe::link(&token.link);
    Ok(token)
}

/// A query parameter, if it is given; `expected` says what it may be.
pub fn parameter<T: FromStr>(request: &Request, name: &str, expected: &str) -> Result<Option<T>, Problem> {
    let parameters = request.query_string_parameters_ref();
    let Some(values) = parameters.and_then(|parameters| parameters.all(name)) else {
        return Ok(None);
    };
    match values.as_slice() {
        [value] => value.parse().map(Some).map_err(|_| Problem::malformed(format!("/{name}"), expected)),
        _ => Err(Problem::malformed(format!("/{name}"), "it is given more than once")),
    }
}

/// Reads a role in a body; serde's own words for an unknown one would be about variants.
pub fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Reads a language in a body, as [`role`] reads a role. It may be left out, by `serde(default)`, but not be null.
pub fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// 400 for a cursor that is not one of this list.
#[must_use]
pub fn bad_cursor() -> Problem {
    Problem::new(Code::BadCursor, "Take `cursor` from `next_cursor` of the same list, as it is.")
}
