//! Revoke: a member revokes a pending invitation, and its seat is given back.

use crate::{
    Action, Change, Decision, InvitationId, ItemKey, NotPending, OrganizationId, Permission, Policy, Refusal,
    Snapshot, Timestamp, UserId,
};

/// Revokes a pending invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// The member who revokes.
    pub caller: UserId,
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation; `None` if the caller sent no valid id.
    pub invitation: Option<InvitationId>,
}

impl Action for Revoke {
    const NAME: &'static str = "revoke";
    type Answer = ();
    type Refusal = Refusal;

    fn reads(&self, _: Option<&Snapshot>) -> Vec<ItemKey> {
        let member = ItemKey::member(&self.organization, &self.caller);
        let invitation = self.invitation.as_ref().map(|id| ItemKey::invitation(&self.organization, id));
        [member].into_iter().chain(invitation).collect()
    }

    fn decide(&self, snapshot: &Snapshot, policy: &Policy, now: Timestamp) -> Result<Decision<()>, Refusal> {
        let member = snapshot.membership(&self.organization, &self.caller)?;
        let invitation = snapshot.find_invitation(&self.organization, self.invitation.as_ref())?;
        let authority = member.require(Permission::Revoke(invitation.role))?;
        let pending = invitation.pending_at(now).map_err(|NotPending(status)| Refusal::NotPending(status))?;
        let revoked = Change::close_invitation(pending.revoked(now, policy));
        let changes = [authority].into_iter().chain(revoked).collect();
        Ok(Decision { changes, answer: () })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        Given, HOUR, NOON, SECOND, acme, asserts, counts, given, id_of, items, user, written,
    };
    use crate::{CloseReason, Role, State, Status};

    fn revoke() -> Revoke {
        Revoke { caller: user("ada"), organization: acme(), invitation: Some(id_of("ivy")) }
    }

    impl Given {
        fn revoking(&self) -> Result<Decision<()>, Refusal> {
            self.decide(&revoke())
        }
    }

    #[test]
    fn refuses_in_the_order_of_the_contract() {
        let not_a_member = given().caller_is_no_member().not_invited();
        assert_eq!(not_a_member.revoking(), Err(Refusal::NoSuchOrganization));
        let member = given().caller_is(Role::Member);
        assert_eq!(member.clone().not_invited().revoking(), Err(Refusal::NoSuchInvitation));
        let no_id = Revoke { invitation: None, ..revoke() };
        assert_eq!(member.decide(&no_id), Err(Refusal::NoSuchInvitation));
        let accepted_owner = member.clone().invited_as(Role::Owner).status(Status::Accepted);
        assert_eq!(accepted_owner.revoking(), Err(Refusal::NotPermitted(Permission::Revoke(Role::Owner))));
        let accepted = member.status(Status::Accepted);
        assert_eq!(accepted.revoking(), Err(Refusal::NotPending(Status::Accepted)));
    }

    #[test]
    fn revoking_needs_the_permission_for_the_offered_role() {
        for (caller, offered, allowed) in [
            (Role::Owner, Role::Owner, true),
            (Role::Owner, Role::Member, true),
            (Role::Member, Role::Member, true),
            (Role::Member, Role::Owner, false),
        ] {
            let revoking = given().caller_is(caller).invited_as(offered).revoking();
            assert_eq!(revoking.is_ok(), allowed, "{caller} revokes {offered}");
            if let Ok(decision) = revoking {
                assert!(
                    asserts(&decision, "ada", Permission::Revoke(offered)),
                    "the commit asserts the caller's permission"
                );
            }
        }
    }

    #[test]
    fn only_a_pending_invitation_can_be_revoked() {
        for status in Status::ALL {
            let expected = match status {
                Status::Pending => Ok(()),
                status => Err(Refusal::NotPending(status)),
            };
            assert_eq!(given().status(status).revoking().map(|it| it.answer), expected, "{status}");
        }
    }

    #[test]
    fn revokes_before_the_expiry_and_refuses_at_it() {
        assert!(given().expiring_at(NOON + SECOND).revoking().is_ok());
        let refused = Err(Refusal::NotPending(Status::Expired));
        assert_eq!(given().expiring_at(NOON).revoking(), refused);
    }

    #[test]
    fn a_revoked_invitation_gives_its_seat_back_and_is_kept_for_the_retention() {
        let decision = given().revoking().unwrap();
        let purge_at = NOON + given().policy.retention;
        assert_eq!(written(&decision).state, State::Closed { how: CloseReason::Revoked, at: NOON, purge_at });
        assert_eq!(counts(&decision), (1, 0));
        assert_eq!(items(&decision).len(), 3);
        assert!(purge_at > NOON + HOUR);
    }
}
