//! Remove: an owner removes a member, or anybody leaves; an organization keeps at least one owner.

use crate::plan::{InvitationChange, MemberChange};
use crate::{Caller, Change, Decision, Member, Organization, Plan, Policy, Role, Timestamp};

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's membership.
    pub caller: Option<Member>,
    /// The organization.
    pub organization: Option<Organization>,
    /// The member who goes: the caller too, if they leave.
    pub member: Option<Member>,
}

/// Why the member stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Or it does not exist: a stranger must not learn which.
    #[error("the organization does not exist, or the caller is not in it")]
    NoSuchOrganization,
    /// None in this organization.
    #[error("the organization has no such member")]
    NoSuchMember,
    /// Only owners remove others.
    #[error("only an owner may remove other members")]
    OwnerRequired,
    /// Nobody would be owner.
    #[error("the organization would have no owner left")]
    LastOwner,
}

/// Decides.
pub fn decide(
    caller: &Caller,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision<()>, Refusal> {
    let remover = facts.caller.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let organization = facts.organization.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let member = facts.member.as_ref().ok_or(Refusal::NoSuchMember)?;
    let leaves = member.user == caller.user;
    if !leaves && remover.role != Role::Owner {
        return Err(Refusal::OwnerRequired);
    }
    let owners = match member.role {
        Role::Owner if organization.owners < 2 => return Err(Refusal::LastOwner),
        Role::Owner => -1,
        Role::Member => 0,
    };
    let id = &organization.id;
    let leave = MemberChange::Leave {
        role: member.role,
        invitation: member.invitation.clone(),
        unsent: !member.sent,
    };
    let remove = InvitationChange::Remove { at: now, purge_at: now + policy.retention };
    let goes = [
        Change::Member(id.clone(), member.user.clone(), leave),
        Change::Invitation(id.clone(), member.invitation.clone(), remove),
        Change::count(id, 1, owners),
    ];
    let authority = (!leaves).then(|| Change::may_grant(id, &caller.user, Role::Owner));
    let plan = authority.into_iter().chain(goes).chain(Change::lapses(member, now));
    Ok(Decision { plan: plan.collect::<Plan>(), answer: () })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Item;
    use crate::testing::{Given, NOON, acme, asserts_grant, counts, given, id_of, items, member, user};

    impl Given {
        fn removing(&self, target: Option<Member>) -> Result<Decision<()>, Refusal> {
            let facts = Facts {
                caller: self.member.clone(),
                organization: self.organization.clone(),
                member: target,
            };
            decide(&self.caller, &facts, &self.policy, self.now)
        }

        fn leaving(&self) -> Result<Decision<()>, Refusal> {
            self.removing(self.member.clone())
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let mut world = given().caller_is_a_stranger().owners(1);
        assert_eq!(world.removing(None), Err(Refusal::NoSuchOrganization));
        world = world.caller_is(Role::Member);
        assert_eq!(world.removing(None), Err(Refusal::NoSuchMember));
        let owner = Some(member("bob", Role::Owner));
        assert_eq!(world.removing(owner.clone()), Err(Refusal::OwnerRequired));
        world = world.caller_is(Role::Owner);
        assert_eq!(world.removing(owner), Err(Refusal::LastOwner));
    }

    #[test]
    fn owners_remove_anybody_and_members_only_themselves() {
        for (caller, target, role, allowed) in [
            (Role::Owner, "bob", Role::Owner, true),
            (Role::Owner, "bob", Role::Member, true),
            (Role::Owner, "ada", Role::Owner, true),
            (Role::Member, "bob", Role::Owner, false),
            (Role::Member, "bob", Role::Member, false),
            (Role::Member, "ada", Role::Member, true),
        ] {
            let removing = given().caller_is(caller).removing(Some(member(target, role)));
            let expected = if allowed { Ok(()) } else { Err(Refusal::OwnerRequired) };
            assert_eq!(removing.map(|it| it.answer), expected, "a {caller} removes {target}, a {role}");
        }
    }

    #[test]
    fn the_last_owner_can_neither_leave_nor_be_removed() {
        assert_eq!(given().owners(1).leaving(), Err(Refusal::LastOwner));
        assert_eq!(given().owners(1).removing(Some(member("bob", Role::Owner))), Err(Refusal::LastOwner));
        assert!(given().owners(2).leaving().is_ok());
        assert!(given().owners(1).caller_is(Role::Member).leaving().is_ok());
        assert!(given().owners(1).removing(Some(member("bob", Role::Member))).is_ok());
    }

    #[test]
    fn who_goes_gives_the_seat_back_and_an_owner_is_counted_off() {
        for (role, owners) in [(Role::Owner, -1), (Role::Member, 0)] {
            let decision = given().removing(Some(member("bob", role))).unwrap();
            assert_eq!(counts(&decision), (1, owners), "{role}");
        }
    }

    #[test]
    fn the_invitation_they_joined_with_is_closed_as_removed() {
        let decision = given().removing(Some(member("bob", Role::Member))).unwrap();
        let remove = InvitationChange::Remove { at: NOON, purge_at: NOON + given().policy.retention };
        assert!(decision.plan.changes().contains(&Change::Invitation(acme(), id_of("bob"), remove)));
    }

    #[test]
    fn the_commit_asserts_the_removers_role_and_that_the_member_is_as_seen() {
        let decision = given().removing(Some(member("bob", Role::Member))).unwrap();
        assert!(asserts_grant(&decision, "ada", Role::Owner));
        let leave = MemberChange::Leave { role: Role::Member, invitation: id_of("bob"), unsent: true };
        assert!(decision.plan.changes().contains(&Change::Member(acme(), user("bob"), leave)));
    }

    #[test]
    fn who_has_sent_leaves_a_lapse_in_every_lane_and_others_none() {
        for (sent, lapses) in [(false, 0), (true, usize::from(crate::LANES))] {
            let bob = Member { sent, ..member("bob", Role::Member) };
            let decision = given().removing(Some(bob.clone())).unwrap();
            let of_bob = |item: &Item| matches!(item, Item::Lapse(_, sender, _) if *sender == bob.user);
            assert_eq!(items(&decision).iter().filter(|item| of_bob(item)).count(), lapses);
            assert!(items(&decision).len() <= crate::CHANGES_MAX, "it is one transaction");
            let leave = MemberChange::Leave { role: Role::Member, invitation: id_of("bob"), unsent: !sent };
            assert!(decision.plan.changes().contains(&Change::Member(acme(), user("bob"), leave)));
        }
    }

    #[test]
    fn leaving_asserts_nothing_about_ones_own_authority() {
        let decision = given().caller_is(Role::Member).leaving().unwrap();
        assert!(!asserts_grant(&decision, "ada", Role::Owner));
        assert_eq!(items(&decision).len(), 3);
    }
}
