//! What was given up on, after every retry: as an on-failure destination gets it, metadata and never the
//! record itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::state::{State, StateError};

const KIND: &str = "dead-letter";

/// One event that a function did not manage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The function that failed.
    pub function: String,
    /// What the event was: `stream`, `schedule` or `event`.
    pub source: String,
    /// Ids that find the event again: the item's keys and the sequence number, the schedule's
    /// name, or the mail's message id.
    pub ids: Value,
    /// The last failure.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was given up, seconds since the Unix epoch.
    pub given_up_at: i64,
}

/// Keeps a dead letter. `id` is the event's own identity, so that one event has one letter.
pub fn keep(state: &State, id: &str, letter: &DeadLetter) -> Result<(), StateError> {
    tracing::error!(
        function = letter.function,
        source = letter.source,
        ids = %letter.ids,
        reason = letter.reason,
        "given up: the event is a dead letter"
    );
    state.put(KIND, id, letter)
}

/// Every dead letter there is.
pub fn list(state: &State) -> Result<Vec<DeadLetter>, StateError> {
    Ok(state.list(KIND)?.into_iter().map(|(_, letter)| letter).collect())
}
