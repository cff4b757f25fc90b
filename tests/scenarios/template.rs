//! What the template makes is what the functions and the laptop take for granted.

use std::collections::BTreeSet;

use harness::World;
use harness::template::Template;
use serde_json::{Value, json};
use store::schema::{TTL, create};

/// The laptop's request for its table, in the words of the template.
fn asked_for(world: &World) -> Value {
    let config = local::laptop::sdk_config(world.laptop().url(), None);
    let request = create(&aws_sdk_dynamodb::Client::new(&config), "roster").unwrap();
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
                let projected = it.projection().unwrap();
                let mut projection = json!({ "ProjectionType": projected.projection_type().unwrap().as_str() });
                if let Some(attributes) = &projected.non_key_attributes {
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
async fn the_table_is_the_laptops() {
    let world = World::start().await;
    let asked = asked_for(&world);
    let template = Template::load();
    let table = template.properties("Table");
    for (property, value) in asked.as_object().unwrap() {
        assert_eq!(table[property], *value, "{property}");
    }
    world.finish().await;
}

/// Data and what protects it outlive a deployment that goes wrong, and the stack itself.
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

/// A record that is given up is kept; none is tried for longer than the stream keeps it (24 h).
#[test]
fn the_stream_is_read_from_its_beginning_and_not_for_ever() {
    let template = Template::load();
    for function in ["MailFunction", "ScheduleFunction"] {
        let stream = &template.properties(function)["Events"]["Stream"]["Properties"];
        assert_eq!(stream["StartingPosition"], "TRIM_HORIZON", "{function}");
        assert_eq!(stream["FunctionResponseTypes"], json!(["ReportBatchItemFailures"]), "{function}");
        assert_eq!(stream["BisectBatchOnFunctionError"], true, "{function}");
        assert!((1..100).contains(&stream["MaximumRetryAttempts"].as_i64().unwrap()), "{function}");
        assert!(stream["MaximumRecordAgeInSeconds"].as_i64().unwrap() < 24 * 60 * 60, "{function}");
        let kept = &stream["DestinationConfig"]["OnFailure"]["Destination"];
        assert_eq!(*kept, json!({ "Fn::GetAtt": ["StreamDeadLetters", "Arn"] }), "{function}");
    }
}

/// The API's access log says nothing that a link, a token or an address could stand in.
#[test]
fn s21_the_access_log_holds_neither_paths_nor_queries_nor_headers_nor_claims() {
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

/// Every parameter that `node` depends on, by name or by condition.
fn parameters(template: &Template, node: &Value, found: &mut BTreeSet<String>) {
    let mut name = |name: &str| {
        if template.0["Parameters"].get(name).is_some() {
            found.insert(name.to_owned());
        }
    };
    match node {
        Value::Object(members) => {
            if let Some(reference) = node["Ref"].as_str() {
                name(reference);
            }
            let sub = node["Fn::Sub"].as_str().or(node["Fn::Sub"][0].as_str()).unwrap_or_default();
            sub.split("${").skip(1).filter_map(|rest| rest.split('}').next()).for_each(&mut name);
            let conditions = [node["Fn::If"][0].as_str(), node["Condition"].as_str()];
            for condition in conditions.into_iter().flatten() {
                parameters(template, &template.0["Conditions"][condition], found);
            }
            members.values().for_each(|member| parameters(template, member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| parameters(template, item, found)),
        _ => {}
    }
}

/// The alias `live` only moves to a new version, and the transform makes one only if it sees a difference; so what a
/// function's environment depends on stands in the version's description, and nothing else.
#[test]
fn a_changed_parameter_makes_a_version() {
    let template = Template::load();
    let everybodys = &template.0["Globals"]["Function"]["Environment"];
    for id in template.resources("AWS::Serverless::Function") {
        let properties = template.properties(id);
        if id == "ConsoleFunction" {
            // It has no versions: what is changed is served at once.
            assert_eq!(properties["AutoPublishAlias"], "");
            assert_eq!(properties["DeploymentPreference"], json!({ "Enabled": false }));
            continue;
        }
        let (mut environment, mut described) = (BTreeSet::new(), BTreeSet::new());
        parameters(&template, everybodys, &mut environment);
        parameters(&template, &properties["Environment"], &mut environment);
        parameters(&template, &properties["VersionDescription"], &mut described);
        assert!(environment.len() > 5, "{environment:?}");
        assert_eq!(described, environment, "{id}");
        // Lambda takes 256 characters; the parameters have lengths for it.
        let longest = |name: &String| {
            let parameter = &template.0["Parameters"][name];
            match (parameter["MaxLength"].as_u64(), parameter["AllowedPattern"].as_str()) {
                (Some(length), _) => length,
                (None, Some(pattern)) => {
                    let bound = pattern.rsplit(['{', ',']).next().and_then(|it| it.strip_suffix('}'));
                    bound.and_then(|it| it.parse().ok()).unwrap_or_else(|| panic!("{name} has no bound"))
                }
                // Numbers, and words of a list.
                (None, None) => {
                    let listed = parameter["AllowedValues"].as_array().map_or(&[][..], Vec::as_slice);
                    let values =
                        listed.iter().cloned().chain(parameter["MaxValue"].as_u64().map(Value::from));
                    let written = values.map(|it| it.as_str().map_or_else(|| it.to_string(), str::to_owned));
                    let longest = written.map(|it| it.len()).max();
                    longest.unwrap_or_else(|| panic!("{name} has no bound")).try_into().unwrap()
                }
            }
        };
        // With a space between them.
        let length = described.iter().map(|name| longest(name) + 1).sum::<u64>() - 1;
        assert!(length <= 256, "{id}: {length}");
        assert_eq!(template.0["Resources"][id]["UpdateReplacePolicy"], "Retain", "{id}: to go back to");
        assert_eq!(properties["AutoPublishAliasAllProperties"], true, "{id}");
    }
}

/// There is a console where a client is named for it, and then all of it.
#[test]
fn the_console_is_there_where_it_is_asked_for() {
    let template = Template::load();
    let resources = template.0["Resources"].as_object().unwrap();
    let its = resources.iter().filter(|(name, _)| name.starts_with("Console"));
    let conditions: Vec<_> = its.map(|(name, it)| (name.as_str(), it["Condition"].as_str())).collect();
    let expected = [
        ("ConsoleAlarm", Some("WatchesConsole")),
        ("ConsoleFunction", Some("HasConsole")),
        ("ConsoleRole", Some("HasConsole")),
    ];
    let mut found = conditions;
    found.sort_unstable();
    assert_eq!(found, expected);
    let client = json!([{ "Fn::Equals": [{ "Ref": "ConsoleClientId" }, ""] }]);
    assert_eq!(template.0["Conditions"]["HasConsole"]["Fn::Not"], client);
    assert_eq!(template.0["Parameters"]["ConsoleClientId"]["Default"], "");
    // Without them the function would not start.
    let asserted = template.0["Rules"]["ConsoleIsWhole"]["Assertions"].to_string();
    for needed in ["ConsoleAuthorizeUrl", "ConsoleTokenUrl"] {
        assert!(asserted.contains(needed), "{asserted}");
    }
}

/// Its URLs stand in the pages' policy: one is one source there, and of no other kind.
#[test]
fn a_url_of_the_console_is_one_source_of_a_policy() {
    let template = Template::load();
    for name in ["ConsoleAuthorizeUrl", "ConsoleTokenUrl", "ConsoleSignOutUrl"] {
        let parameter = &template.0["Parameters"][name];
        let pattern = format!("^(?:{})$", parameter["AllowedPattern"].as_str().unwrap());
        let pattern = regex_lite::Regex::new(&pattern).unwrap();
        for fine in [
            "",
            "https://login.example.com/oauth2/authorize",
            "https://example.auth.eu-central-1.amazoncognito.com/oauth2/token",
            "https://login.example.com:8443/realms/a/protocol/openid-connect/logout?client_id=a&b=%20",
            "http://127.0.0.1:4000/_dev/authorize",
        ] {
            assert!(pattern.is_match(fine), "{name}: {fine}");
        }
        for wrong in [
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
            assert!(!pattern.is_match(wrong), "{name}: {wrong}");
        }
    }
}

/// SES's events hold addresses; what the rules hand over, and so what a dead-letter queue may keep, holds none.
#[test]
fn s21_of_a_mails_event_nothing_but_ids_and_kinds_is_handed_over() {
    let template = Template::load();
    let events = template.properties("FeedbackFunction")["Events"].as_object().unwrap();
    assert_eq!(events.len(), 4);
    for (name, event) in events {
        let rule = &event["Properties"];
        let paths = rule["InputTransformer"]["InputPathsMap"].as_object().unwrap();
        for (word, path) in paths {
            let path = path.as_str().unwrap();
            let is_tag = ["organization", "invitation", "generation", "expires_at"]
                .iter()
                .any(|tag| path == format!("$.detail.mail.tags.{tag}"));
            let is_kind = ["$.detail.bounce.bounceType", "$.detail.bounce.bounceSubType"].contains(&path);
            assert!(is_tag || is_kind, "{name}: {word} is {path}");
        }
        let handed = rule["InputTransformer"]["InputTemplate"].as_str().unwrap();
        assert!(!handed.contains("aws.events"), "{name} hands over the event: {handed}");
        // EventBridge would keep the whole event, addresses and all.
        assert!(rule.get("DeadLetterConfig").is_none(), "{name}");
    }
}

/// Which other origins' pages may call is a list without wildcards, and no browser sends credentials by itself.
#[test]
fn pages_of_other_origins_are_on_a_list() {
    let template = Template::load();
    let cors = &template.properties("Api")["CorsConfiguration"];
    assert_eq!(cors["Fn::If"][2], json!({ "Ref": "AWS::NoValue" }), "without a list, none");
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
    for fine in ["", "https://app.example.com", "http://localhost:5173,https://app.example.com"] {
        assert!(pattern.is_match(fine), "{fine}");
    }
    for wrong in [
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
        assert!(!pattern.is_match(wrong), "{wrong}");
    }
}
