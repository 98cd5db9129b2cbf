//! What the core tells Python: a bounded queue that wakes it through a descriptor.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::connection::Kind;
use crate::lock;
use crate::log::Level;

/// Log lines that wait for Python at most; more are counted and dropped.
const LOG_LINES_MAX: usize = 10_000;

/// Requests that wait for Python at most (count, bytes); more are dropped, as in nats-server.
const REQUESTS_MAX: usize = 10_000;
const REQUEST_BYTES_MAX: usize = 64 << 20;

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
    /// A batch of messages was given up before it was complete.
    BatchAbandoned {
        /// Whose the stream is.
        account: String,
        /// Its name.
        stream: String,
        /// The batch's id.
        batch: Vec<u8>,
        /// As the advisory says it.
        reason: &'static str,
    },
    /// A disk takes nothing any more, or does again.
    DiskTurned {
        /// The stream whose disk it is: its account, and its name; both empty for the log of all.
        account: String,
        /// See `account`.
        stream: String,
        /// Why it takes nothing; empty when it does again.
        why: String,
    },
    /// The log file reached its size; told once for each file.
    LogFull,
    /// Answer a request.
    Request(Request),
    /// A line of the log, when no file takes it.
    Log {
        /// Its level.
        level: Level,
        /// Without the prefix of time and level.
        text: String,
    },
}

/// A message to a subject that Python serves.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where it was published.
    pub account: String,
    /// Under which subject.
    pub subject: Vec<u8>,
    /// Where the answer goes; empty for nowhere.
    pub reply: Vec<u8>,
    /// The header block; empty without one.
    pub headers: Vec<u8>,
    /// The message without its headers.
    pub payload: Vec<u8>,
    /// By which connection; 0 by the server.
    pub connection: u64,
}

impl Request {
    fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.subject.len()
            + self.reply.len()
            + self.headers.len()
            + self.payload.len()
    }
}

/// The queue.
pub struct Events {
    queue: Mutex<Queue>,
    dropped: AtomicU64,
    dropped_requests: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    requests: usize,
    request_bytes: usize,
}

impl Events {
    /// An empty queue; `wake` is called when it stops being empty.
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            queue: Mutex::default(),
            dropped: AtomicU64::new(0),
            dropped_requests: AtomicU64::new(0),
            wake,
        }
    }

    /// Adds one.
    pub fn push(&self, event: Event) {
        let mut queue = lock(&self.queue);
        let may_be_lost = matches!(
            event,
            Event::Log { .. } | Event::BatchAbandoned { .. } | Event::DiskTurned { .. }
        );
        if may_be_lost && queue.events.len() >= LOG_LINES_MAX {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Event::Request(request) = &event {
            let bytes = request.bytes();
            let is_full =
                queue.requests >= REQUESTS_MAX || queue.request_bytes + bytes > REQUEST_BYTES_MAX;
            if is_full && queue.requests > 0 {
                self.dropped_requests.fetch_add(1, Ordering::Relaxed);
                return;
            }
            queue.requests += 1;
            queue.request_bytes += bytes;
        }
        let was_empty = queue.events.is_empty();
        queue.events.push_back(event);
        drop(queue);
        if was_empty {
            (self.wake)();
        }
    }

    /// Takes up to `at_most`, oldest first, and whether more are left.
    pub fn take(&self, at_most: usize) -> (Vec<Event>, bool) {
        let mut queue = lock(&self.queue);
        let count = queue.events.len().min(at_most);
        let events: Vec<_> = queue.events.drain(..count).collect();
        for event in &events {
            if let Event::Request(request) = event {
                queue.requests -= 1;
                queue.request_bytes -= request.bytes();
            }
        }
        (events, !queue.events.is_empty())
    }

    /// Requests lost because Python was too slow.
    pub fn dropped_requests(&self) -> u64 {
        self.dropped_requests.load(Ordering::Relaxed)
    }

    /// Log lines lost because nobody took them.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
