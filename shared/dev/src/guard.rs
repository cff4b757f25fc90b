//! Keeps web pages out. The laptop listens on the loopback only, but any page that a browser on this machine
//! shows can send requests there: under a name of its own that resolves to 127.0.0.1 (DNS rebinding), or
//! across sites to the parts that need no sign-in.

use axum::{
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, Uri, header, uri::Authority};

/// The paths that work without a sign-in and change things.
const PRIVATE: [&str; 2] = ["/_dev", "/_aws"];

/// Middleware for everything that the laptop serves: `axum::middleware::from_fn(guard)`.
pub async fn guard(request: Request, next: Next) -> Response {
    match refusal(request.uri(), request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    }
}

fn refusal(uri: &Uri, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
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
    (private && is_cross_site(headers)).then_some((
        StatusCode::FORBIDDEN,
        "This part of the development server answers no requests that come from other sites' pages.\n",
    ))
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
    let foreign_origin = headers.get_all(header::ORIGIN).iter().any(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok());
        !origin.as_ref().and_then(Uri::authority).is_some_and(is_loopback)
    });
    foreign_origin || headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site")
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
        let router = Router::new().fallback(|| async { "served" }).layer(axum::middleware::from_fn(guard));
        let mut request = http::Request::get(path);
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
}
