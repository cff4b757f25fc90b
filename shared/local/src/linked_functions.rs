//! The functions that are linked into this process: the handlers of the real binaries, which receive the same events.

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

/// The ARN of `expire` in schedules. The laptop's scheduler reads the function's name from the last segment.
const EXPIRE_ARN: &str = "arn:aws:lambda:eu-central-1:000000000000:function:expire";
const MAIL_FROM: &str = "Roster <no-reply@roster.example>";

tokio::task_local! {
    static CURRENT_FUNCTION: String;
}

/// Returns the name of the function that the current task runs. Tests use it to assign AWS requests to functions.
#[must_use]
pub fn current_function() -> Option<String> {
    CURRENT_FUNCTION.try_with(Clone::clone).ok()
}

/// All functions, with the `App` values that they use.
pub struct LinkedFunctions(FunctionApps);

impl LinkedFunctions {
    /// Creates all functions but `console`, over `app` and the link key. They reach SES and EventBridge Scheduler
    /// through `services`. `language` is the default language of mails.
    pub fn new(
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
        let arrangement = schedule::scheduler::ScheduleTarget {
            group: "roster".to_owned(),
            expire_arn: EXPIRE_ARN.to_owned(),
            role_arn: "arn:aws:iam::000000000000:role/roster-scheduler".to_owned(),
            dead_letter_arn: None,
        };
        let scheduler = schedule::scheduler::Scheduler::new(services, arrangement);
        Ok(Self(FunctionApps {
            links: Arc::new(app.with_services(key)),
            mail: Arc::new(app.with_services(mail)),
            schedule: Arc::new(app.with_services(scheduler)),
            app: Arc::new(app),
            console: None,
        }))
    }

    /// Adds the function `console`.
    #[must_use]
    pub fn with_console(self, console: Arc<Console>) -> Self {
        Self(FunctionApps { console: Some(console), ..self.0 })
    }

    async fn call(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let function = Function::named(function).ok_or_else(|| InvokeError::Unknown(function.to_owned()))?;
        let mut context = Context::default();
        context.request_id = random::hex::<16>();
        let result = function.invoke(self.0.clone(), LambdaEvent::new(event, context)).await;
        result.map_err(|error| InvokeError::Failed {
            kind: "Error".to_owned(),
            message: lambda_api::observe::error_chain(&*error),
        })
    }
}

impl Functions for LinkedFunctions {
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(CURRENT_FUNCTION.scope(function.to_owned(), self.call(function, event)))
    }
}
