//! `POST /v1/invitations/preview`: shows the invitation of a link. The caller need not be signed in, and nothing
//! changes.

use std::sync::Arc;

use domain::preview::Previewed;
use domain::{Clock, Preview, Role, Status};
use lambda_api::LinkApp;
use lambda_api::http::{HandlerError, ok};
use lambda_api::input::Input;
use lambda_api::request::token;
use lambda_api::view::{ApiTimestamp, OrganizationNameView};
use lambda_http::{Body, Request, Response};
use serde::Serialize;

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

#[derive(Serialize)]
struct PreviewView<'a> {
    organization: OrganizationNameView,
    email: &'a str,
    role: Role,
    sender_email: &'a str,
    expires_at: ApiTimestamp,
    status: Status,
}

/// Returns 200 with the invitation, in any status.
pub async fn handle(app: Arc<LinkApp>, request: Request) -> Result<Response<Body>, HandlerError> {
    let link = app.verified_link(token(&request)?).await?;
    let Previewed { organization, invitation } = app.run(&Preview { link }).await?;
    ok(&PreviewView {
        organization: (&organization).into(),
        email: invitation.email.as_str(),
        role: invitation.role,
        sender_email: invitation.sender.email.as_str(),
        expires_at: ApiTimestamp(invitation.expires_at),
        status: invitation.status_at(app.now()),
    })
}
