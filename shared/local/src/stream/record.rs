//! A stream record in the shape that Lambda sends.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{self, AttributeValue};
use serde_json::{Map, Value, json};

/// A record, as a member of `Records` in a function's event.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its place in the shard.
    pub sequence_number: String,
    /// The JSON.
    pub event: Value,
}

impl Eq for Record {}

impl Record {
    /// Turns what the streams API gives into what Lambda sends. None for a record that misses what every
    /// record has.
    pub(super) fn from_sdk(record: types::Record, stream_arn: &str) -> Option<Self> {
        let change = record.dynamodb?;
        let sequence_number = change.sequence_number?;
        let mut dynamodb = Map::new();
        if let Some(moment) = change.approximate_creation_date_time {
            dynamodb.insert("ApproximateCreationDateTime".to_owned(), json!(moment.secs()));
        }
        for (name, image) in
            [("Keys", change.keys), ("NewImage", change.new_image), ("OldImage", change.old_image)]
        {
            if let Some(image) = image {
                dynamodb.insert(name.to_owned(), dynamodb_json(image)?);
            }
        }
        dynamodb.insert("SequenceNumber".to_owned(), json!(sequence_number));
        dynamodb.insert("SizeBytes".to_owned(), json!(change.size_bytes));
        dynamodb.insert(
            "StreamViewType".to_owned(),
            json!(change.stream_view_type.as_ref().map(types::StreamViewType::as_str)),
        );

        let mut event = json!({
            "eventID": record.event_id,
            "eventName": record.event_name.as_ref().map(types::OperationType::as_str),
            "eventVersion": record.event_version,
            "eventSource": record.event_source,
            "awsRegion": record.aws_region,
            "dynamodb": dynamodb,
            "eventSourceARN": stream_arn,
        });
        if let Some(identity) = record.user_identity {
            // Only the time-to-live sweep has one. The embedded engine spells its members in a way that the
            // SDK does not read, hence the defaults.
            event["userIdentity"] = json!({
                "type": identity.r#type.as_deref().unwrap_or("Service"),
                "principalId": identity.principal_id.as_deref().unwrap_or("dynamodb.amazonaws.com"),
            });
        }
        Some(Self { sequence_number, event })
    }

    /// Whether the write changed nothing.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        let change = &self.event["dynamodb"];
        change["NewImage"].is_object() && change["NewImage"] == change["OldImage"]
    }
}

fn dynamodb_json(image: HashMap<String, AttributeValue>) -> Option<Value> {
    let item = serde_dynamo::Item::from(image);
    serde_json::to_value(item).ok()
}
