//! Every order in which two threads can meet in the protocol of `Generations`, with the
//! reorderings that the memory model allows: `RUSTFLAGS="--cfg loom" cargo test --test loom`.
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use keelback_interest::Generations;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, RwLock};

const SUBJECT: &[u8] = b"a.b.c";

struct Shared {
    generations: Generations,
    /// What a match finds: the number of changes that were made.
    changes: RwLock<u32>,
    acknowledged: AtomicBool,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            generations: Generations::with_buckets(1, 4),
            changes: RwLock::new(0),
            acknowledged: AtomicBool::new(false),
        })
    }

    fn change(&self, pattern: &[u8]) {
        let mut changes = self.changes.write().unwrap();
        *changes += 1;
        self.generations.bump(pattern);
    }
}

/// A result as a publisher keeps it: read and remembered as the documentation says.
struct Cached {
    any: u64,
    stamp: keelback_interest::Stamp,
    found: u32,
}

impl Cached {
    fn fill(shared: &Shared) -> Self {
        let any = shared.generations.any();
        let stamp = shared.generations.stamp(SUBJECT);
        Self { any, stamp, found: *shared.changes.read().unwrap() }
    }

    /// The result that a publisher uses now.
    fn look(&mut self, shared: &Shared) -> u32 {
        let any = shared.generations.any();
        if self.any != any {
            if shared.generations.is_current(&self.stamp) {
                self.any = any;
            } else {
                *self = Self::fill(shared);
            }
        }
        self.found
    }
}

fn no_stale_result_after_an_acknowledgement(pattern: &'static [u8]) {
    loom::model(move || {
        let shared = Shared::new();
        let writer = {
            let shared = shared.clone();
            loom::thread::spawn(move || {
                // One change that does not concern the subject moves `any` alone.
                shared.generations.bump(b"other");
                shared.change(pattern);
                shared.acknowledged.store(true, Ordering::Release);
            })
        };
        let mut cached = Cached::fill(&shared);
        for _ in 0..2 {
            let must_see = shared.acknowledged.load(Ordering::Acquire);
            let found = cached.look(&shared);
            assert!(found == 1 || !must_see, "a stale result after the acknowledgement");
        }
        writer.join().unwrap();
        assert_eq!(cached.look(&shared), 1);
    });
}

#[test]
fn a_literal_is_seen() {
    no_stale_result_after_an_acknowledgement(b"a.b.c");
}

#[test]
fn a_wildcard_behind_two_tokens_is_seen() {
    no_stale_result_after_an_acknowledgement(b"a.b.*");
}

#[test]
fn a_wildcard_at_once_is_seen() {
    no_stale_result_after_an_acknowledgement(b">");
}
