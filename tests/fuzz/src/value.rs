//! Parsed values. An accepted value must be canonical, and parsing its text again must return the same value.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use domain::{
    EmailAddress, Generation, Invitation, InvitationId, KeyId, Language, Link, Mac, OrganizationId,
    OrganizationName, Role, Status, Timestamp, Token, UserId,
};
use mail::email::{Email, EmailTemplate};

use crate::site::{noon, site_fixtures};

/// Parses an address, as in the body of an invite or in a claim.
pub fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(address) = EmailAddress::parse(text) else { return };
    let kept = address.as_str();
    assert!(kept.len() <= 254 && kept.is_ascii(), "{kept:?}");
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
    assert!(kept.bytes().all(is_plain), "not one bare address in a mail's header: {kept:?}");
    assert_eq!(kept, kept.to_ascii_lowercase());
    let (local, domain) = kept.rsplit_once('@').expect("an address has an @");
    assert!(!local.is_empty() && !local.contains('@') && domain.contains('.'), "{kept:?}");
    assert!(domain.split('.').all(|label| (1..=63).contains(&label.len())), "{kept:?}");
    assert!(domain.parse::<std::net::IpAddr>().is_err(), "{kept:?}");
    assert!(!domain.ends_with(|end: char| end.is_ascii_digit()) || domain.contains(".xn--"), "{kept:?}");
    if text.is_ascii() {
        // Only ASCII case may change, or the mail would reach another recipient.
        assert_eq!(kept, text.to_ascii_lowercase());
    } else {
        let (written, labels) = text.rsplit_once('@').expect("an address has an @");
        assert_eq!(local, written.to_ascii_lowercase());
        // UTS 46 also separates labels by these characters.
        let labels: Vec<_> = labels.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).collect();
        assert_eq!(domain.split('.').count(), labels.len(), "{text:?} became {kept:?}");
        for (kept, written) in domain.split('.').zip(labels) {
            let same = kept == written.to_ascii_lowercase();
            assert!(same || !written.is_ascii(), "{written:?} became {kept:?}");
        }
    }
    assert_eq!(
        EmailAddress::parse(kept).as_ref(),
        Ok(&address),
        "parsing the text again returns another value"
    );
    assert_eq!(EmailAddress::parse(&kept.to_ascii_uppercase()).as_ref(), Ok(&address), "case matters");
    let json = serde_json::to_string(&address).expect("an address is JSON");
    assert_eq!(serde_json::from_str::<EmailAddress>(&json).ok(), Some(address));
}

/// Parses an organization's name, and renders the mail that shows it.
pub fn name(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(name) = OrganizationName::parse(text) else { return };
    let kept = name.as_str();
    assert!((1..=60).contains(&kept.chars().count()), "{kept:?}");
    assert!(!kept.chars().any(|it| it.is_control() || matches!(it, '\u{2028}' | '\u{2029}')), "{kept:?}");
    assert!(
        !["://", "@", "/", "www."].iter().any(|link| kept.to_ascii_lowercase().contains(link)),
        "{kept:?}"
    );
    assert!(!kept.starts_with(char::is_whitespace) && !kept.ends_with(char::is_whitespace), "{kept:?}");
    assert_eq!(
        OrganizationName::parse(kept).as_ref(),
        Ok(&name),
        "parsing the text again returns another value"
    );

    let (plain, email) = (render("Acme"), render(kept));
    assert_eq!(email.subject, plain.subject, "the subject contains the name");
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&email.text), lines(&plain.text), "the name adds lines");
    for mark in ['<', '>', '"'] {
        let count = |email: &Email| email.html.matches(mark).count();
        assert_eq!(count(&email), count(&plain), "the name adds markup: {kept:?}");
    }
    let count = |text: &str| text.matches("://").count();
    assert_eq!(count(&email.text), count(&plain.text), "the name adds a link: {kept:?}");
}

/// Renders the mail of Ivy's invitation, with this name of the organization.
fn render(name: &str) -> Email {
    thread_local!(static IVY: Invitation = site_fixtures().ivy());
    IVY.with(|invitation| {
        let key = KeyId::parse("fuzz").expect("a key's id");
        let token = Token { key, link: invitation.link(), mac: Mac([7; 32]) };
        let template =
            EmailTemplate::new("Example", "https://product.example/accept", Language::En).expect("a URL");
        let name = OrganizationName::parse(name).expect("a name");
        template.write(&name, invitation, &token, noon()).expect("the mail can be rendered")
    })
}

/// Parses a link's token.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = Token::parse(text) else { return };
    assert_eq!(token.reveal(), text, "one token has two texts");
    let secret = text.rsplit('.').next().expect("a token has a MAC");
    assert!(!format!("{token:?}").contains(secret), "Debug shows the MAC");
    let Link { generation, expires_at, .. } = token.link.clone();
    assert!(expires_at <= Timestamp::MAX && expires_at.unix() >= 0);
    // Another generation has another signed message.
    let other = Link { generation: Generation(generation.0.wrapping_add(1)), ..token.link.clone() };
    assert_ne!(other.message(), token.link.message());
    assert!(token.link.message().len() < 4_096, "KMS accepts 4,096 bytes at most");
}

/// Parses ids and other values of paths and queries.
pub fn id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for prefix in ["org_", "inv_"] {
        let id = match prefix {
            "org_" => parse_canonical::<OrganizationId>(text).map(|id| id.to_string()),
            _ => parse_canonical::<InvitationId>(text).map(|id| id.to_string()),
        };
        // Table keys, the names of schedules and SES tags contain the id.
        let is_plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(id.is_none_or(|id| id.len() == 30 && id.strip_prefix(prefix).is_some_and(is_plain)));
    }
    if let Some(user) = parse_canonical::<UserId>(text) {
        assert!(!user.as_str().chars().any(char::is_control) && user.as_str().len() <= UserId::BYTES_MAX);
    }
    parse_canonical::<Role>(text);
    parse_canonical::<Language>(text);
    parse_canonical::<Status>(text);
    if let Ok(key) = KeyId::parse(text) {
        assert_eq!(key.as_str(), text);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string().parse(), Ok(time), "parsing the text again returns another time");
    }
}

/// Parses `text`, and asserts that a parsed value has the same text again.
fn parse_canonical<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    assert_eq!(value.to_string(), text, "one value has two texts");
    Some(value)
}
