//! What SES tells of a mail shows on its invitation, and changes nothing else.

use harness::{MAIL_COOLDOWN, Organization, Person, World};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";

/// Bob is invited by Ada, and his mail is out.
async fn mailed(world: &World) -> (Person, Organization, Value) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    (ada, acme, mail)
}

async fn delivery(ada: &Person, acme: &Organization) -> Value {
    ada.finds(acme, BOB).await["delivery"].clone()
}

#[tokio::test]
async fn every_kind_shows_on_the_invitation() {
    let bounce = json!({ "kind": "bounce", "bounce": "Permanent", "reason": "NoEmail" });
    for (what, shows, says) in [
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
        let before = ada.finds(&acme, BOB).await;
        drop(world.wire().take());
        world.hears(&mail, what.clone()).await;
        let sent: Vec<_> = world.wire().take().into_iter().map(|call| call.operation).collect();
        assert_eq!(sent[..2], ["GetItem", "TransactWriteItems"], "one read, one write");
        let after = ada.finds(&acme, BOB).await;
        assert_eq!(after["delivery"], shows, "{what}");
        let detail = after.get("delivery_detail").and_then(Value::as_str);
        assert_eq!(detail.is_some(), says.is_some(), "{what}");
        assert!(says.is_none_or(|says| detail.unwrap_or_default().contains(says)), "{detail:?}");
        for field in ["status", "generation", "expires_at", "sent_at", "role", "created_at"] {
            assert_eq!(after[field], before[field], "{what}: {field}");
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn it_never_moves_backwards_and_twice_is_once() {
    let world = World::start().await;
    let (ada, acme, mail) = mailed(&world).await;
    for (kind, shows) in [
        ("delivery", "delivered"),
        ("delivery", "delivered"),
        ("bounce", "bounced"),
        ("delivery", "bounced"),
        ("complaint", "complained"),
        ("bounce", "complained"),
        ("delivery", "complained"),
        ("reject", "complained"),
    ] {
        world.hears(&mail, json!({ "kind": kind })).await;
        assert_eq!(delivery(&ada, &acme).await, shows, "after {kind}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_bounce_frees_no_seat_and_its_link_still_works() {
    let world = World::start().await;
    let (ada, acme, mail) = mailed(&world).await;
    world.hears(&mail, json!({ "kind": "bounce" })).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.person("bob").accepts(mail["token"].as_str().unwrap()).await.is(200);
    assert_eq!(delivery(&ada, &acme).await, "bounced");
    world.finish().await;
}

#[tokio::test]
async fn a_bounce_may_come_before_sent_is_written() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    // The first write is the count.
    world.wire().hold_work("TransactWriteItems").release();
    let marking = world.wire().hold_work("TransactWriteItems");
    world.invited(&acme, &ada, BOB, "member").await;
    marking.arrived().await;
    let item = serde_json::to_value(&world.laptop().mailbox().items(Some(BOB))[0]).unwrap();
    world.hears(&item, json!({ "kind": "bounce" })).await;
    assert_eq!(delivery(&ada, &acme).await, "bounced");
    assert_eq!(ada.finds(&acme, BOB).await["sent_at"], Value::Null);
    marking.release();
    world.idle().await;
    let invitation = ada.finds(&acme, BOB).await;
    assert_eq!(invitation["delivery"], "bounced");
    assert!(invitation["sent_at"].is_string(), "the moment is known all the same");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn what_an_older_mail_comes_to_changes_nothing() {
    let world = World::start().await;
    let (ada, acme, old) = mailed(&world).await;
    world.passes(MAIL_COOLDOWN).await;
    let id = ada.finds(&acme, BOB).await["id"].as_str().unwrap().to_owned();
    ada.resends(&acme, &id).await.is(200);
    let new = world.mails_to(BOB).await.remove(0);
    world.hears(&old, json!({ "kind": "bounce" })).await;
    assert_eq!(delivery(&ada, &acme).await, "sent");
    world.hears(&new, json!({ "kind": "delivery" })).await;
    assert_eq!(delivery(&ada, &acme).await, "delivered");
    world.finish().await;
}

#[tokio::test]
async fn it_shows_on_an_invitation_that_is_over_too() {
    let world = World::start().await;
    let (ada, acme, mail) = mailed(&world).await;
    world.person("bob").accepts(mail["token"].as_str().unwrap()).await.is(200);
    world.hears(&mail, json!({ "kind": "complaint" })).await;
    let invitation = ada.finds(&acme, BOB).await;
    assert_eq!((&invitation["status"], &invitation["delivery"]), (&json!("accepted"), &json!("complained")));
    world.finish().await;
}

#[tokio::test]
async fn an_event_of_nobodys_mail_does_nothing_and_one_that_is_none_is_given_up() {
    let world = World::start().await;
    let (ada, acme, _) = mailed(&world).await;
    let other = world.founded_by(&ada).await;
    let invitation = ada.finds(&acme, BOB).await;
    let expires_at = harness::moment(&invitation["expires_at"]).unix().to_string();
    let stranger = json!({
        "kind": "bounce", "bounce": "Permanent", "reason": "General",
        "organization": [other.id], "invitation": [invitation["id"]],
        "generation": ["1"], "expires_at": [expires_at],
    });
    world.invokes("feedback", stranger).await.unwrap();
    assert_eq!(delivery(&ada, &acme).await, "sent");
    let error = world.invokes("feedback", json!({ "kind": "bounce", "to": BOB })).await.unwrap_err();
    assert!(!error.to_string().contains('@'), "{error}");
    world.nobody().posts("/_dev/feedback", &json!({ "message_id": "x", "kind": "bounce" })).await.is(404);
    world.finish().await;
}
