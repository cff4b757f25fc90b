//! Members.

use crate::{
    Change, EmailAddress, InvitationId, OrganizationId, Permission, Refusal, Role, Timestamp, UserId,
    WindowCounter,
};

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
    /// The addresses that were mailed in their name within the hour.
    pub mailed: Option<WindowCounter>,
}

impl Member {
    /// The change that asserts the permission, if the member's role has it: so what is relied on is guarded.
    pub(crate) fn require(&self, permission: Permission) -> Result<Change, Refusal> {
        if self.role.may(permission) {
            Ok(Change::may(&self.organization, &self.user, permission))
        } else {
            Err(Refusal::NotPermitted(permission))
        }
    }
}
