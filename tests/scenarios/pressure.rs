//! Many at once: every seat accepted in one moment, far more invites than seats, and a day without a mail service.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{Policy, Role};
use futures_util::future::join_all;
use harness::{Answer, Fault, Fixtures, Options, TestTable, World};
use local::stream::Policy as StreamPolicy;
use tokio::sync::Barrier;

/// One machine plays a thousand functions and their DynamoDB: whoever has to wait for it is not given up.
async fn world_with_seats(seats: u32) -> World {
    let policy = Policy { seats, ..Policy::default() };
    let retry_policy = store::RetryPolicy { budget: Duration::from_mins(5), ..store::RetryPolicy::default() };
    World::with(Options { policy, retry_policy, waits: true, ..Options::default() }).await
}

/// Of those who come at once in a newcomer's run.
const MANY: u32 = 100;

/// A thousand where it takes half a minute.
fn very_many() -> u32 {
    if TestTable::is_elsewhere() { 200 } else { 1_000 }
}

/// Lets all begin at the same moment, each on a task of its own; how often each answer was given.
async fn at_once<Act>(acts: impl IntoIterator<Item = Act>) -> BTreeMap<String, u32>
where
    Act: Future<Output = Answer> + Send + 'static,
{
    let acts: Vec<_> = acts.into_iter().collect();
    let start = Arc::new(Barrier::new(acts.len()));
    let tasks = acts.into_iter().map(|act| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            act.await
        })
    });
    let mut told = BTreeMap::new();
    for answer in join_all(tasks.collect::<Vec<_>>()).await {
        *told.entry(answer.unwrap().short()).or_default() += 1;
    }
    told
}

/// `seats` seats, all of them accepted in one moment.
async fn everybody_accepts(world: &World, seats: u32) {
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
    drop(world.wire().take());
    assert_eq!(at_once(accepts).await, BTreeMap::from([("200".to_owned(), seats - 1)]));
    let sent = world.wire().take_actions().into_iter();
    let read = sent.filter(|operation| operation == "TransactGetItems").count();
    assert_eq!(u32::try_from(read), Ok(seats - 1), "nobody's guard has failed");
    let ada = world.person("ada");
    assert_eq!(ada.counts_seats(&acme).await, (u64::from(seats), 0));
    let members = ada.reads_all(&acme.path("/members"), 1_000).await;
    assert_eq!(u32::try_from(members.len()), Ok(seats));
}

async fn accepted_at_once(seats: u32) {
    let world = world_with_seats(seats).await;
    everybody_accepts(&world, seats).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_everybody_accepts_at_once_and_every_seat_is_a_members() {
    accepted_at_once(MANY).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute: .ci/run"]
async fn s15_a_thousand_accept_at_once_and_every_seat_is_a_members() {
    accepted_at_once(very_many()).await;
}

/// All of them rest on what one sender may grant, so that each transaction is in the way of every other one.
#[tokio::test(flavor = "multi_thread")]
async fn accepts_that_are_in_each_others_way_are_all_done_without_a_second_look() {
    let world = world_with_seats(25).await;
    world.wire().conflict();
    everybody_accepts(&world, 25).await;
    world.finish().await;
}

/// `count` invites race for `seats` seats, of which the owner holds one.
async fn everybody_invites(world: &World, count: u32, seats: u32) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invites = (0..count).map(|number| {
        let (ada, acme) = (ada.clone(), acme.clone());
        async move { ada.invites(&acme, &[&format!("p{number}@example.com")], "member").await }
    });
    let told = at_once(invites).await;
    let refused = ("409 seats_exhausted".to_owned(), count + 1 - seats);
    assert_eq!(told, BTreeMap::from([("200".to_owned(), seats - 1), refused]));
    assert_eq!(ada.counts_seats(&acme).await, (u64::from(seats), 0));
    world.idle().await;
    let mails = world.laptop().mailbox().items(None);
    let mailed: HashSet<_> = mails.iter().map(|mail| &mail.to).collect();
    assert_eq!([mails.len(), mailed.len()].map(u32::try_from), [Ok(seats - 1); 2]);
}

async fn invited_at_once(count: u32, seats: u32) {
    let world = world_with_seats(seats).await;
    everybody_invites(&world, count, seats).await;
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s13_far_more_invites_than_seats_fill_every_seat_and_the_rest_are_told_so() {
    invited_at_once(MANY, 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a quarter of a minute: .ci/run"]
async fn s13_a_thousand_invites_fill_a_hundred_seats_and_the_rest_are_told_so() {
    invited_at_once(very_many(), 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invites_that_are_in_each_others_way_fill_every_seat_and_the_rest_are_told_so() {
    let world = world_with_seats(10).await;
    world.wire().conflict();
    everybody_invites(&world, 25, 10).await;
    world.finish().await;
}

/// What SES takes in one second, once an account is out of its sandbox.
const MAILS_A_SECOND: u32 = 14;
const HOUR: u64 = 60 * 60;
/// How many of each organization wait.
const EACH: usize = 40;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes half a minute: .ci/run"]
async fn a_day_without_a_mail_service_delays_every_mail_and_loses_none() {
    // Who starts again at the first failure of a batch, as Lambda does, tries the others of it as often as there are.
    let pause_min = Duration::from_millis(1);
    let stream = StreamPolicy { batch_max: 4, attempts_max: 2, pause_min, ..StreamPolicy::default() };
    let world = World::with(Options { stream, ..Options::default() }).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    let mut fixtures = Fixtures::new(Policy::default(), world.now());
    let (mut invited, mut organizations) = (Vec::new(), Vec::new());
    for organization in 0..3 {
        let acme = fixtures.founds("ada");
        for number in 0..EACH {
            let name = format!("p{organization}-{number}");
            fixtures.invites(&acme, "ada", &name, Role::Member);
            invited.push(name);
        }
        organizations.push(acme);
    }
    world.load(&fixtures).await;
    for _ in 0..3 {
        world.passes(8 * HOUR).await;
    }
    assert_eq!(world.laptop().mailbox().items(None).len(), 0);
    assert!(world.laptop().dead_letters().unwrap().len() > invited.len(), "all are given up, and some again");

    // It is back, and takes so many a second.
    world.wire().clear_faults();
    let (clock, window) = (world.laptop().clock().clone(), Mutex::new((0, 0)));
    world.wire().judge("SendEmail", move |_| {
        let mut window = window.lock().unwrap();
        let second = clock.now_unix();
        *window = if window.0 == second { (second, window.1 + 1) } else { (second, 1) };
        (window.1 > MAILS_A_SECOND).then_some(Fault::Refused("TooManyRequestsException"))
    });
    let mut runs = 0;
    while world.laptop().mailbox().items(None).len() < invited.len() {
        runs += 1;
        assert!(runs <= 20, "reconcile does not drive what is left");
        world.passes(HOUR / 4).await;
    }
    for name in &invited {
        let email = format!("{name}@example.com");
        assert_eq!(world.laptop().mailbox().items(Some(&email)).len(), 1, "{email}");
    }
    for acme in &organizations {
        let path = acme.path("/invitations?status=pending");
        let pending = world.person("ada").reads_all(&path, 100).await;
        assert_eq!(pending.len(), EACH);
        for invitation in pending {
            assert_eq!(invitation["delivery"], "sent");
            let [sent_at, expires_at] =
                ["sent_at", "expires_at"].map(|field| harness::moment(&invitation[field]));
            assert!(sent_at < expires_at, "{invitation}");
        }
    }
    let last = invited.last().unwrap();
    let token = world.token_for(&format!("{last}@example.com")).await;
    world.person(last).accepts(&token).await.is(200);
    world.finish_with_dead_letters().await;
}
