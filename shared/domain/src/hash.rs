//! Hashes over several texts, and base32 text.

use data_encoding::Encoding;
use data_encoding_macro::new_encoding;
use sha2::{Digest as _, Sha256};

/// Crockford's base32 in lower case: 16 bytes become 26 characters. The macro checks the alphabet at compile time.
pub(crate) const CROCKFORD: Encoding = new_encoding! {
    symbols: "0123456789abcdefghjkmnpqrstvwxyz",
};

/// Encodes `bytes` in base32, after `prefix`.
pub(crate) fn base32(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", CROCKFORD.encode(bytes))
}

/// SHA-256 over `parts`. The length of each part (8 bytes, big-endian) precedes the part, so that two different lists
/// never hash the same bytes.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Adds access to the stored form of a text that only this crate makes. The store returns such a text unchanged.
macro_rules! stored_text {
    ($name:ident) => {
        impl $name {
            /// Wraps a stored text without checking it.
            #[must_use]
            pub fn stored(text: String) -> Self {
                Self(text)
            }

            /// The text as it is stored.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use stored_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_with_crockfords_alphabet() {
        assert_eq!(base32("x_", &[0, 68, 50, 20, 199, 66, 84, 182, 53, 207]), "x_0123456789abcdef");
        assert_eq!(base32("", &[255; 5]), "zzzzzzzz");
    }

    #[test]
    fn digest_depends_on_where_a_part_ends() {
        assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
        for other in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["", "ab", "c"]] {
            assert_ne!(digest(["ab", "c"]), digest(other.iter().copied()), "{other:?}");
        }
    }
}
