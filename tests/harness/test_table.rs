//! A table without functions, for tests of plans that no action creates and that may violate rules.

use dynoxide::Database;
use local::aws::dynamodb::Engine;
use local::laptop::{ExternalDynamoDb, TABLE};
use local::table::Table;
use store::Store;

use crate::{endpoint, external};

/// An empty table in the same DynamoDB as that of a [`World`](crate::World). No function reads its stream.
#[derive(Debug)]
pub struct TestTable {
    store: Store,
    table: Table,
    /// Whether the table is in the DynamoDB that `ROSTER_TEST_DYNAMODB` names, so that it must be deleted at the end.
    external: bool,
}

impl TestTable {
    /// Creates an empty table.
    pub async fn start() -> Self {
        let external = external().await;
        let (config, name) = match &external {
            Some(ExternalDynamoDb { config, table }) => (config.clone(), table.clone()),
            None => (embedded().sdk_config(), TABLE.to_owned()),
        };
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), &name);
        table.create().await.expect("the table can be created");
        Self { store: Store::new(&config, name), table, external: external.is_some() }
    }

    /// Whether test tables are in the DynamoDB that `ROSTER_TEST_DYNAMODB` names. Creating a table is slow there.
    #[must_use]
    pub fn is_external() -> bool {
        endpoint().is_some()
    }

    /// Returns the store that functions use.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the table itself, to read or fill it as a whole.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Deletes the table, if it is not in the embedded DynamoDB.
    pub async fn finish(self) {
        if self.external {
            self.table.delete().await.expect("the table can be deleted");
        }
    }
}

/// Creates an embedded DynamoDB.
fn embedded() -> Engine {
    Engine::new(Database::memory().expect("the database can be created in memory"))
}
