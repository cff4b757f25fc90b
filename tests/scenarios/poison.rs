//! Events that no retry can process. Each becomes a dead letter that contains its ids, and blocks no other event. After
//! the cause is repaired, `reconcile` or an operator repeats the work.

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{AwsRequest, Fault, MAIL_COOLDOWN, Organization, Person, SCHEDULE_FIRED, World};
use local::dead_letters::DeadLetter;
use local::table::Attributes;
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const EVE: &str = "eve@example.com";
/// Seconds between two runs of `reconcile`. Mail is overdue after 10 minutes, so the next run requeues it.
const RECONCILE_INTERVAL: u64 = 15 * 60;
/// Seconds after its expiry until a pending invitation is overdue.
const EXPIRY_OVERDUE: u64 = 5 * 60;

/// Creates two organizations: Ada's, in which events fail, and Bea's, in which all events succeed.
async fn two_organizations(world: &World) -> [(Person, Organization); 2] {
    let (ada, bea) = (world.person("ada"), world.person("bea"));
    let (acme, bees) = (world.founded_by(&ada).await, world.founded_by(&bea).await);
    world.wait_until_idle().await;
    [(ada, acme), (bea, bees)]
}

/// Returns the dead letters. Asserts that they contain no address and no token.
fn dead_letters(world: &World) -> Vec<DeadLetter> {
    let letters = world.laptop().dead_letters().unwrap();
    let text = serde_json::to_string(&letters).unwrap();
    assert!(!text.contains('@') && !text.contains("v1.dev."), "{text}");
    letters
}

/// Returns the function of each dead letter, sorted.
fn functions(letters: &[DeadLetter]) -> Vec<&str> {
    let mut functions: Vec<_> = letters.iter().map(|letter| letter.function.as_str()).collect();
    functions.sort_unstable();
    functions
}

/// Whether the letter identifies a record in the stream, and the record is an item of this organization.
fn is_of(letter: &DeadLetter, organization: &Organization) -> bool {
    let pk = format!("ORG#{}", organization.id);
    letter.ids["keys"]["pk"]["S"] == pk.as_str()
        && letter.ids["shard"].is_string()
        && letter.ids["sequence_number"].is_string()
}

/// Returns the first item in the table that `matches`.
async fn find_item(world: &World, matches: impl Fn(&Attributes) -> bool) -> Attributes {
    let items = world.laptop().table().items().await.unwrap();
    items.into_iter().find(matches).unwrap()
}

/// Returns the stream record of a dead letter, as `aws dynamodbstreams get-records` prints it.
///
/// The creation time is removed, because Lambda formats it in another way.
async fn stream_record_of(world: &World, letter: &DeadLetter) -> Value {
    let is_same = |record: &Value| record["dynamodb"]["SequenceNumber"] == letter.ids["sequence_number"];
    let mut record = world.stream_records().await.into_iter().find(is_same).unwrap();
    record["dynamodb"].as_object_mut().unwrap().remove("ApproximateCreationDateTime");
    record.as_object_mut().unwrap().remove("eventSourceARN");
    record
}

/// Returns the number of mails to `email`.
fn count_mails(world: &World, email: &str) -> usize {
    world.laptop().mailbox().items(Some(email)).len()
}

#[tokio::test]
async fn an_unreadable_record_becomes_a_dead_letter_and_works_after_repair() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two_organizations(&world).await;
    let bobs = world.invited(&acme, &ada, BOB, "member").await;
    world.wait_until_idle().await;
    let original =
        find_item(&world, |item| item.get("email") == Some(&AttributeValue::S(BOB.to_owned()))).await;
    let mut broken = original.clone();
    // The delivery status makes `mail` read the record, and the expiry makes `schedule` read it. Both fail.
    for (name, value) in [("delivery", "queued"), ("role", "unheard-of"), ("expires_at", "soon")] {
        broken.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
    }
    world.laptop().table().put(broken).await.unwrap();
    let eves = world.invited(&bees, &bea, EVE, "member").await;
    world.wait_until_idle().await;
    assert_eq!(count_mails(&world, EVE), 1);
    assert!(world.schedule(&bees, &eves).await.is_some());
    let letters = dead_letters(&world);
    assert_eq!(functions(&letters), ["mail", "schedule"]);
    assert!(letters.iter().all(|letter| is_of(letter, &acme)), "{letters:?}");

    world.laptop().table().put(original).await.unwrap();
    world.wait_until_idle().await;
    assert_eq!(dead_letters(&world), letters, "an unreadable old image is no dead letter");
    world.advance(MAIL_COOLDOWN).await;
    ada.resends(&acme, bobs["id"].as_str().unwrap()).await.is(200);
    world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
    assert_eq!(dead_letters(&world), letters);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn a_mail_that_cannot_be_rendered_stays_queued_until_the_organization_is_repaired() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two_organizations(&world).await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    world.invited(&acme, &ada, BOB, "member").await;
    world.invited(&bees, &bea, EVE, "member").await;
    world.wait_until_idle().await;
    world.wire().clear_faults();
    // A mail contains the organization's name, and this organization's name cannot be read.
    let pk = AttributeValue::S(format!("ORG#{}", acme.id));
    let original = find_item(&world, |item| item["pk"] == pk && item.contains_key("seats_total")).await;
    let mut broken = original.clone();
    broken.insert("name".to_owned(), AttributeValue::Bool(true));
    world.laptop().table().put(broken).await.unwrap();
    world.advance(RECONCILE_INTERVAL).await;
    assert_eq!((count_mails(&world, BOB), count_mails(&world, EVE)), (0, 1));
    let letters = dead_letters(&world);
    assert_eq!(functions(&letters), ["mail"; 3], "two while SES failed, one for the retry of Bob's mail");
    assert_eq!(letters.iter().filter(|letter| is_of(letter, &acme)).count(), 2, "{letters:?}");

    world.laptop().table().put(original).await.unwrap();
    world.advance(RECONCILE_INTERVAL).await;
    assert_eq!((count_mails(&world, BOB), count_mails(&world, EVE)), (1, 1));
    assert_eq!(dead_letters(&world), letters);
    world.finish_with_dead_letters().await;
}

/// Makes SES and EventBridge Scheduler refuse all requests for this organization.
fn refuse_services(world: &World, organization: &Organization) {
    for (operation, code) in
        [("SendEmail", "AccountSuspendedException"), ("CreateSchedule", "ServiceQuotaExceededException")]
    {
        let id = organization.id.clone();
        let is_for_organization = move |call: &AwsRequest| call.body.to_string().contains(&id);
        world.wire().inject_fault_if(operation, move |call| {
            is_for_organization(call).then_some(Fault::Refused(code))
        });
    }
}

#[tokio::test]
async fn faults_in_one_organization_do_not_affect_others_and_the_work_is_retried() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two_organizations(&world).await;
    refuse_services(&world, &acme);
    let (mut failing, mut working) = (Vec::new(), Vec::new());
    for number in 0..5 {
        failing.push(world.invited(&acme, &ada, &format!("a{number}@example.com"), "member").await);
        working.push(world.invited(&bees, &bea, &format!("b{number}@example.com"), "member").await);
    }
    world.wait_until_idle().await;
    let mailed = |of: &[Value]| -> Vec<usize> {
        of.iter().map(|it| count_mails(&world, it["email"].as_str().unwrap())).collect()
    };
    assert_eq!((mailed(&failing), mailed(&working)), (vec![0; 5], vec![1; 5]));
    for invitation in &working {
        assert!(world.schedule(&bees, invitation).await.is_some());
    }
    let letters = dead_letters(&world);
    assert_eq!(functions(&letters), [["mail"; 5], ["schedule"; 5]].concat());
    assert!(letters.iter().all(|letter| is_of(letter, &acme)), "{letters:?}");

    // `reconcile` requeues the mails.
    world.wire().clear_faults();
    world.advance(RECONCILE_INTERVAL).await;
    assert_eq!((mailed(&failing), mailed(&working)), (vec![1; 5], vec![1; 5]));
    // An operator repeats `schedule` with the stream records that the dead letters identify, except for one.
    let schedule_letters = letters.iter().filter(|letter| letter.function == "schedule");
    for letter in schedule_letters.skip(1) {
        let record = stream_record_of(&world, letter).await;
        assert_eq!(world.invoke_with_records("schedule", &[record]).await, [""; 0]);
    }
    let mut scheduled = 0;
    for invitation in &failing {
        scheduled += usize::from(world.schedule(&acme, invitation).await.is_some());
    }
    assert_eq!(scheduled, 4);
    world.advance(SCHEDULE_FIRED - RECONCILE_INTERVAL).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "the fifth invitation has no schedule");
    // `reconcile` closes the invitation without a schedule.
    world.advance(EXPIRY_OVERDUE + RECONCILE_INTERVAL).await;
    assert_eq!((ada.counts_seats(&acme).await.0, bea.counts_seats(&bees).await.0), (1, 1));
    assert_eq!(dead_letters(&world), letters);
    world.finish_with_dead_letters().await;
}

/// Makes DynamoDB refuse all transactions of `function`.
fn refuse_writes(world: &World, function: &'static str) {
    world.wire().inject_fault_if("TransactWriteItems", move |call| {
        (call.function.as_deref() == Some(function)).then_some(Fault::Refused("AccessDeniedException"))
    });
}

#[tokio::test]
async fn a_timer_that_became_a_dead_letter_can_be_repeated_by_an_operator() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two_organizations(&world).await;
    let bobs = world.invited(&acme, &ada, BOB, "member").await;
    let eves = world.invited(&bees, &bea, EVE, "member").await;
    world.wait_until_idle().await;
    refuse_writes(&world, "expire");
    world.advance(SCHEDULE_FIRED).await;
    let letters = dead_letters(&world);
    assert_eq!(functions(&letters), ["expire"; 2]);
    assert!(letters.iter().all(|letter| letter.source == "schedule" && letter.ids["name"].is_string()));
    assert_eq!((ada.counts_seats(&acme).await.0, bea.counts_seats(&bees).await.0), (2, 2));
    world.wire().clear_faults();
    for _ in 0..2 {
        world.invoke("expire", harness::timer(&acme, &bobs)).await.unwrap();
        assert_eq!(ada.counts_seats(&acme).await.0, 1);
    }
    // Without an operator, `reconcile` closes the invitation.
    world.advance(EXPIRY_OVERDUE + RECONCILE_INTERVAL).await;
    assert_eq!(bea.counts_seats(&bees).await.0, 1);
    world.invoke("expire", harness::timer(&bees, &eves)).await.unwrap();
    assert_eq!(bea.counts_seats(&bees).await.0, 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn a_ses_event_that_became_a_dead_letter_can_be_repeated_by_an_operator() {
    let world = World::start().await;
    let [(ada, acme), _] = two_organizations(&world).await;
    let bobs = world.invited(&acme, &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    refuse_writes(&world, "feedback");
    world.send_ses_event(&mail, json!({ "kind": "bounce" })).await;
    let letters = dead_letters(&world);
    assert_eq!(functions(&letters), ["feedback"]);
    world.wire().clear_faults();
    world.advance(RECONCILE_INTERVAL).await;
    assert_eq!(
        ada.finds_invitation(&acme, BOB).await["delivery"],
        "sent",
        "only the event contains the bounce"
    );
    // The event, as in `requestPayload` of the message in the dead-letter queue.
    let event = json!({
        "kind": "bounce", "bounce": "Permanent", "reason": "General",
        "organization": [acme.id], "invitation": [bobs["id"]], "generation": [bobs["generation"].to_string()],
        "expires_at": [harness::timestamp(&bobs["expires_at"]).unix().to_string()],
    });
    for _ in 0..2 {
        world.invoke("feedback", event.clone()).await.unwrap();
        assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "bounced");
    }
    world.finish_with_dead_letters().await;
}
