//! Items of the table, and snapshots of several items at one moment.

use std::collections::HashMap;

use crate::idempotency::{StoredResponse, StoredResponseId};
use crate::{
    Day, Invitation, InvitationId, Link, Member, Organization, OrganizationId, Recipient, RecipientDay,
    Refusal, UserId,
};

/// Identifies one item of the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKey {
    /// An organization.
    Organization(OrganizationId),
    /// A member.
    Member(OrganizationId, UserId),
    /// An invitation.
    Invitation(OrganizationId, InvitationId),
    /// The mails of a recipient in one day.
    Recipient(Recipient, Day),
    /// A response stored under an idempotency key.
    Response(StoredResponseId),
}

impl ItemKey {
    /// The key of an organization.
    #[must_use]
    pub fn organization(id: &OrganizationId) -> Self {
        Self::Organization(id.clone())
    }

    /// The key of a member.
    #[must_use]
    pub fn member(organization: &OrganizationId, user: &UserId) -> Self {
        Self::Member(organization.clone(), user.clone())
    }

    /// The keys of a member and of the organization.
    #[must_use]
    pub fn member_and_organization(organization: &OrganizationId, user: &UserId) -> [Self; 2] {
        [Self::member(organization, user), Self::organization(organization)]
    }

    /// The key of an invitation.
    #[must_use]
    pub fn invitation(organization: &OrganizationId, invitation: &InvitationId) -> Self {
        Self::Invitation(organization.clone(), invitation.clone())
    }

    /// The key of the invitation that a link names.
    #[must_use]
    pub fn linked(link: &Link) -> Self {
        Self::invitation(&link.organization, &link.invitation)
    }

    /// The kind of item, for logs. It contains no id, since a user id may be an address.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Organization(_) => "organization",
            Self::Member(..) => "member",
            Self::Invitation(..) => "invitation",
            Self::Recipient(..) => "recipient",
            Self::Response(_) => "response",
        }
    }
}

/// One item of the table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Record {
    /// An organization.
    Organization(Organization),
    /// A member.
    Member(Member),
    /// An invitation.
    Invitation(Invitation),
    /// The mails of a recipient in one day.
    Recipient(RecipientDay),
    /// A response stored under an idempotency key.
    Response(StoredResponse),
}

impl Record {
    /// The key of the item.
    #[must_use]
    pub fn key(&self) -> ItemKey {
        match self {
            Self::Organization(it) => ItemKey::Organization(it.id.clone()),
            Self::Member(it) => ItemKey::member(&it.organization, &it.user),
            Self::Invitation(it) => ItemKey::invitation(&it.organization, &it.id),
            Self::Recipient(it) => ItemKey::Recipient(it.recipient.clone(), it.day),
            Self::Response(it) => ItemKey::Response(it.id.clone()),
        }
    }
}

/// The items that an action reads, as they were at one moment.
///
/// An action names every item that it looks up in [`Action::reads`](crate::Action::reads). Looking up another item
/// panics, since the item would seem absent and the decision would be wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    items: HashMap<ItemKey, Option<Record>>,
}

impl FromIterator<(ItemKey, Option<Record>)> for Snapshot {
    fn from_iter<Items: IntoIterator<Item = (ItemKey, Option<Record>)>>(items: Items) -> Self {
        Self { items: items.into_iter().collect() }
    }
}

macro_rules! look_up {
    ($self:ident, $kind:ident, $key:expr) => {
        match $self.get(&$key) {
            Some(Record::$kind(it)) => Some(it),
            _ => None,
        }
    };
}

impl Snapshot {
    /// Returns whether the item was read, even if it is absent.
    #[must_use]
    pub fn has_read(&self, key: &ItemKey) -> bool {
        self.items.contains_key(key)
    }

    fn get(&self, key: &ItemKey) -> Option<&Record> {
        let read = self.items.get(key);
        assert!(read.is_some(), "the action looks up {key:?}, but its `reads` does not name this item");
        read?.as_ref()
    }

    /// An organization.
    #[must_use]
    pub fn organization(&self, id: &OrganizationId) -> Option<&Organization> {
        look_up!(self, Organization, ItemKey::Organization(id.clone()))
    }

    /// A member.
    #[must_use]
    pub fn member(&self, organization: &OrganizationId, user: &UserId) -> Option<&Member> {
        look_up!(self, Member, ItemKey::member(organization, user))
    }

    /// An invitation.
    #[must_use]
    pub fn invitation(&self, organization: &OrganizationId, id: &InvitationId) -> Option<&Invitation> {
        look_up!(self, Invitation, ItemKey::invitation(organization, id))
    }

    /// The mails of a recipient in one day.
    #[must_use]
    pub fn recipient_day(&self, recipient: &Recipient, day: Day) -> Option<&RecipientDay> {
        look_up!(self, Recipient, ItemKey::Recipient(recipient.clone(), day))
    }

    /// The response stored under an idempotency key, valid or expired.
    #[must_use]
    pub fn response(&self, id: &StoredResponseId) -> Option<&StoredResponse> {
        look_up!(self, Response, ItemKey::Response(id.clone()))
    }

    /// The caller's membership.
    ///
    /// A caller who is not a member gets the same refusal as for an organization that does not exist.
    pub fn membership(&self, organization: &OrganizationId, caller: &UserId) -> Result<&Member, Refusal> {
        self.member(organization, caller).ok_or(Refusal::NoSuchOrganization)
    }

    /// The caller's [`membership`](Self::membership) and the organization.
    ///
    /// It looks up the items of [`ItemKey::member_and_organization`].
    pub fn membership_and_organization(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
    ) -> Result<(&Member, &Organization), Refusal> {
        let member = self.membership(organization, caller)?;
        let organization = self.organization(organization).ok_or(Refusal::NoSuchOrganization)?;
        Ok((member, organization))
    }

    /// The invitation with the id that the caller sent; `None` stands for an invalid id.
    pub fn find_invitation(
        &self,
        organization: &OrganizationId,
        id: Option<&InvitationId>,
    ) -> Result<&Invitation, Refusal> {
        id.and_then(|id| self.invitation(organization, id)).ok_or(Refusal::NoSuchInvitation)
    }

    /// The member with the id that the caller sent; `None` stands for an invalid id.
    pub fn find_member(
        &self,
        organization: &OrganizationId,
        user: Option<&UserId>,
    ) -> Result<&Member, Refusal> {
        user.and_then(|user| self.member(organization, user)).ok_or(Refusal::NoSuchMember)
    }

    /// The invitation of a genuine link, or a refusal if the link is not from its newest mail (rule: links).
    pub fn newest(&self, link: &Link) -> Result<&Invitation, Refusal> {
        let invitation = self.invitation(&link.organization, &link.invitation);
        invitation.filter(|it| it.link() == *link).ok_or(Refusal::Superseded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::idempotency::Scope;
    use crate::testing::{NOON, acme, address, given, id_of, user};

    #[test]
    fn the_kind_of_an_item_contains_no_id() {
        let ivy = address("ivy");
        let day = Day::of(NOON);
        for (key, kind) in [
            (ItemKey::organization(&acme()), "organization"),
            (ItemKey::member(&acme(), &user("ada@example.com")), "member"),
            (ItemKey::invitation(&acme(), &id_of("ivy")), "invitation"),
            (ItemKey::Recipient(Recipient::of(&ivy), day), "recipient"),
            (
                ItemKey::Response(StoredResponseId::stored(Scope::User(user("ada")), "h".to_owned())),
                "response",
            ),
        ] {
            assert_eq!(key.kind(), kind);
        }
    }

    #[test]
    fn an_absent_item_differs_from_one_that_was_not_read() {
        let key = ItemKey::member(&acme(), &user("ada"));
        let snapshot = Snapshot::from_iter([(key.clone(), None)]);
        assert_eq!(snapshot.member(&acme(), &user("ada")), None);
        assert!(snapshot.has_read(&key));
        assert!(!snapshot.has_read(&ItemKey::Organization(acme())));
        let unread = std::panic::catch_unwind(|| snapshot.organization(&acme()).is_none());
        assert!(unread.is_err(), "looking up an item that was not read panics");
    }

    #[test]
    fn finds_a_record_by_its_key() {
        let ada = given().member.unwrap();
        let record = Record::Member(ada.clone());
        let snapshot = Snapshot::from_iter([(record.key(), Some(record))]);
        assert_eq!(snapshot.member(&acme(), &user("ada")), Some(&ada));
    }
}
