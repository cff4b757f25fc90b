//! SES version 2: delivers `SendEmail` requests with `Simple` content to the mailbox, and lists one identity.

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
/// The domain of the laptop's sender. The laptop accepts any other sender, too.
const IDENTITY: &str = "roster.example";

/// The SES service.
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
    /// Creates a service that delivers to `mailbox`.
    #[must_use]
    pub fn new(mailbox: Mailbox) -> Self {
        Self { mailbox }
    }

    pub(super) fn send(&self, body: &[u8]) -> Result<Value, AwsError> {
        let request: SendEmail = serde_json::from_slice(body).map_err(|e| bad_request(e.to_string()))?;
        let message_id = self.mailbox.deliver(request.into_mail()?)?;
        Ok(json!({"MessageId": message_id}))
    }
}

/// Returns the response body of `ListEmailIdentities`.
pub(super) fn identities() -> Value {
    let identity = json!({
        "IdentityName": IDENTITY,
        "IdentityType": "DOMAIN",
        "SendingEnabled": true,
        "VerificationStatus": "SUCCESS",
    });
    json!({"EmailIdentities": [identity]})
}

impl SendEmail {
    /// Converts the request to a mail. Fails if SES would reject the request.
    fn into_mail(self) -> Result<OutgoingMail, AwsError> {
        let Destination { to, cc, bcc } = self.destination;
        let to = [to, cc, bcc].concat();
        if to.is_empty() {
            return Err(bad_request("Must have at least one destination"));
        }
        if to.len() > RECIPIENTS_MAX {
            return Err(bad_request("Recipient count exceeds 50."));
        }
        if let Some(address) = to.iter().find(|address| !is_address(address)) {
            return Err(bad_request(format!("Illegal address: {address:?}")));
        }
        let from = self.from_email_address.filter(|from| is_address(from));
        let from = from.ok_or_else(|| bad_request("FromEmailAddress is missing or not an address"))?;
        let simple = self
            .content
            .simple
            .ok_or_else(|| bad_request("the laptop supports only Simple content, not Raw or Template"))?;
        let text = simple.body.text.map(|part| part.data).filter(|part| !part.is_empty());
        let html = simple.body.html.map(|part| part.data).filter(|part| !part.is_empty());
        if text.is_none() && html.is_none() {
            return Err(bad_request("Message body is empty"));
        }
        if simple.headers.len() > HEADERS_MAX {
            return Err(bad_request("more than 15 headers"));
        }
        if let Some(header) = simple.headers.iter().find(|header| !header.is_valid_header()) {
            return Err(bad_request(format!("Invalid header {:?}", header.name)));
        }
        if self.email_tags.len() > TAGS_MAX {
            return Err(bad_request("more than 50 tags"));
        }
        if let Some(tag) = self.email_tags.iter().find(|tag| !tag.is_valid_tag()) {
            return Err(bad_request(format!(
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
            headers: to_map(simple.headers),
            tags: to_map(self.email_tags),
            configuration_set: self.configuration_set_name,
        })
    }
}

impl Pair {
    fn is_valid_header(&self) -> bool {
        let in_name = |c: char| c.is_ascii_graphic() && c != ':';
        let in_value = |c: char| c.is_ascii() && !c.is_ascii_control();
        !self.name.is_empty() && self.name.chars().all(in_name) && self.value.chars().all(in_value)
    }

    fn is_valid_tag(&self) -> bool {
        let is_valid = |text: &str| {
            (1..=TAG_BYTES_MAX).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        };
        is_valid(&self.name) && is_valid(&self.value)
    }
}

fn to_map(pairs: Vec<Pair>) -> BTreeMap<String, String> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

/// Checks the same as SES when it accepts a mail: a local part, a domain, and printable ASCII.
fn is_address(text: &str) -> bool {
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && address.bytes().all(|byte| byte.is_ascii_graphic())
}

fn bad_request(message: impl Into<String>) -> AwsError {
    AwsError::new(StatusCode::BAD_REQUEST, "BadRequestException", message)
}
