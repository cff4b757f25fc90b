//! E-mail addresses, compared in ASCII lower case (rule: addresses).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use email_address::Options;
use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
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
    /// The part after the `@` is not a domain name: a character, a hyphen, a length or punycode is not valid.
    #[error("the part after the @ is not a domain name like company.example")]
    InvalidDomain,
    /// The part after the `@` is an IP address. Public mail servers do not accept mail for it.
    #[error("the part after the @ is an IP address, but it must be a domain name like company.example")]
    IpAddress,
    /// The domain does not end in a top-level domain. So no mail server can be found for it.
    #[error("the part after the @ must end in a dot and a top-level domain, as in company.example")]
    NoTopLevelDomain,
    /// The text is not `local@domain`.
    #[error("this is not an e-mail address like name@company.example")]
    Malformed,
}

impl EmailAddress {
    /// Parses one bare address.
    ///
    /// The text may not contain a display name, a list, a comment or a quoted local part. The domain must be one that
    /// can receive mail: a domain name below a top-level domain, and no IP address.
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
        let options = Options::default().without_domain_literal().without_display_text();
        email_address::EmailAddress::parse_with_options(&address, options)
            .map_err(|_| InvalidEmail::Malformed)?;
        Ok(Self(address))
    }

    /// Wraps a stored address; `None` if [`as_str`](Self::as_str) cannot have returned this text.
    ///
    /// It checks length and characters only, since `parse` validated the address before it was stored. `Deserialize`
    /// uses it.
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
/// The conversion is the one before every DNS query (UTS 46). So all spellings of a domain become one address, for
/// example upper case beyond ASCII and decomposed letters. Characters that DNS distinguishes stay distinct: a dotless i
/// is not an i.
fn ascii_domain(domain: &str) -> Result<String, InvalidEmail> {
    if domain.starts_with('[') || domain.parse::<IpAddr>().is_ok() {
        return Err(InvalidEmail::IpAddress);
    }
    let ascii = Uts46::new().to_ascii(
        domain.as_bytes(),
        AsciiDenyList::STD3,
        // Hyphens in the third and fourth place are valid, as in `ab--cd.example`.
        Hyphens::CheckFirstLast,
        DnsLength::Verify,
    );
    let ascii = ascii.map_err(|_| InvalidEmail::InvalidDomain)?;
    if ascii.parse::<IpAddr>().is_ok() {
        return Err(InvalidEmail::IpAddress);
    }
    // Top-level domains are alphabetic (RFC 1123, 2.1) or international.
    let is_top_level = |label: &str| {
        label.starts_with("xn--") || (label.len() > 1 && label.bytes().all(|byte| byte.is_ascii_alphabetic()))
    };
    let has_top_level = ascii.rsplit_once('.').is_some_and(|(_, label)| is_top_level(label));
    if has_top_level { Ok(ascii.into_owned()) } else { Err(InvalidEmail::NoTopLevelDomain) }
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

/// Reads the address of a stored record, as [`EmailAddress::stored`] does.
///
/// So a record stays readable if a later version of [`EmailAddress::parse`] refuses its address: the invitation can
/// still be revoked, and expires.
impl TryFrom<String> for EmailAddress {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::stored(text).ok_or(InvalidEmail::Malformed)
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
    fn reads_a_stored_address_that_cannot_be_invited() {
        let text = "bob@127.0.0.1";
        assert!(EmailAddress::parse(text).is_err());
        let address = EmailAddress::try_from(text.to_owned()).unwrap();
        assert_eq!((address.as_str(), EmailAddress::stored(text.to_owned())), (text, Some(address.clone())));
        for text in ["Bob@127.0.0.1", "bob", "b ob@example.com"] {
            assert_eq!(EmailAddress::try_from(text.to_owned()), Err(InvalidEmail::Malformed), "{text}");
        }
    }

    #[test]
    fn converts_ascii_to_lower_case_and_international_domains_to_punycode() {
        for (text, expected) in [
            ("Ada@Example.COM", "ada@example.com"),
            ("ada+news@example.com", "ada+news@example.com"),
            ("a.d.a@example.com", "a.d.a@example.com"),
            ("o'neil@example.co.uk", "o'neil@example.co.uk"),
            ("ada@münchen.example", "ada@xn--mnchen-3ya.example"),
            ("ada@xn--mnchen-3ya.example", "ada@xn--mnchen-3ya.example"),
            ("ada@straße.example", "ada@xn--strae-oqa.example"),
            ("ada@r3---a.example", "ada@r3---a.example"),
            ("ada@例え.テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn all_spellings_of_an_international_domain_are_one_address() {
        for (spellings, expected) in [
            (
                // Upper case, a decomposed letter, punycode in upper case, full-width letters, another dot, and a soft
                // hyphen.
                &[
                    "ada@MÜNCHEN.example",
                    "ada@mu\u{308}nchen.example",
                    "ada@XN--MNCHEN-3YA.EXAMPLE",
                    "ada@\u{ff4d}ünchen.example",
                    "ada@münchen\u{3002}example",
                    "ada@mün\u{ad}chen.example",
                ][..],
                "ada@xn--mnchen-3ya.example",
            ),
            // The Kelvin sign is the same character as K in every domain.
            (&["ada@\u{212a}elvin.example", "ada@KELVIN.example"], "ada@kelvin.example"),
            (&["ada@STRA\u{1e9e}E.example", "ada@straße.example"], "ada@xn--strae-oqa.example"),
        ] {
            for text in spellings {
                assert_eq!(parsed(text).as_deref(), Ok(expected), "{text:?}");
            }
        }
        for (one, other) in [
            ("ada@github.example", "ada@g\u{131}thub.example"),
            ("ada@strasse.example", "ada@straße.example"),
            ("ada@inside.example", "ada@\u{130}nside.example"),
            ("ada@apple.example", "ada@\u{430}\u{440}\u{440}\u{4cf}\u{435}.example"),
        ] {
            assert_ne!(parsed(one).unwrap(), parsed(other).unwrap(), "DNS distinguishes {one} and {other}");
        }
    }

    #[test]
    fn the_domain_must_be_able_to_receive_mail() {
        use InvalidEmail::{InvalidDomain, IpAddress, NoTopLevelDomain};
        for (domain, expected) in [
            ("127.0.0.1", IpAddress),
            ("255.255.255.255", IpAddress),
            ("\u{ff11}27.0.0.1", IpAddress),
            ("[127.0.0.1]", IpAddress),
            ("[IPv6:::1]", IpAddress),
            ("::1", IpAddress),
            ("2001:db8::1", IpAddress),
            ("x.123", NoTopLevelDomain),
            ("x.0x7f", NoTopLevelDomain),
            ("256.256.256.256", NoTopLevelDomain),
            ("example.c0m", NoTopLevelDomain),
            ("example.c", NoTopLevelDomain),
            ("example.c-m", NoTopLevelDomain),
            ("localhost", NoTopLevelDomain),
            ("com", NoTopLevelDomain),
            ("", InvalidDomain),
            (".", InvalidDomain),
            ("example.com.", InvalidDomain),
            ("under_score.example", InvalidDomain),
            ("exa!mple.com", InvalidDomain),
            ("-example.com", InvalidDomain),
            ("example-.com", InvalidDomain),
            ("example..com", InvalidDomain),
            ("exa mple.com", InvalidDomain),
            ("example.com:25", InvalidDomain),
            ("exa\u{202e}mple.com", InvalidDomain),
            ("xn--a.example", InvalidDomain),
        ] {
            assert_eq!(parsed(&format!("bob@{domain}")), Err(expected), "{domain}");
        }
        for domain in [
            "1.example",
            "127.0.0.1.example",
            "x.123.example",
            "a-b.example",
            "x.museum",
            "xn--p1ai.xn--p1ai",
        ] {
            assert_eq!(
                parsed(&format!("bob@{domain}")).as_deref(),
                Ok(&*format!("bob@{domain}")),
                "{domain}"
            );
        }
        assert_eq!(parsed("bob@почта.рф").as_deref(), Ok("bob@xn--80a1acny.xn--p1ai"));
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
    fn rejects_characters_beyond_ascii_before_the_at_sign_instead_of_folding_them() {
        assert_eq!(parsed("m\u{131}ke@example.com"), Err(InvalidEmail::LocalPartNotAscii)); // dotless i
        assert_eq!(parsed("mi\u{212a}e@example.com"), Err(InvalidEmail::LocalPartNotAscii)); // Kelvin sign
        assert_eq!(parsed("\u{ff41}da@example.com"), Err(InvalidEmail::LocalPartNotAscii)); // full-width a
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
        assert_eq!(parsed("ada@xn--a.example"), Err(InvalidEmail::InvalidDomain));
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
