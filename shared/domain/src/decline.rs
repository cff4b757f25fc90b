//! Decline: the invitee, signed in with the invited address, declines the invitation through the newest link.

use crate::{
    Action, Caller, Change, Decision, ItemKey, Link, NotPending, Policy, Refusal, Snapshot, Timestamp,
};

/// Declines an invitation. This works even if its sender may not grant its role now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// The signed-in user.
    pub caller: Caller,
    /// The link. Its MAC is already verified.
    pub link: Link,
}

impl Action for Decline {
    const NAME: &'static str = "decline";
    type Answer = ();
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::linked(&self.link)]
    }

    fn decide(&self, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Result<Decision<()>, Refusal> {
        let invitation = snapshot.newest(&self.link)?;
        invitation.must_be_for(&self.caller)?;
        let pending = invitation.pending_at(now).map_err(|NotPending(status)| Refusal::Gone(status))?;
        let changes = Change::close_invitation(pending.declined(now, policy)).into();
        Ok(Decision { changes, answer: () })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, NOON, SECOND, counts, given_invitee, items, written};
    use crate::{CloseReason, Generation, Role, State, Status};

    impl Given {
        /// Uses the link of ivy's invitation as `given_invitee` makes it.
        fn declining(&self) -> Result<Decision<()>, Refusal> {
            let link = given_invitee().invitation.unwrap().link();
            self.decide(&Decline { caller: self.caller.clone(), link })
        }
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let mut setup = given_invitee().not_invited().caller_is_unverified();
        assert_eq!(setup.declining(), Err(Refusal::Superseded));
        setup.invitation = given_invitee().status(Status::Revoked).invitation;
        assert_eq!(setup.declining(), Err(Refusal::EmailNotVerified));
        setup = setup.caller_signs_in_as("eve");
        assert_eq!(setup.declining(), Err(Refusal::EmailMismatch));
        setup = setup.caller_signs_in_as("ivy");
        assert_eq!(setup.declining(), Err(Refusal::Gone(Status::Revoked)));
    }

    #[test]
    fn a_link_with_another_generation_or_expiry_is_superseded() {
        let mut resent = given_invitee();
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.declining(), Err(Refusal::Superseded));
        let moved = given_invitee().expiring_at(NOON + SECOND);
        assert_eq!(moved.declining(), Err(Refusal::Superseded));
    }

    #[test]
    fn only_a_pending_invitation_can_be_declined() {
        for status in Status::ALL {
            let expected = match status {
                Status::Pending => Ok(()),
                status => Err(Refusal::Gone(status)),
            };
            assert_eq!(given_invitee().status(status).declining().map(|it| it.answer), expected, "{status}");
        }
    }

    #[test]
    fn declines_before_the_expiry_and_refuses_at_it() {
        let mut setup = given_invitee();
        let expires_at = setup.invitation.as_ref().unwrap().expires_at;
        setup.now = Timestamp::from_unix(expires_at.unix() - 1);
        assert!(setup.declining().is_ok());
        setup.now = expires_at;
        assert_eq!(setup.declining(), Err(Refusal::Gone(Status::Expired)));
    }

    #[test]
    fn declines_without_checking_the_senders_permission() {
        let decision = given_invitee().sent_by("gone").invited_as(Role::Owner).declining().unwrap();
        assert_eq!(items(&decision).len(), 2, "the record and the counters, but not the sender");
    }

    #[test]
    fn a_declined_invitation_gives_its_seat_back() {
        let decision = given_invitee().declining().unwrap();
        let purge_at = NOON + given_invitee().policy.retention;
        assert_eq!(
            written(&decision).state,
            State::Closed { how: CloseReason::Declined, at: NOON, purge_at }
        );
        assert_eq!(counts(&decision), (1, 0));
    }
}
