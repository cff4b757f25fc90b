//! Functions that run without an API call: they are invoked with events, by the stream, and by schedules.

use domain::{InvitationId, OrganizationId};
use http::Method;
use local::functions::InvokeError;
use serde_json::{Value, json};

use crate::{Organization, World};

impl World {
    /// Invokes a function with an event, and returns its result.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        self.laptop.functions().invoke(function, event).await
    }

    /// Invokes a function with a batch of stream records. Returns the sequence numbers that it reports as failed.
    pub async fn invoke_with_records(&self, function: &str, records: &[Value]) -> Vec<String> {
        let result =
            self.invoke(function, json!({ "Records": records })).await.expect("the function succeeds");
        let failures = result["batchItemFailures"].as_array().cloned().unwrap_or_default();
        let number = |failure: &Value| failure["itemIdentifier"].as_str().map(str::to_owned);
        failures.iter().map(|failure| number(failure).expect("a failure has an item identifier")).collect()
    }

    /// Sends an SES event for a mail of the mailbox. `event` has the kind and, for a bounce, type and reason.
    pub async fn send_ses_event(&self, mail: &Value, mut event: Value) {
        event["message_id"] = mail["message_id"].clone();
        self.anonymous().posts("/_dev/feedback", &event).await.is(202);
    }

    /// Returns all records of the table's stream so far, in order.
    pub async fn stream_records(&self) -> Vec<Value> {
        self.laptop.stream().await.expect("the stream can be read")
    }

    /// Returns the invitation's schedule in the format of EventBridge Scheduler, or `None` if there is no schedule.
    pub async fn schedule(&self, organization: &Organization, invitation: &Value) -> Option<Value> {
        let path = schedule_path(organization, invitation);
        let response = self.anonymous().calls(Method::GET, &path, None).await;
        if response.status == 404 { None } else { Some(response.is(200)) }
    }

    /// Deletes the invitation's schedule, so that `expire` is not invoked at `expires_at`.
    pub async fn delete_schedule(&self, organization: &Organization, invitation: &Value) {
        self.wait_until_idle().await;
        let path = schedule_path(organization, invitation);
        self.anonymous().calls(Method::DELETE, &path, None).await.is(200);
    }
}

fn schedule_path(organization: &Organization, invitation: &Value) -> String {
    let organization = OrganizationId::parse(&organization.id).expect("the organization has a valid id");
    let invitation = invitation["id"].as_str().and_then(|id| InvitationId::parse(id).ok());
    let name = schedule::scheduler::name(&organization, &invitation.expect("the invitation has a valid id"));
    format!("/_aws/schedules/{name}?groupName=roster")
}

/// Returns the event with which the schedule of this invitation (from a response of the API) invokes `expire`.
#[must_use]
pub fn timer(organization: &Organization, invitation: &Value) -> Value {
    json!({
        "organization_id": organization.id,
        "invitation_id": invitation["id"],
        "generation": invitation["generation"],
        "expires_at": invitation["expires_at"],
    })
}
