//! Races between calls.
//!
//! Most tests run calls at the same time on several threads, in many rounds. By chance, the calls of a round can still
//! run one after another. So further tests hold back a write, which forces the worst order of each race.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Limits, Policy, Role};
use futures_util::future::{BoxFuture, join_all};
use harness::{ApiResponse, Fixtures, Options, Organization, Person, World, timer};
use serde_json::{Value, json};
use tokio::sync::Barrier;

/// The number of rounds of each race.
fn rounds_per_race() -> usize {
    17 * usize::try_from(harness::effort()).unwrap()
}

/// A call that is ready to run.
type AwsRequest<T = String> = BoxFuture<'static, T>;

/// One round of a race, with its own organization and users. Ada is the founder.
///
/// Depending on the [`Setup`], Bob and Carl are owners as well, and Ivy is invited.
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
    /// Returns a call that `act` makes in this round.
    fn call<T, F>(&self, act: impl FnOnce(Self) -> F) -> AwsRequest<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        Box::pin(act(self.clone()))
    }

    /// Returns a call that `act` makes in this round. Its result is the [`summary`] of the response.
    fn summarized<F>(&self, act: impl FnOnce(Self) -> F) -> AwsRequest
    where
        F: Future<Output = ApiResponse> + Send + 'static,
    {
        let act = act(self.clone());
        Box::pin(async move { summary(&act.await) })
    }
}

/// Returns the status and code of a response, the outcome of each address and the status of the invitation.
fn summary(response: &ApiResponse) -> String {
    let mut summary = response.status_and_code();
    for result in response.body["results"].as_array().into_iter().flatten() {
        summary = format!("{summary} {}", result["outcome"].as_str().unwrap_or_default());
    }
    if let Some(status) = response.body["invitation_status"].as_str() {
        summary = format!("{summary} {status}");
    }
    summary
}

/// The users of a round besides Ada.
#[derive(Clone, Copy, Default)]
struct Setup {
    bob: bool,
    carl: bool,
    /// The sender of Ivy's invitation, and its role.
    ivy: Option<(&'static str, Role)>,
}

/// Prepares `count` rounds.
async fn rounds(world: &World, policy: &Policy, count: usize, setup: Setup) -> Vec<Round> {
    let mut fixtures = Fixtures::new(policy.clone(), world.now());
    // Each round has its own recipients, so that no limit on mails is reached.
    let tag = fastrand::u32(..);
    let name = |user: &str, round: usize| format!("{user}-{tag}-{round}");
    let mut created = Vec::new();
    for round in 0..count {
        let acme = fixtures.founds("ada");
        let mut invitation = Value::Null;
        if setup.bob {
            fixtures.joins(&acme, "ada", &name("bob", round), Role::Owner);
        }
        if setup.carl {
            fixtures.joins(&acme, "ada", &name("carl", round), Role::Owner);
        }
        if let Some((sender, role)) = setup.ivy {
            let sender = if sender == "bob" { name("bob", round) } else { sender.to_owned() };
            fixtures.invites(&acme, &sender, &name("ivy", round), role);
            invitation = fixtures.invitation(&acme, &name("ivy", round));
        }
        created.push((acme, invitation));
    }
    world.load(&fixtures).await;
    let ada = world.person("ada");
    let mut ready = Vec::new();
    for (round, (acme, invitation)) in created.into_iter().enumerate() {
        let [bob, carl, ivy] = ["bob", "carl", "ivy"].map(|user| world.person(&name(user, round)));
        let email = format!("{}@example.com", ivy.sub);
        let mail = world.laptop().mailbox().items(Some(&email)).pop();
        let token = mail.and_then(|mail| mail.token).unwrap_or_default();
        ready.push(Round { acme, ada: ada.clone(), bob, carl, ivy, email, invitation, token });
    }
    ready
}

/// Makes a call for a round.
type MakeCall = fn(&Round) -> AwsRequest;

/// Runs all calls at the same time, each in its own task. Returns their results in the order of `calls`.
async fn run_at_once<T: Send + 'static>(calls: Vec<AwsRequest<T>>) -> Vec<T> {
    let start = Arc::new(Barrier::new(calls.len()));
    let mut calls: Vec<_> = calls.into_iter().enumerate().collect();
    // The call that arrives at the barrier last starts first, so the order must be random.
    fastrand::shuffle(&mut calls);
    let tasks = calls.into_iter().map(|(index, call)| {
        let start = Arc::clone(&start);
        tokio::spawn(async move {
            start.wait().await;
            (index, call.await)
        })
    });
    let results = join_all(tasks.collect::<Vec<_>>()).await.into_iter().map(Result::unwrap);
    results.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// Runs `slow` up to its write, then all of `fast`, then the write of `slow`, which was decided on an old snapshot.
async fn run_overtaken<T: Send + 'static>(world: &World, slow: AwsRequest<T>, fast: AwsRequest<T>) -> [T; 2] {
    let held = world.wire().hold_api_request("TransactWriteItems");
    let slow = tokio::spawn(slow);
    held.arrived().await;
    let fast = fast.await;
    held.release();
    [slow.await.unwrap(), fast]
}

/// Counts how often each combination of responses occurred.
#[derive(Default)]
struct ResponseCounts(BTreeMap<Vec<String>, usize>);

impl ResponseCounts {
    /// Adds the responses of one round.
    fn add(&mut self, responses: Vec<String>) {
        *self.0.entry(responses).or_default() += 1;
    }

    /// Asserts that only these combinations occurred, and prints the counts. Chance decides which combinations occur.
    #[expect(
        clippy::print_stdout,
        reason = "cargo shows the output if the test fails, and with `--nocapture`"
    )]
    #[track_caller]
    fn assert_allowed(&self, allowed: &[&[&str]]) {
        println!("{:#?}", self.0);
        for responses in self.0.keys() {
            assert!(allowed.iter().any(|allowed| allowed == responses), "{responses:?} in {:#?}", self.0);
        }
        assert!(self.0.values().sum::<usize>() >= rounds_per_race());
    }
}

fn seats(seats: u32) -> Policy {
    Policy { seats, ..Policy::default() }
}

async fn world_with(policy: &Policy) -> World {
    World::with(Options { policy: policy.clone(), ..Options::default() }).await
}

fn invites(round: &Round, by_bob: bool, names: &[&str]) -> AwsRequest<ApiResponse> {
    let tag = fastrand::u64(..);
    let emails: Vec<_> = names.iter().map(|name| format!("{name}-{tag}@example.com")).collect();
    round.call(|it| async move {
        let emails: Vec<_> = emails.iter().map(String::as_str).collect();
        let sender = if by_bob { &it.bob } else { &it.ada };
        sender.invites(&it.acme, &emails, "member").await
    })
}

fn accepts(round: &Round) -> AwsRequest {
    round.summarized(|it| async move { it.ivy.accepts(&it.token).await })
}

fn declines(round: &Round) -> AwsRequest {
    round.summarized(|it| async move { it.ivy.declines(&it.token).await })
}

fn id(invitation: &Value) -> &str {
    invitation["id"].as_str().unwrap()
}

fn revokes(round: &Round) -> AwsRequest {
    round.summarized(|it| async move { it.ada.revokes(&it.acme, id(&it.invitation)).await })
}

fn resends(round: &Round) -> AwsRequest {
    round.summarized(|it| async move { it.ada.resends(&it.acme, id(&it.invitation)).await })
}

/// The schedule fires. The result is `done`, or `early` if `expire` must be retried.
fn expires(world: &World, round: &Round) -> AwsRequest {
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

/// The clock advances by one second, after a random delay of up to 30 ms.
fn advances_clock(world: &World) -> AwsRequest {
    let clock = world.laptop().clock().clone();
    let after = std::time::Duration::from_micros(fastrand::u64(..30_000));
    Box::pin(async move {
        tokio::time::sleep(after).await;
        clock.set_offset(clock.offset() + 1).unwrap();
        String::new()
    })
}

/// Sets the clock to the last second in which the invitation can be accepted.
fn set_clock_to_last_second(world: &World, round: &Round) {
    let expires_at = harness::timestamp(&round.invitation["expires_at"]);
    let clock = world.laptop().clock();
    clock.set_offset(clock.offset() + expires_at.unix() - 1 - clock.now_unix()).unwrap();
}

/// Sets the clock to a minute after the invitation's expiry, when its schedule has fired, and waits until the expiry is
/// processed.
async fn wait_for_expiry(world: &World, round: &Round) {
    let expires_at = harness::timestamp(&round.invitation["expires_at"]);
    let clock = world.laptop().clock();
    clock.set_offset(clock.offset() + expires_at.unix() + 60 - clock.now_unix()).unwrap();
    world.wait_until_idle().await;
}

async fn status(round: &Round) -> String {
    round.ada.finds_invitation(&round.acme, &round.email).await["status"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s13_one_of_the_invites_for_the_last_seat_succeeds() {
    let policy = seats(3);
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    for round in rounds(&world, &policy, rounds_per_race(), Setup { bob: true, ..Setup::default() }).await {
        let calls =
            ["a", "b", "c", "d"].iter().enumerate().map(|(n, name)| invites(&round, n % 2 == 0, &[name]));
        let responses = run_at_once(calls.collect()).await;
        for refused in responses.iter().filter(|response| response.status != 200) {
            let problem = refused.clone().refused(409, "seats_exhausted");
            assert_eq!(problem["seats"], json!({ "total": 3, "taken": 3, "free": 0 }));
        }
        let mut responses: Vec<_> = responses.iter().map(summary).collect();
        responses.sort();
        counts.add(responses);
        assert_eq!(round.ada.counts_seats(&round.acme).await, (3, 0));
    }
    let refused = "409 seats_exhausted";
    counts.assert_allowed(&[&["200 invited", refused, refused, refused]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s13_an_invite_of_two_takes_both_last_seats_or_none() {
    let policy = seats(4);
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    for round in rounds(&world, &policy, rounds_per_race(), Setup { bob: true, ..Setup::default() }).await {
        let calls = vec![
            invites(&round, false, &["a", "b"]),
            invites(&round, true, &["c"]),
            invites(&round, false, &["d"]),
        ];
        counts.add(run_at_once(calls).await.iter().map(summary).collect());
        assert_eq!(round.ada.counts_seats(&round.acme).await, (4, 0));
    }
    let refused = "409 seats_exhausted";
    counts.assert_allowed(&[
        &["200 invited invited", refused, refused],
        &[refused, "200 invited", "200 invited"],
    ]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s26_concurrent_invites_do_not_exceed_the_limits_per_day_or_hour() {
    let limits = [
        Limits { invitees_per_day: 3, ..Limits::default() },
        Limits { mails_per_hour: 3, ..Limits::default() },
    ];
    for (limits, by_bob) in limits.into_iter().zip([true, false]) {
        let policy = Policy { limits: Some(limits), ..Policy::default() };
        let world = world_with(&policy).await;
        let mut counts = ResponseCounts::default();
        for round in rounds(&world, &policy, rounds_per_race(), Setup { bob: true, ..Setup::default() }).await
        {
            let calls = (0..4).map(|n| invites(&round, by_bob && n % 2 == 0, &["a"])).collect();
            let mut responses: Vec<_> = run_at_once(calls).await.iter().map(summary).collect();
            responses.sort();
            counts.add(responses);
            assert_eq!(round.ada.counts_seats(&round.acme).await.0, 5);
        }
        let invited = "200 invited";
        counts.assert_allowed(&[&[invited, invited, invited, "429 too_many_invitations"]]);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_invites_of_one_address_create_one_record_and_mail_and_take_one_seat() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    for round in rounds(&world, &policy, rounds_per_race(), Setup { bob: true, ..Setup::default() }).await {
        let by_ada = |it: Round| async move { it.ada.invites(&it.acme, &[&it.email], "member").await };
        let by_bob = |it: Round| async move { it.bob.invites(&it.acme, &[&it.email], "owner").await };
        let calls = vec![round.summarized(by_ada), round.summarized(by_bob), round.summarized(by_ada)];
        let mut responses = run_at_once(calls).await;
        responses.sort();
        counts.add(responses);
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 3);
        assert_eq!(world.mails_to(&round.email).await.len(), 1);
    }
    counts.assert_allowed(&[&["200 already_invited", "200 already_invited", "200 invited"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s14_concurrent_accepts_by_one_user_create_one_membership() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for round in rounds(&world, &policy, rounds_per_race(), setup).await {
        let accepts = || round.call(|it| async move { it.ivy.accepts(&it.token).await });
        let responses = run_at_once(vec![accepts(), accepts(), accepts()]).await;
        let member = responses[0].clone().is(200);
        for response in responses {
            assert_eq!(response.is(200), member);
        }
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s14_concurrent_accepts_by_two_users_of_one_address_create_one_member() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Owner)), ..Setup::default() };
    for round in rounds(&world, &policy, rounds_per_race(), setup).await {
        let claims = json!({ "email": round.email, "email_verified": true });
        let other = world.signed_in(&format!("other-{}", round.ivy.sub), claims);
        let by_other = round.summarized(|it| async move { other.accepts(&it.token).await });
        counts.add(run_at_once(vec![accepts(&round), by_other]).await);
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
    }
    let refused = "410 invitation_accepted";
    counts.assert_allowed(&[&["200", refused], &[refused, "200"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s14_a_user_who_accepts_for_two_addresses_at_once_joins_once() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for round in rounds(&world, &policy, rounds_per_race(), setup).await {
        let email = format!("also-{}", round.email);
        world.invited(&round.acme, &round.ada, &email, "owner").await;
        let token = world.token_for(&email).await;
        let claims = json!({ "email": email, "email_verified": true });
        let other = world.signed_in(&round.ivy.sub, claims);
        let by_other = round.summarized(|_| async move { other.accepts(&token).await });
        counts.add(run_at_once(vec![accepts(&round), by_other]).await);
        // The second invitation is closed, and its seat is free again.
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
        let declined = round.ada.lists_invitations(&round.acme, "?status=declined").await.items();
        assert_eq!(declined.len(), 1);
    }
    counts.assert_allowed(&[&["200", "200"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s09_an_invitation_is_accepted_or_revoked_but_not_both() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for round in rounds(&world, &policy, rounds_per_race(), setup).await {
        let responses = run_at_once(vec![accepts(&round), revokes(&round)]).await;
        let taken = if responses[0] == "200" { 2 } else { 1 };
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, taken);
        counts.add(responses);
    }
    counts.assert_allowed(&[
        &["200", "409 invitation_not_pending accepted"],
        &["410 invitation_revoked", "204"],
    ]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s10_a_link_is_accepted_or_superseded_but_not_both() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    let rounds = rounds(&world, &policy, rounds_per_race(), setup).await;
    // An address gets at most one mail per minute.
    world.advance(61).await;
    for round in rounds {
        let responses = run_at_once(vec![accepts(&round), resends(&round)]).await;
        if responses[1] == "200" {
            round.ivy.accepts(&world.token_for(&round.email).await).await.is(200);
        }
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
        counts.add(responses);
    }
    counts.assert_allowed(&[
        &["200", "409 invitation_not_pending accepted"],
        &["410 invitation_superseded", "200"],
    ]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s12_at_its_expiry_an_invitation_is_accepted_or_expires_but_not_both() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for _ in 0..rounds_per_race() {
        let round = rounds(&world, &policy, 1, setup).await.remove(0);
        set_clock_to_last_second(&world, &round);
        let calls = vec![accepts(&round), expires(&world, &round), advances_clock(&world)];
        let mut responses = run_at_once(calls).await;
        responses.pop();
        wait_for_expiry(&world, &round).await;
        let (taken, expected) = if responses[0] == "200" { (2, "accepted") } else { (1, "expired") };
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, taken);
        assert_eq!(status(&round).await, expected);
        counts.add(responses);
    }
    let refused = "410 invitation_expired";
    counts.assert_allowed(&[&["200", "done"], &["200", "early"], &[refused, "done"], &[refused, "early"]]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s16_revoke_decline_and_expiry_at_once_return_the_seat_once() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for _ in 0..rounds_per_race() {
        let round = rounds(&world, &policy, 1, setup).await.remove(0);
        set_clock_to_last_second(&world, &round);
        let calls = vec![revokes(&round), declines(&round), expires(&world, &round), advances_clock(&world)];
        let mut responses = run_at_once(calls).await;
        responses.pop();
        wait_for_expiry(&world, &round).await;
        assert_eq!(round.ada.counts_seats(&round.acme).await, (1, 999));
        let expected = match (responses[0].as_str(), responses[1].as_str()) {
            ("204", _) => "revoked",
            (_, "204") => "declined",
            _ => "expired",
        };
        assert_eq!(status(&round).await, expected);
        counts.add(responses);
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
    counts.assert_allowed(&allowed.iter().map(<[&str; 3]>::as_slice).collect::<Vec<_>>());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s16_two_revokes_and_two_declines_at_once_return_the_seat_once() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for round in rounds(&world, &policy, rounds_per_race(), setup).await {
        let calls = vec![revokes(&round), declines(&round), revokes(&round), declines(&round)];
        let mut responses = run_at_once(calls).await;
        responses.sort();
        counts.add(responses);
        assert_eq!(round.ada.counts_seats(&round.acme).await, (1, 999));
    }
    let (declined, revoked) = ("409 invitation_not_pending declined", "409 invitation_not_pending revoked");
    counts.assert_allowed(&[
        &["204", revoked, "410 invitation_revoked", "410 invitation_revoked"],
        &["204", declined, declined, "410 invitation_declined"],
    ]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_resend_at_the_expiry_leaves_one_pending_invitation_with_one_seat() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let mut counts = ResponseCounts::default();
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    for _ in 0..rounds_per_race() {
        let round = rounds(&world, &policy, 1, setup).await.remove(0);
        set_clock_to_last_second(&world, &round);
        let calls = vec![resends(&round), expires(&world, &round), advances_clock(&world)];
        let mut responses = run_at_once(calls).await;
        responses.pop();
        wait_for_expiry(&world, &round).await;
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
        assert_eq!(status(&round).await, "pending");
        counts.add(responses);
    }
    counts.assert_allowed(&[&["200", "done"], &["200", "early"]]);
    world.finish().await;
}

/// An operation that can remove an organization's last owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Demote(&'static str),
    Remove(&'static str),
}

impl Operation {
    /// Returns the call in which `caller` does the operation.
    fn by(self, caller: &'static str, round: &Round) -> AwsRequest {
        round.summarized(move |it| async move {
            let person = |name| match name {
                "ada" => &it.ada,
                "bob" => &it.bob,
                _ => &it.carl,
            };
            let caller = person(caller);
            match self {
                Self::Demote(user) => caller.edits_role(&it.acme, &person(user).sub, "member").await,
                Self::Remove(user) => caller.removes(&it.acme, &person(user).sub).await,
            }
        })
    }
}

/// A caller and an operation.
type OperationBy = (&'static str, Operation);

/// Two operations of the only owners, Ada and Bob, on each other or on themselves.
struct OwnerRace {
    operations: [OperationBy; 2],
    /// The responses if the first operation commits first.
    first: [&'static str; 2],
    /// The responses if the second operation commits first.
    second: [&'static str; 2],
}

/// Returns an [`OwnerRace`], for a compact table.
const fn race(
    one: OperationBy,
    other: OperationBy,
    first: [&'static str; 2],
    second: [&'static str; 2],
) -> OwnerRace {
    OwnerRace { operations: [one, other], first, second }
}

/// All races that could leave the organization without an owner.
const OWNER_RACES: [OwnerRace; 8] = {
    use Operation::{Demote, Remove};
    [
        race(
            ("ada", Demote("bob")),
            ("bob", Demote("ada")),
            ["200", OWNER_REQUIRED],
            [OWNER_REQUIRED, "200"],
        ),
        race(
            ("ada", Remove("bob")),
            ("bob", Remove("ada")),
            ["204", ORGANIZATION_NOT_FOUND],
            [ORGANIZATION_NOT_FOUND, "204"],
        ),
        race(("ada", Remove("ada")), ("bob", Remove("bob")), ["204", LAST_OWNER], [LAST_OWNER, "204"]),
        race(("ada", Demote("ada")), ("bob", Demote("bob")), ["200", LAST_OWNER], [LAST_OWNER, "200"]),
        race(("ada", Demote("bob")), ("bob", Remove("bob")), ["200", "204"], [MEMBER_NOT_FOUND, "204"]),
        race(
            ("ada", Demote("bob")),
            ("ada", Remove("ada")),
            ["200", LAST_OWNER],
            [ORGANIZATION_NOT_FOUND, "204"],
        ),
        race(
            ("ada", Demote("bob")),
            ("bob", Remove("ada")),
            ["200", OWNER_REQUIRED],
            [ORGANIZATION_NOT_FOUND, "204"],
        ),
        race(("ada", Remove("bob")), ("ada", Demote("ada")), ["204", LAST_OWNER], [OWNER_REQUIRED, "200"]),
    ]
};
const OWNER_REQUIRED: &str = "403 owner_required";
const ORGANIZATION_NOT_FOUND: &str = "404 organization_not_found";
const MEMBER_NOT_FOUND: &str = "404 member_not_found";
const LAST_OWNER: &str = "409 last_owner";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_one_owner_stays_in_every_race_of_two_owners() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { bob: true, ..Setup::default() };
    for OwnerRace { operations, first, second } in OWNER_RACES {
        let mut counts = ResponseCounts::default();
        for round in rounds(&world, &policy, rounds_per_race(), setup).await {
            let calls = operations.iter().map(|(caller, operation)| operation.by(caller, &round));
            counts.add(run_at_once(calls.collect()).await);
        }
        counts.assert_allowed(&[&first, &second]);
        assert_eq!(world.records().await.violations(), []);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s08_an_accept_succeeds_only_before_the_demotion_or_removal_of_its_sender() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { bob: true, ivy: Some(("bob", Role::Owner)), ..Setup::default() };
    for (operation, success) in [(Operation::Demote("bob"), "200"), (Operation::Remove("bob"), "204")] {
        let mut counts = ResponseCounts::default();
        for round in rounds(&world, &policy, rounds_per_race(), setup).await {
            let responses = run_at_once(vec![operation.by("ada", &round), accepts(&round)]).await;
            let expected = if responses[1] == "200" { "accepted" } else { "pending" };
            assert_eq!(status(&round).await, expected);
            counts.add(responses);
        }
        counts.assert_allowed(&[&[success, "200"], &[success, "409 sender_lost_authority"]]);
        assert_eq!(world.records().await.violations(), []);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s08_s09_s10_s17_an_overtaken_call_decides_again_on_the_new_state() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { bob: true, ivy: Some(("bob", Role::Owner)), ..Setup::default() };
    let demotes_bob: MakeCall = |round| Operation::Demote("bob").by("ada", round);
    let removes_bob: MakeCall = |round| Operation::Remove("bob").by("ada", round);
    let races: [(MakeCall, MakeCall, [&str; 2]); 12] = [
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
    let rounds_of_invitations = rounds(&world, &policy, races.len(), setup).await;
    world.advance(61).await;
    for ((slow, fast, expected), round) in races.iter().zip(&rounds_of_invitations) {
        let responses = run_overtaken(&world, slow(round), fast(round)).await;
        assert_eq!(responses, *expected);
        world.wait_until_idle().await;
    }
    let setup = Setup { bob: true, ..Setup::default() };
    let rounds_of_owners = rounds(&world, &policy, 2 * OWNER_RACES.len(), setup).await;
    for (race, rounds) in OWNER_RACES.iter().zip(rounds_of_owners.chunks(2)) {
        let OwnerRace { operations: [(first_caller, one), (second_caller, other)], first, second } = race;
        let (one, other) = (|round| one.by(first_caller, round), |round| other.by(second_caller, round));
        let [slow, fast] = run_overtaken(&world, one(&rounds[0]), other(&rounds[0])).await;
        assert_eq!([slow, fast], *second, "{:?}", race.operations);
        let [slow, fast] = run_overtaken(&world, other(&rounds[1]), one(&rounds[1])).await;
        assert_eq!([fast, slow], *first, "{:?}", race.operations);
    }
    world.finish().await;
}

/// Carl is a third owner, so that Bob's operations are refused only because Bob was demoted or removed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s05_s31_a_caller_who_is_demoted_or_removed_meanwhile_is_refused() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { bob: true, carl: true, ivy: Some(("ada", Role::Owner)) };
    let demotes_carl: MakeCall = |round| Operation::Demote("carl").by("bob", round);
    let removes_carl: MakeCall = |round| Operation::Remove("carl").by("bob", round);
    let invites_an_owner: MakeCall = |round| {
        round.summarized(|it| async move { it.bob.invites(&it.acme, &["new@example.com"], "owner").await })
    };
    let resends_to_ivy: MakeCall =
        |round| round.summarized(|it| async move { it.bob.resends(&it.acme, id(&it.invitation)).await });
    let revokes_ivys: MakeCall =
        |round| round.summarized(|it| async move { it.bob.revokes(&it.acme, id(&it.invitation)).await });
    let not_grantable = "403 role_not_grantable";
    let calls: [(MakeCall, &str); 5] = [
        (demotes_carl, OWNER_REQUIRED),
        (removes_carl, OWNER_REQUIRED),
        (invites_an_owner, not_grantable),
        (resends_to_ivy, not_grantable),
        (revokes_ivys, not_grantable),
    ];
    let rounds = rounds(&world, &policy, 2 * calls.len(), setup).await;
    world.advance(61).await;
    for ((call, if_demoted), rounds) in calls.into_iter().zip(rounds.chunks(2)) {
        let demotes = Operation::Demote("bob").by("ada", &rounds[0]);
        assert_eq!(run_overtaken(&world, call(&rounds[0]), demotes).await, [if_demoted, "200"]);
        let removes = Operation::Remove("bob").by("ada", &rounds[1]);
        assert_eq!(run_overtaken(&world, call(&rounds[1]), removes).await, [ORGANIZATION_NOT_FOUND, "204"]);
        for round in rounds {
            assert_eq!(status(round).await, "pending");
            let owners = round.ada.lists_members(&round.acme, "?role=owner").await.items();
            assert_eq!(owners.len(), 2, "ada and carl");
        }
    }
    world.finish().await;
}

/// There are three owners, so the guard on the number of owners always holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s17_the_owner_count_uses_the_role_at_the_commit() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { bob: true, carl: true, ..Setup::default() };
    let edits = |round: &Round, role: &'static str| {
        round.summarized(move |it| async move { it.ada.edits_role(&it.acme, &it.bob.sub, role).await })
    };
    let removes_bob = |round: &Round| Operation::Remove("bob").by("ada", round);
    let leaves = |round: &Round| Operation::Remove("bob").by("bob", round);
    let rounds = rounds(&world, &policy, 8, setup).await;
    for (rounds, (was, becomes)) in rounds.chunks(4).zip([("owner", "member"), ("member", "owner")]) {
        for round in rounds {
            assert_eq!(edits(round, was).await, "200");
        }
        let changes = |round| edits(round, becomes);
        let [removed, left, edited, removed_first] = rounds else { panic!("four rounds per change") };
        assert_eq!(run_overtaken(&world, removes_bob(removed), changes(removed)).await, ["204", "200"]);
        assert_eq!(run_overtaken(&world, leaves(left), changes(left)).await, ["204", "200"]);
        assert_eq!(run_overtaken(&world, changes(edited), changes(edited)).await, ["200", "200"]);
        assert_eq!(
            run_overtaken(&world, changes(removed_first), removes_bob(removed_first)).await,
            [MEMBER_NOT_FOUND, "204"]
        );
        assert_eq!(world.records().await.violations(), [], "from {was} to {becomes}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s13_an_overtaken_invite_does_not_exceed_seats_or_duplicate_an_invitation() {
    let policy = seats(2);
    let world = world_with(&policy).await;
    let [seat, address] = rounds(&world, &policy, 2, Setup::default()).await.try_into().ok().unwrap();
    let [slow, fast] =
        run_overtaken(&world, invites(&seat, false, &["a"]), invites(&seat, false, &["b"])).await;
    slow.refused(409, "seats_exhausted");
    fast.is(200);
    let invites =
        || address.summarized(|it| async move { it.ada.invites(&it.acme, &[&it.email], "member").await });
    assert_eq!(run_overtaken(&world, invites(), invites()).await, ["200 already_invited", "200 invited"]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_overtaken_expiry_does_not_close_a_resent_or_new_invitation() {
    let policy = Policy::default();
    let world = world_with(&policy).await;
    let setup = Setup { ivy: Some(("ada", Role::Member)), ..Setup::default() };
    let [resent, invited_again, closed] = rounds(&world, &policy, 3, setup).await.try_into().ok().unwrap();
    for round in [&resent, &invited_again, &closed] {
        world.delete_schedule(&round.acme, &round.invitation).await;
    }
    world.advance(48 * 60 * 60).await;
    let overtake_expiry = |round: &Round, fast: AwsRequest| {
        let (held, expires) =
            (world.wire().hold_background_request("TransactWriteItems"), expires(&world, round));
        async move {
            let slow = tokio::spawn(expires);
            held.arrived().await;
            let fast = fast.await;
            held.release();
            [slow.await.unwrap(), fast]
        }
    };
    assert_eq!(overtake_expiry(&resent, resends(&resent)).await, ["done", "200"]);
    world.wait_until_idle().await;
    let invites =
        invited_again.summarized(|it| async move { it.ada.invites(&it.acme, &[&it.email], "owner").await });
    assert_eq!(overtake_expiry(&invited_again, invites).await, ["done", "200 invited"]);
    world.wait_until_idle().await;
    for round in [&resent, &invited_again] {
        assert_eq!(status(round).await, "pending");
        assert_eq!(round.ada.counts_seats(&round.acme).await.0, 2);
    }
    assert_eq!(overtake_expiry(&closed, expires(&world, &closed)).await, ["done", "done"]);
    assert_eq!(closed.ada.counts_seats(&closed.acme).await.0, 1);
    world.finish().await;
}
