//! Passes events other than HTTP requests to handlers, in the Lambda runtime and on the laptop.

use std::sync::Arc;

use domain::Clock;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::app::{App, FromEnv};
use crate::env::Env;
use crate::observe::{self, Invocation, InvocationError, Outcome};

/// The outcome of a handler, and the response to the invocation.
#[derive(Debug, Clone, PartialEq)]
pub struct HandlerOutput<Response = ()> {
    /// The outcome, for the log and the metrics.
    pub outcome: Outcome,
    /// The response.
    pub answer: Response,
}

impl HandlerOutput {
    /// The outcome `word`, with an empty response.
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

/// Reads the configuration from the environment, and runs the function `action` with the handler `handle`.
///
/// A function's `main` calls it. It serves events until the Lambda runtime ends the process.
pub async fn main<Services, Event, Response, Handling>(
    action: &'static str,
    handle: impl Fn(Arc<App<Services>>, Event) -> Handling,
) -> Result<(), Error>
where
    Services: FromEnv + Send + Sync,
    Event: DeserializeOwned,
    Response: Serialize,
    Handling: Future<Output = Result<HandlerOutput<Response>, InvocationError>>,
{
    observe::start_log();
    run(action, App::<Services>::from_env(Env::of_process())?, handle).await
}

/// Runs the function `action` with the handler `handle` until the Lambda runtime ends the process.
pub async fn run<Clocked, Event, Response, Handling>(
    action: &'static str,
    app: Clocked,
    handle: impl Fn(Arc<Clocked>, Event) -> Handling,
) -> Result<(), Error>
where
    Clocked: Clock,
    Event: DeserializeOwned,
    Response: Serialize,
    Handling: Future<Output = Result<HandlerOutput<Response>, InvocationError>>,
{
    let (app, handle) = (Arc::new(app), &handle);
    lambda_runtime::run(service_fn(|event| serve(action, Arc::clone(&app), handle, event))).await
}

/// Passes one event to `handle` as [`run`] does, but without the Lambda runtime.
pub async fn invoke<Clocked, Event, Response, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    handle: impl Fn(Arc<Clocked>, Event) -> Handling,
    event: LambdaEvent<Value>,
) -> Result<Value, Error>
where
    Clocked: Clock,
    Event: DeserializeOwned,
    Response: Serialize,
    Handling: Future<Output = Result<HandlerOutput<Response>, InvocationError>>,
{
    Ok(serde_json::to_value(serve(action, app, &handle, event).await?)?)
}

/// Passes one event to `handle`. After an error, Lambda retries, and a dead letter contains the error's text.
async fn serve<Clocked, Event, Response, Handling>(
    action: &'static str,
    app: Arc<Clocked>,
    handle: &impl Fn(Arc<Clocked>, Event) -> Handling,
    event: LambdaEvent<Value>,
) -> Result<Response, Error>
where
    Clocked: Clock,
    Event: DeserializeOwned,
    Handling: Future<Output = Result<HandlerOutput<Response>, InvocationError>>,
{
    let LambdaEvent { payload, context, .. } = event;
    let work = async {
        // serde also accepts an array for a struct: it takes the items as the fields, in order.
        let event = if payload.is_array() { None } else { serde_json::from_value(payload).ok() };
        let handled = match event {
            // Boxed, because a handler's future is large, and several layers wrap it.
            Some(event) => Box::pin(handle(Arc::clone(&app), event)).await,
            // serde's error text could contain values of the event.
            None => Err(InvocationError::new("malformed", "the event is not valid for this function")),
        };
        match handled {
            Ok(HandlerOutput { outcome, answer }) => (outcome, Ok(answer)),
            Err(InvocationError { outcome, cause }) => {
                tracing::error!(cause = observe::error_chain(&*cause), "the invocation failed");
                // Lambda's runtime logs an error with `Debug`. So it gets only the text, without the causes.
                (outcome, Err(Error::from(cause.to_string())))
            }
        }
    };
    observe::run_invocation(Invocation::new(action, &context), &*app, work).await
}
