//! Pages of lists.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::{
    Invitation, InvitationId, ItemKey, OrganizationId, OrganizationName, Record, Role, Status, Timestamp,
    UserId,
};

use crate::Store;
use crate::error::{Cause, Error};
use crate::expr::{Attr, Attributes, Condition, Placeholders, number, text};
use crate::key::{Key, invitations, members, partition, person};
use crate::record::{self, MemberSummary};
use crate::retry::Backoff;
use crate::schema::BY_USER;

/// One request reads the names of no more organizations (the limit of `BatchGetItem`).
const ORGANIZATIONS_MAX: usize = 100;

/// Some items of a list, and where it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<Entry, Id> {
    /// The items, in the stable order of their keys.
    pub items: Vec<Entry>,
    /// The id to go on after; `None`: there is no more.
    pub next: Option<Id>,
}

/// An organization that a user belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Which.
    pub organization: OrganizationId,
    /// Its name.
    pub name: OrganizationName,
    /// The user's role in it.
    pub role: Role,
}

/// What one query reads.
pub(crate) struct Range<'a> {
    pub key: Condition,
    pub filter: Option<Condition>,
    /// What is wanted of the items; none is all of it.
    pub attributes: &'a [Attr],
    pub index: Option<&'a str>,
    pub limit: usize,
    pub after: Option<Attributes>,
}

impl Store {
    /// Members of an organization, of one role if asked for.
    pub async fn members(
        &self,
        organization: &OrganizationId,
        role: Option<Role>,
        limit: usize,
        after: Option<&UserId>,
    ) -> Result<Page<MemberSummary, UserId>, Error> {
        let items = self.query(Range {
            key: within(organization, members()),
            filter: role.map(|role| Condition::Equals(Attr::Role, text(role.as_str()))),
            // The rest would be more than half of what a thousand members weigh.
            attributes: &record::MEMBER_SUMMARY_ATTRIBUTES,
            index: None,
            limit,
            after: after.map(|user| Key::member(organization, user).attributes()),
        });
        let (items, more) = items.await?;
        let next = more.as_ref().map(|last| record::member_of(organization, last)).transpose()?;
        let items = items.into_iter().map(|item| record::listed(organization, item));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    /// Invitations of an organization, of one status at `now` if asked for.
    pub async fn invitations(
        &self,
        organization: &OrganizationId,
        status: Option<Status>,
        now: Timestamp,
        limit: usize,
        after: Option<&InvitationId>,
    ) -> Result<Page<Invitation, InvitationId>, Error> {
        let items = self.query(Range {
            key: within(organization, invitations()),
            filter: status.map(|status| standing_at(status, now)),
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
        let next = match next_item(more.as_ref())? {
            Some(ItemKey::Invitation(_, invitation)) => Some(invitation),
            _ => None,
        };
        Ok(Page { items, next })
    }

    /// The organizations that a user belongs to, by an index that lags by moments; at most 100 a page.
    pub async fn organizations(
        &self,
        user: &UserId,
        limit: usize,
        after: Option<&OrganizationId>,
    ) -> Result<Page<Membership, OrganizationId>, Error> {
        let after = after.map(|organization| {
            let mut key = Key::member(organization, user).attributes();
            key.insert(Attr::Person.as_str().to_owned(), text(person(user)));
            key
        });
        let items = self.query(Range {
            key: Condition::Equals(Attr::Person, text(person(user))),
            filter: None,
            attributes: &[],
            index: Some(BY_USER),
            limit: limit.min(ORGANIZATIONS_MAX),
            after,
        });
        let (items, more) = items.await?;
        let roles = items.into_iter().map(record::membership).collect::<Result<Vec<_>, _>>()?;
        let next = match next_item(more.as_ref())? {
            Some(ItemKey::Member(organization, _)) => Some(organization),
            _ => None,
        };
        Ok(Page { items: self.named(roles).await?, next })
    }

    /// The first `limit` items of `range`, and the key of the last one if there are more.
    ///
    /// Without a filter DynamoDB counts to `limit` itself. With one it would count what the filter drops,
    /// and pages would come back all but empty; so it reads on (an organization's thousand members fit the
    /// 1 MB of one request), and the page is cut here.
    pub(crate) async fn query(
        &self,
        range: Range<'_>,
    ) -> Result<(Vec<Attributes>, Option<Attributes>), Error> {
        let mut placeholders = Placeholders::default();
        let key = placeholders.condition(range.key);
        let filter = range.filter.map(|filter| placeholders.condition(filter));
        let counted = filter.is_none();
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
            .set_limit(counted.then(|| i32::try_from(range.limit).unwrap_or(i32::MAX)));
        let output = query.send().await?;
        let mut items = output.items.unwrap_or_default();
        let mut more = output.last_evaluated_key.filter(|key| !key.is_empty());
        if items.len() > range.limit {
            items.truncate(range.limit);
            more = items.last().cloned();
        }
        Ok((items, more))
    }

    /// Puts names to memberships, in one request. An organization that the index still lists but that is
    /// gone from the table is left out.
    async fn named(&self, roles: Vec<(OrganizationId, Role)>) -> Result<Vec<Membership>, Error> {
        let mut names = HashMap::new();
        let mut keys: Vec<Attributes> =
            roles.iter().map(|(organization, _)| Key::organization(organization).attributes()).collect();
        let mut backoff = Backoff::new(self.retry_policy);
        while !keys.is_empty() {
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let wanted = wanted.map_err(|error| Error::Refused(error.into()))?;
            let output = self.reads.batch_get_item().request_items(&self.table, wanted).send().await?;
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

/// Which item a page ends with, where there are more.
fn next_item(last: Option<&Attributes>) -> Result<Option<ItemKey>, Error> {
    Ok(last.map(record::key_of).transpose()?.and_then(|key| key.item()))
}

/// The items of an organization whose sort keys begin with `prefix`.
fn within(organization: &OrganizationId, prefix: &str) -> Condition {
    Condition::All(vec![
        Condition::Equals(Attr::Pk, text(partition(organization))),
        Condition::BeginsWith(Attr::Sk, text(prefix)),
    ])
}

/// What [`Invitation::status_at`] says, as a condition: a pending one past its expiry reads as expired.
fn standing_at(status: Status, now: Timestamp) -> Condition {
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
