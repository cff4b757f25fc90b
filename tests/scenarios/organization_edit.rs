//! `PATCH /v1/organizations/{organization_id}`.

use harness::{Organization, World};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_owner_renames_the_organization_and_all_readers_see_the_new_name() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let before = ada.gets_organization(&acme).await.is(200);
    let renamed = ada.renames(&acme, " Acme Works ").await.is(200);
    let mut expected = before;
    expected["name"] = json!("Acme Works");
    assert_eq!(renamed, expected, "nothing else changes");
    assert_eq!(bob.gets_organization(&acme).await.is(200)["name"], "Acme Works");
    assert_eq!(bob.lists_organizations().await.items()[0]["name"], "Acme Works");
    // A new invitation shows the new name.
    world.invited(&acme, &ada, "eve@example.com", "member").await;
    let token = world.token_for("eve@example.com").await;
    assert_eq!(world.anonymous().previews(&token).await.is(200)["organization"]["name"], "Acme Works");
    world.finish().await;
}

#[tokio::test]
async fn renaming_to_the_current_name_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let name = ada.gets_organization(&acme).await.is(200)["name"].clone();
    let before = world.records().await;
    ada.renames(&acme, name.as_str().unwrap()).await.is(200);
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn s06_members_and_strangers_cannot_rename_the_organization() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let before = world.records().await;
    bob.renames(&acme, "Bob's").await.refused(403, "owner_required");
    world.person("eve").renames(&acme, "Bob's").await.refused(404, "organization_not_found");
    ada.renames(&Organization::new("nowhere"), "Bob's").await.refused(404, "organization_not_found");
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn s24_a_new_name_must_meet_the_same_rules_as_at_creation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for name in ["", "   ", "a@b", "https://evil.example", "x\ny", &"n".repeat(61)] {
        let response = ada.renames(&acme, name).await;
        assert_eq!(response.pointers(), ["/name"], "{name:?}");
        response.refused(422, "invalid_name");
    }
    for body in [json!({}), json!({ "name": 1 }), json!({ "name": "A", "seats": 2 }), json!(["A"])] {
        let response = ada.calls(Method::PATCH, &acme.path(""), Some(body.to_string())).await;
        response.refused(400, "malformed_request");
    }
    world.finish().await;
}

#[tokio::test]
async fn an_owner_cannot_rename_after_a_concurrent_demotion() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let name = |it: &Value| it["name"].clone();
    let before = name(&ada.gets_organization(&acme).await.is(200));
    let (renamed, demoted) =
        tokio::join!(bob.renames(&acme, "Bob's"), ada.edits_role(&acme, "bob", "member"));
    demoted.is(200);
    let after = name(&ada.gets_organization(&acme).await.is(200));
    if renamed.status.as_u16() == 200 {
        assert_eq!(after, "Bob's");
    } else {
        renamed.refused(403, "owner_required");
        assert_eq!(after, before);
    }
    bob.renames(&acme, "Bob's").await.refused(403, "owner_required");
    world.finish().await;
}
