//! A simulation of contention in DynamoDB, in virtual time.
//!
//! DynamoDB cancels a transaction if another open transaction contains one of its items, even if both only check the
//! item. The simulation uses the real decisions, the items of the real plans, and the store's retry policy. The
//! reference model replaces the table.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::{Debug, Write as _};
use std::rc::Rc;
use std::time::Duration;

use domain::{
    Accept, Action, Caller, Create, EmailAddress, Invite, ItemKey, Link, OrganizationId, OrganizationName,
    Plan, Policy, Revoke, Role, Sender, Snapshot, Timestamp, UserId,
};
use reference::ReferenceTable;
use store::{ATTEMPTS_MAX, Backoff, RetryPolicy};
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep};

use crate::page::Bounds;
use crate::process::percentile;

/// The times for which a transaction holds its items. DynamoDB does not document this time. A whole
/// `TransactWriteItems` within a Region takes about as long.
const HOLD_TIMES: [Duration; 3] =
    [Duration::from_millis(5), Duration::from_millis(10), Duration::from_millis(20)];
/// The duration of a snapshot read. Half of it is the network's round trip.
const READ_TIME: Duration = Duration::from_millis(4);
/// The number of seconds within which invites and revokes arrive.
const ARRIVAL_SECONDS: u32 = 5;

/// Runs all simulations. Returns the section as Markdown.
pub async fn measure() -> Result<String, String> {
    let simulated = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok::<_, String>(runtime.block_on(LocalSet::new().run_until(simulate_all())))
    });
    simulated.await.map_err(|error| error.to_string())?
}

async fn simulate_all() -> String {
    let mut text = "\
Simulated in virtual time, with the same result in every run. A read takes 4 ms. A transaction holds its \
items for the time in the first column. *Transactions* is the number of transactions sent until one \
succeeds. Requests arrive at random times within the given seconds. *Time* is the time from the arrival to \
the response of a successful request. *End* is the time of the last response.\n\n\
| hold, ms | requests | within | succeeded | transactions, p50 | p99 | max | time, p50, ms | p99 | end, s |\n\
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let mut one_sender = None;
    for hold in HOLD_TIMES {
        for (count, senders) in [(200, 1), (1000, 1), (1000, 10)] {
            let outcome = accepts(hold, count, senders).await;
            outcome.row(&mut text, hold, &format!("{count} accepts, {}", sender_count(senders)), 1);
            if hold == HOLD_TIMES[1] && (count, senders) == (200, 1) {
                one_sender = Some(outcome);
            }
        }
        for rate in [10, 50, 100, 200] {
            for senders in [1, 20] {
                let count = (rate * ARRIVAL_SECONDS).min(990);
                let outcome = invites(hold, count, senders).await;
                outcome.row(
                    &mut text,
                    hold,
                    &format!("{count} invites of 1, {}", sender_count(senders)),
                    ARRIVAL_SECONDS,
                );
            }
        }
        let outcome = revokes(hold, 250).await;
        outcome.row(&mut text, hold, "250 revokes, 250 invites", ARRIVAL_SECONDS);
    }
    if let Some(outcome) = one_sender {
        let mut durations: Vec<_> = outcome.successes.iter().map(|(_, duration)| *duration).collect();
        durations.sort_unstable();
        let slow = percentile(&durations, 990).unwrap_or_default();
        let is_met = outcome.failed == 0 && slow <= Duration::from_secs(4);
        let mut bounds = Bounds::new();
        bounds.add(
            "200 accepts of one sender's invitations within a second: all succeed, p99 at most 4 s",
            format!(
                "{} succeeded, p99 {:.1} s, {} transactions at p99, end after {:.1} s",
                outcome.successes.len(),
                slow.as_secs_f64(),
                outcome.transactions(990),
                outcome.end.as_secs_f64()
            ),
            is_met,
        );
        let _ = write!(text, "{bounds}");
    }
    text
}

/// Formats a number of senders.
fn sender_count(senders: u32) -> String {
    format!("{senders} sender{}", if senders == 1 { "" } else { "s" })
}

/// The table, and the items that open transactions hold.
#[derive(Default)]
struct Table {
    stored: RefCell<ReferenceTable>,
    held: RefCell<HashSet<ItemKey>>,
    hold: Duration,
}

/// The result of a simulation.
struct Outcome {
    /// The number of transactions and the duration of each successful request.
    successes: Vec<(usize, Duration)>,
    failed: usize,
    end: Duration,
}

impl Outcome {
    fn transactions(&self, share: usize) -> usize {
        let mut transactions: Vec<_> = self.successes.iter().map(|(transactions, _)| *transactions).collect();
        transactions.sort_unstable();
        percentile(&transactions, share).unwrap_or_default()
    }

    fn row(&self, text: &mut String, hold: Duration, what: &str, within: u32) {
        let mut durations: Vec<_> = self.successes.iter().map(|(_, duration)| *duration).collect();
        durations.sort_unstable();
        let at = |share| percentile(&durations, share).unwrap_or_default().as_millis();
        let (done, all) = (self.successes.len(), self.successes.len() + self.failed);
        let _ = writeln!(
            text,
            "| {} | {what} | {within} s | {done} of {all} | {} | {} | {} | {} | {} | {:.1} |",
            hold.as_millis(),
            self.transactions(500),
            self.transactions(990),
            self.transactions(1000),
            at(500),
            at(990),
            self.end.as_secs_f64(),
        );
    }
}

impl Table {
    fn is_held(&self, items: &[ItemKey]) -> bool {
        let held = self.held.borrow();
        items.iter().any(|item| held.contains(item))
    }

    /// Reads, decides and commits like `Store::run`. Returns the number of transactions sent, or `None` if it gave up.
    async fn run(&self, decide: DecideFn) -> Option<usize> {
        let mut backoff = Backoff::new(RetryPolicy::default());
        let mut transactions = 0;
        let mut seen = None;
        for _ in 0..ATTEMPTS_MAX {
            let decided = loop {
                sleep(READ_TIME).await;
                let decided = decide(&self.stored.borrow(), seen.as_ref());
                if !self.is_held(&decided.reads) {
                    break decided;
                }
                if !backoff.wait().await {
                    return None;
                }
            };
            let items: Vec<_> = decided.plan.changes().iter().map(|change| change.item.clone()).collect();
            loop {
                transactions += 1;
                sleep(READ_TIME / 2).await;
                if !self.is_held(&items) {
                    break;
                }
                if !backoff.wait().await {
                    return None;
                }
            }
            self.held.borrow_mut().extend(items.iter().cloned());
            sleep(self.hold).await;
            let committed = self.stored.borrow_mut().commit(&decided.plan);
            self.held.borrow_mut().retain(|item| !items.contains(item));
            if committed.is_ok() {
                return Some(transactions);
            }
            seen = Some(decided.snapshot);
        }
        None
    }
}

/// The reads of an attempt and its decision.
struct Decided {
    reads: Vec<ItemKey>,
    snapshot: Snapshot,
    plan: Plan,
}

/// Reads and decides. The second argument is the snapshot of the previous attempt, if there was one. Its guards failed.
type DecideFn = Box<dyn Fn(&ReferenceTable, Option<&Snapshot>) -> Decided>;

fn decide_fn<A: Action<Refusal: Debug> + 'static>(action: A) -> DecideFn {
    Box::new(move |stored, seen| {
        let reads = action.reads(seen);
        let snapshot = stored.snapshot(reads.clone());
        let decided = stored.decide(&action, seen, &policy(), now());
        let plan = decided.map_or_else(|_| panic!("{} is refused", A::NAME), |(plan, _)| plan);
        Decided { reads, snapshot, plan }
    })
}

/// Runs all requests, which arrive within `within`, and waits for their responses.
async fn run_all(table: Table, calls: Vec<DecideFn>, within: Duration) -> Outcome {
    let table = Rc::new(table);
    let started_at = Instant::now();
    let mut callers = JoinSet::new();
    // The fixed seed makes all runs equal.
    fastrand::seed(7);
    for decide in calls {
        let (table, arrival) = (Rc::clone(&table), within.mul_f64(fastrand::f64()));
        callers.spawn_local(async move {
            sleep(arrival).await;
            let arrived = Instant::now();
            table.run(decide).await.map(|transactions| (transactions, arrived.elapsed()))
        });
    }
    let outcomes = callers.join_all().await;
    let successes: Vec<_> = outcomes.iter().copied().flatten().collect();
    Outcome { failed: outcomes.len() - successes.len(), successes, end: started_at.elapsed() }
}

/// Creates an organization with this number of owners, including the founder. Returns the table, the id and the owners.
fn organization(hold: Duration, owners: u32) -> (Table, OrganizationId, Vec<Sender>) {
    let id = OrganizationId::from_random([7; 16]);
    let mut stored = ReferenceTable::default();
    let name = OrganizationName::parse("Acme").expect("the name is valid");
    let create = Create { founder: person("owner-0"), id: id.clone(), name };
    stored.run(&create, &policy(), now()).expect("every user may create an organization");
    let mut owners_so_far = vec![person("owner-0")];
    for number in 1..owners {
        let owner = person(&format!("owner-{number}"));
        let link = create_invitation(&mut stored, &id, &owners_so_far[0], &owner, Role::Owner);
        stored.run(&accept(&owner, link), &policy(), now()).expect("the invitation is pending");
        owners_so_far.push(owner);
    }
    (Table { stored: RefCell::new(stored), held: RefCell::default(), hold }, id, owners_so_far)
}

fn policy() -> Policy {
    Policy::default()
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000)
}

fn person(name: &str) -> Sender {
    let email = EmailAddress::parse(&format!("{name}@example.com")).expect("the address is valid");
    Sender { user: UserId::parse(name).expect("the user id is valid"), email }
}

fn accept(guest: &Sender, link: Link) -> Accept {
    Accept { caller: Caller { user: guest.user.clone(), email: Some(guest.email.clone()) }, link }
}

fn invite(id: &OrganizationId, sender: &Sender, invitee: &Sender, role: Role) -> Invite {
    let invitees = [invitee.email.clone()].into_iter().collect();
    Invite { sender: sender.clone(), organization: id.clone(), invitees, role, language: None }
}

fn create_invitation(
    stored: &mut ReferenceTable,
    id: &OrganizationId,
    sender: &Sender,
    invitee: &Sender,
    role: Role,
) -> Link {
    stored.run(&invite(id, sender, invitee, role), &policy(), now()).expect("the sender may invite");
    stored.invitation_of(id, &invitee.email).expect("the invitation exists").link()
}

/// Simulates accepts. The invitations are from this number of senders.
async fn accepts(hold: Duration, count: u32, senders: u32) -> Outcome {
    let (table, id, owners) = organization(hold, senders);
    let count = count.min(1000 - senders);
    let calls = (0..count).map(|number| {
        let guest = person(&format!("guest-{number}"));
        let sender = &owners[(number % senders) as usize];
        let link = create_invitation(&mut table.stored.borrow_mut(), &id, sender, &guest, Role::Member);
        decide_fn(accept(&guest, link))
    });
    let calls = calls.collect();
    run_all(table, calls, Duration::from_secs(1)).await
}

fn invite_fn(id: &OrganizationId, sender: &Sender, name: &str) -> DecideFn {
    decide_fn(invite(id, sender, &person(name), Role::Member))
}

/// Simulates invites of one address each, by this number of senders.
async fn invites(hold: Duration, count: u32, senders: u32) -> Outcome {
    let (table, id, owners) = organization(hold, senders);
    let calls = (0..count.min(1000 - senders))
        .map(|number| invite_fn(&id, &owners[(number % senders) as usize], &format!("guest-{number}")));
    let calls = calls.collect();
    run_all(table, calls, Duration::from_secs(u64::from(ARRIVAL_SECONDS))).await
}

/// Simulates this number of revokes and as many invites.
async fn revokes(hold: Duration, count: u32) -> Outcome {
    let (table, id, owners) = organization(hold, 20);
    let calls = (0..count).flat_map(|number| {
        let (guest, owner) = (person(&format!("revoked-{number}")), &owners[(number % 20) as usize]);
        let link = create_invitation(&mut table.stored.borrow_mut(), &id, owner, &guest, Role::Member);
        let (caller, organization) = (owner.user.clone(), id.clone());
        let revoke = Revoke { caller, organization, invitation: Some(link.invitation) };
        [decide_fn(revoke), invite_fn(&id, owner, &format!("guest-{number}"))]
    });
    let calls = calls.collect();
    run_all(table, calls, Duration::from_secs(u64::from(ARRIVAL_SECONDS))).await
}
