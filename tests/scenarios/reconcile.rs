//! The function `reconcile`: every 15 minutes it requeues overdue mails and closes invitations that missed their timer.

use harness::{Fault, Fixtures, Options, Organization, Person, TWO_DAYS, World};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
/// Seconds after which a mail that is still queued is overdue.
const MAIL_OVERDUE: u64 = 10 * 60;
/// Seconds after its expiry until a pending invitation is overdue.
const EXPIRY_OVERDUE: u64 = 5 * 60;

/// Lets Ada invite Bob. All attempts to send his mail fail, so it stays queued.
async fn with_unsent_mail(world: &World) -> (Person, Organization, Value) {
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.wait_until_idle().await;
    world.wire().clear_faults();
    assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "queued");
    (ada, acme, invitation)
}

async fn reconcile(world: &World) -> Value {
    world.invoke("reconcile", json!({})).await.unwrap()
}

/// Whether a run of `reconcile` found nothing overdue and had no failure, according to its response.
fn found_nothing(found: &Value) -> bool {
    found["overdue_mail"] == 0 && found["overdue_invitations"] == 0 && found["failed"] == 0
}

#[tokio::test]
async fn sends_an_unsent_mail_within_15_minutes() {
    let world = World::start().await;
    let (ada, acme, invitation) = with_unsent_mail(&world).await;
    assert!(found_nothing(&reconcile(&world).await), "the mail is not overdue yet");
    // The laptop runs `reconcile` every 15 minutes.
    world.advance(15 * 60).await;
    let mails = world.mails_to(BOB).await;
    assert_eq!(mails.len(), 1);
    let after = ada.finds_invitation(&acme, BOB).await;
    assert_eq!(after["delivery"], "sent");
    for field in ["generation", "expires_at", "created_at", "status"] {
        assert_eq!(after[field], invitation[field], "{field}");
    }
    world.person("bob").accepts(mails[0]["token"].as_str().unwrap()).await.is(200);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn requeues_a_mail_until_it_is_sent() {
    let world = World::start().await;
    let (ada, acme, _) = with_unsent_mail(&world).await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    for _ in 0..3 {
        world.advance(MAIL_OVERDUE).await;
        let found = reconcile(&world).await;
        // 0 if the laptop's own run was earlier.
        assert!(found["overdue_mail"].as_u64().unwrap() <= 1, "{found}");
        world.wait_until_idle().await;
        assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "queued");
        assert!(found_nothing(&reconcile(&world).await), "the mail was just requeued");
    }
    world.wire().clear_faults();
    world.advance(15 * 60).await;
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.advance(60 * 60).await;
    assert!(found_nothing(&reconcile(&world).await));
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn reports_how_long_the_oldest_mail_is_queued() {
    let world = World::start().await;
    let (..) = with_unsent_mail(&world).await;
    world.advance(MAIL_OVERDUE).await;
    drop(world.wire().take_requests());
    let found = reconcile(&world).await;
    assert_eq!(found["overdue_mail"], 1, "{found}");
    let by_reconcile = |call: &harness::AwsRequest| call.function.as_deref() == Some("reconcile");
    let operations: Vec<_> =
        world.wire().take_requests().into_iter().filter(by_reconcile).map(|call| call.operation).collect();
    assert_eq!(operations.len(), 8 + 2, "{operations:?}");
    let oldest = found["oldest_queued_seconds"].as_u64().unwrap();
    assert!((MAIL_OVERDUE..MAIL_OVERDUE + 60).contains(&oldest), "{found}");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn closes_an_invitation_without_a_schedule_and_returns_its_seat() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.delete_schedule(&acme, &invitation).await;
    world.advance(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "not closed yet");
    world.advance(EXPIRY_OVERDUE).await;
    assert_eq!(reconcile(&world).await["overdue_invitations"], 1);
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "expired");
    assert!(found_nothing(&reconcile(&world).await));
    world.finish().await;
}

#[tokio::test]
async fn sends_only_eight_queries_if_nothing_is_overdue() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.invited(&acme, &ada, BOB, "member").await;
    world.joined(&acme, &ada, "eve", "owner").await;
    world.advance(TWO_DAYS / 2).await;
    let before = world.records().await;
    drop(world.wire().take_requests());
    assert!(found_nothing(&reconcile(&world).await));
    let operations: Vec<_> = world.wire().take_requests().into_iter().map(|call| call.operation).collect();
    assert_eq!(operations, ["Query"; 8]);
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn does_not_change_an_invitation_that_was_resent_after_expiry() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.delete_schedule(&acme, &invitation).await;
    world.advance(TWO_DAYS + EXPIRY_OVERDUE).await;
    // The laptop's own run closed the invitation. The resend takes a seat again and sets a new deadline.
    let resent = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    world.wait_until_idle().await;
    assert!(found_nothing(&reconcile(&world).await));
    assert_eq!(ada.finds_invitation(&acme, BOB).await["expires_at"], resent["expires_at"]);
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.finish().await;
}

#[tokio::test]
async fn a_revoke_during_reconcile_wins_and_returns_the_seat_once() {
    let world = World::start().await;
    let (ada, acme, invitation) = with_unsent_mail(&world).await;
    world.advance(MAIL_OVERDUE).await;
    let held = world.wire().hold_background_request("TransactWriteItems");
    let (found, ()) = tokio::join!(reconcile(&world), async {
        held.arrived().await;
        ada.revokes(&acme, invitation["id"].as_str().unwrap()).await.is(204);
        held.release();
    });
    assert!(found_nothing(&found), "{found}");
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "revoked");
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(world.mails_to(BOB).await.len(), 0);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn reconcile_and_a_late_timer_at_once_return_the_seat_once() {
    for _ in 0..20 {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        let invitation = world.invited(&acme, &ada, BOB, "member").await;
        world.delete_schedule(&acme, &invitation).await;
        world.advance(TWO_DAYS).await;
        let clock = world.laptop().clock();
        clock.set_offset(clock.offset() + i64::try_from(EXPIRY_OVERDUE).unwrap()).unwrap();
        let (found, expired, found_again) = tokio::join!(
            reconcile(&world),
            world.invoke("expire", harness::timer(&acme, &invitation)),
            reconcile(&world),
        );
        expired.unwrap();
        assert!(found["failed"] == 0 && found_again["failed"] == 0, "{found} {found_again}");
        assert_eq!(ada.counts_seats(&acme).await.0, 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn processes_several_pages_of_each_shard_in_one_run() {
    // The index has 8 shards, and a page has 25 records. With 300 records, almost every shard has several pages.
    const INVITATIONS: usize = 300;
    let world = World::start().await;
    let mut fixtures = Fixtures::new(domain::Policy::default(), world.now());
    let acme = fixtures.founds("ada");
    for number in 0..INVITATIONS {
        fixtures.invites(&acme, "ada", &format!("p{number}"), domain::Role::Member);
    }
    world.load(&fixtures).await;
    world.wait_until_idle().await;
    for number in 0..INVITATIONS {
        world.delete_schedule(&acme, &fixtures.invitation(&acme, &format!("p{number}"))).await;
    }
    let clock = world.laptop().clock();
    clock.set_offset(clock.offset() + i64::try_from(TWO_DAYS + EXPIRY_OVERDUE).unwrap()).unwrap();
    // On a slow machine a run may end early, with `unfinished`. The laptop's own run may process records as well.
    loop {
        let found = reconcile(&world).await;
        assert_eq!(found["failed"], 0, "{found}");
        if found["unfinished"] == false {
            break;
        }
    }
    world.wait_until_idle().await;
    assert_eq!(world.person("ada").counts_seats(&acme).await.0, 1);
    world.finish().await;
}

#[tokio::test]
async fn a_failure_does_not_block_other_invitations_and_is_reported() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    ada.invites(&acme, &[BOB, "eve@example.com", "max@example.com"], "member").await.is(200);
    world.wait_until_idle().await;
    world.wire().clear_faults();
    world.advance(MAIL_OVERDUE).await;
    world.wire().inject_background_fault("TransactWriteItems", Fault::Refused("AccessDeniedException"), 1);
    let error = world.invoke("reconcile", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("1 overdue") && !error.contains('@'), "{error}");
    world.wait_until_idle().await;
    let sent = |email| world.laptop().mailbox().items(Some(email)).len();
    assert_eq!([BOB, "eve@example.com", "max@example.com"].map(sent).iter().sum::<usize>(), 2);
    assert_eq!(reconcile(&world).await["overdue_mail"], 1, "the next run retries it");
    world.wait_until_idle().await;
    assert_eq!([BOB, "eve@example.com", "max@example.com"].map(sent), [1, 1, 1]);
    world.finish_with_dead_letters().await;
}

/// The alarms need the counts even if `reconcile` can repair nothing.
#[tokio::test(flavor = "multi_thread")]
async fn counts_overdue_mail_in_time_even_if_the_table_refuses_all_writes() {
    let retry_policy =
        store::RetryPolicy { budget: std::time::Duration::from_mins(1), ..store::RetryPolicy::default() };
    let world = World::with(Options { retry_policy, ..Options::default() }).await;
    let (..) = with_unsent_mail(&world).await;
    world.advance(MAIL_OVERDUE).await;
    world.wire().inject_background_fault(
        "TransactWriteItems",
        Fault::Cancelled(vec!["TransactionConflict"]),
        usize::MAX,
    );
    let timeout = std::time::Duration::from_secs(10);
    let found =
        tokio::time::timeout(timeout, reconcile(&world)).await.expect("reconcile returns within 10 s");
    world.wire().clear_faults();
    assert_eq!((&found["overdue_mail"], &found["unfinished"]), (&json!(1), &json!(true)), "{found}");
    assert_eq!(reconcile(&world).await["overdue_mail"], 1);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish_with_dead_letters().await;
}
