//! The functions, linked into this process: the handlers of the real binaries, fed the same events.

use std::sync::Arc;

use edge::http::invoke;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::functions::{Functions, InvokeError};

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
        }
    }

    async fn call(&self, function: &str, event: Value) -> Result<Value, InvokeError> {
        let edge = || Arc::clone(&self.edge);
        let links = || Arc::clone(&self.links);
        let answer = match function {
            "accept" => invoke(links(), accept::handle, event).await,
            "create" => invoke(edge(), create::handle, event).await,
            "decline" => invoke(links(), decline::handle, event).await,
            "expire" => expire::invoke(edge(), event).await,
            "feedback" => feedback::invoke(edge(), event).await,
            "invite" => invoke(edge(), invite::handle, event).await,
            "list" => invoke(edge(), list::handle, event).await,
            "mail" => mail::invoke(Arc::clone(&self.mail), event).await,
            "preview" => invoke(links(), preview::handle, event).await,
            "reconcile" => reconcile::invoke(edge(), event).await,
            "remove" => invoke(edge(), remove::handle, event).await,
            "resend" => invoke(edge(), resend::handle, event).await,
            "revoke" => invoke(edge(), revoke::handle, event).await,
            "role-edit" => invoke(edge(), role_edit::handle, event).await,
            "schedule" => schedule::invoke(Arc::clone(&self.schedule), event).await,
            unknown => return Err(InvokeError::Unknown(unknown.to_owned())),
        };
        answer.map_err(|error| InvokeError::Failed { kind: "Error".to_owned(), message: error.to_string() })
    }
}

impl Functions for Local {
    fn invoke<'a>(&'a self, function: &'a str, event: Value) -> BoxFuture<'a, Result<Value, InvokeError>> {
        Box::pin(RUNNING.scope(function.to_owned(), self.call(function, event)))
    }
}
