//! SES's events, by way of EventBridge: what became of a mail is noted on its invitation.
//!
//! The rules' input transformers let ids and kinds through and nothing else, so no address gets as far as
//! here. Events may come twice, late and in any order; marks of older mails change nothing.

pub mod event;

use std::sync::Arc;

use edge::App;
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

use crate::event::Event;

/// Leaves the event's mark on the invitation whose mail it is about. Run twice it does nothing more. An
/// error makes Lambda try again later.
pub async fn handle(app: Arc<App>, event: LambdaEvent<Value>) -> Result<(), Error> {
    let Event { link, mark } = Event::read(event.payload)?;
    let noted = app.store.mark(&link, &mark, &*app.clock).await?;
    let (organization, invitation) = (link.organization.as_str(), link.invitation.as_str());
    let (generation, kind) = (link.generation.0, event::kind(&mark));
    tracing::info!(organization, invitation, generation, kind, noted, "feedback");
    Ok(())
}

/// Hands one event, as JSON, to [`handle`].
pub async fn invoke(app: Arc<App>, event: Value) -> Result<Value, Error> {
    handle(app, LambdaEvent::new(event, lambda_runtime::Context::default())).await?;
    Ok(Value::Null)
}
