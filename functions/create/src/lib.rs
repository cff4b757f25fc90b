//! `POST /v1/organizations`: a user founds an organization and is its first owner.

use std::sync::Arc;

use domain::idempotency::{Answer, Attempt, Scope, once};
use domain::{Clock, Organization, OrganizationId, OrganizationName, Role, create};
use edge::http::{Failure, said, worded};
use edge::request::{caller, idempotency_key, json, verified};
use edge::view::OrganizationView;
use edge::{App, Problem, observe};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
}

/// 201 with the organization.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let key = idempotency_key(&request)?;
    let body: CreateBody = json(&request)?;
    let name = OrganizationName::parse(&body.name).map_err(|error| Problem::invalid_name("/name", error))?;
    verified(&caller)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Problem::internal(error.to_string()))?;
    let request = create::Request { id: OrganizationId::from_random(random), name };
    let attempt = key
        .map(|key| Attempt::new(Scope::User(caller.user.clone()), &caller.user, &key, request.fingerprint()));
    let attempt = attempt.as_ref();
    // There are no facts to read: that the id is free is the plan's own guard, and that nothing is kept under the
    // key is taken on trust until that guard fails.
    let read = async |before: Option<Option<Answer>>| match attempt {
        Some(attempt) if before.is_some() => app.store.answer(attempt.id()).await,
        _ => Ok(None),
    };
    let decide = |kept: &Option<Answer>| {
        let now = app.now();
        let act = || Ok(create::decide(&caller, &request, &app.policy, now)?);
        let say = |created: Organization| worded(&OrganizationView::for_role(Role::Owner, &created));
        once(attempt, kept.as_ref(), now, act, say)
    };
    let answer = app.store.settle(read, decide).await.map_err(Problem::from)?;
    if !answer.again {
        observe::organization(&request.id);
    }
    Ok(said(StatusCode::CREATED, answer.text))
}
