//! The rules over random lives: people act in any order, each on what they saw a while ago, and after every
//! commit the whole table is looked at.

use std::collections::HashSet;
use std::slice;
use std::time::Duration;

use proptest::prelude::*;

use domain::delivery::{DeliveryUpdate, UpdateDelivery};
use domain::idempotency::WithIdempotencyKey;
use domain::idempotency::{
    Fingerprint, IdempotencyKey, Idempotent, KeyReused, Scope, StoredResponse, StoredResponseId,
};
use domain::{
    Accept, Caller, CounterUpdate, Create, Day, Decline, Delivery, Expire, Field, Invite, Limits, Link,
    MailId, OrganizationName, Permission, Recipient, Reconcile, Remove, Resend, Revision, Revoke, RoleEdit,
    WindowCounter,
};

use super::*;
use crate::testing::{
    SECOND, acme, address, caller, id_of, invitation, member, noon, organization, sender, user,
};

const PEOPLE: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];
/// Fewer than people, so that the last seat is fought for.
const SEATS: u32 = 4;

/// Few enough to be met within a life.
const LIMITS: Limits = Limits {
    invitees_per_day: 12,
    mails_per_hour: 6,
    pause: Duration::from_secs(20),
    mails_per_invitation: 6,
    mails_per_recipient: 10,
};

/// A person, by their place in [`PEOPLE`].
type Person = usize;

/// Somebody: a person, or beyond [`PEOPLE`] whoever is then the n-th member.
type Somebody = usize;

#[derive(Debug, Clone)]
enum Act {
    Invite(Somebody, Vec<Person>, Role),
    Resend(Somebody, Person),
    Revoke(Somebody, Person),
    /// With the link of a mail sent some time ago (0: the newest): by the invitee, or with somebody's
    /// address in somebody's account.
    Accept(usize, Option<(Person, Person)>),
    /// By the invitee.
    Decline(usize),
    RoleEdit(Somebody, Somebody, Role),
    Remove(Somebody, Somebody),
    /// By the timer of a mail sent some time ago.
    Expire(usize),
    Mark(usize, DeliveryUpdate),
    /// Of the record of a mail sent some time ago.
    Reconcile(usize),
}

/// One act, decided on the table as it was `lag` commits ago, after `pause`.
#[derive(Debug, Clone)]
struct Step {
    pause: Duration,
    lag: usize,
    /// The caller's idempotency key, where the act takes one.
    key: Option<u8>,
    act: Act,
}

fn acts() -> impl Strategy<Value = Act> {
    let person = || 0..PEOPLE.len();
    let somebody = || 0..PEOPLE.len() + 8;
    let link = || 0..8_usize;
    let role = || prop_oneof![Just(Role::Owner), Just(Role::Member)];
    let several = proptest::collection::vec(person(), 1..4);
    let mark = prop_oneof![
        Just(DeliveryUpdate::Sent),
        Just(DeliveryUpdate::Failed("refused".to_owned())),
        Just(DeliveryUpdate::Rejected("malicious".to_owned())),
        Just(DeliveryUpdate::Delivered),
        Just(DeliveryUpdate::Bounced("unknown".to_owned())),
        Just(DeliveryUpdate::Returned("away".to_owned())),
        Just(DeliveryUpdate::Complained),
    ];
    prop_oneof![
        4 => (somebody(), several, role()).prop_map(|(by, whom, role)| Act::Invite(by, whom, role)),
        2 => (somebody(), person()).prop_map(|(by, whom)| Act::Resend(by, whom)),
        1 => (somebody(), person()).prop_map(|(by, whom)| Act::Revoke(by, whom)),
        6 => (link(), proptest::option::weighted(0.3, (person(), person())))
            .prop_map(|(link, by)| Act::Accept(link, by)),
        1 => link().prop_map(Act::Decline),
        4 => (somebody(), somebody(), role()).prop_map(|(by, whom, role)| Act::RoleEdit(by, whom, role)),
        2 => (somebody(), somebody()).prop_map(|(by, whom)| Act::Remove(by, whom)),
        2 => link().prop_map(Act::Expire),
        1 => (link(), mark).prop_map(|(link, mark)| Act::Mark(link, mark)),
        1 => link().prop_map(Act::Reconcile),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    // Mostly seconds, now and then longer than an invitation lives.
    let pause = prop_oneof![8 => 0_u64..60, 1 => 86_000_u64..180_000].prop_map(Duration::from_secs);
    let lag = prop_oneof![1 => Just(0), 1 => 1..4_usize];
    let key = proptest::option::weighted(0.4, 0..2_u8);
    (pause, lag, key, acts()).prop_map(|(pause, lag, key, act)| Step { pause, lag, key, act })
}

/// A table with its past, and the links of all mails ever owed.
struct World {
    /// The newest last.
    past: Vec<ReferenceTable>,
    links: Vec<Link>,
    policy: Policy,
    now: Timestamp,
}

impl World {
    /// Acme, founded by ada.
    fn new(limits: Option<Limits>) -> Self {
        let policy = Policy { seats: SEATS, limits, ..Policy::default() };
        let name = OrganizationName::parse("Acme").unwrap();
        let create = Create { founder: sender("ada"), id: acme(), name };
        let mut table = ReferenceTable::default();
        table.run(&create, &policy, noon()).unwrap();
        Self { past: vec![table], links: Vec::new(), policy, now: noon() }
    }

    fn present(&self) -> &ReferenceTable {
        self.past.last().unwrap()
    }

    /// The act with everybody in it known, as it is when it is begun.
    fn known(&self, act: &Act) -> Act {
        let members: Vec<_> = self.present().members(&acme()).map(|it| it.user.as_str()).collect();
        let person = |somebody: &Somebody| match somebody.checked_sub(PEOPLE.len()) {
            Some(nth) => PEOPLE.iter().position(|it| *it == members[nth % members.len()]).unwrap_or(0),
            None => *somebody,
        };
        match act {
            Act::Invite(by, whom, role) => Act::Invite(person(by), whom.clone(), *role),
            Act::Resend(by, whom) => Act::Resend(person(by), *whom),
            Act::Revoke(by, whom) => Act::Revoke(person(by), *whom),
            Act::RoleEdit(by, whom, role) => Act::RoleEdit(person(by), person(whom), *role),
            Act::Remove(by, whom) => Act::Remove(person(by), person(whom)),
            other => other.clone(),
        }
    }

    /// The plan of `act`, called with `key`, on what was seen `lag` commits ago, unless the rules refuse it.
    fn plan(&self, act: &Act, key: Option<u8>, lag: usize) -> Option<Plan> {
        let seen = &self.past[self.past.len().saturating_sub(lag + 1)];
        let name = |person: &Person| PEOPLE[*person];
        let by = |person: &Person| user(name(person));
        let id = |person: &Person| Some(id_of(name(person)));
        let organization = acme();
        match act {
            Act::Invite(person, whom, role) => {
                let invitees = whom.iter().map(|it| address(name(it))).collect();
                let sender = sender(name(person));
                self.once(seen, key, Invite { sender, organization, invitees, role: *role, language: None })
            }
            Act::Resend(person, whom) => {
                let sender = sender(name(person));
                self.once(seen, key, Resend { sender, organization, invitation: id(whom) })
            }
            Act::Revoke(person, whom) => {
                self.decide(seen, &Revoke { caller: by(person), organization, invitation: id(whom) })
            }
            Act::Accept(age, who) => {
                let link = self.link(*age)?.clone();
                let caller = match who {
                    Some((person, address_of)) => {
                        Caller { user: by(person), email: Some(address(name(address_of))) }
                    }
                    None => person(invitee(seen.invitation(&acme(), &link.invitation)?)?),
                };
                let accept = Accept { caller, link };
                // Half of the accepts read the sender whom the invitation names.
                let before = reads_sender(*age).then(|| seen.snapshot(accept.reads(None)));
                let decided = seen.decide(&accept, before.as_ref(), &self.policy, self.now);
                decided.ok().map(|(plan, _)| plan)
            }
            Act::Decline(age) => {
                let link = self.link(*age)?.clone();
                let caller = person(invitee(seen.invitation(&acme(), &link.invitation)?)?);
                self.decide(seen, &Decline { caller, link })
            }
            Act::RoleEdit(person, whom, role) => {
                let (caller, member) = (by(person), Some(by(whom)));
                self.decide(seen, &RoleEdit { caller, organization, member, role: *role })
            }
            Act::Remove(person, whom) => {
                self.decide(seen, &Remove { caller: by(person), organization, member: Some(by(whom)) })
            }
            Act::Expire(age) => self.decide(seen, &Expire { timer: self.link(*age)?.clone() }),
            Act::Mark(age, mark) => {
                self.decide(seen, &UpdateDelivery { link: self.link(*age)?.clone(), mark: mark.clone() })
            }
            Act::Reconcile(age) => {
                let invitation = self.link(*age)?.invitation.clone();
                self.decide(seen, &Reconcile { organization, invitation })
            }
        }
    }

    fn decide<A: Action>(&self, seen: &ReferenceTable, action: &A) -> Option<Plan> {
        let decided = seen.decide(action, None, &self.policy, self.now);
        assert!(!matches!(decided, Err(RunError::Plan(_))), "the changes are one transaction");
        decided.ok().map(|(plan, _)| plan)
    }

    /// The plan of what `action` decides, or of what `key` says of it.
    fn once<A>(&self, seen: &ReferenceTable, key: Option<u8>, action: A) -> Option<Plan>
    where
        A: Idempotent<Refusal = domain::Refusal, Answer: std::fmt::Debug>,
    {
        struct Refused;
        impl From<KeyReused> for Refused {
            fn from(_: KeyReused) -> Self {
                Self
            }
        }
        impl From<domain::Refusal> for Refused {
            fn from(_: domain::Refusal) -> Self {
                Self
            }
        }
        let key = key.map(|key| IdempotencyKey::parse(&key.to_string()).unwrap());
        let render = |answer: A::Answer, _: Timestamp| Ok::<_, Refused>(format!("{answer:?}"));
        self.decide(seen, &WithIdempotencyKey::new(action, key.as_ref(), render))
    }

    /// The link of a mail sent some time ago (0: the newest).
    fn link(&self, age: usize) -> Option<&Link> {
        self.links.iter().rev().nth(age)
    }

    /// Lets `step` happen; true if it changed the table.
    fn happens(&mut self, step: &Step) -> Result<bool, TestCaseError> {
        self.now = self.now + step.pause;
        let act = self.known(&step.act);
        let operation = self.operation(&act);
        let Some(plan) = self.plan(&act, step.key, step.lag) else { return Ok(false) };
        let items: HashSet<_> = plan.changes().iter().map(|change| &change.item).collect();
        prop_assert_eq!(items.len(), plan.changes().len(), "one change per item: {:?}", plan);
        let before = self.present().clone();
        let mut after = before.clone();
        if after.commit(&plan).is_err() {
            prop_assert_eq!(after, before, "all or nothing");
            let on_trust = matches!(act, Act::Accept(link, _) if !reads_sender(link));
            prop_assert!(step.lag > 0 || on_trust, "the guard of a fresh decision failed: {:?}", plan);
            return Ok(false);
        }
        prop_assert_eq!(after.violations(), [], "after {:?}", plan);
        for record in plan.puts() {
            match record {
                Record::Invitation(next) => {
                    let previous = before.invitation(&acme(), &next.id);
                    prop_assert!(
                        previous.is_none_or(|it| it.generation <= next.generation),
                        "links only die"
                    );
                    self.is_not_mailed_too_soon(previous, next)?;
                    self.links.push(next.link());
                }
                Record::Response(response) => {
                    let over = match before.record(&ItemKey::Response(response.id.clone())) {
                        Some(Record::Response(stored)) => stored.until <= self.now,
                        _ => true,
                    };
                    prop_assert!(over, "a second effect of one key");
                }
                _ => {}
            }
        }
        self.is_within_limits(&after)?;
        let changed = after != before;
        if changed {
            let violation = before.violation_by(&acme(), &after, &operation);
            // Here nobody has to send any mail.
            prop_assert!(
                matches!(violation, None | Some(RuleViolation::NeverMailed)),
                "{violation:?} by {act:?}"
            );
            self.past.push(after);
        }
        Ok(changed)
    }

    fn is_not_mailed_too_soon(
        &self,
        before: Option<&Invitation>,
        after: &Invitation,
    ) -> Result<(), TestCaseError> {
        let Some((limits, before)) = self.policy.limits.zip(before) else { return Ok(()) };
        let Some(mail) = before.mail.as_ref().filter(|_| after.generation > before.generation) else {
            return Ok(());
        };
        let asked_at = before.expires_at.unix() - i64::try_from(self.policy.lifetime.as_secs()).unwrap();
        let mailed_at = mail.sent_at.unwrap_or(Timestamp::from_unix(asked_at));
        let failed = mail.sent_at.is_none() && mail.delivery == Delivery::Failed;
        prop_assert!(failed || self.now >= mailed_at + limits.pause, "mailed again too soon");
        Ok(())
    }

    fn is_within_limits(&self, table: &ReferenceTable) -> Result<(), TestCaseError> {
        let Some(limits) = self.policy.limits else { return Ok(()) };
        let within = |counter: Option<WindowCounter>, limit| counter.is_none_or(|it| it.count <= limit);
        let organization = table.organization(&acme()).unwrap();
        prop_assert!(within(organization.invited, limits.invitees_per_day));
        prop_assert!(table.members(&acme()).all(|it| within(it.mailed, limits.mails_per_hour)));
        let mails = table.invitations(&acme()).map(|it| it.generation.0).max();
        prop_assert!(mails.unwrap_or(0) <= limits.mails_per_invitation);
        Ok(())
    }

    /// Three days on, reconcile alone has closed whatever is still pending: every seat that nobody took is
    /// back, though no timer ever fired.
    fn settles(&mut self) -> Result<(), TestCaseError> {
        self.now = self.now + Duration::from_hours(72);
        let mut after = self.present().clone();
        let invitations: Vec<_> = after.invitations(&acme()).cloned().collect();
        for invitation in invitations {
            let reconcile = Reconcile { organization: acme(), invitation: invitation.id };
            prop_assert!(after.run(&reconcile, &self.policy, self.now).is_ok());
        }
        prop_assert_eq!(after.violations(), []);
        let pending = after.invitations(&acme()).filter(|it| it.status() == Status::Pending).count();
        prop_assert_eq!(pending, 0);
        Ok(())
    }

    /// What `act` is, as far as the rules ask.
    fn operation(&self, act: &Act) -> Operation {
        let by = |by: &Person| user(PEOPLE[*by]);
        match act {
            Act::Invite(person, _, role) => Operation::Invite { by: by(person), role: *role },
            Act::Resend(person, whom) => {
                Operation::Resend { by: by(person), invitation: id_of(PEOPLE[*whom]) }
            }
            Act::Revoke(person, whom) => {
                Operation::Revoke { by: by(person), invitation: id_of(PEOPLE[*whom]) }
            }
            Act::RoleEdit(person, whom, _) => {
                Operation::RoleEdit { by: by(person), member: user(PEOPLE[*whom]) }
            }
            Act::Remove(person, whom) => Operation::Remove { by: by(person), member: user(PEOPLE[*whom]) },
            Act::Accept(age, _) => self.link(*age).cloned().map_or(Operation::Other, Operation::Accept),
            Act::Decline(age) => self.link(*age).map_or(Operation::Other, |link| {
                let invited = self.present().invitation(&acme(), &link.invitation);
                let email = invited.expect("who was mailed is invited").email.clone();
                Operation::Decline { email, link: link.clone() }
            }),
            Act::Expire(age) => self.link(*age).cloned().map_or(Operation::Other, Operation::Expire),
            Act::Reconcile(_) => Operation::Reconcile,
            Act::Mark(..) => Operation::Mail,
        }
    }
}

/// Half of the accepts take the sender on trust.
fn reads_sender(link: usize) -> bool {
    link.is_multiple_of(2)
}

/// Whose mail the link stood in.
fn invitee(invitation: &Invitation) -> Option<Person> {
    PEOPLE.iter().position(|name| address(name) == invitation.email)
}

fn person(person: Person) -> Caller {
    caller(PEOPLE[person])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_rules_hold_after_every_commit(
        steps in proptest::collection::vec(steps(), 1..80),
        limited in prop::bool::ANY,
    ) {
        let mut world = World::new(limited.then_some(LIMITS));
        for step in &steps {
            world.happens(step)?;
        }
        world.settles()?;
    }
}

#[test]
fn random_lives_reach_every_state() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut reached = HashSet::new();
    let (mut full, mut two_owners) = (false, false);
    for _ in 0..64 {
        let lives = proptest::collection::vec(steps(), 80);
        let steps = lives.new_tree(&mut runner).unwrap().current();
        let mut world = World::new(None);
        for step in &steps {
            world.happens(step).unwrap();
            let table = world.present();
            reached.extend(table.invitations(&acme()).map(Invitation::status));
            let organization = table.organization(&acme()).unwrap();
            full |= organization.seats.free == 0;
            two_owners |= organization.owners >= 2;
        }
    }
    assert_eq!(reached, HashSet::from(Status::ALL));
    assert!(full && two_owners);
}

/// The table that holds these records.
fn table(
    organizations: impl IntoIterator<Item = Organization>,
    members: impl IntoIterator<Item = Member>,
    invitations: impl IntoIterator<Item = Invitation>,
) -> ReferenceTable {
    let members = members.into_iter().map(Record::Member);
    let invitations = invitations.into_iter().map(Record::Invitation);
    organizations.into_iter().map(Record::Organization).chain(members).chain(invitations).collect()
}

#[test]
fn each_kind_of_violation_is_seen() {
    let ada = || member("ada", Role::Owner);
    let adas = || invitation("ada", Status::Accepted);
    let sound = table(
        [organization(2, 1)],
        [ada()],
        [adas(), invitation("ivy", Status::Pending), invitation("bob", Status::Revoked)],
    );
    assert_eq!(sound.violations(), []);
    assert!(sound.organizations().eq([&organization(2, 1)]));

    let seats = |free, held| Violation::Seats { organization: acme(), total: 4, free, held };
    assert_eq!(table([organization(4, 1)], [ada()], [adas()]).violations(), [seats(4, 1)]);
    assert_eq!(table([organization(2, 1)], [ada()], [adas()]).violations(), [seats(2, 1)]);
    let owners = Violation::Owners { organization: acme(), counted: 2, present: 1 };
    assert_eq!(table([organization(3, 2)], [ada()], [adas()]).violations(), [owners]);
    assert_eq!(table([organization(4, 0)], [], []).violations(), [Violation::NoOwner(acme())]);

    let uninvited = Violation::Uninvited(acme(), user("ada"));
    assert_eq!(table([organization(3, 1)], [ada()], []).violations(), slice::from_ref(&uninvited));
    let removed = invitation("ada", Status::Removed);
    assert_eq!(table([organization(3, 1)], [ada()], [removed]).violations(), [uninvited]);
    let unused = Violation::Unused(acme(), invitation("ivy", Status::Pending).id);
    let ivys = invitation("ivy", Status::Accepted);
    assert_eq!(table([organization(3, 1)], [ada()], [adas(), ivys]).violations(), [unused]);

    let elsewhere = Invitation { email: address("eve"), ..invitation("ivy", Status::Revoked) };
    let misplaced = Violation::Misplaced(acme(), elsewhere.id.clone());
    assert_eq!(table([organization(3, 1)], [ada()], [adas(), elsewhere]).violations(), [misplaced]);
    let strays = table([], [ada()], [adas()]).violations();
    assert!(matches!(
        strays[..],
        [Violation::Stray(ItemKey::Member(..)), Violation::Stray(ItemKey::Invitation(..))]
    ));
}

#[test]
fn one_failing_guard_stops_the_whole_plan() {
    let mut world = World::new(None);
    let mut invites = |whom: &[Person], lag| {
        let act = Act::Invite(0, whom.to_vec(), Role::Member);
        world.happens(&Step { pause: Duration::ZERO, lag, key: None, act }).unwrap()
    };
    assert!(invites(&[1, 2, 3], 0), "all seats are taken");
    assert!(!invites(&[4], 0), "the rules refuse");
    assert!(!invites(&[4], 1), "the guard fails, and `happens` finds nothing changed");
}

/// Acme with four seats, ada its owner, dan a member, ivy invited; one seat is free.
fn acme_of_three() -> ReferenceTable {
    let members = [member("ada", Role::Owner), member("dan", Role::Member)];
    let accepted = ["ada", "dan"].map(|name| invitation(name, Status::Accepted));
    let table = table([organization(1, 1)], members, accepted.into_iter().chain([ivys()]));
    assert_eq!(table.violations(), []);
    table
}

fn ivys() -> Invitation {
    invitation("ivy", Status::Pending)
}

fn only(change: Change) -> Plan {
    Plan::new([change]).unwrap()
}

#[test]
fn each_guard_has_two_sides() {
    let may = |name, permission| Change::may(&acme(), &user(name), permission);
    let set = |name, from, to| Change::set_role(&member(name, from), to);
    let leave = |name, role, of| Change::leave(&Member { invitation: id_of(of), ..member(name, role) });
    let write = |name, revision| {
        Change::write(Invitation { revision: Revision(revision), ..invitation(name, Status::Pending) })
    };
    let elsewhere = OrganizationId::from_random([9; 16]);
    let create = |id: &OrganizationId| Change::create(Organization { id: id.clone(), ..organization(1, 1) });
    let close = |name| Change::close_as_removed(&member(name, Role::Member), noon(), noon());
    let pending = |name, expires_at| {
        Change::still_pending(&Invitation { expires_at, ..invitation(name, Status::Pending) })
    };
    let accepted = |name| Change::still_accepted(&invitation(name, Status::Accepted));
    let end = ivys().expires_at;
    for (change, holds) in [
        (create(&elsewhere), true),
        (create(&acme()), false),
        (Change::count(&acme(), -1, 0), true),
        (Change::count(&acme(), -2, 0), false),
        (Change::count(&acme(), 1, 1), true),
        (Change::count(&acme(), 1, -1), false),
        (Change::count(&elsewhere, 1, 0), false),
        (Change::join(member("eve", Role::Member)), true),
        (Change::join(member("dan", Role::Member)), false),
        (may("ada", Permission::Invite(Role::Owner)), true),
        (may("dan", Permission::Invite(Role::Member)), true),
        (may("dan", Permission::Invite(Role::Owner)), false),
        (may("eve", Permission::Invite(Role::Member)), false),
        (set("dan", Role::Member, Role::Owner), true),
        (set("dan", Role::Owner, Role::Member), false),
        (set("eve", Role::Member, Role::Owner), false),
        (leave("dan", Role::Member, "dan"), true),
        (leave("dan", Role::Owner, "dan"), false),
        (leave("dan", Role::Member, "ivy"), false),
        (leave("eve", Role::Member, "eve"), false),
        (write("ivy", ivys().revision.0 + 1), true),
        (write("ivy", ivys().revision.0), false),
        (write("ivy", ivys().revision.0 + 2), false),
        (write("ivy", 1), false),
        (write("eve", 1), true),
        (write("eve", 2), false),
        (pending("ivy", end), true),
        (pending("ivy", end + SECOND), false),
        (pending("dan", end), false),
        (accepted("dan"), true),
        (accepted("ivy"), false),
        (close("dan"), true),
        (close("ivy"), false),
    ] {
        assert_eq!(acme_of_three().commit(&only(change.clone())).is_ok(), holds, "{change:?}");
    }
}

#[test]
fn each_guard_of_what_is_counted_has_two_sides() {
    let mut table = acme_of_three();
    let restart = CounterUpdate::Restart { over: None, since: noon(), more: 3 };
    let add = |more, limit| CounterUpdate::Add { since: noon(), more, limit };
    let mail = |name, update| Change::count_mails(&acme(), &user(name), update);
    let invited = |update| Change::take_seats(&acme(), 0, Some(update));
    let to = |number: u32, limit| {
        let day = Day::of(noon());
        let item = ItemKey::Recipient(Recipient::of(&address("ivy")), day);
        Change::add_mail(item, MailId::stored(number.to_string()), limit, day.purge_at())
    };
    let store = |until: Timestamp, now| {
        let id = StoredResponseId::stored(Scope::Organization(acme()), "hash".to_owned());
        let request = Fingerprint::of("test", []);
        Change::store_response(StoredResponse { id, request, body: String::new(), until }, now)
    };
    // One after the other.
    for (change, holds) in [
        (mail("eve", restart), false),
        (mail("dan", add(1, 9)), false),
        (mail("dan", restart), true),
        (mail("dan", restart), false),
        (mail("dan", add(2, 5)), true),
        (mail("dan", add(1, 5)), false),
        (invited(add(1, 9)), false),
        (invited(restart), true),
        (invited(add(2, 5)), true),
        (invited(add(1, 5)), false),
        (to(1, 2), true),
        (to(2, 2), true),
        (to(3, 2), false),
        (to(2, 2), true),
        (store(noon() + SECOND, noon()), true),
        (store(noon() + SECOND, noon()), false),
        (store(noon() + SECOND, noon() + SECOND), true),
    ] {
        assert_eq!(table.commit(&only(change.clone())).is_ok(), holds, "{change:?}");
    }
    let counted = Some(WindowCounter { since: noon(), count: 5 });
    assert_eq!(table.member(&acme(), &user("dan")).unwrap().mailed, counted);
    assert_eq!(table.organization(&acme()).unwrap().invited, counted);
    assert_eq!(table.violations(), []);
    assert_eq!(table.records().cloned().collect::<ReferenceTable>(), table);
}

#[test]
fn two_owners_give_one_up_and_not_both() {
    let mut table = acme_of_three();
    table.commit(&only(Change::count(&acme(), 0, 1))).unwrap();
    table.commit(&only(Change::count(&acme(), 0, -1))).unwrap();
    assert_eq!(table.commit(&only(Change::count(&acme(), 0, -1))), Err(GuardFailed(vec![0])));
}

#[test]
fn every_guard_that_fails_is_named() {
    let mut table = acme_of_three();
    let plan = Plan::new([
        Change::may(&acme(), &user("dan"), Permission::EditRoles),
        Change::may(&acme(), &user("ada"), Permission::EditRoles),
        Change::count(&acme(), -2, 0),
    ]);
    assert_eq!(table.commit(&plan.unwrap()), Err(GuardFailed(vec![0, 2])));
    assert_eq!(table, acme_of_three());
}

/// Changes of dan, of ivy's invitation and of Acme, as they may meet in one plan.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let role = || prop_oneof![Just(Role::Owner), Just(Role::Member)];
    let permission = prop_oneof![
        role().prop_map(Permission::Invite),
        role().prop_map(Permission::Resend),
        Just(Permission::EditRoles),
    ];
    let change = prop_oneof![
        3 => permission.prop_map(|it| Change::may(&acme(), &user("dan"), it)),
        1 => (role(), role()).prop_map(|(from, to)| Change::set_role(&member("dan", from), to)),
        1 => role().prop_map(|role| Change::leave(&member("dan", role))),
        1 => (0..3_u32, 1..4_u32).prop_map(|(more, limit)| {
            let update = if more == 0 {
                CounterUpdate::Restart { over: None, since: noon(), more: 1 }
            } else {
                CounterUpdate::Add { since: noon(), more, limit }
            };
            Change::count_mails(&acme(), &user("dan"), update)
        }),
        1 => (-2..=1, -1..=1).prop_map(|(seats, owners)| Change::count(&acme(), seats, owners)),
        1 => Just(Change::still_pending(&ivys())),
        1 => Just(Change::still_accepted(&ivys())),
        1 => Just(Change::write(Invitation { revision: Revision(8), role: Role::Owner, ..ivys() })),
    ];
    proptest::collection::vec(change, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    /// A plan asserts what each of its changes asserts, and does what each of them does; or it is no plan.
    #[test]
    fn merging_never_weakens_a_guard_and_never_loses_an_effect(
        changes in changes(),
        role in prop_oneof![Just(Role::Owner), Just(Role::Member)],
    ) {
        let mut before = acme_of_three();
        before.commit(&only(Change::set_role(&member("dan", Role::Member), role))).unwrap();
        let effects = |changes: &[Change], item: &ItemKey| {
            changes.iter().filter(|it| it.item == *item && it.effect != Effect::Check).count()
        };
        let Ok(plan) = Plan::new(changes.clone()) else {
            prop_assert!(changes.iter().any(|change| effects(&changes, &change.item) > 1));
            return Ok(());
        };
        let each_holds = changes.iter().all(|change| before.clone().commit(&only(change.clone())).is_ok());
        let mut merged = before.clone();
        prop_assert_eq!(merged.commit(&plan).is_ok(), each_holds);
        if each_holds {
            let mut one_by_one = before.clone();
            for change in &changes {
                one_by_one.apply(change);
            }
            prop_assert_eq!(merged, one_by_one);
        }
    }
}

#[test]
fn a_field_is_set_in_records_that_have_it() {
    let mut record = Record::Member(member("dan", Role::Member));
    Field::Role(Role::Owner).set_in(&mut record);
    assert_eq!(record, Record::Member(member("dan", Role::Owner)));
    let mut other = Record::Organization(organization(1, 1));
    Field::Role(Role::Owner).set_in(&mut other);
    assert_eq!(other, Record::Organization(organization(1, 1)));
}
