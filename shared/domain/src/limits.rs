//! Limits on invitees and mails, and the counters that enforce them.
//!
//! The counters are attributes of the organization's and the sender's item, which the transaction writes anyway. They
//! count invitees, not requests.

use std::time::Duration;

use crate::Timestamp;

/// The configured limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most addresses that one organization may invite in a day; 1,500 by default.
    pub invitees_per_day: u32,
    /// The most mails of one sender in an hour, from inviting and resending; 1,000 by default.
    pub mails_per_hour: u32,
    /// The shortest time between two mails of one invitation's record; 60 seconds by default.
    pub pause: Duration,
    /// The most mails of one invitation's record until the record is deleted; 10 by default.
    pub mails_per_invitation: u32,
    /// The most mails that one recipient gets in a day from all organizations together; 10 by default.
    pub mails_per_recipient: u32,
}

impl Default for Limits {
    /// The defaults of `infra/template.yaml`.
    fn default() -> Self {
        Self {
            invitees_per_day: 1_500,
            mails_per_hour: 1_000,
            pause: Duration::from_mins(1),
            mails_per_invitation: 10,
            mails_per_recipient: 10,
        }
    }
}

/// A count within a time window. The window starts with the first counted item, and ends after its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowCounter {
    /// When the window started.
    pub since: Timestamp,
    /// How many were counted.
    pub count: u32,
}

/// An update of a window counter, with the guard that keeps the counter within its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterUpdate {
    /// Adds to the running window.
    ///
    /// The guard asserts that the stored window started at `since` and has room for `more` within `limit`. So
    /// concurrent additions do not fail each other's guard until the window is full.
    Add {
        /// When the window started.
        since: Timestamp,
        /// How many are added.
        more: u32,
        /// The most that the window may count.
        limit: u32,
    },
    /// Starts a new window. The guard asserts that the stored window is still the ended one, or that there is none.
    Restart {
        /// When the ended window started; `None` if there was no window.
        over: Option<Timestamp>,
        /// When the new window starts.
        since: Timestamp,
        /// How many are added.
        more: u32,
    },
}

impl CounterUpdate {
    /// Returns whether the guard holds for the `stored` counter.
    #[must_use]
    pub fn holds(self, stored: Option<WindowCounter>) -> bool {
        match self {
            Self::Add { since, more, limit } => stored.is_some_and(|it| {
                it.since == since && it.count.checked_add(more).is_some_and(|it| it <= limit)
            }),
            Self::Restart { over, .. } => stored.map(|it| it.since) == over,
        }
    }

    /// Returns the counter after this update of the `stored` counter.
    #[must_use]
    pub fn counted(self, stored: Option<WindowCounter>) -> WindowCounter {
        match self {
            Self::Add { since, more, .. } => {
                let before = stored.map_or(0, |it| it.count);
                WindowCounter { since, count: before.saturating_add(more) }
            }
            Self::Restart { since, more, .. } => WindowCounter { since, count: more },
        }
    }
}

/// The subject of a limit, and its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// An organization, over a day.
    Organization,
    /// A sender, over an hour.
    Sender,
}

impl LimitScope {
    fn period(self) -> Duration {
        match self {
            Self::Organization => Duration::from_hours(24),
            Self::Sender => Duration::from_hours(1),
        }
    }

    /// Plans to add `more` to the `stored` counter at `now`, or refuses if that would exceed `limit`.
    pub(crate) fn count(
        self,
        stored: Option<WindowCounter>,
        more: u32,
        limit: u32,
        now: Timestamp,
    ) -> Result<CounterUpdate, LimitExceeded> {
        // If this clock is behind the clock that started the window, the window still counts as running.
        let running = stored.filter(|it| now < it.since + self.period());
        let left = limit.saturating_sub(running.map_or(0, |it| it.count));
        if more > left {
            let end = running.map_or(now, |it| it.since) + self.period();
            return Err(LimitExceeded { of: self, limit, left, wait: end.since(now) });
        }
        Ok(match running {
            Some(WindowCounter { since, .. }) => CounterUpdate::Add { since, more, limit },
            None => CounterUpdate::Restart { over: stored.map(|it| it.since), since: now, more },
        })
    }
}

/// The request exceeds a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("only {left} of {limit} are left")]
pub struct LimitExceeded {
    /// The subject of the limit.
    pub of: LimitScope,
    /// The limit of one period.
    pub limit: u32,
    /// How many are left in the current window.
    pub left: u32,
    /// How long until the window ends and the whole limit is available.
    pub wait: Duration,
}

/// The address cannot be mailed again yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the address cannot be mailed again yet")]
pub struct CooldownActive {
    /// The reason.
    pub why: CooldownReason,
    /// How long until the address can be mailed again.
    pub wait: Duration,
}

/// Why an address cannot be mailed again yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CooldownReason {
    /// The last mail is too recent.
    JustNow,
    /// The invitation's record has this many mails, which is the limit.
    MailLimit(u32),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HOUR, NOON, SECOND};

    const MINUTE: Duration = Duration::from_mins(1);

    fn window(since: Timestamp, count: u32) -> WindowCounter {
        WindowCounter { since, count }
    }

    fn before(duration: Duration) -> Timestamp {
        Timestamp::from_unix(NOON.unix() - i64::try_from(duration.as_secs()).unwrap())
    }

    #[test]
    fn starts_a_window_or_adds_to_the_running_one() {
        let hour = |stored| LimitScope::Sender.count(stored, 3, 10, NOON);
        assert_eq!(hour(None), Ok(CounterUpdate::Restart { over: None, since: NOON, more: 3 }));
        let add = |since| Ok(CounterUpdate::Add { since, more: 3, limit: 10 });
        for since in [NOON, before(3_599 * SECOND), NOON + HOUR] {
            assert_eq!(hour(Some(window(since, 7))), add(since), "{since}");
        }
        let ended = before(HOUR);
        assert_eq!(
            hour(Some(window(ended, 7))),
            Ok(CounterUpdate::Restart { over: Some(ended), since: NOON, more: 3 })
        );
        let day = |since| LimitScope::Organization.count(Some(window(since, 7)), 3, 10, NOON);
        assert_eq!(day(before(86_399 * SECOND)), add(before(86_399 * SECOND)));
        assert!(matches!(day(before(24 * HOUR)), Ok(CounterUpdate::Restart { .. })));
    }

    #[test]
    fn counts_up_to_the_limit_and_refuses_more() {
        let count = |stored, more| LimitScope::Sender.count(stored, more, 10, NOON);
        let running = Some(window(before(10 * MINUTE), 8));
        assert!(count(running, 2).is_ok());
        let full = |left, wait| Err(LimitExceeded { of: LimitScope::Sender, limit: 10, left, wait });
        assert_eq!(count(running, 3), full(2, 50 * MINUTE));
        assert_eq!(count(Some(window(NOON, 11)), 1), full(0, HOUR), "the limit may have been lowered");
        assert!(count(None, 10).is_ok());
        assert_eq!(count(None, 11), full(10, HOUR));
        assert_eq!(count(Some(window(before(HOUR), 10)), 11), full(10, HOUR));
    }

    #[test]
    fn an_addition_asserts_the_same_window_with_room() {
        let add = CounterUpdate::Add { since: NOON, more: 3, limit: 10 };
        for (stored, holds) in [
            (Some(window(NOON, 7)), true),
            (Some(window(NOON, 8)), false),
            (Some(window(NOON, u32::MAX)), false),
            (Some(window(NOON + SECOND, 7)), false),
            (None, false),
        ] {
            assert_eq!(add.holds(stored), holds, "{stored:?}");
        }
        assert_eq!(add.counted(Some(window(NOON, 7))), window(NOON, 10));
    }

    #[test]
    fn a_restart_asserts_that_no_other_window_has_started() {
        let restart = |over| CounterUpdate::Restart { over, since: NOON, more: 3 };
        for (over, stored, holds) in [
            (None, None, true),
            (None, Some(window(NOON, 1)), false),
            (Some(before(HOUR)), Some(window(before(HOUR), 9)), true),
            (Some(before(HOUR)), Some(window(NOON, 1)), false),
            (Some(before(HOUR)), None, false),
        ] {
            assert_eq!(restart(over).holds(stored), holds, "{over:?} {stored:?}");
        }
        assert_eq!(restart(None).counted(Some(window(before(HOUR), 9))), window(NOON, 3));
    }
}
