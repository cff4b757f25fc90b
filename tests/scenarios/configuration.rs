//! What the template configures is what the functions look for: variables, the stream's filters, the log's alarms.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use actions::{
    accept, create, decline, expire, feedback, invite, list, organization_edit, preview, reconcile, remove,
    resend, revoke, role_edit,
};
use domain::Policy;
use harness::template::{Deployed, Template, gets};
use harness::{Fault, TWO_DAYS, World, timer};
use lambda_api::env::Env;
use lambda_api::{App, FromEnv};
use lambda_runtime::Error;
use serde_json::{Value, json};

use crate::log_capture::{lines, listen};

/// Parameters without a default, and such as make every variable count.
const PARAMETERS: [(&str, &str); 19] = [
    ("AcceptUrl", "https://app.example.com/accept"),
    ("ConsoleAuthorizeUrl", "https://login.example.com/authorize"),
    ("ConsoleClientId", "console"),
    ("ConsoleSignOutUrl", "https://login.example.com/sign-out"),
    ("ConsoleTokenUrl", "https://login.example.com/token"),
    ("InviteesPerDay", "101"),
    ("JwtAudience", "api"),
    ("JwtIssuer", "https://login.example.com/"),
    ("LifetimeHours", "102"),
    ("MailFrom", "invitations@example.com"),
    ("MailIdentity", "example.com"),
    ("MailPauseSeconds", "103"),
    ("MailsPerHour", "104"),
    ("MailsPerInvitation", "105"),
    ("MailsPerRecipient", "106"),
    ("ProductName", "Example"),
    ("RetentionDays", "107"),
    ("RetiringKey", "B"),
    ("Seats", "108"),
];

type Start = fn(Env<'_>) -> Result<Policy, Error>;

/// What a function that serves `_handle` is configured with.
fn of<Services: FromEnv, Event, Handling>(
    env: Env<'_>,
    _handle: impl Fn(Arc<App<Services>>, Event) -> Handling,
) -> Result<Policy, Error> {
    App::<Services>::from_env(env).map(|app| app.policy)
}

/// The start of each function, without its runtime.
const STARTS: [(&str, Start); 17] = [
    ("accept", |env| of(env, accept::handle)),
    ("console", |env| Ok(console::Config::from_env(env).map(|_| Policy::default())?)),
    ("create", |env| of(env, create::handle)),
    ("decline", |env| of(env, decline::handle)),
    ("expire", |env| of(env, expire::handle)),
    ("feedback", |env| of(env, feedback::handle)),
    ("invite", |env| of(env, invite::handle)),
    ("list", |env| of(env, list::handle)),
    ("mail", |env| of(env, mail::handle)),
    ("organization-edit", |env| of(env, organization_edit::handle)),
    ("preview", |env| of(env, preview::handle)),
    ("reconcile", |env| of(env, reconcile::handle)),
    ("remove", |env| of(env, remove::handle)),
    ("resend", |env| of(env, resend::handle)),
    ("revoke", |env| of(env, revoke::handle)),
    ("role-edit", |env| of(env, role_edit::handle)),
    ("schedule", |env| of(env, schedule::handle)),
];

/// What came of a start with these variables, and those that it has asked for.
fn started(start: Start, variables: &BTreeMap<String, String>) -> (Result<Policy, Error>, BTreeSet<String>) {
    let asked = RefCell::new(BTreeSet::new());
    let lookup = |name: &'static str| {
        asked.borrow_mut().insert(name.to_owned());
        variables.get(name).map(OsString::from)
    };
    let started = start(Env::new(&lookup));
    (started, asked.into_inner())
}

/// Each function's logical id, name and start.
fn functions(template: &Template) -> Vec<(String, &'static str, Start)> {
    let names = template.functions();
    assert!(names.keys().map(String::as_str).eq(STARTS.iter().map(|(name, _)| *name)), "{:?}", names.keys());
    let id = |name: &str| {
        let words = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect::<String>() + "Function"
    };
    STARTS.into_iter().map(|(name, start)| (id(name), name, start)).collect()
}

/// The limits that are of no concern to a function are not among its variables.
const LIMITS: [&str; 5] = [
    "INVITEES_PER_DAY",
    "MAILS_PER_HOUR",
    "MAIL_PAUSE_SECONDS",
    "MAILS_PER_INVITATION",
    "MAILS_PER_RECIPIENT",
];

#[test]
fn every_function_starts_with_its_variables_and_each_of_them_is_asked_for() {
    let template = Template::load();
    let deployed = Deployed { template: &template, parameters: PARAMETERS.into() };
    let variables_of = |node: &Value| -> BTreeSet<String> {
        node["Environment"]["Variables"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect()
    };
    let globals = variables_of(&template.0["Globals"]["Function"]);
    let mut asked_by_any = BTreeSet::new();
    for (id, name, start) in functions(&template) {
        let variables = deployed.variables(&id);
        let (started, mut asked) = started(start, &variables);
        let policy = started.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let own = variables_of(template.properties(&id));
        let for_nobody: Vec<_> = own.difference(&asked).collect();
        assert!(for_nobody.is_empty(), "{name} never asks for {for_nobody:?}");
        asked.retain(|it| !LIMITS.contains(&it.as_str()));
        let unset: Vec<_> = asked.iter().filter(|it| !variables.contains_key(*it)).collect();
        assert!(unset.is_empty(), "the template sets no {unset:?} for {name}");
        asked_by_any.extend(asked);
        if name != "console" {
            is_as_configured(name, &policy, &own);
        }
    }
    let of_metrics: Start = |env| {
        assert_eq!(lambda_api::observe::namespace_of(env), lambda_api::observe::NAMESPACE);
        Ok(Policy::default())
    };
    asked_by_any.extend(started(of_metrics, &BTreeMap::new()).1);
    let for_nobody: Vec<_> = globals.difference(&asked_by_any).collect();
    assert!(for_nobody.is_empty(), "no function asks for {for_nobody:?}");
}

/// Each number of the policy is that of the parameter of its name, and of no other.
fn is_as_configured(name: &str, policy: &Policy, own: &BTreeSet<String>) {
    let hours = |count| Duration::from_hours(count);
    assert_eq!(
        (policy.seats, policy.lifetime, policy.retention),
        (108, hours(102), hours(107 * 24)),
        "{name}"
    );
    let (limits, default) = (policy.limits.unwrap(), domain::Limits::default());
    let number = |variable: &str, parameter: u32, default: u32| {
        if own.contains(variable) { parameter } else { default }
    };
    let pause = if own.contains("MAIL_PAUSE_SECONDS") { Duration::from_secs(103) } else { default.pause };
    let expected = domain::Limits {
        invitees_per_day: number("INVITEES_PER_DAY", 101, default.invitees_per_day),
        mails_per_hour: number("MAILS_PER_HOUR", 104, default.mails_per_hour),
        pause,
        mails_per_invitation: number("MAILS_PER_INVITATION", 105, default.mails_per_invitation),
        mails_per_recipient: number("MAILS_PER_RECIPIENT", 106, default.mails_per_recipient),
    };
    assert_eq!(limits, expected, "{name}");
}

#[test]
fn metrics_go_where_the_alarms_look() {
    let template = Template::load();
    let deployed = Deployed { template: &template, parameters: PARAMETERS.into() };
    let variables = deployed.variables("CreateFunction");
    let lookup = |name: &'static str| variables.get(name).map(OsString::from);
    let namespace = lambda_api::observe::namespace_of(Env::new(&lookup));
    assert_eq!(namespace, variables["METRICS_NAMESPACE"]);
    let expected = json!({ "Fn::Sub": "Roster/${AWS::StackName}" });
    assert_eq!(template.0["Globals"]["Function"]["Environment"]["Variables"]["METRICS_NAMESPACE"], expected);
    for id in template.resources("AWS::CloudWatch::Alarm") {
        let own = &template.properties(id)["Namespace"];
        let is_aws = own.as_str().is_some_and(|name| name.starts_with("AWS/"));
        assert!(own.is_null() || is_aws || *own == expected, "{id} looks at {own}");
    }
}

#[test]
fn a_variable_without_which_a_function_cannot_start_is_named() {
    let template = Template::load();
    let deployed = Deployed { template: &template, parameters: PARAMETERS.into() };
    for (id, name, start) in functions(&template) {
        let all = deployed.variables(&id);
        let mut needed = BTreeSet::new();
        for left_out in all.keys() {
            let mut variables = all.clone();
            variables.remove(left_out);
            if let (Err(error), _) = started(start, &variables) {
                assert!(error.to_string().contains(left_out.as_str()), "{name} without {left_out}: {error}");
                needed.insert(left_out.clone());
            }
        }
        assert!(
            needed.contains(if name == "console" { "CONSOLE_ISSUER" } else { "TABLE_NAME" }),
            "{name}: {needed:?}"
        );
    }
}

/// What the template leaves to its defaults is what the functions would take, and the laptop takes.
#[test]
fn the_parameters_defaults_are_those_of_the_policy() {
    let template = Template::load();
    let default = |parameter: &str| template.0["Parameters"][parameter]["Default"].as_u64().unwrap();
    let Policy { seats, lifetime, retention, limits } = Policy::default();
    let limits = limits.unwrap();
    for (parameter, expected) in [
        ("Seats", u64::from(seats)),
        ("LifetimeHours", lifetime.as_secs() / 3_600),
        ("RetentionDays", retention.as_secs() / 86_400),
        ("InviteesPerDay", u64::from(limits.invitees_per_day)),
        ("MailsPerHour", u64::from(limits.mails_per_hour)),
        ("MailPauseSeconds", limits.pause.as_secs()),
        ("MailsPerInvitation", u64::from(limits.mails_per_invitation)),
        ("MailsPerRecipient", u64::from(limits.mails_per_recipient)),
    ] {
        assert_eq!(default(parameter), expected, "{parameter}");
    }
    assert_eq!((seats, lifetime.as_secs(), retention.as_secs()), (1_000, 48 * 3_600, 30 * 86_400));
}

/// Whoever calls has an answer before API Gateway gives up (30 s), and before Lambda ends the function: its retries are over
/// by then, and their last attempt, too. Two attempts and what is between them fit into the retries.
#[test]
fn times_out_from_the_inside_to_the_outside() {
    let template = Template::load();
    let function = Duration::from_secs(template.0["Globals"]["Function"]["Timeout"].as_u64().unwrap());
    let budget = store::RetryPolicy::default().budget;
    let timeouts = aws_client::timeouts();
    let (connect, attempt) =
        (timeouts.connect_timeout().unwrap(), timeouts.operation_attempt_timeout().unwrap());
    assert!(connect < attempt && attempt * 2 < budget, "{connect:?}, {attempt:?} and {budget:?}");
    assert!(budget + attempt <= function, "{budget:?}, {attempt:?} and {function:?}");
    assert!(function < Duration::from_secs(30), "{function:?}");
    for id in template.resources("AWS::Serverless::Function") {
        let own = template.properties(id)["Timeout"].as_u64().map(Duration::from_secs);
        assert!(own.is_none_or(|own| own >= function), "{id} has less time than its retries take");
    }
}

/// Links are made with the first key, and opened with both, whichever of the two it is.
#[test]
fn the_keys_of_links_are_those_that_the_parameters_name() {
    let template = Template::load();
    let (a, b) = ("keya=keya-1234-1234-1234-123456789abc", "keyb=keyb-1234-1234-1234-123456789abc");
    for (minting, retiring, expected) in [
        ("A", "None", a.to_owned()),
        ("A", "B", format!("{a},{b}")),
        ("B", "A", format!("{b},{a}")),
        ("B", "None", b.to_owned()),
    ] {
        let mut parameters: BTreeMap<_, _> = PARAMETERS.into();
        parameters.extend([("MintingKey", minting), ("RetiringKey", retiring)]);
        let deployed = Deployed { template: &template, parameters };
        let variables = deployed.variables("AcceptFunction");
        assert_eq!(variables["LINK_KEYS"], expected);
        started(|env| of(env, accept::handle), &variables).0.unwrap();
    }
}

/// Every scenario's stream goes through the template's patterns, so that they leave out nothing that is needed. Nor do
/// they let through what is not: whoever is handed what they leave out asks nobody for anything.
#[tokio::test]
async fn the_streams_patterns_leave_out_what_its_readers_have_no_use_for() {
    let world = World::start().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let acme = world.founded_by(&ada).await;
    for name in ["bob", "carl", "dora"] {
        world.invited(&acme, &ada, &format!("{name}@example.com"), "member").await;
    }
    world.joined(&acme, &ada, "eve", "owner").await;
    let id = |invitation: &Value| invitation["id"].as_str().unwrap().to_owned();
    let bob = ada.finds(&acme, "bob@example.com").await;
    world.passes(61).await;
    ada.resends(&acme, &id(&bob)).await.is(200);
    let token = world.token_for("carl@example.com").await;
    world.person("carl").declines(&token).await.is(204);
    let dora = ada.finds(&acme, "dora@example.com").await;
    ada.revokes(&acme, &id(&dora)).await.is(204);
    eve.renames(&acme, "Umbrella").await.is(200);
    ada.edits(&acme, "eve", "member").await.is(200);
    eve.removes(&acme, "eve").await.is(204);
    let mail = world.mails_to("bob@example.com").await.remove(0);
    world.hears(&mail, json!({ "kind": "delivery" })).await;
    world.passes(TWO_DAYS).await;
    world.idle().await;
    let records = world.laptop().stream().await.unwrap();
    for reader in ["mail", "schedule"] {
        let (wanted, left_out): (Vec<_>, Vec<_>) = records.iter().partition(|record| gets(reader, record));
        assert!(
            wanted.len() >= 5 && left_out.len() >= 5,
            "{reader} gets {} of {}",
            wanted.len(),
            records.len()
        );
        let _ = world.wire().take();
        for record in left_out {
            assert_eq!(world.feeds(reader, std::slice::from_ref(record)).await, [""; 0]);
            let calls = world.wire().take();
            assert!(calls.is_empty(), "{reader} looks after what it is never told of: {calls:?}, {record}");
        }
    }
    world.finish().await;
}

/// The alternatives of a pattern like `{ ($.outcome = "failed") || ($.outcome = "internal") }`: field and value.
fn alternatives(pattern: &str) -> Vec<(String, String)> {
    let inner = pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("a pattern of JSON");
    let alternative = |text: &str| {
        let text = text.trim().trim_start_matches('(').trim_end_matches(')');
        let (field, value) = text.split_once('=').expect("a comparison");
        let field = field.trim().strip_prefix("$.").expect("a field");
        (field.to_owned(), value.trim().trim_matches('"').to_owned())
    };
    inner.split("||").map(alternative).collect()
}

#[tokio::test]
async fn what_fails_is_counted_by_the_filter_of_the_alarm_and_what_does_not_is_not() {
    listen();
    let pattern = Template::load().properties("Failures")["FilterPattern"].as_str().unwrap().to_owned();
    let alternatives = alternatives(&pattern);
    let counted = |line: &Value| alternatives.iter().any(|(field, value)| line[field] == value.as_str());
    let told = || lines().into_iter().filter(|line| line["outcome"].is_string()).collect::<Vec<_>>();
    let world = World::with_short_retries().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.invited(&acme, &ada, "bob@example.com", "member").await;
    ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
    world.person("eve").looks_at(&acme).await.refused(404, "organization_not_found");
    ada.removes(&acme, "ada").await.refused(409, "last_owner");
    world.idle().await;
    let well = told();
    assert!(well.len() >= 6 && !well.iter().any(counted), "{well:?}");

    world.wire().disturb_actions("TransactGetItems", Fault::LostBefore, usize::MAX);
    ada.looks_at(&acme).await.refused(503, "unavailable");
    world.wire().clear_faults();
    world.wire().disturb("TransactGetItems", Fault::Refused("AccessDeniedException"), 1);
    ada.looks_at(&acme).await.refused(500, "internal");
    world.wire().disturb("GetItem", Fault::Refused("AccessDeniedException"), 1);
    assert!(world.invokes("expire", timer(&acme, &bob)).await.is_err());
    world.wire().clear_faults();
    let failed = told();
    let outcomes: BTreeSet<_> = failed.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert!(outcomes.is_superset(&["failed", "internal", "unavailable"].into()), "{outcomes:?}");
    assert!(failed.iter().all(counted), "{failed:?}");

    // What is refused for good is a failure and no retry, though the stream brings it again.
    world.wire().disturb_work("TransactWriteItems", Fault::Refused("AccessDeniedException"), 1);
    world.invited(&acme, &ada, "carl@example.com", "member").await;
    world.idle().await;
    let of_mail: Vec<_> = told().into_iter().filter(|line| line["action"] == "mail").collect();
    assert!(of_mail.iter().any(|line| line["outcome"] == "failed"), "{of_mail:?}");
    world.finish().await;
}

#[test]
fn the_access_log_has_what_its_filter_looks_at() {
    let template = Template::load();
    let pattern = template.properties("TurnedAway")["FilterPattern"].as_str().unwrap().to_owned();
    let log = template.0["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"].clone();
    let format: Value = serde_json::from_str(log.as_str().expect("a format")).expect("the format is JSON");
    for (field, value) in alternatives(&pattern) {
        assert_eq!(format[&field], "$context.status", "{field}");
        // The log writes it as a text.
        assert_eq!(value, "429");
    }
}

/// An alarm for errors and one for throttles watches each function; alarms of CloudWatch sum ten metrics at most.
#[test]
fn every_function_is_watched() {
    let template = Template::load();
    let functions: BTreeSet<_> = template.resources("AWS::Serverless::Function").into_iter().collect();
    for metric in ["Errors", "Throttles"] {
        let mut watched = BTreeSet::new();
        for id in template.resources("AWS::CloudWatch::Alarm") {
            let properties = template.properties(id);
            let summed =
                properties["Metrics"].as_array().into_iter().flatten().map(|it| &it["MetricStat"]["Metric"]);
            let metrics: Vec<_> = summed.filter(|it| it.is_object()).chain([properties]).collect();
            assert!(metrics.len() <= 11, "{id} sums more than ten metrics");
            for it in metrics.into_iter().filter(|it| it["MetricName"] == metric) {
                watched.insert(it["Dimensions"][0]["Value"]["Ref"].as_str().expect("a function"));
            }
        }
        let unwatched: Vec<_> = functions.difference(&watched).collect();
        assert!(unwatched.is_empty(), "nobody watches the {metric} of {unwatched:?}");
    }
}
