//! The function `mail`: reads the table's stream, and sends the queued mails of invitations.
//!
//! The invitation's record is the outbox: its mail is unsent while `delivery` is `queued`. The function reads the
//! record, sends the mail and sets `delivery` to `sent`. If it crashes between sending and writing, the next attempt
//! sends the same mail a second time. No mail is lost.

pub mod email;
pub mod ses;

mod readable;
mod translations;

use std::convert::Infallible;
use std::sync::Arc;

use aws_config::SdkConfig;
use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use domain::delivery::{
    self, CountRecipientMail, DeliveryUpdate, FindUnsentMail, MissingOrganization, UnsentMail, UpdateDelivery,
};
use domain::{Clock, Link};
use lambda_api::FromEnv;
use lambda_api::env::Env;
use lambda_api::event::HandlerOutput;
use lambda_api::observe::{InvocationError, Metric, Outcome};
use lambda_api::stream::{Change, InvitationRef, for_each_invitation};
use lambda_runtime::Error;
use links::{KeyError, LinkKey};
use store::RunError;

use crate::email::EmailTemplate;
use crate::ses::{SendError, Ses};

/// The state of the function: the table, the clock, the policy and the [`Services`].
pub type App = lambda_api::App<Services>;

/// The services and settings of the function, besides the table.
#[derive(Clone)]
pub struct Services {
    /// The key that signs links.
    pub key: Arc<dyn LinkKey>,
    /// The settings that all emails share.
    pub template: EmailTemplate,
    /// The client of SES.
    pub ses: Ses,
}

impl FromEnv for Services {
    /// Reads `LINK_KEYS`, `MAIL_FROM`, `PRODUCT_NAME`, `ACCEPT_URL`, `MAIL_LANGUAGE` (`en` by default) and the optional
    /// `MAIL_CONFIGURATION_SET`.
    ///
    /// The variable is not named `LANGUAGE`, because gettext uses that name. A function process that is started from a
    /// desktop session would inherit the desktop's value.
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

/// Why a mail is still unsent. The messages contain ids, codes and reasons, but no address and no token.
#[derive(Debug, thiserror::Error)]
enum MailError {
    #[error("the invitation cannot be read: {0}")]
    Read(#[from] RunError<MissingOrganization>),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("the email cannot be rendered: {0}")]
    Email(#[from] askama::Error),
    #[error("{0}")]
    Send(SendError),
    #[error("the mail could not be counted towards its recipient's daily limit: {0}")]
    Count(RunError<Infallible>),
    #[error("the delivery of the mail could not be updated: {0}")]
    Update(#[from] RunError<Infallible>),
}

impl MailError {
    /// Whether a retry can succeed.
    fn is_retryable(&self) -> bool {
        match self {
            Self::Read(error) => error.is_retryable(),
            Self::Key(error) => error.is_retryable(),
            Self::Send(_) => true,
            Self::Count(error) | Self::Update(error) => error.is_retryable(),
            Self::Email(_) => false,
        }
    }
}

/// Sends the mail of an invitation, if it is still unsent.
async fn send_queued(app: &App, invitation: InvitationRef) -> Result<Outcome, MailError> {
    let InvitationRef { organization, invitation } = invitation;
    let Some(UnsentMail { organization, invitation }) =
        app.run(&FindUnsentMail { organization, invitation }).await?
    else {
        return Ok(Outcome::new("nothing"));
    };
    let Services { key, template, ses } = &app.services;
    let link = invitation.link();
    if !app.run(&CountRecipientMail::new(&invitation, app.now())).await.map_err(MailError::Count)? {
        tracing::warn!("the recipient has reached the daily limit of mails");
        // The reason does not name the limit, because it counts the mails of all organizations to this recipient.
        let reason = "The mail was not sent. Resend the invitation tomorrow.".to_owned();
        update_delivery(app, link, DeliveryUpdate::Failed(reason)).await?;
        return Ok(Outcome::new("recipient_limit"));
    }
    let token = key.mint(&link).await?;
    let email = template.write(&organization.name, &invitation, &token, app.now())?;
    let (update, outcome) = match ses.send(&email, &link).await {
        Ok(()) => {
            let delay = delivery::queued_seconds(&invitation, &app.policy, app.now());
            (DeliveryUpdate::Sent, Outcome::new("sent").with_metric(Metric::MailDelay, delay))
        }
        Err(SendError::Refused(code)) => {
            tracing::warn!(code, "SES refused the mail permanently");
            let reason = format!("The mail service refused the mail ({code}).");
            (DeliveryUpdate::Failed(reason), Outcome::new("refused").with_metric(Metric::RefusedMail, 1))
        }
        Err(error @ SendError::Unavailable(_)) => return Err(MailError::Send(error)),
    };
    update_delivery(app, link, update).await?;
    Ok(outcome)
}

async fn update_delivery(app: &App, link: Link, update: DeliveryUpdate) -> Result<(), MailError> {
    Ok(app.run(&UpdateDelivery { link, update }).await.map(drop)?)
}

/// Whether the invitation may have an unsent mail after `change`.
fn may_have_unsent_mail(change: &Change) -> bool {
    change.new.as_ref().is_some_and(|new| delivery::may_have_unsent_mail(new.status, new.delivery))
}

/// Sends the unsent mails of a batch of stream records. Returns the records that must be retried.
pub async fn handle(
    app: Arc<App>,
    event: Event,
) -> Result<HandlerOutput<DynamoDbEventResponse>, InvocationError> {
    let send = async |invitation| {
        let sent = send_queued(&app, invitation).await;
        sent.map_err(|error| InvocationError::retry_if(error.is_retryable(), error))
    };
    Ok(for_each_invitation(event, &*app, may_have_unsent_mail, send).await)
}

#[cfg(test)]
mod tests {
    use domain::{Delivery, Generation, Status, Timestamp};
    use store::record::InvitationImage;

    use super::*;

    #[test]
    fn selects_only_a_pending_invitation_with_a_queued_mail() {
        let change = |status, delivery| {
            let expires_at = Timestamp::from_unix(0);
            let new = InvitationImage { status, delivery, generation: Generation(1), expires_at };
            Change { old: None, new: Some(new) }
        };
        for status in Status::ALL {
            assert_eq!(
                may_have_unsent_mail(&change(status, Some(Delivery::Queued))),
                status == Status::Pending,
                "{status}"
            );
        }
        assert!(!may_have_unsent_mail(&change(Status::Pending, Some(Delivery::Sent))));
        assert!(!may_have_unsent_mail(&change(Status::Pending, None)));
        assert!(!may_have_unsent_mail(&Change {
            new: None,
            ..change(Status::Pending, Some(Delivery::Queued))
        }));
    }
}
