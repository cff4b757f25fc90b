//! SES and EventBridge Scheduler, as far as Roster uses them.

use std::collections::BTreeMap;

use domain::{InvitationId, Link, OrganizationId, Timestamp, Token};
use serde_json::{Value, json};

/// Which mail: of which invitation, of which generation.
pub type MailId = (OrganizationId, InvitationId, u32);

/// What SES has taken.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// How often each mail was taken.
    pub taken: BTreeMap<MailId, u32>,
    /// The tokens that stood in the mails, and to whom they went.
    pub tokens: Vec<(Token, String)>,
}

impl Mailbox {
    /// Takes the mail of a `SendEmail`, and tells which one it is.
    pub fn take(&mut self, body: &Value) -> Link {
        let (token, to) = link_and_recipient(body);
        let link = token.link.clone();
        *self.taken.entry(mail_of(&link)).or_default() += 1;
        self.tokens.push((token, to));
        link
    }
}

/// The mail that a link stands in.
pub fn mail_of(link: &Link) -> MailId {
    (link.organization.clone(), link.invitation.clone(), link.generation.0)
}

/// The token in the mail of a `SendEmail`, and to whom it goes.
pub fn link_and_recipient(body: &Value) -> (Token, String) {
    let text = body["Content"]["Simple"]["Body"]["Text"]["Data"].as_str().expect("a mail has a text");
    let token = text.split_whitespace().find_map(|word| word.split_once('#')?.1.parse().ok());
    let to = body["Destination"]["ToAddresses"][0].as_str().expect("a mail goes to somebody");
    (token.expect("a mail has a link"), to.to_owned())
}

/// A one-time schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When it fires.
    pub at: Timestamp,
    /// What it hands to `expire`.
    pub input: Value,
    /// Which writing of the schedule this is.
    pub revision: u64,
}

/// All schedules, by name.
#[derive(Debug, Default)]
pub struct Schedules {
    held: BTreeMap<String, Schedule>,
    revisions: u64,
}

/// What became of a request.
#[derive(Debug)]
pub enum Scheduled {
    /// A schedule was set: it has to fire.
    Set(String, Schedule),
    /// A schedule is gone.
    Deleted,
    /// Refused, with this code.
    Refused(u16, &'static str),
}

impl Schedules {
    /// Answers a request about the schedule `name`.
    pub fn answer(&mut self, method: &str, name: &str, body: &Value, now: Timestamp) -> Scheduled {
        let present = self.held.contains_key(name);
        match (method, present) {
            ("POST", true) => return Scheduled::Refused(409, "ConflictException"),
            ("PUT" | "DELETE", false) => return Scheduled::Refused(404, "ResourceNotFoundException"),
            ("DELETE", true) => {
                self.held.remove(name);
                return Scheduled::Deleted;
            }
            _ => {}
        }
        let expression = body["ScheduleExpression"].as_str().unwrap_or_default();
        let moment = expression.strip_prefix("at(").and_then(|rest| rest.strip_suffix(')'));
        let at = moment.and_then(|moment| format!("{moment}Z").parse::<Timestamp>().ok());
        let Some(at) = at.filter(|at| *at > now) else {
            return Scheduled::Refused(400, "ValidationException");
        };
        let input = body["Target"]["Input"].as_str().and_then(|input| serde_json::from_str(input).ok());
        self.revisions += 1;
        let schedule = Schedule { at, input: input.unwrap_or(json!({})), revision: self.revisions };
        self.held.insert(name.to_owned(), schedule.clone());
        Scheduled::Set(name.to_owned(), schedule)
    }

    /// Takes the schedule away to be fired, unless it was moved or deleted since.
    pub fn complete(&mut self, name: &str, revision: u64) -> Option<Schedule> {
        self.held.get(name).filter(|held| held.revision == revision)?;
        self.held.remove(name)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.held.len()
    }
}
