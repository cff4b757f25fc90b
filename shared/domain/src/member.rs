//! Members of organizations.

use crate::{
    Change, EmailAddress, InvitationId, OrganizationId, Permission, Refusal, Role, Timestamp, UserId,
    WindowCounter,
};

/// A user who belongs to an organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The organization.
    pub organization: OrganizationId,
    /// The user.
    pub user: UserId,
    /// The member's role.
    pub role: Role,
    /// The verified address with which the user joined.
    pub email: EmailAddress,
    /// The accepted invitation through which the user joined. It holds the member's seat.
    pub invitation: InvitationId,
    /// When the user joined.
    pub joined_at: Timestamp,
    /// Counts the mails of invitations that the member sent or resent in the current window of one hour.
    pub mailed: Option<WindowCounter>,
}

impl Member {
    /// Returns the condition check that asserts the permission, or refuses if the member's role does not have it.
    ///
    /// The check belongs to the changes of the decision, so that the commit guards the permission.
    pub(crate) fn require(&self, permission: Permission) -> Result<Change, Refusal> {
        if self.role.may(permission) {
            Ok(Change::require(&self.organization, &self.user, permission))
        } else {
            Err(Refusal::NotPermitted(permission))
        }
    }
}
