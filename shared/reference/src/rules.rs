//! Rules about changes: which operations are forbidden even if the table is sound afterwards.

use super::ReferenceTable;
use domain::{
    CloseReason, Delivery, EmailAddress, Invitation, InvitationId, Link, Member, OrganizationId, Role, State,
    Status, Timestamp, UserId,
};

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
    /// A member resends an invitation.
    Resend {
        /// Who.
        by: UserId,
        /// Which.
        invitation: InvitationId,
    },
    /// A member revokes an invitation.
    Revoke {
        /// Who.
        by: UserId,
        /// Which.
        invitation: InvitationId,
    },
    /// An owner edits a role.
    RoleEdit {
        /// The caller.
        by: UserId,
        /// The member whose role it is.
        member: UserId,
    },
    /// An owner edits the organization.
    OrganizationEdit {
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
    /// A caller with this verified address declines the invitation of this link.
    Decline {
        /// The caller's verified address.
        email: EmailAddress,
        /// The link.
        link: Link,
    },
    /// The timer of this link's deadline fires.
    Expire(Link),
    /// Reconcile looks after what is overdue.
    Reconcile,
    /// `mail` or `feedback` records what became of a mail.
    Mail,
    /// An operation that changes no organization that is there: create, or one that only reads.
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
    #[error("a member joined, or an invitation was declined, by another link than the newest")]
    ByAnOldLink,
    /// An invitation lives until its deadline, and no longer.
    #[error(
        "an invitation expired before its deadline, or was answered, revoked or replaced on the wrong side of it"
    )]
    OutOfTime,
    /// Each operation changes what is its own to change.
    #[error("something changed that is not the operation's to change")]
    NotItsOwn,
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
        // An organization that did not exist before has no earlier state to compare with; its founder accepts no invitation.
        self.organization(organization)?;
        let joined = after.members(organization).filter(|it| self.member(organization, &it.user).is_none());
        let ended = after.invitations(organization).filter(|it| self.was_never_mailed(it));
        joined
            .filter_map(|member| self.wrongly_joined(member, operation))
            .chain(after.invitations(organization).filter_map(|it| self.wrongly_changed(it, operation)))
            .chain(self.is_not_its_own(organization, after, operation).then_some(RuleViolation::NotItsOwn))
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
            Operation::Resend { by, invitation } | Operation::Revoke { by, invitation } => {
                self.invitation(organization, invitation).is_some_and(|it| grants(by, it.role))
            }
            Operation::RoleEdit { by, .. } | Operation::OrganizationEdit { by } => governs(by),
            Operation::Remove { by, member } => governs(by) || (by == member && role(by).is_some()),
            Operation::Accept(_)
            | Operation::Decline { .. }
            | Operation::Expire(_)
            | Operation::Reconcile
            | Operation::Mail
            | Operation::Other => true,
        }
    }

    /// Whether `operation` may have made `after` of the invitation that stood there: each way to change one has an
    /// operation of its own, and its side of the deadline. The moment that counts is the decision's own, which the record
    /// shows.
    fn wrongly_changed(&self, after: &Invitation, operation: &Operation) -> Option<RuleViolation> {
        let Some(before) = self.invitation(&after.organization, &after.id) else {
            let is_new = after.status() == Status::Pending && matches!(operation, Operation::Invite { .. });
            return (!is_new).then_some(RuleViolation::NotItsOwn);
        };
        if before == after {
            return None;
        }
        if after.generation != before.generation {
            return wrongly_mailed_again(before, after, operation);
        }
        if after.status() == before.status() {
            let marks = matches!(operation, Operation::Mail | Operation::Reconcile);
            return (!marks || !differ_in_their_mail_only(before, after)).then_some(RuleViolation::NotItsOwn);
        }
        let late = |at: Timestamp| (at >= before.expires_at).then_some(RuleViolation::OutOfTime);
        let early = |at: Timestamp| (at < before.expires_at).then_some(RuleViolation::OutOfTime);
        let is_its = |id: &InvitationId| *id == before.id;
        match (&before.state, &after.state, operation) {
            (State::Pending { .. }, State::Accepted { at, .. }, Operation::Accept(link))
                if is_its(&link.invitation) =>
            {
                late(*at)
            }
            (State::Pending { .. }, State::Closed { how, at, .. }, operation) => match (how, operation) {
                (CloseReason::Revoked, Operation::Revoke { invitation, .. }) if is_its(invitation) => {
                    late(*at)
                }
                (CloseReason::Declined, Operation::Decline { email, link }) if *email == before.email => {
                    if *link == before.link() {
                        late(*at)
                    } else {
                        Some(RuleViolation::ByAnOldLink)
                    }
                }
                (CloseReason::Expired, Operation::Reconcile) => early(*at),
                (CloseReason::Expired, Operation::Expire(timer)) if is_its(&timer.invitation) => early(*at),
                _ => Some(RuleViolation::NotItsOwn),
            },
            (
                State::Accepted { by, .. },
                State::Closed { how: CloseReason::Removed, .. },
                Operation::Remove { member, .. },
            ) if by == member => None,
            _ => Some(RuleViolation::NotItsOwn),
        }
    }

    /// Whether a member or the organization itself has changed otherwise than `operation` may change them.
    fn is_not_its_own(&self, organization: &OrganizationId, after: &Self, operation: &Operation) -> bool {
        let members = self.members(organization).any(|before| {
            let is = |user: &UserId| *user == before.user;
            match after.member(organization, &before.user) {
                None => !matches!(operation, Operation::Remove { member, .. } if is(member)),
                Some(now) if now.role != before.role => {
                    !matches!(operation, Operation::RoleEdit { member, .. } if is(member))
                }
                Some(now) => {
                    (&now.email, &now.invitation, now.joined_at)
                        != (&before.email, &before.invitation, before.joined_at)
                }
            }
        });
        let name = |table: &Self| table.organization(organization).map(|it| it.name.clone());
        let renamed = name(self) != name(after) && !matches!(operation, Operation::OrganizationEdit { .. });
        let gone = self.invitations(organization).any(|it| after.invitation(organization, &it.id).is_none());
        members || renamed || gone
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

/// Only a resend, or an invite of an address that is not pending any more, makes another mail.
fn wrongly_mailed_again(
    before: &Invitation,
    after: &Invitation,
    operation: &Operation,
) -> Option<RuleViolation> {
    let follows = after.status() == Status::Pending && after.generation == before.generation.next();
    match operation {
        Operation::Resend { invitation, .. } if follows && *invitation == before.id => None,
        Operation::Invite { .. } if follows => match before.status() {
            Status::Pending => (after.created_at < before.expires_at).then_some(RuleViolation::OutOfTime),
            Status::Accepted => Some(RuleViolation::NotItsOwn),
            Status::Revoked | Status::Expired | Status::Declined | Status::Removed => None,
        },
        _ => Some(RuleViolation::NotItsOwn),
    }
}

/// A mark of a mail also counts a write, and moves the time at which `reconcile` looks at a pending invitation.
fn differ_in_their_mail_only(before: &Invitation, after: &Invitation) -> bool {
    let (mail, revision, state) = (after.mail.clone(), after.revision, after.state.clone());
    let same_state = before.state == state || before.status() == Status::Pending;
    same_state && Invitation { mail, revision, state, ..before.clone() } == *after
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
        let resend = |by, name| Operation::Resend { by: user(by), invitation: id_of(name) };
        let revoke = |by, name| Operation::Revoke { by: user(by), invitation: id_of(name) };
        let edit = |by| Operation::RoleEdit { by: user(by), member: user("dan") };
        let rename = |by| Operation::OrganizationEdit { by: user(by) };
        let remove = |by, whom| Operation::Remove { by: user(by), member: user(whom) };
        for (operation, allowed) in [
            (invite("ada", Role::Owner), true),
            (invite("ada", Role::Member), true),
            (invite("dan", Role::Member), true),
            (invite("dan", Role::Owner), false),
            (invite("eve", Role::Member), false),
            (resend("ada", "ivy"), true),
            (resend("dan", "ivy"), true),
            (resend("eve", "ivy"), false),
            (resend("ada", "eve"), false),
            (revoke("ada", "ivy"), true),
            (revoke("dan", "ivy"), true),
            (revoke("eve", "ivy"), false),
            (revoke("ada", "eve"), false),
            (edit("ada"), true),
            (edit("dan"), false),
            (edit("eve"), false),
            (rename("ada"), true),
            (rename("dan"), false),
            (rename("eve"), false),
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
        assert_eq!(owners.violation_by(&acme(), &owners, &revoke("dan", "ivy")), beyond);
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

    /// Ivy's invitation as `status`, closed or accepted at this moment.
    fn ivys_at(status: Status, moment: Timestamp) -> Invitation {
        let invited = invitation("ivy", status);
        let state = match invited.state.clone() {
            State::Closed { how, purge_at, .. } => State::Closed { how, at: moment, purge_at },
            State::Accepted { by, .. } => State::Accepted { by, at: moment },
            pending @ State::Pending { .. } => pending,
        };
        Invitation { state, ..invited }
    }

    #[test]
    fn an_expiry_before_the_mail_is_seen() {
        use Delivery::{Queued, Sent};
        use Status::{Expired, Pending, Revoked};
        let with = |status, delivery| {
            let mail = Some(Mail { delivery, detail: None, sent_at: None });
            let at = if status == Expired { ivys().expires_at } else { noon() };
            acme_with(Invitation { mail, ..ivys_at(status, at) })
        };
        let revoke = Operation::Revoke { by: user("ada"), invitation: id_of("ivy") };
        for (before, after, operation, violation_by) in [
            (
                with(Pending, Queued),
                with(Expired, Queued),
                &Operation::Reconcile,
                Some(RuleViolation::NeverMailed),
            ),
            (with(Pending, Sent), with(Expired, Sent), &Operation::Reconcile, None),
            (with(Pending, Queued), with(Revoked, Queued), &revoke, None),
            (with(Pending, Queued), with(Pending, Queued), &Operation::Reconcile, None),
            (with(Expired, Queued), with(Expired, Queued), &Operation::Reconcile, None),
            (
                with(Revoked, Queued),
                with(Expired, Queued),
                &Operation::Reconcile,
                Some(RuleViolation::NotItsOwn),
            ),
        ] {
            assert_eq!(
                before.violation_by(&acme(), &after, operation),
                violation_by,
                "{before:?} to {after:?}"
            );
        }
    }

    #[test]
    fn whoever_closes_what_is_not_theirs_or_out_of_time_is_seen() {
        use RuleViolation::{ByAnOldLink, NotItsOwn, OutOfTime};
        use Status::{Declined, Expired, Pending, Removed, Revoked};
        let end = ivys().expires_at;
        let before_it = Timestamp::from_unix(end.unix() - 1);
        let of = |name: &str| Operation::Decline { email: address(name), link: ivys().link() };
        let older = Link { generation: Generation(2), ..ivys().link() };
        let eves = Link { invitation: id_of("eve"), ..ivys().link() };
        let by_the_old_link = Operation::Decline { email: address("ivy"), link: older.clone() };
        let revoke = |name| Operation::Revoke { by: user("ada"), invitation: id_of(name) };
        let remove = |whom| Operation::Remove { by: user("ada"), member: user(whom) };
        let expire = Operation::Expire(ivys().link());
        for (from, to, at, operation, violation) in [
            (Pending, Declined, before_it, of("ivy"), None),
            (Pending, Declined, end, of("ivy"), Some(OutOfTime)),
            (Pending, Declined, before_it, by_the_old_link, Some(ByAnOldLink)),
            (Pending, Declined, before_it, of("eve"), Some(NotItsOwn)),
            (Pending, Declined, before_it, revoke("ivy"), Some(NotItsOwn)),
            (Pending, Expired, end, expire.clone(), None),
            // A timer that was set for another mail closes what is over, too.
            (Pending, Expired, end, Operation::Expire(older), None),
            (Pending, Expired, before_it, expire.clone(), Some(OutOfTime)),
            (Pending, Expired, end, Operation::Expire(eves), Some(NotItsOwn)),
            (Pending, Expired, end, Operation::Reconcile, None),
            (Pending, Expired, before_it, Operation::Reconcile, Some(OutOfTime)),
            (Pending, Expired, end, of("ivy"), Some(NotItsOwn)),
            (Pending, Revoked, before_it, revoke("ivy"), None),
            (Pending, Revoked, end, revoke("ivy"), Some(OutOfTime)),
            (Pending, Revoked, before_it, revoke("dan"), Some(NotItsOwn)),
            (Pending, Revoked, before_it, expire.clone(), Some(NotItsOwn)),
            (Pending, Removed, before_it, remove("ivy"), Some(NotItsOwn)),
            (Declined, Expired, end, Operation::Reconcile, Some(NotItsOwn)),
            (Revoked, Pending, end, Operation::Reconcile, Some(NotItsOwn)),
        ] {
            let (before, after) = (acme_with(ivys_at(from, noon())), acme_with(ivys_at(to, at)));
            let seen = before.violation_by(&acme(), &after, &operation);
            assert_eq!(seen, violation, "{from} to {to} at {at:?} by {operation:?}");
        }
    }

    #[test]
    fn whoever_mails_again_what_is_not_to_be_mailed_is_seen() {
        use RuleViolation::{NotItsOwn, OutOfTime};
        let end = ivys().expires_at;
        let again = |generation, created_at| {
            let generation = Generation(generation);
            acme_with(Invitation { generation, created_at, expires_at: end + HOUR, ..ivys() })
        };
        let invite = || Operation::Invite { by: user("ada"), role: Role::Member };
        let resend = |name| Operation::Resend { by: user("ada"), invitation: id_of(name) };
        for (before, after, operation, violation) in [
            (Status::Pending, again(4, noon()), resend("ivy"), None),
            (Status::Pending, again(4, noon()), resend("dan"), Some(NotItsOwn)),
            (Status::Pending, again(5, noon()), resend("ivy"), Some(NotItsOwn)),
            (Status::Pending, again(4, noon()), invite(), Some(OutOfTime)),
            (Status::Pending, again(4, end), invite(), None),
            (Status::Revoked, again(4, noon()), invite(), None),
            (Status::Accepted, again(4, end), invite(), Some(NotItsOwn)),
            (Status::Pending, again(4, noon()), Operation::Mail, Some(NotItsOwn)),
        ] {
            let before = acme_with(invitation("ivy", before));
            assert_eq!(before.violation_by(&acme(), &after, &operation), violation, "{operation:?}");
        }
    }

    #[test]
    fn whoever_changes_a_member_or_the_organization_otherwise_is_seen() {
        let before = acme_with(ivys());
        let without = |name: &str| -> ReferenceTable {
            let key = domain::ItemKey::member(&acme(), &user(name));
            before.records().filter(|record| record.key() != key).cloned().collect()
        };
        let promoted = joined(&before, member("dan", Role::Owner));
        let named = organization(1, 1);
        let named = Record::Organization(domain::Organization {
            name: domain::OrganizationName::parse("Umbrella").unwrap(),
            ..named
        });
        let renamed: ReferenceTable = before.records().cloned().chain([named]).collect();
        let edit = |name| Operation::RoleEdit { by: user("ada"), member: user(name) };
        let remove = |whom| Operation::Remove { by: user("ada"), member: user(whom) };
        for (after, operation, allowed) in [
            (&promoted, edit("dan"), true),
            (&promoted, edit("ada"), false),
            (&promoted, remove("dan"), false),
            (&without("dan"), remove("dan"), true),
            (&without("dan"), remove("ada"), false),
            (&without("dan"), edit("dan"), false),
            (&renamed, Operation::OrganizationEdit { by: user("ada") }, true),
            (&renamed, edit("dan"), false),
        ] {
            let violation = (!allowed).then_some(RuleViolation::NotItsOwn);
            assert_eq!(before.violation_by(&acme(), after, &operation), violation, "{operation:?}");
        }
    }
}
