//! The embedded DynamoDB, called synchronously, so that a request takes no simulated time inside the engine.

use std::sync::{Mutex, PoisonError};

use dynoxide::Database;
use local::stream::Record;
use reference::ReferenceTable;
use serde_json::{Value, json};
use store::{CorruptItem, record};

/// The name of the table.
pub const TABLE: &str = "roster";

/// The operations of Roster's functions, and the ones that create the table.
const OPERATIONS: [&str; 8] = [
    "BatchGetItem",
    "CreateTable",
    "DescribeTable",
    "GetItem",
    "Query",
    "TransactGetItems",
    "TransactWriteItems",
    "UpdateTimeToLive",
];

/// The engine with its table, and the records of the table's stream.
pub struct Engine {
    engine: local::aws::dynamodb::Engine,
    stream: Mutex<Stream>,
}

#[derive(Default)]
struct Stream {
    /// The shard iterator for the next records; `None` before the first read.
    iterator: Option<String>,
    records: Vec<Record>,
}

impl Engine {
    /// Creates an engine without a table.
    pub fn in_memory() -> Self {
        let db = Database::memory().expect("the engine opens in memory");
        Self { engine: local::aws::dynamodb::Engine::new(db), stream: Mutex::default() }
    }

    /// Executes a request and returns status and body of the response.
    pub fn execute(&self, operation: &str, body: &[u8]) -> (u16, String) {
        assert!(OPERATIONS.contains(&operation), "Roster's functions do not use {operation}");
        self.engine.execute(operation, body)
    }

    /// Reads the whole table; an error means that an item is not in the format that Roster writes.
    pub fn table(&self) -> Result<ReferenceTable, CorruptItem> {
        let scanned = self.call("Scan", &json!({ "TableName": TABLE }));
        let items = scanned["Items"].as_array().into_iter().flatten();
        let read = |item: &Value| {
            let item: serde_dynamo::Item =
                serde_json::from_value(item.clone()).expect("the engine returns valid items");
            record::read(item.into())
        };
        items.map(read).collect()
    }

    /// Returns the stream records from index `from` on.
    ///
    /// Drops the records of writes that change nothing: the engine emits them, AWS does not.
    pub fn stream_records(&self, from: usize) -> Vec<Record> {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let mut iterator = stream.iterator.take().unwrap_or_else(|| self.first_iterator());
        loop {
            let page = self.call("GetRecords", &json!({ "ShardIterator": iterator }));
            page["NextShardIterator"].as_str().expect("the shard is open").clone_into(&mut iterator);
            let records = page["Records"].as_array().cloned().unwrap_or_default();
            if records.is_empty() {
                break;
            }
            let records = records.into_iter().map(|event| Record {
                sequence_number: event["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default().to_owned(),
                event,
            });
            stream.records.extend(records.filter(|record| !record.is_unchanged()));
        }
        stream.iterator = Some(iterator);
        stream.records.get(from..).unwrap_or_default().to_vec()
    }

    fn first_iterator(&self) -> String {
        let streams = self.call("ListStreams", &json!({ "TableName": TABLE }));
        let arn = &streams["Streams"][0]["StreamArn"];
        let described = self.call("DescribeStream", &json!({ "StreamArn": arn }));
        let shards = described["StreamDescription"]["Shards"].as_array().cloned().unwrap_or_default();
        assert_eq!(shards.len(), 1, "the engine's stream has one shard");
        let request = json!({
            "StreamArn": arn,
            "ShardId": shards[0]["ShardId"],
            "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = self.call("GetShardIterator", &request);
        iterator["ShardIterator"].as_str().expect("the response has an iterator").to_owned()
    }
    /// Executes an operation that must succeed.
    fn call(&self, operation: &str, request: &Value) -> Value {
        let (status, body) = self.engine.execute(operation, request.to_string().as_bytes());
        assert_eq!(status, 200, "{operation}: {body}");
        serde_json::from_str(&body).expect("a response is JSON")
    }
}
