//! Property tests: random sequences of actions break no rule.
//!
//! Each action is decided on the current table or on a stale copy. After every commit the whole table is checked.

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

const USERS: [&str; 6] = ["ada", "bob", "cyd", "dan", "eve", "fay"];
/// Fewer than [`USERS`], so that users compete for the last seat.
const SEATS: u32 = 4;

/// Limits that a sequence of 80 steps can reach.
const LIMITS: Limits = Limits {
    invitees_per_day: 12,
    mails_per_hour: 6,
    pause: Duration::from_secs(20),
    mails_per_invitation: 6,
    mails_per_recipient: 10,
};

/// The index of a user in [`USERS`].
type UserIndex = usize;

/// The index of a user in [`USERS`], or `USERS.len() + n` for the n-th current member.
///
/// [`History::resolved`] replaces it by a [`UserIndex`].
type UserOrMember = usize;

/// A random action.
///
/// Links are named by their age in number of mails: 0 is the link of the newest mail.
#[derive(Debug, Clone)]
enum RandomAction {
    Invite(UserOrMember, Vec<UserIndex>, Role),
    Resend(UserOrMember, UserIndex),
    Revoke(UserOrMember, UserIndex),
    /// By the invitee if `None`; else by the first user with the verified address of the second.
    Accept(usize, Option<(UserIndex, UserIndex)>),
    /// By the invitee.
    Decline(usize),
    RoleEdit(UserOrMember, UserOrMember, Role),
    Remove(UserOrMember, UserOrMember),
    Expire(usize),
    UpdateDelivery(usize, DeliveryUpdate),
    Reconcile(usize),
}

/// One action, decided after `pause` on the table as it was `lag` commits ago.
#[derive(Debug, Clone)]
struct Step {
    pause: Duration,
    lag: usize,
    /// The caller's idempotency key, for the actions that take one.
    key: Option<u8>,
    action: RandomAction,
}

fn random_actions() -> impl Strategy<Value = RandomAction> {
    let user = || 0..USERS.len();
    let user_or_member = || 0..USERS.len() + 8;
    let link = || 0..8_usize;
    let role = || prop_oneof![Just(Role::Owner), Just(Role::Member)];
    let several = proptest::collection::vec(user(), 1..4);
    let update = prop_oneof![
        Just(DeliveryUpdate::Sent),
        Just(DeliveryUpdate::Failed("refused".to_owned())),
        Just(DeliveryUpdate::Rejected("malicious".to_owned())),
        Just(DeliveryUpdate::Delivered),
        Just(DeliveryUpdate::Bounced("unknown".to_owned())),
        Just(DeliveryUpdate::SoftBounced("away".to_owned())),
        Just(DeliveryUpdate::Complained),
    ];
    prop_oneof![
        4 => (user_or_member(), several, role())
            .prop_map(|(by, invitees, role)| RandomAction::Invite(by, invitees, role)),
        2 => (user_or_member(), user()).prop_map(|(by, invitee)| RandomAction::Resend(by, invitee)),
        1 => (user_or_member(), user()).prop_map(|(by, invitee)| RandomAction::Revoke(by, invitee)),
        6 => (link(), proptest::option::weighted(0.3, (user(), user())))
            .prop_map(|(link, by)| RandomAction::Accept(link, by)),
        1 => link().prop_map(RandomAction::Decline),
        4 => (user_or_member(), user_or_member(), role())
            .prop_map(|(by, member, role)| RandomAction::RoleEdit(by, member, role)),
        2 => (user_or_member(), user_or_member()).prop_map(|(by, member)| RandomAction::Remove(by, member)),
        2 => link().prop_map(RandomAction::Expire),
        1 => (link(), update).prop_map(|(link, update)| RandomAction::UpdateDelivery(link, update)),
        1 => link().prop_map(RandomAction::Reconcile),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    // Eight of nine pauses take seconds, the others 24 to 50 hours. An invitation expires after 48 hours.
    let pause = prop_oneof![8 => 0_u64..60, 1 => 86_000_u64..180_000].prop_map(Duration::from_secs);
    let lag = prop_oneof![1 => Just(0), 1 => 1..4_usize];
    let key = proptest::option::weighted(0.4, 0..2_u8);
    (pause, lag, key, random_actions()).prop_map(|(pause, lag, key, action)| Step { pause, lag, key, action })
}

/// The sequence of tables that the steps produce, and the links of all queued mails.
struct History {
    /// One table after each commit, the newest last.
    tables: Vec<ReferenceTable>,
    links: Vec<Link>,
    policy: Policy,
    now: Timestamp,
}

impl History {
    /// Creates a history with one organization: Acme, with the founder ada.
    fn new(limits: Option<Limits>) -> Self {
        let policy = Policy { seats: SEATS, limits, ..Policy::default() };
        let name = OrganizationName::parse("Acme").unwrap();
        let create = Create { founder: sender("ada"), id: acme(), name };
        let mut table = ReferenceTable::default();
        table.run(&create, &policy, noon()).unwrap();
        Self { tables: vec![table], links: Vec::new(), policy, now: noon() }
    }

    fn newest(&self) -> &ReferenceTable {
        self.tables.last().unwrap()
    }

    /// Replaces each [`UserOrMember`] by the [`UserIndex`] that it means in the newest table.
    fn resolved(&self, action: &RandomAction) -> RandomAction {
        let members: Vec<_> = self.newest().members(&acme()).map(|it| it.user.as_str()).collect();
        let index = |user: &UserOrMember| match user.checked_sub(USERS.len()) {
            Some(nth) => USERS.iter().position(|it| *it == members[nth % members.len()]).unwrap_or(0),
            None => *user,
        };
        match action {
            RandomAction::Invite(by, invitees, role) => {
                RandomAction::Invite(index(by), invitees.clone(), *role)
            }
            RandomAction::Resend(by, invitee) => RandomAction::Resend(index(by), *invitee),
            RandomAction::Revoke(by, invitee) => RandomAction::Revoke(index(by), *invitee),
            RandomAction::RoleEdit(by, member, role) => {
                RandomAction::RoleEdit(index(by), index(member), *role)
            }
            RandomAction::Remove(by, member) => RandomAction::Remove(index(by), index(member)),
            other => other.clone(),
        }
    }

    /// Decides `action` with this idempotency key on the table as it was `lag` commits ago; `None` if it refuses.
    fn plan(&self, action: &RandomAction, key: Option<u8>, lag: usize) -> Option<Plan> {
        let table = &self.tables[self.tables.len().saturating_sub(lag + 1)];
        let name = |index: &UserIndex| USERS[*index];
        let id = |index: &UserIndex| user(name(index));
        let invitation = |index: &UserIndex| Some(id_of(name(index)));
        let organization = acme();
        match action {
            RandomAction::Invite(by, invitees, role) => {
                let invitees = invitees.iter().map(|it| address(name(it))).collect();
                let sender = sender(name(by));
                let invite = Invite { sender, organization, invitees, role: *role, language: None };
                self.decide_with_key(table, key, invite)
            }
            RandomAction::Resend(by, invitee) => {
                let sender = sender(name(by));
                let resend = Resend { sender, organization, invitation: invitation(invitee) };
                self.decide_with_key(table, key, resend)
            }
            RandomAction::Revoke(by, invitee) => {
                let invitation = invitation(invitee);
                self.decide(table, &Revoke { caller: id(by), organization, invitation })
            }
            RandomAction::Accept(age, by) => {
                let link = self.link(*age)?.clone();
                let caller = match by {
                    Some((by, email)) => Caller { user: id(by), email: Some(address(name(email))) },
                    None => caller_at(invitee(table.invitation(&acme(), &link.invitation)?)?),
                };
                let accept = Accept { caller, link };
                // With a snapshot of a previous attempt the accept reads the sender's member item, too.
                let seen = reads_sender(*age).then(|| table.snapshot(accept.reads(None)));
                let decided = table.decide(&accept, seen.as_ref(), &self.policy, self.now);
                decided.ok().map(|(plan, _)| plan)
            }
            RandomAction::Decline(age) => {
                let link = self.link(*age)?.clone();
                let caller = caller_at(invitee(table.invitation(&acme(), &link.invitation)?)?);
                self.decide(table, &Decline { caller, link })
            }
            RandomAction::RoleEdit(by, member, role) => {
                let (caller, member) = (id(by), Some(id(member)));
                self.decide(table, &RoleEdit { caller, organization, member, role: *role })
            }
            RandomAction::Remove(by, member) => {
                let (caller, member) = (id(by), Some(id(member)));
                self.decide(table, &Remove { caller, organization, member })
            }
            RandomAction::Expire(age) => self.decide(table, &Expire { timer: self.link(*age)?.clone() }),
            RandomAction::UpdateDelivery(age, update) => {
                let link = self.link(*age)?.clone();
                self.decide(table, &UpdateDelivery { link, update: update.clone() })
            }
            RandomAction::Reconcile(age) => {
                let invitation = self.link(*age)?.invitation.clone();
                self.decide(table, &Reconcile { organization, invitation })
            }
        }
    }

    fn decide<A: Action>(&self, table: &ReferenceTable, action: &A) -> Option<Plan> {
        let decided = table.decide(action, None, &self.policy, self.now);
        assert!(!matches!(decided, Err(RunError::Plan(_))), "the changes must form one transaction");
        decided.ok().map(|(plan, _)| plan)
    }

    /// Decides `action` under the idempotency key, if there is one.
    fn decide_with_key<A>(&self, table: &ReferenceTable, key: Option<u8>, action: A) -> Option<Plan>
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
        self.decide(table, &WithIdempotencyKey::new(action, key.as_ref(), render))
    }

    /// Returns the link of this age in number of mails: 0 is the link of the newest mail.
    fn link(&self, age: usize) -> Option<&Link> {
        self.links.iter().rev().nth(age)
    }

    /// Decides and commits `step`, and checks the rules. Returns true if the table changed.
    fn run(&mut self, step: &Step) -> Result<bool, TestCaseError> {
        self.now = self.now + step.pause;
        let action = self.resolved(&step.action);
        let operation = self.operation(&action);
        let Some(plan) = self.plan(&action, step.key, step.lag) else { return Ok(false) };
        let items: HashSet<_> = plan.changes().iter().map(|change| &change.item).collect();
        prop_assert_eq!(
            items.len(),
            plan.changes().len(),
            "a plan must have one change per item: {:?}",
            plan
        );
        let before = self.newest().clone();
        let mut after = before.clone();
        if after.commit(&plan).is_err() {
            prop_assert_eq!(after, before, "a failed commit must change nothing");
            let unread_sender = matches!(action, RandomAction::Accept(age, _) if !reads_sender(age));
            prop_assert!(
                step.lag > 0 || unread_sender,
                "a guard failed on the table of the decision: {:?}",
                plan
            );
            return Ok(false);
        }
        prop_assert_eq!(after.violations(), [], "after {:?}", plan);
        for record in plan.puts() {
            match record {
                Record::Invitation(next) => {
                    let previous = before.invitation(&acme(), &next.id);
                    prop_assert!(
                        previous.is_none_or(|it| it.generation <= next.generation),
                        "the generation decreased: an old link would work again"
                    );
                    self.check_cooldown(previous, next)?;
                    self.links.push(next.link());
                }
                Record::Response(response) => {
                    let key_is_free = match before.record(&ItemKey::Response(response.id.clone())) {
                        Some(Record::Response(stored)) => stored.until <= self.now,
                        _ => true,
                    };
                    prop_assert!(key_is_free, "one idempotency key had two effects");
                }
                _ => {}
            }
        }
        self.check_limits(&after)?;
        let changed = after != before;
        if changed {
            let violation = before.broken_rule(&acme(), &after, &operation);
            // These sequences may skip the mail, so an invitation may expire while its mail is queued.
            prop_assert!(
                matches!(violation, None | Some(RuleViolation::ExpiredBeforeMail)),
                "{violation:?} by {action:?}"
            );
            self.tables.push(after);
        }
        Ok(changed)
    }

    /// Asserts that a new mail waited for [`Limits::pause`] after the previous one, unless that one failed.
    fn check_cooldown(&self, before: Option<&Invitation>, after: &Invitation) -> Result<(), TestCaseError> {
        let Some((limits, before)) = self.policy.limits.zip(before) else { return Ok(()) };
        let Some(mail) = before.mail.as_ref().filter(|_| after.generation > before.generation) else {
            return Ok(());
        };
        let queued_at = before.expires_at.unix() - i64::try_from(self.policy.lifetime.as_secs()).unwrap();
        let mailed_at = mail.sent_at.unwrap_or(Timestamp::from_unix(queued_at));
        let failed = mail.sent_at.is_none() && mail.delivery == Delivery::Failed;
        prop_assert!(failed || self.now >= mailed_at + limits.pause, "the next mail came too soon");
        Ok(())
    }

    /// Asserts that no counter exceeds its limit.
    fn check_limits(&self, table: &ReferenceTable) -> Result<(), TestCaseError> {
        let Some(limits) = self.policy.limits else { return Ok(()) };
        let within = |counter: Option<WindowCounter>, limit| counter.is_none_or(|it| it.count <= limit);
        let organization = table.organization(&acme()).unwrap();
        prop_assert!(within(organization.invited, limits.invitees_per_day));
        prop_assert!(table.members(&acme()).all(|it| within(it.mailed, limits.mails_per_hour)));
        let mails = table.invitations(&acme()).map(|it| it.generation.0).max();
        prop_assert!(mails.unwrap_or(0) <= limits.mails_per_invitation);
        Ok(())
    }

    /// Asserts that `reconcile` alone closes all pending invitations after three days, without any timer.
    fn check_all_expire(&mut self) -> Result<(), TestCaseError> {
        self.now = self.now + Duration::from_hours(72);
        let mut after = self.newest().clone();
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

    /// Converts `action` into the operation that [`ReferenceTable::broken_rule`] checks.
    fn operation(&self, action: &RandomAction) -> Operation {
        let id = |index: &UserIndex| user(USERS[*index]);
        match action {
            RandomAction::Invite(by, _, role) => Operation::Invite { by: id(by), role: *role },
            RandomAction::Resend(by, invitee) => {
                Operation::Resend { by: id(by), invitation: id_of(USERS[*invitee]) }
            }
            RandomAction::Revoke(by, invitee) => {
                Operation::Revoke { by: id(by), invitation: id_of(USERS[*invitee]) }
            }
            RandomAction::RoleEdit(by, member, _) => Operation::RoleEdit { by: id(by), member: id(member) },
            RandomAction::Remove(by, member) => Operation::Remove { by: id(by), member: id(member) },
            RandomAction::Accept(age, by) => self.link(*age).map_or(Operation::Other, |link| {
                let Caller { user, email } = if let Some((by, email)) = by {
                    Caller { user: id(by), email: Some(address(USERS[*email])) }
                } else {
                    let invitation = self.newest().invitation(&acme(), &link.invitation);
                    let invitee = invitation.and_then(invitee);
                    caller_at(invitee.expect("a link belongs to an invitation of a user"))
                };
                let email = email.expect("every caller has an address");
                Operation::Accept { by: user, email, link: link.clone() }
            }),
            RandomAction::Decline(age) => self.link(*age).map_or(Operation::Other, |link| {
                let invitation = self.newest().invitation(&acme(), &link.invitation);
                let email = invitation.expect("a link belongs to an invitation").email.clone();
                Operation::Decline { email, link: link.clone() }
            }),
            RandomAction::Expire(age) => self.link(*age).cloned().map_or(Operation::Other, Operation::Expire),
            RandomAction::Reconcile(_) => Operation::Reconcile,
            RandomAction::UpdateDelivery(..) => Operation::Mail,
        }
    }
}

/// Whether an accept by a link of this age reads the sender's member item before it decides.
///
/// The other half of the accepts relies on the guard alone, as the first attempt in production does.
fn reads_sender(age: usize) -> bool {
    age.is_multiple_of(2)
}

/// Returns the user to whom the invitation was sent.
fn invitee(invitation: &Invitation) -> Option<UserIndex> {
    USERS.iter().position(|name| address(name) == invitation.email)
}

fn caller_at(index: UserIndex) -> Caller {
    caller(USERS[index])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn random_actions_break_no_rule(
        steps in proptest::collection::vec(steps(), 1..80),
        limited in prop::bool::ANY,
    ) {
        let mut history = History::new(limited.then_some(LIMITS));
        for step in &steps {
            history.run(step)?;
        }
        history.check_all_expire()?;
    }
}

#[test]
fn random_actions_reach_every_status() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut reached = HashSet::new();
    let (mut full, mut two_owners) = (false, false);
    for _ in 0..64 {
        let sequences = proptest::collection::vec(steps(), 80);
        let steps = sequences.new_tree(&mut runner).unwrap().current();
        let mut history = History::new(None);
        for step in &steps {
            history.run(step).unwrap();
            let table = history.newest();
            reached.extend(table.invitations(&acme()).map(Invitation::status));
            let organization = table.organization(&acme()).unwrap();
            full |= organization.seats.free == 0;
            two_owners |= organization.owners >= 2;
        }
    }
    assert_eq!(reached, HashSet::from(Status::ALL));
    assert!(full && two_owners);
}

/// Creates a table with these records.
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
fn violations_detects_every_kind() {
    let ada = || member("ada", Role::Owner);
    let ada_invitation = || invitation("ada", Status::Accepted);
    let valid = table(
        [organization(2, 1)],
        [ada()],
        [ada_invitation(), invitation("ivy", Status::Pending), invitation("bob", Status::Revoked)],
    );
    assert_eq!(valid.violations(), []);
    assert!(valid.organizations().eq([&organization(2, 1)]));

    let seats = |free, held| Violation::SeatCount { organization: acme(), total: 4, free, held };
    assert_eq!(table([organization(4, 1)], [ada()], [ada_invitation()]).violations(), [seats(4, 1)]);
    assert_eq!(table([organization(2, 1)], [ada()], [ada_invitation()]).violations(), [seats(2, 1)]);
    let owners = Violation::OwnerCount { organization: acme(), counted: 2, present: 1 };
    assert_eq!(table([organization(3, 2)], [ada()], [ada_invitation()]).violations(), [owners]);
    assert_eq!(table([organization(4, 0)], [], []).violations(), [Violation::NoOwner(acme())]);

    let uninvited = Violation::MemberWithoutInvitation(acme(), user("ada"));
    assert_eq!(table([organization(3, 1)], [ada()], []).violations(), slice::from_ref(&uninvited));
    let removed = invitation("ada", Status::Removed);
    assert_eq!(table([organization(3, 1)], [ada()], [removed]).violations(), [uninvited]);
    let without_member = Violation::InvitationWithoutMember(acme(), invitation("ivy", Status::Pending).id);
    let accepted = invitation("ivy", Status::Accepted);
    assert_eq!(
        table([organization(3, 1)], [ada()], [ada_invitation(), accepted]).violations(),
        [without_member]
    );

    let wrong_id = Invitation { email: address("eve"), ..invitation("ivy", Status::Revoked) };
    let violation = Violation::WrongInvitationId(acme(), wrong_id.id.clone());
    assert_eq!(table([organization(3, 1)], [ada()], [ada_invitation(), wrong_id]).violations(), [violation]);
    let violations = table([], [ada()], [ada_invitation()]).violations();
    assert!(matches!(
        violations[..],
        [
            Violation::NoSuchOrganization(ItemKey::Member(..)),
            Violation::NoSuchOrganization(ItemKey::Invitation(..))
        ]
    ));
}

#[test]
fn changes_nothing_if_one_guard_fails() {
    let mut history = History::new(None);
    let mut invite = |invitees: &[UserIndex], lag| {
        let action = RandomAction::Invite(0, invitees.to_vec(), Role::Member);
        history.run(&Step { pause: Duration::ZERO, lag, key: None, action }).unwrap()
    };
    assert!(invite(&[1, 2, 3], 0), "the invite takes all free seats");
    assert!(!invite(&[4], 0), "`decide` refuses on the current table");
    assert!(!invite(&[4], 1), "the guard fails after a decision on a stale table");
}

/// A table with Acme: four seats, one of them free; the owner ada, the member dan, and a pending invitation for ivy.
fn acme_table() -> ReferenceTable {
    let members = [member("ada", Role::Owner), member("dan", Role::Member)];
    let accepted = ["ada", "dan"].map(|name| invitation(name, Status::Accepted));
    let table = table([organization(1, 1)], members, accepted.into_iter().chain([ivy_invitation()]));
    assert_eq!(table.violations(), []);
    table
}

fn ivy_invitation() -> Invitation {
    invitation("ivy", Status::Pending)
}

fn plan_of(change: Change) -> Plan {
    Plan::new([change]).unwrap()
}

#[test]
fn each_guard_holds_and_fails_as_defined() {
    let may = |name, permission| Change::require(&acme(), &user(name), permission);
    let set = |name, from, to| Change::set_role(&member(name, from), to);
    let leave = |name, role, invited| {
        Change::delete_member(&Member { invitation: id_of(invited), ..member(name, role) })
    };
    let write = |name, revision| {
        Change::write_invitation(Invitation {
            revision: Revision(revision),
            ..invitation(name, Status::Pending)
        })
    };
    let other = OrganizationId::from_random([9; 16]);
    let create = |id: &OrganizationId| {
        Change::create_organization(Organization { id: id.clone(), ..organization(1, 1) })
    };
    let close = |name| Change::close_as_removed(&member(name, Role::Member), noon(), noon());
    let pending = |name, expires_at| {
        Change::still_pending(&Invitation { expires_at, ..invitation(name, Status::Pending) })
    };
    let pending_as = |role| Change::still_pending(&Invitation { role, ..ivy_invitation() });
    let accepted = |name| Change::still_accepted(&invitation(name, Status::Accepted));
    let still = |name, role, invited| {
        Change::still_member(&Member { invitation: id_of(invited), ..member(name, role) })
    };
    let end = ivy_invitation().expires_at;
    for (change, holds) in [
        (create(&other), true),
        (create(&acme()), false),
        (Change::count(&acme(), -1, 0), true),
        (Change::count(&acme(), -2, 0), false),
        (Change::count(&acme(), 1, 1), true),
        (Change::count(&acme(), 1, -1), false),
        (Change::count(&other, 1, 0), false),
        (Change::add_member(member("eve", Role::Member)), true),
        (Change::add_member(member("dan", Role::Member)), false),
        (may("ada", Permission::Invite(Role::Owner)), true),
        (may("dan", Permission::Invite(Role::Member)), true),
        (may("dan", Permission::Invite(Role::Owner)), false),
        (may("eve", Permission::Invite(Role::Member)), false),
        (set("dan", Role::Member, Role::Owner), true),
        (set("dan", Role::Owner, Role::Member), false),
        (set("eve", Role::Member, Role::Owner), false),
        (still("dan", Role::Member, "dan"), true),
        (still("dan", Role::Owner, "dan"), false),
        (still("dan", Role::Member, "ivy"), false),
        (still("eve", Role::Member, "eve"), false),
        (leave("dan", Role::Member, "dan"), true),
        (leave("dan", Role::Owner, "dan"), false),
        (leave("dan", Role::Member, "ivy"), false),
        (leave("eve", Role::Member, "eve"), false),
        (write("ivy", ivy_invitation().revision.0 + 1), true),
        (write("ivy", ivy_invitation().revision.0), false),
        (write("ivy", ivy_invitation().revision.0 + 2), false),
        (write("ivy", 1), false),
        (write("eve", 1), true),
        (write("eve", 2), false),
        (pending("ivy", end), true),
        (pending("ivy", end + SECOND), false),
        (pending("dan", end), false),
        (pending_as(Role::Member), true),
        (pending_as(Role::Owner), false),
        (accepted("dan"), true),
        (accepted("ivy"), false),
        (close("dan"), true),
        (close("ivy"), false),
    ] {
        assert_eq!(acme_table().commit(&plan_of(change.clone())).is_ok(), holds, "{change:?}");
    }
}

#[test]
fn each_guard_of_a_counter_holds_and_fails_as_defined() {
    let mut table = acme_table();
    let restart = CounterUpdate::Restart { over: None, since: noon(), more: 3 };
    let add = |more, limit| CounterUpdate::Add { since: noon(), more, limit };
    let mail = |name, update| Change::count_mails(&acme(), &user(name), update);
    let invited = |update| Change::take_seats(&acme(), 0, Some(update));
    let mail_ivy = |number: u32, limit| {
        let day = Day::of(noon());
        let item = ItemKey::Recipient(Recipient::of(&address("ivy")), day);
        Change::add_mail(item, MailId::stored(number.to_string()), limit, day.purge_at())
    };
    let store = |until: Timestamp, now| {
        let id = StoredResponseId::stored(Scope::Organization(acme()), "hash".to_owned());
        let request = Fingerprint::of("test", []);
        Change::store_response(StoredResponse { id, request, body: String::new(), until }, now)
    };
    // The changes are committed in this order.
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
        (mail_ivy(1, 2), true),
        (mail_ivy(2, 2), true),
        (mail_ivy(3, 2), false),
        (mail_ivy(2, 2), true),
        (store(noon() + SECOND, noon()), true),
        (store(noon() + SECOND, noon()), false),
        (store(noon() + SECOND, noon() + SECOND), true),
    ] {
        assert_eq!(table.commit(&plan_of(change.clone())).is_ok(), holds, "{change:?}");
    }
    let counted = Some(WindowCounter { since: noon(), count: 5 });
    assert_eq!(table.member(&acme(), &user("dan")).unwrap().mailed, counted);
    assert_eq!(table.organization(&acme()).unwrap().invited, counted);
    assert_eq!(table.violations(), []);
    assert_eq!(table.records().cloned().collect::<ReferenceTable>(), table);
}

#[test]
fn two_owners_can_give_up_one_owner_but_not_both() {
    let mut table = acme_table();
    table.commit(&plan_of(Change::count(&acme(), 0, 1))).unwrap();
    table.commit(&plan_of(Change::count(&acme(), 0, -1))).unwrap();
    assert_eq!(table.commit(&plan_of(Change::count(&acme(), 0, -1))), Err(GuardFailed(vec![0])));
}

#[test]
fn commit_reports_every_failed_guard() {
    let mut table = acme_table();
    let plan = Plan::new([
        Change::require(&acme(), &user("dan"), Permission::EditRoles),
        Change::require(&acme(), &user("ada"), Permission::EditRoles),
        Change::count(&acme(), -2, 0),
    ]);
    assert_eq!(table.commit(&plan.unwrap()), Err(GuardFailed(vec![0, 2])));
    assert_eq!(table, acme_table());
}

/// Random changes of the member dan, of ivy's invitation and of Acme, which one plan may combine.
fn changes() -> impl Strategy<Value = Vec<Change>> {
    let role = || prop_oneof![Just(Role::Owner), Just(Role::Member)];
    let permission = prop_oneof![
        role().prop_map(Permission::Invite),
        role().prop_map(Permission::Resend),
        Just(Permission::EditRoles),
    ];
    let change = prop_oneof![
        3 => permission.prop_map(|it| Change::require(&acme(), &user("dan"), it)),
        1 => (role(), role()).prop_map(|(from, to)| Change::set_role(&member("dan", from), to)),
        1 => role().prop_map(|role| Change::delete_member(&member("dan", role))),
        1 => role().prop_map(|role| Change::still_member(&member("dan", role))),
        1 => (0..3_u32, 1..4_u32).prop_map(|(more, limit)| {
            let update = if more == 0 {
                CounterUpdate::Restart { over: None, since: noon(), more: 1 }
            } else {
                CounterUpdate::Add { since: noon(), more, limit }
            };
            Change::count_mails(&acme(), &user("dan"), update)
        }),
        1 => (-2..=1, -1..=1).prop_map(|(seats, owners)| Change::count(&acme(), seats, owners)),
        1 => Just(Change::still_pending(&ivy_invitation())),
        1 => Just(Change::still_accepted(&ivy_invitation())),
        1 => Just(Change::write_invitation(Invitation { revision: Revision(8), role: Role::Owner, ..ivy_invitation() })),
    ];
    proptest::collection::vec(change, 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_048, ..ProptestConfig::default() })]

    /// A plan asserts all guards of its changes and applies all their effects, or it is rejected when it is built.
    #[test]
    fn a_plan_keeps_all_guards_and_effects_of_its_changes(
        changes in changes(),
        role in prop_oneof![Just(Role::Owner), Just(Role::Member)],
    ) {
        let mut before = acme_table();
        before.commit(&plan_of(Change::set_role(&member("dan", Role::Member), role))).unwrap();
        let effects = |changes: &[Change], item: &ItemKey| {
            changes.iter().filter(|it| it.item == *item && it.effect != Effect::Check).count()
        };
        let Ok(plan) = Plan::new(changes.clone()) else {
            prop_assert!(changes.iter().any(|change| effects(&changes, &change.item) > 1));
            return Ok(());
        };
        let each_holds = changes.iter().all(|change| before.clone().commit(&plan_of(change.clone())).is_ok());
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
fn sets_a_field_only_in_a_record_that_has_it() {
    let name = OrganizationName::parse("Acme Works").unwrap();
    let renamed = Organization { name: name.clone(), ..organization(1, 1) };
    let dan = |role| Record::Member(member("dan", role));
    let acme = Record::Organization(organization(1, 1));
    for (field, before, after) in [
        (Field::Role(Role::Owner), dan(Role::Member), dan(Role::Owner)),
        (Field::Role(Role::Owner), acme.clone(), acme.clone()),
        (Field::Name(name.clone()), acme, Record::Organization(renamed)),
        (Field::Name(name), dan(Role::Member), dan(Role::Member)),
    ] {
        let mut record = before;
        field.set_in(&mut record);
        assert_eq!(record, after, "{field:?}");
    }
}
