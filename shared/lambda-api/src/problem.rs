//! Problems (RFC 9457): the one place where refusals meet HTTP.
//!
//! No match here has a catch-all arm, so that a refusal added to the domain does not compile until it has
//! its answer.

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

use crate::observe::chain;
use crate::view::SeatsView;

/// Every code of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the codes' meaning is the contract's table, and `title`")]
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
    AlreadyMember,
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
    /// Status, code and title.
    fn row(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::MalformedRequest => (S::BAD_REQUEST, "malformed_request", "The request is malformed"),
            Self::TooLarge => (S::PAYLOAD_TOO_LARGE, "too_large", "The request is too large"),
            Self::InvalidEmail => {
                (S::UNPROCESSABLE_ENTITY, "invalid_email", "An e-mail address is not valid")
            }
            Self::InvalidName => (S::UNPROCESSABLE_ENTITY, "invalid_name", "The name is not valid"),
            Self::BadCursor => (S::BAD_REQUEST, "bad_cursor", "The cursor is not one of this list"),
            Self::InvalidToken => (S::BAD_REQUEST, "invalid_token", "The link is not valid"),
            Self::RoleNotGrantable => (S::FORBIDDEN, "role_not_grantable", "You may not grant this role"),
            Self::OwnerRequired => (S::FORBIDDEN, "owner_required", "Only owners may do this"),
            Self::EmailNotVerified => {
                (S::FORBIDDEN, "email_not_verified", "Your e-mail address is not verified")
            }
            Self::EmailMismatch => (S::FORBIDDEN, "email_mismatch", "The invitation is for somebody else"),
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
            Self::AlreadyMember => (S::CONFLICT, "already_member", "You are a member already"),
            Self::SenderLostAuthority => {
                (S::CONFLICT, "sender_lost_authority", "The sender may not grant this role any more")
            }
            Self::Conflict => (S::CONFLICT, "conflict", "Too many changes at the same time"),
            Self::InvitationExpired => (S::GONE, "invitation_expired", "The invitation has expired"),
            Self::InvitationRevoked => (S::GONE, "invitation_revoked", "The invitation was withdrawn"),
            Self::InvitationDeclined => (S::GONE, "invitation_declined", "The invitation was declined"),
            Self::InvitationSuperseded => {
                (S::GONE, "invitation_superseded", "A newer link has replaced this one")
            }
            Self::InvitationAccepted => {
                (S::GONE, "invitation_accepted", "The invitation was accepted already")
            }
            Self::IdempotencyKeyReused => {
                (S::UNPROCESSABLE_ENTITY, "idempotency_key_reused", "The idempotency key was used before")
            }
            Self::TooManyInvitations => {
                (S::TOO_MANY_REQUESTS, "too_many_invitations", "Too many have been invited")
            }
            Self::ResendTooSoon => {
                (S::TOO_MANY_REQUESTS, "resend_too_soon", "The address was mailed too recently or too often")
            }
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "The service is not available"),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Something is wrong on our side"),
        }
    }

    /// As the contract writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// After how long trying again makes sense, where that is always the same.
    fn wait(self) -> Option<Duration> {
        match self {
            Self::Conflict => Some(Duration::from_secs(1)),
            Self::Unavailable => Some(Duration::from_secs(5)),
            _ => None,
        }
    }
}

/// One thing wrong with the request, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// A JSON pointer into the body, or `/<name>` of a query parameter or a header.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub detail: String,
}

/// A refusal as HTTP answers it.
#[derive(Debug)]
pub struct Problem {
    /// Which.
    pub code: Code,
    detail: String,
    errors: Vec<FieldError>,
    seats: Option<Seats>,
    invitation_status: Option<Status>,
    /// After how long trying again makes sense.
    wait: Option<Duration>,
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
    /// `code`, with a sentence for the person who reads it.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            seats: None,
            invitation_status: None,
            wait: code.wait(),
            cause: None,
        }
    }

    /// `code`, for what is wrong with these parts of the request.
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

    /// 400, for one part of the request.
    #[must_use]
    pub fn malformed(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let error = FieldError { pointer: pointer.into(), detail: detail.into() };
        Self::fields(Code::MalformedRequest, vec![error])
    }

    /// 422, for addresses, each with its pointer.
    #[must_use]
    pub fn invalid_emails(invalid: impl IntoIterator<Item = (String, InvalidEmail)>) -> Self {
        let errors =
            invalid.into_iter().map(|(pointer, error)| FieldError { pointer, detail: error.to_string() });
        Self::fields(Code::InvalidEmail, errors.collect())
    }

    /// 503, because of `cause`.
    #[must_use]
    pub fn unavailable(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let detail = "A service that Roster depends on does not answer. Try again later.";
        Self { cause: Some(cause.into()), ..Self::new(Code::Unavailable, detail) }
    }

    /// 500, because of `cause`, which goes to the log and not to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let detail = "The request could not be carried out; the logs tell why.";
        Self { cause: Some(cause.into()), ..Self::new(Code::Internal, detail) }
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.code.row().0
    }

    /// Logs what only the operator can mend. Refusals are their invocation's outcome, and no more.
    pub(crate) fn log(&self) {
        if let Some(cause) = &self.cause {
            tracing::error!(cause = chain(&**cause), "the request failed");
        }
    }

    /// The answer.
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
        if let Some(wait) = self.wait {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        response
    }

    fn not_permitted(permission: Permission) -> Self {
        match permission {
            Permission::Invite(_) | Permission::Resend(_) | Permission::Revoke(_) => {
                let detail = "An owner may grant owner and member, a member only member.";
                Self::new(Code::RoleNotGrantable, detail)
            }
            Permission::EditRoles | Permission::EditOrganization | Permission::RemoveMembers => {
                Self::new(Code::OwnerRequired, format!("Only an owner may {permission}."))
            }
        }
    }

    fn seats_exhausted(seats: Seats) -> Self {
        let detail = format!("{} of {} seats are free; nobody was invited.", seats.free, seats.total);
        Self { seats: Some(seats), ..Self::new(Code::SeatsExhausted, detail) }
    }

    /// 429, for an organization or a sender.
    fn too_many(LimitExceeded { of, limit, left, wait }: LimitExceeded) -> Self {
        let again = in_words(wait);
        let detail = match of {
            LimitScope::Organization => format!(
                "An organization may invite {limit} people in a day; {left} of them are left, and all again in \
                 {again}. Nobody was invited."
            ),
            LimitScope::Sender => format!(
                "You may have {limit} people mailed in an hour; {left} of them are left, and all again in \
                 {again}. Nobody was mailed."
            ),
        };
        Self { wait: Some(wait), ..Self::new(Code::TooManyInvitations, detail) }
    }

    /// 429, for an address.
    fn too_soon(CooldownActive { why, wait }: CooldownActive) -> Self {
        let detail = format!("This address {}.", has_had(why, wait));
        Self { wait: Some(wait), ..Self::new(Code::ResendTooSoon, detail) }
    }

    /// 429, for these of a request's addresses.
    fn all_too_soon(addresses: Vec<(usize, CooldownActive)>) -> Self {
        let wait = addresses.iter().map(|(_, it)| it.wait).max();
        let error = |(place, CooldownActive { why, wait })| FieldError {
            pointer: format!("/emails/{place}"),
            detail: format!("this address {}", has_had(why, wait)),
        };
        let errors = addresses.into_iter().map(error).collect();
        Self { wait, ..Self::fields(Code::ResendTooSoon, errors) }
    }

    /// To an inviter: what the record is instead of pending.
    fn not_pending(status: Status) -> Self {
        let detail = format!("The invitation is {status}.");
        let problem = Self::new(Code::InvitationNotPending, detail);
        Self { invitation_status: Some(status), ..problem }
    }

    /// To an invitee: why a genuine link is dead.
    fn gone(status: Status) -> Self {
        match status {
            Status::Expired => Self::new(
                Code::InvitationExpired,
                "The invitation has expired. Ask its sender for a new one.",
            ),
            Status::Revoked => Self::new(Code::InvitationRevoked, "The invitation was withdrawn."),
            Status::Declined => Self::new(Code::InvitationDeclined, "The invitation was declined."),
            Status::Accepted | Status::Removed => {
                Self::new(Code::InvitationAccepted, "The invitation was accepted already; it works once.")
            }
            Status::Pending => Self::internal("a pending invitation was called over"),
        }
    }
}

/// That an address has had enough mail, and for how long.
fn has_had(why: CooldownReason, wait: Duration) -> String {
    let again = in_words(wait);
    match why {
        CooldownReason::JustNow => format!("was mailed a moment ago, and can be mailed again in {again}"),
        CooldownReason::Mails(count) => {
            format!("has had {count} mails of this organization, and can be mailed again in {again}")
        }
    }
}

/// A wait as people say it, rounded up.
fn in_words(wait: Duration) -> String {
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
    /// Of the `name` in a body.
    fn from(error: InvalidName) -> Self {
        let error = FieldError { pointer: "/name".to_owned(), detail: error.to_string() };
        Self::fields(Code::InvalidName, vec![error])
    }
}

impl From<KeyReused> for Problem {
    fn from(_: KeyReused) -> Self {
        let detail = "This Idempotency-Key was used for another request within the last 24 hours. Take a fresh \
                      key for each request, and the same one only to send that request again.";
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
            R::LimitExceeded(too_many) => return Self::too_many(too_many),
            R::CooldownActive(too_soon) => return Self::too_soon(too_soon),
            R::AddressesTooSoon(addresses) => return Self::all_too_soon(addresses),
            R::SeatsExhausted(seats) => return Self::seats_exhausted(seats),
            R::InvalidToken => (Code::InvalidToken, "This is not a link that Roster made."),
            R::Superseded => {
                (Code::InvitationSuperseded, "Use the link in the newest mail of this invitation.")
            }
            R::EmailNotVerified => (
                Code::EmailNotVerified,
                "This needs a verified e-mail address: the token's `email` must be one that can be invited, and its \
                 `email_verified` true.",
            ),
            R::EmailMismatch => {
                (Code::EmailMismatch, "You are signed in with another address than the one that was invited.")
            }
            R::NoSuchOrganization => {
                (Code::OrganizationNotFound, "There is no organization with this id that you belong to.")
            }
            R::NoSuchInvitation => {
                (Code::InvitationNotFound, "The organization has no invitation with this id.")
            }
            R::NoSuchMember => (Code::MemberNotFound, "The organization has no member with this user id."),
            R::AlreadyMember => (
                Code::AlreadyMember,
                "You are a member of this organization already, through another invitation.",
            ),
            R::SenderLostAuthority => (
                Code::SenderLostAuthority,
                "The sender of the invitation may not grant its role any more. Ask an owner to resend it.",
            ),
            R::LastOwner => (
                Code::LastOwner,
                "The organization would have no owner left. Make another member owner first.",
            ),
        };
        Self::new(code, detail)
    }
}

impl From<KeyError> for Problem {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Unavailable(_) => Self::unavailable(error),
            KeyError::Broken(_) => Self::internal(error),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Throttled(_) | store::Error::Unavailable(_) => Self::unavailable(error),
            store::Error::Refused(_) | store::Error::Corrupt(_) => Self::internal(error),
        }
    }
}

impl<Refusal: Into<Self>> From<RunError<Refusal>> for Problem {
    fn from(error: RunError<Refusal>) -> Self {
        match error {
            RunError::Refused(refusal) => refusal.into(),
            RunError::Contended => {
                Self::new(Code::Conflict, "Others changed the same things again and again. Try again.")
            }
            RunError::Read(error) => error.into(),
            RunError::Plan(error) => Self::internal(error),
            RunError::Commit(error) => match error {
                CommitError::Contended(_) => {
                    let detail = "Others kept changing the same things. Try again.";
                    Self { cause: Some(error.into()), ..Self::new(Code::Conflict, detail) }
                }
                CommitError::Throttled(_) | CommitError::Unknown(_) => Self::unavailable(error),
                CommitError::Refused(_) => Self::internal(error),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_what_people_say() {
        for (seconds, words) in [
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
            assert_eq!(in_words(Duration::from_secs(seconds)), words, "{seconds}");
        }
    }
}
