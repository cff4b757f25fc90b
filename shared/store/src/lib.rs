//! Roster's DynamoDB table: keys, records, guarded changes, snapshots, pages, and how an action is run.
//!
//! [`Store::run`] reads the items that an action names as one snapshot, lets it decide, and commits its plan as one
//! transaction. The words of DynamoDB (attribute names, expressions, placeholders) stay inside this crate.

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

/// The table, reached through the SDK. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    table: String,
    /// The SDK may retry reads as it likes.
    reads: Client,
    /// The SDK may not retry a transaction: `commit` decides what is sent again, and under which token.
    writes: Client,
    retry_policy: RetryPolicy,
}

impl Store {
    /// The table `table`, reached as `config` says.
    #[must_use]
    pub fn new(config: &aws_config::SdkConfig, table: impl Into<String>) -> Self {
        let once = aws_sdk_dynamodb::config::Builder::from(config).retry_config(RetryConfig::disabled());
        Self {
            table: table.into(),
            reads: Client::new(config),
            writes: Client::from_conf(once.build()),
            retry_policy: RetryPolicy::default(),
        }
    }

    /// The same table, with another retry policy than a function's.
    #[must_use]
    pub fn with_retry_policy(self, retry_policy: RetryPolicy) -> Self {
        Self { retry_policy, ..self }
    }
}
