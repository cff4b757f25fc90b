//! Keys in KMS: they never leave it, and IAM says who may mint and who may only verify.

use aws_config::SdkConfig;
use aws_sdk_kms::Client;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::operation::verify_mac::VerifyMacError;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::MacAlgorithmSpec::HmacSha256;
use domain::{KeyId, Link, Mac, Token};
use futures_util::future::BoxFuture;

use crate::{KeyError, LinkKey};

/// `HMAC_256` keys in KMS.
#[derive(Debug, Clone)]
pub struct Kms {
    client: Client,
    /// The id in tokens, and the KMS key's id, ARN or alias; the first one mints. Never empty.
    keys: Vec<(KeyId, String)>,
}

/// `LINK_KEYS` is not what it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "LINK_KEYS must be a list like `k2=alias/roster-links-2,k1=alias/roster-links`: an id of 1 to 32 letters, \
     digits, `-` or `_`, then the KMS key; the first one makes links, all verify them"
)]
pub struct InvalidKeys;

impl Kms {
    /// The keys that `keys` lists, reached as `config` says.
    pub fn new(config: &SdkConfig, keys: &str) -> Result<Self, InvalidKeys> {
        Ok(Self { client: Client::new(config), keys: parse(keys)? })
    }
}

fn parse(keys: &str) -> Result<Vec<(KeyId, String)>, InvalidKeys> {
    let mut parsed: Vec<(KeyId, String)> = Vec::new();
    for pair in keys.split(',') {
        let (id, key) = pair.trim().split_once('=').ok_or(InvalidKeys)?;
        let id = KeyId::parse(id).map_err(|_| InvalidKeys)?;
        if key.is_empty() || parsed.iter().any(|(other, _)| *other == id) {
            return Err(InvalidKeys);
        }
        parsed.push((id, key.to_owned()));
    }
    Ok(parsed)
}

impl LinkKey for Kms {
    fn mint(&self, link: &Link) -> BoxFuture<'static, Result<Token, KeyError>> {
        let (client, link) = (self.client.clone(), link.clone());
        let (id, key) = self.keys[0].clone();
        Box::pin(async move {
            let request = client.generate_mac().key_id(key).mac_algorithm(HmacSha256);
            let output = request.message(Blob::new(link.message())).send().await.map_err(failure)?;
            let mac = output.mac.and_then(|mac| mac.into_inner().try_into().ok());
            let mac = mac.ok_or_else(|| KeyError::Broken("KMS answered with no MAC of 32 bytes".into()))?;
            Ok(Token { key: id, link, mac: Mac(mac) })
        })
    }

    fn verify(&self, token: &Token) -> BoxFuture<'static, Result<bool, KeyError>> {
        let named = self.keys.iter().find(|(id, _)| *id == token.key);
        let (_, key) = named.unwrap_or(&self.keys[0]);
        let known = named.is_some();
        let request = self.client.verify_mac().key_id(key).mac_algorithm(HmacSha256);
        let request = request.message(Blob::new(token.link.message())).mac(Blob::new(token.mac.0));
        Box::pin(async move {
            match request.send().await {
                Ok(output) => Ok(output.mac_valid && known),
                Err(error) if is_wrong_mac(&error) => Ok(false),
                Err(error) => Err(failure(error)),
            }
        })
    }
}

fn is_wrong_mac<R>(error: &SdkError<VerifyMacError, R>) -> bool {
    error.as_service_error().is_some_and(VerifyMacError::is_kms_invalid_mac_exception)
}

/// Whether it may work later is told by status and code: KMS's own troubles and throttling may pass, a
/// refusal does not.
fn failure<E>(error: SdkError<E, HttpResponse>) -> KeyError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let passes = match &error {
        SdkError::ServiceError(service) => {
            let passing = matches!(
                service.err().code(),
                Some(
                    "ThrottlingException"
                        | "KMSInternalException"
                        | "DependencyTimeoutException"
                        | "KeyUnavailableException"
                        | "LimitExceededException"
                )
            );
            passing || service.raw().status().is_server_error()
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    };
    if passes { KeyError::Unavailable(error.into()) } else { KeyError::Broken(error.into()) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_config::BehaviorVersion;
    use aws_config::retry::RetryConfig;
    use aws_sdk_kms::config::{Credentials, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
    use aws_smithy_types::body::SdkBody;
    use data_encoding::BASE64;
    use domain::{EmailAddress, Generation, InvitationId, OrganizationId, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    /// Answers every request alike, and keeps what was asked.
    #[derive(Debug, Clone)]
    struct Answering {
        status: u16,
        answer: Value,
        asked: Arc<Mutex<Vec<Value>>>,
    }

    impl Answering {
        fn with(answer: Value) -> Self {
            Self { status: 200, answer, asked: Arc::default() }
        }

        fn failing(status: u16, code: &str) -> Self {
            Self { status, ..Self::with(json!({ "__type": code, "message": "" })) }
        }

        fn kms(&self, keys: &str) -> Kms {
            let answering = self.clone();
            let credentials = Credentials::new("test", "test", None, None, "test");
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(answering.clone())))
                .build();
            Kms::new(&config, keys).unwrap()
        }
    }

    impl HttpConnector for Answering {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            self.asked.lock().unwrap().push(serde_json::from_slice(body).unwrap());
            let body = SdkBody::from(self.answer.to_string());
            let response = http::Response::builder().status(self.status).body(body).unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
        }
    }

    fn token(key: &str) -> Token {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        let link = Link {
            invitation: InvitationId::of(&organization, &email),
            organization,
            generation: Generation(1),
            expires_at: Timestamp::from_unix(1_795_615_500),
        };
        Token { key: KeyId::parse(key).unwrap(), link, mac: Mac([7; 32]) }
    }

    #[tokio::test]
    async fn the_first_key_mints() {
        let answering = Answering::with(json!({ "Mac": BASE64.encode(&[7; 32]) }));
        let minted = answering.kms("k2=alias/two,k1=alias/one").mint(&token("k2").link).await.unwrap();
        assert_eq!(minted, token("k2"));
        let asked = answering.asked.lock().unwrap()[0].clone();
        let message = BASE64.encode(&token("k2").link.message());
        assert_eq!(
            asked,
            json!({ "KeyId": "alias/two", "MacAlgorithm": "HMAC_SHA_256", "Message": message })
        );
    }

    #[tokio::test]
    async fn a_mac_of_another_length_is_no_token() {
        let answering = Answering::with(json!({ "Mac": BASE64.encode(&[7; 31]) }));
        let minted = answering.kms("k1=alias/one").mint(&token("k1").link).await;
        assert!(matches!(minted, Err(KeyError::Broken(_))));
    }

    #[tokio::test]
    async fn s01_s36_the_key_named_verifies_and_an_unknown_one_costs_the_same_and_is_wrong() {
        for (named, asked_for, genuine) in
            [("k1", "alias/one", true), ("k2", "alias/two", true), ("k3", "alias/two", false)]
        {
            let answering = Answering::with(json!({ "MacValid": true }));
            let kms = answering.kms("k2=alias/two,k1=alias/one");
            assert_eq!(kms.verify(&token(named)).await.unwrap(), genuine, "{named}");
            let asked = answering.asked.lock().unwrap().clone();
            assert_eq!(asked.len(), 1);
            assert_eq!(asked[0]["KeyId"], asked_for, "{named}");
            assert_eq!(asked[0]["Mac"], BASE64.encode(&[7; 32]));
        }
    }

    #[tokio::test]
    async fn a_wrong_mac_is_an_answer_not_a_failure() {
        let answering = Answering::failing(400, "KMSInvalidMacException");
        assert!(!answering.kms("k1=alias/one").verify(&token("k1")).await.unwrap());
    }

    #[tokio::test]
    async fn what_may_pass_is_told_from_what_does_not() {
        for (status, code, passes) in [
            (400, "ThrottlingException", true),
            (500, "KMSInternalException", true),
            (500, "KeyUnavailableException", true),
            (503, "ServiceUnavailable", true),
            (400, "AccessDeniedException", false),
            (400, "NotFoundException", false),
            (400, "DisabledException", false),
            (400, "KMSInvalidStateException", false),
        ] {
            let kms = Answering::failing(status, code).kms("k1=alias/one");
            let verified = kms.verify(&token("k1")).await.unwrap_err();
            let minted = kms.mint(&token("k1").link).await.unwrap_err();
            for error in [verified, minted] {
                assert_eq!(matches!(error, KeyError::Unavailable(_)), passes, "{code}");
            }
        }
    }

    #[test]
    fn the_list_of_keys_is_read_in_order() {
        let keys = parse("k2=alias/roster-2, k1=arn:aws:kms:eu-west-1:1:key/a=b").unwrap();
        let keys: Vec<_> = keys.iter().map(|(id, key)| (id.as_str(), key.as_str())).collect();
        assert_eq!(keys, [("k2", "alias/roster-2"), ("k1", "arn:aws:kms:eu-west-1:1:key/a=b")]);
    }

    #[test]
    fn a_wrong_list_says_what_is_needed() {
        for wrong in ["", "alias/roster", "=alias/roster", "k1=", "k1=a,k1=b", "k.1=a", "k1=a,"] {
            assert_eq!(parse(wrong), Err(InvalidKeys), "{wrong}");
        }
        assert!(InvalidKeys.to_string().contains("k1=alias/roster-links"));
    }
}
