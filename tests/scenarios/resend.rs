//! `POST /v1/organizations/{organization_id}/invitations/{invitation_id}/resend`.

use harness::{MAIL_COOLDOWN, SCHEDULE_FIRED, TWO_DAYS, World, assert_invitation, id, timestamp};
use serde_json::json;

#[tokio::test]
async fn creates_a_new_link_with_a_new_deadline_and_makes_the_caller_the_sender() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let first = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let old = world.token_for("bob@example.com").await;
    world.advance(3600).await;
    let resent = mem.resends(&acme, id(&first)).await.is(200);
    assert_invitation(&resent);
    let expected = json!({
        "id": first["id"], "email": "bob@example.com", "role": "member", "status": "pending", "generation": 2,
        "sender": { "user_id": "mem", "email": "mem@example.com" },
        "created_at": first["created_at"], "sent_at": null, "expires_at": resent["expires_at"], "delivery": "queued",
    });
    assert_eq!(resent, expected);
    let later = timestamp(&resent["expires_at"]).unix() - timestamp(&first["expires_at"]).unix();
    assert!((3600..3660).contains(&later), "{later}");
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    assert_eq!(world.mails_to("bob@example.com").await.len(), 2);
    let sent = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_eq!((&sent["delivery"], &sent["generation"]), (&json!("sent"), &json!(2)));
    timestamp(&sent["sent_at"]);
    let bob = world.person("bob");
    for response in [bob.previews(&old).await, bob.accepts(&old).await, bob.declines(&old).await] {
        response.refused(410, "invitation_superseded");
    }
    let new = world.token_for("bob@example.com").await;
    assert_eq!(bob.previews(&new).await.is(200)["sender_email"], "mem@example.com");
    bob.accepts(&new).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s10_only_the_newest_of_many_links_works() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let first = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let mut tokens = vec![world.token_for("bob@example.com").await];
    for generation in 2..=4 {
        world.advance(MAIL_COOLDOWN).await;
        assert_eq!(ada.resends(&acme, id(&first)).await.is(200)["generation"], generation);
        tokens.push(world.token_for("bob@example.com").await);
    }
    let newest = tokens.pop().unwrap();
    let bob = world.person("bob");
    for token in &tokens {
        bob.accepts(token).await.refused(410, "invitation_superseded");
    }
    bob.accepts(&newest).await.is(200);
    for token in &tokens {
        bob.accepts(token).await.refused(410, "invitation_superseded");
    }
    world.finish().await;
}

#[tokio::test]
async fn an_expired_invitation_takes_a_seat_again() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let first = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.advance(SCHEDULE_FIRED).await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 1));
    let resent = ada.resends(&acme, id(&first)).await.is(200);
    assert_eq!((&resent["status"], &resent["generation"]), (&json!("pending"), &json!(2)));
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    let token = world.token_for("bob@example.com").await;
    world.person("bob").accepts(&token).await.is(200);
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    world.finish().await;
}

#[tokio::test]
async fn an_expired_invitation_stays_expired_if_no_seat_is_free() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let first = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.advance(SCHEDULE_FIRED).await;
    world.invited(&acme, &ada, "eve@example.com", "member").await;
    let problem = ada.resends(&acme, id(&first)).await.refused(409, "seats_exhausted");
    assert_eq!(problem["seats"], json!({ "total": 2, "taken": 2, "free": 0 }));
    let listed = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_eq!((&listed["status"], &listed["generation"]), (&json!("expired"), &json!(1)));
    world.finish().await;
}

#[tokio::test]
async fn an_invitation_whose_record_is_pending_keeps_its_seat_even_after_its_expiry() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let first = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.advance(MAIL_COOLDOWN).await;
    let second = ada.resends(&acme, id(&first)).await.is(200);
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    world.delete_schedule(&acme, &second).await;
    world.advance(TWO_DAYS).await;
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    let third = ada.resends(&acme, id(&first)).await.is(200);
    assert_eq!((&third["status"], &third["generation"]), (&json!("pending"), &json!(3)));
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    world.advance(SCHEDULE_FIRED).await;
    assert_eq!(ada.counts_seats(&acme).await, (1, 1));
    world.finish().await;
}

#[tokio::test]
async fn s09_accepted_revoked_declined_and_removed_invitations_cannot_be_resent() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for name in ["revoked", "declined", "accepted", "removed"] {
        let email = format!("{name}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(name);
        match name {
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            "declined" => drop(guest.declines(&token).await.is(204)),
            _ => drop(guest.accepts(&token).await.is(200)),
        }
        if name == "removed" {
            ada.removes(&acme, name).await.is(204);
        }
        world.advance(MAIL_COOLDOWN).await;
        let seats = ada.counts_seats(&acme).await;
        let problem = ada.resends(&acme, id(&invitation)).await.refused(409, "invitation_not_pending");
        assert_eq!(problem["invitation_status"], name);
        assert_eq!(ada.counts_seats(&acme).await, seats);
        assert_eq!(world.mails_to(&email).await.len(), 1);
    }
    let founder = ada.finds_invitation(&acme, "ada@example.com").await;
    let problem = ada.resends(&acme, id(&founder)).await.refused(409, "invitation_not_pending");
    assert_eq!(problem["invitation_status"], "accepted");
    world.finish().await;
}

#[tokio::test]
async fn s05_a_member_can_resend_invitations_of_members_only_and_the_role_stays() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let owner = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let member = world.invited(&acme, &ada, "eve@example.com", "member").await;
    world.advance(MAIL_COOLDOWN).await;
    mem.resends(&acme, id(&owner)).await.refused(403, "role_not_grantable");
    let listed = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_eq!((&listed["generation"], &listed["sender"]["user_id"]), (&json!(1), &json!("ada")));
    assert_eq!(mem.resends(&acme, id(&member)).await.is(200)["role"], "member");
    assert_eq!(ada.resends(&acme, id(&owner)).await.is(200)["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s05_a_demoted_sender_cannot_resend_an_owners_invitation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let olga = world.joined(&acme, &ada, "olga", "owner").await;
    let bob = world.invited(&acme, &olga, "bob@example.com", "owner").await;
    ada.edits_role(&acme, "olga", "member").await.is(200);
    world.advance(MAIL_COOLDOWN).await;
    // Olga sent the invitation, but may not grant the role after her demotion.
    olga.resends(&acme, id(&bob)).await.refused(403, "role_not_grantable");
    world.advance(TWO_DAYS).await;
    for person in [&olga, &mem] {
        person.resends(&acme, id(&bob)).await.refused(403, "role_not_grantable");
    }
    // The request cannot name another role.
    let path = acme.path(&format!("/invitations/{}/resend", id(&bob)));
    mem.posts(&path, &json!({ "role": "member" })).await.refused(400, "malformed_request");
    assert_eq!(ada.resends(&acme, id(&bob)).await.is(200)["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s03_a_resender_needs_a_verified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.advance(MAIL_COOLDOWN).await;
    for claims in [
        json!({ "email": "ada@example.com", "email_verified": false }),
        json!({ "email": "ada@example.com" }),
        json!({}),
    ] {
        let ada = world.signed_in("ada", claims);
        ada.resends(&acme, id(&invitation)).await.refused(403, "email_not_verified");
    }
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["generation"], 1);
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::with_seats(4).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let revoked = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    ada.revokes(&acme, id(&revoked)).await.is(204);
    let expired = world.invited(&acme, &ada, "eve@example.com", "owner").await;
    world.advance(SCHEDULE_FIRED).await;
    let unverified = json!({ "email": "mem@example.com", "email_verified": false });
    let anonymous = world.signed_in("mem", unverified.clone());
    let stranger = world.signed_in("zoe", unverified);
    let path = acme.path("/invitations/nothing/resend");
    stranger.posts_bytes(&path, " ".repeat(64 * 1024 + 1)).await.refused(400, "malformed_request");
    stranger.resends(&acme, "nothing").await.refused(403, "email_not_verified");
    anonymous.resends(&acme, id(&revoked)).await.refused(403, "email_not_verified");
    world.person("zoe").resends(&acme, "nothing").await.refused(404, "organization_not_found");
    mem.resends(&acme, "nothing").await.refused(404, "invitation_not_found");
    mem.resends(&acme, id(&revoked)).await.refused(403, "role_not_grantable");
    mem.resends(&acme, id(&expired)).await.refused(403, "role_not_grantable");
    let emails = ["one@example.com", "two@example.com"];
    ada.invites(&acme, &emails, "member").await.is(200);
    assert_eq!(ada.counts_seats(&acme).await, (4, 0));
    ada.resends(&acme, id(&revoked)).await.refused(409, "invitation_not_pending");
    ada.resends(&acme, id(&expired)).await.refused(409, "seats_exhausted");
    mem.resends(&acme, id(&expired)).await.refused(403, "role_not_grantable");
    world.finish().await;
}
