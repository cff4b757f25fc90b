//! The configuration of a deployment.

use std::time::Duration;

use crate::Limits;

/// The configurable numbers of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Seats of a newly created organization; 1,000 by default.
    pub seats: u32,
    /// How long an invitation can be accepted; 48 hours by default.
    pub lifetime: Duration,
    /// How long the record of a closed invitation is kept; 30 days by default.
    pub retention: Duration,
    /// Limits on invitees and mails. `None` switches them off, for development.
    pub limits: Option<Limits>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            seats: 1_000,
            lifetime: Duration::from_hours(48),
            retention: Duration::from_hours(30 * 24),
            limits: Some(Limits::default()),
        }
    }
}
