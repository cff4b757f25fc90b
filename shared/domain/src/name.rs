//! Organization names that are safe to show in mails (rule: names).

use std::fmt;

use serde::{Deserialize, Serialize};

/// Length of the longest name in characters, as in the contract.
const CHARACTERS_MAX: usize = 60;

/// Texts that mail clients turn into links or addresses.
const LINK_PARTS: [&str; 4] = ["://", "@", "/", "www."];

/// The name of an organization: 1 to 60 characters, without surrounding spaces.
///
/// It contains no control, bidirectional, invisible or line-break characters, and nothing that makes a link.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganizationName(String);

/// Why a text cannot be an organization's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Empty, or only white space.
    #[error("the name is empty")]
    Empty,
    /// More than 60 characters.
    #[error("the name is longer than {CHARACTERS_MAX} characters")]
    TooLong,
    /// A control, line-break, bidirectional or invisible formatting character.
    #[error("the name contains a control, line-break, text-direction or invisible character")]
    Unprintable,
    /// `://`, `@`, `/` or `www.`.
    #[error("the name contains `://`, `@`, `/` or `www.`, which mail clients turn into links")]
    Link,
}

impl OrganizationName {
    /// Validates `text` and removes the spaces around it.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if text.chars().any(is_unprintable) {
            return Err(InvalidName::Unprintable);
        }
        let text = text.trim();
        if text.chars().all(char::is_whitespace) {
            return Err(InvalidName::Empty);
        }
        if text.chars().count() > CHARACTERS_MAX {
            return Err(InvalidName::TooLong);
        }
        let lower = text.to_ascii_lowercase();
        if LINK_PARTS.iter().any(|part| lower.contains(part)) {
            return Err(InvalidName::Link);
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns whether `character` is a control character, a separator of lines or paragraphs, or invisible.
///
/// Invisible are Unicode's `Bidi_Control` characters, which change the text direction, and zero-width and tag
/// characters. Joiners are allowed, since some scripts need them.
fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

impl fmt::Display for OrganizationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for OrganizationName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse(&text)
    }
}

impl From<OrganizationName> for String {
    fn from(name: OrganizationName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_common_names() {
        for text in [
            "A",
            "Acme",
            "Booking.com",
            "Müller & Söhne <GmbH>",
            "株式会社",
            "می\u{200c}خواهم",
            "👩\u{200d}🔬 Lab",
        ] {
            assert_eq!(OrganizationName::parse(text).map(String::from).as_deref(), Ok(text));
        }
        let acme = OrganizationName::parse("  Acme ").unwrap();
        assert_eq!((acme.as_str(), acme.to_string()), ("Acme", "Acme".to_owned()));
    }

    #[test]
    fn accepts_1_to_60_characters() {
        assert!(OrganizationName::parse(&"ü".repeat(60)).is_ok());
        assert_eq!(OrganizationName::parse(&"ü".repeat(61)), Err(InvalidName::TooLong));
        assert_eq!(OrganizationName::parse(""), Err(InvalidName::Empty));
        assert_eq!(OrganizationName::parse(" \u{3000}"), Err(InvalidName::Empty));
    }

    #[test]
    fn rejects_names_that_make_a_link() {
        for text in
            ["see https://x.example", "a/b", "me@x.example", "www.x.example", "WWW.x.example", "x ://"]
        {
            assert_eq!(OrganizationName::parse(text), Err(InvalidName::Link), "{text}");
        }
    }

    #[test]
    fn rejects_control_and_invisible_characters() {
        for text in [
            "a\r\nb",
            "a\tb",
            "a\u{0}",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{2028}b",
            "\u{feff}a",
            "a\u{85}b",
            "a\n",
        ] {
            assert_eq!(OrganizationName::parse(text), Err(InvalidName::Unprintable), "{text:?}");
        }
    }
}
