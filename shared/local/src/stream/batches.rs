//! The records at hand and what becomes of them: batches, partial failures, bisection, attempts. Pure; the
//! invoking and the waiting are the caller's.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;

use super::Record;
use crate::functions::InvokeError;

/// Batch size and retries of an event source mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The most records in one invocation.
    pub batch_max: usize,
    /// How often one record is tried before it is given up.
    pub attempts_max: u32,
    /// The pause after the first failure; it doubles with every further one.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// How long to wait for records before looking again, unless woken.
    pub poll_every: Duration,
}

impl Default for Policy {
    /// Lambda's batch size. Lambda retries for hours by default; a laptop shows what is broken in seconds.
    fn default() -> Self {
        Self {
            batch_max: 100,
            attempts_max: 5,
            pause_min: Duration::from_millis(50),
            pause_max: Duration::from_secs(2),
            poll_every: Duration::from_millis(100),
        }
    }
}

/// What came of invoking the function with a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All of it is done.
    Done,
    /// The records before this place are done; this and the later ones are to be given again.
    FailedFrom {
        /// The first that failed.
        place: usize,
        /// Why.
        reason: String,
    },
    /// Nothing is known to be done.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What an outcome settles.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// Everything up to this sequence number is done with.
    pub through: Option<String>,
    /// The record that is given up.
    pub dead: Option<Record>,
    /// How long to wait before the next batch.
    pub pause: Option<Duration>,
}

/// Records in order, on their way through a function.
#[derive(Debug)]
pub struct BatchQueue {
    /// Never holds an empty batch.
    batches: VecDeque<VecDeque<Record>>,
    policy: Policy,
    /// How often the first record has failed by itself, or as the first of a partial failure.
    failures: u32,
}

impl Outcome {
    /// Reads the function's answer as Lambda does with `ReportBatchItemFailures`: nothing reported is
    /// success; the lowest place reported is where to start again; an id that is none of the batch's fails
    /// the batch as a whole.
    #[must_use]
    pub fn read(answer: Result<Value, InvokeError>, batch: &[Record]) -> Self {
        let answer = match answer {
            Ok(answer) => answer,
            Err(e) => return Self::Failed { reason: e.to_string() },
        };
        let failures = match answer.get("batchItemFailures") {
            None | Some(Value::Null) => return Self::Done,
            Some(Value::Array(failures)) => failures,
            Some(_) => return Self::Failed { reason: "batchItemFailures is not a list".to_owned() },
        };
        let mut lowest = None;
        for failure in failures {
            let id = failure["itemIdentifier"].as_str().unwrap_or_default();
            let Some(place) = batch.iter().position(|record| record.sequence_number == id) else {
                let reason = format!("batchItemFailures names {failure}, which is not in the batch");
                return Self::Failed { reason };
            };
            lowest = Some(lowest.map_or(place, |lowest: usize| lowest.min(place)));
        }
        match lowest {
            None => Self::Done,
            Some(place) => {
                Self::FailedFrom { place, reason: "the function reported it as failed".to_owned() }
            }
        }
    }

    /// Why records failed; empty if none did.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Done => "",
            Self::FailedFrom { reason, .. } | Self::Failed { reason } => reason,
        }
    }
}

impl BatchQueue {
    /// These records, in batches as the policy says.
    #[must_use]
    pub fn new(records: Vec<Record>, policy: Policy) -> Self {
        let mut batches = VecDeque::new();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            batches.push_back(records.by_ref().take(policy.batch_max.max(1)).collect());
        }
        Self { batches, policy, failures: 0 }
    }

    /// The batch to give to the function next.
    pub fn batch(&mut self) -> Option<&[Record]> {
        self.batches.front_mut().map(|batch| &*batch.make_contiguous())
    }

    /// Takes note of what came of the batch.
    pub fn settle(&mut self, outcome: &Outcome) -> BatchResult {
        let Some(mut batch) = self.batches.pop_front() else { return BatchResult::default() };
        match outcome {
            Outcome::Done => {
                self.failures = 0;
                BatchResult { through: last(&batch), ..BatchResult::default() }
            }
            Outcome::FailedFrom { place, .. } => {
                let rest = batch.split_off((*place).min(batch.len()));
                if !batch.is_empty() {
                    self.failures = 0;
                }
                let through = last(&batch);
                let failed = self.first_failed(rest);
                BatchResult { through: failed.through.or(through), ..failed }
            }
            // Which record it was is found by halving. That counts as nobody's attempt.
            Outcome::Failed { .. } if batch.len() > 1 => {
                let second = batch.split_off(batch.len().div_ceil(2));
                self.batches.push_front(second);
                self.batches.push_front(batch);
                self.failures = 0;
                BatchResult { pause: Some(self.policy.pause_min), ..BatchResult::default() }
            }
            Outcome::Failed { .. } => self.first_failed(batch),
        }
    }

    /// The first of these records has failed; the others have to be given again.
    fn first_failed(&mut self, mut batch: VecDeque<Record>) -> BatchResult {
        self.failures += 1;
        let mut settled = BatchResult::default();
        if self.failures < self.policy.attempts_max {
            let doubled = 2_u32.saturating_pow(self.failures - 1);
            settled.pause = Some(self.policy.pause_min.saturating_mul(doubled).min(self.policy.pause_max));
        } else {
            self.failures = 0;
            settled.dead = batch.pop_front();
            settled.through = settled.dead.as_ref().map(|dead| dead.sequence_number.clone());
        }
        if !batch.is_empty() {
            self.batches.push_front(batch);
        }
        settled
    }
}

fn last(batch: &VecDeque<Record>) -> Option<String> {
    batch.back().map(|record| record.sequence_number.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: Policy = Policy {
        batch_max: 4,
        attempts_max: 3,
        pause_min: Duration::from_millis(10),
        pause_max: Duration::from_millis(15),
        poll_every: Duration::from_millis(100),
    };

    fn records(range: std::ops::RangeInclusive<u32>) -> Vec<Record> {
        range.map(|n| Record { sequence_number: n.to_string(), event: json!({"n": n}) }).collect()
    }

    fn failed() -> Outcome {
        Outcome::Failed { reason: "on purpose".to_owned() }
    }

    fn failed_from(place: usize) -> Outcome {
        Outcome::FailedFrom { place, reason: "on purpose".to_owned() }
    }

    fn numbers(work: &mut BatchQueue) -> Vec<String> {
        let batch = work.batch().unwrap_or_default();
        batch.iter().map(|record| record.sequence_number.clone()).collect()
    }

    fn millis(pause: Option<Duration>) -> u128 {
        pause.map_or(0, |pause| pause.as_millis())
    }

    #[test]
    fn records_go_in_batches_in_order() {
        let mut work = BatchQueue::new(records(1..=6), POLICY);
        assert_eq!(numbers(&mut work), ["1", "2", "3", "4"]);
        assert_eq!(work.settle(&Outcome::Done).through.as_deref(), Some("4"));
        assert_eq!(numbers(&mut work), ["5", "6"]);
        assert_eq!(work.settle(&Outcome::Done).through.as_deref(), Some("6"));
        assert!(work.batch().is_none());
        assert_eq!(work.settle(&Outcome::Done), BatchResult::default());
    }

    #[test]
    fn a_partial_failure_starts_again_at_the_lowest_failed() {
        let mut work = BatchQueue::new(records(1..=4), POLICY);
        let settled = work.settle(&failed_from(2));
        assert_eq!((settled.through.as_deref(), settled.dead, millis(settled.pause)), (Some("2"), None, 10));
        assert_eq!(numbers(&mut work), ["3", "4"]);
    }

    #[test]
    fn a_partial_failure_at_the_first_record_moves_nothing() {
        let mut work = BatchQueue::new(records(1..=2), POLICY);
        let settled = work.settle(&failed_from(0));
        assert_eq!((settled.through, settled.dead, millis(settled.pause)), (None, None, 10));
        assert_eq!(numbers(&mut work), ["1", "2"]);
    }

    #[test]
    fn a_record_that_keeps_failing_is_given_up_alone_and_the_rest_goes_on() {
        let mut work = BatchQueue::new(records(1..=3), POLICY);
        assert_eq!(millis(work.settle(&failed_from(1)).pause), 10);
        assert_eq!(millis(work.settle(&failed_from(0)).pause), 15, "doubled, and capped");
        let settled = work.settle(&failed_from(0));
        assert_eq!(settled.dead.unwrap().sequence_number, "2");
        assert_eq!(settled.through.as_deref(), Some("2"));
        assert_eq!(settled.pause, None);
        assert_eq!(numbers(&mut work), ["3"]);
        // The next one has all of its attempts.
        assert_eq!(millis(work.settle(&failed_from(0)).pause), 10);
        assert_eq!(numbers(&mut work), ["3"]);
    }

    #[test]
    fn another_record_that_fails_further_on_has_its_own_attempts() {
        let mut work = BatchQueue::new(records(1..=3), POLICY);
        work.settle(&failed_from(0));
        work.settle(&failed_from(0));
        let settled = work.settle(&failed_from(1));
        assert_eq!((settled.through.as_deref(), millis(settled.pause)), (Some("1"), 10));
        assert!(settled.dead.is_none());
    }

    #[test]
    fn a_failed_batch_is_halved_until_the_culprit_stands_alone() {
        let mut work = BatchQueue::new(records(1..=4), POLICY);
        let mut given_up = Vec::new();
        let mut seen = Vec::new();
        while work.batch().is_some() {
            let batch = numbers(&mut work);
            let outcome = if batch.contains(&"3".to_owned()) { failed() } else { Outcome::Done };
            seen.push(batch.join(" "));
            given_up.extend(work.settle(&outcome).dead.map(|dead| dead.sequence_number));
        }
        assert_eq!(seen, ["1 2 3 4", "1 2", "3 4", "3", "3", "3", "4"]);
        assert_eq!(given_up, ["3"]);
    }

    #[test]
    fn every_record_is_done_or_given_up_whatever_fails() {
        for poisoned in 0_u32..64 {
            let mut work = BatchQueue::new(records(1..=6), POLICY);
            let is_poison = |n: &str| poisoned & (1 << (n.parse::<u32>().unwrap() - 1)) != 0;
            let (mut given_up, mut through, mut rounds) = (0, None, 0);
            while work.batch().is_some() {
                let batch = numbers(&mut work);
                let outcome = match batch.iter().position(|n| is_poison(n)) {
                    None => Outcome::Done,
                    Some(place) if poisoned % 2 == 0 => failed_from(place),
                    Some(_) => failed(),
                };
                let settled = work.settle(&outcome);
                given_up += settled.dead.iter().filter(|dead| is_poison(&dead.sequence_number)).count();
                if let Some(next) = settled.through {
                    assert!(through.as_ref().is_none_or(|so_far| *so_far < next), "{poisoned:b}");
                    through = Some(next);
                }
                rounds += 1;
                assert!(rounds < 100, "{poisoned:b} does not end");
            }
            assert_eq!(through.as_deref(), Some("6"), "{poisoned:b}");
            assert_eq!(given_up, poisoned.count_ones() as usize, "{poisoned:b}");
        }
    }

    #[test]
    fn answers_are_read_as_lambda_reads_them() {
        let batch = records(1..=3);
        let read = |answer| Outcome::read(Ok(answer), &batch);
        for success in
            [json!(null), json!({}), json!({"batchItemFailures": []}), json!({"batchItemFailures": null})]
        {
            assert_eq!(read(success.clone()), Outcome::Done, "{success}");
        }
        let partly = json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]});
        assert!(matches!(read(partly), Outcome::FailedFrom { place: 1, .. }));
        for whole in [
            json!({"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "9"}]}),
            json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
            json!({"batchItemFailures": [{"itemIdentifier": null}]}),
            json!({"batchItemFailures": [{"wrong": "2"}]}),
            json!({"batchItemFailures": "2"}),
        ] {
            assert!(matches!(read(whole.clone()), Outcome::Failed { .. }), "{whole}");
        }
        let error = crate::functions::fake::failed();
        assert_eq!(Outcome::read(Err(error.clone()), &batch), Outcome::Failed { reason: error.to_string() });
    }
}
