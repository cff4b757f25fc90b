//! List: shows an organization to its members.

use crate::{
    Action, Decision, ItemKey, Member, Organization, OrganizationId, Policy, Refusal, Role, Snapshot,
    Timestamp, UserId,
};

/// Returns the caller's membership, or refuses if the caller is not a member of the organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The caller.
    pub caller: UserId,
    /// The organization.
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

/// Returns the organization and the caller's role in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowOrganization {
    /// The caller.
    pub caller: UserId,
    /// The organization.
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
