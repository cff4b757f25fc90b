//! The email: what an invitation's mail says, as text and as HTML.

use std::fmt;

use askama::Template;
use domain::{EmailAddress, Invitation, Language, OrganizationName, Timestamp, Token};
use time::OffsetDateTime;

use crate::translations::{Piece, Translation};

/// What all emails of a deployment have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailTemplate {
    product: String,
    accept_url: String,
    language: Language,
}

/// The configured accept page cannot carry a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ACCEPT_URL must be an http or https URL without a fragment, like https://app.example/accept")]
pub struct InvalidAcceptUrl;

/// One email, ready to be sent. It holds a token, so `Debug` shows nothing of it.
pub struct Email {
    /// To whom.
    pub to: EmailAddress,
    /// Holds no text that a user chose, and is the same in every email of an invitation.
    pub subject: String,
    /// For readers of plain text.
    pub text: String,
    /// For everybody else.
    pub html: String,
    /// Names the invitation, and so is the same in every email of it. It is made of emails, digits, `_` and `.`, and
    /// no link can be made from it.
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
    said: &'a Said<'a>,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct Html<'a> {
    said: &'a Said<'a>,
}

/// What both parts say: sentences with their facts put in, and phrases.
struct Said<'a> {
    lang: &'static str,
    subject: &'a Sentence,
    preheader: String,
    product: &'a str,
    title: Sentence,
    invites: Sentence,
    open_until: Sentence,
    open: &'static str,
    open_here: &'static str,
    by_hand: &'static str,
    link: String,
    sign_in: &'static str,
    email: &'a EmailAddress,
    unexpected: &'static str,
}

/// The facts of one email, as they are shown.
struct Facts<'a> {
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
    /// Whether it is what a person looks for.
    strong: bool,
}

impl Facts<'_> {
    /// The sentence that is made of `pieces`.
    fn put_into(&self, pieces: &[Piece]) -> Sentence {
        let part = |piece: &Piece| {
            let (text, strong) = match piece {
                Piece::Words(words) => (*words, false),
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
    /// The product's name, shown to people, the page that takes the token behind its `#`, and the language of emails
    /// whose sender has not chosen one.
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

    /// The email for `invitation`, whose newest link is `token`, written at `now`.
    pub fn write(
        &self,
        organization: &OrganizationName,
        invitation: &Invitation,
        token: &Token,
        now: Timestamp,
    ) -> Result<Email, askama::Error> {
        let phrases = Translation::of(invitation.language.unwrap_or(self.language));
        let facts = Facts {
            product: &self.product,
            organization: unlinkable(organization.as_str()),
            sender: invitation.sender.email.as_str(),
            role: phrases.role(invitation.role),
            deadline: deadline(phrases, invitation.expires_at),
            hours: phrases.hours(hours(now, invitation.expires_at)),
        };
        let subject = facts.put_into(phrases.subject);
        let (invites, open_until) = (facts.put_into(phrases.invites), facts.put_into(phrases.open_until));
        let said = Said {
            lang: phrases.language.as_str(),
            subject: &subject,
            // To HTML a line break is a space, and names can be longer than a line of a mail.
            preheader: format!("{invites} {open_until}").replace(' ', "\n"),
            product: &self.product,
            title: facts.put_into(phrases.title),
            invites,
            open_until,
            open: phrases.open,
            open_here: phrases.open_here,
            by_hand: phrases.by_hand,
            link: format!("{}#{}", self.accept_url, token.reveal()),
            sign_in: phrases.sign_in,
            email: &invitation.email,
            unexpected: phrases.unexpected,
        };
        let text = Text { said: &said }.render()?;
        let html = Html { said: &said }.render()?;
        // The record is the address's for good; who is invited anew is sent another invitation.
        let thread = format!("{}.{}", invitation.id, invitation.created_at.unix());
        Ok(Email { to: invitation.email.clone(), subject: subject.to_string(), text, html, thread })
    }
}

/// Breaks what a mail client would take for a domain with characters that nobody sees: word joiners around
/// dots, and around the other characters that names are split at like a dot.
fn unlinkable(name: &str) -> String {
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

fn deadline(phrases: &Translation, moment: Timestamp) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(moment.unix());
    phrases.moment(moment.unwrap_or(OffsetDateTime::UNIX_EPOCH))
}

/// What is left, in hours and rounded up: a mail written a moment after its invitation still says all of it.
fn hours(now: Timestamp, deadline: Timestamp) -> u64 {
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
            created_at: sent_at(),
            expires_at,
            state: State::Pending { due_at: expires_at },
            mail: Some(Mail { delivery: Delivery::Queued, detail: None, sent_at: None }),
        }
    }

    fn sent_at() -> Timestamp {
        Timestamp::from_unix(EXPIRES_AT - 48 * 60 * 60)
    }

    /// The email of `invitation`, written a moment after it was asked for.
    fn written(template: &EmailTemplate, organization: &str, invitation: &Invitation) -> Email {
        let token = Token { key: KeyId::parse("k1").unwrap(), link: invitation.link(), mac: Mac([7; 32]) };
        let name = OrganizationName::parse(organization).unwrap();
        template.write(&name, invitation, &token, sent_at() + Duration::from_secs(3)).unwrap()
    }

    fn email(organization: &str, role: Role) -> Email {
        written(&template(), organization, &invitation(role))
    }

    fn email_in(language: Language, organization: &str, role: Role) -> Email {
        let invitation = Invitation { language: Some(language), ..invitation(role) };
        written(&template(), organization, &invitation)
    }

    /// The longest of everything that a email shows, as the template lets it be configured.
    fn longest(language: Language) -> Email {
        let email = |name: &str| {
            let local = name.repeat(64);
            let domain = ["x".repeat(63), "x".repeat(63), "x".repeat(61)].join(".");
            EmailAddress::parse(&format!("{local}@{domain}")).unwrap()
        };
        let template = EmailTemplate::new(
            "&".repeat(40),
            format!("https://app.example/{}", "&".repeat(56)),
            Language::default(),
        );
        // A Wednesday in September is long in both languages.
        let expires_at = Timestamp::from_unix(1_796_047_500);
        let mut invitation = Invitation {
            language: Some(language),
            sender: Sender { user: UserId::parse("ada").unwrap(), email: email("'") },
            email: email("i"),
            expires_at,
            generation: Generation(u32::MAX),
            ..invitation(Role::Owner)
        };
        invitation.id = InvitationId::of(&invitation.organization, &invitation.email);
        let key = KeyId::parse(&"k".repeat(32)).unwrap();
        let token = Token { key, link: invitation.link(), mac: Mac([255; 32]) };
        let name = OrganizationName::parse(&"\".".repeat(30)).unwrap();
        template.unwrap().write(&name, &invitation, &token, sent_at()).unwrap()
    }

    #[test]
    fn the_email_in_english() {
        let email = email_in(Language::En, "Acme", Role::Owner);
        assert_eq!(email.subject, "You are invited to Example");
        assert_snapshot!("text_en", email.text);
        assert_snapshot!("html_en", email.html);
    }

    #[test]
    fn the_email_in_german() {
        let email = email_in(Language::De, "Acme", Role::Member);
        assert_eq!(email.subject, "Sie sind zu Example eingeladen");
        assert_snapshot!("text_de", email.text);
        assert_snapshot!("html_de", email.html);
    }

    #[test]
    fn a_email_is_in_the_chosen_language_or_else_in_the_deployments() {
        let subject = |default, chosen| {
            let template = EmailTemplate::new("Example", "https://app.example/accept", default).unwrap();
            let invitation = Invitation { language: chosen, ..invitation(Role::Member) };
            written(&template, "Acme", &invitation).subject
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
    fn both_parts_say_the_same_facts_in_every_language() {
        for (language, deadline, owner, member) in [
            (Language::En, "until Thursday, 26 November 2026, 14:05 UTC (48 hours)", "an owner", "a member"),
            (
                Language::De,
                "bis Donnerstag, 26. November 2026, 14:05 UTC (48 Stunden)",
                "Inhaber",
                "Mitglied",
            ),
        ] {
            for (role, word, other) in [(Role::Owner, owner, member), (Role::Member, member, owner)] {
                let email = email_in(language, "Acme", role);
                for part in [email.text.clone(), seen(&email.html)] {
                    for fact in ["Example", "Acme", "ada@acme.example", "ivy@x.example", word, deadline] {
                        assert!(part.contains(fact), "{fact} is missing: {part}");
                    }
                    assert!(part.contains("https://app.example/accept#v1.k1.org_"), "{part}");
                    assert!(!part.contains(other), "{part}");
                }
                assert!(email.html.contains(&format!("lang=\"{language}\"")));
            }
        }
    }

    /// What a reader sees of HTML: the words, without the preheader, which nobody sees beside them.
    fn seen(html: &str) -> String {
        let body = html.split_once("display:none").unwrap().1.split_once("</div>").unwrap().1;
        let mut seen = String::new();
        for piece in body.split('<') {
            seen.push_str(piece.split_once('>').map_or("", |(_, words)| words));
        }
        seen
    }

    #[test]
    fn what_a_mailbox_shows_beside_the_subject_says_who_invites_where_and_until_when() {
        for language in Language::ALL {
            let html = email_in(language, "Acme", Role::Member).html;
            let preheader = html.split_once("display:none").unwrap().1.split_once("</div>").unwrap().0;
            let preheader = preheader.replace('\n', " ");
            for fact in ["ada@acme.example", "Acme", "Example", "26", "14:05 UTC"] {
                assert!(preheader.contains(fact), "{preheader}");
            }
        }
    }

    #[test]
    fn a_email_is_small_and_its_lines_fit_a_mail_whatever_it_shows() {
        const BYTES_MAX: usize = 20_000;
        // RFC 5322, section 2.1.1.
        const LINE_BYTES_MAX: usize = 998;
        for language in Language::ALL {
            let email = longest(language);
            assert!(email.html.len() + email.text.len() < BYTES_MAX, "{}", email.html.len());
            for line in email.html.lines().chain(email.text.lines()) {
                assert!(line.len() <= LINE_BYTES_MAX, "{}: {line}", line.len());
            }
        }
    }

    #[test]
    fn every_email_of_an_invitation_is_in_one_thread_from_which_no_link_can_be_made() {
        let thread = |invitation: &Invitation| written(&template(), "Acme", invitation).thread;
        let first = invitation(Role::Member);
        let resent = Invitation {
            generation: Generation(2),
            expires_at: first.expires_at + Duration::from_secs(90),
            sender: Sender { user: UserId::parse("dan").unwrap(), email: first.email.clone() },
            ..first.clone()
        };
        assert_eq!(thread(&resent), thread(&first));
        assert_eq!(thread(&first), format!("{}.1795529100", first.id));
        let anew = Invitation { created_at: sent_at() + Duration::from_secs(1), ..first.clone() };
        assert_ne!(thread(&anew), thread(&first));
        let token = Token { key: KeyId::parse("k1").unwrap(), link: first.link(), mac: Mac([7; 32]) };
        let secret = token.reveal().rsplit('.').next().unwrap().to_owned();
        assert!(!thread(&first).contains(&secret) && !thread(&first).contains('@'));
    }

    #[test]
    fn a_name_is_escaped_in_html_literal_in_text_and_never_in_the_subject() {
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
    fn no_mail_client_can_make_a_link_of_a_name() {
        let joined = "Booking\u{2060}.\u{2060}com";
        for language in Language::ALL {
            let email = email_in(language, "Booking.com", Role::Member);
            for part in [&email.text, &email.html] {
                assert!(part.contains(joined) && !part.contains("Booking.com"), "{part}");
            }
        }
        assert_eq!(unlinkable("a\u{3002}b"), "a\u{2060}\u{3002}\u{2060}b");
        assert_eq!(unlinkable("Acme Inc."), "Acme Inc\u{2060}.\u{2060}", "a dot at the end shows as ever");
    }

    #[test]
    fn every_link_in_the_email_is_the_accept_page_with_the_token_behind_the_fragment() {
        // The name of a dialect of HTML, which nobody fetches.
        const NAMESPACE: &str = "xmlns=\"http://www.w3.org/1999/xhtml\"";
        for language in Language::ALL {
            let email = email_in(language, "Acme", Role::Member);
            let links = |part: &str| part.matches("https://app.example/accept#v1.k1.org_").count();
            assert_eq!((links(&email.text), links(&email.html)), (1, 3), "the button, and the link twice");
            assert_eq!(email.html.matches("<a ").count(), 2);
            assert_eq!(email.html.matches("<a ses:no-track href=").count(), 2, "SES leaves the links alone");
            assert_eq!(email.html.matches(NAMESPACE).count(), 1);
            let html = email.html.replace(NAMESPACE, "");
            assert_eq!(html.matches("http").count(), 3 + html.matches("http-equiv").count());
            // Whatever else has something fetched or opened.
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
    fn a_email_follows_the_readers_colours() {
        let html = email("Acme", Role::Member).html;
        for word in ["name=\"color-scheme\" content=\"light dark\"", "(prefers-color-scheme: dark)"] {
            assert!(html.contains(word), "{word}");
        }
    }

    #[test]
    fn hours_left_are_rounded_up() {
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
            assert_eq!(hours(Timestamp::from_unix(EXPIRES_AT - left), deadline), expected);
        }
    }

    #[test]
    fn only_a_plain_http_url_carries_a_token() {
        for good in ["https://app.example/accept", "http://127.0.0.1:4000/accept", "https://app.example/?a=b"]
        {
            assert!(EmailTemplate::new("Example", good, Language::En).is_ok(), "{good}");
        }
        for bad in
            ["", "app.example", "javascript:alert(1)", "https://app.example/#x", "https://a b", "https://ü"]
        {
            assert_eq!(EmailTemplate::new("Example", bad, Language::En), Err(InvalidAcceptUrl), "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_an_email() {
        assert_eq!(format!("{:?}", email("Acme", Role::Member)), "Email(..)");
    }
}
