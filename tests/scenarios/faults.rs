//! Reactions to each outcome of a commit (`ARCHITECTURE.md`), with the real SDK: committed, guard failed, conflict,
//! throttled, unknown, rejected.

use std::collections::BTreeSet;

use harness::{ApiResponse, AwsRequest, Fault, Organization, Person, REFUSAL_MESSAGE, SCHEDULE_FIRED, World};
use serde_json::Value;
use store::ATTEMPTS_MAX;

const WRITE: &str = "TransactWriteItems";
const READ: &str = "TransactGetItems";
const FOREVER: usize = usize::MAX;

/// Lets ada invite bob. Returns the response, and the requests to AWS.
async fn invite(world: &World, ada: &Person, acme: &Organization) -> (ApiResponse, Vec<AwsRequest>) {
    let response = ada.invites(acme, &["bob@example.com"], "member").await;
    let requests = world.wire().take_requests().into_iter().filter(|request| request.from_api_call).collect();
    (response, requests)
}

fn count(requests: &[AwsRequest], operation: &str) -> usize {
    requests.iter().filter(|request| request.operation == operation).count()
}

fn writes(requests: &[AwsRequest]) -> Vec<&Value> {
    requests.iter().filter(|request| request.operation == WRITE).map(|request| &request.body).collect()
}

/// Returns the distinct tokens of the transactions.
fn tokens(requests: &[AwsRequest]) -> BTreeSet<&str> {
    writes(requests).into_iter().map(|body| body["ClientRequestToken"].as_str().unwrap()).collect()
}

/// Returns the distinct items of the transactions, without the tokens.
fn plans(requests: &[AwsRequest]) -> BTreeSet<String> {
    writes(requests).into_iter().map(|body| body["TransactItems"].to_string()).collect()
}

#[track_caller]
fn assert_retryable(response: ApiResponse, status: u16, code: &str, after: &str) {
    assert_eq!(response.headers.get("retry-after").and_then(|it| it.to_str().ok()), Some(after));
    response.refused(status, code);
}

/// Checks that there is one invitation with one seat and one mail.
async fn assert_invited_once(world: World, ada: &Person, acme: &Organization) {
    assert_eq!(ada.counts_seats(acme).await, (2, 998));
    let invitation = ada.finds_invitation(acme, "bob@example.com").await;
    assert_eq!(invitation["generation"], 1);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    world.finish().await;
}

/// Checks that there is no invitation.
async fn assert_unchanged(world: World, ada: &Person, acme: &Organization) {
    world.wire().clear_faults();
    assert_eq!(ada.counts_seats(acme).await, (1, 999));
    assert_eq!(ada.lists_invitations(acme, "").await.items().len(), 1);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 0);
    world.finish().await;
}

#[tokio::test]
async fn decides_again_up_to_five_times_after_a_failed_guard() {
    for failures in 1..ATTEMPTS_MAX {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        let reasons = vec!["None", "ConditionalCheckFailed", "None"];
        world.wire().inject_api_fault(WRITE, Fault::Cancelled(reasons), failures);
        let (response, requests) = invite(&world, &ada, &acme).await;
        response.is(200);
        assert_eq!((count(&requests, READ), count(&requests, WRITE)), (failures + 1, failures + 1));
        assert_eq!(tokens(&requests).len(), failures + 1, "each decision has its own token");
        assert_invited_once(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn a_guard_that_fails_six_times_is_a_conflict_without_effect() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_api_fault(WRITE, Fault::Cancelled(vec!["ConditionalCheckFailed"]), FOREVER);
    let (response, requests) = invite(&world, &ada, &acme).await;
    assert_retryable(response, 409, "conflict", "1");
    assert_eq!((count(&requests, READ), count(&requests, WRITE)), (6, 6));
    assert_unchanged(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_conflict_sends_the_same_plan_with_a_new_token_and_no_read() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_api_fault(WRITE, Fault::Cancelled(vec!["None", "TransactionConflict", "None"]), 8);
    let (response, requests) = invite(&world, &ada, &acme).await;
    response.is(200);
    assert_eq!((count(&requests, READ), count(&requests, WRITE)), (1, 9));
    assert_eq!((plans(&requests).len(), tokens(&requests).len()), (1, 9));
    assert_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_permanent_conflict_has_no_effect() {
    let world = World::with_short_retries().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_api_fault(WRITE, Fault::Cancelled(vec!["TransactionConflict"]), FOREVER);
    let (response, requests) = invite(&world, &ada, &acme).await;
    assert_retryable(response, 409, "conflict", "1");
    assert_eq!((count(&requests, READ), plans(&requests).len()), (1, 1));
    assert!(count(&requests, WRITE) > 1);
    assert_unchanged(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_conflict_together_with_a_failed_guard_is_a_failed_guard() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let reasons = vec!["TransactionConflict", "ConditionalCheckFailed", "ThrottlingError"];
    world.wire().inject_api_fault(WRITE, Fault::Cancelled(reasons), 1);
    let (response, requests) = invite(&world, &ada, &acme).await;
    response.is(200);
    assert_eq!((count(&requests, READ), count(&requests, WRITE)), (2, 2));
    assert_invited_once(world, &ada, &acme).await;
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
async fn retries_temporary_throttling() {
    for throttling in throttlings() {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_api_fault(WRITE, throttling, 3);
        let (response, requests) = invite(&world, &ada, &acme).await;
        response.is(200);
        assert_eq!((count(&requests, READ), count(&requests, WRITE)), (1, 4));
        assert_invited_once(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn permanent_throttling_is_unavailable_without_effect() {
    for throttling in throttlings() {
        let world = World::with_short_retries().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_api_fault(WRITE, throttling, FOREVER);
        let (response, requests) = invite(&world, &ada, &acme).await;
        assert_retryable(response, 503, "unavailable", "5");
        assert_eq!((count(&requests, READ), plans(&requests).len()), (1, 1));
        assert!(count(&requests, WRITE) > 1);
        assert_unchanged(world, &ada, &acme).await;
    }
}

/// Returns faults after which the outcome of a transaction is unknown.
fn unknown_outcomes() -> [Fault; 5] {
    [
        Fault::ResponseLost,
        Fault::RequestLost,
        Fault::Refused("InternalServerError"),
        Fault::Refused("ServiceUnavailable"),
        Fault::Refused("TransactionInProgressException"),
    ]
}

#[tokio::test]
async fn repeats_the_identical_request_after_an_unknown_outcome_with_one_effect() {
    for fault in unknown_outcomes() {
        for times in [1, 3] {
            let world = World::start().await;
            let (ada, acme) = world.idle_organization().await;
            world.wire().inject_api_fault(WRITE, fault.clone(), times);
            let (response, requests) = invite(&world, &ada, &acme).await;
            assert_eq!(response.is(200)["results"][0]["outcome"], "invited", "{fault:?}");
            assert_eq!((count(&requests, READ), count(&requests, WRITE)), (1, times + 1), "{fault:?}");
            let writes = writes(&requests);
            assert!(writes.iter().all(|write| *write == writes[0]), "{fault:?}");
            assert_invited_once(world, &ada, &acme).await;
        }
    }
}

#[tokio::test]
async fn a_permanently_unknown_outcome_is_unavailable_without_a_new_decision() {
    for fault in unknown_outcomes() {
        let world = World::with_short_retries().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_api_fault(WRITE, fault.clone(), FOREVER);
        let (response, requests) = invite(&world, &ada, &acme).await;
        assert_retryable(response, 503, "unavailable", "5");
        assert_eq!(
            (count(&requests, READ), tokens(&requests).len(), plans(&requests).len()),
            (1, 1, 1),
            "{fault:?}"
        );
        assert!(count(&requests, WRITE) > 1, "{fault:?}");
        if fault == Fault::ResponseLost {
            // The transaction took effect, but exactly once.
            world.wire().clear_faults();
            assert_invited_once(world, &ada, &acme).await;
        } else {
            assert_unchanged(world, &ada, &acme).await;
        }
    }
}

#[tokio::test]
async fn conflicts_and_throttling_after_an_unknown_outcome_keep_the_token() {
    for fault in unknown_outcomes() {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        let wire = world.wire();
        wire.inject_api_fault(WRITE, fault.clone(), 1);
        wire.inject_api_fault(WRITE, Fault::Cancelled(vec!["TransactionConflict"]), 2);
        wire.inject_api_fault(WRITE, Fault::Refused("ThrottlingException"), 2);
        let (response, requests) = invite(&world, &ada, &acme).await;
        response.is(200);
        assert_eq!((count(&requests, READ), count(&requests, WRITE)), (1, 6), "{fault:?}");
        assert_eq!(tokens(&requests).len(), 1, "{fault:?}");
        assert_invited_once(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn a_permanent_conflict_after_an_unknown_outcome_is_unavailable() {
    let world = World::with_short_retries().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_api_fault(WRITE, Fault::ResponseLost, 1);
    world.wire().inject_api_fault(WRITE, Fault::Cancelled(vec!["TransactionConflict"]), FOREVER);
    let (response, requests) = invite(&world, &ada, &acme).await;
    assert_retryable(response, 503, "unavailable", "5");
    assert_eq!(tokens(&requests).len(), 1);
    world.wire().clear_faults();
    assert_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_failed_guard_settles_an_unknown_outcome() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_api_fault(WRITE, Fault::RequestLost, 1);
    world.wire().inject_api_fault(WRITE, Fault::Cancelled(vec!["ConditionalCheckFailed"]), 1);
    let (response, requests) = invite(&world, &ada, &acme).await;
    response.is(200);
    assert_eq!((count(&requests, READ), count(&requests, WRITE), tokens(&requests).len()), (2, 3, 2));
    assert_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn every_action_takes_effect_once_despite_lost_connections() {
    for fault in [Fault::RequestLost, Fault::ResponseLost] {
        let world = World::start().await;
        let ada = world.person("ada");
        let lose_connections = async || {
            world.wait_until_idle().await;
            world.wire().inject_api_fault(WRITE, fault.clone(), 2);
        };
        lose_connections().await;
        let acme = Organization::new(ada.creates("Acme").await.is(201)["id"].as_str().unwrap());
        lose_connections().await;
        ada.invites(&acme, &["bob@example.com", "eve@example.com", "ivy@example.com"], "member")
            .await
            .is(200);
        world.advance(61).await;
        lose_connections().await;
        let eve = ada.finds_invitation(&acme, "eve@example.com").await["id"].as_str().unwrap().to_owned();
        assert_eq!(ada.resends(&acme, &eve).await.is(200)["generation"], 2);
        let token = world.token_for("eve@example.com").await;
        lose_connections().await;
        world.person("eve").declines(&token).await.is(204);
        lose_connections().await;
        let ivy = ada.finds_invitation(&acme, "ivy@example.com").await["id"].as_str().unwrap().to_owned();
        ada.revokes(&acme, &ivy).await.is(204);
        let (bob, token) = (world.person("bob"), world.token_for("bob@example.com").await);
        lose_connections().await;
        assert_eq!(bob.accepts(&token).await.is(200)["role"], "member");
        lose_connections().await;
        assert_eq!(ada.edits_role(&acme, "bob", "owner").await.is(200)["role"], "owner");
        assert_eq!(bob.counts_seats(&acme).await, (2, 998));
        lose_connections().await;
        ada.leaves(&acme).await.is(204);
        assert_eq!(bob.counts_seats(&acme).await, (1, 999));
        assert!(world.wire().all_faults_injected(), "every transaction was lost twice");
        assert_eq!(world.mails_to("eve@example.com").await.len(), 2);
        world.finish().await;
    }
}

#[tokio::test]
async fn expiry_returns_the_seat_once_despite_lost_connections() {
    for fault in [Fault::RequestLost, Fault::ResponseLost] {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
        world.wait_until_idle().await;
        world.wire().inject_background_fault(WRITE, fault, 2);
        world.advance(SCHEDULE_FIRED).await;
        assert!(world.wire().all_faults_injected());
        assert_eq!(ada.counts_seats(&acme).await, (1, 999));
        world.finish().await;
    }
}

#[tokio::test]
async fn repeats_a_read_after_a_conflict_with_a_write() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_api_fault(READ, Fault::Cancelled(vec!["None", "TransactionConflict"]), 4);
    let (response, requests) = invite(&world, &ada, &acme).await;
    response.is(200);
    assert_eq!((count(&requests, READ), count(&requests, WRITE)), (5, 1));
    assert_invited_once(world, &ada, &acme).await;
}

#[tokio::test]
async fn a_permanently_failing_read_is_unavailable() {
    for fault in [
        Fault::Cancelled(vec!["TransactionConflict"]),
        Fault::Refused("ThrottlingException"),
        Fault::Refused("InternalServerError"),
        Fault::RequestLost,
    ] {
        let world = World::with_short_retries().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_api_fault(READ, fault.clone(), FOREVER);
        let (response, requests) = invite(&world, &ada, &acme).await;
        assert_retryable(response, 503, "unavailable", "5");
        assert!(count(&requests, READ) > 1, "{fault:?}");
        assert_eq!(count(&requests, WRITE), 0, "{fault:?}");
        assert_unchanged(world, &ada, &acme).await;
    }
}

#[tokio::test]
async fn lists_are_unavailable_while_reads_fail() {
    let world = World::with_short_retries().await;
    let (ada, acme) = world.idle_organization().await;
    for operation in ["Query", "GetItem"] {
        world.wire().inject_api_fault(operation, Fault::Refused("ThrottlingException"), FOREVER);
        assert_retryable(ada.lists_members(&acme, "").await, 503, "unavailable", "5");
        world.wire().clear_faults();
    }
    world.wire().inject_api_fault("BatchGetItem", Fault::Refused("ThrottlingException"), FOREVER);
    assert_retryable(ada.lists_organizations().await, 503, "unavailable", "5");
    world.wire().clear_faults();
    assert_eq!(ada.lists_members(&acme, "").await.items().len(), 1);
    world.finish().await;
}

/// DynamoDB may return some or all keys of a batch as unprocessed.
#[tokio::test]
async fn requests_unprocessed_keys_of_a_batch_again() {
    let world = World::with_short_retries().await;
    let (ada, _) = world.idle_organization().await;
    ada.creates("Umbrella").await.is(201);
    world.wait_until_idle().await;
    world.wire().inject_api_fault("BatchGetItem", Fault::Unprocessed, 2);
    assert_eq!(ada.lists_organizations().await.items().len(), 2);
    assert!(world.wire().all_faults_injected());
    world.wire().inject_api_fault("BatchGetItem", Fault::Unprocessed, FOREVER);
    assert_retryable(ada.lists_organizations().await, 503, "unavailable", "5");
    world.wire().clear_faults();
    world.finish().await;
}

#[tokio::test]
async fn a_rejected_request_is_internal_at_once_and_shows_no_details() {
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
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_api_fault(operation, fault.clone(), FOREVER);
        let (response, requests) = invite(&world, &ada, &acme).await;
        assert_eq!(response.headers.get("retry-after"), None);
        let body = response.refused(500, "internal").to_string();
        for internal in [REFUSAL_MESSAGE, "Exception", "Dynamo", "Transact", "roster\"", "aws", "bob@"] {
            assert!(!body.contains(internal), "{internal}: {body}");
        }
        assert_eq!(count(&requests, operation), 1, "{fault:?} is not retried");
        assert_unchanged(world, &ada, &acme).await;
    }
}

/// A read of one item is not a transaction, so it cannot be cancelled, but its response can be lost.
#[tokio::test]
async fn repeats_the_read_of_one_item_after_a_lost_response() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
    let token = world.token_for("bob@example.com").await;
    let _ = world.wire().take_requests();
    world.wire().inject_api_fault("GetItem", Fault::ResponseLost, 1);
    world.person("bob").declines(&token).await.is(204);
    assert_eq!(world.wire().take_api_operations(), ["GetItem", "GetItem", WRITE]);
    world.finish().await;
}
