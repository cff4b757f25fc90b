//! The one SDK configuration that all clients of a process are made from.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// A connection within a Region takes a few milliseconds; after this long it never will.
const CONNECT_MAX: Duration = Duration::from_secs(1);
/// One attempt of one call. Functions have 10 s (DESIGN, infra), so that two attempts and a pause fit.
const ATTEMPT_MAX: Duration = Duration::from_secs(3);

/// Time limits for calls to services in the same Region.
#[must_use]
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(CONNECT_MAX).operation_attempt_timeout(ATTEMPT_MAX).build()
}

/// Region, credentials and endpoints from the environment; HTTP by hyper and rustls on ring, which also
/// speaks plain HTTP to a loopback endpoint. In CloudTrail the calls go by the function's name.
pub async fn config() -> SdkConfig {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let defaults =
        aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http).timeout_config(timeouts());
    let function = std::env::var("AWS_LAMBDA_FUNCTION_NAME").ok().and_then(|name| AppName::new(name).ok());
    match function {
        Some(name) => defaults.app_name(name).load().await,
        None => defaults.load().await,
    }
}
