//! `POST /v1/invitations/accept`: the invitee becomes a member.

use std::sync::Arc;

use domain::accept::{self, Facts};
use domain::{Clock, Opened};
use edge::Problem;
use edge::http::Failure;
use edge::request::{caller, token};
use edge::view::MemberView;
use lambda_http::{Body, Request, Response};
use links::{App, OpenError};

/// 200 with the member.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let token = token(&request)?;
    let (store, user) = (&app.edge.store, &caller.user);
    let read = async |before: Option<Facts>| {
        let (genuine, read) = match before {
            None => app.open(&token, store.accept_facts(&token.link, user, None)).await?,
            // A MAC is right or wrong for good: after a lost race the record alone is looked at again.
            Some(Facts { opened, .. }) => {
                let read = store.accept_facts(&token.link, user, opened.invitation.as_ref()).await?;
                (opened.genuine, read)
            }
        };
        let opened = Opened { link: token.link.clone(), genuine, invitation: read.invitation };
        Ok::<_, OpenError>(Facts { opened, member: read.member, sender: read.sender })
    };
    let decide = |facts: &_| accept::decide(&caller, facts, app.edge.now());
    let member = store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::ok(&MemberView::from(&member))
}
