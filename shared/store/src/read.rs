//! Snapshots: several items as they were at one moment.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsFluentBuilder;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use domain::idempotency::{Answer, AnswerId, Attempt};
use domain::{
    Day, Invitation, InvitationId, Member, Organization, OrganizationId, Recipient, RecipientDay, UserId,
};

use crate::Store;
use crate::aws::CONNECT_MAX;
use crate::commit::{Pauses, distinct, in_order};
use crate::effort::count;
use crate::error::Error;
use crate::key::Key;
use crate::record::{self, Attributes};

/// What was stored under the keys asked for.
#[derive(Debug)]
pub(crate) struct Snapshot {
    items: HashMap<Key, Attributes>,
}

impl Snapshot {
    pub fn organization(&self, organization: &OrganizationId) -> Result<Option<Organization>, Error> {
        self.item(&Key::organization(organization)).map(record::organization).transpose().map_err(Error::from)
    }

    pub fn member(&self, organization: &OrganizationId, user: &UserId) -> Result<Option<Member>, Error> {
        self.item(&Key::member(organization, user)).map(record::member).transpose().map_err(Error::from)
    }

    pub fn invitation(
        &self,
        organization: &OrganizationId,
        invitation: &InvitationId,
    ) -> Result<Option<Invitation>, Error> {
        let key = Key::invitation(organization, invitation);
        self.item(&key).map(record::invitation).transpose().map_err(Error::from)
    }

    pub fn answer(&self, answer: &AnswerId) -> Result<Option<Answer>, Error> {
        self.item(&Key::answer(answer)).map(record::answer).transpose().map_err(Error::from)
    }

    /// The answer that is kept under the attempt's key.
    pub fn kept(&self, attempt: Option<&Attempt>) -> Result<Option<Answer>, Error> {
        attempt.map_or(Ok(None), |attempt| self.answer(attempt.id()))
    }

    pub fn recipient_day(&self, recipient: &Recipient, day: Day) -> Result<Option<RecipientDay>, Error> {
        let item = self.items.get(&Key::recipient_day(recipient, day));
        item.map(record::recipient_day).transpose().map_err(Error::from)
    }

    fn item(&self, key: &Key) -> Option<Attributes> {
        self.items.get(key).cloned()
    }
}

impl Store {
    /// Opens the connection that the first call will need, by reading an item that never is: in the init phase, which
    /// has a whole processor where the invocation has a seventh, and which nobody may be waiting for. Half a read unit;
    /// whatever comes of it, the first call will find out for itself.
    pub async fn connect(&self) {
        let nothing = Key { pk: "CONNECT".to_owned(), sk: "CONNECT".to_owned() };
        let get = self.reads.get_item().table_name(&self.table).set_key(Some(nothing.attributes()));
        let _ = tokio::time::timeout(CONNECT_MAX, get.send()).await;
    }

    /// Reads `keys` in one request and as of one moment; keys that repeat are read once.
    pub(crate) async fn snapshot(&self, keys: impl IntoIterator<Item = Key>) -> Result<Snapshot, Error> {
        let mut seen = HashSet::new();
        let distinct: Vec<Key> = keys.into_iter().filter(|key| seen.insert(key.clone())).collect();
        let items = match distinct.as_slice() {
            [key] => vec![self.item(key).await?],
            keys => self.items(keys).await?,
        };
        let found = distinct.into_iter().zip(items).filter_map(|(key, item)| Some((key, item?)));
        Ok(Snapshot { items: found.collect() })
    }

    /// A single item is a snapshot of itself; a strongly consistent read costs half of a transaction.
    async fn item(&self, key: &Key) -> Result<Option<Attributes>, Error> {
        let get = self.reads.get_item().table_name(&self.table).consistent_read(true);
        Ok(get.set_key(Some(key.attributes())).send().await?.item)
    }

    async fn items(&self, keys: &[Key]) -> Result<Vec<Option<Attributes>>, Error> {
        let mut pauses = Pauses::new(self.patience);
        loop {
            match self.reading(keys)?.send().await {
                Ok(output) => {
                    let responses = output.responses.unwrap_or_default();
                    return Ok(responses.into_iter().map(|response| response.item).collect());
                }
                // A write of one of the items is under way; it is over in a moment.
                Err(error) => {
                    let Some(cancelled) = cancelled(&error) else { return Err(error.into()) };
                    let reasons = distinct(in_order(cancelled), error.code());
                    count(|effort| effort.because_of(&reasons));
                    if !pauses.wait().await {
                        return Err(Error::Throttled(error.into()));
                    }
                    count(|effort| effort.conflicts += 1);
                    tracing::debug!(reasons = reasons.join(" "), "the facts are read again");
                }
            }
        }
    }

    fn reading(&self, keys: &[Key]) -> Result<TransactGetItemsFluentBuilder, Error> {
        let get = |key: &Key| {
            let get = Get::builder().table_name(&self.table).set_key(Some(key.attributes())).build();
            let get = get.map_err(|error| Error::Refused(error.into()))?;
            Ok(TransactGetItem::builder().get(get).build())
        };
        let gets = keys.iter().map(get).collect::<Result<_, Error>>()?;
        Ok(self.reads.transact_get_items().set_transact_items(Some(gets)))
    }
}

/// A cancelled read asserts nothing, so its reasons can be conflict or throttling only.
fn cancelled<R>(error: &SdkError<TransactGetItemsError, R>) -> Option<&TransactionCanceledException> {
    match error.as_service_error() {
        Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => Some(cancelled),
        _ => None,
    }
}
