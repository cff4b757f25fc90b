//! Rules about changes: what each operation may change, even if the table breaks no rule afterwards.

use super::ReferenceTable;
use domain::{
    CloseReason, Delivery, EmailAddress, Invitation, InvitationId, Link, Member, OrganizationId, Role, State,
    Status, Timestamp, UserId,
};

/// An operation of Roster, with the input that the rules depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A member invites addresses.
    Invite {
        /// The caller.
        by: UserId,
        /// The role of the invitations.
        role: Role,
    },
    /// A member resends an invitation.
    Resend {
        /// The caller.
        by: UserId,
        /// The invitation to resend.
        invitation: InvitationId,
    },
    /// A member revokes an invitation.
    Revoke {
        /// The caller.
        by: UserId,
        /// The invitation to revoke.
        invitation: InvitationId,
    },
    /// An owner changes the role of a member.
    RoleEdit {
        /// The caller.
        by: UserId,
        /// The member who gets the new role.
        member: UserId,
    },
    /// An owner renames the organization.
    OrganizationEdit {
        /// The caller.
        by: UserId,
    },
    /// A member removes another member, or leaves.
    Remove {
        /// The caller.
        by: UserId,
        /// The member to remove.
        member: UserId,
    },
    /// An invitee accepts an invitation. If the invitee is a member already, the invitation is declined.
    Accept {
        /// The caller.
        by: UserId,
        /// The caller's verified address.
        email: EmailAddress,
        /// The link of the invitation.
        link: Link,
    },
    /// An invitee declines an invitation.
    Decline {
        /// The caller's verified address.
        email: EmailAddress,
        /// The link of the invitation.
        link: Link,
    },
    /// The timer that was set for the deadline of this link fires.
    Expire(Link),
    /// `reconcile` processes an overdue invitation.
    Reconcile,
    /// `mail` or `feedback` records the delivery state of a mail.
    Mail,
    /// An operation that changes no existing organization: `create`, or an operation that only reads.
    Other,
}

/// The rule that an operation broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RuleViolation {
    /// The caller's role lacks the permission for the operation.
    #[error("the caller's role does not permit the operation")]
    NotPermitted,
    /// The sender of the invitation may not grant its role at the time of the accept.
    #[error("a member joined although the sender of the invitation may not grant the role")]
    SenderWithoutAuthority,
    /// The new member has no pending invitation for this address and role.
    #[error("a member joined without a pending invitation for the address and role")]
    NotInvited,
    /// The link of the accept or decline is not the newest link of the invitation.
    #[error("a member joined, or an invitation was declined, by a link that is not the newest one")]
    NotNewestLink,
    /// The invitation expired or was replaced before its deadline, or was accepted, declined or revoked after it.
    #[error("an invitation expired before its deadline, or another change came on the wrong side of it")]
    WrongSideOfDeadline,
    /// The operation changed a record or an attribute that it may not change.
    #[error("the operation changed something that it may not change")]
    UnexpectedChange,
    /// The invitation expired while its mail was still queued: the mail is lost.
    #[error("an invitation expired before its mail was sent")]
    ExpiredBeforeMail,
}

/// Whether the role `holder` may invite as `granted`, and resend and revoke such invitations.
///
/// An owner may grant both roles, a member only `member`.
#[must_use]
pub fn may_grant(holder: Role, granted: Role) -> bool {
    match holder {
        Role::Owner => true,
        Role::Member => granted == Role::Member,
    }
}

/// Whether the role `holder` may edit roles, rename the organization and remove other members: only owners may.
#[must_use]
pub fn is_owner_privilege(holder: Role) -> bool {
    holder == Role::Owner
}

impl ReferenceTable {
    /// Returns a rule that `operation` broke when it changed this table into `after`; `None` if it broke no rule.
    ///
    /// Only the records of `organization` are compared.
    #[must_use]
    pub fn broken_rule(
        &self,
        organization: &OrganizationId,
        after: &Self,
        operation: &Operation,
    ) -> Option<RuleViolation> {
        if !self.permits(organization, operation) {
            return Some(RuleViolation::NotPermitted);
        }
        // A new organization has no earlier state to compare with, and its founder joins without an accept.
        self.organization(organization)?;
        let joined = after.members(organization).filter(|it| self.member(organization, &it.user).is_none());
        let unmailed = after.invitations(organization).filter(|it| self.expired_before_mail(it));
        let unexpected = self.has_unexpected_change(organization, after, operation);
        joined
            .filter_map(|member| self.join_violation(member, operation))
            .chain(after.invitations(organization).filter_map(|it| self.change_violation(it, operation)))
            .chain(unexpected.then_some(RuleViolation::UnexpectedChange))
            .chain(unmailed.map(|_| RuleViolation::ExpiredBeforeMail))
            .next()
    }

    /// Whether the caller's role permits `operation`.
    ///
    /// Deliberately does not use the permission table of `domain`, so that a wrong row there is detected.
    fn permits(&self, organization: &OrganizationId, operation: &Operation) -> bool {
        let role = |by: &UserId| self.member(organization, by).map(|it| it.role);
        let grants = |by: &UserId, granted: Role| role(by).is_some_and(|it| may_grant(it, granted));
        let is_owner = |by: &UserId| role(by).is_some_and(is_owner_privilege);
        match operation {
            Operation::Invite { by, role } => grants(by, *role),
            Operation::Resend { by, invitation } | Operation::Revoke { by, invitation } => {
                self.invitation(organization, invitation).is_some_and(|it| grants(by, it.role))
            }
            Operation::RoleEdit { by, .. } | Operation::OrganizationEdit { by } => is_owner(by),
            Operation::Remove { by, member } => is_owner(by) || (by == member && role(by).is_some()),
            Operation::Accept { .. }
            | Operation::Decline { .. }
            | Operation::Expire(_)
            | Operation::Reconcile
            | Operation::Mail
            | Operation::Other => true,
        }
    }

    /// Checks the change of one invitation: the operation must be allowed to make it, and before or after the deadline.
    ///
    /// The time that counts is the time of the decision, which the record stores.
    fn change_violation(&self, after: &Invitation, operation: &Operation) -> Option<RuleViolation> {
        let Some(before) = self.invitation(&after.organization, &after.id) else {
            let is_new = after.status() == Status::Pending && matches!(operation, Operation::Invite { .. });
            return (!is_new).then_some(RuleViolation::UnexpectedChange);
        };
        if before == after {
            return None;
        }
        if after.generation != before.generation {
            return new_mail_violation(before, after, operation);
        }
        if after.status() == before.status() {
            let may_mark = matches!(operation, Operation::Mail | Operation::Reconcile);
            let allowed = may_mark && differ_only_in_mail(before, after);
            return (!allowed).then_some(RuleViolation::UnexpectedChange);
        }
        let if_late = |at: Timestamp| (at >= before.expires_at).then_some(RuleViolation::WrongSideOfDeadline);
        let if_early = |at: Timestamp| (at < before.expires_at).then_some(RuleViolation::WrongSideOfDeadline);
        let is_same = |id: &InvitationId| *id == before.id;
        let is_member = |user: &UserId| self.member(&before.organization, user).is_some();
        // Accepting a second invitation declines it; anyone else who accepts joins.
        let may_decline = !matches!(operation, Operation::Accept { by, .. } if !is_member(by));
        match (&before.state, &after.state, operation) {
            (
                State::Pending { .. },
                State::Accepted { by: user, at },
                Operation::Accept { by, email, link },
            ) if is_same(&link.invitation) && *email == before.email && user == by && !is_member(by) => {
                if_late(*at)
            }
            (State::Pending { .. }, State::Closed { how, at, .. }, operation) => match (how, operation) {
                (CloseReason::Revoked, Operation::Revoke { invitation, .. }) if is_same(invitation) => {
                    if_late(*at)
                }
                (
                    CloseReason::Declined,
                    Operation::Decline { email, link } | Operation::Accept { email, link, .. },
                ) if *email == before.email && may_decline => {
                    if *link == before.link() {
                        if_late(*at)
                    } else {
                        Some(RuleViolation::NotNewestLink)
                    }
                }
                (CloseReason::Expired, Operation::Reconcile) => if_early(*at),
                (CloseReason::Expired, Operation::Expire(timer)) if is_same(&timer.invitation) => {
                    if_early(*at)
                }
                _ => Some(RuleViolation::UnexpectedChange),
            },
            (
                State::Accepted { by, .. },
                State::Closed { how: CloseReason::Removed, .. },
                Operation::Remove { member, .. },
            ) if by == member => None,
            _ => Some(RuleViolation::UnexpectedChange),
        }
    }

    /// Whether a member or the organization's name changed, or an invitation is missing, although `operation` does not
    /// allow that.
    fn has_unexpected_change(
        &self,
        organization: &OrganizationId,
        after: &Self,
        operation: &Operation,
    ) -> bool {
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
        let deleted =
            self.invitations(organization).any(|it| after.invitation(organization, &it.id).is_none());
        members || renamed || deleted
    }

    /// Checks a new member: invitation, deadline, link and the sender's authority.
    ///
    /// The time that counts is the time of the decision, which the member stores as `joined_at`.
    fn join_violation(&self, member: &Member, operation: &Operation) -> Option<RuleViolation> {
        let invitation = self.invitation(&member.organization, &member.invitation);
        let fits = |it: &&Invitation| {
            it.status() == Status::Pending
                && member.joined_at < it.expires_at
                && (&it.email, it.role) == (&member.email, member.role)
        };
        let Some(invitation) = invitation.filter(fits) else { return Some(RuleViolation::NotInvited) };
        let Operation::Accept { by, link, .. } = operation else { return Some(RuleViolation::NotNewestLink) };
        if *by != member.user {
            return Some(RuleViolation::NotInvited);
        }
        if invitation.link() != *link {
            return Some(RuleViolation::NotNewestLink);
        }
        let sender = self.member(&member.organization, &invitation.sender.user);
        let has_authority = sender.is_some_and(|it| may_grant(it.role, member.role));
        (!has_authority).then_some(RuleViolation::SenderWithoutAuthority)
    }

    /// Whether the invitation expired by this change while its mail was queued.
    fn expired_before_mail(&self, after: &Invitation) -> bool {
        let before = self.invitation(&after.organization, &after.id);
        let before = before.filter(|it| it.status() == Status::Pending && after.status() == Status::Expired);
        let mail = before.and_then(|it| it.mail.as_ref());
        mail.is_some_and(|mail| mail.delivery == Delivery::Queued)
    }
}

/// Checks a change of the generation, which queues another mail.
///
/// Only a resend, or an invite of an address that has no open invitation, may do that.
fn new_mail_violation(
    before: &Invitation,
    after: &Invitation,
    operation: &Operation,
) -> Option<RuleViolation> {
    let is_next = after.status() == Status::Pending && after.generation == before.generation.next();
    match operation {
        Operation::Resend { invitation, .. } if is_next && *invitation == before.id => None,
        Operation::Invite { .. } if is_next => match before.status() {
            Status::Pending => {
                (after.created_at < before.expires_at).then_some(RuleViolation::WrongSideOfDeadline)
            }
            Status::Accepted => Some(RuleViolation::UnexpectedChange),
            Status::Revoked | Status::Expired | Status::Declined | Status::Removed => None,
        },
        _ => Some(RuleViolation::UnexpectedChange),
    }
}

/// Whether only the mail's delivery state changed.
///
/// Such a write also increases the revision, and moves the `due_at` of a pending invitation.
fn differ_only_in_mail(before: &Invitation, after: &Invitation) -> bool {
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

    /// A table with the organization Acme, its owner ada, its member dan, and the invitation `invited`.
    fn acme_with(invited: Invitation) -> ReferenceTable {
        let accepted = ["ada", "dan"].map(|name| invitation(name, Status::Accepted));
        let members = [member("ada", Role::Owner), member("dan", Role::Member)];
        let members = members.map(Record::Member);
        let invitations = accepted.into_iter().chain([invited]).map(Record::Invitation);
        [Record::Organization(organization(1, 1))].into_iter().chain(members).chain(invitations).collect()
    }

    fn ivy_invitation() -> Invitation {
        invitation("ivy", Status::Pending)
    }

    /// Returns a copy of `before` with `member` added or replaced.
    fn with_member(before: &ReferenceTable, member: Member) -> ReferenceTable {
        before.records().cloned().chain([Record::Member(member)]).collect()
    }

    fn ivy(role: Role, joined_at: Timestamp) -> Member {
        Member { joined_at, ..member("ivy", role) }
    }

    #[test]
    fn detects_an_operation_that_the_role_does_not_permit() {
        let invite = |by, role| Operation::Invite { by: user(by), role };
        let resend = |by, name| Operation::Resend { by: user(by), invitation: id_of(name) };
        let revoke = |by, name| Operation::Revoke { by: user(by), invitation: id_of(name) };
        let edit = |by| Operation::RoleEdit { by: user(by), member: user("dan") };
        let rename = |by| Operation::OrganizationEdit { by: user(by) };
        let remove = |by, member| Operation::Remove { by: user(by), member: user(member) };
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
            let table = acme_with(ivy_invitation());
            let expected = (!allowed).then_some(RuleViolation::NotPermitted);
            assert_eq!(table.broken_rule(&acme(), &table, &operation), expected, "{operation:?}");
        }
        let owner_invited = acme_with(Invitation { role: Role::Owner, ..ivy_invitation() });
        let violation = owner_invited.broken_rule(&acme(), &owner_invited, &revoke("dan", "ivy"));
        assert_eq!(violation, Some(RuleViolation::NotPermitted));
    }

    #[test]
    fn detects_a_member_who_must_not_join() {
        let end = ivy_invitation().expires_at;
        let accept_by = |link| Operation::Accept { by: user("ivy"), email: address("ivy"), link };
        let accept = accept_by(ivy_invitation().link());
        let older = Link { generation: Generation(2), ..ivy_invitation().link() };
        let sent_by = |name: &str, role| Invitation { role, sender: sender(name), ..ivy_invitation() };
        let other_address = Member { email: address("eve"), ..ivy(Role::Member, noon()) };
        let last_second = Timestamp::from_unix(end.unix() - 1);
        for (invited, member, operation, violation) in [
            (ivy_invitation(), ivy(Role::Member, noon()), &accept, None),
            (ivy_invitation(), ivy(Role::Member, last_second), &accept, None),
            (ivy_invitation(), ivy(Role::Member, end), &accept, Some(RuleViolation::NotInvited)),
            (ivy_invitation(), ivy(Role::Owner, noon()), &accept, Some(RuleViolation::NotInvited)),
            (ivy_invitation(), other_address, &accept, Some(RuleViolation::NotInvited)),
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
            (
                ivy_invitation(),
                ivy(Role::Member, noon()),
                &accept_by(older),
                Some(RuleViolation::NotNewestLink),
            ),
            (
                ivy_invitation(),
                ivy(Role::Member, noon()),
                &Operation::Other,
                Some(RuleViolation::NotNewestLink),
            ),
            (sent_by("dan", Role::Member), ivy(Role::Member, noon()), &accept, None),
            (sent_by("ada", Role::Owner), ivy(Role::Owner, noon()), &accept, None),
            (
                sent_by("dan", Role::Owner),
                ivy(Role::Owner, noon()),
                &accept,
                Some(RuleViolation::SenderWithoutAuthority),
            ),
            (
                sent_by("eve", Role::Member),
                ivy(Role::Member, noon()),
                &accept,
                Some(RuleViolation::SenderWithoutAuthority),
            ),
        ] {
            let before = acme_with(invited);
            let after = with_member(&before, member.clone());
            assert_eq!(
                before.broken_rule(&acme(), &after, operation),
                violation,
                "{member:?} by {operation:?}"
            );
        }
        let after = with_member(&acme_with(ivy_invitation()), ivy(Role::Member, noon() + HOUR + SECOND));
        assert_eq!(
            ReferenceTable::default().broken_rule(&acme(), &after, &Operation::Other),
            None,
            "a founder joins without an accept"
        );
    }

    /// The invitation of ivy in this status, closed or accepted at this time.
    fn ivy_invitation_at(status: Status, at: Timestamp) -> Invitation {
        let invited = invitation("ivy", status);
        let state = match invited.state.clone() {
            State::Closed { how, purge_at, .. } => State::Closed { how, at, purge_at },
            State::Accepted { by, .. } => State::Accepted { by, at },
            pending @ State::Pending { .. } => pending,
        };
        Invitation { state, ..invited }
    }

    #[test]
    fn detects_an_expiry_before_the_mail_was_sent() {
        use Delivery::{Queued, Sent};
        use Status::{Expired, Pending, Revoked};
        let with = |status, delivery| {
            let mail = Some(Mail { delivery, detail: None, sent_at: None });
            let at = if status == Expired { ivy_invitation().expires_at } else { noon() };
            acme_with(Invitation { mail, ..ivy_invitation_at(status, at) })
        };
        let revoke = Operation::Revoke { by: user("ada"), invitation: id_of("ivy") };
        for (before, after, operation, violation) in [
            (
                with(Pending, Queued),
                with(Expired, Queued),
                &Operation::Reconcile,
                Some(RuleViolation::ExpiredBeforeMail),
            ),
            (with(Pending, Sent), with(Expired, Sent), &Operation::Reconcile, None),
            (with(Pending, Queued), with(Revoked, Queued), &revoke, None),
            (with(Pending, Queued), with(Pending, Queued), &Operation::Reconcile, None),
            (with(Expired, Queued), with(Expired, Queued), &Operation::Reconcile, None),
            (
                with(Revoked, Queued),
                with(Expired, Queued),
                &Operation::Reconcile,
                Some(RuleViolation::UnexpectedChange),
            ),
        ] {
            assert_eq!(before.broken_rule(&acme(), &after, operation), violation, "{before:?} to {after:?}");
        }
    }

    #[test]
    fn detects_a_close_by_the_wrong_operation_or_on_the_wrong_side_of_the_deadline() {
        use RuleViolation::{NotNewestLink, UnexpectedChange, WrongSideOfDeadline};
        use Status::{Accepted, Declined, Expired, Pending, Removed, Revoked};
        let end = ivy_invitation().expires_at;
        let before_end = Timestamp::from_unix(end.unix() - 1);
        let decline = |name: &str| Operation::Decline { email: address(name), link: ivy_invitation().link() };
        let older = Link { generation: Generation(2), ..ivy_invitation().link() };
        let other = Link { invitation: id_of("eve"), ..ivy_invitation().link() };
        let decline_by_older = Operation::Decline { email: address("ivy"), link: older.clone() };
        let revoke = |name| Operation::Revoke { by: user("ada"), invitation: id_of(name) };
        let remove = |member| Operation::Remove { by: user("ada"), member: user(member) };
        let expire = Operation::Expire(ivy_invitation().link());
        let accept = |by: &str, email: &str, link: &Link| Operation::Accept {
            by: user(by),
            email: address(email),
            link: link.clone(),
        };
        let newest = ivy_invitation().link();
        for (from, to, at, operation, violation) in [
            // Dan is a member, and ivy's address is his second one.
            (Pending, Declined, before_end, accept("dan", "ivy", &newest), None),
            (Pending, Declined, end, accept("dan", "ivy", &newest), Some(WrongSideOfDeadline)),
            (Pending, Declined, before_end, accept("dan", "ivy", &older), Some(NotNewestLink)),
            (Pending, Declined, before_end, accept("dan", "dan", &newest), Some(UnexpectedChange)),
            (Pending, Declined, before_end, accept("ivy", "ivy", &newest), Some(UnexpectedChange)),
            (Pending, Accepted, before_end, accept("ivy", "ivy", &newest), None),
            (Pending, Accepted, end, accept("ivy", "ivy", &newest), Some(WrongSideOfDeadline)),
            (Pending, Accepted, before_end, accept("dan", "ivy", &newest), Some(UnexpectedChange)),
            (Pending, Accepted, before_end, accept("ivy", "eve", &newest), Some(UnexpectedChange)),
            (Pending, Accepted, before_end, decline("ivy"), Some(UnexpectedChange)),
            (Pending, Declined, before_end, decline("ivy"), None),
            (Pending, Declined, end, decline("ivy"), Some(WrongSideOfDeadline)),
            (Pending, Declined, before_end, decline_by_older, Some(NotNewestLink)),
            (Pending, Declined, before_end, decline("eve"), Some(UnexpectedChange)),
            (Pending, Declined, before_end, revoke("ivy"), Some(UnexpectedChange)),
            (Pending, Expired, end, expire.clone(), None),
            // A timer that was set for an older mail also closes the invitation after its deadline.
            (Pending, Expired, end, Operation::Expire(older.clone()), None),
            (Pending, Expired, before_end, expire.clone(), Some(WrongSideOfDeadline)),
            (Pending, Expired, end, Operation::Expire(other), Some(UnexpectedChange)),
            (Pending, Expired, end, Operation::Reconcile, None),
            (Pending, Expired, before_end, Operation::Reconcile, Some(WrongSideOfDeadline)),
            (Pending, Expired, end, decline("ivy"), Some(UnexpectedChange)),
            (Pending, Revoked, before_end, revoke("ivy"), None),
            (Pending, Revoked, end, revoke("ivy"), Some(WrongSideOfDeadline)),
            (Pending, Revoked, before_end, revoke("dan"), Some(UnexpectedChange)),
            (Pending, Revoked, before_end, expire.clone(), Some(UnexpectedChange)),
            (Pending, Removed, before_end, remove("ivy"), Some(UnexpectedChange)),
            (Declined, Expired, end, Operation::Reconcile, Some(UnexpectedChange)),
            (Revoked, Pending, end, Operation::Reconcile, Some(UnexpectedChange)),
        ] {
            let (before, after) =
                (acme_with(ivy_invitation_at(from, noon())), acme_with(ivy_invitation_at(to, at)));
            let found = before.broken_rule(&acme(), &after, &operation);
            assert_eq!(found, violation, "{from} to {to} at {at:?} by {operation:?}");
        }
    }

    #[test]
    fn detects_a_member_who_accepts_a_second_invitation() {
        let joined = |at| with_member(&acme_with(at), ivy(Role::Member, noon()));
        let before = joined(ivy_invitation());
        let accept =
            Operation::Accept { by: user("ivy"), email: address("ivy"), link: ivy_invitation().link() };
        for (status, violation) in [
            (Status::Declined, None),
            (Status::Accepted, Some(RuleViolation::UnexpectedChange)),
            (Status::Revoked, Some(RuleViolation::UnexpectedChange)),
        ] {
            let after = joined(ivy_invitation_at(status, noon()));
            assert_eq!(before.broken_rule(&acme(), &after, &accept), violation, "{status}");
        }
    }

    #[test]
    fn detects_another_mail_that_the_operation_must_not_queue() {
        use RuleViolation::{UnexpectedChange, WrongSideOfDeadline};
        let end = ivy_invitation().expires_at;
        let with_mail = |generation, created_at| {
            let generation = Generation(generation);
            acme_with(Invitation { generation, created_at, expires_at: end + HOUR, ..ivy_invitation() })
        };
        let invite = || Operation::Invite { by: user("ada"), role: Role::Member };
        let resend = |name| Operation::Resend { by: user("ada"), invitation: id_of(name) };
        for (before, after, operation, violation) in [
            (Status::Pending, with_mail(4, noon()), resend("ivy"), None),
            (Status::Pending, with_mail(4, noon()), resend("dan"), Some(UnexpectedChange)),
            (Status::Pending, with_mail(5, noon()), resend("ivy"), Some(UnexpectedChange)),
            (Status::Pending, with_mail(4, noon()), invite(), Some(WrongSideOfDeadline)),
            (Status::Pending, with_mail(4, end), invite(), None),
            (Status::Revoked, with_mail(4, noon()), invite(), None),
            (Status::Accepted, with_mail(4, end), invite(), Some(UnexpectedChange)),
            (Status::Pending, with_mail(4, noon()), Operation::Mail, Some(UnexpectedChange)),
        ] {
            let before = acme_with(invitation("ivy", before));
            assert_eq!(before.broken_rule(&acme(), &after, &operation), violation, "{operation:?}");
        }
    }

    #[test]
    fn detects_an_unexpected_change_of_a_member_or_the_organization() {
        let before = acme_with(ivy_invitation());
        let without = |name: &str| -> ReferenceTable {
            let key = domain::ItemKey::member(&acme(), &user(name));
            before.records().filter(|record| record.key() != key).cloned().collect()
        };
        let promoted = with_member(&before, member("dan", Role::Owner));
        let named = Record::Organization(domain::Organization {
            name: domain::OrganizationName::parse("Umbrella").unwrap(),
            ..organization(1, 1)
        });
        let renamed: ReferenceTable = before.records().cloned().chain([named]).collect();
        let edit = |name| Operation::RoleEdit { by: user("ada"), member: user(name) };
        let remove = |member| Operation::Remove { by: user("ada"), member: user(member) };
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
            let violation = (!allowed).then_some(RuleViolation::UnexpectedChange);
            assert_eq!(before.broken_rule(&acme(), after, &operation), violation, "{operation:?}");
        }
    }
}
