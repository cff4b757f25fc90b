//! The function `schedule`: each pending invitation has one schedule, at the first full minute from its expiry. Other invitations have none.

use domain::Timestamp;
use harness::{Fault, Organization, SCHEDULE_FIRED, World, timer, timestamp};
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const LIFETIME: u64 = 48 * 60 * 60;

/// Returns the operations of the requests to EventBridge Scheduler since the last call.
async fn take_scheduler_requests(world: &World) -> Vec<String> {
    world.wait_until_idle().await;
    let operations = world.wire().take_requests().into_iter().map(|request| request.operation);
    operations.filter(|operation| operation.ends_with("Schedule")).collect()
}

fn id(invitation: &Value) -> &str {
    invitation["id"].as_str().unwrap()
}

/// Asserts that the schedule invokes `expire` for this invitation, at the first full minute from its expiry.
#[track_caller]
fn assert_schedules(schedule: &Value, acme: &Organization, invitation: &Value) {
    let expires_at = timestamp(&invitation["expires_at"]).unix();
    let full_minute = (expires_at..expires_at + 60).find(|second| second % 60 == 0).unwrap();
    let time = Timestamp::from_unix(full_minute).to_string();
    assert_eq!(schedule["ScheduleExpression"], format!("at({})", time.trim_end_matches('Z')));
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
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    // `mail` also changes the record, but that does not change the schedule.
    assert_eq!(take_scheduler_requests(&world).await, ["CreateSchedule"]);
    assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);
    let founder = ada.finds_invitation(&acme, "ada@example.com").await;
    assert_eq!(world.schedule(&acme, &founder).await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_resend_moves_the_schedule_to_the_new_deadline() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.advance(LIFETIME / 2).await;
    let _ = world.wire().take_requests();
    let resent = ada.resends(&acme, id(&invitation)).await.is(200);
    assert_eq!(take_scheduler_requests(&world).await, ["UpdateSchedule"]);
    assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &resent);
    world.advance(LIFETIME / 2).await;
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "pending");
    world.advance(SCHEDULE_FIRED - LIFETIME / 2).await;
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn accept_decline_and_revoke_delete_the_schedule() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let emails = ["bob@example.com", "eve@example.com", "ivy@example.com"];
    let results = ada.invites(&acme, &emails, "member").await.is(200);
    let invitations: Vec<_> = (0..3).map(|index| results["results"][index]["invitation"].clone()).collect();
    assert_eq!(take_scheduler_requests(&world).await, ["CreateSchedule"; 3]);
    let (bob, eve) = (world.person("bob"), world.person("eve"));
    bob.accepts(&world.token_for(emails[0]).await).await.is(200);
    eve.declines(&world.token_for(emails[1]).await).await.is(204);
    ada.revokes(&acme, id(&invitations[2])).await.is(204);
    assert_eq!(take_scheduler_requests(&world).await, ["DeleteSchedule"; 3]);
    for invitation in &invitations {
        assert_eq!(world.schedule(&acme, invitation).await, None);
    }
    // A role edit, a removal and the deletion of old records do not change schedules.
    ada.edits_role(&acme, "bob", "owner").await.is(200);
    ada.removes(&acme, "bob").await.is(204);
    world.advance(31 * 24 * 60 * 60).await;
    assert_eq!(take_scheduler_requests(&world).await, [""; 0]);
    world.finish().await;
}

#[tokio::test]
async fn a_second_invitation_of_an_address_has_a_schedule() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    world.advance(61).await;
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    let second = world.invited(&acme, &ada, BOB, "owner").await;
    world.wait_until_idle().await;
    assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &second);
    world.finish().await;
}

#[tokio::test]
async fn a_schedule_that_is_set_after_the_expiry_fires_within_65_seconds() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.delete_schedule(&acme, &invitation).await;
    world.advance(LIFETIME).await;
    // The API shows the invitation as expired, but its record is still pending.
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await.0, 2);
    assert_eq!(world.invoke_with_records("schedule", &world.stream_records().await).await, [""; 0]);
    // EventBridge Scheduler refuses times in the past, so the schedule is set to the next full minute in at least 5 s.
    world.advance(65).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn a_batch_that_is_delivered_again_keeps_the_schedules_of_the_current_records() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let pending = world.invited(&acme, &ada, BOB, "member").await;
    world.advance(61).await;
    let pending = ada.resends(&acme, id(&pending)).await.is(200);
    let revoked = world.invited(&acme, &ada, "eve@example.com", "member").await;
    ada.revokes(&acme, id(&revoked)).await.is(204);
    world.wait_until_idle().await;
    let records = world.stream_records().await;
    for _ in 0..2 {
        assert_eq!(world.invoke_with_records("schedule", &records).await, [""; 0]);
        assert_schedules(&world.schedule(&acme, &pending).await.unwrap(), &acme, &pending);
        assert_eq!(world.schedule(&acme, &revoked).await, None);
    }
    // Each record alone and late: `schedule` reads the current item and ignores the images of the stream record.
    for record in &records {
        assert_eq!(world.invoke_with_records("schedule", std::slice::from_ref(record)).await, [""; 0]);
    }
    assert_schedules(&world.schedule(&acme, &pending).await.unwrap(), &acme, &pending);
    assert_eq!(world.schedule(&acme, &revoked).await, None);
    world.finish().await;
}

#[tokio::test]
async fn sets_and_deletes_schedules_after_temporary_faults_of_the_scheduler() {
    for (fault, times) in [
        // More often than the SDK itself retries.
        (Fault::Refused("ThrottlingException"), 4),
        (Fault::Refused("InternalServerException"), 1),
        (Fault::Refused("ServiceQuotaExceededException"), 2),
        (Fault::Refused("AccessDeniedException"), 1),
        (Fault::RequestLost, 1),
        (Fault::ResponseLost, 1),
    ] {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_fault("CreateSchedule", fault.clone(), times);
        let invitation = world.invited(&acme, &ada, BOB, "member").await;
        world.advance(61).await;
        assert!(world.wire().all_faults_injected(), "{fault:?}");
        assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);

        world.wire().inject_fault("UpdateSchedule", fault.clone(), times);
        let resent = ada.resends(&acme, id(&invitation)).await.is(200);
        world.wait_until_idle().await;
        assert!(world.wire().all_faults_injected(), "{fault:?}");
        assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &resent);

        world.wire().inject_fault("DeleteSchedule", fault.clone(), times);
        ada.revokes(&acme, id(&invitation)).await.is(204);
        world.wait_until_idle().await;
        assert!(world.wire().all_faults_injected(), "{fault:?}");
        assert_eq!(world.schedule(&acme, &invitation).await, None, "{fault:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn retries_while_another_request_changes_the_schedule() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    // The schedule exists at the first request, and does not exist at the second.
    world.wire().inject_fault("CreateSchedule", Fault::Refused("ConflictException"), 1);
    world.wire().inject_fault("UpdateSchedule", Fault::Refused("ResourceNotFoundException"), 1);
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!(take_scheduler_requests(&world).await, ["CreateSchedule", "UpdateSchedule", "CreateSchedule"]);
    assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);
    world.wire().inject_fault("DeleteSchedule", Fault::Refused("ConflictException"), 1);
    ada.revokes(&acme, id(&invitation)).await.is(204);
    assert_eq!(take_scheduler_requests(&world).await, ["DeleteSchedule", "DeleteSchedule"]);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn an_invitation_without_a_schedule_still_cannot_be_accepted_after_its_expiry() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_fault("CreateSchedule", Fault::Refused("ServiceQuotaExceededException"), usize::MAX);
    world.invited(&acme, &ada, BOB, "member").await;
    let token = world.token_for(BOB).await;
    let letters = world.laptop().dead_letters().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.function.as_str()).collect::<Vec<_>>(), ["schedule"]);
    world.wire().clear_faults();
    world.advance(LIFETIME).await;
    world.person("bob").accepts(&token).await.refused(410, "invitation_expired");
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "expired");
    assert_eq!(ada.counts_seats(&acme).await.0, 2, "the seat is returned only when the record is closed");
    assert_eq!(world.invoke_with_records("schedule", &world.stream_records().await).await, [""; 0]);
    world.advance(65).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn a_schedule_that_is_created_after_a_revoke_is_deleted() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let held = world.wire().hold_background_request("CreateSchedule");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    ada.revokes(&acme, id(&invitation)).await.is(204);
    held.release();
    assert_eq!(take_scheduler_requests(&world).await, ["CreateSchedule", "DeleteSchedule"]);
    assert_eq!(world.schedule(&acme, &invitation).await, None);
    world.finish().await;
}

#[tokio::test]
async fn reports_only_the_unreadable_record_of_a_batch() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    world.delete_schedule(&acme, &invitation).await;
    let is_new = |record: &Value| {
        record["dynamodb"]["NewImage"]["email"]["S"] == BOB && record["dynamodb"]["OldImage"].is_null()
    };
    let good = world.stream_records().await.into_iter().find(is_new).unwrap();
    let mut poison = good.clone();
    poison["dynamodb"]["SequenceNumber"] = json!("poison");
    poison["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    assert_eq!(world.invoke_with_records("schedule", &[poison, good]).await, ["poison"]);
    assert_schedules(&world.schedule(&acme, &invitation).await.unwrap(), &acme, &invitation);
    world.finish().await;
}
