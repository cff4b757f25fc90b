//! What is called to measure a function: many calls of one kind, each of which does what it is there for.

use domain::{Policy, Role};
use harness::{Fixtures, Options, Organization, World};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lambda::Lambda;
use crate::load::Call;

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
        call.goes_well().await?;
        world.idle().await;
        Ok(())
    }
}

/// A laptop whose functions are the processes of `lambda`, on a file in `directory`: in memory, each read of the engine's
/// stream looks at all that was ever written.
pub async fn world(lambda: &Lambda, directory: &TempDir) -> World {
    let db = Some(directory.path().join("roster.db"));
    let options = Options { db, functions: Some(lambda.url()), kms: true, ..Options::default() };
    let world = World::with(options).await;
    lambda.is_beside(world.laptop());
    world
}

/// Ends the world as whoever measured in it has ended: well, unless that has failed, which is told then.
pub async fn ended<T>(world: World, measured: Result<T, String>) -> Result<T, String> {
    match measured {
        Ok(_) => world.finish().await,
        // It would fail for being left in the middle, and hide why.
        Err(_) => std::mem::forget(world),
    }
    measured
}

/// The organizations that the scenes play in.
struct Stage {
    names: Vec<String>,
    inviting: Organization,
    fifties: Vec<Organization>,
    accepting: Vec<String>,
    declining: Vec<String>,
    resending: Vec<String>,
    revoking: Vec<String>,
    editing: Organization,
    removing: Organization,
    listing: Organization,
}

/// Every scene, each with `times` calls (those of fifty addresses with a fifth of that); at most 900, since each has an
/// organization of its own.
pub async fn scenes(world: &World, times: usize) -> Vec<Scene> {
    let stage = furnish(world, times).await;
    let ada = world.person("ada");
    let call = |method: &Method, path: String, body: Option<Value>| {
        Call::new(&ada, method.clone(), path, body.as_ref())
    };
    let (get, post, patch, delete) = (&Method::GET, &Method::POST, &Method::PATCH, &Method::DELETE);
    let guests = |tokens: &[String], path: &str| {
        let calls = stage.names.iter().zip(tokens).map(|(name, token)| {
            let body = json!({ "token": token });
            Call::new(&world.person(name), Method::POST, path.to_owned(), Some(&body))
        });
        calls.collect::<Vec<_>>()
    };
    let each = |of: &dyn Fn(&String) -> Call| stage.names.iter().map(of).collect::<Vec<_>>();
    let invite_of = |organization: &Organization, emails: Vec<String>| {
        let body = json!({ "emails": emails, "role": "member" });
        call(post, organization.path("/invitations"), Some(body))
    };
    let fifties = stage.names.iter().take(times.div_ceil(5)).enumerate().map(|(number, name)| {
        let emails = (0..50).map(|nth| format!("{nth}-{name}@example.com")).collect();
        invite_of(&stage.fifties[number / FIFTIES], emails)
    });
    let member = |organization: &Organization, name: &str| organization.path(&format!("/members/{name}"));
    let owner = json!({ "role": "owner" });
    let scene = |what, function, calls| Scene { what, function, calls };
    let create = |_: &String| call(post, "/v1/organizations".to_owned(), Some(json!({ "name": "Acme" })));
    let rename = |name: &String| call(patch, stage.editing.path(""), Some(json!({ "name": name })));
    let list = |query: &str| each(&|_| call(get, stage.listing.path(&format!("/members{query}")), None));
    let paths =
        |method, paths: &[String]| paths.iter().map(|path| call(method, path.clone(), None)).collect();
    let previewed = vec![stage.declining[0].clone(); times];
    vec![
        scene("create", "create", each(&create)),
        scene("organization-edit", "organization-edit", each(&rename)),
        scene(
            "invite of 1",
            "invite",
            each(&|name| invite_of(&stage.inviting, vec![format!("one-{name}@example.com")])),
        ),
        scene("invite of 50", "invite", fifties.collect()),
        scene("resend", "resend", paths(post, &stage.resending)),
        scene("preview", "preview", guests(&previewed, "/v1/invitations/preview")),
        scene("accept", "accept", guests(&stage.accepting, "/v1/invitations/accept")),
        scene("decline", "decline", guests(&stage.declining, "/v1/invitations/decline")),
        scene("revoke", "revoke", paths(delete, &stage.revoking)),
        scene(
            "role-edit",
            "role-edit",
            each(&|name| call(patch, member(&stage.editing, name), Some(owner.clone()))),
        ),
        scene("remove", "remove", each(&|name| call(delete, member(&stage.removing, name), None))),
        scene("list of 50 members", "list", list("")),
        scene("list of all 1,000 members", "list", list("?limit=1000")),
    ]
}

/// Invites of fifty that an organization has seats for.
const FIFTIES: usize = 18;

/// Puts the organizations into the table, and gathers what calls will need.
async fn furnish(world: &World, times: usize) -> Stage {
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    let names: Vec<_> = (0..999).map(|number| format!("guest-{number:03}")).collect();
    let mut founded = |members: usize, invited: usize| {
        let organization = fixtures.founds("ada");
        names[..members].iter().for_each(|name| fixtures.joins(&organization, "ada", name, Role::Member));
        names[..invited].iter().for_each(|name| fixtures.invites(&organization, "ada", name, Role::Member));
        organization
    };
    let fifties = (0..times.div_ceil(5).div_ceil(FIFTIES)).map(|_| founded(0, 0)).collect();
    let inviting = founded(0, 0);
    let [accepting, declining, resending, revoking] = [(); 4].map(|()| founded(0, times));
    let [editing, removing, listing] = [times, times, 999].map(|members| founded(members, 0));
    let names = names[..times].to_vec();
    let paths = |organization: &Organization, below: &str| {
        let path = |name: &String| {
            let invitation = fixtures.invitation(organization, name);
            let id = invitation["id"].as_str().unwrap_or_default();
            organization.path(&format!("/invitations/{id}{below}"))
        };
        names.iter().map(path).collect::<Vec<_>>()
    };
    let (resending, revoking) = (paths(&resending, "/resend"), paths(&revoking, ""));
    world.load(&fixtures).await;
    let tokens = |organization: &Organization| {
        let token = |name: &String| {
            let mails = world.laptop().mailbox().items(Some(&format!("{name}@example.com")));
            let mut tokens = mails.into_iter().filter_map(|mail| mail.token);
            tokens.find(|token| token.contains(&organization.id)).unwrap_or_default()
        };
        names.iter().map(token).collect::<Vec<_>>()
    };
    let (accepting, declining) = (tokens(&accepting), tokens(&declining));
    Stage { names, inviting, fifties, accepting, declining, resending, revoking, editing, removing, listing }
}
