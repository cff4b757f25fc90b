//! `DELETE /v1/organizations/{organization_id}/members/{user_id}`.

use harness::{MAIL_COOLDOWN, World, id};
use serde_json::{Value, json};

#[tokio::test]
async fn s31_a_removal_returns_the_seat_and_the_member_loses_all_access() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let pending = world.invited(&acme, &bob, "eve@example.com", "member").await;
    let pending = id(&pending);
    assert_eq!(ada.removes(&acme, "bob").await.is(204), Value::Null);
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "removed");
    assert_eq!(ada.lists_members(&acme, "").await.items().len(), 1);
    // The removed member's invitations stay pending. An accept checks the sender's authority.
    assert_eq!(ada.finds_invitation(&acme, "eve@example.com").await["status"], "pending");
    assert_eq!(bob.lists_organizations().await.items(), Vec::<Value>::new());
    for response in [
        bob.gets_organization(&acme).await,
        bob.lists_members(&acme, "").await,
        bob.lists_invitations(&acme, "").await,
        bob.invites(&acme, &["zoe@example.com"], "member").await,
        bob.resends(&acme, pending).await,
        bob.revokes(&acme, pending).await,
        bob.edits_role(&acme, "bob", "member").await,
        bob.leaves(&acme).await,
        bob.removes(&acme, "ada").await,
    ] {
        response.refused(404, "organization_not_found");
    }
    ada.removes(&acme, "bob").await.refused(404, "member_not_found");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn an_owner_can_remove_another_owner() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    bob.removes(&acme, "ada").await.is(204);
    let organization = bob.gets_organization(&acme).await.is(200);
    assert_eq!((&organization["owners"], &organization["seats"]["taken"]), (&json!(1), &json!(1)));
    assert_eq!(bob.finds_invitation(&acme, "ada@example.com").await["status"], "removed");
    ada.gets_organization(&acme).await.refused(404, "organization_not_found");
    world.finish().await;
}

#[tokio::test]
async fn members_and_owners_can_leave() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    mem.leaves(&acme).await.is(204);
    ada.leaves(&acme).await.is(204);
    assert_eq!(bob.counts_seats(&acme).await, (1, 999));
    for email in ["mem@example.com", "ada@example.com"] {
        assert_eq!(bob.finds_invitation(&acme, email).await["status"], "removed");
    }
    mem.leaves(&acme).await.refused(404, "organization_not_found");
    world.finish().await;
}

#[tokio::test]
async fn s17_the_last_owner_cannot_leave() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    ada.leaves(&acme).await.refused(409, "last_owner");
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    ada.leaves(&acme).await.refused(409, "last_owner");
    ada.edits_role(&acme, "mem", "owner").await.is(200);
    ada.leaves(&acme).await.is(204);
    mem.leaves(&acme).await.refused(409, "last_owner");
    // An invited owner does not count as an owner before the accept.
    world.invited(&acme, &mem, "eve@example.com", "owner").await;
    mem.leaves(&acme).await.refused(409, "last_owner");
    assert_eq!(mem.gets_organization(&acme).await.is(200)["owners"], 1);
    world.finish().await;
}

#[tokio::test]
async fn s06_a_member_cannot_remove_other_members() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    world.joined(&acme, &ada, "bob", "member").await;
    world.joined(&acme, &ada, "olga", "owner").await;
    for user in ["bob", "ada", "olga"] {
        mem.removes(&acme, user).await.refused(403, "owner_required");
    }
    assert_eq!(ada.counts_seats(&acme).await, (4, 996));
    world.finish().await;
}

#[tokio::test]
async fn a_removed_member_can_be_invited_again() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let before = ada.lists_members(&acme, "").await.items();
    let joined_at = |members: &[Value]| {
        let bob = members.iter().find(|member| member["user_id"] == "bob");
        harness::timestamp(&bob.unwrap()["joined_at"])
    };
    ada.removes(&acme, "bob").await.is(204);
    world.advance(MAIL_COOLDOWN).await;
    let invited_again = world.invited(&acme, &ada, "bob@example.com", "member").await;
    assert_eq!(invited_again["generation"], 2);
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    bob.gets_organization(&acme).await.refused(404, "organization_not_found");
    let token = world.token_for("bob@example.com").await;
    assert_eq!(bob.accepts(&token).await.is(200)["role"], "member");
    assert!(joined_at(&ada.lists_members(&acme, "").await.items()) > joined_at(&before));
    assert_eq!(ada.gets_organization(&acme).await.is(200)["owners"], 1);
    ada.removes(&acme, "bob").await.is(204);
    assert_eq!(ada.counts_seats(&acme).await, (1, 1));
    world.finish().await;
}

#[tokio::test]
async fn the_founder_can_leave_and_be_invited_again() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    ada.leaves(&acme).await.is(204);
    let invitation = world.invited(&acme, &bob, "ada@example.com", "member").await;
    assert_eq!(invitation["generation"], 1);
    let token = world.token_for("ada@example.com").await;
    assert_eq!(ada.accepts(&token).await.is(200)["role"], "member");
    world.finish().await;
}

#[tokio::test]
async fn leaving_and_removing_need_no_verified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    world.joined(&acme, &ada, "eve", "member").await;
    world.signed_in("bob", json!({})).leaves(&acme).await.is(204);
    world.signed_in("ada", json!({})).removes(&acme, "eve").await.is(204);
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let eve = world.person("eve");
    eve.removes(&acme, "nobody").await.refused(404, "organization_not_found");
    eve.removes(&acme, "\u{0}").await.refused(404, "organization_not_found");
    mem.removes(&acme, "nobody").await.refused(404, "member_not_found");
    mem.removes(&acme, "\u{0}").await.refused(404, "member_not_found");
    // Ada is the last owner, but the missing permission is reported first.
    mem.removes(&acme, "ada").await.refused(403, "owner_required");
    ada.removes(&acme, "ada").await.refused(409, "last_owner");
    world.finish().await;
}
