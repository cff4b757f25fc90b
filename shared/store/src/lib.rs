//! Access to Roster's DynamoDB table: keys, stored records, changes, snapshots, lists, and running actions.
//!
//! [`Store::run`] reads the items that an action names as one snapshot. It then calls the action's `decide` and commits
//! the plan as one transaction. Other crates do not handle DynamoDB's attribute names, expressions or placeholders.

pub mod record;
pub mod schema;

mod commit;
mod error;
mod expr;
mod key;
mod overdue;
mod page;
mod retry;
mod run;
mod snapshot;
mod transaction;

pub use commit::{CommitError, CommitOutcome};
pub use error::{CorruptItem, Error};
pub use overdue::{Overdue, OverduePage, PageToken};
pub use page::{Membership, Page};
pub use record::MemberSummary;
pub use retry::{Backoff, RetryPolicy, RetryStats, with_retry_stats};
pub use run::{ATTEMPTS_MAX, RunError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;

/// A client of the table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    table: String,
    /// For reads. The SDK retries them.
    reads: Client,
    /// For transactions. The SDK's retries are off: `commit` chooses the client request token of each retry.
    writes: Client,
    retry_policy: RetryPolicy,
}

impl Store {
    /// Creates a client of the table `table` with the SDK configuration `config`.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        let without_retries =
            aws_sdk_dynamodb::config::Builder::from(config).retry_config(RetryConfig::disabled());
        Self {
            table: table.into(),
            reads: Client::new(config),
            writes: Client::from_conf(without_retries.build()),
            retry_policy: RetryPolicy::default(),
        }
    }

    /// Replaces the retry policy. The default is the policy of the functions.
    #[must_use]
    pub fn with_retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }
}
