//! The four `GET` routes below `/v1/organizations`. They list the caller's organizations, show one organization, and
//! list its members and its invitations.

mod cursor;

use std::sync::Arc;

use domain::list::{Membership, ShowOrganization};
use domain::{Caller, Clock, InvitationId, OrganizationId, Role, Status, UserId};
use lambda_api::http::{HandlerError, ok};
use lambda_api::input::Input;
use lambda_api::list::{PageView, limit};
use lambda_api::request::{caller, organization, parameter, route};
use lambda_api::view::{InvitationView, MemberView, OrganizationView};
use lambda_api::{App, Problem};
use lambda_http::{Body, Request, Response};
use serde::Serialize;

/// The query parameters of each route.
pub const INPUT: Input = Input::Query(&[
    ("GET /v1/organizations", &["cursor", "limit"]),
    ("GET /v1/organizations/{organization_id}", &[]),
    ("GET /v1/organizations/{organization_id}/members", &["cursor", "limit", "role"]),
    ("GET /v1/organizations/{organization_id}/invitations", &["cursor", "limit", "status"]),
]);

#[derive(Serialize)]
struct MembershipView {
    id: String,
    name: String,
    role: Role,
}

/// Returns 200 with the list or the organization of the request's route.
pub async fn handle(app: Arc<App>, request: Request) -> Result<Response<Body>, HandlerError> {
    let caller = caller(&request)?;
    match route(&request) {
        "GET /v1/organizations" => list_organizations(&app, &caller, &request).await,
        "GET /v1/organizations/{organization_id}" => show_organization(&app, &caller, &request).await,
        "GET /v1/organizations/{organization_id}/members" => list_members(&app, &caller, &request).await,
        "GET /v1/organizations/{organization_id}/invitations" => {
            list_invitations(&app, &caller, &request).await
        }
        other => Err(Problem::internal(format!("the function `list` has no route {other:?}")).into()),
    }
}

async fn list_organizations(
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

async fn show_organization(
    app: &App,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, HandlerError> {
    let show = ShowOrganization { caller: caller.user.clone(), organization: organization(request)? };
    let (caller_role, organization) = app.run(&show).await?;
    ok(&OrganizationView::for_role(caller_role, &organization))
}

async fn list_members(app: &App, caller: &Caller, request: &Request) -> Result<Response<Body>, HandlerError> {
    let limit = limit(request)?;
    let role: Option<Role> = parameter(request, "role", "a role is `owner` or `member`")?;
    let organization = organization(request)?;
    let scope = ["members", organization.as_str()];
    let after: Option<UserId> = cursor::read(request, scope)?;
    let page = app.store.members(&organization, role, limit, after.as_ref());
    let page = page_for_member(app, &organization, caller, page).await?;
    let items = page.items.into_iter().map(MemberView::from).collect();
    ok(&PageView { items, next_cursor: cursor::write(scope, page.next.as_ref()) })
}

async fn list_invitations(
    app: &App,
    caller: &Caller,
    request: &Request,
) -> Result<Response<Body>, HandlerError> {
    let limit = limit(request)?;
    let expected = "a status is `pending`, `accepted`, `revoked`, `expired`, `declined` or `removed`";
    let status: Option<Status> = parameter(request, "status", expected)?;
    let organization = organization(request)?;
    let scope = ["invitations", organization.as_str()];
    let after: Option<InvitationId> = cursor::read(request, scope)?;
    let now = app.now();
    let page = app.store.invitations(&organization, status, now, limit, after.as_ref());
    let page = page_for_member(app, &organization, caller, page).await?;
    let items = page.items.iter().map(|invitation| InvitationView::at(now, invitation)).collect();
    ok(&PageView { items, next_cursor: cursor::write(scope, page.next.as_ref()) })
}

/// Reads `page` if the caller is a member of the organization.
///
/// The membership is read first. Otherwise every call of a non-member would read up to 1,000 items, and its duration
/// would reveal how many there are.
async fn page_for_member<Page>(
    app: &App,
    organization: &OrganizationId,
    caller: &Caller,
    page: impl Future<Output = Result<Page, store::Error>>,
) -> Result<Page, HandlerError> {
    app.run(&Membership { caller: caller.user.clone(), organization: organization.clone() }).await?;
    Ok(page.await.map_err(Problem::from)?)
}
