//! `DELETE /v1/organizations/{organization_id}/invitations/{invitation_id}`.

use harness::{TWO_DAYS, World, id};
use serde_json::{Value, json};

#[tokio::test]
async fn a_revoke_returns_the_seat_and_invalidates_the_link() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(ada.revokes(&acme, id(&invitation)).await.is(204), Value::Null);
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    let listed = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_eq!((&listed["status"], &listed["generation"]), (&json!("revoked"), &json!(1)));
    let bob = world.person("bob");
    bob.accepts(&token).await.refused(410, "invitation_revoked");
    bob.declines(&token).await.refused(410, "invitation_revoked");
    assert_eq!(bob.previews(&token).await.is(200)["status"], "revoked");
    world.advance(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "revoked");
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn s09_s16_only_pending_invitations_can_be_revoked_and_no_seat_is_returned_twice() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for name in ["expired", "revoked", "declined", "accepted", "removed"] {
        let email = format!("{name}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(name);
        match name {
            "expired" => world.advance(TWO_DAYS).await,
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            "declined" => drop(guest.declines(&token).await.is(204)),
            _ => drop(guest.accepts(&token).await.is(200)),
        }
        if name == "removed" {
            ada.removes(&acme, name).await.is(204);
        }
        let seats = ada.counts_seats(&acme).await;
        let problem = ada.revokes(&acme, id(&invitation)).await.refused(409, "invitation_not_pending");
        assert_eq!(problem["invitation_status"], name);
        assert_eq!(ada.counts_seats(&acme).await, seats);
    }
    let founder = ada.finds_invitation(&acme, "ada@example.com").await;
    let problem = ada.revokes(&acme, id(&founder)).await.refused(409, "invitation_not_pending");
    assert_eq!(problem["invitation_status"], "accepted");
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_status_expired_after_the_expiry_even_if_the_record_is_pending() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.delete_schedule(&acme, &invitation).await;
    world.advance(TWO_DAYS).await;
    let problem = ada.revokes(&acme, id(&invitation)).await.refused(409, "invitation_not_pending");
    assert_eq!(problem["invitation_status"], "expired");
    world.finish().await;
}

#[tokio::test]
async fn revokes_until_one_second_before_the_expiry() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (seconds, expected) in [(0, 409), (-1, 204)] {
        let email = format!("bob{expected}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        world.delete_schedule(&acme, &invitation).await;
        let expires_at = harness::timestamp(&invitation["expires_at"]).unix();
        let time = domain::Timestamp::from_unix(expires_at + seconds);
        world.at(time, async || ada.revokes(&acme, id(&invitation)).await).await.is(expected);
    }
    world.finish().await;
}

#[tokio::test]
async fn s05_a_member_can_revoke_only_invitations_of_members_regardless_of_the_sender() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let owner = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let member = world.invited(&acme, &ada, "eve@example.com", "member").await;
    mem.revokes(&acme, id(&owner)).await.refused(403, "role_not_grantable");
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    mem.revokes(&acme, id(&member)).await.is(204);
    let invitation = world.invited(&acme, &mem, "zoe@example.com", "member").await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    world.finish().await;
}

#[tokio::test]
async fn needs_no_verified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.signed_in("ada", json!({})).revokes(&acme, id(&invitation)).await.is(204);
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let revoked = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    ada.revokes(&acme, id(&revoked)).await.is(204);
    world.person("zoe").revokes(&acme, id(&revoked)).await.refused(404, "organization_not_found");
    world.person("zoe").revokes(&acme, "nothing").await.refused(404, "organization_not_found");
    mem.revokes(&acme, "nothing").await.refused(404, "invitation_not_found");
    mem.revokes(&acme, id(&revoked)).await.refused(403, "role_not_grantable");
    ada.revokes(&acme, id(&revoked)).await.refused(409, "invitation_not_pending");
    world.finish().await;
}
