//! The contract as one organization's days, one call at a time: what each call is answered, and what is then. It is
//! written from the contract and the rules, and from nothing else; of the product's code it takes the names of roles and
//! statuses, and of the reference model what a role may do.
//!
//! No time passes in it: the clock of a run is never advanced, and 48 hours are longer than a run. Nor are there
//! limits (`--no-limits`).
//!
//! What is read in one snapshot is one step: an organization with the caller's role, an invitation that a link shows.
//! A list is not: the contract promises one read for a page and another, at the same time, for the caller's
//! membership; on AWS a page is no snapshot either. So each of its rows is a step by itself, whose moment lies within
//! the call's, and so is each row that is missing, and the membership. Where nobody else is at it, as in the end of a
//! run, that is the whole list.

use std::collections::BTreeMap;

use domain::{Role, Status};
use reference::{may_govern, may_grant};
use serde::Deserialize;

use crate::checker::Specification;

/// An organization between two calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Organization {
    /// How many seats it has.
    pub seats: u32,
    /// Its members by user.
    pub members: BTreeMap<String, Member>,
    /// What has become of the addresses that were ever invited.
    pub invitations: BTreeMap<String, Invitation>,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Member {
    /// The role.
    pub role: Role,
    /// The address that they were invited by.
    pub email: String,
}

/// The standing of an address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Invitation {
    /// The role offered.
    pub role: Role,
    /// The status.
    pub status: Status,
    /// Which mail is the newest.
    pub generation: u32,
    /// In whose name it stands.
    pub sender: Sender,
    /// Who has accepted it, while it is accepted.
    pub accepted_by: Option<String>,
}

/// A member in whose name an invitation stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub struct Sender {
    /// Who.
    pub user_id: String,
    /// With which address.
    pub email: String,
}

/// Somebody signed in: two accounts may share a user or an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// The user.
    pub user: String,
    /// The verified address.
    pub email: String,
}

/// Which mail's link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// To whom.
    pub email: String,
    /// Which of the mails.
    pub generation: u32,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Invites addresses.
    Invite {
        /// Which.
        emails: Vec<String>,
        /// As what.
        role: Role,
    },
    /// Resends the invitation of an address.
    Resend(String),
    /// Revokes the invitation of an address.
    Revoke(String),
    /// Looks at what a link is about.
    Preview(Link),
    /// Accepts.
    Accept(Link),
    /// Declines.
    Decline(Link),
    /// Edits a member's role.
    RoleEdit {
        /// Whose.
        user: String,
        /// To what.
        role: Role,
    },
    /// Removes a member, or leaves.
    Remove(String),
    /// Looks at the organization.
    Look,
    /// Lists members.
    Members,
    /// Lists invitations.
    Invitations,
}

/// What a call was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200 to an invite.
    Results(Vec<InviteResult>),
    /// 200 to a resend.
    Invitation(InvitationRow),
    /// 200 to an accept or an edit.
    Member(MemberRow),
    /// 204.
    Nothing,
    /// 200 to a look at the organization.
    Organization(View),
    /// 200 to a preview.
    Preview(Preview),
    /// 200 to a list of members, all pages of it.
    Members(Vec<MemberRow>),
    /// 200 to a list of invitations, all pages of it.
    Invitations(Vec<InvitationRow>),
    /// A problem.
    Refused(Refusal),
    /// Nothing that the contract knows.
    Strange(String),
}

/// What became of an address in an invite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum InviteResult {
    /// It is invited.
    Invited {
        /// Which.
        email: String,
        /// How it stands.
        invitation: InvitationRow,
    },
    /// It was already.
    AlreadyInvited {
        /// Which.
        email: String,
    },
    /// It belongs to a member.
    AlreadyMember {
        /// Which.
        email: String,
    },
}

/// An invitation in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct InvitationRow {
    pub email: String,
    pub role: Role,
    pub status: Status,
    pub generation: u32,
    pub sender: Sender,
}

/// A member in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct MemberRow {
    pub user_id: String,
    pub email: String,
    pub role: Role,
}

/// An organization in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct View {
    pub role: Role,
    pub seats: Seats,
    pub owners: u32,
}

/// Seats in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Seats {
    pub total: u32,
    pub taken: u32,
    pub free: u32,
}

/// What a link is about.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Preview {
    pub email: String,
    pub role: Role,
    pub sender_email: String,
    pub status: Status,
}

/// A problem in an answer, with what its row in the contract adds.
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
    /// A call, and what it was answered: nothing, if the answer was lost.
    Call(Account, Action, Option<Answer>),
    /// Somebody was a member, or not.
    IsMember(String, bool),
    /// A user's row in a list of members, or none.
    MemberRow(String, Option<MemberRow>),
    /// An address's row in a list of invitations, or none.
    InvitationRow(String, Option<InvitationRow>),
    /// The address had a mail of that generation, so that much had been committed.
    Mailed(String, u32),
}

impl Specification for Organization {
    type State = Self;
    type Step = Step;

    fn take(step: &Step, state: &Self) -> Option<Self> {
        let holds = match step {
            Step::Call(caller, action, answer) => {
                let mut next = state.clone();
                let expected = next.called(caller, action).unwrap_or_else(Answer::Refused);
                return answer.as_ref().is_none_or(|answer| *answer == expected).then_some(next);
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

    fn only_reads(step: &Step) -> bool {
        match step {
            Step::Call(_, _, answer) => answer.as_ref().is_some_and(Answer::changes_nothing),
            _ => true,
        }
    }
}

impl Answer {
    /// Whether whoever is answered so has changed nothing. Editing a role to what it is, or accepting again, is
    /// answered as if something had been.
    fn changes_nothing(&self) -> bool {
        match self {
            Self::Results(results) => {
                !results.iter().any(|result| matches!(result, InviteResult::Invited { .. }))
            }
            Self::Invitation(_) | Self::Member(_) | Self::Nothing => false,
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

/// The problem of a genuine link that is dead. A member removed since: `invitation_accepted`.
fn dead(status: Status) -> Refusal {
    match status {
        Status::Removed | Status::Accepted => refused(410, "invitation_accepted"),
        status => refused(410, &format!("invitation_{status}")),
    }
}

impl Organization {
    /// As `founder` has just founded it: the first owner, whose address has an accepted record without a mail.
    pub fn founded_by(founder: &Account, seats: u32) -> Self {
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
        // A taken seat too many would show as an answer that nothing explains.
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

    fn called(&mut self, caller: &Account, action: &Action) -> Result<Answer, Refusal> {
        match action {
            Action::Invite { emails, role } => self.invite(caller, emails, *role),
            Action::Resend(email) => self.resend(caller, email),
            Action::Revoke(email) => {
                self.standing(caller, email, &[Status::Pending])?;
                self.close(email, Status::Revoked);
                Ok(Answer::Nothing)
            }
            Action::Preview(link) => self.preview(link),
            Action::Accept(link) => self.accept(caller, link),
            Action::Decline(link) => {
                let invitation = self.opened(caller, link)?;
                if invitation.status != Status::Pending {
                    return Err(dead(invitation.status));
                }
                self.close(&link.email, Status::Declined);
                Ok(Answer::Nothing)
            }
            Action::RoleEdit { user, role } => self.edit_role(caller, user, *role),
            Action::Remove(user) => self.remove(caller, user),
            Action::Look => {
                let role = self.member(caller)?.role;
                Ok(Answer::Organization(View { role, seats: self.seats(), owners: self.owners() }))
            }
            // With an answer these are steps row by row; without one they have done nothing.
            Action::Members | Action::Invitations => Ok(Answer::Nothing),
        }
    }

    fn member(&self, caller: &Account) -> Result<&Member, Refusal> {
        self.members.get(&caller.user).ok_or_else(|| refused(404, "organization_not_found"))
    }

    fn invite(&mut self, caller: &Account, emails: &[String], role: Role) -> Result<Answer, Refusal> {
        if !may_grant(self.member(caller)?.role, role) {
            return Err(refused(403, "role_not_grantable"));
        }
        let mut once = Vec::new();
        for email in emails {
            if !once.contains(email) {
                once.push(email.clone());
            }
        }
        let mut after = self.clone();
        let mut results = Vec::new();
        for email in once {
            let before = self.invitations.get(&email);
            results.push(match before.map(|it| it.status) {
                Some(Status::Pending) => InviteResult::AlreadyInvited { email },
                Some(Status::Accepted) => InviteResult::AlreadyMember { email },
                _ => {
                    let generation = before.map_or(0, |it| it.generation) + 1;
                    after.mail(caller, &email, role, generation);
                    let invitation = after.invitation_row(&email).expect("it was mailed");
                    InviteResult::Invited { email, invitation }
                }
            });
        }
        if after.seats().taken > self.seats {
            return Err(Refusal { seats: Some(self.seats()), ..refused(409, "seats_exhausted") });
        }
        *self = after;
        Ok(Answer::Results(results))
    }

    fn mail(&mut self, sender: &Account, email: &str, role: Role, generation: u32) {
        let sender = sender.as_sender();
        let invitation = Invitation { role, status: Status::Pending, generation, sender, accepted_by: None };
        self.invitations.insert(email.to_owned(), invitation);
    }

    /// The record of an address for a caller who may grant its role, if its status is one of `of`.
    fn standing(&self, caller: &Account, email: &str, of: &[Status]) -> Result<&Invitation, Refusal> {
        let member = self.member(caller)?;
        let invitation = self.invitations.get(email).ok_or_else(|| refused(404, "invitation_not_found"))?;
        if !may_grant(member.role, invitation.role) {
            return Err(refused(403, "role_not_grantable"));
        }
        if of.contains(&invitation.status) { Ok(invitation) } else { Err(not_pending(invitation.status)) }
    }

    fn resend(&mut self, caller: &Account, email: &str) -> Result<Answer, Refusal> {
        let invitation = self.standing(caller, email, &[Status::Pending])?;
        let (role, generation) = (invitation.role, invitation.generation + 1);
        self.mail(caller, email, role, generation);
        Ok(Answer::Invitation(self.invitation_row(email).expect("it was mailed")))
    }

    fn close(&mut self, email: &str, how: Status) {
        if let Some(invitation) = self.invitations.get_mut(email) {
            (invitation.status, invitation.accepted_by) = (how, None);
        }
    }

    fn newest(&self, link: &Link) -> Result<&Invitation, Refusal> {
        let newest = self.invitations.get(&link.email).filter(|it| it.generation == link.generation);
        newest.ok_or_else(|| refused(410, "invitation_superseded"))
    }

    fn opened(&self, caller: &Account, link: &Link) -> Result<&Invitation, Refusal> {
        let invitation = self.newest(link)?;
        if caller.email == link.email { Ok(invitation) } else { Err(refused(403, "email_mismatch")) }
    }

    fn preview(&self, link: &Link) -> Result<Answer, Refusal> {
        let Invitation { role, status, sender, .. } = self.newest(link)?.clone();
        let email = link.email.clone();
        Ok(Answer::Preview(Preview { email, role, sender_email: sender.email, status }))
    }

    fn accept(&mut self, caller: &Account, link: &Link) -> Result<Answer, Refusal> {
        let invitation = self.opened(caller, link)?;
        let (role, sender) = (invitation.role, &invitation.sender.user_id);
        match invitation.status {
            Status::Pending => {}
            Status::Accepted if invitation.accepted_by.as_ref() == Some(&caller.user) => {
                let row = self.member_row(&caller.user).expect("who has accepted is a member");
                return Ok(Answer::Member(row));
            }
            status => return Err(dead(status)),
        }
        if self.members.contains_key(&caller.user) {
            return Err(refused(409, "already_member"));
        }
        if !self.members.get(sender).is_some_and(|sender| may_grant(sender.role, role)) {
            return Err(refused(409, "sender_lost_authority"));
        }
        self.members.insert(caller.user.clone(), Member { role, email: link.email.clone() });
        if let Some(invitation) = self.invitations.get_mut(&link.email) {
            invitation.status = Status::Accepted;
            invitation.accepted_by = Some(caller.user.clone());
        }
        Ok(Answer::Member(self.member_row(&caller.user).expect("they have joined")))
    }

    /// The role of another member, or one's own, and the caller's.
    fn roles(&self, caller: &Account, user: &str) -> Result<(Role, Role), Refusal> {
        let own = self.member(caller)?.role;
        let member = self.members.get(user).ok_or_else(|| refused(404, "member_not_found"))?;
        Ok((own, member.role))
    }

    fn edit_role(&mut self, caller: &Account, user: &str, to: Role) -> Result<Answer, Refusal> {
        let (own, role) = self.roles(caller, user)?;
        if !may_govern(own) {
            return Err(refused(403, "owner_required"));
        }
        if (role, to) == (Role::Owner, Role::Member) && self.owners() == 1 {
            return Err(refused(409, "last_owner"));
        }
        if let Some(member) = self.members.get_mut(user) {
            member.role = to;
        }
        Ok(Answer::Member(self.member_row(user).expect("they are a member")))
    }

    fn remove(&mut self, caller: &Account, user: &str) -> Result<Answer, Refusal> {
        let (own, role) = self.roles(caller, user)?;
        if !may_govern(own) && caller.user != user {
            return Err(refused(403, "owner_required"));
        }
        if role == Role::Owner && self.owners() == 1 {
            return Err(refused(409, "last_owner"));
        }
        if let Some(member) = self.members.remove(user) {
            self.close(&member.email, Status::Removed);
        }
        Ok(Answer::Nothing)
    }
}

impl Account {
    fn as_sender(&self) -> Sender {
        Sender { user_id: self.user.clone(), email: self.email.clone() }
    }
}
