//! Plans mean on DynamoDB what the reference model says they mean: random ones, most of which no action would ever make,
//! are committed in both places. What becomes of them, which guards fail, and the whole table after each of them
//! have to be the same, down to the attributes of every item.

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

/// Histories of up to 20 plans, each on a table of its own; fewer where a table takes longer to make than a history to play.
fn cases() -> u32 {
    if TestTable::is_elsewhere() { 24 } else { 86 * harness::effort() }
}

const ORGANIZATIONS: [u8; 2] = [1, 2];
/// So few that plans meet what earlier plans have left.
const FEW: usize = 3;
/// So many that a plan can be as large as plans get.
const MANY: usize = 30;
/// 2026-11-24T12:00:00Z.
const NOON: i64 = 1_795_521_600;

/// One item, by the person it is about.
#[derive(Debug, Clone, Copy)]
enum Place {
    Organization(u8),
    Member(u8, usize),
    Invitation(u8, usize),
    /// What a person is sent today.
    Recipient(usize),
    /// What is stored for a person, under a key of an organization, or of none.
    Response(Option<u8>, usize),
}

fn places(people: usize) -> Vec<Place> {
    let all = |of: u8| {
        let members = (0..people).map(move |person| Place::Member(of, person));
        let invitations = (0..people).map(move |person| Place::Invitation(of, person));
        let responses = (0..people).map(move |person| Place::Response(Some(of), person));
        [Place::Organization(of)].into_iter().chain(members).chain(invitations).chain(responses)
    };
    let of_nobodys = (0..people).flat_map(|person| [Place::Recipient(person), Place::Response(None, person)]);
    ORGANIZATIONS.into_iter().flat_map(all).chain(of_nobodys).collect()
}

impl Place {
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

/// Where the response to a person's request is stored.
fn response_id(organization: Option<u8>, person: usize) -> StoredResponseId {
    let scope = organization.map_or(Scope::User(user(person)), |of| Scope::Organization(id(of)));
    StoredResponseId::stored(scope, format!("hash-{person}"))
}

/// So few that a response, or a window, is met when it is over.
fn window() -> impl Strategy<Value = Option<WindowCounter>> {
    proptest::option::of((moment(), 0_u32..4).prop_map(|(since, count)| WindowCounter { since, count }))
}

/// An update of a counter, for which what is stored is right or nearly right.
fn update(stored: Option<WindowCounter>) -> impl Strategy<Value = CounterUpdate> {
    let begun = prop_oneof![3 => Just(stored.map(|it| it.since)), 1 => proptest::option::of(moment())];
    (begun, moment(), 1_u32..3, 2_u32..6, prop::bool::ANY).prop_map(|(begun, now, more, limit, add)| {
        match begun {
            Some(since) if add => CounterUpdate::Add { since, more, limit },
            over => CounterUpdate::Restart { over, since: now, more },
        }
    })
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

fn moment() -> impl Strategy<Value = Timestamp> {
    (0_i64..3).prop_map(|seconds| Timestamp::from_unix(NOON + seconds))
}

fn organization(of: u8) -> impl Strategy<Value = Organization> {
    (0_u32..4, 0_u32..4, moment(), window()).prop_map(move |(free, owners, created_at, invited)| {
        Organization {
            id: id(of),
            name: OrganizationName::parse("Acme").unwrap(),
            seats: Seats { total: 4, free },
            owners,
            created_at,
            invited,
        }
    })
}

fn member(of: u8, person: usize) -> impl Strategy<Value = Member> {
    (role(), 0..FEW, moment(), window()).prop_map(move |(role, by, joined_at, mailed)| Member {
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
        moment().prop_map(|due_at| State::Pending { due_at }),
        moment().prop_map(move |at| State::Accepted { by: user(person), at }),
        (how, moment(), moment()).prop_map(|(how, at, purge_at)| State::Closed { how, at, purge_at }),
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
    let mail = (select(deliveries.to_vec()), detail, proptest::option::of(moment()));
    proptest::option::weighted(
        0.8,
        mail.prop_map(|(delivery, detail, sent_at)| Mail { delivery, detail, sent_at }),
    )
}

/// A record with a revision near the one that is stored.
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
    (offer, counts, 0..FEW, moment(), moment(), state(person), mail()).prop_map(
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

/// Changes of one item, whose guards hold or nearly hold.
fn near(stored: &ReferenceTable, place: Place) -> BoxedStrategy<Vec<Change>> {
    let one = |change: Change| vec![change];
    match place {
        Place::Organization(of) => {
            let invited = stored.organization(&id(of)).and_then(|it| it.invited);
            let create = organization(of).prop_map(Change::create);
            let count =
                (-3..=3, -2..=2).prop_map(move |(seats, owners)| Change::count(&id(of), seats, owners));
            let take = (0_u32..4, proptest::option::of(update(invited)));
            let take = take.prop_map(move |(seats, update)| Change::take_seats(&id(of), seats, update));
            let names =
                select(&["Acme", "Acme Works"][..]).prop_map(|name| OrganizationName::parse(name).unwrap());
            let rename = names.prop_map(move |name| Change::rename(&id(of), name));
            prop_oneof![1 => create, 2 => count, 2 => take, 1 => rename].prop_map(one).boxed()
        }
        Place::Member(of, person) => {
            let there = stored.member(&id(of), &user(person));
            let joined_by = there.map_or(invitation_id(of, person), |it| it.invitation.clone());
            let by = prop_oneof![3 => Just(joined_by), 1 => Just(invitation_id(of, person))];
            let as_seen = (member(of, person), by).prop_map(|(it, invitation)| Member { invitation, ..it });
            let may = || permission().prop_map(move |it| Change::may(&id(of), &user(person), it));
            let effect = prop_oneof![
                member(of, person).prop_map(Change::join),
                update(there.and_then(|it| it.mailed)).prop_map(move |it| Change::count_mails(
                    &id(of),
                    &user(person),
                    it
                )),
                (member(of, person), role()).prop_map(|(it, role)| Change::set_role(&it, role)),
                as_seen.prop_map(|it| Change::leave(&it)),
            ];
            let merged = (proptest::collection::vec(may(), 0..3), effect);
            let merged = merged.prop_map(|(checks, effect)| checks.into_iter().chain([effect]).collect());
            prop_oneof![3 => merged, 1 => may().prop_map(one)].boxed()
        }
        Place::Invitation(of, person) => {
            let there = stored.invitation(&id(of), &invitation_id(of, person));
            let end = there.map_or(Timestamp::from_unix(NOON), |it| it.expires_at);
            let end = prop_oneof![2 => Just(end), 1 => moment()];
            let any = || invitation(of, person, None);
            let joined =
                member(of, person).prop_map(move |it| Member { invitation: invitation_id(of, person), ..it });
            prop_oneof![
                4 => invitation(of, person, there.map(|it| it.revision)).prop_map(Change::write),
                2 => (any(), end).prop_map(|(it, expires_at)| {
                    Change::still_pending(&Invitation { expires_at, ..it })
                }),
                1 => any().prop_map(|it| Change::still_accepted(&it)),
                2 => (joined, moment(), moment())
                    .prop_map(|(it, at, purge_at)| Change::close_as_removed(&it, at, purge_at)),
            ]
            .prop_map(one)
            .boxed()
        }
        Place::Recipient(_) => {
            let mail = (0_u32..6).prop_map(|number| MailId::stored(number.to_string()));
            (mail, 1_u32..4)
                .prop_map(move |(mail, limit)| {
                    vec![Change::add_mail(place.key(), mail, limit, today().purge_at())]
                })
                .boxed()
        }
        Place::Response(of, person) => {
            let id = response_id(of, person);
            (moment(), moment(), "[a-c]{0,2}")
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

/// What `place` holds, alone: no guard looks at anything else.
fn only(stored: &ReferenceTable, place: Place) -> ReferenceTable {
    stored.record(&place.key()).cloned().into_iter().collect()
}

/// Plans of as many of `places`: most with all guards right, so that tables fill; the others as it happens.
fn plans(stored: &ReferenceTable, places: Vec<Place>, changes: impl Into<SizeRange>) -> BoxedStrategy<Plan> {
    let stored = stored.clone();
    let places = subsequence(places, changes).prop_shuffle();
    let changes = (places, prop::bool::weighted(0.75)).prop_flat_map(move |(places, sound)| {
        let change = |place: Place| {
            let there = only(&stored, place);
            let holds = move |changes: &Vec<Change>| {
                there.clone().commit(&Plan::new(changes.clone()).unwrap()).is_ok()
            };
            let change =
                near(&stored, place).prop_filter("the guard fails", move |change| !sound || holds(change));
            // What nothing depends on is left out when a failure is shrunk.
            proptest::option::weighted(0.97, change)
        };
        places.into_iter().map(change).collect::<Vec<_>>()
    });
    let plans = changes
        .prop_map(|changes| Plan::new(changes.into_iter().flatten().take(CHANGES_MAX).flatten()).unwrap());
    plans.prop_filter("a transaction has items", |plan| !plan.changes().is_empty()).boxed()
}

/// The table as it has to be, and what has to become of the last plan.
#[derive(Debug, Clone)]
struct Meant {
    stored: ReferenceTable,
    outcome: CommitOutcome,
    /// How many people there are: it takes many for a large plan.
    people: usize,
}

/// What plans mean.
struct Meaning;

impl ReferenceStateMachine for Meaning {
    type State = Meant;
    type Transition = Plan;

    fn init_state() -> BoxedStrategy<Meant> {
        // A large table takes long to compare.
        let people = prop_oneof![31 => Just(FEW), 1 => Just(MANY)];
        let empty =
            |people| Meant { stored: ReferenceTable::default(), outcome: CommitOutcome::Committed, people };
        people.prop_map(empty).boxed()
    }

    fn transitions(state: &Meant) -> BoxedStrategy<Plan> {
        let places = places(state.people);
        let small = plans(&state.stored, places.clone(), 1..=3);
        let middling = plans(&state.stored, places.clone(), 4..=12);
        if state.people == FEW {
            return prop_oneof![2 => small, 1 => middling].boxed();
        }
        let full = plans(&state.stored, places, CHANGES_MAX + 10);
        prop_oneof![1 => middling, 1 => full].boxed()
    }

    fn apply(mut state: Meant, plan: &Plan) -> Meant {
        state.outcome = match state.stored.commit(plan) {
            Ok(()) => CommitOutcome::Committed,
            Err(failed) => CommitOutcome::GuardFailed(failed),
        };
        state
    }
}

/// What becomes of them at DynamoDB.
struct Practice {
    runtime: Runtime,
    test_table: TestTable,
}

impl StateMachineTest for Practice {
    type SystemUnderTest = Self;
    type Reference = Meaning;

    fn init_test(_: &Meant) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let test_table = runtime.block_on(TestTable::start());
        Self { runtime, test_table }
    }

    fn apply(practice: Self, meant: &Meant, plan: Plan) -> Self {
        let outcome = practice.runtime.block_on(practice.test_table.store().commit_once(&plan)).unwrap();
        assert_eq!(outcome, meant.outcome, "{plan:#?}");
        practice
    }

    /// The table holds what it should, and every item is what a fresh write of its record would have made.
    fn check_invariants(practice: &Self, meant: &Meant) {
        let items = practice.runtime.block_on(practice.test_table.table().items()).unwrap();
        let mut stored: BTreeMap<_, _> = items.into_iter().map(|item| (key(&item), item)).collect();
        for record in meant.stored.records() {
            let fresh = record::write(record).unwrap();
            let found = stored.remove(&key(&fresh)).map(in_order);
            assert_eq!(found, Some(fresh.clone()), "{record:?}");
            assert_eq!(&record::read(fresh).unwrap(), record);
        }
        assert_eq!(stored, BTreeMap::new(), "nothing else is there");
    }

    fn teardown(practice: Self, _: Meant) {
        practice.runtime.block_on(practice.test_table.ends());
    }
}

fn key(item: &Attributes) -> [String; 2] {
    ["pk", "sk"].map(|name| item[name].as_s().unwrap().clone())
}

/// DynamoDB's sets have no order.
fn in_order(mut item: Attributes) -> Attributes {
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
    fn plans_mean_at_dynamodb_what_they_mean_in_the_reference_model(sequential 1..=20 => Practice);
}

/// The kind of an effect; whoever adds one is reminded here to let it happen above.
fn effect(change: &Change) -> &'static str {
    match &change.effect {
        Effect::Check => "check",
        Effect::Put(record) => match **record {
            Record::Organization(_) => "create",
            Record::Member(_) => "join",
            Record::Invitation(_) => "write",
            Record::Recipient(_) => "a recipient's day is never put",
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

/// The kind of a guard, in the same way.
fn guard(guard: &Guard) -> &'static str {
    match guard {
        Guard::Absent => "absent",
        Guard::Exists => "exists",
        Guard::May(_) => "may",
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
fn the_plans_are_of_every_kind_and_size() {
    let mut runner = TestRunner::deterministic();
    let (mut done, mut failed, mut guards) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut states, mut sizes) = (BTreeSet::new(), BTreeSet::new());
    let mut failed_together = 0;
    for _ in 0..128 {
        let history = Meaning::sequential_strategy(20).new_tree(&mut runner).unwrap().current();
        let (mut meant, plans, _) = history;
        for plan in &plans {
            meant = Meaning::apply(meant, plan);
            guards.extend(plan.changes().iter().flat_map(|change| &change.guards).map(guard));
            sizes.insert((plan.changes().len(), meant.outcome == CommitOutcome::Committed));
            match &meant.outcome {
                CommitOutcome::Committed => done.extend(plan.changes().iter().map(effect)),
                CommitOutcome::GuardFailed(GuardFailed(places)) => {
                    failed.extend(places.iter().map(|place| effect(&plan.changes()[*place])));
                    failed_together = failed_together.max(places.len());
                }
            }
            let all = ORGANIZATIONS.into_iter().map(id);
            let all = all.flat_map(|id| meant.stored.invitations(&id).collect::<Vec<_>>());
            states.extend(all.map(|it| it.status().as_str()));
        }
    }
    assert_eq!((done.len(), failed.len(), guards.len()), (14, 14, 13), "{done:?} {failed:?} {guards:?}");
    assert_eq!(states.len(), Status::ALL.len());
    assert!([(CHANGES_MAX, true), (CHANGES_MAX, false), (1, true)].iter().all(|size| sizes.contains(size)));
    assert!(failed_together > 3);
}
