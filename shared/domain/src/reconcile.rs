//! Reconcile: repairs an invitation if its expiry or its mail is overdue.
//!
//! The stream gives up on a record after too many failures, and a timer may never fire. So each pending invitation
//! stores a time `due_at`, by which reconcile finds it (invariant: overdue work is found by date).

use std::convert::Infallible;

use crate::invitation::EXPIRY_OVERDUE;
use crate::{
    Action, Change, Decision, Delivery, Invitation, InvitationId, ItemKey, OrganizationId, Policy, Snapshot,
    State, Timestamp, delivery, expire,
};

/// Repairs one invitation that was overdue when the index was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconcile {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
}

/// What was overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconcileOutcome {
    /// The expiry: the invitation is closed, and its seat is given back.
    Expired,
    /// The mail: the record is written again, so that the stream passes it to `mail` again.
    Requeued {
        /// How long the mail has been queued, in seconds.
        queued_seconds: u64,
    },
    /// Nothing: the record changed in the meantime, or the expiry's timer still has time to close it.
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
        // From the expiry on the timer has 5 minutes to close the invitation, even if the mail is still queued.
        if now >= invitation.expires_at {
            return Ok(Decision::unchanged(ReconcileOutcome::Nothing));
        }
        if invitation.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued) {
            let queued_seconds = delivery::queued_seconds(invitation, policy, now);
            let changes = vec![Change::write_invitation(invitation.requeued(now))];
            return Ok(Decision { changes, answer: ReconcileOutcome::Requeued { queued_seconds } });
        }
        Ok(Decision::unchanged(ReconcileOutcome::Nothing))
    }
}

/// Returns whether the invitation is pending and its `due_at` is reached.
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

        /// Makes the invitation pending with this `due_at`.
        fn due_at(mut self, due_at: Timestamp) -> Self {
            self.invitation.as_mut().unwrap().state = State::Pending { due_at };
            self
        }
    }

    #[test]
    fn requeues_an_overdue_mail_with_a_later_due_at() {
        let queued = given().delivery(Delivery::Queued).due_at(NOON);
        let before = queued.invitation.clone().unwrap();
        let decision = queued.reconciling();
        assert_eq!(decision.answer, ReconcileOutcome::Requeued { queued_seconds: 47 * HOUR.as_secs() });
        let after = written(&decision);
        assert_eq!(after.state, State::Pending { due_at: NOON + 600 * SECOND });
        assert_eq!(after.revision, Revision(before.revision.0 + 1));
        assert_eq!((after.link(), &after.mail), (before.link(), &before.mail));
        assert_eq!(decision.changes.len(), 1, "no counter changes");
    }

    #[test]
    fn does_nothing_one_second_before_due_at() {
        let early = given().delivery(Delivery::Queued).due_at(NOON + SECOND);
        assert_eq!(early.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing));
        let early = given().delivery(Delivery::Sent).expiring_at(NOON).due_at(NOON + SECOND);
        assert_eq!(early.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing));
    }

    #[test]
    fn closes_an_invitation_5_minutes_past_its_expiry_for_any_delivery() {
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
    fn does_nothing_in_the_first_5_minutes_after_the_expiry() {
        for seconds in [0, 299] {
            let mut queued = given().delivery(Delivery::Queued).expiring_at(NOON).due_at(NOON);
            queued.now = NOON + seconds * SECOND;
            assert_eq!(queued.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing), "{seconds} s");
        }
    }

    #[test]
    fn does_not_requeue_a_mail_that_is_not_queued() {
        for delivery in [Delivery::Sent, Delivery::Failed, Delivery::Delivered, Delivery::Bounced] {
            let done = given().delivery(delivery).expiring_at(NOON + SECOND).due_at(NOON);
            assert_eq!(done.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing), "{delivery:?}");
        }
    }

    #[test]
    fn does_nothing_if_the_invitation_is_not_pending() {
        for status in Status::ALL.into_iter().filter(|status| *status != Status::Pending) {
            let not_pending = given().expiring_at(NOON).status(status);
            assert_eq!(not_pending.reconciling(), Decision::unchanged(ReconcileOutcome::Nothing), "{status}");
        }
        assert_eq!(given().not_invited().reconciling(), Decision::unchanged(ReconcileOutcome::Nothing));
    }

    #[test]
    fn the_written_record_is_not_overdue() {
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
