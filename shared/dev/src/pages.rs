//! The page behind the link in a mail, one file without a build step, whose policy is made from its own text;
//! and the contract.

use std::sync::LazyLock;

use axum::{
    Router,
    response::{Html, IntoResponse, Response},
    routing,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use edge::headers::Page;
use http::{HeaderMap, header};
use sha2::{Digest as _, Sha256};

const ACCEPT: &str = include_str!("../pages/accept.html");

/// The contract, as `infra/openapi.yaml` has it.
pub const OPENAPI: &str = include_str!("../../../infra/openapi.yaml");

/// Allows exactly the script and the style that stand in the page.
static ACCEPT_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let (scripts, styles) = (hashes(ACCEPT, "script"), hashes(ACCEPT, "style"));
    let may = Page { scripts: &scripts, styles: &styles, calls: "'self'", ..Page::default() };
    may.headers().expect("hashes are words of a policy")
});

/// `GET /accept`, and `GET /v1/openapi.yaml`, which is no route of the functions: an HTTP API has nothing to serve
/// a file with.
pub fn router() -> Router {
    async fn accept() -> Response {
        (ACCEPT_HEADERS.clone(), Html(ACCEPT)).into_response()
    }
    async fn openapi() -> Response {
        ([(header::CONTENT_TYPE, "application/yaml")], OPENAPI).into_response()
    }
    Router::new().route("/accept", routing::get(accept)).route("/v1/openapi.yaml", routing::get(openapi))
}

/// The policy's source list for the inline elements of that name.
fn hashes(page: &str, element: &str) -> String {
    let (start, end) = (format!("<{element}>"), format!("</{element}>"));
    let inline = page.split(&start).skip(1).filter_map(|rest| rest.split(&end).next());
    inline
        .map(|text| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text))))
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;

    use super::*;
    use crate::testing::send;

    #[test]
    fn a_hash_is_of_what_stands_between_the_tags() {
        let page = "<style>a{}</style><script>let a;</script><script>let b;</script>";
        assert_eq!(hashes(page, "style"), format!("'sha256-{}'", STANDARD.encode(Sha256::digest("a{}"))));
        assert_eq!(hashes(page, "script").matches("sha256-").count(), 2);
    }

    #[tokio::test]
    async fn the_page_is_served_with_a_policy_that_lets_its_own_script_run_and_nothing_else() {
        let request = Request::get("/accept").body(Body::empty()).unwrap();
        let (status, headers, body) = send(router(), request).await;
        assert_eq!(status, http::StatusCode::OK);
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cache-control"], "no-store");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");
        // Whatever the policy has no hash for would be dead: attributes, and elements with attributes.
        for inline in ["style=", "onclick=", "<script ", "<style ", "javascript:"] {
            assert!(!body.contains(inline), "{inline}");
        }
    }
}
