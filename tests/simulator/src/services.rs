//! SES and EventBridge Scheduler, as far as Roster uses them.

use std::collections::BTreeMap;

use domain::{InvitationId, Link, OrganizationId, Timestamp, Token};
use serde_json::{Value, json};

/// The key of a mail: organization, invitation and generation.
pub type MailKey = (OrganizationId, InvitationId, u32);

/// The mails that SES accepted.
#[derive(Debug, Default)]
pub struct Mailbox {
    /// How often SES accepted each mail.
    pub accepted: BTreeMap<MailKey, u32>,
    /// The token and the recipient of each accepted mail, the newest last.
    pub tokens: Vec<(Token, String)>,
}

impl Mailbox {
    /// Accepts the mail of a `SendEmail` request and returns its link.
    pub fn accept(&mut self, body: &Value) -> Link {
        let (token, to) = token_and_recipient(body);
        let link = token.link.clone();
        *self.accepted.entry(mail_key(&link)).or_default() += 1;
        self.tokens.push((token, to));
        link
    }
}

/// Returns the key of the mail that contains this link.
pub fn mail_key(link: &Link) -> MailKey {
    (link.organization.clone(), link.invitation.clone(), link.generation.0)
}

/// Returns the token in the mail of a `SendEmail` request, and the recipient.
pub fn token_and_recipient(body: &Value) -> (Token, String) {
    let text = body["Content"]["Simple"]["Body"]["Text"]["Data"].as_str().expect("a mail has a text");
    let token = text.split_whitespace().find_map(|word| word.split_once('#')?.1.parse().ok());
    let to = body["Destination"]["ToAddresses"][0].as_str().expect("a mail has a recipient");
    (token.expect("a mail has a link"), to.to_owned())
}

/// A one-time schedule.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// When it fires.
    pub at: Timestamp,
    /// The event for `expire`.
    pub input: Value,
    /// The number of this write, unique among all writes of schedules.
    pub revision: u64,
}

/// All schedules, by name.
#[derive(Debug, Default)]
pub struct Schedules {
    by_name: BTreeMap<String, Schedule>,
    revisions: u64,
}

/// The result of a request to EventBridge Scheduler.
#[derive(Debug)]
pub enum ScheduleResult {
    /// The schedule with this name was created or updated. The caller must start its timer.
    Set(String, Schedule),
    /// The schedule was deleted.
    Deleted,
    /// The request was rejected with this status and error code.
    Rejected(u16, &'static str),
}

impl Schedules {
    /// Executes a request for the schedule `name`.
    pub fn execute(&mut self, method: &str, name: &str, body: &Value, now: Timestamp) -> ScheduleResult {
        let exists = self.by_name.contains_key(name);
        match (method, exists) {
            ("POST", true) => return ScheduleResult::Rejected(409, "ConflictException"),
            ("PUT" | "DELETE", false) => return ScheduleResult::Rejected(404, "ResourceNotFoundException"),
            ("DELETE", true) => {
                self.by_name.remove(name);
                return ScheduleResult::Deleted;
            }
            _ => {}
        }
        let expression = body["ScheduleExpression"].as_str().unwrap_or_default();
        let moment = expression.strip_prefix("at(").and_then(|rest| rest.strip_suffix(')'));
        let at = moment.and_then(|moment| format!("{moment}Z").parse::<Timestamp>().ok());
        let Some(at) = at.filter(|at| *at > now) else {
            return ScheduleResult::Rejected(400, "ValidationException");
        };
        let input = body["Target"]["Input"].as_str().and_then(|input| serde_json::from_str(input).ok());
        self.revisions += 1;
        let schedule = Schedule { at, input: input.unwrap_or(json!({})), revision: self.revisions };
        self.by_name.insert(name.to_owned(), schedule.clone());
        ScheduleResult::Set(name.to_owned(), schedule)
    }

    /// Removes a schedule to fire it; `None` if it was updated or deleted after this revision.
    pub fn complete(&mut self, name: &str, revision: u64) -> Option<Schedule> {
        self.by_name.get(name).filter(|schedule| schedule.revision == revision)?;
        self.by_name.remove(name)
    }

    /// Returns the number of schedules.
    pub fn count(&self) -> usize {
        self.by_name.len()
    }
}
