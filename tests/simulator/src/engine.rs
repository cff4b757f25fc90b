//! The embedded DynamoDB, called synchronously, so that a request takes no simulated time inside the engine.

use std::sync::{Mutex, PoisonError};

use dynoxide::{Database, DynoxideError};
use local::stream::Record;
use reference::ReferenceTable;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use store::{CorruptItem, record};

/// The name of the table.
pub const TABLE: &str = "roster";

/// The engine with its table, and the records of the table's stream.
pub struct Engine {
    db: Database,
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
        Self { db, stream: Mutex::default() }
    }

    /// Executes a request and returns status and body of the response.
    pub fn execute(&self, operation: &str, body: &[u8]) -> (u16, String) {
        let db = &self.db;
        let response = match operation {
            "BatchGetItem" => call(body, |request| db.batch_get_item(request)),
            "GetItem" => call(body, |request| db.get_item(request)),
            "Query" => call(body, |request| db.query(request)),
            "TransactGetItems" => call(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => call(body, |request| db.transact_write_items(request)),
            "CreateTable" => call(body, |request| db.create_table(request)),
            "DescribeTable" => call(body, |request| db.describe_table(request)),
            "UpdateTimeToLive" => call(body, |request| db.update_time_to_live(request)),
            other => panic!("Roster's functions do not use {other}"),
        };
        response.map_or_else(|error| (error.status_code(), error.to_json()), |body| (200, body))
    }

    /// Reads the whole table; an error means that an item is not in the format that Roster writes.
    pub fn table(&self) -> Result<ReferenceTable, CorruptItem> {
        let scanned = call_json(&json!({ "TableName": TABLE }), |request| self.db.scan(request));
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
            let page =
                call_json(&json!({ "ShardIterator": iterator }), |request| self.db.get_records(request));
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
        let streams = call_json(&json!({ "TableName": TABLE }), |request| self.db.list_streams(request));
        let arn = &streams["Streams"][0]["StreamArn"];
        let described = call_json(&json!({ "StreamArn": arn }), |request| self.db.describe_stream(request));
        let shards = described["StreamDescription"]["Shards"].as_array().cloned().unwrap_or_default();
        assert_eq!(shards.len(), 1, "the engine's stream has one shard");
        let request = json!({
            "StreamArn": arn,
            "ShardId": shards[0]["ShardId"],
            "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = call_json(&request, |request| self.db.get_shard_iterator(request));
        iterator["ShardIterator"].as_str().expect("the response has an iterator").to_owned()
    }
}

/// Calls the engine with a request that must succeed.
fn call_json<Request, Response>(
    request: &Value,
    call: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> Value
where
    Request: DeserializeOwned,
    Response: Serialize,
{
    let request = serde_json::from_value(request.clone()).expect("the request is valid");
    let response = call(request).expect("the engine accepts the request");
    serde_json::to_value(response).expect("a response is JSON")
}

/// Calls the engine with the body of an HTTP request and returns the body of the response.
fn call<Request, Response>(
    body: &[u8],
    call: impl FnOnce(Request) -> dynoxide::Result<Response>,
) -> Result<String, DynoxideError>
where
    Request: DeserializeOwned,
    Response: Serialize,
{
    let request = serde_json::from_slice(body).expect("the SDK writes valid requests");
    let response = call(request)?;
    Ok(serde_json::to_string(&response).expect("a response is JSON"))
}
