//! What every function's border has in common: configuration, the caller, JSON in and out, problems, and what
//! is told about it all.

pub mod env;
pub mod event;
pub mod headers;
pub mod http;
pub mod list;
pub mod observe;
pub mod request;
pub mod stream;
pub mod view;

mod app;
mod clock;
mod problem;
mod timer;

pub use app::{App, FromEnv, LinkApp};
pub use clock::SystemClock;
pub use problem::{Code, FieldError, Problem};
pub use timer::Timer;
