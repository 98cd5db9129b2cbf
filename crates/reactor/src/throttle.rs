//! How many TLS handshakes begin in a second: each costs more processor time than thousands of
//! messages.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use keelback_engine::lock;

const WINDOW: Duration = Duration::from_secs(1);

/// A limit for all threads of a server. A window begins with its first handshake, as in nats-server.
#[derive(Default)]
pub(crate) struct Throttle {
    /// Handshakes in one window; 0 is without limit.
    limit: AtomicU64,
    window: Mutex<Window>,
}

#[derive(Default)]
struct Window {
    end: Option<Instant>,
    begun: u64,
    refused: u64,
}

impl Throttle {
    /// Sets the limit; 0 is none.
    pub(crate) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Whether one more handshake may begin.
    pub(crate) fn admits(&self, now: Instant) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        if limit == 0 {
            return true;
        }
        let mut window = lock(&self.window);
        if window.end.is_none_or(|end| now > end) {
            window.end = Some(now + WINDOW);
            window.begun = 0;
        }
        let is_admitted = window.begun < limit;
        window.begun += u64::from(is_admitted);
        window.refused += u64::from(!is_admitted);
        is_admitted
    }

    /// Handshakes that were refused since the last look.
    pub(crate) fn take_refused(&self) -> u64 {
        std::mem::take(&mut lock(&self.window).refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_as_many_as_the_limit() {
        let throttle = Throttle::default();
        let start = Instant::now();
        assert!((0..9).all(|_| throttle.admits(start)), "without a limit");
        throttle.set_limit(2);
        let admitted = |at| (0..5).filter(|_| throttle.admits(at)).count();
        assert_eq!(admitted(start), 2);
        assert_eq!(admitted(start + WINDOW), 0);
        assert_eq!(throttle.take_refused(), 8);
        assert_eq!(throttle.take_refused(), 0);
        assert_eq!(admitted(start + WINDOW + Duration::from_millis(1)), 2);
    }
}
