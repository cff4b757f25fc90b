//! EventBridge Scheduler's one-time schedules: kept here, fired by [`crate::scheduler`].
//!
//! Groups need not be made first, and a flexible window is read but not waited for.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::Notify;

use super::AwsError;
use crate::{
    clock::LocalClock,
    query::query_pairs,
    state::{State, StateError},
};

const KIND: &str = "schedule";
const DEFAULT_GROUP: &str = "default";
const NAME_BYTES_MAX: usize = 64;
const ARN_PREFIX: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule";

/// All schedules.
pub struct Schedules {
    state: State,
    clock: LocalClock,
    /// By group and name. What the state holds is the same.
    held: Mutex<BTreeMap<(String, String), Schedule>>,
    changed: Notify,
}

/// A schedule whose moment has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedule {
    /// Its group.
    pub group: String,
    /// Its name.
    pub name: String,
    /// The moment, seconds since the Unix epoch.
    pub at: i64,
    /// The ARN of the function to invoke.
    pub target: String,
    /// The event for it.
    pub input: Value,
    /// Which writing of the schedule this is.
    revision: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Schedule {
    group: String,
    name: String,
    at: i64,
    definition: Definition,
    created_at: i64,
    modified_at: i64,
    /// Rises with every update, so that firing never completes a schedule that was moved meanwhile.
    revision: u64,
    /// Fired, and kept because nobody asked for its deletion.
    completed: bool,
}

/// The body of `CreateSchedule` and `UpdateSchedule`; the latter replaces all of it too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    #[serde(default = "none")]
    action_after_completion: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    flexible_time_window: Option<Window>,
    group_name: Option<String>,
    schedule_expression: Option<String>,
    #[serde(default = "utc")]
    schedule_expression_timezone: String,
    #[serde(default = "enabled")]
    state: String,
    target: Option<Target>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Window {
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum_window_in_minutes: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Target {
    arn: String,
    role_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<String>,
    /// Retry policy, dead-letter queue: kept and given back.
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

fn none() -> String {
    "NONE".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

fn enabled() -> String {
    "ENABLED".to_owned()
}

impl Schedules {
    /// Opens the schedules with what the state holds.
    pub fn open(state: State, clock: LocalClock) -> Result<Self, StateError> {
        let kept = state.list::<Schedule>(KIND)?;
        let held = kept.into_iter().map(|(_, schedule)| (schedule.key(), schedule)).collect();
        Ok(Self { state, clock, held: Mutex::new(held), changed: Notify::new() })
    }

    /// Of the schedules whose moment has come, the earliest.
    #[must_use]
    pub fn first_due(&self, now: i64) -> Option<DueSchedule> {
        let held = self.held();
        held.values().filter(|s| s.is_waiting() && s.at <= now).min_by_key(|s| s.at).map(Schedule::due)
    }

    /// The next moment at which one falls due.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.held().values().filter(|s| s.is_waiting()).map(|s| s.at).min()
    }

    /// Marks one as done, or deletes it if that is what it says. One that was updated meanwhile stays.
    pub fn complete(&self, due: &DueSchedule) -> Result<(), StateError> {
        let mut held = self.held();
        let key = (due.group.clone(), due.name.clone());
        let Some(schedule) = held.get_mut(&key).filter(|schedule| schedule.revision == due.revision) else {
            return Ok(());
        };
        if schedule.definition.action_after_completion == "DELETE" {
            self.state.delete(KIND, &schedule.id())?;
            held.remove(&key);
        } else {
            schedule.completed = true;
            self.state.put(KIND, &schedule.id(), schedule)?;
        }
        Ok(())
    }

    /// Resolves when a schedule was made, moved or deleted. For one waiter; a change between two waits is
    /// not missed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    pub(crate) fn answer(
        &self,
        method: &Method,
        name: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Value, AwsError> {
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        check_name("Name", &name)?;
        let define = || serde_json::from_slice(body).map_err(|e| AwsError::validation(e.to_string()));
        let group =
            || query_pairs(query).into_iter().find(|(key, _)| key == "groupName").map(|(_, group)| group);
        match *method {
            Method::POST => self.create(name, define()?),
            Method::PUT => self.update(name, define()?),
            Method::GET => self.get(name, group()),
            Method::DELETE => self.delete(name, group()),
            _ => Err(AwsError::unknown(format!("the laptop has no {method} on a schedule"))),
        }
    }

    fn create(&self, name: String, definition: Definition) -> Result<Value, AwsError> {
        let now = self.clock.now_unix();
        let (key, at) = definition.check(name, now)?;
        let mut held = self.held();
        if let Some(existing) = held.get(&key) {
            // The retry of a request whose answer was lost.
            if definition.client_token.is_some() && existing.definition == definition {
                return Ok(json!({"ScheduleArn": existing.arn()}));
            }
            let message = format!("Schedule {} already exists.", key.1);
            return Err(AwsError::new(StatusCode::CONFLICT, "ConflictException", message));
        }
        self.write(&mut held, Schedule::new(key, at, definition, now))
    }

    fn update(&self, name: String, definition: Definition) -> Result<Value, AwsError> {
        let now = self.clock.now_unix();
        let (key, at) = definition.check(name, now)?;
        let mut held = self.held();
        let existing = held.get(&key).ok_or_else(|| not_found(&key.1))?;
        let schedule = Schedule {
            created_at: existing.created_at,
            revision: existing.revision + 1,
            ..Schedule::new(key, at, definition, now)
        };
        self.write(&mut held, schedule)
    }

    fn write(
        &self,
        held: &mut BTreeMap<(String, String), Schedule>,
        schedule: Schedule,
    ) -> Result<Value, AwsError> {
        self.state.put(KIND, &schedule.id(), &schedule)?;
        let answer = json!({"ScheduleArn": schedule.arn()});
        held.insert(schedule.key(), schedule);
        self.changed.notify_one();
        Ok(answer)
    }

    fn get(&self, name: String, group: Option<String>) -> Result<Value, AwsError> {
        let key = key_of(group, name)?;
        self.held().get(&key).map(Schedule::describe).ok_or_else(|| not_found(&key.1))
    }

    fn delete(&self, name: String, group: Option<String>) -> Result<Value, AwsError> {
        let key = key_of(group, name)?;
        let mut held = self.held();
        let schedule = held.get(&key).ok_or_else(|| not_found(&key.1))?;
        self.state.delete(KIND, &schedule.id())?;
        held.remove(&key);
        self.changed.notify_one();
        Ok(json!({}))
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<(String, String), Schedule>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Definition {
    /// Where the schedule belongs and when it is due, unless the service would refuse it.
    fn check(&self, name: String, now: i64) -> Result<((String, String), i64), AwsError> {
        let key = key_of(self.group_name.clone(), name)?;
        let window = self.flexible_time_window.as_ref();
        let window = window.ok_or_else(|| AwsError::validation("FlexibleTimeWindow must not be null"))?;
        match (window.mode.as_str(), window.maximum_window_in_minutes) {
            ("OFF", None) | ("FLEXIBLE", Some(1..=1440)) => {}
            _ => {
                return Err(AwsError::validation(
                    "FlexibleTimeWindow is neither OFF nor FLEXIBLE with 1 to 1440 minutes",
                ));
            }
        }
        one_of("ActionAfterCompletion", &self.action_after_completion, &["NONE", "DELETE"])?;
        one_of("State", &self.state, &["ENABLED", "DISABLED"])?;
        let target = self.target.as_ref().ok_or_else(|| AwsError::validation("Target must not be null"))?;
        if !target.arn.starts_with("arn:") || !target.role_arn.starts_with("arn:") {
            return Err(AwsError::validation("Target.Arn and Target.RoleArn must be ARNs"));
        }
        if let Some(input) = &target.input {
            serde_json::from_str::<serde::de::IgnoredAny>(input)
                .map_err(|e| AwsError::validation(format!("Target.Input is not JSON: {e}")))?;
        }
        if self.schedule_expression_timezone != "UTC" {
            return Err(AwsError::validation("the laptop knows no time zone but UTC"));
        }
        let expression = self.schedule_expression.as_deref().unwrap_or_default();
        let at = moment(expression).ok_or_else(|| {
            AwsError::validation(format!(
                "Invalid Schedule Expression {expression}. The laptop takes at(yyyy-mm-ddThh:mm:ss)."
            ))
        })?;
        if at <= now {
            return Err(AwsError::validation(format!(
                "Invalid Schedule Expression {expression}: it is in the past."
            )));
        }
        Ok((key, at))
    }
}

impl Schedule {
    fn new((group, name): (String, String), at: i64, definition: Definition, now: i64) -> Self {
        Self { group, name, at, definition, created_at: now, modified_at: now, revision: 0, completed: false }
    }

    fn key(&self) -> (String, String) {
        (self.group.clone(), self.name.clone())
    }

    fn id(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    fn arn(&self) -> String {
        format!("{ARN_PREFIX}/{}", self.id())
    }

    fn is_waiting(&self) -> bool {
        !self.completed && self.definition.state == "ENABLED"
    }

    fn due(&self) -> DueSchedule {
        let target = self.definition.target.as_ref();
        let input = target.and_then(|target| target.input.as_deref());
        DueSchedule {
            group: self.group.clone(),
            name: self.name.clone(),
            at: self.at,
            target: target.map(|target| target.arn.clone()).unwrap_or_default(),
            input: input.and_then(|input| serde_json::from_str(input).ok()).unwrap_or_else(|| json!({})),
            revision: self.revision,
        }
    }

    fn describe(&self) -> Value {
        let definition = &self.definition;
        json!({
            "ActionAfterCompletion": definition.action_after_completion,
            "Arn": self.arn(),
            "CreationDate": self.created_at,
            "Description": definition.description,
            "FlexibleTimeWindow": definition.flexible_time_window,
            "GroupName": self.group,
            "LastModificationDate": self.modified_at,
            "Name": self.name,
            "ScheduleExpression": definition.schedule_expression,
            "ScheduleExpressionTimezone": definition.schedule_expression_timezone,
            "State": definition.state,
            "Target": definition.target,
        })
    }
}

/// The moment of `at(yyyy-mm-ddThh:mm:ss)`, in UTC.
fn moment(expression: &str) -> Option<i64> {
    let text = expression.strip_prefix("at(")?.strip_suffix(')')?;
    if text.len() != "yyyy-mm-ddThh:mm:ss".len() {
        return None;
    }
    Some(OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).ok()?.unix_timestamp())
}

fn key_of(group: Option<String>, name: String) -> Result<(String, String), AwsError> {
    let group = group.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
    check_name("GroupName", &group)?;
    Ok((group, name))
}

fn check_name(field: &str, name: &str) -> Result<(), AwsError> {
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if fits {
        return Ok(());
    }
    Err(AwsError::validation(format!("{field} {name:?} does not match [0-9a-zA-Z-_.]{{1,64}}")))
}

fn one_of(field: &str, value: &str, allowed: &[&str]) -> Result<(), AwsError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(AwsError::validation(format!("{field} {value:?} is none of {allowed:?}")))
}

fn not_found(name: &str) -> AwsError {
    AwsError::new(
        StatusCode::NOT_FOUND,
        "ResourceNotFoundException",
        format!("Schedule {name} does not exist."),
    )
}
