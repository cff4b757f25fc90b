//! `DELETE /v1/organizations/{organization_id}/invitations/{invitation_id}`: a pending invitation is
//! withdrawn.

use std::sync::Arc;

use domain::{Clock, revoke};
use edge::http::Failure;
use edge::request::{caller, invitation, no_invitation, organization};
use edge::{App, Problem};
use lambda_http::{Body, Request, Response};

/// 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let organization = organization(&request)?;
    let Some(invitation) = invitation(&request) else {
        return Err(app.not_found(&organization, &caller.user, no_invitation()).await.into());
    };
    let read = async |_| app.store.revoke_facts(&organization, &caller.user, &invitation).await;
    let decide = |facts: &_| revoke::decide(&caller, facts, &app.policy, app.now());
    app.store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::no_content()
}
