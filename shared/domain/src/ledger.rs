//! A table in memory: what [`Plan`]s mean, without a database.
//!
//! [`Ledger::commit`] is the meaning of every [`Change`] and its guard, in the fewest words; whatever carries
//! plans out elsewhere has to agree with it. The facts of each action are there as a snapshot would show them.
//! [`Ledger::violations`] says what the rules say about a whole table, wherever its records came from, and
//! [`Ledger::misdeed`] what they say about a change of it.

mod conduct;
mod facts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::idempotency::{Answer, AnswerId};
use crate::{
    AnswerChange, Change, Day, Invitation, InvitationChange, InvitationId, Item, Lane, Lapse, LapseChange,
    Member, MemberChange, Organization, OrganizationChange, OrganizationId, Plan, Recipient, RecipientChange,
    RecipientDay, Role, Standing, State, Status, Timestamp, UserId,
};

pub use conduct::{Deed, Misdeed};

/// All records of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Ledger {
    organizations: BTreeMap<OrganizationId, Organization>,
    members: BTreeMap<(OrganizationId, UserId), Member>,
    invitations: BTreeMap<(OrganizationId, InvitationId), Invitation>,
    lapses: BTreeMap<(OrganizationId, UserId), BTreeMap<Lane, Timestamp>>,
    recipients: BTreeMap<(Recipient, Day), RecipientDay>,
    answers: BTreeMap<AnswerId, Answer>,
}

/// One item of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// An organization.
    Organization(Organization),
    /// A member.
    Member(Member),
    /// An invitation.
    Invitation(Invitation),
    /// A lapse in one of a sender's lanes.
    Lapse(Lapse),
    /// A recipient's day.
    Recipient(RecipientDay),
    /// A kept answer.
    Answer(Answer),
}

/// Every change whose guard did not hold, by its place in the plan; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guards of the changes {0:?} do not hold")]
pub struct GuardFailed(pub Vec<usize>);

/// What a table must never show (rules 1, 2 and 5).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Rule 1: seats are lost, or given out twice.
    #[error("{organization}: {total} seats, but {free} are free and {held} are held")]
    Seats {
        /// Where.
        organization: OrganizationId,
        /// All seats.
        total: u32,
        /// Those that count as free.
        free: u32,
        /// Those that members and pending invitations hold.
        held: usize,
    },
    /// Rule 5: the count of owners is wrong.
    #[error("{organization}: {counted} owners counted, but there are {present}")]
    Owners {
        /// Where.
        organization: OrganizationId,
        /// As the organization counts.
        counted: u32,
        /// As there are.
        present: usize,
    },
    /// Rule 5: nobody is owner.
    #[error("{0} has no owner")]
    NoOwner(OrganizationId),
    /// Rule 2: the record stands under a key that is not its address's.
    #[error("{0}: {1} is not the record of its address")]
    Misplaced(OrganizationId, InvitationId),
    /// A member whose accepted record is missing, is another user's, or does not stand as accepted.
    #[error("{0}: member {1} has no accepted invitation")]
    Uninvited(OrganizationId, UserId),
    /// An accepted record by which nobody is a member.
    #[error("{0}: {1} is accepted, but nobody is a member by it")]
    Unused(OrganizationId, InvitationId),
    /// A record of an organization that does not exist.
    #[error("{0:?} belongs to no organization")]
    Stray(Item),
}

impl FromIterator<Record> for Ledger {
    fn from_iter<Records: IntoIterator<Item = Record>>(records: Records) -> Self {
        let mut ledger = Self::default();
        for record in records {
            match record {
                Record::Organization(it) => drop(ledger.organizations.insert(it.id.clone(), it)),
                Record::Member(it) => {
                    drop(ledger.members.insert((it.organization.clone(), it.user.clone()), it));
                }
                Record::Invitation(it) => {
                    drop(ledger.invitations.insert((it.organization.clone(), it.id.clone()), it));
                }
                Record::Lapse(Lapse { organization, sender, lane, purge_at }) => {
                    ledger.lapses.entry((organization, sender)).or_default().insert(lane, purge_at);
                }
                Record::Recipient(it) => {
                    drop(ledger.recipients.insert((it.recipient.clone(), it.day), it));
                }
                Record::Answer(it) => drop(ledger.answers.insert(it.id.clone(), it)),
            }
        }
        ledger
    }
}

impl Ledger {
    /// The table that holds these records.
    #[cfg(test)]
    pub(crate) fn new(
        organizations: impl IntoIterator<Item = Organization>,
        members: impl IntoIterator<Item = Member>,
        invitations: impl IntoIterator<Item = Invitation>,
    ) -> Self {
        let members = members.into_iter().map(Record::Member);
        let invitations = invitations.into_iter().map(Record::Invitation);
        organizations.into_iter().map(Record::Organization).chain(members).chain(invitations).collect()
    }

    /// An organization.
    #[must_use]
    pub fn organization(&self, id: &OrganizationId) -> Option<&Organization> {
        self.organizations.get(id)
    }

    /// A member.
    #[must_use]
    pub fn member(&self, organization: &OrganizationId, user: &UserId) -> Option<&Member> {
        self.members.get(&(organization.clone(), user.clone()))
    }

    /// An invitation.
    #[must_use]
    pub fn invitation(&self, organization: &OrganizationId, id: &InvitationId) -> Option<&Invitation> {
        self.invitations.get(&(organization.clone(), id.clone()))
    }

    /// A kept answer, whether it is still good or not.
    #[must_use]
    pub fn answer(&self, id: &AnswerId) -> Option<&Answer> {
        self.answers.get(id)
    }

    /// The lapse in a sender's lane.
    #[must_use]
    pub fn lapse(&self, organization: &OrganizationId, sender: &UserId, lane: Lane) -> Option<Lapse> {
        let purge_at = *self.lapses.get(&(organization.clone(), sender.clone()))?.get(&lane)?;
        Some(Lapse { organization: organization.clone(), sender: sender.clone(), lane, purge_at })
    }

    /// What a recipient is sent in a day.
    #[must_use]
    pub fn recipient_day(&self, recipient: &Recipient, day: Day) -> Option<&RecipientDay> {
        self.recipients.get(&(recipient.clone(), day))
    }

    /// Everything that it holds.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let organizations = self.organizations.values().cloned().map(Record::Organization);
        let members = self.members.values().cloned().map(Record::Member);
        let invitations = self.invitations.values().cloned().map(Record::Invitation);
        let lapses = self.lapses.iter().flat_map(|((organization, sender), lanes)| {
            lanes.iter().map(|(lane, purge_at)| Lapse {
                organization: organization.clone(),
                sender: sender.clone(),
                lane: *lane,
                purge_at: *purge_at,
            })
        });
        let lapses = lapses.map(Record::Lapse);
        let recipients = self.recipients.values().cloned().map(Record::Recipient);
        let answers = self.answers.values().cloned().map(Record::Answer);
        organizations.chain(members).chain(invitations).chain(lapses).chain(recipients).chain(answers)
    }

    /// All organizations.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.organizations.values()
    }

    /// The members of an organization.
    pub fn members(&self, organization: &OrganizationId) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |member| member.organization == *organization)
    }

    /// The invitations of an organization.
    pub fn invitations(&self, organization: &OrganizationId) -> impl Iterator<Item = &Invitation> {
        self.invitations.values().filter(move |invitation| invitation.organization == *organization)
    }

    /// Makes all changes of `plan`, or none. All guards look at the table as it was before.
    pub fn commit(&mut self, plan: &Plan) -> Result<(), GuardFailed> {
        let changes = plan.changes().iter();
        let failed = changes.clone().enumerate().filter(|(_, change)| !self.guard_holds(change));
        let failed: Vec<_> = failed.map(|(place, _)| place).collect();
        if !failed.is_empty() {
            return Err(GuardFailed(failed));
        }
        changes.for_each(|change| self.apply(change));
        Ok(())
    }

    fn guard_holds(&self, change: &Change) -> bool {
        match change {
            Change::Organization(id, change) => {
                let stored = self.organization(id);
                match change {
                    OrganizationChange::Found(_) => stored.is_none(),
                    OrganizationChange::Count { seats_free, owners, invited } => stored.is_some_and(|it| {
                        let seats = i64::from(it.seats.free) + i64::from(*seats_free);
                        let remaining = i64::from(it.owners) + i64::from(*owners);
                        let has_room = invited.is_none_or(|counting| counting.holds(it.invited));
                        (*seats_free >= 0 || seats >= 0) && (*owners >= 0 || remaining >= 1) && has_room
                    }),
                }
            }
            Change::Member(organization, user, change) => {
                let stored = self.member(organization, user);
                match change {
                    MemberChange::Join(_) => stored.is_none(),
                    MemberChange::MayGrant(role) => stored.is_some_and(|it| it.role.may_grant(*role)),
                    MemberChange::Mail(role, counting) => stored.is_some_and(|it| {
                        it.role.may_grant(*role) && counting.is_none_or(|counting| counting.holds(it.mailed))
                    }),
                    MemberChange::SetRole { from, unsent, .. } => {
                        stored.is_some_and(|it| it.role == *from && !(*unsent && it.sent))
                    }
                    MemberChange::Leave { role, invitation, unsent } => stored.is_some_and(|it| {
                        it.role == *role && it.invitation == *invitation && !(*unsent && it.sent)
                    }),
                }
            }
            Change::Invitation(organization, id, change) => {
                let stored = self.invitation(organization, id);
                let is = |status| stored.is_some_and(|it| it.status() == status);
                match change {
                    InvitationChange::Write(next) => stored.map(|it| it.revision) == next.revision.previous(),
                    InvitationChange::Stands(Standing::PendingUntil(end)) => {
                        is(Status::Pending) && stored.is_some_and(|it| it.expires_at == *end)
                    }
                    InvitationChange::Stands(Standing::Accepted) | InvitationChange::Remove { .. } => {
                        is(Status::Accepted)
                    }
                }
            }
            Change::Lapse(organization, sender, lane, LapseChange::Absent) => {
                self.lapse(organization, sender, *lane).is_none()
            }
            Change::Lapse(_, _, _, LapseChange::Mark { .. }) => true,
            Change::Recipient(recipient, day, RecipientChange::Mail { mail, limit }) => {
                let stored = self.recipient_day(recipient, *day);
                stored.is_none_or(|it| {
                    it.mails.contains(mail) || u32::try_from(it.mails.len()).is_ok_and(|count| count < *limit)
                })
            }
            Change::Answer(id, AnswerChange::Keep { now, .. }) => {
                self.answer(id).is_none_or(|it| it.until <= *now)
            }
        }
    }

    /// The effect alone; the guard has vouched that what it needs is there.
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Organization(id, OrganizationChange::Found(organization)) => {
                self.organizations.insert(id.clone(), organization.clone());
            }
            Change::Organization(id, OrganizationChange::Count { seats_free, owners, invited }) => {
                if let Some(stored) = self.organizations.get_mut(id) {
                    stored.seats.free = stored.seats.free.saturating_add_signed(*seats_free);
                    stored.owners = stored.owners.saturating_add_signed(*owners);
                    if let Some(counting) = invited {
                        stored.invited = Some(counting.counted(stored.invited));
                    }
                }
            }
            Change::Member(organization, user, change) => {
                let key = (organization.clone(), user.clone());
                match change {
                    MemberChange::Join(member) => {
                        self.members.insert(key, member.clone());
                    }
                    MemberChange::MayGrant(_) => {}
                    MemberChange::Mail(_, counting) => {
                        if let Some(stored) = self.members.get_mut(&key) {
                            stored.sent = true;
                            if let Some(counting) = counting {
                                stored.mailed = Some(counting.counted(stored.mailed));
                            }
                        }
                    }
                    MemberChange::SetRole { to, .. } => {
                        if let Some(stored) = self.members.get_mut(&key) {
                            stored.role = *to;
                        }
                    }
                    MemberChange::Leave { .. } => {
                        self.members.remove(&key);
                    }
                }
            }
            Change::Invitation(organization, id, change) => {
                let key = (organization.clone(), id.clone());
                match change {
                    InvitationChange::Write(invitation) => {
                        self.invitations.insert(key, (**invitation).clone());
                    }
                    InvitationChange::Stands(_) => {}
                    InvitationChange::Remove { at, purge_at } => {
                        if let Some(stored) = self.invitations.get_mut(&key) {
                            *stored = stored.removed(*at, *purge_at);
                        }
                    }
                }
            }
            Change::Lapse(_, _, _, LapseChange::Absent) => {}
            Change::Lapse(organization, sender, lane, LapseChange::Mark { purge_at }) => {
                let lanes = self.lapses.entry((organization.clone(), sender.clone())).or_default();
                lanes.insert(*lane, *purge_at);
            }
            Change::Recipient(recipient, day, RecipientChange::Mail { mail, .. }) => {
                let none = RecipientDay { recipient: recipient.clone(), day: *day, mails: BTreeSet::new() };
                let stored = self.recipients.entry((recipient.clone(), *day)).or_insert(none);
                stored.mails.insert(mail.clone());
            }
            Change::Answer(id, AnswerChange::Keep { answer, .. }) => {
                self.answers.insert(id.clone(), (**answer).clone());
            }
        }
    }

    /// Everything in the table that rules 1, 2 and 5 forbid.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let of_organizations = self.organizations.values().flat_map(|it| self.miscounts(it));
        let of_members = self.members.values().filter_map(|it| self.member_violation(it));
        let of_invitations = self.invitations.values().filter_map(|it| self.invitation_violation(it));
        of_organizations.chain(of_members).chain(of_invitations).collect()
    }

    fn miscounts(&self, organization: &Organization) -> impl Iterator<Item = Violation> {
        let id = &organization.id;
        let pending = self.invitations(id).filter(|it| it.status() == Status::Pending).count();
        let held = pending + self.members(id).count();
        let total = organization.seats.total;
        let free = organization.seats.free;
        let adds_up = u32::try_from(held).ok().and_then(|held| held.checked_add(free)) == Some(total);
        let seats = Violation::Seats { organization: id.clone(), total, free, held };
        let present = self.members(id).filter(|it| it.role == Role::Owner).count();
        let counted = organization.owners;
        let owners = Violation::Owners { organization: id.clone(), counted, present };
        [
            (!adds_up).then_some(seats),
            (usize::try_from(counted) != Ok(present)).then_some(owners),
            (present == 0).then(|| Violation::NoOwner(id.clone())),
        ]
        .into_iter()
        .flatten()
    }

    fn member_violation(&self, member: &Member) -> Option<Violation> {
        let organization = &member.organization;
        if self.organization(organization).is_none() {
            return Some(Violation::Stray(Item::Member(organization.clone(), member.user.clone())));
        }
        let accepted = self.invitation(organization, &member.invitation).is_some_and(
            |invitation| matches!(&invitation.state, State::Accepted { by, .. } if *by == member.user),
        );
        (!accepted).then(|| Violation::Uninvited(organization.clone(), member.user.clone()))
    }

    fn invitation_violation(&self, invitation: &Invitation) -> Option<Violation> {
        let organization = &invitation.organization;
        let id = || invitation.id.clone();
        if self.organization(organization).is_none() {
            return Some(Violation::Stray(Item::Invitation(organization.clone(), id())));
        }
        if InvitationId::of(organization, &invitation.email) != invitation.id {
            return Some(Violation::Misplaced(organization.clone(), id()));
        }
        let State::Accepted { by, .. } = &invitation.state else {
            return None;
        };
        let used = self.member(organization, by).is_some_and(|it| it.invitation == invitation.id);
        (!used).then(|| Violation::Unused(organization.clone(), id()))
    }
}
