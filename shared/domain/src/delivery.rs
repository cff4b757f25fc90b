//! Delivery: whether a mail is owed, and the marks that mail and feedback leave on its invitation.

use std::convert::Infallible;

use crate::{
    Action, Change, Day, Decision, Delivery, Invitation, InvitationId, ItemKey, Link, Mail, MailId,
    Organization, OrganizationId, Pending, Policy, Recipient, RecipientDay, Snapshot, Status, Timestamp,
};

/// What happened to a mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DeliveryUpdate {
    /// SES took it.
    Sent,
    /// SES will never take it, with the reason.
    Failed(String),
    /// SES took it, and then did not send it, with the reason.
    Rejected(String),
    /// The recipient's server took it.
    Delivered,
    /// The recipient's server refused it for good, with the reason.
    Bounced(String),
    /// It came back for the time being, with the reason: a full mailbox, but a notice of absence, too.
    Returned(String),
    /// The recipient called it spam.
    Complained,
}

impl DeliveryUpdate {
    fn delivery(&self) -> Delivery {
        match self {
            Self::Sent => Delivery::Sent,
            Self::Failed(_) | Self::Rejected(_) => Delivery::Failed,
            Self::Delivered => Delivery::Delivered,
            Self::Bounced(_) | Self::Returned(_) => Delivery::Bounced,
            Self::Complained => Delivery::Complained,
        }
    }

    fn detail(&self) -> Option<String> {
        match self {
            Self::Failed(reason)
            | Self::Rejected(reason)
            | Self::Bounced(reason)
            | Self::Returned(reason) => Some(reason.clone()),
            Self::Sent | Self::Delivered | Self::Complained => None,
        }
    }

    /// Whether it says more than what is known already.
    fn advances(&self, known: Delivery) -> bool {
        match self {
            // What was sent did not fail, whoever tried as well; but SES may think better of it.
            // And whoever is away has got it.
            Self::Rejected(_) | Self::Returned(_) => matches!(known, Delivery::Queued | Delivery::Sent),
            _ => self.delivery().rank() > known.rank(),
        }
    }
}

/// Whether a record that says this may owe a mail: what is worth a look, as far as a change alone can tell.
#[must_use]
pub fn may_owe(status: Status, delivery: Option<Delivery>) -> bool {
    status == Status::Pending && delivery == Some(Delivery::Queued)
}

/// The mail that is owed now, if one is: its invitation is pending and its newest mail is queued.
#[must_use]
pub fn owed(invitation: &Invitation, now: Timestamp) -> Option<Pending<'_>> {
    let delivery = invitation.mail.as_ref().map(|mail| mail.delivery);
    invitation.pending_at(now).ok().filter(|_| may_owe(invitation.status(), delivery))
}

/// Seconds for which the newest mail has been owed, or was, at `now`: since a lifetime before the invitation's
/// expiry, which was when it was sent.
#[must_use]
pub fn owed_seconds(invitation: &Invitation, policy: &Policy, now: Timestamp) -> u64 {
    now.since(invitation.mail_asked_at(policy)).as_secs()
}

/// Finds the mail that an invitation owes now. The answer is `None` if it owes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindOwedMail {
    /// Where.
    pub organization: OrganizationId,
    /// Which invitation.
    pub invitation: InvitationId,
}

/// A mail that is owed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwedMail {
    /// Where.
    pub organization: Organization,
    /// Which invitation.
    pub invitation: Invitation,
}

/// The record of an invitation stands without its organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an invitation without its organization")]
pub struct MissingOrganization;

impl Action for FindOwedMail {
    const NAME: &'static str = "mail";
    type Answer = Option<OwedMail>;
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
    ) -> Result<Decision<Option<OwedMail>>, MissingOrganization> {
        let invitation = snapshot.invitation(&self.organization, &self.invitation);
        let Some(pending) = invitation.and_then(|it| owed(it, now)) else {
            return Ok(Decision::unchanged(None));
        };
        let organization = snapshot.organization(&self.organization).ok_or(MissingOrganization)?.clone();
        let invitation = pending.invitation().clone();
        Ok(Decision::unchanged(Some(OwedMail { organization, invitation })))
    }
}

/// A mail is counted to its recipient's day before it is sent; answers whether there is room for it. A mail that is tried
/// again counts once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountRecipientMail {
    recipient: Recipient,
    day: Day,
    mail: MailId,
}

impl CountRecipientMail {
    /// The mail that `invitation` owes at `now`.
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

    /// Nothing at first: that there is room is taken on trust, and the guard vouches for it.
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

/// Leaves a mark on the invitation of a mail. The answer is whether that changed anything: a mark of an older mail does not,
/// and no mark moves a delivery backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateDelivery {
    /// The link in the mail.
    pub link: Link,
    /// What happened to the mail.
    pub mark: DeliveryUpdate,
}

impl Action for UpdateDelivery {
    const NAME: &'static str = "feedback";
    type Answer = bool;
    type Refusal = Infallible;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::linked(&self.link)]
    }

    fn decide(&self, snapshot: &Snapshot, _: &Policy, now: Timestamp) -> Result<Decision<bool>, Infallible> {
        let Self { link, mark } = self;
        let marked = snapshot.newest(link).ok();
        let Some((invitation, mail)) = marked.and_then(|it| Some((it, it.mail.as_ref()?))) else {
            return Ok(Decision::unchanged(false));
        };
        let advances = mark.advances(mail.delivery);
        // A bounce may arrive before `sent` is written: the moment is kept, the bounce stays.
        let dates = *mark == DeliveryUpdate::Sent && mail.sent_at.is_none();
        if !advances && !dates {
            return Ok(Decision::unchanged(false));
        }
        let marked = Mail {
            delivery: if advances { mark.delivery() } else { mail.delivery },
            detail: if advances { mark.detail() } else { mail.detail.clone() },
            sent_at: if dates { Some(now) } else { mail.sent_at },
        };
        Ok(Decision { changes: vec![Change::write(invitation.with_mail(marked))], answer: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, HOUR, NOON, SECOND, acme, address, given, id_of, writes_anything, written};
    use crate::{Generation, Record, State};

    impl Given {
        fn marking(&self, mark: &DeliveryUpdate) -> Decision<bool> {
            let link = given().invitation.unwrap().link();
            let Ok(decision) = self.decide(&UpdateDelivery { link, mark: mark.clone() });
            decision
        }
    }

    fn marks() -> [DeliveryUpdate; 5] {
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
    fn a_mail_is_owed_since_a_lifetime_before_the_expiry() {
        let given = given().expiring_at(NOON + HOUR);
        let seconds = |now| owed_seconds(given.invitation.as_ref().unwrap(), &given.policy, now);
        assert_eq!(seconds(NOON + HOUR), 48 * 60 * 60);
        assert_eq!(seconds(NOON), 47 * 60 * 60);
        // A clock that is behind, or a lifetime that was longer then.
        assert_eq!(seconds(Timestamp::from_unix(0)), 0);
    }

    #[test]
    fn a_mail_is_owed_while_it_is_queued_and_its_invitation_open() {
        for delivery in [
            Delivery::Queued,
            Delivery::Sent,
            Delivery::Delivered,
            Delivery::Bounced,
            Delivery::Complained,
            Delivery::Failed,
        ] {
            let invitation = given().delivery(delivery).invitation.unwrap();
            assert_eq!(owed(&invitation, NOON).is_some(), delivery == Delivery::Queued, "{delivery:?}");
        }
        for status in Status::ALL {
            let invitation = given().delivery(Delivery::Queued).status(status).invitation.unwrap();
            assert_eq!(owed(&invitation, NOON).is_some(), status == Status::Pending, "{status}");
        }
    }

    #[test]
    fn nobody_is_mailed_a_link_that_is_dead_on_arrival() {
        let queued = given().delivery(Delivery::Queued);
        assert!(owed(&queued.clone().expiring_at(NOON + SECOND).invitation.unwrap(), NOON).is_some());
        assert!(owed(&queued.expiring_at(NOON).invitation.unwrap(), NOON).is_none());
    }

    #[test]
    fn a_founder_is_owed_no_mail() {
        let mut founder = given().invitation.unwrap();
        founder.mail = None;
        assert!(owed(&founder, NOON).is_none());
    }

    #[test]
    fn a_mail_that_is_owed_is_found_with_its_organization() {
        let find = FindOwedMail { organization: acme(), invitation: id_of("ivy") };
        let queued = given().delivery(Delivery::Queued);
        let owed = queued.decide(&find).unwrap().answer.unwrap();
        assert_eq!(Some(owed.organization), queued.organization);
        assert_eq!(Some(owed.invitation), queued.invitation);
        assert_eq!(given().decide(&find), Ok(Decision::unchanged(None)), "it was sent");
        assert_eq!(queued.clone().not_invited().decide(&find), Ok(Decision::unchanged(None)));
        assert_eq!(queued.no_organization().decide(&find), Err(MissingOrganization));
    }

    /// What a snapshot says of the recipient's day.
    #[derive(Debug, Clone)]
    enum KnownDay {
        NotRead,
        Absent,
        Holds(RecipientDay),
    }

    /// Whether ivy's mail is sent, and what is counted for that.
    fn admitting(given: &Given, day: KnownDay) -> Decision<bool> {
        let admit = CountRecipientMail::new(given.invitation.as_ref().unwrap(), given.now);
        let read = match day {
            KnownDay::NotRead => None,
            KnownDay::Absent => Some((admit.item(), None)),
            KnownDay::Holds(day) => Some((admit.item(), Some(Record::Recipient(day)))),
        };
        let Ok(decision) = admit.decide(&read.into_iter().collect(), &given.policy, given.now);
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
    fn a_mail_counts_to_its_recipients_day_until_that_is_full() {
        let queued = given().delivery(Delivery::Queued);
        let mail = MailId::of(&ivys_link());
        let day = Day::of(NOON);
        let item = ItemKey::Recipient(Recipient::of(&address("ivy")), day);
        let changes = vec![Change::add_mail(item, mail, 10, day.purge_at())];
        let counted = Decision { changes, answer: true };
        for room in [KnownDay::NotRead, KnownDay::Absent, day_of(101..110)] {
            assert_eq!(admitting(&queued, room.clone()), counted, "{room:?}");
        }
        for full in [day_of(101..111), day_of(101..120)] {
            assert_eq!(admitting(&queued, full.clone()), Decision::unchanged(false), "{full:?}");
        }
    }

    #[test]
    fn the_recipients_day_is_read_after_a_lost_race_only() {
        let admit = CountRecipientMail::new(&given().invitation.unwrap(), NOON);
        assert_eq!(
            (admit.reads(None), admit.reads(Some(&Snapshot::default()))),
            (vec![], vec![admit.item()])
        );
    }

    #[test]
    fn a_mail_that_is_tried_again_was_counted() {
        let queued = given().delivery(Delivery::Queued);
        let generation = ivys_link().generation.0;
        let counted = day_of((101..110).chain([generation]));
        assert_eq!(admitting(&queued, counted), Decision::unchanged(true));
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let mut free = given().delivery(Delivery::Queued);
        free.policy.limits = None;
        assert_eq!(admitting(&free, KnownDay::NotRead), Decision::unchanged(true));
    }

    #[test]
    fn deliveries_only_move_forwards() {
        use Delivery::{Bounced, Complained, Delivered, Failed, Queued, Sent};
        // What each standing becomes by Sent, Failed, Delivered, Bounced, Complained.
        for (before, after) in [
            (Queued, [Sent, Failed, Delivered, Bounced, Complained]),
            (Sent, [Sent, Sent, Delivered, Bounced, Complained]),
            (Delivered, [Delivered, Delivered, Delivered, Bounced, Complained]),
            (Failed, [Failed, Failed, Delivered, Bounced, Complained]),
            (Bounced, [Bounced, Bounced, Bounced, Bounced, Complained]),
            (Complained, [Complained; 5]),
        ] {
            for (mark, expected) in marks().into_iter().zip(after) {
                let decision = given().delivery(before).marking(&mark);
                let delivery = if writes_anything(&decision) {
                    written(&decision).mail.as_ref().unwrap().delivery
                } else {
                    before
                };
                assert_eq!(delivery, expected, "{before:?} marked {mark:?}");
                assert_eq!(decision.answer, writes_anything(&decision), "{before:?} marked {mark:?}");
            }
        }
    }

    #[test]
    fn what_is_rejected_or_comes_back_later_counts_unless_the_mail_has_arrived() {
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
            let decision = given().delivery(before).marking(&rejected);
            assert_eq!(decision.answer, before != after, "{before:?}");
            if decision.answer {
                let mail = written(&decision).mail.clone().unwrap();
                assert_eq!((mail.delivery, mail.detail.is_some()), (after, true), "{before:?}");
            }
        }
        let returned = DeliveryUpdate::Returned("out of office".to_owned());
        for (before, after) in
            [(Queued, Bounced), (Sent, Bounced), (Delivered, Delivered), (Complained, Complained)]
        {
            let decision = given().delivery(before).marking(&returned);
            assert_eq!(decision.answer, before != after, "{before:?}");
        }
        // `sent` may be written after it; the moment is kept, and it stays failed.
        let sent = given().delivery(Failed).marking(&DeliveryUpdate::Sent);
        let mail = written(&sent).mail.clone().unwrap();
        assert_eq!((mail.delivery, mail.sent_at), (Failed, Some(NOON)));
    }

    #[test]
    fn sent_keeps_the_moment_even_if_the_bounce_came_first_and_only_once() {
        let bounced = given().delivery(Delivery::Bounced);
        let decision = bounced.marking(&DeliveryUpdate::Sent);
        let mail = written(&decision).mail.clone().unwrap();
        assert_eq!((mail.delivery, mail.sent_at), (Delivery::Bounced, Some(NOON)));
        let mut later = given().delivery(Delivery::Sent);
        later.now = NOON + HOUR;
        assert_eq!(later.marking(&DeliveryUpdate::Sent), Decision::unchanged(false));
    }

    #[test]
    fn a_reason_is_kept_for_a_person() {
        for mark in marks() {
            let decision = given().delivery(Delivery::Queued).marking(&mark);
            let has_reason = matches!(mark, DeliveryUpdate::Failed(_) | DeliveryUpdate::Bounced(_));
            let detail = written(&decision).mail.as_ref().unwrap().detail.clone();
            assert_eq!(detail.is_some(), has_reason, "{mark:?}");
        }
    }

    #[test]
    fn marks_of_an_older_mail_change_nothing() {
        for mark in marks() {
            let mut resent = given().delivery(Delivery::Queued);
            resent.invitation.as_mut().unwrap().generation = Generation(4);
            assert_eq!(resent.marking(&mark), Decision::unchanged(false), "{mark:?}");
            let moved = given().delivery(Delivery::Queued).expiring_at(NOON + SECOND);
            assert_eq!(moved.marking(&mark), Decision::unchanged(false), "{mark:?}");
            assert_eq!(given().not_invited().marking(&mark), Decision::unchanged(false), "{mark:?}");
        }
    }

    #[test]
    fn once_no_mail_is_owed_a_pending_invitation_waits_for_its_expiry() {
        let queued = given().delivery(Delivery::Queued);
        let due_at = queued.invitation.as_ref().unwrap().expires_at + 300 * SECOND;
        for mark in marks() {
            assert_eq!(written(&queued.marking(&mark)).state, State::Pending { due_at }, "{mark:?}");
        }
    }

    #[test]
    fn a_mark_moves_neither_status_nor_seat_nor_link() {
        for status in Status::ALL {
            for mark in marks() {
                let before = given().delivery(Delivery::Queued).status(status);
                let decision = before.marking(&mark);
                let (before, after) = (before.invitation.unwrap(), written(&decision));
                assert_eq!((after.status(), after.link()), (status, before.link()));
                assert_eq!(decision.changes.len(), 1, "no counter moves");
            }
        }
    }
}
