//! Random plans have the same effect in DynamoDB as in the reference model.
//!
//! Each plan is committed in both. The outcome, the failed guards and the whole table must then be equal, including the
//! attributes of every item. Most of the plans are plans that no action makes.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::idempotency::{Fingerprint, Scope, StoredResponse, StoredResponseId};
use domain::{
    CHANGES_MAX, Change, CloseReason, CounterUpdate, Day, Delivery, Effect, EmailAddress, Field, Generation,
    Guard, GuardFailed, Invitation, InvitationId, ItemKey, Language, Mail, MailId, Member, Organization,
    OrganizationId, OrganizationName, Permission, Plan, Recipient, Record, Revision, Role, Seats, Sender,
    State, Status, Timestamp, UserId, WindowCounter,
};
use harness::TestTable;
use local::table::Attributes;
use proptest::prelude::*;
use proptest::sample::{SizeRange, select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use reference::ReferenceTable;
use store::CommitOutcome;
use store::record;
use tokio::runtime::{Builder, Runtime};

/// Returns the number of histories. A history has up to 20 plans and its own table.
///
/// An external DynamoDB creates tables slowly, so it gets fewer histories.
fn cases() -> u32 {
    if TestTable::is_external() { 24 } else { 86 * harness::effort() }
}

const ORGANIZATIONS: [u8; 2] = [1, 2];
/// The number of users in most histories. It is small, so that plans meet items of earlier plans.
const FEW_USERS: usize = 3;
/// The number of users in the other histories. It is large enough for a plan with `CHANGES_MAX` changes.
const MANY_USERS: usize = 30;
/// 2026-11-24T12:00:00Z.
const NOON: i64 = 1_795_521_600;

/// Identifies one item by its organization and the number of its user.
#[derive(Debug, Clone, Copy)]
enum ItemRef {
    Organization(u8),
    Member(u8, usize),
    Invitation(u8, usize),
    /// The user's recipient item of today.
    Recipient(usize),
    /// A stored response to the user, in the scope of an organization or of the user.
    Response(Option<u8>, usize),
}

/// Returns all items for this number of users.
fn all_items(users: usize) -> Vec<ItemRef> {
    let all = |of: u8| {
        let members = (0..users).map(move |person| ItemRef::Member(of, person));
        let invitations = (0..users).map(move |person| ItemRef::Invitation(of, person));
        let responses = (0..users).map(move |person| ItemRef::Response(Some(of), person));
        [ItemRef::Organization(of)].into_iter().chain(members).chain(invitations).chain(responses)
    };
    let others = (0..users).flat_map(|person| [ItemRef::Recipient(person), ItemRef::Response(None, person)]);
    ORGANIZATIONS.into_iter().flat_map(all).chain(others).collect()
}

impl ItemRef {
    fn key(self) -> ItemKey {
        match self {
            Self::Organization(of) => ItemKey::Organization(id(of)),
            Self::Member(of, person) => ItemKey::Member(id(of), user(person)),
            Self::Invitation(of, person) => ItemKey::Invitation(id(of), invitation_id(of, person)),
            Self::Recipient(person) => ItemKey::Recipient(Recipient::of(&address(person)), today()),
            Self::Response(of, person) => ItemKey::Response(response_id(of, person)),
        }
    }
}

/// The id of the stored response to a user.
fn response_id(organization: Option<u8>, person: usize) -> StoredResponseId {
    let scope = organization.map_or(Scope::User(user(person)), |of| Scope::Organization(id(of)));
    StoredResponseId::stored(scope, format!("hash-{person}"))
}

/// Returns no counter, or a counter that starts at one of three times. Because there are so few times, plans also meet
/// windows that are over.
fn window() -> impl Strategy<Value = Option<WindowCounter>> {
    proptest::option::of((time(), 0_u32..4).prop_map(|(since, count)| WindowCounter { since, count }))
}

/// Returns an update of a counter. Its guard holds for the stored counter, or differs from it by a few seconds.
fn update(stored: Option<WindowCounter>) -> impl Strategy<Value = CounterUpdate> {
    let begun = prop_oneof![3 => Just(stored.map(|it| it.since)), 1 => proptest::option::of(time())];
    (begun, time(), 1_u32..3, 2_u32..6, prop::bool::ANY).prop_map(
        |(begun, now, more, limit, add)| match begun {
            Some(since) if add => CounterUpdate::Add { since, more, limit },
            over => CounterUpdate::Restart { over, since: now, more },
        },
    )
}

fn id(organization: u8) -> OrganizationId {
    OrganizationId::from_random([organization; 16])
}

fn user(person: usize) -> UserId {
    UserId::parse(&format!("person-{person}")).unwrap()
}

fn address(person: usize) -> EmailAddress {
    EmailAddress::parse(&format!("person-{person}@example.com")).unwrap()
}

fn invitation_id(organization: u8, person: usize) -> InvitationId {
    InvitationId::of(&id(organization), &address(person))
}

fn role() -> impl Strategy<Value = Role> {
    select(&Role::ALL[..])
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0_i64..3).prop_map(|seconds| Timestamp::from_unix(NOON + seconds))
}

fn organization(of: u8) -> impl Strategy<Value = Organization> {
    (0_u32..4, 0_u32..4, time(), window()).prop_map(move |(free, owners, created_at, invited)| Organization {
        id: id(of),
        name: OrganizationName::parse("Acme").unwrap(),
        seats: Seats { total: 4, free },
        owners,
        created_at,
        invited,
    })
}

fn member(of: u8, person: usize) -> impl Strategy<Value = Member> {
    (role(), 0..FEW_USERS, time(), window()).prop_map(move |(role, by, joined_at, mailed)| Member {
        organization: id(of),
        user: user(person),
        role,
        email: address(person),
        invitation: invitation_id(of, by),
        joined_at,
        mailed,
    })
}

fn state(person: usize) -> impl Strategy<Value = State> {
    let how = select(
        &[CloseReason::Revoked, CloseReason::Expired, CloseReason::Declined, CloseReason::Removed][..],
    );
    prop_oneof![
        time().prop_map(|due_at| State::Pending { due_at }),
        time().prop_map(move |at| State::Accepted { by: user(person), at }),
        (how, time(), time()).prop_map(|(how, at, purge_at)| State::Closed { how, at, purge_at }),
    ]
}

fn mail() -> impl Strategy<Value = Option<Mail>> {
    let deliveries = [
        Delivery::Queued,
        Delivery::Sent,
        Delivery::Delivered,
        Delivery::Bounced,
        Delivery::Complained,
        Delivery::Failed,
    ];
    let detail = proptest::option::of(Just("mailbox full".to_owned()));
    let mail = (select(deliveries.to_vec()), detail, proptest::option::of(time()));
    proptest::option::weighted(
        0.8,
        mail.prop_map(|(delivery, detail, sent_at)| Mail { delivery, detail, sent_at }),
    )
}

/// Returns an invitation with the revision after the stored one, or one close to it.
fn invitation(of: u8, person: usize, stored: Option<Revision>) -> impl Strategy<Value = Invitation> {
    let stored = stored.map_or(0, |revision| revision.0);
    let revision = prop_oneof![
        4 => Just(stored + 1),
        1 => Just(1),
        1 => Just(stored.max(1)),
        1 => Just(stored + 2),
    ];
    let counts = (revision, 0_u32..3);
    let offer = (role(), proptest::option::of(select(&Language::ALL[..])));
    (offer, counts, 0..FEW_USERS, time(), time(), state(person), mail()).prop_map(
        move |((role, language), (revision, generation), sender, created_at, expires_at, state, mail)| {
            Invitation {
                id: invitation_id(of, person),
                organization: id(of),
                email: address(person),
                role,
                language,
                generation: Generation(generation),
                revision: Revision(revision),
                sender: Sender { user: user(sender), email: address(sender) },
                created_at,
                expires_at,
                state,
                mail,
            }
        },
    )
}

/// Returns changes of one item. Most of their guards hold, and the others almost hold.
fn changes_of(stored: &ReferenceTable, item: ItemRef) -> BoxedStrategy<Vec<Change>> {
    let one = |change: Change| vec![change];
    match item {
        ItemRef::Organization(of) => {
            let invited = stored.organization(&id(of)).and_then(|it| it.invited);
            let create = organization(of).prop_map(Change::create_organization);
            let count =
                (-3..=3, -2..=2).prop_map(move |(seats, owners)| Change::count(&id(of), seats, owners));
            let take = (0_u32..4, proptest::option::of(update(invited)));
            let take = take.prop_map(move |(seats, update)| Change::take_seats(&id(of), seats, update));
            let names =
                select(&["Acme", "Acme Works"][..]).prop_map(|name| OrganizationName::parse(name).unwrap());
            let rename = names.prop_map(move |name| Change::rename_organization(&id(of), name));
            prop_oneof![1 => create, 2 => count, 2 => take, 1 => rename].prop_map(one).boxed()
        }
        ItemRef::Member(of, person) => {
            let current = stored.member(&id(of), &user(person));
            let joined_by = current.map_or(invitation_id(of, person), |it| it.invitation.clone());
            let by = prop_oneof![3 => Just(joined_by), 1 => Just(invitation_id(of, person))];
            let read_member =
                || (member(of, person), by.clone()).prop_map(|(it, invitation)| Member { invitation, ..it });
            let may = || permission().prop_map(move |it| Change::require(&id(of), &user(person), it));
            let effect = prop_oneof![
                member(of, person).prop_map(Change::add_member),
                update(current.and_then(|it| it.mailed)).prop_map(move |it| Change::count_mails(
                    &id(of),
                    &user(person),
                    it
                )),
                (member(of, person), role()).prop_map(|(it, role)| Change::set_role(&it, role)),
                read_member().prop_map(|it| Change::delete_member(&it)),
                read_member().prop_map(|it| Change::still_member(&it)),
            ];
            let merged = (proptest::collection::vec(may(), 0..3), effect);
            let merged = merged.prop_map(|(checks, effect)| checks.into_iter().chain([effect]).collect());
            prop_oneof![3 => merged, 1 => may().prop_map(one)].boxed()
        }
        ItemRef::Invitation(of, person) => {
            let current = stored.invitation(&id(of), &invitation_id(of, person));
            let deadline = current.map_or(Timestamp::from_unix(NOON), |it| it.expires_at);
            let deadline = prop_oneof![2 => Just(deadline), 1 => time()];
            let offered = current.map_or(Role::Member, |it| it.role);
            let offered = prop_oneof![3 => Just(offered), 1 => role()];
            let any = || invitation(of, person, None);
            let joined =
                member(of, person).prop_map(move |it| Member { invitation: invitation_id(of, person), ..it });
            prop_oneof![
                4 => invitation(of, person, current.map(|it| it.revision)).prop_map(Change::write_invitation),
                2 => (any(), deadline, offered).prop_map(|(it, expires_at, role)| {
                    Change::still_pending(&Invitation { expires_at, role, ..it })
                }),
                1 => any().prop_map(|it| Change::still_accepted(&it)),
                2 => (joined, time(), time())
                    .prop_map(|(it, at, purge_at)| Change::close_as_removed(&it, at, purge_at)),
            ]
            .prop_map(one)
            .boxed()
        }
        ItemRef::Recipient(_) => {
            let mail = (0_u32..6).prop_map(|number| MailId::stored(number.to_string()));
            (mail, 1_u32..4)
                .prop_map(move |(mail, limit)| {
                    vec![Change::add_mail(item.key(), mail, limit, today().purge_at())]
                })
                .boxed()
        }
        ItemRef::Response(of, person) => {
            let id = response_id(of, person);
            (time(), time(), "[a-c]{0,2}")
                .prop_map(move |(now, until, body)| {
                    let request = Fingerprint::stored(body.clone());
                    vec![Change::store_response(StoredResponse { id: id.clone(), request, body, until }, now)]
                })
                .boxed()
        }
    }
}

fn permission() -> impl Strategy<Value = Permission> {
    prop_oneof![
        role().prop_map(Permission::Invite),
        role().prop_map(Permission::Resend),
        role().prop_map(Permission::Revoke),
        Just(Permission::EditRoles),
        Just(Permission::EditOrganization),
        Just(Permission::RemoveMembers),
    ]
}

fn today() -> Day {
    Day::of(Timestamp::from_unix(NOON))
}

/// Returns a table with only this item. Guards of a change depend on no other item.
fn table_of(stored: &ReferenceTable, item: ItemRef) -> ReferenceTable {
    stored.record(&item.key()).cloned().into_iter().collect()
}

/// Returns plans that change `count` of `items`. In 75 % of the plans all guards hold, so that tables fill.
fn plans(stored: &ReferenceTable, items: Vec<ItemRef>, count: impl Into<SizeRange>) -> BoxedStrategy<Plan> {
    let stored = stored.clone();
    let items = subsequence(items, count).prop_shuffle();
    let changes = (items, prop::bool::weighted(0.75)).prop_flat_map(move |(items, guards_hold)| {
        let change = |item: ItemRef| {
            let table = table_of(&stored, item);
            let holds = move |changes: &Vec<Change>| {
                table.clone().commit(&Plan::new(changes.clone()).unwrap()).is_ok()
            };
            let change = changes_of(&stored, item)
                .prop_filter("the guard fails", move |change| !guards_hold || holds(change));
            // When proptest shrinks a failure, `option` lets it omit changes that the failure does not need.
            proptest::option::weighted(0.97, change)
        };
        items.into_iter().map(change).collect::<Vec<_>>()
    });
    let plans = changes
        .prop_map(|changes| Plan::new(changes.into_iter().flatten().take(CHANGES_MAX).flatten()).unwrap());
    plans.prop_filter("a transaction has items", |plan| !plan.changes().is_empty()).boxed()
}

/// The expected table, and the expected outcome of the last plan.
#[derive(Debug, Clone)]
struct Expected {
    stored: ReferenceTable,
    outcome: CommitOutcome,
    /// The number of users.
    users: usize,
}

/// Commits plans to the reference model.
struct ReferenceMachine;

impl ReferenceStateMachine for ReferenceMachine {
    type State = Expected;
    type Transition = Plan;

    fn init_state() -> BoxedStrategy<Expected> {
        // Most histories have few users, because comparing a large table is slow.
        let users = prop_oneof![31 => Just(FEW_USERS), 1 => Just(MANY_USERS)];
        let empty =
            |users| Expected { stored: ReferenceTable::default(), outcome: CommitOutcome::Committed, users };
        users.prop_map(empty).boxed()
    }

    fn transitions(state: &Expected) -> BoxedStrategy<Plan> {
        let items = all_items(state.users);
        let small = plans(&state.stored, items.clone(), 1..=3);
        let medium = plans(&state.stored, items.clone(), 4..=12);
        if state.users == FEW_USERS {
            return prop_oneof![2 => small, 1 => medium].boxed();
        }
        let full = plans(&state.stored, items, CHANGES_MAX + 10);
        prop_oneof![1 => medium, 1 => full].boxed()
    }

    fn apply(mut state: Expected, plan: &Plan) -> Expected {
        state.outcome = match state.stored.commit(plan) {
            Ok(()) => CommitOutcome::Committed,
            Err(failed) => CommitOutcome::GuardFailed(failed),
        };
        state
    }
}

/// Commits plans to a table in DynamoDB, and compares the results.
struct DynamoDbTest {
    runtime: Runtime,
    test_table: TestTable,
}

impl StateMachineTest for DynamoDbTest {
    type SystemUnderTest = Self;
    type Reference = ReferenceMachine;

    fn init_test(_: &Expected) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let test_table = runtime.block_on(TestTable::start());
        Self { runtime, test_table }
    }

    fn apply(test: Self, expected: &Expected, plan: Plan) -> Self {
        let outcome = test.runtime.block_on(test.test_table.store().commit_plan(&plan)).unwrap();
        assert_eq!(outcome, expected.outcome, "{plan:#?}");
        test
    }

    /// Checks that the table contains exactly the expected records. Each item must equal the item that
    /// `record::write` makes of its record.
    fn check_invariants(test: &Self, expected: &Expected) {
        let items = test.runtime.block_on(test.test_table.table().items()).unwrap();
        let mut stored: BTreeMap<_, _> = items.into_iter().map(|item| (key(&item), item)).collect();
        for record in expected.stored.records() {
            let written = record::write(record).unwrap();
            let found = stored.remove(&key(&written)).map(with_sorted_sets);
            assert_eq!(found, Some(written.clone()), "{record:?}");
            assert_eq!(&record::read(written).unwrap(), record);
        }
        assert_eq!(stored, BTreeMap::new(), "unexpected items");
    }

    fn teardown(test: Self, _: Expected) {
        test.runtime.block_on(test.test_table.finish());
    }
}

fn key(item: &Attributes) -> [String; 2] {
    ["pk", "sk"].map(|name| item[name].as_s().unwrap().clone())
}

/// Returns the item with sorted string sets, because DynamoDB's sets have no order.
fn with_sorted_sets(mut item: Attributes) -> Attributes {
    for value in item.values_mut() {
        if let AttributeValue::Ss(texts) = value {
            texts.sort_unstable();
        }
    }
    item
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn plans_have_the_same_effect_in_dynamodb_as_in_the_reference_model(sequential 1..=20 => DynamoDbTest);
}

/// Returns the kind of a change's effect.
///
/// The `match` has no wildcard. It does not compile with a new effect, as a reminder to add the effect to `changes_of`.
fn effect_kind(change: &Change) -> &'static str {
    match &change.effect {
        Effect::Check => "check",
        Effect::Put(record) => match **record {
            Record::Organization(_) => "create",
            Record::Member(_) => "join",
            Record::Invitation(_) => "write",
            Record::Recipient(_) => "a recipient item is never put",
            Record::Response(_) => "store",
        },
        Effect::Delete => "leave",
        Effect::Set(Field::Role(_)) => "set role",
        Effect::Set(Field::Name(_)) => "set name",
        Effect::Count { invited: None, .. } => "count",
        Effect::Count { .. } => "count and invited",
        Effect::CountMails(CounterUpdate::Add { .. }) => "mails, add",
        Effect::CountMails(CounterUpdate::Restart { .. }) => "mails, restart",
        Effect::CloseAsRemoved { .. } => "close as removed",
        Effect::AddMail { .. } => "add mail",
    }
}

/// Returns the kind of a guard. It has no wildcard for the same reason.
fn guard_kind(guard: &Guard) -> &'static str {
    match guard {
        Guard::Absent => "absent",
        Guard::Exists => "exists",
        Guard::HasPermission(_) => "may",
        Guard::Role(_) => "role",
        Guard::JoinedBy(_) => "joined by",
        Guard::SeatsFree(_) => "seats",
        Guard::Owners(_) => "owners",
        Guard::Counter(_) => "counter",
        Guard::Revision(_) => "revision",
        Guard::Status(_) => "status",
        Guard::ExpiresAt(_) => "expires at",
        Guard::RoomForMail { .. } => "room for mail",
        Guard::NoResponseAt(_) => "no response",
    }
}

#[test]
fn the_random_plans_cover_every_effect_guard_status_and_size() {
    let mut runner = TestRunner::deterministic();
    let (mut committed, mut failed, mut guards) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut states, mut sizes) = (BTreeSet::new(), BTreeSet::new());
    let mut failed_together = 0;
    for _ in 0..128 {
        let history = ReferenceMachine::sequential_strategy(20).new_tree(&mut runner).unwrap().current();
        let (mut expected, plans, _) = history;
        for plan in &plans {
            expected = ReferenceMachine::apply(expected, plan);
            guards.extend(plan.changes().iter().flat_map(|change| &change.guards).map(guard_kind));
            sizes.insert((plan.changes().len(), expected.outcome == CommitOutcome::Committed));
            match &expected.outcome {
                CommitOutcome::Committed => committed.extend(plan.changes().iter().map(effect_kind)),
                CommitOutcome::GuardFailed(GuardFailed(indexes)) => {
                    failed.extend(indexes.iter().map(|index| effect_kind(&plan.changes()[*index])));
                    failed_together = failed_together.max(indexes.len());
                }
            }
            let all = ORGANIZATIONS.into_iter().map(id);
            let all = all.flat_map(|id| expected.stored.invitations(&id).collect::<Vec<_>>());
            states.extend(all.map(|it| it.status().as_str()));
        }
    }
    assert_eq!(
        (committed.len(), failed.len(), guards.len()),
        (14, 14, 13),
        "{committed:?} {failed:?} {guards:?}"
    );
    assert_eq!(states.len(), Status::ALL.len());
    assert!([(CHANGES_MAX, true), (CHANGES_MAX, false), (1, true)].iter().all(|size| sizes.contains(size)));
    assert!(failed_together > 3);
}
