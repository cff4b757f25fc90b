//! `POST /v1/invitations/preview`.

use harness::{MAIL_COOLDOWN, TWO_DAYS, World, assert_fields, id, moment};
use http::{Method, Request};
use serde_json::json;

#[tokio::test]
async fn a_link_shows_what_it_is_about_without_a_sign_in() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "Bob@example.com", "owner").await;
    let token = world.token_for("bob@example.com").await;
    let preview = world.nobody().previews(&token).await.is(200);
    assert_fields(&preview, &["organization", "email", "role", "sender_email", "expires_at", "status"]);
    let expected = json!({
        "organization": { "id": acme.id, "name": "Acme" }, "email": "bob@example.com", "role": "owner",
        "sender_email": "ada@example.com", "expires_at": invitation["expires_at"], "status": "pending",
    });
    assert_eq!(preview, expected);
    moment(&preview["expires_at"]);
    // Who is signed in makes no difference, and neither does a token that is none.
    assert_eq!(world.person("eve").previews(&token).await.is(200), expected);
    assert_eq!(world.nobody().with_token("nonsense").previews(&token).await.is(200), expected);
    world.finish().await;
}

#[tokio::test]
async fn s29_opening_a_link_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let before = world.records().await;
    drop(world.wire().take());
    for _ in 0..3 {
        world.nobody().previews(&token).await.is(200);
    }
    assert_eq!(world.records().await, before);
    let calls = world.wire().take_actions();
    assert!(
        !calls.iter().any(|call| call.contains("Write") || call.contains("Put") || call.contains("Update")),
        "{calls:?}"
    );
    world.person("bob").accepts(&token).await.is(200);
    world.finish().await;
}

/// Whatever follows the links of a mail, or sends what it finds there, is not signed in.
#[tokio::test]
async fn s29_a_scanner_that_opens_or_submits_what_a_mail_holds_does_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let mail = world.mails_to("bob@example.com").await.remove(0);
    let (link, token) = (mail["link"].as_str().unwrap(), mail["token"].as_str().unwrap());
    for part in ["text", "html"] {
        let part = mail[part].as_str().unwrap();
        // The name of a dialect of HTML, which nobody fetches.
        let part = part.replace("xmlns=\"http://www.w3.org/1999/xhtml\"", "");
        assert_eq!(part.matches("//").count(), part.matches(link).count(), "no other link: {part}");
        for word in ["<form", "<script", "<img", "<link", "src=", "url(", "@import", "action=", "mailto:"] {
            assert!(!part.contains(word), "{word}: {part}");
        }
    }
    let headers: Vec<_> = mail["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["Auto-Submitted", "In-Reply-To", "References"], "no List-Unsubscribe to follow");
    let before = world.records().await;
    drop(world.wire().take());
    let paths = ["/accept", "/v1/invitations/accept", "/v1/invitations/decline", "/v1/invitations/preview"];
    for path in paths {
        for place in [path.to_owned(), format!("{path}?token={token}"), format!("{path}/{token}")] {
            for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
                for person in [world.nobody(), world.person("bob")] {
                    let answer = person.calls(method.clone(), &place, None).await;
                    let is_page = place.split('?').next() == Some("/accept") && method == Method::GET;
                    let expected = if is_page { 200 } else { 404 };
                    assert_eq!(answer.status.as_u16(), expected, "{method} {place}");
                }
            }
        }
    }
    // A form of that page, if it had one, and the calls of it without a person behind them.
    let body = json!({ "token": token });
    world.nobody().posts("/accept", &body).await.is(404);
    for action in ["accept", "decline"] {
        let path = format!("/v1/invitations/{action}");
        world.nobody().posts(&path, &body).await.is(401);
        world.nobody().with_token(token).posts(&path, &body).await.is(401);
        let form = Request::post(&path).header("content-type", "application/x-www-form-urlencoded");
        world.nobody().sends(form.body(format!("token={token}").into()).unwrap()).await.is(401);
    }
    assert_eq!(world.wire().take_actions(), Vec::<String>::new());
    assert_eq!(world.records().await, before);
    world.person("bob").accepts(token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn the_newest_link_shows_its_status_whatever_that_is() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for how in ["pending", "accepted", "revoked", "declined", "removed", "expired"] {
        let email = format!("{how}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(how);
        match how {
            "pending" => {}
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            "declined" => drop(guest.declines(&token).await.is(204)),
            "expired" => world.passes(TWO_DAYS).await,
            _ => drop(guest.accepts(&token).await.is(200)),
        }
        if how == "removed" {
            ada.removes(&acme, how).await.is(204);
        }
        let preview = world.nobody().previews(&token).await.is(200);
        assert_eq!((&preview["status"], &preview["email"]), (&json!(how), &json!(email)));
        assert_eq!(preview["expires_at"], invitation["expires_at"]);
    }
    world.finish().await;
}

#[tokio::test]
async fn one_past_its_expiry_shows_as_expired_though_nobody_has_closed_it() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    world.loses_schedule(&acme, &invitation).await;
    let expires_at = moment(&invitation["expires_at"]);
    let before = domain::Timestamp::from_unix(expires_at.unix() - 1);
    for (at, status) in [(before, "pending"), (expires_at, "expired")] {
        let shown = world.at(at, async || world.nobody().previews(&token).await).await.is(200);
        assert_eq!(shown["status"], status);
    }
    world.finish().await;
}

#[tokio::test]
async fn s10_an_older_link_shows_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let olga = world.joined(&acme, &ada, "olga", "owner").await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let first = world.token_for("bob@example.com").await;
    world.passes(MAIL_COOLDOWN).await;
    olga.resends(&acme, id(&invitation)).await.is(200);
    let second = world.token_for("bob@example.com").await;
    world.nobody().previews(&first).await.refused(410, "invitation_superseded");
    assert_eq!(world.nobody().previews(&second).await.is(200)["sender_email"], "olga@example.com");
    ada.revokes(&acme, id(&invitation)).await.is(204);
    world.nobody().previews(&first).await.refused(410, "invitation_superseded");
    world.passes(MAIL_COOLDOWN).await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let third = world.token_for("bob@example.com").await;
    for older in [&first, &second] {
        world.nobody().previews(older).await.refused(410, "invitation_superseded");
    }
    assert_eq!(world.nobody().previews(&third).await.is(200)["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s01_a_malformed_token_costs_no_request() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    drop(world.wire().take());
    for malformed in
        ["", "token", &token[1..], &token[..token.len() - 1], &format!("{token}A"), &token.to_uppercase()]
    {
        world.nobody().previews(malformed).await.refused(400, "invalid_token");
    }
    assert_eq!(world.wire().take_actions(), Vec::<String>::new());
    world.finish().await;
}

#[tokio::test]
async fn the_first_thing_wrong_is_what_is_refused() {
    let world = World::start().await;
    let path = "/v1/invitations/preview";
    let nobody = world.nobody();
    let huge = json!({ "token": "t".repeat(64 * 1024), "more": 1 });
    nobody.posts(path, &huge).await.refused(413, "too_large");
    nobody.posts(path, &json!({ "token": "forged", "more": 1 })).await.refused(400, "malformed_request");
    nobody.previews("forged").await.refused(400, "invalid_token");
    world.finish().await;
}
