//! What the functions behind a link work with.

use std::sync::Arc;

use domain::{Clock, Timestamp, Token};
use edge::Problem;
use edge::env::required;
use lambda_runtime::Error;

use crate::{KeyError, Kms, LinkKey};

/// The table, the time, the policy, and the key that links are made with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// What every function works with.
    pub edge: edge::App,
    /// The key.
    pub key: Arc<dyn LinkKey>,
}

/// Why a link could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its record could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Its MAC could not be verified.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl App {
    /// As the environment says: what [`edge::App::from_env`] needs, and `LINK_KEYS`.
    pub fn from_env() -> Result<Self, Error> {
        let config = store::aws::config()?;
        let keys = required("LINK_KEYS")?;
        Ok(Self { edge: edge::App::with_config(&config)?, key: Arc::new(Kms::new(&config, &keys)?) })
    }

    /// Verifies the MAC, and only then reads what the token is about: nothing is asked of the table for a link that
    /// Roster never made, so neither the answer nor its time can tell what stands there. To read meanwhile would save
    /// the time of one read, and a record that is there takes longer to read than none.
    pub async fn open<Facts: Default>(
        &self,
        token: &Token,
        read: impl Future<Output = Result<Facts, store::Error>>,
    ) -> Result<(bool, Facts), OpenError> {
        let genuine = self.key.verify(token).await?;
        let facts = if genuine { read.await? } else { Facts::default() };
        Ok((genuine, facts))
    }
}

impl Clock for App {
    fn now(&self) -> Timestamp {
        self.edge.now()
    }
}

impl From<OpenError> for Problem {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error.into(),
            OpenError::Key(error @ KeyError::Unavailable(_)) => Self::unavailable(error),
            OpenError::Key(error @ KeyError::Broken(_)) => Self::internal(error),
        }
    }
}
