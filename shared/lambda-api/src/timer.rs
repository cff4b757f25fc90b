//! The payload of an invitation's schedule.

use domain::{Generation, InvitationId, Link, OrganizationId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::view::rfc3339;

/// The invitation, the generation and the expiry of a schedule. `schedule` writes the payload, and `expire` reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timer {
    organization_id: OrganizationId,
    invitation_id: InvitationId,
    generation: Generation,
    #[serde(with = "rfc3339")]
    expires_at: Timestamp,
}

impl From<&Link> for Timer {
    fn from(link: &Link) -> Self {
        Self {
            organization_id: link.organization.clone(),
            invitation_id: link.invitation.clone(),
            generation: link.generation,
            expires_at: link.expires_at,
        }
    }
}

impl From<Timer> for Link {
    fn from(timer: Timer) -> Self {
        Self {
            organization: timer.organization_id,
            invitation: timer.invitation_id,
            generation: timer.generation,
            expires_at: timer.expires_at,
        }
    }
}
