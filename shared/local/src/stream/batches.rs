//! Queue of stream records: splits them into batches and handles partial failures, bisection and retries.
//!
//! The queue does no I/O: the caller invokes the function and waits.

use std::{collections::VecDeque, time::Duration};

use serde_json::Value;

use super::Record;
use crate::functions::InvokeError;

/// Batch size and retries of an event source mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPolicy {
    /// The maximum number of records in one invocation.
    pub batch_max: usize,
    /// The number of attempts for one record before it becomes a dead letter.
    pub attempts_max: u32,
    /// The pause after the first failure. It doubles with every further failure.
    pub pause_min: Duration,
    /// The longest pause.
    pub pause_max: Duration,
    /// The pause between two reads of the stream, if nothing notifies the consumer of writes. The pause before the first
    /// retry of a failed read is twice as long.
    pub poll_every: Duration,
}

impl Default for StreamPolicy {
    /// Lambda's batch size with fewer retries. Lambda's default is to retry until the record expires after 24 hours.
    /// The laptop reports a broken record within seconds.
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

/// The outcome of invoking the function with one batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchOutcome {
    /// All records are done.
    Done,
    /// The records before `index` are done. The record at `index` and those after it must be retried.
    FailedFrom {
        /// Index of the first failed record in the batch.
        index: usize,
        /// Why the record failed.
        reason: String,
    },
    /// The batch failed as a whole. It is unknown which records are done.
    Failed {
        /// Why the batch failed.
        reason: String,
    },
}

/// What the caller must do after an outcome was applied to the queue.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// The new position in the shard: the sequence number of the last record that is done or given up.
    pub position: Option<String>,
    /// The record that has failed too often and becomes a dead letter.
    pub dead: Option<Record>,
    /// How long to wait before the next batch.
    pub pause: Option<Duration>,
}

/// Records of a shard that the function has yet to process, in order.
#[derive(Debug)]
pub struct BatchQueue {
    /// Never holds an empty batch.
    batches: VecDeque<VecDeque<Record>>,
    policy: StreamPolicy,
    /// How often the first record has failed, alone in its batch or as the first record of a partial failure.
    failures: u32,
}

impl BatchOutcome {
    /// Parses the function's result as Lambda does with `ReportBatchItemFailures`.
    ///
    /// No reported failure means success. Otherwise, the retry starts at the first reported record. If a reported id
    /// is not in the batch, the whole batch has failed.
    #[must_use]
    pub fn read(result: Result<Value, InvokeError>, batch: &[Record]) -> Self {
        let response = match result {
            Ok(response) => response,
            Err(e) => return Self::Failed { reason: e.to_string() },
        };
        let failures = match response.get("batchItemFailures") {
            None | Some(Value::Null) => return Self::Done,
            Some(Value::Array(failures)) => failures,
            Some(_) => return Self::Failed { reason: "batchItemFailures is not a list".to_owned() },
        };
        let mut first = None;
        for failure in failures {
            let id = failure["itemIdentifier"].as_str().unwrap_or_default();
            let Some(index) = batch.iter().position(|record| record.sequence_number == id) else {
                let reason = format!("batchItemFailures names {failure}, which is not in the batch");
                return Self::Failed { reason };
            };
            first = Some(first.map_or(index, |first: usize| first.min(index)));
        }
        match first {
            None => Self::Done,
            Some(index) => {
                Self::FailedFrom { index, reason: "the function reported the record as failed".to_owned() }
            }
        }
    }

    /// Returns why records failed, or an empty string if no record failed.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Done => "",
            Self::FailedFrom { reason, .. } | Self::Failed { reason } => reason,
        }
    }
}

impl BatchQueue {
    /// Creates a queue that splits `records` into batches of at most `policy.batch_max`.
    #[must_use]
    pub fn new(records: Vec<Record>, policy: StreamPolicy) -> Self {
        let mut batches = VecDeque::new();
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            batches.push_back(records.by_ref().take(policy.batch_max.max(1)).collect());
        }
        Self { batches, policy, failures: 0 }
    }

    /// Returns the next batch for the function, or `None` if all records are done or given up.
    pub fn batch(&mut self) -> Option<&[Record]> {
        self.batches.front_mut().map(|batch| &*batch.make_contiguous())
    }

    /// Applies the outcome of the first batch to the queue.
    pub fn apply(&mut self, outcome: &BatchOutcome) -> BatchResult {
        let Some(mut batch) = self.batches.pop_front() else { return BatchResult::default() };
        match outcome {
            BatchOutcome::Done => {
                self.failures = 0;
                BatchResult { position: last_sequence_number(&batch), ..BatchResult::default() }
            }
            BatchOutcome::FailedFrom { index, .. } => {
                let rest = batch.split_off((*index).min(batch.len()));
                if !batch.is_empty() {
                    self.failures = 0;
                }
                let position = last_sequence_number(&batch);
                let result = self.retry_or_give_up_first(rest);
                BatchResult { position: result.position.or(position), ..result }
            }
            // Bisect to find the failing record. This does not count as an attempt of any record.
            BatchOutcome::Failed { .. } if batch.len() > 1 => {
                let second = batch.split_off(batch.len().div_ceil(2));
                self.batches.push_front(second);
                self.batches.push_front(batch);
                self.failures = 0;
                BatchResult { pause: Some(self.policy.pause_min), ..BatchResult::default() }
            }
            BatchOutcome::Failed { .. } => self.retry_or_give_up_first(batch),
        }
    }

    /// Counts a failure of the first record. Puts the records back into the queue, without the first record if that
    /// was its last attempt.
    fn retry_or_give_up_first(&mut self, mut batch: VecDeque<Record>) -> BatchResult {
        self.failures += 1;
        let mut result = BatchResult::default();
        if self.failures < self.policy.attempts_max {
            let doubled = 2_u32.saturating_pow(self.failures - 1);
            result.pause = Some(self.policy.pause_min.saturating_mul(doubled).min(self.policy.pause_max));
        } else {
            self.failures = 0;
            result.dead = batch.pop_front();
            result.position = result.dead.as_ref().map(|dead| dead.sequence_number.clone());
        }
        if !batch.is_empty() {
            self.batches.push_front(batch);
        }
        result
    }
}

fn last_sequence_number(batch: &VecDeque<Record>) -> Option<String> {
    batch.back().map(|record| record.sequence_number.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POLICY: StreamPolicy = StreamPolicy {
        batch_max: 4,
        attempts_max: 3,
        pause_min: Duration::from_millis(10),
        pause_max: Duration::from_millis(15),
        poll_every: Duration::from_millis(100),
    };

    fn records(range: std::ops::RangeInclusive<u32>) -> Vec<Record> {
        range.map(|n| Record { sequence_number: n.to_string(), event: json!({"n": n}) }).collect()
    }

    fn failed() -> BatchOutcome {
        BatchOutcome::Failed { reason: "on purpose".to_owned() }
    }

    fn failed_from(index: usize) -> BatchOutcome {
        BatchOutcome::FailedFrom { index, reason: "on purpose".to_owned() }
    }

    fn numbers(queue: &mut BatchQueue) -> Vec<String> {
        let batch = queue.batch().unwrap_or_default();
        batch.iter().map(|record| record.sequence_number.clone()).collect()
    }

    fn millis(pause: Option<Duration>) -> u128 {
        pause.map_or(0, |pause| pause.as_millis())
    }

    #[test]
    fn batches_keep_the_order_of_records() {
        let mut queue = BatchQueue::new(records(1..=6), POLICY);
        assert_eq!(numbers(&mut queue), ["1", "2", "3", "4"]);
        assert_eq!(queue.apply(&BatchOutcome::Done).position.as_deref(), Some("4"));
        assert_eq!(numbers(&mut queue), ["5", "6"]);
        assert_eq!(queue.apply(&BatchOutcome::Done).position.as_deref(), Some("6"));
        assert!(queue.batch().is_none());
        assert_eq!(queue.apply(&BatchOutcome::Done), BatchResult::default());
    }

    #[test]
    fn retries_a_partial_failure_from_the_first_failed_record() {
        let mut queue = BatchQueue::new(records(1..=4), POLICY);
        let result = queue.apply(&failed_from(2));
        assert_eq!((result.position.as_deref(), result.dead, millis(result.pause)), (Some("2"), None, 10));
        assert_eq!(numbers(&mut queue), ["3", "4"]);
    }

    #[test]
    fn keeps_the_position_when_the_first_record_fails() {
        let mut queue = BatchQueue::new(records(1..=2), POLICY);
        let result = queue.apply(&failed_from(0));
        assert_eq!((result.position, result.dead, millis(result.pause)), (None, None, 10));
        assert_eq!(numbers(&mut queue), ["1", "2"]);
    }

    #[test]
    fn gives_up_only_the_record_that_keeps_failing() {
        let mut queue = BatchQueue::new(records(1..=3), POLICY);
        assert_eq!(millis(queue.apply(&failed_from(1)).pause), 10);
        assert_eq!(millis(queue.apply(&failed_from(0)).pause), 15, "doubled, then limited to pause_max");
        let result = queue.apply(&failed_from(0));
        assert_eq!(result.dead.unwrap().sequence_number, "2");
        assert_eq!(result.position.as_deref(), Some("2"));
        assert_eq!(result.pause, None);
        assert_eq!(numbers(&mut queue), ["3"]);
        // The next record has all of its attempts.
        assert_eq!(millis(queue.apply(&failed_from(0)).pause), 10);
        assert_eq!(numbers(&mut queue), ["3"]);
    }

    #[test]
    fn counts_the_attempts_of_each_record_separately() {
        let mut queue = BatchQueue::new(records(1..=3), POLICY);
        queue.apply(&failed_from(0));
        queue.apply(&failed_from(0));
        let result = queue.apply(&failed_from(1));
        assert_eq!((result.position.as_deref(), millis(result.pause)), (Some("1"), 10));
        assert!(result.dead.is_none());
    }

    #[test]
    fn bisects_a_failed_batch_down_to_the_failing_record() {
        let mut queue = BatchQueue::new(records(1..=4), POLICY);
        let mut given_up = Vec::new();
        let mut seen = Vec::new();
        while queue.batch().is_some() {
            let batch = numbers(&mut queue);
            let outcome = if batch.contains(&"3".to_owned()) { failed() } else { BatchOutcome::Done };
            seen.push(batch.join(" "));
            given_up.extend(queue.apply(&outcome).dead.map(|dead| dead.sequence_number));
        }
        assert_eq!(seen, ["1 2 3 4", "1 2", "3 4", "3", "3", "3", "4"]);
        assert_eq!(given_up, ["3"]);
    }

    #[test]
    fn completes_or_gives_up_every_record_for_any_set_of_failing_records() {
        for failing in 0_u32..64 {
            let mut queue = BatchQueue::new(records(1..=6), POLICY);
            let is_failing = |n: &str| failing & (1 << (n.parse::<u32>().unwrap() - 1)) != 0;
            let (mut given_up, mut position, mut rounds) = (0, None, 0);
            while queue.batch().is_some() {
                let batch = numbers(&mut queue);
                let outcome = match batch.iter().position(|n| is_failing(n)) {
                    None => BatchOutcome::Done,
                    Some(index) if failing % 2 == 0 => failed_from(index),
                    Some(_) => failed(),
                };
                let result = queue.apply(&outcome);
                given_up += result.dead.iter().filter(|dead| is_failing(&dead.sequence_number)).count();
                if let Some(next) = result.position {
                    assert!(position.as_ref().is_none_or(|previous| *previous < next), "{failing:b}");
                    position = Some(next);
                }
                rounds += 1;
                assert!(rounds < 100, "the queue does not get empty: {failing:b}");
            }
            assert_eq!(position.as_deref(), Some("6"), "{failing:b}");
            assert_eq!(given_up, failing.count_ones() as usize, "{failing:b}");
        }
    }

    #[test]
    fn parses_responses_like_lambda() {
        let batch = records(1..=3);
        let read = |response| BatchOutcome::read(Ok(response), &batch);
        for success in
            [json!(null), json!({}), json!({"batchItemFailures": []}), json!({"batchItemFailures": null})]
        {
            assert_eq!(read(success.clone()), BatchOutcome::Done, "{success}");
        }
        let partial = json!({"batchItemFailures": [{"itemIdentifier": "3"}, {"itemIdentifier": "2"}]});
        assert!(matches!(read(partial), BatchOutcome::FailedFrom { index: 1, .. }));
        for invalid in [
            json!({"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "9"}]}),
            json!({"batchItemFailures": [{"itemIdentifier": ""}]}),
            json!({"batchItemFailures": [{"itemIdentifier": null}]}),
            json!({"batchItemFailures": [{"wrong": "2"}]}),
            json!({"batchItemFailures": "2"}),
        ] {
            assert!(matches!(read(invalid.clone()), BatchOutcome::Failed { .. }), "{invalid}");
        }
        let error = crate::functions::fake::failed();
        assert_eq!(
            BatchOutcome::read(Err(error.clone()), &batch),
            BatchOutcome::Failed { reason: error.to_string() }
        );
    }
}
