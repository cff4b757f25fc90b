//! Languages of mails.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A language of mails. The default applies to a deployment that configures none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 2] = [Self::En, Self::De];

    /// The text of the language in the contract and in the table. It is also the BCP 47 tag.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a supported language. Upper case and regions are rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a language is `en` or `de`")]
pub struct UnknownLanguage;

impl FromStr for Language {
    type Err = UnknownLanguage;

    fn from_str(text: &str) -> Result<Self, UnknownLanguage> {
        Self::ALL.into_iter().find(|language| language.as_str() == text).ok_or(UnknownLanguage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_only_the_exact_language_tags() {
        assert_eq!(Language::ALL.map(|language| language.to_string()), ["en", "de"]);
        assert_eq!(Language::ALL.map(|language| language.as_str().parse()), Language::ALL.map(Ok));
        for text in ["", "EN", "De", "en-US", "de_DE", "en,de", " de", "fr", "english"] {
            assert_eq!(text.parse::<Language>(), Err(UnknownLanguage), "{text:?}");
        }
    }
}
