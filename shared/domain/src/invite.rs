//! Invite: a member invites addresses, all with one role. If too few seats are free, the whole call is refused.

use std::collections::HashSet;

use crate::idempotency::{Fingerprint, Idempotent, Scope};
use crate::{
    Action, Change, CounterUpdate, Decision, EmailAddress, Invitation, InvitationId, ItemKey, Language,
    LimitExceeded, LimitScope, Member, Organization, OrganizationId, Permission, Policy, Refusal, Role,
    Sender, Snapshot, Status, Timestamp, UserId,
};

/// The most addresses in one call. With the organization and the sender they are 52 of the 100 items of a transaction.
pub const ADDRESSES_MAX: usize = 50;

/// Invites addresses to an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// The member who invites.
    pub sender: Sender,
    /// The organization.
    pub organization: OrganizationId,
    /// The addresses to invite.
    pub invitees: Invitees,
    /// The role offered to all of them.
    pub role: Role,
    /// The language of the mails; `None` selects the deployment's language.
    pub language: Option<Language>,
}

/// Distinct addresses in the order of their first appearance, each with the index of that appearance in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitees(Vec<(usize, EmailAddress)>);

impl FromIterator<EmailAddress> for Invitees {
    /// Keeps the first appearance of each address.
    fn from_iter<Emails: IntoIterator<Item = EmailAddress>>(emails: Emails) -> Self {
        let mut seen = HashSet::new();
        Self(emails.into_iter().enumerate().filter(|(_, email)| seen.insert(email.clone())).collect())
    }
}

impl Invitees {
    /// The addresses, in order.
    pub fn emails(&self) -> impl Iterator<Item = &EmailAddress> {
        self.0.iter().map(|(_, email)| email)
    }
}

/// The result for one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InviteOutcome {
    /// The address is invited.
    Invited(Box<Invitation>),
    /// The address has a pending invitation, which stays unchanged.
    AlreadyInvited {
        /// The address.
        email: EmailAddress,
        /// The role that the pending invitation offers.
        role: Role,
    },
    /// The address belongs to a member.
    AlreadyMember(EmailAddress),
}

impl Action for Invite {
    const NAME: &'static str = "invite";
    /// One outcome for each address, in the order of the addresses.
    type Answer = Vec<InviteOutcome>;
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        let sender = ItemKey::member_and_organization(&self.organization, &self.sender.user);
        let id = |email| {
            ItemKey::Invitation(self.organization.clone(), InvitationId::of(&self.organization, email))
        };
        sender.into_iter().chain(self.invitees.emails().map(id)).collect()
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Vec<InviteOutcome>>, Refusal> {
        let (member, organization) =
            snapshot.membership_and_organization(&self.organization, &self.sender.user)?;
        let mut changes = vec![member.require(Permission::Invite(self.role))?];
        let mut outcomes = Vec::with_capacity(self.invitees.0.len());
        let (mut invited, mut seats_needed) = (0_u32, 0_u32);
        let mut too_soon = Vec::new();
        for (index, email) in &self.invitees.0 {
            let id = InvitationId::of(&self.organization, email);
            let before = snapshot.invitation(&self.organization, &id);
            match before.map(|before| (before, before.status_at(now))) {
                Some((before, Status::Accepted)) => {
                    changes.push(Change::still_accepted(before));
                    outcomes.push(InviteOutcome::AlreadyMember(email.clone()));
                }
                Some((before, Status::Pending)) => {
                    changes.push(Change::still_pending(before));
                    let (email, role) = (email.clone(), before.role);
                    outcomes.push(InviteOutcome::AlreadyInvited { email, role });
                }
                _ => {
                    if let Some(Err(cooldown)) = before.map(|before| before.may_be_mailed(policy, now)) {
                        too_soon.push((*index, cooldown));
                    }
                    invited += 1;
                    // A pending invitation past its expiry still holds a seat. The new invitation keeps that seat.
                    if !before.is_some_and(Invitation::holds_seat) {
                        seats_needed += 1;
                    }
                    let invitation = self.invitation(before, email, policy, now);
                    changes.push(Change::write_invitation(invitation.clone()));
                    outcomes.push(InviteOutcome::Invited(Box::new(invitation)));
                }
            }
        }
        let (per_day, per_hour) = count_invitees(member, organization, invited, policy, now)?;
        if !too_soon.is_empty() {
            return Err(Refusal::AddressesTooSoon(too_soon));
        }
        if seats_needed > organization.seats.free {
            return Err(Refusal::SeatsExhausted(organization.seats));
        }
        changes.extend(per_hour.map(|it| Change::count_mails(&self.organization, &member.user, it)));
        if seats_needed > 0 || per_day.is_some() {
            changes.push(Change::take_seats(&self.organization, seats_needed, per_day));
        }
        Ok(Decision { changes, answer: outcomes })
    }
}

impl Invite {
    /// The new record of an address; `before` is its stored record, if any.
    fn invitation(
        &self,
        before: Option<&Invitation>,
        email: &EmailAddress,
        policy: &Policy,
        now: Timestamp,
    ) -> Invitation {
        let Self { sender, organization, role, .. } = self;
        Invitation::new(before, organization, email, *role, sender.clone(), now, policy)
            .in_language(self.language)
    }
}

impl Idempotent for Invite {
    fn caller(&self) -> &UserId {
        &self.sender.user
    }

    fn scope(&self) -> Scope {
        Scope::Organization(self.organization.clone())
    }

    fn fingerprint(&self) -> Fingerprint {
        let emails = self.invitees.emails().map(EmailAddress::as_str);
        // No address is a language code. So a request without a language never has the parts of one with a language.
        let language = self.language.map(Language::as_str);
        Fingerprint::of(Self::NAME, [self.role.as_str()].into_iter().chain(language).chain(emails))
    }
}

/// Counts new invitees against the organization's limit per day and the sender's limit per hour.
fn count_invitees(
    member: &Member,
    organization: &Organization,
    invited: u32,
    policy: &Policy,
    now: Timestamp,
) -> Result<(Option<CounterUpdate>, Option<CounterUpdate>), LimitExceeded> {
    let Some(limits) = policy.limits.filter(|_| invited > 0) else { return Ok((None, None)) };
    let per_day =
        LimitScope::Organization.count(organization.invited, invited, limits.invitees_per_day, now)?;
    let per_hour = LimitScope::Sender.count(member.mailed, invited, limits.mails_per_hour, now)?;
    Ok((Some(per_day), Some(per_hour)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, HOUR, NOON, SECOND, acme, address, asserts, contains, counts, given, id_of, invitation, items,
        user, writes, writes_anything,
    };
    use crate::{
        CHANGES_MAX, CooldownActive, CooldownReason, Delivery, Effect, Generation, Revision, Seats, State,
    };

    impl Given {
        fn invite(&self, emails: &[EmailAddress], role: Role) -> Invite {
            let invitees = emails.iter().cloned().collect();
            Invite { sender: self.sender(), organization: acme(), invitees, role, language: None }
        }

        fn inviting_all(
            &self,
            emails: &[EmailAddress],
            role: Role,
        ) -> Result<Decision<Vec<InviteOutcome>>, Refusal> {
            self.decide(&self.invite(emails, role))
        }

        fn inviting(&self, names: &[&str], role: Role) -> Result<Decision<Vec<InviteOutcome>>, Refusal> {
            self.inviting_all(&names.iter().copied().map(address).collect::<Vec<_>>(), role)
        }
    }

    /// One letter for each outcome: `i` invited, `a` already invited, `m` already a member.
    fn outcome_letters(decision: &Decision<Vec<InviteOutcome>>) -> String {
        let letter = |outcome: &InviteOutcome| match outcome {
            InviteOutcome::Invited(_) => 'i',
            InviteOutcome::AlreadyInvited { .. } => 'a',
            InviteOutcome::AlreadyMember(_) => 'm',
        };
        decision.answer.iter().map(letter).collect()
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let mut setup = given().caller_is_no_member().no_organization();
        assert_eq!(setup.inviting(&["bob"], Role::Owner), Err(Refusal::NoSuchOrganization));
        setup = given().caller_is(Role::Member).seats_free(0);
        let not_permitted = Err(Refusal::NotPermitted(Permission::Invite(Role::Owner)));
        assert_eq!(setup.inviting(&["bob"], Role::Owner), not_permitted);
        let full = Err(Refusal::SeatsExhausted(Seats { total: 10, free: 0 }));
        assert_eq!(setup.inviting(&["bob"], Role::Member), full);
    }

    #[test]
    fn owners_invite_with_any_role_and_members_only_as_member() {
        for (caller, role, allowed) in [
            (Role::Owner, Role::Owner, true),
            (Role::Owner, Role::Member, true),
            (Role::Member, Role::Member, true),
            (Role::Member, Role::Owner, false),
        ] {
            let inviting = given().caller_is(caller).inviting(&["bob"], role);
            assert_eq!(inviting.is_ok(), allowed, "{caller} invites {role}");
            if let Ok(decision) = inviting {
                assert!(
                    asserts(&decision, "ada", Permission::Invite(role)),
                    "the commit asserts the caller's permission"
                );
                assert_eq!(writes(&decision).next().map(|it| it.role), Some(role));
            }
        }
    }

    #[test]
    fn a_new_address_gets_a_pending_record_with_queued_mail_and_takes_a_seat() {
        let decision = given().inviting(&["bob"], Role::Member).unwrap();
        let record = writes(&decision).next().unwrap();
        assert_eq!(record.id, id_of("bob"));
        assert_eq!((record.generation, record.revision), (Generation(1), Revision::FIRST));
        assert_eq!((record.created_at, record.expires_at), (NOON, NOON + given().policy.lifetime));
        assert_eq!(record.mail.as_ref().map(|mail| mail.delivery), Some(Delivery::Queued));
        let due_at = NOON + 600 * SECOND;
        assert_eq!(
            record.state,
            State::Pending { due_at },
            "reconcile checks the record if its mail is still queued"
        );
        assert_eq!((&record.sender.user, &record.sender.email), (&user("ada"), &address("ada")));
        assert_eq!(decision.answer, [InviteOutcome::Invited(Box::new(record.clone()))]);
        assert_eq!(counts(&decision), (-1, 0));
    }

    #[test]
    fn outcome_and_seats_depend_on_the_status_of_the_record() {
        for (status, outcome, seats) in [
            (Status::Pending, "a", 0),
            (Status::Accepted, "m", 0),
            (Status::Revoked, "i", -1),
            (Status::Expired, "i", -1),
            (Status::Declined, "i", -1),
            (Status::Removed, "i", -1),
        ] {
            let decision = given().status(status).inviting(&["ivy"], Role::Member).unwrap();
            assert_eq!(
                (outcome_letters(&decision).as_str(), counts(&decision).0),
                (outcome, seats),
                "{status}"
            );
        }
    }

    #[test]
    fn an_address_that_is_already_invited_has_the_role_of_its_pending_invitation() {
        for pending in Role::ALL {
            for role in Role::ALL {
                let decision = given().invited_as(pending).inviting(&["ivy"], role).unwrap();
                let expected = InviteOutcome::AlreadyInvited { email: address("ivy"), role: pending };
                assert_eq!(decision.answer, [expected]);
                assert!(!writes_anything(&decision), "the invitation stays unchanged");
            }
        }
    }

    #[test]
    fn inviting_a_closed_address_rewrites_its_record_with_the_next_generation() {
        let closed = given().status(Status::Removed).invited_as(Role::Owner);
        let decision = closed.inviting(&["ivy"], Role::Member).unwrap();
        let record = writes(&decision).next().unwrap();
        assert_eq!((record.generation, record.revision), (Generation(4), Revision(8)));
        assert_eq!(
            (record.role, record.created_at),
            (Role::Member, NOON),
            "the new offer keeps nothing of the old one"
        );
    }

    #[test]
    fn the_mail_uses_the_language_of_this_call() {
        let languages = [None, Some(Language::En), Some(Language::De)];
        for before in languages {
            let given = given().status(Status::Revoked).in_language(before);
            for chosen in languages {
                let invite = given.invite(&[address("ivy"), address("bob")], Role::Member);
                let decision = given.decide(&Invite { language: chosen, ..invite }).unwrap();
                let written: Vec<_> = writes(&decision).map(|it| it.language).collect();
                assert_eq!(written, [chosen, chosen], "{before:?}");
            }
        }
    }

    #[test]
    fn inviting_again_after_the_expiry_keeps_the_seat() {
        let open = given().expiring_at(NOON + SECOND).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!(outcome_letters(&open), "a");
        let expired = given().expiring_at(NOON).seats_free(0).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!(outcome_letters(&expired), "i");
        assert_eq!(counts(&expired), (0, 0));
        let closed = given().status(Status::Expired).seats_free(0);
        assert!(
            closed.inviting(&["ivy"], Role::Member).is_err(),
            "its seat was given back, and no seat is free"
        );
    }

    #[test]
    fn takes_the_last_free_seats_and_refuses_if_one_is_missing() {
        let decision = given().seats_free(2).inviting(&["bob", "cyd", "ivy"], Role::Member).unwrap();
        assert_eq!((outcome_letters(&decision).as_str(), counts(&decision).0), ("iia", -2));
        let refused = given().seats_free(1).inviting(&["bob", "cyd", "ivy"], Role::Member);
        assert_eq!(refused, Err(Refusal::SeatsExhausted(Seats { total: 10, free: 1 })));
    }

    #[test]
    fn a_repeated_address_gets_one_outcome_at_its_first_position() {
        let emails = ["cyd@x.example", "bob@x.example", "CYD@X.example", "ada@x.example", "bob@x.example"];
        let emails = emails.map(|text| EmailAddress::parse(text).unwrap());
        let decision = given().inviting_all(&emails, Role::Member).unwrap();
        let invited: Vec<_> = writes(&decision).map(|it| it.email.clone()).collect();
        assert_eq!(invited, ["cyd", "bob", "ada"].map(address));
        assert!(Invitees::from_iter(emails).emails().eq(&invited));
    }

    #[test]
    fn asserts_the_records_that_stay_unchanged() {
        for (status, check) in [
            (Status::Pending, Change::still_pending(&invitation("ivy", Status::Pending))),
            (Status::Accepted, Change::still_accepted(&invitation("ivy", Status::Accepted))),
        ] {
            let decision = given().status(status).inviting(&["ivy", "bob"], Role::Member).unwrap();
            assert!(contains(&decision, &check));
        }
    }

    #[test]
    fn a_call_without_new_invitees_writes_nothing() {
        let decision = given().inviting(&["ivy"], Role::Member).unwrap();
        assert!(!writes_anything(&decision));
        // If the call has an idempotency key, its stored response is written together with these checks.
        assert!(asserts(&decision, "ada", Permission::Invite(Role::Member)));
        assert_eq!(decision.changes.len(), 2);
    }

    #[test]
    fn the_largest_call_fits_one_transaction_with_one_change_per_item() {
        let names: Vec<_> = (0..ADDRESSES_MAX).map(|number| format!("p{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let decision = given().seats_free(50).inviting(&names, Role::Owner).unwrap();
        let keys = items(&decision);
        let distinct: HashSet<_> = keys.iter().collect();
        assert_eq!((keys.len(), distinct.len()), (52, 52));
        assert!(keys.len() <= CHANGES_MAX);
        assert!(keys.contains(&ItemKey::member(&acme(), &user("ada"))));
        assert_eq!(counts(&decision), (-50, 0));
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let mut unlimited = given();
        unlimited.policy.limits = None;
        let decision = unlimited.inviting(&["bob"], Role::Member).unwrap();
        assert!(asserts(&decision, "ada", Permission::Invite(Role::Member)));
        assert_eq!(counted(&decision), (None, None));
        assert!(
            unlimited.invited(10_000, NOON).mailed(10_000, NOON).inviting(&["bob"], Role::Member).is_ok()
        );
    }

    /// The updates of the counters: the organization's for a day, and the sender's for an hour.
    fn counted(decision: &Decision<Vec<InviteOutcome>>) -> (Option<CounterUpdate>, Option<CounterUpdate>) {
        let per_day = decision.changes.iter().find_map(|change| match change.effect {
            Effect::Count { invited, .. } => invited,
            _ => None,
        });
        let per_hour = decision.changes.iter().find_map(|change| match change.effect {
            Effect::CountMails(update) => Some(update),
            _ => None,
        });
        (per_day, per_hour)
    }

    #[test]
    fn counts_only_new_invitees() {
        let restart = |more| Some(CounterUpdate::Restart { over: None, since: NOON, more });
        let decision = given().inviting(&["bob", "ivy", "cyd", "bob"], Role::Member).unwrap();
        assert_eq!(
            counted(&decision),
            (restart(2), restart(2)),
            "ivy is already invited, and bob is listed twice"
        );
        let running = given().invited(7, NOON).mailed(5, NOON).inviting(&["bob"], Role::Member).unwrap();
        let add = |limit| Some(CounterUpdate::Add { since: NOON, more: 1, limit });
        assert_eq!(counted(&running), (add(1_500), add(1_000)));
        assert_eq!(counted(&given().inviting(&["ivy"], Role::Member).unwrap()), (None, None));
        let expired = given().expiring_at(NOON).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!((counted(&expired), counts(&expired).0), ((restart(1), restart(1)), 0));
    }

    #[test]
    fn refuses_to_exceed_the_organizations_daily_and_the_senders_hourly_limit() {
        let full = |of, limit, left, hours| {
            Err(Refusal::LimitExceeded(LimitExceeded { of, limit, left, wait: hours * HOUR }))
        };
        let day = |count| given().invited(count, NOON).inviting(&["bob", "cyd"], Role::Member);
        assert!(day(1_498).is_ok());
        assert_eq!(day(1_499), full(LimitScope::Organization, 1_500, 1, 24));
        let hour = |count| given().mailed(count, NOON).inviting(&["bob", "cyd"], Role::Member);
        assert!(hour(998).is_ok());
        assert_eq!(hour(999), full(LimitScope::Sender, 1_000, 1, 1));
        let both_full = given().invited(1_500, NOON).mailed(1_000, NOON).seats_free(0);
        let refused = both_full.inviting(&["bob"], Role::Member);
        assert_eq!(refused, full(LimitScope::Organization, 1_500, 0, 24), "limits come before seats");
        assert_eq!(
            outcome_letters(&both_full.inviting(&["ivy"], Role::Member).unwrap()),
            "a",
            "no mail is sent"
        );
    }

    #[test]
    fn refuses_recently_mailed_addresses_by_their_index() {
        let again = |given: Given| given.inviting(&["bob", "BOB", "ivy"], Role::Member);
        let soon = |why, wait| Err(Refusal::AddressesTooSoon(vec![(2, CooldownActive { why, wait })]));
        let closed = || given().status(Status::Revoked).seats_free(0);
        assert_eq!(
            again(closed().sent_at(NOON)),
            soon(CooldownReason::JustNow, 60 * SECOND),
            "the cooldown comes before seats"
        );
        let too_recent = Timestamp::from_unix(NOON.unix() - 59);
        assert_eq!(again(closed().sent_at(too_recent)), soon(CooldownReason::JustNow, SECOND));
        let all_mails_sent = closed().sent_at(NOON).generation(10);
        // The record was closed at noon, and may be deleted an hour later.
        assert_eq!(again(all_mails_sent), soon(CooldownReason::MailLimit(10), HOUR));
        let long_enough_ago = Timestamp::from_unix(NOON.unix() - 60);
        assert!(again(given().status(Status::Revoked).sent_at(long_enough_ago).generation(9)).is_ok());
        assert!(again(given().sent_at(NOON)).is_ok(), "a pending invitation stays unchanged");
    }

    #[test]
    fn ignores_a_record_past_its_retention() {
        let mut purgeable = given().status(Status::Revoked).sent_at(NOON).generation(10);
        purgeable.now = NOON + HOUR;
        let decision = purgeable.inviting(&["ivy"], Role::Member).unwrap();
        let record = writes(&decision).next().unwrap();
        assert_eq!(
            (record.generation, record.revision),
            (Generation(1), Revision(8)),
            "generations start again at 1"
        );
        purgeable.now = NOON + 3_599 * SECOND;
        assert!(purgeable.inviting(&["ivy"], Role::Member).is_err());
    }

    #[test]
    fn the_fingerprint_depends_on_role_language_and_addresses() {
        let invite = |names: &[&str], role| {
            given().invite(&names.iter().copied().map(address).collect::<Vec<_>>(), role)
        };
        let of = |names: &[&str], role| invite(names, role).fingerprint();
        let one = of(&["bob", "cyd"], Role::Member);
        let in_language =
            |it| Invite { language: Some(it), ..invite(&["bob", "cyd"], Role::Member) }.fingerprint();
        assert_eq!(
            one,
            of(&["bob", "cyd", "bob"], Role::Member),
            "a repeated address does not change the request"
        );
        for other in [
            of(&["bob", "cyd"], Role::Owner),
            of(&["cyd", "bob"], Role::Member),
            of(&["bob"], Role::Member),
            of(&["bob", "cyd", "dan"], Role::Member),
            in_language(Language::En),
            in_language(Language::De),
        ] {
            assert_ne!(one, other);
        }
        assert_ne!(in_language(Language::En), in_language(Language::De));
    }
}
