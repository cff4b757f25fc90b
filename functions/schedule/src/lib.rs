//! The table's stream: every pending invitation has one schedule, which invokes `expire` at its deadline.
//!
//! The schedule only tidies up: whether an invitation is open is decided by comparing times, never here.

pub mod scheduler;

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use domain::{Clock, Status, Timestamp, expire};
use edge::event::Handled;
use edge::observe::{Failed, Outcome};
use edge::stream::{Change, Touched, each};
use edge::{SystemClock, env};
use lambda_runtime::Error;
use store::record::Standing;
use store::{Store, aws};

use crate::scheduler::{Arrangement, Scheduler, SchedulerError};

/// What the function works with.
#[derive(Clone)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The schedules.
    pub scheduler: Scheduler,
}

/// Why a schedule may not stand as it should.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the invitation cannot be read: {0}")]
    Read(#[from] store::Error),
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
}

impl Failure {
    /// Whether the same may well work later.
    fn passes(&self) -> bool {
        match self {
            Self::Read(error) => error.passes(),
            Self::Scheduler(error) => error.passes(),
        }
    }
}

impl Clock for App {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl App {
    /// As the environment says: `TABLE_NAME`, `SCHEDULE_GROUP`, `EXPIRE_FUNCTION_ARN`, `SCHEDULE_ROLE_ARN`,
    /// and `SCHEDULE_DEAD_LETTER_ARN` if there is a queue.
    pub fn from_env() -> Result<Self, Error> {
        let config = aws::config()?;
        let arrangement = Arrangement {
            group: env::required("SCHEDULE_GROUP")?,
            expire_arn: env::required("EXPIRE_FUNCTION_ARN")?,
            role_arn: env::required("SCHEDULE_ROLE_ARN")?,
            dead_letter_arn: env::optional("SCHEDULE_DEAD_LETTER_ARN")?,
        };
        Ok(Self {
            store: Store::new(&config, env::required("TABLE_NAME")?),
            clock: Arc::new(SystemClock),
            scheduler: Scheduler::new(&config, arrangement),
        })
    }

    /// Makes the invitation's schedule what its record asks for now.
    async fn arrange(&self, touched: Touched) -> Result<Outcome, Failure> {
        let Touched { organization, invitation } = &touched;
        let read = self.store.invitation(organization, invitation).await?;
        let word = match read.as_ref().and_then(expire::timer) {
            Some(timer) => self.scheduler.set(&timer, self.clock.now()).await.map(|()| "set")?,
            None => self.scheduler.delete(organization, invitation).await.map(|()| "deleted")?,
        };
        Ok(Outcome::new(word))
    }
}

/// Whether a change moves the deadline of a pending invitation, or makes it one, or ends it. Marks of mail do
/// not, and a record that comes into being accepted, or that time to live takes away, never had a schedule.
fn moves(change: &Change) -> bool {
    let deadline = |standing: &Option<Standing>| match standing {
        Some(standing) if standing.status == Status::Pending => Some(standing.expires_at),
        _ => None,
    };
    deadline(&change.old) != deadline(&change.new)
}

/// Arranges the schedules of what a batch of the stream is about; answers with what has to be tried again.
pub async fn handle(app: Arc<App>, event: Event) -> Result<Handled<DynamoDbEventResponse>, Failed> {
    let look_after = async |touched| {
        let arranged = app.arrange(touched).await;
        arranged.map_err(|failure| Failed::passing(failure.passes(), failure))
    };
    Ok(each(event, &*app, moves, look_after).await)
}

#[cfg(test)]
mod tests {
    use domain::{Delivery, Generation};

    use super::*;

    fn standing(status: Status, expires_at: i64, delivery: Delivery) -> Standing {
        let expires_at = Timestamp::from_unix(expires_at);
        Standing { status, delivery: Some(delivery), generation: Generation(1), expires_at }
    }

    #[test]
    fn only_a_moved_status_or_deadline_is_looked_at() {
        use Delivery::{Queued, Sent};
        use Status::{Accepted, Pending};
        for (old, new, moved) in [
            (None, Some(standing(Pending, 5, Queued)), true),
            (Some(standing(Pending, 5, Queued)), Some(standing(Pending, 5, Sent)), false),
            (Some(standing(Pending, 5, Sent)), Some(standing(Pending, 6, Queued)), true),
            (Some(standing(Pending, 5, Sent)), Some(standing(Accepted, 5, Sent)), true),
            (Some(standing(Status::Expired, 5, Sent)), Some(standing(Pending, 6, Queued)), true),
            (Some(standing(Status::Revoked, 5, Sent)), None, false),
            (None, Some(standing(Accepted, 5, Sent)), false),
            (Some(standing(Accepted, 5, Sent)), Some(standing(Status::Removed, 5, Sent)), false),
        ] {
            assert_eq!(moves(&Change { old: old.clone(), new: new.clone() }), moved, "{old:?} to {new:?}");
        }
    }
}
