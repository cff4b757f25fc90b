//! Configuration by environment variables, read once at start.

use std::env::VarError;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use domain::Policy;

/// A variable that the function cannot start with (or without).
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// It is set to something else than what is needed.
    #[error("the environment variable {name} is wrong: {what}")]
    Wrong {
        /// Which.
        name: &'static str,
        /// Why.
        what: String,
    },
}

/// The value of `name`; an empty one counts as none.
pub fn optional(name: &'static str) -> Result<Option<String>, ConfigError> {
    match std::env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::Wrong { name, what: "not UTF-8".to_owned() }),
    }
}

/// The value of `name`.
pub fn required(name: &'static str) -> Result<String, ConfigError> {
    optional(name)?.ok_or(ConfigError::Missing(name))
}

/// The value of `name`, parsed.
pub fn parsed<T: FromStr<Err: Display>>(name: &'static str) -> Result<Option<T>, ConfigError> {
    let value = optional(name)?.map(|value| value.parse());
    value.transpose().map_err(|error: T::Err| ConfigError::Wrong { name, what: error.to_string() })
}

/// The policy: `SEATS`, `LIFETIME_HOURS` and `RETENTION_DAYS`, each with the default of [`Policy`].
pub fn policy() -> Result<Policy, ConfigError> {
    let default = Policy::default();
    let positive = |name: &'static str| match parsed::<u32>(name)? {
        Some(0) => Err(ConfigError::Wrong { name, what: "it must be at least 1".to_owned() }),
        value => Ok(value),
    };
    let seconds = |count: u32, each: u64| Duration::from_secs(u64::from(count) * each);
    Ok(Policy {
        seats: positive("SEATS")?.unwrap_or(default.seats),
        lifetime: positive("LIFETIME_HOURS")?.map_or(default.lifetime, |hours| seconds(hours, 60 * 60)),
        retention: positive("RETENTION_DAYS")?.map_or(default.retention, |days| seconds(days, 24 * 60 * 60)),
    })
}
