//! What is overdue, by the index `by_due`.

use domain::{InvitationId, OrganizationId, Timestamp};

use crate::expr::{Attr, Condition, number};
use crate::page::Range;
use crate::record::{self, Attributes};
use crate::schema::BY_DUE;
use crate::{Broken, Error, Store};

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
pub struct Rest(Attributes);

/// Some of what is overdue in one shard, the longest overdue first.
#[derive(Debug)]
pub struct OverduePage {
    /// The invitations; a key that cannot be read keeps no other one out.
    pub items: Vec<Result<Overdue, Broken>>,
    /// Where it goes on; `None`: there is no more.
    pub rest: Option<Rest>,
}

impl Store {
    /// What is overdue at `now` in the shard `shard` (below [`record::DUE_SHARDS`]), `limit` at most.
    pub async fn overdue(
        &self,
        shard: u8,
        now: Timestamp,
        limit: usize,
        after: Option<Rest>,
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
            after: after.map(|Rest(key)| key),
        });
        let (items, more) = items.await?;
        Ok(OverduePage { items: items.iter().map(overdue).collect(), rest: more.map(Rest) })
    }
}

fn overdue(item: &Attributes) -> Result<Overdue, Broken> {
    let key = record::key_of(item)?;
    let ids = key.as_invitation();
    let (organization, invitation) = ids.ok_or_else(|| Broken {
        key: format!("{}/{}", key.pk, key.sk),
        what: "not an invitation's key, but listed as due".to_owned(),
    })?;
    Ok(Overdue { organization, invitation })
}
