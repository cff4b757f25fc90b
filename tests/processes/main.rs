//! Tests with real processes: every function behind the Lambda Runtime API, and the laptop's own binary.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod lambda;
mod process;
mod roster;

use std::time::Duration;

use harness::{Options, Organization, World};
use serde_json::{Value, json};

use lambda::Lambda;

/// The scenario takes a few seconds. The timeout ends the test if a function hangs.
const TIMEOUT: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn all_functions_work_as_processes() {
    let Some(cargo_lambda) = lambda::cargo_lambda() else { return };
    let directory = tempfile::tempdir().unwrap();
    let clock_file = directory.path().join("clock");

    let mut lambda = Lambda::start(&cargo_lambda);
    let world = World::with(Options {
        functions: Some(lambda.url().to_owned()),
        clock_file: Some(clock_file.clone()),
        ..Options::default()
    })
    .await;
    for function in lambda::functions() {
        lambda.run(function, &process::function(function), world.laptop().url(), &clock_file);
    }
    tokio::time::timeout(TIMEOUT, run_scenario(&world)).await.expect("the scenario ends in time");
    lambda.assert_all_run();
    lambda.assert_all_logged();
    world.finish().await;
}

/// Runs a scenario in which every function does some work.
async fn run_scenario(world: &World) {
    world.anonymous().gets("/accept").await.is(200);
    let (ada, bob, carl) = (world.person("ada"), world.person("bob"), world.person("carl"));
    let dora = world.person("dora");
    let acme = world.founded_by(&ada).await;
    let invited = ada
        .invites(
            &acme,
            &["bob@example.com", "dora@example.com", "eve@example.com", "fay@example.com"],
            "member",
        )
        .await
        .is(200);
    assert_eq!(invited["results"].as_array().map(Vec::len), Some(4));
    ada.invites(&acme, &["carl@example.com"], "owner").await.is(200);

    let token = world.token_for("bob@example.com").await;
    let preview = world.anonymous().previews(&token).await.is(200);
    assert_eq!((&preview["email"], &preview["status"]), (&json!("bob@example.com"), &json!("pending")));
    carl.accepts(&token).await.refused(403, "email_mismatch");
    assert_eq!(bob.accepts(&token).await.is(200)["role"], "member");
    carl.accepts(&world.token_for("carl@example.com").await).await.is(200);
    dora.declines(&world.token_for("dora@example.com").await).await.is(204);

    // One minute later, so that the resend changes the expiry and the schedule.
    advance(world, 60).await;
    let old = world.token_for("eve@example.com").await;
    let eve = ada.finds_invitation(&acme, "eve@example.com").await;
    let resent = ada.resends(&acme, eve["id"].as_str().unwrap()).await.is(200);
    assert_eq!(resent["generation"], 2);
    world.anonymous().previews(&old).await.refused(410, "invitation_superseded");
    let new = world.token_for("eve@example.com").await;
    let mails = world.mails_to("eve@example.com").await;
    assert_eq!(mails.len(), 2);
    let sent = ada.finds_invitation(&acme, "eve@example.com").await;
    assert!(sent["delivery"] == "sent" && sent["sent_at"].is_string(), "{sent}");
    world.send_ses_event(&mails[0], json!({ "kind": "bounce" })).await;
    assert_eq!(ada.finds_invitation(&acme, "eve@example.com").await["delivery"], "bounced");

    let fay = ada.finds_invitation(&acme, "fay@example.com").await;
    ada.revokes(&acme, fay["id"].as_str().unwrap()).await.is(204);

    assert_eq!(ada.renames(&acme, "Acme Works").await.is(200)["name"], "Acme Works");
    assert_eq!(ada.edits_role(&acme, "bob", "owner").await.is(200)["role"], "owner");
    bob.removes(&acme, "carl").await.is(204);
    ada.leaves(&acme).await.is(204);
    bob.leaves(&acme).await.refused(409, "last_owner");
    assert_eq!(bob.counts_seats(&acme).await, (2, 998));
    assert_eq!(emails(&bob.lists_members(&acme, "").await.is(200)), ["bob@example.com"]);

    // The invitation is pending until 48 hours have passed, and expired from then on, even if `expire` has not run yet.
    advance(world, 48 * 60 * 60 - 120).await;
    assert_eq!(status(world, &acme, "eve@example.com").await, "pending");
    advance(world, 180).await;
    assert_eq!(status(world, &acme, "eve@example.com").await, "expired");
    world.person("eve").accepts(&new).await.refused(410, "invitation_expired");
    // The schedule invoked `expire`, which returned the seat. (`reconcile` ran as well, and found nothing overdue.)
    assert_eq!(bob.counts_seats(&acme).await, (1, 999));
}

async fn advance(world: &World, seconds: u64) {
    world.anonymous().posts("/_dev/clock", &json!({ "advance_seconds": seconds })).await.is(200);
}

async fn status(world: &World, organization: &Organization, email: &str) -> Value {
    world.person("bob").finds_invitation(organization, email).await["status"].clone()
}

fn emails(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["email"].as_str().unwrap()).collect()
}
