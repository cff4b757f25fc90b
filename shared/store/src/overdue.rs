//! Overdue invitations, listed by the index `by_due`.

use domain::{InvitationId, ItemKey, OrganizationId, Timestamp};

use crate::expr::{Attr, Attributes, Condition, number};
use crate::page::Range;
use crate::record;
use crate::schema::BY_DUE;
use crate::{CorruptItem, Error, Store};

/// The ids of an overdue invitation. The index is eventually consistent, so the record may have changed since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
}

/// The position at which the next page of a shard begins.
#[derive(Debug, Clone)]
pub struct PageToken(Attributes);

/// One page of a shard's overdue invitations, ordered by `due_at`, the oldest first.
#[derive(Debug)]
pub struct OverduePage {
    /// The invitations. An entry with an unreadable key is an error; the other entries are still listed.
    pub items: Vec<Result<Overdue, CorruptItem>>,
    /// The position of the next page; `None` on the last page.
    pub next: Option<PageToken>,
}

impl Store {
    /// Lists at most `limit` invitations of the shard `shard` that are overdue at `now`.
    ///
    /// `shard` must be below [`record::DUE_SHARDS`].
    pub async fn overdue(
        &self,
        shard: u8,
        now: Timestamp,
        limit: usize,
        after: Option<PageToken>,
    ) -> Result<OverduePage, Error> {
        let items = self.query(Range {
            key: Condition::All(vec![
                Condition::Equals(Attr::DueShard, number(shard)),
                Condition::AtMost(Attr::DueAt, number(now.unix())),
            ]),
            filter: None,
            attributes: &[],
            index: Some(BY_DUE),
            limit,
            after: after.map(|PageToken(key)| key),
        });
        let (items, more) = items.await?;
        Ok(OverduePage { items: items.iter().map(parse).collect(), next: more.map(PageToken) })
    }
}

fn parse(item: &Attributes) -> Result<Overdue, CorruptItem> {
    let key = record::key_of(item)?;
    match key.item() {
        Some(ItemKey::Invitation(organization, invitation)) => Ok(Overdue { organization, invitation }),
        _ => Err(CorruptItem {
            key: key.to_string(),
            what: "the index by_due lists a key that is not an invitation's".to_owned(),
        }),
    }
}
