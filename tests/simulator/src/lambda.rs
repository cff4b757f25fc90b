//! Lambda: functions that are invoked, killed and tried again.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::{InvitationId, OrganizationId};
use local::functions::{Functions as _, InvokeError};
use local::stream::{BatchQueue, Outcome, Policy, Record};
use reference::Operation;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::services::MailId;
use crate::world::World;

/// As in the template.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often Lambda tries an event that nobody waits for, and how long it waits before.
const ATTEMPTS: [Duration; 3] = [Duration::ZERO, Duration::from_mins(1), Duration::from_mins(2)];
/// As in the template: twenty attempts, and then a dead letter.
const STREAM_ATTEMPTS_MAX: u32 = 20;
/// A function seldom awaits more often than this, for each record that it is handed.
const AWAITS_MAX: u32 = 14;

tokio::task_local! {
    static INVOCATION: Arc<Invocation>;
}

/// The invocation that the current task works for.
pub fn invocation() -> Option<Arc<Invocation>> {
    INVOCATION.try_with(Arc::clone).ok()
}

/// One invocation of a function, and what came of it.
#[derive(Debug)]
pub struct Invocation {
    number: usize,
    /// Which function.
    pub function: String,
    /// What it does, as far as the rules ask.
    pub operation: Operation,
    /// The invitations that a batch is about.
    pub about: BTreeSet<(OrganizationId, InvitationId)>,
    /// Whether somebody else may be at the same batch.
    pub duplicate: bool,
    commits: AtomicU32,
    lost_races: AtomicU32,
    faults: AtomicU32,
    /// Mails that it has sent, or is sending, and that are not marked yet.
    unmarked: Mutex<BTreeSet<MailId>>,
}

impl Invocation {
    /// Its name in the trace.
    pub fn name(&self) -> String {
        format!("{}#{}", self.function, self.number)
    }

    /// It has changed the table.
    pub fn commits(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has changed the table.
    pub fn committed(&self) -> u32 {
        self.commits.load(Ordering::Relaxed)
    }

    /// A guard of its transaction has failed.
    pub fn loses_a_race(&self) {
        self.lost_races.fetch_add(1, Ordering::Relaxed);
    }

    /// How often a guard has failed.
    pub fn lost_races(&self) -> u32 {
        self.lost_races.load(Ordering::Relaxed)
    }

    /// It sends that mail.
    pub fn sends(&self, mail: MailId) {
        self.unmarked().insert(mail);
    }

    /// Mails that it has sent, or is sending, and that are not marked yet.
    pub fn unmarked(&self) -> MutexGuard<'_, BTreeSet<MailId>> {
        self.unmarked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something went wrong with it.
    pub fn suffers(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// How much went wrong with it.
    pub fn suffered(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
    }
}

/// Why an invocation has no answer.
#[derive(Debug)]
pub enum Failed {
    /// It was killed, or ran out of time: whatever it had begun may be done.
    Killed,
    /// It failed, and says so.
    Error(InvokeError),
}

/// A future that is dropped after so many polls: between any two of its awaits.
struct Mortal<F> {
    future: Pin<Box<F>>,
    polls: Option<u32>,
}

impl<F: Future> Future for Mortal<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.polls {
            Some(0) => return Poll::Ready(None),
            Some(polls) => *polls -= 1,
            None => {}
        }
        self.future.as_mut().poll(context).map(Some)
    }
}

/// What is invoked with what.
pub struct Event {
    /// The function.
    pub function: &'static str,
    /// What it is handed.
    pub payload: Value,
    /// What it does, as far as the rules ask.
    pub operation: Operation,
    /// The invitations that a batch is about.
    pub about: BTreeSet<(OrganizationId, InvitationId)>,
    /// Whether somebody else may be at the same batch.
    pub duplicate: bool,
}

impl Event {
    /// An event of nobody in particular.
    pub fn new(function: &'static str, payload: Value) -> Self {
        let operation = match function {
            "expire" => {
                let timer: lambda_api::Timer = serde_json::from_value(payload.clone()).expect("a timer");
                Operation::Expire(timer.into())
            }
            "reconcile" => Operation::Reconcile,
            "mail" | "feedback" => Operation::Mail,
            _ => Operation::Other,
        };
        Self { function, payload, operation, about: BTreeSet::new(), duplicate: false }
    }
}

impl World {
    /// Invokes a function once, in one of the places where it runs.
    pub async fn invoke(self: &Arc<Self>, event: Event) -> (Arc<Invocation>, Result<Value, Failed>) {
        let Event { function, payload, operation, about, duplicate } = event;
        let records = payload["Records"].as_array().map_or(1, |records| records.len().max(1));
        let records = u32::try_from(records).unwrap_or(1);
        let invocation = Arc::new(Invocation {
            number: self.next_number(),
            function: function.to_owned(),
            operation,
            about,
            duplicate,
            commits: AtomicU32::new(0),
            lost_races: AtomicU32::new(0),
            faults: AtomicU32::new(0),
            unmarked: Mutex::default(),
        });
        self.remember(&invocation);
        self.count(format!("invocations of {function}"));
        let polls = self.strikes(self.faults.kills).then(|| self.up_to(AWAITS_MAX * records));
        if polls.is_some_and(|polls| polls > AWAITS_MAX) {
            self.count("kills, late in a batch");
        }
        self.note(format_args!("{} begins", invocation.name()));
        let functions = self.any_functions();
        let work = INVOCATION.scope(Arc::clone(&invocation), functions.invoke(function, payload));
        let work = timeout(TIMEOUT, Mortal { future: Box::pin(work), polls });
        let answer = match work.await {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(error))) => Err(Failed::Error(error)),
            Ok(None) | Err(_) => {
                self.count("kills");
                invocation.suffers();
                self.excuses_mails_of(&invocation);
                Err(Failed::Killed)
            }
        };
        let told = match &answer {
            Ok(answer) => {
                answer["statusCode"].as_u64().map_or_else(|| "done".to_owned(), |it| it.to_string())
            }
            Err(Failed::Killed) => "killed".to_owned(),
            Err(Failed::Error(error)) => error.to_string(),
        };
        self.note(format_args!("{} ends: {told}", invocation.name()));
        (invocation, answer)
    }

    /// Hands an event that nobody waits for to a function, until it takes it or Lambda gives up.
    pub async fn deliver(self: Arc<Self>, function: &'static str, event: Value) {
        if self.strikes(self.faults.duplicates) {
            self.count("duplicates");
            let again = self.clone().attempt(function, event.clone());
            self.spawn(again);
        }
        self.attempt(function, event).await;
    }

    async fn attempt(self: Arc<Self>, function: &'static str, event: Value) {
        for pause in ATTEMPTS {
            sleep(pause).await;
            let (_, answer) = self.invoke(Event::new(function, event.clone())).await;
            if answer.is_ok() {
                return;
            }
        }
        self.note(format_args!("an event for {function} is given up"));
        self.count(format!("dead letters of {function}"));
    }

    /// Feeds the table's stream to one of its readers, as an event source mapping does.
    pub async fn feed(self: Arc<Self>, function: &'static str) {
        let mut position = 0;
        loop {
            self.until_stream_has(position).await;
            if self.strikes(self.faults.delays) {
                let delay = self.delay();
                self.note(format_args!("the stream of {function} waits for {} s", delay.as_secs()));
                self.count("delays");
                sleep(delay).await;
            }
            let batch_max =
                usize::try_from(self.up_to(if self.by_chance(0.5) { 100 } else { 4 })).unwrap_or(1);
            let records = self.engine.records(position);
            position += records.len();
            let policy = Policy {
                batch_max,
                attempts_max: STREAM_ATTEMPTS_MAX,
                pause_min: Duration::from_secs(1),
                pause_max: Duration::from_mins(2),
                ..Policy::default()
            };
            let mut work = BatchQueue::new(records, policy);
            while let Some(batch) = work.batch() {
                let batch = batch.to_vec();
                let duplicate = self.strikes(self.faults.duplicates);
                if duplicate {
                    self.count("duplicates");
                    let world = Arc::clone(&self);
                    let again = batch.clone();
                    self.spawn(async move {
                        sleep(world.latency() * world.up_to(20)).await;
                        drop(world.invoke(stream_event(function, &again, true)).await);
                    });
                }
                let (_, answer) = self.invoke(stream_event(function, &batch, duplicate)).await;
                let answer = answer.map_err(|failed| match failed {
                    Failed::Killed => InvokeError::TimedOut(TIMEOUT),
                    Failed::Error(error) => error,
                });
                let settled = work.settle(&Outcome::read(answer, &batch));
                if settled.dead.is_some() {
                    self.note(format_args!("a record for {function} is given up"));
                    self.count(format!("dead letters of {function}"));
                }
                if let Some(pause) = settled.pause {
                    sleep(pause).await;
                }
            }
        }
    }
}

fn stream_event(function: &'static str, batch: &[Record], duplicate: bool) -> Event {
    let key = |record: &Record, name: &str| {
        let text = record.event["dynamodb"]["Keys"][name]["S"].as_str()?;
        text.split_once('#').map(|(_, id)| id.to_owned())
    };
    let ids = batch.iter().filter_map(|record| {
        let organization = OrganizationId::parse(&key(record, "pk")?).ok()?;
        Some((organization, InvitationId::parse(&key(record, "sk")?).ok()?))
    });
    let records: Vec<_> = batch.iter().map(|record| &record.event).collect();
    Event { about: ids.collect(), duplicate, ..Event::new(function, json!({ "Records": records })) }
}
