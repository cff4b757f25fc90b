//! [`App`]: what every handler works with.

use std::sync::Arc;

use aws_config::SdkConfig;
use domain::{Action, Clock, Link, Policy, Timestamp, Token};
use lambda_runtime::Error;
use links::{Kms, LinkKey};
use store::{RunError, Store};

use crate::SystemClock;
use crate::env::Env;
use crate::problem::Problem;

/// The table, the clock, the policy, and further services that only some functions need. Cheap to clone.
#[derive(Clone)]
pub struct App<Services = ()> {
    /// The table.
    pub store: Store,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The configured policy, for example lifetimes and limits.
    pub policy: Policy,
    /// The function's own services, for example the link key.
    pub services: Services,
}

/// An [`App`] with the key that makes and verifies links.
pub type LinkApp = App<Arc<dyn LinkKey>>;

/// Services that can be created from environment variables.
pub trait FromEnv: Sized {
    /// Creates the services from `env`, with the SDK configuration `config`.
    /// The error names a missing or invalid variable.
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error>;
}

impl FromEnv for () {
    fn from_env(_: Env<'_>, _: &SdkConfig) -> Result<Self, Error> {
        Ok(())
    }
}

impl FromEnv for Arc<dyn LinkKey> {
    /// Reads `LINK_KEYS`: the KMS keys, of which there are two during a rotation ([`Kms::new`] describes the format).
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error> {
        Ok(Arc::new(Kms::new(config, &env.required("LINK_KEYS")?)?))
    }
}

impl<Services: FromEnv> App<Services> {
    /// Reads `TABLE_NAME`, the variables of [`Env::policy`], and the variables of the services.
    pub fn from_env(env: Env<'_>) -> Result<Self, Error> {
        let config = aws_client::config()?;
        Ok(Self {
            store: Store::new(&config, env.required("TABLE_NAME")?),
            clock: Arc::new(SystemClock),
            policy: env.policy()?,
            services: Services::from_env(env, &config)?,
        })
    }
}

impl<Services> App<Services> {
    /// Returns the same app with other services.
    #[must_use]
    pub fn with_services<Others>(&self, services: Others) -> App<Others> {
        App {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            policy: self.policy.clone(),
            services,
        }
    }

    /// Runs `action` on the table, with the clock and the policy.
    pub async fn run<A: Action>(&self, action: &A) -> Result<A::Answer, RunError<A::Refusal>> {
        self.store.run(action, &self.policy, &*self.clock).await
    }
}

impl LinkApp {
    /// Checks the token's MAC, and returns its link or [`InvalidToken`](domain::Refusal::InvalidToken).
    ///
    /// Handlers call this method before they read the table, so a forged token gets the same response in the same time
    /// whether or not its invitation exists.
    pub async fn verified_link(&self, token: Token) -> Result<Link, Problem> {
        let is_valid = self.services.verify(&token).await?;
        if is_valid { Ok(token.link) } else { Err(domain::Refusal::InvalidToken.into()) }
    }
}

impl<Services> Clock for App<Services>
where
    Services: Send + Sync,
{
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
