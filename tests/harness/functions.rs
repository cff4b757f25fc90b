//! What goes on without people: functions that are invoked with events, the stream, the schedules.

use domain::{InvitationId, OrganizationId};
use http::Method;
use local::functions::InvokeError;
use serde_json::{Value, json};

use crate::{Organization, World};

impl World {
    /// What a function answers to an event.
    pub async fn invokes(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        self.laptop.functions().invoke(function, event).await
    }

    /// Hands a batch of the stream to one of its readers; the sequence numbers that it reports as failed.
    pub async fn feeds(&self, function: &str, records: &[Value]) -> Vec<String> {
        let answer = self.invokes(function, json!({ "Records": records })).await.expect("a reader answers");
        let failures = answer["batchItemFailures"].as_array().cloned().unwrap_or_default();
        let number = |failure: &Value| failure["itemIdentifier"].as_str().map(str::to_owned);
        failures.iter().map(|failure| number(failure).expect("a failure names its record")).collect()
    }

    /// What became of a mail of the mailbox, as SES tells it: `what` is the kind, and a bounce's type and reason.
    pub async fn hears(&self, mail: &Value, what: Value) {
        let mut told = what;
        told["message_id"] = mail["message_id"].clone();
        self.nobody().posts("/_dev/feedback", &told).await.is(202);
    }

    /// Everything that the table's stream has told so far, in order.
    pub async fn stream(&self) -> Vec<Value> {
        self.laptop.stream().await.expect("the stream can be read")
    }

    /// The invitation's schedule, as EventBridge Scheduler describes it.
    pub async fn schedule(&self, organization: &Organization, invitation: &Value) -> Option<Value> {
        let path = schedule_path(organization, invitation);
        let answer = self.nobody().calls(Method::GET, &path, None).await;
        if answer.status == 404 { None } else { Some(answer.is(200)) }
    }

    /// The invitation's schedule is lost: nobody closes the invitation when its time is over.
    pub async fn loses_schedule(&self, organization: &Organization, invitation: &Value) {
        self.idle().await;
        let path = schedule_path(organization, invitation);
        self.nobody().calls(Method::DELETE, &path, None).await.is(200);
    }
}

fn schedule_path(organization: &Organization, invitation: &Value) -> String {
    let organization = OrganizationId::parse(&organization.id).expect("an organization has an id");
    let invitation = invitation["id"].as_str().and_then(|id| InvitationId::parse(id).ok());
    let name = schedule::scheduler::name(&organization, &invitation.expect("an invitation has an id"));
    format!("/_aws/schedules/{name}?groupName=roster")
}

/// What `expire` is invoked with at the deadline of an invitation, as the API has answered it.
#[must_use]
pub fn timer(organization: &Organization, invitation: &Value) -> Value {
    json!({
        "organization_id": organization.id,
        "invitation_id": invitation["id"],
        "generation": invitation["generation"],
        "expires_at": invitation["expires_at"],
    })
}
