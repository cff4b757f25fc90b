//! What every function's border has in common: configuration, the caller, JSON in and out, problems.

pub mod env;
pub mod http;
pub mod list;
pub mod request;
pub mod stream;
pub mod view;

mod app;
mod clock;
mod problem;
mod timer;

pub use app::App;
pub use clock::SystemClock;
pub use problem::{Code, FieldError, Problem};
pub use timer::Timer;

/// Logs as Lambda's logging controls ask for; called once, by `main`.
pub fn init_tracing() {
    lambda_runtime::tracing::init_default_subscriber();
}
