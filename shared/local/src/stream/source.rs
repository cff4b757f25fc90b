//! Where records come from: DynamoDB Streams, behind whatever endpoint.

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

/// A stream of records, in shards.
pub trait Source: Send + Sync {
    /// All shards there are.
    fn shards(&self) -> BoxFuture<'_, Result<Vec<Shard>, SourceError>>;

    /// Some records of a shard in order, after the given sequence number or from the beginning. An empty
    /// page says that there are none now.
    fn read<'a>(&'a self, shard: &'a str, after: Option<&'a str>)
    -> BoxFuture<'a, Result<Page, SourceError>>;
}

/// A shard of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its id.
    pub id: String,
    /// The shard that it continues.
    pub parent: Option<String>,
}

/// Records of a shard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The records, in order.
    pub records: Vec<Record>,
    /// Nothing can follow them.
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
    /// The shards, as last listed: only a shard that ends changes them.
    shards: Mutex<Vec<Shard>>,
    /// Where the last page of a shard ended: its last sequence number, and the iterator that goes on there.
    iterators: Mutex<HashMap<String, (Option<String>, String)>>,
}

impl SdkSource {
    /// The stream of that ARN (a table's `LatestStreamArn`).
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
            let answer = self
                .client
                .describe_stream()
                .stream_arn(&self.stream_arn)
                .set_exclusive_start_shard_id(start)
                .send()
                .await
                .map_err(|e| failed("DescribeStream", &e))?;
            let Some(stream) = answer.stream_description else { return Ok(shards) };
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
        let known = self.known_iterator(shard, after);
        if let Some(iterator) = known
            && let Some(page) = self.records(shard, after, iterator).await?
        {
            return Ok(page);
        }
        let Some(iterator) = self.iterator(shard, after).await? else {
            return Ok(Page { records: Vec::new(), closed: true });
        };
        let page = self.records(shard, after, iterator).await?;
        page.ok_or_else(|| SourceError::new("GetRecords", "the iterator was stale as soon as it was made"))
    }

    /// The records that an iterator leads to; none if it leads nowhere any more.
    async fn records(
        &self,
        shard: &str,
        after: Option<&str>,
        iterator: String,
    ) -> Result<Option<Page>, SourceError> {
        let answer = match self.client.get_records().shard_iterator(iterator).send().await {
            Ok(answer) => answer,
            Err(e) if is_stale(&e) => return Ok(None),
            Err(e) => return Err(failed("GetRecords", &e)),
        };
        let records: Vec<Record> = answer
            .records
            .unwrap_or_default()
            .into_iter()
            .filter_map(|record| Record::from_sdk(record, &self.stream_arn))
            .collect();
        let closed = answer.next_shard_iterator.is_none();
        if let Some(next) = answer.next_shard_iterator {
            let reached = records.last().map(|record| record.sequence_number.as_str()).or(after);
            lock(&self.iterators).insert(shard.to_owned(), (reached.map(str::to_owned), next));
        } else {
            // Its children are listed now, if they weren't before.
            lock(&self.shards).clear();
        }
        Ok(Some(Page { records, closed }))
    }

    /// Taken out, so that a read that fails is tried with a fresh one.
    fn known_iterator(&self, shard: &str, after: Option<&str>) -> Option<String> {
        let (reached, iterator) = lock(&self.iterators).remove(shard)?;
        (reached.as_deref() == after).then_some(iterator)
    }

    async fn iterator(&self, shard: &str, after: Option<&str>) -> Result<Option<String>, SourceError> {
        let ask = |kind: ShardIteratorType, after: Option<&str>| {
            self.client
                .get_shard_iterator()
                .stream_arn(&self.stream_arn)
                .shard_id(shard)
                .shard_iterator_type(kind)
                .set_sequence_number(after.map(str::to_owned))
                .send()
        };
        let answer = match after {
            None => ask(ShardIteratorType::TrimHorizon, None).await,
            Some(_) => match ask(ShardIteratorType::AfterSequenceNumber, after).await {
                Err(e) if is_trimmed(&e) => {
                    tracing::warn!(
                        shard,
                        "records were trimmed before they were read; going on with the oldest left"
                    );
                    ask(ShardIteratorType::TrimHorizon, None).await
                }
                answer => answer,
            },
        };
        Ok(answer.map_err(|e| failed("GetShardIterator", &e))?.shard_iterator)
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
    /// An error of that operation.
    pub fn new(operation: &'static str, problem: impl Into<String>) -> Self {
        Self { operation, problem: problem.into() }
    }
}

fn is_stale<R>(error: &SdkError<GetRecordsError, R>) -> bool {
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
