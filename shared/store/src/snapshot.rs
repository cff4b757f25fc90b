//! Snapshots: several items, read as of one moment.

use std::collections::HashSet;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsError;
use aws_sdk_dynamodb::operation::transact_get_items::builders::TransactGetItemsFluentBuilder;
use aws_sdk_dynamodb::types::error::TransactionCanceledException;
use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use domain::{ItemKey, Snapshot};
use std::time::Duration;

use crate::Store;
use crate::commit::{distinct, reason_codes};
use crate::error::Error;
use crate::expr::Attributes;
use crate::key::Key;
use crate::record;
use crate::retry::{Backoff, update_stats};

/// The timeout for the connection in the init phase. Within a Region, connecting takes a few milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(1);

impl Store {
    /// Opens the connection that the first call needs, by reading an item that does not exist.
    ///
    /// Functions call this method in Lambda's init phase, which has a whole CPU, while an invocation has only a part of
    /// one. The read costs half a read unit. The method ignores errors, since the first call reports them.
    pub async fn connect(&self) {
        let no_item = Key { pk: "CONNECT".to_owned(), sk: "CONNECT".to_owned() };
        let get = self.reads.get_item().table_name(&self.table).set_key(Some(no_item.attributes()));
        let _ = tokio::time::timeout(CONNECT_MAX, get.send()).await;
    }

    /// Reads `keys` as of one moment, and repeated keys only once. Sends one request, or none if `keys` is empty.
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

    /// Reads a single item. It needs no transaction: a strongly consistent read costs half as much.
    async fn item(&self, key: &Key) -> Result<Option<Attributes>, Error> {
        let get = self.reads.get_item().table_name(&self.table).consistent_read(true);
        Ok(get.set_key(Some(key.attributes())).send().await?.item)
    }

    async fn items(&self, keys: &[Key], backoff: &mut Backoff) -> Result<Vec<Option<Attributes>>, Error> {
        loop {
            match self.transact_get(keys)?.send().await {
                Ok(output) => {
                    let responses = output.responses.unwrap_or_default();
                    return Ok(responses.into_iter().map(|response| response.item).collect());
                }
                // DynamoDB cancels the read while a transaction writes one of the items. A retry can succeed.
                Err(error) => {
                    let Some(cancelled) = cancelled(&error) else { return Err(error.into()) };
                    let reasons = distinct(reason_codes(cancelled), error.code());
                    update_stats(|stats| stats.add_reasons(&reasons));
                    if !backoff.wait().await {
                        return Err(Error::Throttled(error.into()));
                    }
                    update_stats(|stats| stats.conflicts += 1);
                    tracing::debug!(reasons = reasons.join(" "), "retrying the read");
                }
            }
        }
    }

    fn transact_get(&self, keys: &[Key]) -> Result<TransactGetItemsFluentBuilder, Error> {
        let get = |key: &Key| {
            let get = Get::builder().table_name(&self.table).set_key(Some(key.attributes())).build();
            let get = get.map_err(|error| Error::Rejected(error.into()))?;
            Ok(TransactGetItem::builder().get(get).build())
        };
        let gets = keys.iter().map(get).collect::<Result<_, Error>>()?;
        Ok(self.reads.transact_get_items().set_transact_items(Some(gets)))
    }
}

/// Returns the cancellation of a read. A read has no conditions, so the only reasons are conflict and throttling.
fn cancelled<R>(error: &SdkError<TransactGetItemsError, R>) -> Option<&TransactionCanceledException> {
    match error.as_service_error() {
        Some(TransactGetItemsError::TransactionCanceledException(cancelled)) => Some(cancelled),
        _ => None,
    }
}
