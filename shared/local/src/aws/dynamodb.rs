//! DynamoDB and DynamoDB Streams: an embedded engine.
//!
//! The engine is called in this process, and listens on no port that a web page could call. Other processes call it
//! through the laptop's port, which [`crate::guard`] protects.

use aws_config::SdkConfig;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse as _, Response};
use axum::routing;
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use http::{HeaderMap, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::watch;

use crate::aws::shard_ids;
use crate::in_process;
use crate::laptop::sdk_config;

const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// The embedded DynamoDB. Clones share the data.
#[derive(Clone)]
pub struct Engine {
    db: Database,
    writes: watch::Sender<()>,
}

impl Engine {
    /// Creates an engine that serves the tables of `db`.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db, writes: watch::Sender::new(()) }
    }

    /// Returns a receiver that is notified after each request that may have written to a table.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.writes.subscribe()
    }

    /// Returns an SDK configuration for calls of this engine.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        let engine = self.clone();
        let respond = |headers: HeaderMap, body: Bytes| async move { engine.respond(&headers, &body) };
        let router = Router::new().route("/", routing::post(respond)).layer(DefaultBodyLimit::disable());
        sdk_config(in_process::ORIGIN, Some(in_process::http(router)))
    }

    /// Handles an HTTP request. Its header `X-Amz-Target` names the operation.
    #[must_use]
    pub fn respond(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
        let operation =
            target.and_then(|target| target.split_once('.')).map_or("", |(_, operation)| operation);
        let (status, body) = match operation {
            "DescribeStream" | "GetShardIterator" => {
                let (status, body) = self.execute(operation, &shard_ids::in_request(body));
                (status, shard_ids::in_response(body))
            }
            _ => self.execute(operation, body),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body).into_response()
    }

    /// Executes an operation. Returns status and body of the response.
    ///
    /// The call is synchronous: the engine takes a few milliseconds at most.
    #[must_use]
    pub fn execute(&self, operation: &str, body: &[u8]) -> (u16, String) {
        let db = &self.db;
        let response = match operation {
            "BatchExecuteStatement" => call(body, |request| db.batch_execute_statement(request)),
            "BatchGetItem" => call(body, |request| db.batch_get_item(request)),
            "BatchWriteItem" => call(body, |request| db.batch_write_item(request)),
            "CreateTable" => call(body, |request| db.create_table(request)),
            "DeleteItem" => call(body, |request| db.delete_item(request)),
            "DeleteTable" => call(body, |request| db.delete_table(request)),
            "DescribeStream" => call(body, |request| db.describe_stream(request)),
            "DescribeTable" => call(body, |request| db.describe_table(request)),
            "DescribeTimeToLive" => call(body, |request| db.describe_time_to_live(request)),
            "ExecuteStatement" => call(body, |request| db.execute_statement(request)),
            "ExecuteTransaction" => call(body, |request| db.execute_transaction(request)),
            "GetItem" => call(body, |request| db.get_item(request)),
            "GetRecords" => call(body, |request| db.get_records(request)),
            "GetShardIterator" => call(body, |request| db.get_shard_iterator(request)),
            "ListStreams" => call(body, |request| db.list_streams(request)),
            "ListTables" => call(body, |request| db.list_tables(request)),
            "ListTagsOfResource" => call(body, |request| db.list_tags_of_resource(request)),
            "PutItem" => call(body, |request| db.put_item(request)),
            "Query" => call(body, |request| db.query(request)),
            "Scan" => call(body, |request| db.scan(request)),
            "TagResource" => call(body, |request| db.tag_resource(request)),
            "TransactGetItems" => call(body, |request| db.transact_get_items(request)),
            "TransactWriteItems" => call(body, |request| db.transact_write_items(request)),
            "UntagResource" => call(body, |request| db.untag_resource(request)),
            "UpdateItem" => call(body, |request| db.update_item(request)),
            "UpdateTable" => call(body, |request| db.update_table(request)),
            "UpdateTimeToLive" => call(body, |request| db.update_time_to_live(request)),
            _ => return (400, unknown_operation(operation)),
        };
        if may_write(operation) {
            self.writes.send_replace(());
        }
        response.map_or_else(|error| (error.status_code(), error.to_json()), |body| (200, body))
    }
}

/// Whether an operation may write an item. Also true for operations on whole tables.
fn may_write(operation: &str) -> bool {
    let is_read = matches!(operation, "BatchGetItem" | "Query" | "Scan" | "TransactGetItems")
        || ["Describe", "Get", "List"].iter().any(|prefix| operation.starts_with(prefix));
    !is_read
}

/// Calls the engine with the body of an HTTP request, and returns the body of the response.
fn call<Request, Answer>(
    body: &[u8],
    call: impl FnOnce(Request) -> dynoxide::Result<Answer>,
) -> dynoxide::Result<String>
where
    Request: DeserializeOwned,
    Answer: Serialize,
{
    let request = serde_json::from_slice(body).map_err(|error| invalid_request(&error.to_string()))?;
    let answer = call(request)?;
    serde_json::to_string(&answer).map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// Converts the error of parsing a request.
///
/// The engine's types write the kind of the error before the message, such as `VALIDATION:` or `SERIALIZATION_AS_READ:`,
/// and `serde_json` adds the position.
fn invalid_request(error: &str) -> DynoxideError {
    let (kind, message) = error.split_once(':').unwrap_or(("", error));
    let without_position = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    match kind {
        "VALIDATION" | "VALIDATION_REQUEST" => {
            DynoxideError::ValidationException(without_position.to_owned())
        }
        "VALIDATION_AS_READ" => DynoxideError::ValidationException(message.to_owned()),
        "SERIALIZATION" => DynoxideError::SerializationException(without_position.to_owned()),
        "SERIALIZATION_AS_READ" => DynoxideError::SerializationException(message.to_owned()),
        _ if error.starts_with("missing field") => DynoxideError::ValidationException(error.to_owned()),
        _ => DynoxideError::SerializationException(error.to_owned()),
    }
}

fn unknown_operation(operation: &str) -> String {
    json!({
        "__type": "com.amazon.coral.service#UnknownOperationException",
        "message": format!("the laptop's DynamoDB does not support the operation {operation:?}"),
    })
    .to_string()
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn engine() -> Engine {
        let engine = Engine::new(Database::memory().unwrap());
        let table = json!({
            "TableName": "items",
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        execute(&engine, "CreateTable", &table).unwrap();
        engine
    }

    /// Executes an operation. An error is returned as its type and message.
    fn execute(engine: &Engine, operation: &str, body: &Value) -> Result<Value, String> {
        let (status, body) = engine.execute(operation, body.to_string().as_bytes());
        let body: Value = serde_json::from_str(&body).unwrap();
        if status == 200 {
            return Ok(body);
        }
        let kind = body["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        let message = body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default();
        Err(format!("{status} {kind}: {message}"))
    }

    #[test]
    fn reports_errors_with_the_status_and_type_of_dynamodb() {
        let engine = engine();
        let put = |item: Value, condition: Option<&str>| {
            let mut request = json!({ "TableName": "items", "Item": item });
            if let Some(condition) = condition {
                request["ConditionExpression"] = json!(condition);
            }
            execute(&engine, "PutItem", &request)
        };
        put(json!({ "pk": { "S": "a" } }), None).unwrap();
        let error_of = |result: Result<Value, String>| result.unwrap_err();
        let failed = error_of(put(json!({ "pk": { "S": "a" } }), Some("attribute_not_exists(pk)")));
        assert!(failed.starts_with("400 ConditionalCheckFailedException: "), "{failed}");
        let number = error_of(put(json!({ "pk": { "S": "a" }, "n": { "N": "x" } }), None));
        assert!(number.starts_with("400 ValidationException: "), "{number}");
        assert!(number.contains("numeric value") && !number.contains(" line "), "{number}");
        assert!(!number.contains("VALIDATION"), "{number}");
        let missing = error_of(execute(&engine, "GetItem", &json!({ "TableName": "items" })));
        assert!(missing.starts_with("400 ValidationException: "), "{missing}");
        let mistyped = error_of(execute(&engine, "GetItem", &json!({ "TableName": 1, "Key": {} })));
        assert!(mistyped.starts_with("400 SerializationException: "), "{mistyped}");
        let absent = json!({ "TableName": "absent", "Key": { "pk": { "S": "a" } } });
        let absent = error_of(execute(&engine, "GetItem", &absent));
        assert!(absent.starts_with("400 ResourceNotFoundException: "), "{absent}");
        let unknown = error_of(execute(&engine, "DescribeEndpoints", &json!({})));
        assert!(unknown.starts_with("400 UnknownOperationException: "), "{unknown}");
        assert!(unknown.contains("DescribeEndpoints"), "{unknown}");
    }

    #[test]
    fn notifies_of_writes_and_not_of_reads() {
        let engine = engine();
        let mut writes = engine.subscribe();
        let key = json!({ "pk": { "S": "a" } });
        for (operation, body, is_write) in [
            ("GetItem", json!({ "TableName": "items", "Key": key }), false),
            ("PutItem", json!({ "TableName": "items", "Item": key }), true),
            ("Scan", json!({ "TableName": "items" }), false),
            ("DescribeTable", json!({ "TableName": "items" }), false),
            ("ListStreams", json!({}), false),
            (
                "TransactGetItems",
                json!({ "TransactItems": [{ "Get": { "TableName": "items", "Key": key } }] }),
                false,
            ),
            (
                "TransactWriteItems",
                json!({ "TransactItems": [{ "Delete": { "TableName": "items", "Key": key } }] }),
                true,
            ),
            ("ExecuteStatement", json!({ "Statement": "INSERT INTO items VALUE {'pk': 'b'}" }), true),
            (
                "BatchWriteItem",
                json!({ "RequestItems": { "items": [{ "DeleteRequest": { "Key": key } }] } }),
                true,
            ),
        ] {
            execute(&engine, operation, &body).unwrap();
            assert_eq!(writes.has_changed().unwrap(), is_write, "{operation}");
            writes.borrow_and_update();
        }
    }
}
