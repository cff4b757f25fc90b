//! What is written to the logs, at their loudest, over a whole life with everything that can go wrong in it
//! (SECURITY row 21): ids and codes, never an address, never a token.

use std::collections::BTreeSet;

use harness::{Fault, Organization, World};
use serde_json::{Value, json};

use crate::every_route;
use crate::log_capture::{Heard, functions, heard, listen};

/// On one thread, so that everything of this world, and nothing of another one, is heard.
#[tokio::test]
async fn s21_logs_hold_no_address_and_no_token() {
    listen();
    let world = World::start().await;
    let person =
        |sub: &str, email: &str| world.signed_in(sub, json!({ "email": email, "email_verified": true }));
    let (ada, ivy) = (person("user-1", "canary.ada@example.com"), person("user-2", "canary.ivy@example.com"));
    let acme = ada.creates("Canary Works").await.is(201);
    let acme = Organization::new(acme["id"].as_str().unwrap());
    world.idle().await;
    let wire = world.wire();

    // The invite loses a race, a conflict and an answer; its mail and its schedule fail for a while.
    wire.disturb_actions("TransactWriteItems", Fault::Cancelled(vec!["ConditionalCheckFailed"]), 1);
    wire.disturb_actions("TransactWriteItems", Fault::Cancelled(vec!["TransactionConflict"]), 1);
    wire.disturb_actions("TransactWriteItems", Fault::LostAfter, 1);
    wire.disturb("SendEmail", Fault::Refused("SendingPausedException"), 2);
    wire.disturb("CreateSchedule", Fault::Refused("ServiceQuotaExceededException"), 2);
    let invitation = world.invited(&acme, &ada, "canary.ivy@example.com", "owner").await;
    let first = world.token_for("canary.ivy@example.com").await;
    world.passes(61).await;
    ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    let token = world.token_for("canary.ivy@example.com").await;

    // Whatever somebody makes of the link, the page is only a page.
    world.nobody().gets(&format!("/accept?token={token}")).await.is(200);

    // Everybody tries everything that is refused.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    for (token, status) in [(&first, 410), (&token, 403), (&forged, 400)] {
        ada.accepts(token).await.refused(status, &refusal(status));
    }
    world.nobody().previews(&token).await.is(200);
    ada.invites(&acme, &["canary.ivy@example.com", "not canary.eve@example.com"], "owner").await.is(422);
    ada.posts(&acme.path("/invitations"), &json!({ "canary.eve@example.com": 1 })).await.is(400);
    ada.invites(&acme, &["canary.ivy@example.com"], "canary.eve@example.com").await.is(400);
    ivy.looks_at(&acme).await.is(404);
    wire.disturb_actions("TransactWriteItems", Fault::Refused("ValidationException"), 1);
    ivy.accepts(&token).await.refused(500, "internal");
    wire.disturb_actions("TransactGetItems", Fault::Refused("AccessDeniedException"), 1);
    ivy.accepts(&token).await.refused(500, "internal");

    // And in the end it is a whole life.
    ivy.accepts(&token).await.is(200);
    ivy.accepts(&token).await.is(200);
    let mail = world.mails_to("canary.ivy@example.com").await.remove(0);
    world.hears(&mail, json!({ "kind": "bounce" })).await;
    let stranger = json!({ "kind": "bounce", "to": ["canary.ivy@example.com"] });
    assert!(world.invokes("feedback", stranger).await.is_err());
    ivy.lists_members(&acme, "").await.is(200);
    ivy.lists_invitations(&acme, "").await.is(200);
    ada.edits(&acme, "user-2", "member").await.is(200);
    ada.removes(&acme, "user-2").await.is(204);
    ivy.accepts(&token).await.refused(410, "invitation_accepted");

    // So does one whose identity provider takes the address for a `sub`, and one who declines.
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

    // Another one is refused by SES, another one expires, one is poison, and one is given up.
    wire.disturb("SendEmail", Fault::Refused("MessageRejected"), 1);
    world.invited(&acme, &ada, "canary.bob@example.com", "member").await;
    world.idle().await;
    world.passes(48 * 60 * 60).await;
    wire.disturb("SendEmail", Fault::Refused("AccountSuspendedException"), usize::MAX);
    world.invited(&acme, &ada, "canary.eve@example.com", "member").await;
    world.idle().await;
    wire.clear_faults();
    let mut poison = world.stream().await.pop().unwrap();
    poison["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    assert_eq!(world.feeds("mail", &[poison]).await.len(), 1);
    assert!(world.invokes("expire", json!({ "invitation_id": "canary.eve@example.com" })).await.is_err());

    every_route::call_all_in_an_organization(&world).await;

    let dead = serde_json::to_value(world.laptop().dead_letters().unwrap()).unwrap();
    assert_eq!(dead.as_array().map(Vec::len), Some(1), "{dead}");
    world.finish_with_dead_letters().await;

    let Heard { lines, loud, text } = heard();
    // It has been listened to at all, in every corner.
    for said in ["a guard failed", "is sent again", "refused for good", "tried again", "cannot be read"] {
        assert!(loud.contains(said) && text.contains(said), "{said}:\n{loud}");
    }
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let of_action = |line: Value| line["action"].as_str().map(str::to_owned);
    for lines in [&lines, &loud] {
        let told: BTreeSet<_> =
            lines.lines().map(read).filter(|line| line["_aws"].is_object()).filter_map(of_action).collect();
        assert_eq!(told, functions(), "every function has told its last line, and that is its metrics");
    }
    assert!(lines.contains(invitation["id"].as_str().unwrap()));
    let secrets =
        ["canary", "Canary", "@example.com", "v1.dev.", "eyJ", mac(&first), mac(&token), mac(&forged)];
    for (name, text) in
        [("lines", lines), ("loud lines", loud), ("text", text), ("dead letters", dead.to_string())]
    {
        for secret in secrets {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} in the {name}");
        }
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

/// The token's secret part.
fn mac(token: &str) -> &str {
    token.rsplit_once('.').unwrap().1
}
