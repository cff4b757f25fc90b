//! What functions may do, by the template, and what they do, by what they send.
//!
//! Both are written as sentences, such as `dynamodb:PutItem on table within TransactWriteItems`, so that they can
//! be compared, and read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::template::Template;
use crate::wire::Call;

/// Sentences, by function.
pub type Permissions = BTreeMap<String, BTreeSet<String>>;

/// What the template's roles and key policies grant each function, without what Lambda itself needs.
pub fn granted(template: &Template) -> Permissions {
    let functions = template.functions().into_values();
    functions.map(|function| (function.name.clone(), grants(template, &function.role))).collect()
}

/// As [`granted`], of this repository's template, which is read once.
pub fn granted_here() -> &'static Permissions {
    static GRANTED: OnceLock<Permissions> = OnceLock::new();
    GRANTED.get_or_init(|| granted(&Template::load()))
}

/// What a call needs. `iam:PassRole` never shows in a call: EventBridge Scheduler asks for it whenever it is given
/// a role, and that is whenever a schedule is made or changed.
pub fn needed(call: &Call) -> BTreeSet<String> {
    let body = &call.body;
    let sentences = match call.operation.as_str() {
        "TransactWriteItems" => items(&body["TransactItems"])
            .map(|(kind, _)| match kind {
                "ConditionCheck" => "ConditionCheckItem".to_owned(),
                kind => format!("{kind}Item"),
            })
            .map(|action| format!("dynamodb:{action} on table within TransactWriteItems"))
            .collect(),
        "TransactGetItems" | "GetItem" => vec!["dynamodb:GetItem on table".to_owned()],
        "BatchGetItem" => vec!["dynamodb:BatchGetItem on table".to_owned()],
        "Query" => vec![match body["IndexName"].as_str() {
            None => "dynamodb:Query on table".to_owned(),
            Some(index) => format!("dynamodb:Query on table/index/{index}"),
        }],
        "GenerateMac" | "VerifyMac" => {
            let algorithm = body["MacAlgorithm"].as_str().unwrap_or_default();
            vec![format!("kms:{} on key if kms:MacAlgorithm is {algorithm}", call.operation)]
        }
        "SendEmail" => {
            let set = body["ConfigurationSetName"].as_str().map(|_| "configuration-set/MailEvents");
            ["identity/MailIdentity"]
                .into_iter()
                .chain(set)
                .map(|resource| format!("ses:SendEmail on {resource} if ses:FromAddress is MailFrom"))
                .collect()
        }
        operation @ ("CreateSchedule" | "UpdateSchedule") => vec![
            format!("scheduler:{operation} on schedule/ScheduleGroup/*"),
            "iam:PassRole on SchedulerRole if iam:PassedToService is scheduler.amazonaws.com".to_owned(),
        ],
        operation @ "DeleteSchedule" => vec![format!("scheduler:{operation} on schedule/ScheduleGroup/*")],
        other => vec![format!("{other}, which nobody has thought of")],
    };
    sentences.into_iter().collect()
}

fn items(transaction: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let items = transaction.as_array().into_iter().flatten();
    items.flat_map(|item| item.as_object().into_iter().flatten()).map(|(kind, item)| (kind.as_str(), item))
}

fn grants(template: &Template, role: &str) -> BTreeSet<String> {
    let mut grants = BTreeSet::new();
    let properties = template.properties(role);
    for policy in list(&properties["Policies"]) {
        for statement in list(&policy["PolicyDocument"]["Statement"]) {
            grants.extend(sentences(statement, None));
        }
    }
    for key in template.resources("AWS::KMS::Key") {
        for statement in list(&template.properties(key)["KeyPolicy"]["Statement"]) {
            let principals = list(&statement["Principal"]["AWS"]);
            if principals.contains(&&json!({ "Fn::GetAtt": [role, "Arn"] })) {
                grants.extend(sentences(statement, Some("key")));
            }
        }
    }
    grants.retain(|grant| !is_lambdas(grant));
    grants
}

/// Whether Lambda does that as the function's role, and not the function: it reads the stream, and keeps what
/// failed.
pub fn is_lambdas(sentence: &str) -> bool {
    sentence.starts_with("sqs:") || sentence.contains(" on table/stream/")
}

/// One value or several, which IAM does not distinguish.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

/// What a statement allows, one sentence for each action on each resource.
pub fn sentences(statement: &Value, resource: Option<&str>) -> BTreeSet<String> {
    assert_eq!(statement["Effect"], "Allow", "{statement}");
    let known = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
    let members = statement.as_object().into_iter().flatten();
    let unknown: Vec<_> = members.filter(|(name, _)| !known.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "what does this grant? {unknown:?}");
    assert!(!statement["Action"].is_null(), "this grants everything that it does not name: {statement}");
    let condition = condition(&statement["Condition"]);
    let resources: Vec<_> = match resource {
        Some(resource) => vec![resource.to_owned()],
        None => list(&statement["Resource"]).into_iter().map(named).collect(),
    };
    let actions = list(&statement["Action"]).into_iter();
    let actions = actions.map(|action| action.as_str().unwrap_or_else(|| panic!("no action: {action}")));
    actions
        .flat_map(|action| resources.iter().map(move |resource| (action, resource)))
        .map(|(action, resource)| format!("{action} on {resource}{condition}"))
        .collect()
}

/// A resource by the part of its ARN that tells it from others in this account and Region.
fn named(resource: &Value) -> String {
    if let Some(name) = resource["Fn::GetAtt"][0].as_str() {
        return name.to_owned();
    }
    let arn = resource["Fn::Sub"].as_str().or(resource.as_str()).unwrap_or_default();
    let account = "${AWS::Region}:${AWS::AccountId}:";
    let named = arn.split_once(account).map_or(arn, |(_, named)| named);
    named.replace("table/${TableName}", "table").replace("${", "").replace('}', "")
}

fn condition(condition: &Value) -> String {
    let operators = condition.as_object().into_iter().flatten();
    let tests = operators.flat_map(|(operator, tests)| {
        tests.as_object().into_iter().flatten().map(move |(key, expected)| (operator, key, expected))
    });
    let said = tests.map(|(operator, key, expected)| {
        let expected = expected["Ref"].as_str().or(expected.as_str()).unwrap_or("several things");
        match (operator.as_str(), key.as_str()) {
            ("ForAnyValue:StringEquals", "dynamodb:EnclosingOperation") => format!(" within {expected}"),
            ("StringEquals", key) => format!(" if {key} is {expected}"),
            (operator, key) => format!(" if {operator} {key} {expected}"),
        }
    });
    said.collect()
}
