//! Reads the parts of a request: the caller, the path, the headers, the query and the body.

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

/// The maximum size of a request body: 64 KiB.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Reads the caller from the claims that API Gateway's authorizer verified, or fails if there are none.
///
/// The caller has an address only if `email_verified` is exactly `true` and the address can be invited.
pub fn caller(request: &Request) -> Result<Caller, MissingClaims> {
    let Some(RequestContext::ApiGatewayV2(context)) = request.request_context_ref() else {
        return Err(MissingClaims);
    };
    let jwt = context.authorizer.as_ref().and_then(|authorizer| authorizer.jwt.as_ref());
    let claims = &jwt.ok_or(MissingClaims)?.claims;
    let user = claims.get("sub").and_then(|sub| UserId::parse(sub).ok()).ok_or(MissingClaims)?;
    let verified = claims.get("email_verified").is_some_and(|verified| verified == "true");
    let email = claims.get("email").filter(|_| verified).and_then(|email| EmailAddress::parse(email).ok());
    Ok(Caller { user, email })
}

/// Adds the ids in the request to the log: caller, organization and invitation. The ids are not verified yet.
pub(crate) fn log_ids(request: &Request) {
    if let Ok(caller) = caller(request) {
        observe::log_caller(&caller.user);
    }
    if let Ok(id) = organization(request) {
        observe::log_organization(&id);
    }
    if let Some(id) = invitation(request) {
        observe::log_invitation(&id);
    }
}

/// Returns the key of the request's route, for example `GET /v1/organizations`; empty if the event has none.
#[must_use]
pub fn route(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.as_deref().unwrap_or_default(),
        _ => "",
    }
}

/// The request has no claims of an authorizer, or no `sub` of 1 to 255 characters among them.
///
/// The route has no authorizer, or the identity provider issues tokens without such a `sub`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingClaims;

/// Reads the organization from the path.
pub fn organization(request: &Request) -> Result<OrganizationId, Problem> {
    path(request, "organization_id").parse().map_err(|_| Refusal::NoSuchOrganization.into())
}

/// Reads the invitation from the path; `None` if it is not an id.
///
/// The action refuses `None`. It first checks that the caller may see the organization.
pub fn invitation(request: &Request) -> Option<InvitationId> {
    path(request, "invitation_id").parse().ok()
}

/// Reads the member's user id from the path, which API Gateway decoded; `None` if it is not a user id.
///
/// The action refuses `None`, as for [`invitation`].
pub fn member(request: &Request) -> Option<UserId> {
    path(request, "user_id").parse().ok()
}

fn path(request: &Request, name: &str) -> String {
    request.path_parameters_ref().and_then(|path| path.first(name)).unwrap_or_default().to_owned()
}

/// Reads the idempotency key from the header, if there is one.
pub fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Problem> {
    const NAME: &str = "Idempotency-Key";
    let mut values = request.headers().get_all(NAME).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let key = value.to_str().ok().filter(|_| values.next().is_none());
    let key = key.ok_or(InvalidIdempotencyKey).and_then(IdempotencyKey::parse);
    key.map(Some).map_err(|error| Problem::malformed(format!("/{NAME}"), error.to_string()))
}

/// Parses the body as a JSON object of the type `T`.
pub fn json<T: DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let bytes: &[u8] = match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    };
    // serde also accepts an array for a struct: it takes the items as the fields, in order.
    match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {}
        Some(_) => return Err(Problem::malformed("", "it must be a JSON object")),
        None => return Err(Problem::malformed("", "it must be a JSON object, but it is empty")),
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        Problem::malformed(pointer, without_position(&error.into_inner()))
    })?;
    deserializer.end().map_err(|error| Problem::malformed("", without_position(&error)))?;
    Ok(value)
}

/// Returns serde's error text. For a wrong value, removes the position, because the problem has a JSON pointer.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) if error.is_data() => text[..end].to_owned(),
        _ => text,
    }
}

/// Converts a path to a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                let _ = write!(pointer, "/{index}");
            }
            Segment::Map { key } | Segment::Enum { variant: key } => pointer.push_str(&pointer_to(key)),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Returns the JSON pointer to the member `name` of an object.
pub(crate) fn pointer_to(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The body of preview, accept and decline.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokenBody {
    token: String,
}

/// Reads the token from the body. Every malformed token gets the same response.
///
/// Adds the ids in the token to the log, although the MAC is not verified yet.
pub fn token(request: &Request) -> Result<Token, Problem> {
    let TokenBody { token } = json(request)?;
    let token = Token::parse(&token).map_err(Refusal::from)?;
    observe::log_link(&token.link);
    Ok(token)
}

/// Reads a query parameter, if there is one. `expected` is the error text for an invalid value.
///
/// The function's [`Input`](crate::input::Input) must declare the parameter.
pub fn parameter<T: FromStr>(request: &Request, name: &str, expected: &str) -> Result<Option<T>, Problem> {
    let parameters = request.query_string_parameters_ref();
    let Some(values) = parameters.and_then(|parameters| parameters.all(name)) else {
        return Ok(None);
    };
    match values.as_slice() {
        [value] => value.parse().map(Some).map_err(|_| Problem::malformed(format!("/{name}"), expected)),
        _ => Err(Problem::malformed(format!("/{name}"), "it occurs more than once")),
    }
}

/// Deserializes a role in a body. For an unknown role, serde's own error text would mention enum variants.
pub fn role<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Role, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

/// Deserializes a language in a body. With `serde(default)`, the field may be absent, but not null.
pub fn language<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Language>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Returns the problem (400) for a cursor that does not belong to the list.
#[must_use]
pub fn bad_cursor() -> Problem {
    Problem::new(Code::BadCursor, "Use the `next_cursor` of the same list as `cursor`, unchanged.")
}
