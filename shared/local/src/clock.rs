//! The laptop's clock: the machine's time plus an offset that can be advanced.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use crate::state::{State, StateError};

/// The last second that RFC 3339 can write: 9999-12-31T23:59:59Z.
const UNIX_MAX: i64 = 253_402_300_799;

const KIND: &str = "clock";
const OFFSET_ID: &str = "offset";

/// Real time plus an offset. Clones share the offset.
#[derive(Debug, Clone)]
pub struct LocalClock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    offset: watch::Sender<i64>,
    /// The second at which the clock stands still.
    held: Mutex<Option<Duration>>,
    mirror: Option<PathBuf>,
    /// HeldClock while the offset moves, so that the mirror and the memory move in the same order.
    moving: Mutex<()>,
}

/// Why the clock did not move.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// Time would leave the years that timestamps can name.
    #[error("the clock can't go past the year 9999")]
    OutOfRange,
    /// The file for the other processes could not be written.
    #[error("the clock's offset could not be written to {path}")]
    Mirror {
        /// The file.
        path: PathBuf,
        /// What went wrong.
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
    /// A clock that starts at the machine's time.
    #[must_use]
    pub fn new() -> Self {
        Self::with(None)
    }

    /// A clock that also writes its offset (whole seconds, decimal) to `path`, at once and whenever it
    /// moves: function processes outside the laptop read it there.
    pub fn mirrored(path: impl Into<PathBuf>) -> Result<Self, ClockError> {
        let clock = Self::with(Some(path.into()));
        clock.set_offset(0)?;
        Ok(clock)
    }

    fn with(mirror: Option<PathBuf>) -> Self {
        let inner =
            Inner { offset: watch::Sender::new(0), held: Mutex::new(None), mirror, moving: Mutex::new(()) };
        Self { inner: Arc::new(inner) }
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub fn now_unix(&self) -> i64 {
        i64::try_from(self.since_epoch().as_secs()).unwrap_or(UNIX_MAX)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_unix_millis(&self) -> i64 {
        i64::try_from(self.since_epoch().as_millis()).unwrap_or(UNIX_MAX)
    }

    /// How far the clock is ahead of the machine's.
    #[must_use]
    pub fn offset(&self) -> i64 {
        *self.inner.offset.borrow()
    }

    /// Moves time forward and returns the time it is then.
    pub fn advance(&self, seconds: u64) -> Result<i64, ClockError> {
        let seconds = i64::try_from(seconds).map_err(|_| ClockError::OutOfRange)?;
        self.move_to(|offset| offset.checked_add(seconds))?;
        Ok(self.now_unix())
    }

    /// Puts the clock this far ahead of the machine's.
    pub fn set_offset(&self, seconds: i64) -> Result<(), ClockError> {
        self.move_to(|_| Some(seconds))
    }

    /// Puts the clock to `moment`, in seconds since the Unix epoch, and has it stand still there until what
    /// this returns is dropped: then it goes on from where it would be by now. Moving it meanwhile shows
    /// after that, and so does a second hold: the last one counts, and the first drop ends it. A process that
    /// reads the offset's file sees the clock run.
    pub fn hold(&self, moment: i64) -> Result<HeldClock, ClockError> {
        let still = u64::try_from(moment).map_err(|_| ClockError::OutOfRange)?;
        self.move_to(|_| moment.checked_sub(whole_seconds(machine_time())))?;
        self.stand_still(Some(Duration::from_secs(still)));
        Ok(HeldClock { clock: self.clone() })
    }

    /// A receiver that changes whenever the offset does, or the clock is held or released: for whoever sleeps
    /// until a moment of this clock.
    #[must_use]
    pub fn moves(&self) -> watch::Receiver<i64> {
        self.inner.offset.subscribe()
    }

    /// Takes up the offset that [`LocalClock::keep`] stored. Separate from opening, because the engine that
    /// holds the state is itself opened with this clock.
    pub fn restore(&self, state: &State) -> Result<(), RestoreError> {
        match state.get::<i64>(KIND, OFFSET_ID)? {
            Some(offset) => Ok(self.set_offset(offset)?),
            None => Ok(()),
        }
    }

    /// Stores the offset for the next start.
    pub fn keep(&self, state: &State) -> Result<(), StateError> {
        state.put(KIND, OFFSET_ID, &self.offset())
    }

    fn move_to(&self, target: impl FnOnce(i64) -> Option<i64>) -> Result<(), ClockError> {
        let _moving = self.inner.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let offset = target(self.offset()).ok_or(ClockError::OutOfRange)?;
        if !whole_seconds(machine_time())
            .checked_add(offset)
            .is_some_and(|then| (0..=UNIX_MAX).contains(&then))
        {
            return Err(ClockError::OutOfRange);
        }
        if let Some(path) = &self.inner.mirror {
            replace(path, &offset.to_string())
                .map_err(|source| ClockError::Mirror { path: path.clone(), source })?;
        }
        self.inner.offset.send_replace(offset);
        Ok(())
    }

    fn stand_still(&self, at: Option<Duration>) {
        *self.inner.held.lock().unwrap_or_else(PoisonError::into_inner) = at;
        self.inner.offset.send_modify(|_| ());
    }

    fn since_epoch(&self) -> Duration {
        if let Some(still) = *self.inner.held.lock().unwrap_or_else(PoisonError::into_inner) {
            return still;
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

/// A clock that stands still for as long as this lives.
#[derive(Debug)]
#[must_use = "the clock goes on once this is dropped"]
pub struct HeldClock {
    clock: LocalClock,
}

impl Drop for HeldClock {
    fn drop(&mut self) {
        self.clock.stand_still(None);
    }
}

/// Why the kept offset was not taken up.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The state can't be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The clock refuses the offset.
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

#[expect(clippy::disallowed_methods, reason = "this is the clock: everybody else asks it")]
fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// A reader sees the old text or the whole of the next one, never a part.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".tmp");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_move_together() {
        let clock = LocalClock::new();
        let other = clock.clone();
        let before = other.now_unix();
        let after = clock.advance(48 * 3600).unwrap();
        assert!((after - before - 48 * 3600).abs() <= 1);
        assert!((other.now_unix() - after).abs() <= 1);
        assert_eq!(other.offset(), 48 * 3600);
    }

    #[test]
    fn the_engine_sees_the_same_time() {
        use dynoxide::storage_backend::Clock as _;
        let clock = LocalClock::new();
        clock.set_offset(-1000).unwrap();
        assert!(clock.now_unix_secs().abs_diff(u64::try_from(clock.now_unix()).unwrap()) <= 1);
    }

    #[test]
    fn time_stays_within_what_a_timestamp_can_name() {
        let clock = LocalClock::new();
        let left = u64::try_from(UNIX_MAX - clock.now_unix()).unwrap();
        for too_far in [u64::MAX, i64::MAX.unsigned_abs(), left + 10] {
            assert!(matches!(clock.advance(too_far), Err(ClockError::OutOfRange)), "{too_far}");
        }
        assert!(matches!(clock.set_offset(i64::MIN), Err(ClockError::OutOfRange)));
        assert_eq!(clock.offset(), 0);
        assert!(clock.advance(left - 10).is_ok());
    }

    #[test]
    fn it_stands_still_while_it_is_held_and_then_goes_on() {
        let (clock, moment) = (LocalClock::new(), 4_000_000_000);
        let held = clock.hold(moment).unwrap();
        assert_eq!(clock.clone().now_unix_millis(), moment * 1_000);
        clock.advance(60).unwrap();
        assert_eq!(clock.now_unix(), moment);
        drop(held);
        assert!(clock.now_unix() >= moment + 60);
        for impossible in [-1, UNIX_MAX + 1, i64::MAX] {
            assert!(matches!(clock.hold(impossible), Err(ClockError::OutOfRange)), "{impossible}");
        }
        assert!(clock.now_unix() < moment + 3_600, "what was refused moves nothing");
    }

    #[test]
    fn the_offset_is_mirrored_for_other_processes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clock");
        let clock = LocalClock::mirrored(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0");
        clock.advance(60).unwrap();
        clock.advance(40).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "100");
    }

    #[test]
    fn a_mirror_that_cannot_be_written_moves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gone").join("clock");
        let error = LocalClock::mirrored(&path).unwrap_err();
        assert!(error.to_string().contains("gone"), "{error}");
    }

    #[test]
    fn the_offset_outlives_the_process() {
        let state = State::open(dynoxide::Database::memory().unwrap()).unwrap();
        let clock = LocalClock::new();
        clock.restore(&state).unwrap();
        clock.advance(77).unwrap();
        clock.keep(&state).unwrap();

        let next = LocalClock::new();
        next.restore(&state).unwrap();
        assert_eq!(next.offset(), 77);
    }

    #[tokio::test]
    async fn sleepers_hear_of_a_move() {
        let clock = LocalClock::new();
        let mut moves = clock.moves();
        clock.advance(1).unwrap();
        moves.changed().await.unwrap();
        assert_eq!(*moves.borrow(), 1);
        let held = clock.hold(clock.now_unix()).unwrap();
        moves.changed().await.unwrap();
        drop(held);
        moves.changed().await.unwrap();
    }
}
