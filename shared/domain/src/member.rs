//! Members.

use crate::{EmailAddress, InvitationId, OrganizationId, Role, Tally, Timestamp, UserId};

/// A user who belongs to an organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// Where.
    pub organization: OrganizationId,
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The verified address they joined with.
    pub email: EmailAddress,
    /// The accepted invitation that they hold their seat by.
    pub invitation: InvitationId,
    /// When they joined.
    pub joined_at: Timestamp,
    /// The addresses that were mailed in their name within the hour (rule 11).
    pub mailed: Option<Tally>,
    /// Whether an invitation was ever sent in their name, as the member they are now.
    pub sent: bool,
}
