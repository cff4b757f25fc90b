//! E-mail addresses, compared in ASCII lower case and never folded further.

use std::fmt;
use std::str::FromStr;

use email_address::Options;
use serde::{Deserialize, Serialize};

/// 254 bytes: the longest address that fits an SMTP path (RFC 5321, 4.5.3.1.3, less the angle brackets).
const BYTES_MAX: usize = 254;

/// A parsed address: ASCII, lower case, its domain in punycode where it is an international one.
///
/// `Debug` hides it, so that it stays out of logs; `Display` shows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EmailAddress(String);

/// Why a text is not an address that Roster can invite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Longer than 254 bytes, written in ASCII.
    #[error("the address is longer than {BYTES_MAX} characters")]
    TooLong,
    /// A character outside ASCII before the `@`.
    #[error("the part before the @ may hold ASCII characters only")]
    LocalPartNotAscii,
    /// The domain is international, but not in the one form that punycode stands for.
    #[error("the international domain is not in its normal form: write it in lower case, or in punycode")]
    DomainNotNormal,
    /// Not `local@domain` with a dotted domain.
    #[error("this is not an e-mail address like name@company.example")]
    Malformed,
}

impl EmailAddress {
    /// Parses `text`, which must be one bare address: no display name, no list, no comment, no quoted local
    /// part, no address literal; a domain with at least one dot.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // Longer input cannot become shorter than the limit by punycode; refusing it first bounds the work.
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

    /// An address as [`as_str`](Self::as_str) has told it, to be shown: what else makes it one was looked at when it was
    /// parsed. `None`: it cannot have been told so.
    #[must_use]
    pub fn stored(text: String) -> Option<Self> {
        let told = text.len() <= BYTES_MAX
            && text.contains('@')
            && text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
        told.then_some(Self(text))
    }

    /// The address, in ASCII lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An international domain becomes punycode, and nothing else is folded: where the mapping of UTS 46 would
/// change more than that (a Kelvin sign, full-width letters, upper case beyond ASCII), the domain is refused.
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
    fn ascii_is_lowered_and_nothing_else_is_folded() {
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
    fn what_is_no_bare_address_is_refused() {
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
    fn look_alikes_are_refused_not_folded() {
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
    fn the_length_limit_has_two_sides() {
        let domain = format!("{}.{}.{}.example", "a".repeat(63), "b".repeat(63), "c".repeat(47));
        let local = "l".repeat(64);
        assert_eq!(parsed(&format!("{local}@{domain}")).map(|address| address.len()), Ok(254 - 6));
        assert_eq!(parsed(&format!("{local}@{domain}dddddd")).map(|address| address.len()), Ok(254));
        assert_eq!(parsed(&format!("{local}@{domain}ddddddd")), Err(InvalidEmail::TooLong));
    }

    #[test]
    fn what_is_written_longer_than_it_is_kept_may_be_longer() {
        let label = "ü".repeat(50);
        let text = format!("{}@{label}.{label}.example", "l".repeat(64));
        assert!(text.len() > 254, "{}", text.len());
        assert!(parsed(&text).is_ok_and(|address| address.len() < 254));
        // Beyond four times as much nobody looks at what it is.
        let local = |bytes: usize| format!("{}@example.com", "ü".repeat((bytes - 12) / 2));
        assert_eq!(local(4 * 254).len(), 4 * 254);
        assert_eq!(parsed(&local(4 * 254)), Err(InvalidEmail::LocalPartNotAscii));
        assert_eq!(parsed(&local(4 * 254 + 2)), Err(InvalidEmail::TooLong));
    }

    #[test]
    fn punycode_has_to_be_right_and_other_ascii_is_left_alone() {
        assert_eq!(parsed("ada@xn--mnchen-3ya.example").as_deref(), Ok("ada@xn--mnchen-3ya.example"));
        assert_eq!(parsed("ada@xn--a.example"), Err(InvalidEmail::DomainNotNormal));
        assert_eq!(parsed("ada@ab--cd.example").as_deref(), Ok("ada@ab--cd.example"));
        assert_eq!(parsed("ada@example.com").map(|_| ()), Ok(()));
    }

    #[test]
    fn it_is_shown_as_it_is_kept() {
        assert_eq!(EmailAddress::parse("Ada@Example.com").unwrap().to_string(), "ada@example.com");
    }

    #[test]
    fn debug_shows_no_address() {
        let address = EmailAddress::parse("ada@example.com").unwrap();
        assert_eq!(format!("{address:?}"), "EmailAddress(..)");
    }

    #[test]
    fn nothing_is_stored_that_no_address_is_told_as() {
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
