//! `POST /v1/invitations/accept`: accepts an invitation. The invitee becomes a member.

use std::sync::Arc;

use domain::Accept;
use domain::accept::Accepted;
use lambda_api::LinkApp;
use lambda_api::http::{HandlerError, ok};
use lambda_api::input::Input;
use lambda_api::request::{caller, token};
use lambda_api::view::{MemberView, OrganizationNameView};
use lambda_http::{Body, Request, Response};
use serde::Serialize;

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

#[derive(Serialize)]
struct AcceptedView {
    #[serde(flatten)]
    member: MemberView,
    organization: OrganizationNameView,
}

/// Returns 200 with the member and the organization.
pub async fn handle(app: Arc<LinkApp>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    let link = app.verified_link(token(&request)?).await?;
    let Accepted { member, organization } = app.run(&Accept { caller, link }).await?;
    ok(&AcceptedView { member: (&member).into(), organization: (&organization).into() })
}
