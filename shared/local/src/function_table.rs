//! The one table of functions and their routes. The gateway routes by it, and the functions in this process are invoked by
//! it; a test holds the template, the contract and the routes of `cargo lambda watch` against it.

use std::sync::{Arc, LazyLock};

use ::http::Method;
use actions::{
    accept, create, decline, expire, feedback, invite, list, organization_edit, preview, reconcile, remove,
    resend, revoke, role_edit,
};
use futures_util::future::BoxFuture;
use lambda_api::{event, http};
use lambda_runtime::{Error, LambdaEvent};
use serde_json::Value;

use crate::console::Console;

/// A function of the template.
pub struct Function {
    /// Its name, as in the template, in metrics and in the log.
    pub name: &'static str,
    /// The routes that lead to it: method, pattern, and whether the caller has to be signed in; none, if it is invoked by
    /// events.
    routes: &'static [(Method, &'static str, Access)],
    invoke: Invoke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    SignedIn,
    Open,
}

/// A route of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the function that it leads to.
    pub function: &'static str,
    /// The method.
    pub method: Method,
    /// The path, with `{name}` for a parameter.
    pub pattern: &'static str,
    /// Whether the authorizer has to let the request through.
    pub authorized: bool,
}

/// What the functions in this process work with.
#[derive(Clone)]
pub struct FunctionApps {
    /// The table alone.
    pub app: Arc<lambda_api::App>,
    /// The table and the link key.
    pub links: Arc<lambda_api::LinkApp>,
    /// For `mail`.
    pub mail: Arc<mail::App>,
    /// For `schedule`.
    pub schedule: Arc<schedule::App>,
    /// For `console`; `None` where the functions run without a laptop.
    pub console: Option<Arc<Console>>,
}

use Access::{Open, SignedIn};

type Invoke = fn(&'static str, FunctionApps, LambdaEvent<Value>) -> BoxFuture<'static, Result<Value, Error>>;

/// Every function.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "create",
        routes: &[(Method::POST, "/v1/organizations", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, create::handle, event)),
    },
    Function {
        name: "list",
        routes: &[
            (Method::GET, "/v1/organizations", SignedIn),
            (Method::GET, "/v1/organizations/{organization_id}", SignedIn),
            (Method::GET, "/v1/organizations/{organization_id}/invitations", SignedIn),
            (Method::GET, "/v1/organizations/{organization_id}/members", SignedIn),
        ],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, list::handle, event)),
    },
    Function {
        name: "organization-edit",
        routes: &[(Method::PATCH, "/v1/organizations/{organization_id}", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, organization_edit::handle, event)),
    },
    Function {
        name: "invite",
        routes: &[(Method::POST, "/v1/organizations/{organization_id}/invitations", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, invite::handle, event)),
    },
    Function {
        name: "resend",
        routes: &[(
            Method::POST,
            "/v1/organizations/{organization_id}/invitations/{invitation_id}/resend",
            SignedIn,
        )],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, resend::handle, event)),
    },
    Function {
        name: "revoke",
        routes: &[(
            Method::DELETE,
            "/v1/organizations/{organization_id}/invitations/{invitation_id}",
            SignedIn,
        )],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, revoke::handle, event)),
    },
    Function {
        name: "preview",
        routes: &[(Method::POST, "/v1/invitations/preview", Open)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.links, preview::handle, event)),
    },
    Function {
        name: "accept",
        routes: &[(Method::POST, "/v1/invitations/accept", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.links, accept::handle, event)),
    },
    Function {
        name: "decline",
        routes: &[(Method::POST, "/v1/invitations/decline", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.links, decline::handle, event)),
    },
    Function {
        name: "role-edit",
        routes: &[(Method::PATCH, "/v1/organizations/{organization_id}/members/{user_id}", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, role_edit::handle, event)),
    },
    Function {
        name: "remove",
        routes: &[(Method::DELETE, "/v1/organizations/{organization_id}/members/{user_id}", SignedIn)],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, remove::handle, event)),
    },
    Function {
        name: "console",
        routes: &[
            (Method::GET, "/", Open),
            (Method::GET, "/accept", Open),
            (Method::GET, "/assets/{file}", Open),
        ],
        invoke: |name, apps, event| {
            Box::pin(async move {
                let console = apps.console.ok_or("there are no pages here")?.app()?;
                http::invoke(name, Arc::new(console), console::handle, event).await
            })
        },
    },
    Function {
        name: "mail",
        routes: &[],
        invoke: |name, apps, event| Box::pin(event::invoke(name, apps.mail, mail::handle, event)),
    },
    Function {
        name: "schedule",
        routes: &[],
        invoke: |name, apps, event| Box::pin(event::invoke(name, apps.schedule, schedule::handle, event)),
    },
    Function {
        name: "expire",
        routes: &[],
        invoke: |name, apps, event| Box::pin(event::invoke(name, apps.app, expire::handle, event)),
    },
    Function {
        name: "reconcile",
        routes: &[],
        invoke: |name, apps, event| Box::pin(event::invoke(name, apps.app, reconcile::handle, event)),
    },
    Function {
        name: "feedback",
        routes: &[],
        invoke: |name, apps, event| Box::pin(event::invoke(name, apps.app, feedback::handle, event)),
    },
];

impl Function {
    /// The function of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// Invokes it in this process.
    pub async fn invoke(&self, apps: FunctionApps, event: LambdaEvent<Value>) -> Result<Value, Error> {
        (self.invoke)(self.name, apps, event).await
    }
}

impl Route {
    /// The name of the route, as in `GET /v1/organizations`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.pattern)
    }
}

/// The routes of the contract.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| routes(|pattern| pattern.starts_with("/v1/")));
/// The routes of the pages, which are no part of the contract.
pub static PAGES: LazyLock<Vec<Route>> = LazyLock::new(|| routes(|pattern| !pattern.starts_with("/v1/")));

fn routes(wanted: impl Fn(&str) -> bool) -> Vec<Route> {
    let routes = FUNCTIONS.iter().flat_map(|function| {
        function.routes.iter().map(|(method, pattern, access)| Route {
            function: function.name,
            method: method.clone(),
            pattern,
            authorized: *access == SignedIn,
        })
    });
    routes.filter(|route| wanted(route.pattern)).collect()
}
