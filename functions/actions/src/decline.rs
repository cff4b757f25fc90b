//! `POST /v1/invitations/decline`: the invitee declines the invitation.

use std::sync::Arc;

use domain::Decline;
use lambda_api::LinkApp;
use lambda_api::http::{HandlerError, no_content};
use lambda_api::input::Input;
use lambda_api::request::{caller, token};
use lambda_http::{Body, Request, Response};

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

/// Returns 204.
pub async fn handle(app: Arc<LinkApp>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    let link = app.verified_link(token(&request)?).await?;
    app.run(&Decline { caller, link }).await?;
    Ok(no_content())
}
