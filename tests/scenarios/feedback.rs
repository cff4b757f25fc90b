//! SES events update the delivery status of an invitation and nothing else.

use harness::{MAIL_COOLDOWN, Organization, Person, World};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";

/// Lets ada invite bob, and waits until the mail is sent.
async fn mailed(world: &World) -> (Person, Organization, Value) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    (ada, acme, mail)
}

async fn delivery(ada: &Person, acme: &Organization) -> Value {
    ada.finds_invitation(acme, BOB).await["delivery"].clone()
}

#[tokio::test]
async fn every_kind_of_event_updates_the_delivery_status() {
    let bounce = json!({ "kind": "bounce", "bounce": "Permanent", "reason": "NoEmail" });
    for (event, status, expected_detail) in [
        (json!({ "kind": "delivery" }), "delivered", None),
        (bounce, "bounced", Some("no such mailbox")),
        (
            json!({ "kind": "bounce", "bounce": "Transient", "reason": "MailboxFull" }),
            "bounced",
            Some("full"),
        ),
        (json!({ "kind": "complaint" }), "complained", None),
        (json!({ "kind": "reject" }), "failed", Some("malicious")),
    ] {
        let world = World::start().await;
        let (ada, acme, mail) = mailed(&world).await;
        let before = ada.finds_invitation(&acme, BOB).await;
        drop(world.wire().take_requests());
        world.send_ses_event(&mail, event.clone()).await;
        let sent: Vec<_> =
            world.wire().take_requests().into_iter().map(|request| request.operation).collect();
        assert_eq!(sent[..2], ["GetItem", "TransactWriteItems"], "one read, one write");
        let after = ada.finds_invitation(&acme, BOB).await;
        assert_eq!(after["delivery"], status, "{event}");
        let detail = after.get("delivery_detail").and_then(Value::as_str);
        assert_eq!(detail.is_some(), expected_detail.is_some(), "{event}");
        assert!(expected_detail.is_none_or(|text| detail.unwrap_or_default().contains(text)), "{detail:?}");
        for field in ["status", "generation", "expires_at", "sent_at", "role", "created_at"] {
            assert_eq!(after[field], before[field], "{event}: {field}");
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn the_delivery_status_never_moves_backwards_and_repeated_events_change_nothing() {
    let world = World::start().await;
    let (ada, acme, mail) = mailed(&world).await;
    for (kind, status) in [
        ("delivery", "delivered"),
        ("delivery", "delivered"),
        ("bounce", "bounced"),
        ("delivery", "bounced"),
        ("complaint", "complained"),
        ("bounce", "complained"),
        ("delivery", "complained"),
        ("reject", "complained"),
    ] {
        world.send_ses_event(&mail, json!({ "kind": kind })).await;
        assert_eq!(delivery(&ada, &acme).await, status, "after {kind}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_bounce_keeps_the_seat_and_the_link() {
    let world = World::start().await;
    let (ada, acme, mail) = mailed(&world).await;
    world.send_ses_event(&mail, json!({ "kind": "bounce" })).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.person("bob").accepts(mail["token"].as_str().unwrap()).await.is(200);
    assert_eq!(delivery(&ada, &acme).await, "bounced");
    world.finish().await;
}

#[tokio::test]
async fn a_bounce_before_the_update_to_sent_stays() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.wait_until_idle().await;
    // The first transaction of `mail` counts the mail. The second sets the status to `sent`.
    world.wire().hold_background_request("TransactWriteItems").release();
    let update = world.wire().hold_background_request("TransactWriteItems");
    world.invited(&acme, &ada, BOB, "member").await;
    update.arrived().await;
    let item = serde_json::to_value(&world.laptop().mailbox().items(Some(BOB))[0]).unwrap();
    world.send_ses_event(&item, json!({ "kind": "bounce" })).await;
    assert_eq!(delivery(&ada, &acme).await, "bounced");
    assert_eq!(ada.finds_invitation(&acme, BOB).await["sent_at"], Value::Null);
    update.release();
    world.wait_until_idle().await;
    let invitation = ada.finds_invitation(&acme, BOB).await;
    assert_eq!(invitation["delivery"], "bounced");
    assert!(invitation["sent_at"].is_string(), "the time of sending is stored as well");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn events_of_an_older_mail_have_no_effect() {
    let world = World::start().await;
    let (ada, acme, old) = mailed(&world).await;
    world.advance(MAIL_COOLDOWN).await;
    let id = ada.finds_invitation(&acme, BOB).await["id"].as_str().unwrap().to_owned();
    ada.resends(&acme, &id).await.is(200);
    let new = world.mails_to(BOB).await.remove(0);
    world.send_ses_event(&old, json!({ "kind": "bounce" })).await;
    assert_eq!(delivery(&ada, &acme).await, "sent");
    world.send_ses_event(&new, json!({ "kind": "delivery" })).await;
    assert_eq!(delivery(&ada, &acme).await, "delivered");
    world.finish().await;
}

#[tokio::test]
async fn updates_the_delivery_status_of_an_accepted_invitation() {
    let world = World::start().await;
    let (ada, acme, mail) = mailed(&world).await;
    world.person("bob").accepts(mail["token"].as_str().unwrap()).await.is(200);
    world.send_ses_event(&mail, json!({ "kind": "complaint" })).await;
    let invitation = ada.finds_invitation(&acme, BOB).await;
    assert_eq!((&invitation["status"], &invitation["delivery"]), (&json!("accepted"), &json!("complained")));
    world.finish().await;
}

#[tokio::test]
async fn ignores_events_of_unknown_mails_and_fails_for_invalid_events() {
    let world = World::start().await;
    let (ada, acme, _) = mailed(&world).await;
    let other = world.founded_by(&ada).await;
    let invitation = ada.finds_invitation(&acme, BOB).await;
    let expires_at = harness::timestamp(&invitation["expires_at"]).unix().to_string();
    let unknown = json!({
        "kind": "bounce", "bounce": "Permanent", "reason": "General",
        "organization": [other.id], "invitation": [invitation["id"]],
        "generation": ["1"], "expires_at": [expires_at],
    });
    world.invoke("feedback", unknown).await.unwrap();
    assert_eq!(delivery(&ada, &acme).await, "sent");
    let error = world.invoke("feedback", json!({ "kind": "bounce", "to": BOB })).await.unwrap_err();
    assert!(!error.to_string().contains('@'), "{error}");
    world.anonymous().posts("/_dev/feedback", &json!({ "message_id": "x", "kind": "bounce" })).await.is(404);
    world.finish().await;
}
