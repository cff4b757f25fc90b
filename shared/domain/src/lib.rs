//! Roster's decisions about organization users, as pure functions.
//!
//! Values such as [`EmailAddress`], [`OrganizationName`], the ids and [`Token`] are validated once, by their parsers.
//!
//! Each action is one module. Its type holds the action's input and implements [`Action`]. It names the items to read,
//! and decides purely on a [`Snapshot`] of these items, the [`Policy`] and the time. A decision consists of a result
//! and a list of [`Change`]s with their guards. A [`Plan`] makes the changes one transaction.
//!
//! The `store` crate commits plans to DynamoDB. The `reference` crate defines what guards and effects mean.
//!
//! This crate depends on no async runtime, no AWS SDK and no HTTP library. Time and randomness are arguments.

pub mod accept;
pub mod create;
pub mod decline;
pub mod delivery;
pub mod expire;
pub mod idempotency;
pub mod invite;
pub mod list;
pub mod organization_edit;
pub mod preview;
pub mod reconcile;
pub mod remove;
pub mod resend;
pub mod revoke;
pub mod role_edit;

mod action;
mod caller;
mod email;
mod hash;
mod id;
mod invitation;
mod language;
mod limits;
mod link;
mod member;
mod name;
mod organization;
mod plan;
mod policy;
mod recipient;
mod refusal;
mod role;
mod snapshot;
#[cfg(test)]
mod testing;
mod timestamp;

pub use accept::Accept;
pub use action::{Action, Decision};
pub use caller::Caller;
pub use create::Create;
pub use decline::Decline;
pub use email::{EmailAddress, InvalidEmail};
pub use expire::Expire;
pub use id::{InvalidId, InvitationId, OrganizationId, UserId};
pub use invitation::{
    CloseReason, Delivery, Generation, Invitation, Mail, NotPending, Pending, Revision, Sender, State, Status,
};
pub use invite::Invite;
pub use language::{Language, UnknownLanguage};
pub use limits::{
    CooldownActive, CooldownReason, CounterUpdate, LimitExceeded, LimitScope, Limits, WindowCounter,
};
pub use link::{InvalidToken, KeyId, Link, Mac, Token};
pub use member::Member;
pub use name::{InvalidName, OrganizationName};
pub use organization::{Organization, Seats};
pub use organization_edit::OrganizationEdit;
pub use plan::{CHANGES_MAX, Change, Effect, Field, Guard, GuardFailed, Plan, PlanError};
pub use policy::Policy;
pub use preview::Preview;
pub use recipient::{Day, MailId, Recipient, RecipientDay};
pub use reconcile::Reconcile;
pub use refusal::Refusal;
pub use remove::Remove;
pub use resend::Resend;
pub use revoke::Revoke;
pub use role::{Permission, Role, UnknownRole};
pub use role_edit::RoleEdit;
pub use snapshot::{ItemKey, Record, Snapshot};
pub use timestamp::{Clock, InvalidTimestamp, Timestamp};
