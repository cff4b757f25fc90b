//! Retries: how long the same request is sent again, with which pauses, and how often that happened.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// How long the same request is sent again, while nothing definite comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// How long it may take in all, pauses included.
    pub budget: Duration,
    /// The first pause is at most this long; each further one at most twice as long as the one before.
    pub pause_first: Duration,
    /// No pause is longer.
    pub pause_max: Duration,
}

impl Default for RetryPolicy {
    /// A function has 10 s, and its caller an answer to get.
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(7),
            pause_first: Duration::from_millis(10),
            pause_max: Duration::from_millis(320),
        }
    }
}

/// Backoff between attempts: exponential, with full jitter, within one budget.
#[derive(Debug)]
pub struct Backoff {
    until: Instant,
    longest: Duration,
    pause_max: Duration,
}

impl Backoff {
    /// The first attempt is made now.
    #[must_use]
    pub fn new(RetryPolicy { budget, pause_first, pause_max }: RetryPolicy) -> Self {
        Self { until: Instant::now() + budget, longest: pause_first.min(pause_max), pause_max }
    }

    /// Backoff; false, at once, when the budget does not last.
    pub async fn wait(&mut self) -> bool {
        let pause = self.longest.mul_f64(fastrand::f64());
        self.longest = self.pause_max.min(self.longest * 2);
        if Instant::now() + pause >= self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// How often it took more than one attempt, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryStats {
    /// How often it was decided again, after a lost race.
    pub decided_again: u32,
    /// How often a transaction was sent again because others were at the same items, or DynamoDB throttled.
    pub conflicts: u32,
    /// How often a transaction was sent again because its answer was lost.
    pub answers_lost: u32,
    /// The codes that DynamoDB gave, and how many attempts each of them ended.
    pub reasons: BTreeMap<String, u32>,
}

impl RetryStats {
    /// How often a transaction was sent again, for whatever reason.
    #[must_use]
    pub fn sent_again(&self) -> u32 {
        self.conflicts + self.answers_lost
    }

    pub(crate) fn because_of(&mut self, reasons: &[&str]) {
        for reason in reasons {
            *self.reasons.entry((*reason).to_owned()).or_default() += 1;
        }
    }
}

tokio::task_local! {
    // Of a task and not of a store: a store is shared by all that goes on at the same time.
    static STATS: RefCell<RetryStats>;
}

/// Does `work`, and tells what it has taken.
pub async fn with_retry_stats<Output>(work: impl Future<Output = Output>) -> (Output, RetryStats) {
    let work = async {
        let output = work.await;
        (output, STATS.with(RefCell::take))
    };
    STATS.scope(RefCell::default(), work).await
}

/// Counts, if anybody wants to know.
pub(crate) fn count(counting: impl FnOnce(&mut RetryStats)) {
    let _ = STATS.try_with(|stats| counting(&mut stats.borrow_mut()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Others get their turn: as often as the pauses of the budget let it, and no more.
    #[tokio::test(start_paused = true)]
    async fn pauses_grow_until_the_budget_is_used_up() {
        fastrand::seed(7);
        let began = Instant::now();
        let mut backoff = Backoff::new(RetryPolicy::default());
        let mut pauses = Vec::new();
        let mut last = began;
        while backoff.wait().await {
            pauses.push(last.elapsed());
            last = Instant::now();
            assert!(pauses.len() < 1_000, "it goes on and on");
        }
        let most = |pauses: &[Duration]| pauses.iter().max().copied().unwrap_or_default();
        assert!((35..70).contains(&pauses.len()), "{} pauses", pauses.len());
        assert!(pauses[0] <= Duration::from_millis(11), "{:?}", pauses[0]);
        assert!(most(&pauses[..3]) < most(&pauses), "{pauses:?}");
        assert!((200..=321).contains(&most(&pauses).as_millis()), "{pauses:?}");
        assert!((6_600..7_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn what_goes_on_at_the_same_time_is_counted_apart() {
        let work = async |times: u32| {
            for _ in 0..times {
                count(|stats| stats.conflicts += 1);
                tokio::task::yield_now().await;
            }
            times
        };
        let (few, many) = tokio::join!(with_retry_stats(work(2)), with_retry_stats(work(5)));
        assert_eq!((few.0, few.1.conflicts, many.0, many.1.conflicts), (2, 2, 5, 5));
    }

    #[test]
    fn where_nobody_asks_nothing_is_counted() {
        count(|_| panic!("there is nothing to count in"));
    }
}
