//! E-mail addresses, compared in ASCII lower case without Unicode folding (rule: addresses).

use std::fmt;
use std::str::FromStr;

use email_address::Options;
use serde::{Deserialize, Serialize};

/// Length of the longest address in bytes. An SMTP path has 256 bytes with its angle brackets (RFC 5321, 4.5.3.1.3).
const BYTES_MAX: usize = 254;

/// A valid address in ASCII lower case. An international domain is in punycode.
///
/// `Debug` hides the address, so that it stays out of logs. `Display` shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// Why a text is not an address that Roster can invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Longer than 254 bytes in ASCII form.
    #[error("the address is longer than {BYTES_MAX} characters")]
    TooLong,
    /// The part before the `@` contains a character outside ASCII.
    #[error("the part before the @ may contain ASCII characters only")]
    LocalPartNotAscii,
    /// The international domain differs from the form to which its punycode decodes.
    #[error("the international domain is not in its normal form: write it in lower case, or in punycode")]
    DomainNotNormal,
    /// The text is not `local@domain` with a dot in the domain.
    #[error("this is not an e-mail address like name@company.example")]
    Malformed,
}

impl EmailAddress {
    /// Parses one bare address.
    ///
    /// The text may not contain a display name, a list, a comment, a quoted local part or an address literal. The
    /// domain needs a dot.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // Punycode cannot shorten longer text to the limit. Rejecting such text first bounds the work.
        if text.len() > 4 * BYTES_MAX {
            return Err(InvalidEmail::TooLong);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(InvalidEmail::Malformed)?;
        if !local.is_ascii() {
            return Err(InvalidEmail::LocalPartNotAscii);
        }
        if local.starts_with('"') {
            return Err(InvalidEmail::Malformed);
        }
        let mut address = local.to_ascii_lowercase();
        address.push('@');
        address.push_str(&ascii_domain(domain)?);
        if address.len() > BYTES_MAX {
            return Err(InvalidEmail::TooLong);
        }
        let options = Options::default().with_required_tld().without_domain_literal().without_display_text();
        email_address::EmailAddress::parse_with_options(&address, options)
            .map_err(|_| InvalidEmail::Malformed)?;
        Ok(Self(address))
    }

    /// Wraps a stored address; `None` if [`as_str`](Self::as_str) cannot have returned this text.
    ///
    /// It checks length and characters only, since `parse` validated the address before it was stored.
    #[must_use]
    pub fn stored(text: String) -> Option<Self> {
        let possible = text.len() <= BYTES_MAX
            && text.contains('@')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
        possible.then_some(Self(text))
    }

    /// The address, in ASCII lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Converts a domain to ASCII lower case, and an international domain to punycode.
///
/// A domain that the mapping of UTS 46 would change further is rejected. Examples are a Kelvin sign, full-width letters
/// and upper case beyond ASCII.
fn ascii_domain(domain: &str) -> Result<String, InvalidEmail> {
    let lower = domain.to_ascii_lowercase();
    if lower.is_ascii() && !lower.split('.').any(|label| label.starts_with("xn--")) {
        return Ok(lower);
    }
    let ascii = idna::domain_to_ascii_strict(&lower).map_err(|_| InvalidEmail::DomainNotNormal)?;
    let (unicode, valid) = idna::domain_to_unicode(&ascii);
    if valid.is_err() || (lower != unicode && lower != ascii) {
        return Err(InvalidEmail::DomainNotNormal);
    }
    Ok(ascii)
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(..)")
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EmailAddress {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        Self::parse(text)
    }
}

impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::parse(&text)
    }
}

impl From<EmailAddress> for String {
    fn from(address: EmailAddress) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<String, InvalidEmail> {
        EmailAddress::parse(text).map(String::from)
    }

    #[test]
    fn reads_stored_addresses_only_in_their_stored_form() {
        let stored = |text: &str| EmailAddress::stored(text.to_owned()).map(String::from);
        assert_eq!(stored("ada@example.com").as_deref(), Some("ada@example.com"));
        for text in ["Ada@example.com", "ada", "a da@example.com", "ada@exämple.com"] {
            assert_eq!(stored(text), None, "{text}");
        }
        let longest = format!("{}@example.com", "a".repeat(BYTES_MAX - 12));
        assert_eq!(stored(&longest).as_deref(), Some(&*longest));
        assert_eq!(stored(&format!("a{longest}")), None);
    }

    #[test]
    fn converts_ascii_to_lower_case_and_folds_nothing_else() {
        for (text, expected) in [
            ("Ada@Example.COM", "ada@example.com"),
            ("ada+news@example.com", "ada+news@example.com"),
            ("a.d.a@example.com", "a.d.a@example.com"),
            ("o'neil@example.co.uk", "o'neil@example.co.uk"),
            ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
            ("ada@xn--mnchen-3ya.example", "ada@xn--mnchen-3ya.example"),
            ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn rejects_text_that_is_not_one_bare_address() {
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "ada@@example.com",
            "ada@exa mple.com",
            " ada@example.com",
            "ada@example.com ",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada\n@example.com",
            "ada@example.com,eve@example.com",
            "ada@example.com;eve@example.com",
            "Ada <ada@example.com>",
            "<ada@example.com>",
            "\"ada\"@example.com",
            "\"a@b\"@example.com",
            "ada(comment)@example.com",
            ".ada@example.com",
            "ada.@example.com",
            "a..da@example.com",
            "ada@[127.0.0.1]",
            "ada@-example.com",
            "ada@example..com",
            "ada@.example.com",
            "ada@example.com.",
            "ada\u{0}@example.com",
        ] {
            assert!(parsed(text).is_err(), "{text:?} gave {:?}", parsed(text));
        }
    }

    #[test]
    fn rejects_look_alike_characters_instead_of_folding_them() {
        assert_eq!(parsed("m\u{131}ke@example.com"), Err(InvalidEmail::LocalPartNotAscii)); // dotless i
        assert_eq!(parsed("mi\u{212a}e@example.com"), Err(InvalidEmail::LocalPartNotAscii)); // Kelvin sign
        assert_eq!(parsed("\u{ff41}da@example.com"), Err(InvalidEmail::LocalPartNotAscii)); // full-width a
        assert_eq!(parsed("ada@\u{212a}elvin.example"), Err(InvalidEmail::DomainNotNormal));
        assert_eq!(parsed("ada@\u{ff45}xample.com"), Err(InvalidEmail::DomainNotNormal));
        assert_eq!(parsed("ada@MÜNCHEN.example"), Err(InvalidEmail::DomainNotNormal));
        assert_eq!(parsed("ada@exa\u{202e}mple.com"), Err(InvalidEmail::DomainNotNormal));
        assert_eq!(parsed("ada@example\u{3002}com"), Err(InvalidEmail::DomainNotNormal));
    }

    #[test]
    fn accepts_254_bytes_and_rejects_255() {
        let domain = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(47));
        let local = "l".repeat(64);
        assert_eq!(parsed(&format!("{local}@{domain}")).map(|address| address.len()), Ok(254 - 6));
        assert_eq!(parsed(&format!("{local}@{domain}dddddd")).map(|address| address.len()), Ok(254));
        assert_eq!(parsed(&format!("{local}@{domain}ddddddd")), Err(InvalidEmail::TooLong));
    }

    #[test]
    fn the_length_limit_applies_to_the_ascii_form() {
        let label = "ü".repeat(50);
        let text = format!("{}@{label}.{label}.example", "l".repeat(64));
        assert!(text.len() > 254, "{}", text.len());
        assert!(parsed(&text).is_ok_and(|address| address.len() < 254));
        // Text of more than 4 × 254 bytes is rejected without parsing.
        let local = |bytes: usize| format!("{}@example.com", "ü".repeat((bytes - 12) / 2));
        assert_eq!(local(4 * 254).len(), 4 * 254);
        assert_eq!(parsed(&local(4 * 254)), Err(InvalidEmail::LocalPartNotAscii));
        assert_eq!(parsed(&local(4 * 254 + 2)), Err(InvalidEmail::TooLong));
    }

    #[test]
    fn rejects_invalid_punycode_and_keeps_other_ascii_domains() {
        assert_eq!(parsed("ada@xn--mnchen-3ya.example").as_deref(), Ok("ada@xn--mnchen-3ya.example"));
        assert_eq!(parsed("ada@xn--a.example"), Err(InvalidEmail::DomainNotNormal));
        assert_eq!(parsed("ada@ab--cd.example").as_deref(), Ok("ada@ab--cd.example"));
        assert_eq!(parsed("ada@example.com").map(|_| ()), Ok(()));
    }

    #[test]
    fn display_shows_the_lower_case_form() {
        assert_eq!(EmailAddress::parse("Ada@Example.com").unwrap().to_string(), "ada@example.com");
    }

    #[test]
    fn debug_shows_no_address() {
        let address = EmailAddress::parse("ada@example.com").unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress(..)");
    }

    #[test]
    fn stored_rejects_text_that_as_str_cannot_return() {
        let long = format!("{}@example.com", "a".repeat(BYTES_MAX));
        for text in
            ["", "ada", "Ada@example.com", "ada@münchen.example", "ada @example.com", "a\n@b.c", &long]
        {
            assert_eq!(EmailAddress::stored(text.to_owned()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(text in "\\PC{0,40}@\\PC{0,40}") {
            if let Ok(address) = EmailAddress::parse(&text) {
                prop_assert!(address.as_str().is_ascii());
                prop_assert_eq!(EmailAddress::parse(address.as_str()), Ok(address.clone()));
                prop_assert_eq!(EmailAddress::stored(address.as_str().to_owned()), Some(address.clone()));
            }
        }

        #[test]
        fn ordinary_addresses_are_accepted_in_any_case(
            text in "[a-zA-Z0-9][a-zA-Z0-9+_-]{0,20}@[a-zA-Z0-9]{1,20}\\.(com|example|co\\.uk)"
        ) {
            prop_assert_eq!(parsed(&text), Ok(text.to_ascii_lowercase()));
        }
    }
}
