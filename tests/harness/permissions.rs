//! Permissions of functions: those that the template grants, and those that requests need.
//!
//! A permission is a string such as `dynamodb:PutItem on table within TransactWriteItems`, so that granted and required
//! permissions can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::template::Template;
use crate::wire::AwsRequest;

/// Permissions by function.
pub type Permissions = BTreeMap<String, BTreeSet<String>>;

/// Returns the permissions that roles and key policies grant each function, without those that Lambda itself uses.
/// Statements with a condition do not count.
pub fn granted(template: &Template) -> Permissions {
    let functions = template.functions().into_values();
    functions.map(|function| (function.name.clone(), grants(template, &function.role))).collect()
}

/// Returns the permissions that `infra/template.yaml` grants in production. Reads the file only once.
pub fn granted_by_template() -> &'static Permissions {
    static GRANTED: OnceLock<Permissions> = OnceLock::new();
    GRANTED.get_or_init(|| granted(&production()))
}

/// Returns `infra/template.yaml` with the default parameters, which deploy to production.
pub fn production() -> Template {
    Template::load().with_parameters(&[])
}

/// Returns the permissions that a request needs.
///
/// No request names `iam:PassRole`. EventBridge Scheduler requires it to create or update a schedule, because both pass
/// a role.
pub fn required_permissions(request: &AwsRequest) -> BTreeSet<String> {
    let body = &request.body;
    let permissions = match request.operation.as_str() {
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
            vec![format!("kms:{} on key if kms:MacAlgorithm is {algorithm}", request.operation)]
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
        other => vec![format!("{other}, for which no permission is known")],
    };
    permissions.into_iter().collect()
}

fn items(transaction: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let items = transaction.as_array().into_iter().flatten();
    items.flat_map(|item| item.as_object().into_iter().flatten()).map(|(kind, item)| (kind.as_str(), item))
}

/// Returns the logical ids of the policies that attach themselves to a role.
pub fn policies_of<'a>(template: &'a Template, role: &str) -> Vec<&'a str> {
    let is_attached =
        |policy: &&str| list(&template.properties(policy)["Roles"]).contains(&&json!({ "Ref": role }));
    template.resources("AWS::IAM::ManagedPolicy").into_iter().filter(is_attached).collect()
}

fn grants(template: &Template, role: &str) -> BTreeSet<String> {
    let mut grants = BTreeSet::new();
    let inline = list(&template.properties(role)["Policies"]);
    let attached = policies_of(template, role).into_iter().map(|policy| template.properties(policy));
    for policy in inline.into_iter().chain(attached) {
        for statement in statements(&policy["PolicyDocument"], None) {
            grants.extend(permissions_of(statement, None));
        }
    }
    for key in template.resources("AWS::KMS::Key") {
        grants.extend(granted_by_key(template, key, role));
    }
    grants.retain(|grant| !is_used_by_lambda_itself(grant));
    grants
}

/// Returns the permissions that the policy of the key `key` grants a role.
pub fn granted_by_key(template: &Template, key: &str, role: &str) -> BTreeSet<String> {
    let role = json!({ "Fn::GetAtt": [role, "Arn"] });
    let statements = list(&template.properties(key)["KeyPolicy"]["Statement"]).into_iter();
    let statements = statements.filter(|it| list(&it["Principal"]["AWS"]).contains(&&role));
    statements.flat_map(|it| permissions_of(it, Some("key"))).collect()
}

/// Returns the statements of a policy document that are there under the condition `condition` of the template, or
/// unconditionally with `None`.
pub fn statements<'a>(document: &'a Value, condition: Option<&str>) -> Vec<&'a Value> {
    let select = |statement: &'a Value| match statement["Fn::If"].as_array().map(Vec::as_slice) {
        Some([name, then, otherwise]) => {
            assert_eq!(*otherwise, json!({ "Ref": "AWS::NoValue" }), "{statement}");
            (name.as_str() == condition).then_some(then)
        }
        _ => condition.is_none().then_some(statement),
    };
    list(&document["Statement"]).into_iter().filter_map(select).collect()
}

/// Whether Lambda itself uses this permission with the function's role: it reads the stream, and sends failed events to
/// a queue.
pub fn is_used_by_lambda_itself(permission: &str) -> bool {
    permission.starts_with("sqs:") || permission.contains(" on table/stream/")
}

/// Returns the values of a field that has one value or a list, since IAM accepts both.
pub fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

/// Returns the permissions of a statement: one for each combination of action and resource.
pub fn permissions_of(statement: &Value, resource: Option<&str>) -> BTreeSet<String> {
    assert_eq!(statement["Effect"], "Allow", "{statement}");
    let supported = ["Sid", "Effect", "Principal", "Action", "Resource", "Condition"];
    let members = statement.as_object().into_iter().flatten();
    let unknown: Vec<_> = members.filter(|(name, _)| !supported.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "unsupported elements of a statement: {unknown:?}");
    assert!(
        !statement["Action"].is_null(),
        "a statement with NotAction grants all other actions: {statement}"
    );
    let condition = condition(&statement["Condition"]);
    let resources: Vec<_> = match resource {
        Some(resource) => vec![resource.to_owned()],
        None => list(&statement["Resource"]).into_iter().map(resource_name).collect(),
    };
    let actions = list(&statement["Action"]).into_iter();
    let actions =
        actions.map(|action| action.as_str().unwrap_or_else(|| panic!("this is not an action: {action}")));
    actions
        .flat_map(|action| resources.iter().map(move |resource| (action, resource)))
        .map(|(action, resource)| format!("{action} on {resource}{condition}"))
        .collect()
}

/// Returns the part of the ARN that identifies the resource within its account and Region.
fn resource_name(resource: &Value) -> String {
    if let Some(name) = resource["Fn::GetAtt"][0].as_str() {
        return name.to_owned();
    }
    let sub = &resource["Fn::Sub"];
    let arn = sub.as_str().or(sub[0].as_str()).or(resource.as_str()).unwrap_or_default();
    let account = "${AWS::Region}:${AWS::AccountId}:";
    let name = arn.split_once(account).map_or(arn, |(_, name)| name);
    // The table's name, or the value that it has under the conditions of a deployment.
    let names = [&table_name()["Fn::If"][1], &table_name()["Fn::If"][2], &table_name()].map(Clone::clone);
    let is_table = names.contains(&sub[1]["Name"]);
    let name = if is_table { name.replace("table/${Name}", "table") } else { name.to_owned() };
    name.replace("${", "").replace('}', "")
}

/// Returns the name of the table in the template: the parameter, or the stack's name.
pub fn table_name() -> Value {
    json!({ "Fn::If": ["NamesTable", { "Ref": "TableName" }, { "Ref": "AWS::StackName" }] })
}

fn condition(condition: &Value) -> String {
    let operators = condition.as_object().into_iter().flatten();
    let tests = operators.flat_map(|(operator, tests)| {
        tests.as_object().into_iter().flatten().map(move |(key, expected)| (operator, key, expected))
    });
    let conditions = tests.map(|(operator, key, expected)| {
        let expected = expected["Ref"].as_str().or(expected.as_str()).unwrap_or("several values");
        match (operator.as_str(), key.as_str()) {
            ("ForAnyValue:StringEquals", "dynamodb:EnclosingOperation") => format!(" within {expected}"),
            ("StringEquals", key) => format!(" if {key} is {expected}"),
            (operator, key) => format!(" if {operator} {key} {expected}"),
        }
    });
    conditions.collect()
}
