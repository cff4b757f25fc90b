//! `PATCH /v1/organizations/{organization_id}/members/{user_id}`: an owner changes a member's role.

use std::sync::Arc;

use domain::{Role, RoleEdit};
use edge::App;
use edge::http::{Failure, ok};
use edge::request::{caller, json, member, organization};
use edge::view::MemberView;
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
    let caller = caller(&request)?.user;
    let RoleEditBody { role } = json(&request)?;
    let edit = RoleEdit { caller, organization: organization(&request)?, member: member(&request), role };
    let member = app.run(&edit).await?;
    ok(&MemberView::from(&member))
}
