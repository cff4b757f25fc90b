//! The table's stream: whatever mail an invitation owes is written, sent, and marked as sent.
//!
//! The record is the outbox. A record that is read again and still owes its mail gets it: a process that dies
//! between sending and marking makes a second, equal mail, never a lost one.

pub mod letter;
mod phrases;
pub mod ses;

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use domain::delivery::{self, Mark};
use domain::{Clock, Policy, Timestamp};
use edge::event::Handled;
use edge::observe::{Failed, Metric, Outcome};
use edge::stream::{Change, Touched, each};
use edge::{SystemClock, env};
use lambda_runtime::Error;
use links::{KeyError, Kms, LinkKey};
use store::{SettleError, Store, aws};

use crate::letter::Letterhead;
use crate::ses::{SendError, Ses};

/// What the function works with.
#[derive(Clone)]
pub struct App {
    /// The table.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The key that links are made with.
    pub key: Arc<dyn LinkKey>,
    /// What all letters have in common.
    pub letterhead: Letterhead,
    /// Who sends them.
    pub ses: Ses,
    /// The configured numbers.
    pub policy: Policy,
}

/// Why a mail is still owed. Ids, codes and reasons, never an address or a token.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the invitation cannot be read: {0}")]
    Read(#[from] store::Error),
    #[error("an invitation without its organization")]
    NoOrganization,
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("the letter cannot be written: {0}")]
    Letter(#[from] askama::Error),
    #[error("{0}")]
    Send(SendError),
    #[error("the mail could not be counted to its recipient's day: {0}")]
    Count(SettleError<std::convert::Infallible>),
    #[error("the mail was sent, but that could not be noted: {0}")]
    Mark(#[from] SettleError<std::convert::Infallible>),
}

impl Failure {
    /// Whether the same may well work later.
    fn passes(&self) -> bool {
        match self {
            Self::Read(error) => error.passes(),
            Self::Key(KeyError::Unavailable(_)) | Self::Send(_) => true,
            Self::Count(error) | Self::Mark(error) => error.passes(store::Error::passes),
            Self::NoOrganization | Self::Key(KeyError::Broken(_)) | Self::Letter(_) => false,
        }
    }
}

impl Clock for App {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl App {
    /// As the environment says: `TABLE_NAME`, `LINK_KEYS`, `MAIL_FROM`, `PRODUCT_NAME`, `ACCEPT_URL`, `MAIL_LANGUAGE`
    /// (`en` if there is none), `MAIL_CONFIGURATION_SET` if there is one, and [`env::policy`].
    ///
    /// Not `LANGUAGE`: gettext reads that, so a process beside the laptop may well inherit a desktop's.
    pub fn from_env() -> Result<Self, Error> {
        let config = aws::config()?;
        let from = env::required("MAIL_FROM")?;
        let (product, accept_url) = (env::required("PRODUCT_NAME")?, env::required("ACCEPT_URL")?);
        let language = env::parsed("MAIL_LANGUAGE")?.unwrap_or_default();
        Ok(Self {
            store: Store::new(&config, env::required("TABLE_NAME")?),
            clock: Arc::new(SystemClock),
            key: Arc::new(Kms::new(&config, &env::required("LINK_KEYS")?)?),
            letterhead: Letterhead::new(product, accept_url, language)?,
            ses: Ses::new(&config, from, env::optional("MAIL_CONFIGURATION_SET")?)?,
            policy: env::policy()?,
        })
    }

    /// Sends the mail that the invitation owes now, if it owes one.
    async fn send_owed(&self, touched: Touched) -> Result<Outcome, Failure> {
        let read = self.store.letter_facts(&touched.organization, &touched.invitation).await?;
        let Some(invitation) = read.invitation else { return Ok(Outcome::new("nothing")) };
        let Some(pending) = delivery::owed(&invitation, self.clock.now()) else {
            return Ok(Outcome::new("nothing"));
        };
        let organization = read.organization.ok_or(Failure::NoOrganization)?;
        let link = invitation.link();
        let clock = &*self.clock;
        if !self.store.admit(pending, &self.policy, clock).await.map_err(Failure::Count)? {
            tracing::warn!("the recipient has had enough mail today");
            // Whoever invites is not told how much others write to this address.
            let reason = "The mail was not sent. Resend the invitation tomorrow.".to_owned();
            self.store.mark(&link, &Mark::Failed(reason), clock).await?;
            return Ok(Outcome::new("recipient_limit"));
        }
        let token = self.key.mint(&link).await?;
        let letter = self.letterhead.write(&organization.name, pending, &token, self.clock.now())?;
        let (mark, outcome) = match self.ses.send(&letter, &link).await {
            Ok(()) => {
                let delay = delivery::owed_seconds(&invitation, &self.policy, self.clock.now());
                (Mark::Sent, Outcome::new("sent").measuring(Metric::MailDelay, delay))
            }
            Err(SendError::Refused(code)) => {
                tracing::warn!(code, "the mail was refused for good");
                let reason = format!("The mail service refused the mail ({code}).");
                (Mark::Failed(reason), Outcome::new("refused"))
            }
            Err(error @ SendError::NotNow(_)) => return Err(Failure::Send(error)),
        };
        self.store.mark(&link, &mark, clock).await?;
        Ok(outcome)
    }
}

/// A change after which a mail may be owed.
fn owes(change: &Change) -> bool {
    change.new.as_ref().is_some_and(|new| delivery::may_owe(new.status, new.delivery))
}

/// Sends what a batch of the stream says is owed; answers with what has to be tried again.
pub async fn handle(app: Arc<App>, event: Event) -> Result<Handled<DynamoDbEventResponse>, Failed> {
    let look_after = async |touched| {
        let sent = app.send_owed(touched).await;
        sent.map_err(|failure| Failed::passing(failure.passes(), failure))
    };
    Ok(each(event, &*app, owes, look_after).await)
}

#[cfg(test)]
mod tests {
    use domain::{Delivery, Generation, Status};
    use store::record::Standing;

    use super::*;

    #[test]
    fn only_a_pending_record_with_its_mail_queued_is_looked_at() {
        let change = |status, delivery| {
            let expires_at = Timestamp::from_unix(0);
            let new = Standing { status, delivery, generation: Generation(1), expires_at };
            Change { old: None, new: Some(new) }
        };
        for status in Status::ALL {
            assert_eq!(owes(&change(status, Some(Delivery::Queued))), status == Status::Pending, "{status}");
        }
        assert!(!owes(&change(Status::Pending, Some(Delivery::Sent))));
        assert!(!owes(&change(Status::Pending, None)));
        assert!(!owes(&Change { new: None, ..change(Status::Pending, Some(Delivery::Queued)) }));
    }
}
