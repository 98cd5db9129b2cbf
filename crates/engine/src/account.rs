//! An account: a subject space of its own, with its subscriptions.

use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};

use keelback_interest::{Generations, Sublist};
use keelback_planted::{self as planted, Bug};

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
}

impl Account {
    /// An account without subscriptions.
    pub fn new(id: u32, name: &str, is_system: bool, seed: u64) -> Self {
        Self {
            id,
            name: name.to_owned(),
            is_system: AtomicBool::new(is_system),
            sublist: RwLock::new(Sublist::new(seed)),
            generations: Generations::new(seed),
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

    /// Reads the sublist.
    pub fn sublist(&self) -> std::sync::RwLockReadGuard<'_, Sublist<SubRef>> {
        self.sublist.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Sublist<SubRef>> {
        self.sublist.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
