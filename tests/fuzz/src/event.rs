//! Events other than calls: records of the table's stream, SES events, and the payload of a timer.

use std::collections::BTreeSet;

use aws_lambda_events::event::dynamodb::EventRecord;
use domain::{Invitation, Status};
use local::functions::InvokeError;
use reference::ReferenceTable;
use serde_json::{Value, json};

use crate::site::{noon, replace_placeholders, with_site};

/// Invokes `mail` and `schedule` with the stream records of the input, between two valid records.
///
/// Only unreadable records may fail, and they must not fail other records.
pub fn stream(bytes: &[u8]) {
    let Some(input) = read(bytes) else { return };
    let input = match input {
        Value::Array(records) => records,
        record => vec![record],
    };
    // A stream delivers only values of this type.
    if !input.iter().all(|record| serde_json::from_value::<EventRecord>(record.clone()).is_ok()) {
        return;
    }
    let numbers: Vec<&str> = input.iter().map(sequence_number).collect();
    if numbers.iter().any(|number| number.starts_with("valid-")) {
        return;
    }
    let records =
        [&[valid_record("$ivy", "valid-1")], &input[..], &[valid_record("$otto", "valid-2")]].concat();
    for function in ["mail", "schedule"] {
        with_site(async |site| {
            let result = site.invoke(function, json!({ "Records": records })).await;
            let response = result.response.expect("every batch gets a response");
            let failures = response["batchItemFailures"].as_array().expect("the response lists failures");
            let failed: BTreeSet<&str> =
                failures.iter().map(|it| it["itemIdentifier"].as_str().unwrap_or_default()).collect();
            for failed in &failed {
                assert!(numbers.contains(failed), "{function} reports the valid record {failed:?}");
            }
            for record in input.iter().filter(|record| is_of_another_item(record)) {
                let is_unique =
                    numbers.iter().filter(|other| **other == sequence_number(record)).count() == 1;
                assert!(
                    !is_unique || !failed.contains(sequence_number(record)),
                    "{function} reports a record of another item"
                );
            }
            for (mail, times) in site.mails() {
                assert_eq!(times, 1, "a mail was sent more than once: {mail:?}");
            }
            let untouched = result.after.is_none() && site.mails().is_empty();
            if let Some(after) = result.after {
                assert_only_deliveries_differ(&site.before, &after);
            }
            untouched
        });
    }
}

/// Invokes `feedback` with an SES event, as EventBridge passes it.
///
/// The function must update the delivery of the named mail only, or fail with an error that contains no address of the
/// event.
pub fn feedback_event(bytes: &[u8]) {
    let Some(event) = read(bytes) else { return };
    with_site(async |site| {
        let result = site.invoke("feedback", event.clone()).await;
        if let Err(error) = &result.response {
            let message = error_message(error);
            let known = ["the event cannot be read at ", "the event is not valid for this function"];
            assert!(known.iter().any(|known| message.starts_with(known)), "{message}");
            let mut addresses = Vec::new();
            strings(&event, &mut addresses);
            // The error may contain the name of a field. Names come from the rule in the template, not from SES.
            let is_name =
                |text: &str| event.as_object().is_some_and(|it| it.keys().any(|key| key.contains(text)));
            addresses.retain(|text| text.contains('@') && !is_name(text));
            assert!(!addresses.iter().any(|text| message.contains(text)), "{message}");
        }
        let Some(after) = result.after else { return true };
        assert_only_deliveries_differ(&site.before, &after);
        let invitation = changed(&site.before, &after).map(|it| it.id.to_string());
        assert_eq!(invitation.as_deref(), event["invitation"][0].as_str(), "another invitation was updated");
        false
    });
}

/// Invokes `expire` with the payload of a timer.
///
/// The function must close the named invitation only, and only if it is due.
pub fn timer(bytes: &[u8]) {
    let Some(event) = read(bytes) else { return };
    with_site(async |site| {
        let result = site.invoke("expire", event.clone()).await;
        if let Err(error) = &result.response {
            let message = error_message(error);
            let known = ["the event is not valid for this function", "the invitation can be accepted until "];
            assert!(known.iter().any(|known| message.starts_with(known)), "{message}");
            assert!(result.after.is_none(), "the function failed, but changed the table");
        }
        let Some(after) = result.after else { return true };
        let closed = changed(&site.before, &after).expect("a commit changes an invitation");
        assert_eq!(closed.status(), Status::Expired);
        assert_eq!(
            Some(closed.id.as_str()),
            event["invitation_id"].as_str(),
            "another invitation was closed"
        );
        assert!(closed.expires_at <= noon(), "the invitation was not due");
        false
    });
}

/// Parses the input as JSON, after replacing its placeholders.
fn read(bytes: &[u8]) -> Option<Value> {
    serde_json::from_str(&replace_placeholders(std::str::from_utf8(bytes).ok()?)).ok()
}

/// Returns the message of a function that failed.
fn error_message(error: &InvokeError) -> &str {
    match error {
        InvokeError::Failed { message, .. } => message,
        other => panic!("{other}"),
    }
}

/// Returns the sequence number of a record.
fn sequence_number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}

/// Whether the record's key is valid, and is not the key of an invitation.
fn is_of_another_item(record: &Value) -> bool {
    let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str();
    key("pk").is_some() && key("sk").is_some_and(|sk| !sk.starts_with("INVITATION#"))
}

/// Returns a valid record of an invitation that has no unsent mail in the table.
fn valid_record(invitation: &str, number: &str) -> Value {
    let image = json!({
        "status": { "S": "pending" },
        "delivery": { "S": "queued" },
        "generation": { "N": "1" },
        "expires_at": { "N": replace_placeholders("$expires") },
    });
    json!({
        "eventID": number,
        "eventName": "MODIFY",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "SequenceNumber": number,
            "SizeBytes": 1,
            "Keys": {
                "pk": { "S": replace_placeholders("ORG#$organization") },
                "sk": { "S": replace_placeholders(&format!("INVITATION#{invitation}")) },
            },
            "NewImage": image,
        },
    })
}

fn invitations(stored: &ReferenceTable) -> impl Iterator<Item = &Invitation> {
    stored.organizations().flat_map(|organization| stored.invitations(&organization.id))
}

/// Returns the only invitation that differs between the tables, if there is one.
fn changed<'a>(before: &ReferenceTable, after: &'a ReferenceTable) -> Option<&'a Invitation> {
    let mut changed = invitations(after).filter(|it| before.invitation(&it.organization, &it.id) != Some(it));
    let first = changed.next();
    assert_eq!(changed.next(), None, "more than one invitation differs");
    first
}

/// Asserts that the tables differ in nothing but the delivery of mails.
fn assert_only_deliveries_differ(before: &ReferenceTable, after: &ReferenceTable) {
    assert!(before.organizations().eq(after.organizations()));
    for organization in before.organizations() {
        assert!(before.members(&organization.id).eq(after.members(&organization.id)));
    }
    let essentials = |stored| {
        invitations(stored).map(|it| (it.id.clone(), it.status(), it.role, it.link())).collect::<Vec<_>>()
    };
    assert_eq!(essentials(before), essentials(after));
}

/// Collects all strings in `value`.
fn strings(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, found)),
        _ => {}
    }
}
