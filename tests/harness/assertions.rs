//! What answers look like: exactly the contract's fields, and nothing that opens a link.

use domain::Timestamp;
use serde_json::Value;

/// `value` is an object with these fields and no other.
#[track_caller]
pub fn assert_fields(value: &Value, fields: &[&str]) {
    let mut present: Vec<_> =
        value.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let mut fields = fields.to_vec();
    present.sort_unstable();
    fields.sort_unstable();
    assert_eq!(present, fields, "{value}");
}

/// The id that `value` has.
#[track_caller]
pub fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("{value} has no id"))
}

/// The moment that `value` writes as the contract does: RFC 3339, UTC, whole seconds.
#[track_caller]
pub fn moment(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is no moment"));
    let moment: Timestamp = text.parse().unwrap_or_else(|_| panic!("{text} is no moment"));
    assert_eq!(text, moment.to_string());
    assert_eq!((text.len(), text.ends_with('Z')), ("2026-11-25T14:05:00Z".len(), true), "{text}");
    moment
}

/// `value` is an invitation.
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
    moment(&value["created_at"]);
    moment(&value["expires_at"]);
    if !value["sent_at"].is_null() {
        moment(&value["sent_at"]);
    }
}

/// `value` is a member.
#[track_caller]
pub fn assert_member(value: &Value) {
    assert_fields(value, &["user_id", "email", "role", "joined_at"]);
    moment(&value["joined_at"]);
}

/// `value` is an organization as its members see it.
#[track_caller]
pub fn assert_organization(value: &Value) {
    assert_fields(value, &["id", "name", "role", "seats", "owners", "created_at"]);
    assert_fields(&value["seats"], &["total", "taken", "free"]);
    assert!(value["id"].as_str().is_some_and(|id| id.starts_with("org_")), "{value}");
    let seats = |name: &str| value["seats"][name].as_u64().unwrap_or_else(|| panic!("{value}"));
    assert_eq!(seats("total"), seats("taken") + seats("free"), "{value}");
    moment(&value["created_at"]);
}
