//! Why an action that a person asked for is not done.

use crate::{CooldownActive, LimitExceeded, Permission, Seats, Status};

/// Every reason for which the rules say no. Where several apply, an action gives the first one in the contract's order:
/// who is calling before what they call for, and whether they may before whether it can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The link is not one that Roster made.
    #[error("the link is not one that Roster made")]
    InvalidToken,
    /// The link was genuine; a newer mail's link has replaced it, or its record is gone.
    #[error("a newer link has replaced this one")]
    Superseded,
    /// The caller's address is not verified.
    #[error("the caller has no verified e-mail address")]
    EmailNotVerified,
    /// Another address than the caller's was invited.
    #[error("the invitation was sent to another address than the caller's")]
    EmailMismatch,
    /// The organization does not exist, or the caller is not in it: a stranger must not learn which.
    #[error("the organization does not exist, or the caller is not in it")]
    NoSuchOrganization,
    /// The organization has no invitation with this id.
    #[error("the organization has no such invitation")]
    NoSuchInvitation,
    /// The organization has no member with this user id.
    #[error("the organization has no such member")]
    NoSuchMember,
    /// The caller's role does not have the permission.
    #[error("the caller may not {0}")]
    NotPermitted(Permission),
    /// To a member: the invitation is not pending; its status is this.
    #[error("the invitation is {0}, not pending")]
    NotPending(Status),
    /// To the invitee: the invitation is not pending; its status is this.
    #[error("the invitation is {0}")]
    Gone(Status),
    /// The caller is a member already, by another invitation.
    #[error("the caller is a member already, through another invitation")]
    AlreadyMember,
    /// The sender of the invitation may not grant its role now.
    #[error("the sender of the invitation may not grant its role any more")]
    SenderLostAuthority,
    /// The organization would have no owner.
    #[error("the organization would have no owner left")]
    LastOwner,
    /// The organization or the sender would exceed a limit.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// The address was mailed too recently or too often.
    #[error(transparent)]
    CooldownActive(#[from] CooldownActive),
    /// Of several addresses these were mailed too recently or too often, by their places in the request.
    #[error("addresses are not mailed again yet")]
    AddressesTooSoon(Vec<(usize, CooldownActive)>),
    /// Fewer seats are free than needed.
    #[error("the organization has too few free seats")]
    SeatsExhausted(Seats),
}
