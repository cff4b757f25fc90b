//! Reconcile: what should have happened by now, and has not, is driven again.
//!
//! It trusts nothing that was to happen by itself: a stream record may have been given up, a timer may never
//! have fired. An invitation that waits too long says so itself, by `due_at`.

use std::convert::Infallible;

use crate::invitation::EXPIRY_OVERDUE;
use crate::{
    Action, Change, Decision, Delivery, Invitation, InvitationId, ItemKey, OrganizationId, Policy, Snapshot,
    State, Timestamp, delivery, expire,
};

/// An invitation that was overdue a moment ago is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// Where.
    pub organization: OrganizationId,
    /// Which invitation.
    pub invitation: InvitationId,
}

/// What was overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconcileOutcome {
    /// Its expiry: it is closed, and its seat is given back.
    Expired,
    /// Its mail: the record is written once more, so that the stream brings it to `mail` again.
    Driven {
        /// For how long the mail has been owed.
        owed_seconds: u64,
    },
    /// Nothing: it was seen to in the meantime.
    Nothing,
}

impl Action for Reconcile {
    const NAME: &'static str = "reconcile";
    type Answer = ReconcileOutcome;
    type Refusal = Infallible;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::invitation(&self.organization, &self.invitation)]
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<ReconcileOutcome>, Infallible> {
        let invitation = snapshot.invitation(&self.organization, &self.invitation);
        let overdue = invitation.filter(|it| is_overdue(it, now));
        let Some(invitation) = overdue else { return Ok(Decision::unchanged(ReconcileOutcome::Nothing)) };
        if now >= invitation.expires_at + EXPIRY_OVERDUE {
            let changes = expire::close(invitation, policy, now);
            return Ok(Decision { changes, answer: ReconcileOutcome::Expired });
        }
        // At the expiry itself it is the timer's turn first, also for one whose mail never went out.
        if now >= invitation.expires_at {
            return Ok(Decision::unchanged(ReconcileOutcome::Nothing));
        }
        if invitation.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued) {
            let owed_seconds = delivery::owed_seconds(invitation, policy, now);
            let changes = vec![Change::write(invitation.redriven(now))];
            return Ok(Decision { changes, answer: ReconcileOutcome::Driven { owed_seconds } });
        }
        Ok(Decision::unchanged(ReconcileOutcome::Nothing))
    }
}

/// Whether somebody has to look at it by `now`.
#[must_use]
pub fn is_overdue(invitation: &Invitation, now: Timestamp) -> bool {
    matches!(invitation.state, State::Pending { due_at } if now >= due_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, HOUR, NOON, SECOND, acme, counts, given, id_of, written};
    use crate::{CloseReason, Revision, Status};

    impl Given {
        fn reconciling(&self) -> Decision<ReconcileOutcome> {
            let reconcile = Reconcile { organization: acme(), invitation: id_of("ivy") };
            let Ok(decision) = self.decide(&reconcile);
            decision
        }

        /// Pending, and to be looked at by `due_at`.
        fn due_at(mut self, due_at: Timestamp) -> Self {
            self.invitation.as_mut().unwrap().state = State::Pending { due_at };
            self
        }
    }

    #[test]
    fn a_mail_that_waits_too_long_is_driven_again_and_looked_at_again_later() {
        let queued = given().delivery(Delivery::Queued).due_at(NOON);
        let before = queued.invitation.clone().unwrap();
        let decision = queued.reconciling();
        assert_eq!(decision.answer, ReconcileOutcome::Driven { owed_seconds: 47 * HOUR.as_secs() });
        let after = written(&decision);
        assert_eq!(after.state, State::Pending { due_at: NOON + 600 * SECOND });
        assert_eq!(after.revision, Revision(before.revision.0 + 1));
        assert_eq!((after.link(), &after.mail), (before.link(), &before.mail));
        assert_eq!(decision.changes.len(), 1, "no counter moves");
    }

    #[test]
    fn a_second_before_it_is_due_nothing_is() {
        let early = given().delivery(Delivery::Queued).due_at(NOON + SECOND);
        assert_eq!(early.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing));
        let early = given().delivery(Delivery::Sent).expiring_at(NOON).due_at(NOON + SECOND);
        assert_eq!(early.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing));
    }

    #[test]
    fn a_pending_one_long_past_its_expiry_is_closed_whatever_its_mail() {
        for delivery in [Delivery::Queued, Delivery::Sent, Delivery::Bounced] {
            let mut late = given().delivery(delivery).expiring_at(NOON).due_at(NOON);
            late.now = NOON + EXPIRY_OVERDUE;
            let decision = late.reconciling();
            let purge_at = late.now + late.policy.retention;
            assert_eq!(decision.answer, ReconcileOutcome::Expired, "{delivery:?}");
            let closed = State::Closed { how: CloseReason::Expired, at: late.now, purge_at };
            assert_eq!(written(&decision).state, closed);
            assert_eq!(counts(&decision), (1, 0));
        }
    }

    #[test]
    fn in_the_minutes_after_its_expiry_it_is_left_to_its_timer() {
        for seconds in [0, 299] {
            let mut queued = given().delivery(Delivery::Queued).expiring_at(NOON).due_at(NOON);
            queued.now = NOON + seconds * SECOND;
            assert_eq!(queued.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing), "{seconds} s");
        }
    }

    #[test]
    fn a_mail_that_is_not_queued_is_not_driven() {
        for delivery in [Delivery::Sent, Delivery::Failed, Delivery::Delivered, Delivery::Bounced] {
            let done = given().delivery(delivery).expiring_at(NOON + SECOND).due_at(NOON);
            assert_eq!(done.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing), "{delivery:?}");
        }
    }

    #[test]
    fn whatever_is_not_pending_needs_nothing() {
        for status in Status::ALL.into_iter().filter(|status| *status != Status::Pending) {
            let ended = given().expiring_at(NOON).status(status);
            assert_eq!(ended.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing), "{status}");
        }
        assert_eq!(given().not_invited().reconciling(), Decision::unchanged(ReconcileOutcome::Nothing));
    }

    #[test]
    fn after_it_nothing_is_overdue() {
        for (delivery, expires_at, now) in [
            (Delivery::Queued, NOON, NOON + EXPIRY_OVERDUE),
            (Delivery::Queued, NOON + SECOND, NOON),
            (Delivery::Sent, NOON, NOON + EXPIRY_OVERDUE),
        ] {
            let mut overdue = given().delivery(delivery).expiring_at(expires_at).due_at(NOON);
            overdue.now = now;
            assert!(is_overdue(overdue.invitation.as_ref().unwrap(), now));
            let decision = overdue.reconciling();
            assert!(!is_overdue(written(&decision), now), "{delivery:?}");
        }
    }
}
