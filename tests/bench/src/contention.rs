//! Many at the same items at once, as DynamoDB has it: a transaction that finds an item of its own in another one under way
//! is cancelled, be it to change the item or only to check it. Simulated, in virtual time: with the real decisions, the plans'
//! real items, the ledger in the table's place, and the store's own patience.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use domain::ledger::Ledger;
use domain::{
    Caller, EmailAddress, Item, Link, OrganizationId, OrganizationName, Plan, Policy, Role, Timestamp,
    UserId, accept, create, invite, revoke,
};
use store::{ATTEMPTS_MAX, Patience, Pauses};
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
        for senders in [1, 10] {
            let outcome = accepts(hold, 1000, senders).await;
            outcome.row(&mut text, hold, &format!("1,000 accepts, {senders} senders"), 1);
            if hold == HOLDS[1] && senders == 1 {
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
        let tries = outcome.tries(990);
        let kept = outcome.failed == 0 && tries <= 2;
        let mut bounds = Bounds::new();
        let (done, end) = (outcome.answers.len(), outcome.end.as_secs_f64());
        bounds.add(
            "1,000 accepts within a second: all succeed, at most 2 tries at p99",
            format!("{done} done, {tries} tries, {end:.1} s"),
            kept,
        );
        let _ = write!(text, "{bounds}");
    }
    text
}

/// The table, and the items of the transactions under way.
#[derive(Default)]
struct Table {
    ledger: RefCell<Ledger>,
    held: RefCell<HashSet<Item>>,
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
    fn touches(&self, items: &[Item]) -> bool {
        let held = self.held.borrow();
        items.iter().any(|item| held.contains(item))
    }

    /// Reads, decides and commits, as `Store::settle` does; the transactions that it took, if it was done.
    ///
    /// `decide` is told whether it has lost a race before, and gives the items that it reads besides the plan.
    async fn settles(&self, decide: impl Fn(&Ledger, bool) -> (Vec<Item>, Plan)) -> Option<usize> {
        let mut pauses = Pauses::new(Patience::default());
        let mut tries = 0;
        for attempt in 0..ATTEMPTS_MAX {
            let mut plan = loop {
                sleep(READ).await;
                let (read, plan) = decide(&self.ledger.borrow(), attempt > 0);
                if !self.touches(&read) {
                    break plan;
                }
                if !pauses.wait().await {
                    return None;
                }
            };
            loop {
                let items: Vec<_> = plan.changes().iter().map(domain::Change::item).collect();
                tries += 1;
                sleep(READ / 2).await;
                if self.touches(&items) {
                    if !pauses.wait().await {
                        return None;
                    }
                    plan.step_aside(fastrand::u8(..));
                    continue;
                }
                self.held.borrow_mut().extend(items.iter().cloned());
                sleep(self.hold).await;
                let committed = self.ledger.borrow_mut().commit(&plan);
                let mut held = self.held.borrow_mut();
                held.retain(|item| !items.contains(item));
                if committed.is_ok() {
                    return Some(tries);
                }
                break;
            }
        }
        None
    }
}

type Deciding = Box<dyn Fn(&Ledger, bool) -> (Vec<Item>, Plan)>;

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
            table.settles(decide).await.map(|tries| (tries, arrived.elapsed()))
        });
    }
    let outcomes = callers.join_all().await;
    let answers: Vec<_> = outcomes.iter().copied().flatten().collect();
    Outcome { failed: outcomes.len() - answers.len(), answers, end: began.elapsed() }
}

/// An organization with so many owners more than its founder, on paper; who they are.
fn organization(hold: Duration, owners: u32) -> (Table, OrganizationId, Vec<Caller>) {
    let (policy, id) = (policy(), OrganizationId::from_random([7; 16]));
    let founder = person("owner-0");
    let request = create::Request { id: id.clone(), name: OrganizationName::parse("Acme").expect("a name") };
    let mut ledger = Ledger::default();
    let creation = create::decide(&founder, &request, &policy, now()).expect("anybody founds");
    ledger.commit(&creation.plan).expect("nobody else is at it");
    let mut people = vec![founder];
    for number in 1..owners {
        let owner = person(&format!("owner-{number}"));
        let link = invited(&mut ledger, &id, &people[0], &owner, Role::Owner);
        let facts = ledger.accept_facts(&link, &owner.user, None);
        let accepted = accept::decide(&owner, &facts, now()).expect("the invitation is open");
        ledger.commit(&accepted.plan).expect("nobody else is at it");
        people.push(owner);
    }
    (Table { ledger: RefCell::new(ledger), held: RefCell::default(), hold }, id, people)
}

fn policy() -> Policy {
    Policy::default()
}

fn now() -> Timestamp {
    Timestamp::from_unix(1_800_000_000)
}

fn person(name: &str) -> Caller {
    let email = EmailAddress::parse(&format!("{name}@example.com")).expect("an address");
    Caller { user: UserId::parse(name).expect("a user"), email: Some(email) }
}

fn invited(ledger: &mut Ledger, id: &OrganizationId, sender: &Caller, whom: &Caller, role: Role) -> Link {
    let email = whom.email.clone().expect("they have an address");
    let request = invite::Request::new([email.clone()], role);
    let facts = ledger.invite_facts(id, &sender.user, &request);
    let decided = invite::decide(sender, &request, &facts, &policy(), now()).expect("the sender may invite");
    ledger.commit(&decided.plan).expect("nobody else is at it");
    ledger.invitation_of(id, &email).expect("they are invited").link()
}

/// Accepts of invitations by so many senders.
async fn accepts(hold: Duration, count: u32, senders: u32) -> Outcome {
    let (table, id, owners) = organization(hold, senders);
    let count = count.min(1000 - senders);
    let calls = (0..count).map(|number| {
        let guest = person(&format!("guest-{number}"));
        let sender = &owners[(number % senders) as usize];
        let link = invited(&mut table.ledger.borrow_mut(), &id, sender, &guest, Role::Member);
        let items = vec![
            Item::Invitation(id.clone(), link.invitation.clone()),
            Item::Member(id.clone(), guest.user.clone()),
        ];
        let decide = move |ledger: &Ledger, lost: bool| {
            let before = ledger.invitation_of(&link.organization, guest.email.as_ref().expect("an address"));
            let facts = ledger.accept_facts(&link, &guest.user, before.filter(|_| lost));
            (items.clone(), accept::decide(&guest, &facts, now()).expect("the invitation is open").plan)
        };
        Box::new(decide) as Deciding
    });
    let calls = calls.collect();
    play(table, calls, Duration::from_secs(1)).await
}

fn inviting(id: &OrganizationId, sender: &Caller, name: &str) -> Deciding {
    let (id, sender, whom) = (id.clone(), sender.clone(), person(name));
    let request = invite::Request::new(whom.email, Role::Member);
    Box::new(move |ledger, _| {
        let facts = ledger.invite_facts(&id, &sender.user, &request);
        let read = vec![Item::Organization(id.clone()), Item::Member(id.clone(), sender.user.clone())];
        (read, invite::decide(&sender, &request, &facts, &policy(), now()).expect("there are seats").plan)
    })
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
        let (guest, owner) = (person(&format!("gone-{number}")), owners[(number % 20) as usize].clone());
        let link = invited(&mut table.ledger.borrow_mut(), &id, &owner, &guest, Role::Member);
        let again = inviting(&id, &owner, &format!("guest-{number}"));
        let id = id.clone();
        let revoking = move |ledger: &Ledger, _| {
            let facts = ledger.revoke_facts(&id, &owner.user, &link.invitation);
            let read = vec![
                Item::Member(id.clone(), owner.user.clone()),
                Item::Invitation(id.clone(), link.invitation.clone()),
            ];
            (read, revoke::decide(&owner, &facts, &policy(), now()).expect("it is pending").plan)
        };
        [Box::new(revoking) as Deciding, again]
    });
    let calls = calls.collect();
    play(table, calls, Duration::from_secs(u64::from(INVITING))).await
}
