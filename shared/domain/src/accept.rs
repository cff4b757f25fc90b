//! Accept: the invitee, signed in with the invited address, becomes a member by the link of the newest mail.

use crate::{
    Caller, Change, DeadLink, Decision, Member, NotPending, Opened, Role, State, Status, Timestamp, UserId,
};

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The link and what it names.
    pub opened: Opened,
    /// The caller's membership.
    pub member: Option<Member>,
    /// The sender's authority.
    pub sender: Authority,
}

/// What is known of the sender. The sender is known only from the record, so the first look cannot read
/// them in the same snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Authority {
    /// Not read: taken on trust, and vouched for by the guard of the plan, that their authority has never lapsed.
    #[default]
    Trusted,
    /// Read in the same snapshot.
    Read {
        /// Whose.
        user: UserId,
        /// Their role, if they are a member.
        role: Option<Role>,
    },
}

/// Why the caller does not become a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The link opens nothing.
    #[error(transparent)]
    DeadLink(#[from] DeadLink),
    /// Only a verified address proves that the mail was theirs.
    #[error("the caller has no verified e-mail address")]
    EmailNotVerified,
    /// Somebody else is invited.
    #[error("the invitation was sent to another address than the caller's")]
    EmailMismatch,
    /// The invitation is over.
    #[error(transparent)]
    NotPending(#[from] NotPending),
    /// They are in already, by another invitation.
    #[error("the caller is a member already, through another invitation")]
    AlreadyMember,
    /// Whoever sent it may not grant the role any more.
    #[error("the sender of the invitation may not grant its role any more")]
    SenderLostAuthority,
}

/// Decides. Accepting again answers the member as it is now.
pub fn decide(caller: &Caller, facts: &Facts, now: Timestamp) -> Result<Decision<Member>, Refusal> {
    let invitation = facts.opened.newest()?;
    let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
    if *email != invitation.email {
        return Err(Refusal::EmailMismatch);
    }
    let pending = match invitation.pending_at(now) {
        Ok(pending) => pending,
        Err(NotPending(Status::Accepted)) => return again(caller, facts),
        Err(over) => return Err(over.into()),
    };
    if facts.member.is_some() {
        return Err(Refusal::AlreadyMember);
    }
    let sender = &invitation.sender.user;
    let organization = &invitation.organization;
    let authority = match &facts.sender {
        // The caller is no member, so if they sent it themselves, its sender is none.
        _ if *sender == caller.user => None,
        Authority::Read { user, role } if user == sender => role
            .is_some_and(|role| role.may_grant(invitation.role))
            .then(|| Change::may_grant(organization, sender, invitation.role)),
        // The sender has changed since they were read: the guard vouches once more.
        Authority::Read { .. } | Authority::Trusted => {
            Some(Change::no_lapse(organization, sender, &invitation.id))
        }
    };
    let Some(authority) = authority else { return Err(Refusal::SenderLostAuthority) };
    let member = Member {
        organization: invitation.organization.clone(),
        user: caller.user.clone(),
        role: invitation.role,
        email: email.clone(),
        invitation: invitation.id.clone(),
        joined_at: now,
        mailed: None,
        sent: false,
    };
    let mut changes =
        vec![Change::write(pending.accepted(&caller.user, now)), Change::join(member.clone()), authority];
    if invitation.role == Role::Owner {
        changes.push(Change::count(&invitation.organization, 0, 1));
    }
    Ok(Decision { plan: changes.into_iter().collect(), answer: member })
}

/// A used link grants nothing and restores nothing; to whoever used it, it shows what they have.
fn again(caller: &Caller, facts: &Facts) -> Result<Decision<Member>, Refusal> {
    let used_by_caller = facts.opened.invitation.as_ref().is_some_and(
        |invitation| matches!(&invitation.state, State::Accepted { by, .. } if *by == caller.user),
    );
    match &facts.member {
        Some(member) if used_by_caller => Ok(Decision::unchanged(member.clone())),
        _ => Err(NotPending(Status::Accepted).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, NOON, SECOND, acme, address, asserts_grant, asserts_no_lapse, counts, given_invitee, id_of,
        items, member, user, written,
    };
    use crate::{Generation, InvalidToken, Item};

    impl Given {
        fn accepting_by(&self, genuine: bool, sender: Authority) -> Result<Decision<Member>, Refusal> {
            let link = given_invitee().invitation.unwrap().link();
            let opened = Opened { link, genuine, invitation: self.invitation.clone() };
            decide(&self.caller, &Facts { opened, member: self.member.clone(), sender }, self.now)
        }

        /// By the link of ivy's invitation as it is in an untouched world, its sender on trust.
        fn accepting(&self) -> Result<Decision<Member>, Refusal> {
            self.accepting_by(true, Authority::Trusted)
        }

        /// The sender was read as well.
        fn accepting_from(&self, sender: &str, role: Option<Role>) -> Result<Decision<Member>, Refusal> {
            self.accepting_by(true, Authority::Read { user: user(sender), role })
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let lost = Authority::Read { user: user("ada"), role: None };
        let answer = |world: &Given, genuine| world.accepting_by(genuine, lost.clone()).map(|it| it.answer);
        let mut world = given_invitee().not_invited().caller_is_unverified().caller_is(Role::Member);
        assert_eq!(answer(&world, false), Err(DeadLink::Invalid(InvalidToken).into()));
        assert_eq!(answer(&world, true), Err(DeadLink::Superseded.into()));
        world.invitation = given_invitee().status(Status::Revoked).invitation;
        assert_eq!(answer(&world, true), Err(Refusal::EmailNotVerified));
        world = world.caller_signs_in_as("eve");
        assert_eq!(answer(&world, true), Err(Refusal::EmailMismatch));
        world = world.caller_signs_in_as("ivy");
        assert_eq!(answer(&world, true), Err(NotPending(Status::Revoked).into()));
        world = world.status(Status::Pending);
        assert_eq!(answer(&world, true), Err(Refusal::AlreadyMember));
        world.member = None;
        assert_eq!(answer(&world, true), Err(Refusal::SenderLostAuthority));
    }

    #[test]
    fn the_invitee_becomes_a_member_with_the_role_offered_and_keeps_the_seat() {
        for (role, owners) in [(Role::Member, 0), (Role::Owner, 1)] {
            let decision = given_invitee().invited_as(role).accepting().unwrap();
            let joined = Member { role, joined_at: NOON, ..member("ivy", role) };
            assert_eq!(decision.answer, joined);
            assert_eq!(written(&decision).state, State::Accepted { by: user("ivy"), at: NOON });
            assert_eq!(counts(&decision), (0, owners), "no seat moves as {role}");
            assert!(asserts_no_lapse(&decision, "ada"), "the commit asserts the sender's authority");
        }
    }

    #[test]
    fn a_full_organization_turns_no_invitee_away() {
        let decision = given_invitee().seats_free(0).accepting().unwrap();
        assert!(
            !items(&decision).contains(&Item::Organization(acme())),
            "its counters are not even looked at"
        );
    }

    #[test]
    fn another_generation_or_expiry_than_the_records_is_superseded() {
        let mut resent = given_invitee();
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.accepting(), Err(DeadLink::Superseded.into()));
        let moved = given_invitee().expiring_at(NOON + SECOND);
        assert_eq!(moved.accepting(), Err(DeadLink::Superseded.into()));
    }

    #[test]
    fn an_invitation_dies_at_its_expiry_instant_not_after_it() {
        let mut world = given_invitee();
        let expires_at = world.invitation.as_ref().unwrap().expires_at;
        world.now = Timestamp::from_unix(expires_at.unix() - 1);
        assert!(world.accepting().is_ok());
        world.now = expires_at;
        assert_eq!(world.accepting(), Err(NotPending(Status::Expired).into()));
    }

    #[test]
    fn a_link_is_dead_for_good_in_every_closed_status() {
        for status in [Status::Revoked, Status::Expired, Status::Declined, Status::Removed] {
            assert_eq!(given_invitee().status(status).accepting(), Err(NotPending(status).into()));
            let rejoined = given_invitee().status(status).caller_is(Role::Member).accepting();
            assert_eq!(rejoined, Err(NotPending(status).into()), "a member since is told the same: {status}");
        }
    }

    #[test]
    fn accepting_again_answers_the_member_as_it_is_now_and_changes_nothing() {
        let promoted = given_invitee().accepted_by("ivy").caller_is(Role::Owner);
        let decision = promoted.accepting().unwrap();
        assert_eq!(decision.answer, member("ivy", Role::Owner));
        assert!(decision.plan.changes().is_empty());
        // Whether its deadline has passed since does not matter.
        let later = Given { now: NOON + 1_000 * crate::testing::HOUR, ..promoted };
        assert_eq!(later.accepting(), Ok(decision));
    }

    #[test]
    fn a_used_link_gives_nothing_to_another_user_with_the_same_address() {
        let used = Err(NotPending(Status::Accepted).into());
        assert_eq!(given_invitee().accepted_by("somebody").accepting(), used);
        assert_eq!(given_invitee().accepted_by("somebody").caller_is(Role::Owner).accepting(), used);
    }

    #[test]
    fn a_used_link_without_its_member_grants_nothing() {
        assert_eq!(given_invitee().accepted_by("ivy").accepting(), Err(NotPending(Status::Accepted).into()));
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
            let answer = given_invitee().invited_as(offered).accepting_from("ada", sender).map(drop);
            let expected = if accepted { Ok(()) } else { Err(Refusal::SenderLostAuthority) };
            assert_eq!(answer, expected, "{sender:?} offered {offered}");
        }
    }

    #[test]
    fn a_sender_on_trust_is_vouched_for_by_the_guard() {
        let decision = given_invitee().invited_as(Role::Owner).sent_by("bob").accepting().unwrap();
        assert!(asserts_no_lapse(&decision, "bob"));
    }

    #[test]
    fn a_sender_who_was_read_is_vouched_for_by_their_own_item() {
        let decision =
            given_invitee().invited_as(Role::Owner).accepting_from("ada", Some(Role::Owner)).unwrap();
        assert!(asserts_grant(&decision, "ada", Role::Owner) && !asserts_no_lapse(&decision, "ada"));
    }

    #[test]
    fn a_sender_read_before_a_resend_says_nothing_of_the_new_one() {
        let decision = given_invitee().sent_by("bob").accepting_from("ada", None).unwrap();
        assert!(asserts_no_lapse(&decision, "bob"));
    }

    #[test]
    fn who_left_cannot_return_by_an_invitation_in_their_own_name() {
        let world = given_invitee().sent_by("ivy");
        assert_eq!(world.accepting(), Err(Refusal::SenderLostAuthority));
        assert_eq!(world.accepting_from("ivy", Some(Role::Owner)), Err(Refusal::SenderLostAuthority));
    }

    #[test]
    fn the_member_joins_with_the_invited_address_and_its_record() {
        let joined = given_invitee().accepting().unwrap().answer;
        assert_eq!((joined.email, joined.invitation), (address("ivy"), id_of("ivy")));
    }
}
