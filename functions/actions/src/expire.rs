//! The schedule's payload, [`Timer`]: an invitation past its expiry is closed and its seat given back.

use std::sync::Arc;

use domain::expire::ExpireOutcome;
use domain::{Expire, Link};
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{self, InvocationError};
use lambda_api::{App, Timer};
use store::RunError;

/// Closes the invitation that the timer was set for, if it is past its expiry. Run twice it does nothing
/// more. An error makes Lambda try again later: of a dependency, or because the timer fired early by the
/// clock here.
pub async fn handle(app: Arc<App>, timer: Timer) -> Result<HandlerOutput, InvocationError> {
    let timer = Link::from(timer);
    observe::link(&timer);
    match app.run(&Expire { timer }).await {
        Ok(ExpireOutcome::Expired) => Ok(HandlerOutput::new("expired")),
        Ok(ExpireOutcome::Nothing) => Ok(HandlerOutput::new("nothing")),
        Err(RunError::Refused(early)) => Err(InvocationError::new("early", early)),
        Err(failure) => Err(InvocationError::retryable(failure.is_retryable(), failure)),
    }
}
