//! The schedule's payload, [`Timer`]: an invitation past its expiry is closed and its seat given back.

use std::sync::Arc;

use domain::expire::Outcome;
use domain::{Expire, Link};
use edge::event::Handled;
use edge::observe::{self, Failed};
use edge::{App, Timer};
use store::RunError;

/// Closes the invitation that the timer was set for, if it is past its expiry. Run twice it does nothing
/// more. An error makes Lambda try again later: of a dependency, or because the timer fired early by the
/// clock here.
pub async fn handle(app: Arc<App>, timer: Timer) -> Result<Handled, Failed> {
    let timer = Link::from(timer);
    observe::link(&timer);
    match app.run(&Expire { timer }).await {
        Ok(Outcome::Expired) => Ok(Handled::new("expired")),
        Ok(Outcome::Nothing) => Ok(Handled::new("nothing")),
        Err(RunError::Refused(early)) => Err(Failed::new("early", early)),
        Err(failure) => Err(Failed::retryable(failure.is_retryable(), failure)),
    }
}
