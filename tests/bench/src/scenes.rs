//! What is called to measure a function: many calls of one kind, each of which does what it is there for.

use domain::{Policy, Role};
use http::Method;
use serde_json::json;
use world::{Furniture, Options, Organization, Person, World};

use crate::lambda::Lambda;

/// One call.
pub struct Call {
    person: Person,
    method: Method,
    path: String,
    body: Option<String>,
}

/// Calls of one kind.
pub struct Scene {
    /// What they do.
    pub what: &'static str,
    /// The function that they invoke.
    pub function: &'static str,
    calls: Vec<Call>,
}

impl Scene {
    /// How many calls are left.
    pub fn left(&self) -> usize {
        self.calls.len()
    }

    /// The next call; it has to be answered well, and nothing is left to do after it.
    pub async fn plays(&mut self, world: &World) -> Result<(), String> {
        let call = self.calls.pop().ok_or_else(|| format!("there are no more calls of {}", self.what))?;
        let answer = call.person.calls(call.method, &call.path, call.body).await;
        if !answer.status.is_success() {
            return Err(format!("{} is answered {}: {}", self.what, answer.status, answer.text));
        }
        world.idle().await;
        Ok(())
    }
}

/// A laptop whose functions are the processes of `lambda`.
pub async fn world(lambda: &Lambda) -> World {
    let world = World::with(Options { functions: Some(lambda.url()), kms: true, ..Options::default() }).await;
    lambda.is_beside(world.laptop());
    world
}

/// Ends the world as whoever measured in it has ended: well, unless that has failed, which is told then.
pub async fn ended<T>(world: World, measured: Result<T, String>) -> Result<T, String> {
    match measured {
        Ok(_) => world.ends_well().await,
        // It would fail for being left in the middle, and hide why.
        Err(_) => std::mem::forget(world),
    }
    measured
}

/// Every scene, each with `times` calls; at most 900, since each has an organization of its own.
pub async fn scenes(world: &World, times: usize) -> Vec<Scene> {
    let mut furniture = Furniture::new(Policy::default(), world.now());
    let names: Vec<_> = (0..times).map(|number| format!("guest-{number:03}")).collect();
    let mut founded = |members: usize, invited: usize| {
        let organization = furniture.founds("ada");
        for name in &names[..members.min(times)] {
            furniture.joins(&organization, "ada", name, Role::Member);
        }
        for member in times..members {
            furniture.joins(&organization, "ada", &format!("guest-{member:03}"), Role::Member);
        }
        for name in &names[..invited] {
            furniture.invites(&organization, "ada", name, Role::Member);
        }
        organization
    };
    let [one, accepting, declining, resending, revoking] =
        [(0, 0), (0, times), (0, times), (0, times), (0, times)]
            .map(|(members, invited)| founded(members, invited));
    let [editing, removing, listing] = [times, times, 999].map(|members| founded(members, 0));
    // Eighteen of those fill an organization; each has fifty mails sent.
    let times_fifty = times.div_ceil(5);
    let fifties: Vec<_> = (0..times_fifty.div_ceil(18)).map(|_| founded(0, 0)).collect();
    let invitation_of = |organization: &Organization, name: &str| {
        let invitation = furniture.invitation(organization, name);
        invitation["id"].as_str().unwrap_or_default().to_owned()
    };
    let resent: Vec<_> = names.iter().map(|name| invitation_of(&resending, name)).collect();
    let revoked: Vec<_> = names.iter().map(|name| invitation_of(&revoking, name)).collect();
    world.is_furnished_with(&furniture).await;

    let ada = world.person("ada");
    let by_ada = |method: Method, path: String, body: Option<serde_json::Value>| Call {
        person: ada.clone(),
        method,
        path,
        body: body.map(|body| body.to_string()),
    };
    let tokens_of = |organization: &Organization| {
        let links = organization.id.clone();
        names
            .iter()
            .map(|name| {
                let mails = world.laptop().mailbox().items(Some(&format!("{name}@example.com")));
                let tokens = mails.iter().filter_map(|mail| serde_json::to_value(mail).ok());
                let tokens = tokens.filter_map(|mail| mail["token"].as_str().map(str::to_owned));
                let mut tokens = tokens.filter(|token| token.contains(&links));
                tokens.next().unwrap_or_default()
            })
            .collect::<Vec<_>>()
    };
    let by_guests = |tokens: Vec<String>, path: &str| {
        let calls = names.iter().zip(tokens).map(|(name, token)| Call {
            person: world.person(name),
            method: Method::POST,
            path: path.to_owned(),
            body: Some(json!({ "token": token }).to_string()),
        });
        calls.collect::<Vec<_>>()
    };
    let (accept, decline) = (tokens_of(&accepting), tokens_of(&declining));
    let preview = vec![decline[0].clone(); times];
    let scene = |what, function, calls| Scene { what, function, calls };
    let all = |of: &dyn Fn(&str) -> Call| -> Vec<Call> { names.iter().map(|name| of(name)).collect() };
    vec![
        scene(
            "create",
            "create",
            all(&|_| by_ada(Method::POST, "/v1/organizations".to_owned(), Some(json!({ "name": "Acme" })))),
        ),
        scene(
            "invite of 1",
            "invite",
            all(&|name| {
                let body = json!({ "emails": [format!("one-{name}@example.com")], "role": "member" });
                by_ada(Method::POST, one.path("/invitations"), Some(body))
            }),
        ),
        scene(
            "invite of 50",
            "invite",
            names
                .iter()
                .take(times_fifty)
                .enumerate()
                .map(|(number, name)| {
                    let emails: Vec<_> = (0..50).map(|nth| format!("{nth}-{name}@example.com")).collect();
                    let body = json!({ "emails": emails, "role": "member" });
                    by_ada(Method::POST, fifties[number / 18].path("/invitations"), Some(body))
                })
                .collect(),
        ),
        scene(
            "resend",
            "resend",
            resent
                .iter()
                .map(|id| by_ada(Method::POST, resending.path(&format!("/invitations/{id}/resend")), None))
                .collect(),
        ),
        scene("preview", "preview", by_guests(preview, "/v1/invitations/preview")),
        scene("accept", "accept", by_guests(accept, "/v1/invitations/accept")),
        scene("decline", "decline", by_guests(decline, "/v1/invitations/decline")),
        scene(
            "revoke",
            "revoke",
            revoked
                .iter()
                .map(|id| by_ada(Method::DELETE, revoking.path(&format!("/invitations/{id}")), None))
                .collect(),
        ),
        scene(
            "role-edit",
            "role-edit",
            all(&|name| {
                let path = editing.path(&format!("/members/{name}"));
                by_ada(Method::PATCH, path, Some(json!({ "role": "owner" })))
            }),
        ),
        scene(
            "remove",
            "remove",
            all(&|name| by_ada(Method::DELETE, removing.path(&format!("/members/{name}")), None)),
        ),
        scene("list of 50 members", "list", all(&|_| by_ada(Method::GET, listing.path("/members"), None))),
        scene(
            "list of all 1,000 members",
            "list",
            all(&|_| by_ada(Method::GET, listing.path("/members?limit=1000"), None)),
        ),
    ]
}
