//! Least privilege: each function's role grants what the function calls, and nothing else.
//!
//! Every scenario fails if a function sends a request that its role in the template does not grant
//! ([`World::finish`]). The tests here use every permission, and fail if a granted permission is unused.

use std::collections::BTreeSet;

use harness::permissions::{
    Permissions, granted, granted_by_key, is_used_by_lambda_itself, list, permissions_of, policies_of,
    production, statements,
};
use harness::template::Template;
use harness::{MAIL_COOLDOWN, Options, TWO_DAYS, World};
use serde_json::{Value, json};

use crate::every_route;

/// Makes the functions send every kind of request to AWS, and returns the permissions that the requests require.
async fn use_every_permission() -> Permissions {
    let world = World::with(Options { kms: true, ..Options::default() }).await;
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    every_route::call_all_in_an_organization(&world).await;
    // Members and owners join, change their roles, and leave.
    let bob = world.joined(&acme, &ada, "bob", "owner").await;
    world.joined(&acme, &ada, "eve", "member").await;
    bob.edits_role(&acme, "eve", "owner").await.is(200);
    bob.edits_role(&acme, "eve", "member").await.is(200);
    bob.removes(&acme, "eve").await.is(204);
    bob.leaves(&acme).await.is(204);
    // A create that is repeated with its idempotency key.
    let keyed = ada.with_key("k");
    assert_eq!(keyed.creates("Other").await.is(201), keyed.creates("Other").await.is(201));
    // Invitations are previewed, resent, declined and revoked, and they expire.
    let id = |invitation: &Value| invitation["id"].as_str().unwrap().to_owned();
    let max = world.invited(&acme, &ada, "max@example.com", "member").await;
    world.advance(MAIL_COOLDOWN).await;
    ada.resends(&acme, &id(&max)).await.is(200);
    let token = world.token_for("max@example.com").await;
    world.anonymous().previews(&token).await.is(200);
    world.person("max").declines(&token).await.is(204);
    let zoe = world.invited(&acme, &ada, "zoe@example.com", "member").await;
    ada.invites(&acme, &["zoe@example.com", "amy@example.com"], "member").await.is(200);
    let mail = world.mails_to("zoe@example.com").await.remove(0);
    world.send_ses_event(&mail, json!({ "kind": "bounce" })).await;
    ada.revokes(&acme, &id(&zoe)).await.is(204);
    let kim = world.invited(&acme, &ada, "kim@example.com", "member").await;
    world.advance(TWO_DAYS).await;
    // The seat was returned at expiry. The resend takes one again.
    ada.resends(&acme, &id(&kim)).await.is(200);
    ada.revokes(&acme, &id(&kim)).await.is(204);
    // `reconcile` closes an invitation without a schedule.
    let lost = world.invited(&acme, &ada, "leo@example.com", "member").await;
    world.delete_schedule(&acme, &lost).await;
    world.advance(TWO_DAYS + 15 * 60).await;
    assert_eq!(ada.counts_seats(&acme).await.0, 1);
    // All lists.
    ada.lists_organizations().await.is(200);
    ada.gets_organization(&acme).await.is(200);
    ada.lists_members(&acme, "").await.is(200);
    ada.lists_invitations(&acme, "").await.is(200);
    let required = world.wire().required_permissions();
    world.finish().await;
    required
}

/// Returns which permissions the template grants although they are unused, and which it lacks.
fn differences(template: &Template, required: &Permissions) -> Vec<String> {
    let nothing = BTreeSet::new();
    let granted = granted(template);
    let functions: BTreeSet<_> = granted.keys().chain(required.keys()).collect();
    let differ = |function: &String| {
        let (granted, required) =
            (granted.get(function).unwrap_or(&nothing), required.get(function).unwrap_or(&nothing));
        let unused = granted.difference(required).map(|it| format!("{function} does not use: {it}"));
        let missing = required.difference(granted).map(|it| format!("{function} lacks: {it}"));
        unused.chain(missing).collect::<Vec<_>>()
    };
    functions.into_iter().flat_map(differ).collect()
}

#[tokio::test]
async fn each_role_grants_exactly_the_requests_of_its_function() {
    let template = production();
    let required = use_every_permission().await;
    assert_eq!(differences(&template, &required), [""; 0]);

    // The comparison notices each removed statement and each added action.
    let mut checked = 0;
    let roles = template.functions().into_values().map(|function| function.role);
    for policy in roles.flat_map(|role| policies_of(&template, &role)) {
        let path = format!("/Resources/{policy}/Properties/PolicyDocument/Statement");
        for index in 0..list(template.0.pointer(&path).unwrap()).len() {
            let actions = |template: &Template| {
                list(&template.0.pointer(&path).unwrap()[index]["Action"]).into_iter().cloned().collect()
            };
            let with = |actions: Vec<Value>| {
                let mut changed = template.clone();
                changed.0.pointer_mut(&path).unwrap()[index]["Action"] = json!(actions);
                changed
            };
            let statement = &template.0.pointer(&path).unwrap()[index];
            let is_conditional = !statement["Fn::If"].is_null();
            if is_conditional || permissions_of(statement, None).iter().all(|it| is_used_by_lambda_itself(it))
            {
                continue;
            }
            assert_ne!(differences(&with(Vec::new()), &required), [""; 0], "without {statement}");
            let mut more: Vec<Value> = actions(&template);
            more.push(json!("dynamodb:Scan"));
            assert_ne!(differences(&with(more), &required), [""; 0], "with dynamodb:Scan in {statement}");
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked}");
}

/// Lambda itself uses a function's role for exactly these requests.
#[test]
fn lambda_may_read_the_stream_and_write_dead_letters() {
    let template = Template::load();
    for function in template.functions().into_values() {
        let properties = template.properties(&function.role);
        assert_eq!(properties["ManagedPolicyArns"], json!([{ "Ref": "Telemetry" }]), "{}", function.role);
        let policies = policies_of(&template, &function.role);
        // The console makes no calls.
        assert_eq!(policies.len(), usize::from(function.name != "console"), "{}", function.role);
        let documents = policies.into_iter().map(|policy| &template.properties(policy)["PolicyDocument"]);
        let found: BTreeSet<_> = documents
            .flat_map(|document| statements(document, None))
            .flat_map(|it| permissions_of(it, None))
            .filter(|it| is_used_by_lambda_itself(it))
            .collect();
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
        let trust = &properties["AssumeRolePolicyDocument"]["Statement"];
        let lambda = json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole" }]);
        assert_eq!(*trust, lambda, "{}", function.role);
    }
}

/// Functions have no permissions for X-Ray unless a parameter switches tracing on.
#[test]
fn functions_may_write_logs_and_with_tracing_also_traces() {
    let template = Template::load();
    let tracing = json!({ "Fn::If": ["HasTracing", "Active", "PassThrough"] });
    assert_eq!(template.0["Globals"]["Function"]["Tracing"], tracing);
    for id in template.resources("AWS::Serverless::Function") {
        assert_eq!(template.properties(id).get("Tracing"), None, "{id}");
    }
    let logs = ["logs:CreateLogStream on FunctionLogs", "logs:PutLogEvents on FunctionLogs"];
    let traces = ["xray:PutTelemetryRecords on *", "xray:PutTraceSegments on *"];
    for (parameters, expected) in [
        (&[][..], logs.to_vec()),
        (&[("Tracing", "off")], logs.to_vec()),
        (&[("Tracing", "on")], [logs, traces].concat()),
    ] {
        let template = template.with_parameters(parameters);
        let telemetry = &template.properties("Telemetry")["PolicyDocument"]["Statement"];
        let found: BTreeSet<_> =
            list(telemetry).into_iter().flat_map(|it| permissions_of(it, None)).collect();
        assert_eq!(found, expected.into_iter().map(str::to_owned).collect(), "{parameters:?}");
    }
}

/// In its sandbox, SES authorizes the recipient's identity like the sender's. Only development stacks are used there.
#[test]
fn development_stacks_may_send_to_any_verified_identity() {
    let (production, development) = (
        granted(&production()),
        granted(&Template::load().with_parameters(&[("Environment", "development")])),
    );
    let identity = |name: &str| format!("ses:SendEmail on identity/{name} if ses:FromAddress is MailFrom");
    let mut expected = production;
    let of_mail = expected.get_mut("mail").unwrap();
    assert!(of_mail.remove(&identity("MailIdentity")), "{of_mail:?}");
    of_mail.insert(identity("*"));
    assert_eq!(development, expected);
}

/// Only the functions that create or verify links may use the KMS keys. Administrators of a key may not use it.
#[test]
fn only_functions_that_mint_or_verify_links_may_use_the_keys() {
    let template = Template::load();
    let role = |name: &str| json!({ "Fn::GetAtt": [name, "Arn"] });
    let account = json!({ "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root" });
    for key in ["KeyA", "KeyB"] {
        let statements = list(&template.properties(key)["KeyPolicy"]["Statement"]);
        let [manage, mint, verify] = statements.as_slice() else { panic!("{key}: {statements:?}") };
        assert_eq!(manage["Principal"], json!({ "AWS": account }));
        let is_administrative = |action: &&Value| {
            let action = action.as_str().unwrap();
            !(action.contains("Mac")
                || action.contains("Grant") && action != "kms:ListGrants"
                || action.contains('*'))
        };
        assert!(list(&manage["Action"]).iter().all(is_administrative), "{manage}");
        assert_eq!(mint["Principal"], json!({ "AWS": role("MailRole") }));
        assert_eq!(mint["Action"], "kms:GenerateMac");
        let verifiers = ["AcceptRole", "DeclineRole", "PreviewRole"].map(role);
        assert_eq!(verify["Principal"], json!({ "AWS": verifiers }));
        assert_eq!(verify["Action"], "kms:VerifyMac");
    }
    assert_eq!(template.resources("AWS::KMS::Key"), ["KeyA", "KeyB"]);
}

/// A key that exists before the stack cannot name the stack's roles in its policy. The roles have the permissions that
/// the policy of key A would grant.
#[test]
fn roles_may_use_an_existing_key_like_the_key_that_it_replaces() {
    let template = Template::load();
    let mut users = 0;
    for function in template.functions().into_values() {
        let by_policy = granted_by_key(&template, "KeyA", &function.role);
        let policies = policies_of(&template, &function.role);
        let documents = policies.into_iter().map(|policy| &template.properties(policy)["PolicyDocument"]);
        let added: Vec<_> = documents.flat_map(|it| statements(it, Some("HasLinkKey"))).collect();
        assert!(added.iter().all(|it| it["Resource"] == json!({ "Ref": "LinkKeyArn" })), "{added:?}");
        let by_role: BTreeSet<_> = added.iter().flat_map(|it| permissions_of(it, Some("key"))).collect();
        assert_eq!(by_role, by_policy, "{}", function.name);
        users += usize::from(!by_role.is_empty());
    }
    assert_eq!(users, 4);
    let uses_a = json!({ "Condition": "HasKeyA" });
    let is_empty = json!({ "Fn::Equals": [{ "Ref": "LinkKeyArn" }, ""] });
    let conditions = &template.0["Conditions"];
    assert_eq!(conditions["HasLinkKey"], json!({ "Fn::And": [uses_a, { "Fn::Not": [is_empty] }] }));
    assert_eq!(conditions["MakesKeyA"], json!({ "Fn::And": [uses_a, is_empty] }));
    assert_eq!(template.0["Resources"]["KeyA"]["Condition"], "MakesKeyA");
}

/// The scheduler's role works only for this account's schedule group. It grants only the invocation of `expire` and the
/// queue for failed invocations.
#[test]
fn the_scheduler_may_invoke_expire_and_write_dead_letters() {
    let template = Template::load();
    let role = template.properties("SchedulerRole");
    let trust = &role["AssumeRolePolicyDocument"]["Statement"];
    let condition = json!({ "StringEquals": {
        "aws:SourceAccount": { "Ref": "AWS::AccountId" },
        "aws:SourceArn": { "Fn::GetAtt": ["ScheduleGroup", "Arn"] },
    } });
    assert_eq!(
        *trust,
        json!([{
            "Effect": "Allow",
            "Principal": { "Service": "scheduler.amazonaws.com" },
            "Action": "sts:AssumeRole",
            "Condition": condition,
        }])
    );
    let statements = list(&role["Policies"][0]["PolicyDocument"]["Statement"]);
    let found: BTreeSet<_> = statements.into_iter().flat_map(|it| permissions_of(it, None)).collect();
    let expected =
        ["lambda:InvokeFunction on ExpireFunction.Arn:live", "sqs:SendMessage on ScheduleDeadLetters"];
    assert_eq!(found, expected.map(str::to_owned).into());
    assert_eq!((list(&role["Policies"]).len(), &role["ManagedPolicyArns"]), (1, &Value::Null));
}

/// A function's role has the telemetry policy and the function's own policy. No other role has either of them.
#[test]
fn roles_have_only_their_own_policy_and_telemetry() {
    let template = Template::load();
    assert_eq!(template.resources("AWS::IAM::Policy"), [""; 0]);
    assert_eq!(template.resources("AWS::IAM::RolePolicy"), [""; 0]);
    assert_eq!(template.properties("Telemetry").get("Roles"), None);
    let mut roles: BTreeSet<_> = template.functions().into_values().map(|function| function.role).collect();
    let mut policies = BTreeSet::from(["Telemetry"]);
    for role in &roles {
        assert_eq!(template.properties(role).get("Policies"), None, "{role}");
        for policy in policies_of(&template, role) {
            assert_eq!(template.properties(policy)["Roles"], json!([{ "Ref": role }]), "{policy}");
            policies.insert(policy);
        }
    }
    assert_eq!(BTreeSet::from_iter(template.resources("AWS::IAM::ManagedPolicy")), policies);
    roles.extend(["SchedulerRole", "ReleaseRole"].map(str::to_owned));
    let found: BTreeSet<_> = template.resources("AWS::IAM::Role").into_iter().map(str::to_owned).collect();
    assert_eq!(found, roles);
}

/// If the stack moves to another table, the aliases still call the old table for minutes. `CloudFormation` removes the
/// policy for the old table last, because the table's name is part of a property that only a replacement can change.
#[test]
fn a_policy_for_another_table_is_a_replacement_that_precedes_its_function() {
    let template = Template::load();
    let mut checked = 0;
    for id in template.resources("AWS::Serverless::Function") {
        let role = template.properties(id)["Role"]["Fn::GetAtt"][0].as_str().unwrap();
        for policy in policies_of(&template, role) {
            let description = template.properties(policy)["Description"]["Fn::Sub"].to_string();
            assert!(description.contains("TableName"), "{policy}: {description}");
            assert_eq!(template.0["Resources"][id]["DependsOn"], policy, "{id}");
            assert_eq!(template.0["Resources"][policy].get("UpdateReplacePolicy"), None, "{policy}");
            checked += 1;
        }
    }
    assert_eq!(checked, 16);
}
