//! Checks the responses to users' calls: a success or a refusal must be true at some moment between call and response.
//!
//! The checks do not use the actions' `decide`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{
    EmailAddress, Invitation, InvitationId, Link, Member, OrganizationId, Role, Status, Timestamp, UserId,
};
use reference::{Operation, ReferenceTable, is_owner_privilege, may_grant};
use serde_json::Value;

use crate::lambda::Invocation;
use crate::simulation::{SKEW_MAX, Simulation, caller};
use crate::workload::Call;

/// The number of failed guards from which on a `conflict` is accepted.
///
/// One failed guard is not enough: the function must then read and decide again. The API contract does not promise a
/// number of attempts, so the check does not use the store's `ATTEMPTS_MAX`.
const FAILED_GUARDS_MIN: u32 = 2;

/// All calls of all users, with their responses.
pub type CallLog = Arc<Mutex<Vec<CompletedCall>>>;

/// A call with its response, if it has one.
#[derive(Debug)]
pub struct CompletedCall {
    /// The call.
    pub call: Call,
    /// The invocation of the function.
    pub invocation: Arc<Invocation>,
    /// When the call began, since the beginning of the run.
    pub from: Duration,
    /// When the call ended, since the beginning of the run.
    pub until: Duration,
    /// Status and body; `None` if the function was killed or failed.
    pub response: Option<(u16, Value)>,
}

/// Checks all calls with the same idempotency key: together they commit at most once, and all successes are equal.
pub fn idempotency_errors(calls: &[CompletedCall]) -> Vec<String> {
    let mut by_key: BTreeMap<u32, Vec<&CompletedCall>> = BTreeMap::new();
    for completed in calls {
        if let Some(key) = completed.call.key {
            by_key.entry(key).or_default().push(completed);
        }
    }
    let error = |calls: Vec<&CompletedCall>| {
        let name = calls[0].invocation.name();
        let commits: u32 = calls.iter().map(|it| it.invocation.commits()).sum();
        let successes: Vec<_> = calls
            .iter()
            .filter_map(|it| it.response.as_ref())
            .filter(|it| it.0 < 300)
            .map(|it| &it.1)
            .collect();
        if commits > 1 {
            return Some(format!(
                "{name}: {} calls with the same idempotency key committed {commits} times",
                calls.len()
            ));
        }
        if commits == 0 && !successes.is_empty() {
            return Some(format!("{name}: calls with an idempotency key succeeded, but committed nothing"));
        }
        let differ = successes.windows(2).any(|pair| pair[0] != pair[1]);
        differ.then(|| format!("{name}: calls with the same idempotency key have different responses"))
    };
    by_key.into_values().filter_map(error).collect()
}

impl CompletedCall {
    /// Returns a message if the response is not true at any moment of the call; `None` if it is correct.
    pub fn contradiction(&self, simulation: &Simulation) -> Option<String> {
        let name = self.invocation.name();
        let commits = self.invocation.commits();
        let Some((status, body)) = &self.response else {
            return (commits > 1).then(|| format!("{name} had no response, but committed {commits} times"));
        };
        let commits_max = match status {
            200..300 | 500.. => 1,
            _ => 0,
        };
        if commits > commits_max {
            return Some(format!("{name} responded {status}, but committed {commits} times"));
        }
        if *status >= 300 {
            let code = body["code"].as_str().unwrap_or_default();
            let is_justified =
                self.at_some_moment(simulation, |moment| moment.justifies(&self.call, *status, code));
            return (!is_justified && !self.has_technical_cause(*status, code)).then(|| {
                format!(
                    "{name} responded {status} {code}, but this was not true at any moment of the call: {:?}",
                    self.call
                )
            });
        }
        // The response may be a stored one. `idempotency_errors` checks all calls with this key together.
        if self.call.key.is_some() {
            return None;
        }
        let invited = || {
            let mut results = body["results"].as_array().into_iter().flatten();
            results.any(|result| result["outcome"] == "invited")
        };
        let must_commit = match self.invocation.function.as_str() {
            "invite" => invited(),
            "resend" | "revoke" | "decline" | "remove" => true,
            // The other functions also succeed if the requested state exists already.
            _ => false,
        };
        if must_commit && commits == 0 {
            return Some(format!("{name} responded {status}, but committed nothing"));
        }
        let is_confirmed = self.at_some_moment(simulation, |moment| moment.confirms(&self.call));
        (!is_confirmed).then(|| {
            format!(
                "{name} responded {status}, but this was not true at any moment of the call: {:?}",
                self.call
            )
        })
    }

    /// Whether faults or failed guards may be the cause of this response, instead of the table.
    fn has_technical_cause(&self, status: u16, code: &str) -> bool {
        match (status, code) {
            (503, "unavailable") => self.invocation.faults() > 0,
            (409, "conflict") => {
                self.invocation.faults() > 0 || self.invocation.failed_guards() >= FAILED_GUARDS_MIN
            }
            _ => false,
        }
    }

    /// Whether `holds` is true at some moment between call and response.
    fn at_some_moment(&self, simulation: &Simulation, holds: impl Fn(&Moment<'_>) -> bool) -> bool {
        // The function that decided may have a fast or a slow clock.
        let skew = SKEW_MAX / 2;
        let clocks = [self.from.saturating_sub(skew), self.until + skew].map(Simulation::time_at);
        let tables = simulation.tables_between(self.from, self.until);
        tables.iter().any(|table| holds(&Moment { table, clocks, limited: simulation.limits.is_some() }))
    }
}

/// The table at one moment of a call, with the clocks and limits that a decision may have used.
struct Moment<'a> {
    table: &'a ReferenceTable,
    /// The earliest and the latest time that a clock may have shown during the call.
    clocks: [Timestamp; 2],
    /// Whether the run has limits on invitees and mails.
    limited: bool,
}

impl Moment<'_> {
    /// Whether `call` may be refused with this status and code.
    fn justifies(&self, call: &Call, status: u16, code: &str) -> bool {
        let by = caller(&call.by).user;
        match (&call.operation, call.organization.as_ref()) {
            // A member is never refused for a declined invitation or for its sender.
            (Operation::Accept { link, .. }, _) => {
                let is_member = self.table.member(&link.organization, &by).is_some();
                (self.link_justifies(link, status, code) && !(is_member && code == "invitation_declined"))
                    || (!is_member && code == "sender_lost_authority" && self.sender_lacks_authority(link))
            }
            (Operation::Decline { link, .. }, _) => self.link_justifies(link, status, code),
            (_, Some(organization)) => self.organization_justifies(&by, organization, call, code),
            // Users make no other calls.
            _ => false,
        }
    }

    /// Whether the state of the link's invitation justifies this status and code.
    fn link_justifies(&self, link: &Link, status: u16, code: &str) -> bool {
        let invitation = self.table.invitation(&link.organization, &link.invitation);
        let Some(invitation) = invitation.filter(|it| it.link() == *link) else {
            return (status, code) == (410, "invitation_superseded");
        };
        let may_be =
            |expected: &[Status]| self.possible_statuses(invitation).iter().any(|it| expected.contains(it));
        match code {
            "invitation_expired" => may_be(&[Status::Expired]),
            "invitation_revoked" => may_be(&[Status::Revoked]),
            "invitation_declined" => may_be(&[Status::Declined]),
            "invitation_accepted" => may_be(&[Status::Accepted, Status::Removed]),
            _ => false,
        }
    }

    /// Whether the sender of the link's invitation may not grant its role.
    fn sender_lacks_authority(&self, link: &Link) -> bool {
        self.table.invitation(&link.organization, &link.invitation).is_some_and(|invitation| {
            let sender = self.table.member(&link.organization, &invitation.sender.user);
            !sender.is_some_and(|it| may_grant(it.role, invitation.role))
        })
    }

    /// Whether the records of the organization justify this code.
    fn organization_justifies(
        &self,
        by: &UserId,
        organization: &OrganizationId,
        call: &Call,
        code: &str,
    ) -> bool {
        let table = self.table;
        let Some(stored) = table.organization(organization) else { return false };
        let Some(Member { role, .. }) = table.member(organization, by) else {
            return code == "organization_not_found";
        };
        let grants = |granted: Role| may_grant(*role, granted);
        let last_owner = |member: &UserId| {
            stored.owners == 1 && table.member(organization, member).is_some_and(|it| it.role == Role::Owner)
        };
        let exists = |member: &UserId| table.member(organization, member).is_some();
        match (code, &call.operation) {
            // This check does not count invitees and mails, so it accepts every 429 in a run with limits.
            (
                "too_many_invitations" | "resend_too_soon",
                Operation::Invite { .. } | Operation::Resend { .. },
            ) => self.limited,
            ("role_not_grantable", Operation::Invite { role, .. }) => !grants(*role),
            ("seats_exhausted", Operation::Invite { .. }) => {
                let emails = call.emails();
                let free = usize::try_from(stored.seats.free).unwrap_or(usize::MAX);
                emails.iter().filter(|email| !self.holds_a_seat(organization, email)).count() > free
            }
            (code, Operation::Resend { invitation, .. } | Operation::Revoke { invitation, .. }) => {
                let Some(invitation) = self.table.invitation(organization, invitation) else {
                    return code == "invitation_not_found";
                };
                match code {
                    "role_not_grantable" => !grants(invitation.role),
                    "invitation_not_pending" => {
                        self.possible_statuses(invitation).iter().any(|it| *it != Status::Pending)
                    }
                    // A record that is pending holds its seat, also past the expiry. An expired record has freed its
                    // seat, so a resend takes a seat again.
                    "seats_exhausted" => stored.seats.free == 0 && invitation.status() != Status::Pending,
                    _ => false,
                }
            }
            ("owner_required", Operation::RoleEdit { .. } | Operation::OrganizationEdit { .. }) => {
                !is_owner_privilege(*role)
            }
            ("owner_required", Operation::Remove { member, .. }) => {
                !is_owner_privilege(*role) && member != by
            }
            ("last_owner", Operation::RoleEdit { member, .. } | Operation::Remove { member, .. }) => {
                last_owner(member)
            }
            ("member_not_found", Operation::RoleEdit { member, .. } | Operation::Remove { member, .. }) => {
                !exists(member)
            }
            _ => false,
        }
    }

    fn holds_a_seat(&self, organization: &OrganizationId, email: &EmailAddress) -> bool {
        let invitation = self.table.invitation_of(organization, email);
        invitation.is_some_and(|it| matches!(it.status(), Status::Pending | Status::Accepted))
    }

    /// Returns the statuses that the earliest and the latest clock give the invitation.
    fn possible_statuses(&self, invitation: &Invitation) -> [Status; 2] {
        self.clocks.map(|now| invitation.status_at(now))
    }

    /// Whether the table contains the result that a success of `call` reports.
    fn confirms(&self, call: &Call) -> bool {
        let status = |organization: &OrganizationId, id: &InvitationId| {
            self.table.invitation(organization, id).map(Invitation::status)
        };
        let role = |organization: &OrganizationId, user: &UserId| {
            self.table.member(organization, user).map(|member| member.role)
        };
        match (&call.operation, call.organization.as_ref()) {
            (Operation::Accept { link, .. }, _) => {
                let member = self.table.member(&link.organization, &caller(&call.by).user);
                let is_declined = status(&link.organization, &link.invitation) == Some(Status::Declined);
                member.is_some_and(|it| it.invitation == link.invitation || is_declined)
            }
            (Operation::Decline { link, .. }, _) => {
                status(&link.organization, &link.invitation) == Some(Status::Declined)
            }
            (Operation::Invite { .. }, Some(organization)) => {
                call.emails().iter().all(|email| self.holds_a_seat(organization, email))
            }
            (Operation::Resend { invitation, .. }, Some(organization)) => {
                status(organization, invitation) == Some(Status::Pending)
            }
            (Operation::Revoke { invitation, .. }, Some(organization)) => {
                status(organization, invitation) == Some(Status::Revoked)
            }
            (Operation::RoleEdit { member, .. }, Some(organization)) => {
                role(organization, member).map(Role::as_str) == call.body["role"].as_str()
            }
            (Operation::Remove { member, .. }, Some(organization)) => role(organization, member).is_none(),
            (Operation::OrganizationEdit { .. }, Some(organization)) => {
                let name = self.table.organization(organization).map(|it| it.name.as_str());
                name == call.body["name"].as_str()
            }
            // Users make no other calls.
            _ => true,
        }
    }
}

impl Call {
    /// Returns the addresses of an invite, each once.
    fn emails(&self) -> Vec<EmailAddress> {
        let texts = self.body["emails"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut emails: Vec<_> = texts.filter_map(|email| EmailAddress::parse(email).ok()).collect();
        emails.sort_unstable();
        emails.dedup();
        emails
    }
}
