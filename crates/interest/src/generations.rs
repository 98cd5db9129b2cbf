//! Counters by which a cached match result can tell whether interest in its subject may have
//! changed. A SUB or UNSUB moves the counters of what it may concern, not everybody's: inboxes
//! come and go all the time, and caches must survive that.
//!
//! # What is counted where
//!
//! | pattern | counter |
//! |---|---|
//! | literal | bucket of the whole subject |
//! | wildcard after two or more literal tokens (`_INBOX.id.*`) | bucket of the first two tokens |
//! | wildcard after one literal token (`orders.>`) | bucket of the first token |
//! | wildcard at once (`>`, `*.a`) | the root counter, which is everybody's |
//!
//! A subject can only be matched by patterns that count in one of its four counters, so their sum
//! is enough to watch. Buckets are shared by hash: two subjects in one bucket cost a match, never a
//! wrong result.
//!
//! # The protocol, and why no stale result outlives a change
//!
//! Writer, under the sublist's write lock: change the sublist, then [`Generations::bump`], then
//! unlock, then acknowledge. Reader, to fill its cache: [`Generations::any`], then
//! [`Generations::stamp`], then take the read lock and match. Reader, to use its cache: read `any`;
//! if it is as remembered, the result is current. Else ask [`Generations::is_current`]; if so,
//! remember the `any` *that was read before asking*.
//!
//! - Counters only grow, and a thread never sees a counter go back. So an equal sum means that each
//!   of the four is as it was (unless one went round 2^32 times exactly in between).
//! - If the reader's lock came after the writer's, its result has the change. If it came before,
//!   the stamp was read before the bump, so it holds the old count; once the bump is visible, the
//!   sums differ.
//! - The bump is visible to whoever learnt of the change: it comes before the acknowledgement in
//!   the writer's order, and whatever carries that (a lock, a socket) carries the bump along.
//! - `any` is counted last, with `Release`: who reads (`Acquire`) its new value sees the bucket's
//!   new value too, and cannot take a stale stamp for current and then remember the new `any`.
//!   Counted first, it would allow just that.

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::hashing::Hashing;

/// Buckets when nothing else is asked for (count): 64 KiB. A change of an unrelated literal leaves
/// a stamp current but for one in 8,192.
const BUCKETS_DEFAULT: usize = 1 << 14;
/// A stamp holds bucket numbers in 16 bits.
const BUCKETS_MAX: usize = 1 << 16;
const BUCKETS_MIN: usize = 4;

/// The change counters of one sublist.
pub struct Generations {
    any: AtomicU64,
    /// Counts changes of patterns that begin with a wildcard.
    root: AtomicU32,
    /// A power of two of them: half for whole subjects, a quarter each for the first two tokens
    /// and the first one, so that churn in one kind does not touch the others.
    buckets: Box<[AtomicU32]>,
    hashing: Hashing,
}

/// What the counters of one subject were. Belongs to the [`Generations`] that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Buckets of the whole subject, its first two tokens, its first token; where a shorter subject
    /// has no such pattern to fear, the first is repeated.
    buckets: [u16; 3],
    /// Sum of these and the root counter, modulo 2^32.
    sum: u32,
}

/// The counter that a pattern, or one way to match a subject, belongs to.
enum Scope<'a> {
    Whole(&'a [u8]),
    FirstTwo(&'a [u8]),
    First(&'a [u8]),
    Root,
}

impl Generations {
    /// Counters with the usual number of buckets (64 KiB); `seed` is secret to those who choose
    /// the subjects.
    pub fn new(seed: u64) -> Self {
        Self::with_buckets(seed, BUCKETS_DEFAULT)
    }

    /// Counters with about `buckets` buckets (count) of four bytes: rounded up to a power of two,
    /// between 4 and 65,536. Fewer make more unrelated changes look related.
    pub fn with_buckets(seed: u64, buckets: usize) -> Self {
        let buckets = buckets.clamp(BUCKETS_MIN, BUCKETS_MAX).next_power_of_two();
        Self {
            any: AtomicU64::new(0),
            root: AtomicU32::new(0),
            buckets: (0..buckets).map(|_| AtomicU32::new(0)).collect(),
            hashing: Hashing::new(seed),
        }
    }

    /// Counts a change of interest in `pattern`. Call it after the sublist changed and before its
    /// write lock is released. `>` concerns every subject.
    pub fn bump(&self, pattern: &[u8]) {
        let counter = match scope(pattern) {
            Scope::Root => &self.root,
            scope => &self.buckets[self.bucket(&scope)],
        };
        counter.fetch_add(1, Ordering::Release);
        // Last: see the module's documentation.
        self.any.fetch_add(1, Ordering::Release);
    }

    /// Moves on every change: as long as it stands still, every cached result is current.
    pub fn any(&self) -> u64 {
        self.any.load(Ordering::Acquire)
    }

    /// What the counters of `subject` are; to be taken *before* matching.
    pub fn stamp(&self, subject: &[u8]) -> Stamp {
        let whole = self.bucket(&Scope::Whole(subject)) as u16;
        let mut buckets = [whole; 3];
        let (first, first_two) = leading(subject);
        // A pattern with a wildcard after these tokens matches longer subjects only.
        if let Some(first) = first {
            buckets[1] = self.bucket(&Scope::First(first)) as u16;
        }
        if let Some(first_two) = first_two {
            buckets[2] = self.bucket(&Scope::FirstTwo(first_two)) as u16;
        }
        Stamp { buckets, sum: self.sum(buckets) }
    }

    /// Whether no change since `stamp` was taken can concern its subject. `false` may be wrong,
    /// `true` is not.
    pub fn is_current(&self, stamp: &Stamp) -> bool {
        self.sum(stamp.buckets) == stamp.sum
    }

    fn sum(&self, buckets: [u16; 3]) -> u32 {
        buckets.iter().fold(self.root.load(Ordering::Acquire), |sum, &bucket| {
            sum.wrapping_add(self.buckets[usize::from(bucket)].load(Ordering::Acquire))
        })
    }

    fn bucket(&self, scope: &Scope<'_>) -> usize {
        let half = self.buckets.len() / 2;
        let quarter = half / 2;
        let at = |key: &[u8], base: usize, count: usize| {
            base + (self.hashing.bytes(key) as usize & (count - 1))
        };
        match scope {
            Scope::Whole(subject) => at(subject, 0, half),
            Scope::FirstTwo(tokens) => at(tokens, half, quarter),
            Scope::First(token) => at(token, half + quarter, quarter),
            Scope::Root => 0,
        }
    }
}

fn scope(pattern: &[u8]) -> Scope<'_> {
    let mut end = 0;
    for (position, token) in keelback_subject::tokens(pattern).enumerate() {
        if matches!(token, b"*" | b">") {
            return match position {
                0 => Scope::Root,
                1 => Scope::First(&pattern[..end - 1]),
                _ => match leading(pattern) {
                    (_, Some(first_two)) => Scope::FirstTwo(first_two),
                    _ => Scope::Root,
                },
            };
        }
        end += token.len() + 1;
    }
    Scope::Whole(pattern)
}

/// The first token and the first two, each if more tokens follow.
fn leading(subject: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    let mut separators = (0..subject.len()).filter(|&at| subject[at] == b'.');
    (separators.next().map(|end| &subject[..end]), separators.next().map(|end| &subject[..end]))
}
