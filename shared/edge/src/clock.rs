//! The clock of a real process.

use domain::{Clock, Timestamp};

/// The system's clock.
///
/// In a debug build, and in no other, the file that `ROSTER_CLOCK_FILE` names holds seconds to add: the
/// laptop's clock can be advanced, and function processes started beside it have to follow.
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

#[cfg(debug_assertions)]
fn offset() -> i64 {
    let file = std::env::var_os("ROSTER_CLOCK_FILE");
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

#[cfg(not(debug_assertions))]
fn offset() -> i64 {
    0
}
