//! Refuses requests that a foreign web page sends to the laptop through a browser on this machine.
//!
//! The laptop listens on the loopback only, but such a page can reach it in two ways: under a host name of its own that
//! resolves to 127.0.0.1 (DNS rebinding), or by cross-site requests to the paths that need no sign-in.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};

use crate::issuer::sign_in;

/// The prefixes of the paths that need no sign-in and can read or change data.
const PROTECTED: [&str; 2] = ["/_dev", "/_aws"];

/// Middleware for all requests to the laptop: `axum::middleware::from_fn_with_state(origins, guard)`. Pages of
/// `origins` may sign users in.
pub async fn guard(State(origins): State<Arc<[HeaderValue]>>, request: Request, next: Next) -> Response {
    match refusal(request.method(), request.uri(), request.headers(), &origins) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    origins: &[HeaderValue],
) -> Option<(StatusCode, &'static str)> {
    if !names_the_loopback(uri, headers) {
        return Some((
            StatusCode::MISDIRECTED_REQUEST,
            "This is a development server. It accepts requests to 127.0.0.1, localhost and [::1] only, so that \
             no web page can reach it through another host name (DNS rebinding).\n",
        ));
    }
    let is_protected = PROTECTED.iter().any(|prefix| {
        uri.path().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    let is_refused =
        is_protected && is_cross_site(headers) && !is_sign_in(method, uri.path(), headers, origins);
    is_refused.then_some((
        StatusCode::FORBIDDEN,
        "This part of the development server refuses requests from pages of other sites.\n",
    ))
}

/// Whether a page of another site needs this request to sign a user in or out:
///
/// - a top-level navigation, which only shows the user a page or redirects to an allowed origin;
/// - from an allowed origin, the exchange of a code for tokens, which needs a valid code.
fn is_sign_in(method: &Method, path: &str, headers: &HeaderMap, origins: &[HeaderValue]) -> bool {
    let mut sent_origins = headers.get_all(header::ORIGIN).iter();
    match path {
        sign_in::AUTHORIZE | sign_in::SIGN_OUT => {
            let is_navigation =
                headers.get("sec-fetch-dest").is_some_and(|destination| destination == "document");
            method == Method::GET && is_navigation && sent_origins.next().is_none()
        }
        sign_in::TOKEN => {
            let is_allowed = |origin: &HeaderValue| is_loopback_origin(origin) || origins.contains(origin);
            sent_origins.next().is_some_and(is_allowed) && sent_origins.next().is_none()
        }
        _ => false,
    }
}

/// Whether the request names its host, and only as the loopback. The request target and `Host` headers can both name
/// it.
fn names_the_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut is_named = uri.authority().is_some();
    if uri.authority().is_some_and(|authority| !is_loopback(authority)) {
        return false;
    }
    for host in headers.get_all(header::HOST) {
        is_named = true;
        if !host.to_str().ok().and_then(|host| host.parse().ok()).is_some_and(|host| is_loopback(&host)) {
            return false;
        }
    }
    is_named
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    let foreign_origin = headers.get_all(header::ORIGIN).iter().any(|origin| !is_loopback_origin(origin));
    foreign_origin || headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
}

fn is_loopback_origin(origin: &HeaderValue) -> bool {
    let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
    origin.as_ref().and_then(Uri::authority).is_some_and(is_loopback)
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    !authority.as_str().contains('@')
        && (host == "127.0.0.1" || host == "[::1]" || host.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body};

    use super::*;
    use crate::testing::send;

    async fn status(path: &str, headers: &[(&str, &str)]) -> StatusCode {
        status_of("GET", path, headers).await
    }

    async fn status_of(method: &str, path: &str, headers: &[(&str, &str)]) -> StatusCode {
        let origins: Arc<[_]> = [HeaderValue::from_static("https://app.example")].into();
        let guard = axum::middleware::from_fn_with_state(origins, guard);
        let router = Router::new().fallback(|| async { "served" }).layer(guard);
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(router, request.body(Body::empty()).unwrap()).await.0
    }

    #[tokio::test]
    async fn accepts_loopback_host_names_only() {
        for host in ["127.0.0.1", "127.0.0.1:4000", "localhost:4001", "LOCALHOST", "[::1]:4000", "[::1]"] {
            assert_eq!(status("/v1/organizations", &[("host", host)]).await, StatusCode::OK, "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:4000",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.0.0.2",
            "0.0.0.0:4000",
            "",
            "a b",
        ] {
            let got = status("/v1/organizations", &[("host", host)]).await;
            assert_eq!(got, StatusCode::MISDIRECTED_REQUEST, "{host}");
        }
        assert_eq!(status("/", &[]).await, StatusCode::MISDIRECTED_REQUEST);
        let both = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(status("/", &both).await, StatusCode::MISDIRECTED_REQUEST);
        let target = status("http://evil.example/", &[("host", "localhost")]).await;
        assert_eq!(target, StatusCode::MISDIRECTED_REQUEST);
    }

    #[tokio::test]
    async fn refuses_cross_site_requests_to_paths_without_sign_in() {
        for path in ["/_dev/clock", "/_dev", "/_aws", "/_aws/schedules/a"] {
            for (name, value) in [
                ("origin", "https://evil.example"),
                ("origin", "null"),
                ("origin", "http://127.0.0.1.evil.example"),
                ("sec-fetch-site", "cross-site"),
            ] {
                let got = status(path, &[("host", "127.0.0.1:4000"), (name, value)]).await;
                assert_eq!(got, StatusCode::FORBIDDEN, "{path} {name}: {value}");
            }
            for (name, value) in [
                ("origin", "http://127.0.0.1:4000"),
                ("origin", "http://localhost:5173"),
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "none"),
            ] {
                let got = status(path, &[("host", "127.0.0.1:4000"), (name, value)]).await;
                assert_eq!(got, StatusCode::OK, "{path} {name}: {value}");
            }
        }
        let cross_site = [("host", "localhost"), ("origin", "https://app.example")];
        assert_eq!(status("/v1/organizations", &cross_site).await, StatusCode::OK);
        assert_eq!(status("/_developer", &cross_site).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn allows_other_sites_to_sign_users_in_and_nothing_else() {
        const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
        const NAVIGATION: (&str, &str) = ("sec-fetch-dest", "document");
        let host = ("host", "127.0.0.1:4000");
        let (evil, app) = (("origin", "https://evil.example"), ("origin", "https://app.example"));
        for path in [sign_in::AUTHORIZE, sign_in::SIGN_OUT] {
            assert_eq!(status(path, &[host, CROSS, NAVIGATION]).await, StatusCode::OK, "{path}");
            for (method, headers) in [
                // From a frame, an image, a script and a form.
                ("GET", &[host, CROSS, ("sec-fetch-dest", "iframe")][..]),
                ("GET", &[host, CROSS, ("sec-fetch-dest", "image")]),
                ("GET", &[host, CROSS]),
                ("GET", &[host, CROSS, app, ("sec-fetch-dest", "empty")]),
                ("POST", &[host, CROSS, NAVIGATION, evil]),
                ("POST", &[host, CROSS, NAVIGATION, app]),
                ("POST", &[host, CROSS, NAVIGATION, ("origin", "null")]),
            ] {
                assert_eq!(
                    status_of(method, path, headers).await,
                    StatusCode::FORBIDDEN,
                    "{method} {path} {headers:?}"
                );
            }
        }
        for origin in [app, ("origin", "http://localhost:4000"), ("origin", "http://127.0.0.1:4000")] {
            let got = status_of("POST", sign_in::TOKEN, &[host, CROSS, origin]).await;
            assert_eq!(got, StatusCode::OK, "{origin:?}");
        }
        for headers in [&[host, CROSS, evil][..], &[host, CROSS], &[host, CROSS, app, evil], &[host, evil]] {
            let got = status_of("POST", sign_in::TOKEN, headers).await;
            assert_eq!(got, StatusCode::FORBIDDEN, "{headers:?}");
        }
        // An allowed origin may call no other path under /_dev or /_aws.
        for path in ["/_dev/token", "/_dev/clock", "/_dev/mail", "/_dev/authorize/other", "/_aws/"] {
            assert_eq!(status_of("POST", path, &[host, CROSS, app]).await, StatusCode::FORBIDDEN, "{path}");
        }
    }
}
