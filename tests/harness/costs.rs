//! Measures the cost of each action: requests to AWS, and the capacity units that DynamoDB reports.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use domain::{Policy, Role};
use local::clock::HeldClock;
use serde_json::{Value, json};

use crate::{
    ApiResponse, Fixtures, MAIL_COOLDOWN, MeteredRequest, Organization, Person, TWO_DAYS, World, timer,
};

/// The cost of one action without concurrent requests for the same items.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// The name of the action in the table.
    pub action: String,
    /// Number of requests to DynamoDB, by operation.
    pub requests: BTreeMap<String, usize>,
    /// Number of requests to other services, by operation.
    pub others: BTreeMap<String, usize>,
    /// Read units of the table and of its indexes.
    pub read: f64,
    /// Write units of the table.
    pub write: f64,
    /// Write units of the indexes.
    pub index_write: f64,
    /// Bytes of all request bodies sent to DynamoDB.
    pub sent: usize,
    /// Bytes of all response bodies received from DynamoDB.
    pub received: usize,
}

impl Cost {
    fn of(action: impl Into<String>, metered: impl IntoIterator<Item = MeteredRequest>) -> Self {
        let mut cost = Self {
            action: action.into(),
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

/// Formats `costs` as a Markdown table.
#[must_use]
pub fn table(costs: &[Cost]) -> String {
    let mut table = "\
| action | DynamoDB requests | read units | write units | index write units | bytes sent | bytes received | other requests |\n\
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
        let Cost { action, requests, others, read, write, index_write, sent, received } = cost;
        let (requests, others) = (listed(requests), listed(others));
        let row = format!(
            "| {action} | {requests} | {read} | {write} | {index_write} | {sent} | {received} | {others} |"
        );
        // Empty cells have one space, as in the formatted Markdown.
        writeln!(table, "{}", row.replace("|  |", "| |")).expect("writing to a string never fails");
    }
    table
}

/// The time of all measurements: 2030-01-01T00:13:09Z.
///
/// The time is fixed because an item's size depends on it: DynamoDB does not store trailing zeros of a number. For a
/// list of 1,000 items the difference can be a read unit.
const START: i64 = 1_893_456_789;

/// A world with a clock that is stopped while an action is measured.
struct StoppedClockWorld {
    world: World,
    now: i64,
    held: Option<HeldClock>,
}

impl StoppedClockWorld {
    async fn start() -> Self {
        let world = World::start().await;
        world.wire().start_metering();
        let held = Some(world.stop_clock(START));
        Self { world, now: START, held }
    }

    /// Advances the clock, waits until everything that became due is done, and stops the clock again.
    async fn advance(&mut self, seconds: u64) {
        self.held = None;
        self.world.advance(seconds).await;
        self.now += i64::try_from(seconds).expect("the seconds fit into an i64");
        self.held = Some(self.world.stop_clock(self.now));
    }

    async fn finish(self) {
        self.world.finish().await;
    }
}

impl std::ops::Deref for StoppedClockWorld {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

/// Numbers of members for which [`measure_growth`] measures costs.
const MEMBERS: [usize; 3] = [1, 100, 990];

/// Measures every action.
pub async fn measure() -> Vec<Cost> {
    let mut costs = measure_invitations().await;
    costs.extend(measure_members().await);
    costs.extend(measure_lists().await);
    costs.extend(measure_events().await);
    costs
}

/// Measures the actions that could cost more with more members, in organizations of 1, 100 and 990 members.
pub async fn measure_growth() -> Vec<Cost> {
    let mut costs = Vec::new();
    for members in MEMBERS {
        let world = StoppedClockWorld::start().await;
        let mut fixtures = Fixtures::new(Policy::default(), world.now());
        let acme = fixtures.founds("ada");
        for member in 1..members {
            fixtures.joins(&acme, "ada", &format!("member-{member}"), Role::Member);
        }
        world.load(&fixtures).await;
        let ada = world.person("ada");
        let plural = if members == 1 { "" } else { "s" };
        let label = |action: &str| format!("{action}, {members} member{plural}");
        costs.push(
            measure_call(&world, label("invite"), ada.invites(&acme, &["bob@example.com"], "member")).await.0,
        );
        let token = world.token_for("bob@example.com").await;
        let bob = world.person("bob");
        costs.push(measure_call(&world, label("accept"), bob.accepts(&token)).await.0);
        costs.push(measure_call(&world, label("role-edit"), ada.edits_role(&acme, "bob", "owner")).await.0);
        costs.push(measure_call(&world, label("list of 50"), ada.lists_members(&acme, "")).await.0);
        costs.push(measure_call(&world, label("remove"), ada.removes(&acme, "bob")).await.0);
        world.finish().await;
    }
    costs
}

/// Measures one API call. Returns its cost and the response's body.
async fn measure_call(
    world: &World,
    action: impl Into<String>,
    call: impl Future<Output = ApiResponse>,
) -> (Cost, Value) {
    world.wait_until_idle().await;
    let _ = world.wire().take_metered();
    let response = call.await;
    assert!(response.status.is_success(), "{}", response.text);
    let metered = world.wire().take_metered();
    (Cost::of(action, metered.into_iter().filter(|request| request.from_api_call)), response.body)
}

/// Waits until a background function is done, and returns its cost since the last measurement.
async fn measure_function(world: &World, action: &str, function: &str) -> Cost {
    world.wait_until_idle().await;
    let metered = world.wire().take_metered();
    Cost::of(action, metered.into_iter().filter(|request| request.function.as_deref() == Some(function)))
}

async fn metered_world() -> (StoppedClockWorld, Person, Organization) {
    let world = StoppedClockWorld::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    (world, ada, acme)
}

fn invitation_id(invited: &Value) -> String {
    invited["results"][0]["invitation"]["id"].as_str().expect("the invitation has an id").to_owned()
}

async fn measure_invitations() -> Vec<Cost> {
    let (mut world, ada, acme) = metered_world().await;
    let mut costs = vec![measure_call(&world, "create", ada.creates("Umbrella")).await.0];
    let fifty: Vec<_> = (10..60).map(|number| format!("p{number}@example.com")).collect();
    let fifty: Vec<_> = fifty.iter().map(String::as_str).collect();
    let (cost, invited) =
        measure_call(&world, "invite of 1", ada.invites(&acme, &["bob@example.com"], "member")).await;
    costs.push(cost);
    let bob = invitation_id(&invited);
    costs.push(measure_call(&world, "invite of 50", ada.invites(&acme, &fifty, "member")).await.0);
    let keyed = ada.with_key("0123456789");
    let action = "invite of 1 with an `Idempotency-Key`";
    costs.push(measure_call(&world, action, keyed.invites(&acme, &["eve@example.com"], "owner")).await.0);
    let action = "the same request again";
    costs.push(measure_call(&world, action, keyed.invites(&acme, &["eve@example.com"], "owner")).await.0);
    world.advance(MAIL_COOLDOWN).await;
    costs.push(measure_call(&world, "resend", ada.resends(&acme, &bob)).await.0);
    let token = world.token_for("bob@example.com").await;
    costs.push(measure_call(&world, "preview", world.anonymous().previews(&token)).await.0);
    costs.push(measure_call(&world, "accept, as member", world.person("bob").accepts(&token)).await.0);
    costs.push(measure_call(&world, "accept again", world.person("bob").accepts(&token)).await.0);
    let token = world.token_for("p12@example.com").await;
    let moved = world.signed_in("bob", json!({ "email": "p12@example.com", "email_verified": true }));
    let action = "accept, by a member with another address";
    costs.push(measure_call(&world, action, moved.accepts(&token)).await.0);
    let token = world.token_for("eve@example.com").await;
    costs.push(measure_call(&world, "accept, as owner", world.person("eve").accepts(&token)).await.0);
    let token = world.token_for("p10@example.com").await;
    costs.push(measure_call(&world, "decline", world.person("p10").declines(&token)).await.0);
    let p11 = ada.finds_invitation(&acme, "p11@example.com").await;
    let p11 = p11["id"].as_str().expect("the invitation has an id");
    costs.push(measure_call(&world, "revoke", ada.revokes(&acme, p11)).await.0);
    world.finish().await;
    costs
}

async fn measure_members() -> Vec<Cost> {
    let (world, ada, acme) = metered_world().await;
    for name in ["bob", "eve"] {
        world.joined(&acme, &ada, name, "member").await;
    }
    let mut costs = vec![measure_call(&world, "role-edit", ada.edits_role(&acme, "bob", "owner")).await.0];
    costs.push(measure_call(&world, "remove, member", ada.removes(&acme, "eve")).await.0);
    costs.push(measure_call(&world, "remove, owner", ada.removes(&acme, "bob")).await.0);
    let zoe = world.joined(&acme, &ada, "zoe", "owner").await;
    world.invited(&acme, &zoe, "max@example.com", "member").await;
    let token = world.token_for("max@example.com").await;
    let action = "role-edit, owner with sent invitations, to member";
    costs.push(measure_call(&world, action, ada.edits_role(&acme, "zoe", "member")).await.0);
    let action = "accept, sender was demoted to member";
    costs.push(measure_call(&world, action, world.person("max").accepts(&token)).await.0);
    let action = "remove, member with sent invitations";
    costs.push(measure_call(&world, action, ada.removes(&acme, "zoe")).await.0);
    costs.push(measure_call(&world, "organization-edit", ada.renames(&acme, "Acme Works")).await.0);
    world.finish().await;
    costs
}

async fn measure_lists() -> Vec<Cost> {
    let world = StoppedClockWorld::start().await;
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    // Invitations are sorted by ids that depend on the organization's id. With a fixed id, the first page always has
    // the same items.
    let acme = fixtures.founds_as("ada", 0);
    for member in 1..1000 {
        fixtures.joins(&acme, "ada", &format!("member-{member}"), Role::Member);
    }
    world.load(&fixtures).await;
    let ada = world.person("ada");
    let costs = vec![
        measure_call(&world, "list of 50 members", ada.lists_members(&acme, "")).await.0,
        measure_call(&world, "list of all 1,000 members", ada.lists_members(&acme, "?limit=1000")).await.0,
        measure_call(&world, "list of 50 invitations", ada.lists_invitations(&acme, "")).await.0,
        measure_call(&world, "list of all 1,000 invitations", ada.lists_invitations(&acme, "?limit=1000"))
            .await
            .0,
        measure_call(&world, "list of organizations", ada.lists_organizations()).await.0,
        measure_call(&world, "get of one organization", ada.gets_organization(&acme)).await.0,
    ];
    world.finish().await;
    costs
}

async fn measure_events() -> Vec<Cost> {
    let (mut world, ada, acme) = metered_world().await;
    world.wait_until_idle().await;
    let _ = world.wire().take_metered();
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.wait_until_idle().await;
    let all = world.wire().take_metered();
    let by = |function: &str| {
        let function = function.to_owned();
        all.iter().filter(move |request| request.function.as_deref() == Some(&function)).cloned()
    };
    let mut costs =
        vec![Cost::of("mail, one mail", by("mail")), Cost::of("schedule, one invitation", by("schedule"))];
    world.invoke("reconcile", json!({})).await.expect("reconcile succeeds");
    costs.push(measure_function(&world, "reconcile, nothing overdue", "reconcile").await);
    let mail = world.mails_to("bob@example.com").await.remove(0);
    let _ = world.wire().take_metered();
    world.send_ses_event(&mail, json!({ "kind": "delivery" })).await;
    costs.push(measure_function(&world, "feedback, one delivery event", "feedback").await);
    world.delete_schedule(&acme, &invitation).await;
    world.advance(TWO_DAYS).await;
    let _ = world.wire().take_metered();
    world.invoke("expire", timer(&acme, &invitation)).await.expect("expire succeeds");
    costs.push(measure_function(&world, "expire", "expire").await);
    world.finish().await;
    costs
}
