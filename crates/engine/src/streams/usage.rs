//! What streams hold, and how much they may: of the server, and of each account.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use keelback_store::stream::Storage;

/// Bytes that may be held; a negative number is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageLimits {
    /// In memory.
    pub memory: i64,
    /// In files.
    pub file: i64,
}

impl Default for UsageLimits {
    fn default() -> Self {
        Self { memory: -1, file: -1 }
    }
}

/// Bytes that streams hold together, and may hold.
#[derive(Debug, Default)]
pub(super) struct Usage {
    memory: Held,
    file: Held,
}

#[derive(Debug)]
struct Held {
    now: AtomicI64,
    most: AtomicI64,
}

impl Default for Held {
    fn default() -> Self {
        Self { now: AtomicI64::new(0), most: AtomicI64::new(-1) }
    }
}

impl Usage {
    fn held(&self, storage: Storage) -> &Held {
        match storage {
            Storage::Memory => &self.memory,
            Storage::File => &self.file,
        }
    }

    pub(super) fn set_limits(&self, limits: UsageLimits) {
        self.memory.most.store(limits.memory, Ordering::Relaxed);
        self.file.most.store(limits.file, Ordering::Relaxed);
    }

    /// Bytes in memory and in files.
    pub(super) fn now(&self) -> (u64, u64) {
        let bytes = |held: &Held| held.now.load(Ordering::Relaxed).max(0).cast_unsigned();
        (bytes(&self.memory), bytes(&self.file))
    }

    /// Whether there would be more than there may be, with so many bytes more.
    fn exceeds(&self, storage: Storage, bytes: u64) -> bool {
        let held = self.held(storage);
        let most = held.most.load(Ordering::Relaxed);
        most >= 0 && held.now.load(Ordering::Relaxed).saturating_add(bytes.cast_signed()) > most
    }
}

/// What one stream holds, as it is counted for its account and the server.
#[derive(Debug)]
pub(super) struct Counted {
    storage: Storage,
    account: Arc<Usage>,
    server: Arc<Usage>,
    bytes: AtomicI64,
}

/// A limit that leaves no room for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceeded {
    Server,
    Account,
}

impl Counted {
    pub(super) fn new(storage: Storage, account: Arc<Usage>, server: Arc<Usage>) -> Self {
        Self { storage, account, server, bytes: AtomicI64::new(0) }
    }

    /// It holds so many bytes now. Called under the stream's lock.
    pub(super) fn set(&self, bytes: u64) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let before = self.bytes.load(Ordering::Relaxed);
        if before == bytes {
            return;
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        for usage in [&self.account, &self.server] {
            usage.held(self.storage).now.fetch_add(bytes - before, Ordering::Relaxed);
        }
    }

    /// The limit that a message of so many bytes would exceed. As in nats-server, the server's is
    /// exceeded by what is there, and the account's by what would be.
    pub(super) fn exceeded(&self, bytes: u64) -> Option<Exceeded> {
        if self.server.exceeds(self.storage, 0) {
            return Some(Exceeded::Server);
        }
        self.account.exceeds(self.storage, bytes).then_some(Exceeded::Account)
    }
}
