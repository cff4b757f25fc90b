//! Tests the services through the real SDK clients, so that they check the results that the functions get.

use aws_sdk_dynamodbstreams::types::ShardIteratorType;
use aws_sdk_kms::{
    config::{BehaviorVersion, Credentials, Region},
    error::ProvideErrorMetadata as _,
    primitives::Blob,
    types::MacAlgorithmSpec,
};
use aws_sdk_scheduler::types::{ActionAfterCompletion, FlexibleTimeWindow, FlexibleTimeWindowMode, Target};
use aws_sdk_sesv2::types::{
    Body as Parts, Content, Destination, EmailContent, Message, MessageHeader, MessageTag,
};
use dynoxide::Database;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::*;
use crate::{clock::LocalClock, mailbox::Mailbox, state::State};

struct World {
    url: String,
    mailbox: Mailbox,
    schedules: Arc<scheduler::Schedules>,
    clock: LocalClock,
}

async fn world() -> World {
    let db = Database::memory().unwrap();
    let state = State::open(db.clone()).unwrap();
    let clock = LocalClock::new();
    let mailbox = Mailbox::open(state.clone(), clock.clone()).unwrap();
    let schedules = Arc::new(scheduler::Schedules::open(state, clock.clone()).unwrap());
    let aws = Aws {
        dynamodb: dynamodb::Engine::new(db),
        kms: kms::Kms::new([("links".to_owned(), vec![7; 32])]),
        ses: ses::Ses::new(mailbox.clone()),
        scheduler: schedules.clone(),
    };
    let url = crate::testing::serve(router(aws)).await;
    World { url: format!("{url}{PREFIX}"), mailbox, schedules, clock }
}

/// Creates a client of the SDK crate `$sdk`, configured like the clients of the functions.
macro_rules! client {
    ($sdk:ident, $world:expr) => {
        $sdk::Client::from_conf(
            $sdk::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .http_client(aws_smithy_http_client::Builder::new().build_http())
                .endpoint_url(&$world.url)
                .build(),
        )
    };
}

#[tokio::test]
async fn kms_verifies_only_macs_that_it_generated() {
    let world = world().await;
    let kms = client!(aws_sdk_kms, world);
    let algorithm = MacAlgorithmSpec::HmacSha256;
    let generated = kms
        .generate_mac()
        .key_id("links")
        .mac_algorithm(algorithm.clone())
        .message(Blob::new("message"))
        .send()
        .await
        .unwrap();
    let mac = generated.mac.unwrap();
    assert_eq!(mac.as_ref().len(), 32);
    let verify = |key: &str, message: &str, mac: &[u8]| {
        kms.verify_mac()
            .key_id(key)
            .mac_algorithm(algorithm.clone())
            .message(Blob::new(message))
            .mac(Blob::new(mac))
            .send()
    };
    let verified = verify("links", "message", mac.as_ref()).await.unwrap();
    assert!(verified.mac_valid);
    let arn = verified.key_id.unwrap();
    assert!(verify(&arn, "message", mac.as_ref()).await.is_ok(), "{arn}");

    let error = verify("links", "other", mac.as_ref()).await.unwrap_err().into_service_error();
    assert!(error.is_kms_invalid_mac_exception(), "{error:?}");
    let error = verify("links", "message", &mac.as_ref()[..31]).await.unwrap_err().into_service_error();
    assert!(error.is_kms_invalid_mac_exception(), "{error:?}");
    let error = verify("missing", "message", mac.as_ref()).await.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception(), "{error:?}");

    let wrong_algorithm = kms.generate_mac().key_id("links").mac_algorithm(MacAlgorithmSpec::HmacSha512);
    let error = wrong_algorithm.message(Blob::new("message")).send().await.unwrap_err().into_service_error();
    assert!(error.is_invalid_key_usage_exception(), "{error:?}");
    for (size, is_valid) in [(4096, true), (4097, false)] {
        let large = kms.generate_mac().key_id("links").mac_algorithm(MacAlgorithmSpec::HmacSha256);
        let response = large.message(Blob::new(vec![0; size])).send().await;
        assert_eq!(response.is_ok(), is_valid, "{size}");
    }
}

#[tokio::test]
async fn kms_generates_standard_hmac_sha256_macs() {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let world = world().await;
    let generated = client!(aws_sdk_kms, world)
        .generate_mac()
        .key_id("links")
        .mac_algorithm(MacAlgorithmSpec::HmacSha256)
        .message(Blob::new("message"))
        .send()
        .await
        .unwrap();
    let mut expected = Hmac::<sha2::Sha256>::new_from_slice(&[7; 32]).unwrap();
    expected.update(b"message");
    assert_eq!(generated.mac.unwrap().as_ref(), expected.finalize().into_bytes().as_slice());
}

fn content(text: &str) -> Content {
    Content::builder().data(text).charset("UTF-8").build().unwrap()
}

fn message(text: &str) -> EmailContent {
    let header = |name: &str, value: &str| MessageHeader::builder().name(name).value(value).build().unwrap();
    let body = Parts::builder().text(content(text)).html(content(text)).build();
    let message = Message::builder()
        .subject(content("Subject"))
        .body(body)
        .headers(header("Auto-Submitted", "auto-generated"))
        .headers(header("In-Reply-To", "<inv_1.1@roster.example>"))
        .headers(header("References", "<inv_1.1@roster.example>"))
        .build();
    EmailContent::builder().simple(message).build()
}

fn tag(name: &str, value: &str) -> MessageTag {
    MessageTag::builder().name(name).value(value).build().unwrap()
}

#[tokio::test]
async fn ses_delivers_a_mail_to_the_mailbox() {
    let world = world().await;
    let sent = client!(aws_sdk_sesv2, world)
        .send_email()
        .from_email_address("Roster <no-reply@roster.example>")
        .destination(Destination::builder().to_addresses("a@x.example").build())
        .content(message("Go to http://127.0.0.1:4000/accept#token"))
        .email_tags(tag("invitation", "inv_1"))
        .configuration_set_name("roster")
        .send()
        .await
        .unwrap();
    let id = sent.message_id.unwrap();
    let mail = world.mailbox.find(&id).unwrap();
    assert_eq!(mail.message.to, ["a@x.example"]);
    assert_eq!(mail.message.tags["invitation"], "inv_1");
    assert_eq!(mail.message.configuration_set.as_deref(), Some("roster"));
    assert_eq!(mail.message.headers["Auto-Submitted"], "auto-generated");
    assert_eq!(mail.message.headers["In-Reply-To"], "<inv_1.1@roster.example>");
    assert_eq!(mail.message.headers["References"], "<inv_1.1@roster.example>");
    assert_eq!(world.mailbox.items(None)[0].token.as_deref(), Some("token"));
}

#[tokio::test]
async fn ses_rejects_invalid_mails() {
    let world = world().await;
    let ses = client!(aws_sdk_sesv2, world);
    let to = |count: usize| {
        let addresses = (0..count).map(|n| format!("{n}@x.example")).collect();
        Destination::builder().set_to_addresses(Some(addresses)).build()
    };
    let valid = || {
        ses.send_email()
            .from_email_address("no-reply@roster.example")
            .destination(to(1))
            .content(message("Text"))
    };
    for (why, request) in [
        ("no recipient", valid().destination(Destination::builder().build())),
        ("51 recipients", valid().destination(to(51))),
        ("not an address", valid().destination(Destination::builder().to_addresses("bob").build())),
        ("no body", valid().content(message(""))),
        ("no sender", valid().set_from_email_address(None)),
        ("a bad tag", valid().email_tags(tag("a", "b c"))),
        ("no simple content", valid().content(EmailContent::builder().build())),
    ] {
        let error = request.send().await.expect_err(why).into_service_error();
        assert!(error.is_bad_request_exception(), "{why}: {error:?}");
        assert!(error.message().is_some(), "{why}");
    }
    assert!(world.mailbox.items(None).is_empty());
    assert!(valid().destination(to(50)).send().await.is_ok());
}

fn window() -> FlexibleTimeWindow {
    FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().unwrap()
}

fn target() -> Target {
    Target::builder()
        .arn("arn:aws:lambda:us-east-1:000000000000:function:expire")
        .role_arn("arn:aws:iam::000000000000:role/scheduler")
        .input(r#"{"n":1}"#)
        .build()
        .unwrap()
}

fn at(unix: i64) -> String {
    let text = OffsetDateTime::from_unix_timestamp(unix).unwrap().format(&Rfc3339).unwrap();
    format!("at({})", text.trim_end_matches('Z'))
}

#[tokio::test]
async fn creates_updates_reads_and_deletes_a_schedule() {
    let world = world().await;
    let scheduler = client!(aws_sdk_scheduler, world);
    let due_at = world.clock.now_unix() + 100;
    let create = || {
        scheduler
            .create_schedule()
            .name("inv-1")
            .group_name("roster")
            .flexible_time_window(window())
            .target(target())
            .action_after_completion(ActionAfterCompletion::Delete)
    };
    let created = create().schedule_expression(at(due_at)).send().await.unwrap();
    assert!(created.schedule_arn().ends_with("schedule/roster/inv-1"), "{}", created.schedule_arn());
    let error = create().schedule_expression(at(due_at)).send().await.unwrap_err().into_service_error();
    assert!(error.is_conflict_exception(), "{error:?}");
    assert_eq!(error.message(), Some("Schedule inv-1 already exists."));

    // A retry with the same client token is not a conflict.
    let retry = || create().name("inv-2").client_token("t").schedule_expression(at(due_at)).send();
    assert!(retry().await.is_ok() && retry().await.is_ok());

    scheduler
        .update_schedule()
        .name("inv-1")
        .group_name("roster")
        .flexible_time_window(window())
        .target(target())
        .schedule_expression(at(due_at + 50))
        .send()
        .await
        .unwrap();
    let read = scheduler.get_schedule().name("inv-1").group_name("roster").send().await.unwrap();
    assert_eq!(read.schedule_expression(), Some(at(due_at + 50).as_str()));
    assert_eq!(
        read.action_after_completion(),
        Some(&ActionAfterCompletion::None),
        "an update replaces the whole definition"
    );
    assert_eq!(read.target(), Some(&target()));
    assert!(read.creation_date().is_some());

    let due = world.schedules.first_due(due_at + 50).unwrap();
    assert_eq!((due.name.as_str(), due.at), ("inv-2", due_at));
    for name in ["inv-1", "inv-2"] {
        scheduler.delete_schedule().name(name).group_name("roster").send().await.unwrap();
    }
    assert_eq!(world.schedules.next_due(), None);
}

#[tokio::test]
async fn lists_schedules_in_pages_and_by_group_prefix_and_state() {
    let world = world().await;
    let scheduler = client!(aws_sdk_scheduler, world);
    let later = at(world.clock.now_unix() + 100);
    for (group, name) in [("other", "inv-9"), ("roster", "inv-1"), ("roster", "inv-2"), ("roster", "x")] {
        let create = scheduler.create_schedule().group_name(group).name(name).schedule_expression(&later);
        create.flexible_time_window(window()).target(target()).send().await.unwrap();
    }
    let names =
        async |list: aws_sdk_scheduler::operation::list_schedules::builders::ListSchedulesFluentBuilder| {
            let mut pages = list.into_paginator().send();
            let mut names = Vec::new();
            while let Some(page) = pages.next().await {
                names.push(
                    page.unwrap()
                        .schedules
                        .into_iter()
                        .map(|it| it.name.unwrap())
                        .collect::<Vec<_>>()
                        .join(" "),
                );
            }
            names.join(" | ")
        };
    let list = || scheduler.list_schedules();
    assert_eq!(names(list()).await, "inv-9 inv-1 inv-2 x");
    assert_eq!(names(list().max_results(1)).await, "inv-9 | inv-1 | inv-2 | x");
    assert_eq!(names(list().max_results(2)).await, "inv-9 inv-1 | inv-2 x");
    assert_eq!(names(list().group_name("roster").name_prefix("inv-").max_results(1)).await, "inv-1 | inv-2");
    assert_eq!(names(list().group_name("missing")).await, "");
    assert_eq!(names(list().state(aws_sdk_scheduler::types::ScheduleState::Disabled)).await, "");
    let page = list().max_results(1).send().await.unwrap();
    let first = &page.schedules()[0];
    assert!(first.arn().unwrap().ends_with("schedule/other/inv-9"), "{first:?}");
    assert_eq!(first.target().unwrap().arn(), target().arn());
    assert!(list().max_results(101).send().await.is_err());
}

#[tokio::test]
async fn describes_the_link_key_and_the_sender() {
    let world = world().await;
    let kms = client!(aws_sdk_kms, world);
    let key = kms.describe_key().key_id("links").send().await.unwrap().key_metadata.unwrap();
    assert_eq!(key.key_spec.unwrap().as_str(), "HMAC_256");
    assert_eq!(key.mac_algorithms.unwrap(), [MacAlgorithmSpec::HmacSha256]);
    let arn = key.arn.unwrap();
    assert!(kms.describe_key().key_id(&arn).send().await.is_ok(), "{arn}");
    let error = kms.describe_key().key_id("missing").send().await.unwrap_err().into_service_error();
    assert!(error.is_not_found_exception(), "{error:?}");

    let identities = client!(aws_sdk_sesv2, world).list_email_identities().send().await.unwrap();
    let identity = &identities.email_identities()[0];
    assert_eq!((identity.identity_name(), identity.sending_enabled()), (Some("roster.example"), true));
}

#[tokio::test]
async fn shard_ids_have_the_length_that_other_clients_require() {
    let world = world().await;
    let dynamodb = client!(aws_sdk_dynamodb, world);
    let (table, streams) =
        (crate::table::Table::new(dynamodb, "events"), client!(aws_sdk_dynamodbstreams, world));
    let arn = table.create().await.unwrap();
    let described = streams.describe_stream().stream_arn(&arn).send().await.unwrap();
    let shards = described.stream_description().unwrap().shards();
    let shard = shards[0].shard_id().unwrap();
    assert_eq!(shard, "shardId-00000000000000000001-events");
    let iterator = streams.get_shard_iterator().stream_arn(&arn).shard_id(shard);
    let iterator = iterator.shard_iterator_type(ShardIteratorType::TrimHorizon).send().await.unwrap();
    let records =
        streams.get_records().shard_iterator(iterator.shard_iterator().unwrap()).send().await.unwrap();
    assert_eq!(records.records(), []);
}

#[tokio::test]
async fn reports_a_missing_schedule_as_not_found() {
    let world = world().await;
    let scheduler = client!(aws_sdk_scheduler, world);
    let later = at(world.clock.now_unix() + 100);
    scheduler
        .create_schedule()
        .name("existing")
        .group_name("roster")
        .flexible_time_window(window())
        .target(target())
        .schedule_expression(&later)
        .send()
        .await
        .unwrap();
    // The same name in another group is another schedule.
    let error = scheduler.get_schedule().name("existing").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    let error = scheduler.delete_schedule().name("missing").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
    let update = scheduler.update_schedule().name("missing").flexible_time_window(window()).target(target());
    let error = update.schedule_expression(later).send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn rejects_the_schedules_that_aws_rejects() {
    let world = world().await;
    let scheduler = client!(aws_sdk_scheduler, world);
    // The past is decided by the laptop's clock, not by the machine's.
    let now = world.clock.advance(1_000_000).unwrap();
    let valid = || {
        scheduler
            .create_schedule()
            .name("a")
            .flexible_time_window(window())
            .target(target())
            .schedule_expression(at(now + 100))
    };
    let long = "a".repeat(65);
    for (why, request) in vec![
        ("a long name", valid().name(long.as_str())),
        ("a name with a slash", valid().name("a/b")),
        ("a name with umlauts", valid().name("ä")),
        ("a group with a blank", valid().group_name("a b")),
        ("no window", valid().set_flexible_time_window(None)),
        ("no target", valid().set_target(None)),
        ("no expression", valid().set_schedule_expression(None)),
        ("a time in the past", valid().schedule_expression(at(now - 1))),
        ("an invalid date", valid().schedule_expression("at(2099-13-01T00:00:00)")),
        ("a time zone in the time", valid().schedule_expression("at(2099-01-01T00:00:00Z)")),
        ("no seconds", valid().schedule_expression("at(2099-01-01T00:00)")),
        ("a rate", valid().schedule_expression("rate(5 minutes)")),
    ] {
        match request.send().await.expect_err(why) {
            // The SDK client does not send some of them.
            aws_sdk_scheduler::error::SdkError::ConstructionFailure(_) => {}
            error => {
                let error = error.into_service_error();
                assert!(error.is_validation_exception(), "{why}: {error:?}");
            }
        }
    }
    assert_eq!(world.schedules.next_due(), None);
    assert!(valid().name("a".repeat(64)).send().await.is_ok());
}

#[tokio::test]
async fn forwards_requests_for_dynamodb_and_streams() {
    let world = world().await;
    let tables = client!(aws_sdk_dynamodb, world).list_tables().send().await.unwrap();
    assert_eq!(tables.table_names(), ["laptop"]);
    let streams = client!(aws_sdk_dynamodbstreams, world).list_streams().send().await.unwrap();
    assert!(streams.streams().is_empty());
    let dynamodb = client!(aws_sdk_dynamodb, world);
    let error =
        dynamodb.describe_table().table_name("missing").send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception(), "{error:?}");
}

#[tokio::test]
async fn names_the_unsupported_operation_in_the_error() {
    let world = world().await;
    let error = client!(aws_sdk_kms, world).list_keys().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("UnknownOperationException"));
    assert!(error.message().unwrap().contains("TrentService.ListKeys"), "{error:?}");
    let error = client!(aws_sdk_sesv2, world).get_account().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("UnknownOperationException"));
    assert!(error.message().unwrap().contains("/v2/email/account"), "{error:?}");
}
