//! `PATCH /v1/organizations/{organization_id}`: renames the organization.
//!
//! [`OrganizationEdit`] refuses callers who are not owners.

use std::sync::Arc;

use domain::{OrganizationEdit, OrganizationName};
use lambda_api::App;
use lambda_api::http::{HandlerError, ok};
use lambda_api::input::Input;
use lambda_api::request::{caller, json, organization};
use lambda_api::view::OrganizationView;
use lambda_http::{Body, Request, Response};
use serde::Deserialize;

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrganizationEditBody {
    name: String,
}

/// Returns 200 with the organization.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?.user;
    let OrganizationEditBody { name } = json(&request)?;
    let name = OrganizationName::parse(&name)?;
    let edit = OrganizationEdit { caller, organization: organization(&request)?, name };
    let (caller_role, organization) = app.run(&edit).await?;
    ok(&OrganizationView::for_role(caller_role, &organization))
}
