//! Configuration from environment variables, which a function reads once at its start.

use std::ffi::OsString;
use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use domain::{Limits, Policy};

/// The error of a missing or invalid variable. The function does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The variable is not set.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// The value is invalid.
    #[error("the environment variable {name} is invalid: {what}")]
    Wrong {
        /// The name of the variable.
        name: &'static str,
        /// The reason.
        what: String,
    },
}

/// The environment variables of a function.
#[derive(Clone, Copy)]
pub struct Env<'a>(&'a dyn Fn(&'static str) -> Option<OsString>);

/// Shows no values, because they can be secret.
impl fmt::Debug for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Env").finish_non_exhaustive()
    }
}

impl Env<'static> {
    /// The variables of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(&|name| std::env::var_os(name))
    }
}

impl<'a> Env<'a> {
    /// The variables that the function `value` returns.
    #[must_use]
    pub fn new(value: &'a dyn Fn(&'static str) -> Option<OsString>) -> Self {
        Self(value)
    }

    /// Returns the value of `name`, or `None` if it is empty or not set.
    pub fn optional(self, name: &'static str) -> Result<Option<String>, ConfigError> {
        let Some(value) = self.0(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let text =
            value.into_string().map_err(|_| ConfigError::Wrong { name, what: "not UTF-8".to_owned() })?;
        Ok(Some(text))
    }

    /// Returns the value of `name`, or an error if it is empty or not set.
    pub fn required(self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name)?.ok_or(ConfigError::Missing(name))
    }

    /// Parses the value of `name`; `None` if it is empty or not set.
    pub fn parsed<T: FromStr<Err: Display>>(self, name: &'static str) -> Result<Option<T>, ConfigError> {
        let value = self.optional(name)?.map(|value| value.parse());
        value.transpose().map_err(|error: T::Err| ConfigError::Wrong { name, what: error.to_string() })
    }

    /// Reads the policy. Each variable has the default of [`Policy`] or [`Limits`].
    ///
    /// The variables are `SEATS`, `LIFETIME_HOURS` and `RETENTION_DAYS`. The variables of the limits are
    /// `INVITEES_PER_DAY`, `MAILS_PER_HOUR`, `MAIL_PAUSE_SECONDS`, `MAILS_PER_INVITATION` and `MAILS_PER_RECIPIENT`.
    pub fn policy(self) -> Result<Policy, ConfigError> {
        let positive = |name: &'static str| match self.parsed::<u32>(name)? {
            Some(0) => Err(ConfigError::Wrong { name, what: "it must be at least 1".to_owned() }),
            value => Ok(value),
        };
        let number = |name, default| Ok(positive(name)?.unwrap_or(default));
        let duration =
            |name, unit: Duration, default| Ok(positive(name)?.map_or(default, |count| unit * count));
        let Policy { seats, lifetime, retention, .. } = Policy::default();
        let limits = Limits::default();
        Ok(Policy {
            seats: number("SEATS", seats)?,
            lifetime: duration("LIFETIME_HOURS", Duration::from_hours(1), lifetime)?,
            retention: duration("RETENTION_DAYS", Duration::from_hours(24), retention)?,
            limits: Some(Limits {
                invitees_per_day: number("INVITEES_PER_DAY", limits.invitees_per_day)?,
                mails_per_hour: number("MAILS_PER_HOUR", limits.mails_per_hour)?,
                pause: duration("MAIL_PAUSE_SECONDS", Duration::from_secs(1), limits.pause)?,
                mails_per_invitation: number("MAILS_PER_INVITATION", limits.mails_per_invitation)?,
                mails_per_recipient: number("MAILS_PER_RECIPIENT", limits.mails_per_recipient)?,
            }),
        })
    }
}
