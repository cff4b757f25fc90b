//! Fires what fell due, as EventBridge Scheduler and Lambda's asynchronous invocation do together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use serde_json::json;
use tokio::sync::Mutex;

use crate::{
    async_invoker::{AsyncEvent, AsyncInvoker},
    aws::scheduler::{DueSchedule, Schedules},
    clock::LocalClock,
    state::StateError,
};

/// How soon to look again after the state failed.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// Seconds between two runs of `reconcile`, as the template's rule has it.
const RECONCILE_EVERY: i64 = 15 * 60;

/// Fires the schedules.
pub struct Scheduler {
    schedules: Arc<Schedules>,
    invoking: AsyncInvoker,
    clock: LocalClock,
    /// When `reconcile` runs next.
    reconcile_at: AtomicI64,
    /// How much has been fired so far.
    fired: AtomicU64,
    /// One firing at a time: two at once would both invoke what is due.
    firing: Mutex<()>,
}

impl Scheduler {
    /// A scheduler of those schedules, and of `reconcile`, which runs for the first time a quarter of an hour
    /// from now.
    #[must_use]
    pub fn new(schedules: Arc<Schedules>, invoking: AsyncInvoker, clock: LocalClock) -> Self {
        let reconcile_at = AtomicI64::new(clock.now_unix().saturating_add(RECONCILE_EVERY));
        Self { schedules, invoking, clock, reconcile_at, fired: AtomicU64::new(0), firing: Mutex::new(()) }
    }

    /// Invokes everything that is due at `now`, in the order of time, also what falls due by that itself,
    /// and returns how many there were once they have all run. If another firing is going on, waits for it
    /// first.
    pub async fn fire_due(&self, now: i64) -> Result<usize, StateError> {
        let _firing = self.firing.lock().await;
        let mut fired = 0;
        // One at a time: what runs now may delete or move what comes after.
        while let Some(due) = self.schedules.first_due(now) {
            self.fire(&due).await?;
            self.schedules.complete(&due)?;
            fired += 1;
        }
        fired += usize::from(self.reconcile_if_due(now).await?);
        self.fired.fetch_add(fired as u64, Relaxed);
        Ok(fired)
    }

    /// How much has been fired since the start, by whomever.
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.fired.load(Relaxed)
    }

    /// The next moment at which something falls due.
    fn next_due(&self) -> i64 {
        let reconcile_at = self.reconcile_at.load(Relaxed);
        self.schedules.next_due().map_or(reconcile_at, |schedule| schedule.min(reconcile_at))
    }

    /// Fires what falls due, for ever.
    pub async fn run(&self) {
        let mut offset = self.clock.moves();
        loop {
            let now = self.clock.now_unix();
            let pause = match self.fire_due(now).await {
                Ok(_) => Duration::from_secs(self.next_due().saturating_sub(now).max(0).unsigned_abs()),
                Err(e) => {
                    tracing::error!(error = &e as &dyn std::error::Error, "schedules could not be fired");
                    TROUBLE_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.schedules.changed() => {}
                moved = offset.changed() => if moved.is_err() { return },
            }
        }
    }

    async fn fire(&self, due: &DueSchedule) -> Result<(), StateError> {
        let delivery = AsyncEvent {
            function: due.target.rsplit(':').next().unwrap_or_default(),
            event: &due.input,
            source: "schedule",
            ids: json!({"group": due.group, "name": due.name, "at": due.at}),
            id: format!("{}/{}/{}", due.group, due.name, due.at),
            waits: true,
        };
        self.invoking.deliver(delivery).await
    }

    /// Invokes `reconcile` if that is due at `now`. Whoever advances the clock by hours has it run once.
    async fn reconcile_if_due(&self, now: i64) -> Result<bool, StateError> {
        if now < self.reconcile_at.load(Relaxed) {
            return Ok(false);
        }
        self.reconcile_at.store(now.saturating_add(RECONCILE_EVERY), Relaxed);
        let delivery = AsyncEvent {
            function: "reconcile",
            event: &json!({}),
            source: "schedule",
            ids: json!({"name": "reconcile", "at": now}),
            id: format!("reconcile/{now}"),
            // The next quarter of an hour comes anyway.
            waits: false,
        };
        self.invoking.deliver(delivery).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;
    use http::Method;
    use serde_json::Value;
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    use super::*;
    use crate::dead_letters;
    use crate::functions::InvokeError;
    use crate::functions::fake::{FakeFunctions, failed, unreachable};
    use crate::state::State;

    struct World {
        schedules: Arc<Schedules>,
        functions: Arc<FakeFunctions>,
        scheduler: Arc<Scheduler>,
        clock: LocalClock,
        state: State,
    }

    fn world(behaviour: impl FnMut(&str, &Value) -> Result<Value, InvokeError> + Send + 'static) -> World {
        let state = State::open(Database::memory().unwrap()).unwrap();
        let clock = LocalClock::new();
        let schedules = Arc::new(Schedules::open(state.clone(), clock.clone()).unwrap());
        let functions = Arc::new(FakeFunctions::new(behaviour));
        World {
            scheduler: Arc::new(Scheduler::new(
                schedules.clone(),
                AsyncInvoker::new(functions.clone(), state.clone(), clock.clone()),
                clock.clone(),
            )),
            schedules,
            functions,
            clock,
            state,
        }
    }

    fn at(unix: i64) -> String {
        let text = OffsetDateTime::from_unix_timestamp(unix).unwrap().format(&Rfc3339).unwrap();
        format!("at({})", text.trim_end_matches('Z'))
    }

    impl World {
        fn schedule(&self, method: &Method, name: &str, due_in: i64, after: &str) {
            let body = self.body(name, due_in, after);
            self.schedules.answer(method, name, "", body.as_bytes()).unwrap();
        }

        fn body(&self, name: &str, due_in: i64, after: &str) -> String {
            let body = json!({
                "ScheduleExpression": at(self.clock.now_unix() + due_in),
                "FlexibleTimeWindow": {"Mode": "OFF"},
                "ActionAfterCompletion": after,
                "Target": {
                    "Arn": "arn:aws:lambda:us-east-1:000000000000:function:expire",
                    "RoleArn": "arn:aws:iam::000000000000:role/scheduler",
                    "Input": json!({"name": name}).to_string(),
                },
            });
            body.to_string()
        }

        fn fired(&self) -> Vec<String> {
            let name = |(function, event): (String, Value)| match event["name"].as_str() {
                Some(name) => format!("{function} {name}"),
                None => function,
            };
            self.functions.calls().into_iter().map(name).collect()
        }

        async fn fire_in(&self, seconds: i64) -> usize {
            self.scheduler.fire_due(self.clock.now_unix() + seconds).await.unwrap()
        }

        fn exists(&self, name: &str) -> bool {
            self.schedules.answer(&Method::GET, name, "groupName=default", b"").is_ok()
        }
    }

    #[tokio::test]
    async fn what_is_due_fires_in_the_order_of_time_and_nothing_else() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "a-later", 200, "DELETE");
        world.schedule(&Method::POST, "z-first", 100, "DELETE");
        world.schedule(&Method::POST, "m-not-yet", 300, "DELETE");
        assert_eq!(world.fire_in(50).await, 0);
        assert_eq!(world.fire_in(250).await, 2);
        assert_eq!(world.fired(), ["expire z-first", "expire a-later"]);
        assert!(!world.exists("z-first") && world.exists("m-not-yet"));
        assert_eq!(Some(world.scheduler.next_due()), world.schedules.first_due(i64::MAX).map(|due| due.at));
    }

    #[tokio::test]
    async fn reconcile_runs_every_quarter_of_an_hour_after_what_is_due_and_once_however_long_it_was() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "due", 900, "DELETE");
        assert_eq!(world.fire_in(899).await, 0);
        assert_eq!(world.fire_in(900).await, 2);
        assert_eq!(world.fire_in(1_799).await, 0);
        assert_eq!(world.fire_in(48 * 3600).await, 1);
        assert_eq!(world.fired(), ["expire due", "reconcile", "reconcile"]);
    }

    #[tokio::test]
    async fn one_that_is_to_stay_stays_and_fires_once() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "stays", 10, "NONE");
        assert_eq!(world.fire_in(20).await, 1);
        assert_eq!(world.fire_in(20).await, 0);
        assert!(world.exists("stays"));
        assert_eq!(world.schedules.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_tried_again_and_a_third_is_a_dead_letter() {
        let mut failures = 2;
        let world = world(move |_, event| {
            if event["name"] == "poison" || failures > 0 {
                failures -= i32::from(event["name"] != "poison");
                return Err(failed());
            }
            Ok(Value::Null)
        });
        world.schedule(&Method::POST, "shaky", 10, "DELETE");
        world.schedule(&Method::POST, "poison", 20, "DELETE");
        assert_eq!(world.fire_in(30).await, 2);
        assert_eq!(
            world.fired(),
            [
                "expire shaky",
                "expire shaky",
                "expire shaky",
                "expire poison",
                "expire poison",
                "expire poison"
            ]
        );
        let letters = dead_letters::list(&world.state).unwrap();
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0].ids["name"], "poison");
        assert_eq!(letters[0].attempts, 3);
        assert!(!world.exists("poison"));
    }

    #[tokio::test(start_paused = true)]
    async fn functions_that_nobody_serves_yet_are_waited_for() {
        let mut absent = 20;
        let world = world(move |_, _| {
            if absent > 0 {
                absent -= 1;
                return Err(unreachable());
            }
            Ok(Value::Null)
        });
        world.schedule(&Method::POST, "waits", 10, "DELETE");
        assert_eq!(world.fire_in(20).await, 1);
        assert_eq!(world.fired().len(), 21);
        assert_eq!(dead_letters::list(&world.state).unwrap(), []);
    }

    #[tokio::test]
    async fn one_that_its_own_function_moves_is_not_completed() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "moved", 10, "DELETE");
        let World { schedules, state, clock, .. } = &world;
        let (held, body) = (schedules.clone(), world.body("moved", 500, "DELETE"));
        let mover = FakeFunctions::new(move |_, _| {
            held.answer(&Method::PUT, "moved", "", body.as_bytes()).unwrap();
            Ok(Value::Null)
        });
        let invoking = AsyncInvoker::new(Arc::new(mover), state.clone(), clock.clone());
        let scheduler = Scheduler::new(schedules.clone(), invoking, clock.clone());
        assert_eq!(scheduler.fire_due(clock.now_unix() + 20).await.unwrap(), 1);
        assert!(schedules.first_due(i64::MAX).is_some());
    }

    #[tokio::test]
    async fn schedules_outlive_the_process() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "kept", 10, "DELETE");
        let again = Schedules::open(world.state.clone(), world.clock.clone()).unwrap();
        assert!(again.first_due(i64::MAX).is_some());
        assert_eq!(again.first_due(i64::MAX), world.schedules.first_due(i64::MAX));
    }

    #[tokio::test]
    async fn the_task_wakes_when_the_clock_is_advanced_and_when_a_schedule_is_made() {
        let world = world(|_, _| Ok(Value::Null));
        let scheduler = world.scheduler.clone();
        let task = tokio::spawn(async move { scheduler.run().await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.schedule(&Method::POST, "far", 48 * 3600, "DELETE");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.fired(), [""; 0]);
        world.clock.advance(48 * 3600).unwrap();
        world.schedule(&Method::POST, "near", 1, "DELETE");
        let both = async {
            while world.fired().len() < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
        task.abort();
        assert_eq!(world.fired(), ["expire far", "reconcile", "expire near"]);
    }
}
