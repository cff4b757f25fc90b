//! Roles, and the table of their permissions.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The role of a member in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Manages the organization. Every organization has at least one owner (rule: last owner).
    Owner,
    /// Belongs to the organization, and can invite other members.
    Member,
}

/// A permission of a role. `Display` writes it as a verb phrase, such as `edit roles`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Invites people with this role. The sender of an invitation needs this permission until it is accepted.
    Invite(Role),
    /// Resends invitations that offer this role.
    Resend(Role),
    /// Revokes invitations that offer this role.
    Revoke(Role),
    /// Edits members' roles.
    EditRoles,
    /// Edits the organization.
    EditOrganization,
    /// Removes other members. Leaving needs no permission.
    RemoveMembers,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invite(role) => write!(f, "invite people as {role}"),
            Self::Resend(role) => write!(f, "resend an invitation as {role}"),
            Self::Revoke(role) => write!(f, "revoke an invitation as {role}"),
            Self::EditRoles => f.write_str("edit roles"),
            Self::EditOrganization => f.write_str("edit the organization"),
            Self::RemoveMembers => f.write_str("remove other members"),
        }
    }
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Member];

    /// The permissions of the role. It has no others (rule: permissions).
    #[must_use]
    pub const fn permissions(self) -> &'static [Permission] {
        use Permission::{EditOrganization, EditRoles, Invite, RemoveMembers, Resend, Revoke};
        match self {
            Self::Owner => &[
                Invite(Self::Owner),
                Invite(Self::Member),
                Resend(Self::Owner),
                Resend(Self::Member),
                Revoke(Self::Owner),
                Revoke(Self::Member),
                EditRoles,
                EditOrganization,
                RemoveMembers,
            ],
            Self::Member => &[Invite(Self::Member), Resend(Self::Member), Revoke(Self::Member)],
        }
    }

    /// Returns whether the role has `permission`.
    #[must_use]
    pub fn may(self, permission: Permission) -> bool {
        self.permissions().contains(&permission)
    }

    /// How much a member with this role adds to the number of owners: 1 or 0.
    #[must_use]
    pub const fn owners(self) -> i32 {
        match self {
            Self::Owner => 1,
            Self::Member => 0,
        }
    }

    /// The text of the role in the contract and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Member => "member",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a role. Case and spaces matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a role is `owner` or `member`")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_can_name_a_permission() {
        for (permission, words) in [
            (Permission::Invite(Role::Owner), "invite people as owner"),
            (Permission::Resend(Role::Member), "resend an invitation as member"),
            (Permission::Revoke(Role::Owner), "revoke an invitation as owner"),
            (Permission::EditRoles, "edit roles"),
            (Permission::EditOrganization, "edit the organization"),
            (Permission::RemoveMembers, "remove other members"),
        ] {
            assert_eq!(permission.to_string(), words);
        }
    }

    #[test]
    fn each_role_has_exactly_its_permissions() {
        use Permission::{EditOrganization, EditRoles, Invite, RemoveMembers, Resend, Revoke};
        use Role::{Member, Owner};
        for (permission, owner, member) in [
            (Invite(Owner), true, false),
            (Invite(Member), true, true),
            (Resend(Owner), true, false),
            (Resend(Member), true, true),
            (Revoke(Owner), true, false),
            (Revoke(Member), true, true),
            (EditRoles, true, false),
            (EditOrganization, true, false),
            (RemoveMembers, true, false),
        ] {
            assert_eq!((Owner.may(permission), Member.may(permission)), (owner, member), "{permission:?}");
        }
    }

    /// A resend makes the caller the sender, who needs the permission to invite when the invitation is accepted.
    #[test]
    fn a_role_that_may_resend_may_also_invite() {
        for role in Role::ALL {
            for offered in Role::ALL.into_iter().filter(|offered| role.may(Permission::Resend(*offered))) {
                assert!(role.may(Permission::Invite(offered)), "{role} may resend {offered}");
            }
        }
    }

    #[test]
    fn parses_only_the_exact_role_names() {
        assert_eq!("owner".parse(), Ok(Role::Owner));
        assert_eq!("member".parse(), Ok(Role::Member));
        assert_eq!(Role::ALL.map(|role| role.to_string()), ["owner", "member"]);
        for text in ["", "Owner", "OWNER", "owner,member", " owner", "admin", "member\n"] {
            assert_eq!(text.parse::<Role>(), Err(UnknownRole), "{text:?}");
        }
    }
}
