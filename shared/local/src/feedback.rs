//! `POST /_dev/feedback`: what became of a mail, played as SES would tell it.

use actions::feedback::event::Kind;
use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing,
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    async_invoker::{AsyncEvent, AsyncInvoker},
    mailbox::{Mail, Mailbox},
};

/// What is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    message_id: String,
    kind: Kind,
    /// SES's `bounceType` and `bounceSubType`, of a bounce.
    bounce: Option<String>,
    reason: Option<String>,
}

/// The call, about the mails of `mailbox`.
pub fn router(mailbox: Mailbox, invoking: AsyncInvoker) -> Router {
    Router::new().route("/_dev/feedback", routing::post(tell)).with_state((mailbox, invoking))
}

/// 202 once `feedback` has dealt with the event, or given it up.
async fn tell(State((mailbox, invoking)): State<(Mailbox, AsyncInvoker)>, body: bytes::Bytes) -> Response {
    let told: Told = match serde_json::from_slice(&body) {
        Ok(told) => told,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    let Some(mail) = mailbox.find(&told.message_id) else {
        let hint = "No mail has that message_id; GET /_dev/mail lists them.\n";
        return (StatusCode::NOT_FOUND, hint).into_response();
    };
    let delivery = AsyncEvent {
        function: "feedback",
        event: &event(&told, &mail),
        source: "event",
        ids: json!({ "message_id": told.message_id }),
        id: format!("{}/{}", told.message_id, json!(told.kind)),
        waits: true,
    };
    match invoking.deliver(delivery).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// The event as the rules of the template hand it over: SES's message tags are lists, its own names are gone.
fn event(told: &Told, mail: &Mail) -> Value {
    let mut event = json!({ "kind": told.kind });
    for (name, value) in &mail.message.tags {
        event[name] = json!([value]);
    }
    if told.kind == Kind::Bounce {
        event["bounce"] = json!(told.bounce.as_deref().unwrap_or("Permanent"));
        event["reason"] = json!(told.reason.as_deref().unwrap_or("General"));
    }
    event
}
