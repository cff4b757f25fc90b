//! Addresses as people read them: an international domain in Unicode, where Unicode is safe.

use std::borrow::Cow;

use domain::EmailAddress;
use unicode_security::confusable_detection::skeleton;
use unicode_security::{RestrictionLevel, RestrictionLevelDetection as _};

/// Blocks of right-to-left scripts, from Hebrew to Arabic Extended-A.
const RIGHT_TO_LEFT: std::ops::RangeInclusive<char> = '\u{590}'..='\u{8ff}';

/// Returns the address with its domain in Unicode if no label can be mistaken for another one; else the address itself.
///
/// The stored address has punycode, which people cannot read: `münchen.example` is `xn--mnchen-3ya.example`.
pub(crate) fn readable(address: &EmailAddress) -> Cow<'_, str> {
    let text = address.as_str();
    let Some((local, domain)) = text.rsplit_once('@') else { return Cow::Borrowed(text) };
    let (unicode, valid) = idna::domain_to_unicode(domain);
    if unicode == domain || valid.is_err() || !unicode.split('.').all(is_safe) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{local}@{unicode}"))
}

/// Whether people can read `label` without taking it for another one (UTS 39).
///
/// A label in Unicode is safe if its characters belong to one script or to one of the usual mixtures (level *Highly
/// Restrictive*), and if it does not look like ASCII text. Right-to-left labels are not safe, because they can change the
/// order of the text around them.
fn is_safe(label: &str) -> bool {
    label.is_ascii()
        || (label.check_restriction_level(RestrictionLevel::HighlyRestrictive)
            && !skeleton(label).all(|character| character.is_ascii())
            && !label.chars().any(|character| RIGHT_TO_LEFT.contains(&character)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(domain: &str) -> String {
        readable(&EmailAddress::parse(&format!("ada@{domain}")).unwrap()).into_owned()
    }

    #[test]
    fn shows_international_domains_in_unicode() {
        for domain in [
            "example.com",
            "münchen.example",
            "straße.example",
            "smørrebrød.example",
            "łódź.example",
            "почта.рф",
            "例え.テスト",
            "한국.example",
            "ελλάδα.example",
            "क्ष.example",
            "mail.bücher.example",
        ] {
            assert_eq!(shown(domain), format!("ada@{domain}"));
        }
    }

    #[test]
    fn shows_a_domain_that_looks_like_another_one_in_ascii() {
        for (domain, ascii) in [
            // Cyrillic letters that look like `apple`, and a dotless i.
            ("\u{430}\u{440}\u{440}\u{4cf}\u{435}.example", "xn--80ak6aa92e.example"),
            ("g\u{131}thub.example", "xn--gthub-n4a.example"),
            // A Cyrillic а between Latin letters, and a Greek letter between them.
            ("p\u{430}ypal.example", "xn--pypal-4ve.example"),
            ("g\u{3bf}\u{3bf}gle.example", "xn--ggle-0nda.example"),
            // The first label is safe, the second one is not.
            ("münchen.p\u{430}ypal.example", "xn--mnchen-3ya.xn--pypal-4ve.example"),
            // A right-to-left script.
            ("אב.example", "xn--4dbc.example"),
            // A script that is not in common use.
            ("\u{13a0}\u{13b3}\u{13a9}.example", "xn--58ds3a.example"),
        ] {
            assert_eq!(shown(domain), format!("ada@{ascii}"), "{domain}");
        }
    }
}
