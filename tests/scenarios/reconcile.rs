//! What should have happened by itself and did not is driven again, every quarter of an hour.

use harness::{Fault, Fixtures, Options, Organization, Person, TWO_DAYS, World};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
/// Seconds after which a mail that is still queued is overdue.
const MAIL_OVERDUE: u64 = 10 * 60;
/// Seconds after an invitation's expiry when it is overdue.
const EXPIRY_OVERDUE: u64 = 5 * 60;

async fn founded(world: &World) -> (Person, Organization) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    (ada, acme)
}

/// Bob is invited, and his mail was given up.
async fn unmailed(world: &World) -> (Person, Organization, Value) {
    let (ada, acme) = founded(world).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.idle().await;
    world.wire().clear_faults();
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "queued");
    (ada, acme, invitation)
}

async fn reconciles(world: &World) -> Value {
    world.invokes("reconcile", json!({})).await.unwrap()
}

fn nothing(found: &Value) -> bool {
    found["overdue_mail"] == 0 && found["overdue_invitations"] == 0 && found["failed"] == 0
}

#[tokio::test]
async fn a_mail_whose_record_was_given_up_is_sent_a_quarter_of_an_hour_later() {
    let world = World::start().await;
    let (ada, acme, invitation) = unmailed(&world).await;
    assert!(nothing(&reconciles(&world).await), "it is not overdue yet");
    // The laptop's own quarter of an hour.
    world.passes(15 * 60).await;
    let mails = world.mails_to(BOB).await;
    assert_eq!(mails.len(), 1);
    let after = ada.finds(&acme, BOB).await;
    assert_eq!(after["delivery"], "sent");
    for field in ["generation", "expires_at", "created_at", "status"] {
        assert_eq!(after[field], invitation[field], "{field}");
    }
    world.person("bob").accepts(mails[0]["token"].as_str().unwrap()).await.is(200);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn it_is_driven_again_until_it_is_sent_and_then_no_more() {
    let world = World::start().await;
    let (ada, acme, _) = unmailed(&world).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    for _ in 0..3 {
        world.passes(MAIL_OVERDUE).await;
        let found = reconciles(&world).await;
        // The laptop's own run may have been first.
        assert!(found["overdue_mail"].as_u64().unwrap() <= 1, "{found}");
        world.idle().await;
        assert_eq!(ada.finds(&acme, BOB).await["delivery"], "queued");
        assert!(nothing(&reconciles(&world).await), "it has just been driven");
    }
    world.wire().clear_faults();
    world.passes(15 * 60).await;
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.passes(60 * 60).await;
    assert!(nothing(&reconciles(&world).await));
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn it_tells_how_long_the_oldest_mail_has_waited() {
    let world = World::start().await;
    let (..) = unmailed(&world).await;
    world.passes(MAIL_OVERDUE).await;
    drop(world.wire().take());
    let found = reconciles(&world).await;
    assert_eq!(found["overdue_mail"], 1, "{found}");
    let by_it = |call: &harness::Call| call.function.as_deref() == Some("reconcile");
    let sent: Vec<_> = world.wire().take().into_iter().filter(by_it).map(|call| call.operation).collect();
    assert_eq!(sent.len(), 8 + 2, "{sent:?}");
    let oldest = found["oldest_queued_seconds"].as_u64().unwrap();
    assert!((MAIL_OVERDUE..MAIL_OVERDUE + 60).contains(&oldest), "{found}");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn an_invitation_whose_schedule_was_lost_is_closed_and_its_seat_is_back() {
    let world = World::start().await;
    let (ada, acme) = founded(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.loses_schedule(&acme, &invitation).await;
    world.passes(TWO_DAYS).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "nobody has closed it");
    world.passes(EXPIRY_OVERDUE).await;
    assert_eq!(reconciles(&world).await["overdue_invitations"], 1);
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(ada.finds(&acme, BOB).await["status"], "expired");
    assert!(nothing(&reconciles(&world).await));
    world.finish().await;
}

#[tokio::test]
async fn what_is_in_time_is_left_alone_at_eight_requests() {
    let world = World::start().await;
    let (ada, acme) = founded(&world).await;
    world.invited(&acme, &ada, BOB, "member").await;
    world.joined(&acme, &ada, "eve", "owner").await;
    world.passes(TWO_DAYS / 2).await;
    let before = world.records().await;
    drop(world.wire().take());
    assert!(nothing(&reconciles(&world).await));
    let sent: Vec<_> = world.wire().take().into_iter().map(|call| call.operation).collect();
    assert_eq!(sent, ["Query"; 8]);
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn one_that_was_resent_meanwhile_keeps_its_deadline() {
    let world = World::start().await;
    let (ada, acme) = founded(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.loses_schedule(&acme, &invitation).await;
    world.passes(TWO_DAYS + EXPIRY_OVERDUE).await;
    // The laptop's own run has closed it; resent, it takes a seat again and has a deadline of its own.
    let again = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    world.idle().await;
    assert!(nothing(&reconciles(&world).await));
    assert_eq!(ada.finds(&acme, BOB).await["expires_at"], again["expires_at"]);
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    world.finish().await;
}

#[tokio::test]
async fn whoever_ends_it_while_reconcile_looks_wins_and_the_seat_comes_back_once() {
    let world = World::start().await;
    let (ada, acme, invitation) = unmailed(&world).await;
    world.passes(MAIL_OVERDUE).await;
    let held = world.wire().hold_work("TransactWriteItems");
    let (found, ()) = tokio::join!(reconciles(&world), async {
        held.arrived().await;
        ada.revokes(&acme, invitation["id"].as_str().unwrap()).await.is(204);
        held.release();
    });
    assert!(nothing(&found), "{found}");
    assert_eq!(ada.finds(&acme, BOB).await["status"], "revoked");
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(world.mails_to(BOB).await.len(), 0);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn reconcile_and_a_late_timer_at_once_give_the_seat_back_once() {
    for _ in 0..20 {
        let world = World::start().await;
        let (ada, acme) = founded(&world).await;
        let invitation = world.invited(&acme, &ada, BOB, "member").await;
        world.loses_schedule(&acme, &invitation).await;
        world.passes(TWO_DAYS).await;
        let clock = world.laptop().clock();
        clock.set_offset(clock.offset() + i64::try_from(EXPIRY_OVERDUE).unwrap()).unwrap();
        let (found, expired, again) = tokio::join!(
            reconciles(&world),
            world.invokes("expire", harness::timer(&acme, &invitation)),
            reconciles(&world),
        );
        expired.unwrap();
        assert!(found["failed"] == 0 && again["failed"] == 0, "{found} {again}");
        assert_eq!(ada.counts_seats(&acme).await.0, 1);
        world.finish().await;
    }
}

#[tokio::test]
async fn more_than_one_page_of_each_shard_is_driven_in_one_run() {
    // 8 shards of 25 a page: 300 leave hardly a shard with one page only, and not all of them for certain.
    const INVITED: usize = 300;
    let world = World::start().await;
    let mut fixtures = Fixtures::new(domain::Policy::default(), world.now());
    let acme = fixtures.founds("ada");
    for number in 0..INVITED {
        fixtures.invites(&acme, "ada", &format!("p{number}"), domain::Role::Member);
    }
    world.load(&fixtures).await;
    world.idle().await;
    for number in 0..INVITED {
        world.loses_schedule(&acme, &fixtures.invitation(&acme, &format!("p{number}"))).await;
    }
    let clock = world.laptop().clock();
    clock.set_offset(clock.offset() + i64::try_from(TWO_DAYS + EXPIRY_OVERDUE).unwrap()).unwrap();
    // A slow machine needs more than one run; it says so. The laptop's own run is at it too.
    loop {
        let found = reconciles(&world).await;
        assert_eq!(found["failed"], 0, "{found}");
        if found["unfinished"] == false {
            break;
        }
    }
    world.idle().await;
    assert_eq!(world.person("ada").counts_seats(&acme).await.0, 1);
    world.finish().await;
}

#[tokio::test]
async fn one_that_fails_keeps_no_other_waiting_and_is_told() {
    let world = World::start().await;
    let (ada, acme) = founded(&world).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    ada.invites(&acme, &[BOB, "eve@example.com", "max@example.com"], "member").await.is(200);
    world.idle().await;
    world.wire().clear_faults();
    world.passes(MAIL_OVERDUE).await;
    world.wire().disturb_work("TransactWriteItems", Fault::Refused("AccessDeniedException"), 1);
    let error = world.invokes("reconcile", json!({})).await.unwrap_err().to_string();
    assert!(error.contains("1 overdue") && !error.contains('@'), "{error}");
    world.idle().await;
    let sent = |email| world.laptop().mailbox().items(Some(email)).len();
    assert_eq!([BOB, "eve@example.com", "max@example.com"].map(sent).iter().sum::<usize>(), 2);
    assert_eq!(reconciles(&world).await["overdue_mail"], 1, "it is still there for the next run");
    world.idle().await;
    assert_eq!([BOB, "eve@example.com", "max@example.com"].map(sent), [1, 1, 1]);
    world.finish_with_dead_letters().await;
}

/// Told to whom the alarms go, also while nothing can be done about it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_overdue_is_counted_though_the_table_takes_nothing_and_in_time() {
    let retry_policy =
        store::RetryPolicy { budget: std::time::Duration::from_mins(1), ..store::RetryPolicy::default() };
    let world = World::with(Options { retry_policy, ..Options::default() }).await;
    let (..) = unmailed(&world).await;
    world.passes(MAIL_OVERDUE).await;
    world.wire().disturb_work(
        "TransactWriteItems",
        Fault::Cancelled(vec!["TransactionConflict"]),
        usize::MAX,
    );
    let within = std::time::Duration::from_secs(10);
    let found = tokio::time::timeout(within, reconciles(&world)).await.expect("a function has 10 s");
    world.wire().clear_faults();
    assert_eq!((&found["overdue_mail"], &found["unfinished"]), (&json!(1), &json!(true)), "{found}");
    assert_eq!(reconciles(&world).await["overdue_mail"], 1);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish_with_dead_letters().await;
}
