//! The time by which messages expire: the wall clock, except that it does not jump ahead.
//!
//! Messages carry the wall clock's time. If that is set ahead while the server runs, nothing may
//! expire the sooner; if it is set back, what is stored from then on must not expire early either. So
//! this clock advances with the time that passes, asleep or awake, and is never ahead of the wall
//! clock. After a jump ahead messages stay longer by that much, until the server starts again.

/// Times are nanoseconds; those of the wall clock since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExpiryClock {
    now_ns: u64,
    /// Time since the system started, when `now_ns` was.
    boot_ns: u64,
}

impl ExpiryClock {
    pub(crate) fn new(wall_ns: u64, boot_ns: u64) -> Self {
        Self { now_ns: wall_ns, boot_ns }
    }

    /// Moves on to what the clocks say now.
    pub(crate) fn advance(&mut self, wall_ns: u64, boot_ns: u64) -> u64 {
        let passed_ns = boot_ns.saturating_sub(self.boot_ns);
        *self = Self { now_ns: wall_ns.min(self.now_ns + passed_ns), boot_ns };
        self.now_ns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000_000_000;
    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn time_passes() {
        let mut clock = ExpiryClock::new(100 * HOUR, HOUR);
        assert_eq!(clock.advance(100 * HOUR + SECOND, HOUR + SECOND), 100 * HOUR + SECOND);
    }

    #[test]
    fn a_jump_ahead_expires_nothing() {
        let mut clock = ExpiryClock::new(100 * HOUR, HOUR);
        assert_eq!(clock.advance(101 * HOUR + SECOND, HOUR + SECOND), 100 * HOUR + SECOND);
        // What is stored before and after it goes in the end.
        let later = clock.advance(103 * HOUR + SECOND, 3 * HOUR + SECOND);
        assert_eq!(later, 102 * HOUR + SECOND);
    }

    #[test]
    fn a_jump_back_is_followed_so_that_new_messages_get_all_their_time() {
        let mut clock = ExpiryClock::new(100 * HOUR, HOUR);
        assert_eq!(clock.advance(99 * HOUR, HOUR + SECOND), 99 * HOUR);
        assert_eq!(clock.advance(99 * HOUR + SECOND, HOUR + 2 * SECOND), 99 * HOUR + SECOND);
    }

    #[test]
    fn time_asleep_counts() {
        let mut clock = ExpiryClock::new(100 * HOUR, HOUR);
        assert_eq!(clock.advance(108 * HOUR, 9 * HOUR), 108 * HOUR);
    }
}
