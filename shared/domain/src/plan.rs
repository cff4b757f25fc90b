//! Changes with their guards, and plans: all changes of a decision as one transaction.

use std::collections::HashMap;

use serde::Serialize;

use crate::idempotency::StoredResponse;
use crate::{
    CounterUpdate, Invitation, InvitationId, ItemKey, MailId, Member, Organization, OrganizationId,
    OrganizationName, Permission, Record, Revision, Role, Status, Timestamp, UserId,
};

/// One transaction takes no more items (the limit of DynamoDB's `TransactWriteItems`).
pub const CHANGES_MAX: usize = 100;

/// One item, what must hold of it, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[must_use]
pub struct Change {
    /// Which item.
    pub item: ItemKey,
    /// All of them must hold of the item as it was before the transaction.
    pub guards: Vec<Guard>,
    /// What becomes of it.
    pub effect: Effect,
}

/// What must hold of a stored item. Of a missing item only [`Guard::Absent`], [`Guard::RoomForMail`] and
/// [`Guard::NoResponseAt`] hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Guard {
    /// There is no such item.
    Absent,
    /// There is such an item.
    Exists,
    /// The member's role has this permission.
    May(Permission),
    /// The member has this role.
    Role(Role),
    /// The member holds their seat by this invitation.
    JoinedBy(InvitationId),
    /// At least so many of the organization's seats are free.
    SeatsFree(u32),
    /// The organization has at least so many owners.
    Owners(u32),
    /// The organization's or the member's window counter is as it was read, and has room.
    Counter(CounterUpdate),
    /// The invitation's record was written so often.
    Revision(Revision),
    /// The invitation's stored status is this; the time does not matter.
    Status(Status),
    /// The invitation ends then.
    ExpiresAt(Timestamp),
    /// The mail is counted to the recipient's day already, or fewer than `limit` are. Holds of a day that does not exist.
    RoomForMail {
        /// Which mail.
        mail: MailId,
        /// How many a day may have.
        limit: u32,
    },
    /// No response is stored that is still good at this moment. Holds where there is none.
    NoResponseAt(Timestamp),
}

/// What becomes of an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Nothing: its guards are asserted.
    Check,
    /// It is this record from now on.
    Put(Box<Record>),
    /// It is deleted.
    Delete,
    /// One of its attributes is set.
    Set(Field),
    /// The organization's counters move.
    Count {
        /// Seats given back, or taken if negative.
        seats_free: i32,
        /// Owners who come, or go if negative.
        owners: i32,
        /// Invitees counted to the organization's day.
        invited: Option<CounterUpdate>,
    },
    /// Mails are counted to the sender's hour.
    CountMails(CounterUpdate),
    /// The accepted invitation of a member who goes is closed.
    CloseAsRemoved {
        /// When.
        at: Timestamp,
        /// When the record may be deleted.
        purge_at: Timestamp,
    },
    /// The mail is counted to the recipient's day.
    AddMail {
        /// Which mail.
        mail: MailId,
        /// When the day's count may be deleted.
        purge_at: Timestamp,
    },
}

/// An attribute that is set by itself, and what it is set to; serialized as it is stored: name, then value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// A member's role.
    Role(Role),
    /// An organization's name.
    Name(OrganizationName),
}

impl Field {
    /// Sets it in `record`; a record of a kind that has no such attribute stays as it is.
    pub fn set_in(&self, record: &mut Record) {
        match (self, record) {
            (Self::Role(role), Record::Member(member)) => member.role = *role,
            (Self::Name(name), Record::Organization(organization)) => organization.name = name.clone(),
            _ => {}
        }
    }
}

/// Up to 100 changes of different items, made together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Plan {
    changes: Vec<Change>,
}

/// These changes are not one transaction. An action that plans them is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Only one of them can become of the item.
    #[error("two effects on one item: {0:?}")]
    TwoEffects(ItemKey),
    /// More than [`CHANGES_MAX`].
    #[error("{0} items are too many for one transaction")]
    TooManyItems(usize),
}

/// The guards of a plan did not hold, and nothing was changed: the places of their changes in the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guards of the changes {0:?} do not hold")]
pub struct GuardFailed(pub Vec<usize>);

impl Plan {
    /// The changes as one transaction, which takes one action per item: the guards of changes of one item are all
    /// asserted, and at most one of these changes may have an effect.
    pub fn new(changes: impl IntoIterator<Item = Change>) -> Result<Self, PlanError> {
        let mut merged: Vec<Change> = Vec::new();
        let mut places: HashMap<ItemKey, usize> = HashMap::new();
        for change in changes {
            if let Some(place) = places.get(&change.item) {
                merged[*place].merge(change)?;
            } else {
                places.insert(change.item.clone(), merged.len());
                merged.push(change);
            }
        }
        if merged.len() > CHANGES_MAX {
            return Err(PlanError::TooManyItems(merged.len()));
        }
        Ok(Self { changes: merged })
    }

    /// The changes, in a fixed order: cancellation reasons are reported by position.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether it would write anything. A plan of bare checks has nothing to commit: the snapshot that it was decided on
    /// vouches for them.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.changes.iter().any(|change| change.effect != Effect::Check)
    }

    /// The records that it writes whole.
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

    /// The organization comes into being.
    pub fn create(organization: Organization) -> Self {
        Self::put(Record::Organization(organization), Guard::Absent)
    }

    /// The organization is called `name`.
    pub fn rename(organization: &OrganizationId, name: OrganizationName) -> Self {
        let item = ItemKey::organization(organization);
        Self::new(item, [Guard::Exists], Effect::Set(Field::Name(name)))
    }

    /// Seats are given back, or taken, and owners come or go. As many seats must be free as are taken, and where an owner
    /// goes another one must stay.
    pub fn count(organization: &OrganizationId, seats_free: i32, owners: i32) -> Self {
        Self::counting(organization, seats_free, owners, None)
    }

    /// Seats are taken for invitees, who are counted to the organization's day if that is limited.
    pub fn take_seats(organization: &OrganizationId, seats: u32, invited: Option<CounterUpdate>) -> Self {
        Self::counting(organization, -seats.cast_signed(), 0, invited)
    }

    fn counting(
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
        let moves = seats_free != 0 || owners != 0 || invited.is_some();
        // DynamoDB takes no update that does nothing.
        let effect = if moves { Effect::Count { seats_free, owners, invited } } else { Effect::Check };
        Self::new(ItemKey::organization(organization), guards.into_iter().flatten(), effect)
    }

    /// A user who is no member becomes one.
    pub fn join(member: Member) -> Self {
        Self::put(Record::Member(member), Guard::Absent)
    }

    /// The member's role has the permission.
    pub fn may(organization: &OrganizationId, user: &UserId, permission: Permission) -> Self {
        Self::new(ItemKey::member(organization, user), [Guard::May(permission)], Effect::Check)
    }

    /// Mails are counted to the hour of a member.
    pub fn count_mails(organization: &OrganizationId, user: &UserId, mailed: CounterUpdate) -> Self {
        let guards = [Guard::Exists, Guard::Counter(mailed)];
        Self::new(ItemKey::member(organization, user), guards, Effect::CountMails(mailed))
    }

    /// The member has another role.
    pub fn set_role(member: &Member, role: Role) -> Self {
        let item = ItemKey::member(&member.organization, &member.user);
        Self::new(item, [Guard::Role(member.role)], Effect::Set(Field::Role(role)))
    }

    /// The member is deleted, if role and invitation are unchanged.
    pub fn leave(member: &Member) -> Self {
        let item = ItemKey::member(&member.organization, &member.user);
        let guards = [Guard::Role(member.role), Guard::JoinedBy(member.invitation.clone())];
        Self::new(item, guards, Effect::Delete)
    }

    /// The invitation is written. What is stored must have the revision before this one's, or be absent if this is the
    /// first.
    pub fn write(invitation: Invitation) -> Self {
        let guard = invitation.revision.previous().map_or(Guard::Absent, Guard::Revision);
        Self::put(Record::Invitation(invitation), guard)
    }

    /// The address is invited already: its invitation is pending, and ends then.
    pub fn still_pending(invitation: &Invitation) -> Self {
        let item = ItemKey::invitation(&invitation.organization, &invitation.id);
        let guards = [Guard::Status(Status::Pending), Guard::ExpiresAt(invitation.expires_at)];
        Self::new(item, guards, Effect::Check)
    }

    /// The address is a member's: its invitation is accepted.
    pub fn still_accepted(invitation: &Invitation) -> Self {
        let item = ItemKey::invitation(&invitation.organization, &invitation.id);
        Self::new(item, [Guard::Status(Status::Accepted)], Effect::Check)
    }

    /// The accepted invitation of a member who goes is closed.
    pub fn close_as_removed(member: &Member, at: Timestamp, purge_at: Timestamp) -> Self {
        let item = ItemKey::invitation(&member.organization, &member.invitation);
        Self::new(item, [Guard::Status(Status::Accepted)], Effect::CloseAsRemoved { at, purge_at })
    }

    /// The mail is counted to its recipient's day, once, if that has room for it.
    pub fn add_mail(item: ItemKey, mail: MailId, limit: u32, purge_at: Timestamp) -> Self {
        let guard = Guard::RoomForMail { mail: mail.clone(), limit };
        Self::new(item, [guard], Effect::AddMail { mail, purge_at })
    }

    /// The response is stored, where none is that is still good at `now`.
    pub fn store_response(response: StoredResponse, now: Timestamp) -> Self {
        Self::put(Record::Response(response), Guard::NoResponseAt(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acme, member, user};

    fn may(permission: Permission) -> Change {
        Change::may(&acme(), &user("ada"), permission)
    }

    #[test]
    fn guards_of_one_item_are_all_asserted_beside_its_one_effect() {
        let set = || Change::set_role(&member("ada", Role::Owner), Role::Member);
        for changes in [[may(Permission::EditRoles), set()], [set(), may(Permission::EditRoles)]] {
            let plan = Plan::new(changes).unwrap();
            let [change] = plan.changes() else { panic!("{plan:?}") };
            assert_eq!(change.effect, set().effect);
            assert!(change.guards.contains(&Guard::May(Permission::EditRoles)));
            assert!(change.guards.contains(&Guard::Role(Role::Owner)));
            assert!(plan.writes());
        }
        let invite = |role| may(Permission::Invite(role));
        let checks = Plan::new([invite(Role::Member), invite(Role::Owner), invite(Role::Member)]).unwrap();
        assert_eq!(checks.changes()[0].guards.len(), 2, "no guard is lost, and none asserted twice");
        assert!(!checks.writes());
    }

    #[test]
    fn two_effects_on_one_item_are_an_error() {
        let count = Change::count(&acme(), 1, 0);
        let twice = Plan::new([count.clone(), count]);
        assert_eq!(twice, Err(PlanError::TwoEffects(ItemKey::Organization(acme()))));
    }

    #[test]
    fn a_transaction_has_room_for_a_hundred_items() {
        let changes = |count: usize| {
            let names = (0..count).map(|number| user(&format!("p{number}")));
            Plan::new(names.map(|user| Change::may(&acme(), &user, Permission::EditRoles)))
        };
        assert!(changes(CHANGES_MAX).is_ok());
        assert_eq!(changes(CHANGES_MAX + 1), Err(PlanError::TooManyItems(CHANGES_MAX + 1)));
    }

    #[test]
    fn taking_asserts_that_there_is_enough() {
        let guards = |seats, owners| Change::count(&acme(), seats, owners).guards;
        assert_eq!(guards(1, 1), [Guard::Exists]);
        assert_eq!(guards(-2, 0), [Guard::Exists, Guard::SeatsFree(2)]);
        assert_eq!(guards(0, -1), [Guard::Exists, Guard::Owners(2)]);
        assert_eq!(Change::count(&acme(), 0, 0).effect, Effect::Check);
    }
}
