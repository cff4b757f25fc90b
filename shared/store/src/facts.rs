//! The facts of each action: one snapshot, one request.

use domain::accept::Authority;
use domain::idempotency::{Answer, AnswerId, Attempt};
use domain::{
    Day, Invitation, InvitationId, Link, Member, Organization, OrganizationId, Recipient, RecipientDay,
    UserId, expire, invite, reconcile, remove, resend, revoke, role_edit,
};

use crate::key::Key;
use crate::{Error, Store};

/// What an accepted link is decided on, but for its MAC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AcceptFacts {
    /// The record that the link names.
    pub invitation: Option<Invitation>,
    /// The caller's membership.
    pub member: Option<Member>,
    /// The sender's authority.
    pub sender: Authority,
}

/// What a mail and a preview show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterFacts {
    /// The organization.
    pub organization: Option<Organization>,
    /// The invitation.
    pub invitation: Option<Invitation>,
}

/// What an action is decided on that can be called with an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once<Facts> {
    /// The action's own facts.
    pub facts: Facts,
    /// The answer that is kept under the key, if the call has one.
    pub kept: Option<Answer>,
}

impl<Facts> Once<Facts> {
    /// The kept answer, for whoever is still a member: nobody else is answered again.
    pub fn kept_for(&self, caller: Option<&Member>) -> Option<&Answer> {
        self.kept.as_ref().filter(|_| caller.is_some())
    }
}

/// An organization as its member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrganizationFacts {
    /// The caller's membership.
    pub caller: Option<Member>,
    /// The organization.
    pub organization: Option<Organization>,
}

impl Store {
    /// For invite: caller, organization, the record of every address, and what is kept under the attempt's key.
    pub async fn invite_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        request: &invite::Request,
        attempt: Option<&Attempt>,
    ) -> Result<Once<invite::Facts>, Error> {
        let ids: Vec<_> =
            request.emails().iter().map(|email| InvitationId::of(organization, email)).collect();
        let keys = [Key::member(organization, caller), Key::organization(organization)]
            .into_iter()
            .chain(ids.iter().map(|id| Key::invitation(organization, id)))
            .chain(attempt.map(|attempt| Key::answer(attempt.id())));
        let snapshot = self.snapshot(keys).await?;
        let mut invitations = Vec::new();
        for id in &ids {
            invitations.extend(snapshot.invitation(organization, id)?);
        }
        let facts = invite::Facts {
            caller: snapshot.member(organization, caller)?,
            organization: snapshot.organization(organization)?,
            invitations,
        };
        Ok(Once { facts, kept: snapshot.kept(attempt)? })
    }

    /// For resend, and what is kept under the attempt's key.
    pub async fn resend_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        invitation: &InvitationId,
        attempt: Option<&Attempt>,
    ) -> Result<Once<resend::Facts>, Error> {
        let keys = [
            Key::member(organization, caller),
            Key::organization(organization),
            Key::invitation(organization, invitation),
        ];
        let keys = keys.into_iter().chain(attempt.map(|attempt| Key::answer(attempt.id())));
        let snapshot = self.snapshot(keys).await?;
        let facts = resend::Facts {
            caller: snapshot.member(organization, caller)?,
            organization: snapshot.organization(organization)?,
            invitation: snapshot.invitation(organization, invitation)?,
        };
        Ok(Once { facts, kept: snapshot.kept(attempt)? })
    }

    /// For create, after a lost race: what is kept under the attempt's key.
    pub async fn answer(&self, answer: &AnswerId) -> Result<Option<Answer>, Error> {
        self.snapshot([Key::answer(answer)]).await?.answer(answer)
    }

    /// For mail, after a lost race: what a recipient is sent in a day.
    pub async fn recipient_day(
        &self,
        recipient: &Recipient,
        day: Day,
    ) -> Result<Option<RecipientDay>, Error> {
        self.snapshot([Key::recipient_day(recipient, day)]).await?.recipient_day(recipient, day)
    }

    /// For revoke.
    pub async fn revoke_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        invitation: &InvitationId,
    ) -> Result<revoke::Facts, Error> {
        let keys = [Key::member(organization, caller), Key::invitation(organization, invitation)];
        let snapshot = self.snapshot(keys).await?;
        Ok(revoke::Facts {
            caller: snapshot.member(organization, caller)?,
            invitation: snapshot.invitation(organization, invitation)?,
        })
    }

    /// For accept. The sender is read only if the look before, which lost a race, has told who that is.
    pub async fn accept_facts(
        &self,
        link: &Link,
        caller: &UserId,
        before: Option<&Invitation>,
    ) -> Result<AcceptFacts, Error> {
        let organization = &link.organization;
        let sender = before.map(|invitation| &invitation.sender.user);
        let keys = [Key::invitation(organization, &link.invitation), Key::member(organization, caller)]
            .into_iter()
            .chain(sender.map(|sender| Key::member(organization, sender)));
        let snapshot = self.snapshot(keys).await?;
        Ok(AcceptFacts {
            invitation: snapshot.invitation(organization, &link.invitation)?,
            member: snapshot.member(organization, caller)?,
            sender: match sender {
                None => Authority::Trusted,
                Some(sender) => Authority::Read {
                    user: sender.clone(),
                    role: snapshot.member(organization, sender)?.map(|member| member.role),
                },
            },
        })
    }

    /// For preview and mail.
    pub async fn letter_facts(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> Result<LetterFacts, Error> {
        let keys = [Key::organization(organization), Key::invitation(organization, invitation)];
        let snapshot = self.snapshot(keys).await?;
        Ok(LetterFacts {
            organization: snapshot.organization(organization)?,
            invitation: snapshot.invitation(organization, invitation)?,
        })
    }

    /// For decline, schedule and the marks of mail: one record, strongly consistent.
    pub async fn invitation(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> Result<Option<Invitation>, Error> {
        let snapshot = self.snapshot([Key::invitation(organization, invitation)]).await?;
        snapshot.invitation(organization, invitation)
    }

    /// For reconcile.
    pub async fn reconcile_facts(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> Result<reconcile::Facts, Error> {
        Ok(reconcile::Facts { invitation: self.invitation(organization, invitation).await? })
    }

    /// For expire.
    pub async fn expire_facts(&self, timer: &Link) -> Result<expire::Facts, Error> {
        Ok(expire::Facts { invitation: self.invitation(&timer.organization, &timer.invitation).await? })
    }

    /// For role-edit.
    pub async fn role_edit_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        member: &UserId,
    ) -> Result<role_edit::Facts, Error> {
        let remove::Facts { caller, organization, member } =
            self.remove_facts(organization, caller, member).await?;
        Ok(role_edit::Facts { caller, organization, member })
    }

    /// For remove.
    pub async fn remove_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        member: &UserId,
    ) -> Result<remove::Facts, Error> {
        let keys = [
            Key::member(organization, caller),
            Key::organization(organization),
            Key::member(organization, member),
        ];
        let snapshot = self.snapshot(keys).await?;
        Ok(remove::Facts {
            caller: snapshot.member(organization, caller)?,
            organization: snapshot.organization(organization)?,
            member: snapshot.member(organization, member)?,
        })
    }

    /// For list: an organization, and whether the caller may see it.
    pub async fn organization_facts(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
    ) -> Result<OrganizationFacts, Error> {
        let keys = [Key::member(organization, caller), Key::organization(organization)];
        let snapshot = self.snapshot(keys).await?;
        Ok(OrganizationFacts {
            caller: snapshot.member(organization, caller)?,
            organization: snapshot.organization(organization)?,
        })
    }

    /// For list: whether the caller is in the organization.
    pub async fn membership(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
    ) -> Result<Option<Member>, Error> {
        let snapshot = self.snapshot([Key::member(organization, caller)]).await?;
        snapshot.member(organization, caller)
    }
}
