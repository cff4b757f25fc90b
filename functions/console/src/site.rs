//! What is served, ready to be sent.

use std::collections::BTreeMap;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, InvalidHeaderValue,
    VARY,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use lambda_api::headers;
use lambda_http::{Body, Response};
use sha2::{Digest as _, Sha256};

use crate::config::{Config, origin};
use crate::files::Files;

/// Where a page is told its [`Config`].
const TOLD_HERE: &str = r#"<meta name="roster-config" content="">"#;
/// Says how to build the console: what there is without Node.
const UNBUILT: &str = include_str!("../pages/unbuilt.html");
/// The two pages: the path and the file.
const PAGES: [(&str, &str); 2] = [("/", "index.html"), ("/accept", "accept.html")];
const ASSETS: &str = "/assets/";
/// A year, since a file's name changes with what is in it; browsers keep nothing for longer.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Compressed siblings, the smaller one first: what they are called in HTTP, and as files.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Why what was built cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// A page is not among the files.
    #[error("the built console has no {0}")]
    NoPage(&'static str),
    /// There is no place, or more than one, where it could be told its configuration.
    #[error("{0} has not exactly one {TOLD_HERE}")]
    NoPlace(&'static str),
    /// A page is no text.
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
    /// The configuration's token URL.
    #[error("the token URL is no http or https URL")]
    TokenUrl,
    /// The configuration.
    #[error("the configuration is no JSON")]
    Config(#[from] serde_json::Error),
    /// A policy.
    #[error("the pages' policy cannot stand in a header")]
    Policy(#[from] InvalidHeaderValue),
}

/// Pages and assets.
#[derive(Debug, Clone)]
pub struct Site {
    pages: BTreeMap<&'static str, Page>,
    assets: Files,
}

/// A page, with its headers. It is sent as it is: some 2 kB, which compressing makes no round trip fewer.
#[derive(Debug, Clone)]
struct Page {
    html: String,
    headers: HeaderMap,
}

impl Site {
    /// What was built, told `config`.
    pub fn new(files: Files, config: &Config) -> Result<Self, SiteError> {
        let told = format!(
            r#"<meta name="roster-config" content="{}">"#,
            attribute(&serde_json::to_string(config)?)
        );
        // Where tokens come from is the one place besides its own origin that a page calls.
        let calls = format!("'self' {}", origin(&config.token_url).ok_or(SiteError::TokenUrl)?);
        let may = headers::Page {
            scripts: "'self'",
            styles: "'self'",
            // The icon.
            images: "'self'",
            calls: &calls,
            // Lit's templates, the only HTML that is made of text.
            trusted_types: "lit-html",
            ..headers::Page::default()
        };
        let page = |(path, file): (&'static str, &'static str)| {
            let html = files.0.get(file).ok_or(SiteError::NoPage(file))?;
            let html = std::str::from_utf8(html).map_err(|_| SiteError::NotText(file))?;
            if html.matches(TOLD_HERE).count() != 1 {
                return Err(SiteError::NoPlace(file));
            }
            Ok((path, Page::new(html.replacen(TOLD_HERE, &told, 1), may)?))
        };
        let pages = PAGES.into_iter().map(page).collect::<Result<_, _>>()?;
        Ok(Self { pages, assets: files })
    }

    /// Says how to build the console, at the address of every page.
    pub fn unbuilt() -> Result<Self, SiteError> {
        Self::of_one_page(UNBUILT, &[])
    }

    /// `html`, which brings its own `<style>`, at the address of every page; and the `scripts` that it loads, by the
    /// file's name below `/assets/`.
    pub fn of_one_page(html: &str, scripts: &[(&str, &'static str)]) -> Result<Self, SiteError> {
        let styles = own_styles(html);
        let may = headers::Page {
            styles: &styles,
            scripts: if scripts.is_empty() { "" } else { "'self'" },
            ..headers::Page::default()
        };
        let page = Page::new(html.to_owned(), may)?;
        let asset =
            |(name, text): &(&str, &'static str)| (format!("assets/{name}").into(), text.as_bytes().into());
        Ok(Self {
            pages: PAGES.into_iter().map(|(path, _)| (path, page.clone())).collect(),
            assets: Files(scripts.iter().map(asset).collect()),
        })
    }

    /// The answer to `GET path`.
    #[must_use]
    pub fn answer(&self, path: &str, asked: &HeaderMap) -> Response<Body> {
        if let Some(page) = self.pages.get(path) {
            return page.answer(asked);
        }
        let asset = path.strip_prefix(ASSETS).and_then(|name| self.asset(name, asked));
        // What is missing now may be there after the next deployment: `lambda_api::http` lets nobody keep this.
        asset.unwrap_or_else(|| {
            answer(StatusCode::NOT_FOUND, text("text/plain; charset=utf-8"), "Not found\n".into())
        })
    }

    fn asset(&self, name: &str, asked: &HeaderMap) -> Option<Response<Body>> {
        let file = |ending: &str| self.assets.0.get(format!("assets/{name}{ending}").as_str());
        let whole = file("")?;
        let mut headers = text(content_type(name));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(FOR_EVER));
        headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        let smaller = ENCODINGS
            .into_iter()
            .filter(|(coding, _)| accepts(asked, coding))
            .find_map(|(coding, ending)| Some((coding, file(ending)?)));
        let body = match smaller {
            Some((coding, content)) => {
                headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
                Body::Binary(content.to_vec())
            }
            // Text needs no base64 on its way through API Gateway.
            None => match std::str::from_utf8(whole) {
                Ok(content) => Body::Text(content.to_owned()),
                Err(_) => Body::Binary(whole.to_vec()),
            },
        };
        Some(answer(StatusCode::OK, headers, body))
    }
}

impl Page {
    fn new(html: String, may: headers::Page<'_>) -> Result<Self, InvalidHeaderValue> {
        let mut headers = may.headers()?;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        // It may be kept, and is asked for each time: a deployment is seen at once.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let digest = Sha256::digest(html.as_bytes());
        headers
            .insert(ETAG, HeaderValue::try_from(format!("\"{}\"", BASE64URL_NOPAD.encode(&digest[..15])))?);
        Ok(Self { html, headers })
    }

    fn answer(&self, asked: &HeaderMap) -> Response<Body> {
        let mut headers = self.headers.clone();
        if matches(asked, &headers[ETAG]) {
            headers.remove(CONTENT_TYPE);
            return answer(StatusCode::NOT_MODIFIED, headers, Body::Empty);
        }
        answer(StatusCode::OK, headers, Body::Text(self.html.clone()))
    }
}

fn answer(status: StatusCode, headers: HeaderMap, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn text(content_type: &'static str) -> HeaderMap {
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

/// The items of a header that is a list, however many lines it has.
fn items<'a>(asked: &'a HeaderMap, name: &http::HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = asked.get_all(name).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim)
}

/// Whether the browser has the page already (RFC 9110, section 13.1.2): a proxy that compresses makes a tag weak.
fn matches(asked: &HeaderMap, tag: &HeaderValue) -> bool {
    items(asked, &IF_NONE_MATCH).any(|it| it == "*" || it.strip_prefix("W/").unwrap_or(it) == *tag)
}

/// Whether the browser takes `coding` (RFC 9110, section 12.5.3).
fn accepts(asked: &HeaderMap, coding: &str) -> bool {
    let mut any = false;
    for item in items(asked, &ACCEPT_ENCODING) {
        let (name, weight) = item.split_once(';').unwrap_or((item, ""));
        let weight = weight.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let taken =
            weight.is_none_or(|(_, weight)| weight.trim().parse().is_ok_and(|weight: f32| weight > 0.0));
        if name.trim().eq_ignore_ascii_case(coding) {
            return taken;
        }
        any |= name.trim() == "*" && taken;
    }
    any
}

/// `text` as it stands in an attribute.
fn attribute(text: &str) -> String {
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

/// A policy's source list for the `<style>` elements that stand in a page.
#[must_use]
pub fn own_styles(html: &str) -> String {
    let styles = html.split("<style>").skip(1).filter_map(|rest| rest.split("</style>").next());
    let hash = |style: &str| format!("'sha256-{}'", BASE64.encode(&Sha256::digest(style.as_bytes())));
    styles.map(hash).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
