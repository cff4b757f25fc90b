//! The mails that were sent: kept in order, given as JSON or as a page.

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

/// Where the mails are shown.
pub const PATH: &str = "/_dev/mail";

const KIND: &str = "mail";

/// Mail HTML is shown in a sandboxed frame, which inherits this policy: it may style itself, and that is all.
static PAGE: LazyLock<HeaderMap> = LazyLock::new(|| {
    let may = lambda_api::headers::Page {
        styles: "'unsafe-inline'",
        images: "data:",
        frames: "'self'",
        ..lambda_api::headers::Page::default()
    };
    may.headers().expect("these are words of a policy")
});

/// A mail as it is handed over for sending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingMail {
    /// Every recipient, To, Cc and Bcc alike.
    pub to: Vec<String>,
    /// The sender, as in the From header.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The headers that the sender added.
    pub headers: BTreeMap<String, String>,
    /// SES's message tags, which come back with its events.
    pub tags: BTreeMap<String, String>,
    /// SES's configuration set.
    pub configuration_set: Option<String>,
}

/// A mail that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// The id that SES gave for it.
    pub message_id: String,
    /// When it was sent, seconds since the Unix epoch.
    pub sent_at: i64,
    /// What was sent.
    #[serde(flatten)]
    pub message: OutgoingMail,
}

/// A mail as `GET /_dev/mail` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The id that SES gave for it.
    pub message_id: String,
    /// The recipient; several are separated by commas.
    pub to: String,
    /// The sender.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The link with a fragment that the text part holds.
    pub link: Option<String>,
    /// The link's fragment.
    pub token: Option<String>,
    /// The headers that the sender added.
    pub headers: BTreeMap<String, String>,
    /// When it was sent, RFC 3339.
    pub sent_at: String,
}

/// All mails. Clones share them.
#[derive(Clone)]
pub struct Mailbox {
    state: State,
    clock: LocalClock,
    /// In the order of sending: what the state holds is asked for by it, since thousands of mails would fill the memory.
    sent: Arc<RwLock<Vec<Sent>>>,
}

/// What is remembered of a mail.
struct Sent {
    message_id: String,
    to: Vec<String>,
}

impl Sent {
    fn of(mail: &Mail) -> Self {
        Self { message_id: mail.message_id.clone(), to: mail.message.to.clone() }
    }

    fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| bare(to).eq_ignore_ascii_case(bare(address)))
    }
}

impl Mailbox {
    /// Opens the mailbox with what the state holds.
    pub fn open(state: State, clock: LocalClock) -> Result<Self, StateError> {
        let kept = state.list::<Mail>(KIND)?.iter().map(|(_, mail)| Sent::of(mail)).collect();
        Ok(Self { state, clock, sent: Arc::new(RwLock::new(kept)) })
    }

    /// Takes a mail in and gives its message id. It is on disk when this returns.
    pub fn deliver(&self, message: OutgoingMail) -> Result<String, StateError> {
        let mut sent = self.sent.write().unwrap_or_else(PoisonError::into_inner);
        let mail = Mail { message_id: self.message_id(), sent_at: self.clock.now_unix(), message };
        // The order is the number's, not the clock's: the clock can be wherever it likes.
        self.state.put(KIND, &id(sent.len()), &mail)?;
        sent.push(Sent::of(&mail));
        Ok(mail.message_id)
    }

    /// The mails to that address, or all of them, newest first.
    #[must_use]
    pub fn items(&self, to: Option<&str>) -> Vec<Item> {
        let wanted = self.numbers(|sent| to.is_none_or(|to| sent.is_to(to)));
        wanted.into_iter().filter_map(|number| Some(self.read(number)?.item())).collect()
    }

    /// The mail of that message id.
    #[must_use]
    pub fn find(&self, message_id: &str) -> Option<Mail> {
        let wanted = self.numbers(|sent| sent.message_id == message_id);
        self.read(*wanted.first()?)
    }

    /// The numbers of the mails that are wanted, newest first.
    fn numbers(&self, wanted: impl Fn(&Sent) -> bool) -> Vec<usize> {
        let sent = self.sent.read().unwrap_or_else(PoisonError::into_inner);
        (0..sent.len()).rev().filter(|number| wanted(&sent[*number])).collect()
    }

    fn read(&self, number: usize) -> Option<Mail> {
        let read = self.state.get(KIND, &id(number));
        read.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a mail cannot be shown");
            None
        })
    }

    /// `GET /_dev/mail`, as JSON or as a page.
    pub fn router(self) -> Router {
        Router::new().route(PATH, routing::get(show)).with_state(self)
    }

    /// Ids of the form that SES gives.
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
    /// The mail as `GET /_dev/mail` shows it.
    #[must_use]
    pub fn item(&self) -> Item {
        let OutgoingMail { to, from, subject, text, html, headers, .. } = self.message.clone();
        let link = text.as_deref().and_then(link_in).map(str::to_owned);
        let token = link.as_deref().and_then(|link| link.split_once('#')).map(|(_, token)| token.to_owned());
        Item {
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

/// What the state calls the mail of that number.
fn id(number: usize) -> String {
    format!("{number:012}")
}

/// The address without a display name.
fn bare(address: &str) -> &str {
    match (address.rfind('<'), address.rfind('>')) {
        (Some(start), Some(end)) if start < end => &address[start + 1..end],
        _ => address.trim(),
    }
}

/// The first web link with a fragment: no other link in a mail of ours has one.
fn link_in(text: &str) -> Option<&str> {
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
struct Asked {
    to: Option<String>,
}

#[derive(Serialize)]
struct Items {
    items: Vec<Item>,
}

#[derive(Template)]
#[template(path = "mailbox.html")]
struct Page<'a> {
    to: Option<&'a str>,
    items: &'a [Item],
}

async fn show(
    extract::State(mailbox): extract::State<Mailbox>,
    Query(Asked { to }): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    // An empty field is what a form sends for "all".
    let to = to.filter(|to| !to.is_empty());
    let items = mailbox.items(to.as_deref());
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if !wants_page {
        return Json(Items { items }).into_response();
    }
    match (Page { to: to.as_deref(), items: &items }).render() {
        Ok(page) => (PAGE.clone(), Html(page)).into_response(),
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
    fn the_newest_comes_first_and_only_to_whom_was_asked_for() {
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
    fn an_item_is_what_the_contract_says() {
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
    fn the_link_is_found_without_what_surrounds_it() {
        assert_eq!(link_in("Go to <https://a.example/x#t>."), Some("https://a.example/x#t"));
        assert_eq!(link_in("https://a.example/#"), None);
        assert_eq!(link_in("https://a.example/ and javascript:x#y"), None);
    }

    #[test]
    fn mails_outlive_the_process_in_order() {
        let (mailbox, state) = mailbox();
        for n in 0..12 {
            mailbox.deliver(message("a@x.example", &n.to_string())).unwrap();
        }
        let again = Mailbox::open(state, LocalClock::new()).unwrap();
        assert_eq!(again.items(None), mailbox.items(None));
        let id = again.deliver(message("a@x.example", "12")).unwrap();
        assert_eq!(again.items(None).len(), 13);
        assert_eq!(again.find(&id).unwrap().message.subject, "12");
        assert!(again.find("nobody's").is_none());
    }

    #[tokio::test]
    async fn without_a_wish_for_a_page_it_is_json() {
        let (mailbox, _) = mailbox();
        mailbox.deliver(message("a+b@x.example", "Hello")).unwrap();
        let request = http::Request::get("/_dev/mail?to=a%2Bb@x.example").body(Body::empty()).unwrap();
        let (status, _, body) = send(mailbox.router(), request).await;
        assert_eq!(status, StatusCode::OK);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["items"][0]["subject"], "Hello");
    }

    #[tokio::test]
    async fn the_page_escapes_everything_and_runs_nothing() {
        let (mailbox, _) = mailbox();
        mailbox.deliver(message("a@x.example", "<script>alert(2)</script>")).unwrap();
        let request =
            http::Request::get("/_dev/mail").header("accept", "text/html").body(Body::empty()).unwrap();
        let (status, headers, body) = send(mailbox.router(), request).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!body.contains("<script"), "{body}");
        assert!(body.contains("sandbox=\""), "{body}");
        // Where the links lead shows in no frame, so they open a window as a mail client's do.
        assert!(body.contains("<base target='_blank'>\"></iframe>"), "{body}");
        assert!(body.contains(&format!("href=\"{LINK}\"")), "{body}");
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("script-src"), "{policy}");
    }
}
