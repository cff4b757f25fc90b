//! Bounds: which calls and faults happen, and how often at most.

use domain::Role;

use crate::{ADA, BOB, CYD, Call, DAN, ROLES, User};

/// How often each kind of fault happens at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// A function crashes between two of its steps, and gets its stream record again.
    pub crashes: u8,
    /// A stream record is read, or a timer fires, a second time: during the first invocation or after it.
    pub duplicates: u8,
    /// A stream record becomes a dead letter before its function reads it.
    pub dead_letters: u8,
    /// A schedule is lost before it fires, or the invocation of `expire` becomes a dead letter.
    pub lost_timers: u8,
    /// A timer fires one time step too early.
    pub early_timers: u8,
    /// SES rejects a mail for good.
    pub rejections: u8,
    /// Time passes although work is left.
    pub delays: u8,
    /// SES reports a bounce. This is no fault, but it happens at any time, as faults do.
    pub feedback: u8,
}

impl Faults {
    /// How many additional mails with one link the faults so far can explain: `all` were allowed, `self` are left.
    pub(crate) fn repeats_since(self, all: Self) -> u8 {
        (all.crashes - self.crashes) + (all.duplicates - self.duplicates)
    }
}

/// The limits of one exhaustive search.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The name, for the report and for `--only`.
    pub name: &'static str,
    /// The seats of the organization.
    pub seats: u32,
    /// The number of users who take part.
    pub users: User,
    /// The members at the beginning, without the founder.
    pub members: &'static [(User, Role)],
    /// An invitee whose address is a second address of another user. The invitee is no user then.
    pub second_address: Option<(User, User)>,
    /// The number of time steps until an invitation expires.
    pub lifetime: u8,
    /// The number of calls that users make.
    pub calls: u8,
    /// The number of users' calls in progress at the same time.
    pub concurrent_calls: usize,
    /// The calls that users choose from. In addition, invitees accept by every link that they receive.
    pub available_calls: Vec<Call>,
    /// Whether invitees also decline by every link that they receive.
    pub declines: bool,
    /// Whether `schedule` makes schedules and timers fire; if false, only `reconcile` expires invitations.
    pub timers: bool,
    /// Whether `mail` and `schedule` run in single steps, which interleave with all other steps.
    ///
    /// If false, each stream record is processed completely in the step that wrote it.
    pub functions_in_steps: bool,
    /// The faults.
    pub faults: Faults,
}

/// Returns all bounds, with `more` calls and faults than in the smallest useful bounds.
#[must_use]
pub fn all(more: u8) -> Vec<Bounds> {
    vec![people(more), seats(more), addresses(more), outbox(more), timers(more)]
}

/// Two owners and a member change roles, remove each other, leave, and invite at the same time.
fn people(more: u8) -> Bounds {
    let mut calls = Vec::new();
    for by in [ADA, BOB] {
        for member in [ADA, BOB, CYD] {
            calls.extend(ROLES.map(|role| Call::RoleEdit(by, member, role)));
            calls.push(Call::Remove(by, member));
        }
        calls.push(Call::Invite(by, vec![DAN], Role::Owner));
        calls.push(Call::Resend(by, DAN));
        calls.push(Call::Revoke(by, DAN));
    }
    calls.push(Call::OrganizationEdit(BOB));
    calls.push(Call::Remove(CYD, CYD));
    calls.push(Call::Invite(CYD, vec![DAN], Role::Member));
    calls.push(Call::Resend(CYD, DAN));
    Bounds {
        name: "people",
        seats: 4,
        users: 4,
        members: &[(BOB, Role::Owner), (CYD, Role::Member)],
        second_address: None,
        lifetime: 2,
        calls: 4 + more,
        concurrent_calls: 2,
        available_calls: calls,
        declines: false,
        timers: false,
        functions_in_steps: false,
        faults: Faults::default(),
    }
}

/// Two owners invite two users to the last seat. The invitees accept, decline, are removed and invited again, and
/// invitations expire.
fn seats(more: u8) -> Bounds {
    let mut calls = Vec::new();
    for by in [ADA, BOB] {
        calls.push(Call::Invite(by, vec![CYD, DAN], Role::Member));
        for invitee in [CYD, DAN] {
            calls.push(Call::Invite(by, vec![invitee], Role::Member));
            calls.push(Call::Resend(by, invitee));
            calls.push(Call::Revoke(by, invitee));
            calls.push(Call::Remove(by, invitee));
        }
    }
    Bounds {
        name: "seats",
        seats: 3,
        users: 4,
        members: &[(BOB, Role::Owner)],
        second_address: None,
        lifetime: 2,
        calls: 4 + more,
        concurrent_calls: 2,
        available_calls: calls,
        declines: true,
        timers: false,
        functions_in_steps: false,
        faults: Faults { delays: 1, ..Faults::default() },
    }
}

/// An owner invites both addresses of one user to the last seats. The user accepts both invitations, leaves, and is
/// removed.
fn addresses(more: u8) -> Bounds {
    Bounds {
        name: "addresses",
        seats: 3,
        users: 4,
        members: &[],
        second_address: Some((DAN, CYD)),
        lifetime: 2,
        calls: 4 + more,
        concurrent_calls: 2,
        available_calls: vec![
            Call::Invite(ADA, vec![CYD, DAN], Role::Member),
            Call::Invite(ADA, vec![CYD], Role::Owner),
            Call::Invite(ADA, vec![DAN], Role::Owner),
            Call::Resend(ADA, DAN),
            Call::Revoke(ADA, DAN),
            Call::RoleEdit(ADA, CYD, Role::Owner),
            Call::Remove(ADA, CYD),
            Call::Remove(CYD, CYD),
            Call::Remove(CYD, ADA),
        ],
        declines: true,
        timers: false,
        functions_in_steps: false,
        faults: Faults::default(),
    }
}

/// One invitation, and all faults between its commit and the delivery of its mail.
fn outbox(more: u8) -> Bounds {
    let faults = Faults {
        crashes: 1 + more.min(1),
        duplicates: 1,
        dead_letters: 1,
        rejections: 1,
        delays: 1,
        feedback: 1,
        ..Faults::default()
    };
    Bounds { name: "outbox", declines: true, ..one_invitation(more, faults) }
}

/// One invitation, and all faults of its schedule and its expiry.
fn timers(more: u8) -> Bounds {
    let faults = Faults {
        crashes: more.min(1),
        duplicates: 1,
        dead_letters: 1,
        lost_timers: 1,
        early_timers: 1,
        delays: 1,
        ..Faults::default()
    };
    Bounds { name: "timers", timers: true, ..one_invitation(more, faults) }
}

/// The common part of [`outbox`] and [`timers`]: an owner, one invitee, and all functions in single steps.
fn one_invitation(more: u8, faults: Faults) -> Bounds {
    Bounds {
        name: "one invitation",
        seats: 2,
        users: 2,
        members: &[],
        second_address: None,
        lifetime: 3,
        calls: 2 + more,
        concurrent_calls: 2,
        available_calls: vec![
            Call::Invite(ADA, vec![BOB], Role::Owner),
            Call::Resend(ADA, BOB),
            Call::Revoke(ADA, BOB),
        ],
        declines: false,
        timers: false,
        functions_in_steps: true,
        faults,
    }
}
