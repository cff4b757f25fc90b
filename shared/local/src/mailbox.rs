//! The mailbox: stores the mails that were sent and shows them as JSON or as an HTML page.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use askama::Template;
use axum::{
    Json, Router,
    extract::{self, Query},
    http::{HeaderMap, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing,
};
use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    clock::LocalClock,
    random,
    state::{State, StateError},
};

/// The path of the mailbox.
pub const PATH: &str = "/_dev/mail";

const KIND: &str = "mail";

/// The headers of the HTML page.
///
/// The page shows the mails' HTML in sandboxed frames, which inherit its content security policy. The policy allows
/// them only inline styles and `data:` images.
static PAGE_HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let policy = lambda_api::headers::PagePolicy {
        styles: "'unsafe-inline'",
        images: "data:",
        frames: "'self'",
        ..lambda_api::headers::PagePolicy::default()
    };
    policy.headers().expect("the policy is a valid header value")
});

/// A mail to send.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingMail {
    /// All recipients: To, Cc and Bcc.
    pub to: Vec<String>,
    /// The sender, in the form of the From header.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The headers that the sender added.
    pub headers: BTreeMap<String, String>,
    /// SES's message tags. SES returns them in its events about the mail.
    pub tags: BTreeMap<String, String>,
    /// SES's configuration set.
    pub configuration_set: Option<String>,
}

/// A mail that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// SES's id of the mail.
    pub message_id: String,
    /// When the mail was sent, in seconds since the Unix epoch.
    pub sent_at: i64,
    /// The mail itself.
    #[serde(flatten)]
    pub message: OutgoingMail,
}

/// A mail in the response of `GET /_dev/mail`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MailItem {
    /// SES's id of the mail.
    pub message_id: String,
    /// The recipients, separated by commas.
    pub to: String,
    /// The sender.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The first link with a fragment in the text part.
    pub link: Option<String>,
    /// The fragment of `link`.
    pub token: Option<String>,
    /// The headers that the sender added.
    pub headers: BTreeMap<String, String>,
    /// When the mail was sent, in RFC 3339 format.
    pub sent_at: String,
}

/// The mailbox. Clones share its mails.
#[derive(Clone)]
pub struct Mailbox {
    state: State,
    clock: LocalClock,
    /// All mails, in the order of sending. Only the state holds their content, because thousands of mails would use too
    /// much memory.
    index: Arc<RwLock<Vec<IndexEntry>>>,
}

/// The fields of a mail that the mailbox searches by.
struct IndexEntry {
    message_id: String,
    to: Vec<String>,
}

impl IndexEntry {
    fn of(mail: &Mail) -> Self {
        Self { message_id: mail.message_id.clone(), to: mail.message.to.clone() }
    }

    fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| bare_address(to).eq_ignore_ascii_case(bare_address(address)))
    }
}

impl Mailbox {
    /// Opens the mailbox with the mails in the state.
    pub fn open(state: State, clock: LocalClock) -> Result<Self, StateError> {
        let index = state.list::<Mail>(KIND)?.iter().map(|(_, mail)| IndexEntry::of(mail)).collect();
        Ok(Self { state, clock, index: Arc::new(RwLock::new(index)) })
    }

    /// Stores a mail in the state and returns its message id.
    pub fn deliver(&self, message: OutgoingMail) -> Result<String, StateError> {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let mail = Mail { message_id: self.message_id(), sent_at: self.clock.now_unix(), message };
        // Mails are ordered by number and not by time, because the clock may be set back.
        self.state.put(KIND, &state_id(index.len()), &mail)?;
        index.push(IndexEntry::of(&mail));
        Ok(mail.message_id)
    }

    /// Returns the mails to the address `to`, or all mails, newest first.
    #[must_use]
    pub fn items(&self, to: Option<&str>) -> Vec<MailItem> {
        let numbers = self.numbers(|entry| to.is_none_or(|to| entry.is_to(to)));
        numbers.into_iter().filter_map(|number| Some(self.read(number)?.item())).collect()
    }

    /// Returns the mail with this message id.
    #[must_use]
    pub fn find(&self, message_id: &str) -> Option<Mail> {
        let numbers = self.numbers(|entry| entry.message_id == message_id);
        self.read(*numbers.first()?)
    }

    /// Returns the numbers of the mails that match, newest first.
    fn numbers(&self, matches: impl Fn(&IndexEntry) -> bool) -> Vec<usize> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        (0..index.len()).rev().filter(|number| matches(&index[*number])).collect()
    }

    fn read(&self, number: usize) -> Option<Mail> {
        let result = self.state.get(KIND, &state_id(number));
        result.unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a mail could not be read from the state"
            );
            None
        })
    }

    /// Creates the route `GET /_dev/mail`.
    ///
    /// The response is an HTML page if the `Accept` header contains `text/html`, and JSON otherwise.
    pub fn router(self) -> Router {
        Router::new().route(PATH, routing::get(get_mails)).with_state(self)
    }

    /// Makes a message id in the form of SES's ids.
    fn message_id(&self) -> String {
        let hex = random::hex::<16>();
        format!(
            "{:016x}-{}-{}-{}-{}-{}-000000",
            self.clock.now_unix_millis(),
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }
}

impl Mail {
    /// Returns the mail in the form of the response of `GET /_dev/mail`.
    #[must_use]
    pub fn item(&self) -> MailItem {
        let OutgoingMail { to, from, subject, text, html, headers, .. } = self.message.clone();
        let link = text.as_deref().and_then(find_link).map(str::to_owned);
        let token = link.as_deref().and_then(|link| link.split_once('#')).map(|(_, token)| token.to_owned());
        MailItem {
            message_id: self.message_id.clone(),
            to: to.join(", "),
            from,
            subject,
            text,
            html,
            link,
            token,
            headers,
            sent_at: rfc3339(self.sent_at),
        }
    }
}

/// Returns the id of a mail in the state, by the mail's number.
fn state_id(number: usize) -> String {
    format!("{number:012}")
}

/// Returns the address without a display name.
fn bare_address(address: &str) -> &str {
    match (address.rfind('<'), address.rfind('>')) {
        (Some(start), Some(end)) if start < end => &address[start + 1..end],
        _ => address.trim(),
    }
}

/// Returns the first web link with a fragment. The link with the token is the only one in Roster's mails that has a
/// fragment.
fn find_link(text: &str) -> Option<&str> {
    text.split_whitespace()
        .map(|word| word.trim_start_matches(['<', '(', '[']))
        .map(|word| word.trim_end_matches(['>', ')', ']', '.', ',', ';']))
        .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
        .find(|word| word.split_once('#').is_some_and(|(_, fragment)| !fragment.is_empty()))
}

fn rfc3339(unix: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| unix.to_string())
}

#[derive(Deserialize)]
struct MailQuery {
    to: Option<String>,
}

#[derive(Serialize)]
struct MailItems {
    items: Vec<MailItem>,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct MailboxPage<'a> {
    to: Option<&'a str>,
    items: &'a [MailItem],
}

async fn get_mails(
    extract::State(mailbox): extract::State<Mailbox>,
    Query(MailQuery { to }): Query<MailQuery>,
    headers: HeaderMap,
) -> Response {
    // A form sends an empty field when the user asks for all mails.
    let to = to.filter(|to| !to.is_empty());
    let items = mailbox.items(to.as_deref());
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !wants_page {
        return Json(MailItems { items }).into_response();
    }
    match (MailboxPage { to: to.as_deref(), items: &items }).render() {
        Ok(page) => (PAGE_HEADERS.clone(), Html(page)).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use dynoxide::Database;

    use super::*;
    use crate::testing::send;

    const LINK: &str = "http://127.0.0.1:4000/accept#v1.k.org_1.inv_2.1.1700000000.abc-_";

    fn mailbox() -> (Mailbox, State) {
        let state = State::open(Database::memory().unwrap()).unwrap();
        (Mailbox::open(state.clone(), LocalClock::new()).unwrap(), state)
    }

    fn message(to: &str, subject: &str) -> OutgoingMail {
        OutgoingMail {
            to: vec![to.to_owned()],
            from: "Roster <no-reply@roster.example>".to_owned(),
            subject: subject.to_owned(),
            text: Some(format!("Hello,\nsee https://roster.example/ or accept here:\n\n{LINK}\n")),
            html: Some("<p style=\"color:red\">\"Hello\"</p><script>alert(1)</script>".to_owned()),
            headers: [("Auto-Submitted".to_owned(), "auto-generated".to_owned())].into(),
            ..OutgoingMail::default()
        }
    }

    #[test]
    fn lists_only_the_mails_to_the_given_address_newest_first() {
        let (mailbox, _) = mailbox();
        for (to, subject) in [("a@x.example", "1"), ("b@x.example", "2"), ("A <a@X.example>", "3")] {
            mailbox.deliver(message(to, subject)).unwrap();
        }
        let subjects = |to| mailbox.items(to).into_iter().map(|item| item.subject).collect::<Vec<_>>();
        assert_eq!(subjects(None), ["3", "2", "1"]);
        assert_eq!(subjects(Some("a@x.example")), ["3", "1"]);
        assert_eq!(subjects(Some("c@x.example")), [""; 0]);
    }

    #[test]
    fn an_item_has_the_documented_fields() {
        let (mailbox, _) = mailbox();
        let id = mailbox.deliver(message("a@x.example", "Hello")).unwrap();
        let item = serde_json::to_value(&mailbox.items(None)[0]).unwrap();
        let mut names: Vec<_> = item.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["from", "headers", "html", "link", "message_id", "sent_at", "subject", "text", "to", "token"]
        );
        assert_eq!(item["message_id"], id);
        assert_eq!(item["to"], "a@x.example");
        assert_eq!(item["link"], LINK);
        assert_eq!(item["token"], LINK.split_once('#').unwrap().1);
        assert_eq!(item["headers"]["Auto-Submitted"], "auto-generated");
        assert_eq!(item["sent_at"].as_str().unwrap().len(), "2026-01-01T00:00:00Z".len());
    }

    #[test]
    fn finds_the_link_without_surrounding_punctuation() {
        assert_eq!(find_link("Go to <https://a.example/x#t>."), Some("https://a.example/x#t"));
        assert_eq!(find_link("https://a.example/#"), None);
        assert_eq!(find_link("https://a.example/ and javascript:x#y"), None);
    }

    #[test]
    fn loads_stored_mails_in_order_after_a_restart() {
        let (mailbox, state) = mailbox();
        for n in 0..12 {
            mailbox.deliver(message("a@x.example", &n.to_string())).unwrap();
        }
        let reopened = Mailbox::open(state, LocalClock::new()).unwrap();
        assert_eq!(reopened.items(None), mailbox.items(None));
        let id = reopened.deliver(message("a@x.example", "12")).unwrap();
        assert_eq!(reopened.items(None).len(), 13);
        assert_eq!(reopened.find(&id).unwrap().message.subject, "12");
        assert!(reopened.find("missing").is_none());
    }

    #[tokio::test]
    async fn responds_with_json_without_an_accept_header() {
        let (mailbox, _) = mailbox();
        mailbox.deliver(message("a+b@x.example", "Hello")).unwrap();
        let request = http::Request::get("/_dev/mail?to=a%2Bb@x.example").body(Body::empty()).unwrap();
        let (status, _, body) = send(mailbox.router(), request).await;
        assert_eq!(status, StatusCode::OK);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["items"][0]["subject"], "Hello");
    }

    #[tokio::test]
    async fn the_page_escapes_mail_content_and_allows_no_scripts() {
        let (mailbox, _) = mailbox();
        mailbox.deliver(message("a@x.example", "<script>alert(2)</script>")).unwrap();
        let request =
            http::Request::get("/_dev/mail").header("accept", "text/html").body(Body::empty()).unwrap();
        let (status, headers, body) = send(mailbox.router(), request).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!body.contains("<script"), "{body}");
        assert!(body.contains("sandbox=\""), "{body}");
        // The linked pages forbid framing, so links open in a new window, as in a mail client.
        assert!(body.contains("<base target='_blank'>\"></iframe>"), "{body}");
        assert!(body.contains(&format!("href=\"{LINK}\"")), "{body}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    }
}
