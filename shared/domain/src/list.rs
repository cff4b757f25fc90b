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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acme, given, user};

    #[test]
    fn shows_an_organization_to_its_members_only() {
        let action = ShowOrganization { caller: user("ada"), organization: acme() };
        let shown = given().caller_is(Role::Member).decide(&action).unwrap().answer;
        assert_eq!(shown, (Role::Member, given().organization.unwrap()));
        assert_eq!(given().caller_is_no_member().decide(&action), Err(Refusal::NoSuchOrganization));
    }

    #[test]
    fn returns_the_membership_of_members_only() {
        let action = Membership { caller: user("ada"), organization: acme() };
        assert_eq!(given().decide(&action).unwrap().answer, given().member.unwrap());
        assert_eq!(given().caller_is_no_member().decide(&action), Err(Refusal::NoSuchOrganization));
    }
}
