//! `PATCH /v1/organizations/{organization_id}/members/{user_id}`.

use harness::{World, assert_member};
use serde_json::{Value, json};

#[tokio::test]
async fn an_owner_can_promote_and_demote_members() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let before = ada.lists_members(&acme, "?role=member").await.items().remove(0);
    let promoted = ada.edits_role(&acme, "bob", "owner").await.is(200);
    assert_member(&promoted);
    let expected = json!({
        "user_id": "bob", "email": "bob@example.com", "role": "owner", "joined_at": before["joined_at"]
    });
    assert_eq!(promoted, expected);
    let organization = bob.gets_organization(&acme).await.is(200);
    assert_eq!((&organization["role"], &organization["owners"]), (&json!("owner"), &json!(2)));
    assert_eq!(bob.lists_organizations().await.items()[0]["role"], "owner");
    assert_eq!(bob.edits_role(&acme, "ada", "member").await.is(200)["role"], "member");
    assert_eq!(bob.gets_organization(&acme).await.is(200)["owners"], 1);
    assert_eq!(ada.gets_organization(&acme).await.is(200)["role"], "member");
    ada.edits_role(&acme, "bob", "member").await.refused(403, "owner_required");
    assert_eq!(bob.counts_seats(&acme).await, (2, 998));
    // The invitation keeps the role that was offered.
    assert_eq!(bob.finds_invitation(&acme, "bob@example.com").await["role"], "member");
    world.finish().await;
}

#[tokio::test]
async fn setting_the_current_role_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    let before = world.records().await;
    assert_eq!(ada.edits_role(&acme, "bob", "member").await.is(200)["role"], "member");
    assert_eq!(ada.edits_role(&acme, "ada", "owner").await.is(200)["role"], "owner");
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn s17_the_last_owner_cannot_be_demoted() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    ada.edits_role(&acme, "ada", "member").await.refused(409, "last_owner");
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    ada.edits_role(&acme, "ada", "member").await.is(200);
    bob.edits_role(&acme, "bob", "member").await.refused(409, "last_owner");
    assert_eq!(bob.gets_organization(&acme).await.is(200)["owners"], 1);
    // An invited owner does not count as an owner before the accept.
    world.invited(&acme, &bob, "eve@example.com", "owner").await;
    bob.edits_role(&acme, "bob", "member").await.refused(409, "last_owner");
    world.finish().await;
}

#[tokio::test]
async fn s06_a_member_cannot_edit_roles() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    world.joined(&acme, &ada, "bob", "member").await;
    for (user, role) in
        [("mem", "owner"), ("mem", "member"), ("bob", "owner"), ("ada", "member"), ("ada", "owner")]
    {
        mem.edits_role(&acme, user, role).await.refused(403, "owner_required");
    }
    assert_eq!(ada.lists_members(&acme, "?role=owner").await.items().len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn needs_no_verified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    world.signed_in("ada", json!({})).edits_role(&acme, "bob", "owner").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn the_user_id_equals_the_sub_for_all_characters() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let subs = [
        "auth0|5f7c8ec7",
        "a b",
        "müller",
        "%41",
        "a/b",
        "..",
        "a+b",
        "x?y#z",
        "A",
        "a",
        "👩\u{200d}🔬",
        "x@y.z",
        "MEMBER#a",
    ];
    for (number, sub) in subs.into_iter().enumerate() {
        let email = format!("guest{number}@example.com");
        world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.signed_in(sub, json!({ "email": email, "email_verified": true }));
        assert_eq!(guest.accepts(&token).await.is(200)["user_id"], sub);
        let edited = ada.edits_role(&acme, sub, "owner").await.is(200);
        assert_eq!((&edited["user_id"], &edited["email"]), (&json!(sub), &json!(email)));
        assert_eq!(guest.gets_organization(&acme).await.is(200)["role"], "owner");
    }
    // The paths of a client that escapes only the characters that it must.
    for (path, sub) in [
        ("/members/auth0%7C5f7c8ec7", subs[0]),
        ("/members/a%20b", "a b"),
        ("/members/%2541", "%41"),
        ("/members/a%2Fb", "a/b"),
        ("/members/a+b", "a+b"),
    ] {
        let body = json!({ "role": "member" }).to_string();
        let response = ada.calls(http::Method::PATCH, &acme.path(path), Some(body)).await;
        assert_eq!(response.is(200)["user_id"], sub, "{path}");
    }
    for sub in subs {
        ada.removes(&acme, sub).await.is(204);
        ada.edits_role(&acme, sub, "owner").await.refused(404, "member_not_found");
    }
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn accepts_a_sub_of_up_to_255_characters() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    // 255 characters and 1,017 bytes, the maximum of both: a sort key has 1,024 bytes, and `MEMBER#` takes 7.
    let most_bytes = format!("{}s", "\u{1f469}".repeat(254));
    for (number, sub) in ["s".repeat(255), most_bytes].iter().enumerate() {
        let email = format!("guest{number}@example.com");
        world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.signed_in(sub, json!({ "email": email, "email_verified": true }));
        guest.accepts(&token).await.is(200);
        assert_eq!(ada.edits_role(&acme, sub, "owner").await.is(200)["user_id"], sub.as_str());
        assert_eq!(guest.lists_organizations().await.items().len(), 1);
        guest.leaves(&acme).await.is(204);
    }
    for unknown in ["s".repeat(256), "s".repeat(2000), "ü".repeat(255), "\u{1f469}".repeat(255)] {
        ada.edits_role(&acme, &unknown, "owner").await.refused(404, "member_not_found");
        ada.removes(&acme, &unknown).await.refused(404, "member_not_found");
    }
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let eve = world.person("eve");
    let huge = Some(json!({ "role": "n".repeat(64 * 1024) }).to_string());
    let response = eve.calls(http::Method::PATCH, &acme.path("/members/nobody"), huge).await;
    response.refused(413, "too_large");
    eve.edits_role(&acme, "nobody", "admin").await.refused(400, "malformed_request");
    eve.edits_role(&acme, "nobody", "member").await.refused(404, "organization_not_found");
    eve.edits_role(&acme, "\u{0}", "member").await.refused(404, "organization_not_found");
    mem.edits_role(&acme, "nobody", "member").await.refused(404, "member_not_found");
    mem.edits_role(&acme, "\u{0}", "member").await.refused(404, "member_not_found");
    mem.edits_role(&acme, "ada", "member").await.refused(403, "owner_required");
    ada.edits_role(&acme, "ada", "member").await.refused(409, "last_owner");
    assert_eq!(ada.gets_organization(&acme).await.is(200)["owners"], Value::from(1));
    world.finish().await;
}
