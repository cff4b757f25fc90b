//! A run: clients call a laptop (the local server started by `cargo run`) in a few organizations. In the end, the
//! histories of all organizations are checked.

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
use crate::history::{CONFLICT, History, LogicalClock, UNAVAILABLE};
use crate::laptop::RestartableLaptop;

/// The users of an organization. They need more seats than it has.
const NAMES: [&str; 8] = ["ada", "bob", "carl", "dora", "eve", "fay", "gus", "hal"];
/// The maximum delay before a kill. Without a kill, queued mail is sent within this time.
const KILL_DELAY_MAX_MICROS: u64 = 30_000;
/// A run fails after this time. It normally takes seconds.
const RUN_TIMEOUT: Duration = Duration::from_mins(10);

/// For each action, the minimum number of successful calls per 1,000 calls of all actions. It is a sixth of the usual
/// number, so a run does not fall below it by chance.
const SUCCESSES_MIN_PER_1000: [(&str, usize); 9] = [
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
/// The maximum number of calls per 1,000 that end with `conflict` or `unavailable` in a run without kills. Causes are
/// contention and a busy machine.
const GIVEN_UP_MAX_PER_1000: usize = 20;
/// The same for a run with kills.
const GIVEN_UP_MAX_PER_1000_WITH_KILLS: usize = 100;

/// The parameters of a run. All random choices follow from the seed. The order in which the server handles concurrent
/// requests does not.
#[derive(Debug, Clone, Copy)]
pub struct RunOptions {
    /// The seed of all random choices.
    pub seed: u64,
    /// The number of organizations.
    pub organizations: usize,
    /// The number of concurrent clients per organization.
    pub clients: usize,
    /// The number of calls per client.
    pub calls: usize,
    /// The number of seats per organization.
    pub seats: u32,
    /// The number of kills before the last call.
    pub kills: usize,
}

/// The statistics and violations of one or more runs.
#[derive(Debug, Default)]
pub struct RunReport {
    runs: usize,
    organizations: usize,
    clients: usize,
    kills: usize,
    mails: usize,
    /// The number of calls by action and outcome.
    pub calls: BTreeMap<(&'static str, String), usize>,
    running: Duration,
    checking: Duration,
    configurations_max: usize,
    /// The descriptions of all violations.
    pub violations: Vec<String>,
}

/// Executes a run.
pub async fn run(options: RunOptions) -> RunReport {
    let run = tokio::time::timeout(RUN_TIMEOUT, Box::pin(execute(options))).await;
    run.unwrap_or_else(|_| panic!("the run with the seed {} hangs", options.seed))
}

async fn execute(options: RunOptions) -> RunReport {
    let started = Instant::now();
    let clock = Arc::new(LogicalClock::default());
    let mut laptop = RestartableLaptop::start(options.seats, Arc::clone(&clock));
    let mut rng = Rng::with_seed(options.seed);
    let count = watch::Sender::new(0);
    let mut organizations = Vec::new();
    for number in 0..options.organizations {
        organizations.push(create_organization(&laptop, number, &clock, &count).await);
    }

    let mut clients = JoinSet::new();
    for shared in &organizations {
        for number in 0..options.clients {
            let client = Client::new(number, rng.fork(), Arc::clone(shared), laptop.subscribe());
            clients.spawn(client.run(options.calls));
        }
    }
    let calls = options.organizations * options.clients * options.calls;
    let mut kills: Vec<_> = (0..options.kills).map(|_| rng.usize(1..calls)).collect();
    kills.sort_unstable();
    for calls in kills {
        count.subscribe().wait_for(|count| *count >= calls).await.expect("the sender of the count exists");
        kill(&mut laptop, &mut rng).await;
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap_or_else(|error| panic!("seed {}: {error}", options.seed));
    }
    if options.kills > 0 {
        // The last acknowledged writes must survive a kill, and mail that is still queued must be sent after it.
        for shared in &organizations {
            resend_some_invitations(options, &mut rng, shared, &laptop).await;
        }
        kill(&mut laptop, &mut rng).await;
    }

    let mut report = RunReport {
        runs: 1,
        organizations: options.organizations,
        clients: options.clients,
        kills: laptop.killed_at().len(),
        ..RunReport::default()
    };
    let anonymous = anonymous(&laptop);
    let no_violations = json!({ "organizations": options.organizations, "violations": [] });
    for (path, expected) in [("/_dev/idle", json!({ "idle": true })), ("/_dev/check", no_violations)] {
        let response = get(&anonymous, path).await;
        if response != expected {
            report.violations.push(format!("{path}: {response}"));
        }
    }
    for shared in &organizations {
        let mut last = Client::new(options.clients, rng.fork(), Arc::clone(shared), laptop.subscribe());
        last.read_everything().await;
        report.check_mails(&anonymous, shared, &mut last).await;
    }
    report.check_dead_letters(&mut laptop).await;
    report.running = started.elapsed();
    for shared in &organizations {
        let history = history(shared, options.seats, laptop.killed_at().to_vec());
        tokio::task::block_in_place(|| report.check_history(options.seed, &history));
    }
    report
}

fn anonymous(laptop: &RestartableLaptop) -> Person {
    let instance = laptop.subscribe().borrow().clone();
    instance.expect("the laptop runs").anonymous
}

async fn get(anonymous: &Person, path: &str) -> Value {
    anonymous.tries(Method::GET, path, None).await.expect("the laptop runs").body
}

/// The accounts of an organization's clients. Two users share an address, and one user has two addresses.
fn accounts(organization: usize) -> Vec<Account> {
    let account = |user: &str, name: &str| Account {
        user: format!("{user}-{organization}"),
        email: format!("{name}-{organization}@example.com"),
    };
    let people = NAMES.iter().map(|name| account(name, name));
    people.chain([account("bobs-twin", "bob"), account("carl", "carl-moved")]).collect()
}

async fn create_organization(
    laptop: &RestartableLaptop,
    number: usize,
    clock: &Arc<LogicalClock>,
    count: &watch::Sender<usize>,
) -> Arc<Shared> {
    let accounts = accounts(number);
    let founder = accounts[0].clone();
    let ada = anonymous(laptop).signs_in_as(&founder.user).await;
    let created = ada.creates("Acme").await.is(201);
    let organization = created["id"].as_str().expect("the response contains an id");
    Arc::new(Shared::new(organization, accounts, &founder, Arc::clone(clock), count.clone()))
}

/// Kills the process after a random delay.
async fn kill(laptop: &mut RestartableLaptop, rng: &mut Rng) {
    tokio::time::sleep(Duration::from_micros(rng.u64(..KILL_DELAY_MAX_MICROS))).await;
    tokio::task::block_in_place(|| laptop.kill_and_restart());
}

/// Resends most of the pending invitations at the same time. Does not wait for their mails.
async fn resend_some_invitations(
    options: RunOptions,
    rng: &mut Rng,
    shared: &Arc<Shared>,
    laptop: &RestartableLaptop,
) {
    let client = |rng: Rng| Client::new(options.clients, rng, Arc::clone(shared), laptop.subscribe());
    let Some((owner, invitations)) = client(rng.fork()).list_as_owner().await else { return };
    let mut resends = Vec::new();
    for invitation in invitations.iter().filter(|it| it["status"] == json!(Status::Pending)) {
        let email = invitation["email"].as_str().expect("an invitation contains an address");
        if rng.f64() < 0.7 {
            resends.push(client(rng.fork()).resend(owner.clone(), email.to_owned()));
        }
    }
    join_all(resends).await;
}

fn history(shared: &Shared, seats: u32, killed_at: Vec<u64>) -> History {
    let founder = &shared.accounts[0];
    History {
        organization: shared.organization.clone(),
        initial: Organization::created_by(founder, seats),
        users: shared.accounts.iter().map(|account| account.user.clone()).collect(),
        emails: shared.accounts.iter().map(|account| account.email.clone()).collect(),
        killed_at,
        calls: shared.calls.lock().unwrap_or_else(PoisonError::into_inner).clone(),
    }
}

/// The directory for histories without an order.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("histories")
}

impl RunReport {
    /// Checks that the mail of every pending invitation was sent, and previews its newest link.
    async fn check_mails(&mut self, anonymous: &Person, shared: &Shared, last: &mut Client) {
        let Some((_, invitations)) = last.list_as_owner().await else {
            self.violations.push(format!("{} has no owner", shared.organization));
            return;
        };
        for invitation in invitations.iter().filter(|it| it["status"] == json!(Status::Pending)) {
            let email = invitation["email"].as_str().expect("an invitation contains an address");
            let newest = last.preview_newest_link(email).await;
            let is_sent = invitation["delivery"] == "sent" && !invitation["sent_at"].is_null();
            if !is_sent || newest.is_none_or(|newest| invitation["generation"] != newest) {
                let newest = newest.map_or_else(|| "none".to_owned(), |newest| newest.to_string());
                self.violations
                    .push(format!("mail not sent, the newest generation is {newest}: {invitation}"));
            }
        }
        for email in shared.accounts.iter().map(|account| &account.email).collect::<BTreeSet<_>>() {
            let mails = get(anonymous, &format!("/_dev/mail?to={email}")).await;
            self.mails += mails["items"].as_array().map_or(0, Vec::len);
        }
    }

    /// Checks that there is no dead letter. Only a laptop in the test's own process shows dead letters.
    async fn check_dead_letters(&mut self, laptop: &mut RestartableLaptop) {
        let laptop = laptop.kill_and_open().await;
        laptop.idle().await.expect("the laptop becomes idle");
        let dead = laptop.dead_letters().expect("the laptop's database can be read");
        self.violations.extend(dead.iter().map(|letter| format!("a dead letter: {letter:?}")));
    }

    fn check_history(&mut self, seed: u64, history: &History) {
        for call in &history.calls {
            *self.calls.entry((call.kind(), call.label())).or_default() += 1;
        }
        let started = Instant::now();
        match history.check() {
            Ok(stats) => self.configurations_max = self.configurations_max.max(stats.configurations_max),
            Err(violation) => {
                let file = history.save(&directory(), seed, &violation);
                let summary = &violation.summary;
                self.violations
                    .push(format!("no order explains the history in {}\n{summary}", file.display()));
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
        self.configurations_max = self.configurations_max.max(other.configurations_max);
        self.violations.extend(other.violations);
    }

    /// Panics if there are violations, or too few calls succeeded.
    #[track_caller]
    pub fn assert_passed(&self, seed: u64) {
        let violations = [self.violations.clone(), self.rate_violations()].concat();
        assert!(violations.is_empty(), "ROSTER_HISTORIES_SEED={seed}\n{}\n{self}", violations.join("\n\n"));
    }

    /// Actions with too few successful calls, and outcomes of calls that gave up too often. The checker alone would
    /// accept a service that refuses every call.
    pub fn rate_violations(&self) -> Vec<String> {
        let all: usize = self.calls.values().sum();
        let count_calls = |kind: Option<&str>, matches: &dyn Fn(&str) -> bool| -> usize {
            let counts = self
                .calls
                .iter()
                .filter(|((it, outcome), _)| kind.is_none_or(|kind| kind == *it) && matches(outcome));
            counts.map(|(_, count)| count).sum()
        };
        let worked = |outcome: &str| outcome.starts_with("20");
        let too_few = SUCCESSES_MIN_PER_1000.iter().filter_map(|&(kind, least)| {
            let worked = count_calls(Some(kind), &worked);
            (worked * 1_000 < all * least)
                .then(|| format!("{kind} succeeds too seldom: {worked} times in {all} calls"))
        });
        let most = if self.kills > 0 { GIVEN_UP_MAX_PER_1000_WITH_KILLS } else { GIVEN_UP_MAX_PER_1000 };
        let too_many = [UNAVAILABLE, CONFLICT].into_iter().filter_map(|given_up| {
            let count = count_calls(None, &|outcome| outcome == given_up);
            (count * 1_000 > all * most)
                .then(|| format!("{given_up} too often: {count} times in {all} calls"))
        });
        too_few.chain(too_many).collect()
    }
}

impl fmt::Display for RunReport {
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
            "{:.1} s running, {:.1} s checking (at most {} configurations), {} violations",
            self.running.as_secs_f64(),
            self.checking.as_secs_f64(),
            self.configurations_max,
            self.violations.len()
        )
    }
}
