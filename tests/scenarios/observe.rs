//! What functions tell about themselves: one line per invocation, which is its metrics too.

use std::collections::BTreeSet;

use harness::{Fault, Organization, Person, TWO_DAYS, World, timer};
use serde_json::{Value, json};

use crate::every_route;
use crate::log_capture::{functions, lines, listen};

const WRITE: &str = "TransactWriteItems";
const READ: &str = "TransactGetItems";
const BOB: &str = "bob@example.com";

/// The last lines, which are those with an outcome.
fn told() -> Vec<Value> {
    let lines = lines();
    lines.iter().for_each(assert_whole);
    lines.into_iter().filter(|line| line["outcome"].is_string()).collect()
}

/// The last lines of `action`.
fn told_of(action: &str) -> Vec<Value> {
    told().into_iter().filter(|line| line["action"] == action).collect()
}

/// The one last line of `action`.
#[track_caller]
fn one(action: &str) -> Value {
    let mut told = told_of(action);
    assert_eq!(told.len(), 1, "{told:?}");
    told.remove(0)
}

/// Says who and what, and is valid embedded metric format if it is one at all: whatever `_aws` names is there,
/// and metrics have no other dimensions than these.
#[track_caller]
fn assert_whole(line: &Value) {
    for member in ["level", "timestamp", "action", "request_id"] {
        assert!(line[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {line}");
    }
    let _ = harness::moment(&line["timestamp"]);
    if line["outcome"].is_null() {
        assert!(line["message"].is_string() && line["target"].is_string(), "{line}");
        assert_eq!(line["_aws"], Value::Null);
        return;
    }
    for member in ["duration_ms", "decided_again", "sent_again"] {
        assert!(line[member].is_u64(), "{member}: {line}");
    }
    let Some(metadata) = line.get("_aws") else { return };
    assert!(metadata["Timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
    for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "Roster");
        let dimensions = directive["Dimensions"].as_array().unwrap();
        assert_eq!(dimensions.len(), 1, "each set of dimensions is paid for");
        for dimension in dimensions[0].as_array().unwrap() {
            let name = dimension.as_str().unwrap();
            assert!(["action", "outcome"].contains(&name), "{line}");
            assert!(line[name].is_string(), "{line}");
        }
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{line}");
            assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()), "{line}");
        }
    }
}

/// The metrics of a line with their dimensions, as in `Invocations action,outcome = 1`.
fn metrics(line: &Value) -> Vec<String> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut metrics = Vec::new();
    for directive in directives {
        let by: Vec<_> =
            directive["Dimensions"][0].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        for metric in directive["Metrics"].as_array().unwrap() {
            let name = metric["Name"].as_str().unwrap();
            metrics.push(format!("{name} {} = {}", by.join(","), line[name]));
        }
    }
    metrics
}

/// Ada's organization, with nothing going on besides.
async fn calm(world: &World) -> (Person, Organization) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let _ = told();
    (ada, acme)
}

#[tokio::test]
async fn an_invocation_is_told_in_one_line_that_is_its_metrics_too() {
    listen();
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    ada.invites(&acme, &[BOB], "member").await.is(200);
    // The stream's readers may be at it already.
    let mut told: Vec<_> = lines().into_iter().filter(|line| line["action"] == "invite").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    let line = &mut told[0];
    // What differs from one time to another is looked at before it is taken out.
    assert!(line["duration_ms"].is_u64());
    assert_eq!(line["_aws"]["Timestamp"].as_i64().unwrap() % 1000, 0);
    for id in ["request_id", "gateway_request_id"] {
        assert!(line[id].as_str().is_some_and(|id| id.len() >= 10), "{line}");
        line[id] = json!("an id");
    }
    line["timestamp"] = json!("a moment");
    line["duration_ms"] = json!(0);
    line["_aws"]["Timestamp"] = json!(0);
    assert_eq!(
        *line,
        json!({
            "_aws": {
                "Timestamp": 0,
                "CloudWatchMetrics": [{
                    "Namespace": "Roster",
                    "Dimensions": [["action", "outcome"]],
                    "Metrics": [{ "Name": "Invocations", "Unit": "Count" }],
                }],
            },
            "Invocations": 1,
            "action": "invite",
            "actor": "ada",
            "decided_again": 0,
            "duration_ms": 0,
            "gateway_request_id": "an id",
            "level": "INFO",
            "organization": acme.id,
            "outcome": "ok",
            "request_id": "an id",
            "sent_again": 0,
            "status": 200,
            "timestamp": "a moment",
        })
    );
    world.finish().await;
}

#[tokio::test]
async fn every_action_tells_who_what_and_how_it_ended() {
    listen();
    let world = World::start().await;
    let mut seen = BTreeSet::new();
    let mut is = |line: Value, expected: Value| {
        for (member, value) in expected.as_object().unwrap() {
            assert_eq!(line[member], *value, "{member}: {line}");
        }
        assert_eq!(metrics(&line)[0], "Invocations action,outcome = 1");
        seen.insert(line["action"].as_str().unwrap().to_owned());
    };
    let (ada, bob) = (world.person("ada"), world.person("bob"));
    let acme = world.founded_by(&ada).await;
    let org = json!(acme.id);
    is(one("create"), json!({ "outcome": "ok", "status": 201, "actor": "ada", "organization": org }));

    let invitation = world.invited(&acme, &ada, BOB, "owner").await;
    let id = &invitation["id"];
    let token = world.token_for(BOB).await;
    let told = told();
    let of = |action: &str| told.iter().filter(|line| line["action"] == action).cloned().collect::<Vec<_>>();
    is(
        of("invite")[0].clone(),
        json!({ "outcome": "ok", "status": 200, "actor": "ada", "organization": org }),
    );
    let (about, batches): (Vec<_>, Vec<_>) =
        of("mail").into_iter().partition(|line| line["Invocations"].is_u64());
    is(about[0].clone(), json!({ "outcome": "sent", "organization": org, "invitation": id }));
    assert!(metrics(&about[0])[1].starts_with("MailDelay action = "), "{about:?}");
    assert!(about[0]["MailDelay"].as_u64().unwrap() < 60, "{about:?}");
    assert!(!batches.is_empty() && batches.iter().all(|batch| batch["outcome"] == "ok"), "{batches:?}");
    let set = of("schedule").into_iter().find(|line| line["Invocations"].is_u64()).unwrap();
    is(set, json!({ "outcome": "set", "organization": org, "invitation": id }));

    world.nobody().previews(&token).await.is(200);
    let seen_by_nobody = one("preview");
    assert_eq!(seen_by_nobody["actor"], Value::Null);
    is(seen_by_nobody, json!({ "outcome": "ok", "status": 200, "organization": org, "invitation": id }));
    ada.accepts(&token).await.refused(403, "email_mismatch");
    is(
        one("accept"),
        json!({
            "outcome": "email_mismatch",
            "status": 403,
            "actor": "ada",
            "organization": org,
            "invitation": id,
        }),
    );
    bob.accepts("rubbish").await.refused(400, "invalid_token");
    is(one("accept"), json!({ "outcome": "invalid_token", "organization": null }));
    bob.accepts(&token).await.is(200);
    is(one("accept"), json!({ "outcome": "ok", "actor": "bob", "organization": org, "invitation": id }));
    world.idle().await;
    let deleted = told_of("schedule").into_iter().find(|line| line["Invocations"].is_u64()).unwrap();
    is(deleted, json!({ "outcome": "deleted", "organization": org, "invitation": id }));

    bob.edits(&acme, "ada", "member").await.is(200);
    is(one("role-edit"), json!({ "outcome": "ok", "status": 200, "actor": "bob", "organization": org }));
    ada.removes(&acme, "bob").await.refused(403, "owner_required");
    is(
        one("remove"),
        json!({ "outcome": "owner_required", "status": 403, "actor": "ada", "organization": org }),
    );
    bob.lists_members(&acme, "").await.is(200);
    is(one("list"), json!({ "outcome": "ok", "status": 200, "actor": "bob", "organization": org }));
    world.nobody().lists_organizations().await;
    assert_eq!(told_of("list"), [Value::Null; 0], "the gateway itself has answered");
    bob.invites(&acme, &[], "member").await.is(400);
    is(one("invite"), json!({ "outcome": "malformed_request", "status": 400, "organization": org }));

    let cyd = world.invited(&acme, &bob, "cyd@example.com", "member").await;
    world.passes(harness::MAIL_COOLDOWN).await;
    bob.resends(&acme, cyd["id"].as_str().unwrap()).await.is(200);
    is(
        one("resend"),
        json!({ "outcome": "ok", "actor": "bob", "organization": org, "invitation": cyd["id"] }),
    );
    let token = world.token_for("cyd@example.com").await;
    world.person("cyd").declines(&token).await.is(204);
    is(one("decline"), json!({ "outcome": "ok", "status": 204, "actor": "cyd", "invitation": cyd["id"] }));
    bob.revokes(&acme, cyd["id"].as_str().unwrap()).await.refused(409, "invitation_not_pending");
    is(one("revoke"), json!({ "outcome": "invitation_not_pending", "invitation": cyd["id"] }));

    let dan = world.invited(&acme, &bob, "dan@example.com", "member").await;
    world.idle().await;
    let _ = lines();
    assert!(world.invokes("expire", timer(&acme, &dan)).await.is_err());
    is(one("expire"), json!({ "outcome": "early", "organization": org, "invitation": dan["id"] }));
    world.passes(TWO_DAYS).await;
    is(one("expire"), json!({ "outcome": "expired", "organization": org, "invitation": dan["id"] }));
    world.invokes("expire", timer(&acme, &dan)).await.unwrap();
    is(one("expire"), json!({ "outcome": "nothing", "organization": org, "invitation": dan["id"] }));
    assert!(world.invokes("expire", json!({ "invitation_id": BOB })).await.is_err());
    is(one("expire"), json!({ "outcome": "malformed", "organization": null }));

    assert_eq!(world.nobody().gets("/").await.status, 200);
    is(one("console"), json!({ "outcome": "ok", "status": 200, "actor": null, "organization": null }));

    for (line, expected) in fed_back_and_reconciled(&world, &dan).await {
        is(line, expected);
    }
    every_route::call_all_in_an_organization(&world).await;
    for line in self::told().into_iter().filter(|line| line["status"].is_u64()) {
        is(line, json!({}));
    }
    assert_eq!(seen, functions(), "every function is here");
    world.finish().await;
}

/// What `feedback` and `reconcile` tell, and what they should.
async fn fed_back_and_reconciled(world: &World, invitation: &Value) -> Vec<(Value, Value)> {
    let mail = world.mails_to(invitation["email"].as_str().unwrap()).await.remove(0);
    let mut told = Vec::new();
    for (kind, outcome) in [("bounce", "bounce"), ("delivery", "nothing")] {
        world.hears(&mail, json!({ "kind": kind })).await;
        told.push((one("feedback"), json!({ "outcome": outcome, "invitation": invitation["id"] })));
    }
    assert!(world.invokes("feedback", json!({ "kind": BOB })).await.is_err());
    told.push((one("feedback"), json!({ "outcome": "malformed", "organization": null })));
    world.invokes("reconcile", json!({})).await.unwrap();
    let looked = one("reconcile");
    let found = ["OverdueMail action = 0", "OldestQueuedMail action = 0", "OverdueInvitations action = 0"];
    assert_eq!(metrics(&looked)[1..], found, "told even if nothing is overdue");
    told.push((looked, json!({ "outcome": "ok", "organization": null })));
    told
}

#[tokio::test]
async fn lost_races_and_conflicts_are_counted_with_their_reasons() {
    listen();
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let wire = world.wire();
    let guard = Fault::Cancelled(vec!["None", "ConditionalCheckFailed", "ConditionalCheckFailed"]);
    wire.disturb_actions(WRITE, guard, 2);
    wire.disturb_actions(WRITE, Fault::Cancelled(vec!["None", "TransactionConflict", "None"]), 3);
    wire.disturb_actions(WRITE, Fault::Refused("ThrottlingException"), 1);
    wire.disturb_actions(READ, Fault::Cancelled(vec!["TransactionConflict", "None"]), 1);
    ada.invites(&acme, &[BOB], "member").await.is(200);
    let line = one("invite");
    assert_eq!(
        (&line["outcome"], &line["decided_again"], &line["sent_again"]),
        (&json!("ok"), &json!(2), &json!(5))
    );
    let reasons = json!({ "ConditionalCheckFailed": 2, "TransactionConflict": 4, "ThrottlingException": 1 });
    assert_eq!(line["reasons"], reasons);
    assert_eq!(
        metrics(&line),
        ["Invocations action,outcome = 1", "Retries action = 2", "Conflicts action = 5"]
    );

    // An answer that is lost is sent again too, but nobody was in the way.
    wire.disturb_actions(WRITE, Fault::LostAfter, 1);
    ada.invites(&acme, &["cyd@example.com"], "member").await.is(200);
    let line = one("invite");
    assert_eq!((&line["sent_again"], &line["reasons"]), (&json!(1), &json!({ "NoAnswer": 1 })));
    assert_eq!(metrics(&line), ["Invocations action,outcome = 1"]);
    world.idle().await;
    let _ = lines();

    // Six lost races end it, five of them after having decided again.
    wire.disturb_actions(WRITE, Fault::Cancelled(vec!["ConditionalCheckFailed"]), 6);
    ada.invites(&acme, &["dan@example.com"], "member").await.refused(409, "conflict");
    let line = one("invite");
    assert_eq!((&line["outcome"], &line["decided_again"]), (&json!("conflict"), &json!(5)));
    assert_eq!(line["reasons"], json!({ "ConditionalCheckFailed": 6 }));
    assert_eq!(metrics(&line), ["Invocations action,outcome = 1", "Retries action = 5"]);
    world.finish().await;
}

#[tokio::test]
async fn each_invitation_of_a_batch_is_counted_and_what_fails_says_why() {
    listen();
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let wire = world.wire();
    wire.disturb("SendEmail", Fault::Refused("SendingPausedException"), 1);
    wire.disturb("SendEmail", Fault::Refused("MessageRejected"), 1);
    ada.invites(&acme, &[BOB, "cyd@example.com", "dan@example.com"], "member").await.is(200);
    world.idle().await;
    let lines = lines();
    lines.iter().for_each(assert_whole);
    let mail: Vec<_> = lines.iter().filter(|line| line["action"] == "mail").collect();
    let mut words: Vec<_> = mail
        .iter()
        .filter(|line| line["Invocations"] == 1)
        .map(|line| line["outcome"].as_str().unwrap())
        .filter(|word| *word != "nothing")
        .collect();
    words.sort_unstable();
    assert_eq!(words, ["refused", "retry", "sent", "sent"]);
    let why = mail.iter().find(|line| line["message"] == "it will be tried again").unwrap();
    assert_eq!(why["cause"], "SES takes no mail now: SendingPausedException");
    assert!(why["invitation"].is_string() && why["organization"].is_string(), "{why}");
    assert_eq!(why["level"], "ERROR");
    // The batch that it was in says so, and is no invocation of its own.
    assert!(mail.iter().any(|line| line["outcome"] == "retry" && line["Invocations"].is_null()));

    // A record that cannot be read is a failure of nobody in particular.
    let mut poison = world.stream().await.pop().unwrap();
    poison["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    let _ = self::lines();
    assert_eq!(world.feeds("mail", &[poison]).await.len(), 1);
    let told = told_of("mail");
    let counted: Vec<_> = told.iter().map(|line| (&line["outcome"], metrics(line).len())).collect();
    assert_eq!(counted, [(&json!("failed"), 1), (&json!("retry"), 0)]);
    world.finish().await;
}

#[tokio::test]
async fn a_mails_delay_is_counted_from_the_commit_that_owed_it() {
    listen();
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let clock = world.laptop().clock();
    let invited = world.invited(&acme, &ada, BOB, "member").await;
    world.idle().await;
    clock.set_offset(clock.offset() + 3_600).unwrap();
    let _ = told();
    // An hour later it is owed another one, and SES takes its time.
    let held = world.wire().hold_work("SendEmail");
    ada.resends(&acme, invited["id"].as_str().unwrap()).await.is(200);
    held.arrived().await;
    clock.set_offset(clock.offset() + 100).unwrap();
    held.release();
    world.idle().await;
    let sent = told_of("mail").into_iter().find(|line| line["outcome"] == "sent").unwrap();
    assert!((100..160).contains(&sent["MailDelay"].as_u64().unwrap()), "{sent}");
    assert!(metrics(&sent).iter().any(|metric| metric.starts_with("MailDelay action = ")));
    world.finish().await;
}

#[tokio::test]
async fn what_only_the_operator_can_mend_is_told_before_the_last_line() {
    listen();
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(WRITE, Fault::Refused("AccessDeniedException"), 1);
    ada.invites(&acme, &[BOB], "member").await.refused(500, "internal");
    let lines = lines();
    let [cause, last] = lines.as_slice() else { panic!("{lines:?}") };
    assert_whole(cause);
    assert_eq!((&cause["level"], &cause["message"]), (&json!("ERROR"), &json!("the request failed")));
    assert!(cause["cause"].as_str().unwrap().contains("AccessDeniedException"), "{cause}");
    assert_eq!((&last["outcome"], &last["status"]), (&json!("internal"), &json!(500)));
    for member in ["request_id", "gateway_request_id", "action", "organization", "actor"] {
        assert_eq!(cause[member], last[member], "{member}");
    }
    world.finish().await;
}

#[tokio::test]
async fn s21_a_sub_that_is_an_address_is_kept_out() {
    listen();
    let world = World::start().await;
    let ada =
        world.signed_in("ada@example.com", json!({ "email": "ada@example.com", "email_verified": true }));
    world.founded_by(&ada).await;
    assert_eq!(one("create")["actor"], "an address");
    world.finish().await;
}
