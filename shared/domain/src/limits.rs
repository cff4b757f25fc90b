//! Limits: how much may be invited and mailed, and when there is room again.
//!
//! Who invites is counted where the transaction is anyway: on the organization's and on the sender's item.
//! Invitees count, not requests.

use std::time::Duration;

use crate::Timestamp;

/// The configured limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Addresses that one organization may invite in a day; 1,500 by default.
    pub invitees_per_day: u32,
    /// Addresses that one sender may have mailed in an hour, by inviting and by resending; 1,000 by default.
    pub mails_per_hour: u32,
    /// How long after a mail the next one to the same address may follow; 60 seconds by default.
    pub pause: Duration,
    /// Mails of one invitation's record, from its first one until it is deleted; 10 by default.
    pub mails_per_invitation: u32,
    /// Mails that one recipient gets in a day, of all organizations together; 10 by default.
    pub mails_per_recipient: u32,
}

impl Default for Limits {
    /// As the template has them.
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

/// How many were counted since when. It begins with the first one, and is over after its period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowCounter {
    /// When the first one was counted.
    pub since: Timestamp,
    /// How many.
    pub count: u32,
}

/// What is counted on top of a counter, with the guard that keeps it within its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterUpdate {
    /// The counter goes on. Guard: it is still the one that began then, and has room for `more` within `limit`;
    /// so two who count at once do not disturb each other until it is full.
    Add {
        /// When it began.
        since: Timestamp,
        /// How many are counted.
        more: u32,
        /// How many it may hold.
        limit: u32,
    },
    /// Another window begins. Guard: what is stored is still the one that is over, or none.
    Restart {
        /// When the one that is over began.
        over: Option<Timestamp>,
        /// When this one begins.
        since: Timestamp,
        /// How many are counted.
        more: u32,
    },
}

impl CounterUpdate {
    /// Whether its guard holds where `stored` is.
    #[must_use]
    pub fn holds(self, stored: Option<WindowCounter>) -> bool {
        match self {
            Self::Add { since, more, limit } => stored.is_some_and(|it| {
                it.since == since && it.count.checked_add(more).is_some_and(|it| it <= limit)
            }),
            Self::Restart { over, .. } => stored.map(|it| it.since) == over,
        }
    }

    /// The counter that it leaves where `stored` was.
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

/// Whose counter is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LimitScope {
    /// An organization's, of a day.
    Organization,
    /// A sender's, of an hour.
    Sender,
}

impl LimitScope {
    fn period(self) -> Duration {
        match self {
            Self::Organization => Duration::from_hours(24),
            Self::Sender => Duration::from_hours(1),
        }
    }

    /// Counts `more` at `now` on top of what is `stored`.
    pub(crate) fn count(
        self,
        stored: Option<WindowCounter>,
        more: u32,
        limit: u32,
        now: Timestamp,
    ) -> Result<CounterUpdate, LimitExceeded> {
        // A clock that is behind counts in the counter that another clock has begun.
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

/// More would be counted than the limit lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("there is room for {left} of {limit} only")]
pub struct LimitExceeded {
    /// Whose.
    pub of: LimitScope,
    /// How many are let through in the period.
    pub limit: u32,
    /// How many of them are left.
    pub left: u32,
    /// After how long all of them are there again.
    pub wait: Duration,
}

/// An address that was mailed is not mailed again yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the address is not mailed again yet")]
pub struct CooldownActive {
    /// Why.
    pub why: CooldownReason,
    /// How long it takes until it is.
    pub wait: Duration,
}

/// Why an address has had enough mail for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CooldownReason {
    /// The last mail is too recent.
    JustNow,
    /// It has had so many.
    Mails(u32),
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
    fn the_first_one_begins_a_counter_and_the_rest_of_its_period_goes_on_with_it() {
        let hour = |stored| LimitScope::Sender.count(stored, 3, 10, NOON);
        assert_eq!(hour(None), Ok(CounterUpdate::Restart { over: None, since: NOON, more: 3 }));
        let on = |since| Ok(CounterUpdate::Add { since, more: 3, limit: 10 });
        for since in [NOON, before(3_599 * SECOND), NOON + HOUR] {
            assert_eq!(hour(Some(window(since, 7))), on(since), "{since}");
        }
        let over = before(HOUR);
        assert_eq!(
            hour(Some(window(over, 7))),
            Ok(CounterUpdate::Restart { over: Some(over), since: NOON, more: 3 })
        );
        let day = |since| LimitScope::Organization.count(Some(window(since, 7)), 3, 10, NOON);
        assert_eq!(day(before(86_399 * SECOND)), on(before(86_399 * SECOND)));
        assert!(matches!(day(before(24 * HOUR)), Ok(CounterUpdate::Restart { .. })));
    }

    #[test]
    fn the_last_place_can_be_taken_and_no_further_one() {
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
    fn a_counter_that_goes_on_asserts_that_it_is_the_same_and_has_room() {
        let on = CounterUpdate::Add { since: NOON, more: 3, limit: 10 };
        for (stored, holds) in [
            (Some(window(NOON, 7)), true),
            (Some(window(NOON, 8)), false),
            (Some(window(NOON, u32::MAX)), false),
            (Some(window(NOON + SECOND, 7)), false),
            (None, false),
        ] {
            assert_eq!(on.holds(stored), holds, "{stored:?}");
        }
        assert_eq!(on.counted(Some(window(NOON, 7))), window(NOON, 10));
    }

    #[test]
    fn a_counter_that_begins_asserts_that_nobody_has_begun_it_meanwhile() {
        let anew = |over| CounterUpdate::Restart { over, since: NOON, more: 3 };
        for (over, stored, holds) in [
            (None, None, true),
            (None, Some(window(NOON, 1)), false),
            (Some(before(HOUR)), Some(window(before(HOUR), 9)), true),
            (Some(before(HOUR)), Some(window(NOON, 1)), false),
            (Some(before(HOUR)), None, false),
        ] {
            assert_eq!(anew(over).holds(stored), holds, "{over:?} {stored:?}");
        }
        assert_eq!(anew(None).counted(Some(window(before(HOUR), 9))), window(NOON, 3));
    }
}
