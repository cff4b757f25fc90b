//! Organizations that stand there from the beginning: made by the real decisions, and put into the table as a
//! whole, for scenarios that need many of them. What they owe (mails, schedules) the stream brings about.

use domain::ledger::{Ledger, Record};
use domain::{
    Caller, Decision, EmailAddress, Link, OrganizationId, OrganizationName, Policy, Role, Timestamp, UserId,
    accept, create, invite,
};
use serde_json::{Value, json};

use crate::{Organization, World};

/// Organizations on paper; people are named as in [`World::person`].
#[derive(Debug)]
pub struct Furniture {
    ledger: Ledger,
    policy: Policy,
    now: Timestamp,
}

impl Furniture {
    /// None yet, at this moment.
    #[must_use]
    pub fn new(mut policy: Policy, now: Timestamp) -> Self {
        // It has all been there for long.
        policy.limits = None;
        Self { ledger: Ledger::default(), policy, now }
    }

    /// What follows is made at this moment.
    pub fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// All of it.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
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
        let request = create::Request { id: id.clone(), name };
        let decision = create::decide(&caller(founder), &request, &self.policy, self.now);
        self.commit(&decision.expect("anybody founds"));
        Organization::new(id.as_str())
    }

    /// `sender` invites `name`, who is owed a mail then.
    pub fn invites(&mut self, organization: &Organization, sender: &str, name: &str, role: Role) {
        let (id, sender) = (id(organization), caller(sender));
        let request = invite::Request::new([address(name)], role);
        let facts = self.ledger.invite_facts(&id, &sender.user, &request);
        let decision = invite::decide(&sender, &request, &facts, &self.policy, self.now);
        self.commit(&decision.expect("the sender may invite"));
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
        let (link, caller) = (self.link(&id(organization), name), caller(name));
        let facts = self.ledger.accept_facts(&link, &caller.user, None);
        let decision = accept::decide(&caller, &facts, self.now);
        self.commit(&decision.expect("the invitation is open"));
    }

    fn link(&self, organization: &OrganizationId, name: &str) -> Link {
        self.ledger.invitation_of(organization, &address(name)).expect("they are invited").link()
    }

    fn commit<Answer>(&mut self, decision: &Decision<Answer>) {
        self.ledger.commit(&decision.plan).expect("nobody else is at it");
    }

    /// All of it, as it is put into a table.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.ledger.records().collect()
    }
}

impl World {
    /// Puts the organizations into the table, and resolves once all their mails are out.
    pub async fn is_furnished_with(&self, furniture: &Furniture) {
        self.laptop.table().fill(&furniture.records()).await.expect("the table can be filled");
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
