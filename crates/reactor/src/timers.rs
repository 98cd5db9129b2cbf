//! Deadlines of one thread's connections: a heap with one live entry for each connection.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// The heap. Entries that a nearer deadline replaced stay until their time and are ignored.
#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
}

impl Timers {
    pub(crate) fn schedule(&mut self, at: Instant, key: u64) {
        self.heap.push(Reverse((at, key)));
    }

    /// The earliest entry.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes an entry that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, u64)> {
        let due = self.next().is_some_and(|at| at <= now);
        let entry = if due { self.heap.pop() } else { None };
        if self.heap.len() * 4 < self.heap.capacity() && self.heap.capacity() > 1024 {
            self.heap.shrink_to_fit();
        }
        entry.map(|Reverse(entry)| entry)
    }
}
