//! Every way in which a few calls, functions and faults can interleave, one by one.
//!
//! The states are tables ([`ReferenceTable`]) with what is under way around them: calls that have decided and
//! not yet committed, stream records that nobody has looked after yet, mails between SES and their mark,
//! schedules, timers. The steps run the real `decide` functions on the facts as they are at that moment, and commit
//! their plans by the reference model, which a property test holds equal to DynamoDB. [`Bounds`] say what happens at most;
//! within them nothing is left out, and nothing is left to chance.
//!
//! Time passes in steps of ten minutes, the shortest that anything in the table waits for; an invitation lives for
//! [`Bounds::lifetime`] of them. It passes only when nothing else is left to be done, but for finitely many
//! [`Faults::delays`]: that is what "sooner or later" means here. Since every call and fault uses up a part of the
//! bounds, and every step of the machinery uses up what it works on, no path goes in circles: each of them ends, and
//! its end has to be in order.

mod bounds;
mod call;
mod check;
mod sometimes;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::{
    Accept, Caller, Create, EmailAddress, Invitation, InvitationId, Invite, ItemKey, Link, OrganizationId,
    OrganizationName, Plan, Policy, Role, Sender, Status, Timestamp, UserId, delivery, expire,
};
use reference::{ReferenceTable, RuleViolation};
use stateright::{Model, Property};

pub use bounds::{Bounds, Faults, all};
pub use call::Call;
pub use check::{Report, check};
pub use step::{Reader, Step};

/// One step of time.
const TICK: Duration = Duration::from_mins(10);

/// Somebody, by their place in a list of names; invitees and members alike.
pub type Person = u8;

/// The founder.
pub const ADA: Person = 0;
/// Another owner, where there is one.
pub const BOB: Person = 1;
/// A member, or invited.
pub const CYD: Person = 2;
/// Invited.
pub const DAN: Person = 3;

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];

/// A table, and what is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// What is stored.
    pub table: ReferenceTable,
    /// Steps of time since the beginning.
    pub tick: u8,
    /// What has been begun, in a fixed order.
    pub under_way: Vec<Work>,
    /// Calls that people may still make.
    pub calls: u8,
    /// What may still go wrong.
    pub faults: Faults,
    /// Whose records the stream still has to bring to which reader. Records of one invitation need not be told
    /// apart: whoever gets one reads the table.
    pub records: BTreeSet<(Reader, Person)>,
    /// The one-time schedules, each for the deadline of a link.
    pub schedules: BTreeMap<Person, Link>,
    /// How often SES took the mail with this link.
    pub mailed: BTreeMap<(Person, u32), Mailed>,
    /// What must never happen, once it has.
    pub wrong: Option<RuleViolation>,
}

/// Mails with one link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailed {
    /// The link.
    pub link: Link,
    /// How many.
    pub times: u8,
}

/// What has been begun and is not done.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    /// A call or a function that has decided and has to commit.
    Decided(Call, Plan),
    /// `mail` has read that this is owed, and has to send it.
    OwedMail(Person, Link),
    /// SES took it; `mail` has to mark that.
    Taken(Person, Link),
    /// SES will never take it; `mail` has to mark that.
    Refused(Person, Link),
    /// `schedule` has read the record, and has to make the schedule what the record needs.
    Arranging(Person, Option<Link>),
    /// A timer has invoked `expire`.
    Fired(Link),
}

/// The model of one set of bounds.
#[derive(Debug, Clone)]
pub struct Roster {
    pub(crate) bounds: Bounds,
    organization: OrganizationId,
    callers: Vec<Caller>,
    invitations: Vec<InvitationId>,
    policy: Policy,
}

impl Roster {
    /// The model within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let organization = OrganizationId::from_random([1; 16]);
        let callers: Vec<_> = NAMES.iter().filter_map(|name| caller(name)).collect();
        let emails = callers.iter().filter_map(|caller| caller.email.as_ref());
        let invitations = emails.map(|email| InvitationId::of(&organization, email)).collect();
        let policy =
            // What is counted would tell states apart that are one.
            Policy {
                seats: bounds.seats,
                lifetime: TICK * u32::from(bounds.lifetime),
                limits: None,
                ..Policy::default()
            };
        Self { bounds, organization, callers, invitations, policy }
    }

    fn caller(&self, person: Person) -> &Caller {
        &self.callers[usize::from(person)]
    }

    fn user(&self, person: Person) -> &UserId {
        &self.caller(person).user
    }

    fn sender(&self, person: Person) -> Option<Sender> {
        self.caller(person).clone().verified().ok()
    }

    fn email(&self, person: Person) -> Option<EmailAddress> {
        self.caller(person).email.clone()
    }

    fn id(&self, person: Person) -> &InvitationId {
        &self.invitations[usize::from(person)]
    }

    fn person(&self, invitation: &InvitationId) -> Option<Person> {
        let place = self.invitations.iter().position(|id| id == invitation)?;
        Person::try_from(place).ok()
    }

    fn people(&self) -> impl Iterator<Item = Person> + use<> {
        (0..self.bounds.people).take(NAMES.len())
    }

    fn record<'a>(&self, state: &'a State, person: Person) -> Option<&'a Invitation> {
        state.table.invitation(&self.organization, self.id(person))
    }

    fn now(tick: u8) -> Timestamp {
        Timestamp::from_unix(1_795_521_600) + TICK * u32::from(tick)
    }

    /// The table in the beginning: who is a member already has been invited and has accepted by the real
    /// decisions. Nothing of that is left to be looked after.
    fn furnished(&self) -> Option<ReferenceTable> {
        let now = Self::now(0);
        let mut table = ReferenceTable::default();
        let (id, name) = (self.organization.clone(), OrganizationName::parse("Acme").ok()?);
        table.run(&Create { founder: self.sender(ADA)?, id, name }, &self.policy, now).ok()?;
        for &(person, role) in self.bounds.members {
            let invitees = self.email(person).into_iter().collect();
            let (sender, organization) = (self.sender(ADA)?, self.organization.clone());
            let invite = Invite { sender, organization, invitees, role, language: None };
            table.run(&invite, &self.policy, now).ok()?;
            let link = table.invitation(&self.organization, self.id(person))?.link();
            table.run(&Accept { caller: self.caller(person).clone(), link }, &self.policy, now).ok()?;
        }
        Some(table)
    }

    /// Commits `plan` for `call`: the table changes, and the stream has something to tell; or a guard fails.
    fn commit(&self, state: &mut State, call: &Call, plan: &Plan) -> bool {
        let before = state.table.clone();
        if state.table.commit(plan).is_err() {
            return false;
        }
        let violation = before.violation_by(&self.organization, &state.table, &call.operation(self));
        state.wrong = state.wrong.or(violation);
        for change in plan.changes() {
            let ItemKey::Invitation(_, id) = &change.item else { continue };
            let (Some(person), Some(new)) = (self.person(id), state.table.invitation(&self.organization, id))
            else {
                continue;
            };
            let old = before.invitation(&self.organization, id);
            let deadline = |record: &Invitation| expire::timer(record).map(|timer| timer.expires_at);
            if delivery::may_owe(new.status(), new.mail.as_ref().map(|mail| mail.delivery)) {
                state.records.insert((Reader::Mail, person));
            }
            if old.and_then(deadline) != deadline(new) {
                state.records.insert((Reader::Schedule, person));
            }
        }
        true
    }

    /// Whether anything is to be done before time passes: something under way, a record on the stream, a timer
    /// that is due, a record that reconcile would change.
    fn is_quiet(&self, state: &State) -> bool {
        let due = |link: &Link| Self::now(state.tick) >= link.expires_at;
        // A timer that fired too early waits for its time.
        state.under_way.iter().all(|work| matches!(work, Work::Fired(link) if self.is_early(state, link)))
            && state.records.is_empty()
            && !state.schedules.values().any(due)
            && !self.people().any(|person| self.reconciling(state, person).is_some())
    }

    /// Whether the timer of this link comes too early.
    fn is_early(&self, state: &State, link: &Link) -> bool {
        Call::Expire(link.clone()).decide(self, &state.table, state.tick, None).is_err()
    }

    fn reconciling(&self, state: &State, person: Person) -> Option<Plan> {
        let call = Call::Reconcile(person);
        call.decide(self, &state.table, state.tick, None).ok().filter(Plan::writes)
    }

    fn has_pending(&self, state: &State) -> bool {
        state.table.invitations(&self.organization).any(|it| it.status() == Status::Pending)
    }

    /// The moment by which everything within the bounds is long over.
    fn horizon(&self) -> u8 {
        (self.bounds.calls + 1) * (self.bounds.lifetime + 2)
    }

    /// Nothing can happen any more, or nothing but that time passes, for ever.
    fn is_over(&self, state: &State) -> bool {
        if state.tick >= self.horizon() {
            return true;
        }
        if self.is_quiet(state) && self.has_pending(state) {
            return false;
        }
        let mut steps = Vec::new();
        self.actions(state, &mut steps);
        steps.into_iter().all(|step| self.next_state(state, step).is_none())
    }
}

fn caller(name: &str) -> Option<Caller> {
    let email = EmailAddress::parse(&format!("{name}@x.example")).ok()?;
    Some(Caller { user: UserId::parse(name).ok()?, email: Some(email) })
}

impl Model for Roster {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let state = |table| State {
            table,
            tick: 0,
            under_way: Vec::new(),
            calls: self.bounds.calls,
            faults: self.bounds.faults,
            records: BTreeSet::new(),
            schedules: BTreeMap::new(),
            mailed: BTreeMap::new(),
            wrong: None,
        };
        self.furnished().map(state).into_iter().collect()
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        self.steps(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        self.take(state, &step)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("rules: seats, one record per address, last owner", |_, state: &State| {
                state.table.violations().is_empty()
            }),
            Property::always("rule: permissions", |_, state: &State| {
                state.wrong != Some(RuleViolation::BeyondTheirRole)
            }),
            Property::always("rule: sender's authority", |_, state: &State| {
                state.wrong != Some(RuleViolation::WithoutAuthority)
            }),
            Property::always("rule: expiry", |_, state: &State| {
                state.wrong != Some(RuleViolation::NotInvited)
            }),
            Property::always("rule: links", |_, state: &State| {
                state.wrong != Some(RuleViolation::ByAnOldLink)
            }),
            Property::always("rule: deadlines", |_, state: &State| {
                state.wrong != Some(RuleViolation::OutOfTime)
            }),
            Property::always("rule: each operation changes its own", |_, state: &State| {
                state.wrong != Some(RuleViolation::NotItsOwn)
            }),
            Property::always("rule: mail", |_, state: &State| {
                state.wrong != Some(RuleViolation::NeverMailed)
            }),
            Property::always(
                "a mail goes out once, and once more for each fault at most",
                |model: &Self, state: &State| {
                    let repeats = state.faults.repeats_of(model.bounds.faults);
                    state.mailed.values().all(|mailed| mailed.times <= 1 + repeats)
                },
            ),
            Property::always(
                "in the end nothing is owed, and no seat is held in vain",
                |model: &Self, state: &State| {
                    !model.is_over(state) || (!model.has_pending(state) && model.is_quiet(state))
                },
            ),
        ];
        properties.extend(sometimes::within(&self.bounds));
        properties
    }
}

/// The roles that people are given here.
pub(crate) const ROLES: [Role; 2] = Role::ALL;

#[cfg(test)]
mod tests;
