//! Fixtures. [`given`] makes a valid setup, and a test changes only the parts that matter to it.
//!
//! `ada` is the caller: an owner of Acme with a verified address. She invited `ivy` as a member. The invitation is
//! pending and expires one hour after [`NOON`], which is the current time. Acme has two owners, and 5 of its 10 seats
//! are free. [`given_invitee`] makes the same setup with ivy as the caller.
//!
//! The tests of each action add a method to [`Given`] that runs the action.

use std::time::Duration;

use crate::{
    Action, Caller, Change, CloseReason, Decision, Delivery, Effect, EmailAddress, Generation, Guard,
    Invitation, InvitationId, ItemKey, Language, Mail, Member, Organization, OrganizationId,
    OrganizationName, Permission, Plan, Policy, Record, Revision, Role, Seats, Sender, Snapshot, State,
    Status, Timestamp, UserId, WindowCounter,
};

/// The current time of the fixtures: 2026-11-24T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::literal(1_795_521_600);
/// 24 hours before [`NOON`].
pub(crate) const YESTERDAY: Timestamp = Timestamp::literal(NOON.unix() - 24 * 60 * 60);
/// The step by which tests differ from a time limit.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// A duration much longer than [`SECOND`].
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) fn acme() -> OrganizationId {
    OrganizationId::from_random([1; 16])
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub(crate) fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@x.example")).unwrap()
}

pub(crate) fn id_of(name: &str) -> InvitationId {
    InvitationId::of(&acme(), &address(name))
}

pub(crate) fn caller(name: &str) -> Caller {
    Caller { user: user(name), email: Some(address(name)) }
}

pub(crate) fn member(name: &str, role: Role) -> Member {
    Member {
        organization: acme(),
        user: user(name),
        role,
        email: address(name),
        invitation: id_of(name),
        joined_at: Timestamp::from_unix(0),
        mailed: None,
    }
}

/// A state with this status.
pub(crate) fn state(name: &str, status: Status) -> State {
    let closed = |how| State::Closed { how, at: NOON, purge_at: NOON + HOUR };
    match status {
        Status::Pending => State::Pending { due_at: NOON + HOUR },
        Status::Accepted => State::Accepted { by: user(name), at: NOON },
        Status::Revoked => closed(CloseReason::Revoked),
        Status::Expired => closed(CloseReason::Expired),
        Status::Declined => closed(CloseReason::Declined),
        Status::Removed => closed(CloseReason::Removed),
    }
}

/// An invitation of the third generation, as a member and from ada. Its mail was sent a day ago.
pub(crate) fn invitation(name: &str, status: Status) -> Invitation {
    Invitation {
        id: id_of(name),
        organization: acme(),
        email: address(name),
        role: Role::Member,
        language: None,
        generation: Generation(3),
        revision: Revision(7),
        sender: Sender { user: user("ada"), email: address("ada") },
        created_at: Timestamp::from_unix(0),
        expires_at: NOON + HOUR,
        state: state(name, status),
        mail: Some(Mail { delivery: Delivery::Sent, detail: None, sent_at: Some(YESTERDAY) }),
    }
}

/// The setup of a test: the caller, the stored items, the policy and the time.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub caller: Caller,
    /// The caller's membership.
    pub member: Option<Member>,
    /// Another member: the one to remove or edit, or the sender of ivy's invitation.
    pub other: Option<Member>,
    pub organization: Option<Organization>,
    /// Ivy's invitation.
    pub invitation: Option<Invitation>,
    pub policy: Policy,
    pub now: Timestamp,
}

pub(crate) fn given() -> Given {
    Given {
        caller: caller("ada"),
        member: Some(member("ada", Role::Owner)),
        other: None,
        organization: Some(Organization {
            id: acme(),
            name: OrganizationName::parse("Acme").unwrap(),
            seats: Seats { total: 10, free: 5 },
            owners: 2,
            created_at: Timestamp::from_unix(0),
            invited: None,
        }),
        invitation: Some(invitation("ivy", Status::Pending)),
        policy: Policy::default(),
        now: NOON,
    }
}

pub(crate) fn given_invitee() -> Given {
    Given { caller: caller("ivy"), member: None, ..given() }
}

impl Given {
    /// The snapshot that `action` reads in its first attempt.
    pub fn snapshot(&self, action: &impl Action) -> Snapshot {
        self.snapshot_of(action.reads(None))
    }

    pub fn snapshot_of(&self, keys: impl IntoIterator<Item = ItemKey>) -> Snapshot {
        let members = [&self.member, &self.other].into_iter().flatten().cloned().map(Record::Member);
        let organization = self.organization.iter().cloned().map(Record::Organization);
        let invitation = self.invitation.iter().cloned().map(Record::Invitation);
        let records: Vec<_> = members.chain(organization).chain(invitation).collect();
        let stored = |key: &ItemKey| records.iter().find(|record| record.key() == *key).cloned();
        keys.into_iter().map(|key| (key.clone(), stored(&key))).collect()
    }

    /// Decides `action` in its first attempt, and asserts that its changes are one transaction.
    pub fn decide<A: Action>(&self, action: &A) -> Result<Decision<A::Answer>, A::Refusal> {
        let decision = action.decide(&self.snapshot(action), &self.policy, self.now)?;
        assert!(Plan::new(decision.changes.iter().cloned()).is_ok(), "the changes fit one transaction");
        Ok(decision)
    }

    /// The caller with their verified address.
    pub fn sender(&self) -> Sender {
        self.caller.clone().verified().unwrap()
    }

    pub fn with(mut self, other: Member) -> Self {
        self.other = Some(other);
        self
    }

    pub fn caller_is(mut self, role: Role) -> Self {
        self.member = Some(member(self.caller.user.as_str(), role));
        self
    }

    pub fn caller_is_no_member(mut self) -> Self {
        self.member = None;
        self
    }

    pub fn caller_is_unverified(mut self) -> Self {
        self.caller.email = None;
        self
    }

    pub fn caller_signs_in_as(mut self, name: &str) -> Self {
        self.caller.email = Some(address(name));
        self
    }

    pub fn no_organization(mut self) -> Self {
        self.organization = None;
        self
    }

    pub fn seats_free(mut self, free: u32) -> Self {
        self.organization.as_mut().unwrap().seats.free = free;
        self
    }

    /// Acme has invited `count` addresses in the window that started at `since`.
    pub fn invited(mut self, count: u32, since: Timestamp) -> Self {
        self.organization.as_mut().unwrap().invited = Some(WindowCounter { since, count });
        self
    }

    /// The caller has sent `count` mails in the window that started at `since`.
    pub fn mailed(mut self, count: u32, since: Timestamp) -> Self {
        self.member.as_mut().unwrap().mailed = Some(WindowCounter { since, count });
        self
    }

    /// Ivy's mail was sent at this time.
    pub fn sent_at(mut self, sent_at: Timestamp) -> Self {
        self.invitation.as_mut().unwrap().mail.as_mut().unwrap().sent_at = Some(sent_at);
        self
    }

    pub fn generation(mut self, generation: u32) -> Self {
        self.invitation.as_mut().unwrap().generation = Generation(generation);
        self
    }

    pub fn owners(mut self, owners: u32) -> Self {
        self.organization.as_mut().unwrap().owners = owners;
        self
    }

    pub fn not_invited(mut self) -> Self {
        self.invitation = None;
        self
    }

    pub fn invited_as(mut self, role: Role) -> Self {
        self.invitation.as_mut().unwrap().role = role;
        self
    }

    pub fn in_language(mut self, language: Option<Language>) -> Self {
        self.invitation.as_mut().unwrap().language = language;
        self
    }

    pub fn sent_by(mut self, name: &str) -> Self {
        self.invitation.as_mut().unwrap().sender = Sender { user: user(name), email: address(name) };
        self
    }

    pub fn status(mut self, status: Status) -> Self {
        self.invitation.as_mut().unwrap().state = state("ivy", status);
        self
    }

    pub fn accepted_by(mut self, name: &str) -> Self {
        self.invitation.as_mut().unwrap().state = State::Accepted { by: user(name), at: NOON };
        self
    }

    pub fn expiring_at(mut self, expires_at: Timestamp) -> Self {
        self.invitation.as_mut().unwrap().expires_at = expires_at;
        self
    }

    pub fn delivery(mut self, delivery: Delivery) -> Self {
        let sent_at = (delivery == Delivery::Sent).then_some(YESTERDAY);
        self.invitation.as_mut().unwrap().mail = Some(Mail { delivery, detail: None, sent_at });
        self
    }
}

/// The first invitation that the changes write.
pub(crate) fn written<A>(decision: &Decision<A>) -> &Invitation {
    writes(decision).next().expect("the changes write an invitation")
}

/// All invitations that the changes write.
pub(crate) fn writes<A>(decision: &Decision<A>) -> impl Iterator<Item = &Invitation> {
    decision.changes.iter().filter_map(|change| match &change.effect {
        Effect::Put(record) => match &**record {
            Record::Invitation(invitation) => Some(invitation),
            _ => None,
        },
        _ => None,
    })
}

/// By how much the changes move Acme's free seats and owners.
pub(crate) fn counts<A>(decision: &Decision<A>) -> (i32, i32) {
    let counts = decision.changes.iter().find_map(|change| match change.effect {
        Effect::Count { seats_free, owners, .. } => Some((seats_free, owners)),
        _ => None,
    });
    counts.unwrap_or_default()
}

/// Returns whether the changes assert that `name` has the permission.
pub(crate) fn asserts<A>(decision: &Decision<A>, name: &str, permission: Permission) -> bool {
    let item = ItemKey::member(&acme(), &user(name));
    decision.changes.iter().any(|it| it.item == item && it.guards.contains(&Guard::HasPermission(permission)))
}

/// Returns whether the changes write anything.
pub(crate) fn writes_anything<A>(decision: &Decision<A>) -> bool {
    plan(decision).writes()
}

/// The changes as one transaction.
pub(crate) fn plan<A>(decision: &Decision<A>) -> Plan {
    Plan::new(decision.changes.iter().cloned()).unwrap()
}

/// The items of the changes.
pub(crate) fn items<A>(decision: &Decision<A>) -> Vec<ItemKey> {
    plan(decision).changes().iter().map(|change| change.item.clone()).collect()
}

/// Returns whether `change` is among the changes.
pub(crate) fn contains<A>(decision: &Decision<A>, change: &Change) -> bool {
    decision.changes.contains(change)
}
