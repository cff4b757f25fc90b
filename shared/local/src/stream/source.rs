//! The source of stream records: DynamoDB Streams, of AWS or of the embedded engine.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aws_sdk_dynamodbstreams::{
    Client,
    error::{DisplayErrorContext, SdkError},
    operation::{get_records::GetRecordsError, get_shard_iterator::GetShardIteratorError},
    types::ShardIteratorType,
};
use futures_util::future::BoxFuture;

use super::Record;

/// A stream of records, divided into shards.
pub trait Source: Send + Sync {
    /// Lists all shards.
    fn shards(&self) -> BoxFuture<'_, Result<Vec<Shard>, SourceError>>;

    /// Reads the next records of a shard in order: those after the given sequence number, or from the beginning. The
    /// page is empty if there are no further records yet.
    fn read<'a>(&'a self, shard: &'a str, after: Option<&'a str>)
    -> BoxFuture<'a, Result<Page, SourceError>>;
}

/// A shard of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// The shard's id.
    pub id: String,
    /// The id of the shard that this shard continues.
    pub parent: Option<String>,
}

/// One page of a shard's records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Whether the shard is closed and no records can follow.
    pub closed: bool,
}

/// Why the stream could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {problem}")]
pub struct SourceError {
    operation: &'static str,
    problem: String,
}

/// A table's stream, read with the SDK.
pub struct SdkSource {
    client: Client,
    stream_arn: String,
    /// The cached list of shards. It changes only when a shard is closed.
    shards: Mutex<Vec<Shard>>,
    /// By shard id: the last sequence number that was read, and the iterator for the records after it.
    iterators: Mutex<HashMap<String, (Option<String>, String)>>,
}

impl SdkSource {
    /// Creates a source for the stream with this ARN (a table's `LatestStreamArn`).
    #[must_use]
    pub fn new(client: Client, stream_arn: impl Into<String>) -> Self {
        Self { client, stream_arn: stream_arn.into(), shards: Mutex::default(), iterators: Mutex::default() }
    }

    async fn list(&self) -> Result<Vec<Shard>, SourceError> {
        let mut shards = lock(&self.shards).clone();
        if !shards.is_empty() {
            return Ok(shards);
        }
        let mut start = None;
        loop {
            let response = self
                .client
                .describe_stream()
                .stream_arn(&self.stream_arn)
                .set_exclusive_start_shard_id(start)
                .send()
                .await
                .map_err(|e| failed("DescribeStream", &e))?;
            let Some(stream) = response.stream_description else { return Ok(shards) };
            let listed = stream.shards.unwrap_or_default().into_iter();
            shards.extend(
                listed.filter_map(|shard| Some(Shard { id: shard.shard_id?, parent: shard.parent_shard_id })),
            );
            start = stream.last_evaluated_shard_id;
            if start.is_none() {
                lock(&self.shards).clone_from(&shards);
                return Ok(shards);
            }
        }
    }

    async fn page(&self, shard: &str, after: Option<&str>) -> Result<Page, SourceError> {
        let cached = self.take_cached_iterator(shard, after);
        if let Some(iterator) = cached
            && let Some(page) = self.records(shard, after, iterator).await?
        {
            return Ok(page);
        }
        let Some(iterator) = self.new_iterator(shard, after).await? else {
            return Ok(Page { records: Vec::new(), closed: true });
        };
        let page = self.records(shard, after, iterator).await?;
        page.ok_or_else(|| SourceError::new("GetRecords", "the new iterator is already expired"))
    }

    /// Reads the records at an iterator. Returns `None` if the iterator has expired or its records were trimmed.
    async fn records(
        &self,
        shard: &str,
        after: Option<&str>,
        iterator: String,
    ) -> Result<Option<Page>, SourceError> {
        let response = match self.client.get_records().shard_iterator(iterator).send().await {
            Ok(response) => response,
            Err(e) if is_expired(&e) => return Ok(None),
            Err(e) => return Err(failed("GetRecords", &e)),
        };
        let records: Vec<Record> = response
            .records
            .unwrap_or_default()
            .into_iter()
            .filter_map(|record| Record::from_sdk(record, &self.stream_arn))
            .collect();
        let closed = response.next_shard_iterator.is_none();
        if let Some(next) = response.next_shard_iterator {
            let reached = records.last().map(|record| record.sequence_number.as_str()).or(after);
            lock(&self.iterators).insert(shard.to_owned(), (reached.map(str::to_owned), next));
        } else {
            // The shard is closed and may have new child shards: list the shards again.
            lock(&self.shards).clear();
        }
        Ok(Some(Page { records, closed }))
    }

    /// Removes the shard's iterator from the cache, and returns it if it continues after `after`. So a retry of a
    /// failed read uses a new iterator.
    fn take_cached_iterator(&self, shard: &str, after: Option<&str>) -> Option<String> {
        let (reached, iterator) = lock(&self.iterators).remove(shard)?;
        (reached.as_deref() == after).then_some(iterator)
    }

    async fn new_iterator(&self, shard: &str, after: Option<&str>) -> Result<Option<String>, SourceError> {
        let request = |kind: ShardIteratorType, after: Option<&str>| {
            self.client
                .get_shard_iterator()
                .stream_arn(&self.stream_arn)
                .shard_id(shard)
                .shard_iterator_type(kind)
                .set_sequence_number(after.map(str::to_owned))
                .send()
        };
        let response = match after {
            None => request(ShardIteratorType::TrimHorizon, None).await,
            Some(_) => match request(ShardIteratorType::AfterSequenceNumber, after).await {
                Err(e) if is_trimmed(&e) => {
                    tracing::warn!(
                        shard,
                        "records were trimmed before they were read; continuing with the oldest remaining record"
                    );
                    request(ShardIteratorType::TrimHorizon, None).await
                }
                response => response,
            },
        };
        Ok(response.map_err(|e| failed("GetShardIterator", &e))?.shard_iterator)
    }
}

impl Source for SdkSource {
    fn shards(&self) -> BoxFuture<'_, Result<Vec<Shard>, SourceError>> {
        Box::pin(self.list())
    }

    fn read<'a>(
        &'a self,
        shard: &'a str,
        after: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, SourceError>> {
        Box::pin(self.page(shard, after))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SourceError {
    /// Creates an error of the given operation.
    pub fn new(operation: &'static str, problem: impl Into<String>) -> Self {
        Self { operation, problem: problem.into() }
    }
}

fn is_expired<R>(error: &SdkError<GetRecordsError, R>) -> bool {
    error
        .as_service_error()
        .is_some_and(|e| e.is_expired_iterator_exception() || e.is_trimmed_data_access_exception())
}

fn is_trimmed<R>(error: &SdkError<GetShardIteratorError, R>) -> bool {
    error.as_service_error().is_some_and(GetShardIteratorError::is_trimmed_data_access_exception)
}

fn failed<E, R>(operation: &'static str, error: &SdkError<E, R>) -> SourceError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    SourceError::new(operation, DisplayErrorContext(error).to_string())
}
