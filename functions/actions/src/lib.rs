//! The functions that run an action: each module is one function's handler, and each file in `bin` one function.
//!
//! A handler parses the request, runs the action, and renders its answer. It decides nothing: that is
//! [`domain::Action::decide`].

pub mod accept;
pub mod create;
pub mod decline;
pub mod expire;
pub mod feedback;
pub mod invite;
pub mod list;
pub mod organization_edit;
pub mod preview;
pub mod reconcile;
pub mod remove;
pub mod resend;
pub mod revoke;
pub mod role_edit;
