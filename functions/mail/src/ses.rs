//! SES, and nothing else in this crate, speaks `SendEmail`.

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use domain::Link;

use crate::email::Email;

/// The service that sends mail, and from whom.
#[derive(Debug, Clone)]
pub struct Ses {
    client: Client,
    from: String,
    /// The part of `from` behind its `@`.
    domain: String,
    configuration_set: Option<String>,
}

/// Mail cannot come from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("MAIL_FROM must be an address, like no-reply@mail.example or \"Example\" <no-reply@mail.example>")]
pub struct InvalidSender;

/// Why SES did not take a mail. SES's own words may hold addresses, so none of them are kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It never will take this one.
    #[error("SES refuses the mail: {0}")]
    Refused(&'static str),
    /// It takes none now: too many at once, an outage, or sending is switched off.
    #[error("SES takes no mail now: {0}")]
    NotNow(String),
}

impl Ses {
    /// Sends from `from`; `configuration_set` says where SES reports what becomes of the mails.
    pub fn new(
        config: &SdkConfig,
        from: impl Into<String>,
        configuration_set: Option<String>,
    ) -> Result<Self, InvalidSender> {
        let from = from.into();
        let domain = domain(&from).ok_or(InvalidSender)?.to_owned();
        Ok(Self { client: Client::new(config), from, domain, configuration_set })
    }

    /// Sends `email`, tagged with what feedback on it is matched by.
    pub async fn send(&self, email: &Email, link: &Link) -> Result<(), SendError> {
        let message = message(email, &self.domain)
            .map_err(|_| SendError::NotNow("an incomplete message".to_owned()))?;
        let tags = tags(link).map_err(|_| SendError::NotNow("incomplete tags".to_owned()))?;
        self.client
            .send_email()
            .from_email_address(&self.from)
            .set_configuration_set_name(self.configuration_set.clone())
            .destination(Destination::builder().to_addresses(email.to.as_str()).build())
            .content(EmailContent::builder().simple(message).build())
            .set_email_tags(Some(tags))
            .send()
            .await
            .map(drop)
            .map_err(|error| judge(&error))
    }
}

/// The part behind the `@` of an address with or without a display name.
fn domain(from: &str) -> Option<&str> {
    let (_, domain) = from.rsplit_once('@')?;
    let domain = domain.strip_suffix('>').unwrap_or(domain);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (!domain.is_empty() && domain.bytes().all(is_plain)).then_some(domain)
}

/// There is no `Reply-To`. The sender's address would make answering easy, but it would also have the product's domain
/// vouch for whatever address a user of the product has, and filters hold replies to another domain against a mail. The
/// email shows the address, and whoever wants to ask can write to it.
fn message(email: &Email, domain: &str) -> Result<Message, BuildError> {
    let content = |data: &str| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder().text(content(&email.text)?).html(content(&email.html)?).build();
    let header = |name, value: &str| MessageHeader::builder().name(name).value(value).build();
    // SES chooses each mail's own id, so none can name the one before. They all answer one that was never sent, and so
    // are a thread.
    let thread = format!("<{}@{domain}>", email.thread);
    let message = Message::builder()
        .subject(content(&email.subject)?)
        .body(body)
        // Nobody's vacation notice has to answer it (RFC 3834).
        .headers(header("Auto-Submitted", "auto-generated")?)
        .headers(header("In-Reply-To", &thread)?)
        .headers(header("References", &thread)?);
    Ok(message.build())
}

fn tags(link: &Link) -> Result<Vec<MessageTag>, BuildError> {
    [
        ("organization", link.organization.to_string()),
        ("invitation", link.invitation.to_string()),
        ("generation", link.generation.0.to_string()),
        ("expires_at", link.expires_at.unix().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| MessageTag::builder().name(name).value(value).build())
    .collect()
}

/// Only two answers are about this one mail; all others are about the account, or pass.
fn judge<R>(error: &SdkError<SendEmailError, R>) -> SendError {
    match error {
        SdkError::ServiceError(service) => match service.err() {
            SendEmailError::MessageRejected(_) => SendError::Refused("MessageRejected"),
            SendEmailError::BadRequestException(_) => SendError::Refused("BadRequest"),
            other => SendError::NotNow(other.code().unwrap_or("an error without a code").to_owned()),
        },
        SdkError::TimeoutError(_) => SendError::NotNow("no answer in time".to_owned()),
        SdkError::DispatchFailure(_) => SendError::NotNow("it cannot be reached".to_owned()),
        _ => SendError::NotNow("no answer that can be read".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use aws_config::BehaviorVersion;
    use aws_config::retry::RetryConfig;
    use aws_sdk_sesv2::config::{Credentials, Region, SharedCredentialsProvider};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use domain::{EmailAddress, Generation, InvitationId, OrganizationId, Timestamp};
    use serde_json::{Value, json};

    use super::*;

    /// Answers every request alike, and keeps the last one.
    #[derive(Debug, Clone)]
    struct Answering {
        status: u16,
        code: &'static str,
        asked: Arc<Mutex<Value>>,
    }

    impl Answering {
        fn with(status: u16, code: &'static str) -> Self {
            Self { status, code, asked: Arc::default() }
        }

        fn ses(&self, configuration_set: Option<&str>) -> Ses {
            let answering = self.clone();
            let credentials = Credentials::new("test", "test", None, None, "test");
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(answering.clone())))
                .build();
            let set = configuration_set.map(str::to_owned);
            Ses::new(&config, "Example <no-reply@example.com>", set).unwrap()
        }
    }

    impl HttpConnector for Answering {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            *self.asked.lock().unwrap() = serde_json::from_slice(body).unwrap();
            let body = match self.status {
                200 => json!({ "MessageId": "m-1" }),
                _ => json!({ "message": "ivy@x.example is not welcome" }),
            };
            let response = http::Response::builder()
                .status(self.status)
                .header("x-amzn-errortype", self.code)
                .body(SdkBody::from(body.to_string()))
                .unwrap();
            HttpConnectorFuture::ready(Ok(HttpResponse::try_from(response).unwrap()))
        }
    }

    fn email() -> Email {
        Email {
            to: EmailAddress::parse("ivy@x.example").unwrap(),
            subject: "You are invited to Example".to_owned(),
            text: "text".to_owned(),
            html: "<p>html</p>".to_owned(),
            thread: "inv_1.1795529100".to_owned(),
        }
    }

    fn link() -> Link {
        let organization = OrganizationId::from_random([1; 16]);
        Link {
            invitation: InvitationId::of(&organization, &email().to),
            organization,
            generation: Generation(2),
            expires_at: Timestamp::from_unix(1_795_701_900),
        }
    }

    #[tokio::test]
    async fn a_email_goes_out_tagged_marked_as_automatic_and_in_its_thread() {
        let answering = Answering::with(200, "");
        answering.ses(Some("roster")).send(&email(), &link()).await.unwrap();
        let asked = answering.asked.lock().unwrap().clone();
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        assert_eq!(
            asked,
            json!({
                "FromEmailAddress": "Example <no-reply@example.com>",
                "ConfigurationSetName": "roster",
                "Destination": { "ToAddresses": ["ivy@x.example"] },
                "Content": { "Simple": {
                    "Subject": text("You are invited to Example"),
                    "Body": { "Text": text("text"), "Html": text("<p>html</p>") },
                    "Headers": [
                        { "Name": "Auto-Submitted", "Value": "auto-generated" },
                        { "Name": "In-Reply-To", "Value": "<inv_1.1795529100@example.com>" },
                        { "Name": "References", "Value": "<inv_1.1795529100@example.com>" },
                    ],
                } },
                "EmailTags": [
                    { "Name": "organization", "Value": link().organization.as_str() },
                    { "Name": "invitation", "Value": link().invitation.as_str() },
                    { "Name": "generation", "Value": "2" },
                    { "Name": "expires_at", "Value": "1795701900" },
                ],
            })
        );
    }

    #[test]
    fn mail_comes_from_an_address_with_or_without_a_name() {
        for (from, expected) in [
            ("no-reply@mail.example", Some("mail.example")),
            ("\"Example\" <no-reply@mail.example>", Some("mail.example")),
            ("Ex@mple <no-reply@mail.example>", Some("mail.example")),
            ("", None),
            ("mail.example", None),
            ("Example <no-reply@>", None),
            ("no-reply@mail.example\r\nBcc: eve", None),
            ("no-reply@mail.example>>", None),
        ] {
            assert_eq!(domain(from), expected, "{from:?}");
        }
    }

    #[test]
    fn tags_hold_only_what_ses_allows() {
        for tag in tags(&link()).unwrap() {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            assert!(tag.name().bytes().chain(tag.value().bytes()).all(allowed), "{tag:?}");
            assert!(tag.value().len() <= 256);
        }
    }

    #[tokio::test]
    async fn only_refusals_of_this_very_mail_are_final() {
        for (status, code, refused) in [
            (400, "MessageRejected", true),
            (400, "BadRequestException", true),
            (400, "MailFromDomainNotVerifiedException", false),
            (400, "SendingPausedException", false),
            (400, "AccountSuspendedException", false),
            (400, "LimitExceededException", false),
            (404, "NotFoundException", false),
            (403, "AccessDeniedException", false),
            (429, "TooManyRequestsException", false),
            (500, "InternalFailure", false),
            (503, "", false),
        ] {
            let answer = Answering::with(status, code).ses(None).send(&email(), &link()).await;
            let error = answer.unwrap_err();
            assert_eq!(matches!(error, SendError::Refused(_)), refused, "{status} {code}: {error}");
            assert!(!error.to_string().contains('@'), "SES's words are not repeated: {error}");
        }
    }
}
