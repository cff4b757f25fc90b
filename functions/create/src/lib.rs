//! `POST /v1/organizations`: a user founds an organization and is its first owner.

use std::sync::Arc;

use domain::create;
use domain::{Clock, OrganizationId, OrganizationName, Role};
use edge::http::Failure;
use edge::request::{caller, json, verified};
use edge::view::OrganizationView;
use edge::{App, Problem, observe};
use lambda_http::{Body, Request, Response};
use serde::Deserialize;
use store::Error;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
}

/// 201 with the organization.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, Failure> {
    let caller = caller(&request)?;
    let body: CreateBody = json(&request)?;
    let name = OrganizationName::parse(&body.name).map_err(|error| Problem::invalid_name("/name", error))?;
    verified(&caller)?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Problem::internal(error.to_string()))?;
    let request = create::Request { id: OrganizationId::from_random(random), name };
    observe::organization(&request.id);
    // There are no facts to read: that the id is free is the plan's own guard.
    let read = async |_: Option<()>| Ok::<_, Error>(());
    let decide = |(): &()| create::decide(&caller, &request, &app.policy, app.now());
    let organization = app.store.settle(read, decide).await.map_err(Problem::from)?;
    edge::http::created(&OrganizationView::for_role(Role::Owner, &organization))
}
