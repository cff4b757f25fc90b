//! The functions, linked into this process: the handlers of the real binaries, fed the same events.

use std::sync::Arc;

use aws_config::SdkConfig;
use domain::Language;
use futures_util::future::BoxFuture;
use lambda_runtime::{Context, LambdaEvent};
use links::LinkKey;
use serde_json::Value;

use crate::console::Console;
use crate::function_table::{Function, FunctionApps};
use crate::functions::{Functions, InvokeError};
use crate::random;

/// Where the functions' ARNs point: the last segment is the function's name.
const EXPIRE_ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:expire";
const MAIL_FROM: &str = "Roster <no-reply@roster.example>";

tokio::task_local! {
    static RUNNING: String;
}

/// The function that the current task runs, for observing what functions send.
#[must_use]
pub fn running() -> Option<String> {
    RUNNING.try_with(Clone::clone).ok()
}

/// Every function, with what it works with.
pub struct LinkedFunctions(FunctionApps);

impl LinkedFunctions {
    /// All functions over `app` and `key`, with SES and EventBridge Scheduler reached as `services` says, and mails in
    /// `language` where their senders have not chosen one.
    pub fn assembled(
        app: lambda_api::App,
        key: Arc<dyn LinkKey>,
        services: &SdkConfig,
        accept_url: &str,
        language: Language,
    ) -> Result<Self, lambda_runtime::Error> {
        let mail = mail::Services {
            key: Arc::clone(&key),
            template: mail::email::EmailTemplate::new("Roster".to_owned(), accept_url, language)?,
            ses: mail::ses::Ses::new(services, MAIL_FROM, Some("roster".to_owned()))?,
        };
        let arrangement = schedule::scheduler::Arrangement {
            group: "roster".to_owned(),
            expire_arn: EXPIRE_ARN.to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/roster-scheduler".to_owned(),
            dead_letter_arn: None,
        };
        let scheduler = schedule::scheduler::Scheduler::new(services, arrangement);
        Ok(Self(FunctionApps {
            links: Arc::new(app.with(key)),
            mail: Arc::new(app.with(mail)),
            schedule: Arc::new(app.with(scheduler)),
            app: Arc::new(app),
            console: None,
        }))
    }

    /// The same, and the pages.
    #[must_use]
    pub fn with_console(self, console: Arc<Console>) -> Self {
        Self(FunctionApps { console: Some(console), ..self.0 })
    }

    async fn call(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let function = Function::named(function).ok_or_else(|| InvokeError::Unknown(function.to_owned()))?;
        let mut context = Context::default();
        context.request_id = random::hex::<16>();
        let answer = function.invoke(self.0.clone(), LambdaEvent::new(event, context)).await;
        answer.map_err(|error| InvokeError::Failed {
            kind: "Error".to_owned(),
            message: lambda_api::observe::chain(&*error),
        })
    }
}

impl Functions for LinkedFunctions {
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(RUNNING.scope(function.to_owned(), self.call(function, event)))
    }
}
