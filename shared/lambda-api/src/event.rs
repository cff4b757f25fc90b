//! From an event that is no HTTP request to a handler and back, for the real runtime and for the laptop
//! alike.

use std::sync::Arc;

use domain::Clock;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::{App, FromEnv};
use crate::env::Env;
use crate::observe::{self, Invocation, InvocationError, Outcome};

/// What a handler has done, and what is answered.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerOutput<Answer = ()> {
    /// What came of it.
    pub outcome: Outcome,
    /// The answer.
    pub answer: Answer,
}

impl HandlerOutput {
    /// It has come to `word`, and nobody waits for an answer.
    #[must_use]
    pub fn new(word: &'static str) -> Self {
        Outcome::new(word).into()
    }
}

impl From<Outcome> for HandlerOutput {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, answer: () }
    }
}

/// The whole of a function that is invoked by an event: configured by the environment, it serves `handle` as the function
/// `action` until the runtime ends the process.
pub async fn main<Services, Event, Answer, Handling>(
    action: &'static str,
    handle: impl Fn(Arc<App<Services>>, Event) -> Handling,
) -> Result<(), Error>
where
    Services: FromEnv + Send + Sync,
    Event: DeserializeOwned,
    Answer: Serialize,
    Handling: Future<Output = Result<HandlerOutput<Answer>, InvocationError>>,
{
    observe::start();
    run(action, App::<Services>::from_env(Env::of_process())?, handle).await
}

/// Serves `handle`, as the function `action`, to the Lambda runtime until it ends the process.
pub async fn run<Clocked, Event, Answer, Handling>(
    action: &'static str,
    app: Clocked,
    handle: impl Fn(Arc<Clocked>, Event) -> Handling,
) -> Result<(), Error>
where
    Clocked: Clock,
    Event: DeserializeOwned,
    Answer: Serialize,
    Handling: Future<Output = Result<HandlerOutput<Answer>, InvocationError>>,
{
    let (app, handle) = (Arc::new(app), &handle);
    lambda_runtime::run(service_fn(|event| serve(action, Arc::clone(&app), handle, event))).await
}

/// Hands one event to `handle`: the way that [`run`] goes, without a runtime.
pub async fn invoke<Clocked, Event, Answer, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    handle: impl Fn(Arc<Clocked>, Event) -> Handling,
    event: LambdaEvent<Value>,
) -> Result<Value, Error>
where
    Clocked: Clock,
    Event: DeserializeOwned,
    Answer: Serialize,
    Handling: Future<Output = Result<HandlerOutput<Answer>, InvocationError>>,
{
    Ok(serde_json::to_value(serve(action, app, &handle, event).await?)?)
}

/// An error makes Lambda try again later, as it does; what it is told goes to the dead letters.
async fn serve<Clocked, Event, Answer, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    handle: &impl Fn(Arc<Clocked>, Event) -> Handling,
    event: LambdaEvent<Value>,
) -> Result<Answer, Error>
where
    Clocked: Clock,
    Event: DeserializeOwned,
    Handling: Future<Output = Result<HandlerOutput<Answer>, InvocationError>>,
{
    let LambdaEvent { payload, context, .. } = event;
    let work = async {
        // serde would take an array for an object, its items for the fields in order.
        let event = if payload.is_array() { None } else { serde_json::from_value(payload).ok() };
        let handled = match event {
            // Boxed, since a handler's future is large and deep, and much is wrapped around it.
            Some(event) => Box::pin(handle(Arc::clone(&app), event)).await,
            // serde's own words may repeat what the event holds.
            None => Err(InvocationError::new("malformed", "the event is not one that this function takes")),
        };
        match handled {
            Ok(HandlerOutput { outcome, answer }) => (outcome, Ok(answer)),
            Err(InvocationError { outcome, cause }) => {
                tracing::error!(cause = observe::chain(&*cause), "the invocation failed");
                // Lambda's runtime shows an error's insides; of this one there are none.
                (outcome, Err(Error::from(cause.to_string())))
            }
        }
    };
    observe::invoked(Invocation::new(action, &context), &*app, work).await
}
