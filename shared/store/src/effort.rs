//! What settling has taken beyond one read and one write: counted where it happens, asked for by whoever
//! reports it.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// How often it took more than one attempt, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effort {
    /// How often it was decided again, after a lost race.
    pub decided_again: u32,
    /// How often a transaction was sent again because others were at the same items, or DynamoDB throttled.
    pub conflicts: u32,
    /// How often a transaction was sent again because its answer was lost.
    pub answers_lost: u32,
    /// The codes that DynamoDB gave, and how many attempts each of them ended.
    pub reasons: BTreeMap<String, u32>,
}

impl Effort {
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
    static EFFORT: RefCell<Effort>;
}

/// Does `work`, and tells what it has taken.
pub async fn with_effort<Output>(work: impl Future<Output = Output>) -> (Output, Effort) {
    let work = async {
        let output = work.await;
        (output, EFFORT.with(RefCell::take))
    };
    EFFORT.scope(RefCell::default(), work).await
}

/// Counts, if anybody wants to know.
pub(crate) fn count(counting: impl FnOnce(&mut Effort)) {
    let _ = EFFORT.try_with(|effort| counting(&mut effort.borrow_mut()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_goes_on_at_the_same_time_is_counted_apart() {
        let work = async |times: u32| {
            for _ in 0..times {
                count(|effort| effort.conflicts += 1);
                tokio::task::yield_now().await;
            }
            times
        };
        let (few, many) = tokio::join!(with_effort(work(2)), with_effort(work(5)));
        assert_eq!((few.0, few.1.conflicts, many.0, many.1.conflicts), (2, 2, 5, 5));
    }

    #[test]
    fn where_nobody_asks_nothing_is_counted() {
        count(|_| panic!("there is nothing to count in"));
    }
}
