//! Lambda: invokes functions, kills them and retries.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use domain::{InvitationId, OrganizationId};
use local::functions::{Functions as _, InvokeError};
use local::stream::{BatchOutcome, BatchQueue, Record, StreamPolicy};
use reference::Operation;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::services::MailKey;
use crate::simulation::Simulation;

/// The functions' timeout, as in the template.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The delays before Lambda's attempts at an asynchronous event.
const ATTEMPT_DELAYS: [Duration; 3] = [Duration::ZERO, Duration::from_mins(1), Duration::from_mins(2)];
/// Attempts at a stream record before it becomes a dead letter, as in the template.
const STREAM_ATTEMPTS_MAX: u32 = 20;
/// The largest number of polls per record before a kill. Few invocations need more polls than this.
const POLLS_MAX: u32 = 14;

tokio::task_local! {
    static INVOCATION: Arc<Invocation>;
}

/// Returns the invocation that the current task belongs to.
pub fn current_invocation() -> Option<Arc<Invocation>> {
    INVOCATION.try_with(Arc::clone).ok()
}

/// One invocation of a function, with its commits and faults.
#[derive(Debug)]
pub struct Invocation {
    number: usize,
    /// The name of the function.
    pub function: String,
    /// The operation that the rules of the reference model check.
    pub operation: Operation,
    /// The invitations with a record in the stream batch.
    pub invitations: BTreeSet<(OrganizationId, InvitationId)>,
    /// Whether a second invocation gets the same batch.
    pub duplicate: bool,
    commits: AtomicU32,
    failed_guards: AtomicU32,
    faults: AtomicU32,
    /// Mails that this invocation sends or has sent, and that are still stored as queued.
    unmarked_mails: Mutex<BTreeSet<MailKey>>,
}

impl Invocation {
    /// The name of the invocation in the trace.
    pub fn name(&self) -> String {
        format!("{}#{}", self.function, self.number)
    }

    /// Records that a transaction of this invocation changed the table.
    pub fn record_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many transactions of this invocation changed the table.
    pub fn commits(&self) -> u32 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Records that a guard of a transaction failed.
    pub fn record_failed_guard(&self) {
        self.failed_guards.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many transactions failed because of a guard.
    pub fn failed_guards(&self) -> u32 {
        self.failed_guards.load(Ordering::Relaxed)
    }

    /// Records that the invocation sends this mail.
    pub fn record_mail(&self, mail: MailKey) {
        self.unmarked_mails().insert(mail);
    }

    /// Returns the mails that this invocation sends or has sent, and that are still stored as queued.
    pub fn unmarked_mails(&self) -> MutexGuard<'_, BTreeSet<MailKey>> {
        self.unmarked_mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a fault that hit this invocation.
    pub fn record_fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the number of faults that hit this invocation.
    pub fn faults(&self) -> u32 {
        self.faults.load(Ordering::Relaxed)
    }
}

/// Why an invocation has no response.
#[derive(Debug)]
pub enum InvocationError {
    /// The function was killed or timed out. Requests that it has sent may still be executed.
    Killed,
    /// The function failed and reported an error.
    Failed(InvokeError),
}

/// A future that is killed after a number of polls: it then returns `None`, as if killed between two awaits.
struct KilledAfter<F> {
    future: Pin<Box<F>>,
    /// The polls left; `None` if the future is not killed.
    polls_left: Option<u32>,
}

impl<F: Future> Future for KilledAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.polls_left {
            Some(0) => return Poll::Ready(None),
            Some(polls) => *polls -= 1,
            None => {}
        }
        self.future.as_mut().poll(context).map(Some)
    }
}

/// An event for a function.
pub struct Event {
    /// The name of the function.
    pub function: &'static str,
    /// The event's JSON.
    pub payload: Value,
    /// The operation that the rules of the reference model check.
    pub operation: Operation,
    /// The invitations with a record in the stream batch.
    pub invitations: BTreeSet<(OrganizationId, InvitationId)>,
    /// Whether a second invocation gets the same batch.
    pub duplicate: bool,
}

impl Event {
    /// Creates an event that no user caused: its operation follows from the function.
    pub fn new(function: &'static str, payload: Value) -> Self {
        let operation = match function {
            "expire" => {
                let timer: lambda_api::Timer =
                    serde_json::from_value(payload.clone()).expect("the payload is a timer");
                Operation::Expire(timer.into())
            }
            "reconcile" => Operation::Reconcile,
            "mail" | "feedback" => Operation::Mail,
            _ => Operation::Other,
        };
        Self { function, payload, operation, invitations: BTreeSet::new(), duplicate: false }
    }
}

impl Simulation {
    /// Invokes a function once, in one of the execution environments.
    pub async fn invoke(self: &Arc<Self>, event: Event) -> (Arc<Invocation>, Result<Value, InvocationError>) {
        let Event { function, payload, operation, invitations, duplicate } = event;
        let records = payload["Records"].as_array().map_or(1, |records| records.len().max(1));
        let records = u32::try_from(records).unwrap_or(1);
        let invocation = Arc::new(Invocation {
            number: self.next_number(),
            function: function.to_owned(),
            operation,
            invitations,
            duplicate,
            commits: AtomicU32::new(0),
            failed_guards: AtomicU32::new(0),
            faults: AtomicU32::new(0),
            unmarked_mails: Mutex::default(),
        });
        self.record_invocation(&invocation);
        self.count(format!("invocations of {function}"));
        let is_killed = self.fault_happens(self.faults.kills);
        let polls_left = is_killed.then(|| self.random_up_to(POLLS_MAX * records));
        if polls_left.is_some_and(|polls| polls > POLLS_MAX) {
            self.count("kills, late in a batch");
        }
        self.log(format_args!("{} begins", invocation.name()));
        let functions = self.random_environment();
        let work = INVOCATION.scope(Arc::clone(&invocation), functions.invoke(function, payload));
        let work = timeout(TIMEOUT, KilledAfter { future: Box::pin(work), polls_left });
        let result = match work.await {
            Ok(Some(Ok(response))) => Ok(response),
            Ok(Some(Err(error))) => Err(InvocationError::Failed(error)),
            Ok(None) | Err(_) => {
                self.count("kills");
                invocation.record_fault();
                self.allow_duplicates_of_mails(&invocation);
                Err(InvocationError::Killed)
            }
        };
        let outcome = match &result {
            Ok(response) => {
                response["statusCode"].as_u64().map_or_else(|| "done".to_owned(), |it| it.to_string())
            }
            Err(InvocationError::Killed) => "killed".to_owned(),
            Err(InvocationError::Failed(error)) => error.to_string(),
        };
        self.log(format_args!("{} ends: {outcome}", invocation.name()));
        (invocation, result)
    }

    /// Invokes a function asynchronously, as EventBridge and its Scheduler do: with retries, and sometimes twice.
    pub async fn invoke_async(self: Arc<Self>, function: &'static str, event: Value) {
        if self.fault_happens(self.faults.duplicates) {
            self.count("duplicates");
            let duplicate = self.clone().invoke_with_retries(function, event.clone());
            self.spawn(duplicate);
        }
        self.invoke_with_retries(function, event).await;
    }

    async fn invoke_with_retries(self: Arc<Self>, function: &'static str, event: Value) {
        for delay in ATTEMPT_DELAYS {
            sleep(delay).await;
            let (_, result) = self.invoke(Event::new(function, event.clone())).await;
            if result.is_ok() {
                return;
            }
        }
        self.log(format_args!("an event for {function} becomes a dead letter"));
        self.count(format!("dead letters of {function}"));
    }

    /// Invokes a function with the table's stream in batches, as an event source mapping does. Never returns.
    pub async fn run_event_source(self: Arc<Self>, function: &'static str) {
        let mut position = 0;
        loop {
            self.wait_for_stream_records(position).await;
            if self.fault_happens(self.faults.delays) {
                let delay = self.long_delay();
                self.log(format_args!("the stream of {function} is delayed by {} s", delay.as_secs()));
                self.count("delays");
                sleep(delay).await;
            }
            let batch_max =
                usize::try_from(self.random_up_to(if self.chance(0.5) { 100 } else { 4 })).unwrap_or(1);
            let records = self.engine.stream_records(position);
            position += records.len();
            let policy = StreamPolicy {
                batch_max,
                attempts_max: STREAM_ATTEMPTS_MAX,
                pause_min: Duration::from_secs(1),
                pause_max: Duration::from_mins(2),
                ..StreamPolicy::default()
            };
            let mut queue = BatchQueue::new(records, policy);
            while let Some(batch) = queue.batch() {
                let batch = batch.to_vec();
                let duplicate = self.fault_happens(self.faults.duplicates);
                if duplicate {
                    self.count("duplicates");
                    let simulation = Arc::clone(&self);
                    let same_batch = batch.clone();
                    self.spawn(async move {
                        sleep(simulation.latency() * simulation.random_up_to(20)).await;
                        drop(simulation.invoke(stream_event(function, &same_batch, true)).await);
                    });
                }
                let (_, result) = self.invoke(stream_event(function, &batch, duplicate)).await;
                let result = result.map_err(|error| match error {
                    InvocationError::Killed => InvokeError::TimedOut(TIMEOUT),
                    InvocationError::Failed(error) => error,
                });
                let applied = queue.apply(&BatchOutcome::read(result, &batch));
                if applied.dead.is_some() {
                    self.log(format_args!("a record for {function} becomes a dead letter"));
                    self.count(format!("dead letters of {function}"));
                }
                if let Some(pause) = applied.pause {
                    sleep(pause).await;
                }
            }
        }
    }
}

/// Creates the event for a stream batch.
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
    Event { invitations: ids.collect(), duplicate, ..Event::new(function, json!({ "Records": records })) }
}
