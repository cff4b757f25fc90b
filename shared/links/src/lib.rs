//! Link keys: they make and verify the MACs of links, in KMS or in this process.
//!
//! The table contains nothing from which a link can be made. The key alone is enough to make a link.

mod in_process;
mod kms;

pub use in_process::InProcess;
pub use kms::{InvalidKeys, Kms};

use domain::{Link, Token};
use futures_util::future::BoxFuture;

/// Makes and verifies the MACs of links. During a key rotation, there are several keys.
pub trait LinkKey: Send + Sync {
    /// Makes the token of `link` with the first key.
    fn mint(&self, link: &Link) -> BoxFuture<'static, Result<Token, KeyError>>;

    /// Returns whether the token's MAC is valid under the key that the token names.
    ///
    /// A token with an unknown key id is invalid. The first key verifies it all the same, so the response time does not
    /// reveal which key ids exist.
    fn verify(&self, token: &Token) -> BoxFuture<'static, Result<bool, KeyError>>;
}

impl KeyError {
    /// Whether a later retry can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The error of a link key that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// KMS throttles, fails or cannot be reached. A later retry can succeed.
    #[error("the link key is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// KMS rejects the request: the permission is missing, or the key is missing or disabled.
    #[error("the link key cannot be used")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}
