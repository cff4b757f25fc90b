//! Calls of users and invocations of functions, run by the real decisions.

use domain::delivery::{DeliveryUpdate, UpdateDelivery};
use domain::{
    Accept, Action, Decline, Expire, Invite, Link, OrganizationEdit, OrganizationName, Plan, Reconcile,
    Refusal, Remove, Resend, Revoke, Role, RoleEdit, Snapshot,
};
use reference::{Operation, ReferenceTable, RunError};

use crate::{RosterModel, User};

/// A call of a user, or an invocation of a function. Where there are two users, the first one is the caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Call {
    /// The user invites the others with this role.
    Invite(User, Vec<User>, Role),
    /// The user resends the invitation of the other.
    Resend(User, User),
    /// The user revokes the invitation of the other.
    Revoke(User, User),
    /// The invitee accepts by this link.
    Accept(Link),
    /// The invitee declines by this link.
    Decline(Link),
    /// The user gives the other this role.
    RoleEdit(User, User, Role),
    /// The user renames the organization.
    OrganizationEdit(User),
    /// The user removes the other, or leaves if both are the same.
    Remove(User, User),
    /// The timer that was set for the deadline of this link invokes `expire`.
    Expire(Link),
    /// `reconcile` processes the invitation of this user.
    Reconcile(User),
    /// `mail` or `feedback` records the delivery state of the mail with this link.
    UpdateDelivery(Link, DeliveryUpdate),
}

impl Call {
    /// Decides the call on this table at this tick and returns its plan, or the refusal if a user made the call.
    ///
    /// `failed` is the plan of the previous attempt, if one of its guards failed.
    pub(crate) fn decide(
        &self,
        model: &RosterModel,
        table: &ReferenceTable,
        tick: u8,
        failed: Option<&Plan>,
    ) -> Result<Plan, Option<Refusal>> {
        let context = DecisionContext { model, table, tick, failed };
        let organization = model.organization.clone();
        let user_id = |user: &User| model.user_id(*user).clone();
        let invitation_id = |user: &User| model.invitation_id(*user).clone();
        match self {
            Self::Invite(by, invitees, role) => {
                let invitees = invitees.iter().filter_map(|&it| model.email(it)).collect();
                let sender = model.sender(*by).ok_or(None)?;
                let invite = Invite { sender, organization, invitees, role: *role, language: None };
                context.decide_user_call(&invite)
            }
            Self::Resend(by, invitee) => context.decide_user_call(&Resend {
                sender: model.sender(*by).ok_or(None)?,
                organization,
                invitation: Some(invitation_id(invitee)),
            }),
            Self::Revoke(by, invitee) => {
                let invitation = Some(invitation_id(invitee));
                context.decide_user_call(&Revoke { caller: user_id(by), organization, invitation })
            }
            Self::Accept(link) => {
                let caller = model.caller(model.invitee(&link.invitation).ok_or(None)?).clone();
                context.decide_user_call(&Accept { caller, link: link.clone() })
            }
            Self::Decline(link) => {
                let caller = model.caller(model.invitee(&link.invitation).ok_or(None)?).clone();
                context.decide_user_call(&Decline { caller, link: link.clone() })
            }
            Self::RoleEdit(by, member, role) => {
                let (caller, member) = (user_id(by), Some(user_id(member)));
                context.decide_user_call(&RoleEdit { caller, organization, member, role: *role })
            }
            Self::OrganizationEdit(by) => {
                let name = OrganizationName::parse("Acme Works").map_err(|_| None)?;
                context.decide_user_call(&OrganizationEdit { caller: user_id(by), organization, name })
            }
            Self::Remove(by, member) => {
                let (caller, member) = (user_id(by), Some(user_id(member)));
                context.decide_user_call(&Remove { caller, organization, member })
            }
            Self::Expire(link) => context.decide_invocation(&Expire { timer: link.clone() }),
            Self::Reconcile(user) => {
                context.decide_invocation(&Reconcile { organization, invitation: invitation_id(user) })
            }
            Self::UpdateDelivery(link, update) => {
                context.decide_invocation(&UpdateDelivery { link: link.clone(), update: update.clone() })
            }
        }
    }

    /// Converts the call into the operation that [`ReferenceTable::broken_rule`] checks.
    pub(crate) fn operation(&self, model: &RosterModel) -> Operation {
        let user_id = |user: &User| model.user_id(*user).clone();
        let invitation_id = |user: &User| model.invitation_id(*user).clone();
        match self {
            Self::Invite(by, _, role) => Operation::Invite { by: user_id(by), role: *role },
            Self::Resend(by, invitee) => {
                Operation::Resend { by: user_id(by), invitation: invitation_id(invitee) }
            }
            Self::Revoke(by, invitee) => {
                Operation::Revoke { by: user_id(by), invitation: invitation_id(invitee) }
            }
            Self::RoleEdit(by, member, _) => Operation::RoleEdit { by: user_id(by), member: user_id(member) },
            Self::OrganizationEdit(by) => Operation::OrganizationEdit { by: user_id(by) },
            Self::Remove(by, member) => Operation::Remove { by: user_id(by), member: user_id(member) },
            Self::Accept(link) => {
                let caller = model.invitee(&link.invitation).map(|user| model.caller(user).clone());
                let (by, email) = caller.map_or((None, None), |caller| (Some(caller.user), caller.email));
                by.zip(email).map_or(Operation::Other, |(by, email)| Operation::Accept {
                    by,
                    email,
                    link: link.clone(),
                })
            }
            Self::Decline(link) => {
                let email = model.invitee(&link.invitation).and_then(|user| model.email(user));
                email.map_or(Operation::Other, |email| Operation::Decline { email, link: link.clone() })
            }
            Self::Expire(link) => Operation::Expire(link.clone()),
            Self::Reconcile(_) => Operation::Reconcile,
            Self::UpdateDelivery(..) => Operation::Mail,
        }
    }

    /// Whether a user makes this call.
    pub(crate) fn is_user_call(&self) -> bool {
        !matches!(self, Self::Expire(_) | Self::Reconcile(_) | Self::UpdateDelivery(..))
    }
}

/// The input of a decision besides the action itself.
struct DecisionContext<'a> {
    model: &'a RosterModel,
    table: &'a ReferenceTable,
    tick: u8,
    failed: Option<&'a Plan>,
}

impl DecisionContext<'_> {
    fn decide_user_call(&self, action: &impl Action<Refusal = Refusal>) -> Result<Plan, Option<Refusal>> {
        self.decide(action).map_err(|error| match error {
            RunError::Refused(refusal) => Some(refusal),
            RunError::Plan(_) | RunError::Guard(_) => None,
        })
    }

    fn decide_invocation(&self, action: &impl Action) -> Result<Plan, Option<Refusal>> {
        self.decide(action).map_err(|_| None)
    }

    fn decide<A: Action>(&self, action: &A) -> Result<Plan, RunError<A::Refusal>> {
        // Only `Accept` uses the snapshot of the failed attempt: to find the sender of the invitation. The invitation
        // that the failed plan writes has the same sender as the one that the attempt read.
        let seen = self.failed.map(|failed| {
            let puts = failed.puts().map(|record| (record.key(), Some(record.clone())));
            puts.collect::<Snapshot>()
        });
        let now = RosterModel::now(self.tick);
        let decided = self.table.decide(action, seen.as_ref(), &self.model.policy, now);
        decided.map(|(plan, _)| plan)
    }
}
