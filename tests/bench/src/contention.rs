//! Many at the same items at once, as DynamoDB has it: a transaction that finds an item of its own in another one under way
//! is cancelled, be it to change the item or only to check it. Simulated, in virtual time: with the real decisions, the plans'
//! real items, the reference model in the table's place, and the store's own retry policy.

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

/// How long a transaction keeps its items to itself. DynamoDB does not say; a whole `TransactWriteItems` within a Region takes
/// about so long.
const HOLDS: [Duration; 3] = [Duration::from_millis(5), Duration::from_millis(10), Duration::from_millis(20)];
/// What a snapshot takes, and half of it the way to DynamoDB and back.
const READ: Duration = Duration::from_millis(4);
/// What is asked for arrives within so many seconds.
const INVITING: u32 = 5;

/// Simulates.
pub async fn measure() -> Result<String, String> {
    let simulated = tokio::task::spawn_blocking(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        Ok::<_, String>(runtime.block_on(LocalSet::new().run_until(all())))
    });
    simulated.await.map_err(|error| error.to_string())?
}

async fn all() -> String {
    let mut text = "\
Simulated in virtual time (the same figures every time): a read takes 4 ms, and a transaction keeps its items to itself for the time in \
the first column. *Tries* are transactions sent for one success. Arrivals are spread evenly by chance.\n\n\
| hold, ms | what arrives | within | done | tries, p50 | p99 | most | answer, p50, ms | p99 | all done after, s |\n\
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    let mut stampede = None;
    for hold in HOLDS {
        for (count, senders) in [(200, 1), (1000, 1), (1000, 10)] {
            let outcome = accepts(hold, count, senders).await;
            outcome.row(&mut text, hold, &format!("{count} accepts, {senders} senders"), 1);
            if hold == HOLDS[1] && (count, senders) == (200, 1) {
                stampede = Some(outcome);
            }
        }
        for rate in [10, 50, 100, 200] {
            for senders in [1, 20] {
                let count = (rate * INVITING).min(990);
                let outcome = invites(hold, count, senders).await;
                outcome.row(&mut text, hold, &format!("{count} invites of 1, {senders} senders"), INVITING);
            }
        }
        let outcome = revokes(hold, 250).await;
        outcome.row(&mut text, hold, "250 revokes, 250 invites", INVITING);
    }
    if let Some(outcome) = stampede {
        let mut took: Vec<_> = outcome.answers.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        let slow = percentile(&took, 990).unwrap_or_default();
        let kept = outcome.failed == 0 && slow <= Duration::from_secs(4);
        let mut bounds = Bounds::new();
        bounds.add(
            "200 accepts of one sender's invitations within a second: all succeed, at most 4 s at p99",
            format!(
                "{} done, {:.1} s at p99, {} tries at p99, all done after {:.1} s",
                outcome.answers.len(),
                slow.as_secs_f64(),
                outcome.tries(990),
                outcome.end.as_secs_f64()
            ),
            kept,
        );
        let _ = write!(text, "{bounds}");
    }
    text
}

/// The table, and the items of the transactions under way.
#[derive(Default)]
struct Table {
    stored: RefCell<ReferenceTable>,
    held: RefCell<HashSet<ItemKey>>,
    hold: Duration,
}

/// What came of everything that arrived.
struct Outcome {
    /// Tries and duration of each success.
    answers: Vec<(usize, Duration)>,
    failed: usize,
    end: Duration,
}

impl Outcome {
    fn tries(&self, share: usize) -> usize {
        let mut tries: Vec<_> = self.answers.iter().map(|(tries, _)| *tries).collect();
        tries.sort_unstable();
        percentile(&tries, share).unwrap_or_default()
    }

    fn row(&self, text: &mut String, hold: Duration, what: &str, within: u32) {
        let mut took: Vec<_> = self.answers.iter().map(|(_, took)| *took).collect();
        took.sort_unstable();
        let at = |share| percentile(&took, share).unwrap_or_default().as_millis();
        let (done, all) = (self.answers.len(), self.answers.len() + self.failed);
        let _ = writeln!(
            text,
            "| {} | {what} | {within} s | {done} of {all} | {} | {} | {} | {} | {} | {:.1} |",
            hold.as_millis(),
            self.tries(500),
            self.tries(990),
            self.tries(1000),
            at(500),
            at(990),
            self.end.as_secs_f64(),
        );
    }
}

impl Table {
    fn touches(&self, items: &[ItemKey]) -> bool {
        let held = self.held.borrow();
        items.iter().any(|item| held.contains(item))
    }

    /// Reads, decides and commits, as `Store::run` does; the transactions that it took, if it was done.
    async fn run(&self, decide: Deciding) -> Option<usize> {
        let mut backoff = Backoff::new(RetryPolicy::default());
        let mut tries = 0;
        let mut seen = None;
        for _ in 0..ATTEMPTS_MAX {
            let decided = loop {
                sleep(READ).await;
                let decided = decide(&self.stored.borrow(), seen.as_ref());
                if !self.touches(&decided.reads) {
                    break decided;
                }
                if !backoff.wait().await {
                    return None;
                }
            };
            let items: Vec<_> = decided.plan.changes().iter().map(|change| change.item.clone()).collect();
            loop {
                tries += 1;
                sleep(READ / 2).await;
                if !self.touches(&items) {
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
                return Some(tries);
            }
            seen = Some(decided.snapshot);
        }
        None
    }
}

/// What an attempt has read and decided.
struct Decided {
    reads: Vec<ItemKey>,
    snapshot: Snapshot,
    plan: Plan,
}

/// An attempt on a table, after one that has lost a race with what it had seen.
type Deciding = Box<dyn Fn(&ReferenceTable, Option<&Snapshot>) -> Decided>;

fn deciding<A: Action<Refusal: Debug> + 'static>(action: A) -> Deciding {
    Box::new(move |stored, seen| {
        let reads = action.reads(seen);
        let snapshot = stored.snapshot(reads.clone());
        let decided = stored.decide(&action, seen, &policy(), now());
        let plan = decided.map_or_else(|_| panic!("{} is refused", A::NAME), |(plan, _)| plan);
        Decided { reads, snapshot, plan }
    })
}

/// Everything arrives within `within`, and is waited for.
async fn play(table: Table, calls: Vec<Deciding>, within: Duration) -> Outcome {
    let table = Rc::new(table);
    let began = Instant::now();
    let mut callers = JoinSet::new();
    // Every run is the same one.
    fastrand::seed(7);
    for decide in calls {
        let (table, arrival) = (Rc::clone(&table), within.mul_f64(fastrand::f64()));
        callers.spawn_local(async move {
            sleep(arrival).await;
            let arrived = Instant::now();
            table.run(decide).await.map(|tries| (tries, arrived.elapsed()))
        });
    }
    let outcomes = callers.join_all().await;
    let answers: Vec<_> = outcomes.iter().copied().flatten().collect();
    Outcome { failed: outcomes.len() - answers.len(), answers, end: began.elapsed() }
}

/// An organization with so many owners more than its founder, on paper; who they are.
fn organization(hold: Duration, owners: u32) -> (Table, OrganizationId, Vec<Sender>) {
    let id = OrganizationId::from_random([7; 16]);
    let mut stored = ReferenceTable::default();
    let name = OrganizationName::parse("Acme").expect("a name");
    let create = Create { founder: person("owner-0"), id: id.clone(), name };
    stored.run(&create, &policy(), now()).expect("anybody founds");
    let mut people = vec![person("owner-0")];
    for number in 1..owners {
        let owner = person(&format!("owner-{number}"));
        let link = invited(&mut stored, &id, &people[0], &owner, Role::Owner);
        stored.run(&accept(&owner, link), &policy(), now()).expect("the invitation is open");
        people.push(owner);
    }
    (Table { stored: RefCell::new(stored), held: RefCell::default(), hold }, id, people)
}

fn policy() -> Policy {
    Policy::default()
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000)
}

fn person(name: &str) -> Sender {
    let email = EmailAddress::parse(&format!("{name}@example.com")).expect("an address");
    Sender { user: UserId::parse(name).expect("a user"), email }
}

fn accept(guest: &Sender, link: Link) -> Accept {
    Accept { caller: Caller { user: guest.user.clone(), email: Some(guest.email.clone()) }, link }
}

fn invite(id: &OrganizationId, sender: &Sender, whom: &Sender, role: Role) -> Invite {
    let invitees = [whom.email.clone()].into_iter().collect();
    Invite { sender: sender.clone(), organization: id.clone(), invitees, role, language: None }
}

fn invited(
    stored: &mut ReferenceTable,
    id: &OrganizationId,
    sender: &Sender,
    whom: &Sender,
    role: Role,
) -> Link {
    stored.run(&invite(id, sender, whom, role), &policy(), now()).expect("the sender may invite");
    stored.invitation_of(id, &whom.email).expect("they are invited").link()
}

/// Accepts of invitations by so many senders.
async fn accepts(hold: Duration, count: u32, senders: u32) -> Outcome {
    let (table, id, owners) = organization(hold, senders);
    let count = count.min(1000 - senders);
    let calls = (0..count).map(|number| {
        let guest = person(&format!("guest-{number}"));
        let sender = &owners[(number % senders) as usize];
        let link = invited(&mut table.stored.borrow_mut(), &id, sender, &guest, Role::Member);
        deciding(accept(&guest, link))
    });
    let calls = calls.collect();
    play(table, calls, Duration::from_secs(1)).await
}

fn inviting(id: &OrganizationId, sender: &Sender, name: &str) -> Deciding {
    deciding(invite(id, sender, &person(name), Role::Member))
}

/// Invites of one address each, by so many senders.
async fn invites(hold: Duration, count: u32, senders: u32) -> Outcome {
    let (table, id, owners) = organization(hold, senders);
    let calls = (0..count.min(1000 - senders))
        .map(|number| inviting(&id, &owners[(number % senders) as usize], &format!("guest-{number}")));
    let calls = calls.collect();
    play(table, calls, Duration::from_secs(u64::from(INVITING))).await
}

/// As many revokes as invites.
async fn revokes(hold: Duration, count: u32) -> Outcome {
    let (table, id, owners) = organization(hold, 20);
    let calls = (0..count).flat_map(|number| {
        let (guest, owner) = (person(&format!("gone-{number}")), &owners[(number % 20) as usize]);
        let link = invited(&mut table.stored.borrow_mut(), &id, owner, &guest, Role::Member);
        let (caller, organization) = (owner.user.clone(), id.clone());
        let revoke = Revoke { caller, organization, invitation: Some(link.invitation) };
        [deciding(revoke), inviting(&id, owner, &format!("guest-{number}"))]
    });
    let calls = calls.collect();
    play(table, calls, Duration::from_secs(u64::from(INVITING))).await
}
