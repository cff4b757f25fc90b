//! Fuzz targets for everything in Roster that reads untrusted bytes.
//!
//! Every target takes bytes, and panics if a property does not hold. `tests/targets.rs` runs all targets on the corpora
//! and on mutations of them. `fuzz_targets` contains the binaries for libFuzzer, which is guided by coverage.

#![expect(clippy::missing_panics_doc, reason = "a target reports a failure by a panic")]

mod call;
mod event;
mod site;
mod value;

pub use call::{call, route_and_status};
pub use event::{feedback_event, stream, timer};
pub use value::{address, id, name, token};

/// A target, with the name of its corpus.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("address", address),
    ("call", call),
    ("feedback_event", feedback_event),
    ("id", id),
    ("name", name),
    ("stream", stream),
    ("timer", timer),
    ("token", token),
];
