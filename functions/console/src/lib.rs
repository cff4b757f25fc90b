//! The function `console`: serves the pages. `GET /` is the console, `GET /accept` is the page that the links in mails
//! open, and `GET /assets/{file}` serves the files that both load. `HEAD` of a page is for programs that check links.
//! `GET /{page}` repairs links whose `#` a mail scanner has encoded.
//!
//! The pages need no sign-in and contain no user data. Their scripts call the API after the user has signed in. The
//! function itself calls no service. The pages are built from `web/` ([`Files`]). At its start the function writes into
//! each page how users sign in ([`Config`]).

mod config;
mod files;
mod site;
pub mod sources;

use std::future::{Ready, ready};
use std::sync::Arc;

use domain::{Clock, Timestamp};
use http::Method;
use lambda_api::SystemClock;
use lambda_api::env::Env;
use lambda_api::http::HandlerError;
use lambda_api::input::Input;
use lambda_http::{Body, Error, Request, Response};

pub use config::{Config, Token};
pub use files::Files;
pub use site::{Site, SiteError, style_hashes};

/// A page's address may have any query parameters, for example those of a sign-in.
pub const INPUT: Input = Input::Anything;

/// The state of the function.
pub struct App {
    /// The clock, for the log.
    pub clock: Arc<dyn Clock>,
    /// The pages and assets.
    pub site: Site,
}

impl App {
    /// Creates the state from the embedded files, and from `env` as [`Config::from_env`] reads it.
    pub fn from_env(env: Env<'_>) -> Result<Self, Error> {
        let site = if let Some(files) = Files::embedded() {
            Site::new(files, &Config::from_env(env)?)?
        } else {
            // Build tools may hide the warning that the build prints in this case.
            tracing::error!("the binary contains no pages: it serves only a page with build instructions");
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

/// Returns 200 with a page or an asset, 304 for a page that the browser has cached, 302 for a link to repair, or 404.
#[expect(clippy::needless_pass_by_value, reason = "all handlers have this signature")]
pub fn handle(app: Arc<App>, request: Request) -> Ready<Result<Response<Body>, HandlerError>> {
    let mut response = app.site.answer(request.uri().path(), request.headers());
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    ready(Ok(response))
}
