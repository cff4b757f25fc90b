//! What people call and timers invoke, as the real decisions see it.

use domain::delivery::{self, Mark};
use domain::ledger::{Deed, Ledger};
use domain::{
    Change, Decision, Invitation, InvitationChange, Link, Plan, Role, accept, decline, expire, invite,
    reconcile, remove, resend, revoke, role_edit,
};

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
    /// of the look before, which lost a race.
    pub(crate) fn decide(
        &self,
        model: &Roster,
        ledger: &Ledger,
        tick: u8,
        lost: Option<&Plan>,
    ) -> Option<Plan> {
        let (acme, policy, now) = (&model.organization, &model.policy, Roster::now(tick));
        match self {
            Self::Invite(by, whom, role) => {
                let request = invite::Request::new(whom.iter().filter_map(|&it| model.email(it)), *role);
                let facts = ledger.invite_facts(acme, model.user(*by), &request);
                plan(invite::decide(model.caller(*by), &request, &facts, policy, now))
            }
            Self::Resend(by, whom) => {
                let facts = ledger.resend_facts(acme, model.user(*by), model.id(*whom));
                plan(resend::decide(model.caller(*by), &facts, policy, now))
            }
            Self::Revoke(by, whom) => {
                let facts = ledger.revoke_facts(acme, model.user(*by), model.id(*whom));
                plan(revoke::decide(model.caller(*by), &facts, policy, now))
            }
            Self::Accept(link) => {
                let caller = model.caller(model.person(&link.invitation)?);
                let before = lost.and_then(written);
                plan(accept::decide(caller, &ledger.accept_facts(link, &caller.user, before), now))
            }
            Self::Decline(link) => {
                let caller = model.caller(model.person(&link.invitation)?);
                plan(decline::decide(caller, &ledger.decline_facts(link), policy, now))
            }
            Self::RoleEdit(by, whom, role) => {
                let facts = ledger.role_edit_facts(acme, model.user(*by), model.user(*whom));
                plan(role_edit::decide(model.caller(*by), &facts, *role, now))
            }
            Self::Remove(by, whom) => {
                let facts = ledger.remove_facts(acme, model.user(*by), model.user(*whom));
                plan(remove::decide(model.caller(*by), &facts, policy, now))
            }
            Self::Expire(link) => plan(expire::decide(link, &ledger.expire_facts(link), policy, now)),
            Self::Reconcile(person) => {
                let facts = ledger.reconcile_facts(acme, model.id(*person));
                Some(reconcile::decide(&facts, policy, now).plan)
            }
            Self::Feedback(link, mark) => {
                Some(delivery::decide(link, mark, &ledger.delivery_facts(link), now).plan)
            }
        }
    }

    /// What it is, as far as the rules ask.
    pub(crate) fn deed(&self, model: &Roster) -> Deed {
        let user = |person: &Person| model.user(*person).clone();
        match self {
            Self::Invite(by, _, role) => Deed::Invite { by: user(by), role: *role },
            Self::Resend(by, whom) | Self::Revoke(by, whom) => {
                Deed::Administer { by: user(by), invitation: model.id(*whom).clone() }
            }
            Self::RoleEdit(by, _, _) => Deed::RoleEdit { by: user(by) },
            Self::Remove(by, whom) => Deed::Remove { by: user(by), member: user(whom) },
            Self::Accept(link) => Deed::Accept(link.clone()),
            Self::Decline(_) | Self::Expire(_) | Self::Reconcile(_) | Self::Feedback(..) => Deed::Other,
        }
    }

    /// Whether a person makes it.
    pub(crate) fn is_a_persons(&self) -> bool {
        !matches!(self, Self::Expire(_) | Self::Reconcile(_) | Self::Feedback(..))
    }
}

/// The record that a plan wanted to write: as its sender is concerned, the record that was read.
fn written(plan: &Plan) -> Option<&Invitation> {
    plan.changes().iter().find_map(|change| match change {
        Change::Invitation(_, _, InvitationChange::Write(invitation)) => Some(&**invitation),
        _ => None,
    })
}

fn plan<Answer, Refusal>(decided: Result<Decision<Answer>, Refusal>) -> Option<Plan> {
    decided.ok().map(|decision| decision.plan)
}
