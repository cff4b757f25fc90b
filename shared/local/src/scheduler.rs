//! Invokes the targets of due schedules, as EventBridge Scheduler does, and `reconcile` every 15 minutes.

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

/// The pause before a retry after the state could not be read or written.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Seconds between two runs of `reconcile`, the same as in `infra/template.yaml`.
const RECONCILE_EVERY: i64 = 15 * 60;

/// Fires schedules: invokes the target of each due schedule.
pub struct Scheduler {
    schedules: Arc<Schedules>,
    invoker: AsyncInvoker,
    clock: LocalClock,
    /// When `reconcile` runs next, in seconds since the Unix epoch.
    reconcile_at: AtomicI64,
    /// The number of invocations since the start.
    fired: AtomicU64,
    /// Allows one call of `fire_due` at a time. Two concurrent calls would both invoke the same schedules.
    firing: Mutex<()>,
}

impl Scheduler {
    /// Creates a scheduler for `schedules` and for `reconcile`, which runs for the first time 15 minutes from now.
    #[must_use]
    pub fn new(schedules: Arc<Schedules>, invoker: AsyncInvoker, clock: LocalClock) -> Self {
        let reconcile_at = AtomicI64::new(clock.now_unix().saturating_add(RECONCILE_EVERY));
        Self { schedules, invoker, clock, reconcile_at, fired: AtomicU64::new(0), firing: Mutex::new(()) }
    }

    /// Fires all schedules that are due at `now`, in order of their due time, and then `reconcile` if it is due.
    ///
    /// This includes schedules that the invoked functions create. Returns the number of invocations after all of them
    /// have ended. If another call is running, waits for it first.
    pub async fn fire_due(&self, now: i64) -> Result<usize, StateError> {
        let _firing = self.firing.lock().await;
        let mut fired = 0;
        // One schedule at a time, because the invoked function may delete or update other schedules.
        while let Some(due) = self.schedules.first_due(now) {
            self.fire(&due).await?;
            self.schedules.complete(&due)?;
            fired += 1;
        }
        fired += usize::from(self.reconcile_if_due(now).await?);
        self.fired.fetch_add(fired as u64, Relaxed);
        Ok(fired)
    }

    /// The number of invocations since the start, by all calls of [`Scheduler::fire_due`].
    #[must_use]
    pub fn fired(&self) -> u64 {
        self.fired.load(Relaxed)
    }

    /// Returns the time at which the next schedule or `reconcile` is due.
    fn next_due(&self) -> i64 {
        let reconcile_at = self.reconcile_at.load(Relaxed);
        self.schedules.next_due().map_or(reconcile_at, |schedule| schedule.min(reconcile_at))
    }

    /// Fires schedules whenever they are due, until the task is aborted.
    pub async fn run(&self) {
        let mut clock_changes = self.clock.subscribe();
        loop {
            let now = self.clock.now_unix();
            let pause = match self.fire_due(now).await {
                Ok(_) => Duration::from_secs(self.next_due().saturating_sub(now).max(0).unsigned_abs()),
                Err(e) => {
                    tracing::error!(
                        error = &e as &dyn std::error::Error,
                        "firing schedules failed; retrying"
                    );
                    RETRY_PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.schedules.changed() => {}
                changed = clock_changes.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn fire(&self, due: &DueSchedule) -> Result<(), StateError> {
        let event = AsyncEvent {
            function: due.target.rsplit(':').next().unwrap_or_default(),
            payload: &due.input,
            source: "schedule",
            ids: json!({"group": due.group, "name": due.name, "at": due.at}),
            id: format!("{}/{}/{}", due.group, due.name, due.at),
            wait_until_reachable: true,
        };
        self.invoker.deliver(event).await
    }

    /// Invokes `reconcile` if it is due at `now`. It runs only once, even if the clock was advanced by several periods.
    async fn reconcile_if_due(&self, now: i64) -> Result<bool, StateError> {
        if now < self.reconcile_at.load(Relaxed) {
            return Ok(false);
        }
        self.reconcile_at.store(now.saturating_add(RECONCILE_EVERY), Relaxed);
        let event = AsyncEvent {
            function: "reconcile",
            payload: &json!({}),
            source: "schedule",
            ids: json!({"name": "reconcile", "at": now}),
            id: format!("reconcile/{now}"),
            // `reconcile` runs again in 15 minutes, so there is no need to wait.
            wait_until_reachable: false,
        };
        self.invoker.deliver(event).await?;
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
            self.schedules.handle(method, name, "", body.as_bytes()).unwrap();
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
            let describe = |(function, event): (String, Value)| match event["name"].as_str() {
                Some(name) => format!("{function} {name}"),
                None => function,
            };
            self.functions.calls().into_iter().map(describe).collect()
        }

        async fn fire_in(&self, seconds: i64) -> usize {
            self.scheduler.fire_due(self.clock.now_unix() + seconds).await.unwrap()
        }

        fn exists(&self, name: &str) -> bool {
            self.schedules.handle(&Method::GET, name, "groupName=default", b"").is_ok()
        }
    }

    #[tokio::test]
    async fn fires_only_due_schedules_in_order_of_time() {
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
    async fn runs_reconcile_every_15_minutes_after_due_schedules_and_once_after_a_long_pause() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "due", 900, "DELETE");
        assert_eq!(world.fire_in(899).await, 0);
        assert_eq!(world.fire_in(900).await, 2);
        assert_eq!(world.fire_in(1_799).await, 0);
        assert_eq!(world.fire_in(48 * 3600).await, 1);
        assert_eq!(world.fired(), ["expire due", "reconcile", "reconcile"]);
    }

    #[tokio::test]
    async fn fires_a_schedule_without_deletion_once_and_keeps_it() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "stays", 10, "NONE");
        assert_eq!(world.fire_in(20).await, 1);
        assert_eq!(world.fire_in(20).await, 0);
        assert!(world.exists("stays"));
        assert_eq!(world.schedules.next_due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn retries_a_failure_and_writes_a_dead_letter_after_the_third() {
        let mut failures = 2;
        let world = world(move |_, event| {
            if event["name"] == "poison" || failures > 0 {
                failures -= i32::from(event["name"] != "poison");
                return Err(failed());
            }
            Ok(Value::Null)
        });
        world.schedule(&Method::POST, "flaky", 10, "DELETE");
        world.schedule(&Method::POST, "poison", 20, "DELETE");
        assert_eq!(world.fire_in(30).await, 2);
        assert_eq!(
            world.fired(),
            [
                "expire flaky",
                "expire flaky",
                "expire flaky",
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
    async fn waits_for_unreachable_functions() {
        let mut failures = 20;
        let world = world(move |_, _| {
            if failures > 0 {
                failures -= 1;
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
    async fn does_not_complete_a_schedule_that_its_own_function_updates_or_creates_again() {
        for changes in [&[Method::PUT][..], &[Method::DELETE, Method::POST]] {
            let world = world(|_, _| Ok(Value::Null));
            world.schedule(&Method::POST, "moved", 10, "DELETE");
            let World { schedules, state, clock, .. } = &world;
            let (shared, body) = (schedules.clone(), world.body("moved", 500, "DELETE"));
            let functions = FakeFunctions::new(move |_, _| {
                for method in changes {
                    shared.handle(method, "moved", "groupName=default", body.as_bytes()).unwrap();
                }
                Ok(Value::Null)
            });
            let invoker = AsyncInvoker::new(Arc::new(functions), state.clone(), clock.clone());
            let scheduler = Scheduler::new(schedules.clone(), invoker, clock.clone());
            assert_eq!(scheduler.fire_due(clock.now_unix() + 20).await.unwrap(), 1);
            let moved = schedules.first_due(i64::MAX).map(|due| due.at);
            assert!(moved > Some(clock.now_unix() + 400), "{changes:?}: {moved:?}");
        }
    }

    #[tokio::test]
    async fn loads_stored_schedules_after_a_restart() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "kept", 10, "DELETE");
        let reopened = Schedules::open(world.state.clone(), world.clock.clone()).unwrap();
        assert!(reopened.first_due(i64::MAX).is_some());
        assert_eq!(reopened.first_due(i64::MAX), world.schedules.first_due(i64::MAX));
    }

    #[tokio::test]
    async fn run_fires_after_the_clock_advances_and_after_a_schedule_is_created() {
        let world = world(|_, _| Ok(Value::Null));
        let scheduler = world.scheduler.clone();
        let task = tokio::spawn(async move { scheduler.run().await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.schedule(&Method::POST, "far", 48 * 3600, "DELETE");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.fired(), [""; 0]);
        world.clock.advance(48 * 3600).unwrap();
        world.schedule(&Method::POST, "near", 1, "DELETE");
        let all_fired = async {
            while world.fired().len() < 3 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), all_fired).await.unwrap();
        task.abort();
        assert_eq!(world.fired(), ["expire far", "reconcile", "expire near"]);
    }
}
