//! One run: a table, its functions, its people, and chance.

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
use crate::services::{MailId, Mailbox, Schedule, Schedules};

/// When every run begins: 2026-11-24T12:00:00Z.
const BEGINS: i64 = 1_795_521_600;
/// Reconcile's rhythm, as in the template.
const RECONCILE_EVERY: Duration = Duration::from_mins(15);
/// The links' key in KMS.
const LINK_KEY: &str = "alias/roster-links";
/// Places where functions run, each with a clock of its own.
const PLACES: usize = 3;
/// The clock of whoever looks may be so far behind the one that wrote.
pub const SKEW_MAX: Duration = Duration::from_secs(10);

/// A run's world.
pub struct World {
    /// What goes wrong.
    pub faults: Faults,
    /// What may be invited and mailed.
    pub limits: Option<Limits>,
    /// DynamoDB.
    pub engine: Engine,
    began: Instant,
    rng: Mutex<Rng>,
    mailbox: Mutex<Mailbox>,
    schedules: Mutex<Schedules>,
    places: OnceLock<Vec<LinkedFunctions>>,
    tasks: Mutex<JoinSet<()>>,
    /// The table after each commit, and when that was.
    tables: Mutex<Vec<(Duration, Arc<ReferenceTable>)>>,
    /// What went wrong with each mail between its sending and its mark.
    excuses: Mutex<BTreeMap<MailId, u32>>,
    /// The newest answer to each question to an index, for who is answered by one that lags.
    indexed: Mutex<BTreeMap<String, String>>,
    /// KMS.
    pub kms: Kms,
    /// Whoever reads the stream waits for it to grow, and all of them in one order.
    grown: Notify,
    numbers: AtomicUsize,
    invocations: Mutex<Vec<Arc<Invocation>>>,
    counts: Mutex<BTreeMap<String, u64>>,
    trace: Mutex<Trace>,
    failures: Mutex<Vec<String>>,
}

/// None in every other world, since people seldom wait for a minute; else the default ones, or some that are soon met.
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

/// What has happened, in order.
#[derive(Default)]
struct Trace {
    /// All of it in one number: equal runs have equal ones.
    digest: DefaultHasher,
    lines: Option<Vec<String>>,
}

/// The clock of one place.
struct PlaceClock {
    began: Instant,
    skew_millis: i64,
}

impl Clock for PlaceClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_unix(BEGINS + (elapsed + self.skew_millis).div_euclid(1_000))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The world of `seed`, with its table made; `traces` keeps every line of what happens.
    pub async fn begin(seed: u64, traces: bool) -> Arc<Self> {
        // The SDK's jitter and the store's tokens come from the thread's own generator.
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let faults = Faults::draw(&mut rng);
        let policy = Policy { seats: rng.u32(3..7), limits: draw_limits(&mut rng), ..Policy::default() };
        let world = Arc::new(Self {
            faults,
            limits: policy.limits,
            engine: Engine::in_memory(),
            began: Instant::now(),
            rng: Mutex::new(rng),
            mailbox: Mutex::default(),
            schedules: Mutex::default(),
            places: OnceLock::new(),
            tasks: Mutex::default(),
            tables: Mutex::new(vec![(Duration::ZERO, Arc::default())]),
            excuses: Mutex::default(),
            indexed: Mutex::default(),
            kms: Kms::new([(LINK_KEY.to_owned(), vec![7; 32])]),
            grown: Notify::new(),
            numbers: AtomicUsize::new(0),
            invocations: Mutex::default(),
            counts: Mutex::default(),
            trace: Mutex::new(Trace { digest: DefaultHasher::new(), lines: traces.then(Vec::new) }),
            failures: Mutex::default(),
        });
        if world.faults.skew >= Duration::from_secs(1) {
            world.count("worlds with clocks that are apart");
        }
        let faults = format!("{:?}", world.faults);
        world.note(format_args!("seed {seed}: {faults}"));
        let config = world.config();
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), TABLE);
        table.make().await.expect("the table can be made");
        let places = (0..PLACES).map(|_| world.place(&config, &policy)).collect();
        assert!(world.places.set(places).is_ok(), "places are made once");
        world
    }

    fn config(self: &Arc<Self>) -> SdkConfig {
        // The SDK remembers, per process and Region, how many retries it has left: each world has its own.
        static WORLDS: AtomicUsize = AtomicUsize::new(0);
        let region = format!("world-{}", WORLDS.fetch_add(1, Ordering::Relaxed));
        let http = SharedHttpClient::new(Network(Arc::downgrade(self)));
        sdk_config("http://aws.example", Some(http)).to_builder().region(Region::new(region)).build()
    }

    fn place(&self, config: &SdkConfig, policy: &Policy) -> LinkedFunctions {
        let most = i64::try_from(self.faults.skew.as_millis()).unwrap_or(0);
        let skew_millis = lock(&self.rng).i64(0..=most) - most / 2;
        let app = lambda_api::App {
            store: Store::new(config, TABLE),
            clock: Arc::new(PlaceClock { began: self.began, skew_millis }),
            policy: policy.clone(),
            services: (),
        };
        let key = links::Kms::new(config, &format!("sim={LINK_KEY}")).expect("a key's name");
        LinkedFunctions::assembled(app, Arc::new(key), config, "https://product.example/accept", Language::En)
            .expect("the functions can be set up")
    }

    /// An organization that `founder` has founded by the real decision.
    pub async fn founds(self: &Arc<Self>, founder: &Caller) -> OrganizationId {
        let id = OrganizationId::from_random(lock(&self.rng).u128(..).to_be_bytes());
        let founder = founder.clone().verified().expect("founders have an address");
        let name = OrganizationName::parse("Acme").expect("a name");
        let create = Create { founder, id: id.clone(), name };
        let policy = Policy { seats: self.up_to(4) + 2, ..Policy::default() };
        let store = Store::new(&self.config(), TABLE);
        let clock = PlaceClock { began: self.began, skew_millis: 0 };
        store.run(&create, &policy, &clock).await.expect("anybody founds");
        id
    }

    /// The true time.
    pub fn now(&self) -> Timestamp {
        PlaceClock { began: self.began, skew_millis: 0 }.now()
    }

    /// The time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Nothing goes wrong any more.
    pub fn is_calm(&self) -> bool {
        self.began.elapsed() >= self.faults.end
    }

    /// SES takes no mail now.
    pub fn is_outage(&self) -> bool {
        self.faults.outage.is_some_and(|(begins, lasts)| {
            let elapsed = self.began.elapsed();
            elapsed >= begins && elapsed < begins + lasts
        })
    }

    /// Resolves when nothing goes wrong any more.
    pub async fn until_calm(&self) {
        tokio::time::sleep_until(self.began + self.faults.end).await;
    }

    /// True as often as `rate` says.
    pub fn by_chance(&self, rate: f64) -> bool {
        rate > 0.0 && lock(&self.rng).f64() < rate
    }

    /// Whether something that goes wrong as often as `rate` says goes wrong now.
    pub fn strikes(&self, rate: f64) -> bool {
        !self.is_calm() && self.by_chance(rate)
    }

    /// A number from 1 to `most`.
    pub fn up_to(&self, most: u32) -> u32 {
        lock(&self.rng).u32(1..=most.max(1))
    }

    /// One of these.
    pub fn one_of<'a, T>(&self, things: &'a [T]) -> Option<&'a T> {
        lock(&self.rng).choice(things)
    }

    /// How long a request takes one way.
    pub fn latency(&self) -> Duration {
        let mut rng = lock(&self.rng);
        if rng.u8(0..10) == 0 {
            Duration::from_millis(rng.u64(30..900))
        } else {
            Duration::from_millis(rng.u64(1..30))
        }
    }

    /// Minutes or hours, but never beyond the time when things go wrong.
    pub fn delay(&self) -> Duration {
        let left = self.faults.end.saturating_sub(self.began.elapsed());
        let minutes = if self.by_chance(0.8) { self.up_to(20) } else { self.up_to(180) };
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

    /// The table, as of the last commit.
    pub fn records(&self) -> Arc<ReferenceTable> {
        let tables = lock(&self.tables);
        let (_, newest) = tables.last().expect("there is one from the beginning");
        Arc::clone(newest)
    }

    /// Every table that there was between two times since the beginning.
    pub fn tables(&self, from: Duration, until: Duration) -> Vec<Arc<ReferenceTable>> {
        let tables = lock(&self.tables);
        let first = tables.partition_point(|(since, _)| *since < from).saturating_sub(1);
        let within = tables[first..].iter().take_while(|(since, _)| *since <= until);
        within.map(|(_, table)| Arc::clone(table)).collect()
    }

    /// The moment that was so long after the beginning.
    pub fn time(elapsed: Duration) -> Timestamp {
        Timestamp::from_unix(BEGINS) + elapsed
    }

    /// Whatever `invocation` has sent and not marked may have to be sent once more.
    pub(crate) fn excuses_mails_of(&self, invocation: &Invocation) {
        let mut excuses = lock(&self.excuses);
        for mail in invocation.unmarked().iter() {
            *excuses.entry(mail.clone()).or_default() += 1;
        }
    }

    /// How often something went wrong with each mail between its sending and its mark.
    pub fn excuses(&self) -> BTreeMap<MailId, u32> {
        lock(&self.excuses).clone()
    }

    /// What an index answers: the same as it did before, if it lags.
    pub(crate) fn indexed(&self, question: &Value, answer: String) -> String {
        let values = question["ExpressionAttributeValues"].as_object().into_iter().flatten();
        // Times go on, and are no part of the question.
        let texts: Vec<_> = values.filter_map(|(name, value)| Some((name, value.get("S")?))).collect();
        let key = format!("{} {texts:?} {}", question["IndexName"], question["ExclusiveStartKey"]);
        let before = lock(&self.indexed).insert(key, answer.clone());
        match before {
            Some(before) if before != answer && self.strikes(self.faults.stale) => {
                self.note(format_args!("an index lags"));
                self.count("stale answers");
                before
            }
            _ => answer,
        }
    }

    /// One of the places where functions run.
    pub fn any_functions(&self) -> &LinkedFunctions {
        let places = self.places.get().expect("the world has begun");
        self.one_of(places).expect("there are places")
    }

    /// Does something beside everything else; a panic in it is the run's.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        lock(&self.tasks).spawn(work);
    }

    /// Panics if any task has, and forgets those that are done.
    pub fn reap(&self) {
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

    pub(crate) fn remember(&self, invocation: &Arc<Invocation>) {
        lock(&self.invocations).push(Arc::clone(invocation));
    }

    /// A name for a call, that no other call has.
    pub(crate) fn next_key(&self) -> u32 {
        u32::try_from(self.next_number()).expect("worlds are small")
    }

    /// All invocations so far.
    pub fn invocations(&self) -> Vec<Arc<Invocation>> {
        lock(&self.invocations).clone()
    }

    /// Counts what happens, for the report.
    pub fn count(&self, what: impl Into<String>) {
        *lock(&self.counts).entry(what.into()).or_default() += 1;
    }

    /// What was counted.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        lock(&self.counts).clone()
    }

    /// Writes down what happens.
    pub fn note(&self, what: fmt::Arguments<'_>) {
        let line = format!("{:>12.3} {what}", self.began.elapsed().as_secs_f64());
        let mut trace = lock(&self.trace);
        line.hash(&mut trace.digest);
        if let Some(lines) = &mut trace.lines {
            lines.push(line);
        }
    }

    /// Everything that has happened, in one number.
    pub fn digest(&self) -> u64 {
        lock(&self.trace).digest.finish()
    }

    /// The lines that were kept.
    pub fn lines(&self) -> Vec<String> {
        lock(&self.trace).lines.clone().unwrap_or_default()
    }

    /// Something is wrong with Roster.
    pub fn fails(&self, what: String) {
        self.note(format_args!("WRONG: {what}"));
        lock(&self.failures).push(what);
    }

    /// What is wrong with Roster.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.failures).clone()
    }

    /// Resolves once the stream has more than `position` records.
    pub async fn until_stream_has(&self, position: usize) {
        loop {
            let mut grown = pin!(self.grown.notified());
            grown.as_mut().enable();
            if !self.engine.records(position).is_empty() {
                return;
            }
            grown.await;
        }
    }

    /// A transaction was carried out: the table is looked at, as it is and as it was.
    pub(crate) fn committed(&self, by: Option<&Invocation>) {
        let name = by.map_or_else(|| "somebody".to_owned(), Invocation::name);
        let after = match self.engine.table() {
            Ok(after) => after,
            Err(broken) => return self.fails(format!("{name}: {broken}")),
        };
        let (before, after) = (self.records(), Arc::new(after));
        if after == before {
            return;
        }
        lock(&self.tables).push((self.elapsed(), Arc::clone(&after)));
        self.count("commits");
        if let Some(invocation) = by {
            invocation.commits();
            invocation.unmarked().retain(|(organization, id, generation)| {
                after.invitation(organization, id).is_some_and(|it| {
                    it.generation.0 == *generation
                        && it.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued)
                })
            });
        }
        self.note(format_args!("{name} commits"));
        for violation in after.violations() {
            self.fails(format!("{name}: {violation}"));
        }
        for organization in after.organizations().map(|it| &it.id).filter(|id| differ(&before, &after, id)) {
            if let Some(violation) =
                by.and_then(|by| before.violation_by(organization, &after, &by.operation))
            {
                self.fails(format!("{name}: {violation}"));
            }
            self.compare(&name, &before, &after, organization);
            self.is_within_limits(&name, &after, organization);
        }
        self.grown.notify_waiters();
    }

    /// Rule 11: nothing is counted beyond its limit.
    fn is_within_limits(&self, name: &str, stored: &ReferenceTable, organization: &OrganizationId) {
        let Some(limits) = self.limits else { return };
        let beyond = |counter: Option<WindowCounter>, limit| counter.is_some_and(|it| it.count > limit);
        if stored.organization(organization).is_some_and(|it| beyond(it.invited, limits.invitees_per_day)) {
            self.fails(format!("{name}: more are invited than may be in a day"));
        }
        if stored.members(organization).any(|it| beyond(it.mailed, limits.mails_per_hour)) {
            self.fails(format!("{name}: somebody has more mailed than they may in an hour"));
        }
        if stored.invitations(organization).any(|it| it.generation.0 > limits.mails_per_invitation) {
            self.fails(format!("{name}: an invitation has more mails than it may"));
        }
    }

    /// What no single commit may do to a record.
    fn compare(
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
                self.fails(format!("{name}: {} does not follow what it was", new.id));
            }
            let delivery = |it: &domain::Invitation| it.mail.as_ref().map(|mail| mail.delivery);
            let owed = |it| delivery(it) == Some(Delivery::Queued);
            if old.generation == new.generation && owed(new) && !owed(old) {
                self.fails(format!("{name}: the mail of {} is owed once more", new.id));
            }
            let mail = (new.organization.clone(), new.id.clone(), new.generation.0);
            if delivery(new) == Some(Delivery::Sent) && !self.mailbox().taken.contains_key(&mail) {
                self.fails(format!(
                    "{name}: the mail of {} is marked as sent, and SES never took it",
                    new.id
                ));
            }
        }
    }

    /// Fires the schedule in its time, or as chance will have it.
    pub(crate) fn waits_for(self: Arc<Self>, name: String, Schedule { at, revision, .. }: Schedule) {
        let world = Arc::clone(&self);
        self.spawn(async move {
            let due = Duration::from_secs(u64::try_from(at.unix() - world.now().unix()).unwrap_or(0));
            let is_off = |world: &Self| world.strikes(world.faults.timers_off);
            if is_off(&world) && world.by_chance(0.5) {
                world.count("timers early");
                sleep(due.saturating_sub(Duration::from_secs(u64::from(world.up_to(4))))).await;
            } else {
                sleep(due).await;
                if is_off(&world) {
                    world.count("timers late");
                    sleep(world.delay()).await;
                }
            }
            let Some(schedule) = world.schedules().complete(&name, revision) else { return };
            if world.strikes(world.faults.timers_lost) {
                world.note(format_args!("{name} never fires"));
                world.count("timers lost");
                return;
            }
            world.note(format_args!("{name} fires"));
            world.deliver("expire", schedule.input).await;
        });
    }

    /// SES tells what became of a mail, in any order, and perhaps twice.
    pub(crate) fn tells_feedback(self: Arc<Self>, link: &Link) {
        for kind in ["delivery", "bounce", "complaint"] {
            if !self.by_chance(0.2) {
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
            let world = Arc::clone(&self);
            self.spawn(async move {
                sleep(world.latency() * world.up_to(1_000)).await;
                world.deliver("feedback", event).await;
            });
        }
    }

    /// Invokes reconcile every 15 minutes. Where nothing is due, it would find nothing, and is spared.
    pub async fn reconciles(self: Arc<Self>) {
        loop {
            sleep(RECONCILE_EVERY).await;
            self.reap();
            let soon = self.now() + SKEW_MAX;
            let stored = self.records();
            let mut all = stored.organizations().flat_map(|it| stored.invitations(&it.id));
            if all.any(|it| matches!(it.state, State::Pending { due_at } if due_at <= soon)) {
                self.clone().deliver("reconcile", Value::Null).await;
            }
        }
    }
}

/// Whether anything about an organization has changed.
fn differ(before: &ReferenceTable, after: &ReferenceTable, organization: &OrganizationId) -> bool {
    before.organization(organization) != after.organization(organization)
        || !before.members(organization).eq(after.members(organization))
        || !before.invitations(organization).eq(after.invitations(organization))
}

/// Somebody with a verified address.
pub fn caller(name: &str) -> Caller {
    let email = EmailAddress::parse(&format!("{name}@example.com")).expect("an address");
    Caller { user: UserId::parse(name).expect("a user"), email: Some(email) }
}
