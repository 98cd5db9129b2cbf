//! Back-pressure: a publisher waits a little for a destination that lags.
//!
//! nats-server stalls a publisher for up to 10 ms of each read, also for a destination that
//! takes nothing any more: one stuck subscriber costs it over 90 % of its rate. Here waiting
//! for a destination that moves is free, and waiting for those that do not is charged to a
//! small budget; then the destination's queue fills, and it is cut off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keelback_engine::{Connection, lock};

/// One wait.
const PAUSE: Duration = Duration::from_millis(2);
/// Waits in vain that a publisher may be charged for in one window.
const BUDGET: Duration = Duration::from_millis(4);
/// The budget's window.
const WINDOW: Duration = Duration::from_secs(1);
/// A destination that took so much during a wait moves.
const PROGRESS_BYTES: u64 = 64 << 10;

/// A publisher's waits.
#[derive(Default)]
pub(crate) struct Stall {
    waiting: Option<Box<Waiting>>,
    window_start: Option<Instant>,
    charged: Duration,
}

struct Waiting {
    until: Instant,
    destination: Arc<Connection>,
    taken_bytes: u64,
}

impl Stall {
    /// When the current wait ends.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// Begins a wait, if the budget allows one; true when reading must pause.
    pub(crate) fn begin(
        &mut self,
        now: Instant,
        destination: Arc<Connection>,
        taken_bytes: u64,
    ) -> bool {
        if self.waiting.is_some() {
            return false;
        }
        if self.window_start.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            self.window_start = Some(now);
            self.charged = Duration::ZERO;
        }
        if self.charged >= BUDGET {
            return false;
        }
        self.waiting = Some(Box::new(Waiting { until: now + PAUSE, destination, taken_bytes }));
        true
    }

    /// Ends a wait whose time is over; true when reading goes on.
    pub(crate) fn end(&mut self, now: Instant) -> bool {
        if self.until().is_none_or(|until| until > now) {
            return false;
        }
        if let Some(waiting) = self.waiting.take() {
            let taken = lock(&waiting.destination.outbound).taken_bytes();
            if taken.saturating_sub(waiting.taken_bytes) < PROGRESS_BYTES {
                self.charged += PAUSE;
            }
        }
        true
    }
}
