//! The function `expire`: closes an invitation at its expiry and frees its seat. Its event is the [`Timer`] that
//! EventBridge Scheduler sends.

use std::sync::Arc;

use domain::expire::ExpireOutcome;
use domain::{Expire, Link};
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{self, InvocationError};
use lambda_api::{App, Timer};
use store::RunError;

/// Closes the invitation of `timer` if it is past its expiry. A second call with the same timer changes nothing.
///
/// On an error Lambda retries. Either a dependency failed, or the timer fired too early by this function's clock.
pub async fn handle(app: Arc<App>, timer: Timer) -> Result<HandlerOutput, InvocationError> {
    let timer = Link::from(timer);
    observe::log_link(&timer);
    match app.run(&Expire { timer }).await {
        Ok(ExpireOutcome::Expired) => Ok(HandlerOutput::new("expired")),
        Ok(ExpireOutcome::Nothing) => Ok(HandlerOutput::new("nothing")),
        Err(RunError::Refused(not_yet_due)) => Err(InvocationError::new("early", not_yet_due)),
        Err(error) => Err(InvocationError::retry_if(error.is_retryable(), error)),
    }
}
