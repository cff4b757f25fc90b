//! The client of SES. Only this file calls `SendEmail`.

use aws_config::SdkConfig;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use domain::Link;

use crate::email::Email;

/// Sends mails through SES, from one sender.
#[derive(Debug, Clone)]
pub struct Ses {
    client: Client,
    from: String,
    /// The part of `from` after the `@`.
    domain: String,
    configuration_set: Option<String>,
}

/// `MAIL_FROM` is not a valid sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("MAIL_FROM must be an address, like no-reply@mail.example or \"Example\" <no-reply@mail.example>")]
pub struct InvalidSender;

/// Why SES did not accept a mail. It contains no message of SES, because SES's messages may contain addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// SES will never accept this mail.
    #[error("SES refuses the mail: {0}")]
    Refused(&'static str),
    /// SES accepts no mail at the moment: the rate is too high, SES is down, or sending is paused.
    #[error("SES does not accept mail now: {0}")]
    Unavailable(String),
}

impl Ses {
    /// Creates a client that sends from `from`. SES reports events about the mails as `configuration_set` defines.
    pub fn new(
        config: &SdkConfig,
        from: impl Into<String>,
        configuration_set: Option<String>,
    ) -> Result<Self, InvalidSender> {
        let from = from.into();
        let domain = sender_domain(&from).ok_or(InvalidSender)?.to_owned();
        Ok(Self { client: Client::new(config), from, domain, configuration_set })
    }

    /// Sends `email`, with the ids, the generation and the expiry of `link` as tags.
    ///
    /// SES repeats the tags in its events. The function `feedback` finds the invitation by them.
    pub async fn send(&self, email: &Email, link: &Link) -> Result<(), SendError> {
        let message = message(email, &self.domain)
            .map_err(|_| SendError::Unavailable("the message cannot be built".to_owned()))?;
        let tags = tags(link).map_err(|_| SendError::Unavailable("the tags cannot be built".to_owned()))?;
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
            .map_err(|error| classify(&error))
    }
}

/// Returns the part of `from` after the `@`. `from` is an address with or without a display name.
fn sender_domain(from: &str) -> Option<&str> {
    let (_, domain) = from.rsplit_once('@')?;
    let domain = domain.strip_suffix('>').unwrap_or(domain);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    (!domain.is_empty() && domain.bytes().all(is_plain)).then_some(domain)
}

/// Builds the message.
///
/// It has no `Reply-To`. A `Reply-To` with the address of the invitation's sender would let a mail from the product's
/// domain direct replies to an address that a user chose. Spam filters also distrust a `Reply-To` in another domain.
/// The mail shows the sender's address, so the recipient can still write to the sender.
fn message(email: &Email, domain: &str) -> Result<Message, BuildError> {
    let content = |data: &str| Content::builder().data(data).charset("UTF-8").build();
    let body = Body::builder().text(content(&email.text)?).html(content(&email.html)?).build();
    let header = |name, value: &str| MessageHeader::builder().name(name).value(value).build();
    // SES chooses the `Message-ID` of each mail, so a mail cannot refer to the previous one. Instead, all mails of an
    // invitation refer to the same id, which belongs to no mail. Mail clients then show them as one thread.
    let thread = format!("<{}@{domain}>", email.thread);
    let message = Message::builder()
        .subject(content(&email.subject)?)
        .body(body)
        // Automatic responders, such as out-of-office replies, do not answer this mail (RFC 3834).
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

/// Parts of SES's messages for `MessageRejected` that concern the account and not the mail.
///
/// SES rejects every mail with "Email address is not verified" while the sender's identity is not verified in the
/// Region, for example after its DNS records lapsed. In the sandbox it does the same for recipients that are not
/// verified.
const ACCOUNT_PROBLEMS: [&str; 3] = ["is not verified", "suspended", "paused"];

/// What to do if the function's role does not allow `SendEmail`.
const ACCESS_DENIED: &str = "access denied. In the SES sandbox, SES also authorizes the recipient's identity: request \
                             production access, or deploy with Environment=development. Otherwise check that MailIdentity \
                             is the verified identity of MailFrom";

/// Classifies an error of `SendEmail`. Two errors concern this one mail. All others concern the account or are
/// temporary.
fn classify<R>(error: &SdkError<SendEmailError, R>) -> SendError {
    match error {
        SdkError::ServiceError(service) => match service.err() {
            SendEmailError::MessageRejected(rejected) if concerns_account(rejected.message()) => {
                SendError::Unavailable(
                    "an identity is not verified (the sender's, or in the sandbox the recipient's), or sending is paused"
                        .to_owned(),
                )
            }
            SendEmailError::MessageRejected(_) => SendError::Refused("MessageRejected"),
            SendEmailError::BadRequestException(_) => SendError::Refused("BadRequest"),
            other if other.code().is_some_and(|code| code.starts_with("AccessDenied")) => {
                SendError::Unavailable(ACCESS_DENIED.to_owned())
            }
            other => SendError::Unavailable(other.code().unwrap_or("an error without a code").to_owned()),
        },
        SdkError::TimeoutError(_) => SendError::Unavailable("the request timed out".to_owned()),
        SdkError::DispatchFailure(_) => SendError::Unavailable("SES cannot be reached".to_owned()),
        _ => SendError::Unavailable("the response cannot be read".to_owned()),
    }
}

fn concerns_account(message: Option<&str>) -> bool {
    message.is_some_and(|message| ACCOUNT_PROBLEMS.iter().any(|problem| message.contains(problem)))
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

    /// A fake of SES. It gives every request the same response, and keeps the body of the last request.
    #[derive(Debug, Clone)]
    struct FakeSes {
        status: u16,
        code: &'static str,
        message: &'static str,
        last_request: Arc<Mutex<Value>>,
    }

    impl FakeSes {
        fn responding(status: u16, code: &'static str) -> Self {
            Self { status, code, message: "ivy@x.example is not welcome", last_request: Arc::default() }
        }

        fn rejecting(message: &'static str) -> Self {
            Self { message, ..Self::responding(400, "MessageRejected") }
        }

        fn ses(&self, configuration_set: Option<&str>) -> Ses {
            let fake = self.clone();
            let credentials = Credentials::new("test", "test", None, None, "test");
            let config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("eu-west-1"))
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                .retry_config(RetryConfig::disabled())
                .http_client(http_client_fn(move |_, _| SharedHttpConnector::new(fake.clone())))
                .build();
            let set = configuration_set.map(str::to_owned);
            Ses::new(&config, "Example <no-reply@example.com>", set).unwrap()
        }
    }

    impl HttpConnector for FakeSes {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let body = request.body().bytes().unwrap_or_default();
            *self.last_request.lock().unwrap() = serde_json::from_slice(body).unwrap();
            let body = match self.status {
                200 => json!({ "MessageId": "m-1" }),
                _ => json!({ "message": self.message }),
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
    async fn sends_an_email_with_tags_and_with_headers_for_auto_responders_and_threads() {
        let fake = FakeSes::responding(200, "");
        fake.ses(Some("roster")).send(&email(), &link()).await.unwrap();
        let request = fake.last_request.lock().unwrap().clone();
        let text = |data: &str| json!({ "Data": data, "Charset": "UTF-8" });
        assert_eq!(
            request,
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
    fn finds_the_domain_of_a_sender_with_or_without_a_display_name() {
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
            assert_eq!(sender_domain(from), expected, "{from:?}");
        }
    }

    #[test]
    fn tags_contain_only_characters_that_ses_allows() {
        for tag in tags(&link()).unwrap() {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            assert!(tag.name().bytes().chain(tag.value().bytes()).all(allowed), "{tag:?}");
            assert!(tag.value().len() <= 256);
        }
    }

    #[tokio::test]
    async fn a_rejection_that_concerns_the_account_is_temporary() {
        for (message, refused) in [
            (
                "Email address is not verified. The following identities failed the check in region EU-WEST-1: \
                 no-reply@example.com",
                false,
            ),
            ("Email address is not verified.", false),
            ("Sending suspended for this account. For more information, please check the inbox", false),
            ("Account is paused.", false),
            ("Email contained a virus.", true),
            ("", true),
        ] {
            let result = FakeSes::rejecting(message).ses(None).send(&email(), &link()).await;
            let error = result.unwrap_err();
            assert_eq!(matches!(error, SendError::Refused(_)), refused, "{message}: {error}");
            assert!(!error.to_string().contains('@'), "the error repeats the message of SES: {error}");
        }
    }

    #[tokio::test]
    async fn a_denied_access_is_temporary_and_the_error_says_what_to_do() {
        for code in ["AccessDeniedException", "AccessDenied"] {
            let result = FakeSes::responding(403, code).ses(None).send(&email(), &link()).await;
            let Err(SendError::Unavailable(error)) = result else { panic!("{result:?}") };
            for part in ["sandbox", "Environment=development", "MailIdentity", "MailFrom"] {
                assert!(error.contains(part), "{part}: {error}");
            }
            assert!(!error.contains('@'), "the error repeats the message of SES: {error}");
        }
    }

    #[tokio::test]
    async fn only_errors_about_the_mail_itself_are_permanent() {
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
            let result = FakeSes::responding(status, code).ses(None).send(&email(), &link()).await;
            let error = result.unwrap_err();
            assert_eq!(matches!(error, SendError::Refused(_)), refused, "{status} {code}: {error}");
            assert!(!error.to_string().contains('@'), "the error repeats the message of SES: {error}");
        }
    }
}
