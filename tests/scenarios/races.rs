//! Races for real: calls made at the same moment, on threads of their own, round after round; and then, since
//! a round may happen to run in order, the worst order of each race on purpose.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Limits, Policy, Role};
use futures_util::future::{BoxFuture, join_all};
use harness::{Answer, Fixtures, Options, Organization, Person, World, timer};
use serde_json::{Value, json};
use tokio::sync::Barrier;

/// How often each race is run.
fn often() -> usize {
    17 * usize::try_from(harness::effort()).unwrap()
}

/// One of those who race.
type Racer<T = String> = BoxFuture<'static, T>;

/// Who takes part in a round, in an organization of its own: ada has founded it; bob and carl are its other
/// owners, and ivy is invited, where the race needs them.
#[derive(Clone)]
struct Round {
    acme: Organization,
    ada: Person,
    bob: Person,
    carl: Person,
    ivy: Person,
    email: String,
    invitation: Value,
    token: String,
}

impl Round {
    fn racer<T, F>(&self, act: impl FnOnce(Self) -> F) -> Racer<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Box::pin(act(self.clone()))
    }

    fn tells<F>(&self, act: impl FnOnce(Self) -> F) -> Racer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let act = act(self.clone());
        Box::pin(async move { told(&act.await) })
    }
}

/// Status and code, and what else tells answers apart: each address's outcome, the record's status.
fn told(answer: &Answer) -> String {
    let mut told = answer.short();
    for result in answer.body["results"].as_array().into_iter().flatten() {
        told = format!("{told} {}", result["outcome"].as_str().unwrap_or_default());
    }
    if let Some(status) = answer.body["invitation_status"].as_str() {
        told = format!("{told} {status}");
    }
    told
}

/// What a round needs, besides ada.
#[derive(Clone, Copy, Default)]
struct Needs {
    bob: bool,
    carl: bool,
    /// Who invites ivy, and as what.
    ivy: Option<(&'static str, Role)>,
}

/// `count` rounds, ready to begin.
async fn rounds(world: &World, policy: &Policy, count: usize, needs: Needs) -> Vec<Round> {
    let mut fixtures = Fixtures::new(policy.clone(), world.now());
    // Nobody is mailed more often than the limits allow, so every round has people of its own.
    let tag = fastrand::u32(..);
    let name = |who: &str, round: usize| format!("{who}-{tag}-{round}");
    let mut made = Vec::new();
    for round in 0..count {
        let acme = fixtures.founds("ada");
        let mut invitation = Value::Null;
        if needs.bob {
            fixtures.joins(&acme, "ada", &name("bob", round), Role::Owner);
        }
        if needs.carl {
            fixtures.joins(&acme, "ada", &name("carl", round), Role::Owner);
        }
        if let Some((sender, role)) = needs.ivy {
            let sender = if sender == "bob" { name("bob", round) } else { sender.to_owned() };
            fixtures.invites(&acme, &sender, &name("ivy", round), role);
            invitation = fixtures.invitation(&acme, &name("ivy", round));
        }
        made.push((acme, invitation));
    }
    world.load(&fixtures).await;
    let ada = world.person("ada");
    let mut ready = Vec::new();
    for (round, (acme, invitation)) in made.into_iter().enumerate() {
        let [bob, carl, ivy] = ["bob", "carl", "ivy"].map(|who| world.person(&name(who, round)));
        let email = format!("{}@example.com", ivy.sub);
        let mail = world.laptop().mailbox().items(Some(&email)).pop();
        let token = mail.and_then(|mail| mail.token).unwrap_or_default();
        ready.push(Round { acme, ada: ada.clone(), bob, carl, ivy, email, invitation, token });
    }
    ready
}

/// Makes a racer for a round.
type Make = fn(&Round) -> Racer;

/// Lets all begin at the same moment, each on a task of its own; their answers, in the order given.
async fn at_once<T: Send + 'static>(racers: Vec<Racer<T>>) -> Vec<T> {
    let start = Arc::new(Barrier::new(racers.len()));
    let mut racers: Vec<_> = racers.into_iter().enumerate().collect();
    // Whoever comes to the barrier last is off first.
    fastrand::shuffle(&mut racers);
    let tasks = racers.into_iter().map(|(place, racer)| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            (place, racer.await)
        })
    });
    let answers = join_all(tasks.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap);
    answers.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Lets `slow` go as far as its write, then all of `fast`, then `slow`'s write: it was decided on facts that
/// are no more.
async fn overtaken<T: Send + 'static>(world: &World, slow: Racer<T>, fast: Racer<T>) -> [T; 2] {
    let held = world.wire().hold_action("TransactWriteItems");
    let slow = tokio::spawn(slow);
    held.arrived().await;
    let fast = fast.await;
    held.release();
    [slow.await.unwrap(), fast]
}

/// How often each combination of answers came.
#[derive(Default)]
struct Tally(BTreeMap<Vec<String>, usize>);

impl Tally {
    /// Counts a round's answers.
    fn count(&mut self, answers: Vec<String>) {
        *self.0.entry(answers).or_default() += 1;
    }

    /// Every combination that came is one of these. Which of them came, and how often, is up to chance; it
    /// is printed for whoever wonders.
    #[expect(clippy::print_stdout, reason = "cargo shows it when the test fails, or when asked to")]
    #[track_caller]
    fn is_within(&self, allowed: &[&[&str]]) {
        println!("{:#?}", self.0);
        for answers in self.0.keys() {
            assert!(allowed.iter().any(|allowed| allowed == answers), "{answers:?} in {:#?}", self.0);
        }
        assert!(self.0.values().sum::<usize>() >= often());
    }
}

fn seats(seats: u32) -> Policy {
    Policy { seats, ..Policy::default() }
}

async fn world_with(policy: &Policy) -> World {
    World::with(Options { policy: policy.clone(), ..Options::default() }).await
}

fn invites(round: &Round, by_bob: bool, names: &[&str]) -> Racer<Answer> {
    let tag = fastrand::u64(..);
    let emails: Vec<_> = names.iter().map(|name| format!("{name}-{tag}@example.com")).collect();
    round.racer(|it| async move {
        let emails: Vec<_> = emails.iter().map(String::as_str).collect();
        let sender = if by_bob { &it.bob } else { &it.ada };
        sender.invites(&it.acme, &emails, "member").await
    })
}

fn accepts(round: &Round) -> Racer {
    round.tells(|it| async move { it.ivy.accepts(&it.token).await })
}

fn declines(round: &Round) -> Racer {
    round.tells(|it| async move { it.ivy.declines(&it.token).await })
}

fn id(invitation: &Value) -> &str {
    invitation["id"].as_str().unwrap()
}

fn revokes(round: &Round) -> Racer {
    round.tells(|it| async move { it.ada.revokes(&it.acme, id(&it.invitation)).await })
}

fn resends(round: &Round) -> Racer {
    round.tells(|it| async move { it.ada.resends(&it.acme, id(&it.invitation)).await })
}

/// The schedule fires, for whoever it is asked by: `done`, or `early` if it is to be tried again.
fn expires(world: &World, round: &Round) -> Racer {
    let functions = Arc::clone(world.laptop().functions());
    let timer = timer(&round.acme, &round.invitation);
    Box::pin(async move {
        match functions.invoke("expire", timer).await {
            Ok(_) => "done".to_owned(),
            Err(error) if error.to_string().contains("can be accepted until") => "early".to_owned(),
            Err(error) => panic!("{error}"),
        }
    })
}

/// The second passes in which the invitation can still be accepted.
fn time_passes(world: &World) -> Racer {
    let clock = world.laptop().clock().clone();
    let after = std::time::Duration::from_micros(fastrand::u64(..30_000));
    Box::pin(async move {
        tokio::time::sleep(after).await;
        clock.set_offset(clock.offset() + 1).unwrap();
        String::new()
    })
}

/// It is the last second in which the invitation can be accepted.
fn is_almost_over(world: &World, round: &Round) {
    let expires_at = harness::moment(&round.invitation["expires_at"]);
    let clock = world.laptop().clock();
    clock.set_offset(clock.offset() + expires_at.unix() - 1 - clock.now_unix()).unwrap();
}

/// The invitation's time is over, and whatever follows from that has happened.
async fn is_over(world: &World, round: &Round) {
    let expires_at = harness::moment(&round.invitation["expires_at"]);
    let clock = world.laptop().clock();
    let left = (expires_at.unix() - clock.now_unix()).max(0);
    clock.set_offset(clock.offset() + left).unwrap();
    world.idle().await;
}

async fn status(round: &Round) -> String {
    round.ada.finds(&round.acme, &round.email).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s13_invites_for_the_last_seat_have_one_winner() {
    let policy = seats(3);
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    for round in rounds(&world, &policy, often(), Needs { bob: true, ..Needs::default() }).await {
        let racers =
            ["a", "b", "c", "d"].iter().enumerate().map(|(n, name)| invites(&round, n % 2 == 0, &[name]));
        let answers = at_once(racers.collect()).await;
        for lost in answers.iter().filter(|answer| answer.status != 200) {
            let lost = lost.clone().refused(409, "seats_exhausted");
            assert_eq!(lost["seats"], json!({ "total": 3, "taken": 3, "free": 0 }));
        }
        let mut answers: Vec<_> = answers.iter().map(told).collect();
        answers.sort();
        tally.count(answers);
        assert_eq!(round.ada.counts_seats(&round.acme).await, (3, 0));
    }
    let lost = "409 seats_exhausted";
    tally.is_within(&[&["200 invited", lost, lost, lost]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s13_an_invite_of_two_wins_both_last_seats_or_none() {
    let policy = seats(4);
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    for round in rounds(&world, &policy, often(), Needs { bob: true, ..Needs::default() }).await {
        let racers = vec![
            invites(&round, false, &["a", "b"]),
            invites(&round, true, &["c"]),
            invites(&round, false, &["d"]),
        ];
        tally.count(at_once(racers).await.iter().map(told).collect());
        assert_eq!(round.ada.counts_seats(&round.acme).await, (4, 0));
    }
    let lost = "409 seats_exhausted";
    tally.is_within(&[&["200 invited invited", lost, lost], &[lost, "200 invited", "200 invited"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s26_invites_for_the_last_places_of_a_day_or_an_hour_have_as_many_winners() {
    let limits = [
        Limits { invitees_per_day: 3, ..Limits::default() },
        Limits { mails_per_hour: 3, ..Limits::default() },
    ];
    for (limits, by_bob) in limits.into_iter().zip([true, false]) {
        let policy = Policy { limits: Some(limits), ..Policy::default() };
        let world = world_with(&policy).await;
        let mut tally = Tally::default();
        for round in rounds(&world, &policy, often(), Needs { bob: true, ..Needs::default() }).await {
            let racers = (0..4).map(|n| invites(&round, by_bob && n % 2 == 0, &["a"])).collect();
            let mut answers: Vec<_> = at_once(racers).await.iter().map(told).collect();
            answers.sort();
            tally.count(answers);
            assert_eq!(round.ada.counts_seats(&round.acme).await.0, 5);
        }
        let won = "200 invited";
        tally.is_within(&[&[won, won, won, "429 too_many_invitations"]]);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn invites_of_one_address_make_one_record_one_mail_and_take_one_seat() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    for round in rounds(&world, &policy, often(), Needs { bob: true, ..Needs::default() }).await {
        let by_ada = |it: Round| async move { it.ada.invites(&it.acme, &[&it.email], "member").await };
        let by_bob = |it: Round| async move { it.bob.invites(&it.acme, &[&it.email], "owner").await };
        let racers = vec![round.tells(by_ada), round.tells(by_bob), round.tells(by_ada)];
        let mut answers = at_once(racers).await;
        answers.sort();
        tally.count(answers);
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 3);
        assert_eq!(world.mails_to(&round.email).await.len(), 1);
    }
    tally.is_within(&[&["200 already_invited", "200 already_invited", "200 invited"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s14_accepts_of_one_link_by_one_user_make_one_membership() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for round in rounds(&world, &policy, often(), needs).await {
        let accepts = || round.racer(|it| async move { it.ivy.accepts(&it.token).await });
        let answers = at_once(vec![accepts(), accepts(), accepts()]).await;
        let member = answers[0].clone().is(200);
        for answer in answers {
            assert_eq!(answer.is(200), member);
        }
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s14_one_link_makes_one_member_whoever_holds_the_address() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Owner)), ..Needs::default() };
    for round in rounds(&world, &policy, often(), needs).await {
        let claims = json!({ "email": round.email, "email_verified": true });
        let other = world.signed_in(&format!("other-{}", round.ivy.sub), claims);
        let by_other = round.tells(|it| async move { other.accepts(&it.token).await });
        tally.count(at_once(vec![accepts(&round), by_other]).await);
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
    }
    let lost = "410 invitation_accepted";
    tally.is_within(&[&["200", lost], &[lost, "200"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s14_one_user_joins_once_whatever_addresses_they_have() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for round in rounds(&world, &policy, often(), needs).await {
        let email = format!("also-{}", round.email);
        world.invited(&round.acme, &round.ada, &email, "owner").await;
        let token = world.token_for(&email).await;
        let claims = json!({ "email": email, "email_verified": true });
        let also = world.signed_in(&round.ivy.sub, claims);
        let by_the_other = round.tells(|_| async move { also.accepts(&token).await });
        tally.count(at_once(vec![accepts(&round), by_the_other]).await);
        // The other invitation still waits, and holds its seat.
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 3);
    }
    let lost = "409 already_member";
    tally.is_within(&[&["200", lost], &[lost, "200"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s09_an_invitation_is_accepted_or_revoked_never_both() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for round in rounds(&world, &policy, often(), needs).await {
        let answers = at_once(vec![accepts(&round), revokes(&round)]).await;
        let taken = if answers[0] == "200" { 2 } else { 1 };
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, taken);
        tally.count(answers);
    }
    tally.is_within(&[&["200", "409 invitation_not_pending accepted"], &["410 invitation_revoked", "204"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_a_link_is_accepted_or_superseded_never_both() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    let rounds = rounds(&world, &policy, often(), needs).await;
    // Nobody is mailed twice within a minute.
    world.passes(61).await;
    for round in rounds {
        let answers = at_once(vec![accepts(&round), resends(&round)]).await;
        if answers[1] == "200" {
            round.ivy.accepts(&world.token_for(&round.email).await).await.is(200);
        }
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
        tally.count(answers);
    }
    tally
        .is_within(&[&["200", "409 invitation_not_pending accepted"], &["410 invitation_superseded", "200"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s12_at_the_border_an_invitation_is_accepted_or_expires_never_both() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for _ in 0..often() {
        let round = rounds(&world, &policy, 1, needs).await.remove(0);
        is_almost_over(&world, &round);
        let racers = vec![accepts(&round), expires(&world, &round), time_passes(&world)];
        let mut answers = at_once(racers).await;
        answers.pop();
        is_over(&world, &round).await;
        let (taken, stands) = if answers[0] == "200" { (2, "accepted") } else { (1, "expired") };
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, taken);
        assert_eq!(status(&round).await, stands);
        tally.count(answers);
    }
    let late = "410 invitation_expired";
    tally.is_within(&[&["200", "done"], &["200", "early"], &[late, "done"], &[late, "early"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s16_revoked_declined_and_expired_at_once_gives_the_seat_back_once() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for _ in 0..often() {
        let round = rounds(&world, &policy, 1, needs).await.remove(0);
        is_almost_over(&world, &round);
        let racers = vec![revokes(&round), declines(&round), expires(&world, &round), time_passes(&world)];
        let mut answers = at_once(racers).await;
        answers.pop();
        is_over(&world, &round).await;
        assert_eq!(round.ada.counts_seats(&round.acme).await, (1, 999));
        let stands = match (answers[0].as_str(), answers[1].as_str()) {
            ("204", _) => "revoked",
            (_, "204") => "declined",
            _ => "expired",
        };
        assert_eq!(status(&round).await, stands);
        tally.count(answers);
    }
    let (expired, declined) = ("409 invitation_not_pending expired", "409 invitation_not_pending declined");
    let allowed = [
        ["204", "410 invitation_revoked"],
        ["204", "410 invitation_expired"],
        [declined, "204"],
        [expired, "204"],
        [expired, "410 invitation_expired"],
    ];
    let allowed: Vec<_> = allowed
        .iter()
        .flat_map(|[revoke, decline]| ["done", "early"].map(|it| [*revoke, *decline, it]))
        .collect();
    tally.is_within(&allowed.iter().map(<[&str; 3]>::as_slice).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s16_revoked_and_declined_twice_at_once_gives_the_seat_back_once() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for round in rounds(&world, &policy, often(), needs).await {
        let racers = vec![revokes(&round), declines(&round), revokes(&round), declines(&round)];
        let mut answers = at_once(racers).await;
        answers.sort();
        tally.count(answers);
        assert_eq!(round.ada.counts_seats(&round.acme).await, (1, 999));
    }
    let (declined, revoked) = ("409 invitation_not_pending declined", "409 invitation_not_pending revoked");
    tally.is_within(&[
        &["204", revoked, "410 invitation_revoked", "410 invitation_revoked"],
        &["204", declined, declined, "410 invitation_declined"],
    ]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn at_the_border_a_resent_invitation_holds_one_seat_expired_before_or_not() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut tally = Tally::default();
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    for _ in 0..often() {
        let round = rounds(&world, &policy, 1, needs).await.remove(0);
        is_almost_over(&world, &round);
        let racers = vec![resends(&round), expires(&world, &round), time_passes(&world)];
        let mut answers = at_once(racers).await;
        answers.pop();
        is_over(&world, &round).await;
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
        assert_eq!(status(&round).await, "pending");
        tally.count(answers);
    }
    tally.is_within(&[&["200", "done"], &["200", "early"]]);
    world.finish().await;
}

/// What an owner does that may leave the organization without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Demotes(&'static str),
    Removes(&'static str),
}

impl Deed {
    /// As `who`'s deed.
    fn of(self, who: &'static str, round: &Round) -> Racer {
        round.tells(move |it| async move {
            let person = |name| match name {
                "ada" => &it.ada,
                "bob" => &it.bob,
                _ => &it.carl,
            };
            let who = person(who);
            match self {
                Self::Demotes(whom) => who.edits(&it.acme, &person(whom).sub, "member").await,
                Self::Removes(whom) => who.removes(&it.acme, &person(whom).sub).await,
            }
        })
    }
}

/// Who does what.
type Act = (&'static str, Deed);

/// A way in which two owners can get at each other, or at themselves.
struct Path {
    acts: [Act; 2],
    /// What they are answered if the first one's deed is done first.
    first: [&'static str; 2],
    /// What they are answered if the second one's is.
    second: [&'static str; 2],
}

const fn path(one: Act, other: Act, first: [&'static str; 2], second: [&'static str; 2]) -> Path {
    Path { acts: [one, other], first, second }
}

/// Every such way.
const PATHS: [Path; 8] = {
    use Deed::{Demotes, Removes};
    [
        path(("ada", Demotes("bob")), ("bob", Demotes("ada")), ["200", MEMBER], [MEMBER, "200"]),
        path(("ada", Removes("bob")), ("bob", Removes("ada")), ["204", GONE], [GONE, "204"]),
        path(("ada", Removes("ada")), ("bob", Removes("bob")), ["204", LAST], [LAST, "204"]),
        path(("ada", Demotes("ada")), ("bob", Demotes("bob")), ["200", LAST], [LAST, "200"]),
        path(("ada", Demotes("bob")), ("bob", Removes("bob")), ["200", "204"], [NOBODY, "204"]),
        path(("ada", Demotes("bob")), ("ada", Removes("ada")), ["200", LAST], [GONE, "204"]),
        path(("ada", Demotes("bob")), ("bob", Removes("ada")), ["200", MEMBER], [GONE, "204"]),
        path(("ada", Removes("bob")), ("ada", Demotes("ada")), ["204", LAST], [MEMBER, "200"]),
    ]
};
const MEMBER: &str = "403 owner_required";
const GONE: &str = "404 organization_not_found";
const NOBODY: &str = "404 member_not_found";
const LAST: &str = "409 last_owner";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_two_owners_at_once_leave_one_on_every_path() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { bob: true, ..Needs::default() };
    for Path { acts, first, second } in PATHS {
        let mut tally = Tally::default();
        for round in rounds(&world, &policy, often(), needs).await {
            let racers = acts.iter().map(|(who, deed)| deed.of(who, &round));
            tally.count(at_once(racers.collect()).await);
        }
        tally.is_within(&[&first, &second]);
        assert_eq!(world.records().await.violations(), []);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s08_a_sender_is_demoted_or_removed_before_the_accept_or_after_it() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { bob: true, ivy: Some(("bob", Role::Owner)), ..Needs::default() };
    for (deed, done) in [(Deed::Demotes("bob"), "200"), (Deed::Removes("bob"), "204")] {
        let mut tally = Tally::default();
        for round in rounds(&world, &policy, often(), needs).await {
            let answers = at_once(vec![deed.of("ada", &round), accepts(&round)]).await;
            let stands = if answers[1] == "200" { "accepted" } else { "pending" };
            assert_eq!(status(&round).await, stands);
            tally.count(answers);
        }
        tally.is_within(&[&[done, "200"], &[done, "409 sender_lost_authority"]]);
        assert_eq!(world.records().await.violations(), []);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s08_s09_s10_s17_whoever_is_overtaken_decides_again_on_what_is_true_then() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { bob: true, ivy: Some(("bob", Role::Owner)), ..Needs::default() };
    let demotes_bob: Make = |round| Deed::Demotes("bob").of("ada", round);
    let removes_bob: Make = |round| Deed::Removes("bob").of("ada", round);
    let races: [(Make, Make, [&str; 2]); 12] = [
        (accepts, revokes, ["410 invitation_revoked", "204"]),
        (revokes, accepts, ["409 invitation_not_pending accepted", "200"]),
        (accepts, resends, ["410 invitation_superseded", "200"]),
        (resends, accepts, ["409 invitation_not_pending accepted", "200"]),
        (resends, revokes, ["409 invitation_not_pending revoked", "204"]),
        (accepts, accepts, ["200", "200"]),
        (accepts, declines, ["410 invitation_declined", "204"]),
        (declines, accepts, ["410 invitation_accepted", "200"]),
        (revokes, revokes, ["409 invitation_not_pending revoked", "204"]),
        (declines, revokes, ["410 invitation_revoked", "204"]),
        (accepts, demotes_bob, ["409 sender_lost_authority", "200"]),
        (accepts, removes_bob, ["409 sender_lost_authority", "204"]),
    ];
    let rounds_of_invitations = rounds(&world, &policy, races.len(), needs).await;
    world.passes(61).await;
    for ((slow, fast, expected), round) in races.iter().zip(&rounds_of_invitations) {
        let answers = overtaken(&world, slow(round), fast(round)).await;
        assert_eq!(answers, *expected);
        world.idle().await;
    }
    let needs = Needs { bob: true, ..Needs::default() };
    let rounds_of_owners = rounds(&world, &policy, 2 * PATHS.len(), needs).await;
    for (path, rounds) in PATHS.iter().zip(rounds_of_owners.chunks(2)) {
        let Path { acts: [(one, deed), (other, counter)], first, second } = path;
        let (one, other) = (|round| deed.of(one, round), |round| counter.of(other, round));
        let [slow, fast] = overtaken(&world, one(&rounds[0]), other(&rounds[0])).await;
        assert_eq!([slow, fast], *second, "{:?}", path.acts);
        let [slow, fast] = overtaken(&world, other(&rounds[1]), one(&rounds[1])).await;
        assert_eq!([fast, slow], *first, "{:?}", path.acts);
    }
    world.finish().await;
}

/// There is a third owner, so that nothing but bob's own standing is in the way of what bob does.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s05_s31_whoever_is_demoted_or_removed_meanwhile_does_nothing_any_more() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { bob: true, carl: true, ivy: Some(("ada", Role::Owner)) };
    let demotes_carl: Make = |round| Deed::Demotes("carl").of("bob", round);
    let removes_carl: Make = |round| Deed::Removes("carl").of("bob", round);
    let invites_an_owner: Make = |round| {
        round.tells(|it| async move { it.bob.invites(&it.acme, &["new@example.com"], "owner").await })
    };
    let resends_to_ivy: Make =
        |round| round.tells(|it| async move { it.bob.resends(&it.acme, id(&it.invitation)).await });
    let revokes_ivys: Make =
        |round| round.tells(|it| async move { it.bob.revokes(&it.acme, id(&it.invitation)).await });
    let ungrantable = "403 role_not_grantable";
    let acts: [(Make, &str); 5] = [
        (demotes_carl, MEMBER),
        (removes_carl, MEMBER),
        (invites_an_owner, ungrantable),
        (resends_to_ivy, ungrantable),
        (revokes_ivys, ungrantable),
    ];
    let rounds = rounds(&world, &policy, 2 * acts.len(), needs).await;
    world.passes(61).await;
    for ((act, demoted), rounds) in acts.into_iter().zip(rounds.chunks(2)) {
        let demotes = Deed::Demotes("bob").of("ada", &rounds[0]);
        assert_eq!(overtaken(&world, act(&rounds[0]), demotes).await, [demoted, "200"]);
        let removes = Deed::Removes("bob").of("ada", &rounds[1]);
        assert_eq!(overtaken(&world, act(&rounds[1]), removes).await, [GONE, "204"]);
        for round in rounds {
            assert_eq!(status(round).await, "pending");
            let owners = round.ada.lists_members(&round.acme, "?role=owner").await.items();
            assert_eq!(owners.len(), 2, "ada and carl");
        }
    }
    world.finish().await;
}

/// The count of owners alone would let all of this pass: there are enough.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_whoever_goes_or_changes_is_counted_by_the_role_they_have_then() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { bob: true, carl: true, ..Needs::default() };
    let edits = |round: &Round, role: &'static str| {
        round.tells(move |it| async move { it.ada.edits(&it.acme, &it.bob.sub, role).await })
    };
    let goes = |round: &Round| Deed::Removes("bob").of("ada", round);
    let leaves = |round: &Round| Deed::Removes("bob").of("bob", round);
    let rounds = rounds(&world, &policy, 8, needs).await;
    for (rounds, (was, becomes)) in rounds.chunks(4).zip([("owner", "member"), ("member", "owner")]) {
        for round in rounds {
            assert_eq!(edits(round, was).await, "200");
        }
        let changes = |round| edits(round, becomes);
        let [removed, left, edited, gone] = rounds else { panic!("four rounds each") };
        assert_eq!(overtaken(&world, goes(removed), changes(removed)).await, ["204", "200"]);
        assert_eq!(overtaken(&world, leaves(left), changes(left)).await, ["204", "200"]);
        assert_eq!(overtaken(&world, changes(edited), changes(edited)).await, ["200", "200"]);
        assert_eq!(overtaken(&world, changes(gone), goes(gone)).await, [NOBODY, "204"]);
        assert_eq!(world.records().await.violations(), [], "from {was} to {becomes}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s13_an_overtaken_invite_finds_the_seat_or_the_address_taken() {
    let policy = seats(2);
    let world = world_with(&policy).await;
    let [seat, address] = rounds(&world, &policy, 2, Needs::default()).await.try_into().ok().unwrap();
    let [slow, fast] = overtaken(&world, invites(&seat, false, &["a"]), invites(&seat, false, &["b"])).await;
    slow.refused(409, "seats_exhausted");
    fast.is(200);
    let invites =
        || address.tells(|it| async move { it.ada.invites(&it.acme, &[&it.email], "member").await });
    assert_eq!(overtaken(&world, invites(), invites()).await, ["200 already_invited", "200 invited"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_overtaken_expiry_closes_nothing_that_is_not_due() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let needs = Needs { ivy: Some(("ada", Role::Member)), ..Needs::default() };
    let [resent, anew, closed] = rounds(&world, &policy, 3, needs).await.try_into().ok().unwrap();
    for round in [&resent, &anew, &closed] {
        world.loses_schedule(&round.acme, &round.invitation).await;
    }
    world.passes(48 * 60 * 60).await;
    let late = |round: &Round, fast: Racer| {
        let (held, expires) = (world.wire().hold_work("TransactWriteItems"), expires(&world, round));
        async move {
            let slow = tokio::spawn(expires);
            held.arrived().await;
            let fast = fast.await;
            held.release();
            [slow.await.unwrap(), fast]
        }
    };
    assert_eq!(late(&resent, resends(&resent)).await, ["done", "200"]);
    world.idle().await;
    let invites = anew.tells(|it| async move { it.ada.invites(&it.acme, &[&it.email], "owner").await });
    assert_eq!(late(&anew, invites).await, ["done", "200 invited"]);
    world.idle().await;
    for round in [&resent, &anew] {
        assert_eq!(status(round).await, "pending");
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
    }
    assert_eq!(late(&closed, expires(&world, &closed)).await, ["done", "done"]);
    assert_eq!(closed.ada.counts_seats(&closed.acme).await.0, 1);
    world.finish().await;
}
