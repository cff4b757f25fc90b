//! The template and the functions agree: environment variables, timeouts, stream filters, metrics and alarms.

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
use harness::template::{Deployed, Template, stream_filter_accepts};
use harness::{Fault, TWO_DAYS, World, timer};
use lambda_api::env::Env;
use lambda_api::{App, FromEnv};
use lambda_runtime::Error;
use serde_json::{Value, json};

use crate::log_capture::{start_capture, take_lines};

/// Values for the parameters without a default, and for parameters that set a variable.
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

/// Returns the policy that the function with this handler reads from its environment.
fn policy_of<Services: FromEnv, Event, Handling>(
    env: Env<'_>,
    _handle: impl Fn(Arc<App<Services>>, Event) -> Handling,
) -> Result<Policy, Error> {
    App::<Services>::from_env(env).map(|app| app.policy)
}

/// Reads the configuration of each function, as its `main` does.
const STARTS: [(&str, Start); 17] = [
    ("accept", |env| policy_of(env, accept::handle)),
    ("console", |env| Ok(console::Config::from_env(env).map(|_| Policy::default())?)),
    ("create", |env| policy_of(env, create::handle)),
    ("decline", |env| policy_of(env, decline::handle)),
    ("expire", |env| policy_of(env, expire::handle)),
    ("feedback", |env| policy_of(env, feedback::handle)),
    ("invite", |env| policy_of(env, invite::handle)),
    ("list", |env| policy_of(env, list::handle)),
    ("mail", |env| policy_of(env, mail::handle)),
    ("organization-edit", |env| policy_of(env, organization_edit::handle)),
    ("preview", |env| policy_of(env, preview::handle)),
    ("reconcile", |env| policy_of(env, reconcile::handle)),
    ("remove", |env| policy_of(env, remove::handle)),
    ("resend", |env| policy_of(env, resend::handle)),
    ("revoke", |env| policy_of(env, revoke::handle)),
    ("role-edit", |env| policy_of(env, role_edit::handle)),
    ("schedule", |env| policy_of(env, schedule::handle)),
];

/// Starts a function with these variables. Returns the result, and the variables that it has read.
fn start_with(
    start: Start,
    variables: &BTreeMap<String, String>,
) -> (Result<Policy, Error>, BTreeSet<String>) {
    let read = RefCell::new(BTreeSet::new());
    let lookup = |name: &'static str| {
        read.borrow_mut().insert(name.to_owned());
        variables.get(name).map(OsString::from)
    };
    let result = start(Env::new(&lookup));
    (result, read.into_inner())
}

/// Returns logical id, name and start of each function.
fn functions(template: &Template) -> Vec<(String, &'static str, Start)> {
    let names = template.functions();
    assert!(names.keys().map(String::as_str).eq(STARTS.iter().map(|(name, _)| *name)), "{:?}", names.keys());
    let id = |name: &str| {
        let words = name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]);
        words.collect::<String>() + "Function"
    };
    STARTS.into_iter().map(|(name, start)| (id(name), name, start)).collect()
}

/// Variables for limits. A function without the variable does not use the limit.
const LIMITS: [&str; 5] = [
    "INVITEES_PER_DAY",
    "MAILS_PER_HOUR",
    "MAIL_PAUSE_SECONDS",
    "MAILS_PER_INVITATION",
    "MAILS_PER_RECIPIENT",
];

#[test]
fn every_function_reads_exactly_the_variables_that_the_template_sets() {
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
    let mut read_by_any = BTreeSet::new();
    for (id, name, start) in functions(&template) {
        let variables = deployed.variables(&id);
        let (result, mut read) = start_with(start, &variables);
        let policy = result.unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let own = variables_of(template.properties(&id));
        let unused: Vec<_> = own.difference(&read).collect();
        assert!(unused.is_empty(), "{name} does not read {unused:?}");
        read.retain(|it| !LIMITS.contains(&it.as_str()));
        let unset: Vec<_> = read.iter().filter(|it| !variables.contains_key(*it)).collect();
        assert!(unset.is_empty(), "{name} reads {unset:?}, which the template does not set");
        read_by_any.extend(read);
        if name != "console" {
            assert_policy(name, &policy, &own);
        }
    }
    let of_metrics: Start = |env| {
        assert_eq!(lambda_api::observe::namespace_of(env), lambda_api::observe::NAMESPACE);
        Ok(Policy::default())
    };
    read_by_any.extend(start_with(of_metrics, &BTreeMap::new()).1);
    let unused: Vec<_> = globals.difference(&read_by_any).collect();
    // Its value only has to differ between two deployments.
    assert_eq!(unused, ["RELEASE"], "no function reads these variables");
}

/// Checks that each number of the policy comes from the parameter with its name.
fn assert_policy(name: &str, policy: &Policy, own: &BTreeSet<String>) {
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
fn metrics_and_alarms_use_the_same_namespace() {
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
        assert!(own.is_null() || is_aws || *own == expected, "{id} uses the namespace {own}");
    }
}

#[test]
fn the_error_names_the_missing_variable() {
    let template = Template::load();
    let deployed = Deployed { template: &template, parameters: PARAMETERS.into() };
    for (id, name, start) in functions(&template) {
        let all = deployed.variables(&id);
        let mut needed = BTreeSet::new();
        for left_out in all.keys() {
            let mut variables = all.clone();
            variables.remove(left_out);
            if let (Err(error), _) = start_with(start, &variables) {
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

/// The laptop uses the default policy, so it behaves as a deployment with default parameters.
#[test]
fn template_defaults_equal_the_default_policy() {
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

/// A function responds before API Gateway's timeout (30 s) and before its own timeout on Lambda.
///
/// The function's timeout covers the retry budget and one more attempt. The retry budget covers two attempts with the
/// backoff between them.
#[test]
fn inner_timeouts_are_shorter_than_outer_timeouts() {
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
        assert!(
            own.is_none_or(|own| own >= function),
            "the timeout of {id} is shorter than its retry budget"
        );
    }
}

/// Links are created with the first key, and verified with both. Either key can be the first.
#[test]
fn link_keys_follow_the_key_parameters() {
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
        start_with(|env| policy_of(env, accept::handle), &variables).0.unwrap();
    }
}

/// An existing key takes the place of key A. Links name it as before, by the first 8 characters of its id.
#[test]
fn an_existing_key_keeps_its_id_in_links() {
    let template = Template::load();
    let arn = "arn:aws:kms:eu-central-1:123456789012:key/1a2b3c4d-1234-1234-1234-123456789abc";
    let pattern = template.0["Parameters"]["LinkKeyArn"]["AllowedPattern"].as_str().unwrap();
    let pattern = regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap();
    assert!(pattern.is_match(arn) && pattern.is_match(""));
    // All multi-Region keys would have the same id in links.
    assert!(
        !pattern.is_match("arn:aws:kms:eu-central-1:123456789012:key/mrk-12345678123456781234567812345678")
    );
    let (a, b) = (format!("1a2b3c4d={arn}"), "keyb=keyb-1234-1234-1234-123456789abc");
    for (minting, retiring, expected) in [
        ("A", "none", a.clone()),
        ("A", "B", format!("{a},{b}")),
        ("B", "A", format!("{b},{a}")),
        ("B", "none", b.to_owned()),
    ] {
        let mut parameters: BTreeMap<_, _> = PARAMETERS.into();
        parameters.extend([("MintingKey", minting), ("RetiringKey", retiring), ("LinkKeyArn", arn)]);
        let variables = Deployed { template: &template, parameters }.variables("MailFunction");
        assert_eq!(variables["LINK_KEYS"], expected);
        start_with(|env| policy_of(env, mail::handle), &variables).0.unwrap();
    }
}

/// A function that is invoked with an excluded record sends no request, so the filters exclude only unneeded records.
///
/// All scenarios use the template's filters, so a filter that excludes too much fails other scenarios.
#[tokio::test]
async fn stream_filters_exclude_only_records_that_need_no_work() {
    let world = World::start().await;
    let (ada, eve) = (world.person("ada"), world.person("eve"));
    let acme = world.founded_by(&ada).await;
    for name in ["bob", "carl", "dora"] {
        world.invited(&acme, &ada, &format!("{name}@example.com"), "member").await;
    }
    world.joined(&acme, &ada, "eve", "owner").await;
    let id = |invitation: &Value| invitation["id"].as_str().unwrap().to_owned();
    let bob = ada.finds_invitation(&acme, "bob@example.com").await;
    world.advance(61).await;
    ada.resends(&acme, &id(&bob)).await.is(200);
    let token = world.token_for("carl@example.com").await;
    world.person("carl").declines(&token).await.is(204);
    let dora = ada.finds_invitation(&acme, "dora@example.com").await;
    ada.revokes(&acme, &id(&dora)).await.is(204);
    eve.renames(&acme, "Umbrella").await.is(200);
    ada.edits_role(&acme, "eve", "member").await.is(200);
    eve.removes(&acme, "eve").await.is(204);
    let mail = world.mails_to("bob@example.com").await.remove(0);
    world.send_ses_event(&mail, json!({ "kind": "delivery" })).await;
    world.advance(TWO_DAYS).await;
    world.wait_until_idle().await;
    let records = world.laptop().stream().await.unwrap();
    for reader in ["mail", "schedule"] {
        let (included, excluded): (Vec<_>, Vec<_>) =
            records.iter().partition(|record| stream_filter_accepts(reader, record));
        assert!(
            included.len() >= 5 && excluded.len() >= 5,
            "{reader} gets {} of {}",
            included.len(),
            records.len()
        );
        let _ = world.wire().take_requests();
        for record in excluded {
            assert_eq!(world.invoke_with_records(reader, std::slice::from_ref(record)).await, [""; 0]);
            let calls = world.wire().take_requests();
            assert!(calls.is_empty(), "{reader} sends requests for an excluded record: {calls:?}, {record}");
        }
    }
    world.finish().await;
}

/// Returns field and value of each alternative in a pattern such as
/// `{ ($.outcome = "failed") || ($.outcome = "internal") }`.
fn alternatives(pattern: &str) -> Vec<(String, String)> {
    let inner =
        pattern.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect("the pattern is in braces");
    let alternative = |text: &str| {
        let text = text.trim().trim_start_matches('(').trim_end_matches(')');
        let (field, value) = text.split_once('=').expect("the alternative is a comparison");
        let field = field.trim().strip_prefix("$.").expect("the left side is a field");
        (field.to_owned(), value.trim().trim_matches('"').to_owned())
    };
    inner.split("||").map(alternative).collect()
}

#[tokio::test]
async fn the_failure_alarm_counts_failures_only() {
    start_capture();
    let pattern = Template::load().properties("Failures")["FilterPattern"].as_str().unwrap().to_owned();
    let alternatives = alternatives(&pattern);
    let counted = |line: &Value| alternatives.iter().any(|(field, value)| line[field] == value.as_str());
    let outcomes = || take_lines().into_iter().filter(|line| line["outcome"].is_string()).collect::<Vec<_>>();
    let world = World::with_short_retries().await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    let bob = world.invited(&acme, &ada, "bob@example.com", "member").await;
    ada.invites(&acme, &["bob@example.com"], "member").await.is(200);
    world.person("eve").gets_organization(&acme).await.refused(404, "organization_not_found");
    ada.removes(&acme, "ada").await.refused(409, "last_owner");
    world.wait_until_idle().await;
    let succeeded = outcomes();
    assert!(succeeded.len() >= 6 && !succeeded.iter().any(counted), "{succeeded:?}");

    world.wire().inject_api_fault("TransactGetItems", Fault::RequestLost, usize::MAX);
    ada.gets_organization(&acme).await.refused(503, "unavailable");
    world.wire().clear_faults();
    world.wire().inject_fault("TransactGetItems", Fault::Refused("AccessDeniedException"), 1);
    ada.gets_organization(&acme).await.refused(500, "internal");
    world.wire().inject_fault("GetItem", Fault::Refused("AccessDeniedException"), 1);
    assert!(world.invoke("expire", timer(&acme, &bob)).await.is_err());
    world.wire().clear_faults();
    let failed = outcomes();
    let words: BTreeSet<_> = failed.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert!(words.is_superset(&["failed", "internal", "unavailable"].into()), "{words:?}");
    assert!(failed.iter().all(counted), "{failed:?}");

    // A permanent error is logged as `failed`, not as a retry, although the stream delivers the record again.
    world.wire().inject_background_fault("TransactWriteItems", Fault::Refused("AccessDeniedException"), 1);
    world.invited(&acme, &ada, "carl@example.com", "member").await;
    world.wait_until_idle().await;
    let of_mail: Vec<_> = outcomes().into_iter().filter(|line| line["action"] == "mail").collect();
    assert!(of_mail.iter().any(|line| line["outcome"] == "failed"), "{of_mail:?}");
    world.finish().await;
}

#[test]
fn the_access_log_has_the_fields_of_its_metric_filter() {
    let template = Template::load();
    let pattern = template.properties("TurnedAway")["FilterPattern"].as_str().unwrap().to_owned();
    let log = template.0["Resources"]["Api"]["Properties"]["AccessLogSettings"]["Format"].clone();
    let format: Value =
        serde_json::from_str(log.as_str().expect("the format is a string")).expect("the format is JSON");
    for (field, value) in alternatives(&pattern) {
        assert_eq!(format[&field], "$context.status", "{field}");
        // The log contains the status as a string.
        assert_eq!(value, "429");
    }
}

/// A CloudWatch alarm can sum at most ten metrics, so several alarms share the functions.
#[test]
fn every_function_has_alarms_for_errors_and_throttles() {
    let template = Template::load();
    let functions: BTreeSet<_> = template.resources("AWS::Serverless::Function").into_iter().collect();
    for metric in ["Errors", "Throttles"] {
        let mut covered = BTreeSet::new();
        for id in template.resources("AWS::CloudWatch::Alarm") {
            let properties = template.properties(id);
            let summed =
                properties["Metrics"].as_array().into_iter().flatten().map(|it| &it["MetricStat"]["Metric"]);
            let metrics: Vec<_> = summed.filter(|it| it.is_object()).chain([properties]).collect();
            assert!(metrics.len() <= 11, "{id} sums more than ten metrics");
            for it in metrics.into_iter().filter(|it| it["MetricName"] == metric) {
                covered.insert(
                    it["Dimensions"][0]["Value"]["Ref"].as_str().expect("the dimension is a function"),
                );
            }
        }
        let missing: Vec<_> = functions.difference(&covered).collect();
        assert!(missing.is_empty(), "no alarm covers the {metric} of {missing:?}");
    }
}
