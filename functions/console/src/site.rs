//! The site: pages and assets, with their headers.

use std::collections::BTreeMap;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, InvalidHeaderValue,
    LOCATION, VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use lambda_api::headers;
use lambda_http::{Body, Response};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, origin};
use crate::files::Files;

/// The placeholder in each page. The site replaces it with an element that contains the [`Config`].
const CONFIG_PLACEHOLDER: &str = r#"<meta name="roster-config" content="">"#;
/// The page with build instructions, which is served if the pages are not built.
const UNBUILT: &str = include_str!("../pages/unbuilt.html");
/// The two pages, as (path, file).
const PAGES: [(&str, &str); 2] = [("/", "index.html"), ("/accept", "accept.html")];
const ASSETS: &str = "/assets/";
/// The beginnings of a link to the accept page whose `#` is encoded once or twice. Programs that check the links in mails
/// encode it.
const ENCODED_LINKS: [&str; 2] = ["/accept%23", "/accept%2523"];
/// The `Cache-Control` of assets. Browsers cache an asset for a year, because a file with other content has another
/// name.
const CACHE_FOREVER: &str = "public, max-age=31536000, immutable";
/// The encodings of compressed assets, the smallest first, as (name in HTTP, file extension).
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Why the built files cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A page is missing.
    #[error("the built console has no {0}")]
    MissingPage(&'static str),
    /// A page has no placeholder for the configuration, or more than one.
    #[error("{0} does not contain exactly one {CONFIG_PLACEHOLDER}")]
    Placeholder(&'static str),
    /// A page is not UTF-8 text.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// The token URL of the configuration is invalid.
    #[error("the token URL is not an http or https URL")]
    TokenUrl,
    /// The configuration cannot be written as JSON.
    #[error("the configuration cannot be written as JSON")]
    Config(#[from] serde_json::Error),
    /// The Content-Security-Policy of a page contains invalid characters.
    #[error("the Content-Security-Policy is not a valid header value")]
    Policy(#[from] InvalidHeaderValue),
}

/// The pages and assets that the function serves.
#[derive(Debug, Clone)]
pub struct Site {
    pages: BTreeMap<&'static str, Page>,
    assets: Files,
}

/// A page and its headers. A page has about 2 kB and is not compressed, because that would not save a round trip.
#[derive(Debug, Clone)]
struct Page {
    html: String,
    headers: HeaderMap,
}

impl Site {
    /// Creates the site of the built `files`, with `config` in each page.
    pub fn new(files: Files, config: &Config) -> Result<Self, SiteError> {
        let config_element = format!(
            r#"<meta name="roster-config" content="{}">"#,
            escape_attribute(&serde_json::to_string(config)?)
        );
        // Besides its own origin, a page calls only the token URL.
        let calls = format!("'self' {}", origin(&config.token_url).ok_or(SiteError::TokenUrl)?);
        let policy = headers::PagePolicy {
            scripts: "'self'",
            styles: "'self'",
            // The icon of the page.
            images: "'self'",
            calls: &calls,
            // The policy of Lit's templates. No other code creates HTML from text.
            trusted_types: "lit-html",
            ..headers::PagePolicy::default()
        };
        let page = |(path, file): (&'static str, &'static str)| {
            let html = files.0.get(file).ok_or(SiteError::MissingPage(file))?;
            let html = std::str::from_utf8(html).map_err(|_| SiteError::NotText(file))?;
            if html.matches(CONFIG_PLACEHOLDER).count() != 1 {
                return Err(SiteError::Placeholder(file));
            }
            Ok((path, Page::new(html.replacen(CONFIG_PLACEHOLDER, &config_element, 1), policy)?))
        };
        let pages = PAGES.into_iter().map(page).collect::<Result<_, _>>()?;
        Ok(Self { pages, assets: files })
    }

    /// Creates a site that serves a page with build instructions at the path of every page.
    pub fn unbuilt() -> Result<Self, SiteError> {
        Self::single_page(UNBUILT, &[])
    }

    /// Creates a site that serves `html` at the path of every page.
    ///
    /// The page may contain `<style>` elements. It may load `scripts`, which are (file name below `/assets/`, text).
    pub fn single_page(html: &str, scripts: &[(&str, &'static str)]) -> Result<Self, SiteError> {
        let styles = style_hashes(html);
        let policy = headers::PagePolicy {
            styles: &styles,
            scripts: if scripts.is_empty() { "" } else { "'self'" },
            ..headers::PagePolicy::default()
        };
        let page = Page::new(html.to_owned(), policy)?;
        let asset =
            |(name, text): &(&str, &'static str)| (format!("assets/{name}").into(), text.as_bytes().into());
        Ok(Self {
            pages: PAGES.into_iter().map(|(path, _)| (path, page.clone())).collect(),
            assets: Files(scripts.iter().map(asset).collect()),
        })
    }

    /// Responds to `GET path`. The path is percent-encoded.
    #[must_use]
    pub fn answer(&self, path: &str, request_headers: &HeaderMap) -> Response<Body> {
        if let Some(page) = self.pages.get(path) {
            return page.answer(request_headers);
        }
        if let Some(location) = repaired_link(path) {
            // The token is in the fragment again, so the browser sends it to no server.
            let headers = HeaderMap::from_iter([(LOCATION, location)]);
            return respond(StatusCode::FOUND, headers, Body::Empty);
        }
        let asset = path.strip_prefix(ASSETS).and_then(|name| self.asset(name, request_headers));
        // A missing asset may exist after the next deployment. `lambda_api::http` adds `no-store` to this response.
        asset.unwrap_or_else(|| {
            let headers = content_type_header("text/plain; charset=utf-8");
            respond(StatusCode::NOT_FOUND, headers, "Not found\n".into())
        })
    }

    fn asset(&self, name: &str, request_headers: &HeaderMap) -> Option<Response<Body>> {
        let file = |extension: &str| self.assets.0.get(format!("assets/{name}{extension}").as_str());
        let uncompressed = file("")?;
        let mut headers = content_type_header(content_type(name));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(CACHE_FOREVER));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        let compressed = ENCODINGS
            .into_iter()
            .filter(|(encoding, _)| accepts(request_headers, encoding))
            .find_map(|(encoding, extension)| Some((encoding, file(extension)?)));
        let body = match compressed {
            Some((encoding, content)) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
                Body::Binary(content.to_vec())
            }
            // API Gateway transports text without base64.
            None => match std::str::from_utf8(uncompressed) {
                Ok(content) => Body::Text(content.to_owned()),
                Err(_) => Body::Binary(uncompressed.to_vec()),
            },
        };
        Some(respond(StatusCode::OK, headers, body))
    }
}

impl Page {
    fn new(html: String, policy: headers::PagePolicy<'_>) -> Result<Self, InvalidHeaderValue> {
        let mut headers = policy.headers()?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        // Browsers may cache the page, but must revalidate it each time. So a deployment takes effect at once.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let digest = Sha256::digest(html.as_bytes());
        headers
            .insert(ETAG, HeaderValue::try_from(format!("\"{}\"", BASE64URL_NOPAD.encode(&digest[..15])))?);
        Ok(Self { html, headers })
    }

    fn answer(&self, request_headers: &HeaderMap) -> Response<Body> {
        let mut headers = self.headers.clone();
        if has_current(request_headers, &headers[ETAG]) {
            headers.remove(CONTENT_TYPE);
            return respond(StatusCode::NOT_MODIFIED, headers, Body::Empty);
        }
        respond(StatusCode::OK, headers, Body::Text(self.html.clone()))
    }
}

/// Returns the link to the accept page that was encoded to `path`. Returns `None` if the path contains no token.
fn repaired_link(path: &str) -> Option<HeaderValue> {
    let token = ENCODED_LINKS.iter().find_map(|link| path.strip_prefix(link))?;
    let is_token =
        !token.is_empty() && token.bytes().all(|it| it.is_ascii_alphanumeric() || b"-._".contains(&it));
    HeaderValue::try_from(format!("/accept#{token}")).ok().filter(|_| is_token)
}

fn respond(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn content_type_header(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("txt") => "text/plain; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json" | "map") => "application/json",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

/// Returns the items of a list header. The header may occur several times.
fn list_items<'a>(request_headers: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = request_headers.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether the browser has the page with the `ETag` `tag` (RFC 9110, section 13.1.2).
///
/// The comparison ignores `W/`, because a proxy that compresses the page makes the `ETag` weak.
fn has_current(request_headers: &HeaderMap, tag: &HeaderValue) -> bool {
    list_items(request_headers, &IF_NONE_MATCH)
        .any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == *tag)
}

/// Whether the browser accepts `encoding` (RFC 9110, section 12.5.3).
fn accepts(request_headers: &HeaderMap, encoding: &str) -> bool {
    let mut accepts_any = false;
    for item in list_items(request_headers, &ACCEPT_ENCODING) {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let is_accepted =
            weight.is_none_or(|(_, weight)| weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0));
        if name.trim().eq_ignore_ascii_case(encoding) {
            return is_accepted;
        }
        accepts_any |= name.trim() == "*" && is_accepted;
    }
    accepts_any
}

/// Escapes `text` for an attribute of an HTML element.
fn escape_attribute(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 2);
    for it in text.chars() {
        escaped.push_str(match it {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&#39;",
            it => {
                escaped.push(it);
                continue;
            }
        });
    }
    escaped
}

/// Returns the hashes of the `<style>` elements of `html`, as the sources of a Content-Security-Policy.
#[must_use]
pub fn style_hashes(html: &str) -> String {
    let styles = html.split("<style>").skip(1).filter_map(|rest| rest.split("</style>").next());
    let hash = |style: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(style.as_bytes())));
    styles.map(hash).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
