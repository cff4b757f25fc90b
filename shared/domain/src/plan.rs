//! What a decision wants changed, each change with its own guard.

use crate::idempotency::{Answer, AnswerId};
use crate::{
    Counting, Day, Invitation, InvitationId, Lane, Lapse, MailId, Member, Organization, OrganizationId,
    Recipient, Role, Timestamp, UserId,
};

/// One transaction takes no more (the limit of DynamoDB's `TransactWriteItems`).
pub const CHANGES_MAX: usize = 100;

/// A decision: what is to be changed, and what is answered once it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Decision<Answer> {
    /// All of it, or nothing.
    pub plan: Plan,
    /// True once the plan is committed.
    pub answer: Answer,
}

impl<Answer> Decision<Answer> {
    /// Nothing is to be changed.
    pub fn unchanged(answer: Answer) -> Self {
        Self { plan: Plan::default(), answer }
    }
}

/// Up to 100 changes, at most one per item, made together or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct Plan {
    changes: Vec<Change>,
}

impl Plan {
    /// The changes, in a fixed order: cancellation reasons are reported by position.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether it would write anything. A plan of bare checks has nothing to commit: the snapshot that it
    /// was decided on vouches for them.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.changes.iter().any(Change::writes)
    }

    /// The same plan, for whoever has met another transaction: the lane that it asserts to be empty is another one, by a
    /// random `pick`.
    pub fn step_aside(&mut self, pick: u8) {
        for change in &mut self.changes {
            if let Change::Lapse(_, _, lane, LapseChange::Absent) = change {
                *lane = Lane::aside(pick);
            }
        }
    }

    pub(crate) fn add(&mut self, change: Change) {
        match self.changes.iter_mut().find(|present| present.is_about_the_item_of(&change)) {
            Some(present) => present.merge(change),
            None => self.changes.push(change),
        }
    }
}

impl FromIterator<Change> for Plan {
    /// Changes of one item merge, since a transaction takes one action per item.
    fn from_iter<Changes: IntoIterator<Item = Change>>(changes: Changes) -> Self {
        let mut plan = Self::default();
        for change in changes {
            plan.add(change);
        }
        debug_assert!(plan.changes.len() <= CHANGES_MAX, "a plan is one transaction");
        plan
    }
}

/// One guarded change of one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// Of the organization.
    Organization(OrganizationId, OrganizationChange),
    /// Of a member.
    Member(OrganizationId, UserId, MemberChange),
    /// Of an invitation.
    Invitation(OrganizationId, InvitationId, InvitationChange),
    /// Of one of a sender's lanes.
    Lapse(OrganizationId, UserId, Lane, LapseChange),
    /// Of a recipient's day.
    Recipient(Recipient, Day, RecipientChange),
    /// Of a kept answer.
    Answer(AnswerId, AnswerChange),
}

/// What a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// An organization.
    Organization(OrganizationId),
    /// A member.
    Member(OrganizationId, UserId),
    /// An invitation.
    Invitation(OrganizationId, InvitationId),
    /// One of a sender's lanes.
    Lapse(OrganizationId, UserId, Lane),
    /// A recipient's day.
    Recipient(Recipient, Day),
    /// A kept answer.
    Answer(AnswerId),
}

/// A change of the organization.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum OrganizationChange {
    /// It comes into being. Guard: there is none.
    Found(Organization),
    /// Its counters move. Guard: it exists; of the seats taken as many are free; if an owner goes, another
    /// one stays.
    Count {
        /// Seats given back, or taken if negative.
        seats_free: i32,
        /// Owners who come, or go if negative.
        owners: i32,
        /// Invitees counted to the organization's day. Guard: as the counting says.
        invited: Option<Counting>,
    },
}

/// A change of a member.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MemberChange {
    /// They join. Guard: they are no member.
    Join(Member),
    /// Nothing changes. Guard: they are a member who may grant this role.
    MayGrant(Role),
    /// Invitations are sent in their name, and counted to their hour if that is limited. Guard: they are a member who may
    /// grant this role; and as the counting says.
    Mail(Role, Option<Counting>),
    /// Their role changes. Guard: it is `from`.
    SetRole {
        /// The role they have.
        from: Role,
        /// The role they get.
        to: Role,
        /// Guard, too: no invitation was ever sent in their name.
        unsent: bool,
    },
    /// They go. Guard: they have this role, and hold their seat by this invitation.
    Leave {
        /// The role they have.
        role: Role,
        /// The invitation they joined with.
        invitation: InvitationId,
        /// Guard, too: no invitation was ever sent in their name.
        unsent: bool,
    },
}

/// A change of an invitation's record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum InvitationChange {
    /// The record becomes this. Guard: what is stored has the revision before this one's, or is absent if
    /// this is the first.
    Write(Box<Invitation>),
    /// Nothing changes. Guard: it still holds its seat, as accepted or as pending until `expires_at`.
    Stands(Standing),
    /// Its member is gone. Guard: it is accepted.
    Remove {
        /// When.
        at: Timestamp,
        /// When the record may be deleted.
        purge_at: Timestamp,
    },
}

/// A change of one of a sender's lanes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LapseChange {
    /// Nothing changes. Guard: there is no lapse.
    Absent,
    /// There is a lapse from now on, whether there was one or not.
    Mark {
        /// When it may be deleted.
        purge_at: Timestamp,
    },
}

/// A change of a recipient's day.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RecipientChange {
    /// A mail is counted. Guard: it is counted already, or fewer than `limit` are.
    Mail {
        /// Which.
        mail: MailId,
        /// How many a day may have.
        limit: u32,
    },
}

/// A change of a kept answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AnswerChange {
    /// It is kept. Guard: none is kept under this key that is still good at `now`.
    Keep {
        /// The answer.
        answer: Box<Answer>,
        /// The moment that counts.
        now: Timestamp,
    },
}

/// Why an address is not invited again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Its invitation is pending, and ends then.
    PendingUntil(Timestamp),
    /// Its invitation was accepted.
    Accepted,
}

impl Change {
    /// What it is about.
    #[must_use]
    pub fn item(&self) -> Item {
        match self {
            Self::Organization(organization, _) => Item::Organization(organization.clone()),
            Self::Member(organization, user, _) => Item::Member(organization.clone(), user.clone()),
            Self::Invitation(organization, invitation, _) => {
                Item::Invitation(organization.clone(), invitation.clone())
            }
            Self::Lapse(organization, sender, lane, _) => {
                Item::Lapse(organization.clone(), sender.clone(), *lane)
            }
            Self::Recipient(recipient, day, _) => Item::Recipient(recipient.clone(), *day),
            Self::Answer(answer, _) => Item::Answer(answer.clone()),
        }
    }

    /// Whether both have one [`Change::item`]; fifty records in a plan are a thousand comparisons.
    fn is_about_the_item_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Organization(one, _), Self::Organization(other, _)) => one == other,
            (Self::Member(one, user, _), Self::Member(other, others, _)) => user == others && one == other,
            (Self::Invitation(one, invitation, _), Self::Invitation(other, others, _)) => {
                invitation == others && one == other
            }
            (Self::Lapse(one, sender, lane, _), Self::Lapse(other, others, theirs, _)) => {
                lane == theirs && sender == others && one == other
            }
            (Self::Recipient(one, day, _), Self::Recipient(other, others, _)) => {
                day == others && one == other
            }
            (Self::Answer(one, _), Self::Answer(other, _)) => one == other,
            _ => false,
        }
    }

    /// Whether it is more than a check.
    #[must_use]
    pub fn writes(&self) -> bool {
        !matches!(
            self,
            Self::Member(_, _, MemberChange::MayGrant(_))
                | Self::Invitation(_, _, InvitationChange::Stands(_))
                | Self::Lapse(_, _, _, LapseChange::Absent)
        )
    }

    pub(crate) fn write(invitation: Invitation) -> Self {
        Self::Invitation(
            invitation.organization.clone(),
            invitation.id.clone(),
            InvitationChange::Write(Box::new(invitation)),
        )
    }

    pub(crate) fn may_grant(organization: &OrganizationId, member: &UserId, role: Role) -> Self {
        Self::Member(organization.clone(), member.clone(), MemberChange::MayGrant(role))
    }

    /// What `sender` could grant when they sent `invitation`, they have been able to grant ever since.
    pub(crate) fn no_lapse(
        organization: &OrganizationId,
        sender: &UserId,
        invitation: &InvitationId,
    ) -> Self {
        Self::Lapse(organization.clone(), sender.clone(), Lane::of(invitation), LapseChange::Absent)
    }

    /// `member` loses authority: what leaves a trace of it, if they have ever made use of it.
    pub(crate) fn lapses(member: &Member, now: Timestamp) -> impl Iterator<Item = Self> {
        let lapses = member.sent.then(|| Lapse::everywhere(&member.organization, &member.user, now));
        lapses.into_iter().flatten().map(|Lapse { organization, sender, lane, purge_at }| {
            Self::Lapse(organization, sender, lane, LapseChange::Mark { purge_at })
        })
    }

    pub(crate) fn join(member: Member) -> Self {
        Self::Member(member.organization.clone(), member.user.clone(), MemberChange::Join(member))
    }

    pub(crate) fn count(organization: &OrganizationId, seats_free: i32, owners: i32) -> Self {
        let change = OrganizationChange::Count { seats_free, owners, invited: None };
        Self::Organization(organization.clone(), change)
    }

    /// Seats are taken for invitees, who are counted.
    pub(crate) fn take(organization: &OrganizationId, seats: u32, invited: Option<Counting>) -> Self {
        let seats_free = -seats.cast_signed();
        let change = OrganizationChange::Count { seats_free, owners: 0, invited };
        Self::Organization(organization.clone(), change)
    }

    /// `member` may grant `role`, and sends; their mails are counted, if that is limited.
    pub(crate) fn mail(
        organization: &OrganizationId,
        member: &UserId,
        role: Role,
        mailed: Option<Counting>,
    ) -> Self {
        Self::Member(organization.clone(), member.clone(), MemberChange::Mail(role, mailed))
    }

    pub(crate) fn keep(answer: Answer, now: Timestamp) -> Self {
        Self::Answer(answer.id.clone(), AnswerChange::Keep { answer: Box::new(answer), now })
    }

    /// Both of one item. A check of who may grant gives way to a change that asserts the very role: the
    /// decision found both true of one snapshot, so the narrower guard says it all.
    fn merge(&mut self, other: Self) {
        use MemberChange::MayGrant;
        match (&mut *self, other) {
            (Self::Member(_, _, MayGrant(role)), Self::Member(_, _, MayGrant(other))) => {
                if other.may_grant(*role) {
                    *role = other;
                }
            }
            (Self::Member(_, _, present), Self::Member(_, _, MayGrant(_))) => {
                debug_assert!(!matches!(present, MemberChange::Join(_)), "who joins grants nothing yet");
            }
            (present @ Self::Member(_, _, MayGrant(_)), other) => *present = other,
            (
                Self::Organization(_, OrganizationChange::Count { seats_free, owners, invited: None }),
                Self::Organization(
                    _,
                    OrganizationChange::Count { seats_free: more, owners: others, invited: None },
                ),
            ) => {
                *seats_free += more;
                *owners += others;
            }
            (present, other) => debug_assert!(false, "{present:?} and {other:?} exclude each other"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{NOON, acme, id_of, member, user};

    #[test]
    fn a_check_of_who_may_grant_merges_into_the_change_of_the_same_member() {
        let organization = OrganizationId::from_random([1; 16]);
        let user = UserId::parse("ada").unwrap();
        let set = || {
            let change = MemberChange::SetRole { from: Role::Owner, to: Role::Member, unsent: false };
            Change::Member(organization.clone(), user.clone(), change)
        };
        let check = |role| Change::may_grant(&organization, &user, role);
        let one = Plan::from_iter([check(Role::Owner), set()]);
        let other = Plan::from_iter([set(), check(Role::Owner)]);
        assert_eq!(one.changes(), &[set()]);
        assert_eq!(other.changes(), &[set()]);
        let checks = Plan::from_iter([check(Role::Member), check(Role::Owner), check(Role::Member)]);
        assert_eq!(checks.changes(), &[check(Role::Owner)]);
        assert!(!checks.writes() && one.writes());
    }

    #[test]
    fn stepping_aside_asserts_the_same_in_another_lane_and_marks_all_of_them() {
        let count = Change::count(&acme(), 0, 1);
        let absent = Change::no_lapse(&acme(), &user("ada"), &id_of("ivy"));
        let mut plan = Plan::from_iter([count.clone(), absent.clone()]);
        plan.step_aside(7);
        let elsewhere = Change::Lapse(acme(), user("ada"), Lane::aside(7), LapseChange::Absent);
        assert_ne!(absent, elsewhere);
        assert_eq!(plan.changes(), &[count, elsewhere]);
        let sender = Member { sent: true, ..member("ada", Role::Owner) };
        let mut marks: Plan = Change::lapses(&sender, NOON).collect();
        let before = marks.clone();
        marks.step_aside(7);
        assert_eq!(marks, before);
    }

    #[test]
    fn counts_of_one_organization_add_up() {
        let organization = OrganizationId::from_random([1; 16]);
        let plan = Plan::from_iter([Change::count(&organization, 1, 2), Change::count(&organization, 3, -1)]);
        assert_eq!(plan.changes(), &[Change::count(&organization, 4, 1)]);
    }
}
