//! `POST /v1/organizations/{organization_id}/invitations/{invitation_id}/resend`: an invitation gets a new
//! link and a new deadline.

use std::sync::Arc;

use domain::{Clock, resend};
use edge::http::Failure;
use edge::request::{caller, invitation, no_invitation, organization, verified};
use edge::view::InvitationView;
use edge::{App, Problem};
use lambda_http::{Body, Request, Response};

/// 200 with the invitation.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    verified(&caller)?;
    let organization = organization(&request)?;
    let Some(invitation) = invitation(&request) else {
        return Err(app.not_found(&organization, &caller.user, no_invitation()).await.into());
    };
    let read = async |_| app.store.resend_facts(&organization, &caller.user, &invitation).await;
    let decide = |facts: &_| resend::decide(&caller, facts, &app.policy, app.now());
    let invitation = app.store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::ok(&InvitationView::at(app.now(), &invitation))
}
