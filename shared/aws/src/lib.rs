//! The one SDK configuration that all AWS clients of a process are made from.

use std::env::VarError;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, HttpClientError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

/// A connection within a Region takes a few milliseconds; after this long it never will.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// One attempt of one call. Functions have 10 s, so that two attempts and a pause fit.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);

/// The certificates that AWS's own chain to: the five that Amazon Trust Services publishes and asks to trust
/// (`https://www.amazontrust.com/repository/`). The first of them ends in 2037.
const ROOTS: &[u8] = include_bytes!("roots.pem");

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A certificate bundle of one's own cannot be used.
    #[error("AWS_CA_BUNDLE names {path}, which cannot be read as certificates")]
    Bundle {
        /// What the variable says.
        path: String,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The HTTP client takes no such TLS settings.
    #[error("TLS cannot be set up")]
    Tls(#[source] HttpClientError),
}

/// Time limits for calls to services in the same Region.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_MAX).operation_attempt_timeout(ATTEMPT_MAX).build()
}

/// HTTP by hyper and rustls on ring, which also speaks plain HTTP to a loopback endpoint.
///
/// Trusted are Amazon's five roots, or what `AWS_CA_BUNDLE` names instead (for a proxy that ends TLS). To read and
/// parse the system's hundred and forty certificates would take longer than all the rest of a function's start.
pub fn http() -> Result<SharedHttpClient, ConfigError> {
    let trusted = match variable("AWS_CA_BUNDLE") {
        None => ROOTS.to_vec(),
        Some(path) => std::fs::read(&path).map_err(|cause| ConfigError::Bundle { path, cause })?,
    };
    let trusted = TrustStore::empty().with_pem_certificate(trusted);
    let tls = TlsContext::builder().with_trust_store(trusted).build().map_err(ConfigError::Tls)?;
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}

/// What all calls have in common, whatever the environment says.
fn common() -> Result<SdkConfig, ConfigError> {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http()?)
        .timeout_config(timeouts())
        // An attempt is over with the last byte of its answer, so that its time ends what stalls, too: without a watch over the
        // speed of each request and each answer.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Ok(config.build())
}

/// Region, credentials, endpoint and FIPS from the environment, which is where Lambda has them; profiles and metadata
/// services are never looked at. In CloudTrail the calls go by the function's name.
pub fn config() -> Result<SdkConfig, ConfigError> {
    let mut config = common()?
        .into_builder()
        .region(variable("AWS_REGION").map(Region::new))
        .credentials_provider(SharedCredentialsProvider::new(EnvironmentVariableCredentialsProvider::new()));
    config
        .set_endpoint_url(variable("AWS_ENDPOINT_URL"))
        .set_use_fips(variable("AWS_USE_FIPS_ENDPOINT").map(|value| value.eq_ignore_ascii_case("true")))
        .set_app_name(variable("AWS_LAMBDA_FUNCTION_NAME").and_then(|name| AppName::new(name).ok()));
    Ok(config.build())
}

/// A variable's value; an empty one counts as none.
fn variable(name: &str) -> Option<String> {
    match std::env::var(name) {
        Ok(value) if !value.is_empty() => Some(value),
        Ok(_) | Err(VarError::NotPresent | VarError::NotUnicode(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};
    use std::sync::mpsc;

    use aws_config::retry::RetryConfig;
    use aws_credential_types::Credentials;
    use aws_sdk_dynamodb::error::SdkError;
    use data_encoding::{BASE64, HEXLOWER};
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_roots_are_those_that_amazon_publishes() {
        let text = std::str::from_utf8(ROOTS).unwrap();
        let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
        let bodies =
            bodies.map(|rest| rest.split_once("-----END CERTIFICATE-----").unwrap().0.replace('\n', ""));
        let prints =
            bodies.map(|body| HEXLOWER.encode(&Sha256::digest(BASE64.decode(body.as_bytes()).unwrap())));
        // As the repository of Amazon Trust Services gives them, in its order.
        let published = [
            "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
            "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
            "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
            "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ];
        assert_eq!(prints.collect::<Vec<_>>(), published);
    }

    #[tokio::test]
    async fn an_answer_that_stalls_in_its_middle_ends_with_its_attempt() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (giving_up, given_up) = mpsc::channel::<()>();
        let stalls = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            assert_ne!(stream.read(&mut bytes).unwrap(), 0, "a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").unwrap();
            let _ = given_up.recv();
        });
        let attempt = Duration::from_millis(100);
        let credentials = Credentials::new("stalls", "stalls", None, None, "a test");
        let config = common().unwrap().into_builder();
        let config = config
            .region(Region::from_static("eu-central-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build())
            .retry_config(RetryConfig::disabled());
        let error = aws_sdk_dynamodb::Client::new(&config.build()).list_tables().send().await.unwrap_err();
        assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
        drop(giving_up);
        stalls.join().unwrap();
    }

    #[test]
    fn a_client_can_be_made_of_them() {
        // Every certificate is parsed when the client is made.
        drop(http().unwrap());
    }
}
