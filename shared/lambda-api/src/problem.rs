//! Problems (RFC 9457): only this file converts refusals and errors to HTTP responses.
//!
//! No match on a refusal has a catch-all arm. So a new refusal in the domain does not compile until it has a response.

use std::time::Duration;

use domain::idempotency::KeyReused;
use domain::{
    CooldownActive, CooldownReason, InvalidEmail, InvalidName, LimitExceeded, LimitScope, Permission,
    Refusal, Seats, Status,
};
use http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};
use links::KeyError;
use serde::Serialize;
use store::{CommitError, RunError};

use crate::observe::error_chain;
use crate::view::SeatsView;

/// The codes of the API contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the API contract and the titles define the codes")]
pub enum Code {
    MalformedRequest,
    TooLarge,
    InvalidEmail,
    InvalidName,
    BadCursor,
    InvalidToken,
    RoleNotGrantable,
    OwnerRequired,
    EmailNotVerified,
    EmailMismatch,
    OrganizationNotFound,
    InvitationNotFound,
    MemberNotFound,
    SeatsExhausted,
    LastOwner,
    InvitationNotPending,
    SenderLostAuthority,
    Conflict,
    InvitationExpired,
    InvitationRevoked,
    InvitationDeclined,
    InvitationSuperseded,
    InvitationAccepted,
    IdempotencyKeyReused,
    TooManyInvitations,
    ResendTooSoon,
    Unavailable,
    Internal,
}

impl Code {
    /// Returns the HTTP status, the code and the title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => (S::BAD_REQUEST, "malformed_request", "The request is malformed"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too_large", "The request is too large"),
            Self::InvalidEmail => {
                (S::UNPROCESSABLE_ENTITY, "invalid_email", "An e-mail address is not valid")
            }
            Self::InvalidName => (S::UNPROCESSABLE_ENTITY, "invalid_name", "The name is not valid"),
            Self::BadCursor => (S::BAD_REQUEST, "bad_cursor", "The cursor does not belong to this list"),
            Self::InvalidToken => (S::BAD_REQUEST, "invalid_token", "The link is not valid"),
            Self::RoleNotGrantable => (S::FORBIDDEN, "role_not_grantable", "You may not grant this role"),
            Self::OwnerRequired => (S::FORBIDDEN, "owner_required", "Only owners may do this"),
            Self::EmailNotVerified => {
                (S::FORBIDDEN, "email_not_verified", "Your e-mail address is not verified")
            }
            Self::EmailMismatch => (S::FORBIDDEN, "email_mismatch", "The invitation is for another address"),
            Self::OrganizationNotFound => {
                (S::NOT_FOUND, "organization_not_found", "There is no such organization")
            }
            Self::InvitationNotFound => (S::NOT_FOUND, "invitation_not_found", "There is no such invitation"),
            Self::MemberNotFound => (S::NOT_FOUND, "member_not_found", "There is no such member"),
            Self::SeatsExhausted => (S::CONFLICT, "seats_exhausted", "Too few seats are free"),
            Self::LastOwner => (S::CONFLICT, "last_owner", "The organization needs an owner"),
            Self::InvitationNotPending => {
                (S::CONFLICT, "invitation_not_pending", "The invitation is not pending")
            }
            Self::SenderLostAuthority => {
                (S::CONFLICT, "sender_lost_authority", "The sender may no longer grant this role")
            }
            Self::Conflict => (S::CONFLICT, "conflict", "Too many changes at the same time"),
            Self::InvitationExpired => (S::GONE, "invitation_expired", "The invitation has expired"),
            Self::InvitationRevoked => (S::GONE, "invitation_revoked", "The invitation was revoked"),
            Self::InvitationDeclined => (S::GONE, "invitation_declined", "The invitation was declined"),
            Self::InvitationSuperseded => {
                (S::GONE, "invitation_superseded", "A newer link has replaced this one")
            }
            Self::InvitationAccepted => {
                (S::GONE, "invitation_accepted", "The invitation was already accepted")
            }
            Self::IdempotencyKeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "The idempotency key was used for another request",
            ),
            Self::TooManyInvitations => {
                (S::TOO_MANY_REQUESTS, "too_many_invitations", "Too many invitations")
            }
            Self::ResendTooSoon => {
                (S::TOO_MANY_REQUESTS, "resend_too_soon", "The address was mailed too recently or too often")
            }
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "The service is not available"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "An internal error occurred"),
        }
    }

    /// Returns the code as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Returns the time after which a retry can succeed, for codes with a fixed time.
    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Conflict => Some(Duration::from_secs(1)),
            Self::Unavailable => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

/// One error in the request, with its position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer into the body, or `/<name>` of a query parameter or a header.
    pub pointer: String,
    /// The reason, and often the values that are valid.
    pub detail: String,
}

/// A problem response: a refusal or an error.
#[derive(Debug)]
pub struct Problem {
    /// The code.
    pub code: Code,
    detail: String,
    errors: Vec<FieldError>,
    seats: Option<Seats>,
    invitation_status: Option<Status>,
    /// The time after which a retry can succeed.
    retry_after: Option<Duration>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<SeatsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitation_status: Option<Status>,
}

impl Problem {
    /// A problem with the code `code` and the detail `detail`, which is a sentence for users.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            seats: None,
            invitation_status: None,
            retry_after: code.retry_after(),
            cause: None,
        }
    }

    /// A problem with the code `code` and one or more errors in the request.
    #[must_use]
    pub fn fields(code: Code, errors: Vec<FieldError>) -> Self {
        let detail = match errors.as_slice() {
            [] => code.row().2.to_owned(),
            [only] => {
                format!("{}: {}.", if only.pointer.is_empty() { "body" } else { &only.pointer }, only.detail)
            }
            [first, ..] => {
                format!("{} errors; the first is {}: {}.", errors.len(), first.pointer, first.detail)
            }
        };
        Self { errors, ..Self::new(code, detail) }
    }

    /// A 400 problem for one invalid part of the request.
    #[must_use]
    pub fn malformed(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        Self::fields(Code::MalformedRequest, vec![error])
    }

    /// A 422 problem for invalid addresses, each with its JSON pointer.
    #[must_use]
    pub fn invalid_emails(invalid: impl IntoIterator<Item = (String, InvalidEmail)>) -> Self {
        let errors =
            invalid.into_iter().map(|(pointer, error)| FieldError { pointer, detail: error.to_string() });
        Self::fields(Code::InvalidEmail, errors.collect())
    }

    /// A 503 problem. The cause goes to the log and not to the caller.
    #[must_use]
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let detail = "A service that Roster depends on does not respond. Try again later.";
        Self { cause: Some(cause.into()), ..Self::new(Code::Unavailable, detail) }
    }

    /// A 500 problem. The cause goes to the log and not to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let detail = "The request failed because of an internal error. The logs contain the cause.";
        Self { cause: Some(cause.into()), ..Self::new(Code::Internal, detail) }
    }

    /// Returns the HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code.row().0
    }

    /// Logs the cause, if there is one. A refusal has no cause: the invocation's outcome already shows it.
    pub(crate) fn log(&self) {
        if let Some(cause) = &self.cause {
            tracing::error!(cause = error_chain(&**cause), "the request failed");
        }
    }

    /// Converts the problem to an HTTP response.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        let (status, code, title) = self.code.row();
        let document = Document {
            kind: format!("urn:roster:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code,
            errors: &self.errors,
            seats: self.seats.map(SeatsView::from),
            invitation_status: self.invitation_status,
        };
        let body = serde_json::to_string(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(retry_after) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs().max(1)));
        }
        response
    }

    fn not_permitted(permission: Permission) -> Self {
        match permission {
            Permission::Invite(_) | Permission::Resend(_) | Permission::Revoke(_) => {
                let detail =
                    "An owner may grant the roles owner and member. A member may grant only the role member.";
                Self::new(Code::RoleNotGrantable, detail)
            }
            Permission::EditRoles | Permission::EditOrganization | Permission::RemoveMembers => {
                Self::new(Code::OwnerRequired, format!("Only an owner may {permission}."))
            }
        }
    }

    fn seats_exhausted(seats: Seats) -> Self {
        let detail = format!("{} of {} seats are free. No invitation was sent.", seats.free, seats.total);
        Self { seats: Some(seats), ..Self::new(Code::SeatsExhausted, detail) }
    }

    /// A 429 problem for the limit of an organization or a sender.
    fn limit_exceeded(LimitExceeded { of, limit, left, wait }: LimitExceeded) -> Self {
        let time = format_wait(wait);
        let detail = match of {
            LimitScope::Organization => format!(
                "An organization may invite {limit} people per day. It may invite {left} more now, and {limit} \
                 again in {time}. No invitation was sent."
            ),
            LimitScope::Sender => format!(
                "You may send {limit} invitation mails per hour. You may send {left} more now, and {limit} again \
                 in {time}. No mail was sent."
            ),
        };
        Self { retry_after: Some(wait), ..Self::new(Code::TooManyInvitations, detail) }
    }

    /// A 429 problem for the cooldown of one address.
    fn cooldown_active(CooldownActive { why, wait }: CooldownActive) -> Self {
        let detail = format!("This address {}.", cooldown_text(why, wait));
        Self { retry_after: Some(wait), ..Self::new(Code::ResendTooSoon, detail) }
    }

    /// A 429 problem for the cooldowns of several addresses in a request.
    fn cooldowns_active(addresses: Vec<(usize, CooldownActive)>) -> Self {
        let retry_after = addresses.iter().map(|(_, cooldown)| cooldown.wait).max();
        let error = |(place, CooldownActive { why, wait })| FieldError {
            pointer: format!("/emails/{place}"),
            detail: format!("this address {}", cooldown_text(why, wait)),
        };
        let errors = addresses.into_iter().map(error).collect();
        Self { retry_after, ..Self::fields(Code::ResendTooSoon, errors) }
    }

    /// The problem for a member: the invitation is not pending.
    fn not_pending(status: Status) -> Self {
        let detail = format!("The invitation is {status}.");
        let problem = Self::new(Code::InvitationNotPending, detail);
        Self { invitation_status: Some(status), ..problem }
    }

    /// The problem for an invitee: the link is valid, but the invitation is closed or accepted.
    fn gone(status: Status) -> Self {
        match status {
            Status::Expired => Self::new(
                Code::InvitationExpired,
                "The invitation has expired. Ask its sender for a new one.",
            ),
            Status::Revoked => Self::new(Code::InvitationRevoked, "The invitation was revoked."),
            Status::Declined => Self::new(Code::InvitationDeclined, "The invitation was declined."),
            Status::Accepted | Status::Removed => {
                let detail = "The invitation was already accepted. It can be accepted only once.";
                Self::new(Code::InvitationAccepted, detail)
            }
            Status::Pending => Self::internal("a pending invitation was reported as closed"),
        }
    }
}

/// Describes the cooldown of an address: its reason, and the time until the next mail.
fn cooldown_text(why: CooldownReason, wait: Duration) -> String {
    let time = format_wait(wait);
    match why {
        CooldownReason::JustNow => format!("was mailed a moment ago, and can be mailed again in {time}"),
        CooldownReason::MailLimit(count) => {
            format!("got {count} mails from this organization, and can be mailed again in {time}")
        }
    }
}

/// Formats a duration with one unit, rounded up.
fn format_wait(wait: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = wait.as_secs().max(1);
    let (count, unit) = match seconds {
        0..=90 => (seconds, "second"),
        91..=5_400 => (seconds.div_ceil(MINUTE), "minute"),
        5_401..=129_600 => (seconds.div_ceil(HOUR), "hour"),
        _ => (seconds.div_ceil(DAY), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

impl From<InvalidName> for Problem {
    /// A 422 problem for the field `name` of a body.
    fn from(error: InvalidName) -> Self {
        let error = FieldError { pointer: "/name".to_owned(), detail: error.to_string() };
        Self::fields(Code::InvalidName, vec![error])
    }
}

impl From<KeyReused> for Problem {
    fn from(_: KeyReused) -> Self {
        let detail = "This Idempotency-Key was used for another request within the last 24 hours. Use a new key for \
                      each request, and the same key only to retry the same request.";
        Self::new(Code::IdempotencyKeyReused, detail)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        use Refusal as R;
        let (code, detail) = match refusal {
            R::NotPermitted(permission) => return Self::not_permitted(permission),
            R::NotPending(status) => return Self::not_pending(status),
            R::Gone(status) => return Self::gone(status),
            R::LimitExceeded(limit) => return Self::limit_exceeded(limit),
            R::CooldownActive(cooldown) => return Self::cooldown_active(cooldown),
            R::AddressesTooSoon(addresses) => return Self::cooldowns_active(addresses),
            R::SeatsExhausted(seats) => return Self::seats_exhausted(seats),
            R::InvalidToken => (Code::InvalidToken, "This is not a link that Roster made."),
            R::Superseded => {
                (Code::InvitationSuperseded, "Use the link in the newest mail of this invitation.")
            }
            R::EmailNotVerified => (
                Code::EmailNotVerified,
                "This request needs a verified e-mail address. The token's `email` must be an address that can \
                 be invited, and its `email_verified` must be true.",
            ),
            R::EmailMismatch => {
                (Code::EmailMismatch, "You are signed in with another address than the one that was invited.")
            }
            R::NoSuchOrganization => {
                (Code::OrganizationNotFound, "You are not a member of an organization with this id.")
            }
            R::NoSuchInvitation => {
                (Code::InvitationNotFound, "The organization has no invitation with this id.")
            }
            R::NoSuchMember => (Code::MemberNotFound, "The organization has no member with this user id."),
            R::SenderLostAuthority => (
                Code::SenderLostAuthority,
                "The sender may no longer grant the role of this invitation. Ask an owner to resend the invitation.",
            ),
            R::LastOwner => (
                Code::LastOwner,
                "The organization would have no owner left. Make another member an owner first.",
            ),
        };
        Self::new(code, detail)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unavailable(_) => Self::unavailable(error),
            KeyError::Unusable(_) => Self::internal(error),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Throttled(_) | store::Error::Unavailable(_) => Self::unavailable(error),
            store::Error::Rejected(_) | store::Error::Corrupt(_) => Self::internal(error),
        }
    }
}

impl<Refusal: Into<Self>> From<RunError<Refusal>> for Problem {
    fn from(error: RunError<Refusal>) -> Self {
        match error {
            RunError::Refused(refusal) => refusal.into(),
            RunError::Contended => {
                Self::new(Code::Conflict, "Other requests changed the same data at the same time. Try again.")
            }
            RunError::Read(error) => error.into(),
            RunError::Plan(error) => Self::internal(error),
            RunError::Commit(error) => match error {
                CommitError::Contended(_) => {
                    let detail = "Other requests changed the same data at the same time. Try again.";
                    Self { cause: Some(error.into()), ..Self::new(Code::Conflict, detail) }
                }
                CommitError::Throttled(_) | CommitError::Unknown(_) => Self::unavailable(error),
                CommitError::Rejected(_) => Self::internal(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_a_wait_with_one_unit_rounded_up() {
        for (seconds, expected) in [
            (0, "1 second"),
            (1, "1 second"),
            (60, "60 seconds"),
            (90, "90 seconds"),
            (91, "2 minutes"),
            (3_600, "60 minutes"),
            (5_401, "2 hours"),
            (86_400, "24 hours"),
            (129_601, "2 days"),
            (2_764_800, "32 days"),
        ] {
            assert_eq!(format_wait(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }
}
