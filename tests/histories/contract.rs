//! The sequential model of one organization: for each call, its response and the organization's new state.
//!
//! The model follows the API contract and the rules, not the code. It uses only the names of roles and statuses from
//! the domain, and the permissions of each role from the reference model.
//!
//! The model has no time, because a run is shorter than the 48 hours until an invitation expires and never advances the
//! clock. It has no limits, because the laptop (the local server started by `cargo run`) runs with `--no-limits`.
//!
//! A response that is read in one snapshot is one step: an organization with the caller's role, or the preview of a
//! link. A list is not one snapshot: the contract specifies one read per page, and a concurrent read of the caller's
//! membership. On AWS not even a page is a snapshot. So the membership, each row, and each missing row is a step of its
//! own during the call. At the end of a run there are no concurrent calls, so these steps together check the whole
//! list.

use std::collections::BTreeMap;

use domain::{Role, Status};
use reference::{is_owner_privilege, may_grant};
use serde::Deserialize;

use crate::checker::Specification;

/// An organization between two calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Organization {
    /// The total number of seats.
    pub seats: u32,
    /// Its members by user.
    pub members: BTreeMap<String, Member>,
    /// The invitation records by address. The founder's address has one, too.
    pub invitations: BTreeMap<String, Invitation>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The role.
    pub role: Role,
    /// The address that was invited.
    pub email: String,
}

/// The invitation record of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invitation {
    /// The role offered.
    pub role: Role,
    /// The status.
    pub status: Status,
    /// The generation of the newest mail.
    pub generation: u32,
    /// The member who sent the newest mail.
    pub sender: Sender,
    /// The user who accepted the invitation. `None` if the status is not `Accepted`.
    pub accepted_by: Option<String>,
}

/// The sender of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Sender {
    /// The user's id.
    pub user_id: String,
    /// The user's address.
    pub email: String,
}

/// An account of the identity provider. Two accounts may share a user or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The user.
    pub user: String,
    /// The verified address.
    pub email: String,
}

/// The link in a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The invited address.
    pub email: String,
    /// The generation of the mail.
    pub generation: u32,
}

/// A call of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Invites addresses.
    Invite {
        /// The addresses.
        emails: Vec<String>,
        /// The role that is offered.
        role: Role,
    },
    /// Resends the invitation of an address.
    Resend(String),
    /// Revokes the invitation of an address.
    Revoke(String),
    /// Previews the invitation of a link.
    Preview(Link),
    /// Accepts the invitation of a link.
    Accept(Link),
    /// Declines the invitation of a link.
    Decline(Link),
    /// Changes a member's role.
    RoleEdit {
        /// The member.
        user: String,
        /// The new role.
        role: Role,
    },
    /// Removes a member. Callers may remove themselves.
    Remove(String),
    /// Reads the organization.
    GetOrganization,
    /// Lists members.
    ListMembers,
    /// Lists invitations.
    ListInvitations,
}

/// The response to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response {
    /// 200 to an invite.
    Results(Vec<InviteResult>),
    /// 200 to a resend.
    Invitation(InvitationRow),
    /// 200 to an accept or an edit.
    Member(MemberRow),
    /// 204.
    NoContent,
    /// 200 to a read of the organization.
    Organization(View),
    /// 200 to a preview.
    Preview(Preview),
    /// 200 to a list of members, all pages of it.
    Members(Vec<MemberRow>),
    /// 200 to a list of invitations, all pages of it.
    Invitations(Vec<InvitationRow>),
    /// A problem.
    Refused(Refusal),
    /// A response that the contract does not contain.
    Undocumented(String),
}

/// The result of an invite for one address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum InviteResult {
    /// The address was invited.
    Invited {
        /// The address.
        email: String,
        /// The new invitation.
        invitation: InvitationRow,
    },
    /// The address already has a pending invitation.
    AlreadyInvited {
        /// The address.
        email: String,
        /// The role of the pending invitation.
        role: Role,
    },
    /// The address belongs to a member.
    AlreadyMember {
        /// The address.
        email: String,
    },
}

/// An invitation in a response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InvitationRow {
    pub email: String,
    pub role: Role,
    pub status: Status,
    pub generation: u32,
    pub sender: Sender,
}

/// A member in a response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MemberRow {
    pub user_id: String,
    pub email: String,
    pub role: Role,
}

/// An organization in a response.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct View {
    pub role: Role,
    pub seats: Seats,
    pub owners: u32,
}

/// The seats in a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Seats {
    pub total: u32,
    pub taken: u32,
    pub free: u32,
}

/// The response to a preview.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Preview {
    pub email: String,
    pub role: Role,
    pub sender_email: String,
    pub status: Status,
}

/// A problem in a response, with the extension fields that the contract documents for its code.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Refusal {
    pub status: u16,
    pub code: String,
    pub seats: Option<Seats>,
    pub invitation_status: Option<Status>,
}

/// A step of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A call and its response. `None` if the response was lost.
    Call(Account, Action, Option<Response>),
    /// Whether the user was a member.
    IsMember(String, bool),
    /// The user's row in a list of members. `None` if the list had no such row.
    MemberRow(String, Option<MemberRow>),
    /// The address's row in a list of invitations. `None` if the list had no such row.
    InvitationRow(String, Option<InvitationRow>),
    /// The address had a mail of this generation, so the generation had been committed.
    Mailed(String, u32),
}

impl Specification for Organization {
    type State = Self;
    type Step = Step;

    fn apply(step: &Step, state: &Self) -> Option<Self> {
        let holds = match step {
            Step::Call(caller, action, response) => {
                let mut next = state.clone();
                let expected = next.execute(caller, action).unwrap_or_else(Response::Refused);
                return response.as_ref().is_none_or(|response| *response == expected).then_some(next);
            }
            Step::IsMember(user, is) => state.members.contains_key(user) == *is,
            Step::MemberRow(user, row) => state.member_row(user) == *row,
            Step::InvitationRow(email, row) => state.invitation_row(email) == *row,
            Step::Mailed(email, generation) => {
                state.invitations.get(email).is_some_and(|it| it.generation >= *generation)
            }
        };
        holds.then(|| state.clone())
    }

    fn is_read_only(step: &Step) -> bool {
        match step {
            Step::Call(_, _, response) => response.as_ref().is_some_and(Response::is_read_only),
            _ => true,
        }
    }
}

impl Response {
    /// Whether a call with this response is certain to have changed nothing. An accept that is repeated and an edit to
    /// the current role change nothing either, but their responses do not show it.
    fn is_read_only(&self) -> bool {
        match self {
            Self::Results(results) => {
                !results.iter().any(|result| matches!(result, InviteResult::Invited { .. }))
            }
            Self::Invitation(_) | Self::Member(_) | Self::NoContent => false,
            _ => true,
        }
    }
}

fn refused(status: u16, code: &str) -> Refusal {
    Refusal { status, code: code.to_owned(), seats: None, invitation_status: None }
}

fn not_pending(status: Status) -> Refusal {
    Refusal { invitation_status: Some(status), ..refused(409, "invitation_not_pending") }
}

/// The problem for the newest link of an invitation that is not pending. If the member was removed after the accept,
/// the code is `invitation_accepted` as well.
fn link_problem(status: Status) -> Refusal {
    match status {
        Status::Removed | Status::Accepted => refused(410, "invitation_accepted"),
        status => refused(410, &format!("invitation_{status}")),
    }
}

impl Organization {
    /// A new organization. The founder is the first owner, and the founder's address has an accepted record without a
    /// mail.
    pub fn created_by(founder: &Account, seats: u32) -> Self {
        let member = Member { role: Role::Owner, email: founder.email.clone() };
        let invitation = Invitation {
            role: Role::Owner,
            status: Status::Accepted,
            generation: 0,
            sender: founder.as_sender(),
            accepted_by: Some(founder.user.clone()),
        };
        Self {
            seats,
            members: BTreeMap::from([(founder.user.clone(), member)]),
            invitations: BTreeMap::from([(founder.email.clone(), invitation)]),
        }
    }

    fn seats(&self) -> Seats {
        let pending = self.invitations.values().filter(|it| it.status == Status::Pending).count();
        let taken = u32::try_from(self.members.len() + pending).unwrap_or(u32::MAX);
        // If more seats were taken than exist, the service's response would differ from this one.
        Seats { total: self.seats, taken, free: self.seats.saturating_sub(taken) }
    }

    fn owners(&self) -> u32 {
        let owners = self.members.values().filter(|member| member.role == Role::Owner);
        u32::try_from(owners.count()).unwrap_or(u32::MAX)
    }

    fn member_row(&self, user: &str) -> Option<MemberRow> {
        let Member { role, email } = self.members.get(user)?.clone();
        Some(MemberRow { user_id: user.to_owned(), email, role })
    }

    fn invitation_row(&self, email: &str) -> Option<InvitationRow> {
        let Invitation { role, status, generation, sender, .. } = self.invitations.get(email)?.clone();
        Some(InvitationRow { email: email.to_owned(), role, status, generation, sender })
    }

    /// Executes a call and returns its response.
    fn execute(&mut self, caller: &Account, action: &Action) -> Result<Response, Refusal> {
        match action {
            Action::Invite { emails, role } => self.invite(caller, emails, *role),
            Action::Resend(email) => self.resend(caller, email),
            Action::Revoke(email) => {
                self.find_with_status(caller, email, &[Status::Pending])?;
                self.close(email, Status::Revoked);
                Ok(Response::NoContent)
            }
            Action::Preview(link) => self.preview(link),
            Action::Accept(link) => self.accept(caller, link),
            Action::Decline(link) => {
                let invitation = self.find_by_own_link(caller, link)?;
                if invitation.status != Status::Pending {
                    return Err(link_problem(invitation.status));
                }
                self.close(&link.email, Status::Declined);
                Ok(Response::NoContent)
            }
            Action::RoleEdit { user, role } => self.edit_role(caller, user, *role),
            Action::Remove(user) => self.remove(caller, user),
            Action::GetOrganization => {
                let role = self.member(caller)?.role;
                Ok(Response::Organization(View { role, seats: self.seats(), owners: self.owners() }))
            }
            // A list with a response becomes one step per row. Without a response it had no effect.
            Action::ListMembers | Action::ListInvitations => Ok(Response::NoContent),
        }
    }

    fn member(&self, caller: &Account) -> Result<&Member, Refusal> {
        self.members.get(&caller.user).ok_or_else(|| refused(404, "organization_not_found"))
    }

    fn invite(&mut self, caller: &Account, emails: &[String], role: Role) -> Result<Response, Refusal> {
        if !may_grant(self.member(caller)?.role, role) {
            return Err(refused(403, "role_not_grantable"));
        }
        let mut unique = Vec::new();
        for email in emails {
            if !unique.contains(email) {
                unique.push(email.clone());
            }
        }
        let mut after = self.clone();
        let mut results = Vec::new();
        for email in unique {
            let before = self.invitations.get(&email);
            results.push(match before.map(|it| (it.status, it.role)) {
                Some((Status::Pending, role)) => InviteResult::AlreadyInvited { email, role },
                Some((Status::Accepted, _)) => InviteResult::AlreadyMember { email },
                _ => {
                    let generation = before.map_or(0, |it| it.generation) + 1;
                    after.mail(caller, &email, role, generation);
                    let invitation = after.invitation_row(&email).expect("the record was written");
                    InviteResult::Invited { email, invitation }
                }
            });
        }
        if after.seats().taken > self.seats {
            return Err(Refusal { seats: Some(self.seats()), ..refused(409, "seats_exhausted") });
        }
        *self = after;
        Ok(Response::Results(results))
    }

    fn mail(&mut self, sender: &Account, email: &str, role: Role, generation: u32) {
        let sender = sender.as_sender();
        let invitation = Invitation { role, status: Status::Pending, generation, sender, accepted_by: None };
        self.invitations.insert(email.to_owned(), invitation);
    }

    /// The record of an address, if the caller may grant its role and its status is one of `of`.
    fn find_with_status(&self, caller: &Account, email: &str, of: &[Status]) -> Result<&Invitation, Refusal> {
        let member = self.member(caller)?;
        let invitation = self.invitations.get(email).ok_or_else(|| refused(404, "invitation_not_found"))?;
        if !may_grant(member.role, invitation.role) {
            return Err(refused(403, "role_not_grantable"));
        }
        if of.contains(&invitation.status) { Ok(invitation) } else { Err(not_pending(invitation.status)) }
    }

    fn resend(&mut self, caller: &Account, email: &str) -> Result<Response, Refusal> {
        let invitation = self.find_with_status(caller, email, &[Status::Pending])?;
        let (role, generation) = (invitation.role, invitation.generation + 1);
        self.mail(caller, email, role, generation);
        Ok(Response::Invitation(self.invitation_row(email).expect("the record was written")))
    }

    fn close(&mut self, email: &str, how: Status) {
        if let Some(invitation) = self.invitations.get_mut(email) {
            (invitation.status, invitation.accepted_by) = (how, None);
        }
    }

    /// The invitation of a link, if the link is the newest one.
    fn find_by_link(&self, link: &Link) -> Result<&Invitation, Refusal> {
        let invitation = self.invitations.get(&link.email).filter(|it| it.generation == link.generation);
        invitation.ok_or_else(|| refused(410, "invitation_superseded"))
    }

    /// The invitation of a link, if the link is the newest one and the caller's address was invited.
    fn find_by_own_link(&self, caller: &Account, link: &Link) -> Result<&Invitation, Refusal> {
        let invitation = self.find_by_link(link)?;
        if caller.email == link.email { Ok(invitation) } else { Err(refused(403, "email_mismatch")) }
    }

    fn preview(&self, link: &Link) -> Result<Response, Refusal> {
        let Invitation { role, status, sender, .. } = self.find_by_link(link)?.clone();
        let email = link.email.clone();
        Ok(Response::Preview(Preview { email, role, sender_email: sender.email, status }))
    }

    fn accept(&mut self, caller: &Account, link: &Link) -> Result<Response, Refusal> {
        let invitation = self.find_by_own_link(caller, link)?;
        let (role, sender) = (invitation.role, &invitation.sender.user_id);
        match invitation.status {
            Status::Pending => {}
            Status::Accepted if invitation.accepted_by.as_ref() == Some(&caller.user) => {
                let row =
                    self.member_row(&caller.user).expect("a user with an accepted invitation is a member");
                return Ok(Response::Member(row));
            }
            Status::Declined => {
                let row = self.member_row(&caller.user);
                return row.map(Response::Member).ok_or_else(|| link_problem(Status::Declined));
            }
            status => return Err(link_problem(status)),
        }
        // A member stays the same, and the second invitation is closed.
        if let Some(row) = self.member_row(&caller.user) {
            self.close(&link.email, Status::Declined);
            return Ok(Response::Member(row));
        }
        if !self.members.get(sender).is_some_and(|sender| may_grant(sender.role, role)) {
            return Err(refused(409, "sender_lost_authority"));
        }
        self.members.insert(caller.user.clone(), Member { role, email: link.email.clone() });
        if let Some(invitation) = self.invitations.get_mut(&link.email) {
            invitation.status = Status::Accepted;
            invitation.accepted_by = Some(caller.user.clone());
        }
        Ok(Response::Member(self.member_row(&caller.user).expect("the user has joined")))
    }

    /// The roles of the caller and of `user`.
    fn roles(&self, caller: &Account, user: &str) -> Result<(Role, Role), Refusal> {
        let own = self.member(caller)?.role;
        let member = self.members.get(user).ok_or_else(|| refused(404, "member_not_found"))?;
        Ok((own, member.role))
    }

    fn edit_role(&mut self, caller: &Account, user: &str, to: Role) -> Result<Response, Refusal> {
        let (own, role) = self.roles(caller, user)?;
        if !is_owner_privilege(own) {
            return Err(refused(403, "owner_required"));
        }
        if (role, to) == (Role::Owner, Role::Member) && self.owners() == 1 {
            return Err(refused(409, "last_owner"));
        }
        if let Some(member) = self.members.get_mut(user) {
            member.role = to;
        }
        Ok(Response::Member(self.member_row(user).expect("the user is a member")))
    }

    fn remove(&mut self, caller: &Account, user: &str) -> Result<Response, Refusal> {
        let (own, role) = self.roles(caller, user)?;
        if !is_owner_privilege(own) && caller.user != user {
            return Err(refused(403, "owner_required"));
        }
        if role == Role::Owner && self.owners() == 1 {
            return Err(refused(409, "last_owner"));
        }
        if let Some(member) = self.members.remove(user) {
            self.close(&member.email, Status::Removed);
        }
        Ok(Response::NoContent)
    }
}

impl Account {
    fn as_sender(&self) -> Sender {
        Sender { user_id: self.user.clone(), email: self.email.clone() }
    }
}
