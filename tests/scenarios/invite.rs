//! `POST /v1/organizations/{organization_id}/invitations`.

use world::World;

#[tokio::test]
async fn an_owner_invites_and_each_address_gets_one_mail() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let results = ada
        .invites(&acme, &["Bob@Example.com", "eve@example.com", "bob@example.com"], "member")
        .await
        .is(200);
    let outcomes: Vec<_> = results["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (&result["email"], &result["outcome"]))
        .collect();
    assert_eq!(
        serde_json::json!(outcomes),
        serde_json::json!([["bob@example.com", "invited"], ["eve@example.com", "invited"]])
    );
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    world.joined(&acme, &ada, "carl", "owner").await;
    world.passes(48 * 60 * 60).await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.ends_well().await;
}
