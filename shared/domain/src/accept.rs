//! Accept: the invitee, signed in with the invited address, becomes a member by the link of the newest mail.

use crate::{
    Action, Caller, Change, Decision, Invitation, ItemKey, Link, Member, NotPending, Permission, Policy,
    Refusal, Snapshot, State, Status, Timestamp,
};

/// The invitee accepts. Accepting again answers the member as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// Who.
    pub caller: Caller,
    /// The link, whose MAC was verified.
    pub link: Link,
}

impl Action for Accept {
    const NAME: &'static str = "accept";
    type Answer = Member;
    type Refusal = Refusal;

    /// The sender is known only from the invitation, so the first attempt does not read them: its condition check asserts
    /// their permission. An attempt after a lost race reads them, too, so that a refusal is true.
    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey> {
        let Link { organization, invitation, .. } = &self.link;
        let before = seen.and_then(|seen| seen.invitation(organization, invitation));
        let sender = before.map(|before| ItemKey::member(organization, &before.sender.user));
        let member = ItemKey::member(organization, &self.caller.user);
        [ItemKey::linked(&self.link), member].into_iter().chain(sender).collect()
    }

    fn decide(&self, snapshot: &Snapshot, _: &Policy, now: Timestamp) -> Result<Decision<Member>, Refusal> {
        let invitation = snapshot.newest(&self.link)?;
        let email = invitation.must_be_for(&self.caller)?;
        let member = snapshot.member(&self.link.organization, &self.caller.user);
        let pending = match invitation.pending_at(now) {
            Ok(pending) => pending,
            Err(NotPending(Status::Accepted)) => return self.again(invitation, member),
            Err(NotPending(status)) => return Err(Refusal::Gone(status)),
        };
        if member.is_some() {
            return Err(Refusal::AlreadyMember);
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
            Change::write(pending.accepted(&self.caller.user, now)),
            Change::join(joined.clone()),
            senders_authority(snapshot, invitation)?,
        ];
        if joined.role.owners() > 0 {
            changes.push(Change::count(&invitation.organization, 0, joined.role.owners()));
        }
        Ok(Decision { changes, answer: joined })
    }
}

impl Accept {
    /// Accepting again answers the member as it is now, and only to the user who accepted.
    fn again(&self, invitation: &Invitation, member: Option<&Member>) -> Result<Decision<Member>, Refusal> {
        let used_by_caller =
            matches!(&invitation.state, State::Accepted { by, .. } if *by == self.caller.user);
        match member {
            Some(member) if used_by_caller => Ok(Decision::unchanged(member.clone())),
            _ => Err(Refusal::Gone(Status::Accepted)),
        }
    }
}

/// The change that asserts what the invitation is worth: its sender may grant the role now.
fn senders_authority(snapshot: &Snapshot, invitation: &Invitation) -> Result<Change, Refusal> {
    let (organization, sender) = (&invitation.organization, &invitation.sender.user);
    let permission = Permission::Invite(invitation.role);
    if !snapshot.has_read(&ItemKey::member(organization, sender)) {
        return Ok(Change::may(organization, sender, permission));
    }
    let sender = snapshot.member(organization, sender).ok_or(Refusal::SenderLostAuthority)?;
    sender.require(permission).map_err(|_| Refusal::SenderLostAuthority)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, NOON, SECOND, acme, address, asserts, counts, given_invitee, id_of, items, member, user,
        written,
    };
    use crate::{Generation, Role};

    impl Given {
        /// By the link of ivy's invitation as it is in an untouched world.
        fn accept(&self) -> Accept {
            let link = given_invitee().invitation.unwrap().link();
            Accept { caller: self.caller.clone(), link }
        }

        /// The sender on trust.
        fn accepting(&self) -> Result<Decision<Member>, Refusal> {
            self.decide(&self.accept())
        }

        /// At the second attempt, which reads the sender that the first one found: bob, with this role.
        fn accepting_from(&self, role: Option<Role>) -> Result<Decision<Member>, Refusal> {
            let other = role.map(|role| member("bob", role));
            let given = Given { other, ..self.clone().sent_by("bob") };
            let seen = given.snapshot(&self.accept());
            let snapshot = given.snapshot_of(self.accept().reads(Some(&seen)));
            self.accept().decide(&snapshot, &given.policy, given.now)
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let answer = |world: &Given| world.accepting_from(None).map(|it| it.answer);
        let mut world = given_invitee().not_invited().caller_is_unverified().caller_is(Role::Member);
        assert_eq!(world.accepting().map(drop), Err(Refusal::Superseded));
        world.invitation = given_invitee().status(Status::Revoked).invitation;
        assert_eq!(answer(&world), Err(Refusal::EmailNotVerified));
        world = world.caller_signs_in_as("eve");
        assert_eq!(answer(&world), Err(Refusal::EmailMismatch));
        world = world.caller_signs_in_as("ivy");
        assert_eq!(answer(&world), Err(Refusal::Gone(Status::Revoked)));
        world = world.status(Status::Pending);
        assert_eq!(answer(&world), Err(Refusal::AlreadyMember));
        world.member = None;
        assert_eq!(answer(&world), Err(Refusal::SenderLostAuthority));
    }

    #[test]
    fn the_invitee_becomes_a_member_with_the_role_offered_and_keeps_the_seat() {
        for (role, owners) in [(Role::Member, 0), (Role::Owner, 1)] {
            let decision = given_invitee().invited_as(role).accepting().unwrap();
            let joined = Member { role, joined_at: NOON, ..member("ivy", role) };
            assert_eq!(decision.answer, joined);
            assert_eq!(written(&decision).state, State::Accepted { by: user("ivy"), at: NOON });
            assert_eq!(counts(&decision), (0, owners), "no seat moves as {role}");
            assert!(
                asserts(&decision, "ada", Permission::Invite(role)),
                "the commit asserts the sender's authority"
            );
        }
    }

    #[test]
    fn a_full_organization_turns_no_invitee_away() {
        let decision = given_invitee().seats_free(0).accepting().unwrap();
        assert!(
            !items(&decision).contains(&ItemKey::Organization(acme())),
            "its counters are not even looked at"
        );
    }

    #[test]
    fn another_generation_or_expiry_than_the_records_is_superseded() {
        let mut resent = given_invitee();
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.accepting(), Err(Refusal::Superseded));
        let moved = given_invitee().expiring_at(NOON + SECOND);
        assert_eq!(moved.accepting(), Err(Refusal::Superseded));
    }

    #[test]
    fn an_invitation_dies_at_its_expiry_instant_not_after_it() {
        let mut world = given_invitee();
        let expires_at = world.invitation.as_ref().unwrap().expires_at;
        world.now = Timestamp::from_unix(expires_at.unix() - 1);
        assert!(world.accepting().is_ok());
        world.now = expires_at;
        assert_eq!(world.accepting(), Err(Refusal::Gone(Status::Expired)));
    }

    #[test]
    fn a_link_is_dead_for_good_in_every_closed_status() {
        for status in [Status::Revoked, Status::Expired, Status::Declined, Status::Removed] {
            assert_eq!(given_invitee().status(status).accepting(), Err(Refusal::Gone(status)));
            let rejoined = given_invitee().status(status).caller_is(Role::Member).accepting();
            assert_eq!(rejoined, Err(Refusal::Gone(status)), "a member since is told the same: {status}");
        }
    }

    #[test]
    fn accepting_again_answers_the_member_as_it_is_now_and_changes_nothing() {
        let promoted = given_invitee().accepted_by("ivy").caller_is(Role::Owner);
        let decision = promoted.accepting().unwrap();
        assert_eq!(decision.answer, member("ivy", Role::Owner));
        assert!(decision.changes.is_empty());
        // Whether its deadline has passed since does not matter.
        let later = Given { now: NOON + 1_000 * crate::testing::HOUR, ..promoted };
        assert_eq!(later.accepting(), Ok(decision));
    }

    #[test]
    fn a_used_link_gives_nothing_to_another_user_with_the_same_address() {
        let used = Err(Refusal::Gone(Status::Accepted));
        assert_eq!(given_invitee().accepted_by("somebody").accepting(), used);
        assert_eq!(given_invitee().accepted_by("somebody").caller_is(Role::Owner).accepting(), used);
    }

    #[test]
    fn a_used_link_without_its_member_grants_nothing() {
        assert_eq!(given_invitee().accepted_by("ivy").accepting(), Err(Refusal::Gone(Status::Accepted)));
    }

    #[test]
    fn a_member_by_another_invitation_cannot_take_a_second_seat() {
        let world = given_invitee().caller_is(Role::Member);
        assert_eq!(world.accepting(), Err(Refusal::AlreadyMember));
    }

    #[test]
    fn an_invitation_is_worth_what_its_sender_may_grant_now() {
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
    fn a_sender_is_vouched_for_by_the_guard_whether_they_were_read_or_not() {
        let owners = given_invitee().invited_as(Role::Owner).sent_by("bob");
        for decision in [owners.accepting(), owners.accepting_from(Some(Role::Owner))] {
            assert!(asserts(&decision.unwrap(), "bob", Permission::Invite(Role::Owner)));
        }
    }

    #[test]
    fn a_sender_read_before_a_resend_says_nothing_of_the_new_one() {
        let seen = given_invitee().sent_by("bob");
        let resent = given_invitee().sent_by("ada");
        let keys = seen.accept().reads(Some(&seen.snapshot(&seen.accept())));
        let decision = seen.accept().decide(&resent.snapshot_of(keys), &resent.policy, NOON).unwrap();
        assert!(asserts(&decision, "ada", Permission::Invite(Role::Member)));
    }

    #[test]
    fn who_left_cannot_return_by_an_invitation_in_their_own_name() {
        assert_eq!(given_invitee().sent_by("ivy").accepting(), Err(Refusal::SenderLostAuthority));
    }

    #[test]
    fn the_member_joins_with_the_invited_address_and_its_record() {
        let joined = given_invitee().accepting().unwrap().answer;
        assert_eq!((joined.email, joined.invitation), (address("ivy"), id_of("ivy")));
    }
}
