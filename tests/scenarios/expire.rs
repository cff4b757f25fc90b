//! `expire`: what a schedule invokes at a deadline.

use domain::Timestamp;
use harness::{Fault, Organization, Person, World, timer};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const LIFETIME: u64 = 48 * 60 * 60;

/// Bob's address is invited by ada, and its schedule is lost: nobody but the scenario invokes `expire`.
async fn invited(world: &World) -> (Person, Organization, Value) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.loses_schedule(&acme, &invitation).await;
    (ada, acme, invitation)
}

async fn status(ada: &Person, acme: &Organization) -> String {
    ada.finds(acme, BOB).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn at_its_deadline_an_invitation_is_closed_and_its_seat_is_free() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, BOB, "member").await;
    let token = world.token_for(BOB).await;
    // A minute is more than the scenario takes, so the deadline is not reached by itself.
    world.passes(LIFETIME - 60).await;
    assert_eq!(status(&ada, &acme).await, "pending");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.passes(60).await;
    assert_eq!(status(&ada, &acme).await, "expired");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.person("bob").accepts(&token).await.refused(410, "invitation_expired");
    // It is closed in the table as well, and not only read as such.
    let listed = ada.lists_invitations(&acme, "?status=pending").await.items();
    assert_eq!(listed, [Value::Null; 0]);
    let closed = world.records().await;
    let closed =
        closed.organizations().flat_map(|it| closed.invitations(&it.id)).filter(|it| !it.holds_seat());
    assert_eq!(closed.count(), 1);
    world.finish().await;
}

#[tokio::test]
async fn s16_run_twice_it_frees_one_seat() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    world.passes(LIFETIME).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "nobody has closed it yet");
    for _ in 0..3 {
        world.invokes("expire", timer(&acme, &invitation)).await.unwrap();
        assert_eq!(ada.counts_seats(&acme).await.0, 1);
        assert_eq!(status(&ada, &acme).await, "expired");
    }
    world.finish().await;
}

#[tokio::test]
async fn s12_it_closes_in_the_very_second_and_not_one_before() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    let expires_at = harness::moment(&invitation["expires_at"]);
    let fires = async || world.invokes("expire", timer(&acme, &invitation)).await;
    let early = world.at(Timestamp::from_unix(expires_at.unix() - 1), fires).await;
    assert!(early.is_err(), "an error is what is tried again");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.at(expires_at, fires).await.unwrap();
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    world.finish().await;
}

#[tokio::test]
async fn an_older_generations_timer_does_nothing() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    world.passes(LIFETIME / 2).await;
    let again = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    world.passes(LIFETIME / 2).await;
    world.invokes("expire", timer(&acme, &invitation)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "pending");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    // Of the newest mail's own it is told that it is too early.
    assert!(world.invokes("expire", timer(&acme, &again)).await.is_err());
    world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn a_timer_of_what_is_over_or_never_was_does_nothing() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    let bob = world.person("bob");
    bob.accepts(&world.token_for(BOB).await).await.is(200);
    world.passes(LIFETIME).await;
    world.invokes("expire", timer(&acme, &invitation)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "accepted");
    ada.removes(&acme, "bob").await.is(204);
    world.invokes("expire", timer(&acme, &invitation)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "removed");
    let again = world.invited(&acme, &ada, BOB, "member").await;
    ada.revokes(&acme, again["id"].as_str().unwrap()).await.is(204);
    world.passes(LIFETIME).await;
    world.invokes("expire", timer(&acme, &again)).await.unwrap();
    assert_eq!(status(&ada, &acme).await, "revoked");
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    // Another organization's invitation of that id does not exist.
    let other = world.founded_by(&ada).await;
    world.invokes("expire", timer(&other, &invitation)).await.unwrap();
    assert_eq!(ada.counts_seats(&other).await.0, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_broken_payload_is_an_error_and_reads_nothing() {
    let world = World::start().await;
    let (ada, acme, invitation) = invited(&world).await;
    world.passes(LIFETIME).await;
    let _ = world.wire().take();
    let whole = timer(&acme, &invitation);
    let mut broken = vec![json!(null), json!({}), json!([]), json!("expire"), json!({ "timer": whole })];
    for (field, wrong) in [
        ("organization_id", json!("acme")),
        ("invitation_id", json!("ORG")),
        ("generation", json!("1")),
        ("generation", json!(-1)),
        ("expires_at", json!("soon")),
        ("expires_at", json!(1_795_615_500)),
    ] {
        let mut edited = whole.clone();
        edited[field] = wrong;
        broken.push(edited);
        let mut cut = whole.clone();
        cut.as_object_mut().unwrap().remove(field);
        broken.push(cut);
    }
    let mut more = whole.clone();
    more["force"] = json!(true);
    broken.push(more);
    let fields = ["organization_id", "invitation_id", "generation", "expires_at"];
    broken.push(fields.iter().map(|field| whole[field].clone()).collect());
    for payload in broken {
        assert!(world.invokes("expire", payload.clone()).await.is_err(), "{payload}");
    }
    let sent = world.wire().take();
    assert!(sent.iter().all(|call| call.operation != "GetItem"), "{sent:?}");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.invokes("expire", whole).await.unwrap();
    world.finish().await;
}

#[tokio::test]
async fn a_table_that_fails_for_a_while_is_waited_out_and_the_schedule_tries_again() {
    for (operation, fault, times) in [
        // More than the SDK tries by itself.
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
        world.idle().await;
        world.wire().disturb_work(operation, fault.clone(), times);
        world.passes(LIFETIME).await;
        assert!(world.wire().is_calm(), "{fault:?}");
        assert_eq!(ada.counts_seats(&acme).await.0, 1, "{fault:?}");
        world.finish().await;
    }
}
