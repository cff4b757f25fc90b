//! Processes batches of the table's stream, and reports the failed records of a batch to Lambda.

use std::collections::BTreeMap;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::{Clock, InvitationId, OrganizationId};
use futures_util::StreamExt as _;
use futures_util::stream;
use store::CorruptItem;
use store::record::{InvitationImage, invitation_image, invitation_key};

use crate::event::HandlerOutput;
use crate::observe::{self, InvocationError, Outcome, error_chain};

/// The number of invitations of one batch that are processed concurrently.
const CONCURRENCY: usize = 8;

/// The ids of an invitation that a batch changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRef {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
}

/// One change of an invitation in the stream. The stream can deliver a change late or more than once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record before the change; `None` if there was none, or if it cannot be read.
    pub old: Option<InvitationImage>,
    /// The record after the change; `None` if it was deleted.
    pub new: Option<InvitationImage>,
}

/// Calls `process` once for each invitation that has at least one relevant change in the batch.
///
/// `is_relevant` selects the changes. `process` must read the current record itself.
///
/// The response lists the first sequence number of each failed invitation. Lambda retries the batch from the lowest of
/// them, so `process` must be idempotent. The failure of one invitation does not stop the others. The log gets one
/// summary line per invitation, and one for the batch.
pub async fn for_each_invitation<Processing>(
    event: Event,
    clock: &impl Clock,
    is_relevant: impl Fn(&Change) -> bool,
    process: impl Fn(InvitationRef) -> Processing,
) -> HandlerOutput<DynamoDbEventResponse>
where
    Processing: Future<Output = Result<Outcome, InvocationError>>,
{
    let mut failed = Vec::new();
    let records = event.records.len();
    let mut invitations: BTreeMap<(OrganizationId, InvitationId), String> = BTreeMap::new();
    for record in event.records {
        let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
        match read(&record) {
            Ok(Some((ids, change))) if is_relevant(&change) => {
                invitations.entry(ids).or_insert(sequence_number);
            }
            Ok(_) => {}
            Err(corrupt) => {
                tracing::error!(
                    sequence_number,
                    cause = error_chain(&corrupt),
                    "a stream record cannot be read"
                );
                observe::log_unreadable_record(clock);
                failed.push(sequence_number);
            }
        }
    }
    let outcomes = stream::iter(invitations).map(|((organization, invitation), sequence_number)| {
        let processing =
            process(InvitationRef { organization: organization.clone(), invitation: invitation.clone() });
        async move {
            let work = async {
                match processing.await {
                    Ok(outcome) => (outcome, None),
                    Err(InvocationError { outcome, cause }) => {
                        tracing::error!(
                            sequence_number,
                            cause = error_chain(&*cause),
                            "processing the invitation failed; Lambda retries it"
                        );
                        (outcome, Some(sequence_number))
                    }
                }
            };
            observe::run_for_invitation(&organization, &invitation, clock, work).await
        }
    });
    failed.extend(
        outcomes.buffer_unordered(CONCURRENCY).filter_map(std::future::ready).collect::<Vec<_>>().await,
    );
    let outcome = Outcome::of_batch(if failed.is_empty() { "ok" } else { "retry" }, records);
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.extend(failed.into_iter().map(|sequence_number| {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(sequence_number);
        failure
    }));
    HandlerOutput { outcome, answer: response }
}

type Ids = (OrganizationId, InvitationId);

fn read(record: &EventRecord) -> Result<Option<(Ids, Change)>, CorruptItem> {
    let Some(ids) = invitation_key(&record.change.keys)? else {
        return Ok(None);
    };
    // After a manual repair of a corrupt record, the old image is unreadable. `None` then counts as a change.
    let old = invitation_image(&record.change.old_image).unwrap_or(None);
    Ok(Some((ids, Change { old, new: invitation_image(&record.change.new_image)? })))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::{EmailAddress, Status, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    struct FixedClock;

    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix(1_795_615_200)
        }
    }

    fn organization() -> OrganizationId {
        OrganizationId::from_random([1; 16])
    }

    fn id(name: &str) -> InvitationId {
        let email = EmailAddress::parse(&format!("{name}@x.example")).unwrap();
        InvitationId::of(&organization(), &email)
    }

    fn record(sequence_number: &str, sk: &str, new_image: &Value) -> Value {
        json!({
            "eventID": sequence_number,
            "eventName": "MODIFY",
            "awsRegion": "eu-west-1",
            "dynamodb": {
                "SequenceNumber": sequence_number,
                "SizeBytes": 1,
                "Keys": { "pk": { "S": format!("ORG#{}", organization()) }, "sk": { "S": sk } },
                "NewImage": new_image,
            },
        })
    }

    fn invitation(sequence_number: &str, name: &str, status: &str) -> Value {
        let image = json!({
            "status": { "S": status },
            "delivery": { "S": "queued" },
            "generation": { "N": "1" },
            "expires_at": { "N": "1795615500" },
            "email": { "S": "other attributes are ignored" },
        });
        record(sequence_number, &format!("INVITATION#{}", id(name)), &image)
    }

    /// Processes the pending invitations of a batch, and fails for `failing`. Returns the processed ids, and the
    /// response to Lambda.
    async fn process(records: &[Value], failing: &[&str]) -> (Vec<InvitationId>, Value) {
        let event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let failing: Vec<_> = failing.iter().map(|name| id(name)).collect();
        let processed = Mutex::new(Vec::new());
        let is_pending =
            |change: &Change| change.new.as_ref().is_some_and(|image| image.status == Status::Pending);
        let process_one = async |InvitationRef { invitation, .. }: InvitationRef| {
            processed.lock().unwrap().push(invitation.clone());
            if failing.contains(&invitation) { Err("failed".into()) } else { Ok(Outcome::new("ok")) }
        };
        let output = for_each_invitation(event, &FixedClock, is_pending, process_one).await;
        (processed.into_inner().unwrap(), serde_json::to_value(output.answer).unwrap())
    }

    fn failures(sequence_numbers: &[&str]) -> Value {
        let failures: Vec<_> =
            sequence_numbers.iter().map(|number| json!({ "itemIdentifier": number })).collect();
        json!({ "batchItemFailures": failures })
    }

    #[tokio::test]
    async fn processes_an_invitation_once_despite_several_changes_in_the_batch() {
        let records = [
            invitation("1", "ivy", "pending"),
            invitation("2", "bob", "pending"),
            invitation("3", "ivy", "pending"),
            invitation("4", "cyd", "revoked"),
            record("5", "ORG", &json!({ "name": { "S": "Acme" } })),
            record("6", "MEMBER#ada", &json!({ "role": { "S": "owner" } })),
        ];
        let (mut processed, response) = process(&records, &[]).await;
        let mut expected = vec![id("ivy"), id("bob")];
        processed.sort();
        expected.sort();
        assert_eq!((processed, response), (expected, failures(&[])));
    }

    #[tokio::test]
    async fn a_failure_reports_the_first_record_and_does_not_stop_other_invitations() {
        let records = [
            invitation("1", "bob", "pending"),
            invitation("2", "ivy", "pending"),
            invitation("3", "cyd", "pending"),
            invitation("4", "ivy", "pending"),
        ];
        let (processed, response) = process(&records, &["ivy"]).await;
        assert_eq!((processed.len(), response), (3, failures(&["2"])));
    }

    #[tokio::test]
    async fn processes_a_change_with_an_unreadable_old_image() {
        let mut repaired = invitation("1", "ivy", "pending");
        repaired["dynamodb"]["OldImage"] = json!({ "status": { "S": "unheard-of" } });
        assert_eq!(process(&[repaired], &[]).await, (vec![id("ivy")], failures(&[])));
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_fails_alone() {
        let records = [
            record("1", "INVITATION#not-an-id", &json!({})),
            invitation("2", "ivy", "unheard-of"),
            invitation("3", "bob", "pending"),
        ];
        let (processed, response) = process(&records, &[]).await;
        assert_eq!((processed, response), (vec![id("bob")], failures(&["1", "2"])));
    }
}
