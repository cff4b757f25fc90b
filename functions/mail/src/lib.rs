//! The table's stream: whatever mail an invitation owes is written, sent, and marked as sent.
//!
//! The record is the outbox. A record that is read again and still owes its mail gets it: a process that dies
//! between sending and marking makes a second, equal mail, never a lost one.

pub mod email;
pub mod ses;
mod translations;

use std::convert::Infallible;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use domain::delivery::{
    self, CountRecipientMail, DeliveryUpdate, FindOwedMail, MissingOrganization, OwedMail, UpdateDelivery,
};
use domain::{Clock, Link};
use lambda_api::FromEnv;
use lambda_api::env::Env;
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{InvocationError, Metric, Outcome};
use lambda_api::stream::{Change, InvitationRef, each};
use lambda_runtime::Error;
use links::{KeyError, LinkKey};
use store::RunError;

use crate::email::EmailTemplate;
use crate::ses::{SendError, Ses};

/// What the function works with.
pub type App = lambda_api::App<Services>;

/// What the function calls beside the table.
#[derive(Clone)]
pub struct Services {
    /// The key that links are made with.
    pub key: Arc<dyn LinkKey>,
    /// What all emails have in common.
    pub template: EmailTemplate,
    /// Who sends them.
    pub ses: Ses,
}

impl FromEnv for Services {
    /// `LINK_KEYS`, `MAIL_FROM`, `PRODUCT_NAME`, `ACCEPT_URL`, `MAIL_LANGUAGE` (`en` if there is none), and
    /// `MAIL_CONFIGURATION_SET` if there is one.
    ///
    /// Not `LANGUAGE`: gettext reads that, so a process beside the laptop may well inherit a desktop's.
    fn from_env(env: Env<'_>, config: &SdkConfig) -> Result<Self, Error> {
        let from = env.required("MAIL_FROM")?;
        let (product, accept_url) = (env.required("PRODUCT_NAME")?, env.required("ACCEPT_URL")?);
        let language = env.parsed("MAIL_LANGUAGE")?.unwrap_or_default();
        Ok(Self {
            key: FromEnv::from_env(env, config)?,
            template: EmailTemplate::new(product, accept_url, language)?,
            ses: Ses::new(config, from, env.optional("MAIL_CONFIGURATION_SET")?)?,
        })
    }
}

/// Why a mail is still owed. Ids, codes and reasons, never an address or a token.
#[derive(Debug, thiserror::Error)]
enum MailError {
    #[error("the invitation cannot be read: {0}")]
    Find(#[from] RunError<MissingOrganization>),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("the email cannot be written: {0}")]
    Email(#[from] askama::Error),
    #[error("{0}")]
    Send(SendError),
    #[error("the mail could not be counted to its recipient's day: {0}")]
    Count(RunError<Infallible>),
    #[error("the mail was sent, but that could not be noted: {0}")]
    Mark(#[from] RunError<Infallible>),
}

impl MailError {
    /// Whether the same may well work later.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Find(error) => error.is_retryable(),
            Self::Key(error) => error.is_retryable(),
            Self::Send(_) => true,
            Self::Count(error) | Self::Mark(error) => error.is_retryable(),
            Self::Email(_) => false,
        }
    }
}

/// Sends the mail that the invitation owes now, if it owes one.
async fn send_owed(app: &App, touched: InvitationRef) -> Result<Outcome, MailError> {
    let InvitationRef { organization, invitation } = touched;
    let Some(OwedMail { organization, invitation }) =
        app.run(&FindOwedMail { organization, invitation }).await?
    else {
        return Ok(Outcome::new("nothing"));
    };
    let Services { key, template, ses } = &app.services;
    let link = invitation.link();
    if !app.run(&CountRecipientMail::new(&invitation, app.now())).await.map_err(MailError::Count)? {
        tracing::warn!("the recipient has had enough mail today");
        // The sender is not told how much other organizations write to this address.
        let reason = "The mail was not sent. Resend the invitation tomorrow.".to_owned();
        mark(app, link, DeliveryUpdate::Failed(reason)).await?;
        return Ok(Outcome::new("recipient_limit"));
    }
    let token = key.mint(&link).await?;
    let email = template.write(&organization.name, &invitation, &token, app.now())?;
    let (what, outcome) = match ses.send(&email, &link).await {
        Ok(()) => {
            let delay = delivery::owed_seconds(&invitation, &app.policy, app.now());
            (DeliveryUpdate::Sent, Outcome::new("sent").measuring(Metric::MailDelay, delay))
        }
        Err(SendError::Refused(code)) => {
            tracing::warn!(code, "the mail was refused for good");
            let reason = format!("The mail service refused the mail ({code}).");
            (DeliveryUpdate::Failed(reason), Outcome::new("refused"))
        }
        Err(error @ SendError::NotNow(_)) => return Err(MailError::Send(error)),
    };
    mark(app, link, what).await?;
    Ok(outcome)
}

async fn mark(app: &App, link: Link, mark: DeliveryUpdate) -> Result<(), MailError> {
    Ok(app.run(&UpdateDelivery { link, mark }).await.map(drop)?)
}

/// A change after which a mail may be owed.
fn owes(change: &Change) -> bool {
    change.new.as_ref().is_some_and(|new| delivery::may_owe(new.status, new.delivery))
}

/// Sends what a batch of the stream says is owed; answers with what has to be tried again.
pub async fn handle(
    app: Arc<App>,
    event: Event,
) -> Result<HandlerOutput<DynamoDbEventResponse>, InvocationError> {
    let look_after = async |touched| {
        let sent = send_owed(&app, touched).await;
        sent.map_err(|failure| InvocationError::retryable(failure.is_retryable(), failure))
    };
    Ok(each(event, &*app, owes, look_after).await)
}

#[cfg(test)]
mod tests {
    use domain::{Delivery, Generation, Status, Timestamp};
    use store::record::InvitationImage;

    use super::*;

    #[test]
    fn only_a_pending_record_with_its_mail_queued_is_looked_at() {
        let change = |status, delivery| {
            let expires_at = Timestamp::from_unix(0);
            let new = InvitationImage { status, delivery, generation: Generation(1), expires_at };
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
