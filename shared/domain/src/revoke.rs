//! Revoke: a pending invitation is withdrawn and its seat given back.

use crate::{Caller, Change, Decision, Invitation, Member, NotPending, Plan, Policy, Timestamp};

/// What was true when we looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The caller's membership.
    pub caller: Option<Member>,
    /// The invitation.
    pub invitation: Option<Invitation>,
}

/// Why it is not withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Or it does not exist: a stranger must not learn which.
    #[error("the organization does not exist, or the caller is not in it")]
    NoSuchOrganization,
    /// None in this organization.
    #[error("the organization has no such invitation")]
    NoSuchInvitation,
    /// A member revokes what a member may grant.
    #[error("the caller may not grant the role offered")]
    RoleNotGrantable,
    /// Only a pending one can be withdrawn.
    #[error(transparent)]
    NotPending(#[from] NotPending),
}

/// Decides.
pub fn decide(
    caller: &Caller,
    facts: &Facts,
    policy: &Policy,
    now: Timestamp,
) -> Result<Decision<()>, Refusal> {
    // Who before what: a stranger must not learn whether an invitation exists.
    let member = facts.caller.as_ref().ok_or(Refusal::NoSuchOrganization)?;
    let invitation = facts.invitation.as_ref().ok_or(Refusal::NoSuchInvitation)?;
    if !member.role.may_grant(invitation.role) {
        return Err(Refusal::RoleNotGrantable);
    }
    let pending = invitation.pending_at(now)?;
    Ok(Decision {
        plan: Plan::from_iter([
            Change::may_grant(&member.organization, &caller.user, invitation.role),
            Change::write(pending.revoked(now, policy)),
            Change::count(&member.organization, 1, 0),
        ]),
        answer: (),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Given, HOUR, NOON, SECOND, asserts_grant, counts, given, items, written};
    use crate::{Closed, Role, State, Status};

    impl Given {
        fn revoking(&self) -> Result<Decision<()>, Refusal> {
            let facts = Facts { caller: self.member.clone(), invitation: self.invitation.clone() };
            decide(&self.caller, &facts, &self.policy, self.now)
        }
    }

    #[test]
    fn refusals_come_in_the_order_of_the_contract() {
        let all_wrong = given().caller_is_a_stranger().not_invited();
        assert_eq!(all_wrong.revoking(), Err(Refusal::NoSuchOrganization));
        let member = given().caller_is(Role::Member);
        assert_eq!(member.clone().not_invited().revoking(), Err(Refusal::NoSuchInvitation));
        let owner_to_be = member.clone().invited_as(Role::Owner).status(Status::Accepted);
        assert_eq!(owner_to_be.revoking(), Err(Refusal::RoleNotGrantable));
        let over = member.status(Status::Accepted);
        assert_eq!(over.revoking(), Err(Refusal::NotPending(NotPending(Status::Accepted))));
    }

    #[test]
    fn who_may_grant_the_role_may_revoke_it() {
        for (caller, offered, allowed) in [
            (Role::Owner, Role::Owner, true),
            (Role::Owner, Role::Member, true),
            (Role::Member, Role::Member, true),
            (Role::Member, Role::Owner, false),
        ] {
            let revoking = given().caller_is(caller).invited_as(offered).revoking();
            assert_eq!(revoking.is_ok(), allowed, "{caller} revokes {offered}");
            if let Ok(decision) = revoking {
                assert!(asserts_grant(&decision, "ada", offered), "the commit asserts the caller's role");
            }
        }
    }

    #[test]
    fn an_address_need_not_be_verified_to_revoke() {
        assert!(given().caller_is_unverified().revoking().is_ok());
    }

    #[test]
    fn only_a_pending_invitation_can_be_revoked() {
        for status in Status::ALL {
            let expected = match status {
                Status::Pending => Ok(()),
                status => Err(Refusal::NotPending(NotPending(status))),
            };
            assert_eq!(given().status(status).revoking().map(|it| it.answer), expected, "{status}");
        }
    }

    #[test]
    fn it_ends_at_its_expiry_whether_or_not_it_was_closed() {
        assert!(given().expiring_at(NOON + SECOND).revoking().is_ok());
        let refused = Err(Refusal::NotPending(NotPending(Status::Expired)));
        assert_eq!(given().expiring_at(NOON).revoking(), refused);
    }

    #[test]
    fn a_revoked_invitation_gives_its_seat_back_and_is_kept_for_a_while() {
        let decision = given().revoking().unwrap();
        let purge_at = NOON + given().policy.retention;
        assert_eq!(written(&decision).state, State::Closed { how: Closed::Revoked, at: NOON, purge_at });
        assert_eq!(counts(&decision), (1, 0));
        assert_eq!(items(&decision).len(), 3);
        assert!(purge_at > NOON + HOUR);
    }
}
