//! The link key in KMS: the real client, against the laptop's KMS, makes and takes the very tokens that the key
//! in the process does; and what its failures are answered with.

use std::sync::Arc;

use domain::{KeyId, Link, Token};
use harness::{Fault, Organization, Person, World};
use lambda_runtime::{Context, LambdaEvent};
use links::{KeyError, Kms, LinkKey as _};
use local::laptop::sdk_config;
use serde_json::{Value, json};

const BOB: &str = "bob@example.com";
const KEYS: &str = "dev=alias/roster-links";

fn config(world: &World) -> aws_config::SdkConfig {
    sdk_config(&format!("{}/_aws", world.laptop().url()), Some(world.wire().client()))
}

fn kms(world: &World, keys: &str) -> Kms {
    Kms::new(&config(world), keys).unwrap()
}

/// An invitation's token, as the key in the process has made it.
async fn mailed(world: &World) -> (Person, Organization, Token) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, BOB, "member").await;
    let token = Token::parse(&world.token_for(BOB).await).unwrap();
    let _ = world.wire().take();
    (ada, acme, token)
}

fn sent(world: &World, operation: &str) -> usize {
    world.wire().take().iter().filter(|call| call.operation == operation).count()
}

#[tokio::test]
async fn kms_makes_the_token_that_the_process_makes() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    let minted = kms(&world, KEYS).mint(&token.link).await.unwrap();
    assert_eq!(minted.reveal(), token.reveal());
    assert_eq!(sent(&world, "GenerateMac"), 1);
    world.person("bob").accepts(&minted.reveal()).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn kms_takes_the_token_that_the_process_makes_and_no_other() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    let kms = kms(&world, KEYS);
    assert!(kms.verify(&token).await.unwrap());
    let mut wrong = token.clone();
    wrong.mac.0[31] ^= 1;
    let another =
        Token { link: Link { generation: domain::Generation(2), ..token.link.clone() }, ..token.clone() };
    let unknown = Token { key: KeyId::parse("dev2").unwrap(), ..token.clone() };
    let _ = world.wire().take();
    for forged in [wrong, another, unknown] {
        assert!(!kms.verify(&forged).await.unwrap(), "{forged:?}");
        assert_eq!(sent(&world, "VerifyMac"), 1, "{forged:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn what_passes_is_unavailable_and_what_does_not_is_broken() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    for (keys, fault, passes) in [
        (KEYS, Some(Fault::Refused("ThrottlingException")), true),
        (KEYS, Some(Fault::Refused("KMSInternalException")), true),
        (KEYS, Some(Fault::LostBefore), true),
        (KEYS, Some(Fault::Refused("AccessDeniedException")), false),
        (KEYS, Some(Fault::Refused("DisabledException")), false),
        ("dev=alias/none", None, false),
    ] {
        let kms = kms(&world, keys);
        for operation in ["GenerateMac", "VerifyMac"] {
            if let Some(fault) = fault.clone() {
                world.wire().disturb(operation, fault, usize::MAX);
            }
            let error = match operation {
                "GenerateMac" => kms.mint(&token.link).await.map(drop),
                _ => kms.verify(&token).await.map(drop),
            };
            world.wire().clear_faults();
            let told = matches!(error, Err(KeyError::Unavailable(_)));
            assert_eq!((error.is_err(), told), (true, passes), "{operation} {fault:?}: {error:?}");
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn throttling_for_a_moment_is_waited_out_by_the_sdk() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    world.wire().disturb("VerifyMac", Fault::Refused("ThrottlingException"), 1);
    assert!(kms(&world, KEYS).verify(&token).await.unwrap());
    assert_eq!(sent(&world, "VerifyMac"), 2);
    world.finish().await;
}

/// `preview` as it is in AWS: its links are verified by KMS.
struct Preview(Arc<lambda_api::LinkApp>);

impl Preview {
    fn of(world: &World, keys: &str) -> Self {
        let app = lambda_api::App {
            store: world.store(),
            clock: Arc::new(world.laptop().clock().clone()),
            policy: domain::Policy::default(),
            services: Arc::new(kms(world, keys)) as Arc<dyn links::LinkKey>,
        };
        Self(Arc::new(app))
    }

    /// Status, code, and what else the answer says.
    async fn answers(&self, token: &str) -> (u64, String, Value) {
        let route = "POST /v1/invitations/preview";
        let event = json!({
            "version": "2.0",
            "routeKey": route,
            "rawPath": "/v1/invitations/preview",
            "rawQueryString": "",
            "headers": { "content-type": "application/json" },
            "requestContext": {
                "accountId": "1",
                "apiId": "1",
                "domainName": "api.example",
                "domainPrefix": "api",
                "http": {
                    "method": "POST",
                    "path": "/v1/invitations/preview",
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
            "body": json!({ "token": token }).to_string(),
            "isBase64Encoded": false,
        });
        let event = LambdaEvent::new(event, Context::default());
        let answer =
            lambda_api::http::invoke("preview", Arc::clone(&self.0), actions::preview::handle, event)
                .await
                .unwrap();
        let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        (answer["statusCode"].as_u64().unwrap(), code, answer["headers"].clone())
    }
}

#[tokio::test]
async fn s36_a_link_costs_one_verification_whatever_is_wrong_with_it_and_one_read_if_nothing_is() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    let preview = Preview::of(&world, KEYS);
    let mut wrong = token.clone();
    wrong.mac.0[0] ^= 1;
    let mut nobodys = wrong.clone();
    nobodys.link.organization = domain::OrganizationId::from_random([9; 16]);
    let unknown = Token { key: KeyId::parse("other").unwrap(), ..token.clone() };
    let mut headers = Vec::new();
    for (token, status, code) in [
        (&token, 200, ""),
        (&wrong, 400, "invalid_token"),
        (&nobodys, 400, "invalid_token"),
        (&unknown, 400, "invalid_token"),
    ] {
        let (answered, said, with) = preview.answers(&token.reveal()).await;
        assert_eq!((answered, said.as_str()), (status, code));
        headers.push(with);
        let mut sent: Vec<_> = world.wire().take().into_iter().map(|call| call.operation).collect();
        sent.retain(|operation| ["TransactGetItems", "VerifyMac"].contains(&operation.as_str()));
        let reads: &[_] = if code.is_empty() { &["VerifyMac", "TransactGetItems"] } else { &["VerifyMac"] };
        assert_eq!(sent, reads, "{code}");
    }
    assert!(headers[1..].iter().all(|it| *it == headers[1]), "{headers:?}");
    let (status, code, _) = preview.answers("v1.dev.cut").await;
    assert_eq!((status, code.as_str()), (400, "invalid_token"));
    assert_eq!(sent(&world, "VerifyMac"), 0, "a malformed one costs nothing");
    world.finish().await;
}

#[tokio::test]
async fn while_kms_cannot_be_used_a_link_is_neither_valid_nor_invalid() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    for (code, status, said, after) in [
        ("ThrottlingException", 503, "unavailable", json!("5")),
        ("KMSInternalException", 503, "unavailable", json!("5")),
        ("DisabledException", 500, "internal", Value::Null),
    ] {
        world.wire().disturb("VerifyMac", Fault::Refused(code), usize::MAX);
        let (answered, code, headers) = Preview::of(&world, KEYS).answers(&token.reveal()).await;
        assert_eq!((answered, code.as_str(), &headers["retry-after"]), (status, said, &after));
        world.wire().clear_faults();
    }
    let (status, code, _) = Preview::of(&world, "dev=alias/none").answers(&token.reveal()).await;
    assert_eq!((status, code.as_str()), (500, "internal"));
    world.finish().await;
}
