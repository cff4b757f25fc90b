//! A table without functions, for tests of plans that no action creates and that may violate rules.

use std::net::Ipv4Addr;

use dynoxide::Database;
use local::laptop::{ExternalDynamoDb, TABLE, plain_http, sdk_config};
use local::table::Table;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{endpoint, external};

/// An empty table in the same DynamoDB as that of a [`World`](crate::World). No function reads its stream.
#[derive(Debug)]
pub struct TestTable {
    store: Store,
    table: Table,
    /// Whether the table is in the DynamoDB that `ROSTER_TEST_DYNAMODB` names, so that it must be deleted at the end.
    external: bool,
    /// The task of the embedded DynamoDB. Dropping it stops the task.
    _engine: JoinSet<()>,
}

impl TestTable {
    /// Creates an empty table.
    pub async fn start() -> Self {
        let mut engine = JoinSet::new();
        let external = external().await;
        let (config, name) = match &external {
            Some(ExternalDynamoDb { config, table }) => (config.clone(), table.clone()),
            None => (sdk_config(&start_embedded(&mut engine).await, Some(plain_http())), TABLE.to_owned()),
        };
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), &name);
        table.create().await.expect("the table can be created");
        Self { store: Store::new(&config, name), table, external: external.is_some(), _engine: engine }
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

/// Starts an embedded DynamoDB, and returns its URL.
async fn start_embedded(tasks: &mut JoinSet<()>) -> String {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback interface has a free port");
    let url = format!("http://{}", listener.local_addr().expect("the listener has an address"));
    let database = Database::memory().expect("the database can be created in memory");
    tasks.spawn(dynoxide::server::serve_on(listener, database));
    url
}
