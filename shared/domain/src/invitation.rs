//! The invitation of one address to one organization, with its states.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Caller, CooldownActive, CooldownReason, EmailAddress, InvitationId, Language, Link, OrganizationId,
    Policy, Refusal, Role, Timestamp, UserId,
};

/// A mail that is queued for this long is overdue.
const QUEUED_OVERDUE: Duration = Duration::from_mins(10);
/// A pending invitation this long past its expiry is overdue.
pub(crate) const EXPIRY_OVERDUE: Duration = Duration::from_mins(5);

/// The record of one address in one organization. There is at most one (rule: one record per address).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invitation {
    /// The id, which is derived from organization and address.
    pub id: InvitationId,
    /// The organization.
    pub organization: OrganizationId,
    /// The invited address.
    pub email: EmailAddress,
    /// The offered role.
    pub role: Role,
    /// The language of the mail that the sender chose; `None` selects the deployment's language.
    pub language: Option<Language>,
    /// The generation of the newest mail. Only the link of this mail works (rule: links).
    pub generation: Generation,
    /// How often the record was written.
    pub revision: Revision,
    /// The member who invited the address or last resent the invitation.
    pub sender: Sender,
    /// When the address was last invited. A resend does not change this time.
    pub created_at: Timestamp,
    /// The invitation can be accepted strictly before this time (rule: expiry).
    pub expires_at: Timestamp,
    /// The state of the invitation.
    pub state: State,
    /// The newest mail; `None` for a founder, who is sent no mail.
    pub mail: Option<Mail>,
}

/// Counts the mails of one record, from 1. A founder's record has generation 0, since a founder is sent no mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// The generation of the next mail.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Counts the writes of one record, from 1.
///
/// A record to be written has its new revision. The guard of the write asserts that the previous revision is stored, or
/// that no record is stored before the first revision (invariant: optimistic locking).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of the first write.
    pub const FIRST: Self = Self(1);

    /// The revision that must be stored before this one is written; `None` if no record may be stored.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        (self.0 > 1).then(|| Self(self.0 - 1))
    }

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The sender of an invitation: the member who invited the address or last resent the invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    /// The user.
    pub user: UserId,
    /// The sender's verified address when they sent the invitation. The invitee sees it.
    pub email: EmailAddress,
}

/// The state of an invitation, with the data of this state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// The invitation holds a seat and was not accepted yet.
    Pending {
        /// When `reconcile` must check whether the mail or the expiry is overdue.
        due_at: Timestamp,
    },
    /// The invitation holds the seat of the member who accepted it.
    Accepted {
        /// The user who accepted.
        by: UserId,
        /// When the invitation was accepted.
        at: Timestamp,
    },
    /// The seat of the invitation was given back.
    Closed {
        /// The reason.
        how: CloseReason,
        /// When the invitation was closed.
        at: Timestamp,
        /// When the record may be deleted.
        purge_at: Timestamp,
    },
}

/// Why an invitation was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// A member revoked it.
    Revoked,
    /// It was not accepted before its expiry.
    Expired,
    /// The invitee declined it.
    Declined,
    /// It was accepted, and later the member left or was removed.
    Removed,
}

/// The state without its data, as the contract and the table write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not accepted yet.
    Pending,
    /// Accepted, and the member is still in the organization.
    Accepted,
    /// Revoked by a member.
    Revoked,
    /// Not accepted before its expiry.
    Expired,
    /// Declined by the invitee.
    Declined,
    /// Accepted, and later the member left or was removed.
    Removed,
}

impl Status {
    /// All statuses.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Accepted, Self::Revoked, Self::Expired, Self::Declined, Self::Removed];

    /// The text of the status in the contract and in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Declined => "declined",
            Self::Removed => "removed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(())
    }
}

impl From<CloseReason> for Status {
    fn from(how: CloseReason) -> Self {
        match how {
            CloseReason::Revoked => Self::Revoked,
            CloseReason::Expired => Self::Expired,
            CloseReason::Declined => Self::Declined,
            CloseReason::Removed => Self::Removed,
        }
    }
}

/// The newest mail of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mail {
    /// The delivery of the mail.
    pub delivery: Delivery,
    /// Why the mail failed or bounced, as a text for users.
    pub detail: Option<String>,
    /// When SES accepted the mail.
    pub sent_at: Option<Timestamp>,
}

impl Mail {
    fn queued() -> Self {
        Self { delivery: Delivery::Queued, detail: None, sent_at: None }
    }
}

/// How far the delivery of a mail has progressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// The mail is not sent yet.
    Queued,
    /// SES accepted the mail.
    Sent,
    /// The recipient's server accepted the mail.
    Delivered,
    /// The recipient's server refused the mail.
    Bounced,
    /// The recipient reported the mail as spam.
    Complained,
    /// The mail could not be sent.
    Failed,
}

impl Delivery {
    /// The order of deliveries. Updates arrive in any order and repeatedly, and a higher rank replaces a lower one.
    ///
    /// `Sent` and `Failed` have the same rank: if two attempts have different results, the first recorded one stays.
    /// `Delivered` replaces both. `DeliveryUpdate::advances` has the exceptions.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Self::Queued => 0,
            Self::Sent | Self::Failed => 1,
            Self::Delivered => 2,
            Self::Bounced => 3,
            Self::Complained => 4,
        }
    }
}

/// The invitation is not pending, but has this status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitation is {0}, not pending")]
pub struct NotPending(pub Status);

/// Proof that an invitation was pending and before its expiry when it was checked.
#[derive(Debug, Clone, Copy)]
pub struct Pending<'a>(&'a Invitation);

impl Invitation {
    /// Makes the record of a new invitation; `before` is the stored record of the address, if any.
    pub(crate) fn new(
        before: Option<&Self>,
        organization: &OrganizationId,
        email: &EmailAddress,
        role: Role,
        sender: Sender,
        now: Timestamp,
        policy: &Policy,
    ) -> Self {
        Self {
            id: InvitationId::of(organization, email),
            organization: organization.clone(),
            email: email.clone(),
            role,
            language: None,
            generation: before
                .filter(|before| !before.may_be_deleted(now))
                .map_or(Generation(1), |before| before.generation.next()),
            revision: before.map_or(Revision::FIRST, |before| before.revision.next()),
            sender,
            created_at: now,
            expires_at: now + policy.lifetime,
            state: State::Pending { due_at: now + QUEUED_OVERDUE },
            mail: Some(Mail::queued()),
        }
    }

    /// Makes the founder's own record, which is accepted and has no mail and no link.
    pub(crate) fn for_founder(
        organization: &OrganizationId,
        email: &EmailAddress,
        founder: &UserId,
        now: Timestamp,
    ) -> Self {
        Self {
            id: InvitationId::of(organization, email),
            organization: organization.clone(),
            email: email.clone(),
            role: Role::Owner,
            language: None,
            generation: Generation(0),
            revision: Revision::FIRST,
            sender: Sender { user: founder.clone(), email: email.clone() },
            created_at: now,
            expires_at: now,
            state: State::Accepted { by: founder.clone(), at: now },
            mail: None,
        }
    }

    /// The same invitation with another language; `None` selects the deployment's language.
    pub(crate) fn in_language(self, language: Option<Language>) -> Self {
        Self { language, ..self }
    }

    /// The same offer with a new link, a new expiry and a new sender.
    pub(crate) fn resent(&self, sender: Sender, now: Timestamp, policy: &Policy) -> Self {
        let created_at = self.created_at;
        let again = Self::new(Some(self), &self.organization, &self.email, self.role, sender, now, policy);
        Self { created_at, ..again.in_language(self.language) }
    }

    /// The link of the newest mail.
    #[must_use]
    pub fn link(&self) -> Link {
        Link {
            organization: self.organization.clone(),
            invitation: self.id.clone(),
            generation: self.generation,
            expires_at: self.expires_at,
        }
    }

    /// The stored status, without regard to the time.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.state {
            State::Pending { .. } => Status::Pending,
            State::Accepted { .. } => Status::Accepted,
            State::Closed { how, .. } => (*how).into(),
        }
    }

    /// The status at `now`. A pending invitation past its expiry counts as expired, even if it is not closed yet.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status() {
            Status::Pending if now >= self.expires_at => Status::Expired,
            status => status,
        }
    }

    /// Returns whether the invitation holds a seat: it is accepted, or it is pending, even past its expiry.
    #[must_use]
    pub fn holds_seat(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Returns whether the retention is over. DynamoDB deletes such records late, so they must count as absent.
    fn may_be_deleted(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Closed { purge_at, .. } if purge_at <= now)
    }

    /// When the newest mail was queued, computed as a lifetime before the invitation's expiry.
    pub(crate) fn mail_queued_at(&self, policy: &Policy) -> Timestamp {
        Timestamp::from_unix(self.expires_at.unix().saturating_sub_unsigned(policy.lifetime.as_secs()))
    }

    /// Refuses if the address was mailed too recently or too often.
    ///
    /// An unsent mail counts from when it was queued, so several requests at once cause one mail. A failed mail does
    /// not delay the next one.
    pub(crate) fn may_be_mailed(&self, policy: &Policy, now: Timestamp) -> Result<(), CooldownActive> {
        let Some(limits) = &policy.limits else { return Ok(()) };
        if self.may_be_deleted(now) {
            return Ok(());
        }
        if self.generation.0 >= limits.mails_per_invitation {
            let deletable_at = match self.state {
                State::Closed { purge_at, .. } => purge_at,
                _ => self.expires_at.max(now) + policy.retention,
            };
            let why = CooldownReason::MailLimit(limits.mails_per_invitation);
            return Err(CooldownActive { why, wait: deletable_at.since(now) });
        }
        let mailed_at = self.mail.as_ref().and_then(|mail| match mail {
            Mail { sent_at: None, delivery: Delivery::Failed, .. } => None,
            Mail { sent_at, .. } => Some(sent_at.unwrap_or(self.mail_queued_at(policy))),
        });
        // The computed queue time is too late if the lifetime was longer then. A time further ahead than the pause is
        // ignored.
        let mailed_at = mailed_at.filter(|it| *it <= now + limits.pause);
        let wait = mailed_at.map_or(Duration::ZERO, |it| (it + limits.pause).since(now));
        if wait.is_zero() { Ok(()) } else { Err(CooldownActive { why: CooldownReason::JustNow, wait }) }
    }

    /// Returns the caller's verified address, or refuses if it is not the invited one (rule: links).
    pub(crate) fn must_be_for<'a>(&self, caller: &'a Caller) -> Result<&'a EmailAddress, Refusal> {
        let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
        if *email == self.email { Ok(email) } else { Err(Refusal::EmailMismatch) }
    }

    /// Returns proof that the invitation is open at `now`, or else its status. Every action uses this check.
    pub fn pending_at(&self, now: Timestamp) -> Result<Pending<'_>, NotPending> {
        match self.status_at(now) {
            Status::Pending => Ok(Pending(self)),
            status => Err(NotPending(status)),
        }
    }

    /// The same record, closed. The caller must have checked that it may be closed.
    pub(crate) fn closed(&self, how: CloseReason, now: Timestamp, policy: &Policy) -> Self {
        self.with_state(State::Closed { how, at: now, purge_at: now + policy.retention })
    }

    /// The same accepted record, closed after its member left or was removed.
    #[must_use]
    pub fn removed(&self, at: Timestamp, purge_at: Timestamp) -> Self {
        self.with_state(State::Closed { how: CloseReason::Removed, at, purge_at })
    }

    /// The same record with `mail`, which is not queued. So a pending record is next due after its expiry.
    pub(crate) fn with_mail(&self, mail: Mail) -> Self {
        let state = match &self.state {
            State::Pending { .. } => State::Pending { due_at: self.expires_at + EXPIRY_OVERDUE },
            state => state.clone(),
        };
        Self { mail: Some(mail), ..self.with_state(state) }
    }

    /// The same pending record with a later `due_at`. The write passes its queued mail to the stream again.
    pub(crate) fn requeued(&self, now: Timestamp) -> Self {
        self.with_state(State::Pending { due_at: now + QUEUED_OVERDUE })
    }

    fn with_state(&self, state: State) -> Self {
        Self { state, revision: self.revision.next(), ..self.clone() }
    }
}

impl Pending<'_> {
    /// The invitation.
    #[must_use]
    pub fn invitation(&self) -> &Invitation {
        self.0
    }

    pub(crate) fn accepted(self, by: &UserId, now: Timestamp) -> Invitation {
        self.0.with_state(State::Accepted { by: by.clone(), at: now })
    }

    pub(crate) fn revoked(self, now: Timestamp, policy: &Policy) -> Invitation {
        self.0.closed(CloseReason::Revoked, now, policy)
    }

    pub(crate) fn declined(self, now: Timestamp, policy: &Policy) -> Invitation {
        self.0.closed(CloseReason::Declined, now, policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_parses_from_its_text() {
        let texts = Status::ALL.map(|status| status.to_string());
        assert_eq!(texts, ["pending", "accepted", "revoked", "expired", "declined", "removed"]);
        assert_eq!(Status::ALL.map(|status| status.as_str().parse()), Status::ALL.map(Ok));
        for text in ["", "Pending", "closed", "pending "] {
            assert_eq!(text.parse::<Status>(), Err(()), "{text:?}");
        }
    }
}
