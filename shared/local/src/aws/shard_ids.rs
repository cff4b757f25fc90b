//! Shard ids of DynamoDB Streams in the length that AWS clients require.
//!
//! AWS's ids have at least 28 characters, and boto3 and the AWS CLI refuse shorter ones. The embedded engine's ids are
//! shorter: `shardId-00000001-<table>`. The laptop shows them to clients with 20 digits, as AWS does.

use serde_json::Value;

/// The prefix of the engine's ids.
const ENGINE: &str = "shardId-00000001-";
/// The prefix of the same ids for clients.
const CLIENT: &str = "shardId-00000000000000000001-";

/// Replaces the ids in a request of a client by those of the engine.
pub(super) fn in_request(body: &[u8]) -> Vec<u8> {
    replace(body, |request| {
        rename(request, "ShardId", CLIENT, ENGINE);
        rename(request, "ExclusiveStartShardId", CLIENT, ENGINE);
    })
    .map_or_else(|| body.to_vec(), String::into_bytes)
}

/// Replaces the ids in a response of the engine by those for clients.
pub(super) fn in_response(body: String) -> String {
    replace(body.as_bytes(), |response| {
        let Some(stream) = response.get_mut("StreamDescription") else { return };
        rename(stream, "LastEvaluatedShardId", ENGINE, CLIENT);
        for shard in stream.get_mut("Shards").and_then(Value::as_array_mut).into_iter().flatten() {
            rename(shard, "ShardId", ENGINE, CLIENT);
            rename(shard, "ParentShardId", ENGINE, CLIENT);
        }
    })
    .unwrap_or(body)
}

/// Changes a JSON text. Returns `None` if the text is not JSON.
fn replace(body: &[u8], change: impl FnOnce(&mut Value)) -> Option<String> {
    let mut json = serde_json::from_slice(body).ok()?;
    change(&mut json);
    Some(json.to_string())
}

fn rename(object: &mut Value, field: &str, from: &str, to: &str) {
    let Some(id) = object.get_mut(field) else { return };
    if let Some(table) = id.as_str().and_then(|id| id.strip_prefix(from)) {
        *id = Value::String(format!("{to}{table}"));
    }
}
