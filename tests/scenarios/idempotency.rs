//! `Idempotency-Key`: a request that is sent again is answered again, word for word, and does nothing.

use futures_util::future::join_all;
use harness::{Answer, Fault, MAIL_COOLDOWN, World, id};
use http::Method;
use serde_json::json;

const DAY: u64 = 24 * 60 * 60;
const BOB: &str = "bob@example.com";

/// The answer of a request, and of the same one again.
#[track_caller]
fn assert_same(first: &Answer, again: &Answer) {
    assert!(first.status.is_success(), "{}", first.text);
    assert_eq!(again.whole(), first.whole());
}

#[tokio::test]
async fn an_invite_that_is_sent_again_mails_nobody_again() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let first = ada.invites(&acme, &[BOB, "eve@example.com"], "member").await;
    world.passes(MAIL_COOLDOWN).await;
    let seen = world.records().await;
    // In other words it is the same request.
    for emails in [&[BOB, "eve@example.com"][..], &["BOB@Example.com", "eve@example.com", BOB]] {
        assert_same(&first, &ada.invites(&acme, emails, "member").await);
    }
    assert_eq!(first.body["results"][0]["invitation"]["delivery"], "queued", "as it was answered then");
    assert_eq!(world.records().await, seen);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn an_invite_in_another_language_is_another_request() {
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
async fn a_resend_that_is_sent_again_makes_no_further_link() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.passes(MAIL_COOLDOWN).await;
    let ada = ada.with_key("k");
    let first = ada.resends(&acme, id(&invitation)).await;
    let token = world.token_for(BOB).await;
    assert_same(&first, &ada.resends(&acme, id(&invitation)).await);
    world.passes(MAIL_COOLDOWN).await;
    assert_same(&first, &ada.resends(&acme, id(&invitation)).await);
    assert_eq!(world.mails_to(BOB).await.len(), 2);
    world.person("bob").accepts(&token).await.is(200);
    assert_same(&first, &ada.resends(&acme, id(&invitation)).await);
    world.finish().await;
}

#[tokio::test]
async fn a_create_that_is_sent_again_makes_no_further_organization() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let first = ada.creates("Acme").await;
    assert_same(&first, &ada.creates("Acme").await);
    assert_eq!(world.records().await.organizations().count(), 1);
    world.finish().await;
}

#[tokio::test]
async fn a_key_is_good_for_one_request() {
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
    // Another member's request is their own, whatever they call it.
    let theirs = mem.invites(&acme, &[BOB], "member").await.is(200);
    assert_eq!(theirs["results"][0]["outcome"], "already_invited");
    mem.invites(&acme, &["eve@example.com"], "member").await.refused(422, "idempotency_key_reused");
    let elsewhere = ada.invites(&other, &["eve@example.com"], "owner").await.is(200);
    assert_eq!(elsewhere["results"][0]["outcome"], "invited");
    // A stranger learns nothing by guessing.
    let eve = world.person("eve").with_key("k");
    eve.invites(&acme, &[BOB], "member").await.refused(404, "organization_not_found");
    let eves = eve.creates("Acme").await.is(201);
    assert_ne!(eves["id"], ada.creates("Acme").await.is(201)["id"]);
    world.finish().await;
}

#[tokio::test]
async fn s34_s31_whoever_is_gone_is_answered_no_more() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await.with_key("k");
    let first = mem.invites(&acme, &[BOB], "member").await;
    ada.removes(&acme, "mem").await.is(204);
    mem.invites(&acme, &[BOB], "member").await.refused(404, "organization_not_found");
    mem.invites(&acme, &["eve@example.com"], "member").await.refused(404, "organization_not_found");
    world.passes(MAIL_COOLDOWN).await;
    world.joined(&acme, &ada, "mem", "member").await;
    assert_same(&first, &mem.invites(&acme, &[BOB], "member").await);
    world.finish().await;
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
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
async fn an_answer_that_says_that_nothing_was_done_is_kept_too() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let bobs = world.invited(&acme, &world.person("ada"), BOB, "member").await;
    let first = ada.invites(&acme, &[BOB], "member").await;
    assert_eq!(first.body["results"][0]["outcome"], "already_invited");
    ada.revokes(&acme, id(&bobs)).await.is(204);
    world.passes(MAIL_COOLDOWN).await;
    assert_same(&first, &ada.invites(&acme, &[BOB], "member").await);
    assert_eq!(ada.finds(&acme, BOB).await["status"], "revoked");
    world.finish().await;
}

#[tokio::test]
async fn an_answer_is_kept_for_24_hours_even_where_nobody_has_deleted_it() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let first = ada.invites(&acme, &[BOB], "member").await;
    world.passes(DAY - 60).await;
    assert_same(&first, &ada.invites(&acme, &[BOB], "member").await);
    // Nothing is swept.
    world.skips(120);
    let again = ada.invites(&acme, &[BOB], "member").await;
    assert_eq!(again.body["results"][0]["outcome"], "already_invited");
    assert_same(&again, &ada.invites(&acme, &[BOB], "member").await);
    world.passes(2 * DAY).await;
    let kept = |items: Vec<local::table::Attributes>| {
        items.iter().filter(|item| item["sk"].as_s().is_ok_and(|sk| sk.starts_with("KEY#"))).count()
    };
    assert_eq!(kept(world.laptop().table().items().await.unwrap()), 0);
    world.finish().await;
}

#[tokio::test]
async fn who_got_no_answer_sends_the_same_again_and_it_is_done_once() {
    let world = World::with_short_retries().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    world.idle().await;
    // It is done, and whatever is asked afterwards goes unanswered until the function gives up.
    world.wire().disturb_actions("TransactWriteItems", Fault::LostAfter, usize::MAX);
    ada.invites(&acme, &[BOB], "member").await.refused(503, "unavailable");
    world.wire().clear_faults();
    let answer = ada.invites(&acme, &[BOB], "member").await;
    assert_eq!(answer.body["results"][0]["outcome"], "invited");
    assert_same(&answer, &ada.invites(&acme, &[BOB], "member").await);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_at_the_same_moment_have_one_effect_and_one_answer() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for round in 0..20 {
        let ada = ada.with_key(&format!("round-{round}"));
        let email = format!("p{round}@example.com");
        let invite = async || ada.invites(&acme, &[&email], "member").await;
        let answers = join_all((0..4).map(|_| invite())).await;
        answers[1..].iter().for_each(|answer| assert_same(&answers[0], answer));
        let invitation = answers[0].body["results"][0]["invitation"].clone();
        assert_eq!(world.mails_to(&email).await.len(), 1);
        world.passes(MAIL_COOLDOWN).await;
        let ada = ada.with_key(&format!("again-{round}"));
        let resend = async || ada.resends(&acme, id(&invitation)).await;
        let answers = join_all((0..4).map(|_| resend())).await;
        answers[1..].iter().for_each(|answer| assert_same(&answers[0], answer));
        assert_eq!(answers[0].body["generation"], 2);
        assert_eq!(world.mails_to(&email).await.len(), 2);
        let create = async || ada.creates(&format!("Round {round}")).await;
        let answers = join_all((0..4).map(|_| create())).await;
        answers[1..].iter().for_each(|answer| assert_same(&answers[0], answer));
    }
    assert_eq!(world.records().await.organizations().count(), 21);
    assert_eq!(ada.counts_seats(&acme).await.0, 21);
    world.finish().await;
}

#[tokio::test]
async fn what_is_no_key_is_refused_before_anything_is_looked_at() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for key in ["", "two words", "tab\tin it", "é", &"k".repeat(256)] {
        let ada = ada.with_key(key);
        for answer in [
            ada.creates("Acme").await,
            ada.invites(&acme, &[BOB], "member").await,
            ada.resends(&acme, "inv_none").await,
        ] {
            assert_eq!(answer.pointers(), ["/Idempotency-Key"], "{key:?}");
            answer.refused(400, "malformed_request");
        }
    }
    let longest = ada.with_key(&"~".repeat(255));
    longest.invites(&acme, &[BOB], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn where_no_key_is_taken_one_changes_nothing() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    for _ in 0..2 {
        ada.looks_at(&acme).await.is(200);
        ada.edits(&acme, "ada", "owner").await.is(200);
    }
    let path = acme.path("/members/nobody");
    let body = json!({ "role": "member" }).to_string();
    ada.calls(Method::PATCH, &path, Some(body)).await.refused(404, "member_not_found");
    ada.invites(&acme, &[BOB], "member").await.is(200);
    world.finish().await;
}
