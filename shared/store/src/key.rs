//! Primary keys of the table. Only this module builds and parses them.

use std::fmt;

use domain::idempotency::{Scope, StoredResponseId};
use domain::{Day, InvitationId, ItemKey, OrganizationId, Recipient, UserId};

use crate::expr::{Attr, Attributes, text};

const ORGANIZATION: &str = "ORG#";
const ORGANIZATION_ITEM: &str = "ORG";
const MEMBER: &str = "MEMBER#";
const INVITATION: &str = "INVITATION#";
const USER: &str = "USER#";
const RECIPIENT: &str = "RECIPIENT#";
const DAY: &str = "DAY#";
const RESPONSE: &str = "KEY#";

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub pk: String,
    pub sk: String,
}

impl Key {
    pub fn organization(organization: &OrganizationId) -> Self {
        Self { pk: organization_partition(organization), sk: ORGANIZATION_ITEM.to_owned() }
    }

    pub fn member(organization: &OrganizationId, user: &UserId) -> Self {
        Self { pk: organization_partition(organization), sk: format!("{MEMBER}{user}") }
    }

    pub fn invitation(organization: &OrganizationId, invitation: &InvitationId) -> Self {
        Self { pk: organization_partition(organization), sk: format!("{INVITATION}{invitation}") }
    }

    pub fn recipient_day(recipient: &Recipient, day: Day) -> Self {
        Self { pk: format!("{RECIPIENT}{}", recipient.as_str()), sk: format!("{DAY}{day}") }
    }

    pub fn response(response: &StoredResponseId) -> Self {
        let pk = match &response.scope {
            Scope::Organization(organization) => organization_partition(organization),
            Scope::User(user) => user_partition(user),
        };
        Self { pk, sk: format!("{RESPONSE}{}", response.hash()) }
    }

    /// Returns the key as the attributes `pk` and `sk` of a request.
    pub fn attributes(&self) -> Attributes {
        [(Attr::Pk, text(&self.pk)), (Attr::Sk, text(&self.sk))]
            .map(|(attribute, value)| (attribute.as_str().to_owned(), value))
            .into()
    }

    /// Returns the item that the key names, or `None` if Roster writes no item with such a key.
    pub fn item(&self) -> Option<ItemKey> {
        if let Some(recipient) = self.pk.strip_prefix(RECIPIENT) {
            let day = Day::stored(self.sk.strip_prefix(DAY)?)?;
            return Some(ItemKey::Recipient(Recipient::stored(recipient.to_owned()), day));
        }
        let response = |scope| {
            let hash = self.sk.strip_prefix(RESPONSE)?.to_owned();
            Some(ItemKey::Response(StoredResponseId::stored(scope, hash)))
        };
        if let Some(user) = self.pk.strip_prefix(USER) {
            return response(Scope::User(UserId::parse(user).ok()?));
        }
        let organization = OrganizationId::parse(self.pk.strip_prefix(ORGANIZATION)?).ok()?;
        if self.sk == ORGANIZATION_ITEM {
            Some(ItemKey::Organization(organization))
        } else if let Some(user) = parse_member(&self.sk) {
            Some(ItemKey::Member(organization, user))
        } else if let Some(invitation) = self.sk.strip_prefix(INVITATION) {
            Some(ItemKey::Invitation(organization, InvitationId::parse(invitation).ok()?))
        } else {
            response(Scope::Organization(organization))
        }
    }

    /// Whether the sort key begins like an invitation's sort key.
    pub fn is_invitation(&self) -> bool {
        self.sk.starts_with(INVITATION)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pk, self.sk)
    }
}

impl From<&ItemKey> for Key {
    fn from(item: &ItemKey) -> Self {
        match item {
            ItemKey::Organization(organization) => Self::organization(organization),
            ItemKey::Member(organization, user) => Self::member(organization, user),
            ItemKey::Invitation(organization, invitation) => Self::invitation(organization, invitation),
            ItemKey::Recipient(recipient, day) => Self::recipient_day(recipient, *day),
            ItemKey::Response(response) => Self::response(response),
        }
    }
}

/// The partition that all items of an organization share.
pub(crate) fn organization_partition(organization: &OrganizationId) -> String {
    format!("{ORGANIZATION}{organization}")
}

/// The prefix of the sort keys of an organization's members.
pub(crate) fn member_prefix() -> &'static str {
    MEMBER
}

/// Parses a member's sort key and returns the member's user id.
pub(crate) fn parse_member(sk: &str) -> Option<UserId> {
    UserId::parse(sk.strip_prefix(MEMBER)?).ok()
}

/// The prefix of the sort keys of an organization's invitations.
pub(crate) fn invitation_prefix() -> &'static str {
    INVITATION
}

/// The partition of a user's memberships in the index `by_user`, and of the responses stored for the user.
pub(crate) fn user_partition(user: &UserId) -> String {
    format!("{USER}{user}")
}

#[cfg(test)]
mod tests {
    use domain::{EmailAddress, Timestamp};

    use super::*;

    #[test]
    fn round_trips_every_key_for_any_user_id() {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let id = InvitationId::of(&organization, &email);
        let day = Day::of(Timestamp::from_unix(0));
        let mut keys = vec![
            ItemKey::Organization(organization.clone()),
            ItemKey::invitation(&organization, &id),
            ItemKey::Recipient(Recipient::of(&email), day),
            ItemKey::Response(StoredResponseId::stored(
                Scope::Organization(organization.clone()),
                "h".to_owned(),
            )),
        ];
        for user in ["ada", "#", "auth0|1", "MEMBER#x", "ORG", "KEY#x", "INVITATION#x"] {
            let user = UserId::parse(user).unwrap();
            keys.push(ItemKey::member(&organization, &user));
            keys.push(ItemKey::Response(StoredResponseId::stored(Scope::User(user), "h".to_owned())));
        }
        for item in keys {
            assert_eq!(Key::from(&item).item(), Some(item));
        }
    }

    #[test]
    fn returns_no_item_for_an_unknown_key() {
        let item_of = |pk: &str, sk: &str| Key { pk: pk.to_owned(), sk: sk.to_owned() }.item();
        let organization = format!("ORG#{}", OrganizationId::from_random([1; 16]));
        for (pk, sk) in
            [("ORG#x", "ORG"), ("USER#x", "DAY#x"), ("RECIPIENT#x", "DAY#x"), ("", ""), (&*organization, "x")]
        {
            assert_eq!(item_of(pk, sk), None, "{pk} {sk}");
        }
        assert_eq!(item_of(&organization, "INVITATION#x"), None);
    }
}
