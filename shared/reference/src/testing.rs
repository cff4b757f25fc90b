//! Fixtures for the tests of the reference model: the organization Acme, and users by their names.

use std::time::Duration;

use domain::{
    Caller, CloseReason, Delivery, EmailAddress, Generation, Invitation, InvitationId, Mail, Member,
    Organization, OrganizationId, OrganizationName, Revision, Role, Seats, Sender, State, Status, Timestamp,
    UserId,
};

/// One second, the resolution of a [`Timestamp`].
pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// The time between [`noon`] and the deadline of a fixture invitation.
pub(crate) const HOUR: Duration = Duration::from_hours(1);

/// The current time of the tests: 2026-11-24T12:00:00Z.
pub(crate) fn noon() -> Timestamp {
    Timestamp::from_unix(1_795_521_600)
}

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

pub(crate) fn sender(name: &str) -> Sender {
    Sender { user: user(name), email: address(name) }
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

/// Acme with four seats, and these counters of free seats and owners.
pub(crate) fn organization(free: u32, owners: u32) -> Organization {
    Organization {
        id: acme(),
        name: OrganizationName::parse("Acme").unwrap(),
        seats: Seats { total: 4, free },
        owners,
        created_at: noon(),
        invited: None,
    }
}

/// An invitation to the role `member`, sent by ada, of generation 3, with a deadline one hour after noon.
pub(crate) fn invitation(name: &str, status: Status) -> Invitation {
    let closed = |how| State::Closed { how, at: noon(), purge_at: noon() + HOUR };
    Invitation {
        id: id_of(name),
        organization: acme(),
        email: address(name),
        role: Role::Member,
        language: None,
        generation: Generation(3),
        revision: Revision(7),
        sender: sender("ada"),
        created_at: Timestamp::from_unix(0),
        expires_at: noon() + HOUR,
        state: match status {
            Status::Pending => State::Pending { due_at: noon() + HOUR },
            Status::Accepted => State::Accepted { by: user(name), at: noon() },
            Status::Revoked => closed(CloseReason::Revoked),
            Status::Expired => closed(CloseReason::Expired),
            Status::Declined => closed(CloseReason::Declined),
            Status::Removed => closed(CloseReason::Removed),
        },
        mail: Some(Mail { delivery: Delivery::Sent, detail: None, sent_at: Some(Timestamp::from_unix(0)) }),
    }
}
