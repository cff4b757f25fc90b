//! `POST /v1/organizations/{organization_id}/invitations/{invitation_id}/resend`: sends another mail for an invitation,
//! with a new link and a new expiry.

use std::sync::Arc;

use domain::idempotency::WithIdempotencyKey;
use domain::{Invitation, Resend};
use lambda_api::App;
use lambda_api::http::{HandlerError, json_response, to_json};
use lambda_api::input::Input;
use lambda_api::request::{caller, idempotency_key, invitation, organization};
use lambda_api::view::InvitationView;
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};

/// The requests have neither query parameters nor a body.
pub const INPUT: Input = Input::Nothing;

/// Returns 200 with the invitation.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    let key = idempotency_key(&request)?;
    let sender = caller.verified()?;
    let resend = Resend { sender, organization: organization(&request)?, invitation: invitation(&request) };
    let render = |invitation: Invitation, now| to_json(&InvitationView::at(now, &invitation));
    let response = app.run(&WithIdempotencyKey::new(resend, key.as_ref(), render)).await?;
    Ok(json_response(StatusCode::OK, response.body))
}
