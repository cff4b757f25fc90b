//! Invite: a member invites addresses, all with one role; nobody, if there are too few seats.

use std::collections::HashSet;

use crate::plan::{InvitationChange, Standing};
use crate::{
    Caller, Change, Decision, EmailAddress, Invitation, InvitationId, Member, Organization, Plan, Policy,
    Role, Seats, Sender, Status, Timestamp,
};

/// One call invites no more (DESIGN section 3); with organization and sender that is half a transaction.
pub const ADDRESSES_MAX: usize = 50;

/// Who is invited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Each address once, in the order of its first appearance.
    emails: Vec<EmailAddress>,
    /// The role offered to all of them.
    pub role: Role,
}

impl Request {
    /// Folds addresses that repeat into the first one's place.
    #[must_use]
    pub fn new(emails: impl IntoIterator<Item = EmailAddress>, role: Role) -> Self {
        let mut seen = HashSet::new();
        let emails = emails.into_iter().filter(|email| seen.insert(email.clone())).collect();
        Self { emails, role }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
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
    let mut changes = vec![Change::may_grant(&organization.id, &caller.user, request.role)];
    let mut seats_needed = 0_u32;
    for invitee in &request.emails {
        let id = InvitationId::of(&organization.id, invitee);
        let before = facts.invitations.iter().find(|invitation| invitation.id == id);
        let stands = |standing| {
            Change::Invitation(organization.id.clone(), id.clone(), InvitationChange::Stands(standing))
        };
        match before.map(|before| (before, before.status_at(now))) {
            Some((_, Status::Accepted)) => {
                changes.push(stands(Standing::Accepted));
                outcomes.push(Outcome::AlreadyMember(invitee.clone()));
            }
            Some((before, Status::Pending)) => {
                changes.push(stands(Standing::PendingUntil(before.expires_at)));
                outcomes.push(Outcome::AlreadyInvited(invitee.clone()));
            }
            _ => {
                // One past its expiry that nobody has closed yet still holds its seat, and keeps it.
                if !before.is_some_and(Invitation::holds_seat) {
                    seats_needed += 1;
                }
                let sender = Sender { user: caller.user.clone(), email: email.clone() };
                let invitation =
                    Invitation::sent(before, &organization.id, invitee, request.role, sender, now, policy);
                changes.push(Change::write(invitation.clone()));
                outcomes.push(Outcome::Invited(Box::new(invitation)));
            }
        }
    }
    if seats_needed > organization.seats.free {
        return Err(Refusal::SeatsExhausted(organization.seats));
    }
    if seats_needed > 0 {
        changes.push(Change::count(&organization.id, -seats_needed.cast_signed(), 0));
    }
    let plan: Plan = changes.into_iter().collect();
    // Where everybody is invited or a member already, the snapshot vouches for the answer.
    Ok(Decision { plan: if plan.writes() { plan } else { Plan::default() }, answer: outcomes })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, NOON, SECOND, acme, address, asserts_grant, counts, given, id_of, invitation, items, user,
        writes,
    };
    use crate::{CHANGES_MAX, Delivery, Generation, Item, MemberChange, Revision, State};

    impl Given {
        fn inviting_all(
            &self,
            emails: &[EmailAddress],
            role: Role,
        ) -> Result<Decision<Vec<Outcome>>, Refusal> {
            let facts = Facts {
                caller: self.member.clone(),
                organization: self.organization.clone(),
                invitations: self.invitation.iter().cloned().collect(),
            };
            let request = Request::new(emails.iter().cloned(), role);
            decide(&self.caller, &request, &facts, &self.policy, self.now)
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
    fn a_call_that_invites_nobody_commits_nothing() {
        let decision = given().inviting(&["ivy"], Role::Member).unwrap();
        assert!(decision.plan.changes().is_empty());
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
    fn the_caller_is_checked_not_changed() {
        let decision = given().inviting(&["bob"], Role::Member).unwrap();
        let check = Change::Member(acme(), user("ada"), MemberChange::MayGrant(Role::Member));
        assert_eq!(decision.plan.changes()[0], check);
        assert!(!check.writes());
    }
}
