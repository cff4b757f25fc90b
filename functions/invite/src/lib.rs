//! `POST /v1/organizations/{organization_id}/invitations`: a member invites addresses, all with one role and in one
//! language.

use std::sync::Arc;

use domain::idempotency::{Attempt, Scope, once};
use domain::invite::{self, ADDRESSES_MAX, Facts, Outcome};
use domain::{Clock, EmailAddress, Language, Role, Timestamp};
use edge::http::{Failure, said, worded};
use edge::request::{caller, idempotency_key, json, organization, verified};
use edge::view::InvitationView;
use edge::{App, Problem};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::{Deserialize, Serialize};
use store::Once;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InviteBody {
    emails: Vec<String>,
    #[serde(deserialize_with = "edge::request::role")]
    role: Role,
    #[serde(default, deserialize_with = "edge::request::language")]
    language: Option<Language>,
}

#[derive(Serialize)]
struct InviteView {
    results: Vec<ResultView>,
}

#[derive(Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
enum ResultView {
    Invited { email: String, invitation: Box<InvitationView> },
    AlreadyInvited { email: String, detail: &'static str },
    AlreadyMember { email: String, detail: &'static str },
}

impl InviteView {
    fn at(now: Timestamp, outcomes: Vec<Outcome>) -> Self {
        Self { results: outcomes.into_iter().map(|outcome| ResultView::at(now, outcome)).collect() }
    }
}

impl ResultView {
    fn at(now: Timestamp, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Invited(invitation) => Self::Invited {
                email: invitation.email.to_string(),
                invitation: Box::new(InvitationView::at(now, &invitation)),
            },
            Outcome::AlreadyInvited(email) => Self::AlreadyInvited {
                email: email.into(),
                detail: "This address has a pending invitation; resend it for another mail.",
            },
            Outcome::AlreadyMember(email) => {
                Self::AlreadyMember { email: email.into(), detail: "This address belongs to a member." }
            }
        }
    }
}

/// 200 with one result per address, in the order given.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let key = idempotency_key(&request)?;
    let body: InviteBody = json(&request)?;
    let asked = invite::Request::new(addresses(&body.emails)?, body.role).in_language(body.language);
    verified(&caller)?;
    let organization = organization(&request)?;
    let attempt = key.map(|key| {
        Attempt::new(Scope::Organization(organization.clone()), &caller.user, &key, asked.fingerprint())
    });
    let attempt = attempt.as_ref();
    let read = async |_| app.store.invite_facts(&organization, &caller.user, &asked, attempt).await;
    let decide = |read: &Once<Facts>| {
        let now = app.now();
        let act = || Ok(invite::decide(&caller, &asked, &read.facts, &app.policy, now)?);
        let say = |outcomes| worded(&InviteView::at(now, outcomes));
        once(attempt, read.kept_for(read.facts.caller.as_ref()), now, act, say)
    };
    let answer = app.store.settle(read, decide).await.map_err(Problem::from)?;
    Ok(said(StatusCode::OK, answer.text))
}

/// All addresses, or a problem that names every one that is none.
fn addresses(emails: &[String]) -> Result<Vec<EmailAddress>, Problem> {
    if !(1..=ADDRESSES_MAX).contains(&emails.len()) {
        let detail = format!("from 1 to {ADDRESSES_MAX} addresses are invited at once, not {}", emails.len());
        return Err(Problem::malformed("/emails", detail));
    }
    let mut valid = Vec::with_capacity(emails.len());
    let mut invalid = Vec::new();
    for (index, email) in emails.iter().enumerate() {
        match EmailAddress::parse(email) {
            Ok(email) => valid.push(email),
            Err(error) => invalid.push((format!("/emails/{index}"), error)),
        }
    }
    if invalid.is_empty() { Ok(valid) } else { Err(Problem::invalid_emails(invalid)) }
}
