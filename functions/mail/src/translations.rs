//! The texts of the email in all languages.
//!
//! Each language is one [`Translation`], so a missing text does not compile. A sentence is a list of [`Piece`]s,
//! because each language has its own word order. The texts and the values for the placeholders are not escaped: the
//! HTML template escapes them.

use domain::{Language, Role};
use time::OffsetDateTime;

/// A piece of a sentence: literal text or a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Piece {
    Literal(&'static str),
    Product,
    Organization,
    Sender,
    Role,
    Deadline,
    Hours,
}

use Piece::{Deadline, Hours, Literal, Organization, Product, Sender};

/// All texts of one language.
#[derive(Debug)]
pub(crate) struct Translation {
    pub(crate) language: Language,
    /// The subject. It contains no text that a user chose, such as the name of the organization.
    pub(crate) subject: &'static [Piece],
    pub(crate) title: &'static [Piece],
    pub(crate) invitation_sentence: &'static [Piece],
    pub(crate) deadline_sentence: &'static [Piece],
    pub(crate) button_label: &'static str,
    /// Precedes the link in the text part, which has no button.
    pub(crate) link_label: &'static str,
    /// Precedes the link in the HTML part, which also has a button.
    pub(crate) fallback_link_label: &'static str,
    /// Precedes the recipient's address.
    pub(crate) sign_in_hint: &'static str,
    pub(crate) unexpected_hint: &'static str,
    owner: &'static str,
    member: &'static str,
    hour: &'static str,
    hours: &'static str,
    /// Monday to Sunday.
    weekdays: [&'static str; 7],
    /// January to December.
    months: [&'static str; 12],
    /// Follows the number of the day, as in `26.`.
    day_suffix: &'static str,
}

static ENGLISH: Translation = Translation {
    language: Language::En,
    subject: &[Literal("You are invited to "), Product],
    title: &[Literal("Join "), Organization],
    invitation_sentence: &[
        Sender,
        Literal(" invites you to join "),
        Organization,
        Literal(" on "),
        Product,
        Literal(" as "),
        Piece::Role,
        Literal("."),
    ],
    deadline_sentence: &[
        Literal("You can accept or decline until "),
        Deadline,
        Literal(" ("),
        Hours,
        Literal(")."),
    ],
    button_label: "Accept invitation",
    link_label: "Accept or decline the invitation:",
    fallback_link_label: "If the button does not work, copy this link into your browser:",
    sign_in_hint: "You will be asked to sign in with the address that this mail was sent to:",
    unexpected_hint: "If you did not expect this mail, you can ignore it. Nothing happens unless you accept.",
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
    day_suffix: "",
};

static GERMAN: Translation = Translation {
    language: Language::De,
    subject: &[Literal("Sie sind zu "), Product, Literal(" eingeladen")],
    title: &[Literal("Einladung zu "), Organization],
    invitation_sentence: &[
        Sender,
        Literal(" lädt Sie ein, "),
        Organization,
        Literal(" auf "),
        Product,
        Literal(" als "),
        Piece::Role,
        Literal(" beizutreten."),
    ],
    deadline_sentence: &[
        Literal("Sie können die Einladung bis "),
        Deadline,
        Literal(" ("),
        Hours,
        Literal(") annehmen oder ablehnen."),
    ],
    button_label: "Einladung annehmen",
    link_label: "Einladung annehmen oder ablehnen:",
    fallback_link_label: "Falls die Schaltfläche nicht funktioniert, kopieren Sie diesen Link in Ihren Browser:",
    sign_in_hint: "Sie werden gebeten, sich mit der Adresse anzumelden, an die diese Nachricht ging:",
    unexpected_hint: "Falls Sie diese Nachricht nicht erwartet haben, können Sie sie ignorieren. Solange Sie die \
                      Einladung nicht annehmen, passiert nichts.",
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
    day_suffix: ".",
};

impl Translation {
    /// Returns the texts of `language`.
    pub(crate) fn of(language: Language) -> &'static Self {
        match language {
            Language::En => &ENGLISH,
            Language::De => &GERMAN,
        }
    }

    /// Returns the name of `role`, for the sentence that invites the recipient.
    pub(crate) fn role(&self, role: Role) -> &'static str {
        match role {
            Role::Owner => self.owner,
            Role::Member => self.member,
        }
    }

    /// Formats a time in UTC, like `Thursday, 26 November 2026, 14:05 UTC`. Seconds are cut off, not rounded up.
    pub(crate) fn format_time(&self, time: OffsetDateTime) -> String {
        let weekday = self.weekdays[usize::from(time.weekday().number_days_from_monday())];
        let month = self.months[usize::from(u8::from(time.month())) - 1];
        let (day, suffix, year) = (time.day(), self.day_suffix, time.year());
        format!("{weekday}, {day}{suffix} {month} {year}, {:02}:{:02} UTC", time.hour(), time.minute())
    }

    /// Formats a number of hours, like `48 hours`.
    pub(crate) fn format_hours(&self, count: u64) -> String {
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

    fn translations() -> impl Iterator<Item = &'static Translation> {
        Language::ALL.into_iter().map(Translation::of)
    }

    fn utc(unix: i64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(unix).unwrap()
    }

    #[test]
    fn every_language_has_its_own_texts() {
        for language in Language::ALL {
            assert_eq!(Translation::of(language).language, language);
        }
        let distinct =
            |text: fn(&Translation) -> &'static str| translations().map(text).collect::<HashSet<_>>().len();
        for text in [
            (|it| it.button_label) as fn(&Translation) -> &'static str,
            |it| it.link_label,
            |it| it.fallback_link_label,
            |it| it.sign_in_hint,
            |it| it.unexpected_hint,
            |it| it.owner,
            |it| it.member,
            |it| it.hours,
        ] {
            assert_eq!(distinct(text), Language::ALL.len(), "two languages have the same text");
        }
    }

    #[test]
    fn no_text_is_empty_or_contains_line_breaks_markup_or_outer_spaces() {
        for translation in translations() {
            let sentences = [
                translation.subject,
                translation.title,
                translation.invitation_sentence,
                translation.deadline_sentence,
            ];
            let literals = sentences.into_iter().flatten().filter_map(|piece| match piece {
                Literal(text) => Some(*text),
                _ => None,
            });
            let texts = [
                translation.button_label,
                translation.link_label,
                translation.fallback_link_label,
                translation.sign_in_hint,
                translation.unexpected_hint,
                translation.owner,
                translation.member,
                translation.hour,
                translation.hours,
            ];
            for text in literals.chain(texts) {
                assert!(!text.is_empty() && !text.contains("  "), "{text:?}");
                assert!(!text.contains(['\n', '<', '>', '&', '"', '{', '@']), "{text:?}");
                assert!(!text.contains("://"), "{text:?}");
            }
            for text in texts {
                assert_eq!(text.trim(), text);
            }
        }
    }

    #[test]
    fn sentences_contain_the_same_placeholders_in_every_language() {
        let placeholders = |pieces: &[Piece]| {
            let placeholders = pieces.iter().copied().filter(|piece| !matches!(piece, Literal(_)));
            placeholders.collect::<HashSet<_>>()
        };
        for translation in translations() {
            assert_eq!(
                placeholders(translation.subject),
                [Product].into(),
                "{}: the subject must contain no text that a user chose",
                translation.language
            );
            assert_eq!(placeholders(translation.title), [Organization].into(), "{}", translation.language);
            let expected = [Sender, Organization, Product, Piece::Role];
            assert_eq!(
                placeholders(translation.invitation_sentence),
                expected.into(),
                "{}",
                translation.language
            );
            assert_eq!(
                placeholders(translation.deadline_sentence),
                [Deadline, Hours].into(),
                "{}",
                translation.language
            );
        }
    }

    #[test]
    fn formats_times_with_the_weekday_and_the_month() {
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
            assert_eq!(ENGLISH.format_time(utc(unix)), english);
            assert_eq!(GERMAN.format_time(utc(unix)), german);
        }
        assert!(ENGLISH.format_time(utc(Timestamp::MAX.unix())).starts_with("Friday, 31 December 9999"));
    }

    #[test]
    fn names_every_weekday() {
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
            let time = (monday + Duration::days(days)).assume_offset(UtcOffset::UTC);
            assert_eq!(time.weekday().to_string(), english);
            assert!(ENGLISH.format_time(time).starts_with(&format!("{english}, ")));
            assert!(GERMAN.format_time(time).starts_with(&format!("{german}, ")));
        }
    }

    #[test]
    fn names_every_month() {
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
            let time = Date::from_calendar_date(2026, month, 5).unwrap().midnight().assume_utc();
            let english = ENGLISH.format_time(time);
            assert!(english.ends_with(&format!(", 5 {month} 2026, 00:00 UTC")), "{english}");
            assert!(GERMAN.format_time(time).ends_with(&format!(", 5. {german} 2026, 00:00 UTC")));
        }
    }

    #[test]
    fn formats_one_hour_in_the_singular() {
        assert_eq!(
            [1, 2, 48, 720].map(|it| ENGLISH.format_hours(it)),
            ["1 hour", "2 hours", "48 hours", "720 hours"]
        );
        assert_eq!([1, 2, 48].map(|it| GERMAN.format_hours(it)), ["1 Stunde", "2 Stunden", "48 Stunden"]);
    }

    #[test]
    fn names_every_role() {
        assert_eq!(Role::ALL.map(|role| ENGLISH.role(role)), ["an owner", "a member"]);
        assert_eq!(Role::ALL.map(|role| GERMAN.role(role)), ["Inhaber", "Mitglied"]);
    }
}
