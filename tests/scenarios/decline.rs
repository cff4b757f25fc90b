//! `POST /v1/invitations/decline`.

use domain::Timestamp;
use harness::{MAIL_COOLDOWN, TWO_DAYS, World, id, timestamp};
use serde_json::{Value, json};

#[tokio::test]
async fn declining_returns_the_seat_and_invalidates_the_link() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    assert_eq!(bob.declines(&token).await.is(204), Value::Null);
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "declined");
    bob.declines(&token).await.refused(410, "invitation_declined");
    bob.accepts(&token).await.refused(410, "invitation_declined");
    assert_eq!(bob.previews(&token).await.is(200)["status"], "declined");
    bob.gets_organization(&acme).await.refused(404, "organization_not_found");
    world.advance(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "declined");
    world.finish().await;
}

#[tokio::test]
async fn s09_s16_refuses_to_decline_a_closed_invitation_and_returns_no_seat() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for how in ["expired", "revoked", "accepted", "removed", "superseded"] {
        let email = format!("{how}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(how);
        match how {
            "expired" => world.advance(TWO_DAYS).await,
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            "superseded" => {
                world.advance(MAIL_COOLDOWN).await;
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
async fn s12_declines_until_one_second_before_the_expiry() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (seconds, status) in [(0, 410), (-1, 204)] {
        let name = format!("bob{status}");
        let email = format!("{name}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        world.delete_schedule(&acme, &invitation).await;
        let time = Timestamp::from_unix(timestamp(&invitation["expires_at"]).unix() + seconds);
        let bob = world.person(&name);
        let response = world.at(time, async || bob.declines(&token).await).await;
        assert_eq!(response.status, status, "{seconds}: {}", response.body);
        if status == 410 {
            response.refused(410, "invitation_expired");
        }
    }
    // The decline in time returned its seat. `reconcile` closed the other invitation and returned its seat.
    world.wait_until_idle().await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn declines_an_invitation_after_its_sender_left() {
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
async fn a_member_can_decline_an_invitation_to_their_other_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    world.invited(&acme, &ada, "bob@new.example", "owner").await;
    let token = world.token_for("bob@new.example").await;
    let moved = world.signed_in("bob", json!({ "email": "bob@new.example", "email_verified": true }));
    moved.declines(&token).await.is(204);
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(moved.gets_organization(&acme).await.is(200)["role"], "member");
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let old = world.token_for("bob@example.com").await;
    world.advance(MAIL_COOLDOWN).await;
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
