//! `POST /v1/organizations`: creates an organization. The caller becomes its first owner.

use std::sync::Arc;

use domain::idempotency::WithIdempotencyKey;
use domain::{Create, Organization, OrganizationId, OrganizationName, Role};
use lambda_api::http::{HandlerError, json_response, to_json};
use lambda_api::input::Input;
use lambda_api::request::{caller, idempotency_key, json};
use lambda_api::view::OrganizationView;
use lambda_api::{App, Problem, observe};
use lambda_http::http::StatusCode;
use lambda_http::{Body, Request, Response};
use serde::Deserialize;

/// The requests have a body and no query parameters.
pub const INPUT: Input = Input::Body;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    name: String,
}

/// Returns 201 with the organization.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    let key = idempotency_key(&request)?;
    let CreateBody { name } = json(&request)?;
    let name = OrganizationName::parse(&name)?;
    let founder = caller.verified()?;
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| Problem::internal(error.to_string()))?;
    let id = OrganizationId::from_random(random);
    let create = Create { founder, id: id.clone(), name };
    let render = |created: Organization, _| to_json(&OrganizationView::for_role(Role::Owner, &created));
    let created = app.run(&WithIdempotencyKey::new(create, key.as_ref(), render)).await?;
    if !created.replayed {
        observe::log_organization(&id);
    }
    Ok(json_response(StatusCode::CREATED, created.body))
}
