//! Lists, one page at a time: an organization's members and invitations, and a user's organizations.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{
    Invitation, InvitationId, ItemKey, OrganizationId, OrganizationName, Record, Role, Status, Timestamp,
    UserId,
};

use crate::Store;
use crate::error::{Cause, Error};
use crate::expr::{Attr, Attributes, Condition, Placeholders, number, text};
use crate::key::{Key, invitation_prefix, member_prefix, organization_partition, user_partition};
use crate::record::{self, MemberSummary};
use crate::retry::Backoff;
use crate::schema::BY_USER;

/// The most organizations on one page, because `BatchGetItem` reads at most 100 items.
const ORGANIZATIONS_MAX: usize = 100;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Entry, Id> {
    /// The items, in the order of their keys.
    pub items: Vec<Entry>,
    /// The id after which the next page begins; `None` on the last page.
    pub next: Option<Id>,
}

/// An organization that a user is a member of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The organization's id.
    pub organization: OrganizationId,
    /// The organization's name.
    pub name: OrganizationName,
    /// The user's role in the organization.
    pub role: Role,
}

/// The range of items that one query reads.
pub(crate) struct Range<'a> {
    pub key: Condition,
    pub filter: Option<Condition>,
    /// The attributes to read; all attributes if empty.
    pub attributes: &'a [Attr],
    pub index: Option<&'a str>,
    pub limit: usize,
    pub after: Option<Attributes>,
}

impl Store {
    /// Lists members of an organization: all of them, or only those with the role `role`.
    pub async fn members(
        &self,
        organization: &OrganizationId,
        role: Option<Role>,
        limit: usize,
        after: Option<&UserId>,
    ) -> Result<Page<MemberSummary, UserId>, Error> {
        let items = self.query(Range {
            key: with_prefix(organization, member_prefix()),
            filter: role.map(|role| Condition::Equals(Attr::Role, text(role.as_str()))),
            // Without this selection, a list of 1,000 members is more than twice as large.
            attributes: &record::MEMBER_SUMMARY_ATTRIBUTES,
            index: None,
            limit,
            after: after.map(|user| Key::member(organization, user).attributes()),
        });
        let (items, more) = items.await?;
        let next = more.as_ref().map(|last| record::member_user(organization, last)).transpose()?;
        let items = items.into_iter().map(|item| record::member_summary(organization, item));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    /// Lists invitations of an organization: all of them, or only those that have the status `status` at `now`.
    pub async fn invitations(
        &self,
        organization: &OrganizationId,
        status: Option<Status>,
        now: Timestamp,
        limit: usize,
        after: Option<&InvitationId>,
    ) -> Result<Page<Invitation, InvitationId>, Error> {
        let items = self.query(Range {
            key: with_prefix(organization, invitation_prefix()),
            filter: status.map(|status| has_status_at(status, now)),
            attributes: &[],
            index: None,
            limit,
            after: after.map(|invitation| Key::invitation(organization, invitation).attributes()),
        });
        let (items, more) = items.await?;
        let mut invitations = Vec::with_capacity(items.len());
        for item in items {
            if let Record::Invitation(invitation) = record::read(item)? {
                invitations.push(invitation);
            }
        }
        let items = invitations;
        let next = match last_item(more.as_ref())? {
            Some(ItemKey::Invitation(_, invitation)) => Some(invitation),
            _ => None,
        };
        Ok(Page { items, next })
    }

    /// Lists the organizations that a user is a member of, at most 100 per page. The index is eventually consistent.
    pub async fn organizations(
        &self,
        user: &UserId,
        limit: usize,
        after: Option<&OrganizationId>,
    ) -> Result<Page<Membership, OrganizationId>, Error> {
        let after = after.map(|organization| {
            let mut key = Key::member(organization, user).attributes();
            key.insert(Attr::Person.as_str().to_owned(), text(user_partition(user)));
            key
        });
        let items = self.query(Range {
            key: Condition::Equals(Attr::Person, text(user_partition(user))),
            filter: None,
            attributes: &[],
            index: Some(BY_USER),
            limit: limit.min(ORGANIZATIONS_MAX),
            after,
        });
        let (items, more) = items.await?;
        let roles = items.into_iter().map(record::membership).collect::<Result<Vec<_>, _>>()?;
        let next = match last_item(more.as_ref())? {
            Some(ItemKey::Member(organization, _)) => Some(organization),
            _ => None,
        };
        Ok(Page { items: self.with_names(roles).await?, next })
    }

    /// Returns the first `limit` items of `range`, and the key of the last one if there are more.
    ///
    /// Without a filter, DynamoDB applies the limit. With a filter, DynamoDB would count the items before it filters
    /// them, so a page could be almost empty. Then the request has no limit, and this function cuts the page. One
    /// request reads up to 1 MB, which is enough for an organization's 1,000 members.
    pub(crate) async fn query(
        &self,
        range: Range<'_>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), Error> {
        let mut placeholders = Placeholders::default();
        let key = placeholders.condition(range.key);
        let filter = range.filter.map(|filter| placeholders.condition(filter));
        let unfiltered = filter.is_none();
        let query = self.reads.query().table_name(&self.table);
        let query = query
            .set_index_name(range.index.map(str::to_owned))
            .consistent_read(range.index.is_none())
            .key_condition_expression(key)
            .set_filter_expression(filter)
            .set_projection_expression(placeholders.projection(range.attributes))
            .set_expression_attribute_names(placeholders.names())
            .set_expression_attribute_values(placeholders.values())
            .set_exclusive_start_key(range.after)
            .set_limit(unfiltered.then(|| i32::try_from(range.limit).unwrap_or(i32::MAX)));
        let output = query.send().await?;
        let mut items = output.items.unwrap_or_default();
        let mut more = output.last_evaluated_key.filter(|key| !key.is_empty());
        if items.len() > range.limit {
            items.truncate(range.limit);
            more = items.last().cloned();
        }
        Ok((items, more))
    }

    /// Adds the organizations' names to `roles`, with one request unless DynamoDB leaves keys unprocessed.
    ///
    /// Skips an organization that the index still lists although the table does not contain it.
    async fn with_names(&self, roles: Vec<(OrganizationId, Role)>) -> Result<Vec<Membership>, Error> {
        let mut names = HashMap::new();
        let mut keys: Vec<Attributes> =
            roles.iter().map(|(organization, _)| Key::organization(organization).attributes()).collect();
        let mut backoff = Backoff::new(self.retry_policy);
        while !keys.is_empty() {
            let request = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let request = request.map_err(|error| Error::Rejected(error.into()))?;
            let output = self.reads.batch_get_item().request_items(&self.table, request).send().await?;
            for item in output.responses.into_iter().flatten().flat_map(|(_, items)| items) {
                if let Record::Organization(organization) = record::read(item)? {
                    names.insert(organization.id, organization.name);
                }
            }
            let rest = output.unprocessed_keys.and_then(|mut rest| rest.remove(&self.table));
            keys = rest.map(|rest| rest.keys).unwrap_or_default();
            if !keys.is_empty() && !backoff.wait().await {
                return Err(Error::Throttled(Cause::from("BatchGetItem left keys unprocessed")));
            }
        }
        let memberships = roles.into_iter().filter_map(|(organization, role)| {
            let name = names.get(&organization)?.clone();
            Some(Membership { organization, name, role })
        });
        Ok(memberships.collect())
    }
}

/// Returns the last item of a page, or `None` on the last page.
fn last_item(last: Option<&Attributes>) -> Result<Option<ItemKey>, Error> {
    Ok(last.map(record::key_of).transpose()?.and_then(|key| key.item()))
}

/// Selects an organization's items by the prefix of their sort keys.
fn with_prefix(organization: &OrganizationId, prefix: &str) -> Condition {
    Condition::All(vec![
        Condition::Equals(Attr::Pk, text(organization_partition(organization))),
        Condition::BeginsWith(Attr::Sk, text(prefix)),
    ])
}

/// [`Invitation::status_at`] as a condition: a pending invitation past its expiry counts as expired.
fn has_status_at(status: Status, now: Timestamp) -> Condition {
    let is = |status: Status| Condition::Equals(Attr::Status, text(status.as_str()));
    let now = number(now.unix());
    match status {
        Status::Pending => Condition::All(vec![is(status), Condition::Above(Attr::ExpiresAt, now)]),
        Status::Expired => Condition::Any(vec![
            is(status),
            Condition::All(vec![is(Status::Pending), Condition::AtMost(Attr::ExpiresAt, now)]),
        ]),
        _ => is(status),
    }
}
