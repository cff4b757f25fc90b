//! SES's events, by way of EventBridge: what became of a mail is noted on its invitation.
//!
//! The rules' input transformers let ids and kinds through and nothing else, so no address gets as far as
//! here. Events may come twice, late and in any order; marks of older mails change nothing.

pub mod event;

use std::sync::Arc;

use domain::delivery::UpdateDelivery;
use lambda_api::App;
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{self, InvocationError};
use serde_json::Value;

use self::event::Event;

/// Leaves the event's mark on the invitation whose mail it is about. Run twice it does nothing more. An
/// error makes Lambda try again later.
pub async fn handle(app: Arc<App>, event: Value) -> Result<HandlerOutput, InvocationError> {
    let Event { link, mark } =
        Event::read(event).map_err(|invalid| InvocationError::new("malformed", invalid))?;
    observe::link(&link);
    let kind = event::kind(&mark);
    match app.run(&UpdateDelivery { link, mark }).await {
        Ok(true) => Ok(HandlerOutput::new(kind)),
        Ok(false) => Ok(HandlerOutput::new("nothing")),
        Err(failure) => Err(InvocationError::retryable(failure.is_retryable(), failure)),
    }
}
