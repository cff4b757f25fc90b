//! Link keys in KMS: the real client with the laptop's emulated KMS creates and verifies the same tokens as the
//! in-process key. Also the responses to errors of KMS.

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

/// Lets ada invite bob. Returns the token, which the in-process key created.
async fn mailed(world: &World) -> (Person, Organization, Token) {
    let ada = world.person("ada");
    let acme = world.founded_by(&ada).await;
    world.invited(&acme, &ada, BOB, "member").await;
    let token = Token::parse(&world.token_for(BOB).await).unwrap();
    let _ = world.wire().take_requests();
    (ada, acme, token)
}

fn sent(world: &World, operation: &str) -> usize {
    world.wire().take_requests().iter().filter(|request| request.operation == operation).count()
}

#[tokio::test]
async fn kms_and_the_in_process_key_create_equal_tokens() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    let minted = kms(&world, KEYS).mint(&token.link).await.unwrap();
    assert_eq!(minted.reveal(), token.reveal());
    assert_eq!(sent(&world, "GenerateMac"), 1);
    world.person("bob").accepts(&minted.reveal()).await.is(200);
    world.finish().await;
}

#[tokio::test]
async fn kms_verifies_tokens_of_the_in_process_key_and_no_others() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    let kms = kms(&world, KEYS);
    assert!(kms.verify(&token).await.unwrap());
    let mut wrong = token.clone();
    wrong.mac.0[31] ^= 1;
    let another =
        Token { link: Link { generation: domain::Generation(2), ..token.link.clone() }, ..token.clone() };
    let unknown = Token { key: KeyId::parse("dev2").unwrap(), ..token.clone() };
    let _ = world.wire().take_requests();
    for forged in [wrong, another, unknown] {
        assert!(!kms.verify(&forged).await.unwrap(), "{forged:?}");
        assert_eq!(sent(&world, "VerifyMac"), 1, "{forged:?}");
    }
    world.finish().await;
}

#[tokio::test]
async fn temporary_errors_are_unavailable_and_permanent_errors_are_not() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    for (keys, fault, is_temporary) in [
        (KEYS, Some(Fault::Refused("ThrottlingException")), true),
        (KEYS, Some(Fault::Refused("KMSInternalException")), true),
        (KEYS, Some(Fault::RequestLost), true),
        (KEYS, Some(Fault::Refused("AccessDeniedException")), false),
        (KEYS, Some(Fault::Refused("DisabledException")), false),
        ("dev=alias/none", None, false),
    ] {
        let kms = kms(&world, keys);
        for operation in ["GenerateMac", "VerifyMac"] {
            if let Some(fault) = fault.clone() {
                world.wire().inject_fault(operation, fault, usize::MAX);
            }
            let error = match operation {
                "GenerateMac" => kms.mint(&token.link).await.map(drop),
                _ => kms.verify(&token).await.map(drop),
            };
            world.wire().clear_faults();
            let is_unavailable = matches!(error, Err(KeyError::Unavailable(_)));
            assert_eq!(
                (error.is_err(), is_unavailable),
                (true, is_temporary),
                "{operation} {fault:?}: {error:?}"
            );
        }
    }
    world.finish().await;
}

#[tokio::test]
async fn the_sdk_retries_throttling() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    world.wire().inject_fault("VerifyMac", Fault::Refused("ThrottlingException"), 1);
    assert!(kms(&world, KEYS).verify(&token).await.unwrap());
    assert_eq!(sent(&world, "VerifyMac"), 2);
    world.finish().await;
}

/// The function `preview` as on AWS, where KMS verifies links.
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

    /// Invokes the function. Returns status, code and headers of the response.
    async fn invoke(&self, token: &str) -> (u64, String, Value) {
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
        let response = lambda_api::http::invoke(
            "preview",
            Arc::clone(&self.0),
            actions::preview::INPUT,
            actions::preview::handle,
            event,
        )
        .await
        .unwrap();
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        (response["statusCode"].as_u64().unwrap(), code, response["headers"].clone())
    }
}

#[tokio::test]
async fn s36_every_token_takes_one_verification_and_only_a_valid_one_a_read() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    let preview = Preview::of(&world, KEYS);
    let mut wrong = token.clone();
    wrong.mac.0[0] ^= 1;
    let mut unknown_organization = wrong.clone();
    unknown_organization.link.organization = domain::OrganizationId::from_random([9; 16]);
    let unknown_key = Token { key: KeyId::parse("other").unwrap(), ..token.clone() };
    let mut headers = Vec::new();
    for (token, status, code) in [
        (&token, 200, ""),
        (&wrong, 400, "invalid_token"),
        (&unknown_organization, 400, "invalid_token"),
        (&unknown_key, 400, "invalid_token"),
    ] {
        let (actual_status, actual_code, response_headers) = preview.invoke(&token.reveal()).await;
        assert_eq!((actual_status, actual_code.as_str()), (status, code));
        headers.push(response_headers);
        let mut sent: Vec<_> =
            world.wire().take_requests().into_iter().map(|request| request.operation).collect();
        sent.retain(|operation| ["TransactGetItems", "VerifyMac"].contains(&operation.as_str()));
        let reads: &[_] = if code.is_empty() { &["VerifyMac", "TransactGetItems"] } else { &["VerifyMac"] };
        assert_eq!(sent, reads, "{code}");
    }
    assert!(headers[1..].iter().all(|it| *it == headers[1]), "{headers:?}");
    let (status, code, _) = preview.invoke("v1.dev.cut").await;
    assert_eq!((status, code.as_str()), (400, "invalid_token"));
    assert_eq!(sent(&world, "VerifyMac"), 0, "a malformed token takes no request");
    world.finish().await;
}

#[tokio::test]
async fn errors_of_kms_are_not_reported_as_an_invalid_token() {
    let world = World::start().await;
    let (.., token) = mailed(&world).await;
    for (error, status, code, retry_after) in [
        ("ThrottlingException", 503, "unavailable", json!("5")),
        ("KMSInternalException", 503, "unavailable", json!("5")),
        ("DisabledException", 500, "internal", Value::Null),
    ] {
        world.wire().inject_fault("VerifyMac", Fault::Refused(error), usize::MAX);
        let (actual_status, actual_code, headers) = Preview::of(&world, KEYS).invoke(&token.reveal()).await;
        assert_eq!(
            (actual_status, actual_code.as_str(), &headers["retry-after"]),
            (status, code, &retry_after)
        );
        world.wire().clear_faults();
    }
    let (status, code, _) = Preview::of(&world, "dev=alias/none").invoke(&token.reveal()).await;
    assert_eq!((status, code.as_str()), (500, "internal"));
    world.finish().await;
}
