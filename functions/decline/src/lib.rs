//! `POST /v1/invitations/decline`: the invitee turns the invitation down.

use std::sync::Arc;

use domain::decline::{self, Facts};
use domain::{Clock, Opened};
use edge::Problem;
use edge::http::Failure;
use edge::request::{caller, token};
use lambda_http::{Body, Request, Response};
use links::{App, OpenError};

/// 204.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let token = token(&request)?;
    let record = || app.edge.store.invitation(&token.link.organization, &token.link.invitation);
    let read = async |before: Option<Facts>| {
        let (genuine, invitation) = match before {
            None => app.open(&token, record()).await?,
            // A MAC is right or wrong for good: after a lost race the record alone is looked at again.
            Some(Facts { opened }) => (opened.genuine, record().await?),
        };
        Ok::<_, OpenError>(Facts { opened: Opened { link: token.link.clone(), genuine, invitation } })
    };
    let decide = |facts: &_| decline::decide(&caller, facts, &app.edge.policy, app.edge.now());
    app.edge.store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::no_content()
}
