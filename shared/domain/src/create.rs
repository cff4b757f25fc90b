//! Create: a user founds an organization and is its first owner.

use crate::idempotency::Fingerprint;
use crate::{
    Caller, Change, Decision, Invitation, Member, Organization, OrganizationChange, OrganizationId,
    OrganizationName, Plan, Policy, Role, Seats, Timestamp,
};

/// What the founder asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// An id nobody has yet, made of fresh randomness.
    pub id: OrganizationId,
    /// The name.
    pub name: OrganizationName,
}

impl Request {
    /// What tells it from other requests. The id is no part of it: it is another one at each attempt.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of("create", [self.name.as_str()])
    }
}

/// Why no organization is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The founder's record needs an address.
    #[error("the caller has no verified e-mail address")]
    EmailNotVerified,
}

/// Decides. There are no facts: that the id is free is the plan's own guard.
pub fn decide(
    caller: &Caller,
    request: &Request,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision<Organization>, Refusal> {
    let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
    let organization = Organization {
        id: request.id.clone(),
        name: request.name.clone(),
        seats: Seats { total: policy.seats, free: policy.seats.saturating_sub(1) },
        owners: 1,
        created_at: now,
        invited: None,
    };
    let invitation = Invitation::founding(&request.id, email, &caller.user, now);
    let founder = Member {
        organization: request.id.clone(),
        user: caller.user.clone(),
        role: Role::Owner,
        email: email.clone(),
        invitation: invitation.id.clone(),
        joined_at: now,
        mailed: None,
        sent: false,
    };
    let found = OrganizationChange::Found(organization.clone());
    Ok(Decision {
        plan: Plan::from_iter([
            Change::Organization(request.id.clone(), found),
            Change::join(founder),
            Change::write(invitation),
        ]),
        answer: organization,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;
    use crate::testing::{Given, NOON, acme, address, given, items, user, written};
    use crate::{Generation, Item, Revision, Status};

    impl Given {
        fn creating(&self) -> Result<Decision<Organization>, Refusal> {
            let name = OrganizationName::parse("Acme").unwrap();
            decide(&self.caller, &Request { id: acme(), name }, &self.policy, self.now)
        }
    }

    #[test]
    fn a_founder_without_a_verified_address_is_refused() {
        assert_eq!(given().caller_is_unverified().creating(), Err(Refusal::EmailNotVerified));
    }

    #[test]
    fn the_founder_holds_one_of_the_configured_seats_and_is_the_one_owner() {
        let organization = given().creating().unwrap().answer;
        assert_eq!(organization.seats, Seats { total: 1_000, free: 999 });
        assert_eq!((organization.owners, organization.created_at), (1, NOON));
        let mut small = given();
        small.policy.seats = 1;
        assert_eq!(small.creating().unwrap().answer.seats, Seats { total: 1, free: 0 });
    }

    #[test]
    fn the_founders_own_record_is_accepted_without_a_mail() {
        let decision = given().creating().unwrap();
        let record = written(&decision);
        assert_eq!(record.status(), Status::Accepted);
        assert_eq!((record.generation, record.revision), (Generation(0), Revision::FIRST));
        assert_eq!((record.role, &record.email), (Role::Owner, &address("ada")));
        assert_eq!(record.mail, None);
    }

    #[test]
    fn one_plan_makes_organization_owner_and_record() {
        let decision = given().creating().unwrap();
        let mut ledger = Ledger::default();
        ledger.commit(&decision.plan).unwrap();
        assert_eq!(ledger.violations(), []);
        assert_eq!(ledger.member(&acme(), &user("ada")).map(|it| it.role), Some(Role::Owner));
        assert_eq!(items(&decision)[0], Item::Organization(acme()));
    }

    #[test]
    fn requests_are_told_apart_by_their_name_alone() {
        let of = |id, name| Request { id, name: OrganizationName::parse(name).unwrap() }.fingerprint();
        let elsewhere = OrganizationId::from_random([9; 16]);
        assert_eq!(of(acme(), "Acme"), of(elsewhere, "Acme"), "each attempt makes an id of its own");
        assert_ne!(of(acme(), "Acme"), of(acme(), "Acme Inc"));
    }

    #[test]
    fn an_id_that_is_taken_fails_the_guard_and_changes_nothing() {
        let mut ledger = Ledger::default();
        ledger.commit(&given().creating().unwrap().plan).unwrap();
        let before = ledger.clone();
        let eve = Given { caller: crate::testing::caller("eve"), ..given() };
        assert!(ledger.commit(&eve.creating().unwrap().plan).is_err());
        assert_eq!(ledger, before);
    }
}
