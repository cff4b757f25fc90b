//! `POST /v1/organizations/{organization_id}/invitations`.

use harness::{
    Answer, MAIL_COOLDOWN, Organization, Person, TWO_DAYS, World, assert_fields, assert_invitation, id,
    moment,
};
use serde_json::{Value, json};

/// Addresses and outcomes, in the order of the answer.
fn outcomes(answer: Answer) -> Value {
    let answer = answer.is(200);
    assert_fields(&answer, &["results"]);
    let results = answer["results"].as_array().unwrap();
    for result in results {
        match result["outcome"].as_str().unwrap() {
            "invited" => {
                assert_fields(result, &["email", "outcome", "invitation"]);
                assert_invitation(&result["invitation"]);
                assert_eq!(result["email"], result["invitation"]["email"]);
            }
            _ => assert_fields(result, &["email", "outcome", "detail"]),
        }
    }
    results.iter().map(|result| json!([result["email"], result["outcome"]])).collect()
}

fn addresses(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("guest{number}@example.com")).collect()
}

async fn invites_many(person: &Person, organization: &Organization, emails: &[String]) -> Answer {
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    person.invites(organization, &emails, "member").await
}

#[tokio::test]
async fn an_owner_invites_and_each_address_gets_one_mail() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails = ["Bob@Example.com", "eve@example.com", "bob@example.com", "BOB@EXAMPLE.COM"];
    let answer = ada.invites(&acme, &emails, "member").await;
    assert_eq!(outcomes(answer), json!([["bob@example.com", "invited"], ["eve@example.com", "invited"]]));
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    assert_eq!(world.mails_to("eve@example.com").await.len(), 1);
    world.joined(&acme, &ada, "carl", "owner").await;
    world.passes(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn an_invitation_is_queued_first_and_sent_soon_after() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let created_at = moment(&invitation["created_at"]);
    let expected = json!({
        "id": invitation["id"], "email": "bob@example.com", "role": "owner", "status": "pending", "generation": 1,
        "sender": { "user_id": "ada", "email": "ada@example.com" },
        "created_at": invitation["created_at"], "sent_at": null, "expires_at": invitation["expires_at"],
        "delivery": "queued",
    });
    assert_eq!(invitation, expected);
    assert_eq!(moment(&invitation["expires_at"]).unix() - created_at.unix(), 172_800);
    world.idle().await;
    let mut listed = ada.finds(&acme, "bob@example.com").await;
    assert_invitation(&listed);
    assert!(moment(&listed["sent_at"]) >= created_at);
    listed["sent_at"] = Value::Null;
    assert_eq!(listed["delivery"], "sent");
    listed["delivery"] = json!("queued");
    assert_eq!(listed, expected);
    world.finish().await;
}

#[tokio::test]
async fn an_address_is_written_as_rule_9_does() {
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
async fn s32_fifty_addresses_are_invited_at_once_and_fifty_one_are_not() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let answer = invites_many(&ada, &acme, &addresses(51)).await;
    assert_eq!(answer.pointers(), ["/emails"]);
    answer.refused(400, "malformed_request");
    // The border is before repeats are folded.
    let answer = invites_many(&ada, &acme, &vec!["bob@example.com".to_owned(); 51]).await;
    answer.refused(400, "malformed_request");
    let answer = invites_many(&ada, &acme, &[]).await;
    assert_eq!(answer.pointers(), ["/emails"]);
    answer.refused(400, "malformed_request");
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
async fn whoever_is_invited_or_a_member_is_left_alone() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "carl", "member").await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.idle().await;
    let before = ada.finds(&acme, "bob@example.com").await;
    world.passes(MAIL_COOLDOWN).await;
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
    assert_eq!(ada.finds(&acme, "bob@example.com").await, before);
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
async fn s25_s28_every_address_that_is_none_is_named_and_nobody_is_invited() {
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
    let answer = ada.invites(&acme, &emails, "member").await;
    let fine = [0, 5];
    let wrong = (0..emails.len()).filter(|place| !fine.contains(place));
    assert_eq!(answer.pointers(), wrong.map(|place| format!("/emails/{place}")).collect::<Vec<_>>());
    answer.refused(422, "invalid_email");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    assert!(world.mails_to("ok@example.com").await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn s04_a_member_invites_members_and_no_owner() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    mem.invites(&acme, &["bob@example.com"], "owner").await.refused(403, "role_not_grantable");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    let invitation = world.invited(&acme, &mem, "bob@example.com", "member").await;
    assert_eq!(invitation["sender"], json!({ "user_id": "mem", "email": "mem@example.com" }));
    ada.edits(&acme, "mem", "owner").await.is(200);
    world.invited(&acme, &mem, "eve@example.com", "owner").await;
    ada.edits(&acme, "mem", "member").await.is(200);
    mem.invites(&acme, &["zoe@example.com"], "owner").await.refused(403, "role_not_grantable");
    world.finish().await;
}

#[tokio::test]
async fn s05_a_member_reaches_no_owner_by_inviting_again_or_in_a_batch() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    world.invited(&acme, &mem, "eve@example.com", "member").await;
    let closed = world.invited(&acme, &ada, "zoe@example.com", "owner").await;
    ada.revokes(&acme, id(&closed)).await.is(204);
    world.passes(MAIL_COOLDOWN).await;
    let before = world.records().await;
    // Whether anybody would be invited at all makes no difference.
    for emails in [
        vec!["eve@example.com"],
        vec!["bob@example.com"],
        vec!["zoe@example.com"],
        vec!["mem@example.com"],
        vec!["eve@example.com", "new@example.com", "mem@example.com"],
    ] {
        mem.invites(&acme, &emails, "owner").await.refused(403, "role_not_grantable");
    }
    // What waits for an owner is left alone, and what waits for a member does not become more.
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
    // Anew is what the sender may grant, whatever it was.
    assert_eq!(world.invited(&acme, &mem, "zoe@example.com", "member").await["role"], "member");
    assert_eq!(ada.finds(&acme, "bob@example.com").await["role"], "owner");
    world.finish().await;
}

#[tokio::test]
async fn s27_look_alikes_are_refused_or_other_addresses_and_mail_goes_to_the_one_that_is_kept() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let look_alikes = [
        // Dotless i, Kelvin sign, sharp s, a full-width letter, a ligature and a long s: before the @.
        "m\u{131}ke@example.com",
        "mi\u{212a}e@example.com",
        "stra\u{df}e@example.com",
        "\u{ff4d}ike@example.com",
        "of\u{fb01}ce@example.com",
        "mi\u{17f}s@example.com",
        // And after it, where folding would make another domain of them; an upper-case dotted I, too.
        "mike@\u{212a}elvin.example",
        "mike@\u{ff45}xample.com",
        "mike@gith\u{55}b\u{ff0e}com",
        "mike@of\u{fb01}ce.example",
        "mike@mi\u{17f}s.example",
        "mike@\u{130}nside.example",
        "mike@STRA\u{1e9e}E.example",
    ];
    let answer = ada.invites(&acme, &look_alikes, "member").await;
    let pointers: Vec<_> = (0..look_alikes.len()).map(|place| format!("/emails/{place}")).collect();
    assert_eq!(answer.pointers(), pointers);
    answer.refused(422, "invalid_email");

    // These are domains of their own, and not what they look like.
    let others = [
        "mike@stra\u{df}e.example",
        "mike@strasse.example",
        "mike@g\u{131}thub.example",
        "mike@github.example",
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
    assert_eq!(world.laptop().mailbox().items(None).len(), 4, "nobody else has a mail");
    world.finish().await;
}

#[tokio::test]
async fn s30_an_address_with_an_account_is_invited_like_one_without() {
    let world = World::start().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let (acme, other) = (world.founded_by(&ada).await, world.founded_by(&eve).await);
    // One is a member elsewhere, one is invited there, one has left, and of one nobody has ever heard.
    world.joined(&other, &eve, "bob", "member").await;
    world.joined(&other, &eve, "gone", "member").await.leaves(&other).await.is(204);
    world.invited(&other, &eve, "ivy@example.com", "member").await;
    let mut seen = Vec::new();
    for name in ["bob", "gone", "ivy", "eve", "unheard-of"] {
        let email = format!("{name}@example.com");
        world.idle().await;
        drop(world.wire().take());
        let answer = ada.invites(&acme, &[&email], "member").await;
        let sent = world.wire().take_actions();
        let apart = ["apigw-requestid", "content-length", "date"];
        let headers = answer.headers.iter().filter(|(name, _)| !apart.contains(&name.as_str()));
        let headers: Vec<_> = headers.map(|(name, value)| (name.clone(), value.clone())).collect();
        let mut result = answer.is(200)["results"][0].clone();
        let invitation = &mut result["invitation"];
        assert_eq!(invitation["email"], email);
        for told_apart in ["id", "email", "created_at", "expires_at"] {
            invitation[told_apart] = Value::Null;
        }
        result["email"] = Value::Null;
        seen.push((headers, sent, result));
    }
    // Requests are DynamoDB's alone: whoever keeps accounts is not asked.
    assert_eq!(seen[0].1, ["TransactGetItems", "TransactWriteItems"]);
    assert!(seen.iter().all(|it| *it == seen[0]), "{seen:#?}");
    // What a link shows to whoever opens it tells no more.
    let mut shown = Vec::new();
    for name in ["bob", "unheard-of"] {
        let email = format!("{name}@example.com");
        let mut preview = world.nobody().previews(&world.token_for(&email).await).await.is(200);
        preview["email"] = Value::Null;
        preview["expires_at"] = Value::Null;
        shown.push(preview);
    }
    assert_eq!(shown[0], shown[1]);
    world.finish().await;
}

#[tokio::test]
async fn with_too_few_seats_nobody_is_invited() {
    let world = World::with_seats(4).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let answer = invites_many(&ada, &acme, &addresses(4)).await.refused(409, "seats_exhausted");
    assert_eq!(answer["seats"], json!({ "total": 4, "taken": 1, "free": 3 }));
    assert_eq!(ada.counts_seats(&acme).await, (1, 3));
    outcomes(invites_many(&ada, &acme, &addresses(3)).await);
    assert_eq!(ada.counts_seats(&acme).await, (4, 0));
    // Those who have a seat need none.
    let results = outcomes(ada.invites(&acme, &["guest0@example.com", "ada@example.com"], "member").await);
    assert_eq!(
        results,
        json!([["guest0@example.com", "already_invited"], ["ada@example.com", "already_member"]])
    );
    let answer = ada.invites(&acme, &["guest0@example.com", "new@example.com"], "member").await;
    let seats = answer.refused(409, "seats_exhausted")["seats"].clone();
    assert_eq!(seats, json!({ "total": 4, "taken": 4, "free": 0 }));
    assert!(world.mails_to("new@example.com").await.is_empty());
    world.finish().await;
}

#[tokio::test]
async fn a_seat_is_needed_once_for_an_address_that_repeats_or_is_there_already() {
    let world = World::with_seats(3).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let emails = ["bob@example.com", "eve@example.com", "EVE@example.com"];
    outcomes(ada.invites(&acme, &emails, "member").await);
    assert_eq!(ada.counts_seats(&acme).await, (3, 0));
    world.finish().await;
}

/// Ways in which an invitation of `bob` ends and gives its seat back.
async fn closes(world: &World, acme: &Organization, ada: &Person, how: &str) {
    let invitation = world.invited(acme, ada, "bob@example.com", "member").await;
    let id = id(&invitation);
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    match how {
        "revoked" => drop(ada.revokes(acme, id).await.is(204)),
        "declined" => drop(bob.declines(&token).await.is(204)),
        "expired" => world.passes(TWO_DAYS).await,
        "removed" => {
            bob.accepts(&token).await.is(200);
            ada.removes(acme, "bob").await.is(204);
        }
        _ => unreachable!(),
    }
    assert_eq!(ada.finds(acme, "bob@example.com").await["status"], how);
    assert_eq!(ada.counts_seats(acme).await.0, 1, "{how}");
}

#[tokio::test]
async fn an_address_is_invited_anew_however_its_invitation_ended() {
    for how in ["revoked", "declined", "expired", "removed"] {
        let world = World::with_seats(2).await;
        let ada = world.person("ada");
        let acme = world.founded_by(&ada).await;
        closes(&world, &acme, &ada, how).await;
        let before = ada.finds(&acme, "bob@example.com").await;
        let old = world.token_for("bob@example.com").await;
        world.passes(MAIL_COOLDOWN).await;
        let again = world.invited(&acme, &ada, "Bob@example.com", "owner").await;
        assert_eq!(again["id"], before["id"], "{how}");
        assert_eq!((&again["generation"], &again["role"]), (&json!(2), &json!("owner")), "{how}");
        assert_eq!(
            (&again["status"], &again["delivery"], &again["sent_at"]),
            (&json!("pending"), &json!("queued"), &Value::Null)
        );
        assert!(moment(&again["created_at"]) > moment(&before["created_at"]), "{how}");
        assert_eq!(moment(&again["expires_at"]).unix() - moment(&again["created_at"]).unix(), 172_800);
        assert_eq!(ada.counts_seats(&acme).await, (2, 0), "{how}");
        let new = world.token_for("bob@example.com").await;
        let bob = world.person("bob");
        bob.accepts(&old).await.refused(410, "invitation_superseded");
        assert_eq!(bob.accepts(&new).await.is(200)["role"], "owner");
        assert_eq!(ada.counts_seats(&acme).await, (2, 0), "{how}");
        assert_eq!(ada.finds(&acme, "bob@example.com").await["status"], "accepted");
        world.finish().await;
    }
}

#[tokio::test]
async fn an_ended_invitation_has_no_claim_on_a_seat() {
    for how in ["revoked", "declined", "expired", "removed"] {
        let world = World::with_seats(2).await;
        let ada = world.person("ada");
        let acme = world.founded_by(&ada).await;
        closes(&world, &acme, &ada, how).await;
        world.passes(MAIL_COOLDOWN).await;
        world.invited(&acme, &ada, "eve@example.com", "member").await;
        let answer = ada.invites(&acme, &["bob@example.com"], "member").await;
        answer.refused(409, "seats_exhausted");
        assert_eq!(ada.finds(&acme, "bob@example.com").await["status"], how);
        world.finish().await;
    }
}

#[tokio::test]
async fn one_past_its_expiry_that_nobody_has_closed_is_invited_anew_in_its_own_seat() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let before = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let old = world.token_for("bob@example.com").await;
    world.loses_schedule(&acme, &before).await;
    world.passes(TWO_DAYS).await;
    assert_eq!(ada.finds(&acme, "bob@example.com").await["status"], "expired");
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
async fn one_that_keeps_its_seat_and_one_that_needs_one_count_apart() {
    let world = World::with_seats(3).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let before = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.loses_schedule(&acme, &before).await;
    world.passes(TWO_DAYS).await;
    let answer =
        ada.invites(&acme, &["bob@example.com", "eve@example.com", "zoe@example.com"], "member").await;
    assert_eq!(answer.refused(409, "seats_exhausted")["seats"]["free"], 1);
    outcomes(ada.invites(&acme, &["bob@example.com", "eve@example.com"], "member").await);
    assert_eq!(ada.counts_seats(&acme).await, (3, 0));
    world.finish().await;
}

#[tokio::test]
async fn s20_a_stranger_is_told_that_there_is_no_such_organization() {
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
        let answer = ada.invites(&Organization::new(id), &["eve@example.com"], "member").await;
        assert_eq!(answer.refused(404, "organization_not_found"), stranger, "{id}");
    }
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    ada.removes(&acme, "mem").await.is(204);
    let answer = mem.invites(&acme, &["eve@example.com"], "member").await;
    assert_eq!(
        answer.refused(404, "organization_not_found"),
        stranger,
        "s31: a live token of a removed member"
    );
    world.finish().await;
}

#[tokio::test]
async fn s03_an_inviter_needs_a_verified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for claims in [
        json!({ "email": "ada@example.com", "email_verified": false }),
        json!({ "email": "ada@example.com" }),
    ] {
        let answer = world.signed_in("ada", claims).invites(&acme, &["bob@example.com"], "member").await;
        answer.refused(403, "email_not_verified");
    }
    // Whoever has a new verified address since sends in its name.
    let moved = world.signed_in("ada", json!({ "email": "ada@new.example", "email_verified": true }));
    let invitation = world.invited(&acme, &moved, "bob@example.com", "member").await;
    assert_eq!(invitation["sender"], json!({ "user_id": "ada", "email": "ada@new.example" }));
    world.finish().await;
}

#[tokio::test]
async fn the_first_thing_wrong_is_what_is_refused() {
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
    // The role comes before it is known that nobody needs a seat.
    mem.invites(&acme, &["ada@example.com"], "owner").await.refused(403, "role_not_grantable");
    world.finish().await;
}
