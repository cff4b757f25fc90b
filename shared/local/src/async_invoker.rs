//! Asynchronous invocation of functions, as Lambda does it: retries a failed event, then stores it as a dead letter.

use std::{sync::Arc, time::Duration};

use serde_json::Value;

use crate::{
    clock::LocalClock,
    dead_letters::{self, DeadLetter},
    functions::{Functions, InvokeError},
    state::{State, StateError},
};

/// The maximum number of attempts for one event. The same as Lambda's default.
const ATTEMPTS_MAX: u32 = 3;
/// The pause before the second attempt; twice as long before the third. Lambda waits one and two minutes. The laptop
/// waits in real time, so its pause is shorter.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// The pause before a retry while the function is unreachable.
const UNREACHABLE_PAUSE: Duration = Duration::from_secs(1);

/// Invokes functions asynchronously, as Lambda does for EventBridge and EventBridge Scheduler.
#[derive(Clone)]
pub struct AsyncInvoker {
    functions: Arc<dyn Functions>,
    state: State,
    clock: LocalClock,
}

/// One event to deliver to a function.
pub struct AsyncEvent<'a> {
    /// The function's name.
    pub function: &'a str,
    /// The event as JSON.
    pub payload: &'a Value,
    /// The kind of source: `schedule` or `event`.
    pub source: &'a str,
    /// Ids for [`DeadLetter::ids`].
    pub ids: Value,
    /// The event's id among the dead letters of its source.
    pub id: String,
    /// Whether to wait while the function is unreachable. If false, the event is dropped.
    pub wait_until_reachable: bool,
}

impl AsyncInvoker {
    /// Creates an invoker of `functions` that stores dead letters in `state`.
    #[must_use]
    pub fn new(functions: Arc<dyn Functions>, state: State, clock: LocalClock) -> Self {
        Self { functions, state, clock }
    }

    /// Delivers an event. Resolves once the function has processed it, or it is dropped or stored as a dead letter.
    pub async fn deliver(&self, event: AsyncEvent<'_>) -> Result<(), StateError> {
        let AsyncEvent { function, payload, source, ids, id, wait_until_reachable } = event;
        let mut reason = String::new();
        for attempt in 1..=ATTEMPTS_MAX {
            match self.invoke(function, payload, wait_until_reachable).await {
                Ok(_) | Err(InvokeError::Unreachable { .. }) => return Ok(()),
                Err(e) => {
                    tracing::warn!(
                        function,
                        source,
                        id,
                        attempt,
                        "the function failed to process an event: {e}"
                    );
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
        dead_letters::store(&self.state, &format!("{source}/{id}"), &letter)
    }

    /// Invokes the function. With `wait_until_reachable`, retries while the function is unreachable, because function
    /// processes may start after the laptop or restart.
    async fn invoke(
        &self,
        function: &str,
        payload: &Value,
        wait_until_reachable: bool,
    ) -> Result<Value, InvokeError> {
        loop {
            match self.functions.invoke(function, payload.clone()).await {
                Err(error @ InvokeError::Unreachable { .. }) if wait_until_reachable => {
                    tracing::warn!(function, "the function is unreachable; retrying the event: {error}");
                    tokio::time::sleep(UNREACHABLE_PAUSE).await;
                }
                result => return result,
            }
        }
    }
}
