//! The threads of one server, and what is asked of them.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;

use keelback_engine::connection::Connection;
use keelback_engine::events::Events;
use keelback_engine::gate::Admission;
use keelback_engine::receiver::Message;
use keelback_engine::settings::Settings;
use keelback_engine::streams::{Act, OpenError, Streams};
use keelback_engine::{Account, Hub, lock};
use keelback_store::disk::Disk;
use keelback_store::store::Options as StoreOptions;
use keelback_wire::errors::ClosedReason;
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::command::{Command, Mailbox};
use crate::listener::{ListenerOptions, Listening, TlsMode};
use crate::pipe::PipeShared;
use crate::system::System;
use crate::tender::Tender;
use crate::thread::{SharedTls, Thread};
use crate::throttle::Throttle;
use crate::tls::TlsConfig;

/// More threads than this were not seen to help.
const DEFAULT_THREADS_MAX: usize = 4;
/// Staging slots in a connection are one a thread.
const THREADS_MAX: usize = 64;

/// A running server below its protocol decisions.
pub struct Reactor {
    hub: Arc<Hub>,
    mailboxes: Arc<[Arc<Mailbox>]>,
    tls: SharedTls,
    throttle: Arc<Throttle>,
    /// The threads hold them, and close them by letting go.
    listeners: Mutex<Vec<Weak<Listening>>>,
    handles: Mutex<Vec<JoinHandle<()>>>,
    system: Arc<System>,
    /// Ends before its streams do.
    tender: Mutex<Option<Tender>>,
}

impl Reactor {
    /// Starts the threads; 0 takes as many as there are cores, four at most.
    ///
    /// # Errors
    /// Descriptors or threads could not be had.
    pub fn start(threads: usize, settings: Settings, events: Arc<Events>) -> io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = match threads {
            0 => cores.min(DEFAULT_THREADS_MAX),
            threads => threads.min(THREADS_MAX),
        };
        let hub = Arc::new(Hub::new(threads + 1, settings, events, Box::new(fill_random)));
        let mailboxes: Arc<[Arc<Mailbox>]> =
            (0..threads).map(|_| Mailbox::new().map(Arc::new)).collect::<io::Result<_>>()?;
        let tls = SharedTls::default();
        let throttle = Arc::new(Throttle::default());
        let system = Arc::new(System::new(hub.clone(), mailboxes.clone()));
        let (listeners, handles) = (Mutex::default(), Mutex::default());
        let reactor = Self {
            hub,
            mailboxes,
            tls,
            throttle,
            listeners,
            handles,
            system,
            tender: Mutex::default(),
        };
        for number in 0..threads {
            let thread = Thread::new(
                number,
                reactor.hub.clone(),
                reactor.mailboxes.clone(),
                reactor.tls.clone(),
                reactor.throttle.clone(),
            )?;
            let handle = std::thread::Builder::new()
                .name(format!("kb-reactor-{number}"))
                .spawn(move || thread.run())?;
            lock(&reactor.handles).push(handle);
        }
        Ok(reactor)
    }

    /// What the threads share.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Sets the certificates; running connections keep theirs.
    pub fn set_tls(&self, config: Arc<TlsConfig>) {
        *self.tls.write().unwrap_or_else(PoisonError::into_inner) = Some(config);
    }

    /// Closes connections whose peer's key is none of those that are pinned now; says how many.
    pub fn drop_unpinned(&self) -> usize {
        let config = self.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(config) = config else { return 0 };
        let is_unpinned = |connection: &Arc<Connection>| {
            let mut outbound = lock(&connection.outbound);
            let session = outbound.transport().and_then(|transport| transport.session());
            drop(outbound);
            // One that shakes hands is looked at when it has.
            session.is_some_and(|session| {
                !session.is_handshaking && !config.allows(&session.certificates)
            })
        };
        let mut unpinned = self.hub.connections();
        unpinned.retain(is_unpinned);
        for connection in &unpinned {
            self.close(connection.id, ClosedReason::TlsHandshakeFailure);
        }
        unpinned.len()
    }

    /// Binds and accepts; the address is the one bound.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn listen(&self, options: &ListenerOptions) -> io::Result<SocketAddr> {
        let (listening, address) = Listening::bind(options)?;
        self.throttle.set_limit(options.connection_rate_limit);
        let listening = Arc::new(listening);
        lock(&self.listeners).push(Arc::downgrade(&listening));
        for mailbox in &*self.mailboxes {
            mailbox.send(Command::Listen(listening.clone()));
        }
        Ok(address)
    }

    /// Sets what TLS means to connections that are accepted on `port` from now on; false when
    /// nothing listens there. The certificates must be set before.
    pub fn set_tls_mode(&self, port: u16, mode: TlsMode) -> bool {
        let listeners: Vec<_> = lock(&self.listeners).iter().filter_map(Weak::upgrade).collect();
        let found = listeners.iter().find(|listening| listening.port == port);
        found.map(|listening| listening.set_tls(mode)).is_some()
    }

    /// Stops to accept.
    pub fn stop_listening(&self) {
        lock(&self.listeners).clear();
        self.send_all(|| Command::StopListening);
    }

    /// Opens an in-process connection.
    ///
    /// # Errors
    /// No descriptor could be had.
    pub fn open_pipe(&self) -> io::Result<Arc<PipeShared>> {
        let pipe = PipeShared::new()?;
        let mailbox = self.mailboxes.iter().min_by_key(|mailbox| mailbox.load());
        if let Some(mailbox) = mailbox {
            mailbox.send(Command::AdoptPipe(pipe.clone()));
        }
        Ok(pipe)
    }

    /// Publishes a message of the server's own in an account.
    pub fn publish(&self, account: &Arc<Account>, subject: &[u8], message: &Message<'_>) {
        self.system.act(&mut |worker| worker.publish_own(account, subject, message));
    }

    /// Opens the store of the server's streams; one at a time. They end by `close_streams`.
    ///
    /// # Errors
    /// The store cannot be used as it is, or the system gives no thread.
    pub fn open_streams<D: Disk + Clone>(
        &self,
        disk: D,
        options: &StoreOptions,
    ) -> Result<Arc<Streams<D>>, OpenError> {
        let system = self.system.clone();
        let act: Act = Arc::new(move |act| system.act(act));
        let streams = Streams::open(self.hub.clone(), act, disk, options)?;
        *lock(&self.tender) = Some(Tender::start(streams.clone()).map_err(OpenError::Thread)?);
        Ok(streams)
    }

    /// Ends the streams; the store is free when this returns.
    pub fn close_streams<D: Disk + Clone>(&self, streams: &Streams<D>) {
        *lock(&self.tender) = None;
        streams.close();
    }

    /// Lets a client in that Python was asked about.
    pub fn admit(&self, connection: u64, admission: Admission) {
        self.send_to_owner(connection, Command::Admit(connection, admission));
    }

    /// Turns away a client that Python was asked about.
    pub fn refuse(&self, connection: u64, reason: ClosedReason) {
        self.send_to_owner(connection, Command::Refuse(connection, reason));
    }

    /// Closes a connection.
    pub fn close(&self, connection: u64, reason: ClosedReason) {
        self.send_to_owner(connection, Command::Close(connection, reason));
    }

    /// Closes a connection after `-ERR` with this text.
    pub fn dismiss(&self, connection: u64, reason: ClosedReason, error: String) {
        self.send_to_owner(connection, Command::Dismiss(connection, reason, error));
    }

    /// Decides again about each connection, by the gate and the accounts that are in force now.
    pub fn reauthorize(&self) {
        self.send_all(|| Command::Reauthorize);
    }

    /// Sends INFO to the clients that take it at any time.
    pub fn announce(&self) {
        self.send_all(|| Command::Announce);
    }

    /// Closes all connections and ends the threads; waits for them.
    pub fn shutdown(&self) {
        let handles = std::mem::take(&mut *lock(&self.handles));
        if handles.is_empty() {
            return;
        }
        self.send_all(|| Command::Shutdown);
        for handle in handles {
            // A thread that panicked has ended too.
            let _ = handle.join();
        }
        *lock(&self.tender) = None;
    }

    fn send_all(&self, command: impl Fn() -> Command) {
        for mailbox in &*self.mailboxes {
            mailbox.send(command());
        }
    }

    /// How many there are. The hub counts one more worker, which is no thread's.
    pub(crate) fn threads(&self) -> usize {
        self.mailboxes.len()
    }

    pub(crate) fn send_to(&self, thread: usize, command: Command) {
        self.mailboxes[thread].send(command);
    }

    fn send_to_owner(&self, connection: u64, command: Command) {
        if let Some(connection) = self.hub.connection(connection) {
            let owner = connection.owner.load(std::sync::atomic::Ordering::Acquire);
            self.mailboxes[owner].send(command);
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// From the operating system: the TLS library's generator takes 35 ms to seed itself, which would be most
/// of the time to start a server that has no TLS.
fn fill_random(buffer: &mut [u8]) {
    let mut filled = 0;
    while filled < buffer.len() {
        match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
            Ok(bytes) => filled += bytes,
            Err(Errno::INTR) => {}
            Err(error) => panic!("the system gives no randomness: {error}"),
        }
    }
}
