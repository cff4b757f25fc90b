//! Feeds a table's stream to a function, as Lambda's event source mapping does.
//!
//! Records are processed in order and in batches, with partial failures and bisection. A record that fails too often
//! becomes a dead letter.

mod batches;
mod record;
mod source;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

use crate::{
    clock::LocalClock,
    dead_letters::{self, DeadLetter},
    functions::{Functions, InvokeError},
    state::{State, StateError},
};

pub use batches::{BatchOutcome, BatchQueue, BatchResult, StreamPolicy};
pub use record::Record;
pub use source::{Page, SdkSource, Shard, Source, SourceError};

const KIND: &str = "stream-position";
/// The longest pause before a retry after reading the stream was interrupted.
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Whether a function gets a record. The arguments are the function's name and the record as the function gets it.
pub type StreamFilter = fn(&str, &Value) -> bool;

/// The configuration of one stream consumer.
pub struct EventSourceMapping {
    /// The function that gets the records. Its name also identifies the stored position of the consumer.
    pub function: String,
    /// The stream to read.
    pub source: Arc<dyn Source>,
    /// Invokes the function.
    pub functions: Arc<dyn Functions>,
    /// Stores positions and dead letters.
    pub state: State,
    /// Provides the time at which a record is given up.
    pub clock: LocalClock,
    /// Batch size and retries.
    pub policy: StreamPolicy,
    /// Which records the function gets. All records if `None`.
    pub filter: Option<StreamFilter>,
    /// Notifies of writes to the table. The consumer then reads the stream only after a write. `None` to poll the
    /// stream, with the pause of [`StreamPolicy::poll_every`].
    pub writes: Option<watch::Receiver<()>>,
}

/// A running stream consumer. It stops when dropped.
pub struct StreamConsumer {
    wake: Arc<Notify>,
    /// The number of calls of `idle` so far. Each call takes the next number as its ticket.
    idle_tickets: Arc<AtomicU64>,
    handled: Arc<AtomicU64>,
    /// All calls of `idle` with a ticket up to this number may return.
    idle_through: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

/// A consumer's position in one shard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// The last record that was processed, given up or filtered out.
    sequence_number: Option<String>,
    /// The shard is closed and processed to its end, so its child shards may be read.
    finished: bool,
}

/// Why reading the stream was interrupted. The consumer retries after a pause.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    State(#[from] StateError),
    /// No process serves the function. Function processes may start after the laptop or restart, so this does not count
    /// as a failed attempt.
    #[error(transparent)]
    Unreachable(InvokeError),
}

impl StreamConsumer {
    /// Starts a consumer at its stored position. Must be called within a Tokio runtime.
    #[must_use]
    pub fn start(mapping: EventSourceMapping) -> Self {
        let wake = Arc::new(Notify::new());
        let idle_tickets = Arc::new(AtomicU64::new(0));
        let handled = Arc::new(AtomicU64::new(0));
        let (idle_sender, idle_through) = watch::channel(0);
        let reader = Reader { mapping, handled: handled.clone() };
        let task = tokio::spawn(reader.run(wake.clone(), idle_tickets.clone(), idle_sender));
        Self { wake, idle_tickets, handled, idle_through, task }
    }

    /// Makes the consumer read the stream at once instead of at the next poll. Call it after a write of which the
    /// consumer is not notified. Has no effect on the pause before a retry.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves once all records that were written before this call are processed or given up. Then no invocation is in
    /// flight and no retry is pending for them.
    pub async fn idle(&self) {
        let ticket = self.idle_tickets.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake();
        // This cannot fail: the task holds the sender, and `self` keeps the task alive.
        let _ = self.idle_through.clone().wait_for(|through| *through >= ticket).await;
    }

    /// The number of records that were passed to the function since the start, including retries.
    #[must_use]
    pub fn handled(&self) -> u64 {
        self.handled.load(Ordering::SeqCst)
    }
}

impl Drop for StreamConsumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Resolves once all consumers are idle at the same time.
///
/// One pass over the consumers is not enough: a function's writes may be new records for all consumers.
pub async fn all_idle(consumers: &[StreamConsumer]) {
    let handled = || consumers.iter().map(StreamConsumer::handled).sum::<u64>();
    loop {
        let before = handled();
        for consumer in consumers {
            consumer.idle().await;
        }
        if handled() == before {
            return;
        }
    }
}

struct Reader {
    mapping: EventSourceMapping,
    handled: Arc<AtomicU64>,
}

impl Reader {
    async fn run(self, wake: Arc<Notify>, idle_tickets: Arc<AtomicU64>, idle_sender: watch::Sender<u64>) {
        let poll_every = self.mapping.policy.poll_every;
        let mut writes = self.mapping.writes.clone();
        let mut failures = 0;
        loop {
            // Load the ticket before reading: a later caller of `idle` may have written records that this read misses.
            let ticket = idle_tickets.load(Ordering::SeqCst);
            match self.drain().await {
                Ok(()) => {
                    failures = 0;
                    idle_sender.send_replace(ticket);
                    tokio::select! {
                        () = wake.notified() => {}
                        () = next_write(&mut writes, poll_every) => {}
                    }
                }
                Err(e) => {
                    tracing::warn!(
                        function = self.mapping.function,
                        error = &e as &dyn std::error::Error,
                        "processing of the stream is interrupted; retrying"
                    );
                    failures += 1;
                    let pause = poll_every.saturating_mul(2_u32.saturating_pow(failures)).min(BACKOFF_MAX);
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Reads and processes records until no shard has any more.
    async fn drain(&self) -> Result<(), ReadError> {
        let mut more = true;
        while more {
            more = false;
            let shards = self.mapping.source.shards().await?;
            for shard in &shards {
                more |= self.process_page(shard, &shards).await?;
            }
        }
        Ok(())
    }

    /// Reads and processes one page of a shard. Returns whether the shard or its children may have more records.
    async fn process_page(&self, shard: &Shard, shards: &[Shard]) -> Result<bool, ReadError> {
        let mut position = self.load_position(&shard.id)?;
        if position.finished {
            return Ok(false);
        }
        // The records of one item keep their order across a shard split only if the parent shard is read first. If the
        // parent is not listed, it was trimmed.
        if let Some(parent) = shard.parent.as_ref().filter(|parent| shards.iter().any(|s| s.id == **parent))
            && !self.load_position(parent)?.finished
        {
            return Ok(false);
        }
        let page = self.mapping.source.read(&shard.id, position.sequence_number.as_deref()).await?;
        let last = page.records.last().map(|record| record.sequence_number.clone());
        let has_records = last.is_some();
        self.process(page.records, &shard.id, &mut position).await?;
        position.finished = page.closed && !has_records;
        if has_records || position.finished {
            // Records that were filtered out also move the position.
            position.sequence_number = last.or(position.sequence_number);
            self.save_position(&shard.id, &position)?;
        }
        Ok(has_records || page.closed)
    }

    async fn process(
        &self,
        records: Vec<Record>,
        shard: &str,
        position: &mut Position,
    ) -> Result<(), ReadError> {
        let EventSourceMapping { function, filter, .. } = &self.mapping;
        let records = records
            .into_iter()
            // AWS writes no record for a write that changes nothing. The embedded engine does.
            .filter(|record| !record.is_unchanged())
            .filter(|record| filter.is_none_or(|matches| matches(function, &record.event)))
            .collect();
        let mut queue = BatchQueue::new(records, self.mapping.policy);
        while let Some(batch) = queue.batch() {
            let outcome = self.invoke(batch).await?;
            let result = queue.apply(&outcome);
            // Store the dead letter before the position. After a crash between the two writes, the same letter is
            // written again.
            if let Some(dead) = result.dead {
                self.store_dead_letter(&dead, shard, &outcome)?;
            }
            if let Some(sequence_number) = result.position {
                position.sequence_number = Some(sequence_number);
                self.save_position(shard, position)?;
            }
            if let Some(pause) = result.pause {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    async fn invoke(&self, batch: &[Record]) -> Result<BatchOutcome, ReadError> {
        let event = json!({"Records": batch.iter().map(|record| &record.event).collect::<Vec<_>>()});
        let function = &self.mapping.function;
        let result = self.mapping.functions.invoke(function, event).await;
        if let Err(error @ InvokeError::Unreachable { .. }) = result {
            return Err(ReadError::Unreachable(error));
        }
        self.handled.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::SeqCst);
        let outcome = BatchOutcome::read(result, batch);
        match &outcome {
            BatchOutcome::Done => {}
            BatchOutcome::FailedFrom { reason, .. } | BatchOutcome::Failed { reason } => {
                tracing::warn!(
                    function,
                    records = batch.len(),
                    "the function failed to process stream records: {reason}"
                );
            }
        }
        Ok(outcome)
    }

    fn store_dead_letter(
        &self,
        record: &Record,
        shard: &str,
        outcome: &BatchOutcome,
    ) -> Result<(), StateError> {
        let EventSourceMapping { function, state, clock, policy, .. } = &self.mapping;
        let letter = DeadLetter {
            function: function.clone(),
            source: "stream".to_owned(),
            ids: json!({
                "keys": record.event["dynamodb"]["Keys"],
                "event_id": record.event["eventID"],
                "shard": shard,
                "sequence_number": record.sequence_number,
            }),
            reason: outcome.reason().to_owned(),
            attempts: policy.attempts_max,
            given_up_at: clock.now_unix(),
        };
        dead_letters::store(state, &format!("stream/{function}/{}", record.sequence_number), &letter)
    }

    fn load_position(&self, shard: &str) -> Result<Position, StateError> {
        Ok(self.mapping.state.get(KIND, &self.position_id(shard))?.unwrap_or_default())
    }

    fn save_position(&self, shard: &str, position: &Position) -> Result<(), StateError> {
        self.mapping.state.put(KIND, &self.position_id(shard), position)
    }

    fn position_id(&self, shard: &str) -> String {
        format!("{}/{shard}", self.mapping.function)
    }
}

/// Resolves after a write since the last call. Without notifications of writes, resolves after `poll_every`.
async fn next_write(writes: &mut Option<watch::Receiver<()>>, poll_every: Duration) {
    if let Some(writes) = writes
        && writes.changed().await.is_ok()
    {
        return;
    }
    tokio::time::sleep(poll_every).await;
}

#[cfg(test)]
mod tests;
