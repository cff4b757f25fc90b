//! Limits: no address is flooded with mail, and normal use stays below the limits.

use domain::{Limits, Policy};
use futures_util::future::join_all;
use harness::{Fault, MAIL_COOLDOWN, Options, Organization, Person, TestTable, World, id, timestamp};
use serde_json::{Value, json};

const DAY: u64 = 24 * 60 * 60;
const HOUR: u64 = 60 * 60;

async fn world_with(limits: Limits) -> World {
    let policy = Policy { limits: Some(limits), ..Policy::default() };
    World::with(Options { policy, ..Options::default() }).await
}

/// Checks that nearly the whole period (in seconds) is left.
#[track_caller]
fn assert_just_begun(wait: u64, period: u64) {
    assert!((period - 60..=period).contains(&wait), "{wait} s of {period} s");
}

#[tokio::test]
async fn s26_limits_the_invitees_of_an_organization_per_day() {
    let world = world_with(Limits { invitees_per_day: 4, ..Limits::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    ada.invites(&acme, &["c@example.com", "d@example.com"], "member").await.is(200);
    let refused = bob.invites(&acme, &["e@example.com", "f@example.com"], "member").await;
    let wait = refused.retry_after();
    assert_just_begun(wait, DAY);
    let problem = refused.refused(429, "too_many_invitations");
    let detail = "An organization may invite 4 people per day. It may invite 1 more now, and 4 again in 24 hours. \
                  No invitation was sent.";
    assert_eq!(problem["detail"], detail);
    assert_eq!(ada.counts_seats(&acme).await.0, 4, "no address was invited");
    bob.invites(&acme, &["e@example.com"], "member").await.is(200);
    for by in [&ada, &bob] {
        by.invites(&acme, &["f@example.com"], "member").await.refused(429, "too_many_invitations");
    }
    // Members and invited addresses get no mail, so they do not count.
    ada.invites(&acme, &["e@example.com", "bob@example.com"], "member").await.is(200);
    let elsewhere = world.founded_by(&ada).await;
    ada.invites(&elsewhere, &["f@example.com"], "member").await.is(200);
    world.advance(wait).await;
    ada.invites(&acme, &["f@example.com", "g@example.com"], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s26_limits_the_mails_of_a_sender_per_hour() {
    let world = world_with(Limits { mails_per_hour: 4, ..Limits::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let invitation = world.invited(&acme, &ada, "c@example.com", "member").await;
    world.advance(MAIL_COOLDOWN).await;
    ada.resends(&acme, id(&invitation)).await.is(200);
    let refused = ada.invites(&acme, &["d@example.com", "e@example.com"], "member").await;
    let wait = refused.retry_after();
    assert!((HOUR - MAIL_COOLDOWN - 60..=HOUR - MAIL_COOLDOWN).contains(&wait), "{wait} s");
    let detail = refused.refused(429, "too_many_invitations")["detail"].clone();
    let expected = "You may send 4 invitation mails per hour. You may send 1 more now";
    assert!(detail.as_str().unwrap().starts_with(expected), "{detail}");
    ada.invites(&acme, &["d@example.com"], "member").await.is(200);
    world.advance(MAIL_COOLDOWN).await;
    ada.resends(&acme, id(&invitation)).await.refused(429, "too_many_invitations");
    // The limit is per sender and organization.
    bob.resends(&acme, id(&invitation)).await.is(200);
    bob.invites(&acme, &["e@example.com"], "member").await.is(200);
    let elsewhere = world.founded_by(&ada).await;
    ada.invites(&elsewhere, &["e@example.com"], "member").await.is(200);
    world.advance(wait).await;
    ada.invites(&acme, &["f@example.com"], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s26_mails_an_address_again_only_after_a_minute() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.wait_until_idle().await;
    let sent_at = timestamp(&ada.finds_invitation(&acme, "bob@example.com").await["sent_at"]);
    let after =
        |seconds: u64| domain::Timestamp::from_unix(sent_at.unix()) + std::time::Duration::from_secs(seconds);
    let refused = world.at(after(59), async || ada.resends(&acme, id(&invitation)).await).await;
    assert_eq!(refused.retry_after(), 1);
    let problem = refused.refused(429, "resend_too_soon");
    assert_eq!(
        problem["detail"],
        "This address was mailed a moment ago, and can be mailed again in 1 second."
    );
    // The limit also applies to an invite after a revoke.
    ada.revokes(&acme, id(&invitation)).await.is(204);
    let again = async || ada.invites(&acme, &["c@example.com", "BOB@example.com"], "member").await;
    let refused = world.at(after(59), again).await;
    assert_eq!((refused.retry_after(), refused.pointers()), (1, vec!["/emails/1"]));
    refused.refused(429, "resend_too_soon");
    assert_eq!(ada.counts_seats(&acme).await.0, 1, "no address was invited");
    world.at(after(60), again).await.is(200);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn s26_refuses_a_resend_while_the_mail_is_queued() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.wait_until_idle().await;
    let held = world.wire().hold_background_request("SendEmail");
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    held.arrived().await;
    for _ in 0..3 {
        ada.resends(&acme, id(&invitation)).await.refused(429, "resend_too_soon");
    }
    held.release();
    assert_eq!(world.mails_to("bob@example.com").await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn s26_limits_the_mails_to_an_address_per_organization() {
    // A high limit per recipient, so that the limit per organization is reached first.
    let world = world_with(Limits { mails_per_recipient: 100, ..Limits::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    for generation in 2..=10 {
        world.advance(MAIL_COOLDOWN).await;
        let again = if generation % 2 == 0 {
            ada.resends(&acme, id(&invitation)).await.is(200)
        } else {
            ada.revokes(&acme, id(&invitation)).await.is(204);
            world.invited(&acme, &ada, "bob@example.com", "member").await
        };
        assert_eq!(again["generation"], generation);
    }
    world.advance(MAIL_COOLDOWN).await;
    let refused = ada.resends(&acme, id(&invitation)).await;
    assert!(refused.retry_after() > 31 * DAY);
    let detail = refused.refused(429, "resend_too_soon")["detail"].clone();
    let expected = "This address got 10 mails from this organization, and can be mailed again in 32 days.";
    assert_eq!(detail, expected);
    ada.revokes(&acme, id(&invitation)).await.is(204);
    let refused = ada.invites(&acme, &["bob@example.com"], "member").await;
    let wait = refused.retry_after();
    refused.refused(429, "resend_too_soon");
    assert_eq!(world.mails_to("bob@example.com").await.len(), 10);
    world.advance(wait).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    assert_eq!(invitation["generation"], 1, "the old record was deleted");
    world.finish().await;
}

/// Invites each address from another organization, all at the same time.
async fn invite_from_different_organizations(
    world: &World,
    emails: &[String],
) -> Vec<(Person, Organization, Value)> {
    let mut invitations = Vec::new();
    for (number, email) in emails.iter().enumerate() {
        let founder = world.person(&format!("founder-{number}"));
        let organization = world.founded_by(&founder).await;
        invitations.push((founder, organization, email));
    }
    let invite = async |(founder, organization, email): (Person, Organization, &String)| {
        let invitation = world.invited(&organization, &founder, email, "member").await;
        (founder, organization, invitation)
    };
    join_all(invitations.into_iter().map(invite)).await
}

#[tokio::test]
async fn s26_limits_the_mails_to_a_recipient_per_day_over_all_organizations() {
    let world = World::start().await;
    // Addresses that differ only after the plus sign belong to one recipient.
    let emails: Vec<_> = (0..13).map(|number| format!("bob+{number}@example.com")).collect();
    // The limit is per UTC day, so the scenario starts an hour after midnight.
    let now = world.now().unix();
    world.advance(DAY - u64::try_from(now).unwrap() % DAY + HOUR).await;
    let invitations = invite_from_different_organizations(&world, &emails).await;
    world.wait_until_idle().await;
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for (founder, organization, invitation) in invitations {
        let email = invitation["email"].as_str().unwrap();
        let seen = founder.finds_invitation(&organization, email).await;
        assert_eq!(seen["status"], "pending", "it keeps its seat and can be accepted");
        let mails = world.mails_to(email).await.len();
        if seen["delivery"] == "sent" {
            assert_eq!(mails, 1);
            sent.push(seen);
        } else {
            assert_eq!((&seen["delivery"], &seen["sent_at"], mails), (&json!("failed"), &Value::Null, 0));
            // The detail does not show that other organizations mailed the address.
            assert_eq!(seen["delivery_detail"], "The mail was not sent. Resend the invitation tomorrow.");
            failed.push((founder, organization, seen));
        }
    }
    assert_eq!((sent.len(), failed.len()), (10, 3));
    world.advance(MAIL_COOLDOWN).await;
    let (founder, organization, invitation) = &failed[0];
    founder.resends(organization, id(invitation)).await.is(200);
    let email = invitation["email"].as_str().unwrap();
    world.wait_until_idle().await;
    assert_eq!(
        founder.finds_invitation(organization, email).await["delivery"],
        "failed",
        "the limit holds for the whole day"
    );
    let other = world.invited(organization, founder, "bobby@example.com", "member").await;
    world.wait_until_idle().await;
    assert_eq!(
        founder.finds_invitation(organization, "bobby@example.com").await["delivery"],
        "sent",
        "{other}"
    );
    world.advance(DAY).await;
    founder.resends(organization, id(invitation)).await.is(200);
    assert_eq!(world.mails_to(email).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn s26_a_retried_mail_counts_once() {
    let world = world_with(Limits { mails_per_recipient: 2, ..Limits::default() }).await;
    let emails = ["bob+1", "bob+2"].map(|name| format!("{name}@example.com"));
    // Fewer faults than the laptop's attempts, in case all of them hit the same mail.
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), 4);
    let invitations = invite_from_different_organizations(&world, &emails).await;
    world.wait_until_idle().await;
    for (founder, organization, invitation) in invitations {
        let email = invitation["email"].as_str().unwrap();
        assert_eq!(founder.finds_invitation(&organization, email).await["delivery"], "sent");
    }
    assert!(world.wire().all_faults_injected());
    world.finish().await;
}

#[tokio::test]
#[ignore = "takes 20 s; .ci/run runs it"]
async fn s26_the_default_limits_allow_a_thousand_invitations_on_the_first_day() {
    // Fewer calls on an external DynamoDB, which is slow.
    let calls = if TestTable::is_external() { 2 } else { 20 };
    let policy = Policy { seats: calls * 50 + 1, ..Policy::default() };
    let world = World::with(Options { policy, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    for call in 0..calls {
        let emails: Vec<_> = (0..50).map(|number| format!("p{call}-{number}@example.com")).collect();
        let emails: Vec<_> = emails.iter().map(String::as_str).collect();
        ada.invites(&acme, &emails, "member").await.is(200);
    }
    assert_eq!(ada.counts_seats(&acme).await, (u64::from(calls) * 50 + 1, 0));
    world.wait_until_idle().await;
    let all = ada.lists_invitations(&acme, "?limit=1000&status=pending").await.items();
    assert_eq!(all.len(), usize::try_from(calls).unwrap() * 50);
    assert!(all.iter().all(|invitation| invitation["delivery"] == "sent"));
    world.finish().await;
}

#[tokio::test]
async fn refuses_with_the_first_error_in_the_documented_order() {
    let limits = Limits { invitees_per_day: 1, mails_per_hour: 1, ..Limits::default() };
    let policy = Policy { seats: 3, limits: Some(limits), ..Policy::default() };
    let world = World::with(Options { policy, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let mem = world.joined(&acme, &ada, "mem", "member").await;
    let few = ["c@example.com", "d@example.com"];
    ada.invites(&acme, &few, "member").await.refused(429, "too_many_invitations");
    mem.invites(&acme, &few, "owner").await.refused(403, "role_not_grantable");
    world.person("eve").invites(&acme, &few, "member").await.refused(404, "organization_not_found");
    let invitation = ada.finds_invitation(&acme, "mem@example.com").await;
    ada.resends(&acme, id(&invitation)).await.refused(409, "invitation_not_pending");
    world.finish().await;
}

#[tokio::test]
async fn a_policy_without_limits_refuses_no_mail() {
    let policy = Policy { limits: None, ..Policy::default() };
    let world = World::with(Options { policy, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    for generation in 2..=12 {
        assert_eq!(ada.resends(&acme, id(&invitation)).await.is(200)["generation"], generation);
        world.wait_until_idle().await;
    }
    assert_eq!(world.mails_to("bob@example.com").await.len(), 12);
    world.finish().await;
}
