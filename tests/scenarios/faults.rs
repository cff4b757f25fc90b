//! What a commit can come to (ARCHITECTURE.md), with the real SDK in between: committed, a guard failed, a
//! conflict, throttled, or nobody knows; and what is done about each.

use std::collections::BTreeSet;

use harness::{Answer, Call, Fault, Organization, Person, WORDS, World};
use serde_json::Value;
use store::ATTEMPTS_MAX;

const WRITE: &str = "TransactWriteItems";
const READ: &str = "TransactGetItems";
const FOREVER: usize = usize::MAX;

/// Ada's organization, with nothing going on besides.
async fn calm(world: &World) -> (Person, Organization) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let _ = world.wire().take();
    (ada, acme)
}

/// An invite, and the requests that it has sent.
async fn invite(world: &World, ada: &Person, acme: &Organization) -> (Answer, Vec<Call>) {
    let answer = ada.invites(acme, &["bob@example.com"], "member").await;
    let calls = world.wire().take().into_iter().filter(|call| call.action).collect();
    (answer, calls)
}

fn count(calls: &[Call], operation: &str) -> usize {
    calls.iter().filter(|call| call.operation == operation).count()
}

fn writes(calls: &[Call]) -> Vec<&Value> {
    calls.iter().filter(|call| call.operation == WRITE).map(|call| &call.body).collect()
}

/// The idempotency tokens of the transactions, each once.
fn tokens(calls: &[Call]) -> BTreeSet<&str> {
    writes(calls).into_iter().map(|body| body["ClientRequestToken"].as_str().unwrap()).collect()
}

/// The transactions without their tokens, each once.
fn plans(calls: &[Call]) -> BTreeSet<String> {
    writes(calls).into_iter().map(|body| body["TransactItems"].to_string()).collect()
}

#[track_caller]
fn is_to_be_tried_again(answer: Answer, status: u16, code: &str, after: &str) {
    assert_eq!(answer.headers.get("retry-after").and_then(|it| it.to_str().ok()), Some(after));
    answer.refused(status, code);
}

/// The one invitation stands, with its one seat and its one mail.
async fn is_invited_once(world: World, ada: &Person, acme: &Organization) {
    assert_eq!(ada.counts_seats(acme).await, (2, 998));
    let invitation = ada.finds(acme, "bob@example.com").await;
    assert_eq!(invitation["generation"], 1);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    world.finish().await;
}

/// Nobody is invited.
async fn is_as_before(world: World, ada: &Person, acme: &Organization) {
    world.wire().clear_faults();
    assert_eq!(ada.counts_seats(acme).await, (1, 999));
    assert_eq!(ada.lists_invitations(acme, "").await.items().len(), 1);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 0);
    world.finish().await;
}

#[tokio::test]
async fn a_failed_guard_is_decided_again_up_to_five_times() {
    for failures in 1..ATTEMPTS_MAX {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        let reasons = vec!["None", "ConditionalCheckFailed", "None"];
        world.wire().disturb_actions(WRITE, Fault::Cancelled(reasons), failures);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        answer.is(200);
        assert_eq!((count(&calls, READ), count(&calls, WRITE)), (failures + 1, failures + 1));
        assert_eq!(tokens(&calls).len(), failures + 1, "each decision is a transaction of its own");
        is_invited_once(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn a_guard_that_fails_six_times_is_a_conflict_and_nothing_is_done() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(WRITE, Fault::Cancelled(vec!["ConditionalCheckFailed"]), FOREVER);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    is_to_be_tried_again(answer, 409, "conflict", "1");
    assert_eq!((count(&calls, READ), count(&calls, WRITE)), (6, 6));
    is_as_before(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_conflict_alone_sends_the_same_plan_under_a_new_token_and_reads_nothing() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(WRITE, Fault::Cancelled(vec!["None", "TransactionConflict", "None"]), 8);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    answer.is(200);
    assert_eq!((count(&calls, READ), count(&calls, WRITE)), (1, 9));
    assert_eq!((plans(&calls).len(), tokens(&calls).len()), (1, 9));
    is_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_conflict_that_does_not_end_is_a_conflict_and_nothing_is_done() {
    let world = World::with_short_retries().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(WRITE, Fault::Cancelled(vec!["TransactionConflict"]), FOREVER);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    is_to_be_tried_again(answer, 409, "conflict", "1");
    assert_eq!((count(&calls, READ), plans(&calls).len()), (1, 1));
    assert!(count(&calls, WRITE) > 1);
    is_as_before(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_conflict_beside_a_failed_guard_is_a_failed_guard() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let reasons = vec!["TransactionConflict", "ConditionalCheckFailed", "ThrottlingError"];
    world.wire().disturb_actions(WRITE, Fault::Cancelled(reasons), 1);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    answer.is(200);
    assert_eq!((count(&calls, READ), count(&calls, WRITE)), (2, 2));
    is_invited_once(world, &ada, &acme).await;
}

fn throttlings() -> [Fault; 6] {
    [
        Fault::Refused("ThrottlingException"),
        Fault::Refused("ProvisionedThroughputExceededException"),
        Fault::Refused("RequestLimitExceeded"),
        Fault::Cancelled(vec!["None", "ThrottlingError"]),
        Fault::Cancelled(vec!["ProvisionedThroughputExceeded", "None"]),
        Fault::Cancelled(vec!["ThrottlingError", "TransactionConflict"]),
    ]
}

#[tokio::test]
async fn throttling_for_a_while_is_waited_out() {
    for throttling in throttlings() {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb_actions(WRITE, throttling, 3);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        answer.is(200);
        assert_eq!((count(&calls, READ), count(&calls, WRITE)), (1, 4));
        is_invited_once(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn throttling_that_does_not_end_is_unavailable_and_nothing_is_done() {
    for throttling in throttlings() {
        let world = World::with_short_retries().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb_actions(WRITE, throttling, FOREVER);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        is_to_be_tried_again(answer, 503, "unavailable", "5");
        assert_eq!((count(&calls, READ), plans(&calls).len()), (1, 1));
        assert!(count(&calls, WRITE) > 1);
        is_as_before(world, &ada, &acme).await;
    }
}

/// What leaves open whether the transaction is done.
fn losses() -> [Fault; 5] {
    [
        Fault::LostAfter,
        Fault::LostBefore,
        Fault::Refused("InternalServerError"),
        Fault::Refused("ServiceUnavailable"),
        Fault::Refused("TransactionInProgressException"),
    ]
}

#[tokio::test]
async fn after_a_lost_answer_the_identical_request_is_sent_again_and_takes_effect_once() {
    for loss in losses() {
        for losses in [1, 3] {
            let world = World::start().await;
            let (ada, acme) = calm(&world).await;
            world.wire().disturb_actions(WRITE, loss.clone(), losses);
            let (answer, calls) = invite(&world, &ada, &acme).await;
            assert_eq!(answer.is(200)["results"][0]["outcome"], "invited", "{loss:?}");
            assert_eq!((count(&calls, READ), count(&calls, WRITE)), (1, losses + 1), "{loss:?}");
            let writes = writes(&calls);
            assert!(writes.iter().all(|write| *write == writes[0]), "{loss:?}");
            is_invited_once(world, &ada, &acme).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_lost_for_good_is_unavailable_and_never_decided_again() {
    for loss in losses() {
        let world = World::with_short_retries().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb_actions(WRITE, loss.clone(), FOREVER);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        is_to_be_tried_again(answer, 503, "unavailable", "5");
        assert_eq!((count(&calls, READ), tokens(&calls).len(), plans(&calls).len()), (1, 1, 1), "{loss:?}");
        assert!(count(&calls, WRITE) > 1, "{loss:?}");
        if loss == Fault::LostAfter {
            // Wholly done is possible, and told by looking; half done or twice done is not.
            world.wire().clear_faults();
            is_invited_once(world, &ada, &acme).await;
        } else {
            is_as_before(world, &ada, &acme).await;
        }
    }
}

#[tokio::test]
async fn while_an_answer_is_missing_conflict_and_throttling_keep_the_token() {
    for loss in losses() {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        let wire = world.wire();
        wire.disturb_actions(WRITE, loss.clone(), 1);
        wire.disturb_actions(WRITE, Fault::Cancelled(vec!["TransactionConflict"]), 2);
        wire.disturb_actions(WRITE, Fault::Refused("ThrottlingException"), 2);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        answer.is(200);
        assert_eq!((count(&calls, READ), count(&calls, WRITE)), (1, 6), "{loss:?}");
        assert_eq!(tokens(&calls).len(), 1, "{loss:?}");
        is_invited_once(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn a_conflict_that_outlasts_a_missing_answer_is_unavailable_not_a_conflict() {
    let world = World::with_short_retries().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(WRITE, Fault::LostAfter, 1);
    world.wire().disturb_actions(WRITE, Fault::Cancelled(vec!["TransactionConflict"]), FOREVER);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    is_to_be_tried_again(answer, 503, "unavailable", "5");
    assert_eq!(tokens(&calls).len(), 1);
    world.wire().clear_faults();
    is_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_failed_guard_makes_a_missing_answer_definite() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(WRITE, Fault::LostBefore, 1);
    world.wire().disturb_actions(WRITE, Fault::Cancelled(vec!["ConditionalCheckFailed"]), 1);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    answer.is(200);
    assert_eq!((count(&calls, READ), count(&calls, WRITE), tokens(&calls).len()), (2, 3, 2));
    is_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn whatever_is_done_a_lost_answer_changes_nothing_about_it() {
    for loss in [Fault::LostBefore, Fault::LostAfter] {
        let world = World::start().await;
        let ada = world.person("ada");
        let lose = async || {
            world.idle().await;
            world.wire().disturb_actions(WRITE, loss.clone(), 2);
        };
        lose().await;
        let acme = Organization::new(ada.creates("Acme").await.is(201)["id"].as_str().unwrap());
        lose().await;
        ada.invites(&acme, &["bob@example.com", "eve@example.com", "ivy@example.com"], "member")
            .await
            .is(200);
        world.passes(61).await;
        lose().await;
        let eve = ada.finds(&acme, "eve@example.com").await["id"].as_str().unwrap().to_owned();
        assert_eq!(ada.resends(&acme, &eve).await.is(200)["generation"], 2);
        let token = world.token_for("eve@example.com").await;
        lose().await;
        world.person("eve").declines(&token).await.is(204);
        lose().await;
        let ivy = ada.finds(&acme, "ivy@example.com").await["id"].as_str().unwrap().to_owned();
        ada.revokes(&acme, &ivy).await.is(204);
        let (bob, token) = (world.person("bob"), world.token_for("bob@example.com").await);
        lose().await;
        assert_eq!(bob.accepts(&token).await.is(200)["role"], "member");
        lose().await;
        assert_eq!(ada.edits(&acme, "bob", "owner").await.is(200)["role"], "owner");
        assert_eq!(bob.counts_seats(&acme).await, (2, 998));
        lose().await;
        ada.leaves(&acme).await.is(204);
        assert_eq!(bob.counts_seats(&acme).await, (1, 999));
        assert!(world.wire().is_calm(), "all of it was lost twice");
        assert_eq!(world.mails_to("eve@example.com").await.len(), 2);
        world.finish().await;
    }
}

#[tokio::test]
async fn an_expiry_whose_answer_is_lost_gives_the_seat_back_once() {
    for loss in [Fault::LostBefore, Fault::LostAfter] {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
        world.idle().await;
        world.wire().disturb_work(WRITE, loss, 2);
        world.passes(48 * 60 * 60).await;
        assert!(world.wire().is_calm());
        assert_eq!(ada.counts_seats(&acme).await, (1, 999));
        world.finish().await;
    }
}

#[tokio::test]
async fn a_read_that_a_write_gets_in_the_way_of_is_read_again() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb_actions(READ, Fault::Cancelled(vec!["None", "TransactionConflict"]), 4);
    let (answer, calls) = invite(&world, &ada, &acme).await;
    answer.is(200);
    assert_eq!((count(&calls, READ), count(&calls, WRITE)), (5, 1));
    is_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_read_that_never_succeeds_is_unavailable() {
    for fault in [
        Fault::Cancelled(vec!["TransactionConflict"]),
        Fault::Refused("ThrottlingException"),
        Fault::Refused("InternalServerError"),
        Fault::LostBefore,
    ] {
        let world = World::with_short_retries().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb_actions(READ, fault.clone(), FOREVER);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        is_to_be_tried_again(answer, 503, "unavailable", "5");
        assert!(count(&calls, READ) > 1, "{fault:?}");
        assert_eq!(count(&calls, WRITE), 0, "{fault:?}");
        is_as_before(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn lists_are_unavailable_while_they_cannot_be_read() {
    let world = World::with_short_retries().await;
    let (ada, acme) = calm(&world).await;
    for operation in ["Query", "GetItem"] {
        world.wire().disturb_actions(operation, Fault::Refused("ThrottlingException"), FOREVER);
        is_to_be_tried_again(ada.lists_members(&acme, "").await, 503, "unavailable", "5");
        world.wire().clear_faults();
    }
    world.wire().disturb_actions("BatchGetItem", Fault::Refused("ThrottlingException"), FOREVER);
    is_to_be_tried_again(ada.lists_organizations().await, 503, "unavailable", "5");
    world.wire().clear_faults();
    assert_eq!(ada.lists_members(&acme, "").await.items().len(), 1);
    world.finish().await;
}

/// DynamoDB may leave some keys of a batch for the next request, or all of them.
#[tokio::test]
async fn what_a_batch_has_left_out_is_asked_for_again() {
    let world = World::with_short_retries().await;
    let (ada, _) = calm(&world).await;
    ada.creates("Umbrella").await.is(201);
    world.idle().await;
    world.wire().disturb_actions("BatchGetItem", Fault::Unprocessed, 2);
    assert_eq!(ada.lists_organizations().await.items().len(), 2);
    assert!(world.wire().is_calm());
    world.wire().disturb_actions("BatchGetItem", Fault::Unprocessed, FOREVER);
    is_to_be_tried_again(ada.lists_organizations().await, 503, "unavailable", "5");
    world.wire().clear_faults();
    world.finish().await;
}

#[tokio::test]
async fn a_mistake_of_ours_is_internal_at_once_and_tells_the_caller_nothing() {
    for (operation, fault) in [
        (WRITE, Fault::Refused("ValidationException")),
        (WRITE, Fault::Refused("AccessDeniedException")),
        (WRITE, Fault::Refused("ResourceNotFoundException")),
        (WRITE, Fault::Refused("IdempotentParameterMismatchException")),
        (WRITE, Fault::Cancelled(vec!["None", "ValidationError"])),
        (READ, Fault::Refused("ValidationException")),
        (READ, Fault::Refused("ResourceNotFoundException")),
    ] {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb_actions(operation, fault.clone(), FOREVER);
        let (answer, calls) = invite(&world, &ada, &acme).await;
        assert_eq!(answer.headers.get("retry-after"), None);
        let body = answer.refused(500, "internal").to_string();
        for internal in [WORDS, "Exception", "Dynamo", "Transact", "roster\"", "aws", "bob@"] {
            assert!(!body.contains(internal), "{internal}: {body}");
        }
        assert_eq!(count(&calls, operation), 1, "{fault:?} is not tried again");
        is_as_before(world, &ada, &acme).await;
    }
}

/// Reads of one item cannot be cancelled, but they can be lost.
#[tokio::test]
async fn a_single_read_that_is_lost_is_read_again() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
    let token = world.token_for("bob@example.com").await;
    let _ = world.wire().take();
    world.wire().disturb_actions("GetItem", Fault::LostAfter, 1);
    world.person("bob").declines(&token).await.is(204);
    assert_eq!(world.wire().take_actions(), ["GetItem", "GetItem", WRITE]);
    world.finish().await;
}
