//! Delivery: finds unsent mails, and records the delivery of each mail.

use std::convert::Infallible;

use crate::{
    Action, Change, Day, Decision, Delivery, Invitation, InvitationId, ItemKey, Link, Mail, MailId,
    Organization, OrganizationId, Pending, Policy, Recipient, RecipientDay, Snapshot, Status, Timestamp,
};

/// An event in the delivery of a mail, which `mail` or `feedback` records in the invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeliveryUpdate {
    /// SES accepted the mail.
    Sent,
    /// The mail will not be sent, with the reason: SES refused it for good, or the recipient's daily limit is reached.
    Failed(String),
    /// SES accepted the mail and then did not send it, with the reason.
    Rejected(String),
    /// The recipient's server accepted the mail.
    Delivered,
    /// The recipient's server refused the mail for good, with the reason.
    Bounced(String),
    /// SES reports a transient bounce, with the reason: a full mailbox, but also an out-of-office reply.
    SoftBounced(String),
    /// The recipient reported the mail as spam.
    Complained,
}

impl DeliveryUpdate {
    fn delivery(&self) -> Delivery {
        match self {
            Self::Sent => Delivery::Sent,
            Self::Failed(_) | Self::Rejected(_) => Delivery::Failed,
            Self::Delivered => Delivery::Delivered,
            Self::Bounced(_) | Self::SoftBounced(_) => Delivery::Bounced,
            Self::Complained => Delivery::Complained,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Failed(reason)
            | Self::Rejected(reason)
            | Self::Bounced(reason)
            | Self::SoftBounced(reason) => Some(reason.clone()),
            Self::Sent | Self::Delivered | Self::Complained => None,
        }
    }

    /// Returns whether the update replaces the `current` delivery.
    fn advances(&self, current: Delivery) -> bool {
        match self {
            // SES can reject a mail after it accepted it, so `Rejected` replaces `Sent`, which has the same rank.
            // `Returned` does not replace `Delivered`: the mail arrived if an out-of-office reply came back.
            Self::Rejected(_) | Self::SoftBounced(_) => matches!(current, Delivery::Queued | Delivery::Sent),
            _ => self.delivery().rank() > current.rank(),
        }
    }
}

/// Returns whether a record with these values may have an unsent mail.
///
/// It is the first filter for changes from the stream. [`FindUnsentMail`] then reads the record and decides.
#[must_use]
pub fn may_have_unsent_mail(status: Status, delivery: Option<Delivery>) -> bool {
    status == Status::Pending && delivery == Some(Delivery::Queued)
}

/// Returns the invitation if it has an unsent mail: it is pending at `now`, and its newest mail is queued.
#[must_use]
pub fn unsent_mail(invitation: &Invitation, now: Timestamp) -> Option<Pending<'_>> {
    let delivery = invitation.mail.as_ref().map(|mail| mail.delivery);
    invitation.pending_at(now).ok().filter(|_| may_have_unsent_mail(invitation.status(), delivery))
}

/// How many seconds before `now` the newest mail was queued, which is a lifetime before the invitation's expiry.
#[must_use]
pub fn queued_seconds(invitation: &Invitation, policy: &Policy, now: Timestamp) -> u64 {
    now.since(invitation.mail_queued_at(policy)).as_secs()
}

/// Finds the unsent mail of an invitation. The result is `None` if there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindUnsentMail {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
}

/// An unsent mail: an invitation and its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsentMail {
    /// The organization.
    pub organization: Organization,
    /// The invitation.
    pub invitation: Invitation,
}

/// The invitation exists, but its organization does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitation exists, but its organization does not")]
pub struct MissingOrganization;

impl Action for FindUnsentMail {
    const NAME: &'static str = "mail";
    type Answer = Option<UnsentMail>;
    type Refusal = MissingOrganization;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        let invitation = ItemKey::invitation(&self.organization, &self.invitation);
        vec![ItemKey::organization(&self.organization), invitation]
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        _: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Option<UnsentMail>>, MissingOrganization> {
        let invitation = snapshot.invitation(&self.organization, &self.invitation);
        let Some(pending) = invitation.and_then(|it| unsent_mail(it, now)) else {
            return Ok(Decision::unchanged(None));
        };
        let organization = snapshot.organization(&self.organization).ok_or(MissingOrganization)?.clone();
        let invitation = pending.invitation().clone();
        Ok(Decision::unchanged(Some(UnsentMail { organization, invitation })))
    }
}

/// Counts a mail against its recipient's daily limit, before the mail is sent. Returns whether the mail may be sent.
///
/// A retried mail counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRecipientMail {
    recipient: Recipient,
    day: Day,
    mail: MailId,
}

impl CountRecipientMail {
    /// Counts the unsent mail of `invitation` on the day of `now`.
    #[must_use]
    pub fn new(invitation: &Invitation, now: Timestamp) -> Self {
        let recipient = Recipient::of(&invitation.email);
        Self { recipient, day: Day::of(now), mail: MailId::of(&invitation.link()) }
    }

    fn item(&self) -> ItemKey {
        ItemKey::Recipient(self.recipient.clone(), self.day)
    }
}

impl Action for CountRecipientMail {
    const NAME: &'static str = "mail";
    type Answer = bool;
    type Refusal = Infallible;

    /// Nothing at first, since the guard asserts that the day has room. After a failed guard, the recipient's day.
    fn reads(&self, seen: Option<&Snapshot>) -> Vec<ItemKey> {
        seen.map(|_| self.item()).into_iter().collect()
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        _: Timestamp,
    ) -> Result<Decision<bool>, Infallible> {
        let Some(limits) = &policy.limits else { return Ok(Decision::unchanged(true)) };
        let limit = limits.mails_per_recipient;
        if snapshot.has_read(&self.item())
            && let Some(RecipientDay { mails, .. }) = snapshot.recipient_day(&self.recipient, self.day)
        {
            if mails.contains(&self.mail) {
                return Ok(Decision::unchanged(true));
            }
            if u32::try_from(mails.len()).is_ok_and(|count| count >= limit) {
                return Ok(Decision::unchanged(false));
            }
        }
        let add = Change::add_mail(self.item(), self.mail.clone(), limit, self.day.purge_at());
        Ok(Decision { changes: vec![add], answer: true })
    }
}

/// Records a delivery update in the invitation of the mail. Returns whether this changed the record.
///
/// An update of an older mail changes nothing, and no update moves a delivery backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateDelivery {
    /// The link in the mail.
    pub link: Link,
    /// The delivery update.
    pub update: DeliveryUpdate,
}

impl Action for UpdateDelivery {
    const NAME: &'static str = "feedback";
    type Answer = bool;
    type Refusal = Infallible;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::linked(&self.link)]
    }

    fn decide(&self, snapshot: &Snapshot, _: &Policy, now: Timestamp) -> Result<Decision<bool>, Infallible> {
        let Self { link, update } = self;
        let marked = snapshot.newest(link).ok();
        let Some((invitation, mail)) = marked.and_then(|it| Some((it, it.mail.as_ref()?))) else {
            return Ok(Decision::unchanged(false));
        };
        let advances = update.advances(mail.delivery);
        // A bounce may arrive before `Sent` is recorded. Then `Sent` sets the time, and the bounce stays.
        let sets_sent_at = *update == DeliveryUpdate::Sent && mail.sent_at.is_none();
        if !advances && !sets_sent_at {
            return Ok(Decision::unchanged(false));
        }
        let mail = Mail {
            delivery: if advances { update.delivery() } else { mail.delivery },
            detail: if advances { update.detail() } else { mail.detail.clone() },
            sent_at: if sets_sent_at { Some(now) } else { mail.sent_at },
        };
        Ok(Decision { changes: vec![Change::write_invitation(invitation.with_mail(mail))], answer: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, HOUR, NOON, SECOND, acme, address, given, id_of, writes_anything, written};
    use crate::{Generation, Record, State};

    impl Given {
        fn updating(&self, update: &DeliveryUpdate) -> Decision<bool> {
            let link = given().invitation.unwrap().link();
            let Ok(decision) = self.decide(&UpdateDelivery { link, update: update.clone() });
            decision
        }
    }

    fn updates() -> [DeliveryUpdate; 5] {
        let reason = || "550 no such user".to_owned();
        [
            DeliveryUpdate::Sent,
            DeliveryUpdate::Failed(reason()),
            DeliveryUpdate::Delivered,
            DeliveryUpdate::Bounced(reason()),
            DeliveryUpdate::Complained,
        ]
    }

    #[test]
    fn a_mail_was_queued_a_lifetime_before_the_expiry() {
        let given = given().expiring_at(NOON + HOUR);
        let seconds = |now| queued_seconds(given.invitation.as_ref().unwrap(), &given.policy, now);
        assert_eq!(seconds(NOON + HOUR), 48 * 60 * 60);
        assert_eq!(seconds(NOON), 47 * 60 * 60);
        // The clock may be behind, or the lifetime may have been longer when the mail was queued.
        assert_eq!(seconds(Timestamp::from_unix(0)), 0);
    }

    #[test]
    fn a_mail_is_unsent_while_it_is_queued_and_its_invitation_pending() {
        for delivery in [
            Delivery::Queued,
            Delivery::Sent,
            Delivery::Delivered,
            Delivery::Bounced,
            Delivery::Complained,
            Delivery::Failed,
        ] {
            let invitation = given().delivery(delivery).invitation.unwrap();
            assert_eq!(
                unsent_mail(&invitation, NOON).is_some(),
                delivery == Delivery::Queued,
                "{delivery:?}"
            );
        }
        for status in Status::ALL {
            let invitation = given().delivery(Delivery::Queued).status(status).invitation.unwrap();
            assert_eq!(unsent_mail(&invitation, NOON).is_some(), status == Status::Pending, "{status}");
        }
    }

    #[test]
    fn sends_no_mail_after_the_expiry() {
        let queued = given().delivery(Delivery::Queued);
        assert!(unsent_mail(&queued.clone().expiring_at(NOON + SECOND).invitation.unwrap(), NOON).is_some());
        assert!(unsent_mail(&queued.expiring_at(NOON).invitation.unwrap(), NOON).is_none());
    }

    #[test]
    fn a_founder_has_no_unsent_mail() {
        let mut founder = given().invitation.unwrap();
        founder.mail = None;
        assert!(unsent_mail(&founder, NOON).is_none());
    }

    #[test]
    fn finds_an_unsent_mail_with_its_organization() {
        let find = FindUnsentMail { organization: acme(), invitation: id_of("ivy") };
        let queued = given().delivery(Delivery::Queued);
        let unsent = queued.decide(&find).unwrap().answer.unwrap();
        assert_eq!(Some(unsent.organization), queued.organization);
        assert_eq!(Some(unsent.invitation), queued.invitation);
        assert_eq!(given().decide(&find), Ok(Decision::unchanged(None)), "it was sent");
        assert_eq!(queued.clone().not_invited().decide(&find), Ok(Decision::unchanged(None)));
        assert_eq!(queued.no_organization().decide(&find), Err(MissingOrganization));
    }

    /// The recipient's day as a snapshot holds it.
    #[derive(Debug, Clone)]
    enum KnownDay {
        NotRead,
        Absent,
        Holds(RecipientDay),
    }

    /// Decides whether ivy's mail may be sent, with this snapshot of the recipient's day.
    fn counting(given: &Given, day: KnownDay) -> Decision<bool> {
        let count = CountRecipientMail::new(given.invitation.as_ref().unwrap(), given.now);
        let read = match day {
            KnownDay::NotRead => None,
            KnownDay::Absent => Some((count.item(), None)),
            KnownDay::Holds(day) => Some((count.item(), Some(Record::Recipient(day)))),
        };
        let Ok(decision) = count.decide(&read.into_iter().collect(), &given.policy, given.now);
        decision
    }

    fn day_of(mails: impl IntoIterator<Item = u32>) -> KnownDay {
        let id = |generation| MailId::of(&Link { generation: Generation(generation), ..ivys_link() });
        let recipient = Recipient::of(&address("ivy"));
        let mails = mails.into_iter().map(id).collect();
        KnownDay::Holds(RecipientDay { recipient, day: Day::of(NOON), mails })
    }

    fn ivys_link() -> Link {
        given().invitation.unwrap().link()
    }

    #[test]
    fn counts_mails_until_the_recipients_day_is_full() {
        let queued = given().delivery(Delivery::Queued);
        let mail = MailId::of(&ivys_link());
        let day = Day::of(NOON);
        let item = ItemKey::Recipient(Recipient::of(&address("ivy")), day);
        let changes = vec![Change::add_mail(item, mail, 10, day.purge_at())];
        let counted = Decision { changes, answer: true };
        for room in [KnownDay::NotRead, KnownDay::Absent, day_of(101..110)] {
            assert_eq!(counting(&queued, room.clone()), counted, "{room:?}");
        }
        for full in [day_of(101..111), day_of(101..120)] {
            assert_eq!(counting(&queued, full.clone()), Decision::unchanged(false), "{full:?}");
        }
    }

    #[test]
    fn reads_the_recipients_day_only_after_a_failed_guard() {
        let count = CountRecipientMail::new(&given().invitation.unwrap(), NOON);
        assert_eq!(
            (count.reads(None), count.reads(Some(&Snapshot::default()))),
            (vec![], vec![count.item()])
        );
    }

    #[test]
    fn a_retried_mail_counts_once() {
        let queued = given().delivery(Delivery::Queued);
        let generation = ivys_link().generation.0;
        let counted = day_of((101..110).chain([generation]));
        assert_eq!(counting(&queued, counted), Decision::unchanged(true));
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let mut unlimited = given().delivery(Delivery::Queued);
        unlimited.policy.limits = None;
        assert_eq!(counting(&unlimited, KnownDay::NotRead), Decision::unchanged(true));
    }

    #[test]
    fn a_delivery_only_moves_forwards() {
        use Delivery::{Bounced, Complained, Delivered, Failed, Queued, Sent};
        // The delivery after each of Sent, Failed, Delivered, Bounced and Complained.
        for (before, after) in [
            (Queued, [Sent, Failed, Delivered, Bounced, Complained]),
            (Sent, [Sent, Sent, Delivered, Bounced, Complained]),
            (Delivered, [Delivered, Delivered, Delivered, Bounced, Complained]),
            (Failed, [Failed, Failed, Delivered, Bounced, Complained]),
            (Bounced, [Bounced, Bounced, Bounced, Bounced, Complained]),
            (Complained, [Complained; 5]),
        ] {
            for (update, expected) in updates().into_iter().zip(after) {
                let decision = given().delivery(before).updating(&update);
                let delivery = if writes_anything(&decision) {
                    written(&decision).mail.as_ref().unwrap().delivery
                } else {
                    before
                };
                assert_eq!(delivery, expected, "{before:?} after {update:?}");
                assert_eq!(decision.answer, writes_anything(&decision), "{before:?} after {update:?}");
            }
        }
    }

    #[test]
    fn a_reject_or_return_replaces_only_queued_and_sent() {
        use Delivery::{Bounced, Complained, Delivered, Failed, Queued, Sent};
        let rejected = DeliveryUpdate::Rejected("malicious content".to_owned());
        for (before, after) in [
            (Queued, Failed),
            (Sent, Failed),
            (Failed, Failed),
            (Delivered, Delivered),
            (Bounced, Bounced),
            (Complained, Complained),
        ] {
            let decision = given().delivery(before).updating(&rejected);
            assert_eq!(decision.answer, before != after, "{before:?}");
            if decision.answer {
                let mail = written(&decision).mail.clone().unwrap();
                assert_eq!((mail.delivery, mail.detail.is_some()), (after, true), "{before:?}");
            }
        }
        let returned = DeliveryUpdate::SoftBounced("out of office".to_owned());
        for (before, after) in
            [(Queued, Bounced), (Sent, Bounced), (Delivered, Delivered), (Complained, Complained)]
        {
            let decision = given().delivery(before).updating(&returned);
            assert_eq!(decision.answer, before != after, "{before:?}");
        }
        // If `Sent` is recorded after `Failed`, it sets the time, and the delivery stays failed.
        let sent = given().delivery(Failed).updating(&DeliveryUpdate::Sent);
        let mail = written(&sent).mail.clone().unwrap();
        assert_eq!((mail.delivery, mail.sent_at), (Failed, Some(NOON)));
    }

    #[test]
    fn sent_sets_the_time_once_even_after_a_bounce() {
        let bounced = given().delivery(Delivery::Bounced);
        let decision = bounced.updating(&DeliveryUpdate::Sent);
        let mail = written(&decision).mail.clone().unwrap();
        assert_eq!((mail.delivery, mail.sent_at), (Delivery::Bounced, Some(NOON)));
        let mut later = given().delivery(Delivery::Sent);
        later.now = NOON + HOUR;
        assert_eq!(later.updating(&DeliveryUpdate::Sent), Decision::unchanged(false));
    }

    #[test]
    fn keeps_the_reason_of_a_failure_or_bounce() {
        for update in updates() {
            let decision = given().delivery(Delivery::Queued).updating(&update);
            let has_reason = matches!(update, DeliveryUpdate::Failed(_) | DeliveryUpdate::Bounced(_));
            let detail = written(&decision).mail.as_ref().unwrap().detail.clone();
            assert_eq!(detail.is_some(), has_reason, "{update:?}");
        }
    }

    #[test]
    fn updates_of_an_older_mail_change_nothing() {
        for update in updates() {
            let mut resent = given().delivery(Delivery::Queued);
            resent.invitation.as_mut().unwrap().generation = Generation(4);
            assert_eq!(resent.updating(&update), Decision::unchanged(false), "{update:?}");
            let moved = given().delivery(Delivery::Queued).expiring_at(NOON + SECOND);
            assert_eq!(moved.updating(&update), Decision::unchanged(false), "{update:?}");
            assert_eq!(given().not_invited().updating(&update), Decision::unchanged(false), "{update:?}");
        }
    }

    #[test]
    fn after_an_update_a_pending_invitation_is_due_after_its_expiry() {
        let queued = given().delivery(Delivery::Queued);
        let due_at = queued.invitation.as_ref().unwrap().expires_at + 300 * SECOND;
        for update in updates() {
            assert_eq!(written(&queued.updating(&update)).state, State::Pending { due_at }, "{update:?}");
        }
    }

    #[test]
    fn an_update_changes_neither_status_nor_seats_nor_link() {
        for status in Status::ALL {
            for update in updates() {
                let before = given().delivery(Delivery::Queued).status(status);
                let decision = before.updating(&update);
                let (before, after) = (before.invitation.unwrap(), written(&decision));
                assert_eq!((after.status(), after.link()), (status, before.link()));
                assert_eq!(decision.changes.len(), 1, "no counter changes");
            }
        }
    }
}
