//! The clock of a real process.

use std::path::PathBuf;
use std::sync::LazyLock;

use domain::{Clock, Timestamp};

/// The file that holds seconds to add to the time, if it names one: the laptop's clock can be advanced, and function processes
/// started beside it have to follow. The template sets no such variable.
const CLOCK_FILE: &str = "ROSTER_CLOCK_FILE";

/// The system's clock, or what `ROSTER_CLOCK_FILE` makes of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(system().saturating_add(offset()))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the system")]
fn system() -> i64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_epoch.map_or(0, |elapsed| elapsed.as_secs().cast_signed())
}

fn offset() -> i64 {
    static FILE: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os(CLOCK_FILE).map(PathBuf::from));
    let text = FILE.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
