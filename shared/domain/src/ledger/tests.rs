//! The rules over random lives: people act in any order, each on what they saw a while ago, and after every
//! commit the whole table is looked at.

use std::collections::HashSet;
use std::slice;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::delivery::Mark;
use crate::idempotency::{Answer, AnswerId, Attempt, Fingerprint, IdempotencyKey, Reused, Scope, once};
use crate::testing::{NOON, SECOND, acme, address, caller, id_of, invitation, member, user};
use crate::{
    Caller, Counting, Decision, Limits, Link, MailId, OrganizationName, Policy, Seats, Tally, Timestamp,
    accept, create, decline, delivery, expire, invite, reconcile, remove, resend, revoke, role_edit,
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
    Mark(usize, Mark),
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
        Just(Mark::Sent),
        Just(Mark::Failed("refused".to_owned())),
        Just(Mark::Rejected("malicious".to_owned())),
        Just(Mark::Delivered),
        Just(Mark::Bounced("unknown".to_owned())),
        Just(Mark::Returned("away".to_owned())),
        Just(Mark::Complained),
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
    past: Vec<Ledger>,
    links: Vec<Link>,
    policy: Policy,
    now: Timestamp,
}

impl World {
    /// Acme, founded by ada.
    fn new(limits: Option<Limits>) -> Self {
        let policy = Policy { seats: SEATS, limits, ..Policy::default() };
        let request = create::Request { id: acme(), name: OrganizationName::parse("Acme").unwrap() };
        let founding = create::decide(&caller("ada"), &request, &policy, NOON).unwrap();
        let mut ledger = Ledger::default();
        ledger.commit(&founding.plan).unwrap();
        Self { past: vec![ledger], links: Vec::new(), policy, now: NOON }
    }

    fn present(&self) -> &Ledger {
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
        let (policy, now) = (&self.policy, self.now);
        match act {
            Act::Invite(by, whom, role) => {
                let request = invite::Request::new(whom.iter().map(|&it| address(PEOPLE[it])), *role);
                let facts = seen.invite_facts(&acme(), &user(PEOPLE[*by]), &request);
                let act = || invite::decide(&person(*by), &request, &facts, policy, now);
                self.once(seen, key, &user(PEOPLE[*by]), request.fingerprint(), act)
            }
            Act::Resend(by, whom) => {
                let facts = seen.resend_facts(&acme(), &user(PEOPLE[*by]), &id_of(PEOPLE[*whom]));
                let act = || resend::decide(&person(*by), &facts, policy, now);
                self.once(seen, key, &user(PEOPLE[*by]), resend::fingerprint(&id_of(PEOPLE[*whom])), act)
            }
            Act::Revoke(by, whom) => {
                let facts = seen.revoke_facts(&acme(), &user(PEOPLE[*by]), &id_of(PEOPLE[*whom]));
                plan(revoke::decide(&person(*by), &facts, policy, now))
            }
            Act::Accept(age, by) => {
                let link = self.link(*age)?;
                let invitation = seen.invitation(&acme(), &link.invitation);
                let (email, account) = by.or_else(|| invitee(invitation?).map(|it| (it, it)))?;
                let caller = Caller { user: user(PEOPLE[account]), ..person(email) };
                let before = invitation.filter(|_| reads_sender(*age));
                plan(accept::decide(&caller, &seen.accept_facts(link, &caller.user, before), now))
            }
            Act::Decline(age) => {
                let link = self.link(*age)?;
                let caller = person(invitee(seen.invitation(&acme(), &link.invitation)?)?);
                plan(decline::decide(&caller, &seen.decline_facts(link), policy, now))
            }
            Act::RoleEdit(by, whom, role) => {
                let facts = seen.role_edit_facts(&acme(), &user(PEOPLE[*by]), &user(PEOPLE[*whom]));
                plan(role_edit::decide(&person(*by), &facts, *role, now))
            }
            Act::Remove(by, whom) => {
                let facts = seen.remove_facts(&acme(), &user(PEOPLE[*by]), &user(PEOPLE[*whom]));
                plan(remove::decide(&person(*by), &facts, policy, now))
            }
            Act::Expire(age) => {
                let link = self.link(*age)?;
                plan(expire::decide(link, &seen.expire_facts(link), policy, now))
            }
            Act::Mark(age, mark) => {
                let link = self.link(*age)?;
                Some(delivery::decide(link, mark, &seen.delivery_facts(link), now).plan)
            }
            Act::Reconcile(age) => {
                let facts = seen.reconcile_facts(&acme(), &self.link(*age)?.invitation);
                Some(reconcile::decide(&facts, policy, now).plan)
            }
        }
    }

    /// The plan of what `act` decides, or of what `key` says of it.
    fn once<Answer: std::fmt::Debug, Refusal>(
        &self,
        seen: &Ledger,
        key: Option<u8>,
        by: &UserId,
        request: Fingerprint,
        act: impl FnOnce() -> Result<Decision<Answer>, Refusal>,
    ) -> Option<Plan> {
        struct Refused;
        impl From<Reused> for Refused {
            fn from(_: Reused) -> Self {
                Self
            }
        }
        let attempt = key.map(|key| {
            let key = IdempotencyKey::parse(&key.to_string()).unwrap();
            Attempt::new(Scope::Organization(acme()), by, &key, request)
        });
        let kept = attempt.as_ref().and_then(|attempt| seen.answer(attempt.id()));
        let act = || act().map_err(|_| Refused);
        let say = |answer| Ok(format!("{answer:?}"));
        plan(once(attempt.as_ref(), kept, self.now, act, say))
    }

    /// The link of a mail sent some time ago (0: the newest).
    fn link(&self, age: usize) -> Option<&Link> {
        self.links.iter().rev().nth(age)
    }

    /// Lets `step` happen; true if it changed the table.
    fn happens(&mut self, step: &Step) -> Result<bool, TestCaseError> {
        self.now = self.now + step.pause;
        let act = self.known(&step.act);
        let deed = self.deed(&act);
        let Some(plan) = self.plan(&act, step.key, step.lag) else { return Ok(false) };
        let items: HashSet<_> = plan.changes().iter().map(Change::item).collect();
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
        for change in plan.changes() {
            match change {
                Change::Invitation(_, _, InvitationChange::Write(next)) => {
                    let previous = before.invitation(&acme(), &next.id);
                    prop_assert!(
                        previous.is_none_or(|it| it.generation <= next.generation),
                        "links only die"
                    );
                    self.is_not_mailed_too_soon(previous, next)?;
                    self.links.push(next.link());
                }
                Change::Answer(id, _) => {
                    let kept = before.answer(id);
                    prop_assert!(kept.is_none_or(|it| it.until <= self.now), "a second effect of one key");
                }
                _ => {}
            }
        }
        self.is_within_limits(&after)?;
        let changed = after != before;
        if changed {
            let misdeed = before.misdeed(&acme(), &after, &deed);
            // Here nobody has to send any mail.
            prop_assert!(matches!(misdeed, None | Some(Misdeed::NeverMailed)), "{misdeed:?} by {act:?}");
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
        let failed = mail.sent_at.is_none() && mail.delivery == crate::Delivery::Failed;
        prop_assert!(failed || self.now >= mailed_at + limits.pause, "mailed again too soon");
        Ok(())
    }

    fn is_within_limits(&self, ledger: &Ledger) -> Result<(), TestCaseError> {
        let Some(limits) = self.policy.limits else { return Ok(()) };
        let within = |tally: Option<Tally>, limit| tally.is_none_or(|it| it.count <= limit);
        let organization = ledger.organization(&acme()).unwrap();
        prop_assert!(within(organization.invited, limits.invitees_per_day));
        prop_assert!(ledger.members(&acme()).all(|it| within(it.mailed, limits.mails_per_hour)));
        let mails = ledger.invitations(&acme()).map(|it| it.generation.0).max();
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
            let facts = reconcile::Facts { invitation: Some(invitation) };
            let plan = reconcile::decide(&facts, &self.policy, self.now).plan;
            prop_assert_eq!(after.commit(&plan), Ok(()), "{:?}", plan);
        }
        prop_assert_eq!(after.violations(), []);
        let pending = after.invitations(&acme()).filter(|it| it.status() == Status::Pending).count();
        prop_assert_eq!(pending, 0);
        Ok(())
    }

    /// What `act` is, as far as the rules ask.
    fn deed(&self, act: &Act) -> Deed {
        let by = |by: &Person| user(PEOPLE[*by]);
        match act {
            Act::Invite(person, _, role) => Deed::Invite { by: by(person), role: *role },
            Act::Resend(person, whom) | Act::Revoke(person, whom) => {
                Deed::Administer { by: by(person), invitation: id_of(PEOPLE[*whom]) }
            }
            Act::RoleEdit(person, _, _) => Deed::RoleEdit { by: by(person) },
            Act::Remove(person, whom) => Deed::Remove { by: by(person), member: user(PEOPLE[*whom]) },
            Act::Accept(age, _) => self.link(*age).cloned().map_or(Deed::Other, Deed::Accept),
            Act::Decline(_) | Act::Expire(_) | Act::Mark(..) | Act::Reconcile(_) => Deed::Other,
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

fn plan<A, R>(decided: Result<Decision<A>, R>) -> Option<Plan> {
    decided.ok().map(|decision| decision.plan)
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
            let ledger = world.present();
            reached.extend(ledger.invitations(&acme()).map(Invitation::status));
            let organization = ledger.organization(&acme()).unwrap();
            full |= organization.seats.free == 0;
            two_owners |= organization.owners >= 2;
        }
    }
    assert_eq!(reached, HashSet::from(Status::ALL));
    assert!(full && two_owners);
}

#[test]
fn each_kind_of_violation_is_seen() {
    let organization = |free, owners| Organization {
        id: acme(),
        name: OrganizationName::parse("Acme").unwrap(),
        seats: Seats { total: 3, free },
        owners,
        created_at: NOON,
        invited: None,
    };
    let ada = || member("ada", Role::Owner);
    let adas = || invitation("ada", Status::Accepted);
    let sound = Ledger::new(
        [organization(1, 1)],
        [ada()],
        [adas(), invitation("ivy", Status::Pending), invitation("bob", Status::Revoked)],
    );
    assert_eq!(sound.violations(), []);
    assert!(sound.organizations().eq([&organization(1, 1)]));

    let seats = |free, held| Violation::Seats { organization: acme(), total: 3, free, held };
    assert_eq!(Ledger::new([organization(3, 1)], [ada()], [adas()]).violations(), [seats(3, 1)]);
    assert_eq!(Ledger::new([organization(1, 1)], [ada()], [adas()]).violations(), [seats(1, 1)]);
    let owners = Violation::Owners { organization: acme(), counted: 2, present: 1 };
    assert_eq!(Ledger::new([organization(2, 2)], [ada()], [adas()]).violations(), [owners]);
    assert_eq!(Ledger::new([organization(3, 0)], [], []).violations(), [Violation::NoOwner(acme())]);

    let uninvited = Violation::Uninvited(acme(), user("ada"));
    assert_eq!(Ledger::new([organization(2, 1)], [ada()], []).violations(), slice::from_ref(&uninvited));
    let removed = invitation("ada", Status::Removed);
    assert_eq!(Ledger::new([organization(2, 1)], [ada()], [removed]).violations(), [uninvited]);
    let unused = Violation::Unused(acme(), invitation("ivy", Status::Pending).id);
    let ivys = invitation("ivy", Status::Accepted);
    assert_eq!(Ledger::new([organization(2, 1)], [ada()], [adas(), ivys]).violations(), [unused]);

    let elsewhere = Invitation { email: address("eve"), ..invitation("ivy", Status::Revoked) };
    let misplaced = Violation::Misplaced(acme(), elsewhere.id.clone());
    assert_eq!(Ledger::new([organization(2, 1)], [ada()], [adas(), elsewhere]).violations(), [misplaced]);
    let strays = Ledger::new([], [ada()], [adas()]).violations();
    assert!(matches!(
        strays[..],
        [Violation::Stray(Item::Member(..)), Violation::Stray(Item::Invitation(..))]
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
fn acme_of_three() -> Ledger {
    let organization = Organization {
        id: acme(),
        name: OrganizationName::parse("Acme").unwrap(),
        seats: Seats { total: 4, free: 1 },
        owners: 1,
        created_at: NOON,
        invited: None,
    };
    let members = [member("ada", Role::Owner), member("dan", Role::Member)];
    let accepted = ["ada", "dan"].map(|name| invitation(name, Status::Accepted));
    let ledger = Ledger::new([organization], members, accepted.into_iter().chain([ivys()]));
    assert_eq!(ledger.violations(), []);
    ledger
}

fn ivys() -> Invitation {
    invitation("ivy", Status::Pending)
}

#[test]
fn each_guard_has_two_sides() {
    let of_member = |name, change| Change::Member(acme(), user(name), change);
    let of_ivy = |change| Change::Invitation(acme(), ivys().id, change);
    let of_dans = |change| Change::Invitation(acme(), invitation("dan", Status::Accepted).id, change);
    let set = |from, to| MemberChange::SetRole { from, to, unsent: false };
    let leave = |role, of: &str| MemberChange::Leave { role, invitation: id_of(of), unsent: true };
    let write = |revision| Change::write(Invitation { revision: crate::Revision(revision), ..ivys() });
    let new = |name, revision| {
        let fresh = invitation(name, Status::Pending);
        Change::write(Invitation { revision: crate::Revision(revision), ..fresh })
    };
    let elsewhere = OrganizationId::from_random([9; 16]);
    let founding = |id: &OrganizationId| {
        let organization = acme_of_three().organization(&acme()).unwrap().clone();
        let organization = Organization { id: id.clone(), ..organization };
        Change::Organization(id.clone(), OrganizationChange::Found(organization))
    };
    let remove = || InvitationChange::Remove { at: NOON, purge_at: NOON };
    let until = |end| InvitationChange::Stands(Standing::PendingUntil(end));
    let accepted = || InvitationChange::Stands(Standing::Accepted);
    let end = ivys().expires_at;
    for (change, holds) in [
        (founding(&elsewhere), true),
        (founding(&acme()), false),
        (Change::count(&acme(), -1, 0), true),
        (Change::count(&acme(), -2, 0), false),
        (Change::count(&acme(), 1, 1), true),
        (Change::count(&acme(), 1, -1), false),
        (Change::count(&elsewhere, 1, 0), false),
        (of_member("eve", MemberChange::Join(member("eve", Role::Member))), true),
        (of_member("dan", MemberChange::Join(member("dan", Role::Member))), false),
        (of_member("ada", MemberChange::MayGrant(Role::Owner)), true),
        (of_member("dan", MemberChange::MayGrant(Role::Member)), true),
        (of_member("dan", MemberChange::MayGrant(Role::Owner)), false),
        (of_member("eve", MemberChange::MayGrant(Role::Member)), false),
        (of_member("dan", set(Role::Member, Role::Owner)), true),
        (of_member("dan", set(Role::Owner, Role::Member)), false),
        (of_member("eve", set(Role::Member, Role::Owner)), false),
        (of_member("dan", leave(Role::Member, "dan")), true),
        (of_member("dan", leave(Role::Owner, "dan")), false),
        (of_member("dan", leave(Role::Member, "ivy")), false),
        (of_member("eve", leave(Role::Member, "eve")), false),
        (write(ivys().revision.0 + 1), true),
        (write(ivys().revision.0), false),
        (write(ivys().revision.0 + 2), false),
        (write(1), false),
        (new("eve", 1), true),
        (new("eve", 2), false),
        (of_ivy(until(end)), true),
        (of_ivy(until(end + Duration::from_secs(1))), false),
        (of_dans(until(end)), false),
        (of_dans(accepted()), true),
        (of_ivy(accepted()), false),
        (of_dans(remove()), true),
        (of_ivy(remove()), false),
    ] {
        let plan = Plan::from_iter([change.clone()]);
        assert_eq!(acme_of_three().commit(&plan).is_ok(), holds, "{change:?}");
    }
}

#[test]
fn each_guard_of_what_is_counted_has_two_sides() {
    let mut ledger = acme_of_three();
    let begins = Counting::Anew { over: None, since: NOON, more: 3 };
    let on = |more, limit| Counting::On { since: NOON, more, limit };
    let mail = |name: &str, role, counting| Change::mail(&acme(), &user(name), role, Some(counting));
    let invited = |counting| Change::take(&acme(), 0, Some(counting));
    let to = |number: u32, limit| {
        let mail = MailId::stored(number.to_string());
        let recipient = Recipient::of(&address("ivy"));
        Change::Recipient(recipient, Day::of(NOON), RecipientChange::Mail { mail, limit })
    };
    let keep = |until: Timestamp, now| {
        let id = AnswerId::stored(Scope::Organization(acme()), "hash".to_owned());
        Change::keep(Answer { id, request: Fingerprint::of("test", []), text: String::new(), until }, now)
    };
    // One after the other.
    for (change, holds) in [
        (mail("dan", Role::Owner, begins), false),
        (mail("eve", Role::Member, begins), false),
        (mail("dan", Role::Member, on(1, 9)), false),
        (mail("dan", Role::Member, begins), true),
        (mail("dan", Role::Member, begins), false),
        (mail("dan", Role::Owner, on(1, 9)), false),
        (mail("dan", Role::Member, on(2, 5)), true),
        (mail("dan", Role::Member, on(1, 5)), false),
        (invited(on(1, 9)), false),
        (invited(begins), true),
        (invited(on(2, 5)), true),
        (invited(on(1, 5)), false),
        (to(1, 2), true),
        (to(2, 2), true),
        (to(3, 2), false),
        (to(2, 2), true),
        (keep(NOON + SECOND, NOON), true),
        (keep(NOON + SECOND, NOON), false),
        (keep(NOON + SECOND, NOON + SECOND), true),
    ] {
        let plan = Plan::from_iter([change.clone()]);
        assert_eq!(ledger.commit(&plan).is_ok(), holds, "{change:?}");
    }
    assert_eq!(ledger.member(&acme(), &user("dan")).unwrap().mailed, Some(Tally { since: NOON, count: 5 }));
    assert_eq!(ledger.organization(&acme()).unwrap().invited, Some(Tally { since: NOON, count: 5 }));
    assert_eq!(ledger.violations(), []);
    let records: Vec<_> = ledger.records().collect();
    assert_eq!(records.into_iter().collect::<Ledger>(), ledger);
}

#[test]
fn two_owners_give_one_up_and_not_both() {
    let mut ledger = acme_of_three();
    ledger.commit(&Plan::from_iter([Change::count(&acme(), 0, 1)])).unwrap();
    ledger.commit(&Plan::from_iter([Change::count(&acme(), 0, -1)])).unwrap();
    assert_eq!(ledger.commit(&Plan::from_iter([Change::count(&acme(), 0, -1)])), Err(GuardFailed(vec![0])));
}

#[test]
fn every_guard_that_fails_is_named() {
    let mut ledger = acme_of_three();
    let plan = Plan::from_iter([
        Change::may_grant(&acme(), &user("dan"), Role::Owner),
        Change::may_grant(&acme(), &user("ada"), Role::Owner),
        Change::count(&acme(), -2, 0),
    ]);
    assert_eq!(ledger.commit(&plan), Err(GuardFailed(vec![0, 2])));
    assert_eq!(ledger, acme_of_three());
}
