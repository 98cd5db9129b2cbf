//! When messages with a lifetime of their own end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Fewer deadlines of removed messages than this are kept.
const STALE_MIN: usize = if cfg!(test) { 2 } else { 64 };

#[derive(Default)]
pub(super) struct Deadlines {
    /// Time and sequence; those of removed messages may still be there.
    heap: BinaryHeap<Reverse<(u64, u64)>>,
    /// How many live messages have one.
    live: usize,
}

impl Deadlines {
    pub(super) fn add(&mut self, end_ns: u64, sequence: u64) {
        self.live += 1;
        self.put_back(end_ns, sequence);
    }

    /// Adds what was taken as due, and is to be due again.
    pub(super) fn put_back(&mut self, end_ns: u64, sequence: u64) {
        self.heap.push(Reverse((end_ns, sequence)));
    }

    /// A message that has a deadline is gone.
    pub(super) fn forget(&mut self, is_live: impl Fn(u64) -> bool) {
        self.live -= 1;
        if self.heap.len() > self.live * 2 + STALE_MIN {
            self.prune(is_live);
        }
    }

    /// All deadlines are of live messages.
    pub(super) fn is_exact(&self) -> bool {
        self.heap.len() == self.live
    }

    /// Keeps those of live messages.
    pub(super) fn prune(&mut self, is_live: impl Fn(u64) -> bool) {
        self.heap.retain(|Reverse((_, sequence))| is_live(*sequence));
        self.heap.shrink_to_fit();
    }

    /// Takes the deadlines up to `now_ns`, in the order of the sequences; some are of messages that
    /// are gone.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Vec<(u64, u64)> {
        let mut due = Vec::new();
        while let Some(&Reverse((end_ns, sequence))) = self.heap.peek()
            && end_ns <= now_ns
        {
            self.heap.pop();
            due.push((sequence, end_ns));
        }
        due.sort_unstable();
        due
    }

    /// No live message has an earlier deadline.
    pub(super) fn first_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse((end_ns, _))| *end_ns)
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.heap.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
