//! `POST /v1/invitations/preview`: what a link is about; nobody has to be signed in, and nothing changes.

use std::sync::Arc;

use domain::{Clock, Opened, Role, Status};
use edge::Problem;
use edge::http::Failure;
use edge::request::token;
use edge::view::Moment;
use lambda_http::{Body, Request, Response};
use links::App;
use serde::Serialize;

#[derive(Serialize)]
struct PreviewView<'a> {
    organization: OrganizationName<'a>,
    email: &'a str,
    role: Role,
    sender_email: &'a str,
    expires_at: Moment,
    status: Status,
}

#[derive(Serialize)]
struct OrganizationName<'a> {
    id: &'a str,
    name: &'a str,
}

/// 200 with the invitation, whatever its status.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let token = token(&request)?;
    let read = app.edge.store.letter_facts(&token.link.organization, &token.link.invitation);
    let (genuine, read) = app.open(&token, read).await.map_err(Problem::from)?;
    let opened = Opened { link: token.link, genuine, invitation: read.invitation };
    let invitation = opened.newest().map_err(Problem::from)?;
    let organization =
        read.organization.ok_or_else(|| Problem::internal("an invitation without its organization"))?;
    edge::http::ok(&PreviewView {
        organization: OrganizationName { id: organization.id.as_str(), name: organization.name.as_str() },
        email: invitation.email.as_str(),
        role: invitation.role,
        sender_email: invitation.sender.email.as_str(),
        expires_at: Moment(invitation.expires_at),
        status: invitation.status_at(app.edge.now()),
    })
}
