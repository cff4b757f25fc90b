//! Roster's DynamoDB table: keys, records, guarded changes, snapshots, pages, and how a change is settled.
//!
//! An action reads its facts as one snapshot, decides in [`domain`], and commits the plan as one transaction;
//! [`Store::settle`] is that loop. The words of DynamoDB (attribute names, expressions, placeholders) stay
//! inside this crate.

pub mod aws;
pub mod record;
pub mod schema;

mod commit;
mod delivery;
mod effort;
mod error;
mod expr;
mod facts;
mod key;
mod lower;
mod overdue;
mod page;
mod read;
mod settle;

pub use commit::{CommitError, Outcome, Patience, Pauses};
pub use effort::{Effort, with_effort};
pub use error::{Broken, Error};
pub use facts::{AcceptFacts, LetterFacts, Once, OrganizationFacts};
pub use overdue::{Overdue, OverduePage, Rest};
pub use page::{Listed, Membership, Page};
pub use settle::{ATTEMPTS_MAX, SettleError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;

/// The table, reached through the SDK. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    table: String,
    /// Reads may be repeated by the SDK as it likes.
    reads: Client,
    /// A transaction may not: what is to be sent again, and under which token, `commit` decides.
    writes: Client,
    patience: Patience,
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
            patience: Patience::default(),
        }
    }

    /// The same table, with another patience than a function's: for whoever cannot wait that long.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }
}
