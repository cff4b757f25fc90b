//! The log lines of functions. Each invocation writes one line with its outcome. The line also contains its metrics, in
//! CloudWatch's embedded metric format.

use std::collections::BTreeSet;

use harness::{Fault, Organization, Person, SCHEDULE_FIRED, World, timer};
use serde_json::{Value, json};

use crate::every_route;
use crate::log_capture::{functions, start_capture, take_lines};

const WRITE: &str = "TransactWriteItems";
const READ: &str = "TransactGetItems";
const BOB: &str = "bob@example.com";

/// Takes the captured lines that have an outcome. Every invocation ends with such a line.
fn take_outcomes() -> Vec<Value> {
    let lines = take_lines();
    lines.iter().for_each(assert_complete);
    lines.into_iter().filter(|line| line["outcome"].is_string()).collect()
}

/// Takes the captured lines, and returns those of `action` that have an outcome.
fn outcomes_of(action: &str) -> Vec<Value> {
    take_outcomes().into_iter().filter(|line| line["action"] == action).collect()
}

/// Takes the captured lines, and returns the only one of `action` that has an outcome.
#[track_caller]
fn outcome_of(action: &str) -> Value {
    let mut lines = outcomes_of(action);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

/// Returns the first line of `action` that is not the line of a batch.
#[track_caller]
fn line_of<'a>(lines: &'a [Value], action: &str) -> &'a Value {
    let line = lines.iter().find(|line| line["action"] == action && line["records"].is_null());
    line.unwrap_or_else(|| panic!("{action}: {lines:?}"))
}

/// Asserts that a line has all its fields. If it has metrics, their embedded metric format must be valid: every name in
/// `_aws` has a value, and the only dimension is the action.
#[track_caller]
fn assert_complete(line: &Value) {
    for field in ["level", "timestamp", "action", "request_id"] {
        assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {line}");
    }
    let _ = harness::timestamp(&line["timestamp"]);
    if line["outcome"].is_null() {
        assert!(line["message"].is_string() && line["target"].is_string(), "{line}");
        assert_eq!(line["_aws"], Value::Null);
        return;
    }
    for field in ["duration_ms", "decided_again", "sent_again"] {
        assert!(line[field].is_u64(), "{field}: {line}");
    }
    let Some(metadata) = line.get("_aws") else { return };
    assert!(metadata["Timestamp"].as_i64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
    for directive in metadata["CloudWatchMetrics"].as_array().unwrap() {
        assert_eq!(directive["Namespace"], "Roster");
        assert_eq!(
            directive["Dimensions"],
            json!([["action"]]),
            "each value of another dimension costs extra"
        );
        for metric in directive["Metrics"].as_array().unwrap() {
            assert!(line[metric["Name"].as_str().unwrap()].is_u64(), "{line}");
            assert!(["Count", "Seconds"].contains(&metric["Unit"].as_str().unwrap()), "{line}");
        }
    }
}

/// Returns the metrics of a line, for example `MailDelay of mail = 3`.
fn metrics(line: &Value) -> Vec<String> {
    let directives = line["_aws"]["CloudWatchMetrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = directives.iter().flat_map(|directive| directive["Metrics"].as_array().unwrap());
    let action = line["action"].as_str().unwrap();
    names
        .map(|metric| metric["Name"].as_str().unwrap())
        .map(|name| format!("{name} of {action} = {}", line[name]))
        .collect()
}

/// As [`World::idle_organization`]. The captured log lines are taken, too.
async fn idle_organization(world: &World) -> (Person, Organization) {
    let idle = world.idle_organization().await;
    let _ = take_outcomes();
    idle
}

#[tokio::test]
async fn an_invocation_writes_one_line() {
    start_capture();
    let world = World::start().await;
    let (ada, acme) = idle_organization(&world).await;
    ada.invites(&acme, &[BOB], "member").await.is(200);
    // `mail` and `schedule` may already run.
    let mut lines: Vec<_> = take_lines().into_iter().filter(|line| line["action"] == "invite").collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &mut lines[0];
    // Checks the values that differ between runs, and replaces them.
    assert!(line["duration_ms"].is_u64());
    for id in ["request_id", "gateway_request_id"] {
        assert!(line[id].as_str().is_some_and(|id| id.len() >= 10), "{line}");
        line[id] = json!("an id");
    }
    line["timestamp"] = json!("a time");
    line["duration_ms"] = json!(0);
    assert_eq!(
        *line,
        json!({
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
            "timestamp": "a time",
        })
    );
    world.finish().await;
}

/// The actions with a checked line.
#[derive(Default)]
struct SeenActions(BTreeSet<String>);

impl SeenActions {
    /// Takes the captured lines, and checks the only one of `action` that has an outcome.
    #[track_caller]
    fn check(&mut self, action: &str, expected: &Value) {
        self.check_line(&outcome_of(action), expected);
    }

    /// Asserts that a line has these fields, and adds its action. The line must not be the line of a batch.
    #[track_caller]
    fn check_line(&mut self, line: &Value, expected: &Value) {
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(line[field], *value, "{field}: {line}");
        }
        assert_eq!(line["records"], Value::Null, "{line}");
        self.0.insert(line["action"].as_str().unwrap().to_owned());
    }

    /// Checks the lines of `mail`: the one of an invitation, with the mail's delay, and those of the batches.
    #[track_caller]
    fn check_mail(&mut self, lines: &[Value], expected: &Value) {
        let mail = line_of(lines, "mail");
        self.check_line(mail, expected);
        assert!(metrics(mail)[0].starts_with("MailDelay of mail = "), "{mail}");
        assert!(mail["MailDelay"].as_u64().unwrap() < 60, "{mail}");
        let of_mail = lines.iter().filter(|line| line["action"] == "mail");
        let batches: Vec<_> = of_mail.filter(|line| !line["records"].is_null()).collect();
        let is_ok = |batch: &&Value| batch["outcome"] == "ok" && batch["records"].as_u64() > Some(0);
        assert!(!batches.is_empty() && batches.iter().all(is_ok), "{batches:?}");
    }
}

#[tokio::test]
async fn every_action_logs_its_actor_subject_and_outcome() {
    start_capture();
    let world = World::start().await;
    let mut seen = SeenActions::default();
    let (ada, bob) = (world.person("ada"), world.person("bob"));
    let acme = world.founded_by(&ada).await;
    let org = json!(acme.id);
    seen.check("create", &json!({ "outcome": "ok", "status": 201, "actor": "ada", "organization": org }));

    let invitation = world.invited(&acme, &ada, BOB, "owner").await;
    let id = &invitation["id"];
    let token = world.token_for(BOB).await;
    let lines = take_outcomes();
    seen.check_line(
        line_of(&lines, "invite"),
        &json!({ "outcome": "ok", "status": 200, "actor": "ada", "organization": org }),
    );
    seen.check_mail(&lines, &json!({ "outcome": "sent", "organization": org, "invitation": id }));
    seen.check_line(
        line_of(&lines, "schedule"),
        &json!({ "outcome": "set", "organization": org, "invitation": id }),
    );

    world.anonymous().previews(&token).await.is(200);
    let anonymous = outcome_of("preview");
    assert_eq!(anonymous["actor"], Value::Null);
    seen.check_line(
        &anonymous,
        &json!({ "outcome": "ok", "status": 200, "organization": org, "invitation": id }),
    );
    ada.accepts(&token).await.refused(403, "email_mismatch");
    seen.check(
        "accept",
        &json!({
            "outcome": "email_mismatch", "status": 403, "actor": "ada", "organization": org, "invitation": id,
        }),
    );
    bob.accepts("rubbish").await.refused(400, "invalid_token");
    seen.check("accept", &json!({ "outcome": "invalid_token", "organization": null }));
    bob.accepts(&token).await.is(200);
    // `schedule` may already run, so its lines and that of `accept` are taken together.
    world.wait_until_idle().await;
    let lines = take_outcomes();
    let accepted = json!({ "outcome": "ok", "actor": "bob", "organization": org, "invitation": id });
    seen.check_line(line_of(&lines, "accept"), &accepted);
    let deleted = json!({ "outcome": "deleted", "organization": org, "invitation": id });
    seen.check_line(line_of(&lines, "schedule"), &deleted);

    bob.edits_role(&acme, "ada", "member").await.is(200);
    seen.check("role-edit", &json!({ "outcome": "ok", "status": 200, "actor": "bob", "organization": org }));
    ada.removes(&acme, "bob").await.refused(403, "owner_required");
    seen.check(
        "remove",
        &json!({ "outcome": "owner_required", "status": 403, "actor": "ada", "organization": org }),
    );
    bob.lists_members(&acme, "").await.is(200);
    seen.check("list", &json!({ "outcome": "ok", "status": 200, "actor": "bob", "organization": org }));
    world.anonymous().lists_organizations().await;
    assert_eq!(outcomes_of("list"), [Value::Null; 0], "the gateway itself responded");
    bob.invites(&acme, &[], "member").await.is(400);
    seen.check("invite", &json!({ "outcome": "malformed_request", "status": 400, "organization": org }));

    let cyd = world.invited(&acme, &bob, "cyd@example.com", "member").await;
    world.advance(harness::MAIL_COOLDOWN).await;
    bob.resends(&acme, cyd["id"].as_str().unwrap()).await.is(200);
    seen.check(
        "resend",
        &json!({ "outcome": "ok", "actor": "bob", "organization": org, "invitation": cyd["id"] }),
    );
    let token = world.token_for("cyd@example.com").await;
    world.person("cyd").declines(&token).await.is(204);
    seen.check(
        "decline",
        &json!({ "outcome": "ok", "status": 204, "actor": "cyd", "invitation": cyd["id"] }),
    );
    bob.revokes(&acme, cyd["id"].as_str().unwrap()).await.refused(409, "invitation_not_pending");
    seen.check("revoke", &json!({ "outcome": "invitation_not_pending", "invitation": cyd["id"] }));

    let dan = world.invited(&acme, &bob, "dan@example.com", "member").await;
    world.wait_until_idle().await;
    let _ = take_lines();
    assert!(world.invoke("expire", timer(&acme, &dan)).await.is_err());
    seen.check("expire", &json!({ "outcome": "early", "organization": org, "invitation": dan["id"] }));
    world.advance(SCHEDULE_FIRED).await;
    seen.check("expire", &json!({ "outcome": "expired", "organization": org, "invitation": dan["id"] }));
    world.invoke("expire", timer(&acme, &dan)).await.unwrap();
    seen.check("expire", &json!({ "outcome": "nothing", "organization": org, "invitation": dan["id"] }));
    assert!(world.invoke("expire", json!({ "invitation_id": BOB })).await.is_err());
    seen.check("expire", &json!({ "outcome": "malformed", "organization": null }));

    assert_eq!(world.anonymous().gets("/").await.status, 200);
    seen.check("console", &json!({ "outcome": "ok", "status": 200, "actor": null, "organization": null }));

    for (line, expected) in feedback_and_reconcile_lines(&world, &dan).await {
        seen.check_line(&line, &expected);
    }
    every_route::call_all_in_an_organization(&world).await;
    for line in take_outcomes().into_iter().filter(|line| line["status"].is_u64()) {
        seen.check_line(&line, &json!({}));
    }
    assert_eq!(seen.0, functions(), "every function wrote a line");
    world.finish().await;
}

/// Invokes `feedback` and `reconcile`. Returns their lines, each with its expected fields.
async fn feedback_and_reconcile_lines(world: &World, invitation: &Value) -> Vec<(Value, Value)> {
    let mail = world.mails_to(invitation["email"].as_str().unwrap()).await.remove(0);
    let mut lines = Vec::new();
    for (kind, outcome) in [("bounce", "bounce"), ("delivery", "nothing")] {
        world.send_ses_event(&mail, json!({ "kind": kind })).await;
        lines.push((outcome_of("feedback"), json!({ "outcome": outcome, "invitation": invitation["id"] })));
    }
    assert!(world.invoke("feedback", json!({ "kind": BOB })).await.is_err());
    lines.push((outcome_of("feedback"), json!({ "outcome": "malformed", "organization": null })));
    world.invoke("reconcile", json!({})).await.unwrap();
    let line = outcome_of("reconcile");
    let expected = ["OverdueMail", "OldestQueuedMail", "OverdueInvitations"]
        .map(|name| format!("{name} of reconcile = 0"));
    assert_eq!(metrics(&line), expected, "logged even if nothing is overdue");
    lines.push((line, json!({ "outcome": "ok", "organization": null })));
    lines
}

#[tokio::test]
async fn failed_guards_and_conflicts_are_logged_with_their_reasons() {
    start_capture();
    let world = World::start().await;
    let (ada, acme) = idle_organization(&world).await;
    let wire = world.wire();
    let guard = Fault::Cancelled(vec!["None", "ConditionalCheckFailed", "ConditionalCheckFailed"]);
    wire.inject_api_fault(WRITE, guard, 2);
    wire.inject_api_fault(WRITE, Fault::Cancelled(vec!["None", "TransactionConflict", "None"]), 3);
    wire.inject_api_fault(WRITE, Fault::Refused("ThrottlingException"), 1);
    wire.inject_api_fault(READ, Fault::Cancelled(vec!["TransactionConflict", "None"]), 1);
    ada.invites(&acme, &[BOB], "member").await.is(200);
    let line = outcome_of("invite");
    assert_eq!(
        (&line["outcome"], &line["decided_again"], &line["sent_again"]),
        (&json!("ok"), &json!(2), &json!(5))
    );
    let reasons = json!({ "ConditionalCheckFailed": 2, "TransactionConflict": 4, "ThrottlingException": 1 });
    assert_eq!(line["reasons"], reasons);
    assert_eq!(metrics(&line), [""; 0]);

    // After a lost response, the function sends the request again. That is not a conflict.
    wire.inject_api_fault(WRITE, Fault::ResponseLost, 1);
    ada.invites(&acme, &["cyd@example.com"], "member").await.is(200);
    let line = outcome_of("invite");
    assert_eq!((&line["sent_again"], &line["reasons"]), (&json!(1), &json!({ "NoAnswer": 1 })));
    world.wait_until_idle().await;
    let _ = take_lines();

    // The sixth failed guard ends the action, after it decided again five times.
    wire.inject_api_fault(WRITE, Fault::Cancelled(vec!["ConditionalCheckFailed"]), 6);
    ada.invites(&acme, &["dan@example.com"], "member").await.refused(409, "conflict");
    let line = outcome_of("invite");
    assert_eq!((&line["outcome"], &line["decided_again"]), (&json!("conflict"), &json!(5)));
    assert_eq!(line["reasons"], json!({ "ConditionalCheckFailed": 6 }));
    world.finish().await;
}

#[tokio::test]
async fn each_invitation_of_a_batch_has_its_line_and_a_failure_logs_its_cause() {
    start_capture();
    let world = World::start().await;
    let (ada, acme) = idle_organization(&world).await;
    let wire = world.wire();
    wire.inject_fault("SendEmail", Fault::Refused("SendingPausedException"), 1);
    wire.inject_fault("SendEmail", Fault::Refused("MessageRejected"), 1);
    ada.invites(&acme, &[BOB, "cyd@example.com", "dan@example.com"], "member").await.is(200);
    world.wait_until_idle().await;
    let lines = take_lines();
    lines.iter().for_each(assert_complete);
    let mail: Vec<_> = lines.iter().filter(|line| line["action"] == "mail").collect();
    let mut outcomes: Vec<_> = mail
        .iter()
        .filter(|line| line["records"].is_null())
        .filter_map(|line| line["outcome"].as_str())
        .filter(|outcome| *outcome != "nothing")
        .collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["refused", "retry", "sent", "sent"]);
    // The alarm RefusedMail sums this metric.
    let refused: Vec<_> =
        mail.iter().flat_map(|line| metrics(line)).filter(|it| it.contains("Refused")).collect();
    assert_eq!(refused, ["RefusedMail of mail = 1"]);
    let message = "processing the invitation failed; Lambda retries it";
    let failure = mail.iter().find(|line| line["message"] == message).unwrap();
    assert_eq!(failure["cause"], "SES does not accept mail now: SendingPausedException");
    assert!(failure["invitation"].is_string() && failure["organization"].is_string(), "{failure}");
    assert_eq!(failure["level"], "ERROR");
    // The line of the batch has the outcome as well.
    assert!(mail.iter().any(|line| line["outcome"] == "retry" && line["records"].is_u64()));

    // An unreadable record has a line without an invitation.
    let mut poison = world.stream_records().await.pop().unwrap();
    poison["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    let _ = take_lines();
    assert_eq!(world.invoke_with_records("mail", &[poison]).await.len(), 1);
    let lines = outcomes_of("mail");
    let logged: Vec<_> = lines.iter().map(|line| (&line["outcome"], &line["records"])).collect();
    assert_eq!(logged, [(&json!("failed"), &Value::Null), (&json!("retry"), &json!(1))]);
    world.finish().await;
}

#[tokio::test]
async fn the_delay_of_a_mail_is_measured_from_the_commit_that_queued_it() {
    start_capture();
    let world = World::start().await;
    let (ada, acme) = idle_organization(&world).await;
    let clock = world.laptop().clock();
    let invited = world.invited(&acme, &ada, BOB, "member").await;
    world.wait_until_idle().await;
    clock.set_offset(clock.offset() + 3_600).unwrap();
    let _ = take_outcomes();
    // One hour later a resend queues another mail, and SES takes 100 s.
    let held = world.wire().hold_background_request("SendEmail");
    ada.resends(&acme, invited["id"].as_str().unwrap()).await.is(200);
    held.arrived().await;
    clock.set_offset(clock.offset() + 100).unwrap();
    held.release();
    world.wait_until_idle().await;
    let sent = outcomes_of("mail").into_iter().find(|line| line["outcome"] == "sent").unwrap();
    assert!((100..160).contains(&sent["MailDelay"].as_u64().unwrap()), "{sent}");
    assert!(metrics(&sent)[0].starts_with("MailDelay of mail = "), "{sent}");
    world.finish().await;
}

#[tokio::test]
async fn an_internal_error_logs_its_cause_before_the_outcome() {
    start_capture();
    let world = World::start().await;
    let (ada, acme) = idle_organization(&world).await;
    world.wire().inject_api_fault(WRITE, Fault::Refused("AccessDeniedException"), 1);
    ada.invites(&acme, &[BOB], "member").await.refused(500, "internal");
    let lines = take_lines();
    let [error, outcome] = lines.as_slice() else { panic!("{lines:?}") };
    assert_complete(error);
    assert_eq!((&error["level"], &error["message"]), (&json!("ERROR"), &json!("the request failed")));
    assert!(error["cause"].as_str().unwrap().contains("AccessDeniedException"), "{error}");
    assert_eq!((&outcome["outcome"], &outcome["status"]), (&json!("internal"), &json!(500)));
    for field in ["request_id", "gateway_request_id", "action", "organization", "actor"] {
        assert_eq!(error[field], outcome[field], "{field}");
    }
    world.finish().await;
}

#[tokio::test]
async fn s21_a_sub_that_is_an_address_is_not_logged() {
    start_capture();
    let world = World::start().await;
    let ada =
        world.signed_in("ada@example.com", json!({ "email": "ada@example.com", "email_verified": true }));
    world.founded_by(&ada).await;
    assert_eq!(outcome_of("create")["actor"], "an address");
    world.finish().await;
}
