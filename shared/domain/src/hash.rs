//! Hashes of several texts, and how bytes become text.

use data_encoding::Encoding;
use data_encoding_macro::new_encoding;
use sha2::{Digest as _, Sha256};

/// Crockford's base32 in lower case: 16 bytes become 26 characters. Made when Roster is compiled, so that no other alphabet
/// can ever stand in for it.
pub(crate) const CROCKFORD: Encoding = new_encoding! {
    symbols: "0123456789abcdefghjkmnpqrstvwxyz",
};

/// `bytes` in base32, behind `prefix`.
pub(crate) fn encoded(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", CROCKFORD.encode(bytes))
}

/// SHA-256 over `parts`, each with its length before it (8 bytes, big-endian), so that no two lists of parts share
/// what is hashed.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a str>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// A text that only this crate makes, and that whoever stores it gives back as it was.
macro_rules! stored_text {
    ($name:ident) => {
        impl $name {
            /// The one that is stored like this.
            #[must_use]
            pub fn stored(text: String) -> Self {
                Self(text)
            }

            /// As it is stored.
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
    fn the_alphabet_is_fixed() {
        assert_eq!(encoded("x_", &[0, 68, 50, 20, 199, 66, 84, 182, 53, 207]), "x_0123456789abcdef");
        assert_eq!(encoded("", &[255; 5]), "zzzzzzzz");
    }

    #[test]
    fn where_one_part_ends_matters() {
        assert_eq!(digest(["ab", "c"]), digest(["ab", "c"]));
        for other in [&["a", "bc"][..], &["abc"], &["ab", "c", ""], &["", "ab", "c"]] {
            assert_ne!(digest(["ab", "c"]), digest(other.iter().copied()), "{other:?}");
        }
    }
}
