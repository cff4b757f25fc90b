//! What API Gateway's `CorsConfiguration` does, for pages that are developed on another origin.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Uri, header};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// As in `infra/template.yaml`, which a test compares.
pub const METHODS: [Method; 4] = [Method::GET, Method::POST, Method::PATCH, Method::DELETE];
/// The headers that a page may send.
pub const HEADERS: [HeaderName; 3] =
    [header::AUTHORIZATION, header::CONTENT_TYPE, HeaderName::from_static("idempotency-key")];
/// The headers that a page may read, beyond those that any may.
pub const EXPOSED: [HeaderName; 2] = [header::DATE, header::RETRY_AFTER];
/// How long a browser may go by an answer, in seconds.
pub const MAX_AGE_SECONDS: u64 = 3600;

/// The text is no origin of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is like http://localhost:5173, without a slash at the end")]
pub struct InvalidOrigin;

/// The origin that `text` names. `*` is none: whoever may call is on a list.
pub fn origin(text: &str) -> Result<HeaderValue, InvalidOrigin> {
    let uri: Uri = text.parse().map_err(|_| InvalidOrigin)?;
    let (scheme, authority) = (uri.scheme_str(), uri.authority());
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (scheme, authority) else {
        return Err(InvalidOrigin);
    };
    let is_whole = text == format!("{scheme}://{authority}") && !text.contains(['*', '@']);
    HeaderValue::from_str(text).ok().filter(|_| is_whole).ok_or(InvalidOrigin)
}

/// Lets pages of these origins call the API. Credentials are no part of it: a token is sent by whoever has it.
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
    fn an_origin_is_scheme_host_and_port() {
        for fine in ["http://localhost:5173", "https://app.example.com", "http://127.0.0.1:8080"] {
            assert_eq!(origin(fine), Ok(HeaderValue::from_static(fine)));
        }
        for wrong in [
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
            assert_eq!(origin(wrong), Err(InvalidOrigin), "{wrong}");
        }
    }
}
