//! SES version 2: `SendEmail` with `Simple` content, into the mailbox.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::AwsError;
use crate::mailbox::{Mailbox, OutgoingMail};

const RECIPIENTS_MAX: usize = 50;
const HEADERS_MAX: usize = 15;
const TAGS_MAX: usize = 50;
const TAG_BYTES_MAX: usize = 256;

/// The service.
pub struct Ses {
    mailbox: Mailbox,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    content: Content,
    #[serde(default)]
    email_tags: Vec<Pair>,
    configuration_set_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Destination {
    #[serde(rename = "ToAddresses")]
    to: Vec<String>,
    #[serde(rename = "CcAddresses")]
    cc: Vec<String>,
    #[serde(rename = "BccAddresses")]
    bcc: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Simple>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Data,
    body: Parts,
    #[serde(default)]
    headers: Vec<Pair>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parts {
    text: Option<Data>,
    html: Option<Data>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Data {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pair {
    name: String,
    value: String,
}

impl Ses {
    /// A service that delivers to that mailbox.
    #[must_use]
    pub fn new(mailbox: Mailbox) -> Self {
        Self { mailbox }
    }

    pub(super) fn send(&self, body: &[u8]) -> Result<Value, AwsError> {
        let request: SendEmail = serde_json::from_slice(body).map_err(|e| bad(e.to_string()))?;
        let message_id = self.mailbox.deliver(request.message()?)?;
        Ok(json!({"MessageId": message_id}))
    }
}

impl SendEmail {
    /// The mail, unless SES would refuse it.
    fn message(self) -> Result<OutgoingMail, AwsError> {
        let Destination { to, cc, bcc } = self.destination;
        let to = [to, cc, bcc].concat();
        if to.is_empty() {
            return Err(bad("Must have at least one destination"));
        }
        if to.len() > RECIPIENTS_MAX {
            return Err(bad("Recipient count exceeds 50."));
        }
        if let Some(address) = to.iter().find(|address| !is_address(address)) {
            return Err(bad(format!("Illegal address: {address:?}")));
        }
        let from = self.from_email_address.filter(|from| is_address(from));
        let from = from.ok_or_else(|| bad("FromEmailAddress is missing or no address"))?;
        let simple = self
            .content
            .simple
            .ok_or_else(|| bad("the laptop takes Simple content only, neither Raw nor Template"))?;
        let text = simple.body.text.map(|part| part.data).filter(|part| !part.is_empty());
        let html = simple.body.html.map(|part| part.data).filter(|part| !part.is_empty());
        if text.is_none() && html.is_none() {
            return Err(bad("Message body is empty"));
        }
        if simple.headers.len() > HEADERS_MAX {
            return Err(bad("more than 15 headers"));
        }
        if let Some(header) = simple.headers.iter().find(|header| !header.is_header()) {
            return Err(bad(format!("Invalid header {:?}", header.name)));
        }
        if self.email_tags.len() > TAGS_MAX {
            return Err(bad("more than 50 tags"));
        }
        if let Some(tag) = self.email_tags.iter().find(|tag| !tag.is_tag()) {
            return Err(bad(format!(
                "Invalid tag {:?} = {:?}: only alphanumeric ASCII characters, '_' and '-' are allowed",
                tag.name, tag.value
            )));
        }
        Ok(OutgoingMail {
            to,
            from,
            subject: simple.subject.data,
            text,
            html,
            headers: pairs(simple.headers),
            tags: pairs(self.email_tags),
            configuration_set: self.configuration_set_name,
        })
    }
}

impl Pair {
    fn is_header(&self) -> bool {
        let name = |c: char| c.is_ascii_graphic() && c != ':';
        let value = |c: char| c.is_ascii() && !c.is_ascii_control();
        !self.name.is_empty() && self.name.chars().all(name) && self.value.chars().all(value)
    }

    fn is_tag(&self) -> bool {
        let fits = |text: &str| {
            (1..=TAG_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        fits(&self.name) && fits(&self.value)
    }
}

fn pairs(pairs: Vec<Pair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

/// What SES rejects at the door; it is no judge of addresses beyond that.
fn is_address(text: &str) -> bool {
    let bare = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    bare.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && bare.bytes().all(|byte| byte.is_ascii_graphic())
}

fn bad(message: impl Into<String>) -> AwsError {
    AwsError::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
}
