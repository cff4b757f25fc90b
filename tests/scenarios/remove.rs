//! `DELETE /v1/organizations/{organization_id}/members/{user_id}`.

use harness::{MAIL_COOLDOWN, World, id};
use serde_json::{Value, json};

#[tokio::test]
async fn s31_a_removed_member_gives_the_seat_back_and_sees_nothing_more() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let pending = world.invited(&acme, &bob, "eve@example.com", "member").await;
    let pending = id(&pending);
    assert_eq!(ada.removes(&acme, "bob").await.is(204), Value::Null);
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert_eq!(ada.finds(&acme, "bob@example.com").await["status"], "removed");
    assert_eq!(ada.lists_members(&acme, "").await.items().len(), 1);
    // What they have sent stands; whether it is worth anything is asked when it is accepted.
    assert_eq!(ada.finds(&acme, "eve@example.com").await["status"], "pending");
    assert_eq!(bob.lists_organizations().await.items(), Vec::<Value>::new());
    for answer in [
        bob.looks_at(&acme).await,
        bob.lists_members(&acme, "").await,
        bob.lists_invitations(&acme, "").await,
        bob.invites(&acme, &["zoe@example.com"], "member").await,
        bob.resends(&acme, pending).await,
        bob.revokes(&acme, pending).await,
        bob.edits(&acme, "bob", "member").await,
        bob.leaves(&acme).await,
        bob.removes(&acme, "ada").await,
    ] {
        answer.refused(404, "organization_not_found");
    }
    ada.removes(&acme, "bob").await.refused(404, "member_not_found");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn an_owner_removes_an_owner_as_long_as_one_stays() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    bob.removes(&acme, "ada").await.is(204);
    let seen = bob.looks_at(&acme).await.is(200);
    assert_eq!((&seen["owners"], &seen["seats"]["taken"]), (&json!(1), &json!(1)));
    assert_eq!(bob.finds(&acme, "ada@example.com").await["status"], "removed");
    ada.looks_at(&acme).await.refused(404, "organization_not_found");
    world.finish().await;
}

#[tokio::test]
async fn anybody_may_leave() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    mem.leaves(&acme).await.is(204);
    ada.leaves(&acme).await.is(204);
    assert_eq!(bob.counts_seats(&acme).await, (1, 999));
    for email in ["mem@example.com", "ada@example.com"] {
        assert_eq!(bob.finds(&acme, email).await["status"], "removed");
    }
    mem.leaves(&acme).await.refused(404, "organization_not_found");
    world.finish().await;
}

#[tokio::test]
async fn s17_the_last_owner_stays() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    ada.leaves(&acme).await.refused(409, "last_owner");
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    ada.leaves(&acme).await.refused(409, "last_owner");
    ada.edits(&acme, "mem", "owner").await.is(200);
    ada.leaves(&acme).await.is(204);
    mem.leaves(&acme).await.refused(409, "last_owner");
    // Somebody who is invited as owner is none yet.
    world.invited(&acme, &mem, "eve@example.com", "owner").await;
    mem.leaves(&acme).await.refused(409, "last_owner");
    assert_eq!(mem.looks_at(&acme).await.is(200)["owners"], 1);
    world.finish().await;
}

#[tokio::test]
async fn s06_a_member_removes_nobody_else() {
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
async fn whoever_was_removed_can_be_invited_again() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let before = ada.lists_members(&acme, "").await.items();
    let joined_at = |members: &[Value]| {
        let bob = members.iter().find(|member| member["user_id"] == "bob");
        harness::moment(&bob.unwrap()["joined_at"])
    };
    ada.removes(&acme, "bob").await.is(204);
    world.passes(MAIL_COOLDOWN).await;
    let again = world.invited(&acme, &ada, "bob@example.com", "member").await;
    assert_eq!(again["generation"], 2);
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    bob.looks_at(&acme).await.refused(404, "organization_not_found");
    let token = world.token_for("bob@example.com").await;
    assert_eq!(bob.accepts(&token).await.is(200)["role"], "member");
    assert!(joined_at(&ada.lists_members(&acme, "").await.items()) > joined_at(&before));
    assert_eq!(ada.looks_at(&acme).await.is(200)["owners"], 1);
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
async fn leaving_takes_no_verified_address_and_neither_does_removing() {
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
async fn the_first_thing_wrong_is_what_is_refused() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let eve = world.person("eve");
    eve.removes(&acme, "nobody").await.refused(404, "organization_not_found");
    eve.removes(&acme, "\u{0}").await.refused(404, "organization_not_found");
    mem.removes(&acme, "nobody").await.refused(404, "member_not_found");
    mem.removes(&acme, "\u{0}").await.refused(404, "member_not_found");
    // The only owner: that a member may not remove anybody comes first.
    mem.removes(&acme, "ada").await.refused(403, "owner_required");
    ada.removes(&acme, "ada").await.refused(409, "last_owner");
    world.finish().await;
}
