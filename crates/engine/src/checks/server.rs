//! A hub with one worker a thread, and peers whose sockets are buffers. Time stands until it is
//! moved.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use keelback_interest::{PermissionRules, Permissions};
use keelback_wire::errors::ClosedReason;
use keelback_wire::info::ServerInfo;

use crate::clock::Clock;
use crate::closed::LastSubscriptions;
use crate::connection::Kind;
use crate::events::{Event, Events};
use crate::gate::Gate;
use crate::hub::GLOBAL_ACCOUNT;
use crate::ingest::{Ingested, Next, Outcome};
use crate::outbound::{Outbound, Transport};
use crate::settings::{Info, Limits, Settings};
use crate::{Account, Client, Connection, Hub, Worker, lock};

/// What a peer's socket is: it takes `room` bytes, `at_once` in one call at most.
pub struct Sink {
    bytes: Vec<u8>,
    /// Bytes that it still takes.
    pub room: usize,
    /// Bytes that it takes in one call.
    pub at_once: usize,
    /// Whether the server wants to hear of room.
    pub wants_room: bool,
    /// Writes fail from now on.
    pub is_broken: bool,
    /// Each write: its place among those to all sinks, and its bytes.
    writes: Vec<(u64, Vec<u8>)>,
}

struct SinkTransport(Arc<Mutex<Sink>>);

/// Writes to all sinks.
static WRITES: AtomicU64 = AtomicU64::new(0);

impl Transport for SinkTransport {
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut sink = lock(&self.0);
        if sink.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let most = sink.room.min(sink.at_once);
        if most == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut taken = 0;
        for piece in pieces {
            let count = piece.len().min(most - taken);
            sink.bytes.extend_from_slice(&piece[..count]);
            taken += count;
        }
        let place = WRITES.fetch_add(1, Ordering::Relaxed);
        let written = sink.bytes[sink.bytes.len() - taken..].to_vec();
        sink.writes.push((place, written));
        sink.room -= taken;
        Ok(taken)
    }

    fn want_room(&mut self, wanted: bool) {
        lock(&self.0).wants_room = wanted;
    }

    fn want_input(&mut self, _: bool) {}

    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn finish(&mut self) {}
}

/// A client as the server has it, and its end of the line.
pub struct Peer {
    /// The server's side.
    pub client: Client,
    /// The peer's side.
    pub sink: Arc<Mutex<Sink>>,
    /// The thread that reads from it.
    pub thread: usize,
    /// Sent, but not whole yet.
    tail: Vec<u8>,
    wanted_bytes: usize,
}

impl Peer {
    /// What the server sent since the last look.
    pub fn read(&self) -> String {
        String::from_utf8(self.read_bytes()).unwrap()
    }

    /// As [`Self::read`], whatever it is.
    pub fn read_bytes(&self) -> Vec<u8> {
        std::mem::take(&mut lock(&self.sink).bytes)
    }

    /// Forgets what was written so far.
    pub fn forget(&self) {
        let mut sink = lock(&self.sink);
        sink.bytes.clear();
        sink.writes.clear();
    }

    /// The place among all writes of the one that brought `text`.
    ///
    /// # Panics
    /// None did.
    pub fn place_of(&self, text: &str) -> u64 {
        let sink = lock(&self.sink);
        let found = sink
            .writes
            .iter()
            .find(|(_, bytes)| bytes.windows(text.len()).any(|part| part == text.as_bytes()));
        found.unwrap_or_else(|| panic!("{text:?} was not written")).0
    }

    /// Bytes that wait in the server.
    pub fn pending_bytes(&self) -> usize {
        lock(&self.client.connection.outbound).pending_bytes()
    }
}

impl Drop for Peer {
    /// It leaves its account, as a connection does when it is closed: the two hold each other.
    fn drop(&mut self) {
        let subscriptions = self.client.subscriptions();
        self.client.account.remove_all(subscriptions.filter(|it| it.end()));
    }
}

/// The server.
pub struct Server {
    /// What its threads share.
    pub hub: Arc<Hub>,
    /// Its threads' shares.
    pub workers: Vec<Worker>,
    /// The time.
    pub now: Instant,
    start: Instant,
}

impl Default for Server {
    fn default() -> Self {
        Self::new(1, |_| {})
    }
}

impl Server {
    /// A server that lets everybody in, but for what `change` makes of its settings.
    pub fn new(threads: usize, change: impl FnOnce(&mut Settings)) -> Self {
        let server = ServerInfo { headers: true, proto: 1, ..ServerInfo::default() };
        let mut settings = Settings {
            limits: Arc::new(Limits::default()),
            info: Arc::new(Info::new(&server, false)),
            gate: Arc::new(Gate { default_account: GLOBAL_ACCOUNT.into(), ..Gate::default() }),
            version: 1,
        };
        change(&mut settings);
        let events = Arc::new(Events::new(Box::new(|| {})));
        let random = Box::new(|buffer: &mut [u8]| buffer.fill(7));
        let hub = Arc::new(Hub::new(threads, settings, events, random));
        let now = Instant::now();
        let clock = Clock::new(now, UNIX_EPOCH + Duration::from_secs(1));
        let worker = |thread| Worker::new(thread, hub.clone(), clock, now);
        let workers = (0..threads).map(worker).collect();
        Self { hub, workers, now, start: now }
    }

    /// A server with other limits.
    pub fn with_limits(change: impl FnOnce(&mut Limits)) -> Self {
        Self::new(1, |settings| change(Arc::make_mut(&mut settings.limits)))
    }

    /// A connection that has said nothing yet.
    pub fn accept(&mut self, thread: usize) -> Peer {
        let sink = Arc::new(Mutex::new(Sink {
            bytes: Vec::new(),
            room: usize::MAX,
            at_once: usize::MAX,
            wants_room: false,
            is_broken: false,
            writes: Vec::new(),
        }));
        let outbound = Outbound::new(Box::new(SinkTransport(sink.clone())));
        let id = self.hub.next_id();
        let threads = self.workers.len();
        let (peer, now_ns) = ("127.0.0.1:1".into(), self.now_ns());
        let connection = Arc::new(Connection::new(id, Kind::Tcp, peer, threads, outbound, now_ns));
        let settings = self.hub.settings();
        assert!(self.hub.register(&connection, settings.limits.connections_max));
        let account = self.account(GLOBAL_ACCOUNT);
        let peer = ("127.0.0.1".into(), 1);
        let client = Client::new(connection, account, peer, settings.gate.must_connect(), self.now);
        Peer { client, sink, thread, tail: Vec::new(), wanted_bytes: 0 }
    }

    /// A client that said CONNECT with these fields beside `verbose` and `pedantic`.
    pub fn connect(&mut self, fields: &str) -> Peer {
        self.connect_on(0, fields)
    }

    /// As [`Self::connect`], on another thread.
    pub fn connect_on(&mut self, thread: usize, fields: &str) -> Peer {
        let mut peer = self.accept(thread);
        let comma = if fields.is_empty() { "" } else { "," };
        let line = format!("CONNECT {{\"verbose\":false,\"pedantic\":false{comma}{fields}}}\r\n");
        assert_eq!(self.send(&mut peer, &line), Outcome::Continue);
        assert_eq!(peer.read(), "");
        peer
    }

    /// A client in `account` with these permissions.
    pub fn admit(&mut self, account: &str, rules: PermissionRules) -> Peer {
        let mut peer = self.connect("");
        let permissions = Some(Arc::new(Permissions::compile(rules).unwrap()));
        let admission =
            crate::gate::Admission { account: account.into(), label: String::new(), permissions };
        self.workers[0].admit(&mut peer.client, &admission).unwrap();
        peer
    }

    /// One turn with one peer's bytes.
    pub fn send(&mut self, peer: &mut Peer, bytes: impl AsRef<[u8]>) -> Outcome {
        peer.tail.extend_from_slice(bytes.as_ref());
        if peer.tail.len() < peer.wanted_bytes {
            return Outcome::Continue;
        }
        let worker = &mut self.workers[peer.thread];
        worker.begin_turn(self.now);
        let Ingested { used_bytes, wanted_bytes, outcome } =
            worker.ingest(&mut peer.client, &peer.tail);
        worker.flush(&[]);
        peer.tail.drain(..used_bytes);
        peer.wanted_bytes = wanted_bytes;
        assert!(wanted_bytes == 0 || wanted_bytes > peer.tail.len(), "waits for what is there");
        outcome
    }

    /// The peer takes what waits for it, as far as its sink has room.
    pub fn drain(&mut self, peer: &Peer) -> crate::outbound::Flow {
        let deadline = self.hub.settings().limits.write_deadline;
        lock(&peer.client.connection.outbound).drain(self.now, deadline)
    }

    /// The peer takes all that waits for it.
    pub fn drain_all(&mut self, peer: &Peer) {
        while peer.pending_bytes() > 0 {
            let before = peer.pending_bytes();
            self.drain(peer);
            assert!(peer.pending_bytes() < before, "what was taken is counted down");
        }
    }

    /// Decides again about a connection, by the settings that hold now.
    ///
    /// # Errors
    /// It closes.
    pub fn reauthorize(&mut self, peer: &mut Peer) -> Result<Next, ClosedReason> {
        let worker = &mut self.workers[peer.thread];
        worker.begin_turn(self.now);
        let next = worker.reauthorize(&mut peer.client);
        worker.flush(&[]);
        next
    }

    /// The end of a connection, as far as it concerns the engine.
    pub fn close(&mut self, peer: &mut Peer) {
        let subscriptions = LastSubscriptions::of(&peer.client);
        self.workers[peer.thread].leave_account(&mut peer.client);
        let connection = &peer.client.connection;
        self.hub.forget(connection);
        let reason = connection.closing_reason().unwrap_or(ClosedReason::ClientClosed);
        self.hub.note_closed(connection, reason, subscriptions, self.now_ns());
    }

    /// Lets time go by.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// The time on the wall, which was one second when the server began.
    pub fn now_ns(&self) -> u64 {
        1_000_000_000 + (self.now - self.start).as_nanos() as u64
    }

    /// The account of this name, made if there is none.
    pub fn account(&self, name: &str) -> Arc<Account> {
        self.hub.add_account(name)
    }

    /// The lines of the log since the last look.
    pub fn log_lines(&self) -> Vec<String> {
        let text = |event| if let Event::Log { text, .. } = event { Some(text) } else { None };
        self.events().into_iter().filter_map(text).collect()
    }

    /// What Python would be told.
    pub fn events(&self) -> Vec<Event> {
        self.hub.events.take(usize::MAX).0
    }
}
