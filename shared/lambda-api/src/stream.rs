//! What the readers of the table's stream have in common: which invitations a batch is about, and how a
//! batch is answered when some of it fails.

use std::collections::BTreeMap;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::{Clock, InvitationId, OrganizationId};
use futures_util::StreamExt as _;
use futures_util::stream;
use store::CorruptItem;
use store::record::{InvitationImage, invitation_image, invitation_key};

use crate::event::HandlerOutput;
use crate::observe::{self, InvocationError, Outcome, chain};

/// Invitations of one batch that are looked after at the same time.
const CONCURRENCY: usize = 8;

/// An invitation that a batch is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRef {
    /// Where.
    pub organization: OrganizationId,
    /// Which.
    pub invitation: InvitationId,
}

/// One change of an invitation, as the stream tells it. It may be old, or come twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Before; `None`: there was no record, or none that can be read.
    pub old: Option<InvitationImage>,
    /// After; `None`: the record is gone.
    pub new: Option<InvitationImage>,
}

/// Calls `look_after` once for each invitation that a change in the batch, `wanted`, is about, whatever
/// else there is of it in the batch: it has to read the record itself.
///
/// What fails is answered by its first sequence number. Lambda starts again at the lowest one of a batch;
/// what had been done beyond it is done once more and must not mind. One invitation's failure keeps no other
/// one of the batch waiting. Each one is told of in a line of its own, and the batch in one more.
pub async fn each<Looking>(
    event: Event,
    clock: &impl Clock,
    wanted: impl Fn(&Change) -> bool,
    look_after: impl Fn(InvitationRef) -> Looking,
) -> HandlerOutput<DynamoDbEventResponse>
where
    Looking: Future<Output = Result<Outcome, InvocationError>>,
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
                tracing::error!(sequence_number, cause = chain(&broken), "a stream record cannot be read");
                observe::unread(clock);
                failed.push(sequence_number);
            }
        }
    }
    let outcomes = stream::iter(touched).map(|((organization, invitation), sequence_number)| {
        let looking =
            look_after(InvitationRef { organization: organization.clone(), invitation: invitation.clone() });
        async move {
            let work = async {
                match looking.await {
                    Ok(outcome) => (outcome, None),
                    Err(InvocationError { outcome, cause }) => {
                        tracing::error!(sequence_number, cause = chain(&*cause), "it will be tried again");
                        (outcome, Some(sequence_number))
                    }
                }
            };
            observe::looked_after(&organization, &invitation, clock, work).await
        }
    });
    failed.extend(
        outcomes.buffer_unordered(CONCURRENCY).filter_map(std::future::ready).collect::<Vec<_>>().await,
    );
    let outcome = Outcome::of_batch(if failed.is_empty() { "ok" } else { "retry" });
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
    // Whoever mends a broken record leaves an old image that nobody can read. It only says whether anything has
    // moved, and then something has.
    let old = invitation_image(&record.change.old_image).unwrap_or(None);
    Ok(Some((ids, Change { old, new: invitation_image(&record.change.new_image)? })))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::{EmailAddress, Status, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    struct Noon;

    impl Clock for Noon {
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
            "email": { "S": "the rest is not looked at" },
        });
        record(sequence_number, &format!("INVITATION#{}", id(name)), &image)
    }

    /// Looks after the batch's pending invitations, failing for `failing`; who was looked after, and what is
    /// answered.
    async fn looked_after(records: &[Value], failing: &[&str]) -> (Vec<InvitationId>, Value) {
        let event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let failing: Vec<_> = failing.iter().map(|name| id(name)).collect();
        let seen = Mutex::new(Vec::new());
        let wanted = |change: &Change| change.new.as_ref().is_some_and(|it| it.status == Status::Pending);
        let look_after = async |touched: InvitationRef| {
            seen.lock().unwrap().push(touched.invitation.clone());
            if failing.contains(&touched.invitation) { Err("no".into()) } else { Ok(Outcome::new("ok")) }
        };
        let handled = each(event, &Noon, wanted, look_after).await;
        (seen.into_inner().unwrap(), serde_json::to_value(handled.answer).unwrap())
    }

    fn failures(sequence_numbers: &[&str]) -> Value {
        let failures: Vec<_> = sequence_numbers.iter().map(|it| json!({ "itemIdentifier": it })).collect();
        json!({ "batchItemFailures": failures })
    }

    #[tokio::test]
    async fn an_invitation_is_looked_after_once_however_often_it_stands_in_the_batch() {
        let records = [
            invitation("1", "ivy", "pending"),
            invitation("2", "bob", "pending"),
            invitation("3", "ivy", "pending"),
            invitation("4", "cyd", "revoked"),
            record("5", "ORG", &json!({ "name": { "S": "Acme" } })),
            record("6", "MEMBER#ada", &json!({ "role": { "S": "owner" } })),
        ];
        let (mut seen, answer) = looked_after(&records, &[]).await;
        let mut expected = vec![id("ivy"), id("bob")];
        seen.sort();
        expected.sort();
        assert_eq!((seen, answer), (expected, failures(&[])));
    }

    #[tokio::test]
    async fn what_fails_is_answered_by_its_first_record_and_keeps_no_other_waiting() {
        let records = [
            invitation("1", "bob", "pending"),
            invitation("2", "ivy", "pending"),
            invitation("3", "cyd", "pending"),
            invitation("4", "ivy", "pending"),
        ];
        let (seen, answer) = looked_after(&records, &["ivy"]).await;
        assert_eq!((seen.len(), answer), (3, failures(&["2"])));
    }

    #[tokio::test]
    async fn what_was_broken_before_the_change_is_no_failure() {
        let mut mended = invitation("1", "ivy", "pending");
        mended["dynamodb"]["OldImage"] = json!({ "status": { "S": "unheard-of" } });
        assert_eq!(looked_after(&[mended], &[]).await, (vec![id("ivy")], failures(&[])));
    }

    #[tokio::test]
    async fn a_record_that_cannot_be_read_fails_alone() {
        let records = [
            record("1", "INVITATION#not-an-id", &json!({})),
            invitation("2", "ivy", "unheard-of"),
            invitation("3", "bob", "pending"),
        ];
        let (seen, answer) = looked_after(&records, &[]).await;
        assert_eq!((seen, answer), (vec![id("bob")], failures(&["1", "2"])));
    }
}
