//! Items of the table, and several of them as they were at one moment.

use std::collections::HashMap;

use crate::idempotency::{StoredResponse, StoredResponseId};
use crate::{
    Day, Invitation, InvitationId, Link, Member, Organization, OrganizationId, Recipient, RecipientDay,
    Refusal, UserId,
};

/// Names one item of the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKey {
    /// An organization.
    Organization(OrganizationId),
    /// A member.
    Member(OrganizationId, UserId),
    /// An invitation.
    Invitation(OrganizationId, InvitationId),
    /// What a recipient is mailed in a day.
    Recipient(Recipient, Day),
    /// A response that is stored under an idempotency key.
    Response(StoredResponseId),
}

impl ItemKey {
    /// An organization.
    #[must_use]
    pub fn organization(id: &OrganizationId) -> Self {
        Self::Organization(id.clone())
    }

    /// A member of an organization.
    #[must_use]
    pub fn member(organization: &OrganizationId, user: &UserId) -> Self {
        Self::Member(organization.clone(), user.clone())
    }

    /// A member of an organization, and the organization.
    #[must_use]
    pub fn member_and_organization(organization: &OrganizationId, user: &UserId) -> [Self; 2] {
        [Self::member(organization, user), Self::organization(organization)]
    }

    /// An invitation of an organization.
    #[must_use]
    pub fn invitation(organization: &OrganizationId, invitation: &InvitationId) -> Self {
        Self::Invitation(organization.clone(), invitation.clone())
    }

    /// The invitation that a link names.
    #[must_use]
    pub fn linked(link: &Link) -> Self {
        Self::invitation(&link.organization, &link.invitation)
    }

    /// Which kind of item it is, for the log: without an id, which may be an address.
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
    /// What a recipient is mailed in a day.
    Recipient(RecipientDay),
    /// A response that is stored under an idempotency key.
    Response(StoredResponse),
}

impl Record {
    /// Names it.
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

/// Items as they were at one moment: those that were asked for, and no others.
///
/// Looking up an item that was not asked for panics: it would look absent, and the decision would be wrong. An action names
/// every item that it looks up in [`Action::reads`](crate::Action::reads).
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
    /// Whether the item was asked for.
    #[must_use]
    pub fn has_read(&self, key: &ItemKey) -> bool {
        self.items.contains_key(key)
    }

    fn get(&self, key: &ItemKey) -> Option<&Record> {
        let read = self.items.get(key);
        assert!(read.is_some(), "an action looks at {key:?}, which it does not read");
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

    /// What a recipient is mailed in a day.
    #[must_use]
    pub fn recipient_day(&self, recipient: &Recipient, day: Day) -> Option<&RecipientDay> {
        look_up!(self, Recipient, ItemKey::Recipient(recipient.clone(), day))
    }

    /// What is stored under an idempotency key, whether it is still good or not.
    #[must_use]
    pub fn response(&self, id: &StoredResponseId) -> Option<&StoredResponse> {
        look_up!(self, Response, ItemKey::Response(id.clone()))
    }

    /// The caller's membership. Callers who are no members get the same refusal as for an organization that does not exist.
    pub fn membership(&self, organization: &OrganizationId, caller: &UserId) -> Result<&Member, Refusal> {
        self.member(organization, caller).ok_or(Refusal::NoSuchOrganization)
    }

    /// The caller's [`membership`](Self::membership), and the organization: what
    /// [`ItemKey::member_and_organization`] names.
    pub fn membership_and_organization(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
    ) -> Result<(&Member, &Organization), Refusal> {
        let member = self.membership(organization, caller)?;
        let organization = self.organization(organization).ok_or(Refusal::NoSuchOrganization)?;
        Ok((member, organization))
    }

    /// The invitation with the id that a caller named; `None` is an id that names nothing.
    pub fn find_invitation(
        &self,
        organization: &OrganizationId,
        id: Option<&InvitationId>,
    ) -> Result<&Invitation, Refusal> {
        id.and_then(|id| self.invitation(organization, id)).ok_or(Refusal::NoSuchInvitation)
    }

    /// The member with the id that a caller named; `None` is an id that names nothing.
    pub fn find_member(
        &self,
        organization: &OrganizationId,
        user: Option<&UserId>,
    ) -> Result<&Member, Refusal> {
        user.and_then(|user| self.member(organization, user)).ok_or(Refusal::NoSuchMember)
    }

    /// The invitation that a genuine link names, if the link is that of its newest mail.
    pub fn newest(&self, link: &Link) -> Result<&Invitation, Refusal> {
        let invitation = self.invitation(&link.organization, &link.invitation);
        invitation.filter(|it| it.link() == *link).ok_or(Refusal::Superseded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acme, given, user};

    #[test]
    fn an_item_that_is_not_there_is_told_from_one_that_was_not_read() {
        let key = ItemKey::member(&acme(), &user("ada"));
        let snapshot = Snapshot::from_iter([(key.clone(), None)]);
        assert_eq!(snapshot.member(&acme(), &user("ada")), None);
        assert!(snapshot.has_read(&key));
        assert!(!snapshot.has_read(&ItemKey::Organization(acme())));
        let unread = std::panic::catch_unwind(|| snapshot.organization(&acme()).is_none());
        assert!(unread.is_err(), "an item that was not read is not absent");
    }

    #[test]
    fn a_record_is_found_under_its_key() {
        let ada = given().member.unwrap();
        let record = Record::Member(ada.clone());
        let snapshot = Snapshot::from_iter([(record.key(), Some(record))]);
        assert_eq!(snapshot.member(&acme(), &user("ada")), Some(&ada));
    }
}
