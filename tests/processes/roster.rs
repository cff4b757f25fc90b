//! The binary `roster`, which `cargo run` starts: the laptop, a local server with all functions and emulated services.

use std::path::Path;

use harness::{Organization, Person, free_port};
use serde_json::{Value, json};

use crate::process::{Process, roster};

/// Starts the laptop with its state in the file `db`.
fn start_with_db(db: &Path, port: u16) -> (Process, Person) {
    let mut roster = roster(port, &["--no-demo", "--db", db.to_str().unwrap()]);
    roster.wait_until_it_listens(port);
    (roster, Person::at(&format!("http://127.0.0.1:{port}")))
}

async fn mails(person: &Person, to: &str) -> Vec<Value> {
    person.gets("/_dev/idle").await.is(200);
    let mails = person.gets(&format!("/_dev/mail?to={to}")).await.is(200);
    mails["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_laptop_loses_no_change_that_it_confirmed() {
    const KILLS: usize = 5;
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());

    let (mut roster, visitor) = start_with_db(&db, port);
    visitor.posts("/_dev/clock", &json!({ "advance_seconds": 7200 })).await.is(200);
    let now = visitor.gets("/_dev/clock").await.is(200)["now"].as_str().unwrap().to_owned();
    let ada = visitor.signs_in_as("ada").await;
    let created = ada.creates("Acme").await.is(201);
    let acme = Organization::new(created["id"].as_str().unwrap());
    for kill in 0..KILLS {
        // When the response arrives, the mails are queued. At the kill, some of them are being sent.
        let emails: Vec<_> = (0..10).map(|n| format!("guest-{kill}-{n}@example.com")).collect();
        let emails: Vec<_> = emails.iter().map(String::as_str).collect();
        let ada = Person::at(&format!("http://127.0.0.1:{port}")).signs_in_as("ada").await;
        ada.invites(&acme, &emails, "member").await.is(200);
        roster.kill();
        roster = start_with_db(&db, port).0;
    }

    let visitor = Person::at(&format!("http://127.0.0.1:{port}"));
    let later = visitor.gets("/_dev/clock").await.is(200)["now"].as_str().unwrap().to_owned();
    assert!(later >= now, "the clock went back from {now} to {later}");
    let ada = visitor.signs_in_as("ada").await;
    let invitations = ada.reads_all(&acme.path("/invitations?status=pending"), 1000).await;
    assert_eq!(invitations.len(), KILLS * 10);
    for invitation in &invitations {
        let email = invitation["email"].as_str().unwrap();
        // A mail is sent twice if the kill happens between sending and the update of its delivery.
        let mails = mails(&ada, email).await;
        assert!(!mails.is_empty(), "{email} has no mail");
        let (guest, _) = email.split_once('@').unwrap();
        let guest = visitor.signs_in_as(guest).await;
        for mail in &mails {
            guest.accepts(mail["token"].as_str().unwrap()).await.is(200);
        }
    }
    assert_eq!(ada.gets("/_dev/check").await.is(200), json!({ "organizations": 1, "violations": [] }));
    roster.assert_runs();
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_a_warning_its_urls_and_commands_and_rejects_a_used_port() {
    let port = free_port();
    let mut first = roster(port, &[]);
    first.wait_until_it_listens(port);
    let visitor = Person::at(&format!("http://127.0.0.1:{port}"));
    visitor.gets("/_dev/idle").await.is(200);
    let output = first.log();
    for part in ["Not for production", "ready", &format!("http://127.0.0.1:{port}/_dev/mail"), "curl"] {
        assert!(output.contains(part), "{part}: {output}");
    }
    // The demo organization exists when the laptop reports that it is ready.
    let check = visitor.gets("/_dev/check").await.is(200);
    assert_eq!(check, json!({ "organizations": 1, "violations": [] }));

    let mut second = roster(port, &[]);
    assert_eq!(second.wait().code(), Some(1));
    let output = second.log();
    assert!(output.contains(&format!("port {port} is in use")) && output.contains("--port"), "{output}");
    first.assert_runs();
}
