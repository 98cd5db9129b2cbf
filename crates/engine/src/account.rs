//! An account: a subject space of its own, with its subscriptions.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keelback_interest::{Generations, Sublist};
use keelback_planted::{self as planted, Bug};

use crate::connection::Counters;
use crate::subscription::SubRef;

/// A subject space. Nothing crosses from one account to another.
pub struct Account {
    /// Number within this server, for cache keys.
    pub id: u32,
    /// Name as configured; `$G` is the default one.
    pub name: String,
    /// Whether this is the system account; one is.
    pub is_system: AtomicBool,
    /// Who wants what. Written by SUB and UNSUB, read at a cache miss. A leaf: nothing else is
    /// locked under it.
    sublist: RwLock<Sublist<SubRef>>,
    /// By which cached match results know whether they are current.
    pub generations: Generations,
    /// What its connections did that are gone.
    pub gone: Counters,
    /// Its connections that were cut off because they lagged.
    pub slow_consumers: AtomicU64,
    lookups: Box<[Lookups]>,
}

/// How often one thread looked for who wants a subject. Only that thread writes it.
#[derive(Default)]
#[repr(align(64))]
struct Lookups {
    all: AtomicU64,
    /// Those that its cache answered.
    hits: AtomicU64,
}

impl Account {
    /// An account without subscriptions.
    pub fn new(id: u32, name: &str, is_system: bool, threads: usize, seed: u64) -> Self {
        Self {
            id,
            name: name.to_owned(),
            is_system: AtomicBool::new(is_system),
            sublist: RwLock::new(Sublist::new(seed)),
            generations: Generations::new(seed),
            gone: Counters::default(),
            slow_consumers: AtomicU64::new(0),
            lookups: (0..threads).map(|_| Lookups::default()).collect(),
        }
    }

    /// Whether this is the system account.
    pub fn is_system(&self) -> bool {
        self.is_system.load(Ordering::Relaxed)
    }

    /// Adds a subscription; false when its subject is invalid.
    pub fn insert(&self, sub: &SubRef) -> bool {
        let mut sublist = self.write();
        let inserted = sublist.insert(sub.clone()).is_ok();
        let missed =
            planted::is(Bug::BumpMissedBySubscribe) && !keelback_subject::is_literal(sub.subject());
        if inserted && !missed {
            self.generations.bump(sub.subject());
        }
        inserted
    }

    /// Takes a subscription away; false when it was not there any more.
    pub fn remove(&self, sub: &SubRef) -> bool {
        let mut sublist = self.write();
        let removed = sublist.remove(sub);
        if removed && !planted::is(Bug::BumpMissedByUnsubscribe) {
            self.generations.bump(sub.subject());
        }
        removed
    }

    /// Takes many away under one lock, as a connection does that goes.
    pub fn remove_all<'a>(&self, subs: impl Iterator<Item = &'a SubRef>) -> usize {
        let mut removed = 0;
        let mut sublist = self.write();
        for sub in subs {
            if sublist.remove(sub) {
                self.generations.bump(sub.subject());
                removed += 1;
            }
        }
        removed
    }

    /// Counts what `thread` looked for lately.
    pub(crate) fn count_lookups(&self, thread: usize, all: u64, hits: u64) {
        let own = &self.lookups[thread];
        for (counter, added) in [(&own.all, all), (&own.hits, hits)] {
            counter.store(counter.load(Ordering::Relaxed) + added, Ordering::Relaxed);
        }
    }

    /// How often it was looked for who wants a subject, and how often a cache knew.
    pub fn lookups(&self) -> (u64, u64) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let each = self.lookups.iter().map(|own| (load(&own.all), load(&own.hits)));
        each.fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1))
    }

    /// Reads the sublist.
    pub fn sublist(&self) -> std::sync::RwLockReadGuard<'_, Sublist<SubRef>> {
        self.sublist.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Sublist<SubRef>> {
        self.sublist.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
