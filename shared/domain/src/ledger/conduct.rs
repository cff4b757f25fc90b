//! What nobody may do, whatever the table looks like afterwards.

use super::Ledger;
use crate::{Delivery, Invitation, InvitationId, Link, Member, OrganizationId, Role, Status, UserId};

/// Who has done what, as far as the rules ask for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Deed {
    /// Somebody has invited.
    Invite {
        /// Who.
        by: UserId,
        /// What they offered.
        role: Role,
    },
    /// Somebody has resent or revoked an invitation.
    Administer {
        /// Who.
        by: UserId,
        /// Which.
        invitation: InvitationId,
    },
    /// Somebody has edited a role.
    RoleEdit {
        /// Who.
        by: UserId,
    },
    /// Somebody has removed a member, or left.
    Remove {
        /// Who.
        by: UserId,
        /// Whom.
        member: UserId,
    },
    /// Somebody has accepted by this link.
    Accept(Link),
    /// What an invitee, a timer or the mail service may always do.
    Other,
}

/// What a deed must not have been (rules 3, 4, 6, 7 and 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Misdeed {
    /// Rule 3.
    #[error("somebody has done what is beyond their role")]
    BeyondTheirRole,
    /// Rule 4.
    #[error("somebody joined, though the sender may not grant their role")]
    WithoutAuthority,
    /// Rules 6 and 7.
    #[error("somebody joined without an open invitation for their address and role")]
    NotInvited,
    /// Rule 7.
    #[error("somebody joined, but not by the newest link")]
    ByAnOldLink,
    /// Rule 8.
    #[error("an invitation has expired whose mail never went out")]
    NeverMailed,
}

impl Ledger {
    /// What is wrong with `deed`, which has made `after` of this table.
    #[must_use]
    pub fn misdeed(&self, organization: &OrganizationId, after: &Self, deed: &Deed) -> Option<Misdeed> {
        if !self.allows(organization, deed) {
            return Some(Misdeed::BeyondTheirRole);
        }
        let joined = after.members(organization).filter(|it| self.member(organization, &it.user).is_none());
        // The founder is invited by nobody.
        let joined = joined.filter(|_| self.organization(organization).is_some());
        let ended = after.invitations(organization).filter(|it| self.was_never_mailed(it));
        joined
            .filter_map(|member| self.wrongly_joined(member, deed))
            .chain(ended.map(|_| Misdeed::NeverMailed))
            .next()
    }

    /// Rule 3, written out, and not by the comparison of roles that the decisions use.
    fn allows(&self, organization: &OrganizationId, deed: &Deed) -> bool {
        let role = |by: &UserId| self.member(organization, by).map(|it| it.role);
        let grants = |by: &UserId, granted: Role| match role(by) {
            Some(Role::Owner) => true,
            Some(Role::Member) => granted == Role::Member,
            None => false,
        };
        match deed {
            Deed::Invite { by, role } => grants(by, *role),
            Deed::Administer { by, invitation } => {
                self.invitation(organization, invitation).is_some_and(|it| grants(by, it.role))
            }
            Deed::RoleEdit { by } => role(by) == Some(Role::Owner),
            Deed::Remove { by, member } => {
                role(by) == Some(Role::Owner) || (by == member && role(by).is_some())
            }
            Deed::Accept(_) | Deed::Other => true,
        }
    }

    /// Rules 4, 6 and 7. The moment that counts is the decision's own, which the member shows.
    fn wrongly_joined(&self, member: &Member, deed: &Deed) -> Option<Misdeed> {
        let invitation = self.invitation(&member.organization, &member.invitation);
        let fits = |it: &&Invitation| {
            it.status() == Status::Pending
                && member.joined_at < it.expires_at
                && (&it.email, it.role) == (&member.email, member.role)
        };
        let Some(invitation) = invitation.filter(fits) else { return Some(Misdeed::NotInvited) };
        if !matches!(deed, Deed::Accept(link) if invitation.link() == *link) {
            return Some(Misdeed::ByAnOldLink);
        }
        let sender = self.member(&member.organization, &invitation.sender.user);
        let has_authority = sender.is_some_and(|it| it.role == Role::Owner || member.role == Role::Member);
        (!has_authority).then_some(Misdeed::WithoutAuthority)
    }

    fn was_never_mailed(&self, after: &Invitation) -> bool {
        let before = self.invitation(&after.organization, &after.id);
        let before = before.filter(|it| it.status() == Status::Pending && after.status() == Status::Expired);
        let mail = before.and_then(|it| it.mail.as_ref());
        mail.is_some_and(|mail| mail.delivery == Delivery::Queued)
    }
}
