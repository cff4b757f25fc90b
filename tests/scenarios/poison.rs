//! What nobody can do is given up with its ids, holds up nobody else, and is done once its cause is gone: by
//! `reconcile`, or by hand as the README says.

use aws_sdk_dynamodb::types::AttributeValue;
use harness::{Call, Fault, MAIL_COOLDOWN, Organization, Person, TWO_DAYS, World};
use local::dead_letters::DeadLetter;
use local::table::Attributes;
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const EVE: &str = "eve@example.com";
/// Seconds between two runs of `reconcile`; what is overdue has waited for less.
const RECONCILED: u64 = 15 * 60;
/// Seconds after an invitation's expiry when it is overdue.
const EXPIRY_OVERDUE: u64 = 5 * 60;

/// Ada's organization, where things go wrong, and bea's, where nothing does.
async fn two(world: &World) -> [(Person, Organization); 2] {
    let (ada, bea) = (world.person("ada"), world.person("bea"));
    let (acme, bees) = (world.founded_by(&ada).await, world.founded_by(&bea).await);
    world.idle().await;
    [(ada, acme), (bea, bees)]
}

/// The dead letters, which never show an address or a token.
fn dead(world: &World) -> Vec<DeadLetter> {
    let dead = world.laptop().dead_letters().unwrap();
    let shown = serde_json::to_string(&dead).unwrap();
    assert!(!shown.contains('@') && !shown.contains("v1.dev."), "{shown}");
    dead
}

/// Whose dead letters they are, sorted.
fn functions(dead: &[DeadLetter]) -> Vec<&str> {
    let mut functions: Vec<_> = dead.iter().map(|letter| letter.function.as_str()).collect();
    functions.sort_unstable();
    functions
}

/// Whether the letter tells where in the stream its record is, and that it is one of this organization.
fn is_of(letter: &DeadLetter, organization: &Organization) -> bool {
    let of = format!("ORG#{}", organization.id);
    letter.ids["keys"]["pk"]["S"] == of.as_str()
        && letter.ids["shard"].is_string()
        && letter.ids["sequence_number"].is_string()
}

/// The stored item for which `is` holds.
async fn stored(world: &World, is: impl Fn(&Attributes) -> bool) -> Attributes {
    let items = world.laptop().table().items().await.unwrap();
    items.into_iter().find(is).unwrap()
}

/// The record of what was given up, as `aws dynamodbstreams get-records` shows it, less the time that Lambda writes
/// in another way.
async fn given_up(world: &World, letter: &DeadLetter) -> Value {
    let is = |record: &Value| record["dynamodb"]["SequenceNumber"] == letter.ids["sequence_number"];
    let mut record = world.stream().await.into_iter().find(is).unwrap();
    record["dynamodb"].as_object_mut().unwrap().remove("ApproximateCreationDateTime");
    record.as_object_mut().unwrap().remove("eventSourceARN");
    record
}

fn count(world: &World, email: &str) -> usize {
    world.laptop().mailbox().items(Some(email)).len()
}

#[tokio::test]
async fn a_record_that_nobody_can_read_is_given_up_alone_and_mended_it_is_as_before() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two(&world).await;
    let bobs = world.invited(&acme, &ada, BOB, "member").await;
    world.idle().await;
    let sound = stored(&world, |item| item.get("email") == Some(&AttributeValue::S(BOB.to_owned()))).await;
    let mut spoilt = sound.clone();
    // Its mail would be owed, and its deadline has come, if one could tell what it is about.
    for (name, value) in [("delivery", "queued"), ("role", "unheard-of"), ("expires_at", "soon")] {
        spoilt.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
    }
    world.laptop().table().put(spoilt).await.unwrap();
    let eves = world.invited(&bees, &bea, EVE, "member").await;
    world.idle().await;
    assert_eq!(count(&world, EVE), 1);
    assert!(world.schedule(&bees, &eves).await.is_some());
    let letters = dead(&world);
    assert_eq!(functions(&letters), ["mail", "schedule"]);
    assert!(letters.iter().all(|letter| is_of(letter, &acme)), "{letters:?}");

    world.laptop().table().put(sound).await.unwrap();
    world.idle().await;
    assert_eq!(dead(&world), letters, "what it was before is nobody's trouble");
    world.passes(MAIL_COOLDOWN).await;
    ada.resends(&acme, bobs["id"].as_str().unwrap()).await.is(200);
    world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
    assert_eq!(dead(&world), letters);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn a_mail_that_cannot_be_made_is_owed_until_it_can() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two(&world).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    world.invited(&acme, &ada, BOB, "member").await;
    world.invited(&bees, &bea, EVE, "member").await;
    world.idle().await;
    world.wire().clear_faults();
    // A mail names the organization, and this one's name is none.
    let pk = AttributeValue::S(format!("ORG#{}", acme.id));
    let sound = stored(&world, |item| item["pk"] == pk && item.contains_key("seats_total")).await;
    let mut spoilt = sound.clone();
    spoilt.insert("name".to_owned(), AttributeValue::Bool(true));
    world.laptop().table().put(spoilt).await.unwrap();
    world.passes(RECONCILED).await;
    assert_eq!((count(&world, BOB), count(&world, EVE)), (0, 1));
    let letters = dead(&world);
    assert_eq!(functions(&letters), ["mail"; 3], "two of the day without a service, and bob's again");
    assert_eq!(letters.iter().filter(|letter| is_of(letter, &acme)).count(), 2, "{letters:?}");

    world.laptop().table().put(sound).await.unwrap();
    world.passes(RECONCILED).await;
    assert_eq!((count(&world, BOB), count(&world, EVE)), (1, 1));
    assert_eq!(dead(&world), letters);
    world.finish_with_dead_letters().await;
}

/// SES and the Scheduler do nothing for this organization.
fn neglect(world: &World, organization: &Organization) {
    for (operation, code) in
        [("SendEmail", "AccountSuspendedException"), ("CreateSchedule", "ServiceQuotaExceededException")]
    {
        let id = organization.id.clone();
        let is_its = move |call: &Call| call.body.to_string().contains(&id);
        world.wire().judge(operation, move |call| is_its(call).then_some(Fault::Refused(code)));
    }
}

#[tokio::test]
async fn what_goes_wrong_in_one_organization_is_no_other_ones_and_is_driven_again() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two(&world).await;
    neglect(&world, &acme);
    let (mut neglected, mut served) = (Vec::new(), Vec::new());
    for number in 0..5 {
        neglected.push(world.invited(&acme, &ada, &format!("a{number}@example.com"), "member").await);
        served.push(world.invited(&bees, &bea, &format!("b{number}@example.com"), "member").await);
    }
    world.idle().await;
    let mailed = |of: &[Value]| -> Vec<usize> {
        of.iter().map(|it| count(&world, it["email"].as_str().unwrap())).collect()
    };
    assert_eq!((mailed(&neglected), mailed(&served)), (vec![0; 5], vec![1; 5]));
    for invitation in &served {
        assert!(world.schedule(&bees, invitation).await.is_some());
    }
    let letters = dead(&world);
    assert_eq!(functions(&letters), [["mail"; 5], ["schedule"; 5]].concat());
    assert!(letters.iter().all(|letter| is_of(letter, &acme)), "{letters:?}");

    // Mail is reconcile's.
    world.wire().clear_faults();
    world.passes(RECONCILED).await;
    assert_eq!((mailed(&neglected), mailed(&served)), (vec![1; 5], vec![1; 5]));
    // A schedule can be made by hand, from the record's place in the stream.
    let unmade = letters.iter().filter(|letter| letter.function == "schedule");
    for letter in unmade.skip(1) {
        let record = given_up(&world, letter).await;
        assert_eq!(world.feeds("schedule", &[record]).await, [""; 0]);
    }
    let mut scheduled = 0;
    for invitation in &neglected {
        scheduled += usize::from(world.schedule(&acme, invitation).await.is_some());
    }
    assert_eq!(scheduled, 4);
    world.passes(TWO_DAYS - RECONCILED).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "the fifth has no schedule");
    // Or it is left to reconcile, which closes what nobody has closed.
    world.passes(EXPIRY_OVERDUE + RECONCILED).await;
    assert_eq!((ada.counts_seats(&acme).await.0, bea.counts_seats(&bees).await.0), (1, 1));
    assert_eq!(dead(&world), letters);
    world.finish_with_dead_letters().await;
}

/// What `function` writes is refused.
fn refuse(world: &World, function: &'static str) {
    world.wire().judge("TransactWriteItems", move |call| {
        (call.function.as_deref() == Some(function)).then_some(Fault::Refused("AccessDeniedException"))
    });
}

#[tokio::test]
async fn a_timer_that_is_given_up_can_be_played_again_by_hand() {
    let world = World::start().await;
    let [(ada, acme), (bea, bees)] = two(&world).await;
    let bobs = world.invited(&acme, &ada, BOB, "member").await;
    let eves = world.invited(&bees, &bea, EVE, "member").await;
    world.idle().await;
    refuse(&world, "expire");
    world.passes(TWO_DAYS).await;
    let letters = dead(&world);
    assert_eq!(functions(&letters), ["expire"; 2]);
    assert!(letters.iter().all(|letter| letter.source == "schedule" && letter.ids["name"].is_string()));
    assert_eq!((ada.counts_seats(&acme).await.0, bea.counts_seats(&bees).await.0), (2, 2));
    world.wire().clear_faults();
    for _ in 0..2 {
        world.invokes("expire", harness::timer(&acme, &bobs)).await.unwrap();
        assert_eq!(ada.counts_seats(&acme).await.0, 1);
    }
    // Whoever does nothing has it done by reconcile.
    world.passes(EXPIRY_OVERDUE + RECONCILED).await;
    assert_eq!(bea.counts_seats(&bees).await.0, 1);
    world.invokes("expire", harness::timer(&bees, &eves)).await.unwrap();
    assert_eq!(bea.counts_seats(&bees).await.0, 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn what_was_told_of_a_mail_and_given_up_is_told_again_by_hand() {
    let world = World::start().await;
    let [(ada, acme), _] = two(&world).await;
    let bobs = world.invited(&acme, &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    refuse(&world, "feedback");
    world.hears(&mail, json!({ "kind": "bounce" })).await;
    let letters = dead(&world);
    assert_eq!(functions(&letters), ["feedback"]);
    world.wire().clear_faults();
    world.passes(RECONCILED).await;
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent", "nobody else knows of it");
    // What the queue's message holds as `requestPayload`.
    let told = json!({
        "kind": "bounce", "bounce": "Permanent", "reason": "General",
        "organization": [acme.id], "invitation": [bobs["id"]], "generation": [bobs["generation"].to_string()],
        "expires_at": [harness::moment(&bobs["expires_at"]).unix().to_string()],
    });
    for _ in 0..2 {
        world.invokes("feedback", told.clone()).await.unwrap();
        assert_eq!(ada.finds(&acme, BOB).await["delivery"], "bounced");
    }
    world.finish_with_dead_letters().await;
}
