//! The workloads for measuring functions: many calls of one kind, each of which succeeds.

use domain::{Policy, Role};
use harness::{Fixtures, Options, Organization, World};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lambda::Lambda;
use crate::load::Call;

/// Calls of one kind.
pub struct Workload {
    /// The name in the results.
    pub name: &'static str,
    /// The function that the calls invoke.
    pub function: &'static str,
    calls: Vec<Call>,
}

impl Workload {
    /// The number of calls left.
    pub fn left(&self) -> usize {
        self.calls.len()
    }

    /// Makes the next call and waits until the laptop is idle. Fails if the call does not succeed.
    pub async fn run_next(&mut self, world: &World) -> Result<(), String> {
        let call = self.calls.pop().ok_or_else(|| format!("no call of {} is left", self.name))?;
        call.send_expecting_success().await?;
        world.wait_until_idle().await;
        Ok(())
    }
}

/// Starts a laptop (the local server started by `cargo run`) that invokes the functions in `lambda`.
///
/// Its database is a file in `directory`, because with a database in memory each read of the stream scans all stream
/// records.
pub async fn start_world(lambda: &Lambda, directory: &TempDir) -> World {
    let db = Some(directory.path().join("roster.db"));
    let options = Options { db, functions: Some(lambda.url()), kms: true, ..Options::default() };
    let world = World::with(options).await;
    lambda.connect_aws(world.laptop());
    world
}

/// Finishes the world, which checks all rules, if the measurement succeeded. Returns `result`.
pub async fn finish<T>(world: World, result: Result<T, String>) -> Result<T, String> {
    match result {
        Ok(_) => world.finish().await,
        // Dropping an unfinished world panics, which would hide the error.
        Err(_) => std::mem::forget(world),
    }
    result
}

/// The prepared organizations, tokens and paths.
struct Prepared {
    names: Vec<String>,
    inviting: Organization,
    invites_of_50: Vec<Organization>,
    accepting: Vec<String>,
    declining: Vec<String>,
    resending: Vec<String>,
    revoking: Vec<String>,
    editing: Organization,
    removing: Organization,
    listing: Organization,
}

/// Prepares every workload with `times` calls, at most 900, because each workload has its own organization of 1,000
/// seats. Invites of 50 addresses have a fifth of these calls.
pub async fn workloads(world: &World, times: usize) -> Vec<Workload> {
    let prepared = prepare(world, times).await;
    let ada = world.person("ada");
    let call = |method: &Method, path: String, body: Option<Value>| {
        Call::new(&ada, method.clone(), path, body.as_ref())
    };
    let (get, post, patch, delete) = (&Method::GET, &Method::POST, &Method::PATCH, &Method::DELETE);
    let link_calls = |tokens: &[String], path: &str| {
        let calls = prepared.names.iter().zip(tokens).map(|(name, token)| {
            let body = json!({ "token": token });
            Call::new(&world.person(name), Method::POST, path.to_owned(), Some(&body))
        });
        calls.collect::<Vec<_>>()
    };
    let call_per_name = |of: &dyn Fn(&String) -> Call| prepared.names.iter().map(of).collect::<Vec<_>>();
    let invite_call = |organization: &Organization, emails: Vec<String>| {
        let body = json!({ "emails": emails, "role": "member" });
        call(post, organization.path("/invitations"), Some(body))
    };
    let invites_of_50 = prepared.names.iter().take(times.div_ceil(5)).enumerate().map(|(number, name)| {
        let emails = (0..50).map(|nth| format!("{nth}-{name}@example.com")).collect();
        invite_call(&prepared.invites_of_50[number / INVITES_OF_50_PER_ORGANIZATION], emails)
    });
    let member = |organization: &Organization, name: &str| organization.path(&format!("/members/{name}"));
    let owner = json!({ "role": "owner" });
    let workload = |name, function, calls| Workload { name, function, calls };
    let create = |_: &String| call(post, "/v1/organizations".to_owned(), Some(json!({ "name": "Acme" })));
    let rename = |name: &String| call(patch, prepared.editing.path(""), Some(json!({ "name": name })));
    let list =
        |query: &str| call_per_name(&|_| call(get, prepared.listing.path(&format!("/members{query}")), None));
    let paths =
        |method, paths: &[String]| paths.iter().map(|path| call(method, path.clone(), None)).collect();
    let previewed = vec![prepared.declining[0].clone(); times];
    vec![
        workload("create", "create", call_per_name(&create)),
        workload("organization-edit", "organization-edit", call_per_name(&rename)),
        workload(
            "invite of 1",
            "invite",
            call_per_name(&|name| invite_call(&prepared.inviting, vec![format!("one-{name}@example.com")])),
        ),
        workload("invite of 50", "invite", invites_of_50.collect()),
        workload("resend", "resend", paths(post, &prepared.resending)),
        workload("preview", "preview", link_calls(&previewed, "/v1/invitations/preview")),
        workload("accept", "accept", link_calls(&prepared.accepting, "/v1/invitations/accept")),
        workload("decline", "decline", link_calls(&prepared.declining, "/v1/invitations/decline")),
        workload("revoke", "revoke", paths(delete, &prepared.revoking)),
        workload(
            "role-edit",
            "role-edit",
            call_per_name(&|name| call(patch, member(&prepared.editing, name), Some(owner.clone()))),
        ),
        workload(
            "remove",
            "remove",
            call_per_name(&|name| call(delete, member(&prepared.removing, name), None)),
        ),
        workload("list of 50 members", "list", list("")),
        workload("list of all 1,000 members", "list", list("?limit=1000")),
    ]
}

/// The number of invites of 50 addresses for which an organization has seats.
const INVITES_OF_50_PER_ORGANIZATION: usize = 18;

/// Writes the organizations to the table, and collects the tokens and paths for the calls.
async fn prepare(world: &World, times: usize) -> Prepared {
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    let names: Vec<_> = (0..999).map(|number| format!("guest-{number:03}")).collect();
    let mut organization_with = |members: usize, invited: usize| {
        let organization = fixtures.founds("ada");
        names[..members].iter().for_each(|name| fixtures.joins(&organization, "ada", name, Role::Member));
        names[..invited].iter().for_each(|name| fixtures.invites(&organization, "ada", name, Role::Member));
        organization
    };
    let invites_of_50 = (0..times.div_ceil(5).div_ceil(INVITES_OF_50_PER_ORGANIZATION))
        .map(|_| organization_with(0, 0))
        .collect();
    let inviting = organization_with(0, 0);
    let [accepting, declining, resending, revoking] = [(); 4].map(|()| organization_with(0, times));
    let [editing, removing, listing] = [times, times, 999].map(|members| organization_with(members, 0));
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
    Prepared {
        names,
        inviting,
        invites_of_50,
        accepting,
        declining,
        resending,
        revoking,
        editing,
        removing,
        listing,
    }
}
