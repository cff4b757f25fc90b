//! What Roster knows about organization users, without any machinery.
//!
//! Values are parsed once ([`EmailAddress`], [`OrganizationName`], the ids, [`Token`]) and cannot be wrong
//! afterwards. Every action is one module with the same shape: `Facts` (what was read), `decide` (a pure
//! function of caller, facts, [`Policy`] and time), the answer, and `Refusal`. What a decision wants changed is
//! a [`Plan`], whose [`Change`]s carry their own guards; carrying it out is somebody else's job
//! ([`ledger`] says what it means).
//!
//! This crate knows no runtime, no AWS and no HTTP; clock and randomness are arguments.

pub mod accept;
pub mod create;
pub mod decline;
pub mod delivery;
pub mod expire;
pub mod idempotency;
pub mod invite;
pub mod ledger;
pub mod reconcile;
pub mod remove;
pub mod resend;
pub mod revoke;
pub mod role_edit;

mod caller;
mod email;
mod hash;
mod id;
mod invitation;
mod language;
mod lapse;
mod limits;
mod link;
mod member;
mod name;
mod organization;
mod plan;
mod policy;
mod recipient;
mod role;
#[cfg(test)]
mod testing;
mod timestamp;

pub use caller::Caller;
pub use email::{EmailAddress, InvalidEmail};
pub use id::{InvalidId, InvitationId, OrganizationId, UserId};
pub use invitation::{
    Closed, Delivery, Generation, Invitation, Mail, NotPending, Pending, Revision, Sender, State, Status,
};
pub use language::{Language, UnknownLanguage};
pub use lapse::{LANES, Lane, Lapse};
pub use limits::{Counting, Enough, Limits, Tallied, Tally, TooMany, TooSoon};
pub use link::{DeadLink, InvalidToken, KeyId, Link, Mac, Opened, Token};
pub use member::Member;
pub use name::{InvalidName, OrganizationName};
pub use organization::{Organization, Seats};
pub use plan::{
    AnswerChange, CHANGES_MAX, Change, Decision, InvitationChange, Item, LapseChange, MemberChange,
    OrganizationChange, Plan, RecipientChange, Standing,
};
pub use policy::Policy;
pub use recipient::{Day, MailId, Recipient, RecipientDay};
pub use role::{Role, UnknownRole};
pub use timestamp::{Clock, InvalidTimestamp, Timestamp};
