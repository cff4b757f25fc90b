//! The function `feedback`: updates the delivery of an invitation's mail when SES reports an event about it.
//!
//! The events arrive through EventBridge. The input transformers of its rules pass only ids and kinds, so no address
//! reaches this function. Events can arrive twice, late and in any order. An event about an older mail changes nothing.

pub mod event;

use std::sync::Arc;

use domain::delivery::UpdateDelivery;
use lambda_api::App;
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{self, InvocationError};
use serde_json::Value;

use self::event::Event;

/// Updates the delivery of the mail that `event` is about. A second call with the same event changes nothing.
///
/// On an error Lambda retries.
pub async fn handle(app: Arc<App>, event: Value) -> Result<HandlerOutput, InvocationError> {
    let Event { link, update } =
        Event::read(event).map_err(|error| InvocationError::new("malformed", error))?;
    observe::log_link(&link);
    let kind = event::kind(&update);
    match app.run(&UpdateDelivery { link, update }).await {
        Ok(true) => Ok(HandlerOutput::new(kind)),
        Ok(false) => Ok(HandlerOutput::new("nothing")),
        Err(error) => Err(InvocationError::retry_if(error.is_retryable(), error)),
    }
}
