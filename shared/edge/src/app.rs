//! What a function works with.

use std::sync::Arc;

use domain::{Clock, OrganizationId, Policy, Timestamp, UserId};
use lambda_runtime::Error;
use store::Store;
use store::aws::config;

use crate::{Problem, SystemClock, env};

/// The table, the time and the policy. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The configured numbers.
    pub policy: Policy,
}

impl App {
    /// As the environment says: `TABLE_NAME`, and [`env::policy`].
    pub fn from_env() -> Result<Self, Error> {
        Self::with_config(&config()?)
    }

    /// As [`App::from_env`], with an SDK configuration that the function shares with other clients.
    pub fn with_config(config: &aws_config::SdkConfig) -> Result<Self, Error> {
        Ok(Self {
            store: Store::new(config, env::required("TABLE_NAME")?),
            clock: Arc::new(SystemClock),
            policy: env::policy()?,
        })
    }

    /// The refusal of a call about an item whose id names nothing: `otherwise`, unless the caller is not in
    /// the organization, which comes first.
    pub async fn not_found(
        &self,
        organization: &OrganizationId,
        caller: &UserId,
        otherwise: Problem,
    ) -> Problem {
        match self.store.membership(organization, caller).await {
            Ok(Some(_)) => otherwise,
            Ok(None) => Problem::no_organization(),
            Err(error) => error.into(),
        }
    }
}

impl Clock for App {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}
