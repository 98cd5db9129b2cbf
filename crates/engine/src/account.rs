//! An account: a subject space of its own, with its subscriptions.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use keelback_interest::{Generations, Sublist};
use keelback_planted::{self as planted, Bug};

use crate::lock;
use crate::subscription::SubRef;

/// How often one account's clients may fill the log with their limit of subscriptions.
const LIMIT_TOLD_INTERVAL: Duration = Duration::from_secs(2);

/// What the clients of one account may have; negative is without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    /// Most clients at once.
    pub connections_max: i64,
    /// Most subscriptions of one client.
    pub subscriptions_max: i64,
    /// Largest payload, headers included (bytes).
    pub payload_bytes_max: i64,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self { connections_max: -1, subscriptions_max: -1, payload_bytes_max: -1 }
    }
}

/// A subject space. Nothing crosses from one account to another.
pub struct Account {
    /// Number within this server, for cache keys.
    pub id: u32,
    /// Name as configured; `$G` is the default one.
    pub name: String,
    /// Whether this is the system account; one is.
    pub is_system: AtomicBool,
    /// Read when a client logs in, and when settings changed.
    limits: Mutex<AccountLimits>,
    /// Clients that were let in and did not leave.
    clients: AtomicI64,
    /// When the log was last told that a client has all the subscriptions it may have.
    limit_told: Mutex<Option<Instant>>,
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
            limits: Mutex::default(),
            clients: AtomicI64::new(0),
            limit_told: Mutex::default(),
            sublist: RwLock::new(Sublist::new(seed)),
            generations: Generations::new(seed),
        }
    }

    /// Whether this is the system account.
    pub fn is_system(&self) -> bool {
        self.is_system.load(Ordering::Relaxed)
    }

    /// What its clients may have.
    pub fn limits(&self) -> AccountLimits {
        *lock(&self.limits)
    }

    /// Changes what its clients may have.
    pub fn set_limits(&self, limits: AccountLimits) {
        *lock(&self.limits) = limits;
    }

    /// Counts a client in; false when there are as many as may be.
    pub fn enter(&self) -> bool {
        let most = self.limits().connections_max;
        let entered = self.clients.fetch_update(Ordering::AcqRel, Ordering::Acquire, |clients| {
            (most < 0 || clients < most).then_some(clients + 1)
        });
        entered.is_ok()
    }

    /// Counts a client out.
    pub fn leave(&self) {
        self.clients.fetch_sub(1, Ordering::AcqRel);
    }

    /// Clients that were let in and did not leave.
    pub fn clients(&self) -> i64 {
        self.clients.load(Ordering::Acquire)
    }

    /// Whether the log is due to hear of a client with all the subscriptions it may have.
    pub fn may_tell_limit(&self, now: Instant) -> bool {
        let mut told = lock(&self.limit_told);
        let is_due = told.is_none_or(|at| now.duration_since(at) >= LIMIT_TOLD_INTERVAL);
        if is_due {
            *told = Some(now);
        }
        is_due
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
