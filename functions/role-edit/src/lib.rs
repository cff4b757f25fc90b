//! `PATCH /v1/organizations/{organization_id}/members/{user_id}`: an owner changes a member's role.

use std::sync::Arc;

use domain::{Clock as _, Role, role_edit};
use edge::http::Failure;
use edge::request::{caller, json, member, no_member, organization};
use edge::view::MemberView;
use edge::{App, Problem};
use lambda_http::{Body, Request, Response};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEditBody {
    #[serde(deserialize_with = "edge::request::role")]
    role: Role,
}

/// 200 with the member.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let body: RoleEditBody = json(&request)?;
    let organization = organization(&request)?;
    let Some(member) = member(&request) else {
        return Err(app.not_found(&organization, &caller.user, no_member()).await.into());
    };
    let read = async |_| app.store.role_edit_facts(&organization, &caller.user, &member).await;
    let decide = |facts: &_| role_edit::decide(&caller, facts, body.role, app.now());
    let member = app.store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::ok(&MemberView::from(&member))
}
