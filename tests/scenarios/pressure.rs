//! Load: accepts of all seats at the same time, more invites than seats at the same time, and a day during which SES
//! refuses all mail.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Policy, Role};
use futures_util::future::join_all;
use harness::{ApiResponse, Fault, Fixtures, Options, TestTable, World};
use local::stream::StreamPolicy;
use tokio::sync::Barrier;

/// Starts a world whose functions retry for 5 minutes and have no timeouts.
///
/// One machine runs up to 1,000 functions and their DynamoDB, so requests take long.
async fn world_with_seats(seats: u32) -> World {
    let policy = Policy { seats, ..Policy::default() };
    let retry_policy = store::RetryPolicy { budget: Duration::from_mins(5), ..store::RetryPolicy::default() };
    World::with(Options { policy, retry_policy, waits: true, ..Options::default() }).await
}

/// The number of simultaneous calls in a plain `cargo test`.
const CALLS: u32 = 100;

/// The number of simultaneous calls in `.ci/run`. An external DynamoDB is slower, so it gets fewer.
fn calls_in_ci() -> u32 {
    if TestTable::is_external() { 200 } else { 1_000 }
}

/// Runs all calls at the same time, each in its own task. Returns the number of responses by status and code.
async fn run_at_once<AwsRequest>(calls: impl IntoIterator<Item = AwsRequest>) -> BTreeMap<String, u32>
where
    AwsRequest: Future<Output = ApiResponse> + Send + 'static,
{
    let calls: Vec<_> = calls.into_iter().collect();
    let start = Arc::new(Barrier::new(calls.len()));
    let tasks = calls.into_iter().map(|call| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            call.await
        })
    });
    let mut responses = BTreeMap::new();
    for response in join_all(tasks.collect::<Vec<_>>()).await {
        *responses.entry(response.unwrap().status_and_code()).or_default() += 1;
    }
    responses
}

/// Invites users for all free seats of an organization with `seats` seats, and lets them accept at the same time.
async fn accept_all_at_once(world: &World, seats: u32) {
    let mut fixtures = Fixtures::new(Policy { seats, ..Policy::default() }, world.now());
    let acme = fixtures.founds("ada");
    for number in 1..seats {
        fixtures.invites(&acme, "ada", &format!("p{number}"), Role::Member);
    }
    world.load(&fixtures).await;
    let mails = world.laptop().mailbox().items(None);
    assert_eq!(mails.iter().map(|mail| &mail.to).collect::<HashSet<_>>().len(), mails.len());
    let accepts = mails.into_iter().map(|mail| {
        let person = world.person(mail.to.strip_suffix("@example.com").unwrap());
        async move { person.accepts(&mail.token.unwrap()).await }
    });
    drop(world.wire().take_requests());
    assert_eq!(run_at_once(accepts).await, BTreeMap::from([("200".to_owned(), seats - 1)]));
    let operations = world.wire().take_api_operations().into_iter();
    let reads = operations.filter(|operation| operation == "TransactGetItems").count();
    assert_eq!(u32::try_from(reads), Ok(seats - 1), "no guard failed");
    let ada = world.person("ada");
    assert_eq!(ada.counts_seats(&acme).await, (u64::from(seats), 0));
    let members = ada.reads_all(&acme.path("/members"), 1_000).await;
    assert_eq!(u32::try_from(members.len()), Ok(seats));
}

async fn test_accepts(seats: u32) {
    let world = world_with_seats(seats).await;
    accept_all_at_once(&world, seats).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_all_accepts_at_once_succeed_and_fill_the_organization() {
    test_accepts(CALLS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 30 s; run by .ci/run"]
async fn s15_a_thousand_accepts_at_once_succeed_and_fill_the_organization() {
    test_accepts(calls_in_ci()).await;
}

/// All accepts assert the permission of the same sender, so their transactions conflict with each other.
#[tokio::test(flavor = "multi_thread")]
async fn conflicting_accepts_all_succeed_without_a_second_read() {
    let world = world_with_seats(25).await;
    world.wire().simulate_conflicts();
    accept_all_at_once(&world, 25).await;
    world.finish().await;
}

/// Runs `count` invites at the same time, for an organization with `seats` seats. The owner has one of the seats.
async fn invite_at_once(world: &World, count: u32, seats: u32) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invites = (0..count).map(|number| {
        let (ada, acme) = (ada.clone(), acme.clone());
        async move { ada.invites(&acme, &[&format!("p{number}@example.com")], "member").await }
    });
    let responses = run_at_once(invites).await;
    let refused = ("409 seats_exhausted".to_owned(), count + 1 - seats);
    assert_eq!(responses, BTreeMap::from([("200".to_owned(), seats - 1), refused]));
    assert_eq!(ada.counts_seats(&acme).await, (u64::from(seats), 0));
    world.wait_until_idle().await;
    let mails = world.laptop().mailbox().items(None);
    let mailed: HashSet<_> = mails.iter().map(|mail| &mail.to).collect();
    assert_eq!([mails.len(), mailed.len()].map(u32::try_from), [Ok(seats - 1); 2]);
}

async fn test_invites(count: u32, seats: u32) {
    let world = world_with_seats(seats).await;
    invite_at_once(&world, count, seats).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_more_invites_than_seats_fill_every_seat_and_the_others_are_refused() {
    test_invites(CALLS, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 15 s; run by .ci/run"]
async fn s13_a_thousand_invites_fill_a_hundred_seats_and_the_others_are_refused() {
    test_invites(calls_in_ci(), 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conflicting_invites_fill_every_seat_and_the_others_are_refused() {
    let world = world_with_seats(10).await;
    world.wire().simulate_conflicts();
    invite_at_once(&world, 25, 10).await;
    world.finish().await;
}

/// The sending rate of SES for an account that left the sandbox, in mails per second.
const MAILS_A_SECOND: u32 = 14;
const HOUR: u64 = 60 * 60;
/// The number of invitations in each organization.
const INVITATIONS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 30 s; run by .ci/run"]
async fn an_outage_of_ses_for_a_day_delays_every_mail_and_loses_none() {
    // Lambda retries a batch from its first failed record, so the last record is retried for every record before it.
    // Small batches and few attempts keep the test fast.
    let pause_min = Duration::from_millis(1);
    let stream = StreamPolicy { batch_max: 4, attempts_max: 2, pause_min, ..StreamPolicy::default() };
    let world = World::with(Options { stream, ..Options::default() }).await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    let (mut invited, mut organizations) = (Vec::new(), Vec::new());
    for organization in 0..3 {
        let acme = fixtures.founds("ada");
        for number in 0..INVITATIONS {
            let name = format!("p{organization}-{number}");
            fixtures.invites(&acme, "ada", &name, Role::Member);
            invited.push(name);
        }
        organizations.push(acme);
    }
    world.load(&fixtures).await;
    for _ in 0..3 {
        world.advance(8 * HOUR).await;
    }
    assert_eq!(world.laptop().mailbox().items(None).len(), 0);
    assert!(
        world.laptop().dead_letters().unwrap().len() > invited.len(),
        "every mail became a dead letter, and some again after `reconcile`"
    );

    // SES accepts mail again, at its sending rate.
    world.wire().clear_faults();
    let (clock, window) = (world.laptop().clock().clone(), Mutex::new((0, 0)));
    world.wire().inject_fault_if("SendEmail", move |_| {
        let mut window = window.lock().unwrap();
        let second = clock.now_unix();
        *window = if window.0 == second { (second, window.1 + 1) } else { (second, 1) };
        (window.1 > MAILS_A_SECOND).then_some(Fault::Refused("TooManyRequestsException"))
    });
    let mut runs = 0;
    while world.laptop().mailbox().items(None).len() < invited.len() {
        runs += 1;
        assert!(runs <= 20, "reconcile does not requeue the remaining mails");
        world.advance(HOUR / 4).await;
    }
    for name in &invited {
        let email = format!("{name}@example.com");
        assert_eq!(world.laptop().mailbox().items(Some(&email)).len(), 1, "{email}");
    }
    for acme in &organizations {
        let path = acme.path("/invitations?status=pending");
        let pending = world.person("ada").reads_all(&path, 100).await;
        assert_eq!(pending.len(), INVITATIONS);
        for invitation in pending {
            assert_eq!(invitation["delivery"], "sent");
            let [sent_at, expires_at] =
                ["sent_at", "expires_at"].map(|field| harness::timestamp(&invitation[field]));
            assert!(sent_at < expires_at, "{invitation}");
        }
    }
    let last = invited.last().unwrap();
    let token = world.token_for(&format!("{last}@example.com")).await;
    world.person(last).accepts(&token).await.is(200);
    world.finish_with_dead_letters().await;
}
