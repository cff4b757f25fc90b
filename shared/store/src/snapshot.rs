//! Snapshots: several items as they were at one moment.

use std::collections::HashSet;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsFluentBuilder;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use domain::{ItemKey, Snapshot};
use std::time::Duration;

use crate::Store;
use crate::commit::{distinct, in_order};
use crate::error::Error;
use crate::expr::Attributes;
use crate::key::Key;
use crate::record;
use crate::retry::{Backoff, count};

/// How long the init phase waits for a connection, which takes a few milliseconds within a Region.
const CONNECT_MAX: Duration = Duration::from_secs(1);

impl Store {
    /// Opens the connection that the first call needs, by reading an item that does not exist. It costs half a read unit in the
    /// init phase, which has a whole processor where an invocation has a part of one. A failure shows at the first call.
    pub async fn connect(&self) {
        let nothing = Key { pk: "CONNECT".to_owned(), sk: "CONNECT".to_owned() };
        let get = self.reads.get_item().table_name(&self.table).set_key(Some(nothing.attributes()));
        let _ = tokio::time::timeout(CONNECT_MAX, get.send()).await;
    }

    /// Reads `keys` in one request and as of one moment; keys that repeat are read once, and none takes no request.
    pub(crate) async fn snapshot(
        &self,
        mut keys: Vec<ItemKey>,
        backoff: &mut Backoff,
    ) -> Result<Snapshot, Error> {
        let mut seen = HashSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        let stored: Vec<Key> = keys.iter().map(Key::from).collect();
        let items = match stored.as_slice() {
            [] => Vec::new(),
            [key] => vec![self.item(key).await?],
            keys => self.items(keys, backoff).await?,
        };
        let parsed = keys.into_iter().zip(items).map(|(key, item)| {
            let record = item.map(|item| record::parse(&key, item)).transpose()?;
            Ok((key, record))
        });
        parsed.collect()
    }

    /// A single item is a snapshot of itself; a strongly consistent read costs half of a transaction.
    async fn item(&self, key: &Key) -> Result<Option<Attributes>, Error> {
        let get = self.reads.get_item().table_name(&self.table).consistent_read(true);
        Ok(get.set_key(Some(key.attributes())).send().await?.item)
    }

    async fn items(&self, keys: &[Key], backoff: &mut Backoff) -> Result<Vec<Option<Attributes>>, Error> {
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
                    count(|stats| stats.because_of(&reasons));
                    if !backoff.wait().await {
                        return Err(Error::Throttled(error.into()));
                    }
                    count(|stats| stats.conflicts += 1);
                    tracing::debug!(reasons = reasons.join(" "), "the items are read again");
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
