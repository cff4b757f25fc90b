//! Role-edit: an owner changes a member's role; an organization keeps at least one owner.

use crate::{Caller, Change, Decision, Member, MemberChange, Organization, Role, Timestamp};

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's membership.
    pub caller: Option<Member>,
    /// The organization.
    pub organization: Option<Organization>,
    /// The member whose role is edited.
    pub member: Option<Member>,
}

/// Why the role stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Or it does not exist: a stranger must not learn which.
    #[error("the organization does not exist, or the caller is not in it")]
    NoSuchOrganization,
    /// None in this organization.
    #[error("the organization has no such member")]
    NoSuchMember,
    /// Only owners edit roles.
    #[error("only an owner may edit roles")]
    OwnerRequired,
    /// Nobody would be owner.
    #[error("the organization would have no owner left")]
    LastOwner,
}

/// Decides. Editing a role to what it is changes nothing.
pub fn decide(
    caller: &Caller,
    facts: &Facts,
    role: Role,
    now: Timestamp,
) -> Result<Decision<Member>, Refusal> {
    let editor = facts.caller.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let organization = facts.organization.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let member = facts.member.as_ref().ok_or(Refusal::NoSuchMember)?;
    if editor.role != Role::Owner {
        return Err(Refusal::OwnerRequired);
    }
    if member.role == role {
        return Ok(Decision::unchanged(member.clone()));
    }
    let owners = match role {
        Role::Owner => 1,
        Role::Member if organization.owners < 2 => return Err(Refusal::LastOwner),
        Role::Member => -1,
    };
    let loses = !role.may_grant(member.role);
    let set = MemberChange::SetRole { from: member.role, to: role, unsent: loses && !member.sent };
    let changes = [
        Change::may_grant(&organization.id, &caller.user, Role::Owner),
        Change::Member(organization.id.clone(), member.user.clone(), set),
        Change::count(&organization.id, 0, owners),
    ];
    let lapses = loses.then(|| Change::lapses(member, now)).into_iter().flatten();
    Ok(Decision {
        plan: changes.into_iter().chain(lapses).collect(),
        answer: Member { role, ..member.clone() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;
    use crate::testing::{Given, acme, asserts_grant, counts, given, items, member, user};

    impl Given {
        fn editing(&self, target: Option<Member>, role: Role) -> Result<Decision<Member>, Refusal> {
            let facts = Facts {
                caller: self.member.clone(),
                organization: self.organization.clone(),
                member: target,
            };
            decide(&self.caller, &facts, role, self.now)
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let mut world = given().caller_is_a_stranger().owners(1);
        assert_eq!(world.editing(None, Role::Member), Err(Refusal::NoSuchOrganization));
        world = world.caller_is(Role::Member);
        assert_eq!(world.editing(None, Role::Member), Err(Refusal::NoSuchMember));
        let owner = Some(member("bob", Role::Owner));
        assert_eq!(world.editing(owner.clone(), Role::Member), Err(Refusal::OwnerRequired));
        world = world.caller_is(Role::Owner);
        assert_eq!(world.editing(owner, Role::Member), Err(Refusal::LastOwner));
    }

    #[test]
    fn a_member_edits_no_role_not_even_to_what_it_is() {
        for (has, gets) in
            [(Role::Owner, Role::Member), (Role::Member, Role::Owner), (Role::Member, Role::Member)]
        {
            let editing = given().caller_is(Role::Member).editing(Some(member("bob", has)), gets);
            assert_eq!(editing, Err(Refusal::OwnerRequired), "{has} to {gets}");
        }
        let own = given().caller_is(Role::Member).editing(Some(member("ada", Role::Member)), Role::Owner);
        assert_eq!(own, Err(Refusal::OwnerRequired), "nobody promotes themselves");
    }

    #[test]
    fn owners_are_counted_as_they_come_and_go() {
        for (has, gets, owners) in
            [(Role::Member, Role::Owner, 1), (Role::Owner, Role::Member, -1), (Role::Owner, Role::Owner, 0)]
        {
            let decision = given().editing(Some(member("bob", has)), gets).unwrap();
            assert_eq!(counts(&decision), (0, owners), "{has} to {gets}");
            assert_eq!(decision.answer, member("bob", gets));
        }
    }

    #[test]
    fn a_role_edited_to_what_it_is_changes_nothing() {
        for role in Role::ALL {
            let decision = given().owners(1).editing(Some(member("bob", role)), role).unwrap();
            assert!(decision.plan.changes().is_empty(), "{role}");
        }
    }

    #[test]
    fn the_last_owner_cannot_be_demoted_and_the_last_but_one_can() {
        let ada = || Some(member("ada", Role::Owner));
        assert_eq!(given().owners(1).editing(ada(), Role::Member), Err(Refusal::LastOwner));
        assert!(given().owners(2).editing(ada(), Role::Member).is_ok());
        assert!(given().owners(1).editing(Some(member("bob", Role::Member)), Role::Owner).is_ok());
    }

    #[test]
    fn the_commit_asserts_the_editors_role_and_the_edited_one() {
        let decision = given().editing(Some(member("bob", Role::Member)), Role::Owner).unwrap();
        assert!(asserts_grant(&decision, "ada", Role::Owner));
        let set = MemberChange::SetRole { from: Role::Member, to: Role::Owner, unsent: false };
        assert!(decision.plan.changes().contains(&Change::Member(acme(), user("bob"), set)));
    }

    #[test]
    fn who_has_sent_and_loses_authority_leaves_a_lapse_in_every_lane() {
        for (has, gets, sent, lapses) in [
            (Role::Owner, Role::Member, true, usize::from(crate::LANES)),
            (Role::Owner, Role::Member, false, 0),
            (Role::Member, Role::Owner, true, 0),
        ] {
            let bob = Member { sent, ..member("bob", has) };
            let items = items(&given().editing(Some(bob), gets).unwrap());
            let of_bob = |item: &&Item| matches!(item, Item::Lapse(_, sender, _) if *sender == user("bob"));
            assert_eq!(items.iter().filter(of_bob).count(), lapses, "{has} to {gets}");
            assert!(items.len() <= crate::CHANGES_MAX, "it is one transaction");
        }
    }

    #[test]
    fn demoting_oneself_is_one_change_of_one_member() {
        let decision = given().editing(Some(member("ada", Role::Owner)), Role::Member).unwrap();
        let set = MemberChange::SetRole { from: Role::Owner, to: Role::Member, unsent: true };
        assert_eq!(decision.plan.changes()[0], Change::Member(acme(), user("ada"), set));
        assert_eq!(items(&decision).len(), 2);
    }
}
