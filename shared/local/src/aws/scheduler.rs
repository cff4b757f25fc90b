//! EventBridge Scheduler: stores one-time schedules. [`crate::scheduler`] fires them.
//!
//! Differences from AWS: a schedule group needs no creation, and a schedule with a flexible time window fires at
//! its exact time.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
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
/// The default and the largest number of schedules in one response of `ListSchedules`.
const PAGE_MAX: usize = 100;
const ARN_PREFIX: &str = "arn:aws:scheduler:us-east-1:000000000000:schedule";

/// Group and name of a schedule.
type Key = (String, String);

/// All schedules, in memory and in the laptop's state.
pub struct Schedules {
    state: State,
    clock: LocalClock,
    /// The same schedules as in `state`.
    by_key: Mutex<BTreeMap<Key, Schedule>>,
    /// The revision of the last schedule that was written.
    last_revision: AtomicU64,
    changed: Notify,
}

/// A schedule that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSchedule {
    /// The schedule's group.
    pub group: String,
    /// The schedule's name.
    pub name: String,
    /// When the schedule is due, in seconds since the Unix epoch.
    pub at: i64,
    /// The ARN of the function to invoke.
    pub target: String,
    /// The event for the function.
    pub input: Value,
    /// The schedule's revision when it was read.
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
    /// Differs for every write of any schedule, so that `complete` skips a schedule that was updated, or deleted and
    /// created again, while it fired.
    revision: u64,
    /// The schedule has fired and stays, because its `ActionAfterCompletion` is `NONE`.
    completed: bool,
}

/// The request body of `CreateSchedule` and `UpdateSchedule`. An update replaces the whole definition.
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
    /// The other fields, such as the retry policy and the dead-letter queue. They are only stored and returned.
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
    /// Loads the schedules from the state.
    pub fn open(state: State, clock: LocalClock) -> Result<Self, StateError> {
        let stored = state.list::<Schedule>(KIND)?;
        let schedules: BTreeMap<_, _> =
            stored.into_iter().map(|(_, schedule)| (schedule.key(), schedule)).collect();
        let last_revision = schedules.values().map(|schedule| schedule.revision).max().unwrap_or_default();
        Ok(Self {
            state,
            clock,
            by_key: Mutex::new(schedules),
            last_revision: AtomicU64::new(last_revision),
            changed: Notify::new(),
        })
    }

    /// Returns the earliest of the schedules that are due at `now`.
    #[must_use]
    pub fn first_due(&self, now: i64) -> Option<DueSchedule> {
        let schedules = self.lock();
        schedules.values().filter(|s| s.is_pending() && s.at <= now).min_by_key(|s| s.at).map(Schedule::due)
    }

    /// Returns the time at which the next schedule is due, in seconds since the Unix epoch.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        self.lock().values().filter(|s| s.is_pending()).map(|s| s.at).min()
    }

    /// Marks a schedule as completed, or deletes it if its `ActionAfterCompletion` is `DELETE`. Does nothing if the
    /// schedule was updated after `due` was read.
    pub fn complete(&self, due: &DueSchedule) -> Result<(), StateError> {
        let mut schedules = self.lock();
        let key = (due.group.clone(), due.name.clone());
        let Some(schedule) = schedules.get_mut(&key).filter(|schedule| schedule.revision == due.revision)
        else {
            return Ok(());
        };
        if schedule.definition.action_after_completion == "DELETE" {
            self.state.delete(KIND, &schedule.id())?;
            schedules.remove(&key);
        } else {
            schedule.completed = true;
            self.state.put(KIND, &schedule.id(), schedule)?;
        }
        Ok(())
    }

    /// Resolves when a schedule was created, updated or deleted. Supports one waiter. A change between two calls is
    /// not missed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Handles a request to `/schedules/{name}` and returns the response body.
    pub(crate) fn handle(
        &self,
        method: &Method,
        name: &str,
        query: &str,
        body: &[u8],
    ) -> Result<Value, AwsError> {
        let name = percent_decode_str(name).decode_utf8_lossy().into_owned();
        check_name("Name", &name)?;
        let parse_body = || serde_json::from_slice(body).map_err(|e| AwsError::validation(e.to_string()));
        let group =
            || query_pairs(query).into_iter().find(|(key, _)| key == "groupName").map(|(_, group)| group);
        match *method {
            Method::POST => self.create(name, parse_body()?),
            Method::PUT => self.update(name, parse_body()?),
            Method::GET => self.get(name, group()),
            Method::DELETE => self.delete(name, group()),
            _ => Err(AwsError::unknown_operation(format!(
                "the laptop does not support {method} on a schedule"
            ))),
        }
    }

    /// Handles `ListSchedules` and returns the response body.
    pub(crate) fn list(&self, query: &str) -> Result<Value, AwsError> {
        let query = query_pairs(query);
        let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let limit = match value("MaxResults").map(str::parse) {
            None => PAGE_MAX,
            Some(Ok(limit @ 1..=PAGE_MAX)) => limit,
            Some(_) => return Err(AwsError::validation("MaxResults must be a number from 1 to 100")),
        };
        let schedules = self.lock();
        let selected = schedules.values().filter(|schedule| {
            value("ScheduleGroup").is_none_or(|group| group == schedule.group)
                && value("NamePrefix").is_none_or(|prefix| schedule.name.starts_with(prefix))
                && value("State").is_none_or(|state| state == schedule.definition.state)
        });
        // The token is the id of the last schedule on the page before. Schedules are sorted by group and name.
        let after = value("NextToken").and_then(|token| token.split_once('/'));
        let mut rest = selected.skip_while(|schedule| {
            after.is_some_and(|after| (schedule.group.as_str(), schedule.name.as_str()) <= after)
        });
        let page: Vec<_> = rest.by_ref().take(limit).collect();
        let mut response =
            json!({"Schedules": page.iter().map(|schedule| schedule.summarize()).collect::<Vec<_>>()});
        if let (Some(last), true) = (page.last(), rest.next().is_some()) {
            response["NextToken"] = json!(last.id());
        }
        Ok(response)
    }

    fn create(&self, name: String, definition: Definition) -> Result<Value, AwsError> {
        let now = self.clock.now_unix();
        let (key, at) = definition.validate(name, now)?;
        let mut schedules = self.lock();
        if let Some(existing) = schedules.get(&key) {
            // A client that did not receive the response retries with the same client token.
            if definition.client_token.is_some() && existing.definition == definition {
                return Ok(json!({"ScheduleArn": existing.arn()}));
            }
            let message = format!("Schedule {} already exists.", key.1);
            return Err(AwsError::new(StatusCode::CONFLICT, "ConflictException", message));
        }
        self.write(&mut schedules, Schedule::new(key, at, definition, now))
    }

    fn update(&self, name: String, definition: Definition) -> Result<Value, AwsError> {
        let now = self.clock.now_unix();
        let (key, at) = definition.validate(name, now)?;
        let mut schedules = self.lock();
        let created_at = schedules.get(&key).ok_or_else(|| not_found(&key.1))?.created_at;
        let schedule = Schedule { created_at, ..Schedule::new(key, at, definition, now) };
        self.write(&mut schedules, schedule)
    }

    fn write(
        &self,
        schedules: &mut BTreeMap<Key, Schedule>,
        mut schedule: Schedule,
    ) -> Result<Value, AwsError> {
        schedule.revision = self.last_revision.fetch_add(1, Relaxed) + 1;
        self.state.put(KIND, &schedule.id(), &schedule)?;
        let response = json!({"ScheduleArn": schedule.arn()});
        schedules.insert(schedule.key(), schedule);
        self.changed.notify_one();
        Ok(response)
    }

    fn get(&self, name: String, group: Option<String>) -> Result<Value, AwsError> {
        let key = key_of(group, name)?;
        self.lock().get(&key).map(Schedule::describe).ok_or_else(|| not_found(&key.1))
    }

    fn delete(&self, name: String, group: Option<String>) -> Result<Value, AwsError> {
        let key = key_of(group, name)?;
        let mut schedules = self.lock();
        let schedule = schedules.get(&key).ok_or_else(|| not_found(&key.1))?;
        self.state.delete(KIND, &schedule.id())?;
        schedules.remove(&key);
        self.changed.notify_one();
        Ok(json!({}))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Schedule>> {
        self.by_key.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Definition {
    /// Returns the schedule's key and the time when it is due. Fails if the service would reject the definition.
    fn validate(&self, name: String, now: i64) -> Result<(Key, i64), AwsError> {
        let key = key_of(self.group_name.clone(), name)?;
        let window = self.flexible_time_window.as_ref();
        let window = window.ok_or_else(|| AwsError::validation("FlexibleTimeWindow must not be null"))?;
        match (window.mode.as_str(), window.maximum_window_in_minutes) {
            ("OFF", None) | ("FLEXIBLE", Some(1..=1440)) => {}
            _ => {
                return Err(AwsError::validation(
                    "FlexibleTimeWindow must be OFF, or FLEXIBLE with 1 to 1440 minutes",
                ));
            }
        }
        check_one_of("ActionAfterCompletion", &self.action_after_completion, &["NONE", "DELETE"])?;
        check_one_of("State", &self.state, &["ENABLED", "DISABLED"])?;
        let target = self.target.as_ref().ok_or_else(|| AwsError::validation("Target must not be null"))?;
        if !target.arn.starts_with("arn:") || !target.role_arn.starts_with("arn:") {
            return Err(AwsError::validation("Target.Arn and Target.RoleArn must be ARNs"));
        }
        if let Some(input) = &target.input {
            serde_json::from_str::<serde::de::IgnoredAny>(input)
                .map_err(|e| AwsError::validation(format!("Target.Input is not JSON: {e}")))?;
        }
        if self.schedule_expression_timezone != "UTC" {
            return Err(AwsError::validation("the laptop supports only the time zone UTC"));
        }
        let expression = self.schedule_expression.as_deref().unwrap_or_default();
        let at = parse_at(expression).ok_or_else(|| {
            AwsError::validation(format!(
                "Invalid Schedule Expression {expression}. The laptop supports only at(yyyy-mm-ddThh:mm:ss)."
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
    fn new((group, name): Key, at: i64, definition: Definition, now: i64) -> Self {
        Self { group, name, at, definition, created_at: now, modified_at: now, revision: 0, completed: false }
    }

    fn key(&self) -> Key {
        (self.group.clone(), self.name.clone())
    }

    fn id(&self) -> String {
        format!("{}/{}", self.group, self.name)
    }

    fn arn(&self) -> String {
        format!("{ARN_PREFIX}/{}", self.id())
    }

    fn is_pending(&self) -> bool {
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

    /// Returns the schedule as `ListSchedules` shows it.
    fn summarize(&self) -> Value {
        json!({
            "Arn": self.arn(),
            "CreationDate": self.created_at,
            "GroupName": self.group,
            "LastModificationDate": self.modified_at,
            "Name": self.name,
            "State": self.definition.state,
            "Target": {"Arn": self.definition.target.as_ref().map(|target| &target.arn)},
        })
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

/// Parses `at(yyyy-mm-ddThh:mm:ss)` as a time in UTC. Returns seconds since the Unix epoch.
fn parse_at(expression: &str) -> Option<i64> {
    let text = expression.strip_prefix("at(")?.strip_suffix(')')?;
    if text.len() != "yyyy-mm-ddThh:mm:ss".len() {
        return None;
    }
    Some(OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339).ok()?.unix_timestamp())
}

fn key_of(group: Option<String>, name: String) -> Result<Key, AwsError> {
    let group = group.unwrap_or_else(|| DEFAULT_GROUP.to_owned());
    check_name("GroupName", &group)?;
    Ok((group, name))
}

fn check_name(field: &str, name: &str) -> Result<(), AwsError> {
    let is_valid = (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if is_valid {
        return Ok(());
    }
    Err(AwsError::validation(format!("{field} {name:?} does not match [0-9a-zA-Z-_.]{{1,64}}")))
}

fn check_one_of(field: &str, value: &str, allowed: &[&str]) -> Result<(), AwsError> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(AwsError::validation(format!("{field} {value:?} must be one of {allowed:?}")))
}

fn not_found(name: &str) -> AwsError {
    AwsError::new(
        StatusCode::NOT_FOUND,
        "ResourceNotFoundException",
        format!("Schedule {name} does not exist."),
    )
}
