//! Link keys in KMS. They never leave KMS. Their key policies decide which functions may make MACs or only verify them.

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
    /// Pairs of the key id in tokens and the KMS key's id, ARN or alias. The first key makes tokens. Never empty.
    keys: Vec<(KeyId, String)>,
}

/// The error of an invalid `LINK_KEYS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "LINK_KEYS must be a list like `k2=alias/roster-links-2,k1=alias/roster-links`: an id of 1 to 32 letters, \
     digits, `-` or `_`, then `=` and the KMS key; the first key makes links, and all keys verify links"
)]
pub struct InvalidKeys;

impl Kms {
    /// Uses the keys that `keys` lists, with the SDK configuration `config`. `keys` has the format of `LINK_KEYS`.
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
            let output = request.message(Blob::new(link.message())).send().await.map_err(key_error)?;
            let mac = output.mac.and_then(|mac| mac.into_inner().try_into().ok());
            let mac = mac.ok_or_else(|| KeyError::Unusable("KMS returned no MAC of 32 bytes".into()))?;
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
                Err(error) => Err(key_error(error)),
            }
        })
    }
}

fn is_wrong_mac<R>(error: &SdkError<VerifyMacError, R>) -> bool {
    error.as_service_error().is_some_and(VerifyMacError::is_kms_invalid_mac_exception)
}

/// Classifies a failed call by HTTP status and error code. After throttling or a failure of KMS, a retry can succeed.
fn key_error<E>(error: SdkError<E, HttpResponse>) -> KeyError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let is_retryable = match &error {
        SdkError::ServiceError(service) => {
            let retryable_code = matches!(
                service.err().code(),
                Some(
                    "ThrottlingException"
                        | "KMSInternalException"
                        | "DependencyTimeoutException"
                        | "KeyUnavailableException"
                        | "LimitExceededException"
                )
            );
            retryable_code || service.raw().status().is_server_error()
        }
        SdkError::ConstructionFailure(_) => false,
        _ => true,
    };
    if is_retryable { KeyError::Unavailable(error.into()) } else { KeyError::Unusable(error.into()) }
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

    /// A stub that sends the same response to every request, and records the requests.
    #[derive(Debug, Clone)]
    struct StubKms {
        status: u16,
        response: Value,
        requests: Arc<Mutex<Vec<Value>>>,
    }

    impl StubKms {
        fn with(response: Value) -> Self {
            Self { status: 200, response, requests: Arc::default() }
        }

        fn failing(status: u16, code: &str) -> Self {
            Self { status, ..Self::with(json!({ "__type": code, "message": "" })) }
        }

        fn kms(&self, keys: &str) -> Kms {
            let stub = self.clone();
            let credentials = Credentials::new("test", "test", None, None, "test");
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(stub.clone())))
                .build();
            Kms::new(&config, keys).unwrap()
        }
    }

    impl HttpConnector for StubKms {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            self.requests.lock().unwrap().push(serde_json::from_slice(body).unwrap());
            let body = SdkBody::from(self.response.to_string());
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
    async fn mints_with_the_first_key() {
        let stub = StubKms::with(json!({ "Mac": BASE64.encode(&[7; 32]) }));
        let minted = stub.kms("k2=alias/two,k1=alias/one").mint(&token("k2").link).await.unwrap();
        assert_eq!(minted, token("k2"));
        let request = stub.requests.lock().unwrap()[0].clone();
        let message = BASE64.encode(&token("k2").link.message());
        assert_eq!(
            request,
            json!({ "KeyId": "alias/two", "MacAlgorithm": "HMAC_SHA_256", "Message": message })
        );
    }

    #[tokio::test]
    async fn fails_if_kms_returns_a_mac_of_another_length() {
        let stub = StubKms::with(json!({ "Mac": BASE64.encode(&[7; 31]) }));
        let minted = stub.kms("k1=alias/one").mint(&token("k1").link).await;
        assert!(matches!(minted, Err(KeyError::Unusable(_))));
    }

    #[tokio::test]
    async fn s01_s36_an_unknown_key_id_is_invalid_and_costs_the_same_request_as_a_known_one() {
        for (key_id, kms_key, expected) in
            [("k1", "alias/one", true), ("k2", "alias/two", true), ("k3", "alias/two", false)]
        {
            let stub = StubKms::with(json!({ "MacValid": true }));
            let kms = stub.kms("k2=alias/two,k1=alias/one");
            assert_eq!(kms.verify(&token(key_id)).await.unwrap(), expected, "{key_id}");
            let requests = stub.requests.lock().unwrap().clone();
            assert_eq!(requests.len(), 1);
            assert_eq!(requests[0]["KeyId"], kms_key, "{key_id}");
            assert_eq!(requests[0]["Mac"], BASE64.encode(&[7; 32]));
        }
    }

    #[tokio::test]
    async fn an_invalid_mac_is_a_result_and_not_an_error() {
        let stub = StubKms::failing(400, "KMSInvalidMacException");
        assert!(!stub.kms("k1=alias/one").verify(&token("k1")).await.unwrap());
    }

    #[tokio::test]
    async fn only_throttling_and_failures_of_kms_are_retryable() {
        for (status, code, retryable) in [
            (400, "ThrottlingException", true),
            (500, "KMSInternalException", true),
            (500, "KeyUnavailableException", true),
            (503, "ServiceUnavailable", true),
            (400, "AccessDeniedException", false),
            (400, "NotFoundException", false),
            (400, "DisabledException", false),
            (400, "KMSInvalidStateException", false),
        ] {
            let kms = StubKms::failing(status, code).kms("k1=alias/one");
            let verified = kms.verify(&token("k1")).await.unwrap_err();
            let minted = kms.mint(&token("k1").link).await.unwrap_err();
            for error in [verified, minted] {
                assert_eq!(matches!(error, KeyError::Unavailable(_)), retryable, "{code}");
            }
        }
    }

    #[test]
    fn parses_the_list_of_keys_in_order() {
        let keys = parse("k2=alias/roster-2, k1=arn:aws:kms:eu-west-1:1:key/a=b").unwrap();
        let keys: Vec<_> = keys.iter().map(|(id, key)| (id.as_str(), key.as_str())).collect();
        assert_eq!(keys, [("k2", "alias/roster-2"), ("k1", "arn:aws:kms:eu-west-1:1:key/a=b")]);
    }

    #[test]
    fn rejects_an_invalid_list_and_shows_the_format() {
        for invalid in ["", "alias/roster", "=alias/roster", "k1=", "k1=a,k1=b", "k.1=a", "k1=a,"] {
            assert_eq!(parse(invalid), Err(InvalidKeys), "{invalid}");
        }
        assert!(InvalidKeys.to_string().contains("k1=alias/roster-links"));
    }
}
