//! Invite: a member invites addresses, all with one role. If seats are missing, the whole call is refused.

use std::collections::HashSet;

use crate::idempotency::{Fingerprint, Idempotent, Scope};
use crate::{
    Action, Change, CounterUpdate, Decision, EmailAddress, Invitation, InvitationId, ItemKey, Language,
    LimitExceeded, LimitScope, Member, Organization, OrganizationId, Permission, Policy, Refusal, Role,
    Sender, Snapshot, Status, Timestamp, UserId,
};

/// One call invites no more; with organization and sender that is half a transaction.
pub const ADDRESSES_MAX: usize = 50;

/// A member invites addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invite {
    /// Who.
    pub sender: Sender,
    /// Where.
    pub organization: OrganizationId,
    /// Who is invited.
    pub invitees: Invitees,
    /// The role offered to all of them.
    pub role: Role,
    /// What their mails are written in; `None`: in the deployment's language.
    pub language: Option<Language>,
}

/// Addresses, each once, in the order of its first appearance, with the place of that in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitees(Vec<(usize, EmailAddress)>);

impl FromIterator<EmailAddress> for Invitees {
    /// Folds addresses that repeat into the first one's place.
    fn from_iter<Emails: IntoIterator<Item = EmailAddress>>(emails: Emails) -> Self {
        let mut seen = HashSet::new();
        Self(emails.into_iter().enumerate().filter(|(_, email)| seen.insert(email.clone())).collect())
    }
}

impl Invitees {
    /// The addresses.
    pub fn emails(&self) -> impl Iterator<Item = &EmailAddress> {
        self.0.iter().map(|(_, email)| email)
    }
}

/// What became of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InviteOutcome {
    /// It is invited.
    Invited(Box<Invitation>),
    /// It was already; the invitation that stands is left alone.
    AlreadyInvited(EmailAddress),
    /// It belongs to a member.
    AlreadyMember(EmailAddress),
}

impl Action for Invite {
    const NAME: &'static str = "invite";
    /// One outcome per address, in their order.
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
        for (place, email) in &self.invitees.0 {
            let id = InvitationId::of(&self.organization, email);
            let before = snapshot.invitation(&self.organization, &id);
            match before.map(|before| (before, before.status_at(now))) {
                Some((before, Status::Accepted)) => {
                    changes.push(Change::still_accepted(before));
                    outcomes.push(InviteOutcome::AlreadyMember(email.clone()));
                }
                Some((before, Status::Pending)) => {
                    changes.push(Change::still_pending(before));
                    outcomes.push(InviteOutcome::AlreadyInvited(email.clone()));
                }
                _ => {
                    if let Some(Err(wait)) = before.map(|before| before.may_be_mailed(policy, now)) {
                        too_soon.push((*place, wait));
                    }
                    invited += 1;
                    // A pending one past its expiry still holds its seat, and keeps it.
                    if !before.is_some_and(Invitation::holds_seat) {
                        seats_needed += 1;
                    }
                    let invitation = self.invitation(before, email, policy, now);
                    changes.push(Change::write(invitation.clone()));
                    outcomes.push(InviteOutcome::Invited(Box::new(invitation)));
                }
            }
        }
        let (of_day, of_hour) = count(member, organization, invited, policy, now)?;
        if !too_soon.is_empty() {
            return Err(Refusal::AddressesTooSoon(too_soon));
        }
        if seats_needed > organization.seats.free {
            return Err(Refusal::SeatsExhausted(organization.seats));
        }
        changes.extend(of_hour.map(|it| Change::count_mails(&self.organization, &member.user, it)));
        if seats_needed > 0 || of_day.is_some() {
            changes.push(Change::take_seats(&self.organization, seats_needed, of_day));
        }
        Ok(Decision { changes, answer: outcomes })
    }
}

impl Invite {
    /// The address's record, which was `before`.
    fn invitation(
        &self,
        before: Option<&Invitation>,
        email: &EmailAddress,
        policy: &Policy,
        now: Timestamp,
    ) -> Invitation {
        let Self { sender, organization, role, .. } = self;
        Invitation::sent(before, organization, email, *role, sender.clone(), now, policy)
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
        // No address is a language, so one that is left out leaves nothing that can be mistaken.
        let language = self.language.map(Language::as_str);
        Fingerprint::of(Self::NAME, [self.role.as_str()].into_iter().chain(language).chain(emails))
    }
}

/// The invitees, counted to the organization's day and to the sender's hour.
fn count(
    member: &Member,
    organization: &Organization,
    invited: u32,
    policy: &Policy,
    now: Timestamp,
) -> Result<(Option<CounterUpdate>, Option<CounterUpdate>), LimitExceeded> {
    let Some(limits) = policy.limits.filter(|_| invited > 0) else { return Ok((None, None)) };
    let of_day =
        LimitScope::Organization.count(organization.invited, invited, limits.invitees_per_day, now)?;
    let of_hour = LimitScope::Sender.count(member.mailed, invited, limits.mails_per_hour, now)?;
    Ok((Some(of_day), Some(of_hour)))
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

    /// One letter for each outcome: invited, already invited, member.
    fn letters(decision: &Decision<Vec<InviteOutcome>>) -> String {
        let letter = |outcome: &InviteOutcome| match outcome {
            InviteOutcome::Invited(_) => 'i',
            InviteOutcome::AlreadyInvited(_) => 'a',
            InviteOutcome::AlreadyMember(_) => 'm',
        };
        decision.answer.iter().map(letter).collect()
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let mut world = given().caller_is_a_stranger().no_organization();
        assert_eq!(world.inviting(&["bob"], Role::Owner), Err(Refusal::NoSuchOrganization));
        world = given().caller_is(Role::Member).seats_free(0);
        let not_permitted = Err(Refusal::NotPermitted(Permission::Invite(Role::Owner)));
        assert_eq!(world.inviting(&["bob"], Role::Owner), not_permitted);
        let full = Err(Refusal::SeatsExhausted(Seats { total: 10, free: 0 }));
        assert_eq!(world.inviting(&["bob"], Role::Member), full);
    }

    #[test]
    fn an_owner_invites_owners_and_members_and_a_member_invites_members() {
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
                    "the commit asserts the caller's role"
                );
                assert_eq!(writes(&decision).next().map(|it| it.role), Some(role));
            }
        }
    }

    #[test]
    fn a_new_address_gets_a_pending_record_with_the_mail_owed_and_takes_a_seat() {
        let decision = given().inviting(&["bob"], Role::Member).unwrap();
        let record = writes(&decision).next().unwrap();
        assert_eq!(record.id, id_of("bob"));
        assert_eq!((record.generation, record.revision), (Generation(1), Revision::FIRST));
        assert_eq!((record.created_at, record.expires_at), (NOON, NOON + given().policy.lifetime));
        assert_eq!(record.mail.as_ref().map(|mail| mail.delivery), Some(Delivery::Queued));
        let due_at = NOON + 600 * SECOND;
        assert_eq!(record.state, State::Pending { due_at }, "looked at again if no mail goes out");
        assert_eq!((&record.sender.user, &record.sender.email), (&user("ada"), &address("ada")));
        assert_eq!(decision.answer, [InviteOutcome::Invited(Box::new(record.clone()))]);
        assert_eq!(counts(&decision), (-1, 0));
    }

    #[test]
    fn what_became_of_each_status() {
        for (status, outcome, seats) in [
            (Status::Pending, "a", 0),
            (Status::Accepted, "m", 0),
            (Status::Revoked, "i", -1),
            (Status::Expired, "i", -1),
            (Status::Declined, "i", -1),
            (Status::Removed, "i", -1),
        ] {
            let decision = given().status(status).inviting(&["ivy"], Role::Member).unwrap();
            assert_eq!((letters(&decision).as_str(), counts(&decision).0), (outcome, seats), "{status}");
        }
    }

    #[test]
    fn a_closed_address_is_invited_anew_in_the_same_record_under_the_next_generation() {
        let closed = given().status(Status::Removed).invited_as(Role::Owner);
        let decision = closed.inviting(&["ivy"], Role::Member).unwrap();
        let record = writes(&decision).next().unwrap();
        assert_eq!((record.generation, record.revision), (Generation(4), Revision(8)));
        assert_eq!((record.role, record.created_at), (Role::Member, NOON), "the old offer is no part of it");
    }

    #[test]
    fn the_mail_is_in_the_language_that_this_call_names_and_no_other_ones() {
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
    fn a_pending_one_past_its_expiry_is_invited_anew_and_keeps_its_seat() {
        let open = given().expiring_at(NOON + SECOND).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!(letters(&open), "a");
        let over = given().expiring_at(NOON).seats_free(0).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!(letters(&over), "i");
        assert_eq!(counts(&over), (0, 0));
        let closed = given().status(Status::Expired).seats_free(0);
        assert!(closed.inviting(&["ivy"], Role::Member).is_err(), "its seat was freed, and there is none");
    }

    #[test]
    fn the_last_seat_can_be_taken_and_no_further_one() {
        let decision = given().seats_free(2).inviting(&["bob", "cyd", "ivy"], Role::Member).unwrap();
        assert_eq!((letters(&decision).as_str(), counts(&decision).0), ("iia", -2));
        let refused = given().seats_free(1).inviting(&["bob", "cyd", "ivy"], Role::Member);
        assert_eq!(refused, Err(Refusal::SeatsExhausted(Seats { total: 10, free: 1 })));
    }

    #[test]
    fn repeated_addresses_give_one_result_at_the_first_ones_place() {
        let emails = ["cyd@x.example", "bob@x.example", "CYD@X.example", "ada@x.example", "bob@x.example"];
        let emails = emails.map(|text| EmailAddress::parse(text).unwrap());
        let decision = given().inviting_all(&emails, Role::Member).unwrap();
        let invited: Vec<_> = writes(&decision).map(|it| it.email.clone()).collect();
        assert_eq!(invited, ["cyd", "bob", "ada"].map(address));
        assert!(Invitees::from_iter(emails).emails().eq(&invited));
    }

    #[test]
    fn what_stands_is_asserted_beside_what_is_written() {
        for (status, stands) in [
            (Status::Pending, Change::still_pending(&invitation("ivy", Status::Pending))),
            (Status::Accepted, Change::still_accepted(&invitation("ivy", Status::Accepted))),
        ] {
            let decision = given().status(status).inviting(&["ivy", "bob"], Role::Member).unwrap();
            assert!(contains(&decision, &stands));
        }
    }

    #[test]
    fn a_call_that_invites_nobody_writes_nothing_by_itself() {
        let decision = given().inviting(&["ivy"], Role::Member).unwrap();
        assert!(!writes_anything(&decision));
        // A response that is stored under a key is written beside the checks.
        assert!(asserts(&decision, "ada", Permission::Invite(Role::Member)));
        assert_eq!(decision.changes.len(), 2);
    }

    #[test]
    fn the_largest_call_fits_one_transaction_with_one_change_per_item() {
        let names: Vec<_> = (0..ADDRESSES_MAX).map(|number| format!("p{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let decision = given().seats_free(50).inviting(&names, Role::Owner).unwrap();
        let touched = items(&decision);
        let distinct: HashSet<_> = touched.iter().collect();
        assert_eq!((touched.len(), distinct.len()), (52, 52));
        assert!(touched.len() <= CHANGES_MAX);
        assert!(touched.contains(&ItemKey::member(&acme(), &user("ada"))));
        assert_eq!(counts(&decision), (-50, 0));
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let mut free = given();
        free.policy.limits = None;
        let decision = free.inviting(&["bob"], Role::Member).unwrap();
        assert!(asserts(&decision, "ada", Permission::Invite(Role::Member)));
        assert_eq!(counted(&decision), (None, None));
        assert!(free.invited(10_000, NOON).mailed(10_000, NOON).inviting(&["bob"], Role::Member).is_ok());
    }

    /// What is counted: to the organization's day, and to the sender's hour.
    fn counted(decision: &Decision<Vec<InviteOutcome>>) -> (Option<CounterUpdate>, Option<CounterUpdate>) {
        let of_day = decision.changes.iter().find_map(|change| match change.effect {
            Effect::Count { invited, .. } => invited,
            _ => None,
        });
        let of_hour = decision.changes.iter().find_map(|change| match change.effect {
            Effect::CountMails(update) => Some(update),
            _ => None,
        });
        (of_day, of_hour)
    }

    #[test]
    fn who_is_invited_is_counted_and_nobody_else() {
        let begun = |more| Some(CounterUpdate::Restart { over: None, since: NOON, more });
        let decision = given().inviting(&["bob", "ivy", "cyd", "bob"], Role::Member).unwrap();
        assert_eq!(counted(&decision), (begun(2), begun(2)), "ivy is invited already, bob named twice");
        let going_on = given().invited(7, NOON).mailed(5, NOON).inviting(&["bob"], Role::Member).unwrap();
        let on = |limit| Some(CounterUpdate::Add { since: NOON, more: 1, limit });
        assert_eq!(counted(&going_on), (on(1_500), on(1_000)));
        assert_eq!(counted(&given().inviting(&["ivy"], Role::Member).unwrap()), (None, None));
        let keeps_its_seat = given().expiring_at(NOON).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!((counted(&keeps_its_seat), counts(&keeps_its_seat).0), ((begun(1), begun(1)), 0));
    }

    #[test]
    fn an_organization_invites_so_many_a_day_and_a_sender_so_many_an_hour() {
        let full = |of, limit, left, hours| {
            Err(Refusal::LimitExceeded(LimitExceeded { of, limit, left, wait: hours * HOUR }))
        };
        let day = |count| given().invited(count, NOON).inviting(&["bob", "cyd"], Role::Member);
        assert!(day(1_498).is_ok());
        assert_eq!(day(1_499), full(LimitScope::Organization, 1_500, 1, 24));
        let hour = |count| given().mailed(count, NOON).inviting(&["bob", "cyd"], Role::Member);
        assert!(hour(998).is_ok());
        assert_eq!(hour(999), full(LimitScope::Sender, 1_000, 1, 1));
        let both = given().invited(1_500, NOON).mailed(1_000, NOON).seats_free(0);
        let refused = both.inviting(&["bob"], Role::Member);
        assert_eq!(refused, full(LimitScope::Organization, 1_500, 0, 24), "before seats are asked for");
        assert_eq!(letters(&both.inviting(&["ivy"], Role::Member).unwrap()), "a", "nobody is mailed");
    }

    #[test]
    fn addresses_that_were_mailed_just_now_are_named_by_their_places() {
        let again = |given: Given| given.inviting(&["bob", "BOB", "ivy"], Role::Member);
        let soon = |why, wait| Err(Refusal::AddressesTooSoon(vec![(2, CooldownActive { why, wait })]));
        let closed = || given().status(Status::Revoked).seats_free(0);
        assert_eq!(again(closed().sent_at(NOON)), soon(CooldownReason::JustNow, 60 * SECOND), "before seats");
        let last = Timestamp::from_unix(NOON.unix() - 59);
        assert_eq!(again(closed().sent_at(last)), soon(CooldownReason::JustNow, SECOND));
        let enough = closed().sent_at(NOON).generation(10);
        // It was closed at noon, and can be deleted an hour later.
        assert_eq!(again(enough), soon(CooldownReason::Mails(10), HOUR));
        let in_time = Timestamp::from_unix(NOON.unix() - 60);
        assert!(again(given().status(Status::Revoked).sent_at(in_time).generation(9)).is_ok());
        assert!(again(given().sent_at(NOON)).is_ok(), "a pending one is left alone");
    }

    #[test]
    fn what_can_be_deleted_counts_for_nothing_even_if_it_is_still_there() {
        let mut over = given().status(Status::Revoked).sent_at(NOON).generation(10);
        over.now = NOON + HOUR;
        let decision = over.inviting(&["ivy"], Role::Member).unwrap();
        let record = writes(&decision).next().unwrap();
        assert_eq!((record.generation, record.revision), (Generation(1), Revision(8)), "it begins anew");
        over.now = NOON + 3_599 * SECOND;
        assert!(over.inviting(&["ivy"], Role::Member).is_err());
    }

    #[test]
    fn requests_are_told_apart_by_role_language_and_addresses() {
        let invite = |names: &[&str], role| {
            given().invite(&names.iter().copied().map(address).collect::<Vec<_>>(), role)
        };
        let of = |names: &[&str], role| invite(names, role).fingerprint();
        let one = of(&["bob", "cyd"], Role::Member);
        let in_language =
            |it| Invite { language: Some(it), ..invite(&["bob", "cyd"], Role::Member) }.fingerprint();
        assert_eq!(one, of(&["bob", "cyd", "bob"], Role::Member), "it is the same request in other words");
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
