//! The laptop's replacement for API Gateway's JWT authorizer. It accepts tokens of the laptop's own issuer, and of another
//! identity provider if there is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::identity_provider::IdentityProvider;
use crate::issuer::Issuer;
use crate::jwt::{self, Unauthorized};

/// Verifies the token of each request to a route that needs one.
#[derive(Clone)]
pub struct Authorizer {
    own: Issuer,
    other: Option<Arc<IdentityProvider>>,
}

impl Authorizer {
    /// Creates an authorizer for tokens of the laptop's own issuer and of `other`.
    #[must_use]
    pub fn new(own: Issuer, other: Option<Arc<IdentityProvider>>) -> Self {
        Self { own, other }
    }

    /// Verifies the `Authorization` header. Returns the claims as API Gateway passes them on: each one is a string.
    pub async fn authorize(
        &self,
        authorization: Option<&str>,
    ) -> Result<BTreeMap<String, String>, Unauthorized> {
        let token = jwt::bearer_token(authorization)?;
        let issuer = jwt::unverified_issuer(token)?;
        let claims = match (issuer.as_deref(), &self.other) {
            (Some(issuer), _) if issuer == self.own.url() => self.own.verify(token).await?,
            (Some(issuer), Some(other)) if issuer == other.issuer() => other.verify(token).await?,
            _ => return Err(jwt::UNKNOWN_ISSUER),
        };
        Ok(claims.into_iter().map(|(name, value)| (name, jwt::flatten(&value))).collect())
    }
}
