//! The laptop's clock: the machine's time plus an offset that can be advanced.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::state::{State, StateError};

/// The last second that RFC 3339 can express: 9999-12-31T23:59:59Z.
const UNIX_MAX: i64 = 253_402_300_799;

const KIND: &str = "clock";
const OFFSET_ID: &str = "offset";

/// The machine's time plus an offset. Clones share the offset.
#[derive(Debug, Clone)]
pub struct LocalClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    offset: watch::Sender<i64>,
    /// The time since the Unix epoch at which the clock is stopped, if it is.
    held: Mutex<Option<Duration>>,
    offset_file: Option<PathBuf>,
    /// Locked while the offset changes, so that the file and the memory get concurrent changes in the same order.
    changing: Mutex<()>,
}

/// Why the clock could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The time would be before 1970 or after 9999.
    #[error("the clock can only be set to the years 1970 to 9999")]
    OutOfRange,
    /// The file with the offset could not be written.
    #[error("the clock's offset could not be written to {path}")]
    OffsetFile {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
}

impl Default for LocalClock {
    fn default() -> Self {
        Self::new()
    }
}

impl LocalClock {
    /// Creates a clock with offset 0.
    #[must_use]
    pub fn new() -> Self {
        Self::build(None)
    }

    /// Creates a clock with offset 0 that writes its offset to a file, now and at every change.
    ///
    /// The file contains the offset in whole seconds as a decimal number. Function processes read it.
    pub fn with_offset_file(path: impl Into<PathBuf>) -> Result<Self, ClockError> {
        let clock = Self::build(Some(path.into()));
        clock.set_offset(0)?;
        Ok(clock)
    }

    fn build(offset_file: Option<PathBuf>) -> Self {
        let inner = Inner {
            offset: watch::Sender::new(0),
            held: Mutex::new(None),
            offset_file,
            changing: Mutex::new(()),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn now_unix(&self) -> i64 {
        i64::try_from(self.since_epoch().as_secs()).unwrap_or(UNIX_MAX)
    }

    /// Whole seconds since the Unix epoch by the machine's clock, without the offset.
    #[must_use]
    pub fn machine_unix(&self) -> i64 {
        whole_seconds(machine_time())
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_unix_millis(&self) -> i64 {
        i64::try_from(self.since_epoch().as_millis()).unwrap_or(UNIX_MAX)
    }

    /// The seconds by which this clock is ahead of the machine's clock.
    #[must_use]
    pub fn offset(&self) -> i64 {
        *self.inner.offset.borrow()
    }

    /// Moves the clock forward and returns the new time, in seconds since the Unix epoch.
    pub fn advance(&self, seconds: u64) -> Result<i64, ClockError> {
        let seconds = i64::try_from(seconds).map_err(|_| ClockError::OutOfRange)?;
        self.change_offset(|offset| offset.checked_add(seconds))?;
        Ok(self.now_unix())
    }

    /// Sets the seconds by which this clock is ahead of the machine's clock. May be negative.
    pub fn set_offset(&self, seconds: i64) -> Result<(), ClockError> {
        self.change_offset(|_| Some(seconds))
    }

    /// Stops the clock at `moment`, in seconds since the Unix epoch, until the returned [`HeldClock`] is dropped.
    ///
    /// Then the clock continues as if it had never stopped. A change of the offset takes effect only then. A second
    /// call replaces the first one, and the first drop ends both. The offset file does not show that the clock is
    /// stopped, so other processes see a running clock.
    pub fn hold(&self, moment: i64) -> Result<HeldClock, ClockError> {
        let seconds = u64::try_from(moment).map_err(|_| ClockError::OutOfRange)?;
        self.change_offset(|_| moment.checked_sub(whole_seconds(machine_time())))?;
        self.set_held(Some(Duration::from_secs(seconds)));
        Ok(HeldClock { clock: self.clone() })
    }

    /// Returns a receiver that is notified when the offset changes and when the clock stops or continues. Tasks that
    /// sleep until a time of this clock need it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<i64> {
        self.inner.offset.subscribe()
    }

    /// Restores the offset that [`LocalClock::save`] stored.
    ///
    /// This is separate from the constructors, because the engine that holds the state needs this clock first.
    pub fn restore(&self, state: &State) -> Result<(), RestoreError> {
        match state.get::<i64>(KIND, OFFSET_ID)? {
            Some(offset) => Ok(self.set_offset(offset)?),
            None => Ok(()),
        }
    }

    /// Stores the offset for the next start of the laptop.
    pub fn save(&self, state: &State) -> Result<(), StateError> {
        state.put(KIND, OFFSET_ID, &self.offset())
    }

    fn change_offset(&self, new_offset: impl FnOnce(i64) -> Option<i64>) -> Result<(), ClockError> {
        let _changing = self.inner.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = new_offset(self.offset()).ok_or(ClockError::OutOfRange)?;
        if !whole_seconds(machine_time())
            .checked_add(offset)
            .is_some_and(|time| (0..=UNIX_MAX).contains(&time))
        {
            return Err(ClockError::OutOfRange);
        }
        if let Some(path) = &self.inner.offset_file {
            replace_file(path, &offset.to_string())
                .map_err(|source| ClockError::OffsetFile { path: path.clone(), source })?;
        }
        self.inner.offset.send_replace(offset);
        Ok(())
    }

    fn set_held(&self, at: Option<Duration>) {
        *self.inner.held.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.inner.offset.send_modify(|_| ());
    }

    fn since_epoch(&self) -> Duration {
        if let Some(held) = *self.inner.held.lock().unwrap_or_else(PoisonError::into_inner) {
            return held;
        }
        let offset = self.offset();
        let seconds = Duration::from_secs(offset.unsigned_abs());
        if offset < 0 {
            machine_time().saturating_sub(seconds)
        } else {
            machine_time().saturating_add(seconds)
        }
    }
}

/// Keeps the clock stopped until it is dropped.
#[derive(Debug)]
#[must_use = "the clock continues as soon as this is dropped"]
pub struct HeldClock {
    clock: LocalClock,
}

impl Drop for HeldClock {
    fn drop(&mut self) {
        self.clock.set_held(None);
    }
}

/// Why the stored offset could not be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The clock rejects the offset.
    #[error(transparent)]
    Clock(#[from] ClockError),
}

impl domain::Clock for LocalClock {
    fn now(&self) -> domain::Timestamp {
        domain::Timestamp::from_unix(self.now_unix())
    }
}

impl dynoxide::storage_backend::Clock for LocalClock {
    fn now_unix_secs(&self) -> u64 {
        self.since_epoch().as_secs()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.since_epoch().as_secs_f64()
    }
}

#[expect(clippy::disallowed_methods, reason = "all other code reads the time from this clock")]
fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// Replaces the file's content atomically: a reader sees either the old or the new text.
fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    std::fs::write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_offset() {
        let clock = LocalClock::new();
        let other = clock.clone();
        let before = other.now_unix();
        let after = clock.advance(48 * 3600).unwrap();
        assert!((after - before - 48 * 3600).abs() <= 1);
        assert!((other.now_unix() - after).abs() <= 1);
        assert_eq!(other.offset(), 48 * 3600);
    }

    #[test]
    fn gives_the_engine_the_same_time() {
        use dynoxide::storage_backend::Clock as _;
        let clock = LocalClock::new();
        clock.set_offset(-1000).unwrap();
        assert!(clock.now_unix_secs().abs_diff(u64::try_from(clock.now_unix()).unwrap()) <= 1);
    }

    #[test]
    fn rejects_a_time_outside_the_supported_years() {
        let clock = LocalClock::new();
        let seconds_left = u64::try_from(UNIX_MAX - clock.now_unix()).unwrap();
        for too_far in [u64::MAX, i64::MAX.unsigned_abs(), seconds_left + 10] {
            assert!(matches!(clock.advance(too_far), Err(ClockError::OutOfRange)), "{too_far}");
        }
        assert!(matches!(clock.set_offset(i64::MIN), Err(ClockError::OutOfRange)));
        assert_eq!(clock.offset(), 0);
        assert!(clock.advance(seconds_left - 10).is_ok());
    }

    #[test]
    fn stops_while_it_is_held_and_then_continues() {
        let (clock, moment) = (LocalClock::new(), 4_000_000_000);
        let held = clock.hold(moment).unwrap();
        assert_eq!(clock.clone().now_unix_millis(), moment * 1_000);
        clock.advance(60).unwrap();
        assert_eq!(clock.now_unix(), moment);
        drop(held);
        assert!(clock.now_unix() >= moment + 60);
        for out_of_range in [-1, UNIX_MAX + 1, i64::MAX] {
            assert!(matches!(clock.hold(out_of_range), Err(ClockError::OutOfRange)), "{out_of_range}");
        }
        assert!(clock.now_unix() < moment + 3_600, "a rejected hold does not change the clock");
    }

    #[test]
    fn writes_the_offset_to_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clock");
        let clock = LocalClock::with_offset_file(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0");
        clock.advance(60).unwrap();
        clock.advance(40).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "100");
    }

    #[test]
    fn reports_an_offset_file_that_cannot_be_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("clock");
        let error = LocalClock::with_offset_file(&path).unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[test]
    fn restores_the_saved_offset() {
        let state = State::open(dynoxide::Database::memory().unwrap()).unwrap();
        let clock = LocalClock::new();
        clock.restore(&state).unwrap();
        clock.advance(77).unwrap();
        clock.save(&state).unwrap();

        let restarted = LocalClock::new();
        restarted.restore(&state).unwrap();
        assert_eq!(restarted.offset(), 77);
    }

    #[tokio::test]
    async fn notifies_subscribers_of_changes_and_holds() {
        let clock = LocalClock::new();
        let mut changes = clock.subscribe();
        clock.advance(1).unwrap();
        changes.changed().await.unwrap();
        assert_eq!(*changes.borrow(), 1);
        let held = clock.hold(clock.now_unix()).unwrap();
        changes.changed().await.unwrap();
        drop(held);
        changes.changed().await.unwrap();
    }
}
