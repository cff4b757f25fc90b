//! Revoke: a pending invitation is withdrawn and its seat given back.

use crate::{
    Action, Change, Decision, InvitationId, ItemKey, NotPending, OrganizationId, Permission, Policy, Refusal,
    Snapshot, Timestamp, UserId,
};

/// A member revokes a pending invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoke {
    /// Who.
    pub caller: UserId,
    /// Where.
    pub organization: OrganizationId,
    /// Which invitation; `None` if the caller named no valid id.
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
        let revoked = Change::write(pending.revoked(now, policy));
        let changes = vec![authority, revoked, Change::count(&self.organization, 1, 0)];
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
    fn refusals_come_in_the_order_of_the_contract() {
        let all_wrong = given().caller_is_a_stranger().not_invited();
        assert_eq!(all_wrong.revoking(), Err(Refusal::NoSuchOrganization));
        let member = given().caller_is(Role::Member);
        assert_eq!(member.clone().not_invited().revoking(), Err(Refusal::NoSuchInvitation));
        let no_id = Revoke { invitation: None, ..revoke() };
        assert_eq!(member.decide(&no_id), Err(Refusal::NoSuchInvitation));
        let owner_to_be = member.clone().invited_as(Role::Owner).status(Status::Accepted);
        assert_eq!(owner_to_be.revoking(), Err(Refusal::NotPermitted(Permission::Revoke(Role::Owner))));
        let over = member.status(Status::Accepted);
        assert_eq!(over.revoking(), Err(Refusal::NotPending(Status::Accepted)));
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
                assert!(
                    asserts(&decision, "ada", Permission::Revoke(offered)),
                    "the commit asserts the caller's role"
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
    fn it_ends_at_its_expiry_whether_or_not_it_was_closed() {
        assert!(given().expiring_at(NOON + SECOND).revoking().is_ok());
        let refused = Err(Refusal::NotPending(Status::Expired));
        assert_eq!(given().expiring_at(NOON).revoking(), refused);
    }

    #[test]
    fn a_revoked_invitation_gives_its_seat_back_and_is_kept_for_a_while() {
        let decision = given().revoking().unwrap();
        let purge_at = NOON + given().policy.retention;
        assert_eq!(written(&decision).state, State::Closed { how: CloseReason::Revoked, at: NOON, purge_at });
        assert_eq!(counts(&decision), (1, 0));
        assert_eq!(items(&decision).len(), 3);
        assert!(purge_at > NOON + HOUR);
    }
}
