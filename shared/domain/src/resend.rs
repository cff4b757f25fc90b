//! Resend: an invitation gets a new link and a new deadline, in the name of whoever resends it.

use crate::{
    Caller, Change, Decision, Invitation, Member, NotPending, Organization, Policy, Seats, Sender, Status,
    Timestamp,
};

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's membership.
    pub caller: Option<Member>,
    /// The organization.
    pub organization: Option<Organization>,
    /// The invitation.
    pub invitation: Option<Invitation>,
}

/// Why nothing is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An invitation shows its sender's address.
    #[error("the caller has no verified e-mail address")]
    EmailNotVerified,
    /// Or it does not exist: a stranger must not learn which.
    #[error("the organization does not exist, or the caller is not in it")]
    NoSuchOrganization,
    /// None in this organization.
    #[error("the organization has no such invitation")]
    NoSuchInvitation,
    /// A member resends to members-to-be.
    #[error("the caller may not grant the role offered")]
    RoleNotGrantable,
    /// Only a pending or an expired one can be resent.
    #[error(transparent)]
    NotPending(#[from] NotPending),
    /// Its seat was freed, and there is none to take.
    #[error("the organization has no free seat")]
    SeatsExhausted(Seats),
}

/// Decides. The role is never changed by a resend.
pub fn decide(
    caller: &Caller,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision<Invitation>, Refusal> {
    let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
    let member = facts.caller.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let organization = facts.organization.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let invitation = facts.invitation.as_ref().ok_or(Refusal::NoSuchInvitation)?;
    if !member.role.may_grant(invitation.role) {
        return Err(Refusal::RoleNotGrantable);
    }
    match invitation.status_at(now) {
        Status::Pending | Status::Expired => {}
        status => return Err(NotPending(status).into()),
    }
    let takes_a_seat = !invitation.holds_seat();
    if takes_a_seat && organization.seats.free == 0 {
        return Err(Refusal::SeatsExhausted(organization.seats));
    }
    let sender = Sender { user: caller.user.clone(), email: email.clone() };
    let again = invitation.resent(sender, now, policy);
    let mut changes = vec![
        Change::may_grant(&organization.id, &caller.user, invitation.role),
        Change::write(again.clone()),
    ];
    if takes_a_seat {
        changes.push(Change::count(&organization.id, -1, 0));
    }
    Ok(Decision { plan: changes.into_iter().collect(), answer: again })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, NOON, SECOND, address, asserts_grant, counts, given, user, written};
    use crate::{Delivery, Generation, Revision, Role};

    impl Given {
        fn resending(&self) -> Result<Decision<Invitation>, Refusal> {
            let facts = Facts {
                caller: self.member.clone(),
                organization: self.organization.clone(),
                invitation: self.invitation.clone(),
            };
            decide(&self.caller, &facts, &self.policy, self.now)
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let mut world = given().caller_is_unverified().caller_is_a_stranger().not_invited();
        assert_eq!(world.resending(), Err(Refusal::EmailNotVerified));
        world = world.caller_signs_in_as("ada");
        assert_eq!(world.resending(), Err(Refusal::NoSuchOrganization));
        world = world.caller_is(Role::Member).seats_free(0);
        assert_eq!(world.resending(), Err(Refusal::NoSuchInvitation));
        world.invitation = given().invited_as(Role::Owner).status(Status::Revoked).invitation;
        assert_eq!(world.resending(), Err(Refusal::RoleNotGrantable));
        world = world.invited_as(Role::Member);
        assert_eq!(world.resending(), Err(NotPending(Status::Revoked).into()));
        world = world.status(Status::Expired);
        assert_eq!(world.resending(), Err(Refusal::SeatsExhausted(Seats { total: 10, free: 0 })));
    }

    #[test]
    fn who_may_grant_the_role_may_resend_it() {
        for (caller, offered, allowed) in [
            (Role::Owner, Role::Owner, true),
            (Role::Owner, Role::Member, true),
            (Role::Member, Role::Member, true),
            (Role::Member, Role::Owner, false),
        ] {
            let resending = given().caller_is(caller).invited_as(offered).resending();
            assert_eq!(resending.is_ok(), allowed, "{caller} resends {offered}");
            if let Ok(decision) = resending {
                assert!(asserts_grant(&decision, "ada", offered), "the commit asserts the caller's role");
                assert_eq!(decision.answer.role, offered, "a resend never changes the role");
            }
        }
    }

    #[test]
    fn only_a_pending_or_an_expired_one_is_resent_and_a_freed_seat_is_taken_again() {
        for (status, expected) in [
            (Status::Pending, Ok(0)),
            (Status::Expired, Ok(-1)),
            (Status::Accepted, Err(NotPending(Status::Accepted).into())),
            (Status::Revoked, Err(NotPending(Status::Revoked).into())),
            (Status::Declined, Err(NotPending(Status::Declined).into())),
            (Status::Removed, Err(NotPending(Status::Removed).into())),
        ] {
            let seats = given().status(status).resending().map(|it| counts(&it).0);
            assert_eq!(seats, expected, "{status}");
        }
    }

    #[test]
    fn one_past_its_expiry_whose_seat_is_not_freed_yet_keeps_it() {
        for expires_at in [NOON + SECOND, NOON, Timestamp::from_unix(NOON.unix() - 1)] {
            let decision = given().expiring_at(expires_at).seats_free(0).resending().unwrap();
            assert_eq!(counts(&decision), (0, 0), "{expires_at}");
        }
    }

    #[test]
    fn the_last_free_seat_can_be_taken_again() {
        assert!(given().status(Status::Expired).seats_free(1).resending().is_ok());
        assert!(given().status(Status::Expired).seats_free(0).resending().is_err());
    }

    #[test]
    fn a_resend_is_a_new_link_a_new_deadline_and_a_new_mail_in_the_callers_name() {
        let before = given().sent_by("bob").delivery(Delivery::Bounced);
        let decision = before.resending().unwrap();
        let again = written(&decision);
        assert_eq!((again.generation, again.revision), (Generation(4), Revision(8)));
        assert_eq!(again.expires_at, NOON + before.policy.lifetime);
        assert_eq!((&again.sender.user, &again.sender.email), (&user("ada"), &address("ada")));
        let mail = again.mail.as_ref().unwrap();
        assert_eq!((mail.delivery, mail.sent_at, &mail.detail), (Delivery::Queued, None, &None));
        assert_eq!(again.created_at, before.invitation.unwrap().created_at, "it is still the same offer");
        assert_eq!(decision.answer, *again);
    }
}
