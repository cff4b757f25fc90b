//! Timestamps in whole seconds, and the clock.

use std::fmt;
use std::ops::Add;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A time in whole seconds since the Unix epoch. `Display` writes RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
    pub const MAX: Self = Self(253_402_300_799);

    /// The time `seconds` after the Unix epoch, clamped to the range from the epoch to [`MAX`](Self::MAX).
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(0, Self::MAX.0))
    }

    /// The time `seconds` after the Unix epoch, for constants in tests.
    #[cfg(test)]
    pub(crate) const fn literal(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// The duration from `earlier` to this time; zero if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        Self::from_unix(self.0.saturating_add(seconds))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // All times from the epoch to `MAX` have a text of this length.
        let mut text = *b"1970-01-01T00:00:00Z";
        let moment = OffsetDateTime::from_unix_timestamp(self.0).map_err(|_| fmt::Error)?;
        moment.format_into(&mut &mut text[..], &Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// The text is not an RFC 3339 time with a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written like 2026-11-26T14:05:00Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| InvalidTimestamp)?;
        Ok(Self::from_unix(moment.unix_timestamp()))
    }
}

/// A source of the current time. The domain never uses it: the caller of `decide` passes `now`.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_parses_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_unix(1_795_615_500).to_string(), "2026-11-25T14:05:00Z");
        assert_eq!("2026-11-25T14:05:00Z".parse(), Ok(Timestamp::from_unix(1_795_615_500)));
        assert_eq!("2026-11-25".parse::<Timestamp>(), Err(InvalidTimestamp));
    }

    #[test]
    fn since_is_the_duration_from_an_earlier_time_or_zero() {
        let [one, two] = [100, 160].map(Timestamp::from_unix);
        assert_eq!(two.since(one), Duration::from_mins(1));
        assert_eq!((one.since(one), one.since(two)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn clamps_to_the_range_that_rfc_3339_can_write() {
        assert_eq!(Timestamp::from_unix(i64::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!((Timestamp::MAX + Duration::MAX).to_string(), "9999-12-31T23:59:59Z");
        assert_eq!(Timestamp::from_unix(-1).to_string(), "1970-01-01T00:00:00Z");
    }
}
