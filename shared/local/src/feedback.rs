//! `POST /_dev/feedback`: simulates an SES event about a mail, such as a bounce.

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

/// The request body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeedbackRequest {
    message_id: String,
    kind: Kind,
    /// SES's `bounceType`, for a bounce. `Permanent` by default.
    bounce: Option<String>,
    /// SES's `bounceSubType`, for a bounce. `General` by default.
    reason: Option<String>,
}

/// Creates the route for events about the mails in `mailbox`.
pub fn router(mailbox: Mailbox, invoker: AsyncInvoker) -> Router {
    Router::new().route("/_dev/feedback", routing::post(post_feedback)).with_state((mailbox, invoker))
}

/// Delivers the event to the function `feedback`. Responds with 202 once the event is processed or a dead letter.
async fn post_feedback(
    State((mailbox, invoker)): State<(Mailbox, AsyncInvoker)>,
    body: bytes::Bytes,
) -> Response {
    let request: FeedbackRequest = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => {
            let text = format!(
                "The body must be JSON like {{\"message_id\": \"...\", \"kind\": \"bounce\"}}: {error}\n"
            );
            return (StatusCode::BAD_REQUEST, text).into_response();
        }
    };
    let Some(mail) = mailbox.find(&request.message_id) else {
        let hint = "No mail has this message_id. GET /_dev/mail lists all mails.\n";
        return (StatusCode::NOT_FOUND, hint).into_response();
    };
    let event = AsyncEvent {
        function: "feedback",
        payload: &event_payload(&request, &mail),
        source: "event",
        ids: json!({ "message_id": request.message_id }),
        id: format!("{}/{}", request.message_id, json!(request.kind)),
        wait_until_reachable: true,
    };
    match invoker.deliver(event).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// Builds the event in the form that the template's EventBridge rules pass to `feedback`.
///
/// Each message tag is a list with one value. Of SES's own fields, only the type and subtype of a bounce are included.
fn event_payload(request: &FeedbackRequest, mail: &Mail) -> Value {
    let mut event = json!({ "kind": request.kind });
    for (name, value) in &mail.message.tags {
        event[name] = json!([value]);
    }
    if request.kind == Kind::Bounce {
        event["bounce"] = json!(request.bounce.as_deref().unwrap_or("Permanent"));
        event["reason"] = json!(request.reason.as_deref().unwrap_or("General"));
    }
    event
}
