//! Links: their MACs are made and verified by KMS, or by a key in this process.
//!
//! The table holds nothing from which a link can be made; who holds the key can make any.

mod in_process;
mod kms;

pub use in_process::InProcess;
pub use kms::{InvalidKeys, Kms};

use domain::{Link, Token};
use futures_util::future::BoxFuture;

/// A key that links are made with and verified by; several, while one replaces another.
pub trait LinkKey: Send + Sync {
    /// The token of `link`, made with the first key.
    fn mint(&self, link: &Link) -> BoxFuture<'static, Result<Token, KeyError>>;

    /// Whether the token's MAC is right under the key that it names. One that names an unknown key is held
    /// against the first one and wrong: the work done must not tell which keys there are.
    fn verify(&self, token: &Token) -> BoxFuture<'static, Result<bool, KeyError>>;
}

impl KeyError {
    /// Whether the same may well work later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The key could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// KMS throttles, fails or cannot be reached: later it may work.
    #[error("the link key is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// KMS refuses: a permission, a missing or disabled key.
    #[error("the link key cannot be used")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}
