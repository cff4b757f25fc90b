//! Organizations and their seats.

use crate::{OrganizationId, OrganizationName, Refusal, Timestamp, WindowCounter};

/// An organization: a tenant of the product.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: OrganizationName,
    /// Its seats.
    pub seats: Seats,
    /// How many of its members are owners; at least one (rule: last owner).
    pub owners: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// Counts the addresses that were invited in the current window of 24 hours.
    pub invited: Option<WindowCounter>,
}

impl Organization {
    /// Refuses if a change of the number of owners by `owners` would leave no owner (rule: last owner).
    pub(crate) fn ensure_owner_remains(&self, owners: i32) -> Result<(), Refusal> {
        let remains = self.owners.checked_add_signed(owners).is_some_and(|left| left > 0);
        if owners >= 0 || remains { Ok(()) } else { Err(Refusal::LastOwner) }
    }
}

/// The seats of an organization. Members and pending invitations take seats; the others are free (rule: seats).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seats {
    /// All seats.
    pub total: u32,
    /// The seats that no member and no pending invitation holds.
    pub free: u32,
}

impl Seats {
    /// The seats that members and pending invitations hold.
    #[must_use]
    pub fn taken(self) -> u32 {
        self.total.saturating_sub(self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_is_total_minus_free_but_never_negative() {
        assert_eq!(Seats { total: 10, free: 3 }.taken(), 7);
        assert_eq!(Seats { total: 3, free: 10 }.taken(), 0);
    }
}
