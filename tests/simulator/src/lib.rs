//! Roster's functions in a world where everything goes wrong, and whose every moment follows from one number.
//!
//! The handlers are the real ones, with the real SDK, over the embedded DynamoDB. What is simulated is what surrounds
//! them: time, which passes only when nothing is left to be done at the moment; the network, on which requests and
//! answers are late or lost; DynamoDB's throttling and conflicts; Lambda, which kills, repeats and gives up; the stream
//! and its readers; SES; EventBridge Scheduler; clocks that are apart. People call what they like meanwhile.
//!
//! After every commit the whole table is held against the rules. When nothing goes wrong any more, an hour is enough for
//! every mail that is owed to go out; and when two days have passed, no seat is held in vain. See [`run`].

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "whatever does not go as it should fails the run"
)]

mod answers;
pub mod engine;
mod faults;
mod lambda;
pub mod network;
mod people;
pub mod services;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Record;
use domain::{Delivery, MailId, Status};
use reference::ReferenceTable;
use tokio::time::sleep;

use answers::{Answered, Answers, lies_of_one_key};
use people::NAMES;
use world::{World, caller};

/// Within this time everything that is owed is done: the longest wait for a redriven mail is 10 minutes and
/// reconcile's 15, twice.
const CATCHES_UP: Duration = Duration::from_hours(1);
/// Every invitation has expired by then, and was closed.
const EXPIRES: Duration = Duration::from_hours(49);
/// People who call at the same time.
const CALLERS: usize = 4;

/// What has to happen at least so often in a hundred worlds, lest they say nothing: a third of what does. Faults of each kind,
/// what they bring about, and for each action what it does and what it refuses.
const FLOORS: [(&str, u64); 46] = [
    ("Conflicts", 150),
    ("Fails", 200),
    ("FailsAfter", 200),
    ("Hangs", 150),
    ("LostAfter", 400),
    ("LostBefore", 400),
    ("Outage", 20),
    ("Refuses", 4),
    ("Throttles", 400),
    ("accept: 200 done", 200),
    ("accept: 409 sender_lost_authority", 6),
    ("accept: 410 invitation_accepted", 8),
    ("accept: 410 invitation_revoked", 15),
    ("accept: 410 invitation_superseded", 20),
    ("became accepted", 150),
    ("became declined", 30),
    ("became expired", 60),
    ("became removed", 40),
    ("became revoked", 40),
    ("dead letters of mail", 10),
    ("decline: 204 done", 30),
    ("delays", 30),
    ("duplicates", 200),
    ("faults of KMS", 200),
    ("invite: 200 done", 450),
    ("invite: 403 role_not_grantable", 40),
    ("invite: 409 seats_exhausted", 120),
    ("invite: 429 too_many_invitations", 25),
    ("kills", 120),
    ("kills, late in a batch", 40),
    ("lost races", 70),
    ("mails", 350),
    ("organization-edit: 200 done", 40),
    ("organization-edit: 403 owner_required", 5),
    ("remove: 204 done", 50),
    ("remove: 409 last_owner", 100),
    ("resend: 200 done", 60),
    ("resend: 429 resend_too_soon", 2),
    ("revoke: 204 done", 45),
    ("role-edit: 200 done", 100),
    ("role-edit: 403 owner_required", 30),
    ("role-edit: 409 last_owner", 40),
    ("stale answers", 5),
    ("timers early", 12),
    ("timers late", 7),
    ("worlds with clocks that are apart", 12),
];

/// What has happened too seldom in so many worlds for them to say much: what, how often, and how often it has to.
#[must_use]
pub fn too_seldom(counts: &BTreeMap<String, u64>, worlds: u64) -> Vec<(&'static str, u64, u64)> {
    let counted = |(what, floor): (&'static str, u64)| {
        (what, counts.get(what).copied().unwrap_or(0), floor * worlds / 100)
    };
    FLOORS.into_iter().map(counted).filter(|(_, times, least)| times < least).collect()
}

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The number that it follows from.
    pub seed: u64,
    /// What was wrong; nothing, if Roster is right.
    pub failures: Vec<String>,
    /// What has happened, and how often.
    pub counts: BTreeMap<String, u64>,
    /// Everything that has happened, in one number: equal runs have equal ones.
    pub digest: u64,
    /// What has happened, line by line, if that was asked for.
    pub trace: Vec<String>,
    /// Seconds that have passed in the world.
    pub seconds: u64,
}

/// Runs the world of `seed` to its end.
pub fn run(seed: u64, traces: bool) -> Report {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(async {
        let world = World::begin(seed, traces).await;
        let began = world.now();
        let whole = Arc::clone(&world);
        let whole = tokio::spawn(async move {
            let answers = live(&whole).await;
            settle(&whole, &answers).await;
            whole.reap();
        });
        if let Err(error) = whole.await {
            let panic = error.into_panic();
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            world.fails(format!("panic: {}", message.unwrap_or("without words")));
        }
        Report {
            seed,
            failures: world.failures(),
            counts: world.counts(),
            digest: world.digest(),
            trace: world.lines(),
            seconds: u64::try_from(world.now().unix() - began.unix()).unwrap_or(0),
        }
    })
}

/// Things go wrong, and people call.
async fn live(world: &Arc<World>) -> Answers {
    let mut organizations = Vec::new();
    for founder in &NAMES[..2] {
        organizations.push(world.founds(&caller(founder)).await);
    }
    for reader in ["mail", "schedule"] {
        world.spawn(Arc::clone(world).feed(reader));
    }
    world.spawn(Arc::clone(world).reconciles());
    let answers = Answers::default();
    for _ in 0..CALLERS {
        world.spawn(Arc::clone(world).lives(organizations.clone(), Arc::clone(&answers)));
    }
    world.until_calm().await;
    answers
}

/// Nothing goes wrong any more: what is owed is done, what is over is closed, and every answer was true.
async fn settle(world: &World, answers: &Answers) {
    sleep(CATCHES_UP).await;
    let stored = world.records();
    for invitation in all(&stored) {
        let queued = invitation.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued);
        if queued && invitation.status_at(world.now()) == Status::Pending {
            world.fails(format!("{} is owed its mail", invitation.id));
        }
    }
    sleep(EXPIRES).await;
    let stored = world.records();
    for invitation in all(&stored).filter(|it| it.status() == Status::Pending) {
        world.fails(format!("{} is pending two days later", invitation.id));
    }
    if world.schedules().count() > 0 {
        world.fails(format!("{} schedules are left", world.schedules().count()));
    }
    match world.engine.table() {
        Ok(table) if table == *stored => {}
        Ok(_) => world.fails("the table has changed without a transaction".to_owned()),
        Err(broken) => world.fails(broken.to_string()),
    }
    let answers = answers.lock().expect("nobody panics with the answers");
    let lies = answers.iter().filter_map(|answered: &Answered| answered.lie(world));
    for lie in lies.chain(lies_of_one_key(&answers)) {
        world.fails(lie);
    }
    count_mails(world);
    count_to_recipients(world, &stored);
}

fn all(stored: &ReferenceTable) -> impl Iterator<Item = &domain::Invitation> {
    stored.organizations().flat_map(|organization| stored.invitations(&organization.id))
}

/// One mail, and at most one more for each thing that went wrong between its sending and its mark, and for each time that
/// two were at it at once.
fn count_mails(world: &World) {
    let invocations = world.invocations();
    let excuses = world.excuses();
    for (mail, taken) in &world.mailbox().taken {
        let (organization, invitation, generation) = mail;
        let id = (organization.clone(), invitation.clone());
        let twins =
            invocations.iter().filter(|it| it.function == "mail" && it.duplicate && it.about.contains(&id));
        let twins = u32::try_from(twins.count()).unwrap_or(u32::MAX);
        let struck = excuses.get(mail).copied().unwrap_or(0);
        if *taken > 1 + struck + twins {
            world.fails(format!(
                "mail {generation} of {invitation} went out {taken} times, though only {struck} things went wrong between \
                 its sending and its mark, and {twins} were at it beside others"
            ));
        }
    }
}

/// Every mail that SES took was counted to its recipient, and no recipient's day has more than it may.
fn count_to_recipients(world: &World, stored: &ReferenceTable) {
    let Some(limits) = world.limits else { return };
    let mut counted = BTreeSet::new();
    for record in stored.records() {
        if let Record::Recipient(day) = record {
            if u32::try_from(day.mails.len()).is_ok_and(|count| count > limits.mails_per_recipient) {
                world.fails(format!("{} mails to one recipient on {}", day.mails.len(), day.day));
            }
            counted.extend(day.mails.iter().cloned());
        }
    }
    for (_, invitation, generation) in world.mailbox().taken.keys() {
        if !counted.contains(&MailId::stored(format!("{invitation}.{generation}"))) {
            world.fails(format!("mail {generation} of {invitation} was counted to nobody"));
        }
    }
}

#[cfg(test)]
mod tests;
