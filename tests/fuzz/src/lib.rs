//! What reads foreign bytes, and what must hold whatever they are.
//!
//! Every target takes bytes and panics if something is not so. `tests/targets.rs` runs all of them on the corpora and
//! on what mutations make of those; `fuzz_targets` hands them to libFuzzer, which is guided by coverage.

#![expect(clippy::missing_panics_doc, reason = "a panic is what a target has to say")]

mod call;
mod event;
mod site;
mod value;

pub use call::{answered, call};
pub use event::{feedback_event, stream, timer};
pub use value::{address, id, name, token};

/// A target, by the name that its corpus has.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
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
