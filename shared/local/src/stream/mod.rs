//! Feeds a table's stream to a function as Lambda's event source mapping does: in batches, in order, with
//! partial failures, bisection, finite attempts and a dead letter at the end of them.

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

pub use batches::{BatchQueue, BatchResult, Outcome, Policy};
pub use record::Record;
pub use source::{Page, SdkSource, Shard, Source, SourceError};

const KIND: &str = "stream-position";
const TROUBLE_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Which records a function gets: asked with its name, and with the record as it would get it.
pub type Filter = fn(&str, &Value) -> bool;

/// What one consumer of a stream is made of.
pub struct EventSourceMapping {
    /// The function that is fed. It is also the consumer's name: its position is kept under it.
    pub function: String,
    /// The stream.
    pub source: Arc<dyn Source>,
    /// Where the function is.
    pub functions: Arc<dyn Functions>,
    /// Where positions and dead letters are kept.
    pub state: State,
    /// Dates the dead letters.
    pub clock: LocalClock,
    /// Batch size and retries.
    pub policy: Policy,
    /// Which records the function gets; none for all.
    pub filter: Option<Filter>,
}

/// A running consumer. It stops when this is dropped.
pub struct StreamConsumer {
    wake: Arc<Notify>,
    asked: Arc<AtomicU64>,
    handled: Arc<AtomicU64>,
    answered: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

/// How far a consumer is in one shard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Position {
    /// The last record that is done with.
    sequence_number: Option<String>,
    /// Nothing more will come, so the shard's children may be read.
    finished: bool,
}

/// Why a round of reading ended early. It is tried again.
#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    State(#[from] StateError),
    /// Function processes may be started later than the laptop, and again: no record has failed by that.
    #[error(transparent)]
    Unreachable(InvokeError),
}

impl StreamConsumer {
    /// Starts feeding the function, from where it was left. Needs a Tokio runtime.
    #[must_use]
    pub fn start(mapping: EventSourceMapping) -> Self {
        let wake = Arc::new(Notify::new());
        let asked = Arc::new(AtomicU64::new(0));
        let handled = Arc::new(AtomicU64::new(0));
        let (answer, answered) = watch::channel(0);
        let reader = Reader { mapping, handled: handled.clone() };
        let task = tokio::spawn(reader.run(wake.clone(), asked.clone(), answer));
        Self { wake, asked, handled, answered, task }
    }

    /// Says that something was written: the stream is read at once instead of at the next poll.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Resolves once every record that was written before this call has been handled or given up, with
    /// nothing in flight and no retry pending.
    pub async fn idle(&self) {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake();
        // The sender lives as long as the task, and the task as long as this.
        let _ = self.answered.clone().wait_for(|answered| *answered >= ticket).await;
    }

    /// How many records were given to the function since the start, retries included.
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

/// Resolves once the consumers are all idle at the same time: what one of them writes may be work for
/// another, or for itself.
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
    async fn run(self, wake: Arc<Notify>, asked: Arc<AtomicU64>, answer: watch::Sender<u64>) {
        let poll_every = self.mapping.policy.poll_every;
        let mut troubles = 0;
        loop {
            // Taken before reading: who asks while we read may have written what we no longer see.
            let ticket = asked.load(Ordering::SeqCst);
            let pause = match self.drain().await {
                Ok(()) => {
                    troubles = 0;
                    answer.send_replace(ticket);
                    poll_every
                }
                Err(e) => {
                    tracing::warn!(
                        function = self.mapping.function,
                        error = &e as &dyn std::error::Error,
                        "the stream is held up; trying again"
                    );
                    troubles += 1;
                    poll_every.saturating_mul(2_u32.saturating_pow(troubles)).min(TROUBLE_PAUSE_MAX)
                }
            };
            tokio::select! {
                () = wake.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads until every shard has nothing more.
    async fn drain(&self) -> Result<(), ReadError> {
        let mut more = true;
        while more {
            more = false;
            let shards = self.mapping.source.shards().await?;
            for shard in &shards {
                more |= self.read(shard, &shards).await?;
            }
        }
        Ok(())
    }

    /// Reads and handles one page of a shard, and says whether that may have left something to read.
    async fn read(&self, shard: &Shard, shards: &[Shard]) -> Result<bool, ReadError> {
        let mut position = self.position(&shard.id)?;
        if position.finished {
            return Ok(false);
        }
        // The order of an item's records holds across a split only if the parent goes first. A parent that
        // is no longer listed has been trimmed.
        if let Some(parent) = shard.parent.as_ref().filter(|parent| shards.iter().any(|s| s.id == **parent))
            && !self.position(parent)?.finished
        {
            return Ok(false);
        }
        let page = self.mapping.source.read(&shard.id, position.sequence_number.as_deref()).await?;
        let last = page.records.last().map(|record| record.sequence_number.clone());
        let any = last.is_some();
        self.handle(page.records, &shard.id, &mut position).await?;
        position.finished = page.closed && !any;
        if any || position.finished {
            // The records that the function never saw are done with too.
            position.sequence_number = last.or(position.sequence_number);
            self.keep(&shard.id, &position)?;
        }
        Ok(any || page.closed)
    }

    async fn handle(
        &self,
        records: Vec<Record>,
        shard: &str,
        position: &mut Position,
    ) -> Result<(), ReadError> {
        let EventSourceMapping { function, filter, .. } = &self.mapping;
        let wanted = records
            .into_iter()
            // AWS writes no record for a change that changes nothing; the embedded engine does.
            .filter(|record| !record.is_unchanged())
            .filter(|record| filter.is_none_or(|wants| wants(function, &record.event)))
            .collect();
        let mut work = BatchQueue::new(wanted, self.mapping.policy);
        while let Some(batch) = work.batch() {
            let outcome = self.invoke(batch).await?;
            let settled = work.settle(&outcome);
            // First the letter, then the position: a process that dies between the two writes it again.
            if let Some(dead) = settled.dead {
                self.bury(&dead, shard, &outcome)?;
            }
            if let Some(through) = settled.through {
                position.sequence_number = Some(through);
                self.keep(shard, position)?;
            }
            if let Some(pause) = settled.pause {
                tokio::time::sleep(pause).await;
            }
        }
        Ok(())
    }

    async fn invoke(&self, batch: &[Record]) -> Result<Outcome, ReadError> {
        let event = json!({"Records": batch.iter().map(|record| &record.event).collect::<Vec<_>>()});
        let function = &self.mapping.function;
        let answer = self.mapping.functions.invoke(function, event).await;
        if let Err(error @ InvokeError::Unreachable { .. }) = answer {
            return Err(ReadError::Unreachable(error));
        }
        self.handled.fetch_add(u64::try_from(batch.len()).unwrap_or(u64::MAX), Ordering::SeqCst);
        let outcome = Outcome::read(answer, batch);
        match &outcome {
            Outcome::Done => {}
            Outcome::FailedFrom { reason, .. } | Outcome::Failed { reason } => {
                tracing::warn!(function, records = batch.len(), "records of the stream failed: {reason}");
            }
        }
        Ok(outcome)
    }

    fn bury(&self, record: &Record, shard: &str, outcome: &Outcome) -> Result<(), StateError> {
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
        dead_letters::keep(state, &format!("stream/{function}/{}", record.sequence_number), &letter)
    }

    fn position(&self, shard: &str) -> Result<Position, StateError> {
        Ok(self.mapping.state.get(KIND, &self.id(shard))?.unwrap_or_default())
    }

    fn keep(&self, shard: &str, position: &Position) -> Result<(), StateError> {
        self.mapping.state.put(KIND, &self.id(shard), position)
    }

    fn id(&self, shard: &str) -> String {
        format!("{}/{shard}", self.mapping.function)
    }
}

#[cfg(test)]
mod tests;
