//! A model checker over the real decisions: explores every interleaving of a few calls, functions and faults.
//!
//! A [`State`] is a table ([`ReferenceTable`]) with the work in progress: decided but uncommitted calls, unread stream
//! records, sent mails that are not yet marked as sent, schedules and fired timers. The steps run the real `decide`
//! functions on the current table and commit their plans to the reference model. `tests/scenarios/plans.rs` compares
//! that model with DynamoDB. [`Bounds`] limit how much happens. The search within the bounds is exhaustive, and nothing
//! is random.
//!
//! Time passes in steps of ten minutes, after which a queued mail is overdue. An invitation is valid for
//! [`Bounds::lifetime`] steps. Time passes only when no work is left, except for [`Faults::delays`] steps. So all work
//! is done eventually. Each call and fault uses up a part of the bounds, and each function uses up its input. Therefore
//! no path contains a cycle: every path ends, and its last state is checked.

mod bounds;
mod call;
mod check;
mod coverage;
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

/// The duration of one step of time.
const TICK: Duration = Duration::from_mins(10);

/// A user, by the index of the name; invitees and members alike.
pub type User = u8;

/// The founder.
pub const ADA: User = 0;
/// The second owner, in bounds that have one.
pub const BOB: User = 1;
/// A member or an invitee.
pub const CYD: User = 2;
/// An invitee.
pub const DAN: User = 3;

const NAMES: [&str; 4] = ["ada", "bob", "cyd", "dan"];

/// A state of the model: a table and the work in progress.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The stored records.
    pub table: ReferenceTable,
    /// The number of time steps since the beginning.
    pub tick: u8,
    /// The work in progress, in a fixed order.
    pub in_progress: Vec<Work>,
    /// The number of calls that users may still make.
    pub calls_left: u8,
    /// The faults that may still happen.
    pub faults_left: Faults,
    /// Unread stream records: the reader, and the user to whom the invitation belongs.
    ///
    /// Records of one invitation are interchangeable, because the reader reads the table.
    pub stream_records: BTreeSet<(Reader, User)>,
    /// The one-time schedules by invitee, each for the deadline of a link.
    pub schedules: BTreeMap<User, Link>,
    /// The mails that SES accepted, by invitee and generation.
    pub mailed: BTreeMap<(User, u32), Mailed>,
    /// The first rule that an operation broke.
    pub violation: Option<RuleViolation>,
}

/// The mails with one link.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mailed {
    /// The link.
    pub link: Link,
    /// How often SES accepted a mail with this link.
    pub times: u8,
}

/// A piece of work in progress, named by its next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    /// A call or a function has decided; the next step commits the plan.
    Commit(Call, Plan),
    /// `mail` has read an invitation with a queued mail; the next step sends it.
    SendMail(User, Link),
    /// SES accepted the mail; the next step marks it as sent.
    MarkSent(User, Link),
    /// SES rejected the mail for good; the next step marks it as failed.
    MarkFailed(User, Link),
    /// `schedule` has read the invitation; the next step creates, replaces or deletes the schedule.
    UpdateSchedule(User, Option<Link>),
    /// A timer has invoked `expire`; the next step decides.
    Expire(Link),
}

/// The model within one set of bounds.
#[derive(Debug, Clone)]
pub struct RosterModel {
    pub(crate) bounds: Bounds,
    organization: OrganizationId,
    callers: Vec<Caller>,
    invitations: Vec<InvitationId>,
    policy: Policy,
}

impl RosterModel {
    /// Creates the model within `bounds`.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let organization = OrganizationId::from_random([1; 16]);
        let mut callers: Vec<_> = NAMES.iter().filter_map(|name| caller(name)).collect();
        if let Some((invitee, user)) = bounds.second_address {
            callers[usize::from(invitee)].user = callers[usize::from(user)].user.clone();
        }
        let emails = callers.iter().filter_map(|caller| caller.email.as_ref());
        let invitations = emails.map(|email| InvitationId::of(&organization, email)).collect();
        let policy = Policy {
            seats: bounds.seats,
            lifetime: TICK * u32::from(bounds.lifetime),
            // The counters of limits would distinguish states that are equal otherwise.
            limits: None,
            ..Policy::default()
        };
        Self { bounds, organization, callers, invitations, policy }
    }

    fn caller(&self, user: User) -> &Caller {
        &self.callers[usize::from(user)]
    }

    fn user_id(&self, user: User) -> &UserId {
        &self.caller(user).user
    }

    fn sender(&self, user: User) -> Option<Sender> {
        self.caller(user).clone().verified().ok()
    }

    fn email(&self, user: User) -> Option<EmailAddress> {
        self.caller(user).email.clone()
    }

    fn invitation_id(&self, user: User) -> &InvitationId {
        &self.invitations[usize::from(user)]
    }

    fn invitee(&self, invitation: &InvitationId) -> Option<User> {
        let index = self.invitations.iter().position(|id| id == invitation)?;
        User::try_from(index).ok()
    }

    fn users(&self) -> impl Iterator<Item = User> + use<> {
        (0..self.bounds.users).take(NAMES.len())
    }

    fn invitation<'a>(&self, state: &'a State, user: User) -> Option<&'a Invitation> {
        state.table.invitation(&self.organization, self.invitation_id(user))
    }

    fn now(tick: u8) -> Timestamp {
        Timestamp::from_unix(1_795_521_600) + TICK * u32::from(tick)
    }

    /// The table at the beginning: the real decisions created the organization, and invited and joined its members.
    ///
    /// The stream records of these invitations are already processed.
    fn initial_table(&self) -> Option<ReferenceTable> {
        let now = Self::now(0);
        let mut table = ReferenceTable::default();
        let (id, name) = (self.organization.clone(), OrganizationName::parse("Acme").ok()?);
        table.run(&Create { founder: self.sender(ADA)?, id, name }, &self.policy, now).ok()?;
        for &(user, role) in self.bounds.members {
            let invitees = self.email(user).into_iter().collect();
            let (sender, organization) = (self.sender(ADA)?, self.organization.clone());
            let invite = Invite { sender, organization, invitees, role, language: None };
            table.run(&invite, &self.policy, now).ok()?;
            let link = table.invitation(&self.organization, self.invitation_id(user))?.link();
            table.run(&Accept { caller: self.caller(user).clone(), link }, &self.policy, now).ok()?;
        }
        Some(table)
    }

    /// Commits `plan` for `call` and adds the stream records of the changes. Returns false if a guard fails.
    fn commit(&self, state: &mut State, call: &Call, plan: &Plan) -> bool {
        let before = state.table.clone();
        if state.table.commit(plan).is_err() {
            return false;
        }
        let violation = before.broken_rule(&self.organization, &state.table, &call.operation(self));
        state.violation = state.violation.or(violation);
        for change in plan.changes() {
            let ItemKey::Invitation(_, id) = &change.item else { continue };
            let (Some(user), Some(new)) = (self.invitee(id), state.table.invitation(&self.organization, id))
            else {
                continue;
            };
            let old = before.invitation(&self.organization, id);
            let deadline = |invitation: &Invitation| expire::timer(invitation).map(|timer| timer.expires_at);
            if delivery::may_have_unsent_mail(new.status(), new.mail.as_ref().map(|mail| mail.delivery)) {
                state.stream_records.insert((Reader::Mail, user));
            }
            if old.and_then(deadline) != deadline(new) {
                state.stream_records.insert((Reader::Schedule, user));
            }
        }
        true
    }

    /// Whether no work is left before time passes: no work in progress, no unread stream record, no due timer, and no
    /// invitation that `reconcile` would change.
    ///
    /// A timer that fired too early does not count: it waits until its deadline.
    fn is_idle(&self, state: &State) -> bool {
        let is_due = |link: &Link| Self::now(state.tick) >= link.expires_at;
        state.in_progress.iter().all(|work| matches!(work, Work::Expire(link) if self.is_early(state, link)))
            && state.stream_records.is_empty()
            && !state.schedules.values().any(is_due)
            && !self.users().any(|user| self.reconcile_plan(state, user).is_some())
    }

    /// Whether `expire` refuses the timer of this link, because it fired before the deadline.
    fn is_early(&self, state: &State, link: &Link) -> bool {
        Call::Expire(link.clone()).decide(self, &state.table, state.tick, None).is_err()
    }

    fn reconcile_plan(&self, state: &State, user: User) -> Option<Plan> {
        let call = Call::Reconcile(user);
        call.decide(self, &state.table, state.tick, None).ok().filter(Plan::writes)
    }

    fn has_pending(&self, state: &State) -> bool {
        state.table.invitations(&self.organization).any(|it| it.status() == Status::Pending)
    }

    /// The tick by which every call within the bounds is made and every invitation has expired.
    fn horizon(&self) -> u8 {
        (self.bounds.calls + 1) * (self.bounds.lifetime + 2)
    }

    /// Whether the path ends in this state: no step can change it, or the horizon is reached.
    fn is_final(&self, state: &State) -> bool {
        if state.tick >= self.horizon() {
            return true;
        }
        if self.is_idle(state) && self.has_pending(state) {
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

impl Model for RosterModel {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let state = |table| State {
            table,
            tick: 0,
            in_progress: Vec::new(),
            calls_left: self.bounds.calls,
            faults_left: self.bounds.faults,
            stream_records: BTreeSet::new(),
            schedules: BTreeMap::new(),
            mailed: BTreeMap::new(),
            violation: None,
        };
        self.initial_table().map(state).into_iter().collect()
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
                state.violation != Some(RuleViolation::NotPermitted)
            }),
            Property::always("rule: sender's authority", |_, state: &State| {
                state.violation != Some(RuleViolation::SenderWithoutAuthority)
            }),
            Property::always(
                "rule: expiry, members join by a pending invitation only",
                |_, state: &State| state.violation != Some(RuleViolation::NotInvited),
            ),
            Property::always("rule: links", |_, state: &State| {
                state.violation != Some(RuleViolation::NotNewestLink)
            }),
            Property::always(
                "rule: expiry, each change is on the right side of the deadline",
                |_, state: &State| state.violation != Some(RuleViolation::WrongSideOfDeadline),
            ),
            Property::always("rule: each operation changes only what it may change", |_, state: &State| {
                state.violation != Some(RuleViolation::UnexpectedChange)
            }),
            Property::always("rule: mail", |_, state: &State| {
                state.violation != Some(RuleViolation::ExpiredBeforeMail)
            }),
            Property::always(
                "each mail is sent once, and at most once more per fault",
                |model: &Self, state: &State| {
                    let repeats = state.faults_left.repeats_since(model.bounds.faults);
                    state.mailed.values().all(|mailed| mailed.times <= 1 + repeats)
                },
            ),
            Property::always(
                "at the end no work is left, and no pending invitation holds a seat",
                |model: &Self, state: &State| {
                    !model.is_final(state) || (!model.has_pending(state) && model.is_idle(state))
                },
            ),
        ];
        properties.extend(coverage::properties(&self.bounds));
        properties
    }
}

/// The roles that calls offer or set.
pub(crate) const ROLES: [Role; 2] = Role::ALL;

#[cfg(test)]
mod tests;
