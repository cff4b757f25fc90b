//! The pages that people use: `GET /`, an organization's users; `GET /accept`, which the links in mails lead to; and
//! `GET /assets/{file}`, what both load.
//!
//! Nobody has to be signed in for them, and they hold nothing of anybody: whoever is signed in calls the API from
//! there. So this function calls nothing either. What it serves is built from `web/` ([`Files`]), and finished at
//! the start: each page is told once how to sign people in ([`Config`]).

mod config;
mod files;
mod site;

use std::future::{Ready, ready};
use std::sync::Arc;

use domain::{Clock, Timestamp};
use lambda_api::SystemClock;
use lambda_api::env::Env;
use lambda_api::http::HandlerError;
use lambda_http::{Body, Error, Request, Response};

pub use config::{Config, Token};
pub use files::Files;
pub use site::{Site, SiteError, own_styles};

/// What the function works with.
pub struct App {
    /// The time, for the log.
    pub clock: Arc<dyn Clock>,
    /// What is served.
    pub site: Site,
}

impl App {
    /// What is built into the binary, told what `env` says ([`Config::from_env`]).
    pub fn from_env(env: Env<'_>) -> Result<Self, Error> {
        let site = if let Some(files) = Files::embedded() {
            Site::new(files, &Config::from_env(env)?)?
        } else {
            // What the build says of it is not always shown to whoever deploys.
            tracing::error!("the console was built without its pages: only how to build them is served");
            Site::unbuilt()?
        };
        Ok(Self { clock: Arc::new(SystemClock), site })
    }
}

impl Clock for App {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// 200 with a page or an asset, 304 for a page that the browser has, 404 for an asset that is not there.
#[expect(clippy::needless_pass_by_value, reason = "it is what a handler is given")]
pub fn handle(app: Arc<App>, request: Request) -> Ready<Result<Response<Body>, HandlerError>> {
    ready(Ok(app.site.answer(request.uri().path(), request.headers())))
}
