//! Security headers of all responses: no caching, no content sniffing, no framing, no referrer.
//!
//! Deliberately absent:
//! - `X-Frame-Options`: `frame-ancestors` replaces it in all current browsers.
//! - `Permissions-Policy`: no foreign scripts run, so no script asks for a camera or a location.
//! - `includeSubDomains`: Roster does not decide about other hosts below the API's domain name.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, InvalidHeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of every response, including pages.
const RESPONSE_HEADERS: [(HeaderName, &str); 5] = [
    // Responses contain private data: addresses, roles, and the contents of links.
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // Two years. Browsers ignore the header over plain HTTP, which the laptop uses.
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    // If a browser shows a response as a document, the document cannot run, load or embed anything.
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// Additional headers of a page. Pages of other sites cannot get a reference to its window, and cannot embed it.
const PAGE_HEADERS: [(&str, &str); 2] =
    [("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin")];

/// The directives of every page's Content-Security-Policy.
const PAGE_POLICY: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Adds the headers of every response, except for those that the response already has.
pub fn add_security_headers(headers: &mut HeaderMap) {
    for (name, value) in RESPONSE_HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The permissions of a page, as source lists of a Content-Security-Policy. An empty list permits nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PagePolicy<'a> {
    /// The scripts that the page may run.
    pub scripts: &'a str,
    /// The styles that the page may use.
    pub styles: &'a str,
    /// The images that the page may show.
    pub images: &'a str,
    /// The frames that the page may contain.
    pub frames: &'a str,
    /// The URLs that scripts of the page may request.
    pub calls: &'a str,
    /// The targets of the page's forms, including the targets of redirects after a form was sent.
    pub forms: &'a str,
    /// The names of the Trusted Types policies that scripts may create. Without one, no text becomes HTML or script.
    pub trusted_types: &'a str,
}

impl<'a> PagePolicy<'a> {
    /// Returns the headers of the page.
    ///
    /// # Errors
    /// A source list contains a character that is not allowed in a header.
    pub fn headers(&self) -> Result<HeaderMap, InvalidHeaderValue> {
        let or_none = |sources: &'a str| if sources.is_empty() { "'none'" } else { sources };
        let mut policy = PAGE_POLICY.to_owned();
        for (directive, sources) in [
            ("script-src", self.scripts),
            ("style-src", self.styles),
            ("img-src", self.images),
            ("frame-src", self.frames),
            ("connect-src", self.calls),
            // `default-src` does not apply to these two directives.
            ("form-action", or_none(self.forms)),
            ("trusted-types", or_none(self.trusted_types)),
        ] {
            if !sources.is_empty() {
                policy.extend(["; ", directive, " ", sources]);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy)?);
        for (name, value) in PAGE_HEADERS {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        add_security_headers(&mut headers);
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(page: PagePolicy<'_>) -> String {
        page.headers().unwrap()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_response_keeps_its_own_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        add_security_headers(&mut headers);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60");
        assert_eq!(headers.len(), RESPONSE_HEADERS.len());
    }

    #[test]
    fn an_empty_page_policy_permits_nothing() {
        assert_eq!(
            policy(PagePolicy::default()),
            format!("{PAGE_POLICY}; form-action 'none'; trusted-types 'none'")
        );
    }

    #[test]
    fn a_page_policy_permits_only_the_listed_sources() {
        let page = PagePolicy {
            scripts: "'self'",
            forms: "'self'",
            trusted_types: "lit-html",
            ..PagePolicy::default()
        };
        let permitted = "script-src 'self'; form-action 'self'; trusted-types lit-html";
        assert_eq!(policy(page), format!("{PAGE_POLICY}; {permitted}"));
        let headers = page.headers().unwrap();
        assert_eq!(headers.len(), RESPONSE_HEADERS.len() + PAGE_HEADERS.len());
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }

    #[test]
    fn rejects_a_source_list_that_is_invalid_in_a_header() {
        assert!(
            PagePolicy { scripts: "'self'\r\nset-cookie: a", ..PagePolicy::default() }.headers().is_err()
        );
    }
}
