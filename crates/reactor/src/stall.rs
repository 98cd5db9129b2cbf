//! Back-pressure: a publisher waits a little for a destination that lags.
//!
//! nats-server stalls a publisher for up to 10 ms of each read, also for a destination that
//! takes nothing any more: one stuck subscriber costs it over 90 % of its rate. Here waiting
//! for a destination that moves is free, and waiting for those that do not is charged to a
//! small budget; then the destination's queue fills, and it is cut off.
//!
//! There are two kinds of wait. A *mild* one lets a quick destination catch up before its queue
//! outgrows the processor's cache, and ends as soon as it has (one-to-one: −20 % processor time at
//! 1 KiB, −30 % at 16 KiB). A *severe* one begins when a destination is near its limit.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use keelback_engine::worker::Pressure;
use keelback_engine::{Connection, lock};

/// One wait, at most.
const PAUSE: Duration = Duration::from_millis(2);
/// Waits in vain of each kind that a publisher may be charged for in one window.
const BUDGET: Duration = Duration::from_millis(4);
/// The budget's window.
const WINDOW: Duration = Duration::from_secs(1);
/// A destination that took so much during a severe wait moves.
const PROGRESS_BYTES: u64 = 64 << 10;

/// A publisher's waits.
#[derive(Default)]
pub(crate) struct Stall {
    waiting: Option<Box<Waiting>>,
    mild: Budget,
    severe: Budget,
}

struct Waiting {
    until: Instant,
    destination: Arc<Connection>,
    taken_bytes: u64,
    is_severe: bool,
}

impl Stall {
    /// When the current wait ends.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.waiting.as_ref().map(|waiting| waiting.until)
    }

    /// Begins a wait, if the budget allows one; true when reading must pause.
    pub(crate) fn begin(&mut self, now: Instant, pressure: &Pressure) -> bool {
        let Pressure { publisher, ref destination, taken_bytes, is_severe } = *pressure;
        let budget = if is_severe { &mut self.severe } else { &mut self.mild };
        if self.waiting.is_some() || !budget.allows(now) {
            return false;
        }
        if !is_severe && !lock(&destination.outbound).add_waiter(publisher) {
            return false;
        }
        let (until, destination) = (now + PAUSE, destination.clone());
        self.waiting = Some(Box::new(Waiting { until, destination, taken_bytes, is_severe }));
        true
    }

    /// A destination has caught up; true when a wait for that ends, and reading goes on.
    pub(crate) fn end_early(&mut self) -> bool {
        self.waiting.take_if(|waiting| !waiting.is_severe).is_some()
    }

    /// Ends a wait whose time is over; true when reading goes on.
    pub(crate) fn end(&mut self, now: Instant) -> bool {
        let Some(waiting) = self.waiting.take_if(|waiting| waiting.until <= now) else {
            return false;
        };
        if waiting.is_severe {
            let taken = lock(&waiting.destination.outbound).taken_bytes();
            if taken.saturating_sub(waiting.taken_bytes) < PROGRESS_BYTES {
                self.severe.charge();
            }
        } else {
            // It has not caught up: not a quick one.
            self.mild.charge();
        }
        true
    }
}

/// Waits in vain of the current window.
#[derive(Default)]
struct Budget {
    window_start: Option<Instant>,
    charged: Duration,
}

impl Budget {
    fn allows(&mut self, now: Instant) -> bool {
        if self.window_start.is_none_or(|start| now.duration_since(start) >= WINDOW) {
            self.window_start = Some(now);
            self.charged = Duration::ZERO;
        }
        self.charged < BUDGET
    }

    fn charge(&mut self) {
        self.charged += PAUSE;
    }
}
