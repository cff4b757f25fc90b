//! Keeps web pages out. The laptop listens on the loopback only, but any page that a browser on this machine
//! shows can send requests there: under a name of its own that resolves to 127.0.0.1 (DNS rebinding), or
//! across sites to the parts that need no sign-in.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};

use crate::issuer::sign_in;

/// The paths that work without a sign-in and change things.
const PRIVATE: [&str; 2] = ["/_dev", "/_aws"];

/// Middleware for everything that the laptop serves: `axum::middleware::from_fn_with_state(origins, guard)`, with the
/// other origins whose pages may sign people in.
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
    if !is_asked_as_loopback(uri, headers) {
        return Some((
            StatusCode::MISDIRECTED_REQUEST,
            "This is a development server. It answers only to 127.0.0.1, localhost and [::1], not to other \
             names, so that no web page can reach it through a name of its own.\n",
        ));
    }
    let private = PRIVATE.iter().any(|prefix| {
        uri.path().strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    (private && is_cross_site(headers) && !signs_in(method, uri.path(), headers, origins)).then_some((
        StatusCode::FORBIDDEN,
        "This part of the development server answers no requests that come from other sites' pages.\n",
    ))
}

/// Whether this is what a page of another site has to do for somebody to sign in and out: go there as a whole, which
/// only shows the person a page, or brings them back to one of ours; and, from an origin that is allowed, exchange a
/// code, which does nothing for whoever has none.
fn signs_in(method: &Method, path: &str, headers: &HeaderMap, origins: &[HeaderValue]) -> bool {
    let mut from = headers.get_all(header::ORIGIN).iter();
    match path {
        sign_in::AUTHORIZE | sign_in::SIGN_OUT => {
            let goes_there = headers.get("sec-fetch-dest").is_some_and(|it| it == "document");
            method == Method::GET && goes_there && from.next().is_none()
        }
        sign_in::TOKEN => {
            let is_allowed = |origin: &HeaderValue| is_loopback_origin(origin) || origins.contains(origin);
            from.next().is_some_and(is_allowed) && from.next().is_none()
        }
        _ => false,
    }
}

/// A request can name its host twice, in the target and in the header; neither may be another's.
fn is_asked_as_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let mut named = uri.authority().is_some();
    if uri.authority().is_some_and(|authority| !is_loopback(authority)) {
        return false;
    }
    for host in headers.get_all(header::HOST) {
        named = true;
        if !host.to_str().ok().and_then(|host| host.parse().ok()).is_some_and(|host| is_loopback(&host)) {
            return false;
        }
    }
    named
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
        called("GET", path, headers).await
    }

    async fn called(method: &str, path: &str, headers: &[(&str, &str)]) -> StatusCode {
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
    async fn only_the_loopbacks_names_are_answered() {
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
    async fn other_sites_pages_reach_nothing_that_needs_no_sign_in() {
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
        let elsewhere = [("host", "localhost"), ("origin", "https://app.example")];
        assert_eq!(status("/v1/organizations", &elsewhere).await, StatusCode::OK);
        assert_eq!(status("/_developer", &elsewhere).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn other_sites_send_people_to_sign_in_and_nothing_else() {
        const CROSS: (&str, &str) = ("sec-fetch-site", "cross-site");
        const WHOLE: (&str, &str) = ("sec-fetch-dest", "document");
        let host = ("host", "127.0.0.1:4000");
        let (evil, app) = (("origin", "https://evil.example"), ("origin", "https://app.example"));
        for path in [sign_in::AUTHORIZE, sign_in::SIGN_OUT] {
            assert_eq!(status(path, &[host, CROSS, WHOLE]).await, StatusCode::OK, "{path}");
            for (method, headers) in [
                // In a frame or as a picture; by a script; by a form.
                ("GET", &[host, CROSS, ("sec-fetch-dest", "iframe")][..]),
                ("GET", &[host, CROSS, ("sec-fetch-dest", "image")]),
                ("GET", &[host, CROSS]),
                ("GET", &[host, CROSS, app, ("sec-fetch-dest", "empty")]),
                ("POST", &[host, CROSS, WHOLE, evil]),
                ("POST", &[host, CROSS, WHOLE, app]),
                ("POST", &[host, CROSS, WHOLE, ("origin", "null")]),
            ] {
                assert_eq!(
                    called(method, path, headers).await,
                    StatusCode::FORBIDDEN,
                    "{method} {path} {headers:?}"
                );
            }
        }
        for origin in [app, ("origin", "http://localhost:4000"), ("origin", "http://127.0.0.1:4000")] {
            let got = called("POST", sign_in::TOKEN, &[host, CROSS, origin]).await;
            assert_eq!(got, StatusCode::OK, "{origin:?}");
        }
        for headers in [&[host, CROSS, evil][..], &[host, CROSS], &[host, CROSS, app, evil], &[host, evil]] {
            let got = called("POST", sign_in::TOKEN, headers).await;
            assert_eq!(got, StatusCode::FORBIDDEN, "{headers:?}");
        }
        // What an allowed page may beyond the API is this, and no more.
        for path in ["/_dev/token", "/_dev/clock", "/_dev/mail", "/_dev/authorize/other", "/_aws/"] {
            assert_eq!(called("POST", path, &[host, CROSS, app]).await, StatusCode::FORBIDDEN, "{path}");
        }
    }
}
