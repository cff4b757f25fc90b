//! The engine and a table, and nothing else: for plans that no action makes, and that break the rules.

use std::net::Ipv4Addr;

use dynoxide::Database;
use local::laptop::{ExternalDynamoDb, TABLE, plain_http, sdk_config};
use local::table::Table;
use store::Store;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{endpoint, external};

/// An empty table, where a [`World`](crate::World) would have it, without anybody who reads its stream.
#[derive(Debug)]
pub struct TestTable {
    store: Store,
    table: Table,
    /// Whether the table is another DynamoDB's, and has to be deleted in the end.
    external: bool,
    /// The embedded engine. Aborted when dropped.
    _engine: JoinSet<()>,
}

impl TestTable {
    /// A test_table with nothing on it.
    pub async fn start() -> Self {
        let mut engine = JoinSet::new();
        let external = external().await;
        let (config, name) = match &external {
            Some(ExternalDynamoDb { config, table }) => (config.clone(), table.clone()),
            None => (sdk_config(&embedded(&mut engine).await, Some(plain_http())), TABLE.to_owned()),
        };
        let table = Table::new(aws_sdk_dynamodb::Client::new(&config), &name);
        table.make().await.expect("the table can be made");
        Self { store: Store::new(&config, name), table, external: external.is_some(), _engine: engine }
    }

    /// Whether stages are at another DynamoDB than the embedded one, and slow to make.
    #[must_use]
    pub fn is_elsewhere() -> bool {
        endpoint().is_some()
    }

    /// The table, as functions reach it.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The table as a whole.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Leaves nothing behind.
    pub async fn ends(self) {
        if self.external {
            self.table.delete().await.expect("the test_table's own table can be deleted");
        }
    }
}

/// Starts an engine, and gives its URL.
async fn embedded(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("the loopback has a free port");
    let url = format!("http://{}", listener.local_addr().expect("a listener has an address"));
    let database = Database::memory().expect("a database in memory");
    tasks.spawn(dynoxide::server::serve_on(listener, database));
    url
}
