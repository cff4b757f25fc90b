//! The clock of a process that uses the system time.

use std::path::PathBuf;
use std::sync::LazyLock;

use domain::{Clock, Timestamp};

/// The variable with the path of a file, which contains a number of seconds to add to the system time.
///
/// A user can advance the laptop's clock, and function processes beside the laptop must follow. Functions in AWS do not
/// have this variable.
const CLOCK_FILE: &str = "ROSTER_CLOCK_FILE";

/// The system's clock, plus the offset from the file that `ROSTER_CLOCK_FILE` names.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(system_seconds().saturating_add(offset_seconds()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the only place that reads the system time")]
fn system_seconds() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_secs().cast_signed())
}

fn offset_seconds() -> i64 {
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os(CLOCK_FILE).map(PathBuf::from));
    let text = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
