//! `POST /v1/organizations`.

use harness::{Organization, World, assert_invitation, assert_member, assert_organization, id};
use serde_json::{Value, json};

#[tokio::test]
async fn the_founder_becomes_the_first_owner_and_takes_the_first_seat() {
    let world = World::start().await;
    let ada = world.person("ada");
    let created = ada.creates("Acme").await.is(201);
    assert_organization(&created);
    assert_eq!(
        (&created["name"], &created["role"], &created["owners"]),
        (&json!("Acme"), &json!("owner"), &json!(1))
    );
    assert_eq!(created["seats"], json!({ "total": 1000, "taken": 1, "free": 999 }));
    let acme = Organization::new(id(&created));
    assert_eq!(ada.gets_organization(&acme).await.is(200), created);
    world.finish().await;
}

#[tokio::test]
async fn lists_the_founder_with_an_accepted_invitation_and_sends_no_mail() {
    let world = World::start().await;
    let ada = world.person("ada");
    let created = ada.creates("Acme").await.is(201);
    let acme = Organization::new(id(&created));
    let members = ada.lists_members(&acme, "").await.items();
    let [member] = members.as_slice() else { panic!("{members:?}") };
    assert_member(member);
    let expected = json!({
        "user_id": "ada", "email": "ada@example.com", "role": "owner", "joined_at": created["created_at"]
    });
    assert_eq!(*member, expected);
    let invitations = ada.lists_invitations(&acme, "").await.items();
    let [record] = invitations.as_slice() else { panic!("{invitations:?}") };
    assert_invitation(record);
    let expected = json!({
        "id": record["id"], "email": "ada@example.com", "role": "owner", "status": "accepted", "generation": 0,
        "sender": { "user_id": "ada", "email": "ada@example.com" },
        "created_at": created["created_at"], "sent_at": null, "expires_at": record["expires_at"], "delivery": null,
    });
    assert_eq!(*record, expected);
    world.wait_until_idle().await;
    assert_eq!(world.laptop().mailbox().items(None), []);
    world.finish().await;
}

#[tokio::test]
async fn the_same_name_creates_another_organization() {
    let world = World::start().await;
    let ada = world.person("ada");
    let (one, other) = (world.founded_by(&ada).await, world.founded_by(&ada).await);
    assert_ne!(one.id, other.id);
    assert_eq!(ada.lists_organizations().await.items().len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn a_new_organization_has_the_configured_number_of_seats() {
    let world = World::with_seats(1).await;
    let ada = world.person("ada");
    let created = ada.creates("Acme").await.is(201);
    assert_eq!(created["seats"], json!({ "total": 1, "taken": 1, "free": 0 }));
    world.finish().await;
}

#[tokio::test]
async fn accepts_common_names_and_trims_spaces() {
    let world = World::start().await;
    let ada = world.person("ada");
    for (given, kept) in [
        ("A", "A"),
        ("  Acme  ", "Acme"),
        ("Booking.com", "Booking.com"),
        ("Müller & Söhne <GmbH>", "Müller & Söhne <GmbH>"),
        ("株式会社", "株式会社"),
        (&"n".repeat(60), &"n".repeat(60)),
        (&"ü".repeat(60), &"ü".repeat(60)),
    ] {
        assert_eq!(ada.creates(given).await.is(201)["name"], kept);
    }
    world.finish().await;
}

#[tokio::test]
async fn s24_s25_refuses_names_with_links_addresses_or_control_characters() {
    let world = World::start().await;
    let ada = world.person("ada");
    for name in [
        "",
        "   ",
        &"n".repeat(61),
        &"ü".repeat(61),
        "see https://evil.example",
        "a/b",
        "ada@example.com",
        "www.evil.example",
        "WWW.evil.example",
        "a\r\nBcc: eve@example.com",
        "a\tb",
        "a\u{0}b",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{202e}b",
        "a\u{2066}b",
    ] {
        let response = ada.creates(name).await;
        assert_eq!(response.pointers(), ["/name"], "{name:?}: {}", response.body);
        response.refused(422, "invalid_name");
    }
    assert_eq!(ada.lists_organizations().await.items(), Vec::<Value>::new());
    world.finish().await;
}

#[tokio::test]
async fn s03_refuses_a_founder_without_a_verified_address() {
    let world = World::start().await;
    for claims in [
        json!({ "email": "ada@example.com", "email_verified": false }),
        json!({ "email": "ada@example.com" }),
        json!({ "email_verified": true }),
        json!({ "email": "", "email_verified": true }),
        json!({ "email": "ädä@example.com", "email_verified": true }),
        json!({}),
    ] {
        let ada = world.signed_in("ada", claims);
        ada.creates("Acme").await.refused(403, "email_not_verified");
        assert_eq!(ada.lists_organizations().await.items(), Vec::<Value>::new());
    }
    world.finish().await;
}

#[tokio::test]
async fn stores_the_founders_address_in_lower_case() {
    let world = World::start().await;
    let ada = world.signed_in("ada", json!({ "email": "Ada@Example.COM", "email_verified": true }));
    let acme = world.founded_by(&ada).await;
    assert_eq!(ada.lists_members(&acme, "").await.items()[0]["email"], "ada@example.com");
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let eve = world.signed_in("eve", json!({ "email": "eve@example.com", "email_verified": false }));
    let path = "/v1/organizations";
    let huge = json!({ "name": "n".repeat(64 * 1024), "more": 1 });
    eve.posts(path, &huge).await.refused(413, "too_large");
    eve.posts(path, &json!({ "name": "a/b", "more": 1 })).await.refused(400, "malformed_request");
    eve.posts(path, &json!({ "name": "a/b" })).await.refused(422, "invalid_name");
    eve.posts(path, &json!({ "name": "Acme" })).await.refused(403, "email_not_verified");
    world.finish().await;
}
