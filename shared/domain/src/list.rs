//! List: what a member may see of their organization.

use crate::{
    Action, Decision, ItemKey, Member, Organization, OrganizationId, Policy, Refusal, Role, Snapshot,
    Timestamp, UserId,
};

/// Whether the caller is in the organization, before anything of it is listed; answers their membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Who.
    pub caller: UserId,
    /// Where.
    pub organization: OrganizationId,
}

impl Action for Membership {
    const NAME: &'static str = "list";
    type Answer = Member;
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        vec![ItemKey::member(&self.organization, &self.caller)]
    }

    fn decide(&self, snapshot: &Snapshot, _: &Policy, _: Timestamp) -> Result<Decision<Member>, Refusal> {
        Ok(Decision::unchanged(snapshot.membership(&self.organization, &self.caller)?.clone()))
    }
}

/// The organization, and the caller's role in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowOrganization {
    /// Who.
    pub caller: UserId,
    /// Which.
    pub organization: OrganizationId,
}

impl Action for ShowOrganization {
    const NAME: &'static str = "list";
    type Answer = (Role, Organization);
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        ItemKey::member_and_organization(&self.organization, &self.caller).into()
    }

    fn decide(
        &self,
        snapshot: &Snapshot,
        _: &Policy,
        _: Timestamp,
    ) -> Result<Decision<(Role, Organization)>, Refusal> {
        let (member, organization) =
            snapshot.membership_and_organization(&self.organization, &self.caller)?;
        Ok(Decision::unchanged((member.role, organization.clone())))
    }
}
