//! `PATCH /v1/organizations/{organization_id}`.

use harness::{Organization, World};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn an_owner_renames_the_organization_and_everybody_reads_the_new_name() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let before = ada.looks_at(&acme).await.is(200);
    let renamed = ada.renames(&acme, " Acme Works ").await.is(200);
    let mut expected = before;
    expected["name"] = json!("Acme Works");
    assert_eq!(renamed, expected, "nothing else changes");
    assert_eq!(bob.looks_at(&acme).await.is(200)["name"], "Acme Works");
    assert_eq!(bob.lists_organizations().await.items()[0]["name"], "Acme Works");
    // The next mail calls it so.
    world.invited(&acme, &ada, "eve@example.com", "member").await;
    let token = world.token_for("eve@example.com").await;
    assert_eq!(world.nobody().previews(&token).await.is(200)["organization"]["name"], "Acme Works");
    world.finish().await;
}

#[tokio::test]
async fn renaming_it_to_what_it_is_called_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let name = ada.looks_at(&acme).await.is(200)["name"].clone();
    let before = world.records().await;
    ada.renames(&acme, name.as_str().unwrap()).await.is(200);
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn s06_a_member_and_a_stranger_rename_nothing() {
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
async fn s24_a_name_is_held_to_the_same_rules_as_at_creation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for name in ["", "   ", "a@b", "https://evil.example", "x\ny", &"n".repeat(61)] {
        let answer = ada.renames(&acme, name).await;
        assert_eq!(answer.pointers(), ["/name"], "{name:?}");
        answer.refused(422, "invalid_name");
    }
    for body in [json!({}), json!({ "name": 1 }), json!({ "name": "A", "seats": 2 }), json!(["A"])] {
        let answer = ada.calls(Method::PATCH, &acme.path(""), Some(body.to_string())).await;
        answer.refused(400, "malformed_request");
    }
    world.finish().await;
}

#[tokio::test]
async fn an_owner_who_is_demoted_meanwhile_renames_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let name = |it: &Value| it["name"].clone();
    let before = name(&ada.looks_at(&acme).await.is(200));
    let (renamed, demoted) = tokio::join!(bob.renames(&acme, "Bob's"), ada.edits(&acme, "bob", "member"));
    demoted.is(200);
    let after = name(&ada.looks_at(&acme).await.is(200));
    if renamed.status.as_u16() == 200 {
        assert_eq!(after, "Bob's");
    } else {
        renamed.refused(403, "owner_required");
        assert_eq!(after, before);
    }
    bob.renames(&acme, "Bob's").await.refused(403, "owner_required");
    world.finish().await;
}
