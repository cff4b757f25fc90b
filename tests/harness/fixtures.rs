//! Organizations that stand there from the beginning: made by the real decisions, and put into the table as a
//! whole, for scenarios that need many of them. What they owe (mails, schedules) the stream brings about.

use domain::{
    Accept, Action, Caller, Create, EmailAddress, Invite, Link, OrganizationId, OrganizationName, Policy,
    Record, Role, Sender, Timestamp, UserId,
};
use reference::ReferenceTable;
use serde_json::{Value, json};

use crate::{Organization, World};

/// Organizations on paper; people are named as in [`World::person`].
#[derive(Debug)]
pub struct Fixtures {
    table: ReferenceTable,
    policy: Policy,
    now: Timestamp,
}

impl Fixtures {
    /// None yet, at this moment.
    #[must_use]
    pub fn new(mut policy: Policy, now: Timestamp) -> Self {
        // It has all been there for long.
        policy.limits = None;
        Self { table: ReferenceTable::default(), policy, now }
    }

    /// What follows is made at this moment.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// All of it.
    #[must_use]
    pub fn table(&self) -> &ReferenceTable {
        &self.table
    }

    /// `founder` founds an organization.
    ///
    /// # Panics
    /// If the rules do not allow it, as everything here does.
    #[must_use]
    pub fn founds(&mut self, founder: &str) -> Organization {
        self.founds_as(founder, fastrand::u128(..))
    }

    /// The same, with an id made of `number`: ids order lists.
    ///
    /// # Panics
    /// As [`Self::founds`].
    #[must_use]
    pub fn founds_as(&mut self, founder: &str, number: u128) -> Organization {
        let id = OrganizationId::from_random(number.to_be_bytes());
        let name = OrganizationName::parse("Acme").expect("a name");
        self.run(&Create { founder: sender(founder), id: id.clone(), name });
        Organization::new(id.as_str())
    }

    /// `sender` invites `name`, who is owed a mail then.
    pub fn invites(&mut self, organization: &Organization, sender: &str, name: &str, role: Role) {
        let invitees = [address(name)].into_iter().collect();
        let (sender, organization) = (self::sender(sender), id(organization));
        self.run(&Invite { sender, organization, invitees, role, language: None });
    }

    /// What names the invitation of `name`, and its deadline, as the API writes them.
    #[must_use]
    pub fn invitation(&self, organization: &Organization, name: &str) -> Value {
        let link = self.link(&id(organization), name);
        json!({
            "id": link.invitation.as_str(),
            "generation": link.generation.0,
            "expires_at": link.expires_at.to_string(),
        })
    }

    /// `name` is invited by `sender` and has accepted.
    pub fn joins(&mut self, organization: &Organization, sender: &str, name: &str, role: Role) {
        self.invites(organization, sender, name, role);
        let link = self.link(&id(organization), name);
        self.run(&Accept { caller: caller(name), link });
    }

    fn link(&self, organization: &OrganizationId, name: &str) -> Link {
        self.table.invitation_of(organization, &address(name)).expect("they are invited").link()
    }

    fn run<A: Action<Refusal: std::fmt::Debug>>(&mut self, action: &A) {
        if let Err(error) = self.table.run(action, &self.policy, self.now) {
            panic!("{} is not done: {error:?}", A::NAME);
        }
    }

    /// All of it, as it is put into a table.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.table.records().cloned().collect()
    }
}

impl World {
    /// Puts the organizations into the table, and resolves once all their mails are out.
    pub async fn load(&self, fixtures: &Fixtures) {
        self.laptop.table().fill(&fixtures.records()).await.expect("the table can be filled");
        self.idle().await;
    }
}

fn id(organization: &Organization) -> OrganizationId {
    OrganizationId::parse(&organization.id).expect("an organization has an id")
}

fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.com")).expect("an address")
}

fn caller(name: &str) -> Caller {
    Caller { user: UserId::parse(name).expect("a user"), email: Some(address(name)) }
}

fn sender(name: &str) -> Sender {
    caller(name).verified().expect("everybody's address is verified")
}
