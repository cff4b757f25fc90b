//! Assertions about JSON in responses: objects have exactly the fields of the contract.

use domain::Timestamp;
use serde_json::{Value, json};

use crate::Organization;

/// Checks that `value` is an object with exactly these fields.
#[track_caller]
pub fn assert_fields(value: &Value, fields: &[&str]) {
    let object = value.as_object().unwrap_or_else(|| panic!("{value} is not an object"));
    let mut present: Vec<_> = object.keys().map(String::as_str).collect();
    let mut fields = fields.to_vec();
    present.sort_unstable();
    fields.sort_unstable();
    assert_eq!(present, fields, "{value}");
}

/// Returns the `id` of an object.
#[track_caller]
pub fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("{value} has no id"))
}

/// Checks that `value` is a timestamp as in the contract (RFC 3339, UTC, whole seconds), and parses it.
#[track_caller]
pub fn timestamp(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a timestamp"));
    let timestamp: Timestamp = text.parse().unwrap_or_else(|_| panic!("{text} is not a timestamp"));
    assert_eq!(text, timestamp.to_string());
    let is_canonical = text.len() == "2026-11-25T14:05:00Z".len() && text.ends_with('Z');
    assert!(is_canonical, "{text} is not in UTC and whole seconds");
    timestamp
}

/// Checks that `value` is an invitation.
#[track_caller]
pub fn assert_invitation(value: &Value) {
    let mut fields = vec![
        "id",
        "email",
        "role",
        "status",
        "generation",
        "sender",
        "created_at",
        "sent_at",
        "expires_at",
        "delivery",
    ];
    if value.get("delivery_detail").is_some() {
        assert!(value["delivery_detail"].is_string(), "{value}");
        fields.push("delivery_detail");
    }
    assert_fields(value, &fields);
    assert_fields(&value["sender"], &["user_id", "email"]);
    assert!(value["id"].as_str().is_some_and(|id| id.starts_with("inv_")), "{value}");
    assert!(value["generation"].is_u64(), "{value}");
    timestamp(&value["created_at"]);
    timestamp(&value["expires_at"]);
    if !value["sent_at"].is_null() {
        timestamp(&value["sent_at"]);
    }
}

/// Checks that `value` is a member.
#[track_caller]
pub fn assert_member(value: &Value) {
    assert_fields(value, &["user_id", "email", "role", "joined_at"]);
    timestamp(&value["joined_at"]);
}

/// Checks that `value` is the response to an accept, and returns the member without the organization.
#[track_caller]
pub fn assert_accepted(value: &Value, organization: &Organization, name: &str) -> Value {
    let mut member = value.clone();
    let joined = member.as_object_mut().and_then(|fields| fields.remove("organization"));
    assert_eq!(joined, Some(json!({ "id": organization.id, "name": name })), "{value}");
    assert_member(&member);
    member
}

/// Checks that `value` is an organization as the API shows it to a member.
#[track_caller]
pub fn assert_organization(value: &Value) {
    assert_fields(value, &["id", "name", "role", "seats", "owners", "created_at"]);
    assert_fields(&value["seats"], &["total", "taken", "free"]);
    assert!(value["id"].as_str().is_some_and(|id| id.starts_with("org_")), "{value}");
    let seats = |name: &str| value["seats"][name].as_u64().unwrap_or_else(|| panic!("{value}"));
    assert_eq!(seats("total"), seats("taken") + seats("free"), "{value}");
    timestamp(&value["created_at"]);
}
