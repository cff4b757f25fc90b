//! `POST /v1/invitations/decline`.

use domain::Timestamp;
use harness::{MAIL_COOLDOWN, TWO_DAYS, World, id, moment};
use serde_json::{Value, json};

#[tokio::test]
async fn a_declined_invitation_gives_its_seat_back_and_its_link_is_dead() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    assert_eq!(bob.declines(&token).await.is(204), Value::Null);
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert_eq!(ada.finds(&acme, "bob@example.com").await["status"], "declined");
    bob.declines(&token).await.refused(410, "invitation_declined");
    bob.accepts(&token).await.refused(410, "invitation_declined");
    assert_eq!(bob.previews(&token).await.is(200)["status"], "declined");
    bob.looks_at(&acme).await.refused(404, "organization_not_found");
    world.passes(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert_eq!(ada.finds(&acme, "bob@example.com").await["status"], "declined");
    world.finish().await;
}

#[tokio::test]
async fn s09_s16_what_is_over_cannot_be_declined_and_gives_no_seat_back() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for how in ["expired", "revoked", "accepted", "removed", "superseded"] {
        let email = format!("{how}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(how);
        match how {
            "expired" => world.passes(TWO_DAYS).await,
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            "superseded" => {
                world.passes(MAIL_COOLDOWN).await;
                ada.resends(&acme, id(&invitation)).await.is(200);
            }
            _ => drop(guest.accepts(&token).await.is(200)),
        }
        if how == "removed" {
            ada.removes(&acme, how).await.is(204);
        }
        let seats = ada.counts_seats(&acme).await;
        let code = match how {
            "removed" => "invitation_accepted".to_owned(),
            _ => format!("invitation_{how}"),
        };
        guest.declines(&token).await.refused(410, &code);
        assert_eq!(ada.counts_seats(&acme).await, seats);
    }
    world.finish().await;
}

#[tokio::test]
async fn s12_the_last_second_is_in_time_and_the_next_one_late() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (seconds, status) in [(0, 410), (-1, 204)] {
        let name = format!("bob{status}");
        let email = format!("{name}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        world.loses_schedule(&acme, &invitation).await;
        let moment = Timestamp::from_unix(moment(&invitation["expires_at"]).unix() + seconds);
        let bob = world.person(&name);
        let answer = world.at(moment, async || bob.declines(&token).await).await;
        assert_eq!(answer.status, status, "{seconds}: {}", answer.body);
        if status == 410 {
            answer.refused(410, "invitation_expired");
        }
    }
    // The one that was in time has given its seat back; the late one was closed, days late, by reconcile.
    world.idle().await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn what_nobody_may_grant_any_more_can_be_declined() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    world.invited(&acme, &mem, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    mem.leaves(&acme).await.is(204);
    world.person("bob").declines(&token).await.is(204);
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn a_member_can_decline_what_another_address_of_theirs_was_sent() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    world.invited(&acme, &ada, "bob@new.example", "owner").await;
    let token = world.token_for("bob@new.example").await;
    let moved = world.signed_in("bob", json!({ "email": "bob@new.example", "email_verified": true }));
    moved.declines(&token).await.is(204);
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(moved.looks_at(&acme).await.is(200)["role"], "member");
    world.finish().await;
}

#[tokio::test]
async fn the_first_thing_wrong_is_what_is_refused() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let old = world.token_for("bob@example.com").await;
    world.passes(MAIL_COOLDOWN).await;
    ada.resends(&acme, id(&invitation)).await.is(200);
    let token = world.token_for("bob@example.com").await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    let unverified = world.signed_in("eve", json!({ "email": "eve@example.com", "email_verified": false }));
    let eve = world.person("eve");
    let path = "/v1/invitations/decline";
    let huge = json!({ "token": "t".repeat(64 * 1024), "more": 1 });
    unverified.posts(path, &huge).await.refused(413, "too_large");
    unverified.posts(path, &json!({ "token": "forged", "more": 1 })).await.refused(400, "malformed_request");
    unverified.declines("forged").await.refused(400, "invalid_token");
    unverified.declines(&old).await.refused(410, "invitation_superseded");
    unverified.declines(&token).await.refused(403, "email_not_verified");
    eve.declines(&token).await.refused(403, "email_mismatch");
    world.person("bob").declines(&token).await.refused(410, "invitation_revoked");
    world.finish().await;
}
