//! Values that are parsed once: whatever is let through is what it says, and the same when it is read again.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use domain::{
    EmailAddress, Generation, Invitation, InvitationId, KeyId, Language, Link, Mac, OrganizationId,
    OrganizationName, Role, Status, Timestamp, Token, UserId,
};
use mail::email::{Email, EmailTemplate};

use crate::site::{furnished, noon};

/// An address of somebody to invite, or of a claim.
pub fn address(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(address) = EmailAddress::parse(text) else { return };
    let kept = address.as_str();
    assert!(kept.len() <= 254 && kept.is_ascii(), "{kept:?}");
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
    assert!(kept.bytes().all(is_plain), "it would not be one bare address in a mail's header: {kept:?}");
    assert_eq!(kept, kept.to_ascii_lowercase());
    let (local, domain) = kept.rsplit_once('@').expect("an address has an @");
    assert!(!local.is_empty() && !local.contains('@') && domain.contains('.'), "{kept:?}");
    assert!(domain.split('.').all(|label| (1..=63).contains(&label.len())), "{kept:?}");
    if text.is_ascii() {
        // Nothing is folded but the case of ASCII: nobody else gets the mail.
        assert_eq!(kept, text.to_ascii_lowercase());
    } else {
        let (written, labels) = text.rsplit_once('@').expect("an address has an @");
        assert_eq!(local, written.to_ascii_lowercase());
        assert_eq!(domain.split('.').count(), labels.split('.').count(), "{text:?} has become {kept:?}");
        for (kept, written) in domain.split('.').zip(labels.split('.')) {
            let punycode = kept.starts_with("xn--") && !written.is_ascii();
            assert!(punycode || kept == written.to_ascii_lowercase(), "{written:?} was folded into {kept:?}");
        }
    }
    assert_eq!(EmailAddress::parse(kept).as_ref(), Ok(&address), "it is another one when it is read again");
    assert_eq!(EmailAddress::parse(&kept.to_ascii_uppercase()).as_ref(), Ok(&address), "case matters");
    let json = serde_json::to_string(&address).expect("an address is JSON");
    assert_eq!(serde_json::from_str::<EmailAddress>(&json).ok(), Some(address));
}

/// An organization's name, and the letter that shows it.
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
    assert_eq!(OrganizationName::parse(kept).as_ref(), Ok(&name), "it is another one when it is read again");

    let (plain, letter) = (letter("Acme"), letter(kept));
    assert_eq!(letter.subject, plain.subject, "a name stands in the subject");
    let lines = |text: &str| text.lines().count();
    assert_eq!(lines(&letter.text), lines(&plain.text), "a name makes lines");
    for mark in ['<', '>', '"'] {
        let count = |letter: &Email| letter.html.matches(mark).count();
        assert_eq!(count(&letter), count(&plain), "a name makes markup: {kept:?}");
    }
    let bare = |text: &str| text.matches("://").count();
    assert_eq!(bare(&letter.text), bare(&plain.text), "a name makes a link: {kept:?}");
}

fn letter(name: &str) -> Email {
    thread_local!(static IVY: Invitation = furnished().ivy());
    IVY.with(|invitation| {
        let key = KeyId::parse("fuzz").expect("a key's id");
        let token = Token { key, link: invitation.link(), mac: Mac([7; 32]) };
        let template =
            EmailTemplate::new("Example", "https://product.example/accept", Language::En).expect("a page");
        let name = OrganizationName::parse(name).expect("a name");
        template.write(&name, invitation, &token, noon()).expect("a letter can be written")
    })
}

/// A link's token.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(token) = Token::parse(text) else { return };
    assert_eq!(token.reveal(), text, "one token has two texts");
    let secret = text.rsplit('.').next().expect("a token has a MAC");
    assert!(!format!("{token:?}").contains(secret), "Debug shows the MAC");
    let Link { generation, expires_at, .. } = token.link.clone();
    assert!(expires_at <= Timestamp::MAX && expires_at.unix() >= 0);
    // What the MAC is made over tells every part from the next.
    let next = |it: u32| Generation(it.wrapping_add(1));
    let other = Link { generation: next(generation.0), ..token.link.clone() };
    assert_ne!(other.message(), token.link.message());
    assert!(token.link.message().len() < 4_096, "KMS takes no more");
}

/// Ids, and other words of paths and queries.
pub fn id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for prefix in ["org_", "inv_"] {
        let read = match prefix {
            "org_" => again::<OrganizationId>(text).map(|id| id.to_string()),
            _ => again::<InvitationId>(text).map(|id| id.to_string()),
        };
        // A key of the table is made of it, and a schedule's name, and a tag of SES.
        let is_plain = |id: &str| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        assert!(read.is_none_or(|id| id.len() == 30 && id.strip_prefix(prefix).is_some_and(is_plain)));
    }
    if let Some(user) = again::<UserId>(text) {
        assert!(!user.as_str().chars().any(char::is_control) && user.as_str().len() <= UserId::BYTES_MAX);
    }
    again::<Role>(text);
    again::<Language>(text);
    again::<Status>(text);
    if let Ok(key) = KeyId::parse(text) {
        assert_eq!(key.as_str(), text);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        assert_eq!(moment.to_string().parse(), Ok(moment), "a moment is another one when it is read again");
    }
}

/// What is read, if it is read: the text that was given says it again.
fn again<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    assert_eq!(value.to_string(), text, "one value has two texts");
    Some(value)
}
