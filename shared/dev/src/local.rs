//! The functions, linked into this process: the handlers of the real binaries, fed the same events.

use std::sync::Arc;

use aws_config::SdkConfig;
use domain::Language;
use edge::{event, http};
use futures_util::future::BoxFuture;
use lambda_runtime::{Context, LambdaEvent};
use serde_json::Value;

use crate::console::Console;
use crate::functions::{Functions, InvokeError};
use crate::random;

/// Where the functions' ARNs point: the last segment is the function's name.
const EXPIRE_ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:expire";
const MAIL_FROM: &str = "Roster <no-reply@roster.example>";

tokio::task_local! {
    static RUNNING: String;
}

/// The function that the current task runs, for whoever looks at what functions send.
#[must_use]
pub fn running() -> Option<String> {
    RUNNING.try_with(Clone::clone).ok()
}

/// Every function, with what it works with.
pub struct Local {
    edge: Arc<edge::App>,
    links: Arc<links::App>,
    mail: Arc<mail::App>,
    schedule: Arc<schedule::App>,
    /// None where there is no laptop around the functions, whose pages these are.
    console: Option<Arc<Console>>,
}

impl Local {
    /// The functions that work with these.
    #[must_use]
    pub fn new(edge: edge::App, links: links::App, mail: mail::App, schedule: schedule::App) -> Self {
        Self {
            edge: Arc::new(edge),
            links: Arc::new(links),
            mail: Arc::new(mail),
            schedule: Arc::new(schedule),
            console: None,
        }
    }

    /// The same, and the pages.
    #[must_use]
    pub fn with_console(self, console: Arc<Console>) -> Self {
        Self { console: Some(console), ..self }
    }

    /// All functions over `edge` and `key`, with SES and EventBridge Scheduler reached as `services` says, and mails in
    /// `language` where their senders have not chosen one.
    pub fn assembled(
        edge: edge::App,
        key: Arc<dyn links::LinkKey>,
        services: &SdkConfig,
        accept_url: &str,
        language: Language,
    ) -> Result<Self, lambda_runtime::Error> {
        let links = links::App { edge: edge.clone(), key };
        let mail = mail::App {
            store: edge.store.clone(),
            clock: Arc::clone(&edge.clock),
            key: Arc::clone(&links.key),
            letterhead: mail::letter::Letterhead::new("Roster".to_owned(), accept_url, language)?,
            ses: mail::ses::Ses::new(services, MAIL_FROM, Some("roster".to_owned()))?,
            policy: edge.policy.clone(),
        };
        let arrangement = schedule::scheduler::Arrangement {
            group: "roster".to_owned(),
            expire_arn: EXPIRE_ARN.to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/roster-scheduler".to_owned(),
            dead_letter_arn: None,
        };
        let schedule = schedule::App {
            store: edge.store.clone(),
            clock: Arc::clone(&edge.clock),
            scheduler: schedule::scheduler::Scheduler::new(services, arrangement),
        };
        Ok(Self::new(edge, links, mail, schedule))
    }

    async fn call(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let mut context = Context::default();
        context.request_id = random::hex::<16>();
        let event = LambdaEvent::new(event, context);
        let edge = || Arc::clone(&self.edge);
        let links = || Arc::clone(&self.links);
        let failed = |message: String| InvokeError::Failed { kind: "Error".to_owned(), message };
        let answer = match function {
            "accept" => http::invoke("accept", links(), accept::handle, event).await,
            "console" => {
                let console =
                    self.console.as_ref().ok_or_else(|| InvokeError::Unknown(function.to_owned()))?;
                let app = console.app().map_err(|error| failed(edge::observe::chain(&error)))?;
                http::invoke("console", Arc::new(app), console::handle, event).await
            }
            "create" => http::invoke("create", edge(), create::handle, event).await,
            "decline" => http::invoke("decline", links(), decline::handle, event).await,
            "expire" => event::invoke("expire", edge(), expire::handle, event).await,
            "feedback" => event::invoke("feedback", edge(), feedback::handle, event).await,
            "invite" => http::invoke("invite", edge(), invite::handle, event).await,
            "list" => http::invoke("list", edge(), list::handle, event).await,
            "mail" => event::invoke("mail", Arc::clone(&self.mail), mail::handle, event).await,
            "preview" => http::invoke("preview", links(), preview::handle, event).await,
            "reconcile" => event::invoke("reconcile", edge(), reconcile::handle, event).await,
            "remove" => http::invoke("remove", edge(), remove::handle, event).await,
            "resend" => http::invoke("resend", edge(), resend::handle, event).await,
            "revoke" => http::invoke("revoke", edge(), revoke::handle, event).await,
            "role-edit" => http::invoke("role-edit", edge(), role_edit::handle, event).await,
            "schedule" => {
                event::invoke("schedule", Arc::clone(&self.schedule), schedule::handle, event).await
            }
            unknown => return Err(InvokeError::Unknown(unknown.to_owned())),
        };
        answer.map_err(|error| failed(error.to_string()))
    }
}

impl Functions for Local {
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(RUNNING.scope(function.to_owned(), self.call(function, event)))
    }
}
