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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HOUR, NOON, SECOND, acme, address, given, id_of, invitation, member, user};
    use crate::{Generation, Mail, Timestamp};

    /// Acme, with ada its owner, dan a member, and this invitation.
    fn acme_with(invited: Invitation) -> Ledger {
        let accepted = ["ada", "dan"].map(|name| invitation(name, Status::Accepted));
        let members = [member("ada", Role::Owner), member("dan", Role::Member)];
        Ledger::new(given().organization, members, accepted.into_iter().chain([invited]))
    }

    fn ivys() -> Invitation {
        invitation("ivy", Status::Pending)
    }

    /// The same table, with somebody in it who was not there before.
    fn joined(before: &Ledger, member: Member) -> Ledger {
        let acme = acme();
        let members = before.members(&acme).cloned().chain([member]);
        Ledger::new(given().organization, members, before.invitations(&acme).cloned())
    }

    fn ivy(role: Role, joined_at: Timestamp) -> Member {
        Member { joined_at, ..member("ivy", role) }
    }

    #[test]
    fn what_is_beyond_a_role_is_seen() {
        let invite = |by, role| Deed::Invite { by: user(by), role };
        let administer = |by, whose| Deed::Administer { by: user(by), invitation: id_of(whose) };
        let edit = |by| Deed::RoleEdit { by: user(by) };
        let remove = |by, whom| Deed::Remove { by: user(by), member: user(whom) };
        for (deed, allowed) in [
            (invite("ada", Role::Owner), true),
            (invite("ada", Role::Member), true),
            (invite("dan", Role::Member), true),
            (invite("dan", Role::Owner), false),
            (invite("eve", Role::Member), false),
            (administer("ada", "ivy"), true),
            (administer("dan", "ivy"), true),
            (administer("eve", "ivy"), false),
            (administer("ada", "eve"), false),
            (edit("ada"), true),
            (edit("dan"), false),
            (edit("eve"), false),
            (remove("ada", "dan"), true),
            (remove("ada", "ada"), true),
            (remove("dan", "dan"), true),
            (remove("dan", "ada"), false),
            (remove("eve", "eve"), false),
            (Deed::Other, true),
        ] {
            let table = acme_with(ivys());
            let expected = (!allowed).then_some(Misdeed::BeyondTheirRole);
            assert_eq!(table.misdeed(&acme(), &table, &deed), expected, "{deed:?}");
        }
        let owners = acme_with(Invitation { role: Role::Owner, ..ivys() });
        let beyond = Some(Misdeed::BeyondTheirRole);
        assert_eq!(owners.misdeed(&acme(), &owners, &administer("dan", "ivy")), beyond);
    }

    #[test]
    fn whoever_joins_wrongly_is_seen() {
        let end = ivys().expires_at;
        let accept = Deed::Accept(ivys().link());
        let older = Link { generation: Generation(2), ..ivys().link() };
        let sent_by = |name: &str, role| {
            let sender = crate::Sender { user: user(name), email: address(name) };
            Invitation { role, sender, ..ivys() }
        };
        let elsewhere = Member { email: address("eve"), ..ivy(Role::Member, NOON) };
        let last_second = Timestamp::from_unix(end.unix() - 1);
        for (invited, member, deed, misdeed) in [
            (ivys(), ivy(Role::Member, NOON), &accept, None),
            (ivys(), ivy(Role::Member, last_second), &accept, None),
            (ivys(), ivy(Role::Member, end), &accept, Some(Misdeed::NotInvited)),
            (ivys(), ivy(Role::Owner, NOON), &accept, Some(Misdeed::NotInvited)),
            (ivys(), elsewhere, &accept, Some(Misdeed::NotInvited)),
            (invitation("ivy", Status::Revoked), ivy(Role::Member, NOON), &accept, Some(Misdeed::NotInvited)),
            (invitation("eve", Status::Pending), ivy(Role::Member, NOON), &accept, Some(Misdeed::NotInvited)),
            (ivys(), ivy(Role::Member, NOON), &Deed::Accept(older), Some(Misdeed::ByAnOldLink)),
            (ivys(), ivy(Role::Member, NOON), &Deed::Other, Some(Misdeed::ByAnOldLink)),
            (sent_by("dan", Role::Member), ivy(Role::Member, NOON), &accept, None),
            (sent_by("ada", Role::Owner), ivy(Role::Owner, NOON), &accept, None),
            (sent_by("dan", Role::Owner), ivy(Role::Owner, NOON), &accept, Some(Misdeed::WithoutAuthority)),
            (sent_by("eve", Role::Member), ivy(Role::Member, NOON), &accept, Some(Misdeed::WithoutAuthority)),
        ] {
            let before = acme_with(invited);
            let after = joined(&before, member.clone());
            assert_eq!(before.misdeed(&acme(), &after, deed), misdeed, "{member:?} by {deed:?}");
        }
        let after = joined(&acme_with(ivys()), ivy(Role::Member, NOON + HOUR + SECOND));
        assert_eq!(
            Ledger::default().misdeed(&acme(), &after, &Deed::Other),
            None,
            "founders are invited by nobody"
        );
    }

    #[test]
    fn an_expiry_before_the_mail_is_seen() {
        use Delivery::{Queued, Sent};
        use Status::{Expired, Pending, Revoked};
        let with = |status, delivery| {
            let mail = Some(Mail { delivery, detail: None, sent_at: None });
            acme_with(Invitation { mail, ..invitation("ivy", status) })
        };
        for (before, after, misdeed) in [
            (with(Pending, Queued), with(Expired, Queued), Some(Misdeed::NeverMailed)),
            (with(Pending, Sent), with(Expired, Sent), None),
            (with(Pending, Queued), with(Revoked, Queued), None),
            (with(Pending, Queued), with(Pending, Queued), None),
            (with(Expired, Queued), with(Expired, Queued), None),
            (with(Revoked, Queued), with(Expired, Queued), None),
        ] {
            assert_eq!(before.misdeed(&acme(), &after, &Deed::Other), misdeed, "{before:?} to {after:?}");
        }
    }
}
