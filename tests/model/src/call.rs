//! What people call and timers invoke, as the real decisions see it.

use domain::delivery::{Mark, MarkMail};
use domain::{
    Accept, Action, Decline, Expire, Invite, Link, OrganizationEdit, OrganizationName, Plan, Reconcile,
    Remove, Resend, Revoke, Role, RoleEdit, Snapshot,
};
use reference::{Operation, ReferenceTable};

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
    Feedback(Link, Mark),
}

impl Call {
    /// The plan of the call, decided on this table at this moment; none if the rules refuse it. `lost` is the plan
    /// of the attempt before, which lost a race.
    pub(crate) fn decide(
        &self,
        model: &Roster,
        table: &ReferenceTable,
        tick: u8,
        lost: Option<&Plan>,
    ) -> Option<Plan> {
        let decide = Decide { model, table, tick, lost };
        let organization = model.organization.clone();
        let user = |person: &Person| model.user(*person).clone();
        let id = |person: &Person| model.id(*person).clone();
        match self {
            Self::Invite(by, whom, role) => {
                let invitees = whom.iter().filter_map(|&it| model.email(it)).collect();
                let sender = model.sender(*by)?;
                decide.plan(&Invite { sender, organization, invitees, role: *role, language: None })
            }
            Self::Resend(by, whom) => {
                decide.plan(&Resend { sender: model.sender(*by)?, organization, invitation: Some(id(whom)) })
            }
            Self::Revoke(by, whom) => {
                decide.plan(&Revoke { caller: user(by), organization, invitation: Some(id(whom)) })
            }
            Self::Accept(link) => {
                let caller = model.caller(model.person(&link.invitation)?).clone();
                decide.plan(&Accept { caller, link: link.clone() })
            }
            Self::Decline(link) => {
                let caller = model.caller(model.person(&link.invitation)?).clone();
                decide.plan(&Decline { caller, link: link.clone() })
            }
            Self::RoleEdit(by, whom, role) => {
                let member = Some(user(whom));
                decide.plan(&RoleEdit { caller: user(by), organization, member, role: *role })
            }
            Self::Rename(by) => {
                let name = OrganizationName::parse("Acme Works").ok()?;
                decide.plan(&OrganizationEdit { caller: user(by), organization, name })
            }
            Self::Remove(by, whom) => {
                decide.plan(&Remove { caller: user(by), organization, member: Some(user(whom)) })
            }
            Self::Expire(link) => decide.plan(&Expire { timer: link.clone() }),
            Self::Reconcile(person) => decide.plan(&Reconcile { organization, invitation: id(person) }),
            Self::Feedback(link, mark) => decide.plan(&MarkMail { link: link.clone(), mark: mark.clone() }),
        }
    }

    /// What it is, as far as the rules ask.
    pub(crate) fn operation(&self, model: &Roster) -> Operation {
        let user = |person: &Person| model.user(*person).clone();
        match self {
            Self::Invite(by, _, role) => Operation::Invite { by: user(by), role: *role },
            Self::Resend(by, whom) | Self::Revoke(by, whom) => {
                Operation::Administer { by: user(by), invitation: model.id(*whom).clone() }
            }
            Self::RoleEdit(by, ..) | Self::Rename(by) => Operation::ByOwner { by: user(by) },
            Self::Remove(by, whom) => Operation::Remove { by: user(by), member: user(whom) },
            Self::Accept(link) => Operation::Accept(link.clone()),
            Self::Decline(_) | Self::Expire(_) | Self::Reconcile(_) | Self::Feedback(..) => Operation::Other,
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
    fn plan<A: Action>(&self, action: &A) -> Option<Plan> {
        // A plan that lost a race wanted to write an invitation whose sender is that of the one that was read.
        let seen = self.lost.map(|lost| {
            let puts = lost.puts().map(|record| (record.key(), Some(record.clone())));
            puts.collect::<Snapshot>()
        });
        let decided = self.table.decide(action, seen.as_ref(), &self.model.policy, Roster::now(self.tick));
        decided.ok().map(|(plan, _)| plan)
    }
}
