//! The reference model: an in-memory table that defines guards, effects and rules without a database.
//!
//! - [`ReferenceTable::commit`] implements every [`Guard`] and [`Effect`]. The store must behave the same on DynamoDB;
//!   `tests/scenarios/plans.rs` compares both.
//! - [`ReferenceTable::run`] runs the first attempt of an action.
//! - [`ReferenceTable::violations`] lists the rules that a table breaks, regardless of how its records were written.
//! - [`ReferenceTable::broken_rule`] checks one change: whether the operation was allowed to make it.
//!
//! The tests and the laptop (the local server started by `cargo run`) use this crate. The Lambda functions do not.

mod rules;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Action, Change, Effect, EmailAddress, Guard, GuardFailed, Invitation, InvitationId, ItemKey, Member,
    Organization, OrganizationId, Plan, PlanError, Policy, RecipientDay, Record, Role, Snapshot, State,
    Status, Timestamp, UserId,
};

pub use rules::{Operation, RuleViolation, is_owner_privilege, may_grant};

/// An in-memory table: all its records by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct ReferenceTable {
    records: BTreeMap<ItemKey, Record>,
}

/// A rule that the records of a table break.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Free and held seats do not add up to the total: a seat was lost or given out twice.
    #[error("{organization}: {total} seats, but {free} are free and {held} are held")]
    SeatCount {
        /// The organization.
        organization: OrganizationId,
        /// The total number of seats.
        total: u32,
        /// The organization's counter of free seats.
        free: u32,
        /// The number of members and pending invitations, which hold one seat each.
        held: usize,
    },
    /// The organization's owner counter differs from the number of owners.
    #[error("{organization}: the owner counter is {counted}, but there are {present} owners")]
    OwnerCount {
        /// The organization.
        organization: OrganizationId,
        /// The organization's owner counter.
        counted: u32,
        /// The number of members with the role `owner`.
        present: usize,
    },
    /// The organization has no owner.
    #[error("{0} has no owner")]
    NoOwner(OrganizationId),
    /// The invitation's id is not the one that follows from its organization and address.
    #[error("{0}: the id of invitation {1} does not match its address")]
    WrongInvitationId(OrganizationId, InvitationId),
    /// The member has no invitation that this user accepted.
    #[error("{0}: member {1} has no accepted invitation")]
    MemberWithoutInvitation(OrganizationId, UserId),
    /// The invitation is accepted, but its member does not exist.
    #[error("{0}: invitation {1} is accepted, but has no member")]
    InvitationWithoutMember(OrganizationId, InvitationId),
    /// The record belongs to an organization that does not exist.
    #[error("{0:?} belongs to an organization that does not exist")]
    NoSuchOrganization(ItemKey),
}

impl FromIterator<Record> for ReferenceTable {
    fn from_iter<Records: IntoIterator<Item = Record>>(records: Records) -> Self {
        Self { records: records.into_iter().map(|record| (record.key(), record)).collect() }
    }
}

/// Why an action changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunError<Refusal> {
    /// The action refused.
    Refused(Refusal),
    /// The action's changes do not form one transaction.
    Plan(PlanError),
    /// A guard failed. This happens for an item that the action does not read at its first attempt.
    Guard(GuardFailed),
}

impl ReferenceTable {
    /// Returns a snapshot of the items `keys`.
    #[must_use]
    pub fn snapshot(&self, keys: impl IntoIterator<Item = ItemKey>) -> Snapshot {
        keys.into_iter().map(|key| (key.clone(), self.records.get(&key).cloned())).collect()
    }

    /// Decides `action` on this table and returns its plan and its result, without committing.
    ///
    /// `seen` is the snapshot of the previous attempt if a guard of that attempt failed.
    pub fn decide<A: Action>(
        &self,
        action: &A,
        seen: Option<&Snapshot>,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<(Plan, A::Answer), RunError<A::Refusal>> {
        let snapshot = self.snapshot(action.reads(seen));
        let decision = action.decide(&snapshot, policy, now).map_err(RunError::Refused)?;
        let plan = Plan::new(decision.changes).map_err(RunError::Plan)?;
        Ok((plan, decision.answer))
    }

    /// Runs the first attempt of `action`: decides it and commits its plan.
    pub fn run<A: Action>(
        &mut self,
        action: &A,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<A::Answer, RunError<A::Refusal>> {
        let (plan, result) = self.decide(action, None, policy, now)?;
        self.commit(&plan).map_err(RunError::Guard)?;
        Ok(result)
    }

    /// Returns the record with this key, of any kind.
    #[must_use]
    pub fn record(&self, key: &ItemKey) -> Option<&Record> {
        self.records.get(key)
    }

    /// Returns the organization `id`.
    #[must_use]
    pub fn organization(&self, id: &OrganizationId) -> Option<&Organization> {
        match self.records.get(&ItemKey::Organization(id.clone())) {
            Some(Record::Organization(it)) => Some(it),
            _ => None,
        }
    }

    /// Returns the member `user` of the organization.
    #[must_use]
    pub fn member(&self, organization: &OrganizationId, user: &UserId) -> Option<&Member> {
        match self.records.get(&ItemKey::member(organization, user)) {
            Some(Record::Member(it)) => Some(it),
            _ => None,
        }
    }

    /// Returns the organization's invitation `id`.
    #[must_use]
    pub fn invitation(&self, organization: &OrganizationId, id: &InvitationId) -> Option<&Invitation> {
        match self.records.get(&ItemKey::invitation(organization, id)) {
            Some(Record::Invitation(it)) => Some(it),
            _ => None,
        }
    }

    /// Returns the organization's invitation of the address `email`.
    #[must_use]
    pub fn invitation_of(&self, organization: &OrganizationId, email: &EmailAddress) -> Option<&Invitation> {
        self.invitation(organization, &InvitationId::of(organization, email))
    }

    /// Iterates over all records.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }

    /// Iterates over all organizations.
    pub fn organizations(&self) -> impl Iterator<Item = &Organization> {
        self.records.values().filter_map(|record| match record {
            Record::Organization(it) => Some(it),
            _ => None,
        })
    }

    /// Iterates over the members of an organization.
    pub fn members(&self, organization: &OrganizationId) -> impl Iterator<Item = &Member> {
        self.records.values().filter_map(move |record| match record {
            Record::Member(it) if it.organization == *organization => Some(it),
            _ => None,
        })
    }

    /// Iterates over the invitations of an organization, in any status.
    pub fn invitations(&self, organization: &OrganizationId) -> impl Iterator<Item = &Invitation> {
        self.records.values().filter_map(move |record| match record {
            Record::Invitation(it) if it.organization == *organization => Some(it),
            _ => None,
        })
    }

    /// Commits all changes of `plan`, or none if a guard fails. All guards are checked before the first change.
    pub fn commit(&mut self, plan: &Plan) -> Result<(), GuardFailed> {
        let holds =
            |change: &Change| change.guards.iter().all(|it| holds(it, self.records.get(&change.item)));
        let failed = plan.changes().iter().enumerate().filter(|(_, change)| !holds(change));
        let failed: Vec<_> = failed.map(|(index, _)| index).collect();
        if !failed.is_empty() {
            return Err(GuardFailed(failed));
        }
        plan.changes().iter().for_each(|change| self.apply(change));
        Ok(())
    }

    /// Applies the effect of a change without checking its guards.
    fn apply(&mut self, Change { item, effect, .. }: &Change) {
        match effect {
            Effect::Check => {}
            Effect::Put(record) => drop(self.records.insert(item.clone(), (**record).clone())),
            Effect::Delete => drop(self.records.remove(item)),
            Effect::AddMail { mail, .. } => {
                let ItemKey::Recipient(recipient, day) = item else { return };
                let none = RecipientDay { recipient: recipient.clone(), day: *day, mails: BTreeSet::new() };
                let stored = self.records.entry(item.clone()).or_insert(Record::Recipient(none));
                if let Record::Recipient(stored) = stored {
                    stored.mails.insert(mail.clone());
                }
            }
            Effect::Set(field) => {
                if let Some(stored) = self.records.get_mut(item) {
                    field.set_in(stored);
                }
            }
            Effect::Count { seats_free, owners, invited } => {
                if let Some(Record::Organization(stored)) = self.records.get_mut(item) {
                    stored.seats.free = stored.seats.free.saturating_add_signed(*seats_free);
                    stored.owners = stored.owners.saturating_add_signed(*owners);
                    if let Some(update) = invited {
                        stored.invited = Some(update.counted(stored.invited));
                    }
                }
            }
            Effect::CountMails(update) => {
                if let Some(Record::Member(stored)) = self.records.get_mut(item) {
                    stored.mailed = Some(update.counted(stored.mailed));
                }
            }
            Effect::CloseAsRemoved { at, purge_at } => {
                if let Some(Record::Invitation(stored)) = self.records.get_mut(item) {
                    *stored = stored.removed(*at, *purge_at);
                }
            }
        }
    }

    /// Lists every rule that the table breaks.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        let of_record = |record: &Record| match record {
            Record::Organization(it) => self.organization_violations(it).collect(),
            Record::Member(it) => self.member_violation(it).into_iter().collect(),
            Record::Invitation(it) => self.invitation_violation(it).into_iter().collect(),
            Record::Recipient(_) | Record::Response(_) => Vec::new(),
        };
        self.records.values().flat_map(of_record).collect()
    }

    fn organization_violations(&self, organization: &Organization) -> impl Iterator<Item = Violation> {
        let id = &organization.id;
        let pending = self.invitations(id).filter(|it| it.status() == Status::Pending).count();
        let held = pending + self.members(id).count();
        let total = organization.seats.total;
        let free = organization.seats.free;
        let adds_up = u32::try_from(held).ok().and_then(|held| held.checked_add(free)) == Some(total);
        let seats = Violation::SeatCount { organization: id.clone(), total, free, held };
        let present = self.members(id).filter(|it| it.role == Role::Owner).count();
        let counted = organization.owners;
        let owners = Violation::OwnerCount { organization: id.clone(), counted, present };
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
            return Some(Violation::NoSuchOrganization(ItemKey::member(organization, &member.user)));
        }
        let accepted = self.invitation(organization, &member.invitation).is_some_and(
            |invitation| matches!(&invitation.state, State::Accepted { by, .. } if *by == member.user),
        );
        (!accepted).then(|| Violation::MemberWithoutInvitation(organization.clone(), member.user.clone()))
    }

    fn invitation_violation(&self, invitation: &Invitation) -> Option<Violation> {
        let organization = &invitation.organization;
        let id = || invitation.id.clone();
        if self.organization(organization).is_none() {
            return Some(Violation::NoSuchOrganization(ItemKey::Invitation(organization.clone(), id())));
        }
        if InvitationId::of(organization, &invitation.email) != invitation.id {
            return Some(Violation::WrongInvitationId(organization.clone(), id()));
        }
        let State::Accepted { by, .. } = &invitation.state else {
            return None;
        };
        let has_member = self.member(organization, by).is_some_and(|it| it.invitation == invitation.id);
        (!has_member).then(|| Violation::InvitationWithoutMember(organization.clone(), id()))
    }
}

/// Whether `guard` holds for the stored record; `None` means that the item does not exist.
fn holds(guard: &Guard, stored: Option<&Record>) -> bool {
    let Some(record) = stored else {
        return matches!(guard, Guard::Absent | Guard::RoomForMail { .. } | Guard::NoResponseAt(_));
    };
    match (guard, record) {
        (Guard::Exists, _) => true,
        (Guard::HasPermission(permission), Record::Member(it)) => it.role.may(*permission),
        (Guard::Role(role), Record::Member(it)) => it.role == *role,
        (Guard::Role(role), Record::Invitation(it)) => it.role == *role,
        (Guard::JoinedBy(invitation), Record::Member(it)) => it.invitation == *invitation,
        (Guard::Counter(update), Record::Member(it)) => update.holds(it.mailed),
        (Guard::Counter(update), Record::Organization(it)) => update.holds(it.invited),
        (Guard::SeatsFree(count), Record::Organization(it)) => it.seats.free >= *count,
        (Guard::Owners(count), Record::Organization(it)) => it.owners >= *count,
        (Guard::Revision(revision), Record::Invitation(it)) => it.revision == *revision,
        (Guard::Status(status), Record::Invitation(it)) => it.status() == *status,
        (Guard::ExpiresAt(moment), Record::Invitation(it)) => it.expires_at == *moment,
        (Guard::RoomForMail { mail, limit }, Record::Recipient(it)) => {
            it.mails.contains(mail) || u32::try_from(it.mails.len()).is_ok_and(|count| count < *limit)
        }
        (Guard::NoResponseAt(moment), Record::Response(it)) => it.until <= *moment,
        _ => false,
    }
}
