//! `POST /v1/invitations/accept`.

use domain::Record;
use domain::Timestamp;
use harness::{ApiResponse, MAIL_COOLDOWN, SCHEDULE_FIRED, TWO_DAYS, World, assert_accepted, id, timestamp};
use serde_json::{Value, json};

/// Returns invalid tokens: changes of every part of `token`, and other texts.
pub fn forgeries(token: &str) -> Vec<String> {
    let parts: Vec<&str> = token.split('.').collect();
    let with_part = |index: usize, part: &str| {
        let mut parts = parts.clone();
        parts[index] = part;
        parts.join(".")
    };
    let mac = parts[6];
    let wrong_mac = format!("{}{}", if mac.starts_with('A') { 'B' } else { 'A' }, &mac[1..]);
    let expiry: i64 = parts[5].parse().unwrap();
    let mut forgeries = vec![
        String::new(),
        "token".to_owned(),
        token[..token.len() - 1].to_owned(),
        format!("{token}A"),
        format!("{token}."),
        format!(" {token}"),
        format!("{token}\n"),
        token.to_uppercase(),
        parts[..6].join("."),
        "v1.".repeat(20_000),
        with_part(0, "v2"),
        with_part(0, ""),
        with_part(1, "other"),
        with_part(1, ""),
        with_part(2, "org_00000000000000000000000000"),
        with_part(3, "inv_00000000000000000000000000"),
        with_part(4, "0"),
        with_part(4, "2"),
        with_part(4, "01"),
        with_part(4, "+1"),
        with_part(4, "-1"),
        with_part(4, "99999999999"),
        with_part(5, &(expiry + 1).to_string()),
        with_part(5, &(expiry + 1_000_000).to_string()),
        with_part(6, &wrong_mac),
        with_part(6, &"A".repeat(43)),
        with_part(6, ""),
    ];
    // A JSON Web Token is not a token of Roster.
    forgeries.push("eyJhbGciOiJub25lIn0.eyJlbWFpbCI6ImJvYkBleGFtcGxlLmNvbSJ9.".to_owned());
    forgeries
}

#[tokio::test]
async fn the_accepted_invitation_becomes_a_membership_in_the_same_seat() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    assert_eq!(bob.lists_organizations().await.items(), Vec::<Value>::new());
    let member = assert_accepted(&bob.accepts(&token).await.is(200), &acme, "Acme");
    let expected = json!({
        "user_id": "bob", "email": "bob@example.com", "role": "member", "joined_at": member["joined_at"]
    });
    assert_eq!(member, expected);
    assert!(timestamp(&member["joined_at"]) >= timestamp(&invitation["created_at"]));
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    assert!(ada.lists_members(&acme, "").await.items().contains(&member));
    let listed = ada.finds_invitation(&acme, "bob@example.com").await;
    assert_eq!((&listed["status"], &listed["delivery"]), (&json!("accepted"), &json!("sent")));
    let organizations = json!([{ "id": acme.id, "name": "Acme", "role": "member" }]);
    assert_eq!(json!(bob.lists_organizations().await.items()), organizations);
    let seen = bob.gets_organization(&acme).await.is(200);
    assert_eq!((&seen["role"], &seen["owners"]), (&json!("member"), &json!(1)));
    world.advance(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn accepting_as_owner_adds_a_second_owner() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    assert_eq!(bob.gets_organization(&acme).await.is(200)["owners"], 2);
    ada.leaves(&acme).await.is(204);
    bob.leaves(&acme).await.refused(409, "last_owner");
    world.finish().await;
}

#[tokio::test]
async fn s11_accepting_again_returns_the_current_member_and_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    let first = bob.accepts(&token).await.is(200);
    // Excludes the record that counts a recipient's mails of one day, because it expires while the clock advances.
    let stored = async || {
        let records: Vec<_> = world.records().await.records().cloned().collect();
        records.into_iter().filter(|it| !matches!(it, Record::Recipient(_))).collect::<Vec<_>>()
    };
    let before = stored().await;
    assert_eq!(bob.accepts(&token).await.is(200), first);
    ada.edits_role(&acme, "bob", "owner").await.is(200);
    let mut now = first.clone();
    now["role"] = json!("owner");
    assert_eq!(bob.accepts(&token).await.is(200), now);
    // An expired invitation that was accepted stays accepted.
    world.advance(TWO_DAYS).await;
    assert_eq!(bob.accepts(&token).await.is(200), now);
    ada.edits_role(&acme, "bob", "member").await.is(200);
    assert_eq!(bob.accepts(&token).await.is(200), first, "the role of the invitation is not restored");
    assert_eq!(stored().await, before);
    ada.renames(&acme, "Acme Works").await.is(200);
    assert_accepted(&bob.accepts(&token).await.is(200), &acme, "Acme Works");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn s11_rejects_a_used_link_after_its_member_left_or_was_removed() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (name, leaves) in [("bob", true), ("eve", false)] {
        let email = format!("{name}@example.com");
        let guest = world.joined(&acme, &ada, name, "owner").await;
        let token = world.token_for(&email).await;
        if leaves {
            guest.leaves(&acme).await.is(204);
        } else {
            ada.removes(&acme, name).await.is(204);
        }
        guest.accepts(&token).await.refused(410, "invitation_accepted");
        guest.declines(&token).await.refused(410, "invitation_accepted");
        guest.gets_organization(&acme).await.refused(404, "organization_not_found");
        assert_eq!(ada.counts_seats(&acme).await, (1, 999));
        world.advance(MAIL_COOLDOWN).await;
        world.invited(&acme, &ada, &email, "member").await;
        let new = world.token_for(&email).await;
        guest.accepts(&token).await.refused(410, "invitation_superseded");
        assert_eq!(guest.accepts(&new).await.is(200)["role"], "member");
        guest.accepts(&token).await.refused(410, "invitation_superseded");
        ada.removes(&acme, name).await.is(204);
    }
    world.finish().await;
}

#[tokio::test]
async fn s02_rejects_another_person_with_the_link_and_shows_no_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    for email in ["eve@example.com", "bob+x@example.com", "b.ob@example.com", "bob@example.com.evil.example"]
    {
        let eve = world.signed_in("bob", json!({ "email": email, "email_verified": true }));
        for response in [eve.accepts(&token).await, eve.declines(&token).await] {
            let problem = response.refused(403, "email_mismatch");
            assert!(!problem.to_string().contains("bob@example.com"), "{problem}");
        }
    }
    ada.accepts(&token).await.refused(403, "email_mismatch");
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    world.person("bob").accepts(&token).await.is(200);
    // The address is checked before the status, also for a used link.
    world.person("eve").accepts(&token).await.refused(403, "email_mismatch");
    world.finish().await;
}

#[tokio::test]
async fn ignores_the_case_of_an_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "Bob@EXAMPLE.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let bob = world.signed_in("bob", json!({ "email": "BOB@example.COM", "email_verified": true }));
    assert_eq!(bob.accepts(&token).await.is(200)["email"], "bob@example.com");
    world.finish().await;
}

#[tokio::test]
async fn s03_rejects_an_unverified_address() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    for claims in [
        json!({ "email": "bob@example.com", "email_verified": false }),
        json!({ "email": "bob@example.com" }),
        json!({ "email_verified": true }),
        json!({}),
    ] {
        let bob = world.signed_in("bob", claims);
        bob.accepts(&token).await.refused(403, "email_not_verified");
        bob.declines(&token).await.refused(403, "email_not_verified");
    }
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    world.finish().await;
}

#[tokio::test]
async fn accepts_every_spelling_of_an_international_domain_in_the_token() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invited = "kim@xn--mnchen-3ya.example";
    world.invited(&acme, &ada, invited, "member").await;
    let token = world.token_for(invited).await;
    for claim in [
        "kim@münchen.example",
        "KIM@München.Example",
        "kim@MÜNCHEN.example",
        "kim@mu\u{308}nchen.example",
        "kim@XN--MNCHEN-3YA.example",
        "kim@münchen\u{3002}example",
    ] {
        let kim = world.signed_in("kim", json!({ "email": claim, "email_verified": true }));
        assert_eq!(kim.accepts(&token).await.is(200)["email"], invited, "{claim}");
    }
    // All these spellings are one address in an invite, too.
    let spellings = ["kim@MÜNCHEN.example", "kim@mu\u{308}nchen.example", invited];
    let results = ada.invites(&acme, &spellings, "member").await.is(200)["results"].clone();
    assert_eq!(results.as_array().map(Vec::len), Some(1), "{results}");
    assert_eq!((&results[0]["outcome"], &results[0]["email"]), (&json!("already_member"), &json!(invited)));
    world.finish().await;
}

#[tokio::test]
async fn s27_rejects_accounts_with_addresses_that_only_look_like_the_invited_one() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let account = |claim: &str| world.signed_in("mallory", json!({ "email": claim, "email_verified": true }));
    for (invited, look_alikes) in [
        // Some look-alikes are not valid addresses: `email_not_verified`. Others have another domain: `email_mismatch`.
        ("mike@example.com", vec!["m\u{131}ke@example.com", "\u{ff4d}ike@example.com"]),
        ("kate@kelvin.example", vec!["\u{212a}ate@kelvin.example"]),
        (
            "ss@strasse.example",
            vec!["\u{df}@strasse.example", "ss@stra\u{df}e.example", "ss@xn--strae-oqa.example"],
        ),
        ("ss@stra\u{df}e.example", vec!["ss@strasse.example", "ss@STRASSE.example"]),
        ("ida@g\u{131}thub.example", vec!["ida@github.example", "ida@GITHUB.example"]),
    ] {
        let invitation = world.invited(&acme, &ada, invited, "owner").await;
        let token = world.token_for(invitation["email"].as_str().unwrap()).await;
        for look_alike in look_alikes {
            let mallory = account(look_alike);
            for response in [mallory.accepts(&token).await, mallory.declines(&token).await] {
                assert!(
                    ["email_mismatch", "email_not_verified"].contains(&response.code()),
                    "{look_alike} for {invited}: {}",
                    response.body
                );
                response.is(403);
            }
        }
        // The invitee may use any spelling of the same address.
        let invitee = json!({ "email": invited, "email_verified": true });
        let user = format!("user of {invited}");
        assert_eq!(
            world.signed_in(&user, invitee).accepts(&token).await.is(200)["email"],
            invitation["email"]
        );
    }
    world.finish().await;
}

#[tokio::test]
async fn s28_rejects_email_claims_that_are_lists_or_have_display_names() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "owner").await;
    let token = world.token_for("bob@example.com").await;
    for claim in [
        "mallory@example.com,bob@example.com",
        "bob@example.com,mallory@example.com",
        "bob@example.com;mallory@example.com",
        // API Gateway converts an array claim to this string.
        "[bob@example.com mallory@example.com]",
        "[bob@example.com]",
        "[\"bob@example.com\"]",
        "Bob <bob@example.com>",
        "<bob@example.com>",
        "bob@example.com\n",
        " bob@example.com",
        "bob@example.com\0",
    ] {
        let mallory = world.signed_in("mallory", json!({ "email": claim, "email_verified": true }));
        mallory.accepts(&token).await.refused(403, "email_not_verified");
        mallory.declines(&token).await.refused(403, "email_not_verified");
        mallory.creates("Acme").await.refused(403, "email_not_verified");
    }
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    world.finish().await;
}

#[tokio::test]
async fn s01_s36_every_invalid_token_gets_the_same_response() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let bob = world.person("bob");
    // The response does not depend on the caller or on whether their address is verified.
    let strangers = [world.person("eve"), world.signed_in("eve", json!({}))];
    let same = |response: ApiResponse| {
        let mut headers = response.headers.clone();
        headers.remove("apigw-requestid");
        headers.remove("date");
        (headers, response.refused(400, "invalid_token"))
    };
    let first = same(bob.accepts("").await);
    for forgery in forgeries(&token) {
        let short: String = forgery.chars().take(120).collect();
        assert_eq!(same(bob.accepts(&forgery).await), first, "{short}");
        assert_eq!(same(bob.declines(&forgery).await), first, "{short}");
        assert_eq!(same(bob.previews(&forgery).await), first, "{short}");
        for stranger in &strangers {
            assert_eq!(same(stranger.accepts(&forgery).await), first, "{short}");
        }
    }
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    bob.accepts(&token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s01_rejects_the_link_of_another_deployment() {
    let (ours, theirs) = (World::start().await, World::start().await);
    let ada = theirs.person("ada");
    let acme = theirs.founded_by(&ada).await;
    theirs.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = theirs.token_for("bob@example.com").await;
    ours.person("bob").accepts(&token).await.refused(400, "invalid_token");
    theirs.person("bob").accepts(&token).await.is(200);
    ours.finish().await;
    theirs.finish().await;
}

#[tokio::test]
async fn s12_accepts_until_one_second_before_the_expiry() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for (seconds, status) in [(0, 410), (1, 410), (-1, 200)] {
        let name = format!("bob{}", seconds + 1);
        let email = format!("{name}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        // Without the schedule the invitation is not closed: only the comparison with `expires_at` decides.
        world.delete_schedule(&acme, &invitation).await;
        let time = Timestamp::from_unix(timestamp(&invitation["expires_at"]).unix() + seconds);
        let bob = world.person(&name);
        let response = world.at(time, async || bob.accepts(&token).await).await;
        assert_eq!(response.status, status, "{seconds}: {}", response.body);
        if status == 410 {
            response.refused(410, "invitation_expired");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn s12_rejects_the_link_of_an_expired_invitation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    world.advance(SCHEDULE_FIRED).await;
    let bob = world.person("bob");
    bob.accepts(&token).await.refused(410, "invitation_expired");
    bob.declines(&token).await.refused(410, "invitation_expired");
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn s09_rejects_the_link_of_a_revoked_or_declined_invitation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for how in ["revoked", "declined"] {
        let email = format!("{how}@example.com");
        let invitation = world.invited(&acme, &ada, &email, "member").await;
        let token = world.token_for(&email).await;
        let guest = world.person(how);
        match how {
            "revoked" => drop(ada.revokes(&acme, id(&invitation)).await.is(204)),
            _ => drop(guest.declines(&token).await.is(204)),
        }
        let code = format!("invitation_{how}");
        guest.accepts(&token).await.refused(410, &code);
        // The status stays the same after the expiry.
        world.advance(TWO_DAYS).await;
        guest.accepts(&token).await.refused(410, &code);
    }
    assert_eq!(ada.counts_seats(&acme).await, (1, 999));
    world.finish().await;
}

#[tokio::test]
async fn s14_rejects_a_link_that_another_account_with_the_same_address_has_used() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    let token = world.token_for("bob@example.com").await;
    let twin = world.signed_in("bob2", json!({ "email": "bob@example.com", "email_verified": true }));
    twin.accepts(&token).await.refused(410, "invitation_accepted");
    twin.declines(&token).await.refused(410, "invitation_accepted");
    twin.gets_organization(&acme).await.refused(404, "organization_not_found");
    // A member with another address gets no other response.
    ada.accepts(&token).await.refused(403, "email_mismatch");
    world.finish().await;
}

#[tokio::test]
async fn s05_a_member_who_accepts_a_second_invitation_stays_the_same_and_frees_its_seat() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let mem = world.joined(&acme, &ada, "mem", "owner").await;
    // Neither the role of the second invitation nor its sender matters.
    let invitation = world.invited(&acme, &mem, "bob@new.example", "owner").await;
    let token = world.token_for("bob@new.example").await;
    mem.leaves(&acme).await.is(204);
    assert_eq!(ada.counts_seats(&acme).await, (3, 997));
    let before = ada.lists_members(&acme, "").await.items();
    let moved = world.signed_in("bob", json!({ "email": "bob@new.example", "email_verified": true }));
    let answer = moved.accepts(&token).await.is(200);
    let member = assert_accepted(&answer, &acme, "Acme");
    assert_eq!((&member["email"], &member["role"]), (&json!("bob@example.com"), &json!("member")));
    assert!(before.contains(&member));
    assert_eq!(ada.lists_members(&acme, "").await.items(), before);
    assert_eq!(ada.finds_invitation(&acme, "bob@new.example").await["status"], "declined");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    // Repeating the call changes nothing, and has the same response.
    let stored = world.records().await;
    for _ in 0..2 {
        assert_eq!(moved.accepts(&token).await.is(200), answer);
    }
    assert_eq!(world.records().await, stored);
    // The invitation is closed for everyone else, and for all other calls.
    let twin = world.signed_in("twin", json!({ "email": "bob@new.example", "email_verified": true }));
    twin.accepts(&token).await.refused(410, "invitation_declined");
    moved.declines(&token).await.refused(410, "invitation_declined");
    ada.revokes(&acme, id(&invitation)).await.refused(409, "invitation_not_pending");
    bob.accepts(&token).await.refused(403, "email_mismatch");
    // After leaving, the user needs a new invitation.
    moved.leaves(&acme).await.is(204);
    moved.accepts(&token).await.refused(410, "invitation_declined");
    world.advance(MAIL_COOLDOWN).await;
    world.invited(&acme, &ada, "bob@new.example", "member").await;
    let token = world.token_for("bob@new.example").await;
    assert_eq!(moved.accepts(&token).await.is(200)["email"], "bob@new.example");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn a_member_gets_no_answer_for_a_second_invitation_that_is_closed_otherwise() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "bob", "member").await;
    let moved = world.signed_in("bob", json!({ "email": "bob@new.example", "email_verified": true }));
    let invitation = world.invited(&acme, &ada, "bob@new.example", "member").await;
    let revoked = world.token_for("bob@new.example").await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    moved.accepts(&revoked).await.refused(410, "invitation_revoked");
    world.advance(MAIL_COOLDOWN).await;
    world.invited(&acme, &ada, "bob@new.example", "member").await;
    moved.accepts(&revoked).await.refused(410, "invitation_superseded");
    let expired = world.token_for("bob@new.example").await;
    world.advance(SCHEDULE_FIRED).await;
    moved.accepts(&expired).await.refused(410, "invitation_expired");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    // An explicit decline has the same result as an accept.
    world.invited(&acme, &ada, "bob@new.example", "member").await;
    let declined = world.token_for("bob@new.example").await;
    moved.declines(&declined).await.is(204);
    assert_eq!(moved.accepts(&declined).await.is(200)["email"], "bob@example.com");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    world.finish().await;
}

#[tokio::test]
async fn s08_rejects_an_invitation_after_its_sender_left() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let invitation = world.invited(&acme, &mem, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    mem.leaves(&acme).await.is(204);
    let bob = world.person("bob");
    bob.accepts(&token).await.refused(409, "sender_lost_authority");
    assert_eq!(ada.finds_invitation(&acme, "bob@example.com").await["status"], "pending");
    assert_eq!(ada.counts_seats(&acme).await, (2, 998));
    // Resent by a member who may grant the role, it can be accepted.
    world.advance(MAIL_COOLDOWN).await;
    ada.resends(&acme, id(&invitation)).await.is(200);
    bob.accepts(&token).await.refused(410, "invitation_superseded");
    let token = world.token_for("bob@example.com").await;
    bob.accepts(&token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s08_a_demoted_sender_may_still_grant_member_and_a_regained_role_counts() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let olga = world.joined(&acme, &ada, "olga", "owner").await;
    world.invited(&acme, &olga, "bob@example.com", "owner").await;
    world.invited(&acme, &olga, "eve@example.com", "member").await;
    let owner = world.token_for("bob@example.com").await;
    let member = world.token_for("eve@example.com").await;
    ada.edits_role(&acme, "olga", "member").await.is(200);
    let bob = world.person("bob");
    bob.accepts(&owner).await.refused(409, "sender_lost_authority");
    world.person("eve").accepts(&member).await.is(200);
    assert_eq!(ada.gets_organization(&acme).await.is(200)["owners"], 1);
    ada.edits_role(&acme, "olga", "owner").await.is(200);
    assert_eq!(bob.accepts(&owner).await.is(200)["role"], "owner");
    assert_eq!(ada.gets_organization(&acme).await.is(200)["owners"], 3);
    world.finish().await;
}

#[tokio::test]
async fn s08_a_removed_sender_who_joins_again_regains_authority() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let olga = world.joined(&acme, &ada, "olga", "owner").await;
    world.invited(&acme, &olga, "bob@example.com", "owner").await;
    let token = world.token_for("bob@example.com").await;
    ada.removes(&acme, "olga").await.is(204);
    let bob = world.person("bob");
    bob.accepts(&token).await.refused(409, "sender_lost_authority");
    world.advance(MAIL_COOLDOWN).await;
    world.joined(&acme, &ada, "olga", "member").await;
    bob.accepts(&token).await.refused(409, "sender_lost_authority");
    ada.edits_role(&acme, "olga", "owner").await.is(200);
    bob.accepts(&token).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s08_a_sender_who_left_cannot_accept_their_own_invitation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.joined(&acme, &ada, "olga", "owner").await;
    world.invited(&acme, &ada, "ada@private.example", "owner").await;
    let token = world.token_for("ada@private.example").await;
    ada.leaves(&acme).await.is(204);
    let private = world.signed_in("ada", json!({ "email": "ada@private.example", "email_verified": true }));
    private.accepts(&token).await.refused(409, "sender_lost_authority");
    private.gets_organization(&acme).await.refused(404, "organization_not_found");
    world.finish().await;
}

#[tokio::test]
async fn s15_accepts_invitations_of_a_full_organization() {
    let world = World::with_seats(3).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let emails = ["bob@example.com", "eve@example.com"];
    ada.invites(&acme, &emails, "owner").await.is(200);
    ada.invites(&acme, &["zoe@example.com"], "member").await.refused(409, "seats_exhausted");
    for name in ["bob", "eve"] {
        let token = world.token_for(&format!("{name}@example.com")).await;
        world.person(name).accepts(&token).await.is(200);
    }
    assert_eq!(ada.counts_seats(&acme).await, (3, 0));
    world.finish().await;
}

#[tokio::test]
async fn s01_a_link_of_a_deleted_record_does_not_open_the_next_invitation() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let old = world.token_for("bob@example.com").await;
    let invitation = ada.finds_invitation(&acme, "bob@example.com").await;
    bob.leaves(&acme).await.is(204);
    world.advance(31 * 24 * 60 * 60).await;
    assert_eq!(
        ada.lists_invitations(&acme, "").await.items().len(),
        1,
        "a closed record is deleted after its retention period"
    );
    ada.resends(&acme, id(&invitation)).await.refused(404, "invitation_not_found");
    let assert_superseded = async || {
        for response in [bob.previews(&old).await, bob.accepts(&old).await, bob.declines(&old).await] {
            response.refused(410, "invitation_superseded");
        }
    };
    assert_superseded().await;
    // The generation starts again at 1. The expiry distinguishes the new link from the old one.
    assert_eq!(world.invited(&acme, &ada, "bob@example.com", "owner").await["generation"], 1);
    assert_superseded().await;
    let new = world.token_for("bob@example.com").await;
    bob.accepts(&new).await.is(200);
    assert_superseded().await;
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    // The sender loses their authority. Bob is a member with another address.
    let invitation = world.invited(&acme, &mem, "bob@new.example", "member").await;
    let old = world.token_for("bob@new.example").await;
    world.advance(MAIL_COOLDOWN).await;
    mem.resends(&acme, id(&invitation)).await.is(200);
    let token = world.token_for("bob@new.example").await;
    mem.leaves(&acme).await.is(204);
    let unverified = world.signed_in("eve", json!({ "email": "eve@example.com", "email_verified": false }));
    let moved = world.signed_in("bob", json!({ "email": "bob@new.example", "email_verified": true }));
    let new = world.signed_in("new", json!({ "email": "bob@new.example", "email_verified": true }));
    let path = "/v1/invitations/accept";
    let huge = json!({ "token": "t".repeat(64 * 1024), "more": 1 });
    unverified.posts(path, &huge).await.refused(413, "too_large");
    unverified.posts(path, &json!({ "token": "forged", "more": 1 })).await.refused(400, "malformed_request");
    unverified.accepts("forged").await.refused(400, "invalid_token");
    unverified.accepts(&old).await.refused(410, "invitation_superseded");
    unverified.accepts(&token).await.refused(403, "email_not_verified");
    bob.accepts(&token).await.refused(403, "email_mismatch");
    new.accepts(&token).await.refused(409, "sender_lost_authority");
    ada.revokes(&acme, id(&invitation)).await.is(204);
    unverified.accepts(&token).await.refused(403, "email_not_verified");
    bob.accepts(&token).await.refused(403, "email_mismatch");
    moved.accepts(&token).await.refused(410, "invitation_revoked");
    new.accepts(&token).await.refused(410, "invitation_revoked");
    world.finish().await;
}
