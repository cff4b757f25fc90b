use std::sync::{Arc, Mutex};

use domain::EmailAddress;
use serde_json::{Value, json};
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

struct FixedClock;

impl Clock for FixedClock {
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

/// Runs `work` and returns the log lines that it wrote.
async fn log_lines(work: impl Future<Output = ()>) -> Vec<String> {
    let captured: Arc<Mutex<Vec<String>>> = Arc::default();
    let sink = Arc::clone(&captured);
    let lines =
        JsonLog::new(Arc::new(FixedClock), move |line: &str| sink.lock().unwrap().push(line.to_owned()));
    let lines = lines.with_filter(filter(tracing::level_filters::LevelFilter::INFO));
    let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines));
    work.await;
    drop(guard);
    std::mem::take(&mut *captured.lock().unwrap())
}

fn without_duration(line: &str) -> String {
    let (before, after) = line.split_once(r#""duration_ms":"#).unwrap();
    format!("{before}{}", after.split_once(',').unwrap().1)
}

#[tokio::test]
async fn logs_a_complete_summary_line() {
    let work = async {
        let email = EmailAddress::parse("ivy@x.example").unwrap();
        let id = OrganizationId::from_random([1; 16]);
        log_organization(&id);
        log_invitation(&InvitationId::of(&id, &email));
        log_caller(&UserId::parse("auth0|123").unwrap());
        (Outcome::new("ok").with_status(200), ())
    };
    let invocation = Invocation::new("invite", &context()).through_gateway(Some("a gateway id".to_owned()));
    let lines = log_lines(run_invocation(invocation, &FixedClock, work)).await;
    let lines: Vec<_> = lines.iter().map(|line| without_duration(line)).collect();
    let expected = concat!(
        r#"{"action":"invite","actor":"auth0|123","decided_again":0,"#,
        r#""gateway_request_id":"a gateway id","invitation":"inv_wwjcr8t2zseq5zqh2s4kbj0njm","level":"INFO","#,
        r#""organization":"org_040g2081040g2081040g208104","outcome":"ok","request_id":"a lambda id","#,
        r#""sent_again":0,"status":200,"timestamp":"2026-11-25T14:00:00Z","#,
        r#""trace":"Root=1-5759e988-bd862e3fe1be46a994272793"}"#,
        "\n"
    );
    assert_eq!(lines.len(), 1);
    // The order of fields depends on serde_json's features, which any crate can enable.
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    assert_eq!(read(&lines[0]), read(expected));
    assert_eq!((lines[0].len(), lines[0].matches('\n').count()), (expected.len(), 1));
}

#[tokio::test]
async fn a_log_event_contains_the_ids_of_its_invocation_in_one_line() {
    let work = async {
        log_caller(&UserId::parse("ada@x.example").unwrap());
        tracing::warn!(code = "Odd", count = 3, "two\nlines");
        (Outcome::new("ok"), ())
    };
    let lines = log_lines(run_invocation(Invocation::new("list", &context()), &FixedClock, work)).await;
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
async fn logs_the_overdue_metrics_even_if_they_are_zero() {
    for (mails, oldest, invitations) in [(0, 0, 0), (3, 700, 2)] {
        let work = async { (Outcome::with_overdue_work("ok", mails, oldest, invitations), ()) };
        let lines =
            log_lines(run_invocation(Invocation::new("reconcile", &context()), &FixedClock, work)).await;
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(line["OverdueMail"], mails);
        assert_eq!(line["OldestQueuedMail"], oldest);
        assert_eq!(line["OverdueInvitations"], invitations);
        assert_eq!(
            line["_aws"]["CloudWatchMetrics"],
            json!([{
                "Namespace": "Roster",
                "Dimensions": [["action"]],
                "Metrics": [
                    { "Name": "OverdueMail", "Unit": "Count" },
                    { "Name": "OldestQueuedMail", "Unit": "Seconds" },
                    { "Name": "OverdueInvitations", "Unit": "Count" },
                ],
            }])
        );
    }
}

#[tokio::test]
async fn the_line_of_a_batch_has_its_number_of_records_and_other_lines_do_not() {
    for (outcome, records) in [(Outcome::of_batch("ok", 20), json!(20)), (Outcome::new("ok"), Value::Null)] {
        let invocation = Invocation::new("mail", &Context::default());
        let lines = log_lines(run_invocation(invocation, &FixedClock, async { (outcome, ()) })).await;
        let line: Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!((&line["outcome"], &line["records"], line.get("_aws")), (&json!("ok"), &records, None));
    }
}

#[test]
fn an_error_without_an_outcome_has_the_outcome_failed() {
    let outcome = |error: InvocationError| error.outcome;
    assert_eq!(outcome("anything".into()), Outcome::new("failed"));
    assert_eq!(outcome(InvocationError::retry_if(true, "it")), Outcome::new("retry"));
    assert_eq!(outcome(InvocationError::retry_if(false, "it")), Outcome::new("failed"));
    assert_eq!(outcome(InvocationError::new("early", "it")), Outcome::new("early"));
}
