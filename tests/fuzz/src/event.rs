//! Events that are no calls: records of the table's stream, what SES tells, and the payload of a timer.

use std::collections::BTreeSet;

use aws_lambda_events::event::dynamodb::EventRecord;
use domain::{Invitation, Status};
use local::functions::InvokeError;
use reference::ReferenceTable;
use serde_json::{Value, json};

use crate::site::{at_the_site, named, noon};

/// Records of the stream, between two that are in order: only what cannot be read fails, and keeps nothing else waiting.
pub fn stream(bytes: &[u8]) {
    let Some(foreign) = read(bytes) else { return };
    let foreign = match foreign {
        Value::Array(records) => records,
        record => vec![record],
    };
    // What is no record of a stream at all does not come from one.
    if !foreign.iter().all(|record| serde_json::from_value::<EventRecord>(record.clone()).is_ok()) {
        return;
    }
    let numbers: Vec<&str> = foreign.iter().map(number).collect();
    if numbers.iter().any(|number| number.starts_with("ours-")) {
        return;
    }
    let records = [&[ours("$ivy", "ours-1")], &foreign[..], &[ours("$otto", "ours-2")]].concat();
    for function in ["mail", "schedule"] {
        at_the_site(async |site| {
            let invoked = site.invoke(function, json!({ "Records": records })).await;
            let answer = invoked.answer.expect("a batch is answered, whatever stands in it");
            let failures = answer["batchItemFailures"].as_array().expect("what has failed is listed");
            let failed: BTreeSet<&str> =
                failures.iter().map(|it| it["itemIdentifier"].as_str().unwrap_or_default()).collect();
            for failed in &failed {
                assert!(numbers.contains(failed), "{function} fails at {failed:?}, which is in order");
            }
            for record in foreign.iter().filter(|record| is_of_something_else(record)) {
                let alone = numbers.iter().filter(|other| **other == number(record)).count() == 1;
                assert!(
                    !alone || !failed.contains(number(record)),
                    "{function} fails at what it need not read"
                );
            }
            for (mail, times) in site.mails() {
                assert_eq!(times, 1, "a mail went out more than once: {mail:?}");
            }
            let untouched = invoked.after.is_none() && site.mails().is_empty();
            if let Some(after) = invoked.after {
                only_mail_differs(&site.before, &after);
            }
            untouched
        });
    }
}

/// An event of SES, as EventBridge hands it over: it leaves a mark on the mail that it names, or it is refused without a
/// word of what stood in it.
pub fn feedback_event(bytes: &[u8]) {
    let Some(event) = read(bytes) else { return };
    at_the_site(async |site| {
        let invoked = site.invoke("feedback", event.clone()).await;
        if let Err(error) = &invoked.answer {
            let said = words(error);
            let known = ["the event cannot be read at ", "the event is not one that this function takes"];
            assert!(known.iter().any(|known| said.starts_with(known)), "{said}");
            let mut addresses = Vec::new();
            texts(&event, &mut addresses);
            // A field's name is repeated; the names are the template's own.
            let is_name =
                |text: &str| event.as_object().is_some_and(|it| it.keys().any(|key| key.contains(text)));
            addresses.retain(|text| text.contains('@') && !is_name(text));
            assert!(!addresses.iter().any(|text| said.contains(text)), "{said}");
        }
        let Some(after) = invoked.after else { return true };
        only_mail_differs(&site.before, &after);
        let link = changed(&site.before, &after).map(|it| it.id.to_string());
        assert_eq!(link.as_deref(), event["invitation"][0].as_str(), "another invitation has the mark");
        false
    });
}

/// The payload of a timer: what is due is closed, and nothing else.
pub fn timer(bytes: &[u8]) {
    let Some(event) = read(bytes) else { return };
    at_the_site(async |site| {
        let invoked = site.invoke("expire", event.clone()).await;
        if let Err(error) = &invoked.answer {
            let said = words(error);
            let known =
                ["the event is not one that this function takes", "the invitation can be accepted until "];
            assert!(known.iter().any(|known| said.starts_with(known)), "{said}");
            assert!(invoked.after.is_none(), "it has failed, and changed something");
        }
        let Some(after) = invoked.after else { return true };
        let closed = changed(&site.before, &after).expect("something was changed");
        assert_eq!(closed.status(), Status::Expired);
        assert_eq!(Some(closed.id.as_str()), event["invitation_id"].as_str(), "another invitation is closed");
        assert!(closed.expires_at <= noon(), "it was not due");
        false
    });
}

/// JSON with what it names put in.
fn read(bytes: &[u8]) -> Option<Value> {
    serde_json::from_str(&named(std::str::from_utf8(bytes).ok()?)).ok()
}

/// What a function says that has failed.
fn words(error: &InvokeError) -> &str {
    match error {
        InvokeError::Failed { message, .. } => message,
        other => panic!("{other}"),
    }
}

fn number(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap_or_default()
}

/// Whether a record's key says that it is about no invitation.
fn is_of_something_else(record: &Value) -> bool {
    let key = |name: &str| record["dynamodb"]["Keys"][name]["S"].as_str();
    key("pk").is_some() && key("sk").is_some_and(|sk| !sk.starts_with("INVITATION#"))
}

/// A record in order, of an invitation that owes no mail.
fn ours(invitation: &str, number: &str) -> Value {
    let image = json!({
        "status": { "S": "pending" },
        "delivery": { "S": "queued" },
        "generation": { "N": "1" },
        "expires_at": { "N": named("$expires") },
    });
    json!({
        "eventID": number,
        "eventName": "MODIFY",
        "awsRegion": "eu-west-1",
        "dynamodb": {
            "SequenceNumber": number,
            "SizeBytes": 1,
            "Keys": {
                "pk": { "S": named("ORG#$organization") },
                "sk": { "S": named(&format!("INVITATION#{invitation}")) },
            },
            "NewImage": image,
        },
    })
}

fn all(stored: &ReferenceTable) -> impl Iterator<Item = &Invitation> {
    stored.organizations().flat_map(|organization| stored.invitations(&organization.id))
}

/// The one invitation that is not as it was.
fn changed<'a>(before: &ReferenceTable, after: &'a ReferenceTable) -> Option<&'a Invitation> {
    let mut changed = all(after).filter(|it| before.invitation(&it.organization, &it.id) != Some(it));
    let first = changed.next();
    assert_eq!(changed.next(), None, "more than one invitation was changed");
    first
}

/// Nothing has become of anything, but of mails.
fn only_mail_differs(before: &ReferenceTable, after: &ReferenceTable) {
    assert!(before.organizations().eq(after.organizations()));
    for organization in before.organizations() {
        assert!(before.members(&organization.id).eq(after.members(&organization.id)));
    }
    let standing =
        |stored| all(stored).map(|it| (it.id.clone(), it.status(), it.role, it.link())).collect::<Vec<_>>();
    assert_eq!(standing(before), standing(after));
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        _ => {}
    }
}
