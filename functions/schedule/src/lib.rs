//! The table's stream: every pending invitation has one schedule, which invokes `expire` at its deadline.
//!
//! The schedule only tidies up: whether an invitation is open is decided by comparing times, never here.

pub mod scheduler;

use std::convert::Infallible;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use domain::expire::NeededTimer;
use domain::{Clock, Status};
use lambda_api::FromEnv;
use lambda_api::env::Env;
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{InvocationError, Outcome};
use lambda_api::stream::{Change, InvitationRef, each};
use lambda_runtime::Error;
use store::RunError;
use store::record::InvitationImage;

use crate::scheduler::{Arrangement, Scheduler, SchedulerError};

/// What the function works with.
pub type App = lambda_api::App<Scheduler>;

impl FromEnv for Scheduler {
    /// `SCHEDULE_GROUP`, `EXPIRE_FUNCTION_ARN`, `SCHEDULE_ROLE_ARN`, and `SCHEDULE_DEAD_LETTER_ARN` if there is a queue.
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error> {
        let arrangement = Arrangement {
            group: env.required("SCHEDULE_GROUP")?,
            expire_arn: env.required("EXPIRE_FUNCTION_ARN")?,
            role_arn: env.required("SCHEDULE_ROLE_ARN")?,
            dead_letter_arn: env.optional("SCHEDULE_DEAD_LETTER_ARN")?,
        };
        Ok(Self::new(config, arrangement))
    }
}

/// Why a schedule may not stand as it should.
#[derive(Debug, thiserror::Error)]
enum ScheduleError {
    #[error("the invitation cannot be read: {0}")]
    Read(#[from] RunError<Infallible>),
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

impl ScheduleError {
    /// Whether the same may well work later.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Scheduler(error) => error.is_retryable(),
        }
    }
}

/// Makes the invitation's schedule what its record asks for now.
async fn arrange(
    app: &App,
    InvitationRef { organization, invitation }: InvitationRef,
) -> Result<Outcome, ScheduleError> {
    let needed = NeededTimer { organization: organization.clone(), invitation: invitation.clone() };
    let scheduler = &app.services;
    let word = match app.run(&needed).await? {
        Some(timer) => scheduler.set(&timer, app.now()).await.map(|()| "set")?,
        None => scheduler.delete(&organization, &invitation).await.map(|()| "deleted")?,
    };
    Ok(Outcome::new(word))
}

/// Whether a change moves the deadline of a pending invitation, or makes it one, or ends it. Marks of mail do
/// not, and a record that comes into being accepted, or that time to live takes away, never had a schedule.
fn moves(change: &Change) -> bool {
    let deadline = |image: &Option<InvitationImage>| match image {
        Some(image) if image.status == Status::Pending => Some(image.expires_at),
        _ => None,
    };
    deadline(&change.old) != deadline(&change.new)
}

/// Arranges the schedules of what a batch of the stream is about; answers with what has to be tried again.
pub async fn handle(
    app: Arc<App>,
    event: Event,
) -> Result<HandlerOutput<DynamoDbEventResponse>, InvocationError> {
    let look_after = async |touched| {
        let arranged = arrange(&app, touched).await;
        arranged.map_err(|failure| InvocationError::retryable(failure.is_retryable(), failure))
    };
    Ok(each(event, &*app, moves, look_after).await)
}

#[cfg(test)]
mod tests {
    use domain::{Delivery, Generation, Timestamp};

    use super::*;

    fn image(status: Status, expires_at: i64, delivery: Delivery) -> InvitationImage {
        let expires_at = Timestamp::from_unix(expires_at);
        InvitationImage { status, delivery: Some(delivery), generation: Generation(1), expires_at }
    }

    #[test]
    fn only_a_moved_status_or_deadline_is_looked_at() {
        use Delivery::{Queued, Sent};
        use Status::{Accepted, Pending};
        for (old, new, moved) in [
            (None, Some(image(Pending, 5, Queued)), true),
            (Some(image(Pending, 5, Queued)), Some(image(Pending, 5, Sent)), false),
            (Some(image(Pending, 5, Sent)), Some(image(Pending, 6, Queued)), true),
            (Some(image(Pending, 5, Sent)), Some(image(Accepted, 5, Sent)), true),
            (Some(image(Status::Expired, 5, Sent)), Some(image(Pending, 6, Queued)), true),
            (Some(image(Status::Revoked, 5, Sent)), None, false),
            (None, Some(image(Accepted, 5, Sent)), false),
            (Some(image(Accepted, 5, Sent)), Some(image(Status::Removed, 5, Sent)), false),
        ] {
            assert_eq!(moves(&Change { old: old.clone(), new: new.clone() }), moved, "{old:?} to {new:?}");
        }
    }
}
