//! What is overdue, by the index `by_due`.

use domain::{InvitationId, ItemKey, OrganizationId, Timestamp};

use crate::expr::{Attr, Attributes, Condition, number};
use crate::page::Range;
use crate::record;
use crate::schema::BY_DUE;
use crate::{CorruptItem, Error, Store};

/// An invitation that somebody has to look at, as the index says, which lags by moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overdue {
    /// Where.
    pub organization: OrganizationId,
    /// Which.
    pub invitation: InvitationId,
}

/// Where a shard's next page begins.
#[derive(Debug, Clone)]
pub struct PageToken(Attributes);

/// Some of what is overdue in one shard, the longest overdue first.
#[derive(Debug)]
pub struct OverduePage {
    /// The invitations; a key that cannot be read keeps no other one out.
    pub items: Vec<Result<Overdue, CorruptItem>>,
    /// Where it goes on; `None`: there is no more.
    pub next: Option<PageToken>,
}

impl Store {
    /// What is overdue at `now` in the shard `shard` (below [`record::DUE_SHARDS`]), `limit` at most.
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
        Ok(OverduePage { items: items.iter().map(overdue).collect(), next: more.map(PageToken) })
    }
}

fn overdue(item: &Attributes) -> Result<Overdue, CorruptItem> {
    let key = record::key_of(item)?;
    match key.item() {
        Some(ItemKey::Invitation(organization, invitation)) => Ok(Overdue { organization, invitation }),
        _ => Err(CorruptItem {
            key: key.to_string(),
            what: "not an invitation's key, but listed as due".to_owned(),
        }),
    }
}
