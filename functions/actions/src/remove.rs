//! `DELETE /v1/organizations/{organization_id}/members/{user_id}`: an owner removes a member, or anybody
//! leaves.

use std::sync::Arc;

use domain::Remove;
use edge::App;
use edge::http::{Failure, no_content};
use edge::request::{caller, member, organization};
use lambda_http::{Body, Request, Response};

/// 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?.user;
    let remove = Remove { caller, organization: organization(&request)?, member: member(&request) };
    app.run(&remove).await?;
    Ok(no_content())
}
