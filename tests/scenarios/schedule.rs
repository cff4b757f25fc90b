//! The schedules of invitations: one for each that is pending, at its deadline, and none for any other.

use harness::{Fault, Organization, Person, World, timer};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const LIFETIME: u64 = 48 * 60 * 60;

/// Ada's organization, with nothing going on besides.
async fn calm(world: &World) -> (Person, Organization) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let _ = world.wire().take();
    (ada, acme)
}

/// What EventBridge Scheduler was asked since the last time, by name.
async fn asked(world: &World) -> Vec<String> {
    world.idle().await;
    let calls = world.wire().take().into_iter().map(|call| call.operation);
    calls.filter(|operation| operation.ends_with("Schedule")).collect()
}

fn id(invitation: &Value) -> &str {
    invitation["id"].as_str().unwrap()
}

/// The schedule stands for this very invitation and its deadline.
#[track_caller]
fn is_for(schedule: &Value, acme: &Organization, invitation: &Value) {
    let moment = invitation["expires_at"].as_str().unwrap().trim_end_matches('Z');
    assert_eq!(schedule["ScheduleExpression"], format!("at({moment})"));
    assert_eq!(schedule["ScheduleExpressionTimezone"], "UTC");
    assert_eq!(schedule["FlexibleTimeWindow"], json!({ "Mode": "OFF" }));
    assert_eq!(schedule["ActionAfterCompletion"], "DELETE");
    assert_eq!(schedule["GroupName"], "roster");
    assert_eq!(schedule["State"], "ENABLED");
    let input: Value = serde_json::from_str(schedule["Target"]["Input"].as_str().unwrap()).unwrap();
    assert_eq!(input, timer(acme, invitation));
    assert!(schedule["Target"]["Arn"].as_str().unwrap().ends_with(":function:expire"));
}

#[tokio::test]
async fn a_pending_invitation_has_one_schedule_at_its_deadline() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    // The mail's mark is a change too, and none of the schedule's business.
    assert_eq!(asked(&world).await, ["CreateSchedule"]);
    is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);
    let founder = ada.finds(&acme, "ada@example.com").await;
    assert_eq!(world.schedule(&acme, &founder).await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_resend_moves_the_schedule_and_the_old_deadline_is_nobodys() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.passes(LIFETIME / 2).await;
    let _ = world.wire().take();
    let again = ada.resends(&acme, id(&invitation)).await.is(200);
    assert_eq!(asked(&world).await, ["UpdateSchedule"]);
    is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &again);
    world.passes(LIFETIME / 2).await;
    assert_eq!(ada.finds(&acme, BOB).await["status"], "pending");
    world.passes(LIFETIME / 2).await;
    assert_eq!(ada.finds(&acme, BOB).await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn whatever_ends_an_invitation_deletes_its_schedule() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let emails = ["bob@example.com", "eve@example.com", "ivy@example.com"];
    let results = ada.invites(&acme, &emails, "member").await.is(200);
    let invitations: Vec<_> = (0..3).map(|place| results["results"][place]["invitation"].clone()).collect();
    assert_eq!(asked(&world).await, ["CreateSchedule"; 3]);
    let (bob, eve) = (world.person("bob"), world.person("eve"));
    bob.accepts(&world.token_for(emails[0]).await).await.is(200);
    eve.declines(&world.token_for(emails[1]).await).await.is(204);
    ada.revokes(&acme, id(&invitations[2])).await.is(204);
    assert_eq!(asked(&world).await, ["DeleteSchedule"; 3]);
    for invitation in &invitations {
        assert_eq!(world.schedule(&acme, invitation).await, None);
    }
    // What is over stays over: a role, a removal, or being purged has nothing to do with deadlines.
    ada.edits(&acme, "bob", "owner").await.is(200);
    ada.removes(&acme, "bob").await.is(204);
    world.passes(31 * 24 * 60 * 60).await;
    assert_eq!(asked(&world).await, [""; 0]);
    world.finish().await;
}

#[tokio::test]
async fn an_address_that_is_invited_anew_has_a_schedule_anew() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    world.passes(61).await;
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    let again = world.invited(&acme, &ada, BOB, "owner").await;
    world.idle().await;
    is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &again);
    world.finish().await;
}

#[tokio::test]
async fn what_is_due_already_is_handed_to_expire_at_once() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.loses_schedule(&acme, &invitation).await;
    world.passes(LIFETIME).await;
    // It reads as expired, and nobody has closed it.
    assert_eq!(ada.finds(&acme, BOB).await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    assert_eq!(world.feeds("schedule", &world.stream().await).await, [""; 0]);
    // Scheduler takes no moment that has passed; a few seconds from now is what it can be asked for.
    world.passes(5).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_batch_that_is_delivered_twice_leaves_what_the_records_ask_for() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let pending = world.invited(&acme, &ada, BOB, "member").await;
    world.passes(61).await;
    let pending = ada.resends(&acme, id(&pending)).await.is(200);
    let over = world.invited(&acme, &ada, "eve@example.com", "member").await;
    ada.revokes(&acme, id(&over)).await.is(204);
    world.idle().await;
    let records = world.stream().await;
    for _ in 0..2 {
        assert_eq!(world.feeds("schedule", &records).await, [""; 0]);
        is_for(&world.schedule(&acme, &pending).await.unwrap(), &acme, &pending);
        assert_eq!(world.schedule(&acme, &over).await, None);
    }
    // The oldest record alone, long after: what is read again decides, not what the record says.
    for record in &records {
        assert_eq!(world.feeds("schedule", std::slice::from_ref(record)).await, [""; 0]);
    }
    is_for(&world.schedule(&acme, &pending).await.unwrap(), &acme, &pending);
    assert_eq!(world.schedule(&acme, &over).await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_scheduler_that_fails_for_a_while_has_the_schedule_in_the_end() {
    for (fault, times) in [
        // More than the SDK tries by itself.
        (Fault::Refused("ThrottlingException"), 4),
        (Fault::Refused("InternalServerException"), 1),
        (Fault::Refused("ServiceQuotaExceededException"), 2),
        (Fault::Refused("AccessDeniedException"), 1),
        (Fault::LostBefore, 1),
        (Fault::LostAfter, 1),
    ] {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb("CreateSchedule", fault.clone(), times);
        let invitation = world.invited(&acme, &ada, BOB, "member").await;
        world.passes(61).await;
        assert!(world.wire().is_calm(), "{fault:?}");
        is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);

        world.wire().disturb("UpdateSchedule", fault.clone(), times);
        let again = ada.resends(&acme, id(&invitation)).await.is(200);
        world.idle().await;
        assert!(world.wire().is_calm(), "{fault:?}");
        is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &again);

        world.wire().disturb("DeleteSchedule", fault.clone(), times);
        ada.revokes(&acme, id(&invitation)).await.is(204);
        world.idle().await;
        assert!(world.wire().is_calm(), "{fault:?}");
        assert_eq!(world.schedule(&acme, &invitation).await, None, "{fault:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_schedule_that_somebody_else_is_changing_is_tried_again() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    // There, it is said, and then again not there.
    world.wire().disturb("CreateSchedule", Fault::Refused("ConflictException"), 1);
    world.wire().disturb("UpdateSchedule", Fault::Refused("ResourceNotFoundException"), 1);
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!(asked(&world).await, ["CreateSchedule", "UpdateSchedule", "CreateSchedule"]);
    is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);
    world.wire().disturb("DeleteSchedule", Fault::Refused("ConflictException"), 1);
    ada.revokes(&acme, id(&invitation)).await.is(204);
    assert_eq!(asked(&world).await, ["DeleteSchedule", "DeleteSchedule"]);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn without_its_schedule_an_invitation_still_ends_at_its_deadline() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb("CreateSchedule", Fault::Refused("ServiceQuotaExceededException"), usize::MAX);
    world.invited(&acme, &ada, BOB, "member").await;
    let token = world.token_for(BOB).await;
    let dead = world.laptop().dead_letters().unwrap();
    assert_eq!(dead.iter().map(|letter| letter.function.as_str()).collect::<Vec<_>>(), ["schedule"]);
    world.wire().clear_faults();
    world.passes(LIFETIME).await;
    world.person("bob").accepts(&token).await.refused(410, "invitation_expired");
    assert_eq!(ada.finds(&acme, BOB).await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "the seat waits for whoever drives it again");
    assert_eq!(world.feeds("schedule", &world.stream().await).await, [""; 0]);
    world.passes(5).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn a_schedule_that_is_made_too_late_does_not_stay() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let held = world.wire().hold_work("CreateSchedule");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    held.release();
    assert_eq!(asked(&world).await, ["CreateSchedule", "DeleteSchedule"]);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_poison_record_is_reported_alone() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.loses_schedule(&acme, &invitation).await;
    let is_new = |record: &Value| {
        record["dynamodb"]["NewImage"]["email"]["S"] == BOB && record["dynamodb"]["OldImage"].is_null()
    };
    let good = world.stream().await.into_iter().find(is_new).unwrap();
    let mut poison = good.clone();
    poison["dynamodb"]["SequenceNumber"] = json!("poison");
    poison["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    assert_eq!(world.feeds("schedule", &[poison, good]).await, ["poison"]);
    is_for(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);
    world.finish().await;
}
