//! The environment of function processes that run next to the laptop (`--functions`).
//!
//! `infra/laptop.env` has the variables for a laptop with default flags. The laptop writes a copy with its own address and
//! flags.

use std::fs;
use std::io;
use std::path::Path;

use domain::Language;

/// The file that the laptop writes, relative to the folder in which it runs.
pub const FILE: &str = "target/laptop.env";
/// The file from which function processes read the offset of the laptop's clock. `infra/laptop.env` names the same
/// file.
pub const CLOCK_FILE: &str = "target/laptop-clock";

/// The variables for default flags.
const DEFAULTS: &str = include_str!("../../../infra/laptop.env");
/// The laptop's address with default flags, as in [`DEFAULTS`] and in the contract.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:4000";
/// A limit that no development reaches.
const NO_LIMIT: u32 = 1_000_000;

/// The flags of the laptop that apply to the functions.
#[derive(Debug, Clone, Copy)]
pub struct Variables {
    /// The number of seats of each organization that is created from now on.
    pub seats: u32,
    /// The default language of mails and of the console.
    pub language: Language,
    /// Whether inviting and mailing have limits.
    pub has_limits: bool,
}

/// The file with the variables cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("{FILE} cannot be written: {0}; start the laptop in a folder where it can create this file")]
pub struct WriteError(#[from] io::Error);

/// Creates the folder of [`FILE`] and [`CLOCK_FILE`].
pub fn create_folder() -> Result<(), WriteError> {
    Ok(Path::new(FILE).parent().map_or(Ok(()), fs::create_dir_all)?)
}

impl Variables {
    /// Writes the variables for functions of the laptop at `url` to [`FILE`].
    pub fn write(self, url: &str) -> Result<(), WriteError> {
        Ok(fs::write(FILE, self.render(url))?)
    }

    fn render(self, url: &str) -> String {
        let language = self.language.to_string();
        let default_language = format!("MAIL_LANGUAGE={}\n", Language::default());
        let defaults = DEFAULTS.replace(DEFAULT_URL, url);
        let defaults = defaults.replace(&default_language, &format!("MAIL_LANGUAGE={language}\n"));
        let mut lines = vec![
            "\n# The flags of the laptop.".to_owned(),
            format!("CONSOLE_LANGUAGE={language}"),
            format!("SEATS={}", self.seats),
        ];
        if !self.has_limits {
            let limits =
                ["INVITEES_PER_DAY", "MAILS_PER_HOUR", "MAILS_PER_INVITATION", "MAILS_PER_RECIPIENT"];
            lines.extend(limits.map(|name| format!("{name}={NO_LIMIT}")));
            lines.push("MAIL_PAUSE_SECONDS=1".to_owned());
        }
        format!("{defaults}{}\n", lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::time::Duration;

    use domain::Policy;
    use lambda_api::env::Env;

    use super::*;

    const URL: &str = "http://127.0.0.1:4711";

    fn parse(text: &str) -> BTreeMap<String, String> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pairs = lines.map(|line| line.split_once('=').unwrap());
        let variables: Vec<_> =
            pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned())).collect();
        let parsed: BTreeMap<_, _> = variables.iter().cloned().collect();
        assert_eq!(parsed.len(), variables.len(), "a variable occurs twice: {text}");
        parsed
    }

    #[test]
    fn the_variables_follow_the_address_and_the_flags() {
        let defaults =
            Variables { seats: Policy::default().seats, language: Language::default(), has_limits: true };
        let text = defaults.render(URL);
        assert!(!text.contains("4000"), "{text}");
        let variables = parse(&text);
        assert_eq!(variables["AWS_ENDPOINT_URL"], format!("{URL}/_aws"));
        assert_eq!(variables["ACCEPT_URL"], format!("{URL}/accept"));
        assert_eq!(variables["CONSOLE_ISSUER"], URL);
        assert_eq!(variables["ROSTER_CLOCK_FILE"], CLOCK_FILE);
        assert_eq!(
            (variables["MAIL_LANGUAGE"].as_str(), variables["CONSOLE_LANGUAGE"].as_str()),
            ("en", "en")
        );

        let changed = Variables { seats: 7, language: Language::De, has_limits: false };
        let variables = parse(&changed.render(URL));
        assert_eq!(
            (variables["MAIL_LANGUAGE"].as_str(), variables["CONSOLE_LANGUAGE"].as_str()),
            ("de", "de")
        );
        // The functions accept these values.
        let value = |name: &str| variables.get(name).map(OsString::from);
        let policy = Env::new(&value).policy().unwrap();
        assert_eq!(policy.seats, 7);
        let limits = policy.limits.unwrap();
        assert_eq!(
            [
                limits.invitees_per_day,
                limits.mails_per_hour,
                limits.mails_per_invitation,
                limits.mails_per_recipient
            ],
            [NO_LIMIT; 4]
        );
        assert_eq!(limits.pause, Duration::from_secs(1));
    }
}
