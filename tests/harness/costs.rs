//! What each action costs, as DynamoDB itself counts it: requests, units, bytes, and the calls of other services.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::{Policy, Role};
use local::clock::HeldClock;
use serde_json::{Value, json};

use crate::{Answer, Fixtures, MAIL_COOLDOWN, Metered, Organization, Person, TWO_DAYS, World, timer};

/// What one action costs when nobody else is at the same items.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// Which action.
    pub what: String,
    /// Requests to DynamoDB, by operation.
    pub requests: BTreeMap<String, usize>,
    /// Calls of other services, by operation.
    pub others: BTreeMap<String, usize>,
    /// Read units.
    pub read: f64,
    /// Write units of the table.
    pub write: f64,
    /// Write units of its indexes.
    pub index_write: f64,
    /// Bytes of bodies sent to DynamoDB.
    pub sent: usize,
    /// Bytes of bodies received from it.
    pub received: usize,
}

impl Cost {
    fn of(what: impl Into<String>, metered: impl IntoIterator<Item = Metered>) -> Self {
        let mut cost = Self {
            what: what.into(),
            requests: BTreeMap::new(),
            others: BTreeMap::new(),
            read: 0.0,
            write: 0.0,
            index_write: 0.0,
            sent: 0,
            received: 0,
        };
        for request in metered {
            let counts = if request.sent > 0 { &mut cost.requests } else { &mut cost.others };
            *counts.entry(request.operation).or_default() += 1;
            cost.read += request.read;
            cost.write += request.write;
            cost.index_write += request.index_write;
            cost.sent += request.sent;
            cost.received += request.received;
        }
        cost
    }
}

/// `costs` as a table of Markdown.
#[must_use]
pub fn table(costs: &[Cost]) -> String {
    let mut table = "\
| action | DynamoDB requests | read units | write units | of indexes | bytes sent | received | other calls |\n\
| --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let listed = |counts: &BTreeMap<String, usize>| {
        let each = counts.iter().map(|(operation, times)| match times {
            1 => operation.clone(),
            times => format!("{times} {operation}"),
        });
        each.collect::<Vec<_>>().join(", ")
    };
    for cost in costs {
        let Cost { what, requests, others, read, write, index_write, sent, received } = cost;
        let (requests, others) = (listed(requests), listed(others));
        let row = format!(
            "| {what} | {requests} | {read} | {write} | {index_write} | {sent} | {received} | {others} |"
        );
        // Nothing is what most rows have there.
        writeln!(table, "{}", row.replace("|  |", "| |")).expect("a string takes everything");
    }
    table
}

/// When it all happens: 2030-01-01T00:13:09Z. DynamoDB stores no trailing zeros of a number, so that what an item weighs
/// depends on the moment, and a thousand of them may come to a read unit more or less.
const MOMENT: i64 = 1_893_456_789;

/// A world whose clock stands still while something is counted.
struct Still {
    world: World,
    moment: i64,
    held: Option<HeldClock>,
}

impl Still {
    async fn start() -> Self {
        let world = World::start().await;
        world.wire().meter();
        let held = Some(world.holds(MOMENT));
        Self { world, moment: MOMENT, held }
    }

    /// Lets time pass, and everything that falls due happen.
    async fn passes(&mut self, seconds: u64) {
        self.held = None;
        self.world.passes(seconds).await;
        self.moment += i64::try_from(seconds).expect("a few days");
        self.held = Some(self.world.holds(self.moment));
    }

    async fn finish(self) {
        self.world.finish().await;
    }
}

impl std::ops::Deref for Still {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// What an organization is like in which the growing costs are counted.
const MEMBERS: [usize; 3] = [1, 100, 990];

/// Everything that costs something, one after the other in worlds of their own.
pub async fn measure() -> Vec<Cost> {
    let mut costs = of_invitations().await;
    costs.extend(of_members().await);
    costs.extend(of_lists().await);
    costs.extend(of_events().await);
    costs
}

/// The same actions in organizations of 1, 100 and 990 members.
pub async fn measure_growth() -> Vec<Cost> {
    let mut costs = Vec::new();
    for members in MEMBERS {
        let world = Still::start().await;
        let mut fixtures = Fixtures::new(Policy::default(), world.now());
        let acme = fixtures.founds("ada");
        for member in 1..members {
            fixtures.joins(&acme, "ada", &format!("member-{member}"), Role::Member);
        }
        world.load(&fixtures).await;
        let ada = world.person("ada");
        let what = |action: &str| format!("{action}, {members} members");
        costs.push(meter(&world, what("invite"), ada.invites(&acme, &["bob@example.com"], "member")).await.0);
        let token = world.token_for("bob@example.com").await;
        let bob = world.person("bob");
        costs.push(meter(&world, what("accept"), bob.accepts(&token)).await.0);
        costs.push(meter(&world, what("role-edit"), ada.edits(&acme, "bob", "owner")).await.0);
        costs.push(meter(&world, what("list of 50"), ada.lists_members(&acme, "")).await.0);
        costs.push(meter(&world, what("remove"), ada.removes(&acme, "bob")).await.0);
        world.finish().await;
    }
    costs
}

async fn meter(world: &World, what: impl Into<String>, act: impl Future<Output = Answer>) -> (Cost, Value) {
    world.idle().await;
    let _ = world.wire().take_metered();
    let answer = act.await;
    assert!(answer.status.is_success(), "{}", answer.text);
    let metered = world.wire().take_metered();
    (Cost::of(what, metered.into_iter().filter(|request| request.action)), answer.body)
}

/// What a background function has cost since the last time, once nothing is left to do.
async fn meter_works(world: &World, what: &str, function: &str) -> Cost {
    world.idle().await;
    let metered = world.wire().take_metered();
    Cost::of(what, metered.into_iter().filter(|request| request.function.as_deref() == Some(function)))
}

async fn metered_world() -> (Still, Person, Organization) {
    let world = Still::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    (world, ada, acme)
}

fn invitation_id(invited: &Value) -> String {
    invited["results"][0]["invitation"]["id"].as_str().expect("an invitation").to_owned()
}

async fn of_invitations() -> Vec<Cost> {
    let (mut world, ada, acme) = metered_world().await;
    let mut costs = vec![meter(&world, "create", ada.creates("Umbrella")).await.0];
    let fifty: Vec<_> = (10..60).map(|number| format!("p{number}@example.com")).collect();
    let fifty: Vec<_> = fifty.iter().map(String::as_str).collect();
    let (cost, invited) =
        meter(&world, "invite of 1", ada.invites(&acme, &["bob@example.com"], "member")).await;
    costs.push(cost);
    let bob = invitation_id(&invited);
    costs.push(meter(&world, "invite of 50", ada.invites(&acme, &fifty, "member")).await.0);
    let keyed = ada.with_key("0123456789");
    let what = "invite of 1 with an `Idempotency-Key`";
    costs.push(meter(&world, what, keyed.invites(&acme, &["eve@example.com"], "owner")).await.0);
    let what = "the same again";
    costs.push(meter(&world, what, keyed.invites(&acme, &["eve@example.com"], "owner")).await.0);
    world.passes(MAIL_COOLDOWN).await;
    costs.push(meter(&world, "resend", ada.resends(&acme, &bob)).await.0);
    let token = world.token_for("bob@example.com").await;
    costs.push(meter(&world, "preview", world.nobody().previews(&token)).await.0);
    costs.push(meter(&world, "accept, as member", world.person("bob").accepts(&token)).await.0);
    costs.push(meter(&world, "accept again", world.person("bob").accepts(&token)).await.0);
    let token = world.token_for("eve@example.com").await;
    costs.push(meter(&world, "accept, as owner", world.person("eve").accepts(&token)).await.0);
    let token = world.token_for("p10@example.com").await;
    costs.push(meter(&world, "decline", world.person("p10").declines(&token)).await.0);
    let p11 = ada.finds(&acme, "p11@example.com").await;
    let p11 = p11["id"].as_str().expect("an id");
    costs.push(meter(&world, "revoke", ada.revokes(&acme, p11)).await.0);
    world.finish().await;
    costs
}

async fn of_members() -> Vec<Cost> {
    let (world, ada, acme) = metered_world().await;
    for name in ["bob", "eve"] {
        world.joined(&acme, &ada, name, "member").await;
    }
    let mut costs = vec![meter(&world, "role-edit", ada.edits(&acme, "bob", "owner")).await.0];
    costs.push(meter(&world, "remove, of a member", ada.removes(&acme, "eve")).await.0);
    costs.push(meter(&world, "remove, of an owner", ada.removes(&acme, "bob")).await.0);
    let zoe = world.joined(&acme, &ada, "zoe", "owner").await;
    world.invited(&acme, &zoe, "max@example.com", "member").await;
    let token = world.token_for("max@example.com").await;
    let what = "role-edit, of an owner who has sent invitations, to member";
    costs.push(meter(&world, what, ada.edits(&acme, "zoe", "member")).await.0);
    let what = "accept, its sender having lost authority, but not all";
    costs.push(meter(&world, what, world.person("max").accepts(&token)).await.0);
    let what = "remove, of a member who has sent invitations";
    costs.push(meter(&world, what, ada.removes(&acme, "zoe")).await.0);
    costs.push(meter(&world, "organization-edit", ada.renames(&acme, "Acme Works")).await.0);
    world.finish().await;
    costs
}

async fn of_lists() -> Vec<Cost> {
    let world = Still::start().await;
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    // Which fifty come first is by their ids, and so always the same ones.
    let acme = fixtures.founds_as("ada", 0);
    for member in 1..1000 {
        fixtures.joins(&acme, "ada", &format!("member-{member}"), Role::Member);
    }
    world.load(&fixtures).await;
    let ada = world.person("ada");
    let costs = vec![
        meter(&world, "list of 50 members", ada.lists_members(&acme, "")).await.0,
        meter(&world, "list of all 1,000 members", ada.lists_members(&acme, "?limit=1000")).await.0,
        meter(&world, "list of 50 invitations", ada.lists_invitations(&acme, "")).await.0,
        meter(&world, "list of all 1,000 invitations", ada.lists_invitations(&acme, "?limit=1000")).await.0,
        meter(&world, "list of organizations", ada.lists_organizations()).await.0,
        meter(&world, "one organization", ada.looks_at(&acme)).await.0,
    ];
    world.finish().await;
    costs
}

async fn of_events() -> Vec<Cost> {
    let (mut world, ada, acme) = metered_world().await;
    world.idle().await;
    let _ = world.wire().take_metered();
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.idle().await;
    let all = world.wire().take_metered();
    let by = |function: &str| {
        let function = function.to_owned();
        all.iter().filter(move |request| request.function.as_deref() == Some(&function)).cloned()
    };
    let mut costs = vec![
        Cost::of("mail, of one mail", by("mail")),
        Cost::of("schedule, of one invitation", by("schedule")),
    ];
    world.invokes("reconcile", json!({})).await.expect("nothing is overdue");
    costs.push(meter_works(&world, "reconcile, nothing being overdue", "reconcile").await);
    let mail = world.mails_to("bob@example.com").await.remove(0);
    let _ = world.wire().take_metered();
    world.hears(&mail, json!({ "kind": "delivery" })).await;
    costs.push(meter_works(&world, "feedback, of a delivery", "feedback").await);
    world.loses_schedule(&acme, &invitation).await;
    world.passes(TWO_DAYS).await;
    let _ = world.wire().take_metered();
    world.invokes("expire", timer(&acme, &invitation)).await.expect("it is over");
    costs.push(meter_works(&world, "expire", "expire").await);
    world.finish().await;
    costs
}
