//! What the readers of the table's stream have in common: which invitations a batch is about, and how a
//! batch is answered when some of it fails.

use std::collections::BTreeMap;
use std::fmt::Display;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::{InvitationId, OrganizationId};
use futures_util::StreamExt as _;
use futures_util::stream;
use store::Broken;
use store::record::{Standing, invitation_key, standing};

/// Invitations of one batch that are looked after at the same time.
const CONCURRENCY: usize = 8;

/// An invitation that a batch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Where.
    pub organization: OrganizationId,
    /// Which.
    pub invitation: InvitationId,
}

/// One change of an invitation, as the stream tells it. It may be old, or come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Before; `None`: there was no record.
    pub old: Option<Standing>,
    /// After; `None`: the record is gone.
    pub new: Option<Standing>,
}

/// Calls `look_after` once for each invitation that a change in the batch, `wanted`, is about, whatever
/// else there is of it in the batch: it has to read the record itself.
///
/// What fails is answered by its first sequence number. Lambda starts again at the lowest one of a batch;
/// what had been done beyond it is done once more and must not mind. One invitation's failure keeps no other
/// one of the batch waiting.
pub async fn each<Looking, Failure: Display>(
    event: Event,
    wanted: impl Fn(&Change) -> bool,
    look_after: impl Fn(Touched) -> Looking,
) -> DynamoDbEventResponse
where
    Looking: Future<Output = Result<(), Failure>>,
{
    let mut failed = Vec::new();
    let mut touched: BTreeMap<(OrganizationId, InvitationId), String> = BTreeMap::new();
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        match read(&record) {
            Ok(Some((ids, change))) if wanted(&change) => {
                touched.entry(ids).or_insert(sequence_number);
            }
            Ok(_) => {}
            Err(broken) => {
                tracing::error!(sequence_number, %broken, "a stream record cannot be read");
                failed.push(sequence_number);
            }
        }
    }
    let outcomes = stream::iter(touched).map(|((organization, invitation), sequence_number)| {
        let looking =
            look_after(Touched { organization: organization.clone(), invitation: invitation.clone() });
        async move {
            let error = looking.await.err()?;
            let (organization, invitation) = (organization.as_str(), invitation.as_str());
            tracing::error!(organization, invitation, sequence_number, %error, "it will be tried again");
            Some(sequence_number)
        }
    });
    failed.extend(
        outcomes.buffer_unordered(CONCURRENCY).filter_map(std::future::ready).collect::<Vec<_>>().await,
    );
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.extend(failed.into_iter().map(|sequence_number| {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence_number);
        failure
    }));
    response
}

type Ids = (OrganizationId, InvitationId);

fn read(record: &EventRecord) -> Result<Option<(Ids, Change)>, Broken> {
    let Some(ids) = invitation_key(&record.change.keys)? else {
        return Ok(None);
    };
    let change =
        Change { old: standing(&record.change.old_image)?, new: standing(&record.change.new_image)? };
    Ok(Some((ids, change)))
}
