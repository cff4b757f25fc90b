//! Keys: one function per kind of item, and nowhere else.

use domain::idempotency::{AnswerId, Scope};
use domain::{Day, InvitationId, Item, Lane, OrganizationId, Recipient, UserId};

use crate::expr::{Attr, text};
use crate::record::Attributes;

const ORGANIZATION: &str = "ORG#";
const ORGANIZATION_ITEM: &str = "ORG";
const MEMBER: &str = "MEMBER#";
const INVITATION: &str = "INVITATION#";
const USER: &str = "USER#";
const RECIPIENT: &str = "RECIPIENT#";
const DAY: &str = "DAY#";
const ANSWER: &str = "KEY#";
const LAPSE: &str = "LAPSE#";

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub pk: String,
    pub sk: String,
}

impl Key {
    pub fn organization(organization: &OrganizationId) -> Self {
        Self { pk: partition(organization), sk: ORGANIZATION_ITEM.to_owned() }
    }

    pub fn member(organization: &OrganizationId, user: &UserId) -> Self {
        Self { pk: partition(organization), sk: format!("{MEMBER}{user}") }
    }

    pub fn invitation(organization: &OrganizationId, invitation: &InvitationId) -> Self {
        Self { pk: partition(organization), sk: format!("{INVITATION}{invitation}") }
    }

    /// The lane comes first, since a user may be called anything.
    pub fn lapse(organization: &OrganizationId, sender: &UserId, lane: Lane) -> Self {
        Self { pk: partition(organization), sk: format!("{LAPSE}{:02}#{sender}", lane.number()) }
    }

    pub fn recipient_day(recipient: &Recipient, day: Day) -> Self {
        Self { pk: format!("{RECIPIENT}{}", recipient.as_str()), sk: format!("{DAY}{day}") }
    }

    pub fn answer(answer: &AnswerId) -> Self {
        let pk = match &answer.scope {
            Scope::Organization(organization) => partition(organization),
            Scope::User(user) => person(user),
        };
        Self { pk, sk: format!("{ANSWER}{}", answer.hash()) }
    }

    /// As a request names it.
    pub fn attributes(&self) -> Attributes {
        [(Attr::Pk, text(&self.pk)), (Attr::Sk, text(&self.sk))]
            .map(|(attribute, value)| (attribute.as_str().to_owned(), value))
            .into()
    }

    /// Which member this is the key of.
    pub fn as_member(&self) -> Option<(OrganizationId, UserId)> {
        let organization = OrganizationId::parse(self.pk.strip_prefix(ORGANIZATION)?).ok()?;
        Some((organization, member_of(&self.sk)?))
    }

    /// Which invitation this is the key of.
    pub fn as_invitation(&self) -> Option<(OrganizationId, InvitationId)> {
        let organization = OrganizationId::parse(self.pk.strip_prefix(ORGANIZATION)?).ok()?;
        Some((organization, InvitationId::parse(self.sk.strip_prefix(INVITATION)?).ok()?))
    }

    /// Which organization this is the key of.
    pub fn as_organization(&self) -> Option<OrganizationId> {
        let organization = self.pk.strip_prefix(ORGANIZATION)?;
        (self.sk == ORGANIZATION_ITEM).then(|| OrganizationId::parse(organization).ok())?
    }

    /// Which of a sender's lanes this is the key of.
    pub fn as_lapse(&self) -> Option<(OrganizationId, UserId, Lane)> {
        let organization = OrganizationId::parse(self.pk.strip_prefix(ORGANIZATION)?).ok()?;
        let (lane, sender) = self.sk.strip_prefix(LAPSE)?.split_once('#')?;
        Some((organization, UserId::parse(sender).ok()?, Lane::stored(lane.parse().ok()?)?))
    }

    /// Which recipient's day this is the key of.
    pub fn as_recipient_day(&self) -> Option<(Recipient, Day)> {
        let recipient = self.pk.strip_prefix(RECIPIENT)?.to_owned();
        Some((Recipient::stored(recipient), Day::stored(self.sk.strip_prefix(DAY)?)?))
    }

    /// Which answer this is the key of.
    pub fn as_answer(&self) -> Option<AnswerId> {
        let scope = match self.pk.strip_prefix(USER) {
            Some(user) => Scope::User(UserId::parse(user).ok()?),
            None => Scope::Organization(OrganizationId::parse(self.pk.strip_prefix(ORGANIZATION)?).ok()?),
        };
        Some(AnswerId::stored(scope, self.sk.strip_prefix(ANSWER)?.to_owned()))
    }

    /// Whether the sort key has the form of an invitation's.
    pub fn is_invitation(&self) -> bool {
        self.sk.starts_with(INVITATION)
    }
}

impl From<&Item> for Key {
    fn from(item: &Item) -> Self {
        match item {
            Item::Organization(organization) => Self::organization(organization),
            Item::Member(organization, user) => Self::member(organization, user),
            Item::Invitation(organization, invitation) => Self::invitation(organization, invitation),
            Item::Lapse(organization, sender, lane) => Self::lapse(organization, sender, *lane),
            Item::Recipient(recipient, day) => Self::recipient_day(recipient, *day),
            Item::Answer(answer) => Self::answer(answer),
        }
    }
}

/// The partition that all items of an organization share.
pub(crate) fn partition(organization: &OrganizationId) -> String {
    format!("{ORGANIZATION}{organization}")
}

/// What the sort keys of an organization's members begin with.
pub(crate) fn members() -> &'static str {
    MEMBER
}

/// Which member of its organization the sort key is of.
pub(crate) fn member_of(sk: &str) -> Option<UserId> {
    UserId::parse(sk.strip_prefix(MEMBER)?).ok()
}

/// What the sort keys of an organization's invitations begin with.
pub(crate) fn invitations() -> &'static str {
    INVITATION
}

/// The partition of a user's memberships in the index by person, and of the answers kept for them.
pub(crate) fn person(user: &UserId) -> String {
    format!("{USER}{user}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_told_whatever_its_sender_is_called() {
        let organization = OrganizationId::from_random([1; 16]);
        for user in ["ada", "07#ada", "#", "auth0|1", "LAPSE#00#x"] {
            let user = UserId::parse(user).unwrap();
            for lane in Lane::all() {
                let key = Key::lapse(&organization, &user, lane);
                assert_eq!(key.as_lapse(), Some((organization.clone(), user.clone(), lane)), "{key:?}");
                assert!(key.as_member().is_none() && !key.is_invitation());
            }
        }
    }
}
