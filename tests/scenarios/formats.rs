//! Snapshots of the formats that outlive a deployment: items of the table, links in mails, and payloads of schedules.
//!
//! Code that changes one of these formats must still read the old format, and must update the snapshots.

use std::time::Duration;

use domain::delivery::{CountRecipientMail, DeliveryUpdate, UpdateDelivery};
use domain::idempotency::{IdempotencyKey, WithIdempotencyKey};
use domain::{
    Accept, Action, Caller, Create, EmailAddress, Invite, KeyId, Language, Link, OrganizationId,
    OrganizationName, Policy, Revoke, Role, Sender, Timestamp, UserId,
};
use insta::assert_snapshot;
use lambda_api::{Problem, Timer};
use links::{InProcess, LinkKey as _};
use reference::ReferenceTable;
use store::record;

/// 2026-11-24T12:00:00Z.
fn noon() -> Timestamp {
    Timestamp::from_unix(1_795_521_600)
}

fn acme() -> OrganizationId {
    OrganizationId::from_random([7; 16])
}

fn address(name: &str) -> EmailAddress {
    EmailAddress::parse(&format!("{name}@example.com")).unwrap()
}

fn sender(name: &str) -> Sender {
    Sender { user: UserId::parse(name).unwrap(), email: address(name) }
}

fn run<A: Action<Refusal: std::fmt::Debug>>(table: &mut ReferenceTable, action: &A) -> A::Answer {
    table.run(action, &Policy::default(), noon() + Duration::from_mins(1)).unwrap()
}

fn link(table: &ReferenceTable, name: &str) -> Link {
    table.invitation_of(&acme(), &address(name)).unwrap().link()
}

/// Returns a table with ada's organization: bob has joined, carl's mail is sent, dora's mail is queued, and eve's
/// invitation is revoked.
fn table() -> ReferenceTable {
    let mut table = ReferenceTable::default();
    let name = OrganizationName::parse("Acme").unwrap();
    run(&mut table, &Create { founder: sender("ada"), id: acme(), name });
    let invitees = ["bob", "carl", "eve"].map(address).into_iter().collect();
    let invite =
        Invite { sender: sender("ada"), organization: acme(), invitees, role: Role::Member, language: None };
    run(&mut table, &invite);
    let (invitees, language) = ([address("dora")].into_iter().collect(), Some(Language::De));
    let invite =
        Invite { sender: sender("ada"), organization: acme(), invitees, role: Role::Owner, language };
    let key = IdempotencyKey::parse("a-key-of-the-caller").unwrap();
    let render = |_, _: Timestamp| Ok::<_, Problem>(r#"{"results":[]}"#.to_owned());
    run(&mut table, &WithIdempotencyKey::new(invite, Some(&key), render));
    for name in ["bob", "carl"] {
        let invitation = table.invitation_of(&acme(), &address(name)).unwrap().clone();
        run(&mut table, &CountRecipientMail::new(&invitation, noon()));
        run(&mut table, &UpdateDelivery { link: invitation.link(), update: DeliveryUpdate::Sent });
    }
    let caller = Caller { user: UserId::parse("bob").unwrap(), email: Some(address("bob")) };
    let accepted = Accept { caller, link: link(&table, "bob") };
    run(&mut table, &accepted);
    let invitation = Some(link(&table, "eve").invitation);
    run(&mut table, &Revoke { caller: UserId::parse("ada").unwrap(), organization: acme(), invitation });
    table
}

/// Each line of the snapshot is one item.
#[test]
fn items_of_the_table() {
    let mut lines = String::new();
    for stored in table().records() {
        let item = record::write(stored).unwrap();
        // JSON, because it sorts the attributes by name.
        let json = serde_json::to_value(serde_dynamo::Item::from(item.clone())).unwrap();
        lines += &(json.to_string() + "\n");
        assert_eq!(&record::read(item).unwrap(), stored);
    }
    assert_snapshot!(lines);
}

#[tokio::test]
async fn link_mac_message_and_timer_payload() {
    let link = link(&table(), "carl");
    let key = InProcess::new((KeyId::parse("k1").unwrap(), [7; 32]), Vec::new());
    let token = key.mint(&link).await.unwrap();
    let message = String::from_utf8(link.message()).unwrap();
    let timer = serde_json::to_string(&Timer::from(&link)).unwrap();
    assert_snapshot!(format!("{}\n{message:?}\n{timer}", token.reveal()));
}
