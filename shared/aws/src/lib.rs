//! The SDK configuration for all AWS clients of a process, and the tokens of their requests.

mod token;

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

pub use token::{TokenError, client_request_token};

/// The timeout for a connection. Within a Region, connecting takes a few milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// The timeout for one attempt of a call. A function times out after 10 s, so two attempts and a pause fit.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);

/// The five root certificates of Amazon Trust Services, from which the certificates of AWS services derive.
///
/// Source: `https://www.amazontrust.com/repository/`. The first of them expires in 2037.
const ROOTS: &[u8] = include_bytes!("roots.pem");

/// The error of building the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The certificate bundle that `AWS_CA_BUNDLE` names cannot be read.
    #[error("the certificate bundle {path} of AWS_CA_BUNDLE cannot be read")]
    Bundle {
        /// The value of the variable.
        path: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The HTTP client rejects the TLS settings.
    #[error("TLS cannot be set up")]
    Tls(#[source] HttpClientError),
}

/// Returns the timeouts for calls to services in the same Region.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_MAX).operation_attempt_timeout(ATTEMPT_MAX).build()
}

/// Builds an HTTP client with hyper, rustls and ring. The client also supports plain HTTP, for loopback endpoints.
///
/// The client trusts Amazon's five root certificates. If `AWS_CA_BUNDLE` is set, the client trusts only that bundle,
/// for example because a proxy terminates TLS. The client ignores the system's 140 certificates, because reading and
/// parsing them takes longer than the rest of a function's start.
pub fn http() -> Result<SharedHttpClient, ConfigError> {
    let trusted = match variable("AWS_CA_BUNDLE") {
        None => ROOTS.to_vec(),
        Some(path) => std::fs::read(&path).map_err(|cause| ConfigError::Bundle { path, cause })?,
    };
    let trusted = TrustStore::empty().with_pem_certificate(trusted);
    let tls = TlsContext::builder().with_trust_store(trusted).build().map_err(ConfigError::Tls)?;
    Ok(Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}

/// Builds the part of the configuration that does not depend on the environment, except for `AWS_CA_BUNDLE`.
fn common() -> Result<SdkConfig, ConfigError> {
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http()?)
        .timeout_config(timeouts())
        // The attempt timeout covers the whole response, so it also ends a stalled response. The protection would
        // additionally monitor the throughput of each request and response.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Ok(config.build())
}

/// Builds the configuration with the Region, the credentials, the endpoint and the FIPS setting from the environment.
///
/// Lambda sets these variables. Profiles and metadata services have no effect. The user agent contains the function's
/// name, so CloudTrail shows the name for each call.
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

/// Returns the value of an environment variable, or `None` if it is empty, not set, or not UTF-8.
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
    fn the_roots_have_the_fingerprints_that_amazon_publishes() {
        let text = std::str::from_utf8(ROOTS).unwrap();
        let bodies = text.split("-----BEGIN CERTIFICATE-----").skip(1);
        let bodies =
            bodies.map(|rest| rest.split_once("-----END CERTIFICATE-----").unwrap().0.replace('\n', ""));
        let fingerprints =
            bodies.map(|body| HEXLOWER.encode(&Sha256::digest(BASE64.decode(body.as_bytes()).unwrap())));
        // From the repository of Amazon Trust Services, in its order.
        let published = [
            "8ecde6884f3d87b1125ba31ac3fcb13d7016de7f57cc904fe1cb97c6ae98196e",
            "1ba5b2aa8c65401a82960118f80bec4f62304d83cec4713a19c39c011ea46db4",
            "18ce6cfe7bf14e60b2e347b8dfe868cb31d02ebb3ada271569f50343b46db3a4",
            "e35d28419ed02025cfa69038cd623962458da5c695fbdea3c22b0bfb25897092",
            "568d6905a2c88708a4b3025190edcfedb1974a606a13c6e5290fcb2ae63edab5",
        ];
        assert_eq!(fingerprints.collect::<Vec<_>>(), published);
    }

    #[tokio::test]
    async fn the_attempt_timeout_ends_a_stalled_response() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (client_done, wait_for_client) = mpsc::channel::<()>();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut bytes = [0; 4096];
            assert_ne!(stream.read(&mut bytes).unwrap(), 0, "the client sent no request");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").unwrap();
            let _ = wait_for_client.recv();
        });
        let attempt = Duration::from_millis(100);
        let credentials = Credentials::new("test", "test", None, None, "test");
        let config = common().unwrap().into_builder();
        let config = config
            .region(Region::from_static("eu-central-1"))
            .endpoint_url(url)
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(attempt).build())
            .retry_config(RetryConfig::disabled());
        let error = aws_sdk_dynamodb::Client::new(&config.build()).list_tables().send().await.unwrap_err();
        assert!(matches!(error, SdkError::TimeoutError(_)), "{error:?}");
        drop(client_done);
        server.join().unwrap();
    }

    #[test]
    fn builds_a_client_with_the_roots() {
        // The builder parses every certificate.
        drop(http().unwrap());
    }
}
