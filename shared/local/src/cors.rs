//! CORS as API Gateway's `CorsConfiguration` does it, for pages that are developed on another origin.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// The methods that a page may use. A test compares this configuration with `infra/template.yaml`.
pub const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];
/// The request headers that a page may send.
pub const HEADERS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("idempotency-key")];
/// The response headers that a page may read, in addition to those that browsers always expose.
pub const EXPOSED: [HeaderName; 2] = [header::DATE, header::RETRY_AFTER];
/// How long a browser may cache the response to a preflight request, in seconds.
pub const MAX_AGE_SECONDS: u64 = 3600;

/// The text is not the origin of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin looks like http://localhost:5173, without a slash at the end")]
pub struct InvalidOrigin;

/// Parses an origin. Rejects `*`: each allowed origin must be listed.
pub fn origin(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
    let (scheme, authority) = (uri.scheme_str(), uri.authority());
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (scheme, authority) else {
        return Err(InvalidOrigin);
    };
    let has_no_more_parts = text == format!("{scheme}://{authority}") && !text.contains(['*', '@']);
    HeaderValue::from_str(text).ok().filter(|_| has_no_more_parts).ok_or(InvalidOrigin)
}

/// Allows pages of these origins to call the API. Does not allow credentials (cookies), because callers send a token in
/// a header.
pub fn allow(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.iter().cloned()))
        .allow_methods(METHODS)
        .allow_headers(HEADERS)
        .expose_headers(EXPOSED)
        .max_age(Duration::from_secs(MAX_AGE_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_scheme_host_and_port_as_an_origin() {
        for valid in ["http://localhost:5173", "https://app.example.com", "http://127.0.0.1:8080"] {
            assert_eq!(origin(valid), Ok(HeaderValue::from_static(valid)));
        }
        for invalid in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://*",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/console",
            "https://app.example.com?a",
            "https://ada@app.example.com",
            "ftp://app.example.com",
            "HTTP://app.example.com",
        ] {
            assert_eq!(origin(invalid), Err(InvalidOrigin), "{invalid}");
        }
    }
}
