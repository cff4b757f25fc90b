//! Recipients of mail. Their mails are counted over all organizations.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::hash::{base32, digest, stored_text};
use crate::{EmailAddress, Link, Timestamp};

/// Length of the stored hash in bytes, as for the id of an invitation.
const HASH_BYTES: usize = 16;
/// How long a recipient's day is kept after its start.
const RETENTION: Duration = Duration::from_hours(2 * 24);

/// A recipient of mail: a hash of the address without its plus tag.
///
/// Mails to `ada+1@` and `ada+2@` reach the same mailbox, so they count together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient(String);
stored_text!(Recipient);

impl Recipient {
    /// The recipient of mails to `address`.
    #[must_use]
    pub fn of(address: &EmailAddress) -> Self {
        let (local, domain) = address.as_str().rsplit_once('@').unwrap_or_default();
        let untagged = match local.split_once('+') {
            Some((name, _)) if !name.is_empty() => name,
            _ => local,
        };
        Self(base32("", &digest([untagged, domain])[..HASH_BYTES]))
    }
}

/// A day in UTC. `Display` writes it as in `2026-11-24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Timestamp);

impl Day {
    const SECONDS: i64 = 24 * 60 * 60;

    /// The day of a time.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        Self(Timestamp::from_unix(moment.unix() - moment.unix() % Self::SECONDS))
    }

    /// Parses a stored day; `None` if the text is not a day.
    #[must_use]
    pub fn stored(text: &str) -> Option<Self> {
        let day = format!("{text}T00:00:00Z").parse().ok().map(Self)?;
        (day.to_string() == text).then_some(day)
    }

    /// When a recipient's record of this day may be deleted.
    #[must_use]
    pub fn purge_at(self) -> Timestamp {
        self.0 + RETENTION
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.0.to_string();
        f.write_str(moment.split_once('T').map_or(moment.as_str(), |(day, _)| day))
    }
}

/// Identifies one mail by invitation and generation. A retried mail has the same id, so it counts once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailId(String);
stored_text!(MailId);

impl MailId {
    /// The id of the mail that contains `link`.
    #[must_use]
    pub fn of(link: &Link) -> Self {
        Self(format!("{}.{}", link.invitation, link.generation.0))
    }
}

/// The mails of a recipient in one day, from all organizations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecipientDay {
    /// The recipient.
    pub recipient: Recipient,
    /// The day.
    pub day: Day,
    /// The mails that were counted.
    pub mails: BTreeSet<MailId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{HOUR, NOON, SECOND};

    #[test]
    fn removes_plus_tags_and_folds_nothing_else() {
        let of = |text: &str| Recipient::of(&EmailAddress::parse(text).unwrap());
        let ada = of("ada@x.example");
        for same in ["Ada@X.example", "ada+1@x.example", "ada+1+2@x.example", "ada+@x.example"] {
            assert_eq!(of(same), ada, "{same}");
        }
        for other in ["ad.a@x.example", "ada@y.example", "ada-1@x.example", "+ada@x.example", "+@x.example"] {
            assert_ne!(of(other), ada, "{other}");
        }
        assert_ne!(
            of("+a@x.example"),
            of("+b@x.example"),
            "without a name before the tag, nothing is folded"
        );
        assert!(!format!("{ada:?}").contains("ada@"));
    }

    #[test]
    fn a_day_begins_at_midnight_utc_and_parses_from_its_text() {
        let midnight = NOON + 12 * HOUR;
        let day = |moment| Day::of(moment).to_string();
        assert_eq!((day(NOON), day(midnight)), ("2026-11-24".to_owned(), "2026-11-25".to_owned()));
        assert_eq!(Day::of(midnight + 86_399 * SECOND), Day::of(midnight));
        assert_eq!(Day::of(midnight).purge_at(), midnight + 48 * HOUR);
        assert_eq!(Day::stored("2026-11-24"), Some(Day::of(NOON)));
        for text in ["", "2026-11-31", "2026-11-24T00:00:00Z", "24.11.2026", "2026-1-1"] {
            assert_eq!(Day::stored(text), None, "{text:?}");
        }
    }
}
