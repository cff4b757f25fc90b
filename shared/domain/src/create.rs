//! Create: a user founds an organization and is its first owner.

use crate::idempotency::{Fingerprint, Idempotent, Scope};
use crate::{
    Action, Change, Decision, Invitation, ItemKey, Member, Organization, OrganizationId, OrganizationName,
    Policy, Refusal, Role, Seats, Sender, Snapshot, Timestamp, UserId,
};

/// A user founds an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// Who.
    pub founder: Sender,
    /// An id that no organization has yet, made of fresh randomness.
    pub id: OrganizationId,
    /// The organization's name.
    pub name: OrganizationName,
}

impl Action for Create {
    const NAME: &'static str = "create";
    type Answer = Organization;
    type Refusal = Refusal;

    /// Nothing: that the id is free is the guard of the change itself.
    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        Vec::new()
    }

    fn decide(
        &self,
        _: &Snapshot,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Decision<Organization>, Refusal> {
        let Self { founder, id, name } = self;
        let organization = Organization {
            id: id.clone(),
            name: name.clone(),
            seats: Seats { total: policy.seats, free: policy.seats.saturating_sub(1) },
            owners: 1,
            created_at: now,
            invited: None,
        };
        let invitation = Invitation::founding(id, &founder.email, &founder.user, now);
        let owner = Member {
            organization: id.clone(),
            user: founder.user.clone(),
            role: Role::Owner,
            email: founder.email.clone(),
            invitation: invitation.id.clone(),
            joined_at: now,
            mailed: None,
        };
        let changes =
            vec![Change::create(organization.clone()), Change::join(owner), Change::write(invitation)];
        Ok(Decision { changes, answer: organization })
    }
}

impl Idempotent for Create {
    fn caller(&self) -> &UserId {
        &self.founder.user
    }

    fn scope(&self) -> Scope {
        Scope::User(self.founder.user.clone())
    }

    /// The id is no part of it: it is another one at each attempt.
    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(Self::NAME, [self.name.as_str()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, NOON, acme, address, given, items, user, written};
    use crate::{Generation, Guard, Revision, Status};

    fn creating(id: OrganizationId, name: &str) -> Create {
        Create { founder: given().sender(), id, name: OrganizationName::parse(name).unwrap() }
    }

    impl Given {
        fn creating(&self) -> Decision<Organization> {
            self.decide(&creating(acme(), "Acme")).unwrap()
        }
    }

    #[test]
    fn the_founder_holds_one_of_the_configured_seats_and_is_the_one_owner() {
        let organization = given().creating().answer;
        assert_eq!(organization.seats, Seats { total: 1_000, free: 999 });
        assert_eq!((organization.owners, organization.created_at), (1, NOON));
        let mut small = given();
        small.policy.seats = 1;
        assert_eq!(small.creating().answer.seats, Seats { total: 1, free: 0 });
    }

    #[test]
    fn the_founders_own_record_is_accepted_without_a_mail() {
        let decision = given().creating();
        let record = written(&decision);
        assert_eq!(record.status(), Status::Accepted);
        assert_eq!((record.generation, record.revision), (Generation(0), Revision::FIRST));
        assert_eq!((record.role, &record.email), (Role::Owner, &address("ada")));
        assert_eq!(record.mail, None);
    }

    #[test]
    fn one_transaction_makes_organization_owner_and_record_where_there_are_none() {
        let decision = given().creating();
        let record = written(&decision).id.clone();
        let owner = ItemKey::member(&acme(), &user("ada"));
        let expected = [ItemKey::Organization(acme()), owner, ItemKey::invitation(&acme(), &record)];
        assert_eq!(items(&decision), expected);
        assert!(decision.changes.iter().all(|change| change.guards == [Guard::Absent]));
    }

    #[test]
    fn requests_are_told_apart_by_their_name_alone() {
        let of = |id, name| creating(id, name).fingerprint();
        let elsewhere = OrganizationId::from_random([9; 16]);
        assert_eq!(of(acme(), "Acme"), of(elsewhere, "Acme"), "each attempt makes an id of its own");
        assert_ne!(of(acme(), "Acme"), of(acme(), "Acme Inc"));
    }
}
