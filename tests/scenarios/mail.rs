//! The outbox: a mail that is owed goes out, whatever fails, and what is not owed does not.

use domain::Language;
use harness::{Fault, MAIL_COOLDOWN, Options, Organization, Person, World};
use http::Request;
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const WRITE: &str = "TransactWriteItems";

/// Ada's organization, with nothing going on besides.
async fn calm(world: &World) -> (Person, Organization) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.idle().await;
    let _ = world.wire().take();
    (ada, acme)
}

/// How many mails the functions have handed to SES since the last time, taken or not.
fn sends(world: &World) -> usize {
    world.wire().take().iter().filter(|call| call.operation == "SendEmail").count()
}

/// What the recipient sees of a mail: all but when it came.
fn seen(mail: &Value) -> Value {
    let mut seen = mail.clone();
    seen["message_id"] = Value::Null;
    seen["sent_at"] = Value::Null;
    seen
}

#[tokio::test]
async fn a_mail_goes_out_after_the_commit_and_is_marked_as_sent() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!((&invitation["delivery"], &invitation["sent_at"]), (&json!("queued"), &Value::Null));
    let before = world.now();
    world.idle().await;
    let operations: Vec<_> = world.wire().take().into_iter().map(|call| call.operation).collect();
    let place = |operation: &str| operations.iter().position(|it| it == operation).unwrap();
    assert!(place(WRITE) < place("SendEmail"), "{operations:?}");
    assert_eq!(operations.iter().filter(|it| *it == WRITE).count(), 3, "the invite, the count, and the mark");
    let invitation = ada.finds(&acme, BOB).await;
    assert_eq!(invitation["delivery"], "sent");
    let sent_at = harness::moment(&invitation["sent_at"]);
    assert!((before..=world.now()).contains(&sent_at), "{sent_at}");
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn nobody_waits_for_the_mail_service() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let held = world.wire().hold_work("SendEmail");
    world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "queued");
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent");
    world.finish().await;
}

#[tokio::test]
async fn a_mail_that_the_service_does_not_take_now_is_sent_later_and_once() {
    for (fault, times) in [
        // More than the SDK tries by itself.
        (Fault::Refused("TooManyRequestsException"), 4),
        (Fault::Refused("SendingPausedException"), 2),
        (Fault::Refused("LimitExceededException"), 2),
        (Fault::Refused("AccountSuspendedException"), 1),
        (Fault::Refused("MailFromDomainNotVerifiedException"), 1),
        (Fault::Refused("AccessDeniedException"), 1),
        (Fault::Refused("InternalFailure"), 1),
        (Fault::LostBefore, 1),
    ] {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb("SendEmail", fault.clone(), times);
        world.invited(&acme, &ada, BOB, "member").await;
        assert_eq!(world.mails_to(BOB).await.len(), 1, "{fault:?}");
        assert!(world.wire().is_calm(), "{fault:?}");
        assert_eq!(sends(&world), times + 1, "{fault:?}");
        assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent", "{fault:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn a_mail_service_that_hangs_is_asked_again() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    // Longer than one attempt may take.
    let hanging = world.wire().hold_work("SendEmail");
    world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(sends(&world), 2);
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent");
    hanging.release();
    world.finish().await;
}

#[tokio::test]
async fn a_mail_that_the_service_refuses_for_good_is_failed_and_says_why() {
    for code in ["MessageRejected", "BadRequestException"] {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb("SendEmail", Fault::Refused(code), 1);
        world.invited(&acme, &ada, BOB, "member").await;
        assert_eq!(world.mails_to(BOB).await.len(), 0);
        assert_eq!(sends(&world), 1, "it is not tried again");
        let invitation = ada.finds(&acme, BOB).await;
        assert_eq!((&invitation["status"], &invitation["delivery"]), (&json!("pending"), &json!("failed")));
        assert_eq!(invitation["sent_at"], Value::Null);
        let detail = invitation["delivery_detail"].as_str().unwrap();
        assert!(detail.contains("refused") && !detail.contains(harness::WORDS), "{detail}");
        // It holds its seat, and a resend is a mail of its own.
        assert_eq!(ada.counts_seats(&acme).await.0, 2);
        let again = ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
        assert_eq!((&again["delivery"], again.get("delivery_detail")), (&json!("queued"), None));
        world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
        world.finish().await;
    }
}

#[tokio::test]
async fn s21_a_mail_that_is_given_up_is_a_dead_letter_without_an_address_and_still_owed() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), usize::MAX);
    world.invited(&acme, &ada, BOB, "member").await;
    world.idle().await;
    world.wire().clear_faults();
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "queued");
    let dead = world.laptop().dead_letters().unwrap();
    assert_eq!(dead.iter().map(|letter| letter.function.as_str()).collect::<Vec<_>>(), ["mail"]);
    assert!(!serde_json::to_string(&dead).unwrap().contains('@'), "{dead:?}");
    // Whoever drives it again, from the queue or from the table, gets it sent.
    assert_eq!(world.feeds("mail", &world.stream().await).await, [""; 0]);
    assert_eq!(world.mails_to(BOB).await.len(), 1);
    assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent");
    world.finish_with_dead_letters().await;
}

#[tokio::test]
async fn one_mail_that_cannot_be_sent_keeps_no_other_waiting() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    world.wire().disturb("SendEmail", Fault::Refused("SendingPausedException"), 3);
    let emails: Vec<_> = (0..20).map(|number| format!("p{number}@example.com")).collect();
    let emails: Vec<_> = emails.iter().map(String::as_str).collect();
    ada.invites(&acme, &emails, "member").await.is(200);
    for email in emails {
        assert_eq!(world.mails_to(email).await.len(), 1, "{email}");
    }
    assert_eq!(sends(&world), 23);
    world.finish().await;
}

#[tokio::test]
async fn a_mark_that_is_lost_after_sending_is_made_again_without_a_second_mail() {
    for loss in [Fault::LostBefore, Fault::LostAfter, Fault::Refused("ThrottlingException")] {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        world.wire().disturb_work(WRITE, loss.clone(), 2);
        world.invited(&acme, &ada, BOB, "member").await;
        assert_eq!(world.mails_to(BOB).await.len(), 1, "{loss:?}");
        assert!(world.wire().is_calm());
        assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent", "{loss:?}");
        world.finish().await;
    }
}

#[tokio::test]
async fn whoever_dies_between_sending_and_marking_leaves_one_more_equal_mail() {
    // The mark is refused, or SES's own answer is lost: nobody knows that the mail is out.
    for (operation, fault) in
        [(WRITE, Fault::Refused("ValidationException")), ("SendEmail", Fault::LostAfter)]
    {
        let world = World::start().await;
        let (ada, acme) = calm(&world).await;
        // The first write of them is the count.
        world.wire().hold_work(WRITE).release();
        world.wire().disturb_work(operation, fault, 1);
        world.invited(&acme, &ada, BOB, "member").await;
        let mails = world.mails_to(BOB).await;
        assert_eq!(mails.len(), 2, "{operation}");
        assert_eq!(seen(&mails[0]), seen(&mails[1]), "{operation}");
        assert_eq!(ada.finds(&acme, BOB).await["delivery"], "sent");
        world.person("bob").accepts(mails[1]["token"].as_str().unwrap()).await.is(200);
        world.finish().await;
    }
}

#[tokio::test]
async fn what_is_revoked_before_its_mail_is_sent_gets_none() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let held = world.wire().hold_work("TransactGetItems");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    ada.revokes(&acme, invitation["id"].as_str().unwrap()).await.is(204);
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 0);
    assert_eq!(sends(&world), 0);
    world.finish().await;
}

#[tokio::test]
async fn what_expires_before_its_mail_is_sent_gets_none() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let held = world.wire().hold_work("TransactGetItems");
    world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    world.laptop().clock().advance(48 * 60 * 60).unwrap();
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 0);
    assert_eq!(ada.finds(&acme, BOB).await["status"], "expired");
    // Its schedule may have been made too late to be for its deadline; then it is for a few seconds later.
    world.passes(5).await;
    world.finish().await;
}

#[tokio::test]
async fn what_is_resent_before_its_mail_is_sent_gets_the_newer_one_only() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let held = world.wire().hold_work("TransactGetItems");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    world.skips(MAIL_COOLDOWN.cast_signed());
    ada.resends(&acme, invitation["id"].as_str().unwrap()).await.is(200);
    held.release();
    let mails = world.mails_to(BOB).await;
    assert_eq!(mails.len(), 1);
    world.person("bob").accepts(mails[0]["token"].as_str().unwrap()).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn a_mark_that_comes_too_late_marks_nothing() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let held = world.wire().hold_work("SendEmail");
    let invitation = world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    // The mail is as good as out, and its link dies before it is marked.
    world.skips(MAIL_COOLDOWN.cast_signed());
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
async fn a_batch_that_is_delivered_twice_does_nothing_twice() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    ada.invites(&acme, &[BOB, "eve@example.com", "ivy@example.com"], "member").await.is(200);
    world.person("bob").accepts(&world.token_for(BOB).await).await.is(200);
    let eve = ada.finds(&acme, "eve@example.com").await;
    ada.revokes(&acme, eve["id"].as_str().unwrap()).await.is(204);
    world.idle().await;
    let before = world.records().await;
    let records = world.stream().await;
    assert!(records.len() > 8, "{}", records.len());
    let _ = world.wire().take();
    for _ in 0..2 {
        assert_eq!(world.feeds("mail", &records).await, [""; 0]);
    }
    let sent: Vec<_> = world.wire().take().into_iter().map(|call| call.operation).collect();
    assert!(sent.iter().all(|it| it == "TransactGetItems"), "only looks: {sent:?}");
    for email in [BOB, "eve@example.com", "ivy@example.com"] {
        assert_eq!(world.mails_to(email).await.len(), 1, "{email}");
    }
    assert_eq!(world.records().await, before);
    world.finish().await;
}

#[tokio::test]
async fn a_poison_record_is_reported_and_the_others_of_its_batch_are_done() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    // The stream's own reader is kept waiting, so that this batch is the first to get there.
    let held = world.wire().hold_work("TransactGetItems");
    world.invited(&acme, &ada, BOB, "member").await;
    held.arrived().await;
    let is_bobs = |record: &Value| record["dynamodb"]["NewImage"]["email"]["S"] == BOB;
    let good = world.stream().await.into_iter().find(is_bobs).unwrap();
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
    let mut failed = world.feeds("mail", &batch).await;
    failed.sort();
    assert_eq!(failed, ["poison-0", "poison-1", "poison-2", "poison-3", "poison-4"]);
    assert_eq!(world.laptop().mailbox().items(Some(BOB)).len(), 1, "sent by this batch");
    held.release();
    assert_eq!(world.mails_to(BOB).await.len(), 1, "and not again by the stream's");
    world.finish().await;
}

#[tokio::test]
async fn s23_s24_a_name_is_escaped_in_html_literal_in_text_and_never_in_the_subject() {
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
    world.passes(61).await;
    world.invited(&Organization::new(plain["id"].as_str().unwrap()), &ada, BOB, "member").await;
    let mail = world.mails_to(BOB).await.remove(0);
    assert_eq!(mail["subject"], "You are invited to Roster");
    for part in ["text", "html"] {
        assert!(!mail[part].as_str().unwrap().contains("Booking.com"), "no client may make a link of it");
    }
    world.finish().await;
}

#[tokio::test]
async fn a_mail_is_in_the_language_that_its_sender_chose_or_else_in_the_deployments() {
    let (english, german) = ("You are invited to Roster", "Sie sind zu Roster eingeladen");
    for (deployments, without) in [(Language::En, english), (Language::De, german)] {
        let world = World::with(Options { language: deployments, ..Options::default() }).await;
        let (ada, acme) = calm(&world).await;
        world.invited(&acme, &ada, BOB, "member").await;
        for (email, language) in [("eve@example.com", "en"), ("ivy@example.com", "de")] {
            let answer = ada.invites_in(&acme, &[email], "member", language).await.is(200);
            assert_eq!(answer["results"][0]["invitation"]["language"], language);
            assert_eq!(ada.finds(&acme, email).await["language"], language, "the list shows it");
        }
        assert_eq!(ada.finds(&acme, BOB).await.get("language"), None, "nobody chose");
        for (email, subject, word, lang) in [
            (BOB, without, None, deployments.as_str()),
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
async fn a_resend_is_in_the_same_language_and_the_same_thread_and_a_new_invitation_in_neither() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let thread = |mail: &Value| {
        let headers = &mail["headers"];
        assert_eq!(headers["References"], headers["In-Reply-To"]);
        headers["References"].as_str().unwrap().to_owned()
    };
    let invited = ada.invites_in(&acme, &[BOB], "member", "de").await.is(200);
    let invitation = invited["results"][0]["invitation"]["id"].as_str().unwrap();
    let first = world.mails_to(BOB).await.remove(0);
    world.passes(MAIL_COOLDOWN).await;
    assert_eq!(ada.resends(&acme, invitation).await.is(200)["language"], "de");
    let again = world.mails_to(BOB).await.remove(0);
    assert_ne!(again["token"], first["token"]);
    assert_eq!((&again["subject"], thread(&again)), (&first["subject"], thread(&first)));
    assert_eq!(again["subject"], "Sie sind zu Roster eingeladen");
    let named = thread(&first);
    assert!(named.starts_with(&format!("<{invitation}.")) && named.ends_with("@roster.example>"), "{named}");
    // Also once it has expired, and its seat was freed.
    world.passes(48 * 60 * 60).await;
    ada.resends(&acme, invitation).await.is(200);
    let late = world.mails_to(BOB).await.remove(0);
    assert_eq!((&late["subject"], thread(&late)), (&first["subject"], thread(&first)));
    ada.revokes(&acme, invitation).await.is(204);
    world.passes(MAIL_COOLDOWN).await;
    let anew = world.invited(&acme, &ada, BOB, "member").await;
    assert_eq!((anew["id"].as_str(), anew.get("language")), (Some(invitation), None));
    let mail = world.mails_to(BOB).await.remove(0);
    assert_eq!(mail["subject"], "You are invited to Roster");
    assert_ne!(thread(&mail), thread(&first));
    world.finish().await;
}

#[tokio::test]
async fn s22_the_link_is_the_configured_one_whatever_host_the_inviter_names() {
    let world = World::start().await;
    let (ada, acme) = calm(&world).await;
    let path = acme.path("/invitations");
    let body = |email: &str| json!({ "emails": [email], "role": "member" }).to_string();
    let mut request = Request::post(&path).header("content-type", "application/json");
    for name in ["x-forwarded-host", "x-forwarded-server", "x-original-host", "x-host"] {
        request = request.header(name, "evil.example");
    }
    request = request.header("forwarded", "host=evil.example;proto=https");
    request = request.header("x-forwarded-proto", "gopher").header("referer", "https://evil.example/");
    ada.sends(request.body(body(BOB).into()).unwrap()).await.is(200);
    // The laptop itself answers to no other name; API Gateway may, so the function gets it as its event.
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
    let answer = world.invokes("invite", event).await.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let accept = format!("{}/accept#v1.", world.laptop().url());
    for email in [BOB, "eve@example.com"] {
        let mail = world.mails_to(email).await.remove(0);
        assert!(mail["link"].as_str().unwrap().starts_with(&accept), "{mail}");
        for part in ["text", "html"] {
            let part = mail[part].as_str().unwrap();
            assert!(!part.contains("evil.example"), "{part}");
            // The name of a dialect of HTML, which nobody fetches.
            let part = part.replace("xmlns=\"http://www.w3.org/1999/xhtml\"", "");
            assert_eq!(part.matches("//").count(), part.matches(&accept).count(), "{part}");
        }
    }
    world.finish().await;
}
