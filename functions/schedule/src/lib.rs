//! The function `schedule`: reads the table's stream, and keeps one schedule for each pending invitation. The schedule
//! invokes `expire` at the first full minute from the expiry.
//!
//! The schedule only closes the record. Whether an invitation can be accepted is decided by comparing times, not by the
//! schedule.

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
use lambda_api::stream::{Change, InvitationRef, for_each_invitation};
use lambda_runtime::Error;
use store::RunError;
use store::record::InvitationImage;

use crate::scheduler::{ScheduleTarget, Scheduler, SchedulerError};

/// The state of the function: the table, the clock, the policy and the [`Scheduler`].
pub type App = lambda_api::App<Scheduler>;

impl FromEnv for Scheduler {
    /// Reads `SCHEDULE_GROUP`, `EXPIRE_FUNCTION_ARN`, `SCHEDULE_ROLE_ARN` and the optional `SCHEDULE_DEAD_LETTER_ARN`.
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error> {
        let arrangement = ScheduleTarget {
            group: env.required("SCHEDULE_GROUP")?,
            expire_arn: env.required("EXPIRE_FUNCTION_ARN")?,
            role_arn: env.required("SCHEDULE_ROLE_ARN")?,
            dead_letter_arn: env.optional("SCHEDULE_DEAD_LETTER_ARN")?,
        };
        Ok(Self::new(config, arrangement))
    }
}

/// Why a schedule could not be updated.
#[derive(Debug, thiserror::Error)]
enum ScheduleError {
    #[error("the invitation cannot be read: {0}")]
    Read(#[from] RunError<Infallible>),
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

impl ScheduleError {
    /// Whether a retry can succeed.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Scheduler(error) => error.is_retryable(),
        }
    }
}

/// Sets or deletes the schedule of an invitation, as its record requires now.
async fn update_schedule(
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

/// Whether `change` affects the schedule: the invitation became pending, ceased to be pending, or has another expiry.
///
/// Updates of the delivery do not affect it. A record that is created as accepted, or that time to live deletes, has no
/// schedule.
fn changes_schedule(change: &Change) -> bool {
    let deadline = |image: &Option<InvitationImage>| match image {
        Some(image) if image.status == Status::Pending => Some(image.expires_at),
        _ => None,
    };
    deadline(&change.old) != deadline(&change.new)
}

/// Updates the schedules for a batch of stream records. Returns the records that must be retried.
pub async fn handle(
    app: Arc<App>,
    event: Event,
) -> Result<HandlerOutput<DynamoDbEventResponse>, InvocationError> {
    let update = async |invitation| {
        let updated = update_schedule(&app, invitation).await;
        updated.map_err(|error| InvocationError::retry_if(error.is_retryable(), error))
    };
    Ok(for_each_invitation(event, &*app, changes_schedule, update).await)
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
    fn selects_only_changes_of_the_pending_status_or_the_expiry() {
        use Delivery::{Queued, Sent};
        use Status::{Accepted, Pending};
        for (old, new, expected) in [
            (None, Some(image(Pending, 5, Queued)), true),
            (Some(image(Pending, 5, Queued)), Some(image(Pending, 5, Sent)), false),
            (Some(image(Pending, 5, Sent)), Some(image(Pending, 6, Queued)), true),
            (Some(image(Pending, 5, Sent)), Some(image(Accepted, 5, Sent)), true),
            (Some(image(Status::Expired, 5, Sent)), Some(image(Pending, 6, Queued)), true),
            (Some(image(Status::Revoked, 5, Sent)), None, false),
            (None, Some(image(Accepted, 5, Sent)), false),
            (Some(image(Accepted, 5, Sent)), Some(image(Status::Removed, 5, Sent)), false),
        ] {
            assert_eq!(
                changes_schedule(&Change { old: old.clone(), new: new.clone() }),
                expected,
                "{old:?} to {new:?}"
            );
        }
    }
}
