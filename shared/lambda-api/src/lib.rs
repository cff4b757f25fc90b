//! The code between Lambda and the handlers of all functions: configuration, requests, responses, logs and metrics.
//!
//! The laptop is the local server that `cargo run` starts. It calls the same handlers through this crate.

pub mod env;
pub mod event;
pub mod headers;
pub mod http;
pub mod input;
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
