//! What is written to the logs, at their loudest, over a whole life with everything that can go wrong in it
//! (SECURITY row 21): ids and codes, never an address, never a token.

use std::cell::RefCell;
use std::io;
use std::sync::Once;

use serde_json::{Value, json};
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets, dynamic_filter_fn};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use world::{Fault, World};

/// Our own crates. What AWS's and other people's write at these levels is switched off in a function.
const TARGETS: [&str; 18] = [
    "accept",
    "create",
    "decline",
    "dev",
    "domain",
    "edge",
    "expire",
    "invite",
    "links",
    "list",
    "mail",
    "preview",
    "remove",
    "resend",
    "revoke",
    "role_edit",
    "schedule",
    "store",
];

thread_local! {
    /// What this thread has logged, if anybody listens to it.
    static HEARD: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

struct Ear;

impl io::Write for Ear {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        HEARD.with_borrow_mut(|heard| heard.as_mut().map(|heard| heard.extend_from_slice(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Listens to this thread. The subscriber is the whole process's: one of a thread's own may miss what other
/// threads were the first to log (tracing remembers by place in the code that nobody wants to hear it).
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = Targets::new().with_targets(TARGETS.map(|target| (target, LevelFilter::TRACE)));
        let listened_to = dynamic_filter_fn(|_, _| HEARD.with_borrow(Option::is_some));
        let writer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| Ear);
        tracing_subscriber::registry().with(writer.with_filter(listened_to)).with(ours).init();
    });
    HEARD.set(Some(Vec::new()));
}

/// On one thread, so that everything of this world, and nothing of another one, is heard.
#[tokio::test]
async fn s21_logs_hold_no_address_and_no_token() {
    listen();
    let world = World::start().await;
    let person =
        |sub: &str, email: &str| world.signed_in(sub, json!({ "email": email, "email_verified": true }));
    let (ada, ivy) = (person("user-1", "canary.ada@example.com"), person("user-2", "canary.ivy@example.com"));
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let wire = world.wire();

    // The invite loses a race, a conflict and an answer; its mail and its schedule fail for a while.
    wire.disturb_actions("TransactWriteItems", Fault::Cancelled(vec!["ConditionalCheckFailed"]), 1);
    wire.disturb_actions("TransactWriteItems", Fault::Cancelled(vec!["TransactionConflict"]), 1);
    wire.disturb_actions("TransactWriteItems", Fault::LostAfter, 1);
    wire.disturb("SendEmail", Fault::Refused("SendingPausedException"), 2);
    wire.disturb("CreateSchedule", Fault::Refused("ServiceQuotaExceededException"), 2);
    let invitation = world.invited(&acme, &ada, "canary.ivy@example.com", "owner").await;
    let first = world.token_for("canary.ivy@example.com").await;
    world.passes(61).await;
    ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    let token = world.token_for("canary.ivy@example.com").await;

    // Everybody tries everything that is refused.
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    for (token, status) in [(&first, 410), (&token, 403), (&forged, 400)] {
        ada.accepts(token).await.refused(status, &refusal(status));
    }
    world.nobody().previews(&token).await.is(200);
    ada.invites(&acme, &["canary.ivy@example.com", "not canary.eve@example.com"], "owner").await.is(422);
    ada.posts(&acme.path("/invitations"), &json!({ "canary.eve@example.com": 1 })).await.is(400);
    ada.invites(&acme, &["canary.ivy@example.com"], "canary.eve@example.com").await.is(400);
    ivy.looks_at(&acme).await.is(404);
    wire.disturb_actions("TransactWriteItems", Fault::Refused("ValidationException"), 1);
    ivy.accepts(&token).await.refused(500, "internal");
    wire.disturb_actions("TransactGetItems", Fault::Refused("AccessDeniedException"), 1);
    ivy.accepts(&token).await.refused(500, "internal");

    // And in the end it is a whole life.
    ivy.accepts(&token).await.is(200);
    ivy.accepts(&token).await.is(200);
    ivy.lists_members(&acme, "").await.is(200);
    ivy.lists_invitations(&acme, "").await.is(200);
    ada.edits(&acme, "user-2", "member").await.is(200);
    ada.removes(&acme, "user-2").await.is(204);
    ivy.accepts(&token).await.refused(410, "invitation_accepted");

    // Another one is refused by SES, another one expires, one is poison, and one is given up.
    wire.disturb("SendEmail", Fault::Refused("MessageRejected"), 1);
    world.invited(&acme, &ada, "canary.bob@example.com", "member").await;
    world.idle().await;
    world.passes(48 * 60 * 60).await;
    wire.disturb("SendEmail", Fault::Refused("AccountSuspendedException"), usize::MAX);
    world.invited(&acme, &ada, "canary.eve@example.com", "member").await;
    world.idle().await;
    wire.relent();
    let mut poison = world.stream().await.pop().unwrap();
    poison["dynamodb"]["Keys"]["sk"] = json!({ "S": "INVITATION#none" });
    assert_eq!(world.feeds("mail", &[poison]).await.len(), 1);
    assert!(world.invokes("expire", json!({ "invitation_id": "canary.eve@example.com" })).await.is_err());

    let dead = serde_json::to_value(world.laptop().dead_letters().unwrap()).unwrap();
    assert_eq!(dead.as_array().map(Vec::len), Some(1), "{dead}");
    world.ends_with_dead_letters().await;

    let log = String::from_utf8(HEARD.take().unwrap()).unwrap();
    // It has been listened to at all, in every corner.
    for said in
        ["a guard failed", "is sent again", "the mail was sent", "refused for good", "tried again", "expired"]
    {
        assert!(log.contains(said), "{said}:\n{log}");
    }
    assert!(log.contains(invitation["id"].as_str().unwrap()));
    for (name, text) in [("log", log), ("dead letters", Value::to_string(&dead))] {
        for secret in ["canary", "@example.com", "v1.dev.", mac(&first), mac(&token), mac(&forged)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} in the {name}");
        }
    }
}

fn refusal(status: u16) -> String {
    let code = match status {
        400 => "invalid_token",
        403 => "email_mismatch",
        _ => "invitation_superseded",
    };
    code.to_owned()
}

/// The token's secret part.
fn mac(token: &str) -> &str {
    token.rsplit_once('.').unwrap().1
}
