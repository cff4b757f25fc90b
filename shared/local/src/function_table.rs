//! The table of all functions and their routes. The gateway routes requests with it, and
//! [`LinkedFunctions`](crate::linked_functions::LinkedFunctions) invokes functions with it. Tests compare the template,
//! the contract and the routes of `cargo lambda watch` with it.

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

/// A Lambda function of the template.
pub struct Function {
    /// The function's name, as in the template, in metrics and in the log.
    pub name: &'static str,
    /// The function's routes: method, path pattern and access. Empty if events invoke the function.
    routes: &'static [(Method, &'static str, Access)],
    invoke: Invoke,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    SignedIn,
    Public,
}

/// A route of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The name of the function that handles the route.
    pub function: &'static str,
    /// The HTTP method.
    pub method: Method,
    /// The path, with `{name}` for a parameter.
    pub pattern: &'static str,
    /// Whether the request needs a token that the authorizer accepts.
    pub authorized: bool,
}

/// The `App` values (table, clock, policy and other services) that the functions in this process use.
#[derive(Clone)]
pub struct FunctionApps {
    /// For functions that use the table only.
    pub app: Arc<lambda_api::App>,
    /// For functions that use the table and the link key.
    pub links: Arc<lambda_api::LinkApp>,
    /// For `mail`.
    pub mail: Arc<mail::App>,
    /// For `schedule`.
    pub schedule: Arc<schedule::App>,
    /// For `console`. `None` if the functions run without a laptop, as in the simulator.
    pub console: Option<Arc<Console>>,
}

use Access::{Public, SignedIn};

type Invoke = fn(&'static str, FunctionApps, LambdaEvent<Value>) -> BoxFuture<'static, Result<Value, Error>>;

/// Every function.
pub const FUNCTIONS: &[Function] = &[
    Function {
        name: "create",
        routes: &[(Method::POST, "/v1/organizations", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, create::INPUT, create::handle, event))
        },
    },
    Function {
        name: "list",
        routes: &[
            (Method::GET, "/v1/organizations", SignedIn),
            (Method::GET, "/v1/organizations/{organization_id}", SignedIn),
            (Method::GET, "/v1/organizations/{organization_id}/invitations", SignedIn),
            (Method::GET, "/v1/organizations/{organization_id}/members", SignedIn),
        ],
        invoke: |name, apps, event| Box::pin(http::invoke(name, apps.app, list::INPUT, list::handle, event)),
    },
    Function {
        name: "organization-edit",
        routes: &[(Method::PATCH, "/v1/organizations/{organization_id}", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, organization_edit::INPUT, organization_edit::handle, event))
        },
    },
    Function {
        name: "invite",
        routes: &[(Method::POST, "/v1/organizations/{organization_id}/invitations", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, invite::INPUT, invite::handle, event))
        },
    },
    Function {
        name: "resend",
        routes: &[(
            Method::POST,
            "/v1/organizations/{organization_id}/invitations/{invitation_id}/resend",
            SignedIn,
        )],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, resend::INPUT, resend::handle, event))
        },
    },
    Function {
        name: "revoke",
        routes: &[(
            Method::DELETE,
            "/v1/organizations/{organization_id}/invitations/{invitation_id}",
            SignedIn,
        )],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, revoke::INPUT, revoke::handle, event))
        },
    },
    Function {
        name: "preview",
        routes: &[(Method::POST, "/v1/invitations/preview", Public)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.links, preview::INPUT, preview::handle, event))
        },
    },
    Function {
        name: "accept",
        routes: &[(Method::POST, "/v1/invitations/accept", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.links, accept::INPUT, accept::handle, event))
        },
    },
    Function {
        name: "decline",
        routes: &[(Method::POST, "/v1/invitations/decline", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.links, decline::INPUT, decline::handle, event))
        },
    },
    Function {
        name: "role-edit",
        routes: &[(Method::PATCH, "/v1/organizations/{organization_id}/members/{user_id}", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, role_edit::INPUT, role_edit::handle, event))
        },
    },
    Function {
        name: "remove",
        routes: &[(Method::DELETE, "/v1/organizations/{organization_id}/members/{user_id}", SignedIn)],
        invoke: |name, apps, event| {
            Box::pin(http::invoke(name, apps.app, remove::INPUT, remove::handle, event))
        },
    },
    Function {
        name: "console",
        routes: &[
            (Method::GET, "/", Public),
            (Method::HEAD, "/", Public),
            (Method::GET, "/accept", Public),
            (Method::HEAD, "/accept", Public),
            (Method::GET, "/assets/{file}", Public),
            (Method::GET, "/{page}", Public),
            (Method::HEAD, "/{page}", Public),
        ],
        invoke: |name, apps, event| {
            Box::pin(async move {
                let console = apps.console.ok_or("this process has no console")?.app()?;
                http::invoke(name, Arc::new(console), console::INPUT, console::handle, event).await
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
    /// Returns the function with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FUNCTIONS.iter().find(|function| function.name == name)
    }

    /// Invokes the function in this process.
    pub async fn invoke(&self, apps: FunctionApps, event: LambdaEvent<Value>) -> Result<Value, Error> {
        (self.invoke)(self.name, apps, event).await
    }
}

impl Route {
    /// Returns the route key, such as `GET /v1/organizations`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{} {}", self.method, self.pattern)
    }
}

/// The routes of the API contract.
pub static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| routes(|pattern| pattern.starts_with("/v1/")));
/// The routes of the console's pages, which are not part of the contract.
pub static PAGES: LazyLock<Vec<Route>> = LazyLock::new(|| routes(|pattern| !pattern.starts_with("/v1/")));

fn routes(is_included: impl Fn(&str) -> bool) -> Vec<Route> {
    let routes = FUNCTIONS.iter().flat_map(|function| {
        function.routes.iter().map(|(method, pattern, access)| Route {
            function: function.name,
            method: method.clone(),
            pattern,
            authorized: *access == SignedIn,
        })
    });
    routes.filter(|route| is_included(route.pattern)).collect()
}
