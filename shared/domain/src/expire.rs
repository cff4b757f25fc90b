//! Expire: an invitation past its expiry is closed and its seat given back.
//!
//! The comparison of times has decided long before; this only tidies up after it.

use crate::{
    Action, Change, CloseReason, Decision, Invitation, InvitationId, ItemKey, Link, OrganizationId, Policy,
    Snapshot, Status, Timestamp,
};

/// A timer fires, for the deadline that it was set for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expire {
    /// The deadline.
    pub timer: Link,
}

/// What there was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpireOutcome {
    /// The invitation is closed.
    Expired,
    /// Nothing: it is not pending, or a later deadline has its own timer.
    Nothing,
}

/// The timer is this deadline's own, but fired before it by the clock here: it is to be tried again.
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

/// The timer that an invitation needs: one for its deadline while it is pending, else none.
#[must_use]
pub fn timer(invitation: &Invitation) -> Option<Link> {
    (invitation.status() == Status::Pending).then(|| invitation.link())
}

/// Closes a pending invitation past its expiry and gives its seat back.
pub(crate) fn close(invitation: &Invitation, policy: &Policy, now: Timestamp) -> Vec<Change> {
    vec![
        Change::write(invitation.closed(CloseReason::Expired, now, policy)),
        Change::count(&invitation.organization, 1, 0),
    ]
}

/// Which timer an invitation needs now; answers [`timer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeededTimer {
    /// Where.
    pub organization: OrganizationId,
    /// Which invitation.
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
        /// By the timer of the deadline that stands.
        fn expiring(&self) -> Result<Decision<ExpireOutcome>, NotYetDue> {
            self.expiring_by(&self.invitation.as_ref().unwrap().link())
        }

        fn expiring_by(&self, timer: &Link) -> Result<Decision<ExpireOutcome>, NotYetDue> {
            self.decide(&Expire { timer: timer.clone() })
        }
    }

    #[test]
    fn a_pending_invitation_needs_a_timer_and_no_other_one_does() {
        for status in Status::ALL {
            let invitation = given().status(status).invitation.unwrap();
            let needed = (status == Status::Pending).then(|| invitation.link());
            assert_eq!(timer(&invitation), needed, "{status}");
            let asked = NeededTimer { organization: acme(), invitation: id_of("ivy") };
            let answer = given().status(status).decide(&asked).unwrap().answer;
            assert_eq!(answer, needed, "{status}");
        }
    }

    #[test]
    fn at_its_expiry_an_invitation_is_closed_and_gives_its_seat_back() {
        let decision = given().expiring_at(NOON).expiring().unwrap();
        let purge_at = NOON + given().policy.retention;
        assert_eq!(decision.answer, ExpireOutcome::Expired);
        assert_eq!(written(&decision).state, State::Closed { how: CloseReason::Expired, at: NOON, purge_at });
        assert_eq!(counts(&decision), (1, 0));
    }

    #[test]
    fn a_second_before_it_is_not_closed_but_tried_again() {
        let early = given().expiring_at(NOON + SECOND).expiring();
        assert_eq!(early, Err(NotYetDue(NOON + SECOND)));
    }

    #[test]
    fn nothing_else_than_a_pending_one_expires() {
        for status in Status::ALL {
            let decision = given().expiring_at(NOON).status(status).expiring().unwrap();
            let expected =
                if status == Status::Pending { ExpireOutcome::Expired } else { ExpireOutcome::Nothing };
            assert_eq!(decision.answer, expected, "{status}");
            assert_eq!(writes_anything(&decision), status == Status::Pending, "{status}");
        }
    }

    #[test]
    fn a_record_that_is_gone_needs_nothing() {
        let timer = given().invitation.unwrap().link();
        assert_eq!(
            given().not_invited().expiring_by(&timer),
            Ok(Decision::unchanged(ExpireOutcome::Nothing))
        );
    }

    #[test]
    fn an_old_timer_leaves_a_later_deadline_alone() {
        let timer = given().expiring_at(NOON).invitation.unwrap().link();
        let mut resent = given().expiring_at(NOON + SECOND);
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.expiring_by(&timer), Ok(Decision::unchanged(ExpireOutcome::Nothing)));
    }

    #[test]
    fn an_old_timer_closes_what_is_due_all_the_same() {
        let timer = given().expiring_at(NOON).invitation.unwrap().link();
        let mut resent = given().expiring_at(NOON);
        resent.invitation.as_mut().unwrap().generation = Generation(4);
        assert_eq!(resent.expiring_by(&timer).map(|it| it.answer), Ok(ExpireOutcome::Expired));
    }
}
