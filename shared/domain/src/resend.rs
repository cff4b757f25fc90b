//! Resend: an invitation gets a new link and a new deadline, in the name of whoever resends it.

use crate::idempotency::Fingerprint;
use crate::{
    Caller, Change, Decision, Invitation, InvitationId, Member, NotPending, Organization, Policy, Seats,
    Sender, Status, Tallied, Timestamp, TooMany, TooSoon,
};

/// What tells a request to resend `invitation` from other requests.
#[must_use]
pub fn fingerprint(invitation: &InvitationId) -> Fingerprint {
    Fingerprint::of("resend", [invitation.as_str()])
}

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
    /// More than the sender may have mailed (rule 11).
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Its address is not mailed again yet (rule 11).
    #[error(transparent)]
    TooSoon(#[from] TooSoon),
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
    let counting = match &policy.limits {
        Some(limits) => Some(Tallied::Sender.count(member.mailed, 1, limits.mails_per_hour, now)?),
        None => None,
    };
    invitation.may_be_mailed(policy, now)?;
    let takes_a_seat = !invitation.holds_seat();
    if takes_a_seat && organization.seats.free == 0 {
        return Err(Refusal::SeatsExhausted(organization.seats));
    }
    let sender = Sender { user: caller.user.clone(), email: email.clone() };
    let again = invitation.resent(sender, now, policy);
    let mut changes = vec![
        Change::mail(&organization.id, &caller.user, invitation.role, counting),
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
    use crate::testing::{
        Given, HOUR, NOON, SECOND, YESTERDAY, address, asserts_grant, counts, given, id_of, user, written,
    };
    use crate::{Counting, Delivery, Enough, Generation, Language, MemberChange, Revision, Role};

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

    #[test]
    fn a_resend_keeps_the_language_that_was_chosen() {
        for language in [None, Some(Language::En), Some(Language::De)] {
            for status in [Status::Pending, Status::Expired] {
                let decision = given().status(status).in_language(language).resending().unwrap();
                assert_eq!(written(&decision).language, language, "{status}");
            }
        }
    }

    #[test]
    fn a_resend_is_counted_to_the_senders_hour() {
        let counting = |given: &Given| match &given.resending().unwrap().plan.changes()[0] {
            Change::Member(_, _, MemberChange::Mail(Role::Member, counting)) => *counting,
            other => panic!("{other:?}"),
        };
        assert_eq!(counting(&given()), Some(Counting::Anew { over: None, since: NOON, more: 1 }));
        let on = Counting::On { since: NOON, more: 1, limit: 1_000 };
        assert_eq!(counting(&given().mailed(999, NOON)), Some(on));
        let full = TooMany { of: Tallied::Sender, limit: 1_000, left: 0, wait: HOUR };
        let refused = given().mailed(1_000, NOON).status(Status::Expired).seats_free(0);
        assert_eq!(refused.resending(), Err(full.into()), "before seats are asked for");
        assert!(given().invited(1_500, NOON).resending().is_ok(), "nobody is invited");
    }

    #[test]
    fn an_address_is_mailed_again_after_a_minute_and_ten_times_in_all() {
        let soon = |wait| Err(TooSoon { why: Enough::JustNow, wait }.into());
        assert_eq!(given().sent_at(NOON).resending(), soon(60 * SECOND));
        let sent = |seconds: i64| given().sent_at(Timestamp::from_unix(NOON.unix() - seconds));
        assert_eq!(sent(59).resending(), soon(SECOND));
        assert!(sent(60).resending().is_ok());
        assert!(given().generation(9).resending().is_ok());
        let enough = |wait| Err(TooSoon { why: Enough::Mails(10), wait }.into());
        let days = |days: u32| days * 24 * HOUR;
        assert_eq!(given().generation(10).resending(), enough(HOUR + days(30)), "an hour until it expires");
        let late = given().generation(10).expiring_at(YESTERDAY);
        assert_eq!(late.resending(), enough(days(30)), "it is closed at any moment");
        let closed = given().generation(10).status(Status::Expired);
        assert_eq!(closed.resending(), enough(HOUR));
        let mut free = given().sent_at(NOON).generation(10);
        free.policy.limits = None;
        assert!(free.resending().is_ok());
    }

    #[test]
    fn a_mail_that_has_not_gone_out_counts_from_when_it_was_asked_for() {
        let lifetime = given().policy.lifetime;
        let asked = |moment: Timestamp| given().delivery(Delivery::Queued).expiring_at(moment + lifetime);
        assert!(asked(NOON).resending().is_err());
        assert!(asked(Timestamp::from_unix(NOON.unix() - 59)).resending().is_err());
        assert!(asked(Timestamp::from_unix(NOON.unix() - 60)).resending().is_ok());
        assert!(asked(NOON + HOUR).resending().is_ok(), "asked for when a lifetime was longer");
        let of = |delivery| given().delivery(delivery).expiring_at(NOON + lifetime).resending();
        assert!(of(Delivery::Bounced).is_err(), "it went out, though nobody has noted yet when");
        assert!(of(Delivery::Failed).is_ok(), "it never did");
    }

    #[test]
    fn requests_are_told_apart_by_their_invitation() {
        assert_eq!(fingerprint(&id_of("ivy")), fingerprint(&id_of("ivy")));
        assert_ne!(fingerprint(&id_of("ivy")), fingerprint(&id_of("bob")));
    }
}
