//! Accept: the invitee, signed in with the invited address, becomes a member through the newest link.
//!
//! A member can have a second invitation, for another of their addresses. Accepting it changes nothing about the member.
//! It closes that invitation as declined, so that its seat is free again.

use crate::{
    Action, Caller, Change, CloseReason, Decision, Invitation, ItemKey, Link, Member, NotPending,
    Organization, Permission, Policy, Refusal, Snapshot, State, Timestamp,
};

/// Accepts an invitation. Accepting again returns the member as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// The signed-in user.
    pub caller: Caller,
    /// The link. Its MAC is already verified.
    pub link: Link,
}

/// A member, and the organization that they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The member.
    pub member: Member,
    /// The organization.
    pub organization: Organization,
}

impl Action for Accept {
    const NAME: &'static str = "accept";
    type Answer = Accepted;
    type Refusal = Refusal;

    /// The invitation, the organization and the caller's membership; after a failed guard also the sender's membership.
    ///
    /// Only the invitation names the sender, so the first attempt cannot read the sender. Its condition check asserts
    /// the sender's permission. A later attempt reads the sender, so that a refusal relies on facts that were read.
    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey> {
        let Link { organization, invitation, .. } = &self.link;
        let invitation = seen.and_then(|seen| seen.invitation(organization, invitation));
        let sender = invitation.map(|it| ItemKey::member(organization, &it.sender.user));
        let caller = ItemKey::member_and_organization(organization, &self.caller.user);
        [ItemKey::linked(&self.link)].into_iter().chain(caller).chain(sender).collect()
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Accepted>, Refusal> {
        let invitation = snapshot.newest(&self.link)?;
        let organization = snapshot.organization(&self.link.organization);
        let organization = organization.ok_or(Refusal::Superseded)?.clone();
        let email = invitation.must_be_for(&self.caller)?;
        let member = snapshot.member(&self.link.organization, &self.caller.user);
        let pending = match invitation.pending_at(now) {
            Ok(pending) => pending,
            Err(NotPending(status)) => {
                let member = member.filter(|_| self.may_be_repeated(invitation));
                let member = member.ok_or(Refusal::Gone(status))?.clone();
                return Ok(Decision::unchanged(Accepted { member, organization }));
            }
        };
        if let Some(member) = member.cloned() {
            let declined = Change::close_invitation(pending.declined(now, policy));
            let changes = declined.into_iter().chain([Change::still_member(&member)]).collect();
            return Ok(Decision { changes, answer: Accepted { member, organization } });
        }
        let joined = Member {
            organization: invitation.organization.clone(),
            user: self.caller.user.clone(),
            role: invitation.role,
            email: email.clone(),
            invitation: invitation.id.clone(),
            joined_at: now,
            mailed: None,
        };
        let mut changes = vec![
            Change::write_invitation(pending.accepted(&self.caller.user, now)),
            Change::add_member(joined.clone()),
            senders_authority(snapshot, invitation)?,
        ];
        if joined.role.owners() > 0 {
            changes.push(Change::count(&invitation.organization, 0, joined.role.owners()));
        }
        Ok(Decision { changes, answer: Accepted { member: joined, organization } })
    }
}

impl Accept {
    /// Whether this accept may repeat an earlier one, if the caller is a member.
    ///
    /// The record of a declined invitation does not name the user. A member gets their membership in any case, because an
    /// accept cannot achieve more.
    fn may_be_repeated(&self, invitation: &Invitation) -> bool {
        match &invitation.state {
            State::Accepted { by, .. } => *by == self.caller.user,
            State::Closed { how, .. } => *how == CloseReason::Declined,
            State::Pending { .. } => false,
        }
    }
}

/// Returns the condition check that the sender may grant the role now (rule: sender's authority).
///
/// If the sender was read, the function refuses without that permission. Otherwise the transaction alone checks it.
fn senders_authority(snapshot: &Snapshot, invitation: &Invitation) -> Result<Change, Refusal> {
    let (organization, sender) = (&invitation.organization, &invitation.sender.user);
    let permission = Permission::Invite(invitation.role);
    if !snapshot.has_read(&ItemKey::member(organization, sender)) {
        return Ok(Change::require(organization, sender, permission));
    }
    let sender = snapshot.member(organization, sender).ok_or(Refusal::SenderLostAuthority)?;
    sender.require(permission).map_err(|_| Refusal::SenderLostAuthority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, NOON, SECOND, acme, address, asserts, contains, counts, given_invitee, id_of, items, member,
        user, written,
    };
    use crate::{Generation, Role, Status};

    impl Given {
        /// Uses the link of ivy's invitation as `given_invitee` makes it.
        fn accept(&self) -> Accept {
            let link = given_invitee().invitation.unwrap().link();
            Accept { caller: self.caller.clone(), link }
        }

        /// Decides as in the first attempt, which does not read the sender.
        fn accepting(&self) -> Result<Decision<Accepted>, Refusal> {
            self.decide(&self.accept())
        }

        /// Decides as in the second attempt, which reads the sender: bob with this role, or no member.
        fn accepting_from(&self, role: Option<Role>) -> Result<Decision<Accepted>, Refusal> {
            let other = role.map(|role| member("bob", role));
            let given = Given { other, ..self.clone().sent_by("bob") };
            let seen = given.snapshot(&self.accept());
            let snapshot = given.snapshot_of(self.accept().reads(Some(&seen)));
            self.accept().decide(&snapshot, &given.policy, given.now)
        }
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let answer = |setup: &Given| setup.accepting_from(None).map(|it| it.answer);
        let mut setup = given_invitee().not_invited().caller_is_unverified().caller_is(Role::Member);
        assert_eq!(setup.accepting().map(drop), Err(Refusal::Superseded));
        setup.invitation = given_invitee().status(Status::Revoked).invitation;
        assert_eq!(answer(&setup), Err(Refusal::EmailNotVerified));
        setup = setup.caller_signs_in_as("eve");
        assert_eq!(answer(&setup), Err(Refusal::EmailMismatch));
        setup = setup.caller_signs_in_as("ivy");
        assert_eq!(answer(&setup), Err(Refusal::Gone(Status::Revoked)));
        setup = setup.status(Status::Pending);
        setup.member = None;
        assert_eq!(answer(&setup), Err(Refusal::SenderLostAuthority));
    }

    #[test]
    fn the_invitee_joins_with_the_offered_role_and_keeps_the_seat() {
        for (role, owners) in [(Role::Member, 0), (Role::Owner, 1)] {
            let decision = given_invitee().invited_as(role).accepting().unwrap();
            let joined = Member { role, joined_at: NOON, ..member("ivy", role) };
            assert_eq!(decision.answer.member, joined);
            assert_eq!(Some(&decision.answer.organization), given_invitee().organization.as_ref());
            assert_eq!(written(&decision).state, State::Accepted { by: user("ivy"), at: NOON });
            assert_eq!(counts(&decision), (0, owners), "the free seats stay the same: {role}");
            assert!(
                asserts(&decision, "ada", Permission::Invite(role)),
                "the commit asserts the sender's permission"
            );
        }
    }

    #[test]
    fn accepts_when_no_seat_is_free() {
        let decision = given_invitee().seats_free(0).accepting().unwrap();
        assert!(!items(&decision).contains(&ItemKey::Organization(acme())), "the counters are not checked");
    }

    #[test]
    fn a_link_with_another_generation_or_expiry_is_superseded() {
        let mut resent = given_invitee();
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.accepting(), Err(Refusal::Superseded));
        let moved = given_invitee().expiring_at(NOON + SECOND);
        assert_eq!(moved.accepting(), Err(Refusal::Superseded));
    }

    #[test]
    fn accepts_before_the_expiry_and_refuses_at_it() {
        let mut setup = given_invitee();
        let expires_at = setup.invitation.as_ref().unwrap().expires_at;
        setup.now = Timestamp::from_unix(expires_at.unix() - 1);
        assert!(setup.accepting().is_ok());
        setup.now = expires_at;
        assert_eq!(setup.accepting(), Err(Refusal::Gone(Status::Expired)));
    }

    #[test]
    fn refuses_the_link_of_a_closed_invitation() {
        for status in [Status::Revoked, Status::Expired, Status::Declined, Status::Removed] {
            assert_eq!(given_invitee().status(status).accepting(), Err(Refusal::Gone(status)));
        }
        for status in [Status::Revoked, Status::Expired, Status::Removed] {
            let rejoined = given_invitee().status(status).caller_is(Role::Member).accepting();
            assert_eq!(rejoined, Err(Refusal::Gone(status)), "a member gets the same refusal: {status}");
        }
    }

    #[test]
    fn accepting_again_returns_the_current_member_and_changes_nothing() {
        let promoted = given_invitee().accepted_by("ivy").caller_is(Role::Owner);
        let decision = promoted.accepting().unwrap();
        assert_eq!(decision.answer.member, member("ivy", Role::Owner));
        assert_eq!(Some(&decision.answer.organization), promoted.organization.as_ref());
        assert!(decision.changes.is_empty());
        // This also works after the expiry.
        let later = Given { now: NOON + 1_000 * crate::testing::HOUR, ..promoted };
        assert_eq!(later.accepting(), Ok(decision));
    }

    #[test]
    fn refuses_a_used_link_from_another_user_with_the_same_address() {
        let used = Err(Refusal::Gone(Status::Accepted));
        assert_eq!(given_invitee().accepted_by("bob").accepting(), used);
        assert_eq!(given_invitee().accepted_by("bob").caller_is(Role::Owner).accepting(), used);
    }

    #[test]
    fn refuses_a_used_link_after_its_member_was_removed() {
        assert_eq!(given_invitee().accepted_by("ivy").accepting(), Err(Refusal::Gone(Status::Accepted)));
    }

    /// Ivy is a member through an invitation of another address.
    fn given_member() -> Given {
        let mut given = given_invitee().caller_is(Role::Member);
        let member = given.member.as_mut().unwrap();
        (member.email, member.invitation) = (address("ivy-home"), id_of("ivy-home"));
        given
    }

    #[test]
    fn a_member_stays_the_same_and_the_second_invitation_returns_its_seat() {
        // Neither the offered role nor the sender's permission matters.
        let setup = given_member().invited_as(Role::Owner).sent_by("gone");
        for decision in [setup.accepting(), setup.accepting_from(None)] {
            let decision = decision.unwrap();
            assert_eq!(Some(&decision.answer.member), setup.member.as_ref());
            let purge_at = NOON + setup.policy.retention;
            let declined = State::Closed { how: CloseReason::Declined, at: NOON, purge_at };
            assert_eq!(written(&decision).state, declined);
            assert_eq!(counts(&decision), (1, 0));
            assert!(contains(&decision, &Change::still_member(setup.member.as_ref().unwrap())));
            assert_eq!(decision.changes.len(), 3);
        }
    }

    #[test]
    fn a_member_who_accepts_a_second_invitation_again_gets_the_same_answer() {
        let declined = given_member().status(Status::Declined);
        let decision = declined.accepting().unwrap();
        assert_eq!(Some(&decision.answer.member), declined.member.as_ref());
        assert!(decision.changes.is_empty(), "the seat is returned only once");
        assert_eq!(declined.caller_is_no_member().accepting(), Err(Refusal::Gone(Status::Declined)));
        let expired = given_member().expiring_at(NOON);
        let link = expired.invitation.as_ref().unwrap().link();
        let accept = Accept { caller: expired.caller.clone(), link };
        assert_eq!(expired.decide(&accept), Err(Refusal::Gone(Status::Expired)));
    }

    #[test]
    fn accepts_only_if_the_sender_may_grant_the_role_now() {
        for (sender, offered, accepted) in [
            (Some(Role::Owner), Role::Owner, true),
            (Some(Role::Owner), Role::Member, true),
            (Some(Role::Member), Role::Member, true),
            (Some(Role::Member), Role::Owner, false),
            (None, Role::Member, false),
            (None, Role::Owner, false),
        ] {
            let answer = given_invitee().invited_as(offered).accepting_from(sender).map(drop);
            let expected = if accepted { Ok(()) } else { Err(Refusal::SenderLostAuthority) };
            assert_eq!(answer, expected, "{sender:?} offered {offered}");
        }
    }

    #[test]
    fn asserts_the_senders_permission_whether_or_not_the_sender_was_read() {
        let owners = given_invitee().invited_as(Role::Owner).sent_by("bob");
        for decision in [owners.accepting(), owners.accepting_from(Some(Role::Owner))] {
            assert!(asserts(&decision.unwrap(), "bob", Permission::Invite(Role::Owner)));
        }
    }

    #[test]
    fn asserts_the_permission_of_the_new_sender_after_a_resend() {
        let seen = given_invitee().sent_by("bob");
        let resent = given_invitee().sent_by("ada");
        let keys = seen.accept().reads(Some(&seen.snapshot(&seen.accept())));
        let decision = seen.accept().decide(&resent.snapshot_of(keys), &resent.policy, NOON).unwrap();
        assert!(asserts(&decision, "ada", Permission::Invite(Role::Member)));
    }

    #[test]
    fn a_former_member_cannot_accept_an_invitation_that_they_sent() {
        assert_eq!(given_invitee().sent_by("ivy").accepting(), Err(Refusal::SenderLostAuthority));
    }

    #[test]
    fn the_member_has_the_invited_address_and_the_invitation_id() {
        let joined = given_invitee().accepting().unwrap().answer.member;
        assert_eq!((joined.email, joined.invitation), (address("ivy"), id_of("ivy")));
    }
}
