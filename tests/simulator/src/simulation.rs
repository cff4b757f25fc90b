//! The state of one run: table, functions, clocks, random numbers and the trace, with checks after every commit.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_dynamodb::config::SharedHttpClient;
use domain::{
    Caller, Clock, Create, Delivery, EmailAddress, Language, Limits, Link, OrganizationId, OrganizationName,
    Policy, State, Timestamp, UserId, WindowCounter,
};
use fastrand::Rng;
use local::aws::kms::Kms;
use local::laptop::sdk_config;
use local::linked_functions::LinkedFunctions;
use local::table::Table;
use reference::ReferenceTable;
use serde_json::{Value, json};
use store::Store;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::engine::{Engine, TABLE};
use crate::faults::Faults;
use crate::lambda::Invocation;
use crate::network::Network;
use crate::services::{MailKey, Mailbox, Schedule, Schedules};

/// The simulated time at which every run begins: 2026-11-24T12:00:00Z.
const START: i64 = 1_795_521_600;
/// The interval of `reconcile`, as in the template.
const RECONCILE_EVERY: Duration = Duration::from_mins(15);
/// The KMS key of the links.
const LINK_KEY: &str = "alias/roster-links";
/// The number of Lambda execution environments, each with its own clock.
const ENVIRONMENTS: usize = 3;
/// An upper bound for the difference between two clocks.
pub const SKEW_MAX: Duration = Duration::from_secs(10);

/// One run of the simulator.
pub struct Simulation {
    /// The faults.
    pub faults: Faults,
    /// The limits of all functions.
    pub limits: Option<Limits>,
    /// DynamoDB.
    pub engine: Engine,
    began: Instant,
    rng: Mutex<Rng>,
    mailbox: Mutex<Mailbox>,
    schedules: Mutex<Schedules>,
    environments: OnceLock<Vec<LinkedFunctions>>,
    tasks: Mutex<JoinSet<()>>,
    /// The table after each commit, with the time of the commit since the beginning.
    tables: Mutex<Vec<(Duration, Arc<ReferenceTable>)>>,
    /// For each mail, the number of faults between its sending and its mark: so many duplicates are allowed.
    allowed_duplicates: Mutex<BTreeMap<MailKey, u32>>,
    /// The latest response to each query of an index, from which stale reads are made.
    index_responses: Mutex<BTreeMap<String, String>>,
    /// KMS.
    pub kms: Kms,
    /// Wakes the stream's event sources after a commit, always in the same order.
    stream_has_grown: Notify,
    numbers: AtomicUsize,
    invocations: Mutex<Vec<Arc<Invocation>>>,
    counts: Mutex<BTreeMap<String, u64>>,
    trace: Mutex<Trace>,
    failures: Mutex<Vec<String>>,
}

/// Draws the limits: none in half of the runs, else the default limits or tight ones.
///
/// Half of the runs have none, because the default cooldown of one minute refuses most resends.
fn draw_limits(rng: &mut Rng) -> Option<Limits> {
    let tight = Limits {
        invitees_per_day: 5,
        mails_per_hour: 2,
        pause: Duration::from_secs(1),
        mails_per_invitation: 6,
        mails_per_recipient: 4,
    };
    match rng.u8(0..4) {
        0 => Some(Limits::default()),
        1 => Some(tight),
        _ => None,
    }
}

/// The log of a run.
#[derive(Default)]
struct Trace {
    /// A hash of all lines, to compare two runs.
    digest: DefaultHasher,
    /// The lines, if they are kept.
    lines: Option<Vec<String>>,
}

/// The simulated time with the skew of one environment.
struct SkewedClock {
    began: Instant,
    skew_millis: i64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix(START + (elapsed + self.skew_millis).div_euclid(1_000))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Simulation {
    /// Creates the simulation of `seed` with an empty table. `keep_trace` keeps all lines of the log.
    pub async fn start(seed: u64, keep_trace: bool) -> Arc<Self> {
        // The SDK's jitter comes from the thread's generator.
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let faults = Faults::draw(&mut rng);
        let policy = Policy { seats: rng.u32(3..7), limits: draw_limits(&mut rng), ..Policy::default() };
        let simulation = Arc::new(Self {
            faults,
            limits: policy.limits,
            engine: Engine::in_memory(),
            began: Instant::now(),
            rng: Mutex::new(rng),
            mailbox: Mutex::default(),
            schedules: Mutex::default(),
            environments: OnceLock::new(),
            tasks: Mutex::default(),
            tables: Mutex::new(vec![(Duration::ZERO, Arc::default())]),
            allowed_duplicates: Mutex::default(),
            index_responses: Mutex::default(),
            kms: Kms::new([(LINK_KEY.to_owned(), vec![7; 32])]),
            stream_has_grown: Notify::new(),
            numbers: AtomicUsize::new(0),
            invocations: Mutex::default(),
            counts: Mutex::default(),
            trace: Mutex::new(Trace { digest: DefaultHasher::new(), lines: keep_trace.then(Vec::new) }),
            failures: Mutex::default(),
        });
        if simulation.faults.skew >= Duration::from_secs(1) {
            simulation.count("runs with clock skew");
        }
        let faults = format!("{:?}", simulation.faults);
        simulation.log(format_args!("seed {seed}: {faults}"));
        let config = simulation.config();
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), TABLE);
        table.create().await.expect("the table can be created");
        let environments = (0..ENVIRONMENTS).map(|_| simulation.environment(&config, &policy)).collect();
        assert!(simulation.environments.set(environments).is_ok(), "the environments are created once");
        simulation
    }

    fn config(self: &Arc<Self>) -> SdkConfig {
        // The SDK keeps one retry quota per process and Region. A Region per simulation keeps the runs independent.
        static REGIONS: AtomicUsize = AtomicUsize::new(0);
        let region = format!("simulation-{}", REGIONS.fetch_add(1, Ordering::Relaxed));
        let http = SharedHttpClient::new(Network(Arc::downgrade(self)));
        sdk_config("http://aws.example", Some(http)).to_builder().region(Region::new(region)).build()
    }

    /// Creates an execution environment for all functions, with its own clock.
    fn environment(&self, config: &SdkConfig, policy: &Policy) -> LinkedFunctions {
        let max = i64::try_from(self.faults.skew.as_millis()).unwrap_or(0);
        let skew_millis = lock(&self.rng).i64(0..=max) - max / 2;
        let app = lambda_api::App {
            store: Store::new(config, TABLE),
            clock: Arc::new(SkewedClock { began: self.began, skew_millis }),
            policy: policy.clone(),
            services: (),
        };
        let key =
            links::Kms::new(config, &format!("sim={LINK_KEY}")).expect("the key's configuration is valid");
        LinkedFunctions::new(app, Arc::new(key), config, "https://product.example/accept", Language::En)
            .expect("the functions start")
    }

    /// Creates an organization with this founder by the real decision.
    pub async fn create_organization(self: &Arc<Self>, founder: &Caller) -> OrganizationId {
        let id = OrganizationId::from_random(lock(&self.rng).u128(..).to_be_bytes());
        let founder = founder.clone().verified().expect("a founder has a verified address");
        let name = OrganizationName::parse("Acme").expect("the name is valid");
        let create = Create { founder, id: id.clone(), name };
        let policy = Policy { seats: self.random_up_to(4) + 2, ..Policy::default() };
        let store = Store::new(&self.config(), TABLE);
        let clock = SkewedClock { began: self.began, skew_millis: 0 };
        store.run(&create, &policy, &clock).await.expect("every user may create an organization");
        id
    }

    /// Returns the simulated time without skew.
    pub fn now(&self) -> Timestamp {
        SkewedClock { began: self.began, skew_millis: 0 }.now()
    }

    /// Returns the time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Whether the time of faults has ended.
    pub fn faults_are_over(&self) -> bool {
        self.began.elapsed() >= self.faults.end
    }

    /// Whether SES is unavailable now.
    pub fn is_ses_outage(&self) -> bool {
        self.faults.outage.is_some_and(|(begins, lasts)| {
            let elapsed = self.began.elapsed();
            elapsed >= begins && elapsed < begins + lasts
        })
    }

    /// Waits until the time of faults ends.
    pub async fn wait_until_faults_end(&self) {
        tokio::time::sleep_until(self.began + self.faults.end).await;
    }

    /// Returns true with the probability `rate`.
    pub fn chance(&self, rate: f64) -> bool {
        rate > 0.0 && lock(&self.rng).f64() < rate
    }

    /// Returns true with the probability `rate` while faults happen; false afterwards.
    pub fn fault_happens(&self, rate: f64) -> bool {
        !self.faults_are_over() && self.chance(rate)
    }

    /// Draws a number from 1 to `max`.
    pub fn random_up_to(&self, max: u32) -> u32 {
        lock(&self.rng).u32(1..=max.max(1))
    }

    /// Draws one of `values`; `None` if there are none.
    pub fn pick<'a, T>(&self, values: &'a [T]) -> Option<&'a T> {
        lock(&self.rng).choice(values)
    }

    /// Draws the duration of a request or a response on the network.
    pub fn latency(&self) -> Duration {
        let mut rng = lock(&self.rng);
        if rng.u8(0..10) == 0 {
            Duration::from_millis(rng.u64(30..900))
        } else {
            Duration::from_millis(rng.u64(1..30))
        }
    }

    /// Draws a delay of minutes or hours, which ends before the time of faults ends.
    pub fn long_delay(&self) -> Duration {
        let left = self.faults.end.saturating_sub(self.began.elapsed());
        let minutes = if self.chance(0.8) { self.random_up_to(20) } else { self.random_up_to(180) };
        left.min(Duration::from_secs(60 * u64::from(minutes)))
    }

    /// SES.
    pub fn mailbox(&self) -> MutexGuard<'_, Mailbox> {
        lock(&self.mailbox)
    }

    /// EventBridge Scheduler.
    pub fn schedules(&self) -> MutexGuard<'_, Schedules> {
        lock(&self.schedules)
    }

    /// Returns the table after the latest commit.
    pub fn latest_table(&self) -> Arc<ReferenceTable> {
        let tables = lock(&self.tables);
        let (_, latest) = tables.last().expect("the list begins with an empty table");
        Arc::clone(latest)
    }

    /// Returns every table that was current at some time between `from` and `until`, both since the beginning.
    pub fn tables_between(&self, from: Duration, until: Duration) -> Vec<Arc<ReferenceTable>> {
        let tables = lock(&self.tables);
        let first = tables.partition_point(|(since, _)| *since < from).saturating_sub(1);
        let within = tables[first..].iter().take_while(|(since, _)| *since <= until);
        within.map(|(_, table)| Arc::clone(table)).collect()
    }

    /// Returns the simulated time at `elapsed` since the beginning.
    pub fn time_at(elapsed: Duration) -> Timestamp {
        Timestamp::from_unix(START) + elapsed
    }

    /// Allows one more duplicate of each mail that `invocation` has sent and not marked, because a fault hit it.
    pub(crate) fn allow_duplicates_of_mails(&self, invocation: &Invocation) {
        let mut allowed = lock(&self.allowed_duplicates);
        for mail in invocation.unmarked_mails().iter() {
            *allowed.entry(mail.clone()).or_default() += 1;
        }
    }

    /// Returns for each mail how many duplicates its faults allow.
    pub fn allowed_duplicates(&self) -> BTreeMap<MailKey, u32> {
        lock(&self.allowed_duplicates).clone()
    }

    /// Returns `response`, or sometimes the previous response to the same query: a stale read of the index.
    pub(crate) fn maybe_stale(&self, query: &Value, response: String) -> String {
        let values = query["ExpressionAttributeValues"].as_object().into_iter().flatten();
        // Only string values identify the query: its numbers are times, which differ in every query.
        let texts: Vec<_> = values.filter_map(|(name, value)| Some((name, value.get("S")?))).collect();
        let key = format!("{} {texts:?} {}", query["IndexName"], query["ExclusiveStartKey"]);
        let previous = lock(&self.index_responses).insert(key, response.clone());
        match previous {
            Some(previous) if previous != response && self.fault_happens(self.faults.stale_reads) => {
                self.log(format_args!("an index read is stale"));
                self.count("stale index reads");
                previous
            }
            _ => response,
        }
    }

    /// Draws one of the execution environments.
    pub fn random_environment(&self) -> &LinkedFunctions {
        let environments = self.environments.get().expect("the simulation has started");
        self.pick(environments).expect("at least one environment exists")
    }

    /// Runs `task` concurrently. [`Self::join_finished`] propagates its panic.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn(task);
    }

    /// Removes the finished tasks, and panics if one of them panicked.
    pub fn join_finished(&self) {
        while let Some(done) = lock(&self.tasks).try_join_next() {
            if let Err(error) = done
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    pub(crate) fn next_number(&self) -> usize {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn record_invocation(&self, invocation: &Arc<Invocation>) {
        lock(&self.invocations).push(Arc::clone(invocation));
    }

    /// Returns a new idempotency key.
    pub(crate) fn next_idempotency_key(&self) -> u32 {
        u32::try_from(self.next_number()).expect("a run has fewer than 2^32 calls")
    }

    /// Returns all invocations so far.
    pub fn invocations(&self) -> Vec<Arc<Invocation>> {
        lock(&self.invocations).clone()
    }

    /// Counts an event for the report.
    pub fn count(&self, event: impl Into<String>) {
        *lock(&self.counts).entry(event.into()).or_default() += 1;
    }

    /// Returns how often each event was counted.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// Adds a line with the current time to the trace.
    pub fn log(&self, message: fmt::Arguments<'_>) {
        let line = format!("{:>12.3} {message}", self.began.elapsed().as_secs_f64());
        let mut trace = lock(&self.trace);
        line.hash(&mut trace.digest);
        if let Some(lines) = &mut trace.lines {
            lines.push(line);
        }
    }

    /// Returns the hash of all lines of the trace.
    pub fn digest(&self) -> u64 {
        lock(&self.trace).digest.finish()
    }

    /// Returns the lines of the trace, if they are kept.
    pub fn trace_lines(&self) -> Vec<String> {
        lock(&self.trace).lines.clone().unwrap_or_default()
    }

    /// Reports that a check of Roster failed.
    pub fn report_failure(&self, message: String) {
        self.log(format_args!("WRONG: {message}"));
        lock(&self.failures).push(message);
    }

    /// Returns all failed checks.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.failures).clone()
    }

    /// Waits until the stream has more than `position` records.
    pub async fn wait_for_stream_records(&self, position: usize) {
        loop {
            let mut grown = pin!(self.stream_has_grown.notified());
            grown.as_mut().enable();
            if !self.engine.stream_records(position).is_empty() {
                return;
            }
            grown.await;
        }
    }

    /// Checks the whole table and its changes after a transaction was committed.
    pub(crate) fn after_commit(&self, by: Option<&Invocation>) {
        let name = by.map_or_else(|| "setup".to_owned(), Invocation::name);
        let after = match self.engine.table() {
            Ok(after) => after,
            Err(corrupt) => return self.report_failure(format!("{name}: {corrupt}")),
        };
        let (before, after) = (self.latest_table(), Arc::new(after));
        if after == before {
            return;
        }
        lock(&self.tables).push((self.elapsed(), Arc::clone(&after)));
        self.count("commits");
        if let Some(invocation) = by {
            invocation.record_commit();
            invocation.unmarked_mails().retain(|(organization, id, generation)| {
                after.invitation(organization, id).is_some_and(|it| {
                    it.generation.0 == *generation
                        && it.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued)
                })
            });
        }
        self.log(format_args!("{name} commits"));
        for violation in after.violations() {
            self.report_failure(format!("{name}: {violation}"));
        }
        for organization in after.organizations().map(|it| &it.id).filter(|id| differ(&before, &after, id)) {
            if let Some(violation) = by.and_then(|by| before.broken_rule(organization, &after, &by.operation))
            {
                self.report_failure(format!("{name}: {violation}"));
            }
            self.check_invitation_changes(&name, &before, &after, organization);
            self.check_limits(&name, &after, organization);
        }
        self.stream_has_grown.notify_waiters();
    }

    /// Checks that no counter exceeds its limit (rule: limits).
    fn check_limits(&self, name: &str, table: &ReferenceTable, organization: &OrganizationId) {
        let Some(limits) = self.limits else { return };
        let exceeds = |counter: Option<WindowCounter>, limit| counter.is_some_and(|it| it.count > limit);
        if table.organization(organization).is_some_and(|it| exceeds(it.invited, limits.invitees_per_day)) {
            self.report_failure(format!("{name}: the organization exceeds its invitees per day"));
        }
        if table.members(organization).any(|it| exceeds(it.mailed, limits.mails_per_hour)) {
            self.report_failure(format!("{name}: a sender exceeds the mails per hour"));
        }
        if table.invitations(organization).any(|it| it.generation.0 > limits.mails_per_invitation) {
            self.report_failure(format!("{name}: an invitation exceeds its number of mails"));
        }
    }

    /// Checks revision, generation and delivery state of every invitation that a commit changed.
    fn check_invitation_changes(
        &self,
        name: &str,
        before: &ReferenceTable,
        after: &ReferenceTable,
        organization: &OrganizationId,
    ) {
        for new in after.invitations(organization) {
            let Some(old) = before.invitation(organization, &new.id) else { continue };
            if old == new {
                continue;
            }
            if old.status() != new.status() {
                self.count(format!("became {}", new.status()));
            }
            if new.revision.previous() != Some(old.revision) || new.generation < old.generation {
                self.report_failure(format!(
                    "{name}: {} skips or repeats a revision, or has an older generation",
                    new.id
                ));
            }
            let delivery = |it: &domain::Invitation| it.mail.as_ref().map(|mail| mail.delivery);
            let is_queued = |it| delivery(it) == Some(Delivery::Queued);
            if old.generation == new.generation && is_queued(new) && !is_queued(old) {
                self.report_failure(format!("{name}: the mail of {} is queued again", new.id));
            }
            let mail = (new.organization.clone(), new.id.clone(), new.generation.0);
            if delivery(new) == Some(Delivery::Sent) && !self.mailbox().accepted.contains_key(&mail) {
                self.report_failure(format!(
                    "{name}: the mail of {} is marked as sent, but SES did not accept it",
                    new.id
                ));
            }
        }
    }

    /// Starts the timer of a schedule. It invokes `expire` in time, unless a fault makes it early, late or lost.
    pub(crate) fn start_timer(self: Arc<Self>, name: String, Schedule { at, revision, .. }: Schedule) {
        let simulation = Arc::clone(&self);
        self.spawn(async move {
            let seconds = u64::try_from(at.unix() - simulation.now().unix()).unwrap_or(0);
            let wait = Duration::from_secs(seconds);
            let is_inexact = |simulation: &Self| simulation.fault_happens(simulation.faults.inexact_timers);
            if is_inexact(&simulation) && simulation.chance(0.5) {
                simulation.count("timers early");
                let early = Duration::from_secs(u64::from(simulation.random_up_to(4)));
                sleep(wait.saturating_sub(early)).await;
            } else {
                sleep(wait).await;
                if is_inexact(&simulation) {
                    simulation.count("timers late");
                    sleep(simulation.long_delay()).await;
                }
            }
            let Some(schedule) = simulation.schedules().complete(&name, revision) else { return };
            if simulation.fault_happens(simulation.faults.lost_timers) {
                simulation.log(format_args!("{name} never fires"));
                simulation.count("timers lost");
                return;
            }
            simulation.log(format_args!("{name} fires"));
            simulation.invoke_async("expire", schedule.input).await;
        });
    }

    /// Sends SES events about a mail to `feedback`, in any order and sometimes twice.
    pub(crate) fn send_feedback(self: Arc<Self>, link: &Link) {
        for kind in ["delivery", "bounce", "complaint"] {
            if !self.chance(0.2) {
                continue;
            }
            let mut event = json!({
                "kind": kind,
                "organization": [link.organization.as_str()],
                "invitation": [link.invitation.as_str()],
                "generation": [link.generation.0.to_string()],
                "expires_at": [link.expires_at.unix().to_string()],
            });
            if kind == "bounce" {
                event["bounce"] = json!("Permanent");
                event["reason"] = json!("General");
            }
            let simulation = Arc::clone(&self);
            self.spawn(async move {
                sleep(simulation.latency() * simulation.random_up_to(1_000)).await;
                simulation.invoke_async("feedback", event).await;
            });
        }
    }

    /// Invokes `reconcile` every 15 minutes. Never returns.
    ///
    /// Skips invocations that would find no due invitation, to save time.
    pub async fn run_reconcile(self: Arc<Self>) {
        loop {
            sleep(RECONCILE_EVERY).await;
            self.join_finished();
            let latest_now = self.now() + SKEW_MAX;
            let table = self.latest_table();
            let mut all = table.organizations().flat_map(|it| table.invitations(&it.id));
            if all.any(|it| matches!(it.state, State::Pending { due_at } if due_at <= latest_now)) {
                self.clone().invoke_async("reconcile", Value::Null).await;
            }
        }
    }
}

/// Whether the organization, a member or an invitation differs between the tables.
fn differ(before: &ReferenceTable, after: &ReferenceTable, organization: &OrganizationId) -> bool {
    before.organization(organization) != after.organization(organization)
        || !before.members(organization).eq(after.members(organization))
        || !before.invitations(organization).eq(after.invitations(organization))
}

/// Creates a caller with this name and a verified address.
pub fn caller(name: &str) -> Caller {
    let user = UserId::parse(name).expect("the name is a valid user id");
    Caller { user, email: Some(address(name, "example.com")) }
}

/// Returns the address of a user in this domain.
pub fn address(name: &str, domain: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@{domain}")).expect("the name forms a valid address")
}
