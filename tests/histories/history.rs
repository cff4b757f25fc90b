//! What was called and answered in one organization, and when; and the same as steps for the checker, and as lines
//! for a person.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::checker::{self, Effort, Entry, Failure};
use crate::contract::{Account, Action, Answer, InviteResult, Organization, Step};

/// So many calls are shown before and after one that no order explains.
const CONTEXT: usize = 8;
/// So many of the ways that it may have gone by then are shown.
const WAYS_SHOWN: usize = 3;

/// The outcome of a call that was given up for what was in the way.
pub const UNAVAILABLE: &str = "503 unavailable";
/// The outcome of a call that has lost too many races.
pub const CONFLICT: &str = "409 conflict";

/// Numbers moments in the order in which they come, for all clients and for who kills.
#[derive(Debug, Default)]
pub struct Moments(AtomicU64);

impl Moments {
    /// The next one.
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst)
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was answered.
    Answered(u64, Answer),
    /// Its answer was lost, and if the process of that life was killed meanwhile, it was done before that or never.
    Lost(usize),
    /// It was answered by 503, which says as little: the same as a lost answer.
    Unavailable(usize),
    /// The address's mails were looked at; the newest is of this generation.
    Mailed(u64, String, u32),
}

/// A call of a client.
#[derive(Debug, Clone)]
pub struct Call {
    /// Whose.
    pub client: usize,
    /// Signed in as whom.
    pub caller: Account,
    /// What was asked for; nothing, for a look into the mailbox, which is not the API's.
    pub action: Option<Action>,
    /// When it was sent.
    pub at: u64,
    /// What came of it.
    pub end: End,
}

/// All calls of one organization.
#[derive(Debug, Clone)]
pub struct History {
    /// Its id.
    pub organization: String,
    /// How it was in the beginning.
    pub initial: Organization,
    /// Every user who may ever be in it.
    pub users: BTreeSet<String>,
    /// Every address that may ever be invited.
    pub emails: BTreeSet<String>,
    /// When the process of each life was killed.
    pub killed: Vec<u64>,
    /// The calls.
    pub calls: Vec<Call>,
}

/// A history that no order explains.
#[derive(Debug)]
pub struct Violation {
    /// What a person wants to see first.
    pub summary: String,
    /// The call that cannot have been answered so; the history's whole text says more.
    pub call: usize,
}

impl Call {
    /// What happened, in a word or two, for whoever counts.
    pub fn outcome(&self) -> String {
        match &self.end {
            End::Answered(_, answer) => answer.outcome(),
            End::Lost(_) => "no answer".to_owned(),
            End::Unavailable(_) => UNAVAILABLE.to_owned(),
            End::Mailed(..) => "200".to_owned(),
        }
    }

    /// The name of what was asked for.
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
            Some(Action::Look) => "list: organization",
            Some(Action::Members) => "list: members",
            Some(Action::Invitations) => "list: invitations",
        }
    }
}

impl History {
    /// When a call was over; nothing, if it may still be carried out.
    fn over(&self, call: &Call) -> Option<u64> {
        match &call.end {
            End::Answered(at, _) | End::Mailed(at, ..) => Some(*at),
            End::Lost(life) | End::Unavailable(life) => self.killed.get(*life).copied(),
        }
    }

    /// Whether the answers could have been given by the contract's organization, in some order.
    pub fn check(&self) -> Result<Effort, Violation> {
        let (of, entries): (Vec<usize>, Vec<_>) = self.entries().into_iter().unzip();
        checker::check::<Organization>(self.initial.clone(), &entries).map_err(|failure| {
            let (entry, summary) = match &failure {
                Failure::Undecided { entry } => (*entry, "There are too many ways to tell.".to_owned()),
                Failure::Impossible { entry, ways } => (*entry, explain(&entries[*entry].step, ways, &of)),
            };
            let call = of[entry];
            Violation { summary: format!("{summary}\n\n{}", self.around(call)), call }
        })
    }

    /// The calls as steps, each with the place of its call.
    fn entries(&self) -> Vec<(usize, Entry<Step>)> {
        let mut entries = Vec::new();
        for (place, call) in self.calls.iter().enumerate() {
            for step in self.steps(call) {
                let certain = !matches!(call.end, End::Lost(_) | End::Unavailable(_));
                entries.push((place, Entry { from: call.at, until: self.over(call), certain, step }));
            }
        }
        entries
    }

    fn steps(&self, call: &Call) -> Vec<Step> {
        let user = &call.caller.user;
        match (&call.action, &call.end) {
            // It was sent after the process had ended: nothing can have come of it.
            (_, End::Lost(_) | End::Unavailable(_)) if self.over(call).is_some_and(|over| over < call.at) => {
                Vec::new()
            }
            (Some(action), End::Lost(_) | End::Unavailable(_)) => {
                vec![Step::Call(call.caller.clone(), action.clone(), None)]
            }
            (_, End::Mailed(_, email, generation)) => vec![Step::Mailed(email.clone(), *generation)],
            // Whoever loses too many races may be told so at any time, and nothing is done.
            (_, End::Answered(_, Answer::Refused(refusal))) if refusal.code == "conflict" => Vec::new(),
            (Some(Action::Members | Action::Invitations), End::Answered(_, Answer::Refused(refusal)))
                if refusal.code == "organization_not_found" =>
            {
                vec![Step::IsMember(user.clone(), false)]
            }
            (Some(Action::Members), End::Answered(_, Answer::Members(rows))) => {
                let rows = self.users.iter().map(|user| {
                    let row = rows.iter().find(|row| row.user_id == *user).cloned();
                    Step::MemberRow(user.clone(), row)
                });
                [Step::IsMember(user.clone(), true)].into_iter().chain(rows).collect()
            }
            (Some(Action::Invitations), End::Answered(_, Answer::Invitations(rows))) => {
                let rows = self.emails.iter().map(|email| {
                    let row = rows.iter().find(|row| row.email == *email).cloned();
                    Step::InvitationRow(email.clone(), row)
                });
                [Step::IsMember(user.clone(), true)].into_iter().chain(rows).collect()
            }
            (Some(action), End::Answered(_, answer)) => {
                vec![Step::Call(call.caller.clone(), action.clone(), Some(answer.clone()))]
            }
            (None, End::Answered(..) | End::Lost(_) | End::Unavailable(_)) => Vec::new(),
        }
    }

    /// The calls around one, in the order of their ends.
    fn around(&self, call: usize) -> String {
        let order = self.order();
        let place = order.iter().position(|it| *it == call).unwrap_or_default();
        let shown = order[place.saturating_sub(CONTEXT)..(place + CONTEXT).min(order.len())].iter();
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
        order.sort_by_key(|call| self.over(&self.calls[*call]).unwrap_or(u64::MAX));
        order
    }

    fn line(&self, place: usize) -> String {
        let call = &self.calls[place];
        let Account { user, email } = &call.caller;
        let over = self.over(call).map_or_else(|| "...".to_owned(), |over| over.to_string());
        let asked = call.action.as_ref().map_or_else(|| "mailbox".to_owned(), |action| format!("{action:?}"));
        let got = match &call.end {
            End::Answered(_, answer) => answer.to_string(),
            End::Lost(life) => format!("no answer (life {life})"),
            End::Unavailable(life) => format!("{UNAVAILABLE} (life {life})"),
            End::Mailed(_, email, generation) => format!("{email} has mail {generation}"),
        };
        format!("#{place} [{}..{over}] client {}, {user} ({email}): {asked} -> {got}", call.at, call.client)
    }

    /// Writes the text to a file in `directory`.
    pub fn keep(&self, directory: &Path, seed: u64, violation: &Violation) -> PathBuf {
        std::fs::create_dir_all(directory).expect("a directory for histories");
        let file = directory.join(format!("{seed}-{}.txt", self.organization));
        let text = format!("{}\n\n{}", violation.summary, self.text());
        std::fs::write(&file, text).expect("a history can be written");
        file
    }
}

impl Answer {
    /// The status, and the code of a problem.
    pub fn outcome(&self) -> String {
        match self {
            Self::Nothing => "204".to_owned(),
            Self::Refused(refusal) => format!("{} {}", refusal.status, refusal.code),
            Self::Strange(_) => "strange".to_owned(),
            _ => "200".to_owned(),
        }
    }
}

/// Why a step has no place: what it was, and what would have been expected.
fn explain(step: &Step, ways: &[(Organization, Vec<usize>)], of: &[usize]) -> String {
    let mut text = String::new();
    match step {
        Step::Call(..) => text.push_str("This answer has no place:\n"),
        Step::IsMember(user, is) => {
            let _ =
                writeln!(text, "That {user} {} has no place:", if *is { "was a member" } else { "was none" });
        }
        Step::MemberRow(user, row) => {
            let _ = writeln!(text, "This row of {user} has no place: {}", shown(row.as_ref()));
        }
        Step::InvitationRow(email, row) => {
            let _ = writeln!(text, "This row of {email} has no place: {}", shown(row.as_ref()));
        }
        Step::Mailed(email, generation) => {
            let _ = writeln!(text, "Nobody had committed mail {generation} to {email}:");
        }
    }
    for (state, taken) in ways.iter().take(WAYS_SHOWN) {
        let calls: BTreeSet<_> = taken.iter().map(|entry| format!("#{}", of[*entry])).collect();
        let calls: Vec<_> = calls.into_iter().collect();
        let under_way = if calls.is_empty() { "none".to_owned() } else { calls.join(" ") };
        let _ = writeln!(text, "  It may have been this, with {under_way} of those under way done:\n{state}");
    }
    if ways.len() > WAYS_SHOWN {
        let _ = writeln!(text, "  ... or one of {} others.", ways.len() - WAYS_SHOWN);
    }
    text
}

fn shown(row: Option<&impl fmt::Debug>) -> String {
    row.map_or_else(|| "none".to_owned(), |row| format!("{row:?}"))
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.outcome())?;
        match self {
            Self::Results(results) => results.iter().try_for_each(|result| match result {
                InviteResult::Invited { email, invitation } => {
                    write!(f, ", {email} invited by mail {}", invitation.generation)
                }
                InviteResult::AlreadyInvited { email } => write!(f, ", {email} already_invited"),
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
            Self::Strange(text) => write!(f, " {text}"),
            Self::Nothing => Ok(()),
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
