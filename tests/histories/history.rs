//! The recorded calls of one organization with their responses and times, as steps for the checker and as text.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::checker::{self, CheckStats, Entry, Failure};
use crate::contract::{Account, Action, InviteResult, Organization, Response, Step};

/// The number of calls that are shown before and after the call that no order explains.
const CONTEXT: usize = 8;
/// The maximum number of possible states that are shown.
const STATES_SHOWN: usize = 3;

/// The label of a call that gave up because of throttling or an unknown commit outcome.
pub const UNAVAILABLE: &str = "503 unavailable";
/// The label of a call that gave up after too many conflicts.
pub const CONFLICT: &str = "409 conflict";

/// A logical clock that orders the events of all clients and all kills.
#[derive(Debug, Default)]
pub struct LogicalClock(AtomicU64);

impl LogicalClock {
    /// Returns the next time.
    pub fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// The outcome of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The response, and the time at which it arrived.
    Response(u64, Response),
    /// The response of the process with this number was lost. If the process was killed, the call took effect before
    /// the kill or never.
    Lost(usize),
    /// The process with this number returned 503. The call may have taken effect, as with a lost response.
    Unavailable(usize),
    /// The mails of an address were read at this time, and the newest has this generation.
    Mailed(u64, String, u32),
}

/// A call of a client.
#[derive(Debug, Clone)]
pub struct Call {
    /// The number of the client.
    pub client: usize,
    /// The account that was signed in.
    pub caller: Account,
    /// The action. `None` for a read of the mailbox, which is not part of the API.
    pub action: Option<Action>,
    /// The time at which the request was sent.
    pub sent_at: u64,
    /// The outcome.
    pub outcome: Outcome,
}

/// All calls of one organization.
#[derive(Debug, Clone)]
pub struct History {
    /// The organization's id.
    pub organization: String,
    /// The initial state.
    pub initial: Organization,
    /// All users who may become members.
    pub users: BTreeSet<String>,
    /// All addresses that may be invited.
    pub emails: BTreeSet<String>,
    /// The time at which each process was killed, by the number of the process.
    pub killed_at: Vec<u64>,
    /// The calls.
    pub calls: Vec<Call>,
}

/// A history that no order explains.
#[derive(Debug)]
pub struct Violation {
    /// The impossible response, the possible states, and the neighbouring calls.
    pub summary: String,
    /// The index of the call with the impossible response.
    pub call: usize,
}

impl Call {
    /// A short label of the outcome, for the statistics.
    pub fn label(&self) -> String {
        match &self.outcome {
            Outcome::Response(_, response) => response.label(),
            Outcome::Lost(_) => "no response".to_owned(),
            Outcome::Unavailable(_) => UNAVAILABLE.to_owned(),
            Outcome::Mailed(..) => "200".to_owned(),
        }
    }

    /// The name of the action.
    pub fn kind(&self) -> &'static str {
        match self.action {
            None => "(mailbox)",
            Some(Action::Invite { .. }) => "invite",
            Some(Action::Resend(_)) => "resend",
            Some(Action::Revoke(_)) => "revoke",
            Some(Action::Preview(_)) => "preview",
            Some(Action::Accept(_)) => "accept",
            Some(Action::Decline(_)) => "decline",
            Some(Action::RoleEdit { .. }) => "role-edit",
            Some(Action::Remove(_)) => "remove",
            Some(Action::GetOrganization) => "list: organization",
            Some(Action::ListMembers) => "list: members",
            Some(Action::ListInvitations) => "list: invitations",
        }
    }
}

impl History {
    /// The time by which a call took effect or failed. `None` if it may still take effect.
    fn ended_at(&self, call: &Call) -> Option<u64> {
        match &call.outcome {
            Outcome::Response(at, _) | Outcome::Mailed(at, ..) => Some(*at),
            Outcome::Lost(process) | Outcome::Unavailable(process) => self.killed_at.get(*process).copied(),
        }
    }

    /// Checks that the contract allows these responses in some order of the calls.
    pub fn check(&self) -> Result<CheckStats, Violation> {
        let (call_of, entries): (Vec<usize>, Vec<_>) = self.entries().into_iter().unzip();
        checker::check::<Organization>(self.initial.clone(), &entries).map_err(|failure| {
            let (entry, summary) = match &failure {
                Failure::Undecided { entry } => {
                    (*entry, "The checker gave up: there are too many possible states.".to_owned())
                }
                Failure::Impossible { entry, configurations } => {
                    (*entry, explain(&entries[*entry].step, configurations, &call_of))
                }
            };
            let call = call_of[entry];
            Violation { summary: format!("{summary}\n\n{}", self.context(call)), call }
        })
    }

    /// The steps of all calls, each with the index of its call.
    fn entries(&self) -> Vec<(usize, Entry<Step>)> {
        let mut entries = Vec::new();
        for (index, call) in self.calls.iter().enumerate() {
            for step in self.steps(call) {
                let certain = !matches!(call.outcome, Outcome::Lost(_) | Outcome::Unavailable(_));
                entries
                    .push((index, Entry { from: call.sent_at, until: self.ended_at(call), certain, step }));
            }
        }
        entries
    }

    fn steps(&self, call: &Call) -> Vec<Step> {
        let user = &call.caller.user;
        match (&call.action, &call.outcome) {
            // The call was sent after the process had been killed, so it had no effect.
            (_, Outcome::Lost(_) | Outcome::Unavailable(_))
                if self.ended_at(call).is_some_and(|ended| ended < call.sent_at) =>
            {
                Vec::new()
            }
            (Some(action), Outcome::Lost(_) | Outcome::Unavailable(_)) => {
                vec![Step::Call(call.caller.clone(), action.clone(), None)]
            }
            (_, Outcome::Mailed(_, email, generation)) => vec![Step::Mailed(email.clone(), *generation)],
            // `conflict` is possible at any time and changes nothing.
            (_, Outcome::Response(_, Response::Refused(refusal))) if refusal.code == "conflict" => Vec::new(),
            (
                Some(Action::ListMembers | Action::ListInvitations),
                Outcome::Response(_, Response::Refused(refusal)),
            ) if refusal.code == "organization_not_found" => {
                vec![Step::IsMember(user.clone(), false)]
            }
            (Some(Action::ListMembers), Outcome::Response(_, Response::Members(rows))) => {
                let rows = self.users.iter().map(|user| {
                    let row = rows.iter().find(|row| row.user_id == *user).cloned();
                    Step::MemberRow(user.clone(), row)
                });
                [Step::IsMember(user.clone(), true)].into_iter().chain(rows).collect()
            }
            (Some(Action::ListInvitations), Outcome::Response(_, Response::Invitations(rows))) => {
                let rows = self.emails.iter().map(|email| {
                    let row = rows.iter().find(|row| row.email == *email).cloned();
                    Step::InvitationRow(email.clone(), row)
                });
                [Step::IsMember(user.clone(), true)].into_iter().chain(rows).collect()
            }
            (Some(action), Outcome::Response(_, response)) => {
                vec![Step::Call(call.caller.clone(), action.clone(), Some(response.clone()))]
            }
            (None, Outcome::Response(..) | Outcome::Lost(_) | Outcome::Unavailable(_)) => Vec::new(),
        }
    }

    /// The neighbouring calls of a call, in the order of their ends.
    fn context(&self, call: usize) -> String {
        let order = self.order();
        let index = order.iter().position(|it| *it == call).unwrap_or_default();
        let shown = order[index.saturating_sub(CONTEXT)..(index + CONTEXT).min(order.len())].iter();
        let line = |it: &usize| format!("{} {}", if *it == call { "->" } else { "  " }, self.line(*it));
        shown.map(line).collect::<Vec<_>>().join("\n")
    }

    /// All calls, in the order of their ends.
    pub fn text(&self) -> String {
        let lines: Vec<_> = self.order().into_iter().map(|call| self.line(call)).collect();
        format!("{}\n{}\n{}\n", self.organization, self.initial, lines.join("\n"))
    }

    fn order(&self) -> Vec<usize> {
        let mut order: Vec<_> = (0..self.calls.len()).collect();
        order.sort_by_key(|call| self.ended_at(&self.calls[*call]).unwrap_or(u64::MAX));
        order
    }

    fn line(&self, index: usize) -> String {
        let call = &self.calls[index];
        let Account { user, email } = &call.caller;
        let ended = self.ended_at(call).map_or_else(|| "...".to_owned(), |ended| ended.to_string());
        let asked = call.action.as_ref().map_or_else(|| "mailbox".to_owned(), |action| format!("{action:?}"));
        let got = match &call.outcome {
            Outcome::Response(_, response) => response.to_string(),
            Outcome::Lost(process) => format!("no response (process {process})"),
            Outcome::Unavailable(process) => format!("{UNAVAILABLE} (process {process})"),
            Outcome::Mailed(_, email, generation) => format!("{email} has mail {generation}"),
        };
        format!(
            "#{index} [{}..{ended}] client {}, {user} ({email}): {asked} -> {got}",
            call.sent_at, call.client
        )
    }

    /// Writes the violation and the whole history to a file in `directory`, and returns the file's path.
    pub fn save(&self, directory: &Path, seed: u64, violation: &Violation) -> PathBuf {
        std::fs::create_dir_all(directory).expect("the directory for histories can be created");
        let file = directory.join(format!("{seed}-{}.txt", self.organization));
        let text = format!("{}\n\n{}", violation.summary, self.text());
        std::fs::write(&file, text).expect("the history can be written");
        file
    }
}

impl Response {
    /// The status, and the code of a problem.
    pub fn label(&self) -> String {
        match self {
            Self::NoContent => "204".to_owned(),
            Self::Refused(refusal) => format!("{} {}", refusal.status, refusal.code),
            Self::Undocumented(_) => "undocumented".to_owned(),
            _ => "200".to_owned(),
        }
    }
}

/// Describes a step that no order explains, and the states that were possible before it.
fn explain(step: &Step, configurations: &[(Organization, Vec<usize>)], call_of: &[usize]) -> String {
    let mut text = String::new();
    match step {
        Step::Call(..) => text.push_str("No order explains this response:\n"),
        Step::IsMember(user, is) => {
            let _ = writeln!(
                text,
                "No order explains that {user} {} a member:",
                if *is { "was" } else { "was not" }
            );
        }
        Step::MemberRow(user, row) => {
            let _ = writeln!(text, "No order explains this row of {user}: {}", describe_row(row.as_ref()));
        }
        Step::InvitationRow(email, row) => {
            let _ = writeln!(text, "No order explains this row of {email}: {}", describe_row(row.as_ref()));
        }
        Step::Mailed(email, generation) => {
            let _ = writeln!(text, "Mail {generation} to {email} was sent before it was committed:");
        }
    }
    for (state, entries) in configurations.iter().take(STATES_SHOWN) {
        let calls: BTreeSet<_> = entries.iter().map(|entry| format!("#{}", call_of[*entry])).collect();
        let calls: Vec<_> = calls.into_iter().collect();
        let applied = if calls.is_empty() { "none".to_owned() } else { calls.join(" ") };
        let _ = writeln!(text, "  Possible state, with these concurrent calls applied: {applied}\n{state}");
    }
    if configurations.len() > STATES_SHOWN {
        let _ = writeln!(text, "  ... and {} other possible states", configurations.len() - STATES_SHOWN);
    }
    text
}

fn describe_row(row: Option<&impl fmt::Debug>) -> String {
    row.map_or_else(|| "none".to_owned(), |row| format!("{row:?}"))
}

impl fmt::Display for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label())?;
        match self {
            Self::Results(results) => results.iter().try_for_each(|result| match result {
                InviteResult::Invited { email, invitation } => {
                    write!(f, ", {email} invited by mail {}", invitation.generation)
                }
                InviteResult::AlreadyInvited { email, role } => {
                    write!(f, ", {email} already_invited as {role}")
                }
                InviteResult::AlreadyMember { email } => write!(f, ", {email} already_member"),
            }),
            Self::Invitation(row) => write!(f, " {row:?}"),
            Self::Member(row) => write!(f, " {row:?}"),
            Self::Organization(view) => write!(f, " {view:?}"),
            Self::Preview(preview) => write!(f, " {preview:?}"),
            Self::Members(rows) => rows.iter().try_for_each(|row| write!(f, "\n        {row:?}")),
            Self::Invitations(rows) => rows.iter().try_for_each(|row| write!(f, "\n        {row:?}")),
            Self::Refused(refusal) => match (refusal.seats, refusal.invitation_status) {
                (Some(seats), _) => write!(f, " {seats:?}"),
                (_, Some(status)) => write!(f, " {status}"),
                _ => Ok(()),
            },
            Self::Undocumented(text) => write!(f, " {text}"),
            Self::NoContent => Ok(()),
        }
    }
}

impl fmt::Display for Organization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "    {} seats", self.seats)?;
        for (user, member) in &self.members {
            write!(f, "\n    {} {user} ({})", member.role, member.email)?;
        }
        for (email, it) in &self.invitations {
            let (status, role, generation, sender) = (it.status, it.role, it.generation, &it.sender.user_id);
            write!(f, "\n    {email}: {status} as {role}, mail {generation}, from {sender}")?;
            if let Some(by) = &it.accepted_by {
                write!(f, ", accepted by {by}")?;
            }
        }
        Ok(())
    }
}
