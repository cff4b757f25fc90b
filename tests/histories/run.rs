//! A run: a laptop, a few organizations, clients in each; and in the end, whether all of it can have happened.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use domain::Status;
use fastrand::Rng;
use futures_util::future::join_all;
use harness::Person;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::client::{Client, Shared};
use crate::contract::{Account, Organization};
use crate::history::{CONFLICT, History, Moments, UNAVAILABLE};
use crate::site::Site;

/// The people of an organization; all of them together need more seats than it has.
const NAMES: [&str; 8] = ["ada", "bob", "carl", "dora", "eve", "fay", "gus", "hal"];
/// By then what was owed is out, if nobody kills.
const KILLED_WITHIN_MICROS: u64 = 30_000;
/// A run takes seconds; one that hangs is no reason to wait for ever.
const WITHIN: Duration = Duration::from_mins(10);

/// How many of a thousand calls are at least of this kind and work: a sixth of what do, so that chance alone does not come
/// below it.
const WORKS_IN_A_THOUSAND: [(&str, usize); 9] = [
    ("accept", 7),
    ("invite", 18),
    ("list: invitations", 4),
    ("list: members", 4),
    ("list: organization", 4),
    ("remove", 2),
    ("resend", 3),
    ("revoke", 2),
    ("role-edit", 8),
];
/// How many of a thousand calls may be given up where nothing is in their way but each other and a busy machine.
const GIVEN_UP_IN_A_THOUSAND: usize = 20;
/// The same, where the process is killed again and again.
const GIVEN_UP_IN_A_THOUSAND_KILLED: usize = 100;

/// What is to be run. All chance comes from the seed, but for who is served first: that is the machine's.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Where chance begins.
    pub seed: u64,
    /// How many organizations there are.
    pub organizations: usize,
    /// How many clients call at a time, in each organization.
    pub clients: usize,
    /// How many calls each of them makes.
    pub calls: usize,
    /// How many seats an organization has.
    pub seats: u32,
    /// How often the process is killed before the last call.
    pub kills: usize,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Figures {
    runs: usize,
    organizations: usize,
    clients: usize,
    kills: usize,
    mails: usize,
    /// How often each kind of call had which outcome.
    pub calls: BTreeMap<(&'static str, String), usize>,
    running: Duration,
    checking: Duration,
    ways_max: usize,
    /// What is against the contract, each for a person to read.
    pub violations: Vec<String>,
}

/// Runs the plan.
pub async fn run(plan: Plan) -> Figures {
    let run = tokio::time::timeout(WITHIN, Box::pin(play(plan))).await;
    run.unwrap_or_else(|_| panic!("the run with the seed {} hangs", plan.seed))
}

async fn play(plan: Plan) -> Figures {
    let started = Instant::now();
    let moments = Arc::new(Moments::default());
    let mut site = Site::start(plan.seats, Arc::clone(&moments));
    let mut chance = Rng::with_seed(plan.seed);
    let count = watch::Sender::new(0);
    let mut founded = Vec::new();
    for number in 0..plan.organizations {
        founded.push(found(&site, number, &moments, &count).await);
    }

    let mut clients = JoinSet::new();
    for shared in &founded {
        for number in 0..plan.clients {
            let client = Client::new(number, chance.fork(), Arc::clone(shared), site.lives());
            clients.spawn(client.calls(plan.calls));
        }
    }
    let calls = plan.organizations * plan.clients * plan.calls;
    let mut kills: Vec<_> = (0..plan.kills).map(|_| chance.usize(1..calls)).collect();
    kills.sort_unstable();
    for calls in kills {
        count.subscribe().wait_for(|count| *count >= calls).await.expect("somebody counts");
        kill(&mut site, &mut chance).await;
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap_or_else(|error| panic!("seed {}: {error}", plan.seed));
    }
    if plan.kills > 0 {
        // What was answered last has to be there, too, and what was owed last goes out.
        for shared in &founded {
            owe_mail(plan, &mut chance, shared, &site).await;
        }
        kill(&mut site, &mut chance).await;
    }

    let mut figures = Figures {
        runs: 1,
        organizations: plan.organizations,
        clients: plan.clients,
        kills: site.killed().len(),
        ..Figures::default()
    };
    let visitor = visitor(&site);
    let well = json!({ "organizations": plan.organizations, "violations": [] });
    for (path, expected) in [("/_dev/idle", json!({ "idle": true })), ("/_dev/check", well)] {
        let answer = get(&visitor, path).await;
        if answer != expected {
            figures.violations.push(format!("{path}: {answer}"));
        }
    }
    for shared in &founded {
        let mut last = Client::new(plan.clients, chance.fork(), Arc::clone(shared), site.lives());
        last.looks_at_everything().await;
        figures.mailed(&visitor, shared, &mut last).await;
    }
    figures.nothing_given_up(&mut site).await;
    figures.running = started.elapsed();
    for shared in &founded {
        let history = history(shared, plan.seats, site.killed().to_vec());
        tokio::task::block_in_place(|| figures.check(plan.seed, &history));
    }
    figures
}

fn visitor(site: &Site) -> Person {
    let life = site.lives().borrow().clone();
    life.expect("the laptop runs").visitor
}

async fn get(visitor: &Person, path: &str) -> Value {
    visitor.tries(Method::GET, path, None).await.expect("nobody kills any more").body
}

/// Who may sign in around an organization. Two share an address, and one has two.
fn accounts(organization: usize) -> Vec<Account> {
    let account = |user: &str, name: &str| Account {
        user: format!("{user}-{organization}"),
        email: format!("{name}-{organization}@example.com"),
    };
    let people = NAMES.iter().map(|name| account(name, name));
    people.chain([account("bobs-twin", "bob"), account("carl", "carl-moved")]).collect()
}

async fn found(
    site: &Site,
    number: usize,
    moments: &Arc<Moments>,
    count: &watch::Sender<usize>,
) -> Arc<Shared> {
    let accounts = accounts(number);
    let founder = accounts[0].clone();
    let ada = visitor(site).signs_in_as(&founder.user).await;
    let created = ada.creates("Acme").await.is(201);
    let organization = created["id"].as_str().expect("an organization has an id");
    Arc::new(Shared::new(organization, accounts, &founder, Arc::clone(moments), count.clone()))
}

/// Kills the process in the middle of whatever it does a moment later.
async fn kill(site: &mut Site, chance: &mut Rng) {
    tokio::time::sleep(Duration::from_micros(chance.u64(..KILLED_WITHIN_MICROS))).await;
    tokio::task::block_in_place(|| site.kill_and_restart());
}

/// Pending invitations are resent at once, most of them, and nobody waits for their mails.
async fn owe_mail(plan: Plan, chance: &mut Rng, shared: &Arc<Shared>, site: &Site) {
    let client = |chance: Rng| Client::new(plan.clients, chance, Arc::clone(shared), site.lives());
    let Some((owner, invitations)) = client(chance.fork()).asks_an_owner().await else { return };
    let mut resends = Vec::new();
    for invitation in invitations.iter().filter(|it| it["status"] == json!(Status::Pending)) {
        let email = invitation["email"].as_str().expect("an invitation has an address");
        if chance.f64() < 0.7 {
            resends.push(client(chance.fork()).resends(owner.clone(), email.to_owned()));
        }
    }
    join_all(resends).await;
}

fn history(shared: &Shared, seats: u32, killed: Vec<u64>) -> History {
    let founder = &shared.accounts[0];
    History {
        organization: shared.organization.clone(),
        initial: Organization::founded_by(founder, seats),
        users: shared.accounts.iter().map(|account| account.user.clone()).collect(),
        emails: shared.accounts.iter().map(|account| account.email.clone()).collect(),
        killed,
        calls: shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    }
}

/// Where histories are kept that no order explains.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("histories")
}

impl Figures {
    /// Every pending invitation's mail is out, and its newest link opens.
    async fn mailed(&mut self, visitor: &Person, shared: &Shared, last: &mut Client) {
        let Some((_, invitations)) = last.asks_an_owner().await else {
            self.violations.push(format!("{} has no owner", shared.organization));
            return;
        };
        for invitation in invitations.iter().filter(|it| it["status"] == json!(Status::Pending)) {
            let email = invitation["email"].as_str().expect("an invitation has an address");
            let newest = last.opens_the_newest(email).await;
            let is_out = invitation["delivery"] == "sent" && !invitation["sent_at"].is_null();
            if !is_out || newest.is_none_or(|newest| invitation["generation"] != newest) {
                let newest = newest.map_or_else(|| "none".to_owned(), |newest| newest.to_string());
                self.violations.push(format!("A mail is owed; the newest is {newest}: {invitation}"));
            }
        }
        for email in shared.accounts.iter().map(|account| &account.email).collect::<BTreeSet<_>>() {
            let mails = get(visitor, &format!("/_dev/mail?to={email}")).await;
            self.mails += mails["items"].as_array().map_or(0, Vec::len);
        }
    }

    /// Nothing is among the dead letters, as only the laptop's own process can tell.
    async fn nothing_given_up(&mut self, site: &mut Site) {
        let laptop = site.open().await;
        laptop.idle().await.expect("the laptop works");
        let dead = laptop.dead_letters().expect("the laptop's own table can be read");
        self.violations.extend(dead.iter().map(|letter| format!("a dead letter: {letter:?}")));
    }

    fn check(&mut self, seed: u64, history: &History) {
        for call in &history.calls {
            *self.calls.entry((call.kind(), call.outcome())).or_default() += 1;
        }
        let started = Instant::now();
        match history.check() {
            Ok(effort) => self.ways_max = self.ways_max.max(effort.ways_max),
            Err(violation) => {
                let file = history.keep(&directory(), seed, &violation);
                let summary = &violation.summary;
                self.violations.push(format!("No order explains {}.\n{summary}", file.display()));
            }
        }
        self.checking += started.elapsed();
    }

    /// Adds another run.
    pub fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.organizations += other.organizations;
        self.clients = other.clients;
        self.kills += other.kills;
        self.mails += other.mails;
        for (call, count) in other.calls {
            *self.calls.entry(call).or_default() += count;
        }
        self.running += other.running;
        self.checking += other.checking;
        self.ways_max = self.ways_max.max(other.ways_max);
        self.violations.extend(other.violations);
    }

    /// Fails, if anything was against the contract, or too little came of it to mean anything.
    #[track_caller]
    pub fn hold(&self, seed: u64) {
        let violations = [self.violations.clone(), self.refused_too_much()].concat();
        assert!(violations.is_empty(), "ROSTER_HISTORIES_SEED={seed}\n{}\n{self}", violations.join("\n\n"));
    }

    /// What works too seldom, and what is given up too often: an order explains a service that refuses everything, too.
    pub fn refused_too_much(&self) -> Vec<String> {
        let all: usize = self.calls.values().sum();
        let times = |kind: Option<&str>, fits: &dyn Fn(&str) -> bool| -> usize {
            let counts = self
                .calls
                .iter()
                .filter(|((it, outcome), _)| kind.is_none_or(|kind| kind == *it) && fits(outcome));
            counts.map(|(_, count)| count).sum()
        };
        let worked = |outcome: &str| outcome.starts_with("20");
        let seldom = WORKS_IN_A_THOUSAND.iter().filter_map(|&(kind, floor)| {
            let worked = times(Some(kind), &worked);
            (worked * 1_000 < all * floor)
                .then(|| format!("{kind} works too seldom: {worked} times of {all} calls"))
        });
        let most = if self.kills > 0 { GIVEN_UP_IN_A_THOUSAND_KILLED } else { GIVEN_UP_IN_A_THOUSAND };
        let often = [UNAVAILABLE, CONFLICT].into_iter().filter_map(|given_up| {
            let count = times(None, &|outcome| outcome == given_up);
            (count * 1_000 > all * most)
                .then(|| format!("{given_up} too often: {count} times of {all} calls"))
        });
        seldom.chain(often).collect()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let calls: usize = self.calls.values().sum();
        writeln!(
            f,
            "{} runs, {} organizations, {} clients in each, {calls} calls, {} mails, {} kills",
            self.runs, self.organizations, self.clients, self.mails, self.kills
        )?;
        let kinds: BTreeSet<_> = self.calls.keys().map(|(kind, _)| *kind).collect();
        for kind in kinds {
            let of_kind = self.calls.iter().filter(|((it, _), _)| *it == kind);
            let outcomes: Vec<_> =
                of_kind.map(|((_, outcome), count)| format!("{count} {outcome}")).collect();
            writeln!(f, "  {kind:20} {}", outcomes.join(", "))?;
        }
        write!(
            f,
            "{:.1} s running, {:.1} s checking ({} ways at most), {} violations",
            self.running.as_secs_f64(),
            self.checking.as_secs_f64(),
            self.ways_max,
            self.violations.len()
        )
    }
}
