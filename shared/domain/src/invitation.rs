//! The standing of one address in one organization.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    Caller, CooldownActive, CooldownReason, EmailAddress, InvitationId, Language, Link, OrganizationId,
    Policy, Refusal, Role, Timestamp, UserId,
};

/// Mail still queued after this long needs a look.
const QUEUED_OVERDUE: Duration = Duration::from_mins(10);
/// A pending invitation this long past its expiry needs a look.
pub(crate) const EXPIRY_OVERDUE: Duration = Duration::from_mins(5);

/// The record of one address in one organization; there is at most one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invitation {
    /// Derived from organization and address.
    pub id: InvitationId,
    /// Where.
    pub organization: OrganizationId,
    /// Who is invited.
    pub email: EmailAddress,
    /// What they are offered.
    pub role: Role,
    /// What their mail is written in, if the sender has chosen; else it is the deployment's choice.
    pub language: Option<Language>,
    /// Which mail's link works.
    pub generation: Generation,
    /// How often the record was written.
    pub revision: Revision,
    /// In whose name it stands.
    pub sender: Sender,
    /// When the address was invited (anew, if it had been closed).
    pub created_at: Timestamp,
    /// It can be accepted strictly before this moment.
    pub expires_at: Timestamp,
    /// What has become of it.
    pub state: State,
    /// What has become of the newest mail; none was ever owed to a founder.
    pub mail: Option<Mail>,
}

/// Counts the mails of one record, from 1; 0 is the founder's, who gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u32);

impl Generation {
    /// The next mail's.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Counts the writes of one record, from 1. A record to be written carries the revision it will have, so
/// the guard of its write follows: the one before must be stored, or nothing at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// Of a record that was never written.
    pub const FIRST: Self = Self(1);

    /// What must be stored for a record of this revision to be written; `None`: no record.
    #[must_use]
    pub fn previous(self) -> Option<Self> {
        (self.0 > 1).then(|| Self(self.0 - 1))
    }

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The member in whose name an invitation stands: who invited, or who last resent it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sender {
    /// Who.
    pub user: UserId,
    /// Their verified address when they sent it, shown to the invitee.
    pub email: EmailAddress,
}

/// What has become of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum State {
    /// It holds a seat and waits.
    Pending {
        /// When somebody has to look whether mail or expiry got stuck.
        due_at: Timestamp,
    },
    /// Its seat is a member's.
    Accepted {
        /// Who accepted it.
        by: UserId,
        /// When.
        at: Timestamp,
    },
    /// Its seat was given back.
    Closed {
        /// Why.
        how: CloseReason,
        /// When.
        at: Timestamp,
        /// When the record may be deleted.
        purge_at: Timestamp,
    },
}

/// Why an invitation is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Withdrawn by a member.
    Revoked,
    /// Not accepted in time.
    Expired,
    /// Turned down by the invitee.
    Declined,
    /// Accepted, and the member has left or was removed since.
    Removed,
}

/// The state without its data, as the contract and the table write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits to be accepted.
    Pending,
    /// Accepted; the member is still there.
    Accepted,
    /// Withdrawn.
    Revoked,
    /// Not accepted in time.
    Expired,
    /// Turned down.
    Declined,
    /// The member has left or was removed.
    Removed,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Accepted, Self::Revoked, Self::Expired, Self::Declined, Self::Removed];

    /// As the contract and the table write it.
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
    /// How far it came.
    pub delivery: Delivery,
    /// Why it failed or bounced, for a person to read.
    pub detail: Option<String>,
    /// When SES took it.
    pub sent_at: Option<Timestamp>,
}

impl Mail {
    fn queued() -> Self {
        Self { delivery: Delivery::Queued, detail: None, sent_at: None }
    }
}

/// How far a mail came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// OwedMail.
    Queued,
    /// SES took it.
    Sent,
    /// The recipient's server took it.
    Delivered,
    /// The recipient's server refused it for good.
    Bounced,
    /// The recipient called it spam.
    Complained,
    /// It could not be sent.
    Failed,
}

impl Delivery {
    /// Marks come in any order and twice; only a higher rank replaces a lower one. A mail that somebody has
    /// sent did not fail, whoever tried as well; one that arrived was sent, whoever failed as well.
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

/// The invitation is not pending, but what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the invitation is {0}, not pending")]
pub struct NotPending(pub Status);

/// Proof that an invitation is pending and not past its expiry, at the moment it was asked.
#[derive(Debug, Clone, Copy)]
pub struct Pending<'a>(&'a Invitation);

impl Invitation {
    /// An address is invited: `before` is the record that it has already, if any.
    pub(crate) fn sent(
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

    /// The founder's own record: accepted, no mail, no link.
    pub(crate) fn founding(
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

    /// The same invitation with its mail in that language; in the deployment's, if nobody chose.
    pub(crate) fn in_language(self, language: Option<Language>) -> Self {
        Self { language, ..self }
    }

    /// The same offer with a new link and a new deadline, in `sender`'s name.
    pub(crate) fn resent(&self, sender: Sender, now: Timestamp, policy: &Policy) -> Self {
        let created_at = self.created_at;
        let again = Self::sent(Some(self), &self.organization, &self.email, self.role, sender, now, policy);
        Self { created_at, ..again.in_language(self.language) }
    }

    /// What the newest mail's link says.
    #[must_use]
    pub fn link(&self) -> Link {
        Link {
            organization: self.organization.clone(),
            invitation: self.id.clone(),
            generation: self.generation,
            expires_at: self.expires_at,
        }
    }

    /// What the record says, whatever the time.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.state {
            State::Pending { .. } => Status::Pending,
            State::Accepted { .. } => Status::Accepted,
            State::Closed { how, .. } => (*how).into(),
        }
    }

    /// What it is worth at `now`: a pending one past its expiry reads as expired, closed or not.
    #[must_use]
    pub fn status_at(&self, now: Timestamp) -> Status {
        match self.status() {
            Status::Pending if now >= self.expires_at => Status::Expired,
            status => status,
        }
    }

    /// Whether it holds a seat: pending (even past its expiry, until it is closed) or accepted.
    #[must_use]
    pub fn holds_seat(&self) -> bool {
        !matches!(self.state, State::Closed { .. })
    }

    /// Whether time to live is over, which deletes late: what it says then is no more than a past.
    fn may_be_deleted(&self, now: Timestamp) -> bool {
        matches!(self.state, State::Closed { purge_at, .. } if purge_at <= now)
    }

    /// When the newest mail was asked for: a lifetime before the invitation's expiry.
    pub(crate) fn mail_asked_at(&self, policy: &Policy) -> Timestamp {
        Timestamp::from_unix(self.expires_at.unix().saturating_sub_unsigned(policy.lifetime.as_secs()))
    }

    /// Whether the address may be mailed again. A mail that has not gone out yet counts from when it was
    /// asked for, so that whoever asks for several at once gets one; a mail that failed was none.
    pub(crate) fn may_be_mailed(&self, policy: &Policy, now: Timestamp) -> Result<(), CooldownActive> {
        let Some(limits) = &policy.limits else { return Ok(()) };
        if self.may_be_deleted(now) {
            return Ok(());
        }
        if self.generation.0 >= limits.mails_per_invitation {
            let forgotten_at = match self.state {
                State::Closed { purge_at, .. } => purge_at,
                _ => self.expires_at.max(now) + policy.retention,
            };
            let why = CooldownReason::Mails(limits.mails_per_invitation);
            return Err(CooldownActive { why, wait: forgotten_at.since(now) });
        }
        let mailed_at = self.mail.as_ref().and_then(|mail| match mail {
            Mail { sent_at: None, delivery: Delivery::Failed, .. } => None,
            Mail { sent_at, .. } => Some(sent_at.unwrap_or(self.mail_asked_at(policy))),
        });
        // What would have been asked for in times to come was asked for under another lifetime.
        let mailed_at = mailed_at.filter(|it| *it <= now + limits.pause);
        let wait = mailed_at.map_or(Duration::ZERO, |it| (it + limits.pause).since(now));
        if wait.is_zero() { Ok(()) } else { Err(CooldownActive { why: CooldownReason::JustNow, wait }) }
    }

    /// The caller's verified address, if it is the invited one.
    pub(crate) fn must_be_for<'a>(&self, caller: &'a Caller) -> Result<&'a EmailAddress, Refusal> {
        let email = caller.email.as_ref().ok_or(Refusal::EmailNotVerified)?;
        if *email == self.email { Ok(email) } else { Err(Refusal::EmailMismatch) }
    }

    /// The one answer to "is it still open?".
    pub fn pending_at(&self, now: Timestamp) -> Result<Pending<'_>, NotPending> {
        match self.status_at(now) {
            Status::Pending => Ok(Pending(self)),
            status => Err(NotPending(status)),
        }
    }

    /// The same record closed; whether it may be is the caller's to know.
    pub(crate) fn closed(&self, how: CloseReason, now: Timestamp, policy: &Policy) -> Self {
        self.with_state(State::Closed { how, at: now, purge_at: now + policy.retention })
    }

    /// The same accepted record, its member gone.
    #[must_use]
    pub fn removed(&self, at: Timestamp, purge_at: Timestamp) -> Self {
        self.with_state(State::Closed { how: CloseReason::Removed, at, purge_at })
    }

    /// The same record with a mark on its mail. None leaves it owed, so the expiry is what a pending record waits
    /// for then.
    pub(crate) fn with_mail(&self, mail: Mail) -> Self {
        let state = match &self.state {
            State::Pending { .. } => State::Pending { due_at: self.expires_at + EXPIRY_OVERDUE },
            state => state.clone(),
        };
        Self { mail: Some(mail), ..self.with_state(state) }
    }

    /// The same pending record, its queued mail to be looked at again.
    pub(crate) fn redriven(&self, now: Timestamp) -> Self {
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
    fn a_status_reads_as_it_is_written() {
        let words = Status::ALL.map(|status| status.to_string());
        assert_eq!(words, ["pending", "accepted", "revoked", "expired", "declined", "removed"]);
        assert_eq!(Status::ALL.map(|status| status.as_str().parse()), Status::ALL.map(Ok));
        for text in ["", "Pending", "closed", "pending "] {
            assert_eq!(text.parse::<Status>(), Err(()), "{text:?}");
        }
    }
}
