//! What a email says, in every language that it is written in.
//!
//! A language is one [`Translation`], so that the compiler asks for each phrase of it. Facts stand in sentences as
//! [`Piece`]s, since their order is the language's; names and addresses are put in as they are, and escaped by whoever
//! renders them.

use domain::{Language, Role};
use time::OffsetDateTime;

/// A piece of a sentence: words, or a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    Words(&'static str),
    Product,
    Organization,
    Sender,
    Role,
    Deadline,
    Hours,
}

use Piece::{Deadline, Hours, Organization, Product, Sender, Words};

/// All phrases of one language.
#[derive(Debug)]
pub(crate) struct Translation {
    /// Which.
    pub(crate) language: Language,
    /// Holds no text that a user chose: neither organization nor sender.
    pub(crate) subject: &'static [Piece],
    pub(crate) title: &'static [Piece],
    pub(crate) invites: &'static [Piece],
    pub(crate) open_until: &'static [Piece],
    /// The button.
    pub(crate) open: &'static str,
    /// What stands before the link, where there is no button.
    pub(crate) open_here: &'static str,
    /// What stands before the link, where there is a button.
    pub(crate) by_hand: &'static str,
    /// What stands before the invitee's address.
    pub(crate) sign_in: &'static str,
    pub(crate) unexpected: &'static str,
    owner: &'static str,
    member: &'static str,
    hour: &'static str,
    hours: &'static str,
    /// From Monday.
    weekdays: [&'static str; 7],
    /// From January.
    months: [&'static str; 12],
    /// What follows the day of a month.
    day: &'static str,
}

static ENGLISH: Translation = Translation {
    language: Language::En,
    subject: &[Words("You are invited to "), Product],
    title: &[Words("Join "), Organization],
    invites: &[
        Sender,
        Words(" invites you to join "),
        Organization,
        Words(" on "),
        Product,
        Words(" as "),
        Piece::Role,
        Words("."),
    ],
    open_until: &[Words("You can accept or decline until "), Deadline, Words(" ("), Hours, Words(").")],
    open: "Open the invitation",
    open_here: "Open the invitation here:",
    by_hand: "If the button does not work, copy this link into your browser:",
    sign_in: "You will be asked to sign in with the address that this mail was sent to:",
    unexpected: "If you did not expect this mail, you can ignore it. Nothing happens unless you accept.",
    owner: "an owner",
    member: "a member",
    hour: "hour",
    hours: "hours",
    weekdays: ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    months: [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    day: "",
};

static GERMAN: Translation = Translation {
    language: Language::De,
    subject: &[Words("Sie sind zu "), Product, Words(" eingeladen")],
    title: &[Words("Einladung zu "), Organization],
    invites: &[
        Sender,
        Words(" lädt Sie ein, "),
        Organization,
        Words(" auf "),
        Product,
        Words(" als "),
        Piece::Role,
        Words(" beizutreten."),
    ],
    open_until: &[
        Words("Sie können die Einladung bis "),
        Deadline,
        Words(" ("),
        Hours,
        Words(") annehmen oder ablehnen."),
    ],
    open: "Einladung öffnen",
    open_here: "Hier öffnen Sie die Einladung:",
    by_hand: "Falls die Schaltfläche nicht funktioniert, kopieren Sie diesen Link in Ihren Browser:",
    sign_in: "Sie werden gebeten, sich mit der Adresse anzumelden, an die diese Nachricht ging:",
    unexpected: "Falls Sie diese Nachricht nicht erwartet haben, können Sie sie ignorieren. Solange Sie die Einladung nicht \
                 annehmen, passiert nichts.",
    owner: "Inhaber",
    member: "Mitglied",
    hour: "Stunde",
    hours: "Stunden",
    weekdays: ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
    months: [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    day: ".",
};

impl Translation {
    /// The phrases of `language`.
    pub(crate) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &ENGLISH,
            Language::De => &GERMAN,
        }
    }

    /// As what somebody joins.
    pub(crate) fn role(&self, role: Role) -> &'static str {
        match role {
            Role::Owner => self.owner,
            Role::Member => self.member,
        }
    }

    /// Like `Thursday, 26 November 2026, 14:05 UTC`: the seconds are left out, never added.
    pub(crate) fn moment(&self, moment: OffsetDateTime) -> String {
        let weekday = self.weekdays[usize::from(moment.weekday().number_days_from_monday())];
        let month = self.months[usize::from(u8::from(moment.month())) - 1];
        let (day, ends, year) = (moment.day(), self.day, moment.year());
        format!("{weekday}, {day}{ends} {month} {year}, {:02}:{:02} UTC", moment.hour(), moment.minute())
    }

    /// Like `48 hours`.
    pub(crate) fn hours(&self, count: u64) -> String {
        let unit = if count == 1 { self.hour } else { self.hours };
        format!("{count} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domain::Timestamp;
    use time::{Date, Duration, Month, UtcOffset};

    use super::*;

    fn all() -> impl Iterator<Item = &'static Translation> {
        Language::ALL.into_iter().map(Translation::of)
    }

    fn moment(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    #[test]
    fn every_language_has_phrases_of_its_own() {
        for language in Language::ALL {
            assert_eq!(Translation::of(language).language, language);
        }
        let distinct =
            |phrase: fn(&Translation) -> &'static str| all().map(phrase).collect::<HashSet<_>>().len();
        for phrase in [
            (|it| it.open) as fn(&Translation) -> &'static str,
            |it| it.open_here,
            |it| it.by_hand,
            |it| it.sign_in,
            |it| it.unexpected,
            |it| it.owner,
            |it| it.member,
            |it| it.hours,
        ] {
            assert_eq!(distinct(phrase), Language::ALL.len(), "one of them was copied");
        }
    }

    #[test]
    fn no_phrase_is_empty_or_has_lines_markup_or_loose_ends() {
        for phrases in all() {
            let words = [phrases.subject, phrases.title, phrases.invites, phrases.open_until];
            let words = words.into_iter().flatten().filter_map(|piece| match piece {
                Words(words) => Some(*words),
                _ => None,
            });
            let whole = [
                phrases.open,
                phrases.open_here,
                phrases.by_hand,
                phrases.sign_in,
                phrases.unexpected,
                phrases.owner,
                phrases.member,
                phrases.hour,
                phrases.hours,
            ];
            for phrase in words.chain(whole) {
                assert!(!phrase.is_empty() && !phrase.contains("  "), "{phrase:?}");
                assert!(!phrase.contains(['\n', '<', '>', '&', '"', '{', '@']), "{phrase:?}");
                assert!(!phrase.contains("://"), "{phrase:?}");
            }
            for phrase in whole {
                assert_eq!(phrase.trim(), phrase);
            }
        }
    }

    #[test]
    fn sentences_hold_the_same_facts_in_every_language() {
        let facts = |pieces: &[Piece]| {
            let facts = pieces.iter().copied().filter(|piece| !matches!(piece, Words(_)));
            facts.collect::<HashSet<_>>()
        };
        for phrases in all() {
            assert_eq!(facts(phrases.subject), [Product].into(), "{}: no text of a user", phrases.language);
            assert_eq!(facts(phrases.title), [Organization].into(), "{}", phrases.language);
            let invites = [Sender, Organization, Product, Piece::Role];
            assert_eq!(facts(phrases.invites), invites.into(), "{}", phrases.language);
            assert_eq!(facts(phrases.open_until), [Deadline, Hours].into(), "{}", phrases.language);
        }
    }

    #[test]
    fn moments_are_written_out() {
        for (unix, english, german) in [
            (
                1_795_701_900,
                "Thursday, 26 November 2026, 14:05 UTC",
                "Donnerstag, 26. November 2026, 14:05 UTC",
            ),
            (
                1_795_701_959,
                "Thursday, 26 November 2026, 14:05 UTC",
                "Donnerstag, 26. November 2026, 14:05 UTC",
            ),
            (
                1_795_701_960,
                "Thursday, 26 November 2026, 14:06 UTC",
                "Donnerstag, 26. November 2026, 14:06 UTC",
            ),
            (
                1_798_761_599,
                "Thursday, 31 December 2026, 23:59 UTC",
                "Donnerstag, 31. Dezember 2026, 23:59 UTC",
            ),
            (1_798_761_600, "Friday, 1 January 2027, 00:00 UTC", "Freitag, 1. Januar 2027, 00:00 UTC"),
            (1_835_395_200, "Tuesday, 29 February 2028, 00:00 UTC", "Dienstag, 29. Februar 2028, 00:00 UTC"),
        ] {
            assert_eq!(ENGLISH.moment(moment(unix)), english);
            assert_eq!(GERMAN.moment(moment(unix)), german);
        }
        assert!(ENGLISH.moment(moment(Timestamp::MAX.unix())).starts_with("Friday, 31 December 9999"));
    }

    #[test]
    fn every_weekday_has_its_name() {
        let monday = Date::from_calendar_date(2026, Month::November, 23).unwrap().midnight();
        for (days, english, german) in [
            (0, "Monday", "Montag"),
            (1, "Tuesday", "Dienstag"),
            (2, "Wednesday", "Mittwoch"),
            (3, "Thursday", "Donnerstag"),
            (4, "Friday", "Freitag"),
            (5, "Saturday", "Samstag"),
            (6, "Sunday", "Sonntag"),
        ] {
            let moment = (monday + Duration::days(days)).assume_offset(UtcOffset::UTC);
            assert_eq!(moment.weekday().to_string(), english);
            assert!(ENGLISH.moment(moment).starts_with(&format!("{english}, ")));
            assert!(GERMAN.moment(moment).starts_with(&format!("{german}, ")));
        }
    }

    #[test]
    fn every_month_has_its_name() {
        let german = [
            "Januar",
            "Februar",
            "März",
            "April",
            "Mai",
            "Juni",
            "Juli",
            "August",
            "September",
            "Oktober",
            "November",
            "Dezember",
        ];
        for (number, german) in (1..).zip(german) {
            let month = Month::try_from(number).unwrap();
            let moment = Date::from_calendar_date(2026, month, 5).unwrap().midnight().assume_utc();
            let english = ENGLISH.moment(moment);
            assert!(english.ends_with(&format!(", 5 {month} 2026, 00:00 UTC")), "{english}");
            assert!(GERMAN.moment(moment).ends_with(&format!(", 5. {german} 2026, 00:00 UTC")));
        }
    }

    #[test]
    fn one_hour_is_no_plural() {
        assert_eq!(
            [1, 2, 48, 720].map(|it| ENGLISH.hours(it)),
            ["1 hour", "2 hours", "48 hours", "720 hours"]
        );
        assert_eq!([1, 2, 48].map(|it| GERMAN.hours(it)), ["1 Stunde", "2 Stunden", "48 Stunden"]);
    }

    #[test]
    fn roles_have_words() {
        assert_eq!(Role::ALL.map(|role| ENGLISH.role(role)), ["an owner", "a member"]);
        assert_eq!(Role::ALL.map(|role| GERMAN.role(role)), ["Inhaber", "Mitglied"]);
    }
}
