//! Who is calling.

use crate::{EmailAddress, UserId};

/// A signed-in user, as the product's identity provider vouches for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The `sub` claim.
    pub user: UserId,
    /// The `email` claim, present only when `email_verified` is exactly true.
    pub email: Option<EmailAddress>,
}
