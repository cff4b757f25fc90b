//! `PATCH /v1/organizations/{organization_id}/members/{user_id}`: changes a member's role.
//!
//! Only owners may do this.

use std::sync::Arc;

use domain::{Role, RoleEdit};
use lambda_api::App;
use lambda_api::http::{HandlerError, ok};
use lambda_api::input::Input;
use lambda_api::request::{caller, json, member, organization};
use lambda_api::view::MemberView;
use lambda_http::{Body, Request, Response};
use serde::Deserialize;

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleEditBody {
    #[serde(deserialize_with = "lambda_api::request::role")]
    role: Role,
}

/// Returns 200 with the member.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?.user;
    let RoleEditBody { role } = json(&request)?;
    let edit = RoleEdit { caller, organization: organization(&request)?, member: member(&request), role };
    let member = app.run(&edit).await?;
    ok(&MemberView::from(&member))
}
