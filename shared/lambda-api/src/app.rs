//! What a function works with.

use std::sync::Arc;

use aws_config::SdkConfig;
use domain::{Action, Clock, Link, Policy, Timestamp, Token};
use lambda_runtime::Error;
use links::{Kms, LinkKey};
use store::{RunError, Store};

use crate::SystemClock;
use crate::env::Env;
use crate::problem::Problem;

/// The table, the time and the policy, and the other services that the function calls. Cheap to clone.
#[derive(Clone)]
pub struct App<Services = ()> {
    /// The table.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The configured numbers.
    pub policy: Policy,
    /// The other services.
    pub services: Services,
}

/// An [`App`] with the key that links are made with and verified by.
pub type LinkApp = App<Arc<dyn LinkKey>>;

/// Services beside the table that a function calls.
pub trait FromEnv: Sized {
    /// As `env` says, reached as `config` says. An error names the variable that is missing or wrong.
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error>;
}

impl FromEnv for () {
    fn from_env(_: Env<'_>, _: &SdkConfig) -> Result<Self, Error> {
        Ok(())
    }
}

impl FromEnv for Arc<dyn LinkKey> {
    /// `LINK_KEYS`.
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error> {
        Ok(Arc::new(Kms::new(config, &env.required("LINK_KEYS")?)?))
    }
}

impl<Services: FromEnv> App<Services> {
    /// As `env` says: `TABLE_NAME`, [`Env::policy`], and what the services need.
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
    /// The same, with other services.
    #[must_use]
    pub fn with<Others>(&self, services: Others) -> App<Others> {
        App {
            store: self.store.clone(),
            clock: Arc::clone(&self.clock),
            policy: self.policy.clone(),
            services,
        }
    }

    /// Runs `action` on the table, by the clock and under the policy.
    pub async fn run<A: Action>(&self, action: &A) -> Result<A::Answer, RunError<A::Refusal>> {
        self.store.run(action, &self.policy, &*self.clock).await
    }
}

impl LinkApp {
    /// The link of a token whose MAC is right. The MAC is verified before any read of the table, so that a forged token
    /// reveals nothing, not even by the time it takes.
    pub async fn verify(&self, token: Token) -> Result<Link, Problem> {
        let genuine = self.services.verify(&token).await?;
        if genuine { Ok(token.link) } else { Err(domain::Refusal::InvalidToken.into()) }
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
