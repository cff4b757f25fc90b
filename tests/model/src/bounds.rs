//! How much may happen.

use domain::Role;

use crate::{ADA, BOB, CYD, Call, DAN, Person, ROLES};

/// What may go wrong, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// A function dies between two of its steps, and its stream record or timer comes again.
    pub crashes: u8,
    /// A stream record or a timer comes although somebody is at it already, or was.
    pub duplicates: u8,
    /// A stream record is given up for good.
    pub given_up: u8,
    /// A schedule is gone before it fires, or what it invoked is given up.
    pub lost_timers: u8,
    /// A timer fires a step too early.
    pub early_timers: u8,
    /// SES refuses a mail for good.
    pub refusals: u8,
    /// Time passes while something is left to be done.
    pub delays: u8,
    /// SES tells something of a mail: no fault, but as arbitrary as one.
    pub feedback: u8,
}

impl Faults {
    /// How many more mails with one link may have gone out than one, when this is left of `all`.
    pub(crate) fn repeats_of(self, all: Self) -> u8 {
        (all.crashes - self.crashes) + (all.duplicates - self.duplicates)
    }
}

/// What happens at most.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// What is looked at.
    pub name: &'static str,
    /// Seats of the organization.
    pub seats: u32,
    /// So many of the people take part.
    pub people: Person,
    /// Who is a member from the beginning, besides the founder.
    pub members: &'static [(Person, Role)],
    /// How many steps of time an invitation lives.
    pub lifetime: u8,
    /// How many calls people make.
    pub calls: u8,
    /// How many calls are under way at the same time.
    pub at_once: usize,
    /// The calls that they choose from. Whoever is invited besides accepts and declines by every link they get.
    pub menu: Vec<Call>,
    /// Whether invitees decline.
    pub declines: bool,
    /// Whether schedules are made and timers fire; if not, reconcile alone closes.
    pub timers: bool,
    /// Whether mail and schedules are seen to in single steps, each a state of its own; if not, what the stream
    /// brings is done at once.
    pub machinery: bool,
    /// What goes wrong.
    pub faults: Faults,
}

/// All that is checked: `more` calls and faults than in the least bounds that mean something.
#[must_use]
pub fn all(more: u8) -> Vec<Bounds> {
    vec![people(more), seats(more), outbox(more), timers(more)]
}

/// Two owners and a member change roles, remove each other, leave, and invite meanwhile.
fn people(more: u8) -> Bounds {
    let people = [ADA, BOB, CYD];
    let mut menu = Vec::new();
    for by in [ADA, BOB] {
        for whom in people {
            menu.extend(ROLES.map(|role| Call::RoleEdit(by, whom, role)));
            menu.push(Call::Remove(by, whom));
        }
        menu.push(Call::Invite(by, vec![DAN], Role::Owner));
        menu.push(Call::Resend(by, DAN));
        menu.push(Call::Revoke(by, DAN));
    }
    menu.push(Call::Rename(BOB));
    menu.push(Call::Remove(CYD, CYD));
    menu.push(Call::Invite(CYD, vec![DAN], Role::Member));
    menu.push(Call::Resend(CYD, DAN));
    Bounds {
        name: "people",
        seats: 4,
        people: 4,
        members: &[(BOB, Role::Owner), (CYD, Role::Member)],
        lifetime: 2,
        calls: 4 + more,
        at_once: 2,
        menu,
        declines: false,
        timers: false,
        machinery: false,
        faults: Faults::default(),
    }
}

/// Two owners invite two people, together and one by one, to the last seats; those accept, decline, are removed and
/// invited anew; invitations expire.
fn seats(more: u8) -> Bounds {
    let mut menu = Vec::new();
    for by in [ADA, BOB] {
        menu.push(Call::Invite(by, vec![CYD, DAN], Role::Member));
        for whom in [CYD, DAN] {
            menu.push(Call::Invite(by, vec![whom], Role::Member));
            menu.push(Call::Resend(by, whom));
            menu.push(Call::Revoke(by, whom));
            menu.push(Call::Remove(by, whom));
        }
    }
    Bounds {
        name: "seats",
        seats: 3,
        people: 4,
        members: &[(BOB, Role::Owner)],
        lifetime: 2,
        calls: 4 + more,
        at_once: 2,
        menu,
        declines: true,
        timers: false,
        machinery: false,
        faults: Faults { delays: 1, ..Faults::default() },
    }
}

/// One invitation, and all that can go wrong on its way to the invitee.
fn outbox(more: u8) -> Bounds {
    let faults = Faults {
        crashes: 1 + more.min(1),
        duplicates: 1,
        given_up: 1,
        refusals: 1,
        delays: 1,
        feedback: 1,
        ..Faults::default()
    };
    Bounds { name: "outbox", declines: true, ..one_invitation(more, faults) }
}

/// One invitation, and all that can go wrong about its expiry.
fn timers(more: u8) -> Bounds {
    let faults = Faults {
        crashes: more.min(1),
        duplicates: 1,
        given_up: 1,
        lost_timers: 1,
        early_timers: 1,
        delays: 1,
        ..Faults::default()
    };
    Bounds { name: "timers", timers: true, ..one_invitation(more, faults) }
}

/// An owner and somebody whom they invite, with every step of the machinery between them.
fn one_invitation(more: u8, faults: Faults) -> Bounds {
    Bounds {
        name: "one invitation",
        seats: 2,
        people: 2,
        members: &[],
        lifetime: 3,
        calls: 2 + more,
        at_once: 2,
        menu: vec![Call::Invite(ADA, vec![BOB], Role::Owner), Call::Resend(ADA, BOB), Call::Revoke(ADA, BOB)],
        declines: false,
        timers: false,
        machinery: true,
        faults,
    }
}
