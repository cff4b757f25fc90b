//! Every route, called as the contract's examples have it: what goes for all functions alike needs no list of them.

use harness::document::example;
use harness::{Answer, MAIL_COOLDOWN, Organization, Person, World, id};
use http::Method;
use local::function_table::{ROUTES, Route};
use serde_json::{Value, json};

/// What a call is about: what stands in its path, and in its body.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub organization: &'a str,
    pub invitation: &'a str,
    pub user: &'a str,
    pub token: &'a str,
}

impl About<'_> {
    /// How a route is called well.
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

/// Whose call it is, of which route, and what it is answered.
pub async fn calls(person: &Person, route: &Route, about: About<'_>) -> Answer {
    let (method, path, body) = about.call(route);
    person.calls(method, &path, body.map(|body| body.to_string())).await
}

/// Ada's organization, where mem is a member, gone was one, and ivy, dora and rob are invited.
pub struct Cast {
    pub ada: Person,
    pub mem: Person,
    pub gone: Person,
    pub acme: Organization,
    /// The invitation of rob.
    pub rob: String,
}

pub async fn cast(world: &World) -> Cast {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let gone = world.joined(&acme, &ada, "gone", "owner").await;
    ada.removes(&acme, "gone").await.is(204);
    let emails = ["ivy@example.com", "dora@example.com"];
    ada.invites(&acme, &emails, "member").await.is(200);
    let rob = world.invited(&acme, &ada, "rob@example.com", "member").await;
    world.idle().await;
    world.passes(MAIL_COOLDOWN).await;
    Cast { ada, mem, gone, acme, rob: id(&rob).to_owned() }
}

/// Every route of the contract called well, by somebody who may, and what they are answered.
pub async fn call_all(world: &World, ada: &Person, about: About<'_>) -> Vec<(&'static Route, Answer)> {
    let doras = world.token_for("dora@example.com").await;
    let mut answers = Vec::new();
    for route in &*ROUTES {
        let answer = match route.function {
            "accept" => calls(&world.person("ivy"), route, about).await,
            "decline" => calls(&world.person("dora"), route, About { token: &doras, ..about }).await,
            _ => calls(ada, route, about).await,
        };
        answers.push((route, answer));
    }
    answers
}

/// The same, in an organization that is made for it.
pub async fn call_all_in_an_organization(world: &World) -> Vec<(&'static Route, Answer)> {
    let Cast { ada, acme, rob, .. } = cast(world).await;
    let ivys = world.token_for("ivy@example.com").await;
    let about = About { organization: &acme.id, invitation: &rob, user: "mem", token: &ivys };
    call_all(world, &ada, about).await
}
