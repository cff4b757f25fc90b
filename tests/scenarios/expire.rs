//! `expire`: the function that an invitation's schedule invokes at `expires_at`.

use domain::Timestamp;
use harness::{Fault, Organization, Person, SCHEDULE_FIRED, World, timer};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const LIFETIME: u64 = 48 * 60 * 60;

/// Lets ada invite bob, and deletes the schedule, so that only the scenario invokes `expire`.
async fn invited(world: &World) -> (Person, Organization, Value) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.delete_schedule(&acme, &invitation).await;
    (ada, acme, invitation)
}

async fn status(ada: &Person, acme: &Organization) -> String {
    ada.finds_invitation(acme, BOB).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn closes_an_invitation_at_its_expiry_and_returns_the_seat() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, BOB, "member").await;
    let token = world.token_for(BOB).await;
    // The scenario takes less than a minute, so the clock does not reach the expiry by itself.
    world.advance(LIFETIME - 60).await;
    assert_eq!(status(&ada, &acme).await, "pending");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.advance(120).await;
    assert_eq!(status(&ada, &acme).await, "expired");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.person("bob").accepts(&token).await.refused(410, "invitation_expired");
    // The stored record is closed, not only shown as expired.
    let listed = ada.lists_invitations(&acme, "?status=pending").await.items();
    assert_eq!(listed, [Value::Null; 0]);
    let closed = world.records().await;
    let closed =
        closed.organizations().flat_map(|it| closed.invitations(&it.id)).filter(|it| !it.holds_seat());
    assert_eq!(closed.count(), 1);
    world.finish().await;
}

#[tokio::test]
async fn s16_running_again_returns_no_second_seat() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    world.advance(LIFETIME).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "the invitation is not closed yet");
    for _ in 0..3 {
        world.invoke("expire", timer(&acme, &invitation)).await.unwrap();
        assert_eq!(ada.counts_seats(&acme).await.0, 1);
        assert_eq!(status(&ada, &acme).await, "expired");
    }
    world.finish().await;
}

#[tokio::test]
async fn s12_closes_at_the_expiry_and_not_a_second_earlier() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    let expires_at = harness::timestamp(&invitation["expires_at"]);
    let invoke = async || world.invoke("expire", timer(&acme, &invitation)).await;
    let early = world.at(Timestamp::from_unix(expires_at.unix() - 1), invoke).await;
    assert!(early.is_err(), "an early timer is an error, so that Lambda retries it");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.at(expires_at, invoke).await.unwrap();
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    world.finish().await;
}

#[tokio::test]
async fn the_timer_of_an_older_generation_has_no_effect() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    world.advance(LIFETIME / 2).await;
    let again = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    world.advance(LIFETIME / 2).await;
    world.invoke("expire", timer(&acme, &invitation)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "pending");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    // The timer of the current generation is early, which is an error.
    assert!(world.invoke("expire", timer(&acme, &again)).await.is_err());
    world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn the_timer_of_a_closed_or_unknown_invitation_has_no_effect() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    let bob = world.person("bob");
    bob.accepts(&world.token_for(BOB).await).await.is(200);
    world.advance(LIFETIME).await;
    world.invoke("expire", timer(&acme, &invitation)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "accepted");
    ada.removes(&acme, "bob").await.is(204);
    world.invoke("expire", timer(&acme, &invitation)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "removed");
    let again = world.invited(&acme, &ada, BOB, "member").await;
    ada.revokes(&acme, again["id"].as_str().unwrap()).await.is(204);
    world.advance(LIFETIME).await;
    world.invoke("expire", timer(&acme, &again)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "revoked");
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    // Another organization's invitation of that id does not exist.
    let other = world.founded_by(&ada).await;
    world.invoke("expire", timer(&other, &invitation)).await.unwrap();
    assert_eq!(ada.counts_seats(&other).await.0, 1);
    world.finish().await;
}

#[tokio::test]
async fn an_invalid_payload_fails_before_any_read() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    world.advance(LIFETIME).await;
    let _ = world.wire().take_requests();
    let whole = timer(&acme, &invitation);
    let mut invalid = vec![json!(null), json!({}), json!([]), json!("expire"), json!({ "timer": whole })];
    for (field, wrong) in [
        ("organization_id", json!("acme")),
        ("invitation_id", json!("ORG")),
        ("generation", json!("1")),
        ("generation", json!(-1)),
        ("expires_at", json!("soon")),
        ("expires_at", json!(1_795_615_500)),
    ] {
        let mut changed = whole.clone();
        changed[field] = wrong;
        invalid.push(changed);
        let mut incomplete = whole.clone();
        incomplete.as_object_mut().unwrap().remove(field);
        invalid.push(incomplete);
    }
    let mut with_extra_field = whole.clone();
    with_extra_field["force"] = json!(true);
    invalid.push(with_extra_field);
    let fields = ["organization_id", "invitation_id", "generation", "expires_at"];
    invalid.push(fields.iter().map(|field| whole[field].clone()).collect());
    for payload in invalid {
        assert!(world.invoke("expire", payload.clone()).await.is_err(), "{payload}");
    }
    let sent = world.wire().take_requests();
    assert!(sent.iter().all(|request| request.operation != "GetItem"), "{sent:?}");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.invoke("expire", whole).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn retries_until_the_table_works_again() {
    for (operation, fault, times) in [
        // More faults than the SDK retries.
        ("GetItem", Fault::Refused("ThrottlingException"), 4),
        ("GetItem", Fault::Refused("AccessDeniedException"), 2),
        ("TransactWriteItems", Fault::Refused("ValidationException"), 2),
        ("TransactWriteItems", Fault::Cancelled(vec!["ConditionalCheckFailed", "None"]), 7),
        ("TransactWriteItems", Fault::Cancelled(vec!["TransactionConflict", "None"]), 3),
    ] {
        let world = World::start().await;
        let ada = world.person("ada");
        let acme = world.founded_by(&ada).await;
        world.invited(&acme, &ada, BOB, "member").await;
        world.wait_until_idle().await;
        world.wire().inject_background_fault(operation, fault.clone(), times);
        world.advance(SCHEDULE_FIRED).await;
        assert!(world.wire().all_faults_injected(), "{fault:?}");
        assert_eq!(ada.counts_seats(&acme).await.0, 1, "{fault:?}");
        world.finish().await;
    }
}
