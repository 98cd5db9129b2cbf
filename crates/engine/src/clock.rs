//! Wall-clock time of the moments that threads count in.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// After this a clock is read anew: the system's may have been set.
const AGE_MAX: Duration = Duration::from_secs(1);

/// What one moment was on the wall.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    at: Instant,
    unix_ns: u64,
}

impl Clock {
    /// `at` is now.
    pub fn new(at: Instant, now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { at, unix_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX) }
    }

    /// Whether `now` is so long after it that it should be read anew.
    pub fn is_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.at) >= AGE_MAX
    }

    /// `now` in nanoseconds since 1970.
    pub fn unix_ns(&self, now: Instant) -> u64 {
        self.unix_ns + now.saturating_duration_since(self.at).as_nanos() as u64
    }
}
