//! Least privilege: each function's role grants what the function calls, and nothing else.
//!
//! Every scenario fails if a function sends what its role in the template would not let through
//! ([`World::ends_well`]). This one uses everything that is granted, and fails if something is granted for nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use world::permissions::{Permissions, granted, list, sentences};
use world::template::Template;
use world::{A_WHILE, Options, TWO_DAYS, World};

/// Does everything that a function has ever to send something for, and tells what was sent.
async fn everything() -> Permissions {
    let world = World::with(Options { kms: true, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    // Owners and members come, change, and go.
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    world.joined(&acme, &ada, "eve", "member").await;
    bob.edits(&acme, "eve", "owner").await.is(200);
    bob.edits(&acme, "eve", "member").await.is(200);
    bob.removes(&acme, "eve").await.is(204);
    bob.leaves(&acme).await.is(204);
    // Invitations are looked at, resent, declined, revoked, and expire.
    let id = |invitation: &Value| invitation["id"].as_str().unwrap().to_owned();
    let max = world.invited(&acme, &ada, "max@example.com", "member").await;
    world.passes(A_WHILE).await;
    ada.resends(&acme, &id(&max)).await.is(200);
    let token = world.token_for("max@example.com").await;
    world.nobody().previews(&token).await.is(200);
    world.person("max").declines(&token).await.is(204);
    let zoe = world.invited(&acme, &ada, "zoe@example.com", "member").await;
    let mail = world.mails_to("zoe@example.com").await.remove(0);
    world.hears(&mail, json!({ "kind": "bounce" })).await;
    ada.revokes(&acme, &id(&zoe)).await.is(204);
    let kim = world.invited(&acme, &ada, "kim@example.com", "member").await;
    world.passes(TWO_DAYS).await;
    // Its seat was given back, and is taken again.
    ada.resends(&acme, &id(&kim)).await.is(200);
    ada.revokes(&acme, &id(&kim)).await.is(204);
    // An invitation whose schedule is lost is closed all the same.
    let lost = world.invited(&acme, &ada, "leo@example.com", "member").await;
    world.loses_schedule(&acme, &lost).await;
    world.passes(TWO_DAYS + 15 * 60).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    // Lists of every kind.
    ada.lists_organizations().await.is(200);
    ada.looks_at(&acme).await.is(200);
    ada.lists_members(&acme, "").await.is(200);
    ada.lists_invitations(&acme, "").await.is(200);
    let needed = world.wire().needed();
    world.ends_well().await;
    needed
}

/// What the template grants in vain, and what it does not grant.
fn differences(template: &Template, needed: &Permissions) -> Vec<String> {
    let nothing = BTreeSet::new();
    let granted = granted(template);
    let functions: BTreeSet<_> = granted.keys().chain(needed.keys()).collect();
    let differ = |function: &String| {
        let (granted, needed) =
            (granted.get(function).unwrap_or(&nothing), needed.get(function).unwrap_or(&nothing));
        let vain = granted.difference(needed).map(|it| format!("{function} may in vain: {it}"));
        let lacking = needed.difference(granted).map(|it| format!("{function} may not: {it}"));
        vain.chain(lacking).collect::<Vec<_>>()
    };
    functions.into_iter().flat_map(differ).collect()
}

#[tokio::test]
async fn each_function_may_do_what_it_does_and_nothing_else() {
    let template = Template::load();
    let needed = everything().await;
    assert_eq!(differences(&template, &needed), [""; 0]);

    // One statement less, and one action more, is seen at every place.
    let mut tried = 0;
    for role in template.functions().into_values().map(|function| function.role) {
        let path = format!("/Resources/{role}/Properties/Policies/0/PolicyDocument/Statement");
        let statements = list(template.0.pointer(&path).unwrap()).len();
        for place in 0..statements {
            let actions = |template: &Template| {
                list(&template.0.pointer(&path).unwrap()[place]["Action"]).into_iter().cloned().collect()
            };
            let with = |actions: Vec<Value>| {
                let mut changed = template.clone();
                changed.0.pointer_mut(&path).unwrap()[place]["Action"] = json!(actions);
                changed
            };
            let statement = &template.0.pointer(&path).unwrap()[place];
            if sentences(statement, None).iter().all(|it| is_lambdas(it)) {
                continue;
            }
            assert_ne!(differences(&with(Vec::new()), &needed), [""; 0], "without {statement}");
            let mut more: Vec<Value> = actions(&template);
            more.push(json!("dynamodb:Scan"));
            assert_ne!(differences(&with(more), &needed), [""; 0], "with dynamodb:Scan in {statement}");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

/// What Lambda itself does as a function's role is exactly this.
#[test]
fn lambda_may_read_the_stream_and_keep_what_failed() {
    let template = Template::load();
    for function in template.functions().into_values() {
        let properties = template.properties(&function.role);
        assert_eq!(properties["ManagedPolicyArns"], json!([{ "Ref": "Telemetry" }]), "{}", function.role);
        assert_eq!(list(&properties["Policies"]).len(), 1, "{}", function.role);
        let statements = list(&properties["Policies"][0]["PolicyDocument"]["Statement"]);
        let found: BTreeSet<_> =
            statements.into_iter().flat_map(|it| sentences(it, None)).filter(|it| is_lambdas(it)).collect();
        let mut expected = BTreeSet::new();
        if function.reads_stream {
            for action in ["DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"] {
                expected.insert(format!("dynamodb:{action} on table/stream/*"));
            }
            expected.insert("sqs:SendMessage on StreamDeadLetters".to_owned());
        }
        if function.is_asynchronous {
            expected.insert("sqs:SendMessage on InvokeDeadLetters".to_owned());
        }
        assert_eq!(found, expected, "{}", function.name);
        let trusts = &properties["AssumeRolePolicyDocument"]["Statement"];
        let lambda = json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole" }]);
        assert_eq!(*trusts, lambda, "{}", function.role);
    }
    let telemetry = &template.properties("Telemetry")["PolicyDocument"]["Statement"];
    let found: BTreeSet<_> = list(telemetry).into_iter().flat_map(|it| sentences(it, None)).collect();
    let expected = [
        "logs:CreateLogStream on FunctionLogs",
        "logs:PutLogEvents on FunctionLogs",
        "xray:PutTelemetryRecords on *",
        "xray:PutTraceSegments on *",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

/// The keys: who may use them, and that who administers them may not.
#[test]
fn a_key_is_used_by_those_who_mint_and_open_links_and_by_nobody_else() {
    let template = Template::load();
    for key in template.resources("AWS::KMS::Key") {
        for statement in list(&template.properties(key)["KeyPolicy"]["Statement"]) {
            let principals: Vec<_> = list(&statement["Principal"]["AWS"]);
            let actions: Vec<_> =
                list(&statement["Action"]).into_iter().map(|it| it.as_str().unwrap()).collect();
            let uses = actions.iter().any(|action| action.contains("Mac") || action.contains('*'));
            let grants = actions.contains(&"kms:CreateGrant");
            let is_account = principals.iter().any(|it| it.get("Fn::Sub").is_some());
            assert!(!(is_account && (uses || grants)), "{key}: {statement}");
            assert!(is_account || actions.len() == 1, "{key}: {statement}");
        }
    }
    assert_eq!(template.resources("AWS::KMS::Key").len(), 2);
    assert_eq!(
        template.properties("KeyA")["KeyPolicy"],
        template.properties("KeyB")["KeyPolicy"],
        "either key is as good as the other"
    );
}

fn is_lambdas(sentence: &str) -> bool {
    sentence.starts_with("sqs:") || sentence.contains(" on table/stream/")
}
