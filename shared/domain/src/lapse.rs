//! Lapses: the marks that lost authority leaves.
//!
//! An accept relies on what its sender may grant (rule 4). Did it check the sender's own item, a thousand accepts of one
//! sender's invitations would stand in each other's way, since a transaction is cancelled when another one under way so much as
//! checks an item of its own. So it checks that one of the sender's lanes is empty; and whoever takes authority from a member
//! who has ever sent an invitation leaves a lapse in every lane, in the same transaction. A lane with a lapse tells nothing
//! more: then the sender is looked at.

use std::time::Duration;

use crate::{InvitationId, OrganizationId, Timestamp, UserId};

/// How many lanes a sender has. As many as a transaction has room for, beside what else removing somebody takes: so few of a
/// thousand accepts within a second meet in one of them.
pub const LANES: u8 = 96;
/// The lanes of first tries; whoever meets another transaction there tries again in one of the others. Of those few arrive
/// there that a third try is seldom needed: with *n* of 96 lanes for first tries, the share of third ones goes with
/// 1 / (n² (96 - n)), which is least for two thirds.
const FIRST: u8 = 64;
/// After that long no invitation is pending that was sent before: the longest lifetime that the template takes (720 hours), and
/// a day for clocks.
const KEPT: Duration = Duration::from_hours(720 + 24);

/// One of a sender's lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane(u8);

impl Lane {
    /// The lane in which an invitation is accepted, if nobody else is there: ids are hashes, so that invitations spread evenly.
    #[must_use]
    pub fn of(invitation: &InvitationId) -> Self {
        let id = invitation.as_str().bytes().rev().take(8);
        let sum = id.fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        Self(u8::try_from(sum % u32::from(FIRST)).unwrap_or_default())
    }

    /// One for whoever has met somebody. Lapses are in all lanes, so that any tells the same; a random `pick` spreads evenly.
    #[must_use]
    pub fn aside(pick: u8) -> Self {
        Self(FIRST + pick % (LANES - FIRST))
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..LANES).map(Self)
    }

    /// Its number, below [`LANES`].
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The lane of that number; `None`: there is none.
    #[must_use]
    pub fn stored(number: u8) -> Option<Self> {
        (number < LANES).then_some(Self(number))
    }
}

/// The mark, in one lane of a sender.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lapse {
    /// Where.
    pub organization: OrganizationId,
    /// Whose authority was lost, in part or altogether.
    pub sender: UserId,
    /// In which of their lanes it is.
    pub lane: Lane,
    /// When it may be deleted.
    pub purge_at: Timestamp,
}

impl Lapse {
    /// One in each of the sender's lanes.
    pub(crate) fn everywhere(
        organization: &OrganizationId,
        sender: &UserId,
        now: Timestamp,
    ) -> impl Iterator<Item = Self> {
        Lane::all().map(move |lane| Self {
            organization: organization.clone(),
            sender: sender.clone(),
            lane,
            purge_at: now + KEPT,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{acme, address};

    #[test]
    fn every_lane_is_used_and_none_much_more_than_others_of_its_kind() {
        let mut counts = [0; LANES as usize];
        for number in 0..6_400 {
            let id = InvitationId::of(&acme(), &address(&format!("p{number}")));
            counts[usize::from(Lane::of(&id).number())] += 1;
        }
        let (first, aside) = counts.split_at_mut(usize::from(FIRST));
        assert!(first.iter().all(|count| (50..200).contains(count)), "{first:?}");
        assert!(aside.iter().all(|count| *count == 0), "{aside:?}");
        for pick in 0..=u8::MAX {
            counts[usize::from(Lane::aside(pick).number())] += 1;
        }
        let aside = &counts[usize::from(FIRST)..];
        assert!(aside.iter().all(|count| *count == 8), "{aside:?}");
    }

    #[test]
    fn a_lane_reads_back_and_there_are_no_others() {
        assert!(Lane::all().all(|lane| Lane::stored(lane.number()) == Some(lane)));
        assert_eq!((Lane::all().count(), Lane::stored(LANES)), (usize::from(LANES), None));
    }
}
