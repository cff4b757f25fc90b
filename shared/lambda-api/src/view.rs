//! The JSON objects in responses, as the API contract defines them.

use domain::{Delivery, Invitation, Language, Member, Organization, Role, Seats, Status, Timestamp};
use serde::Serialize;
use store::MemberSummary;

/// Serialization of timestamps as RFC 3339 text.
pub mod rfc3339 {
    use domain::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Serializes a timestamp.
    pub fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(moment)
    }

    /// Deserializes a timestamp.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A timestamp in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ApiTimestamp(#[serde(with = "rfc3339")] pub Timestamp);

/// An invitation in a response. It contains nothing from which a link can be made.
#[derive(Debug, Serialize)]
pub struct InvitationView {
    id: String,
    email: String,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<Language>,
    status: Status,
    generation: u32,
    sender: SenderView,
    created_at: ApiTimestamp,
    sent_at: Option<ApiTimestamp>,
    expires_at: ApiTimestamp,
    delivery: Option<Delivery>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery_detail: Option<String>,
}

#[derive(Debug, Serialize)]
struct SenderView {
    user_id: String,
    email: String,
}

impl InvitationView {
    /// Converts an invitation, with its status at `now`.
    #[must_use]
    pub fn at(now: Timestamp, invitation: &Invitation) -> Self {
        let mail = invitation.mail.as_ref();
        Self {
            id: invitation.id.to_string(),
            email: invitation.email.to_string(),
            role: invitation.role,
            language: invitation.language,
            status: invitation.status_at(now),
            generation: invitation.generation.0,
            sender: SenderView {
                user_id: invitation.sender.user.to_string(),
                email: invitation.sender.email.to_string(),
            },
            created_at: ApiTimestamp(invitation.created_at),
            sent_at: mail.and_then(|mail| mail.sent_at).map(ApiTimestamp),
            expires_at: ApiTimestamp(invitation.expires_at),
            delivery: mail.map(|mail| mail.delivery),
            delivery_detail: mail.and_then(|mail| mail.detail.clone()),
        }
    }
}

/// A member in a response.
#[derive(Debug, Serialize)]
pub struct MemberView {
    user_id: String,
    email: String,
    role: Role,
    joined_at: ApiTimestamp,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        Self {
            user_id: member.user.to_string(),
            email: member.email.to_string(),
            role: member.role,
            joined_at: ApiTimestamp(member.joined_at),
        }
    }
}

impl From<MemberSummary> for MemberView {
    fn from(member: MemberSummary) -> Self {
        Self {
            user_id: member.user.into(),
            email: member.email.into(),
            role: member.role,
            joined_at: ApiTimestamp(member.joined_at),
        }
    }
}

/// An organization in a response.
#[derive(Debug, Serialize)]
pub struct OrganizationView {
    id: String,
    name: String,
    role: Role,
    seats: SeatsView,
    owners: u32,
    created_at: ApiTimestamp,
}

impl OrganizationView {
    /// Converts an organization, for a caller with the role `role`.
    #[must_use]
    pub fn for_role(role: Role, organization: &Organization) -> Self {
        Self {
            id: organization.id.to_string(),
            name: organization.name.to_string(),
            role,
            seats: organization.seats.into(),
            owners: organization.owners,
            created_at: ApiTimestamp(organization.created_at),
        }
    }
}

/// The id and the name of an organization, for callers who may not be members.
#[derive(Debug, Serialize)]
pub struct OrganizationNameView {
    id: String,
    name: String,
}

impl From<&Organization> for OrganizationNameView {
    fn from(organization: &Organization) -> Self {
        Self { id: organization.id.to_string(), name: organization.name.to_string() }
    }
}

/// Seats in a response or in a problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SeatsView {
    total: u32,
    taken: u32,
    free: u32,
}

impl From<Seats> for SeatsView {
    fn from(seats: Seats) -> Self {
        Self { total: seats.total, taken: seats.taken(), free: seats.free }
    }
}
