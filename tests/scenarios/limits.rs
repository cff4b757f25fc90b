//! Limits: nobody's mailbox is flooded, by whoever and in whatever way, and nobody who means well meets a
//! limit.

use domain::{Limits, Policy};
use futures_util::future::join_all;
use harness::{Fault, MAIL_COOLDOWN, Options, Organization, Person, TestTable, World, id, moment};
use serde_json::{Value, json};

const DAY: u64 = 24 * 60 * 60;
const HOUR: u64 = 60 * 60;

async fn world_with(limits: Limits) -> World {
    let policy = Policy { limits: Some(limits), ..Policy::default() };
    World::with(Options { policy, ..Options::default() }).await
}

/// What is left of a period that has just begun.
#[track_caller]
fn assert_just_begun(wait: u64, period: u64) {
    assert!((period - 60..=period).contains(&wait), "{wait} s of {period} s");
}

#[tokio::test]
async fn s26_an_organization_invites_so_many_a_day_whoever_it_is_that_invites() {
    let world = world_with(Limits { invitees_per_day: 4, ..Limits::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    ada.invites(&acme, &["c@example.com", "d@example.com"], "member").await.is(200);
    let refused = bob.invites(&acme, &["e@example.com", "f@example.com"], "member").await;
    let wait = refused.retry_after();
    assert_just_begun(wait, DAY);
    let problem = refused.refused(429, "too_many_invitations");
    let detail = "An organization may invite 4 people in a day; 1 of them are left, and all again in 24 hours. \
                  Nobody was invited.";
    assert_eq!(problem["detail"], detail);
    assert_eq!(ada.counts_seats(&acme).await.0, 4, "nobody was invited");
    bob.invites(&acme, &["e@example.com"], "member").await.is(200);
    for by in [&ada, &bob] {
        by.invites(&acme, &["f@example.com"], "member").await.refused(429, "too_many_invitations");
    }
    // Nobody is mailed, so nobody is counted.
    ada.invites(&acme, &["e@example.com", "bob@example.com"], "member").await.is(200);
    let elsewhere = world.founded_by(&ada).await;
    ada.invites(&elsewhere, &["f@example.com"], "member").await.is(200);
    world.passes(wait).await;
    ada.invites(&acme, &["f@example.com", "g@example.com"], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s26_a_sender_has_so_many_mailed_an_hour_by_inviting_and_by_resending() {
    let world = world_with(Limits { mails_per_hour: 4, ..Limits::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    let invitation = world.invited(&acme, &ada, "c@example.com", "member").await;
    world.passes(MAIL_COOLDOWN).await;
    ada.resends(&acme, id(&invitation)).await.is(200);
    let refused = ada.invites(&acme, &["d@example.com", "e@example.com"], "member").await;
    let wait = refused.retry_after();
    assert!((HOUR - MAIL_COOLDOWN - 60..=HOUR - MAIL_COOLDOWN).contains(&wait), "{wait} s");
    let detail = refused.refused(429, "too_many_invitations")["detail"].clone();
    assert!(
        detail.as_str().unwrap().starts_with("You may have 4 people mailed in an hour; 1 of them are left")
    );
    ada.invites(&acme, &["d@example.com"], "member").await.is(200);
    world.passes(MAIL_COOLDOWN).await;
    ada.resends(&acme, id(&invitation)).await.refused(429, "too_many_invitations");
    // Others, and the same person elsewhere, have an hour of their own.
    bob.resends(&acme, id(&invitation)).await.is(200);
    bob.invites(&acme, &["e@example.com"], "member").await.is(200);
    let elsewhere = world.founded_by(&ada).await;
    ada.invites(&elsewhere, &["e@example.com"], "member").await.is(200);
    world.passes(wait).await;
    ada.invites(&acme, &["f@example.com"], "member").await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn s26_an_address_is_mailed_again_a_minute_after_its_last_mail_and_not_before() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    world.idle().await;
    let sent_at = moment(&ada.finds(&acme, "bob@example.com").await["sent_at"]);
    let after =
        |seconds: u64| domain::Timestamp::from_unix(sent_at.unix()) + std::time::Duration::from_secs(seconds);
    let refused = world.at(after(59), async || ada.resends(&acme, id(&invitation)).await).await;
    assert_eq!(refused.retry_after(), 1);
    let problem = refused.refused(429, "resend_too_soon");
    assert_eq!(
        problem["detail"],
        "This address was mailed a moment ago, and can be mailed again in 1 second."
    );
    // Neither is it by another way.
    ada.revokes(&acme, id(&invitation)).await.is(204);
    let again = async || ada.invites(&acme, &["c@example.com", "BOB@example.com"], "member").await;
    let refused = world.at(after(59), again).await;
    assert_eq!((refused.retry_after(), refused.pointers()), (1, vec!["/emails/1"]));
    refused.refused(429, "resend_too_soon");
    assert_eq!(ada.counts_seats(&acme).await.0, 1, "nobody was invited");
    world.at(after(60), again).await.is(200);
    assert_eq!(world.mails_to("bob@example.com").await.len(), 2);
    world.finish().await;
}

#[tokio::test]
async fn s26_who_resends_before_the_mail_is_out_is_told_to_wait_too() {
    let world = World::start().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let held = world.wire().hold_work("SendEmail");
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
async fn s26_an_address_gets_ten_mails_of_an_organization_in_whatever_way() {
    // The recipient's own limit is not what is looked at here.
    let world = world_with(Limits { mails_per_recipient: 100, ..Limits::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    for generation in 2..=10 {
        world.passes(MAIL_COOLDOWN).await;
        let again = if generation % 2 == 0 {
            ada.resends(&acme, id(&invitation)).await.is(200)
        } else {
            ada.revokes(&acme, id(&invitation)).await.is(204);
            world.invited(&acme, &ada, "bob@example.com", "member").await
        };
        assert_eq!(again["generation"], generation);
    }
    world.passes(MAIL_COOLDOWN).await;
    let refused = ada.resends(&acme, id(&invitation)).await;
    assert!(refused.retry_after() > 31 * DAY);
    let detail = refused.refused(429, "resend_too_soon")["detail"].clone();
    let expected = "This address has had 10 mails of this organization, and can be mailed again in 32 days.";
    assert_eq!(detail, expected);
    ada.revokes(&acme, id(&invitation)).await.is(204);
    let refused = ada.invites(&acme, &["bob@example.com"], "member").await;
    let wait = refused.retry_after();
    refused.refused(429, "resend_too_soon");
    assert_eq!(world.mails_to("bob@example.com").await.len(), 10);
    world.passes(wait).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    assert_eq!(invitation["generation"], 1, "the record is forgotten");
    world.finish().await;
}

/// Invitations of these addresses, each by another organization.
async fn invited_by_as_many(world: &World, emails: &[String]) -> Vec<(Person, Organization, Value)> {
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
async fn s26_a_recipient_gets_ten_mails_a_day_of_all_organizations_together() {
    let world = World::start().await;
    // Whatever stands behind a plus sign: one person reads it all.
    let emails: Vec<_> = (0..13).map(|number| format!("bob+{number}@example.com")).collect();
    // None of it happens around midnight.
    let now = world.now().unix();
    world.passes(DAY - u64::try_from(now).unwrap() % DAY + HOUR).await;
    let invitations = invited_by_as_many(&world, &emails).await;
    world.idle().await;
    let (mut sent, mut failed) = (Vec::new(), Vec::new());
    for (founder, organization, invitation) in invitations {
        let email = invitation["email"].as_str().unwrap();
        let seen = founder.finds(&organization, email).await;
        assert_eq!(seen["status"], "pending", "it can be accepted by whoever has a link, and holds its seat");
        let mails = world.mails_to(email).await.len();
        if seen["delivery"] == "sent" {
            assert_eq!(mails, 1);
            sent.push(seen);
        } else {
            assert_eq!((&seen["delivery"], &seen["sent_at"], mails), (&json!("failed"), &Value::Null, 0));
            // Whoever invites is not told how much others write to an address.
            assert_eq!(seen["delivery_detail"], "The mail was not sent. Resend the invitation tomorrow.");
            failed.push((founder, organization, seen));
        }
    }
    assert_eq!((sent.len(), failed.len()), (10, 3));
    world.passes(MAIL_COOLDOWN).await;
    let (founder, organization, invitation) = &failed[0];
    founder.resends(organization, id(invitation)).await.is(200);
    let email = invitation["email"].as_str().unwrap();
    world.idle().await;
    assert_eq!(founder.finds(organization, email).await["delivery"], "failed", "nor later on the same day");
    let other = world.invited(organization, founder, "bobby@example.com", "member").await;
    world.idle().await;
    assert_eq!(founder.finds(organization, "bobby@example.com").await["delivery"], "sent", "{other}");
    world.passes(DAY).await;
    founder.resends(organization, id(invitation)).await.is(200);
    assert_eq!(world.mails_to(email).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn s26_a_mail_that_is_tried_again_counts_once() {
    let world = world_with(Limits { mails_per_recipient: 2, ..Limits::default() }).await;
    let emails = ["bob+1", "bob+2"].map(|name| format!("{name}@example.com"));
    // Fewer than the laptop gives up after, if one mail meets them all.
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), 4);
    let invitations = invited_by_as_many(&world, &emails).await;
    world.idle().await;
    for (founder, organization, invitation) in invitations {
        let email = invitation["email"].as_str().unwrap();
        assert_eq!(founder.finds(&organization, email).await["delivery"], "sent");
    }
    assert!(world.wire().is_calm());
    world.finish().await;
}

#[tokio::test]
#[ignore = "takes a third of a minute: .ci/run"]
async fn s26_a_thousand_people_are_invited_in_twenty_calls_on_the_first_day() {
    // As many as it takes seconds for.
    let calls = if TestTable::is_elsewhere() { 2 } else { 20 };
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
    world.idle().await;
    let all = ada.lists_invitations(&acme, "?limit=1000&status=pending").await.items();
    assert_eq!(all.len(), usize::try_from(calls).unwrap() * 50);
    assert!(all.iter().all(|invitation| invitation["delivery"] == "sent"));
    world.finish().await;
}

#[tokio::test]
async fn refusals_come_in_the_order_of_the_contract() {
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
    let invitation = ada.finds(&acme, "mem@example.com").await;
    ada.resends(&acme, id(&invitation)).await.refused(409, "invitation_not_pending");
    world.finish().await;
}

#[tokio::test]
async fn without_limits_everything_is_let_through() {
    let policy = Policy { limits: None, ..Policy::default() };
    let world = World::with(Options { policy, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let invitation = world.invited(&acme, &ada, "bob@example.com", "member").await;
    for generation in 2..=12 {
        assert_eq!(ada.resends(&acme, id(&invitation)).await.is(200)["generation"], generation);
        world.idle().await;
    }
    assert_eq!(world.mails_to("bob@example.com").await.len(), 12);
    world.finish().await;
}
