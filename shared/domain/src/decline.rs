//! Decline: the invitee, signed in with the invited address, turns the invitation down.

use crate::{Caller, Change, DeadLink, Decision, NotPending, Opened, Plan, Policy, Timestamp};

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The link and what it names.
    pub opened: Opened,
}

/// Why it is not turned down.
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
}

/// Decides. The sender's authority is *not* asked for: what nobody may grant can still be turned down.
pub fn decide(
    caller: &Caller,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision<()>, Refusal> {
    let invitation = facts.opened.newest()?;
    let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
    if *email != invitation.email {
        return Err(Refusal::EmailMismatch);
    }
    let pending = invitation.pending_at(now)?;
    Ok(Decision {
        plan: Plan::from_iter([
            Change::write(pending.declined(now, policy)),
            Change::count(&invitation.organization, 1, 0),
        ]),
        answer: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, NOON, SECOND, counts, given_invitee, items, written};
    use crate::{Closed, Generation, InvalidToken, Role, State, Status};

    impl Given {
        fn opened(&self, genuine: bool) -> Facts {
            let link = given_invitee().invitation.unwrap().link();
            Facts { opened: Opened { link, genuine, invitation: self.invitation.clone() } }
        }

        /// By the link of ivy's invitation as it is in an untouched world.
        fn declining(&self) -> Result<Decision<()>, Refusal> {
            decide(&self.caller, &self.opened(true), &self.policy, self.now)
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let mut world = given_invitee().not_invited().caller_is_unverified();
        let forged = decide(&world.caller, &world.opened(false), &world.policy, world.now);
        assert_eq!(forged, Err(DeadLink::Invalid(InvalidToken).into()));
        assert_eq!(world.declining(), Err(DeadLink::Superseded.into()));
        world.invitation = given_invitee().status(Status::Revoked).invitation;
        assert_eq!(world.declining(), Err(Refusal::EmailNotVerified));
        world = world.caller_signs_in_as("eve");
        assert_eq!(world.declining(), Err(Refusal::EmailMismatch));
        world = world.caller_signs_in_as("ivy");
        assert_eq!(world.declining(), Err(NotPending(Status::Revoked).into()));
    }

    #[test]
    fn another_generation_or_expiry_than_the_records_is_superseded() {
        let mut resent = given_invitee();
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.declining(), Err(DeadLink::Superseded.into()));
        let moved = given_invitee().expiring_at(NOON + SECOND);
        assert_eq!(moved.declining(), Err(DeadLink::Superseded.into()));
    }

    #[test]
    fn only_a_pending_invitation_can_be_declined() {
        for status in Status::ALL {
            let expected = match status {
                Status::Pending => Ok(()),
                status => Err(NotPending(status).into()),
            };
            assert_eq!(given_invitee().status(status).declining().map(|it| it.answer), expected, "{status}");
        }
    }

    #[test]
    fn it_ends_at_its_expiry() {
        let mut world = given_invitee();
        let expires_at = world.invitation.as_ref().unwrap().expires_at;
        world.now = Timestamp::from_unix(expires_at.unix() - 1);
        assert!(world.declining().is_ok());
        world.now = expires_at;
        assert_eq!(world.declining(), Err(NotPending(Status::Expired).into()));
    }

    #[test]
    fn nobodys_authority_is_needed_to_turn_down_what_nobody_may_grant() {
        let decision = given_invitee().sent_by("gone").invited_as(Role::Owner).declining().unwrap();
        assert_eq!(items(&decision).len(), 2, "the record and the counter, no sender");
    }

    #[test]
    fn a_declined_invitation_gives_its_seat_back() {
        let decision = given_invitee().declining().unwrap();
        let purge_at = NOON + given_invitee().policy.retention;
        assert_eq!(written(&decision).state, State::Closed { how: Closed::Declined, at: NOON, purge_at });
        assert_eq!(counts(&decision), (1, 0));
    }
}
