//! `DELETE /v1/organizations/{organization_id}/members/{user_id}`: an owner removes a member, or anybody
//! leaves.

use std::sync::Arc;

use domain::{Clock, remove};
use edge::http::Failure;
use edge::request::{caller, member, no_member, organization};
use edge::{App, Problem};
use lambda_http::{Body, Request, Response};

/// 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let organization = organization(&request)?;
    let Some(member) = member(&request) else {
        return Err(app.not_found(&organization, &caller.user, no_member()).await.into());
    };
    let read = async |_| app.store.remove_facts(&organization, &caller.user, &member).await;
    let decide = |facts: &_| remove::decide(&caller, facts, &app.policy, app.now());
    app.store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::no_content()
}
