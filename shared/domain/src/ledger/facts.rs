//! The facts of each action, as a snapshot of the table would show them.

use super::Ledger;
use crate::accept::Authority;
use crate::{
    EmailAddress, Invitation, InvitationId, Link, Opened, OrganizationId, UserId, accept, decline, delivery,
    expire, invite, reconcile, remove, resend, revoke, role_edit,
};

impl Ledger {
    /// The record of an address.
    #[must_use]
    pub fn invitation_of(&self, organization: &OrganizationId, email: &EmailAddress) -> Option<&Invitation> {
        self.invitation(organization, &InvitationId::of(organization, email))
    }

    /// For invite.
    #[must_use]
    pub fn invite_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        request: &invite::Request,
    ) -> invite::Facts {
        let records = request.emails().iter().filter_map(|email| self.invitation_of(organization, email));
        invite::Facts {
            caller: self.member(organization, caller).cloned(),
            organization: self.organization(organization).cloned(),
            invitations: records.cloned().collect(),
        }
    }

    /// For resend.
    #[must_use]
    pub fn resend_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        invitation: &InvitationId,
    ) -> resend::Facts {
        resend::Facts {
            caller: self.member(organization, caller).cloned(),
            organization: self.organization(organization).cloned(),
            invitation: self.invitation(organization, invitation).cloned(),
        }
    }

    /// For revoke.
    #[must_use]
    pub fn revoke_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        invitation: &InvitationId,
    ) -> revoke::Facts {
        revoke::Facts {
            caller: self.member(organization, caller).cloned(),
            invitation: self.invitation(organization, invitation).cloned(),
        }
    }

    /// For accept, by a genuine link; the sender is read if `before` tells who that is.
    #[must_use]
    pub fn accept_facts(&self, link: &Link, caller: &UserId, before: Option<&Invitation>) -> accept::Facts {
        let organization = &link.organization;
        let sender = match before.map(|invitation| &invitation.sender.user) {
            None => Authority::Trusted,
            Some(sender) => Authority::Read {
                user: sender.clone(),
                role: self.member(organization, sender).map(|member| member.role),
            },
        };
        accept::Facts {
            opened: self.opened(link),
            member: self.member(organization, caller).cloned(),
            sender,
        }
    }

    /// For decline, by a genuine link.
    #[must_use]
    pub fn decline_facts(&self, link: &Link) -> decline::Facts {
        decline::Facts { opened: self.opened(link) }
    }

    /// For role-edit.
    #[must_use]
    pub fn role_edit_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        member: &UserId,
    ) -> role_edit::Facts {
        let remove::Facts { caller, organization, member } = self.remove_facts(organization, caller, member);
        role_edit::Facts { caller, organization, member }
    }

    /// For remove.
    #[must_use]
    pub fn remove_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        member: &UserId,
    ) -> remove::Facts {
        remove::Facts {
            caller: self.member(organization, caller).cloned(),
            organization: self.organization(organization).cloned(),
            member: self.member(organization, member).cloned(),
        }
    }

    /// For expire.
    #[must_use]
    pub fn expire_facts(&self, timer: &Link) -> expire::Facts {
        expire::Facts { invitation: self.opened(timer).invitation }
    }

    /// For the marks of mail and feedback.
    #[must_use]
    pub fn delivery_facts(&self, link: &Link) -> delivery::Facts {
        delivery::Facts { invitation: self.opened(link).invitation }
    }

    /// For reconcile.
    #[must_use]
    pub fn reconcile_facts(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> reconcile::Facts {
        reconcile::Facts { invitation: self.invitation(organization, invitation).cloned() }
    }

    fn opened(&self, link: &Link) -> Opened {
        Opened {
            link: link.clone(),
            genuine: true,
            invitation: self.invitation(&link.organization, &link.invitation).cloned(),
        }
    }
}
