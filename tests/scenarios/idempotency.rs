//! `Idempotency-Key`: a repeated request has no further effect and gets exactly the first response again.

use futures_util::future::join_all;
use harness::{ApiResponse, Fault, MAIL_COOLDOWN, World, id};
use http::Method;
use serde_json::json;

const DAY: u64 = 24 * 60 * 60;
const BOB: &str = "bob@example.com";

/// Checks that a repeated request got exactly the response of the first one.
#[track_caller]
fn assert_same(first: &ApiResponse, again: &ApiResponse) {
    assert!(first.status.is_success(), "{}", first.text);
    assert_eq!(again.without_request_ids(), first.without_request_ids());
}

#[tokio::test]
async fn a_repeated_invite_sends_no_second_mail() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let first = ada.invites(&acme, &[BOB, "eve@example.com"], "member").await;
    world.advance(MAIL_COOLDOWN).await;
    let seen = world.records().await;
    // Other spellings of the addresses and repeated addresses are the same request.
    for emails in [&[BOB, "eve@example.com"][..], &["BOB@Example.com", "eve@example.com", BOB]] {
        assert_same(&first, &ada.invites(&acme, emails, "member").await);
    }
    assert_eq!(
        first.body["results"][0]["invitation"]["delivery"], "queued",
        "the response is the stored one"
    );
    assert_eq!(world.records().await, seen);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn an_invite_in_another_language_is_a_different_request() {
    let world = World::start().await;
    let acme = world.founded_by(&world.person("ada")).await;
    let ada = world.person("ada").with_key("k");
    let first = ada.invites_in(&acme, &[BOB], "member", "de").await;
    assert_same(&first, &ada.invites_in(&acme, &[BOB], "member", "de").await);
    ada.invites_in(&acme, &[BOB], "member", "en").await.refused(422, "idempotency_key_reused");
    ada.invites(&acme, &[BOB], "member").await.refused(422, "idempotency_key_reused");
    let ada = ada.with_key("without");
    ada.invites(&acme, &["eve@example.com"], "member").await.is(200);
    let other = ada.invites_in(&acme, &["eve@example.com"], "member", "en").await;
    other.refused(422, "idempotency_key_reused");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_repeated_resend_creates_no_second_link() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.advance(MAIL_COOLDOWN).await;
    let ada = ada.with_key("k");
    let first = ada.resends(&acme, id(&invitation)).await;
    let token = world.token_for(BOB).await;
    assert_same(&first, &ada.resends(&acme, id(&invitation)).await);
    world.advance(MAIL_COOLDOWN).await;
    assert_same(&first, &ada.resends(&acme, id(&invitation)).await);
    assert_eq!(world.mails_to(BOB).await.len(), 2);
    world.person("bob").accepts(&token).await.is(200);
    assert_same(&first, &ada.resends(&acme, id(&invitation)).await);
    world.finish().await;
}

#[tokio::test]
async fn a_repeated_create_creates_no_second_organization() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let first = ada.creates("Acme").await;
    assert_same(&first, &ada.creates("Acme").await);
    assert_eq!(world.records().await.organizations().count(), 1);
    world.finish().await;
}

#[tokio::test]
async fn refuses_the_key_of_a_different_request() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let first = ada.invites(&acme, &[BOB], "member").await;
    let bobs = first.body["results"][0]["invitation"]["id"].as_str().unwrap().to_owned();
    for other in [
        ada.invites(&acme, &[BOB], "owner").await,
        ada.invites(&acme, &["eve@example.com"], "member").await,
        ada.invites(&acme, &[BOB, "eve@example.com"], "member").await,
        ada.resends(&acme, &bobs).await,
    ] {
        other.refused(422, "idempotency_key_reused");
    }
    ada.creates("One").await.is(201);
    ada.creates("Two").await.refused(422, "idempotency_key_reused");
    assert_same(&first, &ada.invites(&acme, &[BOB], "member").await);
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.finish().await;
}

#[tokio::test]
async fn s34_a_key_is_private_to_caller_and_organization() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let other = world.founded_by(&world.person("ada")).await;
    let mem = world.joined(&acme, &world.person("ada"), "mem", "member").await.with_key("k");
    let first = ada.invites(&acme, &[BOB], "member").await.is(200);
    assert_eq!(first["results"][0]["outcome"], "invited");
    // A key belongs to one caller, so another member's request with the same key is a different request.
    let theirs = mem.invites(&acme, &[BOB], "member").await.is(200);
    assert_eq!(theirs["results"][0]["outcome"], "already_invited");
    mem.invites(&acme, &["eve@example.com"], "member").await.refused(422, "idempotency_key_reused");
    let elsewhere = ada.invites(&other, &["eve@example.com"], "owner").await.is(200);
    assert_eq!(elsewhere["results"][0]["outcome"], "invited");
    // A stranger who guesses the key does not get the stored response.
    let eve = world.person("eve").with_key("k");
    eve.invites(&acme, &[BOB], "member").await.refused(404, "organization_not_found");
    let eves = eve.creates("Acme").await.is(201);
    assert_ne!(eves["id"], ada.creates("Acme").await.is(201)["id"]);
    world.finish().await;
}

#[tokio::test]
async fn s34_s31_a_removed_member_does_not_get_the_stored_response() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await.with_key("k");
    let first = mem.invites(&acme, &[BOB], "member").await;
    ada.removes(&acme, "mem").await.is(204);
    mem.invites(&acme, &[BOB], "member").await.refused(404, "organization_not_found");
    mem.invites(&acme, &["eve@example.com"], "member").await.refused(404, "organization_not_found");
    world.advance(MAIL_COOLDOWN).await;
    world.joined(&acme, &ada, "mem", "member").await;
    assert_same(&first, &mem.invites(&acme, &[BOB], "member").await);
    world.finish().await;
}

#[tokio::test]
async fn refusals_are_not_stored() {
    let world = World::with_seats(2).await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let taken = world.invited(&acme, &world.person("ada"), "eve@example.com", "member").await;
    ada.invites(&acme, &[BOB], "member").await.refused(409, "seats_exhausted");
    ada.invites(&acme, &["not an address"], "member").await.refused(422, "invalid_email");
    ada.revokes(&acme, id(&taken)).await.is(204);
    ada.invites(&acme, &[BOB], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn stores_the_response_of_a_request_without_effect() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let bobs = world.invited(&acme, &world.person("ada"), BOB, "member").await;
    let first = ada.invites(&acme, &[BOB], "member").await;
    assert_eq!(first.body["results"][0]["outcome"], "already_invited");
    ada.revokes(&acme, id(&bobs)).await.is(204);
    world.advance(MAIL_COOLDOWN).await;
    assert_same(&first, &ada.invites(&acme, &[BOB], "member").await);
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "revoked");
    world.finish().await;
}

#[tokio::test]
async fn a_stored_response_is_valid_for_24_hours_even_if_not_deleted() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let first = ada.invites(&acme, &[BOB], "member").await;
    world.advance(DAY - 60).await;
    assert_same(&first, &ada.invites(&acme, &[BOB], "member").await);
    // Expired items are not deleted here: the clock moves, but nothing runs.
    world.shift_clock(120);
    let again = ada.invites(&acme, &[BOB], "member").await;
    assert_eq!(again.body["results"][0]["outcome"], "already_invited");
    assert_same(&again, &ada.invites(&acme, &[BOB], "member").await);
    world.advance(2 * DAY).await;
    let stored_responses = |items: Vec<local::table::Attributes>| {
        items.iter().filter(|item| item["sk"].as_s().is_ok_and(|sk| sk.starts_with("KEY#"))).count()
    };
    assert_eq!(stored_responses(world.laptop().table().items().await.unwrap()), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_retry_after_a_lost_response_has_one_effect() {
    let world = World::with_short_retries().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    world.wait_until_idle().await;
    // The transaction takes effect, but all responses are lost until the function stops retrying.
    world.wire().inject_api_fault("TransactWriteItems", Fault::ResponseLost, usize::MAX);
    ada.invites(&acme, &[BOB], "member").await.refused(503, "unavailable");
    world.wire().clear_faults();
    let response = ada.invites(&acme, &[BOB], "member").await;
    assert_eq!(response.body["results"][0]["outcome"], "invited");
    assert_same(&response, &ada.invites(&acme, &[BOB], "member").await);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn simultaneous_equal_requests_have_one_effect_and_one_response() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for round in 0..20 {
        let ada = ada.with_key(&format!("round-{round}"));
        let email = format!("p{round}@example.com");
        let invite = async || ada.invites(&acme, &[&email], "member").await;
        let responses = join_all((0..4).map(|_| invite())).await;
        responses[1..].iter().for_each(|response| assert_same(&responses[0], response));
        let invitation = responses[0].body["results"][0]["invitation"].clone();
        assert_eq!(world.mails_to(&email).await.len(), 1);
        world.advance(MAIL_COOLDOWN).await;
        let ada = ada.with_key(&format!("again-{round}"));
        let resend = async || ada.resends(&acme, id(&invitation)).await;
        let responses = join_all((0..4).map(|_| resend())).await;
        responses[1..].iter().for_each(|response| assert_same(&responses[0], response));
        assert_eq!(responses[0].body["generation"], 2);
        assert_eq!(world.mails_to(&email).await.len(), 2);
        let create = async || ada.creates(&format!("Round {round}")).await;
        let responses = join_all((0..4).map(|_| create())).await;
        responses[1..].iter().for_each(|response| assert_same(&responses[0], response));
    }
    assert_eq!(world.records().await.organizations().count(), 21);
    assert_eq!(ada.counts_seats(&acme).await.0, 21);
    world.finish().await;
}

#[tokio::test]
async fn refuses_an_invalid_key_first() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for key in ["", "two words", "tab\tin it", "é", &"k".repeat(256)] {
        let ada = ada.with_key(key);
        for response in [
            ada.creates("Acme").await,
            ada.invites(&acme, &[BOB], "member").await,
            ada.resends(&acme, "inv_none").await,
        ] {
            assert_eq!(response.pointers(), ["/Idempotency-Key"], "{key:?}");
            response.refused(400, "malformed_request");
        }
    }
    let longest = ada.with_key(&"~".repeat(255));
    longest.invites(&acme, &[BOB], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn other_routes_ignore_the_key() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    for _ in 0..2 {
        ada.gets_organization(&acme).await.is(200);
        ada.edits_role(&acme, "ada", "owner").await.is(200);
    }
    let path = acme.path("/members/unknown");
    let body = json!({ "role": "member" }).to_string();
    ada.calls(Method::PATCH, &path, Some(body)).await.refused(404, "member_not_found");
    ada.invites(&acme, &[BOB], "member").await.is(200);
    world.finish().await;
}
