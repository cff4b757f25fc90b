//! A deterministic simulator: runs Roster's functions under faults, and every event of a run follows from its seed.
//!
//! The handlers and the SDK are the real ones, over the embedded DynamoDB. Everything else is simulated:
//!
//! - time, which passes only when no task can continue, and clocks with skew;
//! - the network, which delays and loses requests and responses;
//! - throttling and conflicts of DynamoDB, and stale reads of its indexes;
//! - Lambda, which kills functions, retries, delivers events twice and gives up;
//! - the stream, SES, KMS and EventBridge Scheduler;
//! - users, who make random calls at the same time.
//!
//! After every commit the whole table and its changes are checked against the rules. One hour after the faults end, no
//! mail may be queued. Two days after that, no invitation may be pending. See [`run`].

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a panic fails the run, and only the simulator's binary and tests use this crate"
)]

pub mod engine;
mod faults;
mod lambda;
pub mod network;
mod responses;
pub mod services;
mod simulation;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::Record;
use domain::{Delivery, MailId, Status};
use reference::ReferenceTable;
use tokio::time::sleep;

use responses::{CallLog, CompletedCall, idempotency_errors};
use simulation::{Simulation, caller};
use workload::USERS;

/// The time within which all queued mails are sent after the faults end.
///
/// A queued mail is overdue after 10 minutes, and `reconcile` finds it within 15. Two such rounds take 50 minutes.
const RECOVERY: Duration = Duration::from_hours(1);
/// The time after which every invitation has expired and is closed: an invitation is valid for 48 hours.
const EXPIRY: Duration = Duration::from_hours(49);
/// The number of users' tasks that make calls at the same time.
const CONCURRENT_USERS: usize = 4;

/// How often each event must happen in 100 runs, so that the runs test something: a third of the usual number.
///
/// The events are faults of each kind, their consequences, and for each action its successes and refusals.
const MIN_COUNTS: [(&str, u64); 47] = [
    ("Conflict", 150),
    ("ErrorAfterExecution", 200),
    ("ErrorBeforeExecution", 200),
    ("LateResponse", 150),
    ("LostRequest", 400),
    ("LostResponse", 400),
    ("MailRejected", 4),
    ("SendingPaused", 20),
    ("Throttled", 400),
    ("accept: 200 a member already", 14),
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
    ("failed guards", 70),
    ("faults of KMS", 200),
    ("invite: 200 done", 450),
    ("invite: 403 role_not_grantable", 40),
    ("invite: 409 seats_exhausted", 120),
    ("invite: 429 too_many_invitations", 25),
    ("kills", 120),
    ("kills, late in a batch", 40),
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
    ("runs with clock skew", 12),
    ("stale index reads", 5),
    ("timers early", 12),
    ("timers late", 7),
];

/// Returns the events that happened too seldom in this number of runs: name, count and required count.
#[must_use]
pub fn too_seldom(counts: &BTreeMap<String, u64>, runs: u64) -> Vec<(&'static str, u64, u64)> {
    let counted = |(event, min): (&'static str, u64)| {
        (event, counts.get(event).copied().unwrap_or(0), min * runs / 100)
    };
    MIN_COUNTS.into_iter().map(counted).filter(|(_, count, min)| count < min).collect()
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// The failed checks; empty if Roster is correct.
    pub failures: Vec<String>,
    /// How often each event happened.
    pub counts: BTreeMap<String, u64>,
    /// A hash of the trace, equal for equal runs.
    pub digest: u64,
    /// The lines of the trace, if they were requested.
    pub trace: Vec<String>,
    /// The simulated duration in seconds.
    pub seconds: u64,
}

/// Runs the simulation of `seed` to its end.
pub fn run(seed: u64, keep_trace: bool) -> Report {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("the runtime starts");
    runtime.block_on(async {
        let simulation = Simulation::start(seed, keep_trace).await;
        let began = simulation.now();
        let task = Arc::clone(&simulation);
        let task = tokio::spawn(async move {
            let calls = run_with_faults(&task).await;
            check_after_faults(&task, &calls).await;
            task.join_finished();
        });
        if let Err(error) = task.await {
            let panic = error.into_panic();
            let message = panic.downcast_ref::<String>().map(String::as_str);
            let message = message.or_else(|| panic.downcast_ref::<&str>().copied());
            simulation.report_failure(format!("panic: {}", message.unwrap_or("no message")));
        }
        Report {
            seed,
            failures: simulation.failures(),
            counts: simulation.counts(),
            digest: simulation.digest(),
            trace: simulation.trace_lines(),
            seconds: u64::try_from(simulation.now().unix() - began.unix()).unwrap_or(0),
        }
    })
}

/// Runs users, event sources and `reconcile` until the faults end. Returns the users' calls.
async fn run_with_faults(simulation: &Arc<Simulation>) -> CallLog {
    let mut organizations = Vec::new();
    for founder in &USERS[..2] {
        organizations.push(simulation.create_organization(&caller(founder)).await);
    }
    for function in ["mail", "schedule"] {
        simulation.spawn(Arc::clone(simulation).run_event_source(function));
    }
    simulation.spawn(Arc::clone(simulation).run_reconcile());
    let calls = CallLog::default();
    for _ in 0..CONCURRENT_USERS {
        simulation.spawn(Arc::clone(simulation).run_user(organizations.clone(), Arc::clone(&calls)));
    }
    simulation.wait_until_faults_end().await;
    calls
}

/// Waits without faults, and checks that all mails are sent, all invitations are closed and all responses were true.
async fn check_after_faults(simulation: &Simulation, calls: &CallLog) {
    sleep(RECOVERY).await;
    let table = simulation.latest_table();
    for invitation in all_invitations(&table) {
        let queued = invitation.mail.as_ref().is_some_and(|mail| mail.delivery == Delivery::Queued);
        if queued && invitation.status_at(simulation.now()) == Status::Pending {
            simulation.report_failure(format!("the mail of {} is still queued", invitation.id));
        }
    }
    sleep(EXPIRY).await;
    let table = simulation.latest_table();
    for invitation in all_invitations(&table).filter(|it| it.status() == Status::Pending) {
        simulation.report_failure(format!("{} is still pending two days after the faults", invitation.id));
    }
    if simulation.schedules().count() > 0 {
        simulation.report_failure(format!("{} schedules are left", simulation.schedules().count()));
    }
    match simulation.engine.table() {
        Ok(stored) if stored == *table => {}
        Ok(_) => simulation.report_failure("the table changed without a transaction".to_owned()),
        Err(corrupt) => simulation.report_failure(corrupt.to_string()),
    }
    let calls = calls.lock().expect("no panic while the log is locked");
    let contradictions =
        calls.iter().filter_map(|completed: &CompletedCall| completed.contradiction(simulation));
    for error in contradictions.chain(idempotency_errors(&calls)) {
        simulation.report_failure(error);
    }
    check_duplicate_mails(simulation);
    check_recipient_limits(simulation, &table);
}

fn all_invitations(table: &ReferenceTable) -> impl Iterator<Item = &domain::Invitation> {
    table.organizations().flat_map(|organization| table.invitations(&organization.id))
}

/// Checks how often each mail was sent: once, and once more for each fault and each duplicate invocation.
///
/// Only faults between the sending and the mark of the mail count.
fn check_duplicate_mails(simulation: &Simulation) {
    let invocations = simulation.invocations();
    let allowed_duplicates = simulation.allowed_duplicates();
    for (mail, sent) in &simulation.mailbox().accepted {
        let (organization, invitation, generation) = mail;
        let id = (organization.clone(), invitation.clone());
        let duplicates = invocations
            .iter()
            .filter(|it| it.function == "mail" && it.duplicate && it.invitations.contains(&id));
        let duplicates = u32::try_from(duplicates.count()).unwrap_or(u32::MAX);
        let faults = allowed_duplicates.get(mail).copied().unwrap_or(0);
        if *sent > 1 + faults + duplicates {
            simulation.report_failure(format!(
                "mail {generation} of {invitation} was sent {sent} times, but only {faults} faults between sending and \
                 mark and {duplicates} duplicate invocations explain that"
            ));
        }
    }
}

/// Checks that every sent mail was counted for its recipient, and that no recipient got too many mails in a day.
fn check_recipient_limits(simulation: &Simulation, table: &ReferenceTable) {
    let Some(limits) = simulation.limits else { return };
    let mut counted = BTreeSet::new();
    for record in table.records() {
        if let Record::Recipient(day) = record {
            if u32::try_from(day.mails.len()).is_ok_and(|count| count > limits.mails_per_recipient) {
                simulation.report_failure(format!(
                    "{} mails to one recipient on {}",
                    day.mails.len(),
                    day.day
                ));
            }
            counted.extend(day.mails.iter().cloned());
        }
    }
    for (_, invitation, generation) in simulation.mailbox().accepted.keys() {
        if !counted.contains(&MailId::stored(format!("{invitation}.{generation}"))) {
            simulation.report_failure(format!(
                "mail {generation} of {invitation} was not counted for its recipient"
            ));
        }
    }
}

#[cfg(test)]
mod tests;
