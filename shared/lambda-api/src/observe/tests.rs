use std::sync::{Arc, Mutex};

use domain::EmailAddress;
use serde_json::{Value, json};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(1_795_615_200)
    }
}

fn context() -> Context {
    let mut context = Context::default();
    context.request_id = "a lambda id".to_owned();
    context.xray_trace_id = Some("Root=1-5759e988-bd862e3fe1be46a994272793".to_owned());
    context
}

/// What is logged meanwhile.
async fn heard(work: impl Future<Output = ()>) -> Vec<String> {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let ear = Arc::clone(&heard);
    let lines = JsonLog::new(Arc::new(Noon), move |line: &str| ear.lock().unwrap().push(line.to_owned()));
    let lines = lines.with_filter(filter(tracing::level_filters::LevelFilter::INFO));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
    work.await;
    drop(guard);
    std::mem::take(&mut *heard.lock().unwrap())
}

fn without_duration(line: &str) -> String {
    let (before, after) = line.split_once(r#""duration_ms":"#).unwrap();
    format!("{before}{}", after.split_once(',').unwrap().1)
}

#[tokio::test]
async fn a_whole_line() {
    let work = async {
        let email = EmailAddress::parse("ivy@x.example").unwrap();
        let id = OrganizationId::from_random([1; 16]);
        organization(&id);
        invitation(&InvitationId::of(&id, &email));
        actor(&UserId::parse("auth0|123").unwrap());
        (Outcome::new("ok").answered(200), ())
    };
    let invocation = Invocation::new("invite", &context()).through_gateway(Some("a gateway id".to_owned()));
    let lines = heard(invoked(invocation, &Noon, work)).await;
    let lines: Vec<_> = lines.iter().map(|line| without_duration(line)).collect();
    let expected = concat!(
        r#"{"Invocations":1,"_aws":{"#,
        r#""CloudWatchMetrics":[{"Dimensions":[["action","outcome"]],"#,
        r#""Metrics":[{"Name":"Invocations","Unit":"Count"}],"Namespace":"Roster"}],"#,
        r#""Timestamp":1795615200000},"action":"invite","actor":"auth0|123","decided_again":0,"#,
        r#""gateway_request_id":"a gateway id","invitation":"inv_wwjcr8t2zseq5zqh2s4kbj0njm","level":"INFO","#,
        r#""organization":"org_040g2081040g2081040g208104","outcome":"ok","request_id":"a lambda id","#,
        r#""sent_again":0,"status":200,"timestamp":"2026-11-25T14:00:00Z","#,
        r#""trace":"Root=1-5759e988-bd862e3fe1be46a994272793"}"#,
        "\n"
    );
    assert_eq!(lines.len(), 1);
    // The order within `_aws` is serde_json's, which depends on whether some crate asked for another map.
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    assert_eq!(read(&lines[0]), read(expected));
    assert_eq!((lines[0].len(), lines[0].matches('\n').count()), (expected.len(), 1));
}

#[tokio::test]
async fn whatever_is_logged_meanwhile_says_who_and_what_and_is_one_line() {
    let work = async {
        actor(&UserId::parse("ada@x.example").unwrap());
        tracing::warn!(code = "Odd", count = 3, "two\nlines");
        (Outcome::new("ok"), ())
    };
    let lines = heard(invoked(Invocation::new("list", &context()), &Noon, work)).await;
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0].matches('\n').count(), 1);
    assert_eq!(
        serde_json::from_str::<Value>(&lines[0]).unwrap(),
        json!({
            "level": "WARN",
            "target": "lambda_api::observe::tests",
            "message": "two\nlines",
            "code": "Odd",
            "count": 3,
            "action": "list",
            "actor": "an address",
            "request_id": "a lambda id",
            "timestamp": "2026-11-25T14:00:00Z",
            "trace": "Root=1-5759e988-bd862e3fe1be46a994272793",
        })
    );
}

#[tokio::test]
async fn what_is_overdue_is_told_even_if_nothing_is() {
    for (mails, oldest, invitations) in [(0, 0, 0), (3, 700, 2)] {
        let work = async { (Outcome::overdue("ok", mails, oldest, invitations), ()) };
        let lines = heard(invoked(Invocation::new("reconcile", &context()), &Noon, work)).await;
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["OverdueMail"], mails);
        assert_eq!(line["OldestQueuedMail"], oldest);
        assert_eq!(line["OverdueInvitations"], invitations);
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"],
            json!([
                {
                    "Namespace": "Roster",
                    "Dimensions": [["action", "outcome"]],
                    "Metrics": [{ "Name": "Invocations", "Unit": "Count" }],
                },
                {
                    "Namespace": "Roster",
                    "Dimensions": [["action"]],
                    "Metrics": [
                        { "Name": "OverdueMail", "Unit": "Count" },
                        { "Name": "OldestQueuedMail", "Unit": "Seconds" },
                        { "Name": "OverdueInvitations", "Unit": "Count" },
                    ],
                },
            ])
        );
    }
}

#[tokio::test]
async fn a_batch_is_no_invocation() {
    let work = async { (Outcome::of_batch("ok"), ()) };
    let lines = heard(invoked(Invocation::new("mail", &Context::default()), &Noon, work)).await;
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&line["outcome"], line.get("_aws")), (&json!("ok"), None));
}

#[test]
fn failures_that_nobody_has_foreseen_are_failed() {
    let failed = |failed: InvocationError| failed.outcome;
    assert_eq!(failed("anything".into()), Outcome::new("failed"));
    assert_eq!(failed(InvocationError::retryable(true, "it")), Outcome::new("retry"));
    assert_eq!(failed(InvocationError::retryable(false, "it")), Outcome::new("failed"));
    assert_eq!(failed(InvocationError::new("early", "it")), Outcome::new("early"));
}
