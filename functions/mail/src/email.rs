//! Renders the email of an invitation, as text and as HTML.

use std::borrow::Cow;
use std::fmt;

use askama::Template;
use domain::{EmailAddress, Invitation, Language, OrganizationName, Timestamp, Token};
use time::OffsetDateTime;

use crate::readable::readable;
use crate::translations::{Piece, Translation};

/// The settings that all emails of a deployment share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailTemplate {
    product: String,
    accept_url: String,
    language: Language,
}

/// `ACCEPT_URL` is not an http or https URL without a fragment, so a token cannot be appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ACCEPT_URL must be an http or https URL without a fragment, like https://app.example/accept")]
pub struct InvalidAcceptUrl;

/// One email, ready to send. It contains a token, so `Debug` shows none of its content.
pub struct Email {
    /// The recipient.
    pub to: EmailAddress,
    /// The subject. It contains no text that a user chose, and is the same in every email of an invitation.
    pub subject: String,
    /// The plain text part.
    pub text: String,
    /// The HTML part.
    pub html: String,
    /// Identifies the invitation, and is the same in every email of the invitation. It consists of letters, digits, `_`
    /// and `.`. The link cannot be derived from it.
    pub thread: String,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

#[derive(Template)]
#[template(path = "invitation.txt")]
struct Text<'a> {
    content: &'a Content<'a>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct Html<'a> {
    content: &'a Content<'a>,
}

/// The content of both parts.
struct Content<'a> {
    lang: &'static str,
    subject: &'a Sentence,
    preheader: String,
    product: &'a str,
    title: Sentence,
    invitation_sentence: Sentence,
    deadline_sentence: Sentence,
    button_label: &'static str,
    link_label: &'static str,
    fallback_link_label: &'static str,
    link: String,
    sign_in_hint: &'static str,
    recipient: Cow<'a, str>,
    unexpected_hint: &'static str,
}

/// The values of one email for the placeholders in its sentences.
struct Values<'a> {
    product: &'a str,
    organization: String,
    sender: &'a str,
    role: &'static str,
    deadline: String,
    hours: String,
}

struct Sentence {
    parts: Vec<Part>,
}

struct Part {
    text: String,
    /// Whether the HTML part shows the text in bold.
    strong: bool,
}

impl Values<'_> {
    /// Returns the sentence of `pieces`, with the placeholders replaced.
    fn fill(&self, pieces: &[Piece]) -> Sentence {
        let part = |piece: &Piece| {
            let (text, strong) = match piece {
                Piece::Literal(text) => (*text, false),
                Piece::Product => (self.product, false),
                Piece::Organization => (self.organization.as_str(), true),
                Piece::Sender => (self.sender, true),
                Piece::Role => (self.role, true),
                Piece::Deadline => (self.deadline.as_str(), true),
                Piece::Hours => (self.hours.as_str(), false),
            };
            Part { text: text.to_owned(), strong }
        };
        Sentence { parts: pieces.iter().map(part).collect() }
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| f.write_str(&part.text))
    }
}

impl EmailTemplate {
    /// Creates the settings.
    ///
    /// `product` is the name of the product. `accept_url` is the page that the link opens: the link is this URL, `#`
    /// and the token. `language` is the language of emails for invitations without a language.
    pub fn new(
        product: impl Into<String>,
        accept_url: impl Into<String>,
        language: Language,
    ) -> Result<Self, InvalidAcceptUrl> {
        let (product, accept_url) = (product.into(), accept_url.into());
        let is_url = accept_url.starts_with("https://") || accept_url.starts_with("http://");
        let is_plain = accept_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_url && is_plain { Ok(Self { product, accept_url, language }) } else { Err(InvalidAcceptUrl) }
    }

    /// Renders the email for `invitation` at `now`, with the newest link, which contains `token`.
    pub fn write(
        &self,
        organization: &OrganizationName,
        invitation: &Invitation,
        token: &Token,
        now: Timestamp,
    ) -> Result<Email, askama::Error> {
        let translation = Translation::of(invitation.language.unwrap_or(self.language));
        let sender = readable(&invitation.sender.email);
        let values = Values {
            product: &self.product,
            organization: prevent_auto_link(organization.as_str()),
            sender: &sender,
            role: translation.role(invitation.role),
            deadline: format_deadline(translation, invitation.expires_at),
            hours: translation.format_hours(hours_left(now, invitation.expires_at)),
        };
        let subject = values.fill(translation.subject);
        let invitation_sentence = values.fill(translation.invitation_sentence);
        let deadline_sentence = values.fill(translation.deadline_sentence);
        let content = Content {
            lang: translation.language.as_str(),
            subject: &subject,
            // HTML shows a line break as a space. Without line breaks, long names could exceed the line length of a
            // mail.
            preheader: format!("{invitation_sentence} {deadline_sentence}").replace(' ', "\n"),
            product: &self.product,
            title: values.fill(translation.title),
            invitation_sentence,
            deadline_sentence,
            button_label: translation.button_label,
            link_label: translation.link_label,
            fallback_link_label: translation.fallback_link_label,
            link: format!("{}#{}", self.accept_url, token.reveal()),
            sign_in_hint: translation.sign_in_hint,
            recipient: readable(&invitation.email),
            unexpected_hint: translation.unexpected_hint,
        };
        let text = Text { content: &content }.render()?;
        let html = Html { content: &content }.render()?;
        // A new invitation to the same address has the same id, but another `created_at`. It starts a new thread.
        let thread = format!("{}.{}", invitation.id, invitation.created_at.unix());
        Ok(Email { to: invitation.email.clone(), subject: subject.to_string(), text, html, thread })
    }
}

/// Prevents mail clients from turning a domain in `name` into a link.
///
/// Puts invisible word joiners around each dot, and around the other characters that clients treat like a dot in
/// domains.
fn prevent_auto_link(name: &str) -> String {
    let mut shown = String::with_capacity(name.len() + 12);
    for character in name.chars() {
        if matches!(character, '.' | '\u{3002}' | '\u{ff0e}' | '\u{ff61}') {
            shown.extend(['\u{2060}', character, '\u{2060}']);
        } else {
            shown.push(character);
        }
    }
    shown
}

fn format_deadline(translation: &Translation, deadline: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp(deadline.unix());
    translation.format_time(time.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

/// Returns the hours until `deadline`, rounded up.
///
/// A mail is usually rendered a few seconds after its invitation. Because of the rounding, it shows the full lifetime.
fn hours_left(now: Timestamp, deadline: Timestamp) -> u64 {
    const HOUR_SECONDS: u64 = 60 * 60;
    deadline.since(now).as_secs().div_ceil(HOUR_SECONDS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{
        Delivery, Generation, Invitation, InvitationId, KeyId, Mac, Mail, OrganizationId, Revision, Role,
        Sender, State, UserId,
    };
    use insta::assert_snapshot;

    use super::*;

    const EXPIRES_AT: i64 = 1_795_701_900; // 2026-11-26T14:05:00Z

    fn template() -> EmailTemplate {
        EmailTemplate::new("Example", "https://app.example/accept", Language::En).unwrap()
    }

    fn invitation(role: Role) -> Invitation {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ivy@x.example").unwrap();
        let sender = EmailAddress::parse("ada@acme.example").unwrap();
        let expires_at = Timestamp::from_unix(EXPIRES_AT);
        Invitation {
            id: InvitationId::of(&organization, &email),
            organization,
            email,
            role,
            language: None,
            generation: Generation(1),
            revision: Revision::FIRST,
            sender: Sender { user: UserId::parse("ada").unwrap(), email: sender },
            created_at: invited_at(),
            expires_at,
            state: State::Pending { due_at: expires_at },
            mail: Some(Mail { delivery: Delivery::Queued, detail: None, sent_at: None }),
        }
    }

    fn invited_at() -> Timestamp {
        Timestamp::from_unix(EXPIRES_AT - 48 * 60 * 60)
    }

    /// Renders the email of `invitation`, 3 s after the invitation was sent.
    fn render(template: &EmailTemplate, organization: &str, invitation: &Invitation) -> Email {
        let token = Token { key: KeyId::parse("k1").unwrap(), link: invitation.link(), mac: Mac([7; 32]) };
        let name = OrganizationName::parse(organization).unwrap();
        template.write(&name, invitation, &token, invited_at() + Duration::from_secs(3)).unwrap()
    }

    fn email(organization: &str, role: Role) -> Email {
        render(&template(), organization, &invitation(role))
    }

    fn email_in(language: Language, organization: &str, role: Role) -> Email {
        let invitation = Invitation { language: Some(language), ..invitation(role) };
        render(&template(), organization, &invitation)
    }

    /// Renders an email in which the addresses, the names, the URL and the token have their maximum lengths.
    ///
    /// `infra/template.yaml` limits the product's name to 40 and the URL to 76 characters.
    fn longest_email(language: Language) -> Email {
        let address = |character: &str| {
            let local = character.repeat(64);
            let domain = ["x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
            EmailAddress::parse(&format!("{local}@{domain}")).unwrap()
        };
        let template = EmailTemplate::new(
            "&".repeat(40),
            format!("https://app.example/{}", "&".repeat(56)),
            Language::default(),
        );
        let expires_at = Timestamp::from_unix(1_796_047_500); // 2026-11-30T14:05:00Z
        let mut invitation = Invitation {
            language: Some(language),
            sender: Sender { user: UserId::parse("ada").unwrap(), email: address("'") },
            email: address("i"),
            expires_at,
            generation: Generation(u32::MAX),
            ..invitation(Role::Owner)
        };
        invitation.id = InvitationId::of(&invitation.organization, &invitation.email);
        let key = KeyId::parse(&"k".repeat(32)).unwrap();
        let token = Token { key, link: invitation.link(), mac: Mac([255; 32]) };
        let name = OrganizationName::parse(&"\".".repeat(30)).unwrap();
        template.unwrap().write(&name, &invitation, &token, invited_at()).unwrap()
    }

    #[test]
    fn renders_the_english_email() {
        let email = email_in(Language::En, "Acme", Role::Owner);
        assert_eq!(email.subject, "You are invited to Example");
        assert_snapshot!("text_en", email.text);
        assert_snapshot!("html_en", email.html);
    }

    #[test]
    fn renders_the_german_email() {
        let email = email_in(Language::De, "Acme", Role::Member);
        assert_eq!(email.subject, "Sie sind zu Example eingeladen");
        assert_snapshot!("text_de", email.text);
        assert_snapshot!("html_de", email.html);
    }

    #[test]
    fn uses_the_language_of_the_invitation_or_else_the_default() {
        let subject = |default, chosen| {
            let template = EmailTemplate::new("Example", "https://app.example/accept", default).unwrap();
            let invitation = Invitation { language: chosen, ..invitation(Role::Member) };
            render(&template, "Acme", &invitation).subject
        };
        let (english, german) = ("You are invited to Example", "Sie sind zu Example eingeladen");
        for (default, chosen, expected) in [
            (Language::En, None, english),
            (Language::De, None, german),
            (Language::De, Some(Language::En), english),
            (Language::En, Some(Language::De), german),
        ] {
            assert_eq!(subject(default, chosen), expected, "{default}, {chosen:?}");
        }
    }

    #[test]
    fn both_parts_contain_all_values_in_every_language() {
        for (language, deadline, owner, member) in [
            (Language::En, "until Thursday, 26 November 2026, 14:05 UTC (48 hours)", "an owner", "a member"),
            (
                Language::De,
                "bis Donnerstag, 26. November 2026, 14:05 UTC (48 Stunden)",
                "Inhaber",
                "Mitglied",
            ),
        ] {
            for (role, name, other) in [(Role::Owner, owner, member), (Role::Member, member, owner)] {
                let email = email_in(language, "Acme", role);
                for part in [email.text.clone(), visible_text(&email.html)] {
                    for value in ["Example", "Acme", "ada@acme.example", "ivy@x.example", name, deadline] {
                        assert!(part.contains(value), "{value} is missing: {part}");
                    }
                    assert!(part.contains("https://app.example/accept#v1.k1.org_"), "{part}");
                    assert!(!part.contains(other), "{part}");
                }
                assert!(email.html.contains(&format!("lang=\"{language}\"")));
            }
        }
    }

    /// Returns the visible text of the HTML, without the preheader, which is hidden.
    fn visible_text(html: &str) -> String {
        let body = html.split_once("display:none").unwrap().1.split_once("</div>").unwrap().1;
        let mut visible = String::new();
        for piece in body.split('<') {
            visible.push_str(piece.split_once('>').map_or("", |(_, text)| text));
        }
        visible
    }

    #[test]
    fn the_preheader_contains_sender_organization_product_and_deadline() {
        for language in Language::ALL {
            let html = email_in(language, "Acme", Role::Member).html;
            let preheader = html.split_once("display:none").unwrap().1.split_once("</div>").unwrap().0;
            let preheader = preheader.replace('\n', " ");
            for value in ["ada@acme.example", "Acme", "Example", "26", "14:05 UTC"] {
                assert!(preheader.contains(value), "{preheader}");
            }
        }
    }

    #[test]
    fn the_longest_email_keeps_the_limits_of_size_and_line_length() {
        const BYTES_MAX: usize = 20_000;
        // RFC 5322, section 2.1.1.
        const LINE_BYTES_MAX: usize = 998;
        for language in Language::ALL {
            let email = longest_email(language);
            assert!(email.html.len() + email.text.len() < BYTES_MAX, "{}", email.html.len());
            for line in email.html.lines().chain(email.text.lines()) {
                assert!(line.len() <= LINE_BYTES_MAX, "{}: {line}", line.len());
            }
        }
    }

    #[test]
    fn all_emails_of_an_invitation_share_a_thread_id_without_a_secret() {
        let thread = |invitation: &Invitation| render(&template(), "Acme", invitation).thread;
        let first = invitation(Role::Member);
        let resent = Invitation {
            generation: Generation(2),
            expires_at: first.expires_at + Duration::from_secs(90),
            sender: Sender { user: UserId::parse("dan").unwrap(), email: first.email.clone() },
            ..first.clone()
        };
        assert_eq!(thread(&resent), thread(&first));
        assert_eq!(thread(&first), format!("{}.1795529100", first.id));
        let invited_again = Invitation { created_at: invited_at() + Duration::from_secs(1), ..first.clone() };
        assert_ne!(thread(&invited_again), thread(&first));
        let token = Token { key: KeyId::parse("k1").unwrap(), link: first.link(), mac: Mac([7; 32]) };
        let secret = token.reveal().rsplit('.').next().unwrap().to_owned();
        assert!(!thread(&first).contains(&secret) && !thread(&first).contains('@'));
    }

    #[test]
    fn escapes_a_name_in_html_only_and_omits_it_from_the_subject() {
        let name = r#"<b onload="x">&'Co"#;
        for language in Language::ALL {
            let email = email_in(language, name, Role::Member);
            assert!(email.text.contains(name));
            assert!(!email.html.contains("<b onload") && !email.html.contains(name));
            let escaped = "&#60;b onload=&#34;x&#34;&#62;&#38;&#39;Co";
            let html = email.html.replace('\n', " ");
            assert_eq!(html.matches(escaped).count(), 3, "preheader, title, sentence: {html}");
            assert_eq!(email.subject, email_in(language, "Acme", Role::Member).subject);
        }
    }

    #[test]
    fn mail_clients_make_no_link_of_a_name() {
        let joined = "Booking\u{2060}.\u{2060}com";
        for language in Language::ALL {
            let email = email_in(language, "Booking.com", Role::Member);
            for part in [&email.text, &email.html] {
                assert!(part.contains(joined) && !part.contains("Booking.com"), "{part}");
            }
        }
        assert_eq!(prevent_auto_link("a\u{3002}b"), "a\u{2060}\u{3002}\u{2060}b");
        assert_eq!(prevent_auto_link("Acme Inc."), "Acme Inc\u{2060}.\u{2060}", "also a dot at the end");
    }

    #[test]
    fn every_link_is_the_accept_page_with_the_token_as_fragment() {
        // The namespace of XHTML. Mail clients do not fetch it.
        const NAMESPACE: &str = "xmlns=\"http://www.w3.org/1999/xhtml\"";
        for language in Language::ALL {
            let email = email_in(language, "Acme", Role::Member);
            let links = |part: &str| part.matches("https://app.example/accept#v1.k1.org_").count();
            assert_eq!(
                (links(&email.text), links(&email.html)),
                (1, 3),
                "HTML: button, href and text of the link"
            );
            assert_eq!(email.html.matches("<a ").count(), 2);
            assert_eq!(
                email.html.matches("<a ses:no-track href=").count(),
                2,
                "SES must not rewrite the links"
            );
            assert_eq!(email.html.matches(NAMESPACE).count(), 1);
            let html = email.html.replace(NAMESPACE, "");
            assert_eq!(html.matches("http").count(), 3 + html.matches("http-equiv").count());
            // Nothing else loads or opens anything.
            let lower = html.to_ascii_lowercase();
            for word in
                ["src", "url(", "@import", "<link", "<img", "<form", "<script", "background=", "action"]
            {
                assert!(!lower.contains(word), "{word}: {html}");
            }
            assert_eq!(lower.matches("//").count(), 3, "{html}");
        }
    }

    #[test]
    fn the_email_supports_light_and_dark_mode() {
        let html = email("Acme", Role::Member).html;
        for word in ["name=\"color-scheme\" content=\"light dark\"", "(prefers-color-scheme: dark)"] {
            assert!(html.contains(word), "{word}");
        }
    }

    #[test]
    fn rounds_up_the_hours_left() {
        let deadline = Timestamp::from_unix(EXPIRES_AT);
        for (left, expected) in [
            (720 * 3_600, 720),
            (48 * 3_600, 48),
            (47 * 3_600 + 1, 48),
            (47 * 3_600, 47),
            (3_601, 2),
            (3_600, 1),
            (1, 1),
        ] {
            assert_eq!(hours_left(Timestamp::from_unix(EXPIRES_AT - left), deadline), expected);
        }
    }

    #[test]
    fn accepts_only_an_http_url_without_a_fragment() {
        for valid in
            ["https://app.example/accept", "http://127.0.0.1:4000/accept", "https://app.example/?a=b"]
        {
            assert!(EmailTemplate::new("Example", valid, Language::En).is_ok(), "{valid}");
        }
        for invalid in
            ["", "app.example", "javascript:alert(1)", "https://app.example/#x", "https://a b", "https://ü"]
        {
            assert_eq!(
                EmailTemplate::new("Example", invalid, Language::En),
                Err(InvalidAcceptUrl),
                "{invalid}"
            );
        }
    }

    #[test]
    fn debug_shows_no_content_of_an_email() {
        assert_eq!(format!("{:?}", email("Acme", Role::Member)), "Email(..)");
    }
}
