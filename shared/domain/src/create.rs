//! Create: a user creates an organization and becomes its first owner.

use crate::idempotency::{Fingerprint, Idempotent, Scope};
use crate::{
    Action, Change, Decision, Invitation, ItemKey, Member, Organization, OrganizationId, OrganizationName,
    Policy, Refusal, Role, Seats, Sender, Snapshot, Timestamp, UserId,
};

/// Creates an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The user who creates the organization.
    pub founder: Sender,
    /// The id of the new organization, made of fresh random bytes.
    pub id: OrganizationId,
    /// The organization's name.
    pub name: OrganizationName,
}

impl Action for Create {
    const NAME: &'static str = "create";
    type Answer = Organization;
    type Refusal = Refusal;

    /// Nothing: the guard of the change asserts that the id is unused.
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
        let invitation = Invitation::for_founder(id, &founder.email, &founder.user, now);
        let owner = Member {
            organization: id.clone(),
            user: founder.user.clone(),
            role: Role::Owner,
            email: founder.email.clone(),
            invitation: invitation.id.clone(),
            joined_at: now,
            mailed: None,
        };
        let changes = vec![
            Change::create_organization(organization.clone()),
            Change::add_member(owner),
            Change::write_invitation(invitation),
        ];
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

    /// Hashes the name only, since each request of a client makes another id.
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
    fn the_founder_takes_one_of_the_configured_seats_and_is_the_only_owner() {
        let organization = given().creating().answer;
        assert_eq!(organization.seats, Seats { total: 1_000, free: 999 });
        assert_eq!((organization.owners, organization.created_at), (1, NOON));
        let mut small = given();
        small.policy.seats = 1;
        assert_eq!(small.creating().answer.seats, Seats { total: 1, free: 0 });
    }

    #[test]
    fn the_founders_record_is_accepted_and_has_no_mail() {
        let decision = given().creating();
        let record = written(&decision);
        assert_eq!(record.status(), Status::Accepted);
        assert_eq!((record.generation, record.revision), (Generation(0), Revision::FIRST));
        assert_eq!((record.role, &record.email), (Role::Owner, &address("ada")));
        assert_eq!(record.mail, None);
    }

    #[test]
    fn writes_organization_owner_and_record_only_if_they_are_absent() {
        let decision = given().creating();
        let record = written(&decision).id.clone();
        let owner = ItemKey::member(&acme(), &user("ada"));
        let expected = [ItemKey::Organization(acme()), owner, ItemKey::invitation(&acme(), &record)];
        assert_eq!(items(&decision), expected);
        assert!(decision.changes.iter().all(|change| change.guards == [Guard::Absent]));
    }

    #[test]
    fn the_fingerprint_depends_on_the_name_alone() {
        let of = |id, name| creating(id, name).fingerprint();
        let elsewhere = OrganizationId::from_random([9; 16]);
        assert_eq!(of(acme(), "Acme"), of(elsewhere, "Acme"), "each request makes another id");
        assert_ne!(of(acme(), "Acme"), of(acme(), "Acme Inc"));
    }
}
