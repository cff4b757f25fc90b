//! `cargo run`: the laptop's own binary.

use std::path::Path;

use harness::{Organization, Person};
use serde_json::{Value, json};

use crate::process::{Process, free_port, roster};

/// Started with its state in that file.
fn kept_in(db: &Path, port: u16) -> (Process, Person) {
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
async fn killed_it_loses_nothing_that_it_has_answered() {
    const KILLS: usize = 5;
    let directory = tempfile::tempdir().unwrap();
    let (db, port) = (directory.path().join("roster.db"), free_port());

    let (mut roster, visitor) = kept_in(&db, port);
    visitor.posts("/_dev/clock", &json!({ "advance_seconds": 7200 })).await.is(200);
    let now = visitor.gets("/_dev/clock").await.is(200)["now"].as_str().unwrap().to_owned();
    let ada = visitor.signs_in_as("ada").await;
    let created = ada.creates("Acme").await.is(201);
    let acme = Organization::new(created["id"].as_str().unwrap());
    for kill in 0..KILLS {
        // The mails are owed when it answers, and some of them are on their way when it dies.
        let emails: Vec<_> = (0..10).map(|n| format!("guest-{kill}-{n}@example.com")).collect();
        let emails: Vec<_> = emails.iter().map(String::as_str).collect();
        let ada = Person::at(&format!("http://127.0.0.1:{port}")).signs_in_as("ada").await;
        ada.invites(&acme, &emails, "member").await.is(200);
        roster.kill();
        roster = kept_in(&db, port).0;
    }

    let visitor = Person::at(&format!("http://127.0.0.1:{port}"));
    let later = visitor.gets("/_dev/clock").await.is(200)["now"].as_str().unwrap().to_owned();
    assert!(later >= now, "the clock went back from {now} to {later}");
    let ada = visitor.signs_in_as("ada").await;
    let invitations = ada.reads_all(&acme.path("/invitations?status=pending"), 1000).await;
    assert_eq!(invitations.len(), KILLS * 10);
    for invitation in &invitations {
        let email = invitation["email"].as_str().unwrap();
        // At least once: who dies between SES and the mark sends it again.
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
async fn it_says_what_it_is_where_it_is_and_what_to_paste() {
    let port = free_port();
    let mut first = roster(port, &[]);
    first.wait_until_it_listens(port);
    let visitor = Person::at(&format!("http://127.0.0.1:{port}"));
    visitor.gets("/_dev/idle").await.is(200);
    let said = first.said();
    for part in ["Not for production", "ready", &format!("http://127.0.0.1:{port}/_dev/mail"), "curl"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    // It was ready when it said so, with everything that the text speaks of.
    let check = visitor.gets("/_dev/check").await.is(200);
    assert_eq!(check, json!({ "organizations": 1, "violations": [] }));

    let mut second = roster(port, &[]);
    assert_eq!(second.wait().code(), Some(1));
    let said = second.said();
    assert!(said.contains(&format!("port {port} is in use")) && said.contains("--port"), "{said}");
    first.assert_runs();
}
