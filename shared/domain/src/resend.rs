//! Resend: an invitation gets a new link, a new expiry and a new sender, the member who resends it.

use crate::idempotency::{Fingerprint, Idempotent, Scope};
use crate::{
    Action, Change, Decision, Invitation, InvitationId, ItemKey, LimitScope, OrganizationId, Permission,
    Policy, Refusal, Sender, Snapshot, Status, Timestamp, UserId,
};

/// Resends an invitation. Its role and language do not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resend {
    /// The member who resends.
    pub sender: Sender,
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation; `None` if the caller sent no valid id.
    pub invitation: Option<InvitationId>,
}

impl Action for Resend {
    const NAME: &'static str = "resend";
    type Answer = Invitation;
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        let sender = ItemKey::member_and_organization(&self.organization, &self.sender.user);
        let invitation = self.invitation.as_ref().map(|id| ItemKey::invitation(&self.organization, id));
        sender.into_iter().chain(invitation).collect()
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Invitation>, Refusal> {
        let (member, organization) =
            snapshot.membership_and_organization(&self.organization, &self.sender.user)?;
        let invitation = snapshot.find_invitation(&self.organization, self.invitation.as_ref())?;
        let authority = member.require(Permission::Resend(invitation.role))?;
        match invitation.status_at(now) {
            Status::Pending | Status::Expired => {}
            status => return Err(Refusal::NotPending(status)),
        }
        let mailed = match &policy.limits {
            Some(limits) => Some(LimitScope::Sender.count(member.mailed, 1, limits.mails_per_hour, now)?),
            None => None,
        };
        invitation.may_be_mailed(policy, now)?;
        let takes_a_seat = !invitation.holds_seat();
        if takes_a_seat && organization.seats.free == 0 {
            return Err(Refusal::SeatsExhausted(organization.seats));
        }
        let resent = invitation.resent(self.sender.clone(), now, policy);
        let mut changes = vec![authority, Change::write_invitation(resent.clone())];
        changes.extend(mailed.map(|it| Change::count_mails(&organization.id, &self.sender.user, it)));
        if takes_a_seat {
            changes.push(Change::count(&organization.id, -1, 0));
        }
        Ok(Decision { changes, answer: resent })
    }
}

impl Idempotent for Resend {
    fn caller(&self) -> &UserId {
        &self.sender.user
    }

    fn scope(&self) -> Scope {
        Scope::Organization(self.organization.clone())
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(Self::NAME, self.invitation.iter().map(InvitationId::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::acme;
    use crate::testing::{
        Given, HOUR, NOON, SECOND, YESTERDAY, address, asserts, counts, given, id_of, user, written,
    };
    use crate::{
        CooldownActive, CooldownReason, CounterUpdate, Delivery, Effect, Generation, Language, LimitExceeded,
        Revision, Role, Seats,
    };

    fn resend(given: &Given) -> Resend {
        Resend { sender: given.sender(), organization: acme(), invitation: Some(id_of("ivy")) }
    }

    impl Given {
        fn resending(&self) -> Result<Decision<Invitation>, Refusal> {
            self.decide(&resend(self))
        }
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let mut setup = given().caller_is_no_member().not_invited();
        assert_eq!(setup.resending(), Err(Refusal::NoSuchOrganization));
        setup = setup.caller_is(Role::Member).seats_free(0);
        assert_eq!(setup.resending(), Err(Refusal::NoSuchInvitation));
        let no_id = Resend { invitation: None, ..resend(&setup) };
        assert_eq!(setup.decide(&no_id), Err(Refusal::NoSuchInvitation));
        setup.invitation = given().invited_as(Role::Owner).status(Status::Revoked).invitation;
        assert_eq!(setup.resending(), Err(Refusal::NotPermitted(Permission::Resend(Role::Owner))));
        setup = setup.invited_as(Role::Member);
        assert_eq!(setup.resending(), Err(Refusal::NotPending(Status::Revoked)));
        setup = setup.status(Status::Expired);
        assert_eq!(setup.resending(), Err(Refusal::SeatsExhausted(Seats { total: 10, free: 0 })));
    }

    #[test]
    fn resending_needs_the_permission_for_the_offered_role() {
        for (caller, offered, allowed) in [
            (Role::Owner, Role::Owner, true),
            (Role::Owner, Role::Member, true),
            (Role::Member, Role::Member, true),
            (Role::Member, Role::Owner, false),
        ] {
            let resending = given().caller_is(caller).invited_as(offered).resending();
            assert_eq!(resending.is_ok(), allowed, "{caller} resends {offered}");
            if let Ok(decision) = resending {
                assert!(
                    asserts(&decision, "ada", Permission::Resend(offered)),
                    "the commit asserts the caller's permission"
                );
                assert_eq!(decision.answer.role, offered, "a resend never changes the role");
            }
        }
    }

    #[test]
    fn resends_only_pending_or_expired_invitations_and_takes_a_freed_seat_again() {
        for (status, expected) in [
            (Status::Pending, Ok(0)),
            (Status::Expired, Ok(-1)),
            (Status::Accepted, Err(Refusal::NotPending(Status::Accepted))),
            (Status::Revoked, Err(Refusal::NotPending(Status::Revoked))),
            (Status::Declined, Err(Refusal::NotPending(Status::Declined))),
            (Status::Removed, Err(Refusal::NotPending(Status::Removed))),
        ] {
            let seats = given().status(status).resending().map(|it| counts(&it).0);
            assert_eq!(seats, expected, "{status}");
        }
    }

    #[test]
    fn an_expired_invitation_that_is_not_closed_yet_keeps_its_seat() {
        for expires_at in [NOON + SECOND, NOON, Timestamp::from_unix(NOON.unix() - 1)] {
            let decision = given().expiring_at(expires_at).seats_free(0).resending().unwrap();
            assert_eq!(counts(&decision), (0, 0), "{expires_at}");
        }
    }

    #[test]
    fn takes_the_last_free_seat_and_refuses_without_one() {
        assert!(given().status(Status::Expired).seats_free(1).resending().is_ok());
        assert!(given().status(Status::Expired).seats_free(0).resending().is_err());
    }

    #[test]
    fn a_resend_makes_a_new_link_expiry_and_mail_from_the_caller() {
        let before = given().sent_by("bob").delivery(Delivery::Bounced);
        let decision = before.resending().unwrap();
        let again = written(&decision);
        assert_eq!((again.generation, again.revision), (Generation(4), Revision(8)));
        assert_eq!(again.expires_at, NOON + before.policy.lifetime);
        assert_eq!((&again.sender.user, &again.sender.email), (&user("ada"), &address("ada")));
        let mail = again.mail.as_ref().unwrap();
        assert_eq!((mail.delivery, mail.sent_at, &mail.detail), (Delivery::Queued, None, &None));
        assert_eq!(
            again.created_at,
            before.invitation.unwrap().created_at,
            "a resend does not change when the address was invited"
        );
        assert_eq!(decision.answer, *again);
    }

    #[test]
    fn a_resend_keeps_the_language() {
        for language in [None, Some(Language::En), Some(Language::De)] {
            for status in [Status::Pending, Status::Expired] {
                let decision = given().status(status).in_language(language).resending().unwrap();
                assert_eq!(written(&decision).language, language, "{status}");
            }
        }
    }

    #[test]
    fn counts_a_resend_against_the_senders_hourly_limit() {
        let counted = |given: &Given| {
            let decision = given.resending().unwrap();
            decision.changes.iter().find_map(|change| match change.effect {
                Effect::CountMails(update) => Some(update),
                _ => None,
            })
        };
        assert_eq!(counted(&given()), Some(CounterUpdate::Restart { over: None, since: NOON, more: 1 }));
        let add = CounterUpdate::Add { since: NOON, more: 1, limit: 1_000 };
        assert_eq!(counted(&given().mailed(999, NOON)), Some(add));
        let full = LimitExceeded { of: LimitScope::Sender, limit: 1_000, left: 0, wait: HOUR };
        let refused = given().mailed(1_000, NOON).status(Status::Expired).seats_free(0);
        assert_eq!(refused.resending(), Err(full.into()), "limits come before seats");
        assert!(given().invited(1_500, NOON).resending().is_ok(), "a resend is not counted as an invitee");
    }

    #[test]
    fn mails_an_address_at_most_once_a_minute_and_ten_times() {
        let soon = |wait| Err(CooldownActive { why: CooldownReason::JustNow, wait }.into());
        assert_eq!(given().sent_at(NOON).resending(), soon(60 * SECOND));
        let sent = |seconds: i64| given().sent_at(Timestamp::from_unix(NOON.unix() - seconds));
        assert_eq!(sent(59).resending(), soon(SECOND));
        assert!(sent(60).resending().is_ok());
        assert!(given().generation(9).resending().is_ok());
        let all_mails_sent = |wait| Err(CooldownActive { why: CooldownReason::MailLimit(10), wait }.into());
        let days = |days: u32| days * 24 * HOUR;
        assert_eq!(
            given().generation(10).resending(),
            all_mails_sent(HOUR + days(30)),
            "it expires in one hour, and is then kept for 30 days"
        );
        let late = given().generation(10).expiring_at(YESTERDAY);
        assert_eq!(
            late.resending(),
            all_mails_sent(days(30)),
            "it can be closed now, and is then kept for 30 days"
        );
        let closed = given().generation(10).status(Status::Expired);
        assert_eq!(closed.resending(), all_mails_sent(HOUR));
        let mut unlimited = given().sent_at(NOON).generation(10);
        unlimited.policy.limits = None;
        assert!(unlimited.resending().is_ok());
    }

    #[test]
    fn an_unsent_mail_counts_from_when_it_was_queued() {
        let lifetime = given().policy.lifetime;
        let queued_at = |moment: Timestamp| given().delivery(Delivery::Queued).expiring_at(moment + lifetime);
        assert!(queued_at(NOON).resending().is_err());
        assert!(queued_at(Timestamp::from_unix(NOON.unix() - 59)).resending().is_err());
        assert!(queued_at(Timestamp::from_unix(NOON.unix() - 60)).resending().is_ok());
        assert!(
            queued_at(NOON + HOUR).resending().is_ok(),
            "the lifetime was longer when the mail was queued"
        );
        let of = |delivery| given().delivery(delivery).expiring_at(NOON + lifetime).resending();
        assert!(of(Delivery::Bounced).is_err(), "it was sent, but `sent_at` is not written yet");
        assert!(of(Delivery::Failed).is_ok(), "it was never sent");
    }

    #[test]
    fn the_fingerprint_depends_on_the_invitation() {
        let of = |name| Resend { invitation: Some(id_of(name)), ..resend(&given()) }.fingerprint();
        assert_eq!(of("ivy"), of("ivy"));
        assert_ne!(of("ivy"), of("bob"));
    }
}
