//! Given, when, then: a world in which everything is in order, so that a test states only what is not.
//!
//! `ada` is the caller: an owner of Acme with a verified address. `ivy` is invited as a member, in ada's name,
//! until an hour after [`NOON`]; now is `NOON`. Acme has two owners and five of its ten seats free.
//! [`given_invitee`] is the same world, with ivy calling. Each action adds its own verb.

use std::time::Duration;

use crate::{
    Caller, Change, Closed, Decision, Delivery, EmailAddress, Generation, Invitation, InvitationId, Item,
    Language, Mail, Member, MemberChange, Organization, OrganizationId, OrganizationName, Policy, Revision,
    Role, Seats, Sender, State, Status, Tally, Timestamp, UserId,
};

/// A moment: 2026-11-24T12:00:00Z.
pub(crate) const NOON: Timestamp = Timestamp::literal(1_795_521_600);
/// A day before.
pub(crate) const YESTERDAY: Timestamp = Timestamp::literal(NOON.unix() - 24 * 60 * 60);
/// The step at which borders are tested.
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Long enough for a second not to matter.
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
        sent: false,
    }
}

/// The state that belongs to `status`.
pub(crate) fn state(name: &str, status: Status) -> State {
    let closed = |how| State::Closed { how, at: NOON, purge_at: NOON + HOUR };
    match status {
        Status::Pending => State::Pending { due_at: NOON + HOUR },
        Status::Accepted => State::Accepted { by: user(name), at: NOON },
        Status::Revoked => closed(Closed::Revoked),
        Status::Expired => closed(Closed::Expired),
        Status::Declined => closed(Closed::Declined),
        Status::Removed => closed(Closed::Removed),
    }
}

/// The third mail's invitation, as a member, in ada's name, its mail sent a day ago.
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

/// What is true when the caller calls.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    pub caller: Caller,
    /// The caller's membership.
    pub member: Option<Member>,
    pub organization: Option<Organization>,
    /// Ivy's.
    pub invitation: Option<Invitation>,
    pub policy: Policy,
    pub now: Timestamp,
}

pub(crate) fn given() -> Given {
    Given {
        caller: caller("ada"),
        member: Some(member("ada", Role::Owner)),
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
    pub fn caller_is(mut self, role: Role) -> Self {
        self.member = Some(member(self.caller.user.as_str(), role));
        self
    }

    pub fn caller_is_a_stranger(mut self) -> Self {
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

    /// Acme has invited so many since then.
    pub fn invited(mut self, count: u32, since: Timestamp) -> Self {
        self.organization.as_mut().unwrap().invited = Some(Tally { since, count });
        self
    }

    /// The caller has had so many mailed since then.
    pub fn mailed(mut self, count: u32, since: Timestamp) -> Self {
        self.member.as_mut().unwrap().mailed = Some(Tally { since, count });
        self
    }

    /// Ivy's mail went out then.
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

/// What is planned for ivy's record.
pub(crate) fn written<A>(decision: &Decision<A>) -> &Invitation {
    writes(decision).next().expect("the plan writes a record")
}

/// All records that the plan writes.
pub(crate) fn writes<A>(decision: &Decision<A>) -> impl Iterator<Item = &Invitation> {
    decision.plan.changes().iter().filter_map(|change| match change {
        Change::Invitation(_, _, crate::InvitationChange::Write(invitation)) => Some(&**invitation),
        _ => None,
    })
}

/// How the plan moves Acme's counters: seats free, owners.
pub(crate) fn counts<A>(decision: &Decision<A>) -> (i32, i32) {
    decision
        .plan
        .changes()
        .iter()
        .find_map(|change| match change {
            Change::Organization(_, crate::OrganizationChange::Count { seats_free, owners, .. }) => {
                Some((*seats_free, *owners))
            }
            _ => None,
        })
        .unwrap_or_default()
}

/// Whether the plan asserts that `name` may grant `role`.
pub(crate) fn asserts_grant<A>(decision: &Decision<A>, name: &str, role: Role) -> bool {
    decision.plan.changes().iter().any(|change| match change {
        Change::Member(organization, member, MemberChange::MayGrant(it) | MemberChange::Mail(it, _)) => {
            (organization, member.as_str(), *it) == (&acme(), name, role)
        }
        _ => false,
    })
}

/// Whether the plan asserts that nothing of `name`'s authority has lapsed.
pub(crate) fn asserts_no_lapse<A>(decision: &Decision<A>, name: &str) -> bool {
    decision.plan.changes().iter().any(|change| match change {
        Change::Lapse(organization, sender, lane, crate::LapseChange::Absent) => {
            (organization, sender.as_str(), *lane) == (&acme(), name, crate::Lane::of(&id_of("ivy")))
        }
        _ => false,
    })
}

/// The items that the plan touches.
pub(crate) fn items<A>(decision: &Decision<A>) -> Vec<Item> {
    decision.plan.changes().iter().map(Change::item).collect()
}
