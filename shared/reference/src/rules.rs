//! Rules about changes: which operations are forbidden even if the table is sound afterwards.

use super::ReferenceTable;
use domain::{Delivery, Invitation, InvitationId, Link, Member, OrganizationId, Role, Status, UserId};

/// An operation, with the facts that the rules look at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A member invites.
    Invite {
        /// Who.
        by: UserId,
        /// What they offered.
        role: Role,
    },
    /// A member resends or revokes an invitation.
    Administer {
        /// Who.
        by: UserId,
        /// Which.
        invitation: InvitationId,
    },
    /// An operation that only owners may do.
    ByOwner {
        /// Who.
        by: UserId,
    },
    /// A member removes another, or leaves.
    Remove {
        /// Who.
        by: UserId,
        /// Whom.
        member: UserId,
    },
    /// An invitee accepts by this link.
    Accept(Link),
    /// An operation of an invitee, a timer or the mail service, which takes no role.
    Other,
}

/// How an operation breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RuleViolation {
    /// The operation takes a permission that the role lacks.
    #[error("the role does not permit the operation")]
    BeyondTheirRole,
    /// An invitation is worth what its sender may grant when it is accepted.
    #[error("a member joined whose sender may not grant the role")]
    WithoutAuthority,
    /// A member joins by an open invitation only.
    #[error("a member joined without an open invitation for the address and role")]
    NotInvited,
    /// Only the newest link works.
    #[error("a member joined by another link than the newest")]
    ByAnOldLink,
    /// No mail is lost.
    #[error("an invitation expired before its mail was sent")]
    NeverMailed,
}

/// Whether `holder` may invite as `granted`, and resend and revoke such invitations: an owner both, a member `member` only.
#[must_use]
pub fn may_grant(holder: Role, granted: Role) -> bool {
    match holder {
        Role::Owner => true,
        Role::Member => granted == Role::Member,
    }
}

/// Whether `holder` may do what only owners may.
#[must_use]
pub fn may_govern(holder: Role) -> bool {
    holder == Role::Owner
}

impl ReferenceTable {
    /// What is wrong with `operation`, which has made `after` of this table.
    #[must_use]
    pub fn violation_by(
        &self,
        organization: &OrganizationId,
        after: &Self,
        operation: &Operation,
    ) -> Option<RuleViolation> {
        if !self.allows(organization, operation) {
            return Some(RuleViolation::BeyondTheirRole);
        }
        let joined = after.members(organization).filter(|it| self.member(organization, &it.user).is_none());
        // A founder has no invitation to accept.
        let joined = joined.filter(|_| self.organization(organization).is_some());
        let ended = after.invitations(organization).filter(|it| self.was_never_mailed(it));
        joined
            .filter_map(|member| self.wrongly_joined(member, operation))
            .chain(ended.map(|_| RuleViolation::NeverMailed))
            .next()
    }

    /// What each role may do, written out, and not by the table of permissions that the decisions use.
    fn allows(&self, organization: &OrganizationId, operation: &Operation) -> bool {
        let role = |by: &UserId| self.member(organization, by).map(|it| it.role);
        let grants = |by: &UserId, granted: Role| role(by).is_some_and(|it| may_grant(it, granted));
        let governs = |by: &UserId| role(by).is_some_and(may_govern);
        match operation {
            Operation::Invite { by, role } => grants(by, *role),
            Operation::Administer { by, invitation } => {
                self.invitation(organization, invitation).is_some_and(|it| grants(by, it.role))
            }
            Operation::ByOwner { by } => governs(by),
            Operation::Remove { by, member } => governs(by) || (by == member && role(by).is_some()),
            Operation::Accept(_) | Operation::Other => true,
        }
    }

    /// The moment that counts is the decision's own, which the member shows.
    fn wrongly_joined(&self, member: &Member, operation: &Operation) -> Option<RuleViolation> {
        let invitation = self.invitation(&member.organization, &member.invitation);
        let fits = |it: &&Invitation| {
            it.status() == Status::Pending
                && member.joined_at < it.expires_at
                && (&it.email, it.role) == (&member.email, member.role)
        };
        let Some(invitation) = invitation.filter(fits) else { return Some(RuleViolation::NotInvited) };
        if !matches!(operation, Operation::Accept(link) if invitation.link() == *link) {
            return Some(RuleViolation::ByAnOldLink);
        }
        let sender = self.member(&member.organization, &invitation.sender.user);
        let has_authority = sender.is_some_and(|it| may_grant(it.role, member.role));
        (!has_authority).then_some(RuleViolation::WithoutAuthority)
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
    use crate::testing::{
        HOUR, SECOND, acme, address, id_of, invitation, member, noon, organization, sender, user,
    };
    use domain::{Generation, Mail, Record, Timestamp};

    /// Acme, with ada its owner, dan a member, and this invitation.
    fn acme_with(invited: Invitation) -> ReferenceTable {
        let accepted = ["ada", "dan"].map(|name| invitation(name, Status::Accepted));
        let members = [member("ada", Role::Owner), member("dan", Role::Member)];
        let members = members.map(Record::Member);
        let invitations = accepted.into_iter().chain([invited]).map(Record::Invitation);
        [Record::Organization(organization(1, 1))].into_iter().chain(members).chain(invitations).collect()
    }

    fn ivys() -> Invitation {
        invitation("ivy", Status::Pending)
    }

    /// The same table with one more member.
    fn joined(before: &ReferenceTable, member: Member) -> ReferenceTable {
        before.records().cloned().chain([Record::Member(member)]).collect()
    }

    fn ivy(role: Role, joined_at: Timestamp) -> Member {
        Member { joined_at, ..member("ivy", role) }
    }

    #[test]
    fn what_is_beyond_a_role_is_seen() {
        let invite = |by, role| Operation::Invite { by: user(by), role };
        let administer = |by, whose| Operation::Administer { by: user(by), invitation: id_of(whose) };
        let edit = |by| Operation::ByOwner { by: user(by) };
        let remove = |by, whom| Operation::Remove { by: user(by), member: user(whom) };
        for (operation, allowed) in [
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
            (Operation::Other, true),
        ] {
            let table = acme_with(ivys());
            let expected = (!allowed).then_some(RuleViolation::BeyondTheirRole);
            assert_eq!(table.violation_by(&acme(), &table, &operation), expected, "{operation:?}");
        }
        let owners = acme_with(Invitation { role: Role::Owner, ..ivys() });
        let beyond = Some(RuleViolation::BeyondTheirRole);
        assert_eq!(owners.violation_by(&acme(), &owners, &administer("dan", "ivy")), beyond);
    }

    #[test]
    fn whoever_joins_wrongly_is_seen() {
        let end = ivys().expires_at;
        let accept = Operation::Accept(ivys().link());
        let older = Link { generation: Generation(2), ..ivys().link() };
        let sent_by = |name: &str, role| Invitation { role, sender: sender(name), ..ivys() };
        let elsewhere = Member { email: address("eve"), ..ivy(Role::Member, noon()) };
        let last_second = Timestamp::from_unix(end.unix() - 1);
        for (invited, member, operation, violation_by) in [
            (ivys(), ivy(Role::Member, noon()), &accept, None),
            (ivys(), ivy(Role::Member, last_second), &accept, None),
            (ivys(), ivy(Role::Member, end), &accept, Some(RuleViolation::NotInvited)),
            (ivys(), ivy(Role::Owner, noon()), &accept, Some(RuleViolation::NotInvited)),
            (ivys(), elsewhere, &accept, Some(RuleViolation::NotInvited)),
            (
                invitation("ivy", Status::Revoked),
                ivy(Role::Member, noon()),
                &accept,
                Some(RuleViolation::NotInvited),
            ),
            (
                invitation("eve", Status::Pending),
                ivy(Role::Member, noon()),
                &accept,
                Some(RuleViolation::NotInvited),
            ),
            (ivys(), ivy(Role::Member, noon()), &Operation::Accept(older), Some(RuleViolation::ByAnOldLink)),
            (ivys(), ivy(Role::Member, noon()), &Operation::Other, Some(RuleViolation::ByAnOldLink)),
            (sent_by("dan", Role::Member), ivy(Role::Member, noon()), &accept, None),
            (sent_by("ada", Role::Owner), ivy(Role::Owner, noon()), &accept, None),
            (
                sent_by("dan", Role::Owner),
                ivy(Role::Owner, noon()),
                &accept,
                Some(RuleViolation::WithoutAuthority),
            ),
            (
                sent_by("eve", Role::Member),
                ivy(Role::Member, noon()),
                &accept,
                Some(RuleViolation::WithoutAuthority),
            ),
        ] {
            let before = acme_with(invited);
            let after = joined(&before, member.clone());
            assert_eq!(
                before.violation_by(&acme(), &after, operation),
                violation_by,
                "{member:?} by {operation:?}"
            );
        }
        let after = joined(&acme_with(ivys()), ivy(Role::Member, noon() + HOUR + SECOND));
        assert_eq!(
            ReferenceTable::default().violation_by(&acme(), &after, &Operation::Other),
            None,
            "a founder has no invitation to accept"
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
        for (before, after, violation_by) in [
            (with(Pending, Queued), with(Expired, Queued), Some(RuleViolation::NeverMailed)),
            (with(Pending, Sent), with(Expired, Sent), None),
            (with(Pending, Queued), with(Revoked, Queued), None),
            (with(Pending, Queued), with(Pending, Queued), None),
            (with(Expired, Queued), with(Expired, Queued), None),
            (with(Revoked, Queued), with(Expired, Queued), None),
        ] {
            assert_eq!(
                before.violation_by(&acme(), &after, &Operation::Other),
                violation_by,
                "{before:?} to {after:?}"
            );
        }
    }
}
