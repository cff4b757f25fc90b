//! What browsers are told beside a body: nothing may be kept, guessed, framed or passed on.
//!
//! Deliberately absent: `X-Frame-Options`, which `frame-ancestors` replaces in every browser that is kept up to
//! date; `Permissions-Policy`, since where no foreign script runs nothing asks for a camera; `includeSubDomains`,
//! since what else lives below the name that the API gets is not Roster's to decide.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, InvalidHeaderValue, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What every answer has, a page's too.
const ANSWER: [(HeaderName, &str); 5] = [
    // All of it is somebody's: addresses, roles, what a link is about.
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // Two years. Over plain HTTP, as on a laptop, browsers ignore it.
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    // Whoever gets a browser to show an answer as a document gets one that can do nothing.
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// What a page has besides: no other site's page holds a handle to its window, or loads it as a part of its own.
const PAGE: [(&str, &str); 2] =
    [("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin")];

/// What no page can do without, whatever it may do.
const EVERY_PAGE: &str =
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Adds what every answer has, where it does not say otherwise itself.
pub fn complete(headers: &mut HeaderMap) {
    for (name, value) in ANSWER {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// What a page may do: source lists of a Content-Security-Policy, empty for nothing at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Page<'a> {
    /// Which scripts it may run.
    pub scripts: &'a str,
    /// Which styles it may have.
    pub styles: &'a str,
    /// Which images it may show.
    pub images: &'a str,
    /// Which frames it may have.
    pub frames: &'a str,
    /// What it may call.
    pub calls: &'a str,
    /// Where its forms may go, and where whoever answers them may redirect to.
    pub forms: &'a str,
    /// Which Trusted Types policies may be made: names, not sources. Without any, no text becomes HTML or a script.
    pub trusted_types: &'a str,
}

impl<'a> Page<'a> {
    /// The headers of the page.
    ///
    /// # Errors
    /// A source list that cannot stand in a header.
    pub fn headers(&self) -> Result<HeaderMap, InvalidHeaderValue> {
        let or_none = |sources: &'a str| if sources.is_empty() { "'none'" } else { sources };
        let mut policy = EVERY_PAGE.to_owned();
        for (directive, sources) in [
            ("script-src", self.scripts),
            ("style-src", self.styles),
            ("img-src", self.images),
            ("frame-src", self.frames),
            ("connect-src", self.calls),
            // `default-src` says nothing of these two.
            ("form-action", or_none(self.forms)),
            ("trusted-types", or_none(self.trusted_types)),
        ] {
            if !sources.is_empty() {
                policy.extend(["; ", directive, " ", sources]);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy)?);
        for (name, value) in PAGE {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        complete(&mut headers);
        Ok(headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(page: Page<'_>) -> String {
        page.headers().unwrap()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    }

    #[test]
    fn an_answer_keeps_what_it_says_itself() {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        complete(&mut headers);
        assert_eq!(headers[CACHE_CONTROL], "max-age=60");
        assert_eq!(headers.len(), ANSWER.len());
    }

    #[test]
    fn a_page_that_asks_for_nothing_may_do_nothing() {
        assert_eq!(
            policy(Page::default()),
            format!("{EVERY_PAGE}; form-action 'none'; trusted-types 'none'")
        );
    }

    #[test]
    fn a_page_may_do_what_it_asks_for_and_nothing_else() {
        let page = Page { scripts: "'self'", forms: "'self'", trusted_types: "lit-html", ..Page::default() };
        let may = "script-src 'self'; form-action 'self'; trusted-types lit-html";
        assert_eq!(policy(page), format!("{EVERY_PAGE}; {may}"));
        let headers = page.headers().unwrap();
        assert_eq!(headers.len(), ANSWER.len() + PAGE.len());
        assert_eq!(headers["referrer-policy"], "no-referrer");
    }

    #[test]
    fn what_cannot_stand_in_a_header_is_refused() {
        assert!(Page { scripts: "'self'\r\nset-cookie: a", ..Page::default() }.headers().is_err());
    }
}
