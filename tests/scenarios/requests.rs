//! What each action costs: the requests that it sends to AWS, counted on the wire.

use std::collections::BTreeSet;

use domain::Role;
use harness::{Answer, Call, Fixtures, Organization, Person, TWO_DAYS, World};
use serde_json::{Value, json};

use crate::every_route::call_all_in_an_organization;

const READ: [&str; 1] = ["TransactGetItems"];
const READ_ONE: [&str; 1] = ["GetItem"];
const READ_AND_WRITE: [&str; 2] = ["TransactGetItems", "TransactWriteItems"];
const READ_ONE_AND_WRITE: [&str; 2] = ["GetItem", "TransactWriteItems"];

/// What `act` is answered, and which requests it has sent.
async fn costs(world: &World, act: impl Future<Output = Answer>) -> (Answer, Vec<String>) {
    // What goes on besides is another's, but calmer is easier to read.
    world.idle().await;
    let _ = world.wire().take();
    let answer = act.await;
    (answer, world.wire().take_actions())
}

/// Ada's organization, and an invitation of bob's address with its token.
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
    let (answer, sent) = costs(&world, ada.creates("Acme")).await;
    answer.is(201);
    assert_eq!(sent, ["TransactWriteItems"]);
    world.finish().await;
}

#[tokio::test]
async fn invite_is_one_read_and_one_write_for_one_address_and_for_fifty() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let (answer, sent) = costs(&world, ada.invites(&acme, &["bob@example.com"], "owner")).await;
    answer.is(200);
    assert_eq!(sent, READ_AND_WRITE);

    let emails: Vec<_> = (0..50).map(|number| format!("p{number}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    world.idle().await;
    let _ = world.wire().take();
    let answer = ada.invites(&acme, &emails, "member").await.is(200);
    let calls: Vec<_> = world.wire().take().into_iter().filter(|call| call.action).collect();
    assert_eq!(calls.iter().map(|call| call.operation.as_str()).collect::<Vec<_>>(), READ_AND_WRITE);
    // Fifty records, the organization's seats, and the sender's role.
    assert_eq!(calls[0].body["TransactItems"].as_array().unwrap().len(), 52);
    assert_eq!(calls[1].body["TransactItems"].as_array().unwrap().len(), 52);
    let results = answer["results"].as_array().unwrap();
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
async fn an_invite_that_invites_nobody_writes_nothing() {
    let world = World::start().await;
    let (ada, acme, ..) = with_an_invitation(&world).await;
    let again = ["bob@example.com", "ada@example.com"];
    let (answer, sent) = costs(&world, ada.invites(&acme, &again, "member")).await;
    answer.is(200);
    assert_eq!(sent, READ);
    world.finish().await;
}

#[tokio::test]
async fn a_key_costs_no_request_and_answering_again_costs_one_read() {
    let world = World::start().await;
    let ada = world.person("ada").with_key("k");
    let acme = world.founded_by(&world.person("ada")).await;
    let (first, sent) = costs(&world, ada.invites(&acme, &["bob@example.com"], "member")).await;
    assert_eq!(sent, READ_AND_WRITE);
    let (again, sent) = costs(&world, ada.invites(&acme, &["bob@example.com"], "member")).await;
    assert_eq!((again.is(200), sent), (first.is(200), READ.map(str::to_owned).to_vec()));
    let (first, sent) = costs(&world, ada.creates("Acme")).await;
    assert_eq!(sent, ["TransactWriteItems"]);
    let (again, sent) = costs(&world, ada.creates("Acme")).await;
    assert_eq!(again.is(201), first.is(201));
    assert_eq!(sent, ["TransactWriteItems", "GetItem"], "the guard fails, and the answer is read");
    world.finish().await;
}

#[tokio::test]
async fn a_mail_is_two_reads_and_two_writes_and_one_send() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let _ = world.wire().take();
    world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.idle().await;
    let calls = world.wire().take().into_iter().filter(|call| call.function.as_deref() == Some("mail"));
    let sent: Vec<_> = calls.map(|call| call.operation).collect();
    // The record, the count to the recipient's day, the mail, and its mark.
    assert_eq!(
        sent,
        ["TransactGetItems", "TransactWriteItems", "SendEmail", "GetItem", "TransactWriteItems"]
    );
    world.finish().await;
}

#[tokio::test]
async fn resend_and_revoke_are_one_read_and_one_write_each() {
    let world = World::start().await;
    let (ada, acme, invitation, _) = with_an_invitation(&world).await;
    world.passes(61).await;
    let (answer, sent) = costs(&world, ada.resends(&acme, &invitation)).await;
    answer.is(200);
    assert_eq!(sent, READ_AND_WRITE);
    let (answer, sent) = costs(&world, ada.revokes(&acme, &invitation)).await;
    answer.is(204);
    assert_eq!(sent, READ_AND_WRITE);
    let (answer, sent) = costs(&world, ada.revokes(&acme, &invitation)).await;
    answer.refused(409, "invitation_not_pending");
    assert_eq!(sent, READ);
    world.finish().await;
}

#[tokio::test]
async fn accept_is_one_read_and_one_write_and_again_one_read() {
    let world = World::start().await;
    let (ada, acme, _, token) = with_an_invitation(&world).await;
    let bob = world.person("bob");
    let (answer, sent) = costs(&world, bob.accepts(&token)).await;
    let member = answer.is(200);
    assert_eq!(sent, READ_AND_WRITE);
    let (answer, sent) = costs(&world, bob.accepts(&token)).await;
    assert_eq!(answer.is(200), member);
    assert_eq!(sent, READ);
    world.invited(&acme, &ada, "eve@example.com", "owner").await;
    let token = world.token_for("eve@example.com").await;
    let (answer, sent) = costs(&world, world.person("eve").accepts(&token)).await;
    answer.is(200);
    assert_eq!(sent, READ_AND_WRITE, "as owner too");
    world.finish().await;
}

#[tokio::test]
async fn accept_reads_a_sender_only_who_may_not_grant_the_role() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let zoe = world.joined(&acme, &ada, "zoe", "owner").await;
    for guest in ["bob", "cyd"] {
        world.invited(&acme, &zoe, &format!("{guest}@example.com"), "member").await;
    }
    let (answer, sent) = costs(&world, ada.edits(&acme, "zoe", "member")).await;
    answer.is(200);
    assert_eq!(sent, READ_AND_WRITE);
    let token = world.token_for("bob@example.com").await;
    let (answer, sent) = costs(&world, world.person("bob").accepts(&token)).await;
    assert_eq!(answer.is(200)["role"], "member");
    assert_eq!(sent, READ_AND_WRITE, "a member may grant it, too");
    let (answer, sent) = costs(&world, ada.removes(&acme, "zoe")).await;
    answer.is(204);
    assert_eq!(sent, READ_AND_WRITE);
    let token = world.token_for("cyd@example.com").await;
    let (answer, sent) = costs(&world, world.person("cyd").accepts(&token)).await;
    answer.refused(409, "sender_lost_authority");
    assert_eq!(
        sent,
        ["TransactGetItems", "TransactWriteItems", "TransactGetItems"],
        "once on trust, and once not"
    );
    world.finish().await;
}

#[tokio::test]
async fn decline_is_one_read_and_one_write() {
    let world = World::start().await;
    let (.., token) = with_an_invitation(&world).await;
    let (answer, sent) = costs(&world, world.person("bob").declines(&token)).await;
    answer.is(204);
    assert_eq!(sent, READ_ONE_AND_WRITE);
    world.finish().await;
}

#[tokio::test]
async fn role_edit_and_remove_are_one_read_and_one_write_each() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "member").await;
    let eve = world.joined(&acme, &ada, "eve", "member").await;
    let (answer, sent) = costs(&world, ada.edits(&acme, &bob.sub, "owner")).await;
    answer.is(200);
    assert_eq!(sent, READ_AND_WRITE);
    let (answer, sent) = costs(&world, ada.edits(&acme, &bob.sub, "owner")).await;
    answer.is(200);
    assert_eq!(sent, READ, "to what it is");
    let (answer, sent) = costs(&world, ada.edits(&acme, &ada.sub, "member")).await;
    answer.is(200);
    assert_eq!(sent, READ_AND_WRITE, "of oneself");
    let (answer, sent) = costs(&world, bob.removes(&acme, &eve.sub)).await;
    answer.is(204);
    assert_eq!(sent, READ_AND_WRITE);
    let (answer, sent) = costs(&world, ada.leaves(&acme)).await;
    answer.is(204);
    assert_eq!(sent, READ_AND_WRITE, "leaving");
    let (answer, sent) = costs(&world, bob.leaves(&acme)).await;
    answer.refused(409, "last_owner");
    assert_eq!(sent, READ);
    world.finish().await;
}

#[tokio::test]
async fn lists_are_two_reads_and_one_organization_is_one() {
    let world = World::start().await;
    let (ada, acme, ..) = with_an_invitation(&world).await;
    for (answer, sent) in [
        costs(&world, ada.lists_members(&acme, "")).await,
        costs(&world, ada.lists_members(&acme, "?role=owner&limit=1")).await,
        costs(&world, ada.lists_invitations(&acme, "")).await,
        costs(&world, ada.lists_invitations(&acme, "?status=pending")).await,
    ] {
        answer.is(200);
        assert_eq!(sent, ["GetItem", "Query"]);
    }
    let (answer, sent) = costs(&world, ada.looks_at(&acme)).await;
    answer.is(200);
    assert_eq!(sent, READ);
    world.finish().await;
}

/// Embedded engines have no reads that lag, and would not notice: whatever is read from the table itself asks for what was
/// written last. (Indexes cannot.)
#[tokio::test]
async fn what_is_read_from_the_table_is_what_was_written_last() {
    let world = World::start().await;
    call_all_in_an_organization(&world).await;
    world.passes(TWO_DAYS).await;
    world.idle().await;
    let mut kinds = BTreeSet::new();
    for Call { operation, body, .. } in world.wire().take() {
        let consistent = match operation.as_str() {
            "GetItem" => &body["ConsistentRead"],
            "Query" if body["IndexName"].is_null() => &body["ConsistentRead"],
            "BatchGetItem" => {
                let tables = body["RequestItems"].as_object().expect("a table");
                &tables.values().next().expect("a table")["ConsistentRead"]
            }
            // A transaction has no other reads.
            _ => continue,
        };
        assert_eq!(*consistent, json!(true), "{operation}: {body}");
        kinds.insert(operation);
    }
    assert_eq!(kinds.len(), 3, "{kinds:?}");
    world.finish().await;
}

#[tokio::test]
async fn the_list_of_organizations_is_two_reads_for_one_and_for_a_hundred() {
    let world = World::start().await;
    let ada = world.person("ada");
    let (answer, sent) = costs(&world, ada.lists_organizations()).await;
    assert_eq!(answer.items(), [Value::Null; 0]);
    assert_eq!(sent, ["Query"], "without organizations there are no names to read");
    world.founded_by(&ada).await;
    let (answer, sent) = costs(&world, ada.lists_organizations()).await;
    assert_eq!(answer.items().len(), 1);
    assert_eq!(sent, ["Query", "BatchGetItem"]);

    let mut fixtures = Fixtures::new(domain::Policy::default(), world.now());
    for _ in 0..99 {
        let _ = fixtures.founds("ada");
    }
    world.load(&fixtures).await;
    let (answer, sent) = costs(&world, ada.gets("/v1/organizations?limit=1000")).await;
    assert_eq!(answer.items().len(), 100);
    assert_eq!(sent, ["Query", "BatchGetItem"]);
    world.finish().await;
}

#[tokio::test]
async fn preview_is_one_read_and_a_malformed_token_costs_nothing() {
    let world = World::start().await;
    let (.., token) = with_an_invitation(&world).await;
    let (answer, sent) = costs(&world, world.nobody().previews(&token)).await;
    answer.is(200);
    assert_eq!(sent, READ);
    let cut = &token[..token.len() - 1];
    let bob = world.person("bob");
    for malformed in ["", "v1", cut, &format!("{token}A"), &token.replacen("v1", "v2", 1)] {
        for (answer, sent) in [
            costs(&world, world.nobody().previews(malformed)).await,
            costs(&world, bob.accepts(malformed)).await,
            costs(&world, bob.declines(malformed)).await,
        ] {
            answer.refused(400, "invalid_token");
            assert_eq!(sent, [""; 0], "{malformed}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn expire_is_one_read_and_one_write_and_again_one_read() {
    let world = World::start().await;
    let (ada, acme, ..) = with_an_invitation(&world).await;
    let invitation = ada.finds(&acme, "bob@example.com").await;
    world.loses_schedule(&acme, &invitation).await;
    world.passes(48 * 60 * 60).await;
    let timer = harness::timer(&acme, &invitation);
    let sent = || world.wire().take().into_iter().map(|call| call.operation).collect::<Vec<_>>();
    let _ = sent();
    // What the stream does then is told by other operations or not yet: nobody wakes its readers.
    world.invokes("expire", timer.clone()).await.unwrap();
    assert_eq!(sent()[..2], READ_ONE_AND_WRITE);
    world.idle().await;
    let _ = sent();
    world.invokes("expire", timer).await.unwrap();
    assert_eq!(sent(), READ_ONE);
    world.finish().await;
}

#[tokio::test]
async fn s01_s35_a_forged_token_asks_nothing_of_the_table_and_a_genuine_one_without_a_record_one_read() {
    let world = World::start().await;
    let (ada, acme, invitation, token) = with_an_invitation(&world).await;
    ada.revokes(&acme, &invitation).await.is(204);
    world.passes(31 * 24 * 60 * 60).await;
    let list = ada.lists_invitations(&acme, "").await.items();
    assert_eq!(list.len(), 1, "the record is gone, ada's own is left");
    // Another last character but one: the very last one has bits that belong to nothing.
    let at = token.len() - 2;
    let other = if token.as_bytes()[at] == b'A' { 'B' } else { 'A' };
    let forged = format!("{}{other}{}", &token[..at], &token[at + 1..]);
    let bob = world.person("bob");
    let (genuine, forged) = (&token, &forged);
    let mut both = Vec::new();
    for (token, status, code) in [(genuine, 410, "invitation_superseded"), (forged, 400, "invalid_token")] {
        let mut costs_of_all = Vec::new();
        for (answer, sent) in [
            costs(&world, world.nobody().previews(token)).await,
            costs(&world, bob.accepts(token)).await,
            costs(&world, bob.declines(token)).await,
        ] {
            answer.refused(status, code);
            costs_of_all.push(sent);
        }
        both.push(costs_of_all);
    }
    assert_eq!(both[0], [&READ[..], &READ[..], &READ_ONE[..]]);
    assert_eq!(both[1], [[""; 0]; 3]);
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
    for (answer, sent) in [
        costs(&world, mallory.looks_at(&acme)).await,
        costs(&world, mallory.lists_members(&acme, "")).await,
        costs(&world, mallory.lists_invitations(&acme, "")).await,
        costs(&world, mallory.invites(&acme, &["mallory@example.com"], "owner")).await,
        costs(&world, mallory.resends(&acme, invitation)).await,
        costs(&world, mallory.resends(&acme, "no-id")).await,
        costs(&world, mallory.revokes(&acme, invitation)).await,
        costs(&world, mallory.edits(&acme, "mallory", "owner")).await,
        costs(&world, mallory.edits(&acme, "ada", "member")).await,
        costs(&world, mallory.removes(&acme, "ada")).await,
        costs(&world, mallory.leaves(&acme)).await,
    ] {
        answer.refused(404, "organization_not_found");
        assert!(sent.iter().all(|it| matches!(it.as_str(), "TransactGetItems" | "GetItem")), "{sent:?}");
        assert!(sent.len() <= 1, "{sent:?}");
    }
    for (answer, sent) in
        [costs(&world, mallory.accepts(&token)).await, costs(&world, mallory.declines(&token)).await]
    {
        answer.refused(403, "email_mismatch");
        assert_eq!(sent.len(), 1, "{sent:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_can_be_refused_by_the_request_alone_costs_nothing() {
    let world = World::start().await;
    let (ada, acme, invitation, _) = with_an_invitation(&world).await;
    let unverified = world.signed_in("ada", json!({ "email": "ada@example.com", "email_verified": false }));
    for (answer, sent) in [
        costs(&world, ada.creates("https://phish.example")).await,
        costs(&world, ada.invites(&acme, &["nobody"], "member")).await,
        costs(&world, ada.invites(&acme, &[], "member")).await,
        costs(&world, ada.invites(&acme, &["eve@example.com"], "admin")).await,
        costs(&world, ada.edits(&acme, "ada", "Owner")).await,
        costs(&world, unverified.creates("Acme")).await,
        costs(&world, unverified.invites(&acme, &["eve@example.com"], "member")).await,
        costs(&world, unverified.resends(&acme, &invitation)).await,
        costs(&world, ada.lists_members(&acme, "?limit=0")).await,
    ] {
        assert!(answer.status.is_client_error(), "{}", answer.body);
        assert_eq!(sent, [""; 0], "{}", answer.body);
    }
    world.finish().await;
}

/// The fixtures of the scenarios is made by the rules, so it must hold what the table holds.
#[tokio::test]
async fn what_is_put_into_the_table_as_a_whole_is_what_calls_would_have_made() {
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
