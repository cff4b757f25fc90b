//! Remove: an owner removes a member, or a member leaves. The last owner stays (rule: last owner).

use crate::{
    Action, Change, Decision, ItemKey, OrganizationId, Permission, Policy, Refusal, Snapshot, Timestamp,
    UserId,
};

/// Removes a member. Any member may remove themselves (rule: permissions).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remove {
    /// The user who removes the member.
    pub caller: UserId,
    /// The organization.
    pub organization: OrganizationId,
    /// The user to remove; the caller's own id to leave. `None` if the caller sent no valid user id.
    pub member: Option<UserId>,
}

impl Action for Remove {
    const NAME: &'static str = "remove";
    type Answer = ();
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        let caller = ItemKey::member_and_organization(&self.organization, &self.caller);
        let member = self.member.as_ref().map(|user| ItemKey::member(&self.organization, user));
        caller.into_iter().chain(member).collect()
    }

    fn decide(&self, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Result<Decision<()>, Refusal> {
        let (remover, organization) =
            snapshot.membership_and_organization(&self.organization, &self.caller)?;
        let member = snapshot.find_member(&self.organization, self.member.as_ref())?;
        let leaves = member.user == self.caller;
        let authority = if leaves { None } else { Some(remover.require(Permission::RemoveMembers)?) };
        let owners = -member.role.owners();
        organization.ensure_owner_remains(owners)?;
        let removal = [
            Change::delete_member(member),
            Change::close_as_removed(member, now, now + policy.retention),
            Change::count(&organization.id, 1, owners),
        ];
        Ok(Decision { changes: authority.into_iter().chain(removal).collect(), answer: () })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, NOON, acme, asserts, contains, counts, given, items, member, user};
    use crate::{Member, Role};

    fn remove(name: &str) -> Remove {
        Remove { caller: user("ada"), organization: acme(), member: Some(user(name)) }
    }

    impl Given {
        fn removing(&self, target: Member) -> Result<Decision<()>, Refusal> {
            let name = target.user.as_str().to_owned();
            self.clone().with(target).decide(&remove(&name))
        }

        fn leaving(&self) -> Result<Decision<()>, Refusal> {
            self.decide(&remove("ada"))
        }
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let mut setup = given().caller_is_no_member().owners(1);
        assert_eq!(setup.decide(&remove("bob")), Err(Refusal::NoSuchOrganization));
        setup = setup.caller_is(Role::Member);
        assert_eq!(setup.decide(&remove("bob")), Err(Refusal::NoSuchMember));
        let no_user = Remove { member: None, ..remove("bob") };
        assert_eq!(setup.decide(&no_user), Err(Refusal::NoSuchMember));
        let owner = member("bob", Role::Owner);
        assert_eq!(setup.removing(owner.clone()), Err(Refusal::NotPermitted(Permission::RemoveMembers)));
        setup = setup.caller_is(Role::Owner);
        assert_eq!(setup.removing(owner), Err(Refusal::LastOwner));
    }

    #[test]
    fn owners_remove_any_member_and_members_only_themselves() {
        for (caller, target, role, allowed) in [
            (Role::Owner, "bob", Role::Owner, true),
            (Role::Owner, "bob", Role::Member, true),
            (Role::Owner, "ada", Role::Owner, true),
            (Role::Member, "bob", Role::Owner, false),
            (Role::Member, "bob", Role::Member, false),
            (Role::Member, "ada", Role::Member, true),
        ] {
            let removing = given().caller_is(caller).removing(member(target, role));
            let expected =
                if allowed { Ok(()) } else { Err(Refusal::NotPermitted(Permission::RemoveMembers)) };
            assert_eq!(removing.map(|it| it.answer), expected, "a {caller} removes {target}, a {role}");
        }
    }

    #[test]
    fn the_last_owner_can_neither_leave_nor_be_removed() {
        assert_eq!(given().owners(1).leaving(), Err(Refusal::LastOwner));
        assert_eq!(given().owners(1).removing(member("bob", Role::Owner)), Err(Refusal::LastOwner));
        assert!(given().owners(2).leaving().is_ok());
        assert!(given().owners(1).caller_is(Role::Member).leaving().is_ok());
        assert!(given().owners(1).removing(member("bob", Role::Member)).is_ok());
    }

    #[test]
    fn gives_the_seat_back_and_counts_a_removed_owner() {
        for (role, owners) in [(Role::Owner, -1), (Role::Member, 0)] {
            let decision = given().removing(member("bob", role)).unwrap();
            assert_eq!(counts(&decision), (1, owners), "{role}");
        }
    }

    #[test]
    fn closes_the_members_invitation_as_removed() {
        let bob = member("bob", Role::Member);
        let decision = given().removing(bob.clone()).unwrap();
        let purge_at = NOON + given().policy.retention;
        assert!(contains(&decision, &Change::close_as_removed(&bob, NOON, purge_at)));
    }

    #[test]
    fn asserts_the_callers_permission_and_the_member_as_read() {
        let bob = member("bob", Role::Member);
        let decision = given().removing(bob.clone()).unwrap();
        assert!(asserts(&decision, "ada", Permission::RemoveMembers));
        assert!(contains(&decision, &Change::delete_member(&bob)));
    }

    #[test]
    fn leaving_asserts_no_permission() {
        let decision = given().caller_is(Role::Member).leaving().unwrap();
        assert!(!asserts(&decision, "ada", Permission::RemoveMembers));
        assert_eq!(items(&decision).len(), 3);
    }
}
