//! What all threads of one server share: settings, accounts, connections, counters.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use foldhash::HashMap;
use keelback_wire::errors::ClosedReason;

use crate::account::{Account, AccountLimits};
use crate::closed::{ClosedConnection, ClosedRing, LastSubscriptions};
use crate::connection::{Connection, Counters};
use crate::events::{Event, Events};
use crate::lock;
use crate::log::Log;
use crate::settings::Settings;

/// The account of clients without another.
pub const GLOBAL_ACCOUNT: &str = "$G";
/// The system's account, unless configured otherwise.
pub const SYSTEM_ACCOUNT: &str = "$SYS";

/// Entries of a shared list that are read under one hold of its lock.
const HELD_AT_ONCE: usize = 256;

/// Fills a buffer with what nobody can guess.
pub type Random = Box<dyn Fn(&mut [u8]) + Send + Sync>;

/// Counters of the whole server.
#[derive(Default)]
pub struct Totals {
    /// Traffic of connections that are gone.
    pub gone: Counters,
    /// Connections ever accepted.
    pub connections: AtomicU64,
    /// Connections cut off because they lagged.
    pub slow_consumers: AtomicU64,
    /// Connections closed because they answered no PING.
    pub stale_connections: AtomicU64,
    /// Times a publisher waited for a destination.
    pub stalls: AtomicU64,
    /// Panics that ended a connection.
    pub panics: AtomicU64,
}

/// One server, as its threads share it.
pub struct Hub {
    /// Threads that have a worker, the server's own included.
    pub threads: usize,
    /// What Python is told.
    pub events: Arc<Events>,
    /// The log.
    pub log: Log,
    /// Counters.
    pub totals: Totals,
    settings: RwLock<Settings>,
    version: AtomicU64,
    accounts: RwLock<HashMap<String, Arc<Account>>>,
    /// Never used twice: caches know accounts by it.
    next_account: AtomicU32,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    closed: Mutex<BTreeMap<&'static str, u64>>,
    last_closed: Mutex<ClosedRing>,
    next_id: AtomicU64,
    seed: u64,
    random: Random,
}

impl Hub {
    /// A server with its two first accounts. `random` fills a buffer so that nobody can guess it.
    pub fn new(threads: usize, settings: Settings, events: Arc<Events>, random: Random) -> Self {
        let mut seed = [0; 8];
        random(&mut seed);
        let hub = Self {
            threads,
            log: Log::new(events.clone()),
            events,
            totals: Totals::default(),
            version: AtomicU64::new(settings.version),
            settings: RwLock::new(settings),
            accounts: RwLock::default(),
            next_account: AtomicU32::new(0),
            connections: Mutex::default(),
            closed: Mutex::default(),
            last_closed: Mutex::default(),
            next_id: AtomicU64::new(1),
            // Keeps the layout of hash tables from strangers, who choose the subjects.
            seed: u64::from_ne_bytes(seed),
            random,
        };
        hub.add_account(GLOBAL_ACCOUNT);
        hub.add_account(SYSTEM_ACCOUNT);
        hub
    }

    /// Fills a buffer with what nobody can guess.
    pub fn fill_random(&self, buffer: &mut [u8]) {
        (self.random)(buffer);
    }

    /// A copy of the settings; cheap.
    pub fn settings(&self) -> Settings {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By which a thread sees that its copy is old.
    pub fn settings_version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Changes the settings.
    pub fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut settings);
        settings.version += 1;
        self.version.store(settings.version, Ordering::Release);
    }

    /// The account of this name, made if there is none.
    pub fn add_account(&self, name: &str) -> Arc<Account> {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(name) {
            return account.clone();
        }
        let id = self.next_account.fetch_add(1, Ordering::Relaxed);
        let account =
            Arc::new(Account::new(id, name, name == SYSTEM_ACCOUNT, self.threads, self.seed));
        accounts.insert(name.to_owned(), account.clone());
        account
    }

    /// Makes or changes the account of this name.
    pub fn set_account(&self, name: &str, limits: AccountLimits) {
        self.add_account(name).set_limits(limits);
        // Clients keep a copy of their limits for as long as no setting changes.
        self.change_settings(|_| {});
    }

    /// Takes the account of this name away: nobody gets in any more, and whoever is in it is closed
    /// when its authorization is next decided. False for one that must stay.
    pub fn remove_account(&self, name: &str) -> bool {
        let mut accounts = self.accounts.write().unwrap_or_else(PoisonError::into_inner);
        let must_stay = |account: &Arc<Account>| account.is_system();
        if name == GLOBAL_ACCOUNT || accounts.get(name).is_some_and(must_stay) {
            return false;
        }
        accounts.remove(name);
        true
    }

    /// Makes another account than `$SYS` the system account.
    pub fn set_system_account(&self, name: &str) {
        let system = self.add_account(name);
        for account in self.accounts() {
            account.is_system.store(account.id == system.id, Ordering::Relaxed);
        }
    }

    /// The account of this name.
    pub fn account(&self, name: &str) -> Option<Arc<Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All accounts.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The next connection's id.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Enters a connection; false when there are too many (it is not entered then).
    pub fn register(&self, connection: &Arc<Connection>, most: i64) -> bool {
        // Those that are refused count too, as in nats-server.
        self.totals.connections.fetch_add(1, Ordering::Relaxed);
        let mut connections = lock(&self.connections);
        if i64::try_from(connections.len()).unwrap_or(i64::MAX) >= most {
            return false;
        }
        connections.insert(connection.id, connection.clone());
        true
    }

    /// Takes a connection out, keeping its counters.
    pub fn forget(&self, connection: &Connection) {
        if lock(&self.connections).remove(&connection.id).is_none() {
            return;
        }
        self.totals.gone.add(connection.counters.figures());
        let identity = connection.identity();
        let account = match &identity {
            Some(identity) => identity.account.clone(),
            None => self.add_account(GLOBAL_ACCOUNT),
        };
        account.gone.add(connection.account_figures());
    }

    /// Counts a closed connection by its reason, and remembers it for a while.
    pub fn note_closed(
        &self,
        connection: &Connection,
        reason: ClosedReason,
        subscriptions: LastSubscriptions,
        now_ns: u64,
    ) {
        *lock(&self.closed).entry(reason.as_str()).or_default() += 1;
        if reason == ClosedReason::StaleConnection {
            self.totals.stale_connections.fetch_add(1, Ordering::Relaxed);
        }
        let record = ClosedConnection::new(connection, reason, subscriptions, now_ns);
        lock(&self.last_closed).push(record);
    }

    /// How many closed connections are remembered from now on.
    pub fn set_closed_max(&self, max: usize) {
        lock(&self.last_closed).set_max(max);
    }

    /// The closed connections that are remembered, oldest first.
    pub fn closed_connections(&self) -> Vec<Arc<ClosedConnection>> {
        let (mut found, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            next = lock(&self.last_closed).read(from, HELD_AT_ONCE, &mut found);
        }
        found
    }

    /// Closed connections by reason.
    pub fn closed(&self) -> BTreeMap<&'static str, u64> {
        lock(&self.closed).clone()
    }

    /// The connection with this id.
    pub fn connection(&self, id: u64) -> Option<Arc<Connection>> {
        lock(&self.connections).get(&id).cloned()
    }

    /// All connections.
    pub fn connections(&self) -> Vec<Arc<Connection>> {
        // The numbers first, the rest in pieces: threads that look for a connection must not wait
        // until all are counted.
        let ids: Vec<u64> = lock(&self.connections).keys().copied().collect();
        let mut found = Vec::with_capacity(ids.len());
        for piece in ids.chunks(HELD_AT_ONCE) {
            let connections = lock(&self.connections);
            found.extend(piece.iter().filter_map(|id| connections.get(id).cloned()));
        }
        found
    }

    /// How many connections there are.
    pub fn connection_count(&self) -> usize {
        lock(&self.connections).len()
    }

    /// Reports a connection that was cut off because more than its limit waited for it.
    pub fn slow_consumer(&self, connection: &Connection, pending_bytes: usize, subject: &[u8]) {
        // nats-server's words, then ours.
        self.log.write(
            crate::log::Level::Info,
            &format!(
                "{} - Slow Consumer Detected: MaxPending of {} Exceeded ({}, {pending_bytes} bytes \
                 pending)",
                connection.log_prefix(),
                self.settings().limits.pending_bytes_max,
                whom(connection, subject),
            ),
        );
        let reason = ClosedReason::SlowConsumerPendingBytes;
        self.count_slow_consumer(connection, pending_bytes, subject, reason);
    }

    /// Counts and tells of a slow consumer.
    pub fn count_slow_consumer(
        &self,
        connection: &Connection,
        pending_bytes: usize,
        subject: &[u8],
        reason: ClosedReason,
    ) {
        self.totals.slow_consumers.fetch_add(1, Ordering::Relaxed);
        let identity = connection.identity();
        if let Some(identity) = &identity {
            identity.account.slow_consumers.fetch_add(1, Ordering::Relaxed);
        }
        let (client_ip, client_port) =
            crate::page::address(connection.kind, &connection.client_address());
        self.events.push(Event::SlowConsumer {
            connection: connection.id,
            client_ip,
            client_port,
            account: identity.as_ref().map(|it| it.account.name.clone()).unwrap_or_default(),
            name: identity.as_ref().map(|it| it.name().to_owned()).unwrap_or_default(),
            subject: String::from_utf8_lossy(subject).into_owned(),
            pending_bytes,
            reason: reason.as_str(),
        });
    }
}

/// Who was cut off, in a line of the log, and at which subject.
pub fn whom(connection: &Connection, subject: &[u8]) -> String {
    let subject = String::from_utf8_lossy(subject);
    let name = connection.identity().map(|it| it.name().to_owned()).unwrap_or_default();
    format!("cid {}, name {name:?}, subject {subject:?}", connection.id)
}
