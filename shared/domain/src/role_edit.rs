//! Role-edit: an owner changes a member's role. The last owner stays an owner (rule: last owner).

use crate::{
    Action, Change, Decision, ItemKey, Member, OrganizationId, Permission, Policy, Refusal, Role, Snapshot,
    Timestamp, UserId,
};

/// Changes a member's role. Setting the current role changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleEdit {
    /// The user who changes the role.
    pub caller: UserId,
    /// The organization.
    pub organization: OrganizationId,
    /// The member; `None` if the caller sent no valid user id.
    pub member: Option<UserId>,
    /// The new role.
    pub role: Role,
}

impl Action for RoleEdit {
    const NAME: &'static str = "role-edit";
    type Answer = Member;
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        let caller = ItemKey::member_and_organization(&self.organization, &self.caller);
        let member = self.member.as_ref().map(|user| ItemKey::member(&self.organization, user));
        caller.into_iter().chain(member).collect()
    }

    fn decide(&self, snapshot: &Snapshot, _: &Policy, _: Timestamp) -> Result<Decision<Member>, Refusal> {
        let (editor, organization) =
            snapshot.membership_and_organization(&self.organization, &self.caller)?;
        let member = snapshot.find_member(&self.organization, self.member.as_ref())?;
        let authority = editor.require(Permission::EditRoles)?;
        if member.role == self.role {
            return Ok(Decision::unchanged(member.clone()));
        }
        let owners = self.role.owners() - member.role.owners();
        organization.ensure_owner_remains(owners)?;
        let mut changes = vec![authority, Change::set_role(member, self.role)];
        if owners != 0 {
            changes.push(Change::count(&organization.id, 0, owners));
        }
        Ok(Decision { changes, answer: Member { role: self.role, ..member.clone() } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, acme, asserts, contains, counts, given, items, member, user};

    impl Given {
        fn editing(&self, target: Option<Member>, role: Role) -> Result<Decision<Member>, Refusal> {
            let name = target.as_ref().map_or(user("bob"), |it| it.user.clone());
            let edit = RoleEdit { caller: user("ada"), organization: acme(), member: Some(name), role };
            let other = target.filter(|it| it.user != user("ada"));
            Given { other, ..self.clone() }.decide(&edit)
        }
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let mut setup = given().caller_is_no_member().owners(1);
        assert_eq!(setup.editing(None, Role::Member), Err(Refusal::NoSuchOrganization));
        setup = setup.caller_is(Role::Member);
        assert_eq!(setup.editing(None, Role::Member), Err(Refusal::NoSuchMember));
        let owner = Some(member("bob", Role::Owner));
        assert_eq!(
            setup.editing(owner.clone(), Role::Member),
            Err(Refusal::NotPermitted(Permission::EditRoles))
        );
        setup = setup.caller_is(Role::Owner);
        assert_eq!(setup.editing(owner, Role::Member), Err(Refusal::LastOwner));
    }

    #[test]
    fn members_may_not_set_a_role_not_even_the_current_one() {
        for (has, gets) in
            [(Role::Owner, Role::Member), (Role::Member, Role::Owner), (Role::Member, Role::Member)]
        {
            let editing = given().caller_is(Role::Member).editing(Some(member("bob", has)), gets);
            assert_eq!(editing, Err(Refusal::NotPermitted(Permission::EditRoles)), "{has} to {gets}");
        }
        let own = given().caller_is(Role::Member).editing(Some(member("ada", Role::Member)), Role::Owner);
        assert_eq!(
            own,
            Err(Refusal::NotPermitted(Permission::EditRoles)),
            "members cannot promote themselves"
        );
    }

    #[test]
    fn counts_promoted_and_demoted_owners() {
        for (has, gets, owners) in
            [(Role::Member, Role::Owner, 1), (Role::Owner, Role::Member, -1), (Role::Owner, Role::Owner, 0)]
        {
            let decision = given().editing(Some(member("bob", has)), gets).unwrap();
            assert_eq!(counts(&decision), (0, owners), "{has} to {gets}");
            assert_eq!(decision.answer, member("bob", gets));
        }
    }

    #[test]
    fn setting_the_current_role_changes_nothing() {
        for role in Role::ALL {
            let decision = given().owners(1).editing(Some(member("bob", role)), role).unwrap();
            assert!(decision.changes.is_empty(), "{role}");
        }
    }

    #[test]
    fn refuses_to_demote_the_last_owner_but_demotes_one_of_two() {
        let ada = || Some(member("ada", Role::Owner));
        assert_eq!(given().owners(1).editing(ada(), Role::Member), Err(Refusal::LastOwner));
        assert!(given().owners(2).editing(ada(), Role::Member).is_ok());
        assert!(given().owners(1).editing(Some(member("bob", Role::Member)), Role::Owner).is_ok());
    }

    #[test]
    fn asserts_the_editors_permission_and_the_members_role() {
        let bob = member("bob", Role::Member);
        let decision = given().editing(Some(bob.clone()), Role::Owner).unwrap();
        assert!(asserts(&decision, "ada", Permission::EditRoles));
        assert!(contains(&decision, &Change::set_role(&bob, Role::Owner)));
    }

    #[test]
    fn demoting_oneself_makes_one_change_of_the_member_item() {
        let decision = given().editing(Some(member("ada", Role::Owner)), Role::Member).unwrap();
        assert!(asserts(&decision, "ada", Permission::EditRoles));
        assert_eq!(items(&decision).len(), 2);
    }

    #[test]
    fn an_invalid_user_id_is_no_member() {
        let edit = RoleEdit { caller: user("ada"), organization: acme(), member: None, role: Role::Owner };
        assert_eq!(given().decide(&edit), Err(Refusal::NoSuchMember));
    }
}
