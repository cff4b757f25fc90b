//! `DELETE /v1/organizations/{organization_id}/members/{user_id}`: removes a member. Owners may remove any member, and
//! every member may leave.

use std::sync::Arc;

use domain::Remove;
use lambda_api::App;
use lambda_api::http::{HandlerError, no_content};
use lambda_api::input::Input;
use lambda_api::request::{caller, member, organization};
use lambda_http::{Body, Request, Response};

/// The requests have neither query parameters nor a body.
pub const INPUT: Input = Input::Nothing;

/// Returns 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?.user;
    let remove = Remove { caller, organization: organization(&request)?, member: member(&request) };
    app.run(&remove).await?;
    Ok(no_content())
}
