//! Fires what fell due, as EventBridge Scheduler and Lambda's asynchronous invocation do together.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{
    aws::scheduler::{Due, Schedules},
    clock::DevClock,
    dead_letters::{self, DeadLetter},
    functions::{Functions, InvokeError},
    state::{State, StateError},
};

/// Asynchronous invocations are tried three times in all.
const ATTEMPTS_MAX: u32 = 3;
/// Lambda waits one minute and then two. Whoever advances the clock here waits for real, so it is less.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// How soon to look again after the state failed, or while nobody serves the functions.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);

/// Fires the schedules.
pub struct Scheduler {
    schedules: Arc<Schedules>,
    functions: Arc<dyn Functions>,
    state: State,
    clock: DevClock,
    /// One firing at a time: two at once would both invoke what is due.
    firing: Mutex<()>,
}

impl Scheduler {
    /// A scheduler of those schedules.
    #[must_use]
    pub fn new(
        schedules: Arc<Schedules>,
        functions: Arc<dyn Functions>,
        state: State,
        clock: DevClock,
    ) -> Self {
        Self { schedules, functions, state, clock, firing: Mutex::new(()) }
    }

    /// Invokes everything that is due at `now`, in the order of time, also what falls due by that itself,
    /// and returns how many there were once they have all run. If another firing is going on, waits for it
    /// first.
    pub async fn fire_due(&self, now: i64) -> Result<usize, StateError> {
        let _firing = self.firing.lock().await;
        let mut fired = 0;
        loop {
            // One at a time: what runs now may delete or move what comes after.
            let Some(due) = self.schedules.first_due(now) else { return Ok(fired) };
            self.fire(&due).await?;
            self.schedules.complete(&due)?;
            fired += 1;
        }
    }

    /// The next moment at which a schedule falls due.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.schedules.next_due()
    }

    /// Fires what falls due, for ever.
    pub async fn run(&self) {
        let mut offset = self.clock.moves();
        loop {
            let now = self.clock.now_unix();
            let pause = match self.fire_due(now).await {
                Ok(_) => self.next_due().map(|at| Duration::from_secs(at.saturating_sub(now).unsigned_abs())),
                Err(e) => {
                    tracing::error!(error = &e as &dyn std::error::Error, "schedules could not be fired");
                    Some(TROUBLE_PAUSE)
                }
            };
            let due = async {
                match pause {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.schedules.changed() => {}
                moved = offset.changed() => if moved.is_err() { return },
            }
        }
    }

    async fn fire(&self, due: &Due) -> Result<(), StateError> {
        let function = due.target.rsplit(':').next().unwrap_or_default();
        let mut reason = String::new();
        for attempt in 1..=ATTEMPTS_MAX {
            match self.invoke(function, &due.input).await {
                Ok(_) => return Ok(()),
                Err(e) => {
                    tracing::warn!(
                        function,
                        schedule = due.name,
                        attempt,
                        "a schedule's function failed: {e}"
                    );
                    reason = e.to_string();
                }
            }
            if attempt < ATTEMPTS_MAX {
                tokio::time::sleep(RETRY_AFTER * attempt).await;
            }
        }
        let letter = DeadLetter {
            function: function.to_owned(),
            source: "schedule".to_owned(),
            ids: json!({"group": due.group, "name": due.name, "at": due.at}),
            reason,
            attempts: ATTEMPTS_MAX,
            given_up_at: self.clock.now_unix(),
        };
        dead_letters::keep(&self.state, &format!("schedule/{}/{}/{}", due.group, due.name, due.at), &letter)
    }

    /// Invokes the function once somebody serves it: processes may be started later than the laptop, and
    /// again.
    async fn invoke(&self, function: &str, input: &Value) -> Result<Value, InvokeError> {
        loop {
            match self.functions.invoke(function, input.clone()).await {
                Err(error @ InvokeError::Unreachable { .. }) => {
                    tracing::warn!(function, "a schedule is held up; trying again: {error}");
                    tokio::time::sleep(TROUBLE_PAUSE).await;
                }
                answer => return answer,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;
    use http::Method;
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    use super::*;
    use crate::functions::fake::{Fake, failed, unreachable};

    struct World {
        schedules: Arc<Schedules>,
        functions: Arc<Fake>,
        scheduler: Arc<Scheduler>,
        clock: DevClock,
        state: State,
    }

    fn world(behaviour: impl FnMut(&str, &Value) -> Result<Value, InvokeError> + Send + 'static) -> World {
        let state = State::open(Database::memory().unwrap()).unwrap();
        let clock = DevClock::new();
        let schedules = Arc::new(Schedules::open(state.clone(), clock.clone()).unwrap());
        let functions = Arc::new(Fake::new(behaviour));
        World {
            scheduler: Arc::new(Scheduler::new(
                schedules.clone(),
                functions.clone(),
                state.clone(),
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
            let name = |(function, event): (String, Value)| {
                format!("{function} {}", event["name"].as_str().unwrap())
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
        assert_eq!(world.scheduler.next_due(), world.schedules.first_due(i64::MAX).map(|due| due.at));
    }

    #[tokio::test]
    async fn one_that_is_to_stay_stays_and_fires_once() {
        let world = world(|_, _| Ok(Value::Null));
        world.schedule(&Method::POST, "stays", 10, "NONE");
        assert_eq!(world.fire_in(20).await, 1);
        assert_eq!(world.fire_in(20).await, 0);
        assert!(world.exists("stays"));
        assert_eq!(world.scheduler.next_due(), None);
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
        let mover = Fake::new(move |_, _| {
            held.answer(&Method::PUT, "moved", "", body.as_bytes()).unwrap();
            Ok(Value::Null)
        });
        let scheduler = Scheduler::new(schedules.clone(), Arc::new(mover), state.clone(), clock.clone());
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
            while world.fired().len() < 2 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
        task.abort();
        assert_eq!(world.fired(), ["expire far", "expire near"]);
    }
}
