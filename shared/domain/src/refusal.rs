//! The reasons for which Roster refuses a user's action.

use crate::{CooldownActive, LimitExceeded, Permission, Seats, Status};

/// Why an action is refused.
///
/// If several reasons apply, an action returns the first one in the contract's order. Actions of members check the
/// membership, then that the target exists, then the permission, then the target's state, limits and seats. Accept and
/// decline check the link, then the caller's address, then the invitation's state. Accept then checks the sender's
/// permission, unless the caller is a member already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Roster did not create the link.
    #[error("Roster did not create this link")]
    InvalidToken,
    /// The link is genuine, but a newer mail's link has replaced it or its record is deleted.
    #[error("a newer link has replaced this one")]
    Superseded,
    /// The caller's address is not verified.
    #[error("the caller has no verified e-mail address")]
    EmailNotVerified,
    /// The invited address is not the caller's address.
    #[error("the invitation was sent to another address than the caller's")]
    EmailMismatch,
    /// The organization does not exist, or the caller is not a member.
    ///
    /// Both cases give the same refusal, so that a caller cannot find out which organizations exist.
    #[error("the organization does not exist, or the caller is not a member")]
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
    /// The invitation has this status and is not pending. Returned to members.
    #[error("the invitation is {0}, not pending")]
    NotPending(Status),
    /// The invitation has this status and is not pending. Returned to the invitee.
    #[error("the invitation is {0}")]
    Gone(Status),
    /// The sender of the invitation may not grant its role now.
    #[error("the sender of the invitation may not grant its role now")]
    SenderLostAuthority,
    /// The organization would have no owner (rule: last owner).
    #[error("the organization would have no owner left")]
    LastOwner,
    /// The organization or the sender would exceed a limit.
    #[error(transparent)]
    LimitExceeded(#[from] LimitExceeded),
    /// The address was mailed too recently or too often.
    #[error(transparent)]
    CooldownActive(#[from] CooldownActive),
    /// These addresses were mailed too recently or too often. Each has its index in the request.
    #[error("some addresses cannot be mailed again yet")]
    AddressesTooSoon(Vec<(usize, CooldownActive)>),
    /// The organization has fewer free seats than the action needs.
    #[error("the organization has too few free seats")]
    SeatsExhausted(Seats),
}
