//! Organizations that exist before a scenario starts, for scenarios that need many members or invitations.
//!
//! [`Fixtures`] builds the records with the real decisions on the reference table. [`World::load`] then writes all
//! records into the table at once. The stream delivers them as usual, so their mails are sent and their schedules are
//! created.

use domain::{
    Accept, Action, Caller, Create, EmailAddress, Invite, Link, OrganizationId, OrganizationName, Policy,
    Record, Role, Sender, Timestamp, UserId,
};
use reference::ReferenceTable;
use serde_json::{Value, json};

use crate::{Organization, World};

/// Records of organizations that are not yet in a table. Names of people have the same meaning as in [`World::person`].
#[derive(Debug)]
pub struct Fixtures {
    table: ReferenceTable,
    policy: Policy,
    now: Timestamp,
}

impl Fixtures {
    /// Creates empty fixtures. Actions run at `now`.
    #[must_use]
    pub fn new(mut policy: Policy, now: Timestamp) -> Self {
        // All actions run at the same time, and would exceed the limits.
        policy.limits = None;
        Self { table: ReferenceTable::default(), policy, now }
    }

    /// Sets the time of the following actions.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Returns the reference table with all records.
    #[must_use]
    pub fn table(&self) -> &ReferenceTable {
        &self.table
    }

    /// Lets `founder` create an organization.
    ///
    /// # Panics
    /// If the decision refuses the action. All actions of fixtures panic then.
    #[must_use]
    pub fn founds(&mut self, founder: &str) -> Organization {
        self.founds_as(founder, fastrand::u128(..))
    }

    /// Lets `founder` create an organization with an id made of `number`. The id determines the order of lists.
    ///
    /// # Panics
    /// As [`Self::founds`].
    #[must_use]
    pub fn founds_as(&mut self, founder: &str, number: u128) -> Organization {
        let id = OrganizationId::from_random(number.to_be_bytes());
        let name = OrganizationName::parse("Acme").expect("this is a valid name");
        self.run(&Create { founder: sender(founder), id: id.clone(), name });
        Organization::new(id.as_str())
    }

    /// Lets `sender` invite `name`. The mail is queued.
    pub fn invites(&mut self, organization: &Organization, sender: &str, name: &str, role: Role) {
        let invitees = [address(name)].into_iter().collect();
        let (sender, organization) = (self::sender(sender), id(organization));
        self.run(&Invite { sender, organization, invitees, role, language: None });
    }

    /// Returns id, generation and expiry of the invitation of `name`, as in a response of the API.
    #[must_use]
    pub fn invitation(&self, organization: &Organization, name: &str) -> Value {
        let link = self.link(&id(organization), name);
        json!({
            "id": link.invitation.as_str(),
            "generation": link.generation.0,
            "expires_at": link.expires_at.to_string(),
        })
    }

    /// Lets `sender` invite `name`, and `name` accept.
    pub fn joins(&mut self, organization: &Organization, sender: &str, name: &str, role: Role) {
        self.invites(organization, sender, name, role);
        let link = self.link(&id(organization), name);
        self.run(&Accept { caller: caller(name), link });
    }

    fn link(&self, organization: &OrganizationId, name: &str) -> Link {
        self.table.invitation_of(organization, &address(name)).expect("the address is invited").link()
    }

    fn run<A: Action<Refusal: std::fmt::Debug>>(&mut self, action: &A) {
        if let Err(error) = self.table.run(action, &self.policy, self.now) {
            panic!("{} is refused: {error:?}", A::NAME);
        }
    }

    /// Returns all records.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.table.records().cloned().collect()
    }
}

impl World {
    /// Writes the fixtures into the table, and waits until all their mails are sent.
    pub async fn load(&self, fixtures: &Fixtures) {
        self.laptop.table().fill(&fixtures.records()).await.expect("the table can be filled");
        self.wait_until_idle().await;
    }
}

fn id(organization: &Organization) -> OrganizationId {
    OrganizationId::parse(&organization.id).expect("the organization has a valid id")
}

fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.com")).expect("this is a valid address")
}

fn caller(name: &str) -> Caller {
    Caller { user: UserId::parse(name).expect("this is a valid user id"), email: Some(address(name)) }
}

fn sender(name: &str) -> Sender {
    caller(name).verified().expect("the address is verified")
}
