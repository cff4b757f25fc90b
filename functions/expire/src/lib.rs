//! The schedule's payload, [`Timer`]: an invitation past its expiry is closed and its seat given back.

use std::sync::Arc;

use domain::Link;
use domain::expire::{self, Outcome};
use edge::{App, Timer};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

/// Closes the invitation that the timer was set for, if it is past its expiry. Run twice it does nothing
/// more. An error makes Lambda try again later: of a dependency, or because the timer fired early by the
/// clock here.
pub async fn handle(app: Arc<App>, event: LambdaEvent<Value>) -> Result<(), Error> {
    let timer: Link = Timer::read(event.payload)?;
    let read = async |_| app.store.expire_facts(&timer).await;
    let decide = |facts: &_| expire::decide(&timer, facts, &app.policy, app.now());
    let outcome = app.store.settle(read, decide).await?;
    let (organization, invitation) = (timer.organization.as_str(), timer.invitation.as_str());
    match outcome {
        Outcome::Expired => tracing::info!(organization, invitation, "expired"),
        Outcome::Nothing => tracing::info!(organization, invitation, "nothing to expire"),
    }
    Ok(())
}

/// Hands one event, as JSON, to [`handle`].
pub async fn invoke(app: Arc<App>, event: Value) -> Result<Value, Error> {
    handle(app, LambdaEvent::new(event, lambda_runtime::Context::default())).await?;
    Ok(Value::Null)
}
