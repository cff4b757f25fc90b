//! What people call and timers invoke, as the real decisions see it.

use domain::delivery::{DeliveryUpdate, UpdateDelivery};
use domain::{
    Accept, Action, Decline, Expire, Invite, Link, OrganizationEdit, OrganizationName, Plan, Reconcile,
    Refusal, Remove, Resend, Revoke, Role, RoleEdit, Snapshot,
};
use reference::{Operation, ReferenceTable, RunError};

use crate::{Person, Roster};

/// A call of a person, or an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// Who invites whom to which role.
    Invite(Person, Vec<Person>, Role),
    /// Who resends whose invitation.
    Resend(Person, Person),
    /// Who revokes whose invitation.
    Revoke(Person, Person),
    /// The invitee accepts by this link.
    Accept(Link),
    /// The invitee declines by this link.
    Decline(Link),
    /// Who gives whom which role.
    RoleEdit(Person, Person, Role),
    /// Who renames the organization.
    Rename(Person),
    /// Who removes whom; oneself to leave.
    Remove(Person, Person),
    /// The timer of this link's deadline.
    Expire(Link),
    /// Reconcile looks at this person's invitation.
    Reconcile(Person),
    /// SES tells something of the mail with this link.
    Feedback(Link, DeliveryUpdate),
}

impl Call {
    /// The plan of the call, decided on this table at this moment, or why people are refused it. `lost` is the plan of the
    /// attempt before, which lost a race.
    pub(crate) fn decide(
        &self,
        model: &Roster,
        table: &ReferenceTable,
        tick: u8,
        lost: Option<&Plan>,
    ) -> Result<Plan, Option<Refusal>> {
        let decide = Decide { model, table, tick, lost };
        let organization = model.organization.clone();
        let user = |person: &Person| model.user(*person).clone();
        let id = |person: &Person| model.id(*person).clone();
        match self {
            Self::Invite(by, whom, role) => {
                let invitees = whom.iter().filter_map(|&it| model.email(it)).collect();
                let sender = model.sender(*by).ok_or(None)?;
                decide.plan(&Invite { sender, organization, invitees, role: *role, language: None })
            }
            Self::Resend(by, whom) => decide.plan(&Resend {
                sender: model.sender(*by).ok_or(None)?,
                organization,
                invitation: Some(id(whom)),
            }),
            Self::Revoke(by, whom) => {
                decide.plan(&Revoke { caller: user(by), organization, invitation: Some(id(whom)) })
            }
            Self::Accept(link) => {
                let caller = model.caller(model.person(&link.invitation).ok_or(None)?).clone();
                decide.plan(&Accept { caller, link: link.clone() })
            }
            Self::Decline(link) => {
                let caller = model.caller(model.person(&link.invitation).ok_or(None)?).clone();
                decide.plan(&Decline { caller, link: link.clone() })
            }
            Self::RoleEdit(by, whom, role) => {
                let member = Some(user(whom));
                decide.plan(&RoleEdit { caller: user(by), organization, member, role: *role })
            }
            Self::Rename(by) => {
                let name = OrganizationName::parse("Acme Works").map_err(|_| None)?;
                decide.plan(&OrganizationEdit { caller: user(by), organization, name })
            }
            Self::Remove(by, whom) => {
                decide.plan(&Remove { caller: user(by), organization, member: Some(user(whom)) })
            }
            Self::Expire(link) => decide.works(&Expire { timer: link.clone() }),
            Self::Reconcile(person) => decide.works(&Reconcile { organization, invitation: id(person) }),
            Self::Feedback(link, mark) => {
                decide.works(&UpdateDelivery { link: link.clone(), mark: mark.clone() })
            }
        }
    }

    /// What it is, as far as the rules ask.
    pub(crate) fn operation(&self, model: &Roster) -> Operation {
        let user = |person: &Person| model.user(*person).clone();
        match self {
            Self::Invite(by, _, role) => Operation::Invite { by: user(by), role: *role },
            Self::Resend(by, whom) => Operation::Resend { by: user(by), invitation: model.id(*whom).clone() },
            Self::Revoke(by, whom) => Operation::Revoke { by: user(by), invitation: model.id(*whom).clone() },
            Self::RoleEdit(by, whom, _) => Operation::RoleEdit { by: user(by), member: user(whom) },
            Self::Rename(by) => Operation::OrganizationEdit { by: user(by) },
            Self::Remove(by, whom) => Operation::Remove { by: user(by), member: user(whom) },
            Self::Accept(link) => Operation::Accept(link.clone()),
            Self::Decline(link) => {
                let email = model.person(&link.invitation).and_then(|person| model.email(person));
                email.map_or(Operation::Other, |email| Operation::Decline { email, link: link.clone() })
            }
            Self::Expire(link) => Operation::Expire(link.clone()),
            Self::Reconcile(_) => Operation::Reconcile,
            Self::Feedback(..) => Operation::Mail,
        }
    }

    /// Whether a person makes it.
    pub(crate) fn is_a_persons(&self) -> bool {
        !matches!(self, Self::Expire(_) | Self::Reconcile(_) | Self::Feedback(..))
    }
}

/// What a call is decided on.
struct Decide<'a> {
    model: &'a Roster,
    table: &'a ReferenceTable,
    tick: u8,
    lost: Option<&'a Plan>,
}

impl Decide<'_> {
    /// What people are refused is told.
    fn plan(&self, action: &impl Action<Refusal = Refusal>) -> Result<Plan, Option<Refusal>> {
        self.decided(action).map_err(|error| match error {
            RunError::Refused(refusal) => Some(refusal),
            RunError::Plan(_) | RunError::Guard(_) => None,
        })
    }

    fn works(&self, action: &impl Action) -> Result<Plan, Option<Refusal>> {
        self.decided(action).map_err(|_| None)
    }

    fn decided<A: Action>(&self, action: &A) -> Result<Plan, RunError<A::Refusal>> {
        // A plan that lost a race wanted to write an invitation whose sender is that of the one that was read.
        let seen = self.lost.map(|lost| {
            let puts = lost.puts().map(|record| (record.key(), Some(record.clone())));
            puts.collect::<Snapshot>()
        });
        let decided = self.table.decide(action, seen.as_ref(), &self.model.policy, Roster::now(self.tick));
        decided.map(|(plan, _)| plan)
    }
}
