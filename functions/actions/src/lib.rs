//! The Lambda functions that run an action. Each module is the handler of one function, and each file in `bin` is its
//! binary.
//!
//! Most handlers parse a request, run an action and render the response. `expire`, `feedback` and `reconcile` handle
//! events, and `list` reads pages without an action. All decisions are made in [`domain::Action::decide`].

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
