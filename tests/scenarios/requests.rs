//! The requests that each action sends to AWS.

use std::collections::BTreeSet;

use domain::Role;
use harness::{ApiResponse, AwsRequest, Fixtures, Organization, Person, TWO_DAYS, World};
use local::function_table::ROUTES;
use serde_json::{Value, json};

use crate::every_route::{Parameters, call_all_in_an_organization, call_route};

const READ: [&str; 1] = ["TransactGetItems"];
const READ_ONE: [&str; 1] = ["GetItem"];
const READ_AND_WRITE: [&str; 2] = ["TransactGetItems", "TransactWriteItems"];
const READ_ONE_AND_WRITE: [&str; 2] = ["GetItem", "TransactWriteItems"];

/// Makes a call. Returns its response, and the operations of the requests that its function sent to AWS.
async fn requests_of(world: &World, call: impl Future<Output = ApiResponse>) -> (ApiResponse, Vec<String>) {
    // Background work would not be counted, but waiting for it makes failures easier to read.
    world.wait_until_idle().await;
    let _ = world.wire().take_requests();
    let response = call.await;
    (response, world.wire().take_api_operations())
}

/// Lets Ada create an organization and invite Bob. Returns the invitation's id and its token last.
async fn with_an_invitation(world: &World) -> (Person, Organization, String, String) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let token = world.token_for("bob@example.com").await;
    let id = invitation["id"].as_str().unwrap().to_owned();
    (ada, acme, id, token)
}

#[tokio::test]
async fn create_is_one_write() {
    let world = World::start().await;
    let ada = world.person("ada");
    let (response, operations) = requests_of(&world, ada.creates("Acme")).await;
    response.is(201);
    assert_eq!(operations, ["TransactWriteItems"]);
    world.finish().await;
}

#[tokio::test]
async fn invite_is_one_read_and_one_write_for_one_address_and_for_fifty() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let (response, operations) = requests_of(&world, ada.invites(&acme, &["bob@example.com"], "owner")).await;
    response.is(200);
    assert_eq!(operations, READ_AND_WRITE);

    let emails: Vec<_> = (0..50).map(|number| format!("p{number}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    world.wait_until_idle().await;
    let _ = world.wire().take_requests();
    let response = ada.invites(&acme, &emails, "member").await.is(200);
    let requests: Vec<_> =
        world.wire().take_requests().into_iter().filter(|request| request.from_api_call).collect();
    assert_eq!(requests.iter().map(|request| request.operation.as_str()).collect::<Vec<_>>(), READ_AND_WRITE);
    // 50 invitations, the organization and the sender's member item.
    assert_eq!(requests[0].body["TransactItems"].as_array().unwrap().len(), 52);
    assert_eq!(requests[1].body["TransactItems"].as_array().unwrap().len(), 52);
    let results = response["results"].as_array().unwrap();
    let invited: Vec<_> = results
        .iter()
        .filter(|it| it["outcome"] == "invited")
        .filter_map(|it| it["email"].as_str())
        .collect();
    assert_eq!(invited, emails);
    assert_eq!(ada.counts_seats(&acme).await.0, 52);
    world.finish().await;
}

#[tokio::test]
async fn an_invite_without_new_invitations_writes_nothing() {
    let world = World::start().await;
    let (ada, acme, ..) = with_an_invitation(&world).await;
    let emails = ["bob@example.com", "ada@example.com"];
    let (response, operations) = requests_of(&world, ada.invites(&acme, &emails, "member")).await;
    response.is(200);
    assert_eq!(operations, READ);
    world.finish().await;
}

#[tokio::test]
async fn an_idempotency_key_adds_no_request_and_a_repetition_is_one_read() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let (first, operations) = requests_of(&world, ada.invites(&acme, &["bob@example.com"], "member")).await;
    assert_eq!(operations, READ_AND_WRITE);
    let (repeated, operations) =
        requests_of(&world, ada.invites(&acme, &["bob@example.com"], "member")).await;
    assert_eq!((repeated.is(200), operations), (first.is(200), READ.map(str::to_owned).to_vec()));
    let (first, operations) = requests_of(&world, ada.creates("Acme")).await;
    assert_eq!(operations, ["TransactWriteItems"]);
    let (repeated, operations) = requests_of(&world, ada.creates("Acme")).await;
    assert_eq!(repeated.is(201), first.is(201));
    assert_eq!(
        operations,
        ["TransactWriteItems", "GetItem"],
        "the guard fails, and the stored response is read"
    );
    world.finish().await;
}

#[tokio::test]
async fn a_mail_is_two_reads_and_two_writes_and_one_send() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.wait_until_idle().await;
    let _ = world.wire().take_requests();
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.wait_until_idle().await;
    let requests = world
        .wire()
        .take_requests()
        .into_iter()
        .filter(|request| request.function.as_deref() == Some("mail"));
    let operations: Vec<_> = requests.map(|request| request.operation).collect();
    // Read the record, count the mail for the recipient's day, send the mail, read and update the delivery status.
    assert_eq!(
        operations,
        ["TransactGetItems", "TransactWriteItems", "SendEmail", "GetItem", "TransactWriteItems"]
    );
    world.finish().await;
}

#[tokio::test]
async fn resend_and_revoke_are_one_read_and_one_write_each() {
    let world = World::start().await;
    let (ada, acme, invitation, _) = with_an_invitation(&world).await;
    world.advance(61).await;
    let (response, operations) = requests_of(&world, ada.resends(&acme, &invitation)).await;
    response.is(200);
    assert_eq!(operations, READ_AND_WRITE);
    let (response, operations) = requests_of(&world, ada.revokes(&acme, &invitation)).await;
    response.is(204);
    assert_eq!(operations, READ_AND_WRITE);
    let (response, operations) = requests_of(&world, ada.revokes(&acme, &invitation)).await;
    response.refused(409, "invitation_not_pending");
    assert_eq!(operations, READ);
    world.finish().await;
}

#[tokio::test]
async fn accept_is_one_read_and_one_write_and_a_repetition_is_one_read() {
    let world = World::start().await;
    let (ada, acme, _, token) = with_an_invitation(&world).await;
    let bob = world.person("bob");
    let (response, operations) = requests_of(&world, bob.accepts(&token)).await;
    let member = response.is(200);
    assert_eq!(operations, READ_AND_WRITE);
    let (response, operations) = requests_of(&world, bob.accepts(&token)).await;
    assert_eq!(response.is(200), member);
    assert_eq!(operations, READ);
    world.invited(&acme, &ada, "eve@example.com", "owner").await;
    let token = world.token_for("eve@example.com").await;
    let (response, operations) = requests_of(&world, world.person("eve").accepts(&token)).await;
    response.is(200);
    assert_eq!(operations, READ_AND_WRITE, "as an owner");
    world.invited(&acme, &ada, "bob@new.example", "owner").await;
    let token = world.token_for("bob@new.example").await;
    let moved = world.signed_in("bob", json!({ "email": "bob@new.example", "email_verified": true }));
    for expected in [&READ_AND_WRITE[..], &READ] {
        let (response, operations) = requests_of(&world, moved.accepts(&token)).await;
        assert_eq!(response.is(200), member);
        assert_eq!(operations, expected, "by a member with another address");
    }
    world.finish().await;
}

#[tokio::test]
async fn accept_reads_the_sender_only_if_the_sender_may_not_grant_the_role() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let zoe = world.joined(&acme, &ada, "zoe", "owner").await;
    for guest in ["bob", "cyd"] {
        world.invited(&acme, &zoe, &format!("{guest}@example.com"), "member").await;
    }
    let (response, operations) = requests_of(&world, ada.edits_role(&acme, "zoe", "member")).await;
    response.is(200);
    assert_eq!(operations, READ_AND_WRITE);
    let token = world.token_for("bob@example.com").await;
    let (response, operations) = requests_of(&world, world.person("bob").accepts(&token)).await;
    assert_eq!(response.is(200)["role"], "member");
    assert_eq!(operations, READ_AND_WRITE, "a member may grant the role member");
    let (response, operations) = requests_of(&world, ada.removes(&acme, "zoe")).await;
    response.is(204);
    assert_eq!(operations, READ_AND_WRITE);
    let token = world.token_for("cyd@example.com").await;
    let (response, operations) = requests_of(&world, world.person("cyd").accepts(&token)).await;
    response.refused(409, "sender_lost_authority");
    assert_eq!(
        operations,
        ["TransactGetItems", "TransactWriteItems", "TransactGetItems"],
        "the sender is read after the guard failed"
    );
    world.finish().await;
}

#[tokio::test]
async fn decline_is_one_read_and_one_write() {
    let world = World::start().await;
    let (.., token) = with_an_invitation(&world).await;
    let (response, operations) = requests_of(&world, world.person("bob").declines(&token)).await;
    response.is(204);
    assert_eq!(operations, READ_ONE_AND_WRITE);
    world.finish().await;
}

#[tokio::test]
async fn role_edit_and_remove_are_one_read_and_one_write_each() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let eve = world.joined(&acme, &ada, "eve", "member").await;
    let (response, operations) = requests_of(&world, ada.edits_role(&acme, &bob.sub, "owner")).await;
    response.is(200);
    assert_eq!(operations, READ_AND_WRITE);
    let (response, operations) = requests_of(&world, ada.edits_role(&acme, &bob.sub, "owner")).await;
    response.is(200);
    assert_eq!(operations, READ, "the same role");
    let (response, operations) = requests_of(&world, ada.edits_role(&acme, &ada.sub, "member")).await;
    response.is(200);
    assert_eq!(operations, READ_AND_WRITE, "the caller's own role");
    let (response, operations) = requests_of(&world, bob.removes(&acme, &eve.sub)).await;
    response.is(204);
    assert_eq!(operations, READ_AND_WRITE);
    let (response, operations) = requests_of(&world, ada.leaves(&acme)).await;
    response.is(204);
    assert_eq!(operations, READ_AND_WRITE, "leaving");
    let (response, operations) = requests_of(&world, bob.leaves(&acme)).await;
    response.refused(409, "last_owner");
    assert_eq!(operations, READ);
    world.finish().await;
}

#[tokio::test]
async fn lists_are_two_reads_and_one_organization_is_one() {
    let world = World::start().await;
    let (ada, acme, ..) = with_an_invitation(&world).await;
    for (response, operations) in [
        requests_of(&world, ada.lists_members(&acme, "")).await,
        requests_of(&world, ada.lists_members(&acme, "?role=owner&limit=1")).await,
        requests_of(&world, ada.lists_invitations(&acme, "")).await,
        requests_of(&world, ada.lists_invitations(&acme, "?status=pending")).await,
    ] {
        response.is(200);
        assert_eq!(operations, ["GetItem", "Query"]);
    }
    let (response, operations) = requests_of(&world, ada.gets_organization(&acme)).await;
    response.is(200);
    assert_eq!(operations, READ);
    world.finish().await;
}

/// Reads of the table itself are strongly consistent; reads of an index cannot be.
///
/// The test checks the requests, because the embedded engine has no eventually consistent reads.
#[tokio::test]
async fn all_reads_of_the_table_are_strongly_consistent() {
    let world = World::start().await;
    call_all_in_an_organization(&world).await;
    world.advance(TWO_DAYS).await;
    world.wait_until_idle().await;
    let mut operations = BTreeSet::new();
    for AwsRequest { operation, body, .. } in world.wire().take_requests() {
        let consistent = match operation.as_str() {
            "GetItem" => &body["ConsistentRead"],
            "Query" if body["IndexName"].is_null() => &body["ConsistentRead"],
            "BatchGetItem" => {
                let tables = body["RequestItems"].as_object().expect("a table");
                &tables.values().next().expect("a table")["ConsistentRead"]
            }
            // Transactions always read consistently.
            _ => continue,
        };
        assert_eq!(*consistent, json!(true), "{operation}: {body}");
        operations.insert(operation);
    }
    assert_eq!(operations.len(), 3, "{operations:?}");
    world.finish().await;
}

#[tokio::test]
async fn the_list_of_organizations_is_two_reads_for_one_and_for_a_hundred() {
    let world = World::start().await;
    let ada = world.person("ada");
    let (response, operations) = requests_of(&world, ada.lists_organizations()).await;
    assert_eq!(response.items(), [Value::Null; 0]);
    assert_eq!(operations, ["Query"], "without organizations there are no names to read");
    world.founded_by(&ada).await;
    let (response, operations) = requests_of(&world, ada.lists_organizations()).await;
    assert_eq!(response.items().len(), 1);
    assert_eq!(operations, ["Query", "BatchGetItem"]);

    let mut fixtures = Fixtures::new(domain::Policy::default(), world.now());
    for _ in 0..99 {
        let _ = fixtures.founds("ada");
    }
    world.load(&fixtures).await;
    let (response, operations) = requests_of(&world, ada.gets("/v1/organizations?limit=1000")).await;
    assert_eq!(response.items().len(), 100);
    assert_eq!(operations, ["Query", "BatchGetItem"]);
    world.finish().await;
}

#[tokio::test]
async fn preview_is_one_read_and_a_malformed_token_causes_no_request() {
    let world = World::start().await;
    let (.., token) = with_an_invitation(&world).await;
    let (response, operations) = requests_of(&world, world.anonymous().previews(&token)).await;
    response.is(200);
    assert_eq!(operations, READ);
    let cut = &token[..token.len() - 1];
    let bob = world.person("bob");
    for malformed in ["", "v1", cut, &format!("{token}A"), &token.replacen("v1", "v2", 1)] {
        for (response, operations) in [
            requests_of(&world, world.anonymous().previews(malformed)).await,
            requests_of(&world, bob.accepts(malformed)).await,
            requests_of(&world, bob.declines(malformed)).await,
        ] {
            response.refused(400, "invalid_token");
            assert_eq!(operations, [""; 0], "{malformed}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn expire_is_one_read_and_one_write_and_a_repetition_is_one_read() {
    let world = World::start().await;
    let (ada, acme, ..) = with_an_invitation(&world).await;
    let invitation = ada.finds_invitation(&acme, "bob@example.com").await;
    world.delete_schedule(&acme, &invitation).await;
    world.advance(48 * 60 * 60).await;
    let timer = harness::timer(&acme, &invitation);
    let take_operations =
        || world.wire().take_requests().into_iter().map(|request| request.operation).collect::<Vec<_>>();
    let _ = take_operations();
    // Requests of the stream's functions can only follow these two requests.
    world.invoke("expire", timer.clone()).await.unwrap();
    assert_eq!(take_operations()[..2], READ_ONE_AND_WRITE);
    world.wait_until_idle().await;
    let _ = take_operations();
    world.invoke("expire", timer).await.unwrap();
    assert_eq!(take_operations(), READ_ONE);
    world.finish().await;
}

#[tokio::test]
async fn s01_s35_a_forged_token_causes_no_request_and_a_token_without_a_record_one_read() {
    let world = World::start().await;
    let (ada, acme, invitation, token) = with_an_invitation(&world).await;
    ada.revokes(&acme, &invitation).await.is(204);
    world.advance(31 * 24 * 60 * 60).await;
    let list = ada.lists_invitations(&acme, "").await.items();
    assert_eq!(list.len(), 1, "only Ada's own record is left");
    // Changes the second to last character, because the last character has unused bits.
    let at = token.len() - 2;
    let other = if token.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
    let bob = world.person("bob");
    let (genuine, forged) = (&token, &forged);
    let mut operations_of_both = Vec::new();
    for (token, status, code) in [(genuine, 410, "invitation_superseded"), (forged, 400, "invalid_token")] {
        let mut operations_of_all = Vec::new();
        for (response, operations) in [
            requests_of(&world, world.anonymous().previews(token)).await,
            requests_of(&world, bob.accepts(token)).await,
            requests_of(&world, bob.declines(token)).await,
        ] {
            response.refused(status, code);
            operations_of_all.push(operations);
        }
        operations_of_both.push(operations_of_all);
    }
    assert_eq!(operations_of_both[0], [&READ[..], &READ[..], &READ_ONE[..]]);
    assert_eq!(operations_of_both[1], [[""; 0]; 3]);
    world.finish().await;
}

#[tokio::test]
async fn s35_a_stranger_causes_no_write_request() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    let invitation = invitation["id"].as_str().unwrap();
    let token = world.token_for("bob@example.com").await;
    let mallory = world.person("mallory");
    let mut all = vec![
        requests_of(&world, mallory.resends(&acme, "no-id")).await,
        requests_of(&world, mallory.edits_role(&acme, "mallory", "owner")).await,
        requests_of(&world, mallory.leaves(&acme)).await,
    ];
    let parameters = Parameters { organization: &acme.id, invitation, user: "ada", token: &token };
    for route in ROUTES.iter().filter(|route| route.pattern.contains("{organization_id}")) {
        all.push(requests_of(&world, call_route(&mallory, route, parameters)).await);
    }
    for (response, operations) in all {
        response.refused(404, "organization_not_found");
        assert!(
            operations.iter().all(|it| matches!(it.as_str(), "TransactGetItems" | "GetItem")),
            "{operations:?}"
        );
        assert!(operations.len() <= 1, "{operations:?}");
    }
    for (response, operations) in [
        requests_of(&world, mallory.accepts(&token)).await,
        requests_of(&world, mallory.declines(&token)).await,
    ] {
        response.refused(403, "email_mismatch");
        assert_eq!(operations.len(), 1, "{operations:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_request_that_is_invalid_by_itself_causes_no_request_to_aws() {
    let world = World::start().await;
    let (ada, acme, invitation, _) = with_an_invitation(&world).await;
    let unverified = world.signed_in("ada", json!({ "email": "ada@example.com", "email_verified": false }));
    for (response, operations) in [
        requests_of(&world, ada.creates("https://phish.example")).await,
        requests_of(&world, ada.invites(&acme, &["nobody"], "member")).await,
        requests_of(&world, ada.invites(&acme, &[], "member")).await,
        requests_of(&world, ada.invites(&acme, &["eve@example.com"], "admin")).await,
        requests_of(&world, ada.edits_role(&acme, "ada", "Owner")).await,
        requests_of(&world, unverified.creates("Acme")).await,
        requests_of(&world, unverified.invites(&acme, &["eve@example.com"], "member")).await,
        requests_of(&world, unverified.resends(&acme, &invitation)).await,
        requests_of(&world, ada.lists_members(&acme, "?limit=0")).await,
    ] {
        assert!(response.status.is_client_error(), "{}", response.body);
        assert_eq!(operations, [""; 0], "{}", response.body);
    }
    world.finish().await;
}

/// Fixtures are created by the rules and written to the table directly. Calls must be able to continue from them.
#[tokio::test]
async fn calls_can_continue_from_fixtures() {
    let world = World::start().await;
    let mut fixtures = Fixtures::new(domain::Policy::default(), world.now());
    let acme = fixtures.founds("ada");
    fixtures.joins(&acme, "ada", "bob", Role::Owner);
    fixtures.invites(&acme, "bob", "ivy", Role::Member);
    world.load(&fixtures).await;
    let bob = world.person("bob");
    assert_eq!(bob.counts_seats(&acme).await, (3, 997));
    world.person("ivy").accepts(&world.token_for("ivy@example.com").await).await.is(200);
    world.finish().await;
}
