//! Least privilege: each function's role grants what the function calls, and nothing else.
//!
//! Every scenario fails if a function sends what its role in the template would not let through
//! ([`World::finish`]). This one uses everything that is granted, and fails if something is granted for nothing.

use std::collections::BTreeSet;

use harness::permissions::{Permissions, granted, is_lambdas, list, sentences};
use harness::template::Template;
use harness::{MAIL_COOLDOWN, Options, TWO_DAYS, World};
use serde_json::{Value, json};

use crate::every_route;

/// Does everything that a function has ever to send something for, and tells what was sent.
async fn everything() -> Permissions {
    let world = World::with(Options { kms: true, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    every_route::call_all_in_an_organization(&world).await;
    // Owners and members come, change, and go.
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    world.joined(&acme, &ada, "eve", "member").await;
    bob.edits(&acme, "eve", "owner").await.is(200);
    bob.edits(&acme, "eve", "member").await.is(200);
    bob.removes(&acme, "eve").await.is(204);
    bob.leaves(&acme).await.is(204);
    // A create that was answered already.
    let again = ada.with_key("k");
    assert_eq!(again.creates("Other").await.is(201), again.creates("Other").await.is(201));
    // Invitations are looked at, resent, declined, revoked, and expire.
    let id = |invitation: &Value| invitation["id"].as_str().unwrap().to_owned();
    let max = world.invited(&acme, &ada, "max@example.com", "member").await;
    world.passes(MAIL_COOLDOWN).await;
    ada.resends(&acme, &id(&max)).await.is(200);
    let token = world.token_for("max@example.com").await;
    world.nobody().previews(&token).await.is(200);
    world.person("max").declines(&token).await.is(204);
    let zoe = world.invited(&acme, &ada, "zoe@example.com", "member").await;
    ada.invites(&acme, &["zoe@example.com", "amy@example.com"], "member").await.is(200);
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
    world.finish().await;
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
        // What calls nothing has no policy of its own.
        let statements = template.0.pointer(&path).map_or(0, |statements| list(statements).len());
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
        let calls = usize::from(function.name != "console");
        assert_eq!(list(&properties["Policies"]).len(), calls, "{}", function.role);
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
    let role = |name: &str| json!({ "Fn::GetAtt": [name, "Arn"] });
    let account = json!({ "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root" });
    for key in ["KeyA", "KeyB"] {
        let statements = list(&template.properties(key)["KeyPolicy"]["Statement"]);
        let [manages, mints, opens] = statements.as_slice() else { panic!("{key}: {statements:?}") };
        assert_eq!(manages["Principal"], json!({ "AWS": account }));
        let administers = |action: &&Value| {
            let action = action.as_str().unwrap();
            !(action.contains("Mac")
                || action.contains("Grant") && action != "kms:ListGrants"
                || action.contains('*'))
        };
        assert!(list(&manages["Action"]).iter().all(administers), "{manages}");
        assert_eq!(mints["Principal"], json!({ "AWS": role("MailRole") }));
        assert_eq!(mints["Action"], "kms:GenerateMac");
        let openers = ["AcceptRole", "DeclineRole", "PreviewRole"].map(role);
        assert_eq!(opens["Principal"], json!({ "AWS": openers }));
        assert_eq!(opens["Action"], "kms:VerifyMac");
    }
    assert_eq!(template.resources("AWS::KMS::Key"), ["KeyA", "KeyB"]);
}

/// EventBridge Scheduler acts for this group of this account only, and hands over to `expire` only.
#[test]
fn the_scheduler_may_hand_over_to_expire_and_keep_what_it_could_not() {
    let template = Template::load();
    let role = template.properties("SchedulerRole");
    let trusts = &role["AssumeRolePolicyDocument"]["Statement"];
    let condition = json!({ "StringEquals": {
        "aws:SourceAccount": { "Ref": "AWS::AccountId" },
        "aws:SourceArn": { "Fn::GetAtt": ["ScheduleGroup", "Arn"] },
    } });
    assert_eq!(
        *trusts,
        json!([{
            "Effect": "Allow",
            "Principal": { "Service": "scheduler.amazonaws.com" },
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }])
    );
    let statements = list(&role["Policies"][0]["PolicyDocument"]["Statement"]);
    let found: BTreeSet<_> = statements.into_iter().flat_map(|it| sentences(it, None)).collect();
    let expected =
        ["lambda:InvokeFunction on ExpireFunction.Arn:live", "sqs:SendMessage on ScheduleDeadLetters"];
    assert_eq!(found, expected.map(str::to_owned).into());
    assert_eq!((list(&role["Policies"]).len(), &role["ManagedPolicyArns"]), (1, &Value::Null));
}

/// Nothing is granted from outside of a role.
#[test]
fn no_policy_is_attached_from_elsewhere() {
    let template = Template::load();
    assert_eq!(template.resources("AWS::IAM::Policy"), [""; 0]);
    assert_eq!(template.resources("AWS::IAM::RolePolicy"), [""; 0]);
    assert_eq!(template.resources("AWS::IAM::ManagedPolicy"), ["Telemetry"]);
    assert_eq!(template.properties("Telemetry").get("Roles"), None);
    let mut roles: BTreeSet<_> = template.functions().into_values().map(|function| function.role).collect();
    roles.extend(["SchedulerRole", "ReleaseRole"].map(str::to_owned));
    let found: BTreeSet<_> = template.resources("AWS::IAM::Role").into_iter().map(str::to_owned).collect();
    assert_eq!(found, roles);
}
