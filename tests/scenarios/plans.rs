//! Plans mean on DynamoDB what [`Ledger`] says they mean: random ones, most of which no action would ever make,
//! are committed in both places. What becomes of them, which guards fail, and the whole table after each of them
//! have to be the same, down to the attributes of every item.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use dev::table::Attributes;
use domain::idempotency::{Answer, AnswerId, Fingerprint, Scope};
use domain::ledger::{GuardFailed, Ledger, Record};
use domain::{
    AnswerChange, CHANGES_MAX, Change, Closed, Counting, Day, Delivery, EmailAddress, Generation, Invitation,
    InvitationChange, InvitationId, Lane, Language, LapseChange, Mail, MailId, Member, MemberChange,
    Organization, OrganizationChange, OrganizationId, OrganizationName, Plan, Recipient, RecipientChange,
    Revision, Role, Seats, Sender, Standing, State, Status, Tally, Timestamp, UserId,
};
use proptest::prelude::*;
use proptest::sample::{SizeRange, select, subsequence};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use store::Outcome;
use store::record;
use tokio::runtime::{Builder, Runtime};
use world::Stage;

/// Histories of up to 20 plans, each on a table of its own.
const CASES: u32 = 256;
/// Where a table takes longer to make than a history to play.
const CASES_ELSEWHERE: u32 = 24;

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
    /// The lane of a person's, in which their own invitation would be.
    Lapse(u8, usize),
    /// What a person is sent today.
    Recipient(usize),
    /// What is kept for a person, under a key of an organization, or of none.
    Answer(Option<u8>, usize),
}

fn places(people: usize) -> Vec<Place> {
    let all = |of: u8| {
        let members = (0..people).map(move |person| Place::Member(of, person));
        let invitations = (0..people).map(move |person| Place::Invitation(of, person));
        let lapses = (0..people).map(move |person| Place::Lapse(of, person));
        let answers = (0..people).map(move |person| Place::Answer(Some(of), person));
        [Place::Organization(of)].into_iter().chain(members).chain(invitations).chain(lapses).chain(answers)
    };
    let of_nobodys = (0..people).flat_map(|person| [Place::Recipient(person), Place::Answer(None, person)]);
    ORGANIZATIONS.into_iter().flat_map(all).chain(of_nobodys).collect()
}

/// Where the answer to a person's request is kept.
fn answer_id(organization: Option<u8>, person: usize) -> AnswerId {
    let scope = organization.map_or(Scope::User(user(person)), |of| Scope::Organization(id(of)));
    AnswerId::stored(scope, format!("hash-{person}"))
}

/// So few that an answer, or a tally, is met when it is over.
fn tally() -> impl Strategy<Value = Option<Tally>> {
    proptest::option::of((moment(), 0_u32..4).prop_map(|(since, count)| Tally { since, count }))
}

/// Something that is counted, for which what is stored is right or nearly right.
fn counting(stored: Option<Tally>) -> impl Strategy<Value = Counting> {
    let begun = prop_oneof![3 => Just(stored.map(|it| it.since)), 1 => proptest::option::of(moment())];
    (begun, moment(), 1_u32..3, 2_u32..6, prop::bool::ANY).prop_map(|(begun, now, more, limit, on)| {
        match begun {
            Some(since) if on => Counting::On { since, more, limit },
            over => Counting::Anew { over, since: now, more },
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
    (0_u32..4, 0_u32..4, moment(), tally()).prop_map(move |(free, owners, created_at, invited)| {
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
    (role(), 0..FEW, moment(), tally(), prop::bool::ANY).prop_map(
        move |(role, by, joined_at, mailed, sent)| Member {
            organization: id(of),
            user: user(person),
            role,
            email: address(person),
            invitation: invitation_id(of, by),
            joined_at,
            mailed,
            sent,
        },
    )
}

fn state(person: usize) -> impl Strategy<Value = State> {
    let how = select(&[Closed::Revoked, Closed::Expired, Closed::Declined, Closed::Removed][..]);
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

/// A change of one item, whose guard holds or nearly holds.
fn near(ledger: &Ledger, place: Place) -> BoxedStrategy<Change> {
    match place {
        Place::Organization(of) => {
            let stored = ledger.organization(&id(of)).and_then(|it| it.invited);
            let count = (-3..=3, -2..=2, proptest::option::of(counting(stored)));
            prop_oneof![
                1 => organization(of).prop_map(OrganizationChange::Found),
                3 => count.prop_map(|(seats_free, owners, invited)| {
                    OrganizationChange::Count { seats_free, owners, invited }
                }),
            ]
            .prop_map(move |change| Change::Organization(id(of), change))
            .boxed()
        }
        Place::Member(of, person) => {
            let stored = ledger.member(&id(of), &user(person));
            let joined_by = stored.map_or(invitation_id(of, person), |it| it.invitation.clone());
            let by = prop_oneof![3 => Just(joined_by), 1 => Just(invitation_id(of, person))];
            prop_oneof![
                member(of, person).prop_map(MemberChange::Join),
                role().prop_map(MemberChange::MayGrant),
                (role(), proptest::option::of(counting(stored.and_then(|it| it.mailed))))
                    .prop_map(|(role, counting)| MemberChange::Mail(role, counting)),
                (role(), role(), prop::bool::ANY).prop_map(|(from, to, unsent)| MemberChange::SetRole {
                    from,
                    to,
                    unsent
                }),
                (role(), by, prop::bool::ANY).prop_map(|(role, invitation, unsent)| MemberChange::Leave {
                    role,
                    invitation,
                    unsent
                }),
            ]
            .prop_map(move |change| Change::Member(id(of), user(person), change))
            .boxed()
        }
        Place::Invitation(of, person) => {
            let stored = ledger.invitation(&id(of), &invitation_id(of, person));
            let end = stored.map_or(Timestamp::from_unix(NOON), |it| it.expires_at);
            let end = prop_oneof![2 => Just(end), 1 => moment()];
            prop_oneof![
                4 => invitation(of, person, stored.map(|it| it.revision))
                    .prop_map(|it| InvitationChange::Write(Box::new(it))),
                2 => end.prop_map(|end| InvitationChange::Stands(Standing::PendingUntil(end))),
                1 => Just(InvitationChange::Stands(Standing::Accepted)),
                2 => (moment(), moment()).prop_map(|(at, purge_at)| InvitationChange::Remove { at, purge_at }),
            ]
            .prop_map(move |change| Change::Invitation(id(of), invitation_id(of, person), change))
            .boxed()
        }
        Place::Lapse(of, person) => {
            let lane = Lane::of(&invitation_id(of, person));
            let change = prop_oneof![
                Just(LapseChange::Absent),
                moment().prop_map(|purge_at| LapseChange::Mark { purge_at }),
            ];
            change.prop_map(move |change| Change::Lapse(id(of), user(person), lane, change)).boxed()
        }
        Place::Recipient(person) => {
            let mail = (0_u32..6).prop_map(|number| MailId::stored(number.to_string()));
            let (recipient, day) = (Recipient::of(&address(person)), today());
            (mail, 1_u32..4)
                .prop_map(move |(mail, limit)| {
                    Change::Recipient(recipient.clone(), day, RecipientChange::Mail { mail, limit })
                })
                .boxed()
        }
        Place::Answer(of, person) => {
            let id = answer_id(of, person);
            (moment(), moment(), "[a-c]{0,2}")
                .prop_map(move |(now, until, text)| {
                    let request = Fingerprint::stored(text.clone());
                    let answer = Box::new(Answer { id: id.clone(), request, text, until });
                    Change::Answer(id.clone(), AnswerChange::Keep { answer, now })
                })
                .boxed()
        }
    }
}

fn today() -> Day {
    Day::of(Timestamp::from_unix(NOON))
}

/// What `place` holds, alone: no guard looks at anything else.
fn only(ledger: &Ledger, place: Place) -> Ledger {
    let record = match place {
        Place::Organization(of) => ledger.organization(&id(of)).cloned().map(Record::Organization),
        Place::Member(of, person) => ledger.member(&id(of), &user(person)).cloned().map(Record::Member),
        Place::Invitation(of, person) => {
            ledger.invitation(&id(of), &invitation_id(of, person)).cloned().map(Record::Invitation)
        }
        Place::Lapse(of, person) => {
            let lane = Lane::of(&invitation_id(of, person));
            ledger.lapse(&id(of), &user(person), lane).map(Record::Lapse)
        }
        Place::Recipient(person) => {
            let recipient = Recipient::of(&address(person));
            ledger.recipient_day(&recipient, today()).cloned().map(Record::Recipient)
        }
        Place::Answer(of, person) => ledger.answer(&answer_id(of, person)).cloned().map(Record::Answer),
    };
    record.into_iter().collect()
}

/// Plans of as many of `places`: most with all guards right, so that tables fill; the others as it happens.
fn plans(ledger: &Ledger, places: Vec<Place>, changes: impl Into<SizeRange>) -> BoxedStrategy<Plan> {
    let ledger = ledger.clone();
    let places = subsequence(places, changes).prop_shuffle();
    let changes = (places, prop::bool::weighted(0.75)).prop_flat_map(move |(places, sound)| {
        let change = |place: Place| {
            let stored = only(&ledger, place);
            let holds =
                move |change: &Change| stored.clone().commit(&Plan::from_iter([change.clone()])).is_ok();
            let change =
                near(&ledger, place).prop_filter("the guard fails", move |change| !sound || holds(change));
            // What nothing depends on is left out when a failure is shrunk.
            proptest::option::weighted(0.97, change)
        };
        places.into_iter().map(change).collect::<Vec<_>>()
    });
    let plans = changes.prop_map(|changes| changes.into_iter().flatten().take(CHANGES_MAX).collect::<Plan>());
    plans.prop_filter("a transaction has items", |plan| !plan.changes().is_empty()).boxed()
}

/// The table as it has to be, and what has to become of the last plan.
#[derive(Debug, Clone)]
struct Meant {
    ledger: Ledger,
    outcome: Outcome,
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
        let empty = |people| Meant { ledger: Ledger::default(), outcome: Outcome::Committed, people };
        people.prop_map(empty).boxed()
    }

    fn transitions(state: &Meant) -> BoxedStrategy<Plan> {
        let places = places(state.people);
        let small = plans(&state.ledger, places.clone(), 1..=3);
        let middling = plans(&state.ledger, places.clone(), 4..=12);
        if state.people == FEW {
            return prop_oneof![2 => small, 1 => middling].boxed();
        }
        let full = plans(&state.ledger, places, CHANGES_MAX + 10);
        prop_oneof![1 => middling, 1 => full].boxed()
    }

    fn apply(mut state: Meant, plan: &Plan) -> Meant {
        state.outcome = match state.ledger.commit(plan) {
            Ok(()) => Outcome::Committed,
            Err(failed) => Outcome::GuardFailed(failed),
        };
        state
    }
}

/// What becomes of them at DynamoDB.
struct Practice {
    runtime: Runtime,
    stage: Stage,
}

impl StateMachineTest for Practice {
    type SystemUnderTest = Self;
    type Reference = Meaning;

    fn init_test(_: &Meant) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let stage = runtime.block_on(Stage::start());
        Self { runtime, stage }
    }

    fn apply(practice: Self, meant: &Meant, plan: Plan) -> Self {
        let outcome = practice.runtime.block_on(practice.stage.store().commit_once(&plan)).unwrap();
        assert_eq!(outcome, meant.outcome, "{plan:#?}");
        practice
    }

    /// The table holds what it should, and every item is what a fresh write of its record would have made.
    fn check_invariants(practice: &Self, meant: &Meant) {
        let items = practice.runtime.block_on(practice.stage.table().items()).unwrap();
        let mut stored: BTreeMap<_, _> = items.into_iter().map(|item| (key(&item), item)).collect();
        for record in meant.ledger.records() {
            let fresh = record::write(&record).unwrap();
            let found = stored.remove(&key(&fresh)).map(in_order);
            assert_eq!(found, Some(fresh.clone()), "{record:?}");
            assert_eq!(record::read(fresh).unwrap(), record);
        }
        assert_eq!(stored, BTreeMap::new(), "nothing else is there");
    }

    fn teardown(practice: Self, _: Meant) {
        practice.runtime.block_on(practice.stage.ends());
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
        cases: if Stage::is_elsewhere() { CASES_ELSEWHERE } else { CASES },
        failure_persistence: None,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn plans_mean_at_dynamodb_what_they_mean_in_the_ledger(sequential 1..=20 => Practice);
}

/// The kind of a change; whoever adds one is reminded here to let it happen above.
fn kind(change: &Change) -> &'static str {
    match change {
        Change::Organization(_, OrganizationChange::Found(_)) => "found",
        Change::Organization(_, OrganizationChange::Count { invited: None, .. }) => "count",
        Change::Organization(_, OrganizationChange::Count { .. }) => "count and invited",
        Change::Member(_, _, MemberChange::Join(_)) => "join",
        Change::Member(_, _, MemberChange::MayGrant(_)) => "may grant",
        Change::Member(_, _, MemberChange::Mail(_, None)) => "mail",
        Change::Member(_, _, MemberChange::Mail(_, Some(Counting::On { .. }))) => "mail, on",
        Change::Member(_, _, MemberChange::Mail(_, Some(Counting::Anew { .. }))) => "mail, anew",
        Change::Member(_, _, MemberChange::SetRole { .. }) => "set role",
        Change::Member(_, _, MemberChange::Leave { .. }) => "leave",
        Change::Invitation(_, _, InvitationChange::Write(_)) => "write",
        Change::Invitation(_, _, InvitationChange::Stands(Standing::PendingUntil(_))) => "pending",
        Change::Invitation(_, _, InvitationChange::Stands(Standing::Accepted)) => "accepted",
        Change::Invitation(_, _, InvitationChange::Remove { .. }) => "remove",
        Change::Lapse(_, _, _, LapseChange::Absent) => "no lapse",
        Change::Lapse(_, _, _, LapseChange::Mark { .. }) => "lapse",
        Change::Recipient(_, _, RecipientChange::Mail { .. }) => "recipient",
        Change::Answer(_, AnswerChange::Keep { .. }) => "keep",
    }
}

#[test]
fn the_plans_are_of_every_kind_and_size() {
    let mut runner = TestRunner::deterministic();
    let (mut done, mut failed) = (BTreeSet::new(), BTreeSet::new());
    let (mut states, mut sizes) = (BTreeSet::new(), BTreeSet::new());
    let mut failed_together = 0;
    for _ in 0..128 {
        let history = Meaning::sequential_strategy(20).new_tree(&mut runner).unwrap().current();
        let (mut meant, plans, _) = history;
        for plan in &plans {
            meant = Meaning::apply(meant, plan);
            sizes.insert((plan.changes().len(), meant.outcome == Outcome::Committed));
            match &meant.outcome {
                Outcome::Committed => done.extend(plan.changes().iter().map(kind)),
                Outcome::GuardFailed(GuardFailed(places)) => {
                    failed.extend(places.iter().map(|place| kind(&plan.changes()[*place])));
                    failed_together = failed_together.max(places.len());
                }
            }
            let all = ORGANIZATIONS.into_iter().map(id);
            let all = all.flat_map(|id| meant.ledger.invitations(&id).collect::<Vec<_>>());
            states.extend(all.map(|it| it.status().as_str()));
        }
    }
    // A lapse is marked whatever is there.
    assert_eq!((done.len(), failed.len()), (18, 17), "{done:?} {failed:?}");
    assert_eq!(states.len(), Status::ALL.len());
    assert!([(CHANGES_MAX, true), (CHANGES_MAX, false), (1, true)].iter().all(|size| sizes.contains(size)));
    assert!(failed_together > 3);
}
