//! `POST /v1/organizations/{organization_id}/invitations/{invitation_id}/resend`: an invitation gets a new
//! link and a new deadline.

use std::sync::Arc;

use domain::idempotency::{Attempt, Scope, once};
use domain::resend::{self, Facts};
use domain::{Clock, Invitation};
use edge::http::{Failure, said, worded};
use edge::request::{caller, idempotency_key, invitation, no_invitation, organization, verified};
use edge::view::InvitationView;
use edge::{App, Problem};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use store::Once;

/// 200 with the invitation.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let key = idempotency_key(&request)?;
    verified(&caller)?;
    let organization = organization(&request)?;
    let Some(invitation) = invitation(&request) else {
        return Err(app.not_found(&organization, &caller.user, no_invitation()).await.into());
    };
    let attempt = key.map(|key| {
        let request = resend::fingerprint(&invitation);
        Attempt::new(Scope::Organization(organization.clone()), &caller.user, &key, request)
    });
    let attempt = attempt.as_ref();
    let read = async |_| app.store.resend_facts(&organization, &caller.user, &invitation, attempt).await;
    let decide = |read: &Once<Facts>| {
        let now = app.now();
        let act = || Ok(resend::decide(&caller, &read.facts, &app.policy, now)?);
        let say = |again: Invitation| worded(&InvitationView::at(now, &again));
        once(attempt, read.kept_for(read.facts.caller.as_ref()), now, act, say)
    };
    let answer = app.store.settle(read, decide).await.map_err(Problem::from)?;
    Ok(said(StatusCode::OK, answer.text))
}
