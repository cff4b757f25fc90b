//! Calls every route with the example bodies of the contract, for tests of properties that all functions share.

use harness::openapi::example;
use harness::{ApiResponse, MAIL_COOLDOWN, Organization, Person, World, id};
use http::Method;
use local::function_table::{ROUTES, Route};
use serde_json::{Value, json};

/// The values for the path and the body of a call.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    pub organization: &'a str,
    pub invitation: &'a str,
    pub user: &'a str,
    pub token: &'a str,
}

impl Parameters<'_> {
    /// Returns method, path and body of a valid call of a route.
    pub fn call(&self, route: &Route) -> (Method, String, Option<Value>) {
        let path = route.pattern.replace("{organization_id}", self.organization);
        let path = path.replace("{invitation_id}", self.invitation).replace("{user_id}", self.user);
        let body = example(route).map(|mut body| {
            if body.get("token").is_some() {
                body["token"] = json!(self.token);
            }
            body
        });
        (route.method.clone(), path, body)
    }
}

/// Calls a route.
pub async fn call_route(person: &Person, route: &Route, parameters: Parameters<'_>) -> ApiResponse {
    let (method, path, body) = parameters.call(route);
    person.calls(method, &path, body.map(|body| body.to_string())).await
}

/// Ada's organization: mem is a member, gone is a removed member, and ivy, dora and rob are invited.
pub struct SampleOrganization {
    pub ada: Person,
    pub mem: Person,
    pub gone: Person,
    pub acme: Organization,
    /// The id of rob's invitation.
    pub rob: String,
}

/// Creates the sample organization.
pub async fn sample_organization(world: &World) -> SampleOrganization {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let gone = world.joined(&acme, &ada, "gone", "owner").await;
    ada.removes(&acme, "gone").await.is(204);
    let emails = ["ivy@example.com", "dora@example.com"];
    ada.invites(&acme, &emails, "member").await.is(200);
    let rob = world.invited(&acme, &ada, "rob@example.com", "member").await;
    world.wait_until_idle().await;
    world.advance(MAIL_COOLDOWN).await;
    SampleOrganization { ada, mem, gone, acme, rob: id(&rob).to_owned() }
}

/// Calls every route of the contract successfully: ivy accepts, dora declines, and ada makes all other calls.
pub async fn call_all(
    world: &World,
    ada: &Person,
    parameters: Parameters<'_>,
) -> Vec<(&'static Route, ApiResponse)> {
    let doras = world.token_for("dora@example.com").await;
    let mut responses = Vec::new();
    for route in &*ROUTES {
        let response = match route.function {
            "accept" => call_route(&world.person("ivy"), route, parameters).await,
            "decline" => {
                call_route(&world.person("dora"), route, Parameters { token: &doras, ..parameters }).await
            }
            _ => call_route(ada, route, parameters).await,
        };
        responses.push((route, response));
    }
    responses
}

/// Calls every route successfully in a new sample organization.
pub async fn call_all_in_an_organization(world: &World) -> Vec<(&'static Route, ApiResponse)> {
    let SampleOrganization { ada, acme, rob, .. } = sample_organization(world).await;
    let ivys = world.token_for("ivy@example.com").await;
    let parameters = Parameters { organization: &acme.id, invitation: &rob, user: "mem", token: &ivys };
    call_all(world, &ada, parameters).await
}
