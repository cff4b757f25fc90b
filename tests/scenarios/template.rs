//! The deployment in `infra/template.yaml` has the properties that the functions and the laptop rely on.

use std::collections::BTreeSet;

use harness::World;
use harness::permissions::table_name;
use harness::template::Template;
use serde_json::{Value, json};
use store::schema::{TTL, create_table_request};

/// Returns the laptop's request that creates its table, as the properties of a template.
fn table_of_laptop(world: &World) -> Value {
    let config = local::laptop::sdk_config(world.laptop().url(), None);
    let request = create_table_request(&aws_sdk_dynamodb::Client::new(&config), "roster").unwrap();
    let table = request.as_input();
    let keys = |keys: &[aws_sdk_dynamodb::types::KeySchemaElement]| {
        let key = |key: &aws_sdk_dynamodb::types::KeySchemaElement| json!({ "AttributeName": key.attribute_name(), "KeyType": key.key_type().as_str() });
        keys.iter().map(key).collect::<Value>()
    };
    let attributes = table.get_attribute_definitions().as_deref().unwrap_or_default().iter();
    let indexes = table.get_global_secondary_indexes().as_deref().unwrap_or_default().iter();
    json!({
        "BillingMode": table.get_billing_mode().as_ref().unwrap().as_str(),
        "AttributeDefinitions": attributes
            .map(|it| json!({ "AttributeName": it.attribute_name(), "AttributeType": it.attribute_type().as_str() }))
            .collect::<Value>(),
        "KeySchema": keys(table.get_key_schema().as_deref().unwrap_or_default()),
        "GlobalSecondaryIndexes": indexes
            .map(|it| {
                let requested = it.projection().unwrap();
                let mut projection = json!({ "ProjectionType": requested.projection_type().unwrap().as_str() });
                if let Some(attributes) = &requested.non_key_attributes {
                    projection["NonKeyAttributes"] = json!(attributes);
                }
                json!({
                    "IndexName": it.index_name(),
                    "KeySchema": keys(it.key_schema()),
                    "Projection": projection,
                })
            })
            .collect::<Value>(),
        "StreamSpecification": {
            "StreamViewType":
                table.get_stream_specification().as_ref().unwrap().stream_view_type().unwrap().as_str(),
        },
        "TimeToLiveSpecification": { "AttributeName": TTL, "Enabled": true },
    })
}

#[tokio::test]
async fn the_template_and_the_laptop_create_the_same_table() {
    let world = World::start().await;
    let requested = table_of_laptop(&world);
    let template = Template::load();
    let table = template.properties("Table");
    for (property, value) in requested.as_object().unwrap() {
        assert_eq!(table[property], *value, "{property}");
    }
    world.finish().await;
}

/// Two stacks in one Region cannot have a table of the same name.
#[test]
fn the_table_has_the_name_of_the_stack_unless_a_parameter_names_it() {
    let template = Template::load();
    assert_eq!(template.0["Parameters"]["TableName"]["Default"], "");
    let is_named = json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": "TableName" }, ""] }] });
    assert_eq!(template.0["Conditions"]["NamesTable"], is_named);
    assert_eq!(template.properties("Table")["TableName"], table_name());
    // Nothing uses the parameter alone, and no substitution uses another name.
    let mut names = 0;
    for section in ["Globals", "Resources", "Outputs"] {
        let text = template.0[section].to_string();
        let all = text.matches(&json!({ "Ref": "TableName" }).to_string()).count();
        assert!(all > 0 && all == text.matches(&table_name().to_string()).count(), "{section}");
        for_each_substitution(&template.0[section], &mut |variables| {
            if let Some(name) = variables.get("Name") {
                assert_eq!(*name, table_name());
                names += 1;
            }
        });
    }
    assert!(names > 40, "{names}");
}

/// Calls `check` with the variables of each `Fn::Sub` in a node.
fn for_each_substitution(node: &Value, check: &mut impl FnMut(&Value)) {
    match node {
        Value::Object(fields) => {
            if !node["Fn::Sub"][1].is_null() {
                check(&node["Fn::Sub"][1]);
            }
            fields.values().for_each(|field| for_each_substitution(field, check));
        }
        Value::Array(items) => items.iter().for_each(|item| for_each_substitution(item, check)),
        _ => {}
    }
}

/// The table remains if a deployment fails or the stack is deleted.
#[test]
fn the_table_outlives_the_stack() {
    let template = Template::load();
    let resource = &template.0["Resources"]["Table"];
    assert_eq!(
        (&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]),
        (&json!("Retain"), &json!("Retain"))
    );
    let table = template.properties("Table");
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(template.0["Mappings"]["Environments"]["production"]["DeletionProtection"], "true");
}

/// Records that fail too often become dead letters. Retries end before the stream deletes the record, after 24 h.
#[test]
fn the_stream_is_read_from_its_beginning_with_bounded_retries() {
    let template = Template::load();
    for function in ["MailFunction", "ScheduleFunction"] {
        let stream = &template.properties(function)["Events"]["Stream"]["Properties"];
        assert_eq!(stream["StartingPosition"], "TRIM_HORIZON", "{function}");
        assert_eq!(stream["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{function}");
        assert_eq!(stream["BisectBatchOnFunctionError"], true, "{function}");
        assert!((1..100).contains(&stream["MaximumRetryAttempts"].as_i64().unwrap()), "{function}");
        assert!(stream["MaximumRecordAgeInSeconds"].as_i64().unwrap() < 24 * 60 * 60, "{function}");
        let destination = &stream["DestinationConfig"]["OnFailure"]["Destination"];
        assert_eq!(*destination, json!({ "Fn::GetAtt": ["StreamDeadLetters", "Arn"] }), "{function}");
    }
}

/// An account with few concurrent executions must be able to limit those that read the stream.
#[test]
fn a_parameter_limits_the_batches_of_both_stream_readers() {
    let template = Template::load();
    for function in ["MailFunction", "ScheduleFunction"] {
        let stream = &template.properties(function)["Events"]["Stream"]["Properties"];
        assert_eq!(stream["ParallelizationFactor"], json!({ "Ref": "ParallelizationFactor" }), "{function}");
    }
    let parameter = &template.0["Parameters"]["ParallelizationFactor"];
    assert_eq!([&parameter["MinValue"], &parameter["Default"], &parameter["MaxValue"]], [1, 10, 10]);
}

/// The API's access log has no field that can contain a link, a token or an address.
#[test]
fn s21_the_access_log_contains_no_paths_queries_headers_or_claims() {
    let template = Template::load();
    let format = template.properties("Api")["AccessLogSettings"]["Format"].as_str().unwrap();
    let variables: BTreeSet<_> = format
        .split('$')
        .skip(1)
        .map(|rest| rest.split(|it: char| !it.is_alphanumeric() && it != '.').next().unwrap())
        .collect();
    let expected = [
        "context.authorizer.error",
        "context.error.message",
        "context.identity.sourceIp",
        "context.integrationErrorMessage",
        "context.integrationLatency",
        "context.integrationStatus",
        "context.requestId",
        "context.requestTime",
        "context.responseLatency",
        "context.responseLength",
        "context.routeKey",
        "context.status",
    ];
    assert_eq!(variables, expected.into());
}

/// Adds all parameters that `node` depends on, directly or by a condition, to `found`.
fn parameters(template: &Template, node: &Value, found: &mut BTreeSet<String>) {
    let mut name = |name: &str| {
        if template.0["Parameters"].get(name).is_some() {
            found.insert(name.to_owned());
        }
    };
    match node {
        Value::Object(fields) => {
            if let Some(reference) = node["Ref"].as_str() {
                name(reference);
            }
            let sub = node["Fn::Sub"].as_str().or(node["Fn::Sub"][0].as_str()).unwrap_or_default();
            sub.split("${").skip(1).filter_map(|rest| rest.split('}').next()).for_each(&mut name);
            let conditions = [node["Fn::If"][0].as_str(), node["Condition"].as_str()];
            for condition in conditions.into_iter().flatten() {
                parameters(template, &template.0["Conditions"][condition], found);
            }
            fields.values().for_each(|field| parameters(template, field, found));
        }
        Value::Array(items) => items.iter().for_each(|item| parameters(template, item, found)),
        _ => {}
    }
}

/// The configuration contains exactly the parameters that the properties of the functions with versions depend on, and
/// the description of each version contains the number of the configuration.
///
/// SAM's transform publishes a new version, and moves the alias `live` to it, if a property of the function differs. It
/// does not notice the changed value of a parameter in a property. `CloudFormation` replaces a version if its
/// description differs.
#[test]
fn a_changed_parameter_publishes_a_new_version() {
    let template = Template::load();
    // A version is a copy of all properties of the function, except those that concern the release.
    let release = ["AutoPublishAlias", "DeploymentPreference", "VersionDescription", "Events"];
    let versioned = |properties: &Value| {
        let mut properties = properties.clone();
        properties.as_object_mut().unwrap().retain(|name, _| !release.contains(&name.as_str()));
        properties
    };
    let shared = versioned(&template.0["Globals"]["Function"]);
    let mut used = BTreeSet::new();
    for id in template.resources("AWS::Serverless::Function") {
        let properties = template.properties(id);
        if id == "ConsoleFunction" {
            // The console has no versions, so a deployment takes effect at once.
            assert_eq!(properties["AutoPublishAlias"], "");
            assert_eq!(properties["DeploymentPreference"], json!({ "Enabled": false }));
            continue;
        }
        let mut own = BTreeSet::new();
        parameters(&template, &shared, &mut own);
        parameters(&template, &versioned(properties), &mut own);
        assert!(own.len() > 5, "{own:?}");
        used.append(&mut own);
        let described = properties["VersionDescription"]["Fn::Sub"].as_str().unwrap();
        assert!(described.contains("${ConfigurationVersion}"), "{id}: {described}");
        assert_eq!(properties["AutoPublishAliasAllProperties"], true, "{id}");
    }
    let content = template.properties("ConfigurationVersion")["Content"]["Fn::Sub"].as_str().unwrap();
    let listed: BTreeSet<_> = used.iter().map(|name| format!("{name}: ${{{name}}}")).collect();
    assert_eq!(content.lines().map(str::to_owned).collect::<BTreeSet<_>>(), listed);
    // Lambda limits a description to 256 characters.
    assert!(template.0["Parameters"]["BuildId"]["MaxLength"].as_u64().unwrap() <= 100);
}

/// Lambda publishes no version if code and configuration equal those of the last version, and then the update fails.
///
/// So whatever changes the description of a version also changes the configuration of the function: another build id,
/// for example for the same build after a rollback, and another number of the configuration.
#[test]
fn a_new_description_of_a_version_always_goes_with_a_new_configuration() {
    let template = Template::load();
    let release = &template.0["Globals"]["Function"]["Environment"]["Variables"]["RELEASE"];
    let text = release["Fn::Sub"].as_str().unwrap();
    assert!(text.contains("${BuildId}") && text.contains("${ConfigurationVersion}"), "{text}");
    for id in template.resources("AWS::Serverless::Function") {
        let properties = template.properties(id);
        assert!(properties["Environment"]["Variables"].get("RELEASE").is_none(), "{id}");
        if id != "ConsoleFunction" {
            assert_eq!(properties["VersionDescription"], *release, "{id}");
        }
    }
}

/// All resources of the console exist if and only if the deployment sets `ConsoleClientId`.
#[test]
fn the_console_is_deployed_only_with_a_client_id() {
    let template = Template::load();
    let resources = template.0["Resources"].as_object().unwrap();
    let console = resources.iter().filter(|(name, _)| name.starts_with("Console"));
    let mut conditions: Vec<_> =
        console.map(|(name, it)| (name.as_str(), it["Condition"].as_str())).collect();
    let expected = [
        ("ConsoleAlarm", Some("WatchesConsole")),
        ("ConsoleFunction", Some("HasConsole")),
        ("ConsoleRole", Some("HasConsole")),
    ];
    conditions.sort_unstable();
    assert_eq!(conditions, expected);
    let client = json!([{ "Fn::Equals": [{ "Ref": "ConsoleClientId" }, ""] }]);
    assert_eq!(template.0["Conditions"]["HasConsole"]["Fn::Not"], client);
    assert_eq!(template.0["Parameters"]["ConsoleClientId"]["Default"], "");
    // The function does not start without these URLs.
    let assertions = template.0["Rules"]["ConsoleIsWhole"]["Assertions"].to_string();
    for parameter in ["ConsoleAuthorizeUrl", "ConsoleTokenUrl"] {
        assert!(assertions.contains(parameter), "{assertions}");
    }
}

/// The URLs of the console become sources in the pages' content security policy. Each must be a single URL source.
#[test]
fn a_url_of_the_console_is_a_single_source_in_the_content_security_policy() {
    let template = Template::load();
    for name in ["ConsoleAuthorizeUrl", "ConsoleTokenUrl", "ConsoleSignOutUrl"] {
        let parameter = &template.0["Parameters"][name];
        let pattern = format!("^(?:{})$", parameter["AllowedPattern"].as_str().unwrap());
        let pattern = regex_lite::Regex::new(&pattern).unwrap();
        for accepted in [
            "",
            "https://login.example.com/oauth2/authorize",
            "https://example.auth.eu-central-1.amazoncognito.com/oauth2/token",
            "https://login.example.com:8443/realms/a/protocol/openid-connect/logout?client_id=a&b=%20",
            "http://127.0.0.1:4000/_dev/authorize",
        ] {
            assert!(pattern.is_match(accepted), "{name}: {accepted}");
        }
        for rejected in [
            "login.example.com",
            "https://login.example.com",
            "http://login.example.com/",
            "https://*.example.com/",
            "https://ada@login.example.com/",
            "https://login.example.com;script-src/",
            "https://login.example.com 'unsafe-inline'/",
            "https://login.example.com/a b",
            "https://login.example.com/#a",
            "javascript:alert(1)",
        ] {
            assert!(!pattern.is_match(rejected), "{name}: {rejected}");
        }
    }
}

/// SES events contain addresses. The rules pass no address on, so a dead-letter queue cannot contain one.
#[test]
fn s21_the_rules_pass_only_ids_and_kinds_of_ses_events() {
    let template = Template::load();
    let events = template.properties("FeedbackFunction")["Events"].as_object().unwrap();
    assert_eq!(events.len(), 4);
    for (name, event) in events {
        let rule = &event["Properties"];
        let paths = rule["InputTransformer"]["InputPathsMap"].as_object().unwrap();
        for (key, path) in paths {
            let path = path.as_str().unwrap();
            let is_tag = ["organization", "invitation", "generation", "expires_at"]
                .iter()
                .any(|tag| path == format!("$.detail.mail.tags.{tag}"));
            let is_kind = ["$.detail.bounce.bounceType", "$.detail.bounce.bounceSubType"].contains(&path);
            assert!(is_tag || is_kind, "{name}: {key} is {path}");
        }
        let input = rule["InputTransformer"]["InputTemplate"].as_str().unwrap();
        assert!(!input.contains("aws.events"), "{name} passes the whole event: {input}");
        // A dead-letter queue of the rule would contain the whole event with its addresses.
        assert!(rule.get("DeadLetterConfig").is_none(), "{name}");
    }
}

/// Only pages of the listed origins may call the API, without wildcards. Browsers send no credentials automatically.
#[test]
fn only_listed_origins_may_call_the_api() {
    let template = Template::load();
    let cors = &template.properties("Api")["CorsConfiguration"];
    assert_eq!(cors["Fn::If"][2], json!({ "Ref": "AWS::NoValue" }), "no CORS without a list");
    let cors = &cors["Fn::If"][1];
    assert_eq!(cors["AllowOrigins"], json!({ "Fn::Split": [",", { "Ref": "AllowedOrigins" }] }));
    assert_eq!(cors.get("AllowCredentials"), None);
    for list in ["AllowMethods", "AllowHeaders", "ExposeHeaders"] {
        assert!(!cors[list].to_string().contains('*'), "{list}");
    }
    let parameter = &template.0["Parameters"]["AllowedOrigins"];
    assert_eq!(parameter["Default"], "");
    let pattern = format!("^(?:{})$", parameter["AllowedPattern"].as_str().unwrap());
    let pattern = regex_lite::Regex::new(&pattern).unwrap();
    for accepted in ["", "https://app.example.com", "http://localhost:5173,https://app.example.com"] {
        assert!(pattern.is_match(accepted), "{accepted}");
    }
    for rejected in [
        "*",
        "https://*",
        "http://*",
        "https://*.example.com",
        "https://app.example.com,*",
        "https://app.example.com,https://*",
        "null",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com, https://other.example.com",
        "file://app",
    ] {
        assert!(!pattern.is_match(rejected), "{rejected}");
    }
}

/// Without the permission, `CodeDeploy` cannot shift the alias, and the first production deployment fails. The console
/// has no alias.
#[test]
fn codedeploy_may_release_every_function_with_an_alias() {
    let template = Template::load();
    let role = template.properties("ReleaseRole");
    let statement = &role["Policies"][0]["PolicyDocument"]["Statement"][0];
    let resources = statement["Resource"].as_array().unwrap();
    let granted: BTreeSet<_> = resources.iter().map(Value::to_string).collect();
    let released: BTreeSet<_> = template
        .resources("AWS::Serverless::Function")
        .into_iter()
        .filter(|id| *id != "ConsoleFunction")
        .flat_map(|id| {
            let arn = json!({ "Fn::GetAtt": [id, "Arn"] });
            let versions = json!({ "Fn::Sub": format!("${{{id}.Arn}}:*") });
            [arn.to_string(), versions.to_string()]
        })
        .collect();
    assert_eq!(granted, released);
}

/// The durations of all functions are a query of the log, and throttles concern the whole account.
#[test]
fn the_dashboard_shows_the_errors_of_every_function() {
    let template = Template::load();
    let body = template.properties("Dashboard")["DashboardBody"].to_string();
    for id in template.resources("AWS::Serverless::Function") {
        // The console exists only if it is configured, so the dashboard uses a variable.
        let name = if id == "ConsoleFunction" { "Console" } else { id };
        let errors = format!(r#"[\"AWS/Lambda\", \"Errors\", \"FunctionName\", \"${{{name}}}\""#);
        assert!(body.contains(&errors), "{id} is not on the dashboard");
    }
}

/// An alarm that is already on would roll back every update, also the one that repairs the cause.
#[test]
fn a_parameter_switches_the_alarms_of_a_release_off() {
    let Template(template) = Template::load();
    let alarms = &template["Globals"]["Function"]["DeploymentPreference"]["Alarms"]["Fn::If"];
    assert_eq!(alarms[0], "HasReleaseAlarms");
    assert!(alarms[1].as_array().is_some_and(|alarms| alarms.len() == 4), "{alarms}");
    assert_eq!(alarms[2], json!([{ "Ref": "AWS::NoValue" }]));
    let is_on = json!({ "Fn::Equals": [{ "Ref": "ReleaseAlarms" }, "on"] });
    assert_eq!(template["Conditions"]["HasReleaseAlarms"]["Fn::And"][1], is_on);
    assert_eq!(template["Parameters"]["ReleaseAlarms"]["Default"], "on");
}
