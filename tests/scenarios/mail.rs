//! The function `mail` and the outbox: `mail` sends every queued mail of a pending invitation despite faults, and sends
//! no other mail.

use domain::Language;
use harness::{Fault, MAIL_COOLDOWN, Options, Organization, World};
use http::Request;
use serde_json::{Value, json};

use crate::log_capture::{start_capture, take_lines};

const BOB: &str = "bob@example.com";
const WRITE: &str = "TransactWriteItems";

/// Returns how many `SendEmail` requests the functions sent since the last call, accepted or not.
fn take_send_count(world: &World) -> usize {
    world.wire().take_requests().iter().filter(|call| call.operation == "SendEmail").count()
}

/// Returns the mail without its message id and its time, which differ between two equal mails.
fn without_id_and_time(mail: &Value) -> Value {
    let mut mail = mail.clone();
    mail["message_id"] = Value::Null;
    mail["sent_at"] = Value::Null;
    mail
}

#[tokio::test]
async fn sends_a_mail_after_the_commit_and_sets_its_delivery_to_sent() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!((&invitation["delivery"], &invitation["sent_at"]), (&json!("queued"), &Value::Null));
    let before = world.now();
    world.wait_until_idle().await;
    let operations: Vec<_> = world.wire().take_requests().into_iter().map(|call| call.operation).collect();
    let position = |operation: &str| operations.iter().position(|it| it == operation).unwrap();
    assert!(position(WRITE) < position("SendEmail"), "{operations:?}");
    assert_eq!(
        operations.iter().filter(|it| *it == WRITE).count(),
        3,
        "invite, recipient count, delivery status"
    );
    let invitation = ada.finds_invitation(&acme, BOB).await;
    assert_eq!(invitation["delivery"], "sent");
    let sent_at = harness::timestamp(&invitation["sent_at"]);
    assert!((before..=world.now()).contains(&sent_at), "{sent_at}");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn lists_the_invitation_as_queued_while_ses_is_slow() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let held = world.wire().hold_background_request("SendEmail");
    world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "queued");
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "sent");
    world.finish().await;
}

#[tokio::test]
async fn sends_a_mail_once_after_temporary_faults_of_ses() {
    for (fault, times) in [
        // More often than the SDK itself retries.
        (Fault::Refused("TooManyRequestsException"), 4),
        (Fault::Refused("SendingPausedException"), 2),
        (Fault::Refused("LimitExceededException"), 2),
        (Fault::Refused("AccountSuspendedException"), 1),
        (Fault::Refused("MailFromDomainNotVerifiedException"), 1),
        (Fault::Refused("AccessDeniedException"), 1),
        (Fault::Refused("InternalFailure"), 1),
        (Fault::RequestLost, 1),
    ] {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_fault("SendEmail", fault.clone(), times);
        world.invited(&acme, &ada, BOB, "member").await;
        assert_eq!(world.mails_to(BOB).await.len(), 1, "{fault:?}");
        assert!(world.wire().all_faults_injected(), "{fault:?}");
        assert_eq!(take_send_count(&world), times + 1, "{fault:?}");
        assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "sent", "{fault:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn the_log_says_what_to_do_when_ses_denies_access() {
    start_capture();
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_fault("SendEmail", Fault::Refused("AccessDeniedException"), 1);
    world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!(world.mails_to(BOB).await.len(), 1, "sent by a retry");
    let lines = take_lines();
    let failure = lines.iter().find(|line| line["action"] == "mail" && line["level"] == "ERROR").unwrap();
    let cause = failure["cause"].as_str().unwrap();
    assert!(cause.starts_with("SES does not accept mail now: access denied. In the SES sandbox"), "{cause}");
    assert!(cause.contains("Environment=development"), "{cause}");
    assert!(!lines.iter().any(|line| line.to_string().contains('@')), "{lines:?}");
    world.finish().await;
}

#[tokio::test]
async fn retries_when_ses_does_not_respond() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    // SES holds the first request for longer than the timeout of one attempt.
    let held = world.wire().hold_background_request("SendEmail");
    world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(take_send_count(&world), 2);
    assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "sent");
    held.release();
    world.finish().await;
}

#[tokio::test]
async fn a_mail_that_ses_refuses_permanently_is_failed_with_a_reason() {
    for code in ["MessageRejected", "BadRequestException"] {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        world.wire().inject_fault("SendEmail", Fault::Refused(code), 1);
        world.invited(&acme, &ada, BOB, "member").await;
        assert_eq!(world.mails_to(BOB).await.len(), 0);
        assert_eq!(take_send_count(&world), 1, "no retry");
        let invitation = ada.finds_invitation(&acme, BOB).await;
        assert_eq!((&invitation["status"], &invitation["delivery"]), (&json!("pending"), &json!("failed")));
        assert_eq!(invitation["sent_at"], Value::Null);
        let detail = invitation["delivery_detail"].as_str().unwrap();
        assert!(detail.contains("refused") && !detail.contains(harness::REFUSAL_MESSAGE), "{detail}");
        // The invitation keeps its seat, and a resend queues a new mail.
        assert_eq!(ada.counts_seats(&acme).await.0, 2);
        let again = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
        assert_eq!((&again["delivery"], again.get("delivery_detail")), (&json!("queued"), None));
        world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
        world.finish().await;
    }
}

#[tokio::test]
async fn s21_a_mail_out_of_retries_stays_queued_and_its_dead_letter_has_no_address() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    world.invited(&acme, &ada, BOB, "member").await;
    world.wait_until_idle().await;
    world.wire().clear_faults();
    assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "queued");
    let letters = world.laptop().dead_letters().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.function.as_str()).collect::<Vec<_>>(), ["mail"]);
    assert!(!serde_json::to_string(&letters).unwrap().contains('@'), "{letters:?}");
    // A retry with the same stream records sends the mail.
    assert_eq!(world.invoke_with_records("mail", &world.stream_records().await).await, [""; 0]);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "sent");
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn a_mail_that_fails_does_not_block_the_others_of_its_batch() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    world.wire().inject_fault("SendEmail", Fault::Refused("SendingPausedException"), 3);
    let emails: Vec<_> = (0..20).map(|number| format!("p{number}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    ada.invites(&acme, &emails, "member").await.is(200);
    for email in emails {
        assert_eq!(world.mails_to(email).await.len(), 1, "{email}");
    }
    assert_eq!(take_send_count(&world), 23);
    world.finish().await;
}

#[tokio::test]
async fn retries_a_failed_write_without_sending_a_second_mail() {
    for fault in [Fault::RequestLost, Fault::ResponseLost, Fault::Refused("ThrottlingException")] {
        // The first write counts the mail for the recipient's day, the second one updates the delivery status.
        for passing in 0..2 {
            let world = World::start().await;
            let (ada, acme) = world.idle_organization().await;
            for _ in 0..passing {
                world.wire().hold_background_request(WRITE).release();
            }
            world.wire().inject_background_fault(WRITE, fault.clone(), 2);
            world.invited(&acme, &ada, BOB, "member").await;
            assert_eq!(world.mails_to(BOB).await.len(), 1, "{fault:?} after {passing} writes");
            assert!(world.wire().all_faults_injected());
            assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "sent", "{fault:?}");
            world.finish().await;
        }
    }
}

#[tokio::test]
async fn sends_an_equal_second_mail_if_the_status_update_after_sending_fails() {
    // DynamoDB rejects the delivery status, or the response of SES is lost. SES accepted the mail in both cases.
    for (operation, fault) in
        [(WRITE, Fault::Refused("ValidationException")), ("SendEmail", Fault::ResponseLost)]
    {
        let world = World::start().await;
        let (ada, acme) = world.idle_organization().await;
        // Lets the first write pass. It counts the mail for the recipient's day.
        world.wire().hold_background_request(WRITE).release();
        world.wire().inject_background_fault(operation, fault, 1);
        world.invited(&acme, &ada, BOB, "member").await;
        let mails = world.mails_to(BOB).await;
        assert_eq!(mails.len(), 2, "{operation}");
        assert_eq!(without_id_and_time(&mails[0]), without_id_and_time(&mails[1]), "{operation}");
        assert_eq!(ada.finds_invitation(&acme, BOB).await["delivery"], "sent");
        world.person("bob").accepts(mails[1]["token"].as_str().unwrap()).await.is(200);
        world.finish().await;
    }
}

#[tokio::test]
async fn sends_no_mail_if_the_invitation_is_revoked_before() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let held = world.wire().hold_background_request("TransactGetItems");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    ada.revokes(&acme, invitation["id"].as_str().unwrap()).await.is(204);
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 0);
    assert_eq!(take_send_count(&world), 0);
    world.finish().await;
}

#[tokio::test]
async fn sends_no_mail_if_the_invitation_expires_before() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let held = world.wire().hold_background_request("TransactGetItems");
    world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    world.laptop().clock().advance(48 * 60 * 60).unwrap();
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 0);
    assert_eq!(ada.finds_invitation(&acme, BOB).await["status"], "expired");
    // If `schedule` runs after the deadline, it sets the schedule to the next full minute in at least 5 s.
    world.advance(65).await;
    world.finish().await;
}

#[tokio::test]
async fn sends_only_the_newer_mail_if_the_invitation_is_resent_before_the_first() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let held = world.wire().hold_background_request("TransactGetItems");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    world.shift_clock(MAIL_COOLDOWN.cast_signed());
    ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    held.release();
    let mails = world.mails_to(BOB).await;
    assert_eq!(mails.len(), 1);
    world.person("bob").accepts(mails[0]["token"].as_str().unwrap()).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn a_resend_while_a_mail_is_being_sent_supersedes_its_link() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let held = world.wire().hold_background_request("SendEmail");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    // The resend supersedes the link of the first mail before `mail` updates its delivery status.
    world.shift_clock(MAIL_COOLDOWN.cast_signed());
    let again = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    assert_eq!(again["generation"], 2);
    held.release();
    let mails = world.mails_to(BOB).await;
    assert_eq!(mails.len(), 2);
    let bob = world.person("bob");
    bob.accepts(mails[1]["token"].as_str().unwrap()).await.refused(410, "invitation_superseded");
    bob.accepts(mails[0]["token"].as_str().unwrap()).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn a_batch_that_is_delivered_again_sends_and_writes_nothing() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    ada.invites(&acme, &[BOB, "eve@example.com", "ivy@example.com"], "member").await.is(200);
    world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
    let eve = ada.finds_invitation(&acme, "eve@example.com").await;
    ada.revokes(&acme, eve["id"].as_str().unwrap()).await.is(204);
    world.wait_until_idle().await;
    let before = world.records().await;
    let records = world.stream_records().await;
    assert!(records.len() > 8, "{}", records.len());
    let _ = world.wire().take_requests();
    for _ in 0..2 {
        assert_eq!(world.invoke_with_records("mail", &records).await, [""; 0]);
    }
    let operations: Vec<_> = world.wire().take_requests().into_iter().map(|call| call.operation).collect();
    assert!(operations.iter().all(|it| it == "TransactGetItems"), "only reads: {operations:?}");
    for email in [BOB, "eve@example.com", "ivy@example.com"] {
        assert_eq!(world.mails_to(email).await.len(), 1, "{email}");
    }
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn reports_unreadable_records_and_processes_the_others_of_the_batch() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    // The stream's own invocation of `mail` is held, so that this batch is processed first.
    let held = world.wire().hold_background_request("TransactGetItems");
    world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    let is_bobs = |record: &Value| record["dynamodb"]["NewImage"]["email"]["S"] == BOB;
    let good = world.stream_records().await.into_iter().find(is_bobs).unwrap();
    let mut poison = Vec::new();
    for (number, edit) in [
        |it: &mut Value| it["Keys"]["sk"] = json!({ "S": "INVITATION#none" }),
        |it: &mut Value| it["Keys"]["pk"] = json!({ "S": "ORG#none" }),
        |it: &mut Value| it["Keys"]["sk"] = json!({ "N": "1" }),
        |it: &mut Value| it["NewImage"]["status"] = json!({ "S": "unheard-of" }),
        |it: &mut Value| it["NewImage"]["expires_at"] = json!({ "S": "soon" }),
    ]
    .into_iter()
    .enumerate()
    {
        let mut record = good.clone();
        record["dynamodb"]["SequenceNumber"] = json!(format!("poison-{number}"));
        edit(&mut record["dynamodb"]);
        poison.push(record);
    }
    let batch: Vec<_> = poison.iter().take(3).chain([&good]).chain(poison.iter().skip(3)).cloned().collect();
    let mut failed = world.invoke_with_records("mail", &batch).await;
    failed.sort();
    assert_eq!(failed, ["poison-0", "poison-1", "poison-2", "poison-3", "poison-4"]);
    assert_eq!(world.laptop().mailbox().items(Some(BOB)).len(), 1, "sent by this batch");
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 1, "not sent again by the stream's batch");
    world.finish().await;
}

#[tokio::test]
async fn s23_s24_a_name_is_escaped_in_html_literal_in_text_and_absent_from_the_subject() {
    let world = World::start().await;
    let ada = world.person("ada");
    let name = r#"<b id="x">&'Söhne"#;
    let created = ada.creates(name).await.is(201);
    assert_eq!(created["name"], name);
    world.invited(&Organization::new(created["id"].as_str().unwrap()), &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    assert!(mail["text"].as_str().unwrap().contains(name), "{mail}");
    let html = mail["html"].as_str().unwrap();
    assert!(!html.contains("<b id") && !html.contains("&'S"), "{html}");
    assert!(html.contains("&#60;b id=&#34;x&#34;&#62;&#38;&#39;Söhne"), "{html}");
    assert_eq!(mail["subject"], "You are invited to Roster");
    let headers: Vec<_> = mail["headers"].as_object().unwrap().keys().collect();
    assert_eq!(headers, ["Auto-Submitted", "In-Reply-To", "References"]);
    assert!(!mail["headers"].to_string().contains("Söhne"), "{mail}");
    assert_eq!(mail["to"], BOB);
    let plain = ada.creates("Booking.com").await.is(201);
    world.advance(61).await;
    world.invited(&Organization::new(plain["id"].as_str().unwrap()), &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    assert_eq!(mail["subject"], "You are invited to Roster");
    for part in ["text", "html"] {
        assert!(!mail[part].as_str().unwrap().contains("Booking.com"), "clients would make it a link");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_mail_uses_the_invitations_language_or_else_the_deployments_default() {
    let (english, german) = ("You are invited to Roster", "Sie sind zu Roster eingeladen");
    for (default_language, default_subject) in [(Language::En, english), (Language::De, german)] {
        let world = World::with(Options { language: default_language, ..Options::default() }).await;
        let (ada, acme) = world.idle_organization().await;
        world.invited(&acme, &ada, BOB, "member").await;
        for (email, language) in [("eve@example.com", "en"), ("ivy@example.com", "de")] {
            let response = ada.invites_in(&acme, &[email], "member", language).await.is(200);
            assert_eq!(response["results"][0]["invitation"]["language"], language);
            assert_eq!(ada.finds_invitation(&acme, email).await["language"], language, "the list shows it");
        }
        assert_eq!(ada.finds_invitation(&acme, BOB).await.get("language"), None, "none was chosen");
        for (email, subject, word, lang) in [
            (BOB, default_subject, None, default_language.as_str()),
            ("eve@example.com", english, Some("48 hours"), "en"),
            ("ivy@example.com", german, Some("48 Stunden"), "de"),
        ] {
            let mail = world.mails_to(email).await.remove(0);
            assert_eq!(mail["subject"], subject, "{email}");
            for part in ["text", "html"] {
                let part = mail[part].as_str().unwrap();
                assert!(word.is_none_or(|word| part.contains(word)), "{part}");
            }
            assert!(mail["html"].as_str().unwrap().contains(&format!("<html lang=\"{lang}\"")));
            let name = email.split('@').next().unwrap();
            world.person(name).accepts(mail["token"].as_str().unwrap()).await.is(200);
        }
        world.finish().await;
    }
}

#[tokio::test]
async fn a_resend_keeps_language_and_thread_and_a_new_invitation_keeps_neither() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let thread = |mail: &Value| {
        let headers = &mail["headers"];
        assert_eq!(headers["References"], headers["In-Reply-To"]);
        headers["References"].as_str().unwrap().to_owned()
    };
    let invited = ada.invites_in(&acme, &[BOB], "member", "de").await.is(200);
    let invitation = invited["results"][0]["invitation"]["id"].as_str().unwrap();
    let first = world.mails_to(BOB).await.remove(0);
    world.advance(MAIL_COOLDOWN).await;
    assert_eq!(ada.resends(&acme, invitation).await.is(200)["language"], "de");
    let again = world.mails_to(BOB).await.remove(0);
    assert_ne!(again["token"], first["token"]);
    assert_eq!((&again["subject"], thread(&again)), (&first["subject"], thread(&first)));
    assert_eq!(again["subject"], "Sie sind zu Roster eingeladen");
    let message_id = thread(&first);
    assert!(message_id.starts_with(&format!("<{invitation}.")), "{message_id}");
    assert!(message_id.ends_with("@roster.example>"), "{message_id}");
    // A resend after expiry, when the seat is free again, keeps both as well.
    world.advance(48 * 60 * 60).await;
    ada.resends(&acme, invitation).await.is(200);
    let late = world.mails_to(BOB).await.remove(0);
    assert_eq!((&late["subject"], thread(&late)), (&first["subject"], thread(&first)));
    ada.revokes(&acme, invitation).await.is(204);
    world.advance(MAIL_COOLDOWN).await;
    let new = world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!((new["id"].as_str(), new.get("language")), (Some(invitation), None));
    let mail = world.mails_to(BOB).await.remove(0);
    assert_eq!(mail["subject"], "You are invited to Roster");
    assert_ne!(thread(&mail), thread(&first));
    world.finish().await;
}

#[tokio::test]
async fn s22_the_link_uses_the_configured_url_despite_forged_host_headers() {
    let world = World::start().await;
    let (ada, acme) = world.idle_organization().await;
    let path = acme.path("/invitations");
    let body = |email: &str| json!({ "emails": [email], "role": "member" }).to_string();
    let mut request = Request::post(&path).header("content-type", "application/json");
    for name in ["x-forwarded-host", "x-forwarded-server", "x-original-host", "x-host"] {
        request = request.header(name, "evil.example");
    }
    request = request.header("forwarded", "host=evil.example;proto=https");
    request = request.header("x-forwarded-proto", "gopher").header("referer", "https://evil.example/");
    ada.sends(request.body(body(BOB).into()).unwrap()).await.is(200);
    // The laptop refuses requests with another `Host`. API Gateway may accept them, so this invokes the function with
    // an event that contains the forged host.
    let route = "POST /v1/organizations/{organization_id}/invitations";
    let event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "content-type": "application/json",
            "host": "evil.example",
            "x-forwarded-host": "evil.example",
        },
        "pathParameters": { "organization_id": acme.id },
        "requestContext": {
            "accountId": "1",
            "apiId": "1",
            "authorizer": { "jwt": {
                "claims": { "sub": "ada", "email": "ada@example.com", "email_verified": "true" },
                "scopes": null,
            } },
            "domainName": "evil.example",
            "domainPrefix": "evil",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "",
            },
            "requestId": "1",
            "routeKey": route,
            "stage": "$default",
            "time": "25/Nov/2026:14:05:00 +0000",
            "timeEpoch": 1_795_615_500_000_i64,
        },
        "body": body("eve@example.com"),
        "isBase64Encoded": false,
    });
    let response = world.invoke("invite", event).await.unwrap();
    assert_eq!(response["statusCode"], 200, "{response}");
    let accept = format!("{}/accept#v1.", world.laptop().url());
    for email in [BOB, "eve@example.com"] {
        let mail = world.mails_to(email).await.remove(0);
        assert!(mail["link"].as_str().unwrap().starts_with(&accept), "{mail}");
        for part in ["text", "html"] {
            let part = mail[part].as_str().unwrap();
            assert!(!part.contains("evil.example"), "{part}");
            // The XHTML namespace is a name. Clients do not fetch it.
            let part = part.replace("xmlns=\"http://www.w3.org/1999/xhtml\"", "");
            assert_eq!(part.matches("//").count(), part.matches(&accept).count(), "{part}");
        }
    }
    world.finish().await;
}
