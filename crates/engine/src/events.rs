//! What the core tells Python: a bounded queue that wakes it through a descriptor.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::connection::Kind;
use crate::lock;
use crate::log::Level;

/// Log lines that wait for Python at most; more are counted and dropped.
const LOG_LINES_MAX: usize = 10_000;

/// A CONNECT that Python must decide.
#[derive(Clone, Debug)]
pub struct AuthRequest {
    /// The connection's id.
    pub connection: u64,
    /// Its transport.
    pub kind: Kind,
    /// Peer's address.
    pub client_ip: String,
    /// Peer's port.
    pub client_port: u16,
    /// Encrypted.
    pub tls: bool,
    /// What INFO asked to be signed.
    pub nonce: String,
    /// The credentials and what else CONNECT said.
    pub options: Box<keelback_wire::connect::ConnectOptions>,
    /// The peer's certificates, DER, leaf first.
    pub certificates: Arc<[Vec<u8>]>,
    /// The client is in; the question is whether it still may be, and as whom.
    pub reload: bool,
}

/// Something that Python should know.
#[derive(Clone, Debug)]
pub enum Event {
    /// Decide about a client. At most one a connection.
    Auth(AuthRequest),
    /// A connection was cut off because it lagged.
    SlowConsumer {
        /// The connection's id.
        connection: u64,
        /// Peer's address; empty for a pipe.
        client_ip: String,
        /// Peer's port.
        client_port: u16,
        /// Its account.
        account: String,
        /// Its name, as CONNECT gave it.
        name: String,
        /// That of the oldest message which could not wait any more, or, at the write deadline, of
        /// the one that waited first; empty when not known.
        subject: String,
        /// Bytes that waited.
        pending_bytes: usize,
        /// The closed reason.
        reason: &'static str,
    },
    /// The log file reached its size; told once for each file.
    LogFull,
    /// A line of the log, when no file takes it.
    Log {
        /// Its level.
        level: Level,
        /// Without the prefix of time and level.
        text: String,
    },
}

/// The queue.
pub struct Events {
    queue: Mutex<VecDeque<Event>>,
    dropped: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Events {
    /// An empty queue; `wake` is called when it stops being empty.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { queue: Mutex::new(VecDeque::new()), dropped: AtomicU64::new(0), wake }
    }

    /// Adds one.
    pub fn push(&self, event: Event) {
        let mut queue = lock(&self.queue);
        if matches!(event, Event::Log { .. }) && queue.len() >= LOG_LINES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let was_empty = queue.is_empty();
        queue.push_back(event);
        drop(queue);
        if was_empty {
            (self.wake)();
        }
    }

    /// Takes up to `at_most`, oldest first, and whether more are left.
    pub fn take(&self, at_most: usize) -> (Vec<Event>, bool) {
        let mut queue = lock(&self.queue);
        let count = queue.len().min(at_most);
        let events = queue.drain(..count).collect();
        (events, !queue.is_empty())
    }

    /// Log lines lost because nobody took them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
