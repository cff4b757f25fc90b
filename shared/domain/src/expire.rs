//! Expire: closes an invitation past its expiry and gives its seat back.
//!
//! Accepting already fails from the expiry on, because all actions compare times (rule: expiry). Expire only updates
//! the record and the seats.

use crate::{
    Action, Change, CloseReason, Decision, Invitation, InvitationId, ItemKey, Link, OrganizationId, Policy,
    Snapshot, Status, Timestamp,
};

/// Closes the invitation for which a timer fired, if it is past its expiry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expire {
    /// The link of the mail for which the timer was set, with its expiry.
    pub timer: Link,
}

/// The result of the action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireOutcome {
    /// The invitation was closed.
    Expired,
    /// Nothing: the invitation is not pending, or it has a later expiry with a timer of its own.
    Nothing,
}

/// The timer fired before its own expiry, by the clock of this function. It must be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitation can be accepted until {0}")]
pub struct NotYetDue(pub Timestamp);

impl Action for Expire {
    const NAME: &'static str = "expire";
    type Answer = ExpireOutcome;
    type Refusal = NotYetDue;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::linked(&self.timer)]
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<ExpireOutcome>, NotYetDue> {
        let invitation = snapshot.invitation(&self.timer.organization, &self.timer.invitation);
        let Some(invitation) = invitation.filter(|it| it.status() == Status::Pending) else {
            return Ok(Decision::unchanged(ExpireOutcome::Nothing));
        };
        if now < invitation.expires_at {
            return if invitation.link() == self.timer {
                Err(NotYetDue(invitation.expires_at))
            } else {
                Ok(Decision::unchanged(ExpireOutcome::Nothing))
            };
        }
        Ok(Decision { changes: close(invitation, policy, now), answer: ExpireOutcome::Expired })
    }
}

/// The timer that an invitation needs: one for its expiry while it is pending, else none.
#[must_use]
pub fn timer(invitation: &Invitation) -> Option<Link> {
    (invitation.status() == Status::Pending).then(|| invitation.link())
}

/// The changes that close a pending invitation past its expiry and give its seat back.
pub(crate) fn close(invitation: &Invitation, policy: &Policy, now: Timestamp) -> Vec<Change> {
    Change::close_invitation(invitation.closed(CloseReason::Expired, now, policy)).into()
}

/// Returns the timer that an invitation needs now, as [`timer`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededTimer {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
}

impl Action for NeededTimer {
    const NAME: &'static str = "schedule";
    type Answer = Option<Link>;
    type Refusal = std::convert::Infallible;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::invitation(&self.organization, &self.invitation)]
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        _: &Policy,
        _: Timestamp,
    ) -> Result<Decision<Option<Link>>, Self::Refusal> {
        let invitation = snapshot.invitation(&self.organization, &self.invitation);
        Ok(Decision::unchanged(invitation.and_then(timer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, NOON, SECOND, acme, counts, given, id_of, writes_anything, written};
    use crate::{Generation, State};

    impl Given {
        /// Fires the timer of the current expiry.
        fn expiring(&self) -> Result<Decision<ExpireOutcome>, NotYetDue> {
            self.expiring_by(&self.invitation.as_ref().unwrap().link())
        }

        fn expiring_by(&self, timer: &Link) -> Result<Decision<ExpireOutcome>, NotYetDue> {
            self.decide(&Expire { timer: timer.clone() })
        }
    }

    #[test]
    fn only_a_pending_invitation_needs_a_timer() {
        for status in Status::ALL {
            let invitation = given().status(status).invitation.unwrap();
            let needed = (status == Status::Pending).then(|| invitation.link());
            assert_eq!(timer(&invitation), needed, "{status}");
            let find = NeededTimer { organization: acme(), invitation: id_of("ivy") };
            let answer = given().status(status).decide(&find).unwrap().answer;
            assert_eq!(answer, needed, "{status}");
        }
    }

    #[test]
    fn closes_an_invitation_at_its_expiry_and_gives_its_seat_back() {
        let decision = given().expiring_at(NOON).expiring().unwrap();
        let purge_at = NOON + given().policy.retention;
        assert_eq!(decision.answer, ExpireOutcome::Expired);
        assert_eq!(written(&decision).state, State::Closed { how: CloseReason::Expired, at: NOON, purge_at });
        assert_eq!(counts(&decision), (1, 0));
    }

    #[test]
    fn a_timer_one_second_early_must_be_retried() {
        let early = given().expiring_at(NOON + SECOND).expiring();
        assert_eq!(early, Err(NotYetDue(NOON + SECOND)));
    }

    #[test]
    fn closes_only_pending_invitations() {
        for status in Status::ALL {
            let decision = given().expiring_at(NOON).status(status).expiring().unwrap();
            let expected =
                if status == Status::Pending { ExpireOutcome::Expired } else { ExpireOutcome::Nothing };
            assert_eq!(decision.answer, expected, "{status}");
            assert_eq!(writes_anything(&decision), status == Status::Pending, "{status}");
        }
    }

    #[test]
    fn does_nothing_for_a_deleted_record() {
        let timer = given().invitation.unwrap().link();
        assert_eq!(
            given().not_invited().expiring_by(&timer),
            Ok(Decision::unchanged(ExpireOutcome::Nothing))
        );
    }

    #[test]
    fn an_old_timer_does_nothing_before_the_new_expiry() {
        let timer = given().expiring_at(NOON).invitation.unwrap().link();
        let mut resent = given().expiring_at(NOON + SECOND);
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.expiring_by(&timer), Ok(Decision::unchanged(ExpireOutcome::Nothing)));
    }

    #[test]
    fn an_old_timer_closes_an_invitation_past_its_new_expiry() {
        let timer = given().expiring_at(NOON).invitation.unwrap().link();
        let mut resent = given().expiring_at(NOON);
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.expiring_by(&timer).map(|it| it.answer), Ok(ExpireOutcome::Expired));
    }
}
