//! The retry policy, the backoff between attempts, and statistics about retries.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The limits for retries of a read or a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The time after which no further attempt starts.
    pub budget: Duration,
    /// The maximum of the first pause. The maximum doubles with each further pause, up to `pause_max`.
    pub pause_first: Duration,
    /// The maximum of any pause.
    pub pause_max: Duration,
}

impl Default for RetryPolicy {
    /// The policy of the functions. A function times out after 10 s and must respond before that.
    fn default() -> Self {
        Self {
            budget: Duration::from_secs(7),
            pause_first: Duration::from_millis(10),
            pause_max: Duration::from_millis(320),
        }
    }
}

/// Exponential backoff with full jitter, within one time budget.
#[derive(Debug)]
pub struct Backoff {
    until: Instant,
    next_pause_max: Duration,
    pause_max: Duration,
}

impl Backoff {
    /// Starts the time budget.
    #[must_use]
    pub fn new(RetryPolicy { budget, pause_first, pause_max }: RetryPolicy) -> Self {
        Self { until: Instant::now() + budget, next_pause_max: pause_first.min(pause_max), pause_max }
    }

    /// Waits before the next attempt. Returns false immediately if the pause would exceed the budget.
    pub async fn wait(&mut self) -> bool {
        let pause = self.next_pause_max.mul_f64(fastrand::f64());
        self.next_pause_max = self.pause_max.min(self.next_pause_max * 2);
        if Instant::now() + pause >= self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

/// The number of retries, and their reasons.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryStats {
    /// The number of new decisions after a failed guard.
    pub decided_again: u32,
    /// The number of retries after a conflict or throttling.
    pub conflicts: u32,
    /// The number of retries after a lost response.
    pub responses_lost: u32,
    /// DynamoDB's reason codes, each with the number of attempts that failed with it.
    pub reasons: BTreeMap<String, u32>,
}

impl RetryStats {
    /// The number of retries without a new decision.
    #[must_use]
    pub fn sent_again(&self) -> u32 {
        self.conflicts + self.responses_lost
    }

    pub(crate) fn add_reasons(&mut self, reasons: &[&str]) {
        for reason in reasons {
            *self.reasons.entry((*reason).to_owned()).or_default() += 1;
        }
    }
}

tokio::task_local! {
    // Per task and not per store, because concurrent tasks share one store.
    static STATS: RefCell<RetryStats>;
}

/// Runs `work`, and returns its output and its retry statistics.
pub async fn with_retry_stats<Output>(work: impl Future<Output = Output>) -> (Output, RetryStats) {
    let work = async {
        let output = work.await;
        (output, STATS.with(RefCell::take))
    };
    STATS.scope(RefCell::default(), work).await
}

/// Updates the statistics of the task. Does nothing outside of [`with_retry_stats`].
pub(crate) fn update_stats(update: impl FnOnce(&mut RetryStats)) {
    let _ = STATS.try_with(|stats| update(&mut stats.borrow_mut()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A budget of 7 s allows 35 to 69 pauses of at most 320 ms each.
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
            assert!(pauses.len() < 1_000, "the budget does not end");
        }
        let longest = |pauses: &[Duration]| pauses.iter().max().copied().unwrap_or_default();
        assert!((35..70).contains(&pauses.len()), "{} pauses", pauses.len());
        assert!(pauses[0] <= Duration::from_millis(11), "{:?}", pauses[0]);
        assert!(longest(&pauses[..3]) < longest(&pauses), "{pauses:?}");
        assert!((200..=321).contains(&longest(&pauses).as_millis()), "{pauses:?}");
        assert!((6_600..7_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn concurrent_tasks_have_separate_statistics() {
        let work = async |times: u32| {
            for _ in 0..times {
                update_stats(|stats| stats.conflicts += 1);
                tokio::task::yield_now().await;
            }
            times
        };
        let (few, many) = tokio::join!(with_retry_stats(work(2)), with_retry_stats(work(5)));
        assert_eq!((few.0, few.1.conflicts, many.0, many.1.conflicts), (2, 2, 5, 5));
    }

    #[test]
    fn updates_nothing_outside_of_with_retry_stats() {
        update_stats(|_| panic!("there are no statistics to update"));
    }
}
