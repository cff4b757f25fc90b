//! `POST /v1/organizations/{organization_id}/invitations`.

use harness::{
    ApiResponse, MAIL_COOLDOWN, Organization, Person, SCHEDULE_FIRED, TWO_DAYS, World, assert_fields,
    assert_invitation, id, timestamp,
};
use serde_json::{Value, json};

/// Returns the addresses and their outcomes, in the order of the response.
fn outcomes(response: ApiResponse) -> Value {
    let response = response.is(200);
    assert_fields(&response, &["results"]);
    let results = response["results"].as_array().unwrap();
    for result in results {
        match result["outcome"].as_str().unwrap() {
            "invited" => {
                assert_fields(result, &["email", "outcome", "invitation"]);
                assert_invitation(&result["invitation"]);
                assert_eq!(result["email"], result["invitation"]["email"]);
            }
            "already_invited" => assert_fields(result, &["email", "outcome", "role", "detail"]),
            _ => assert_fields(result, &["email", "outcome", "detail"]),
        }
    }
    results.iter().map(|result| json!([result["email"], result["outcome"]])).collect()
}

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("guest{number}@example.com")).collect()
}

async fn invites_many(person: &Person, organization: &Organization, emails: &[String]) -> ApiResponse {
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    person.invites(organization, &emails, "member").await
}

#[tokio::test]
async fn each_invited_address_gets_one_mail() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails = ["Bob@Example.com", "eve@example.com", "bob@example.com", "BOB@EXAMPLE.COM"];
    let response = ada.invites(&acme, &emails, "member").await;
    assert_eq!(outcomes(response), json!([["bob@example.com", "invited"], ["eve@example.com", "invited"]]));
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    assert_eq!(world.mails_to("eve@example.com").await.len(), 1);
    world.joined(&acme, &ada, "carl", "owner").await;
    world.advance(SCHEDULE_FIRED).await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn the_mail_is_first_queued_and_then_sent() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let created_at = timestamp(&invitation["created_at"]);
    let expected = json!({
        "id": invitation["id"], "email": "bob@example.com", "role": "owner", "status": "pending", "generation": 1,
        "sender": { "user_id": "ada", "email": "ada@example.com" },
        "created_at": invitation["created_at"], "sent_at": null, "expires_at": invitation["expires_at"],
        "delivery": "queued",
    });
    assert_eq!(invitation, expected);
    assert_eq!(timestamp(&invitation["expires_at"]).unix() - created_at.unix(), 172_800);
    world.wait_until_idle().await;
    let mut listed = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_invitation(&listed);
    assert!(timestamp(&listed["sent_at"]) >= created_at);
    listed["sent_at"] = Value::Null;
    assert_eq!(listed["delivery"], "sent");
    listed["delivery"] = json!("queued");
    assert_eq!(listed, expected);
    world.finish().await;
}

#[tokio::test]
async fn stores_addresses_in_lower_case_and_domains_in_punycode() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails = [
        "O'Neil+News@Example.co.uk",
        "bob@münchen.example",
        "BOB@xn--mnchen-3ya.example",
        "b.o.b@example.com",
    ];
    assert_eq!(
        outcomes(ada.invites(&acme, &emails, "member").await),
        json!([
            ["o'neil+news@example.co.uk", "invited"],
            ["bob@xn--mnchen-3ya.example", "invited"],
            ["b.o.b@example.com", "invited"],
        ])
    );
    world.finish().await;
}

#[tokio::test]
async fn s32_invites_up_to_fifty_addresses_per_call() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let response = invites_many(&ada, &acme, &addresses(51)).await;
    assert_eq!(response.pointers(), ["/emails"]);
    response.refused(400, "malformed_request");
    // The limit counts repeated addresses.
    let response = invites_many(&ada, &acme, &vec!["bob@example.com".to_owned(); 51]).await;
    response.refused(400, "malformed_request");
    let response = invites_many(&ada, &acme, &[]).await;
    assert_eq!(response.pointers(), ["/emails"]);
    response.refused(400, "malformed_request");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    let results = outcomes(invites_many(&ada, &acme, &addresses(50)).await);
    let invited: Value = addresses(50).iter().map(|email| json!([email, "invited"])).collect();
    assert_eq!(results, invited);
    assert_eq!(ada.counts_seats(&acme).await, (51, 949));
    let results = outcomes(invites_many(&ada, &acme, &vec!["bob@example.com".to_owned(); 50]).await);
    assert_eq!(results, json!([["bob@example.com", "invited"]]));
    world.finish().await;
}

#[tokio::test]
async fn does_not_change_members_and_pending_invitations() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "carl", "member").await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.wait_until_idle().await;
    let before = ada.finds_invitation(&acme, "bob@example.com").await;
    world.advance(MAIL_COOLDOWN).await;
    let emails = ["CARL@example.com", "new@example.com", "Bob@example.com", "ada@example.com"];
    assert_eq!(
        outcomes(ada.invites(&acme, &emails, "owner").await),
        json!([
            ["carl@example.com", "already_member"],
            ["new@example.com", "invited"],
            ["bob@example.com", "already_invited"],
            ["ada@example.com", "already_member"],
        ])
    );
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await, before);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    assert_eq!(world.mails_to("carl@example.com").await.len(), 1);
    assert_eq!(ada.counts_seats(&acme).await, (4, 996));
    let emails = ["bob@example.com", "carl@example.com"];
    assert_eq!(
        outcomes(ada.invites(&acme, &emails, "owner").await),
        json!([["bob@example.com", "already_invited"], ["carl@example.com", "already_member"]])
    );
    world.finish().await;
}

#[tokio::test]
async fn an_address_that_is_invited_with_another_role_is_told_so() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let bobs = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.invited(&acme, &ada, "eve@example.com", "owner").await;
    world.wait_until_idle().await;
    let before = world.records().await;
    let pending = async |person: &Person, email: &str, role: &str| {
        let result = person.invites(&acme, &[email], role).await.is(200)["results"][0].clone();
        assert_eq!(result["outcome"], "already_invited");
        (result["role"].as_str().unwrap().to_owned(), result["detail"].as_str().unwrap().to_owned())
    };
    let resend = "This address has a pending invitation; resend it for another mail.".to_owned();
    let differs = |role: &str| {
        format!(
            "This address has a pending invitation with the role {role}. To change the role, an owner must \
             revoke it and invite the address again."
        )
    };
    for person in [&ada, &mem] {
        let same = pending(person, "bob@example.com", "member").await;
        assert_eq!(same, ("member".to_owned(), resend.clone()));
        let other = pending(person, "eve@example.com", "member").await;
        assert_eq!(other, ("owner".to_owned(), differs("owner")));
    }
    let promoted = pending(&ada, "bob@example.com", "owner").await;
    assert_eq!(promoted, ("member".to_owned(), differs("member")));
    assert_eq!(world.records().await, before);
    // The detail says what to do, and it works.
    ada.revokes(&acme, id(&bobs)).await.is(204);
    world.advance(MAIL_COOLDOWN).await;
    assert_eq!(world.invited(&acme, &ada, "bob@example.com", "owner").await["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s25_s28_names_every_invalid_address_and_invites_none() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails = [
        "ok@example.com",
        "no-at.example.com",
        "m\u{131}ke@example.com",
        "ada@example.com,eve@example.com",
        "Eve <eve@example.com>",
        "also-ok@example.com",
        "eve@example.com\r\nBcc: all@example.com",
        "eve@localhost",
        "",
        "eve@exa\u{202e}mple.com",
        "eve\u{200b}@example.com",
        "eve\t@example.com",
        "eve@example.com\u{2028}",
        "eve@example.com;ada@example.com",
        "ada@example.com eve@example.com",
        "<eve@example.com>",
        "\"eve\"@example.com",
        "eve(zoe@example.com)@example.com",
        "eve@[127.0.0.1]",
        "mailto:eve@example.com?bcc=zoe@example.com",
    ];
    let response = ada.invites(&acme, &emails, "member").await;
    let valid = [0, 5];
    let invalid = (0..emails.len()).filter(|index| !valid.contains(index));
    assert_eq!(response.pointers(), invalid.map(|index| format!("/emails/{index}")).collect::<Vec<_>>());
    response.refused(422, "invalid_email");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert!(world.mails_to("ok@example.com").await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn s04_a_member_may_invite_members_but_not_owners() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    mem.invites(&acme, &["bob@example.com"], "owner").await.refused(403, "role_not_grantable");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    let invitation = world.invited(&acme, &mem, "bob@example.com", "member").await;
    assert_eq!(invitation["sender"], json!({ "user_id": "mem", "email": "mem@example.com" }));
    ada.edits_role(&acme, "mem", "owner").await.is(200);
    world.invited(&acme, &mem, "eve@example.com", "owner").await;
    ada.edits_role(&acme, "mem", "member").await.is(200);
    mem.invites(&acme, &["zoe@example.com"], "owner").await.refused(403, "role_not_grantable");
    world.finish().await;
}

#[tokio::test]
async fn s05_a_member_cannot_grant_owner_by_inviting_again_or_in_a_batch() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    world.invited(&acme, &mem, "eve@example.com", "member").await;
    let closed = world.invited(&acme, &ada, "zoe@example.com", "owner").await;
    ada.revokes(&acme, id(&closed)).await.is(204);
    world.advance(MAIL_COOLDOWN).await;
    let before = world.records().await;
    // The role is checked even if no address would be invited.
    for emails in [
        vec!["eve@example.com"],
        vec!["bob@example.com"],
        vec!["zoe@example.com"],
        vec!["mem@example.com"],
        vec!["eve@example.com", "new@example.com", "mem@example.com"],
    ] {
        mem.invites(&acme, &emails, "owner").await.refused(403, "role_not_grantable");
    }
    // Pending invitations keep their role.
    let again =
        mem.invites(&acme, &["bob@example.com", "eve@example.com", "ada@example.com"], "member").await;
    assert_eq!(
        outcomes(again),
        json!([
            ["bob@example.com", "already_invited"],
            ["eve@example.com", "already_invited"],
            ["ada@example.com", "already_member"],
        ])
    );
    assert_eq!(world.records().await, before);
    // A closed owner invitation is invited again as member, the role that the sender may grant.
    assert_eq!(world.invited(&acme, &mem, "zoe@example.com", "member").await["role"], "member");
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s27_look_alike_addresses_are_refused_or_distinct() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let look_alikes = [
        // In the local part: dotless i, Kelvin sign, sharp s, a full-width letter, a ligature and a long s.
        "m\u{131}ke@example.com",
        "mi\u{212a}e@example.com",
        "stra\u{df}e@example.com",
        "\u{ff4d}ike@example.com",
        "of\u{fb01}ce@example.com",
        "mi\u{17f}s@example.com",
        // In the domain, where DNS allows neither direction marks nor invalid punycode.
        "mike@exa\u{202e}mple.com",
        "mike@xn--a.example",
    ];
    let response = ada.invites(&acme, &look_alikes, "member").await;
    let pointers: Vec<_> = (0..look_alikes.len()).map(|index| format!("/emails/{index}")).collect();
    assert_eq!(response.pointers(), pointers);
    response.refused(422, "invalid_email");

    // Domains that DNS distinguishes are distinct addresses, and the spellings of one domain are one address.
    let others = [
        "mike@stra\u{df}e.example",
        "mike@strasse.example",
        "mike@STRASSE.example",
        "mike@g\u{131}thub.example",
        "mike@github.example",
        "mike@gith\u{55}b\u{ff0e}example",
        "mike@\u{ff47}ithub.example",
    ];
    let kept = [
        "mike@xn--strae-oqa.example",
        "mike@strasse.example",
        "mike@xn--gthub-n4a.example",
        "mike@github.example",
    ];
    let invited: Value = kept.iter().map(|email| json!([email, "invited"])).collect();
    assert_eq!(outcomes(ada.invites(&acme, &others, "member").await), invited);
    assert_eq!(ada.counts_seats(&acme).await, (5, 995));
    for email in kept {
        let mails = world.mails_to(email).await;
        assert_eq!(mails.len(), 1, "{email}");
        assert_eq!(mails[0]["to"], email);
    }
    assert_eq!(world.laptop().mailbox().items(None).len(), 4, "no other address got a mail");
    world.finish().await;
}

#[tokio::test]
async fn s30_invites_addresses_with_and_without_an_account_alike() {
    let world = World::start().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let (acme, other) = (world.founded_by(&ada).await, world.founded_by(&eve).await);
    // In another organization, bob is a member, gone is a former member, ivy is invited, and eve is the owner.
    world.joined(&other, &eve, "bob", "member").await;
    world.joined(&other, &eve, "gone", "member").await.leaves(&other).await.is(204);
    world.invited(&other, &eve, "ivy@example.com", "member").await;
    let mut seen = Vec::new();
    for name in ["bob", "gone", "ivy", "eve", "unknown"] {
        let email = format!("{name}@example.com");
        world.wait_until_idle().await;
        drop(world.wire().take_requests());
        let response = ada.invites(&acme, &[&email], "member").await;
        let sent = world.wire().take_api_operations();
        let differing = ["apigw-requestid", "content-length", "date"];
        let headers = response.headers.iter().filter(|(name, _)| !differing.contains(&name.as_str()));
        let headers: Vec<_> = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut result = response.is(200)["results"][0].clone();
        let invitation = &mut result["invitation"];
        assert_eq!(invitation["email"], email);
        for differing in ["id", "email", "created_at", "expires_at"] {
            invitation[differing] = Value::Null;
        }
        result["email"] = Value::Null;
        seen.push((headers, sent, result));
    }
    // Only DynamoDB gets requests, not the identity provider.
    assert_eq!(seen[0].1, ["TransactGetItems", "TransactWriteItems"]);
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:#?}");
    // The preview of a link is the same, too.
    let mut previews = Vec::new();
    for name in ["bob", "unknown"] {
        let email = format!("{name}@example.com");
        let mut preview = world.anonymous().previews(&world.token_for(&email).await).await.is(200);
        preview["email"] = Value::Null;
        preview["expires_at"] = Value::Null;
        previews.push(preview);
    }
    assert_eq!(previews[0], previews[1]);
    world.finish().await;
}

#[tokio::test]
async fn invites_no_address_if_there_are_too_few_seats() {
    let world = World::with_seats(4).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let response = invites_many(&ada, &acme, &addresses(4)).await.refused(409, "seats_exhausted");
    assert_eq!(response["seats"], json!({ "total": 4, "taken": 1, "free": 3 }));
    assert_eq!(ada.counts_seats(&acme).await, (1, 3));
    outcomes(invites_many(&ada, &acme, &addresses(3)).await);
    assert_eq!(ada.counts_seats(&acme).await, (4, 0));
    // Members and invited addresses need no further seat.
    let results = outcomes(ada.invites(&acme, &["guest0@example.com", "ada@example.com"], "member").await);
    assert_eq!(
        results,
        json!([["guest0@example.com", "already_invited"], ["ada@example.com", "already_member"]])
    );
    let response = ada.invites(&acme, &["guest0@example.com", "new@example.com"], "member").await;
    let seats = response.refused(409, "seats_exhausted")["seats"].clone();
    assert_eq!(seats, json!({ "total": 4, "taken": 4, "free": 0 }));
    assert!(world.mails_to("new@example.com").await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn repeated_and_known_addresses_need_no_further_seat() {
    let world = World::with_seats(3).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let emails = ["bob@example.com", "eve@example.com", "EVE@example.com"];
    outcomes(ada.invites(&acme, &emails, "member").await);
    assert_eq!(ada.counts_seats(&acme).await, (3, 0));
    world.finish().await;
}

/// Invites `bob` and closes the invitation, which returns its seat.
async fn invite_and_close(world: &World, acme: &Organization, ada: &Person, how: &str) {
    let invitation = world.invited(acme, ada, "bob@example.com", "member").await;
    let id = id(&invitation);
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    match how {
        "revoked" => drop(ada.revokes(acme, id).await.is(204)),
        "declined" => drop(bob.declines(&token).await.is(204)),
        "expired" => world.advance(SCHEDULE_FIRED).await,
        "removed" => {
            bob.accepts(&token).await.is(200);
            ada.removes(acme, "bob").await.is(204);
        }
        _ => unreachable!(),
    }
    assert_eq!(ada.finds_invitation(acme, "bob@example.com").await["status"], how);
    assert_eq!(ada.counts_seats(acme).await.0, 1, "{how}");
}

#[tokio::test]
async fn invites_an_address_again_after_its_invitation_was_closed() {
    for how in ["revoked", "declined", "expired", "removed"] {
        let world = World::with_seats(2).await;
        let ada = world.person("ada");
        let acme = world.founded_by(&ada).await;
        invite_and_close(&world, &acme, &ada, how).await;
        let before = ada.finds_invitation(&acme, "bob@example.com").await;
        let old = world.token_for("bob@example.com").await;
        world.advance(MAIL_COOLDOWN).await;
        let again = world.invited(&acme, &ada, "Bob@example.com", "owner").await;
        assert_eq!(again["id"], before["id"], "{how}");
        assert_eq!((&again["generation"], &again["role"]), (&json!(2), &json!("owner")), "{how}");
        assert_eq!(
            (&again["status"], &again["delivery"], &again["sent_at"]),
            (&json!("pending"), &json!("queued"), &Value::Null)
        );
        assert!(timestamp(&again["created_at"]) > timestamp(&before["created_at"]), "{how}");
        assert_eq!(timestamp(&again["expires_at"]).unix() - timestamp(&again["created_at"]).unix(), 172_800);
        assert_eq!(ada.counts_seats(&acme).await, (2, 0), "{how}");
        let new = world.token_for("bob@example.com").await;
        let bob = world.person("bob");
        bob.accepts(&old).await.refused(410, "invitation_superseded");
        assert_eq!(bob.accepts(&new).await.is(200)["role"], "owner");
        assert_eq!(ada.counts_seats(&acme).await, (2, 0), "{how}");
        assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "accepted");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_closed_invitation_keeps_no_seat() {
    for how in ["revoked", "declined", "expired", "removed"] {
        let world = World::with_seats(2).await;
        let ada = world.person("ada");
        let acme = world.founded_by(&ada).await;
        invite_and_close(&world, &acme, &ada, how).await;
        world.advance(MAIL_COOLDOWN).await;
        world.invited(&acme, &ada, "eve@example.com", "member").await;
        let response = ada.invites(&acme, &["bob@example.com"], "member").await;
        response.refused(409, "seats_exhausted");
        assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], how);
        world.finish().await;
    }
}

#[tokio::test]
async fn an_expired_invitation_that_is_not_closed_keeps_its_seat_when_invited_again() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let before = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let old = world.token_for("bob@example.com").await;
    world.delete_schedule(&acme, &before).await;
    world.advance(TWO_DAYS).await;
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    let again = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    assert_eq!(
        (&again["generation"], &again["status"], &again["role"]),
        (&json!(2), &json!("pending"), &json!("owner"))
    );
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    let bob = world.person("bob");
    bob.accepts(&old).await.refused(410, "invitation_superseded");
    let new = world.token_for("bob@example.com").await;
    bob.accepts(&new).await.is(200);
    assert_eq!(ada.counts_seats(&acme).await, (2, 0));
    world.finish().await;
}

#[tokio::test]
async fn counts_only_addresses_without_a_seat() {
    let world = World::with_seats(3).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let before = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.delete_schedule(&acme, &before).await;
    world.advance(TWO_DAYS).await;
    let response =
        ada.invites(&acme, &["bob@example.com", "eve@example.com", "zoe@example.com"], "member").await;
    assert_eq!(response.refused(409, "seats_exhausted")["seats"]["free"], 1);
    outcomes(ada.invites(&acme, &["bob@example.com", "eve@example.com"], "member").await);
    assert_eq!(ada.counts_seats(&acme).await, (3, 0));
    world.finish().await;
}

#[tokio::test]
async fn s20_a_stranger_does_not_find_the_organization() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let eve = world.person("eve");
    let stranger =
        eve.invites(&acme, &["eve@example.com"], "member").await.refused(404, "organization_not_found");
    for id in [
        "org_00000000000000000000000000",
        "org_1",
        "acme",
        "inv_00000000000000000000000000",
        "a/b",
        "%41",
        "ü |",
    ] {
        let response = ada.invites(&Organization::new(id), &["eve@example.com"], "member").await;
        assert_eq!(response.refused(404, "organization_not_found"), stranger, "{id}");
    }
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    ada.removes(&acme, "mem").await.is(204);
    let response = mem.invites(&acme, &["eve@example.com"], "member").await;
    assert_eq!(
        response.refused(404, "organization_not_found"),
        stranger,
        "s31: a live token of a removed member"
    );
    world.finish().await;
}

#[tokio::test]
async fn s03_refuses_a_sender_without_a_verified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for claims in [
        json!({ "email": "ada@example.com", "email_verified": false }),
        json!({ "email": "ada@example.com" }),
    ] {
        let response = world.signed_in("ada", claims).invites(&acme, &["bob@example.com"], "member").await;
        response.refused(403, "email_not_verified");
    }
    // A sender with a new verified address invites with the new address.
    let moved = world.signed_in("ada", json!({ "email": "ada@new.example", "email_verified": true }));
    let invitation = world.invited(&acme, &moved, "bob@example.com", "member").await;
    assert_eq!(invitation["sender"], json!({ "user_id": "ada", "email": "ada@new.example" }));
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let path = acme.path("/invitations");
    let eve = world.signed_in("eve", json!({ "email": "eve@example.com", "email_verified": false }));
    let body = json!({ "emails": ["none", "n".repeat(64 * 1024)], "role": "admin" });
    eve.posts(&path, &body).await.refused(413, "too_large");
    eve.posts(&path, &json!({ "emails": ["none"], "role": "admin" })).await.refused(400, "malformed_request");
    let too_many = vec!["none"; 51];
    eve.posts(&path, &json!({ "emails": too_many, "role": "owner" })).await.refused(400, "malformed_request");
    eve.invites(&acme, &["none"], "owner").await.refused(422, "invalid_email");
    eve.invites(&acme, &["bob@example.com"], "owner").await.refused(403, "email_not_verified");
    let eve = world.person("eve");
    eve.invites(&acme, &["bob@example.com"], "owner").await.refused(404, "organization_not_found");
    mem.invites(&acme, &["bob@example.com"], "owner").await.refused(403, "role_not_grantable");
    mem.invites(&acme, &["bob@example.com"], "member").await.refused(409, "seats_exhausted");
    // The role is checked even if no address needs a seat.
    mem.invites(&acme, &["ada@example.com"], "owner").await.refused(403, "role_not_grantable");
    world.finish().await;
}
