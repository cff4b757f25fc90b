//! Link keys in this process, for tests and the laptop (the local server that `cargo run` starts).

use std::fmt;

use domain::{KeyId, Link, Mac, Token};
use futures_util::future::{BoxFuture, ready};
use hmac::{Hmac, KeyInit, Mac as _};
use sha2::Sha256;

use crate::{KeyError, LinkKey};

/// HMAC-SHA-256 with keys in this process. `Debug` shows only the key ids.
#[derive(Clone)]
pub struct InProcess {
    first: (KeyId, [u8; 32]),
    others: Vec<(KeyId, [u8; 32])>,
}

impl InProcess {
    /// Makes tokens with the key `first`, and verifies tokens with `first` and `others`.
    #[must_use]
    pub fn new(first: (KeyId, [u8; 32]), others: Vec<(KeyId, [u8; 32])>) -> Self {
        Self { first, others }
    }

    /// Computes the MAC of `message` with the first key. The laptop's KMS returns it.
    #[must_use]
    pub fn mac(&self, message: &[u8]) -> Mac {
        Mac(mac(&self.first.1, message).finalize().into_bytes().into())
    }
}

/// Starts an HMAC of `message`. HMAC pads a key shorter than a block of 64 bytes with zeros (RFC 2104, section 2).
fn mac(secret: &[u8; 32], message: &[u8]) -> Hmac<Sha256> {
    let mut block = [0; 64];
    block[..32].copy_from_slice(secret);
    Hmac::<Sha256>::new(&block.into()).chain_update(message)
}

impl LinkKey for InProcess {
    fn mint(&self, link: &Link) -> BoxFuture<'static, Result<Token, KeyError>> {
        let mac = self.mac(&link.message());
        Box::pin(ready(Ok(Token { key: self.first.0.clone(), link: link.clone(), mac })))
    }

    fn verify(&self, token: &Token) -> BoxFuture<'static, Result<bool, KeyError>> {
        let keys = std::iter::once(&self.first).chain(&self.others);
        let named = keys.into_iter().find(|(id, _)| *id == token.key);
        let (_, secret) = named.unwrap_or(&self.first);
        // `verify_slice` takes constant time.
        let valid = mac(secret, &token.link.message()).verify_slice(&token.mac.0).is_ok();
        Box::pin(ready(Ok(valid && named.is_some())))
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = std::iter::once(&self.first).chain(&self.others).map(|(id, _)| id).collect();
        f.debug_struct("InProcess").field("keys", &ids).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use domain::{EmailAddress, Generation, InvitationId, OrganizationId, Timestamp};

    use super::*;

    fn id(text: &str) -> KeyId {
        KeyId::parse(text).unwrap()
    }

    fn link() -> Link {
        let organization = OrganizationId::from_random([1; 16]);
        let email = EmailAddress::parse("ada@example.com").unwrap();
        Link {
            invitation: InvitationId::of(&organization, &email),
            organization,
            generation: Generation(1),
            expires_at: Timestamp::from_unix(1_795_615_500),
        }
    }

    async fn mint(key: &InProcess) -> Token {
        key.mint(&link()).await.unwrap()
    }

    /// RFC 4231, test case 1. The test pads the 20-byte key with zeros to 32 bytes, which does not change the HMAC.
    #[test]
    fn computes_hmac_sha_256() {
        let mut secret = [0; 32];
        secret[..20].fill(0x0b);
        let key = InProcess::new((id("k1"), secret), Vec::new());
        assert_eq!(
            HEXLOWER.encode(&key.mac(b"Hi There").0),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[tokio::test]
    async fn s01_verifies_its_own_token_and_rejects_an_edited_one() {
        let key = InProcess::new((id("k1"), [1; 32]), Vec::new());
        let token = mint(&key).await;
        assert!(key.verify(&token).await.unwrap());
        let edits: [fn(&mut Token); 6] = [
            |token| token.mac.0[31] ^= 1,
            |token| token.link.generation = Generation(2),
            |token| token.link.expires_at = Timestamp::from_unix(1_795_615_501),
            |token| token.link.organization = OrganizationId::from_random([2; 16]),
            |token| {
                let other = EmailAddress::parse("eve@example.com").unwrap();
                token.link.invitation = InvitationId::of(&token.link.organization, &other);
            },
            |token| token.key = id("k2"),
        ];
        for (number, edit) in edits.iter().enumerate() {
            let mut edited = token.clone();
            edit(&mut edited);
            assert!(!key.verify(&edited).await.unwrap(), "edit {number}");
        }
    }

    #[tokio::test]
    async fn verifies_with_the_old_key_and_mints_with_the_new_key_after_a_rotation() {
        let old = InProcess::new((id("k1"), [1; 32]), Vec::new());
        let token = mint(&old).await;
        let rotated = InProcess::new((id("k2"), [2; 32]), vec![(id("k1"), [1; 32])]);
        assert!(rotated.verify(&token).await.unwrap());
        assert_eq!(mint(&rotated).await.key, id("k2"));
        let replaced = InProcess::new((id("k1"), [3; 32]), Vec::new());
        assert!(!replaced.verify(&token).await.unwrap());
    }

    #[test]
    fn debug_shows_only_key_ids() {
        let key = InProcess::new((id("k1"), [77; 32]), Vec::new());
        assert_eq!(format!("{key:?}"), r#"InProcess { keys: [KeyId("k1")], .. }"#);
    }
}
