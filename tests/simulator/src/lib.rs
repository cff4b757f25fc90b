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

use people::{Answers, NAMES};
use world::{World, caller};

/// Within this time everything that is owed is done: the longest wait for a redriven mail is 10 minutes and
/// reconcile's 15, twice.
const CATCHES_UP: Duration = Duration::from_hours(1);
/// Every invitation has expired by then, and was closed.
const EXPIRES: Duration = Duration::from_hours(49);
/// People who call at the same time.
const CALLERS: usize = 4;

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
        Ok(table) if table == stored => {}
        Ok(_) => world.fails("the table has changed without a transaction".to_owned()),
        Err(broken) => world.fails(broken.to_string()),
    }
    let answers = answers.lock().expect("nobody panics with the answers");
    for lie in answers.iter().filter_map(people::Answered::lie).chain(people::lies(&answers)) {
        world.fails(lie);
    }
    count_mails(world);
    count_to_recipients(world, &stored);
}

fn all(stored: &ReferenceTable) -> impl Iterator<Item = &domain::Invitation> {
    stored.organizations().flat_map(|organization| stored.invitations(&organization.id))
}

/// One mail, and at most one more for each thing that went wrong while somebody was at it.
fn count_mails(world: &World) {
    let invocations = world.invocations();
    for ((organization, invitation, generation), taken) in &world.mailbox().taken {
        let id = (organization.clone(), invitation.clone());
        let about = invocations.iter().filter(|it| it.function == "mail" && it.about.contains(&id));
        let excuses: u32 = about.map(|it| it.suffered() + u32::from(it.duplicate)).sum();
        if *taken > 1 + excuses {
            world.fails(format!(
                "mail {generation} of {invitation} went out {taken} times, though only {excuses} things went wrong"
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
