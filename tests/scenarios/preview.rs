//! `POST /v1/invitations/preview`.

use harness::{MAIL_COOLDOWN, TWO_DAYS, World, assert_fields, id, timestamp};
use http::{Method, Request};
use serde_json::json;

#[tokio::test]
async fn shows_the_invitation_of_a_link_without_sign_in() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "Bob@example.com", "owner").await;
    let token = world.token_for("bob@example.com").await;
    let preview = world.anonymous().previews(&token).await.is(200);
    assert_fields(&preview, &["organization", "email", "role", "sender_email", "expires_at", "status"]);
    let expected = json!({
        "organization": { "id": acme.id, "name": "Acme" }, "email": "bob@example.com", "role": "owner",
        "sender_email": "ada@example.com", "expires_at": invitation["expires_at"], "status": "pending",
    });
    assert_eq!(preview, expected);
    timestamp(&preview["expires_at"]);
    // A signed-in caller and an invalid bearer token get the same response.
    assert_eq!(world.person("eve").previews(&token).await.is(200), expected);
    assert_eq!(world.anonymous().with_token("nonsense").previews(&token).await.is(200), expected);
    world.finish().await;
}

#[tokio::test]
async fn s29_a_preview_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let before = world.records().await;
    drop(world.wire().take_requests());
    for _ in 0..3 {
        world.anonymous().previews(&token).await.is(200);
    }
    assert_eq!(world.records().await, before);
    let operations = world.wire().take_api_operations();
    assert!(
        !operations.iter().any(|it| it.contains("Write") || it.contains("Put") || it.contains("Update")),
        "{operations:?}"
    );
    world.person("bob").accepts(&token).await.is(200);
    world.finish().await;
}

/// Scanners open the links of a mail, and submit forms. They are not signed in.
#[tokio::test]
async fn s29_a_scanner_that_opens_links_or_submits_forms_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let mail = world.mails_to("bob@example.com").await.remove(0);
    let (link, token) = (mail["link"].as_str().unwrap(), mail["token"].as_str().unwrap());
    for part in ["text", "html"] {
        let part = mail[part].as_str().unwrap();
        // The XHTML namespace is a name. Clients do not fetch it.
        let part = part.replace("xmlns=\"http://www.w3.org/1999/xhtml\"", "");
        assert_eq!(part.matches("//").count(), part.matches(link).count(), "no other link: {part}");
        for word in ["<form", "<script", "<img", "<link", "src=", "url(", "@import", "action=", "mailto:"] {
            assert!(!part.contains(word), "{word}: {part}");
        }
    }
    let headers: Vec<_> = mail["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["Auto-Submitted", "In-Reply-To", "References"], "no List-Unsubscribe");
    let before = world.records().await;
    drop(world.wire().take_requests());
    let paths = ["/accept", "/v1/invitations/accept", "/v1/invitations/decline", "/v1/invitations/preview"];
    for path in paths {
        for uri in [path.to_owned(), format!("{path}?token={token}"), format!("{path}/{token}")] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                for person in [world.anonymous(), world.person("bob")] {
                    let response = person.calls(method.clone(), &uri, None).await;
                    let is_page = uri.split('?').next() == Some("/accept")
                        && [Method::GET, Method::HEAD].contains(&method);
                    let expected = if is_page { 200 } else { 404 };
                    assert_eq!(response.status.as_u16(), expected, "{method} {uri}");
                }
            }
        }
    }
    // A link whose `#` the scanner has encoded.
    world.anonymous().gets(&format!("/accept%23{token}")).await.is(302);
    // A form that is submitted to the page, and the page's requests without sign-in.
    let body = json!({ "token": token });
    world.anonymous().posts("/accept", &body).await.is(404);
    for action in ["accept", "decline"] {
        let path = format!("/v1/invitations/{action}");
        world.anonymous().posts(&path, &body).await.is(401);
        world.anonymous().with_token(token).posts(&path, &body).await.is(401);
        let form = Request::post(&path).header("content-type", "application/x-www-form-urlencoded");
        world.anonymous().sends(form.body(format!("token={token}").into()).unwrap()).await.is(401);
    }
    assert_eq!(world.wire().take_api_operations(), Vec::<String>::new());
    assert_eq!(world.records().await, before);
    world.person("bob").accepts(token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn the_newest_link_shows_every_status() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for status in ["pending", "accepted", "revoked", "declined", "removed", "expired"] {
        let email = format!("{status}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(status);
        match status {
            "pending" => {}
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            "declined" => drop(guest.declines(&token).await.is(204)),
            "expired" => world.advance(TWO_DAYS).await,
            _ => drop(guest.accepts(&token).await.is(200)),
        }
        if status == "removed" {
            ada.removes(&acme, status).await.is(204);
        }
        let preview = world.anonymous().previews(&token).await.is(200);
        assert_eq!((&preview["status"], &preview["email"]), (&json!(status), &json!(email)));
        assert_eq!(preview["expires_at"], invitation["expires_at"]);
    }
    world.finish().await;
}

#[tokio::test]
async fn shows_expired_at_expires_at_even_if_the_record_is_still_pending() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    world.delete_schedule(&acme, &invitation).await;
    let expires_at = timestamp(&invitation["expires_at"]);
    let before = domain::Timestamp::from_unix(expires_at.unix() - 1);
    for (at, status) in [(before, "pending"), (expires_at, "expired")] {
        let preview = world.at(at, async || world.anonymous().previews(&token).await).await.is(200);
        assert_eq!(preview["status"], status);
    }
    world.finish().await;
}

#[tokio::test]
async fn s10_rejects_an_older_link() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let olga = world.joined(&acme, &ada, "olga", "owner").await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let first = world.token_for("bob@example.com").await;
    world.advance(MAIL_COOLDOWN).await;
    olga.resends(&acme, id(&invitation)).await.is(200);
    let second = world.token_for("bob@example.com").await;
    world.anonymous().previews(&first).await.refused(410, "invitation_superseded");
    assert_eq!(world.anonymous().previews(&second).await.is(200)["sender_email"], "olga@example.com");
    ada.revokes(&acme, id(&invitation)).await.is(204);
    world.anonymous().previews(&first).await.refused(410, "invitation_superseded");
    world.advance(MAIL_COOLDOWN).await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let third = world.token_for("bob@example.com").await;
    for older in [&first, &second] {
        world.anonymous().previews(older).await.refused(410, "invitation_superseded");
    }
    assert_eq!(world.anonymous().previews(&third).await.is(200)["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s01_rejects_a_malformed_token_without_a_request_to_aws() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    drop(world.wire().take_requests());
    for malformed in
        ["", "token", &token[1..], &token[..token.len() - 1], &format!("{token}A"), &token.to_uppercase()]
    {
        world.anonymous().previews(malformed).await.refused(400, "invalid_token");
    }
    assert_eq!(world.wire().take_api_operations(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let path = "/v1/invitations/preview";
    let anonymous = world.anonymous();
    let huge = json!({ "token": "t".repeat(64 * 1024), "more": 1 });
    anonymous.posts(path, &huge).await.refused(413, "too_large");
    anonymous.posts(path, &json!({ "token": "forged", "more": 1 })).await.refused(400, "malformed_request");
    anonymous.previews("forged").await.refused(400, "invalid_token");
    world.finish().await;
}
