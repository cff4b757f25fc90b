//! Dead letters: events that were given up after all retries.
//!
//! As in the messages for an on-failure destination of Lambda, a dead letter holds metadata, but not the event itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::{State, StateError};

const KIND: &str = "dead-letter";

/// An event that a function failed to process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The function that failed.
    pub function: String,
    /// The source of the event: `stream`, `schedule` or `event`.
    pub source: String,
    /// Ids to find the event: the item's keys and the sequence number, the schedule's name, or the mail's message id.
    pub ids: Value,
    /// The error of the last attempt.
    pub reason: String,
    /// The number of attempts.
    pub attempts: u32,
    /// When the event was given up, in seconds since the Unix epoch.
    pub given_up_at: i64,
}

/// Stores a dead letter and logs it. `id` identifies the event, so that storing it again adds no second letter.
pub fn store(state: &State, id: &str, letter: &DeadLetter) -> Result<(), StateError> {
    tracing::error!(
        function = letter.function,
        source = letter.source,
        ids = %letter.ids,
        reason = letter.reason,
        "an event was given up and stored as a dead letter"
    );
    state.put(KIND, id, letter)
}

/// Lists all dead letters, in the order of their ids.
pub fn list(state: &State) -> Result<Vec<DeadLetter>, StateError> {
    Ok(state.list(KIND)?.into_iter().map(|(_, letter)| letter).collect())
}
