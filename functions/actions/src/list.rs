//! `GET /v1/organizations` and what lies below: the caller's organizations, one of them, its members, its
//! invitations.

mod cursor;

use std::sync::Arc;

use domain::list::{Membership, ShowOrganization};
use domain::{Caller, Clock, InvitationId, OrganizationId, Role, Status, UserId};
use lambda_api::http::{HandlerError, ok};
use lambda_api::list::{PageView, limit};
use lambda_api::request::{caller, organization, parameter};
use lambda_api::view::{InvitationView, MemberView, OrganizationView};
use lambda_api::{App, Problem};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};
use serde::Serialize;

#[derive(Serialize)]
struct MembershipView {
    id: String,
    name: String,
    role: Role,
}

/// 200 with what the route names.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    match route(&request) {
        "GET /v1/organizations" => organizations(&app, &caller, &request).await,
        "GET /v1/organizations/{organization_id}" => one(&app, &caller, &request).await,
        "GET /v1/organizations/{organization_id}/members" => members(&app, &caller, &request).await,
        "GET /v1/organizations/{organization_id}/invitations" => invitations(&app, &caller, &request).await,
        other => Err(Problem::internal(format!("the route {other:?} does not belong to list")).into()),
    }
}

fn route(request: &Request) -> &str {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.route_key.as_deref().unwrap_or_default(),
        _ => "",
    }
}

async fn organizations(
    app: &App,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, HandlerError> {
    let limit = limit(request)?;
    let scope = ["organizations", caller.user.as_str()];
    let after: Option<OrganizationId> = cursor::read(request, scope)?;
    let page = app.store.organizations(&caller.user, limit, after.as_ref()).await.map_err(Problem::from)?;
    let items = page.items.iter().map(|membership| MembershipView {
        id: membership.organization.to_string(),
        name: membership.name.to_string(),
        role: membership.role,
    });
    ok(&PageView { items: items.collect(), next_cursor: cursor::write(scope, page.next.as_ref()) })
}

async fn one(app: &App, caller: &Caller, request: &Request) -> Result<Response<Body>, HandlerError> {
    let show = ShowOrganization { caller: caller.user.clone(), organization: organization(request)? };
    let (role, organization) = app.run(&show).await?;
    ok(&OrganizationView::for_role(role, &organization))
}

async fn members(app: &App, caller: &Caller, request: &Request) -> Result<Response<Body>, HandlerError> {
    let limit = limit(request)?;
    let role: Option<Role> = parameter(request, "role", "a role is `owner` or `member`")?;
    let organization = organization(request)?;
    let scope = ["members", organization.as_str()];
    let after: Option<UserId> = cursor::read(request, scope)?;
    let page = app.store.members(&organization, role, limit, after.as_ref());
    let page = visible(app, &organization, caller, page).await?;
    let items = page.items.into_iter().map(MemberView::from).collect();
    ok(&PageView { items, next_cursor: cursor::write(scope, page.next.as_ref()) })
}

async fn invitations(app: &App, caller: &Caller, request: &Request) -> Result<Response<Body>, HandlerError> {
    let limit = limit(request)?;
    let expected = "a status is `pending`, `accepted`, `revoked`, `expired`, `declined` or `removed`";
    let status: Option<Status> = parameter(request, "status", expected)?;
    let organization = organization(request)?;
    let scope = ["invitations", organization.as_str()];
    let after: Option<InvitationId> = cursor::read(request, scope)?;
    let now = app.now();
    let page = app.store.invitations(&organization, status, now, limit, after.as_ref());
    let page = visible(app, &organization, caller, page).await?;
    let items = page.items.iter().map(|invitation| InvitationView::at(now, invitation)).collect();
    ok(&PageView { items, next_cursor: cursor::write(scope, page.next.as_ref()) })
}

/// `page`, if the caller is in the organization. It is read after the membership: a stranger must not have a thousand
/// items read by every call, nor learn from the time it takes how many there are.
async fn visible<Page>(
    app: &App,
    organization: &OrganizationId,
    caller: &Caller,
    page: impl Future<Output = Result<Page, store::Error>>,
) -> Result<Page, HandlerError> {
    app.run(&Membership { caller: caller.user.clone(), organization: organization.clone() }).await?;
    Ok(page.await.map_err(Problem::from)?)
}
