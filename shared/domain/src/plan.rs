//! Changes and plans. A change modifies one item if its guards hold. A plan contains all changes of one decision, which
//! are committed as one transaction.

use std::collections::HashMap;

use serde::Serialize;

use crate::idempotency::StoredResponse;
use crate::{
    CounterUpdate, Invitation, InvitationId, ItemKey, MailId, Member, Organization, OrganizationId,
    OrganizationName, Permission, Record, Revision, Role, Status, Timestamp, UserId,
};

/// The most items of one transaction: the limit of DynamoDB's `TransactWriteItems`.
pub const CHANGES_MAX: usize = 100;

/// A change of one item: guards that must hold for the item, and one effect on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use]
pub struct Change {
    /// The item.
    pub item: ItemKey,
    /// The guards. All of them must hold for the item as it was before the transaction.
    pub guards: Vec<Guard>,
    /// The effect on the item.
    pub effect: Effect,
}

/// A condition on a stored item.
///
/// For a missing item only [`Guard::Absent`], [`Guard::RoomForMail`] and [`Guard::NoResponseAt`] hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guard {
    /// The item does not exist.
    Absent,
    /// The item exists.
    Exists,
    /// The member's role has this permission.
    HasPermission(Permission),
    /// The member or the invitation has this role.
    Role(Role),
    /// The member joined through this invitation.
    JoinedBy(InvitationId),
    /// At least this many of the organization's seats are free.
    SeatsFree(u32),
    /// The organization has at least this many owners.
    Owners(u32),
    /// The window counter of the organization or the member stays within its limit after this update
    /// ([`CounterUpdate::holds`]).
    Counter(CounterUpdate),
    /// The invitation's record has this revision.
    Revision(Revision),
    /// The invitation has this stored status. A stored `pending` can already be past its expiry.
    Status(Status),
    /// The invitation expires at this time.
    ExpiresAt(Timestamp),
    /// The recipient got fewer than `limit` mails on this day, or this mail is already counted.
    RoomForMail {
        /// The mail.
        mail: MailId,
        /// The most mails in one day.
        limit: u32,
    },
    /// No response that is valid at this time is stored under the idempotency key.
    NoResponseAt(Timestamp),
}

/// The effect of a change on its item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// None: the change only asserts its guards.
    Check,
    /// The item is replaced by this record.
    Put(Box<Record>),
    /// The item is deleted.
    Delete,
    /// One attribute of the item is set.
    Set(Field),
    /// The organization's counters change.
    Count {
        /// The difference of free seats: positive if seats are returned, negative if they are taken.
        seats_free: i32,
        /// The difference of owners.
        owners: i32,
        /// The update of the organization's counter of invitees.
        invited: Option<CounterUpdate>,
    },
    /// The member's counter of mails is updated.
    CountMails(CounterUpdate),
    /// The accepted invitation of a removed member is closed.
    CloseAsRemoved {
        /// When it is closed.
        at: Timestamp,
        /// When the record may be deleted.
        purge_at: Timestamp,
    },
    /// The mail is added to the recipient's day.
    AddMail {
        /// The mail.
        mail: MailId,
        /// When the recipient's day may be deleted.
        purge_at: Timestamp,
    },
}

/// An attribute that an effect sets, with its new value. It serializes as it is stored: the name, then the value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A member's role.
    Role(Role),
    /// An organization's name.
    Name(OrganizationName),
}

impl Field {
    /// Sets the attribute in `record`. A record without such an attribute stays unchanged.
    pub fn set_in(&self, record: &mut Record) {
        match (self, record) {
            (Self::Role(role), Record::Member(member)) => member.role = *role,
            (Self::Name(name), Record::Organization(organization)) => organization.name = name.clone(),
            _ => {}
        }
    }
}

/// Up to 100 changes of different items, committed together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Plan {
    changes: Vec<Change>,
}

/// The changes cannot be one transaction. This is a bug in the action that makes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Two changes of this item have an effect.
    #[error("two effects on one item: {0:?}")]
    TwoEffects(ItemKey),
    /// The changes have more than [`CHANGES_MAX`] items.
    #[error("{0} items are too many for one transaction")]
    TooManyItems(usize),
}

/// Guards of a plan failed, and nothing was changed. Contains the positions of the changes with failed guards.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guards of the changes at positions {0:?} do not hold")]
pub struct GuardFailed(pub Vec<usize>);

impl Plan {
    /// Makes the changes one transaction, with one change per item.
    ///
    /// Changes of the same item are merged: all their guards are kept, and at most one of them may have an effect.
    pub fn new(changes: impl IntoIterator<Item = Change>) -> Result<Self, PlanError> {
        let mut merged: Vec<Change> = Vec::new();
        let mut positions: HashMap<ItemKey, usize> = HashMap::new();
        for change in changes {
            if let Some(position) = positions.get(&change.item) {
                merged[*position].merge(change)?;
            } else {
                positions.insert(change.item.clone(), merged.len());
                merged.push(change);
            }
        }
        if merged.len() > CHANGES_MAX {
            return Err(PlanError::TooManyItems(merged.len()));
        }
        Ok(Self { changes: merged })
    }

    /// The changes in the order of the transaction, because DynamoDB reports failed guards by position.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Returns whether the plan writes anything.
    ///
    /// A plan without an effect is not sent: the snapshot has already shown that its guards hold.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.changes.iter().any(|change| change.effect != Effect::Check)
    }

    /// The records that the plan puts.
    pub fn puts(&self) -> impl Iterator<Item = &Record> {
        self.changes.iter().filter_map(|change| match &change.effect {
            Effect::Put(record) => Some(&**record),
            _ => None,
        })
    }
}

impl Change {
    fn new(item: ItemKey, guards: impl IntoIterator<Item = Guard>, effect: Effect) -> Self {
        Self { item, guards: guards.into_iter().collect(), effect }
    }

    fn put(record: Record, guard: Guard) -> Self {
        Self::new(record.key(), [guard], Effect::Put(Box::new(record)))
    }

    fn merge(&mut self, other: Self) -> Result<(), PlanError> {
        if other.effect != Effect::Check {
            if self.effect != Effect::Check {
                return Err(PlanError::TwoEffects(other.item));
            }
            self.effect = other.effect;
        }
        for guard in other.guards {
            if !self.guards.contains(&guard) {
                self.guards.push(guard);
            }
        }
        Ok(())
    }

    /// Creates the organization.
    pub fn create_organization(organization: Organization) -> Self {
        Self::put(Record::Organization(organization), Guard::Absent)
    }

    /// Renames the organization.
    pub fn rename_organization(organization: &OrganizationId, name: OrganizationName) -> Self {
        let item = ItemKey::organization(organization);
        Self::new(item, [Guard::Exists], Effect::Set(Field::Name(name)))
    }

    /// Adds to the number of free seats and of owners; negative values subtract.
    ///
    /// Taking seats asserts that enough seats are free. Removing an owner asserts that another owner remains.
    pub fn count(organization: &OrganizationId, seats_free: i32, owners: i32) -> Self {
        Self::update_counters(organization, seats_free, owners, None)
    }

    /// Takes seats for invitees, and updates the organization's counter of invitees if their number is limited.
    pub fn take_seats(organization: &OrganizationId, seats: u32, invited: Option<CounterUpdate>) -> Self {
        Self::update_counters(organization, -seats.cast_signed(), 0, invited)
    }

    fn update_counters(
        organization: &OrganizationId,
        seats_free: i32,
        owners: i32,
        invited: Option<CounterUpdate>,
    ) -> Self {
        let guards = [
            Some(Guard::Exists),
            (seats_free < 0).then(|| Guard::SeatsFree(seats_free.unsigned_abs())),
            (owners < 0).then(|| Guard::Owners(owners.unsigned_abs() + 1)),
            invited.map(Guard::Counter),
        ];
        let has_effect = seats_free != 0 || owners != 0 || invited.is_some();
        // `TransactWriteItems` rejects an update without an update expression.
        let effect = if has_effect { Effect::Count { seats_free, owners, invited } } else { Effect::Check };
        Self::new(ItemKey::organization(organization), guards.into_iter().flatten(), effect)
    }

    /// Adds a member, and asserts that the user is not a member yet.
    pub fn add_member(member: Member) -> Self {
        Self::put(Record::Member(member), Guard::Absent)
    }

    /// Asserts that the member's role has the permission.
    pub fn require(organization: &OrganizationId, user: &UserId, permission: Permission) -> Self {
        Self::new(ItemKey::member(organization, user), [Guard::HasPermission(permission)], Effect::Check)
    }

    /// Updates the member's counter of mails.
    pub fn count_mails(organization: &OrganizationId, user: &UserId, mailed: CounterUpdate) -> Self {
        let guards = [Guard::Exists, Guard::Counter(mailed)];
        Self::new(ItemKey::member(organization, user), guards, Effect::CountMails(mailed))
    }

    /// Sets the member's role, and asserts that it is still the same when the transaction commits.
    pub fn set_role(member: &Member, role: Role) -> Self {
        let item = ItemKey::member(&member.organization, &member.user);
        Self::new(item, [Guard::Role(member.role)], Effect::Set(Field::Role(role)))
    }

    /// Deletes the member, and asserts that role and invitation are still the same when the transaction
    /// commits.
    pub fn delete_member(member: &Member) -> Self {
        Self { effect: Effect::Delete, ..Self::still_member(member) }
    }

    /// Asserts that the member is still the same, with the same role.
    pub fn still_member(member: &Member) -> Self {
        let item = ItemKey::member(&member.organization, &member.user);
        let guards = [Guard::Role(member.role), Guard::JoinedBy(member.invitation.clone())];
        Self::new(item, guards, Effect::Check)
    }

    /// Writes the invitation (invariant: optimistic locking).
    ///
    /// Asserts that the stored record has the previous revision; for the first revision, that no record exists.
    pub fn write_invitation(invitation: Invitation) -> Self {
        let guard = invitation.revision.previous().map_or(Guard::Absent, Guard::Revision);
        Self::put(Record::Invitation(invitation), guard)
    }

    /// Writes an invitation that was pending and is now closed, and gives its seat back.
    pub fn close_invitation(closed: Invitation) -> [Self; 2] {
        let seat = Self::count(&closed.organization, 1, 0);
        [Self::write_invitation(closed), seat]
    }

    /// Asserts that the invitation is still pending with the same role and expiry.
    pub fn still_pending(invitation: &Invitation) -> Self {
        let item = ItemKey::invitation(&invitation.organization, &invitation.id);
        let guards = [
            Guard::Status(Status::Pending),
            Guard::Role(invitation.role),
            Guard::ExpiresAt(invitation.expires_at),
        ];
        Self::new(item, guards, Effect::Check)
    }

    /// Asserts that the invitation is still accepted.
    pub fn still_accepted(invitation: &Invitation) -> Self {
        let item = ItemKey::invitation(&invitation.organization, &invitation.id);
        Self::new(item, [Guard::Status(Status::Accepted)], Effect::Check)
    }

    /// Closes the accepted invitation of a removed member.
    pub fn close_as_removed(member: &Member, at: Timestamp, purge_at: Timestamp) -> Self {
        let item = ItemKey::invitation(&member.organization, &member.invitation);
        Self::new(item, [Guard::Status(Status::Accepted)], Effect::CloseAsRemoved { at, purge_at })
    }

    /// Adds the mail to its recipient's day, and asserts that the day has room.
    /// Adding the same mail again does not count.
    pub fn add_mail(item: ItemKey, mail: MailId, limit: u32, purge_at: Timestamp) -> Self {
        let guard = Guard::RoomForMail { mail: mail.clone(), limit };
        Self::new(item, [guard], Effect::AddMail { mail, purge_at })
    }

    /// Stores the response, and asserts that no stored response is valid at `now`.
    pub fn store_response(response: StoredResponse, now: Timestamp) -> Self {
        Self::put(Record::Response(response), Guard::NoResponseAt(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acme, member, user};

    fn may(permission: Permission) -> Change {
        Change::require(&acme(), &user("ada"), permission)
    }

    #[test]
    fn merging_changes_of_one_item_keeps_all_guards_and_the_effect() {
        let set = || Change::set_role(&member("ada", Role::Owner), Role::Member);
        for changes in [[may(Permission::EditRoles), set()], [set(), may(Permission::EditRoles)]] {
            let plan = Plan::new(changes).unwrap();
            let [change] = plan.changes() else { panic!("{plan:?}") };
            assert_eq!(change.effect, set().effect);
            assert!(change.guards.contains(&Guard::HasPermission(Permission::EditRoles)));
            assert!(change.guards.contains(&Guard::Role(Role::Owner)));
            assert!(plan.writes());
        }
        let invite = |role| may(Permission::Invite(role));
        let checks = Plan::new([invite(Role::Member), invite(Role::Owner), invite(Role::Member)]).unwrap();
        assert_eq!(checks.changes()[0].guards.len(), 2, "each different guard is kept once");
        assert!(!checks.writes());
    }

    #[test]
    fn two_effects_on_one_item_are_an_error() {
        let count = Change::count(&acme(), 1, 0);
        let twice = Plan::new([count.clone(), count]);
        assert_eq!(twice, Err(PlanError::TwoEffects(ItemKey::Organization(acme()))));
    }

    #[test]
    fn a_plan_has_at_most_100_items() {
        let changes = |count: usize| {
            let names = (0..count).map(|number| user(&format!("p{number}")));
            Plan::new(names.map(|user| Change::require(&acme(), &user, Permission::EditRoles)))
        };
        assert!(changes(CHANGES_MAX).is_ok());
        assert_eq!(changes(CHANGES_MAX + 1), Err(PlanError::TooManyItems(CHANGES_MAX + 1)));
    }

    #[test]
    fn taking_seats_asserts_free_seats_and_removing_an_owner_asserts_another_one() {
        let guards = |seats, owners| Change::count(&acme(), seats, owners).guards;
        assert_eq!(guards(1, 1), [Guard::Exists]);
        assert_eq!(guards(-2, 0), [Guard::Exists, Guard::SeatsFree(2)]);
        assert_eq!(guards(0, -1), [Guard::Exists, Guard::Owners(2)]);
        assert_eq!(Change::count(&acme(), 0, 0).effect, Effect::Check);
    }
}
