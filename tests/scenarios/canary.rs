//! Logs contain ids and codes, but no addresses and no tokens (`ATTACKS.md`, row 21).
//!
//! The scenario runs the whole life of invitations with many faults, and searches all logs at TRACE for secrets.

use std::collections::BTreeSet;

use harness::{Fault, Organization, World};
use serde_json::{Value, json};

use crate::every_route;
use crate::log_capture::{CapturedLogs, functions, start_capture, take_logs};

/// Runs on one thread, because logs are captured per thread.
#[tokio::test]
async fn s21_logs_contain_no_address_and_no_token() {
    start_capture();
    let world = World::start().await;
    let person =
        |sub: &str, email: &str| world.signed_in(sub, json!({ "email": email, "email_verified": true }));
    let (ada, ivy) = (person("user-1", "canary.ada@example.com"), person("user-2", "canary.ivy@example.com"));
    let acme = ada.creates("Canary Works").await.is(201);
    let acme = Organization::new(acme["id"].as_str().unwrap());
    world.wait_until_idle().await;
    let wire = world.wire();

    // The invite meets a failed guard, a conflict and a lost response. Its mail and its schedule fail at first.
    wire.inject_api_fault("TransactWriteItems", Fault::Cancelled(vec!["ConditionalCheckFailed"]), 1);
    wire.inject_api_fault("TransactWriteItems", Fault::Cancelled(vec!["TransactionConflict"]), 1);
    wire.inject_api_fault("TransactWriteItems", Fault::ResponseLost, 1);
    wire.inject_fault("SendEmail", Fault::Refused("SendingPausedException"), 2);
    wire.inject_fault("CreateSchedule", Fault::Refused("ServiceQuotaExceededException"), 2);
    let invitation = world.invited(&acme, &ada, "canary.ivy@example.com", "owner").await;
    let first = world.token_for("canary.ivy@example.com").await;
    world.advance(61).await;
    ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    let token = world.token_for("canary.ivy@example.com").await;

    // A token in the query instead of the fragment reaches the server.
    world.anonymous().gets(&format!("/accept?token={token}")).await.is(200);

    // Calls that are refused.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    for (token, status) in [(&first, 410), (&token, 403), (&forged, 400)] {
        ada.accepts(token).await.refused(status, &refusal(status));
    }
    world.anonymous().previews(&token).await.is(200);
    ada.invites(&acme, &["canary.ivy@example.com", "not canary.eve@example.com"], "owner").await.is(422);
    ada.posts(&acme.path("/invitations"), &json!({ "canary.eve@example.com": 1 })).await.is(400);
    ada.invites(&acme, &["canary.ivy@example.com"], "canary.eve@example.com").await.is(400);
    ivy.gets_organization(&acme).await.is(404);
    wire.inject_api_fault("TransactWriteItems", Fault::Refused("ValidationException"), 1);
    ivy.accepts(&token).await.refused(500, "internal");
    wire.inject_api_fault("TransactGetItems", Fault::Refused("AccessDeniedException"), 1);
    ivy.accepts(&token).await.refused(500, "internal");

    // Accept, a bounce, lists, a new role, and removal.
    ivy.accepts(&token).await.is(200);
    ivy.accepts(&token).await.is(200);
    let mail = world.mails_to("canary.ivy@example.com").await.remove(0);
    world.send_ses_event(&mail, json!({ "kind": "bounce" })).await;
    let stranger = json!({ "kind": "bounce", "to": ["canary.ivy@example.com"] });
    assert!(world.invoke("feedback", stranger).await.is_err());
    ivy.lists_members(&acme, "").await.is(200);
    ivy.lists_invitations(&acme, "").await.is(200);
    ada.edits_role(&acme, "user-2", "member").await.is(200);
    ada.removes(&acme, "user-2").await.is(204);
    ivy.accepts(&token).await.refused(410, "invitation_accepted");

    // A member with an address as `sub`, a declined and a revoked invitation.
    let sub = world.signed_in(
        "canary.sub@example.com",
        json!({ "email": "canary.sub@example.com", "email_verified": true }),
    );
    world.invited(&acme, &ada, "canary.sub@example.com", "member").await;
    sub.accepts(&world.token_for("canary.sub@example.com").await).await.is(200);
    sub.lists_organizations().await.is(200);
    sub.leaves(&acme).await.is(204);
    world.invited(&acme, &ada, "canary.cyd@example.com", "member").await;
    let cyd = person("user-3", "canary.cyd@example.com");
    cyd.declines(&world.token_for("canary.cyd@example.com").await).await.is(204);
    let dan = world.invited(&acme, &ada, "canary.dan@example.com", "member").await;
    ada.revokes(&acme, dan["id"].as_str().unwrap()).await.is(204);

    // A mail that SES rejects, an expiry, an invalid stream record, and a dead letter.
    wire.inject_fault("SendEmail", Fault::Refused("MessageRejected"), 1);
    world.invited(&acme, &ada, "canary.bob@example.com", "member").await;
    world.wait_until_idle().await;
    world.advance(48 * 60 * 60).await;
    wire.inject_fault("SendEmail", Fault::Refused("AccountSuspendedException"), usize::MAX);
    world.invited(&acme, &ada, "canary.eve@example.com", "member").await;
    world.wait_until_idle().await;
    wire.clear_faults();
    let mut invalid = world.stream_records().await.pop().unwrap();
    invalid["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    assert_eq!(world.invoke_with_records("mail", &[invalid]).await.len(), 1);
    assert!(world.invoke("expire", json!({ "invitation_id": "canary.eve@example.com" })).await.is_err());

    every_route::call_all_in_an_organization(&world).await;

    let dead = serde_json::to_value(world.laptop().dead_letters().unwrap()).unwrap();
    assert_eq!(dead.as_array().map(Vec::len), Some(1), "{dead}");
    world.finish_with_dead_letters().await;

    let CapturedLogs { lines, trace_lines, trace_text } = take_logs();
    assert_every_part_is_logged(&lines, &trace_lines, &trace_text);
    assert!(lines.contains(invitation["id"].as_str().unwrap()));
    let secrets =
        ["canary", "Canary", "@example.com", "v1.dev.", "eyJ", mac(&first), mac(&token), mac(&forged)];
    for (name, text) in [
        ("lines", lines),
        ("trace lines", trace_lines),
        ("trace text", trace_text),
        ("dead letters", dead.to_string()),
    ] {
        for secret in secrets {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} in the {name}");
        }
    }
}

/// Checks that the captured logs are not empty by mistake: every part of Roster and every function logged something.
fn assert_every_part_is_logged(lines: &str, trace_lines: &str, trace_text: &str) {
    for message in [
        "a guard failed",
        "retrying the transaction",
        "refused the mail permanently",
        "Lambda retries it",
        "cannot be read",
    ] {
        assert!(trace_lines.contains(message) && trace_text.contains(message), "{message}:\n{trace_lines}");
    }
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let of_action = |line: Value| line["action"].as_str().map(str::to_owned);
    for lines in [lines, trace_lines] {
        let lines = lines.lines().map(read).filter(|line| line["outcome"].is_string());
        let logged: BTreeSet<_> = lines.filter_map(of_action).collect();
        assert_eq!(logged, functions(), "every function has logged a line with its outcome");
    }
}

fn refusal(status: u16) -> String {
    let code = match status {
        400 => "invalid_token",
        403 => "email_mismatch",
        _ => "invitation_superseded",
    };
    code.to_owned()
}

/// Returns the token's MAC, which is its secret part.
fn mac(token: &str) -> &str {
    token.rsplit_once('.').unwrap().1
}
