//! `DELETE /v1/organizations/{organization_id}/invitations/{invitation_id}`: revokes a pending invitation.

use std::sync::Arc;

use domain::Revoke;
use lambda_api::App;
use lambda_api::http::{HandlerError, no_content};
use lambda_api::input::Input;
use lambda_api::request::{caller, invitation, organization};
use lambda_http::{Body, Request, Response};

/// The requests have neither query parameters nor a body.
pub const INPUT: Input = Input::Nothing;

/// Returns 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?.user;
    let revoke = Revoke { caller, organization: organization(&request)?, invitation: invitation(&request) };
    app.run(&revoke).await?;
    Ok(no_content())
}
