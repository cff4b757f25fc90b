//! Scenarios: one file per action, and some for what goes across.

mod invite;
