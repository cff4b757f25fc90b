//! Links of invitations, and the tokens that carry them.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;

use crate::{Generation, InvitationId, OrganizationId, Refusal, Timestamp};

/// Prefix of the signed message, which separates Roster's MACs from other uses of the same key.
const PURPOSE: &str = "roster/invitation/v1";
/// The version of the token format.
const VERSION: &str = "v1";
/// Length of the longest token in bytes: version, key id, two ids, two numbers, MAC and six dots.
const TOKEN_BYTES_MAX: usize = 2 + KeyId::BYTES_MAX + 30 + 30 + 10 + 12 + 43 + 6;

/// The content of a link, which its MAC covers.
///
/// The invitation's id is derived from the address, and each generation has one role and one expiry. So the MAC binds
/// the link to the address, the role and the expiry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Link {
    /// The organization.
    pub organization: OrganizationId,
    /// The invitation.
    pub invitation: InvitationId,
    /// The generation of the mail that contains the link.
    pub generation: Generation,
    /// When the invitation of this generation expires.
    pub expires_at: Timestamp,
}

impl Link {
    /// The bytes that the MAC covers.
    ///
    /// The length of each part (2 bytes, big-endian) precedes the part, so that two different links never have the same
    /// bytes.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let generation = self.generation.0.to_string();
        let expires_at = self.expires_at.unix().to_string();
        let mut message = Vec::with_capacity(128);
        for part in [PURPOSE, self.organization.as_str(), self.invitation.as_str(), &generation, &expires_at]
        {
            let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
            message.extend_from_slice(&length.to_be_bytes());
            message.extend_from_slice(part.as_bytes());
        }
        message
    }
}

/// The id of the key that made a MAC: 1 to 32 ASCII letters, digits, `-` or `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct KeyId(String);

impl KeyId {
    const BYTES_MAX: usize = 32;

    /// Parses an id in its exact form.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if fits && plain { Ok(Self(text.to_owned())) } else { Err(InvalidToken) }
    }

    /// The text of the id in the token.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// HMAC-SHA-256 over [`Link::message`], all 32 bytes. It is secret, since it makes the link valid.
#[derive(Clone, PartialEq, Eq)]
pub struct Mac(pub [u8; 32]);

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

/// A link with its MAC, as a mail contains it after the `#`.
///
/// Its text is `v1.<key>.<organization>.<invitation>.<generation>.<expires_at>.<MAC>`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// The key that made the MAC, if the token is genuine.
    pub key: KeyId,
    /// The link, unverified.
    pub link: Link,
    /// The MAC, unverified.
    pub mac: Mac,
}

/// The text is not a genuine token: it is truncated, forged or something else. All causes give the same error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Roster did not create this link")]
pub struct InvalidToken;

impl From<InvalidToken> for Refusal {
    fn from(_: InvalidToken) -> Self {
        Self::InvalidToken
    }
}

impl Token {
    /// Parses exactly the text that [`Token::reveal`] returns, without verifying the MAC.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        if text.len() > TOKEN_BYTES_MAX {
            return Err(InvalidToken);
        }
        let mut parts = text.split('.');
        let mut part = || parts.next().ok_or(InvalidToken);
        if part()? != VERSION {
            return Err(InvalidToken);
        }
        let token = Self {
            key: KeyId::parse(part()?)?,
            link: Link {
                organization: OrganizationId::parse(part()?).map_err(|_| InvalidToken)?,
                invitation: InvitationId::parse(part()?).map_err(|_| InvalidToken)?,
                generation: Generation(part()?.parse().map_err(|_| InvalidToken)?),
                expires_at: Timestamp::from_unix(part()?.parse().map_err(|_| InvalidToken)?),
            },
            mac: Mac(BASE64URL_NOPAD
                .decode(part()?.as_bytes())
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(InvalidToken)?),
        };
        // Each token has exactly one text: no sign, no leading zero, nothing after the MAC.
        if token.reveal() == text { Ok(token) } else { Err(InvalidToken) }
    }

    /// The text of the token. It is secret, and belongs only in the mail.
    #[must_use]
    pub fn reveal(&self) -> String {
        let Link { organization, invitation, generation, expires_at } = &self.link;
        format!(
            "{VERSION}.{}.{organization}.{invitation}.{}.{}.{}",
            self.key.as_str(),
            generation.0,
            expires_at.unix(),
            BASE64URL_NOPAD.encode(&self.mac.0)
        )
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("link", &self.link).finish_non_exhaustive()
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::EmailAddress;

    fn token() -> Token {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        Token {
            key: KeyId::parse("k1").unwrap(),
            link: Link {
                invitation: InvitationId::of(&organization, &email),
                organization,
                generation: Generation(3),
                expires_at: Timestamp::from_unix(1_795_615_500),
            },
            mac: Mac([0xfb; 32]),
        }
    }

    #[test]
    fn parses_the_text_of_a_token() {
        let text = token().reveal();
        assert!(text.starts_with("v1.k1.org_"), "{text}");
        assert_eq!(Token::parse(&text), Ok(token()));
    }

    #[test]
    fn parses_the_longest_token() {
        let mut longest = token();
        longest.key = KeyId::parse(&"k".repeat(32)).unwrap();
        longest.link.generation = Generation(u32::MAX);
        longest.link.expires_at = Timestamp::MAX;
        assert_eq!(longest.reveal().len(), TOKEN_BYTES_MAX);
        assert_eq!(Token::parse(&longest.reveal()), Ok(longest));
    }

    #[test]
    fn rejects_every_other_text() {
        let text = token().reveal();
        for wrong in [
            String::new(),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            format!("{text}."),
            format!("{text}.x"),
            format!(" {text}"),
            text.replace("v1.", "v2."),
            text.replace(".3.", ".03."),
            text.replace(".3.", ".+3."),
            text.replace(".3.", ".-3."),
            text.replace(".3.", ".4294967296."),
            text.replace(".1795615500.", ".99999999999999."),
            text.replace("org_", "inv_"),
            text.replace(".k1.", ".k 1."),
            text.replace(".k1.", ".."),
            text.to_uppercase(),
            "v1.".repeat(100_000),
        ] {
            assert_eq!(Token::parse(&wrong), Err(InvalidToken), "{wrong:.80}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?} {:?}", token(), token().mac);
        assert!(!shown.contains("251") && !shown.contains("-_v7"), "{shown}");
        // The link is not secret.
        assert!(shown.starts_with("Token { link: Link {") && shown.ends_with("Mac(..)"), "{shown}");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,300}") {
            let _ = Token::parse(&text);
        }

        #[test]
        fn different_links_have_different_messages(one in 0u32.., two in 0u32.., at in 0i64..1_000_000) {
            let link = |generation, expires_at| Link {
                generation: Generation(generation),
                expires_at: Timestamp::from_unix(expires_at),
                ..token().link
            };
            prop_assert_eq!(link(one, at).message() == link(two, at).message(), one == two);
        }
    }
}
