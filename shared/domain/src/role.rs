//! Roles, and the one rank function that every path uses.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a member may do in an organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Grants both roles, edits roles, removes members.
    Owner,
    /// Grants `member` only.
    Member,
}

impl Role {
    /// Both roles.
    pub const ALL: [Self; 2] = [Self::Owner, Self::Member];

    /// Whether a holder of this role may grant `other`: an owner both, a member `member` only.
    #[must_use]
    pub fn may_grant(self, other: Self) -> bool {
        matches!((self, other), (Self::Owner, _) | (_, Self::Member))
    }

    /// As the contract and the table write it.
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

/// The text names no role; case and spaces matter.
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
    fn an_owner_grants_both_roles_and_a_member_one() {
        assert!(Role::Owner.may_grant(Role::Owner));
        assert!(Role::Owner.may_grant(Role::Member));
        assert!(Role::Member.may_grant(Role::Member));
        assert!(!Role::Member.may_grant(Role::Owner));
    }

    #[test]
    fn only_the_exact_words_are_roles() {
        assert_eq!("owner".parse(), Ok(Role::Owner));
        assert_eq!("member".parse(), Ok(Role::Member));
        assert_eq!(Role::ALL.map(|role| role.to_string()), ["owner", "member"]);
        for text in ["", "Owner", "OWNER", "owner,member", " owner", "admin", "member\n"] {
            assert_eq!(text.parse::<Role>(), Err(UnknownRole), "{text:?}");
        }
    }
}
