//! Whether people were told the truth: an answer that says something was done, and a refusal, have to be so at some
//! moment between call and answer. Written from the contract, and from nothing else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use domain::{
    EmailAddress, Invitation, InvitationId, Link, Member, OrganizationId, Role, Status, Timestamp, UserId,
};
use reference::{Operation, ReferenceTable, may_govern, may_grant};
use serde_json::Value;

use crate::lambda::Invocation;
use crate::people::Call;
use crate::world::{SKEW_MAX, World, caller};

/// Everybody's answers.
pub type Answers = Arc<Mutex<Vec<Answered>>>;

/// A call that was answered, or not.
#[derive(Debug)]
pub struct Answered {
    /// What was called.
    pub call: Call,
    /// The invocation.
    pub invocation: Arc<Invocation>,
    /// Since the beginning, when it was called.
    pub from: Duration,
    /// Since the beginning, when it was answered.
    pub until: Duration,
    /// Status and body; none if the function was killed or failed.
    pub answer: Option<(u16, Value)>,
}

/// What calls of one name have done and said, that they should not: together they do no more than one, and whoever
/// has an answer has the same one.
pub fn lies_of_one_key(answers: &[Answered]) -> Vec<String> {
    let mut named: BTreeMap<u32, Vec<&Answered>> = BTreeMap::new();
    for answered in answers {
        if let Some(key) = answered.call.key {
            named.entry(key).or_default().push(answered);
        }
    }
    let lie = |calls: Vec<&Answered>| {
        let name = calls[0].invocation.name();
        let committed: u32 = calls.iter().map(|it| it.invocation.committed()).sum();
        let done: Vec<_> = calls
            .iter()
            .filter_map(|it| it.answer.as_ref())
            .filter(|it| it.0 < 300)
            .map(|it| &it.1)
            .collect();
        if committed > 1 {
            return Some(format!(
                "{name}, called {} times by one key, committed {committed} times",
                calls.len()
            ));
        }
        if committed == 0 && !done.is_empty() {
            return Some(format!("{name} was answered by one key, and committed nothing"));
        }
        let differ = done.windows(2).any(|pair| pair[0] != pair[1]);
        differ.then(|| format!("{name} has two answers by one key"))
    };
    named.into_values().filter_map(lie).collect()
}

impl Answered {
    /// What the answer says and the table does not, or the other way round.
    pub fn lie(&self, world: &World) -> Option<String> {
        let name = self.invocation.name();
        let committed = self.invocation.committed();
        let Some((status, body)) = &self.answer else {
            return (committed > 1).then(|| format!("{name} had no answer, and committed {committed} times"));
        };
        let most = match status {
            200..300 | 500.. => 1,
            _ => 0,
        };
        if committed > most {
            return Some(format!("{name} answered {status}, and committed {committed} times"));
        }
        if *status >= 300 {
            let code = body["code"].as_str().unwrap_or_default();
            let is_so =
                self.is_so_at_some_moment(world, |moment| moment.justifies(&self.call, *status, code));
            return (!is_so && !self.was_disturbed(*status, code)).then(|| {
                format!("{name} answered {status} {code}, and nothing was the matter: {:?}", self.call)
            });
        }
        if self.call.key.is_some() {
            return None;
        }
        let invited = || {
            let mut results = body["results"].as_array().into_iter().flatten();
            results.any(|result| result["outcome"] == "invited")
        };
        let acknowledged = match self.invocation.function.as_str() {
            "invite" => invited(),
            "resend" | "revoke" | "decline" | "remove" => true,
            // What is so already is answered, too.
            _ => false,
        };
        if acknowledged && committed == 0 {
            return Some(format!("{name} answered {status}, and committed nothing"));
        }
        let is_so = self.is_so_at_some_moment(world, |moment| moment.shows(&self.call));
        (!is_so).then(|| format!("{name} answered {status}, and it was not so: {:?}", self.call))
    }

    /// Whether Roster may have given up for what was in the way, and not for what the table said.
    fn was_disturbed(&self, status: u16, code: &str) -> bool {
        match (status, code) {
            (503, "unavailable") => self.invocation.suffered() > 0,
            (409, "conflict") => self.invocation.suffered() > 0 || self.invocation.lost_races() > 1,
            _ => false,
        }
    }

    fn is_so_at_some_moment(&self, world: &World, is_so: impl Fn(&Moment<'_>) -> bool) -> bool {
        let skew = SKEW_MAX / 2;
        // What was sent may have been done before the answer was; whoever looks at the deadline has a clock of their own.
        let clocks = [self.from.saturating_sub(skew), self.until + skew].map(World::time);
        let tables = world.tables(self.from, self.until);
        tables.iter().any(|table| is_so(&Moment { table, clocks, limited: world.limits.is_some() }))
    }
}

/// The table as it was for a while, and the first and the last that a clock may have shown meanwhile.
struct Moment<'a> {
    table: &'a ReferenceTable,
    clocks: [Timestamp; 2],
    limited: bool,
}

impl Moment<'_> {
    /// Whether a call of that kind may be refused so.
    fn justifies(&self, call: &Call, status: u16, code: &str) -> bool {
        let by = caller(&call.by).user;
        match (&call.operation, call.organization.as_ref()) {
            (Operation::Accept(link), _) => self.gone(link, status, code) || self.keeps_out(&by, link, code),
            (Operation::Decline { link, .. }, _) => self.gone(link, status, code),
            (_, Some(organization)) => self.refuses(&by, organization, call, code),
            _ => false,
        }
    }

    /// Whether what the link is about is over in that way.
    fn gone(&self, link: &Link, status: u16, code: &str) -> bool {
        let invitation = self.table.invitation(&link.organization, &link.invitation);
        let Some(invitation) = invitation.filter(|it| it.link() == *link) else {
            return (status, code) == (410, "invitation_superseded");
        };
        let may_be = |wanted: &[Status]| self.statuses(invitation).iter().any(|it| wanted.contains(it));
        match code {
            "invitation_expired" => may_be(&[Status::Expired]),
            "invitation_revoked" => may_be(&[Status::Revoked]),
            "invitation_declined" => may_be(&[Status::Declined]),
            "invitation_accepted" => may_be(&[Status::Accepted, Status::Removed]),
            _ => false,
        }
    }

    /// Whether the invitee cannot join, though they are invited.
    fn keeps_out(&self, by: &UserId, link: &Link, code: &str) -> bool {
        let organization = &link.organization;
        let Some(invitation) = self.table.invitation(organization, &link.invitation) else { return false };
        let sender = self.table.member(organization, &invitation.sender.user);
        match code {
            "already_member" => self.table.member(organization, by).is_some(),
            "sender_lost_authority" => !sender.is_some_and(|it| may_grant(it.role, invitation.role)),
            _ => false,
        }
    }

    fn refuses(&self, by: &UserId, organization: &OrganizationId, call: &Call, code: &str) -> bool {
        let table = self.table;
        let Some(stands) = table.organization(organization) else { return false };
        let Some(Member { role, .. }) = table.member(organization, by) else {
            return code == "organization_not_found";
        };
        let grants = |granted: Role| may_grant(*role, granted);
        let last_owner = |member: &UserId| {
            stands.owners == 1 && table.member(organization, member).is_some_and(|it| it.role == Role::Owner)
        };
        let exists = |member: &UserId| table.member(organization, member).is_some();
        match (code, &call.operation) {
            (
                "too_many_invitations" | "resend_too_soon",
                Operation::Invite { .. } | Operation::Resend { .. },
            ) => self.limited,
            ("role_not_grantable", Operation::Invite { role, .. }) => !grants(*role),
            ("seats_exhausted", Operation::Invite { .. }) => {
                let wanted = call.emails();
                let free = usize::try_from(stands.seats.free).unwrap_or(usize::MAX);
                wanted.iter().filter(|email| !self.holds_a_seat(organization, email)).count() > free
            }
            (code, Operation::Resend { invitation, .. } | Operation::Revoke { invitation, .. }) => {
                let Some(invitation) = self.table.invitation(organization, invitation) else {
                    return code == "invitation_not_found";
                };
                match code {
                    "role_not_grantable" => !grants(invitation.role),
                    "invitation_not_pending" => {
                        self.statuses(invitation).iter().any(|it| *it != Status::Pending)
                    }
                    "seats_exhausted" => stands.seats.free == 0 && invitation.status() != Status::Pending,
                    _ => false,
                }
            }
            ("owner_required", Operation::RoleEdit { .. } | Operation::OrganizationEdit { .. }) => {
                !may_govern(*role)
            }
            ("owner_required", Operation::Remove { member, .. }) => !may_govern(*role) && member != by,
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

    /// What an invitation may be taken for, by whichever clock.
    fn statuses(&self, invitation: &Invitation) -> [Status; 2] {
        self.clocks.map(|now| invitation.status_at(now))
    }

    /// Whether it is so, what a call of that kind was told is done.
    fn shows(&self, call: &Call) -> bool {
        let status = |organization: &OrganizationId, id: &InvitationId| {
            self.table.invitation(organization, id).map(Invitation::status)
        };
        let role = |organization: &OrganizationId, user: &UserId| {
            self.table.member(organization, user).map(|member| member.role)
        };
        match (&call.operation, call.organization.as_ref()) {
            (Operation::Accept(link), _) => {
                let joined = self.table.member(&link.organization, &caller(&call.by).user);
                joined.is_some_and(|it| it.invitation == link.invitation)
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
            _ => true,
        }
    }
}

impl Call {
    /// The addresses that it invites, each once.
    fn emails(&self) -> Vec<EmailAddress> {
        let named = self.body["emails"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let mut emails: Vec<_> = named.filter_map(|email| EmailAddress::parse(email).ok()).collect();
        emails.sort_unstable();
        emails.dedup();
        emails
    }
}
