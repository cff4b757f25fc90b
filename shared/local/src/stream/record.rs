//! A stream record in the form that Lambda sends to a function.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{self, AttributeValue};
use serde_json::{Map, Value, json};

/// A stream record: one element of `Records` in a function's event.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The record's position in the shard.
    pub sequence_number: String,
    /// The record as JSON.
    pub event: Value,
}

impl Eq for Record {}

impl Record {
    /// Converts a record of the DynamoDB Streams API to the form that Lambda sends. Returns `None` if the change or its
    /// sequence number is missing, or if an image has no JSON form.
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
            // Only deletions by time to live have an identity. The embedded engine names its fields in a way that the
            // SDK does not parse, hence the defaults.
            event["userIdentity"] = json!({
                "type": identity.r#type.as_deref().unwrap_or("Service"),
                "principalId": identity.principal_id.as_deref().unwrap_or("dynamodb.amazonaws.com"),
            });
        }
        Some(Self { sequence_number, event })
    }

    /// Whether the write did not change the item.
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
