//! Invite: a member invites addresses, all with one role; nobody, if there are too few seats.

use std::collections::HashSet;

use crate::idempotency::Fingerprint;
use crate::plan::{InvitationChange, Standing};
use crate::{
    Caller, Change, Counting, Decision, EmailAddress, Invitation, InvitationId, Language, Member,
    Organization, Plan, Policy, Role, Seats, Sender, Status, Tallied, Timestamp, TooMany, TooSoon,
};

/// One call invites no more (DESIGN section 3); with organization and sender that is half a transaction.
pub const ADDRESSES_MAX: usize = 50;

/// Who is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Each address once, in the order of its first appearance.
    emails: Vec<EmailAddress>,
    /// Where each of them appeared first.
    places: Vec<usize>,
    /// The role offered to all of them.
    pub role: Role,
    /// What their mails are written in, if the caller chose.
    language: Option<Language>,
}

impl Request {
    /// Folds addresses that repeat into the first one's place.
    #[must_use]
    pub fn new(emails: impl IntoIterator<Item = EmailAddress>, role: Role) -> Self {
        let mut seen = HashSet::new();
        let first = emails.into_iter().enumerate().filter(|(_, email)| seen.insert(email.clone()));
        let (places, emails) = first.unzip();
        Self { emails, places, role, language: None }
    }

    /// The same request, with the mails in that language; without one, in the deployment's.
    #[must_use]
    pub fn in_language(self, language: Option<Language>) -> Self {
        Self { language, ..self }
    }

    /// What tells it from other requests.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let emails = self.emails.iter().map(EmailAddress::as_str);
        // No address is a language, so one that is left out leaves nothing that can be mistaken.
        let language = self.language.map(Language::as_str);
        Fingerprint::of("invite", [self.role.as_str()].into_iter().chain(language).chain(emails))
    }

    /// The addresses, each once.
    #[must_use]
    pub fn emails(&self) -> &[EmailAddress] {
        &self.emails
    }
}

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's membership.
    pub caller: Option<Member>,
    /// The organization.
    pub organization: Option<Organization>,
    /// The records that the request's addresses have, in any order.
    pub invitations: Vec<Invitation>,
}

/// What became of one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is invited.
    Invited(Box<Invitation>),
    /// It was already; the invitation that stands is left alone.
    AlreadyInvited(EmailAddress),
    /// It belongs to a member.
    AlreadyMember(EmailAddress),
}

/// Why nobody is invited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// An invitation shows its sender's address.
    #[error("the caller has no verified e-mail address")]
    EmailNotVerified,
    /// Or it does not exist: a stranger must not learn which.
    #[error("the organization does not exist, or the caller is not in it")]
    NoSuchOrganization,
    /// A member invites members.
    #[error("the caller may not grant the role offered")]
    RoleNotGrantable,
    /// More than the organization or the sender may invite (rule 11).
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Addresses that are not mailed again yet (rule 11), by their places in the request.
    #[error("addresses are not mailed again yet")]
    TooSoon(Vec<(usize, TooSoon)>),
    /// Fewer seats are free than the call needs.
    #[error("the organization has too few free seats")]
    SeatsExhausted(Seats),
}

/// Decides: one outcome per address, in the request's order.
pub fn decide(
    caller: &Caller,
    request: &Request,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision<Vec<Outcome>>, Refusal> {
    let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
    let member = facts.caller.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let organization = facts.organization.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    if !member.role.may_grant(request.role) {
        return Err(Refusal::RoleNotGrantable);
    }
    let mut outcomes = Vec::with_capacity(request.emails.len());
    let mut records = Vec::with_capacity(request.emails.len());
    let (mut invited, mut seats_needed) = (0_u32, 0_u32);
    let mut too_soon = Vec::new();
    for (invitee, place) in request.emails.iter().zip(&request.places) {
        let id = InvitationId::of(&organization.id, invitee);
        let before = facts.invitations.iter().find(|invitation| invitation.id == id);
        let stands = |standing| {
            Change::Invitation(organization.id.clone(), id.clone(), InvitationChange::Stands(standing))
        };
        match before.map(|before| (before, before.status_at(now))) {
            Some((_, Status::Accepted)) => {
                records.push(stands(Standing::Accepted));
                outcomes.push(Outcome::AlreadyMember(invitee.clone()));
            }
            Some((before, Status::Pending)) => {
                records.push(stands(Standing::PendingUntil(before.expires_at)));
                outcomes.push(Outcome::AlreadyInvited(invitee.clone()));
            }
            _ => {
                if let Some(Err(wait)) = before.map(|before| before.may_be_mailed(policy, now)) {
                    too_soon.push((*place, wait));
                }
                invited += 1;
                // One past its expiry that nobody has closed yet still holds its seat, and keeps it.
                if !before.is_some_and(Invitation::holds_seat) {
                    seats_needed += 1;
                }
                let sender = Sender { user: caller.user.clone(), email: email.clone() };
                let invitation =
                    Invitation::sent(before, &organization.id, invitee, request.role, sender, now, policy)
                        .in_language(request.language);
                records.push(Change::write(invitation.clone()));
                outcomes.push(Outcome::Invited(Box::new(invitation)));
            }
        }
    }
    let (of_day, of_hour) = counted(member, organization, invited, policy, now)?;
    if !too_soon.is_empty() {
        return Err(Refusal::TooSoon(too_soon));
    }
    if seats_needed > organization.seats.free {
        return Err(Refusal::SeatsExhausted(organization.seats));
    }
    let sender = match invited {
        0 => Change::may_grant(&organization.id, &caller.user, request.role),
        _ => Change::mail(&organization.id, &caller.user, request.role, of_hour),
    };
    let seats = Change::take(&organization.id, seats_needed, of_day);
    let seats = (seats_needed > 0 || of_day.is_some()).then_some(seats);
    let plan: Plan = [sender].into_iter().chain(records).chain(seats).collect();
    Ok(Decision { plan, answer: outcomes })
}

/// The invitees, counted to the organization's day and to the sender's hour.
fn counted(
    member: &Member,
    organization: &Organization,
    invited: u32,
    policy: &Policy,
    now: Timestamp,
) -> Result<(Option<Counting>, Option<Counting>), TooMany> {
    let Some(limits) = policy.limits.filter(|_| invited > 0) else { return Ok((None, None)) };
    let of_day = Tallied::Organization.count(organization.invited, invited, limits.invitees_per_day, now)?;
    let of_hour = Tallied::Sender.count(member.mailed, invited, limits.mails_per_hour, now)?;
    Ok((Some(of_day), Some(of_hour)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, HOUR, NOON, SECOND, acme, address, asserts_grant, counts, given, id_of, invitation, items,
        user, writes,
    };
    use crate::{
        CHANGES_MAX, Delivery, Enough, Generation, Item, MemberChange, OrganizationChange, Revision, State,
    };

    impl Given {
        fn inviting_all(
            &self,
            emails: &[EmailAddress],
            role: Role,
        ) -> Result<Decision<Vec<Outcome>>, Refusal> {
            self.asking(&Request::new(emails.iter().cloned(), role))
        }

        fn asking(&self, request: &Request) -> Result<Decision<Vec<Outcome>>, Refusal> {
            let facts = Facts {
                caller: self.member.clone(),
                organization: self.organization.clone(),
                invitations: self.invitation.iter().cloned().collect(),
            };
            decide(&self.caller, request, &facts, &self.policy, self.now)
        }

        fn inviting(&self, names: &[&str], role: Role) -> Result<Decision<Vec<Outcome>>, Refusal> {
            self.inviting_all(&names.iter().copied().map(address).collect::<Vec<_>>(), role)
        }
    }

    /// One letter for each outcome: invited, already invited, member.
    fn letters(decision: &Decision<Vec<Outcome>>) -> String {
        let letter = |outcome: &Outcome| match outcome {
            Outcome::Invited(_) => 'i',
            Outcome::AlreadyInvited(_) => 'a',
            Outcome::AlreadyMember(_) => 'm',
        };
        decision.answer.iter().map(letter).collect()
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let mut world = given().caller_is_unverified().caller_is_a_stranger().no_organization();
        assert_eq!(world.inviting(&["bob"], Role::Owner), Err(Refusal::EmailNotVerified));
        world = world.caller_signs_in_as("ada");
        assert_eq!(world.inviting(&["bob"], Role::Owner), Err(Refusal::NoSuchOrganization));
        world = given().caller_is(Role::Member).seats_free(0);
        assert_eq!(world.inviting(&["bob"], Role::Owner), Err(Refusal::RoleNotGrantable));
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
                assert!(asserts_grant(&decision, "ada", role), "the commit asserts the caller's role");
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
        assert_eq!(decision.answer, [Outcome::Invited(Box::new(record.clone()))]);
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
                let request =
                    Request::new([address("ivy"), address("bob")], Role::Member).in_language(chosen);
                let decision = given.asking(&request).unwrap();
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
        assert_eq!(Request::new(emails, Role::Member).emails(), invited);
    }

    #[test]
    fn what_stands_is_asserted_beside_what_is_written() {
        for (status, standing) in [
            (Status::Pending, Standing::PendingUntil(invitation("ivy", Status::Pending).expires_at)),
            (Status::Accepted, Standing::Accepted),
        ] {
            let decision = given().status(status).inviting(&["ivy", "bob"], Role::Member).unwrap();
            let stands = InvitationChange::Stands(standing);
            assert!(decision.plan.changes().contains(&Change::Invitation(acme(), id_of("ivy"), stands)));
        }
    }

    #[test]
    fn a_call_that_invites_nobody_writes_nothing_by_itself() {
        let decision = given().inviting(&["ivy"], Role::Member).unwrap();
        assert!(!decision.plan.writes());
        // An answer that is kept under a key is written beside the checks.
        assert!(asserts_grant(&decision, "ada", Role::Member));
        assert_eq!(decision.plan.changes().len(), 2);
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
        assert!(touched.contains(&Item::Member(acme(), user("ada"))));
        assert_eq!(counts(&decision), (-50, 0));
    }

    #[test]
    fn without_limits_the_caller_sends_and_nothing_is_counted() {
        let mut free = given();
        free.policy.limits = None;
        let decision = free.inviting(&["bob"], Role::Member).unwrap();
        let check = Change::Member(acme(), user("ada"), MemberChange::Mail(Role::Member, None));
        assert_eq!(decision.plan.changes()[0], check);
        assert!(free.invited(10_000, NOON).mailed(10_000, NOON).inviting(&["bob"], Role::Member).is_ok());
    }

    /// What is counted: to the organization's day, and to the sender's hour.
    fn counted(decision: &Decision<Vec<Outcome>>) -> (Option<Counting>, Option<Counting>) {
        let changes = decision.plan.changes();
        let of_day = changes.iter().find_map(|change| match change {
            Change::Organization(_, OrganizationChange::Count { invited, .. }) => *invited,
            _ => None,
        });
        let of_hour = changes.iter().find_map(|change| match change {
            Change::Member(_, _, MemberChange::Mail(_, counting)) => *counting,
            _ => None,
        });
        (of_day, of_hour)
    }

    #[test]
    fn who_is_invited_is_counted_and_nobody_else() {
        let begun = |more| Some(Counting::Anew { over: None, since: NOON, more });
        let decision = given().inviting(&["bob", "ivy", "cyd", "bob"], Role::Member).unwrap();
        assert_eq!(counted(&decision), (begun(2), begun(2)), "ivy is invited already, bob named twice");
        let going_on = given().invited(7, NOON).mailed(5, NOON).inviting(&["bob"], Role::Member).unwrap();
        let on = |limit| Some(Counting::On { since: NOON, more: 1, limit });
        assert_eq!(counted(&going_on), (on(1_500), on(1_000)));
        assert_eq!(counted(&given().inviting(&["ivy"], Role::Member).unwrap()), (None, None));
        let keeps_its_seat = given().expiring_at(NOON).inviting(&["ivy"], Role::Member).unwrap();
        assert_eq!((counted(&keeps_its_seat), counts(&keeps_its_seat).0), ((begun(1), begun(1)), 0));
    }

    #[test]
    fn an_organization_invites_so_many_a_day_and_a_sender_so_many_an_hour() {
        let full =
            |of, limit, left, hours| Err(Refusal::TooMany(TooMany { of, limit, left, wait: hours * HOUR }));
        let day = |count| given().invited(count, NOON).inviting(&["bob", "cyd"], Role::Member);
        assert!(day(1_498).is_ok());
        assert_eq!(day(1_499), full(Tallied::Organization, 1_500, 1, 24));
        let hour = |count| given().mailed(count, NOON).inviting(&["bob", "cyd"], Role::Member);
        assert!(hour(998).is_ok());
        assert_eq!(hour(999), full(Tallied::Sender, 1_000, 1, 1));
        let both = given().invited(1_500, NOON).mailed(1_000, NOON).seats_free(0);
        let refused = both.inviting(&["bob"], Role::Member);
        assert_eq!(refused, full(Tallied::Organization, 1_500, 0, 24), "before seats are asked for");
        assert_eq!(letters(&both.inviting(&["ivy"], Role::Member).unwrap()), "a", "nobody is mailed");
    }

    #[test]
    fn addresses_that_were_mailed_just_now_are_named_by_their_places() {
        let again = |given: Given| given.inviting(&["bob", "BOB", "ivy"], Role::Member);
        let soon = |why, wait| Err(Refusal::TooSoon(vec![(2, TooSoon { why, wait })]));
        let closed = || given().status(Status::Revoked).seats_free(0);
        assert_eq!(again(closed().sent_at(NOON)), soon(Enough::JustNow, 60 * SECOND), "before seats");
        let last = Timestamp::from_unix(NOON.unix() - 59);
        assert_eq!(again(closed().sent_at(last)), soon(Enough::JustNow, SECOND));
        let enough = closed().sent_at(NOON).generation(10);
        // It was closed at noon, and can be deleted an hour later.
        assert_eq!(again(enough), soon(Enough::Mails(10), HOUR));
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
        let request = |names: &[&str], role| Request::new(names.iter().copied().map(address), role);
        let of = |names: &[&str], role| request(names, role).fingerprint();
        let one = of(&["bob", "cyd"], Role::Member);
        let in_language = |it| request(&["bob", "cyd"], Role::Member).in_language(Some(it)).fingerprint();
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
