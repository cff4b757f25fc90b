//! The letter: what an invitation's mail says, as text and as HTML.

use askama::Template;
use domain::{EmailAddress, OrganizationName, Pending, Role, Timestamp, Token};
use time::OffsetDateTime;

/// What all letters of a deployment have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letterhead {
    product: String,
    accept_url: String,
}

/// The configured accept page cannot carry a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ACCEPT_URL must be an http or https URL without a fragment, like https://app.example/accept")]
pub struct InvalidAcceptUrl;

/// One letter, ready to be sent. It holds a token, so `Debug` shows nothing of it.
pub struct Letter {
    /// To whom.
    pub to: EmailAddress,
    /// Holds no text that a user chose.
    pub subject: String,
    /// For readers of plain text.
    pub text: String,
    /// For everybody else.
    pub html: String,
}

impl std::fmt::Debug for Letter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Letter(..)")
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

struct Said<'a> {
    subject: &'a str,
    product: &'a str,
    organization: String,
    sender: &'a EmailAddress,
    email: &'a EmailAddress,
    role: &'static str,
    deadline: String,
    hours: String,
    link: String,
}

impl Letterhead {
    /// The product's name, shown to people, and the page that takes the token behind its `#`.
    pub fn new(product: impl Into<String>, accept_url: impl Into<String>) -> Result<Self, InvalidAcceptUrl> {
        let (product, accept_url) = (product.into(), accept_url.into());
        let is_url = accept_url.starts_with("https://") || accept_url.starts_with("http://");
        let is_plain = accept_url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_url && is_plain { Ok(Self { product, accept_url }) } else { Err(InvalidAcceptUrl) }
    }

    /// The letter for `pending`, whose newest link is `token`, written at `now`.
    pub fn write(
        &self,
        organization: &OrganizationName,
        pending: Pending<'_>,
        token: &Token,
        now: Timestamp,
    ) -> Result<Letter, askama::Error> {
        let invitation = pending.invitation();
        let subject = format!("You are invited to {}", self.product);
        let said = Said {
            subject: &subject,
            product: &self.product,
            organization: unlinkable(organization.as_str()),
            sender: &invitation.sender.email,
            email: &invitation.email,
            role: match invitation.role {
                Role::Owner => "an owner",
                Role::Member => "a member",
            },
            deadline: deadline(invitation.expires_at),
            hours: hours(now, invitation.expires_at),
            link: format!("{}#{}", self.accept_url, token.reveal()),
        };
        let text = Text { said: &said }.render()?;
        let html = Html { said: &said }.render()?;
        Ok(Letter { to: invitation.email.clone(), subject, text, html })
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

/// Like `Thursday, 26 November 2026, 14:05 UTC`: the seconds are left out, never added.
fn deadline(moment: Timestamp) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(moment.unix()).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!(
        "{}, {} {} {}, {:02}:{:02} UTC",
        moment.weekday(),
        moment.day(),
        moment.month(),
        moment.year(),
        moment.hour(),
        moment.minute()
    )
}

/// What is left, in hours and rounded up: a mail written a moment after its invitation still says all of it.
fn hours(now: Timestamp, deadline: Timestamp) -> String {
    const HOUR_SECONDS: u64 = 60 * 60;
    let seconds = u64::try_from(deadline.unix() - now.unix()).unwrap_or(0);
    match seconds.div_ceil(HOUR_SECONDS) {
        1 => "1 hour".to_owned(),
        hours => format!("{hours} hours"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::{
        Delivery, Generation, Invitation, InvitationId, KeyId, Mac, Mail, OrganizationId, Revision, Sender,
        State, UserId,
    };
    use insta::assert_snapshot;

    use super::*;

    const EXPIRES_AT: i64 = 1_795_701_900; // 2026-11-26T14:05:00Z

    fn letterhead() -> Letterhead {
        Letterhead::new("Example", "https://app.example/accept").unwrap()
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

    fn letter(organization: &str, role: Role) -> Letter {
        let invitation = invitation(role);
        let token = Token { key: KeyId::parse("k1").unwrap(), link: invitation.link(), mac: Mac([7; 32]) };
        let name = OrganizationName::parse(organization).unwrap();
        let pending = invitation.pending_at(sent_at()).unwrap();
        letterhead().write(&name, pending, &token, sent_at() + Duration::from_secs(3)).unwrap()
    }

    #[test]
    fn the_letter_as_text() {
        let letter = letter("Acme", Role::Member);
        assert_eq!(letter.subject, "You are invited to Example");
        assert_snapshot!(letter.text);
    }

    #[test]
    fn the_letter_as_html() {
        assert_snapshot!(letter("Acme", Role::Owner).html);
    }

    #[test]
    fn a_name_is_escaped_in_html_literal_in_text_and_never_in_the_subject() {
        let name = r#"<b onload="x">&'Co"#;
        let letter = letter(name, Role::Member);
        assert!(letter.text.contains(name));
        assert!(!letter.html.contains("<b onload") && !letter.html.contains(name));
        assert!(letter.html.contains("&#60;b onload=&#34;x&#34;&#62;&#38;&#39;Co"), "{}", letter.html);
        assert_eq!(letter.subject, "You are invited to Example");
    }

    #[test]
    fn no_mail_client_can_make_a_link_of_a_name() {
        let joined = "Booking\u{2060}.\u{2060}com";
        let letter = letter("Booking.com", Role::Member);
        for part in [&letter.text, &letter.html] {
            assert!(part.contains(joined) && !part.contains("Booking.com"), "{part}");
        }
        assert_eq!(unlinkable("a\u{3002}b"), "a\u{2060}\u{3002}\u{2060}b");
        assert_eq!(unlinkable("Acme Inc."), "Acme Inc\u{2060}.\u{2060}", "a dot at the end shows as ever");
    }

    #[test]
    fn every_link_in_the_letter_is_the_accept_page_with_the_token_behind_the_fragment() {
        let letter = letter("Acme", Role::Member);
        let links = |part: &str| part.matches("https://app.example/accept#v1.k1.org_").count();
        assert_eq!((links(&letter.text), links(&letter.html)), (1, 3));
        assert_eq!(letter.html.matches("http").count(), 3, "there is no other link, picture or font");
        assert_eq!(letter.html.matches("<a ses:no-track href=").count(), 2, "SES leaves the links alone");
    }

    #[test]
    fn deadlines_are_written_out() {
        for (moment, expected) in [
            (EXPIRES_AT, "Thursday, 26 November 2026, 14:05 UTC"),
            (EXPIRES_AT + 59, "Thursday, 26 November 2026, 14:05 UTC"),
            (EXPIRES_AT + 60, "Thursday, 26 November 2026, 14:06 UTC"),
            (1_798_761_599, "Thursday, 31 December 2026, 23:59 UTC"),
            (1_798_761_600, "Friday, 1 January 2027, 00:00 UTC"),
            (1_835_395_200, "Tuesday, 29 February 2028, 00:00 UTC"),
        ] {
            assert_eq!(deadline(Timestamp::from_unix(moment)), expected);
        }
    }

    #[test]
    fn hours_left_are_rounded_up() {
        let deadline = Timestamp::from_unix(EXPIRES_AT);
        for (left, expected) in [
            (48 * 3_600, "48 hours"),
            (47 * 3_600 + 1, "48 hours"),
            (47 * 3_600, "47 hours"),
            (3_601, "2 hours"),
            (3_600, "1 hour"),
            (1, "1 hour"),
        ] {
            assert_eq!(hours(Timestamp::from_unix(EXPIRES_AT - left), deadline), expected);
        }
    }

    #[test]
    fn only_a_plain_http_url_carries_a_token() {
        for good in ["https://app.example/accept", "http://127.0.0.1:4000/accept", "https://app.example/?a=b"]
        {
            assert!(Letterhead::new("Example", good).is_ok(), "{good}");
        }
        for bad in
            ["", "app.example", "javascript:alert(1)", "https://app.example/#x", "https://a b", "https://ü"]
        {
            assert_eq!(Letterhead::new("Example", bad), Err(InvalidAcceptUrl), "{bad}");
        }
    }

    #[test]
    fn debug_shows_nothing_of_a_letter() {
        assert_eq!(format!("{:?}", letter("Acme", Role::Member)), "Letter(..)");
    }
}
