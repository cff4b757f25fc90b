//! Organizations and their seats.

use crate::{OrganizationId, OrganizationName, Refusal, Timestamp, WindowCounter};

/// A tenant of the product.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub name: OrganizationName,
    /// Its seats.
    pub seats: Seats,
    /// How many of its members are owners; at least one.
    pub owners: u32,
    /// When it was made.
    pub created_at: Timestamp,
    /// The addresses that were invited within the day.
    pub invited: Option<WindowCounter>,
}

impl Organization {
    /// Refuses to let the last owner go, where the number of owners changes by `owners`.
    pub(crate) fn keeps_an_owner(&self, owners: i32) -> Result<(), Refusal> {
        let remain = self.owners.checked_add_signed(owners).is_some_and(|remain| remain > 0);
        if owners >= 0 || remain { Ok(()) } else { Err(Refusal::LastOwner) }
    }
}

/// Seats, counted down: what members and pending invitations have not taken is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seats {
    /// All of them.
    pub total: u32,
    /// Those that nobody holds.
    pub free: u32,
}

impl Seats {
    /// Those held by members and pending invitations.
    #[must_use]
    pub fn taken(self) -> u32 {
        self.total.saturating_sub(self.free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_free_is_taken() {
        assert_eq!(Seats { total: 10, free: 3 }.taken(), 7);
        assert_eq!(Seats { total: 3, free: 10 }.taken(), 0);
    }
}
