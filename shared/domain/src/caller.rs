//! The caller of an action.

use crate::{EmailAddress, Refusal, Sender, UserId};

/// A signed-in user, as the token of the product's identity provider describes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The `sub` claim.
    pub user: UserId,
    /// The `email` claim, present only when `email_verified` is exactly true.
    pub email: Option<EmailAddress>,
}

impl Caller {
    /// Returns the caller as a sender, or refuses if their address is not verified.
    pub fn verified(self) -> Result<Sender, Refusal> {
        let email = self.email.ok_or(Refusal::EmailNotVerified)?;
        Ok(Sender { user: self.user, email })
    }
}
