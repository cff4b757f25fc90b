//! One id type for each kind of thing, so that the compiler rejects an id of another kind.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::EmailAddress;
use crate::hash::{CROCKFORD, base32};

/// Number of bytes that the id of an organization or invitation encodes.
const ID_BYTES: usize = 16;

/// The text is not an id of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not an id of the expected kind")]
pub struct InvalidId;

/// Accepts only the exact form that `base32` writes, so that each id has exactly one text.
fn check(prefix: &str, text: &str) -> Result<(), InvalidId> {
    let rest = text.strip_prefix(prefix).ok_or(InvalidId)?;
    match CROCKFORD.decode(rest.as_bytes()) {
        Ok(bytes) if bytes.len() == ID_BYTES => Ok(()),
        _ => Err(InvalidId),
    }
}

macro_rules! text_id {
    ($id:ident) => {
        impl $id {
            /// The text of the id in the contract and in the table.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $id {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $id {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> Self {
                id.0
            }
        }
    };
}

/// The id of an organization: `org_` and 26 characters, made from 16 random bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrganizationId(String);
text_id!(OrganizationId);

impl OrganizationId {
    const PREFIX: &'static str = "org_";

    /// Makes an id from random bytes.
    #[must_use]
    pub fn from_random(random: [u8; ID_BYTES]) -> Self {
        Self(base32(Self::PREFIX, &random))
    }

    /// Parses an id in its exact form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check(Self::PREFIX, text).map(|()| Self(text.to_owned()))
    }
}

/// The id of the invitation of one address in one organization: `inv_` and 26 characters.
///
/// The id is derived from both, so an address has at most one record in an organization (rule: one record per address).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InvitationId(String);
text_id!(InvitationId);

impl InvitationId {
    const PREFIX: &'static str = "inv_";

    /// Derives the id: the first 16 bytes of SHA-256 over the organization, a zero byte and the address.
    #[must_use]
    pub fn of(organization: &OrganizationId, email: &EmailAddress) -> Self {
        let mut hash = Sha256::new();
        hash.update(organization.as_str());
        hash.update([0]);
        hash.update(email.as_str());
        Self(base32(Self::PREFIX, &hash.finalize()[..ID_BYTES]))
    }

    /// Parses an id in its exact form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        check(Self::PREFIX, text).map(|()| Self(text.to_owned()))
    }
}

/// The id of a user: the unchanged `sub` claim of the product's identity provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);
text_id!(UserId);

impl UserId {
    /// Length of the longest id in characters: the limit of OpenID Connect Core 1.0, section 2.
    pub const CHARACTERS_MAX: usize = 255;
    /// Length of the longest id in bytes: a DynamoDB sort key holds 1,024 bytes, and `MEMBER#` takes 7 of them.
    pub const BYTES_MAX: usize = 1_017;

    /// Parses a `sub`: 1 to 255 characters, none a control character.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let fits =
            (1..=Self::BYTES_MAX).contains(&text.len()) && text.chars().count() <= Self::CHARACTERS_MAX;
        if fits && !text.chars().any(char::is_control) { Ok(Self(text.to_owned())) } else { Err(InvalidId) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invitation_id_depends_on_organization_and_address() {
        let organization = OrganizationId::from_random([7; 16]);
        let ada = EmailAddress::parse("ada@example.com").unwrap();
        let same = EmailAddress::parse("ADA@example.com").unwrap();
        let eve = EmailAddress::parse("eve@example.com").unwrap();
        assert_eq!(organization.as_str(), "org_0w3ge1r70w3ge1r70w3ge1r70w");
        assert_eq!(InvitationId::of(&organization, &ada), InvitationId::of(&organization, &same));
        assert_ne!(InvitationId::of(&organization, &ada), InvitationId::of(&organization, &eve));
        let other = OrganizationId::from_random([8; 16]);
        assert_ne!(InvitationId::of(&organization, &ada), InvitationId::of(&other, &ada));
    }

    #[test]
    fn parses_an_id_only_in_its_exact_form() {
        let organization = OrganizationId::from_random([255; 16]);
        assert_eq!(OrganizationId::parse(organization.as_str()), Ok(organization.clone()));
        let text = organization.as_str();
        for wrong in [
            "",
            "org_",
            "inv_0w3ge1r70w3ge1r70w3ge1r70w",
            &text.to_uppercase(),
            &text[..29],
            &format!("{text}0"),
        ] {
            assert_eq!(OrganizationId::parse(wrong), Err(InvalidId), "{wrong}");
        }
        // 26 characters hold 130 bits. The 2 bits that the 16 bytes do not use must be zero.
        assert_eq!(OrganizationId::parse("org_zzzzzzzzzzzzzzzzzzzzzzzzzz"), Err(InvalidId));
    }

    #[test]
    fn keeps_a_valid_sub_unchanged_and_rejects_others() {
        let longest = format!("{}s", "\u{1f469}".repeat(254));
        for sub in ["auth0|123", "a b/ü%41#", "x", &"s".repeat(255), &longest] {
            assert_eq!(UserId::parse(sub).map(String::from).as_deref(), Ok(sub));
        }
        for sub in ["", "a\n", &"s".repeat(256), &"\u{1f469}".repeat(255)] {
            assert_eq!(UserId::parse(sub), Err(InvalidId));
        }
    }
}
