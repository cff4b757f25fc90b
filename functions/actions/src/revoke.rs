//! `DELETE /v1/organizations/{organization_id}/invitations/{invitation_id}`: a pending invitation is
//! withdrawn.

use std::sync::Arc;

use domain::Revoke;
use edge::App;
use edge::http::{Failure, no_content};
use edge::request::{caller, invitation, organization};
use lambda_http::{Body, Request, Response};

/// 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?.user;
    let revoke = Revoke { caller, organization: organization(&request)?, invitation: invitation(&request) };
    app.run(&revoke).await?;
    Ok(no_content())
}
