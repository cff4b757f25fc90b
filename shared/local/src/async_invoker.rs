//! AsyncInvoker invocation: an event is handed over, tried again, and given up as a dead letter.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    clock::LocalClock,
    dead_letters::{self, DeadLetter},
    functions::{Functions, InvokeError},
    state::{State, StateError},
};

/// AsyncInvoker invocations are tried three times in all.
const ATTEMPTS_MAX: u32 = 3;
/// Lambda waits one minute and then two. Whoever waits for it here waits for real, so it is less.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How soon to look again while nobody serves the functions.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// Invokes functions as Lambda does for EventBridge and its Scheduler.
#[derive(Clone)]
pub struct AsyncInvoker {
    functions: Arc<dyn Functions>,
    state: State,
    clock: LocalClock,
}

/// One event on its way.
pub struct AsyncEvent<'a> {
    /// The function.
    pub function: &'a str,
    /// The event.
    pub event: &'a Value,
    /// Where it comes from: `schedule` or `event`.
    pub source: &'a str,
    /// What finds it again.
    pub ids: Value,
    /// Its identity among dead letters.
    pub id: String,
    /// Whether it waits while nobody serves the functions; else it is dropped then.
    pub waits: bool,
}

impl AsyncInvoker {
    /// Invokes `functions`; what is given up is kept in `state`.
    #[must_use]
    pub fn new(functions: Arc<dyn Functions>, state: State, clock: LocalClock) -> Self {
        Self { functions, state, clock }
    }

    /// Resolves once the function has managed the event, or it is a dead letter.
    pub async fn deliver(&self, delivery: AsyncEvent<'_>) -> Result<(), StateError> {
        let AsyncEvent { function, event, source, ids, id, waits } = delivery;
        let mut reason = String::new();
        for attempt in 1..=ATTEMPTS_MAX {
            match self.invoke(function, event, waits).await {
                Ok(_) | Err(InvokeError::Unreachable { .. }) => return Ok(()),
                Err(e) => {
                    tracing::warn!(function, source, id, attempt, "an event's function failed: {e}");
                    reason = e.to_string();
                }
            }
            if attempt < ATTEMPTS_MAX {
                tokio::time::sleep(RETRY_AFTER * attempt).await;
            }
        }
        let letter = DeadLetter {
            function: function.to_owned(),
            source: source.to_owned(),
            ids,
            reason,
            attempts: ATTEMPTS_MAX,
            given_up_at: self.clock.now_unix(),
        };
        dead_letters::keep(&self.state, &format!("{source}/{id}"), &letter)
    }

    /// Invokes the function, if it `waits` once somebody serves it: processes may be started later than the
    /// laptop, and again.
    async fn invoke(&self, function: &str, event: &Value, waits: bool) -> Result<Value, InvokeError> {
        loop {
            match self.functions.invoke(function, event.clone()).await {
                Err(error @ InvokeError::Unreachable { .. }) if waits => {
                    tracing::warn!(function, "an event is held up; trying again: {error}");
                    tokio::time::sleep(TROUBLE_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}
