//! One reactor thread: poll, turn, commands, timers.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant, SystemTime};

use keelback_engine::clock::Clock;
use keelback_engine::connection::{Connection, Kind};
use keelback_engine::hub::GLOBAL_ACCOUNT;
use keelback_engine::keepalive::Look;
use keelback_engine::log::Level;
use keelback_engine::outbound::{Outbound, Transport};
use keelback_engine::{Client, Hub, Worker, lock};
use keelback_wire::errors::{ClientError, ClosedReason};
use slab::Slab;

use crate::alarm::Alarm;
use crate::command::{Command, Mailbox};
use crate::listener::{Accepted, Listening, TlsMode};
use crate::pipe::{PipeShared, PipeTransport};
use crate::poller::Readiness;
use crate::slot::{Inbound, Slot, Stage};
use crate::socket::Socket;
use crate::stall::Stall;
use crate::throttle::Throttle;
use crate::timers::Timers;
use crate::tls::{TLS_ROOM_BYTES, TlsConfig};

/// Key of the mailbox's waker.
const WAKER_KEY: u64 = u64::MAX;
/// Key of the alarm.
const ALARM_KEY: u64 = u64::MAX - 1;
/// Keys from here on are listeners.
pub(crate) const LISTENER_KEYS: u64 = u64::MAX - 1024;

/// Bytes read of one connection in one turn. With 16 KiB throughput falls to 0.8, from 256 KiB
/// on it stays the same (measured); one buffer serves all connections of the thread.
pub(crate) const READ_BYTES: usize = 256 << 10;

/// Connections accepted in one turn.
const ACCEPTS_MAX: usize = 8;

/// How long accepting pauses when descriptors run out.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The certificates in force; new handshakes use them.
pub(crate) type SharedTls = Arc<RwLock<Option<Arc<TlsConfig>>>>;

pub(crate) struct Thread {
    pub(crate) number: usize,
    pub(crate) worker: Worker,
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) mailboxes: Arc<[Arc<Mailbox>]>,
    pub(crate) tls_config: SharedTls,
    pub(crate) slots: Slab<Slot>,
    pub(crate) timers: Timers,
    alarm: Alarm,
    pub(crate) buffer: Vec<u8>,
    listeners: Vec<Arc<Listening>>,
    accept_again: Option<Instant>,
    pub(crate) throttle: Arc<Throttle>,
    /// When the log is told of handshakes that were refused.
    pub(crate) throttle_report: Option<Instant>,
    generation: u32,
    is_ending: bool,
}

impl Thread {
    pub(crate) fn new(
        number: usize,
        hub: Arc<Hub>,
        mailboxes: Arc<[Arc<Mailbox>]>,
        tls_config: SharedTls,
        throttle: Arc<Throttle>,
    ) -> io::Result<Self> {
        let mailbox = mailboxes[number].clone();
        let input = crate::poller::Interest { input: true, room: false };
        mailbox.poller.add(mailbox.waker().fd(), WAKER_KEY, input)?;
        let now = Instant::now();
        let clock = Clock::new(now, SystemTime::now());
        let alarm = Alarm::new()?;
        mailbox.poller.add(alarm.fd(), ALARM_KEY, input)?;
        Ok(Self {
            number,
            worker: Worker::new(number, hub, clock, now),
            mailbox,
            mailboxes,
            tls_config,
            slots: Slab::new(),
            timers: Timers::default(),
            alarm,
            buffer: vec![0; READ_BYTES + TLS_ROOM_BYTES],
            listeners: Vec::new(),
            accept_again: None,
            throttle,
            throttle_report: None,
            generation: 0,
            is_ending: false,
        })
    }

    pub(crate) fn run(mut self) {
        let mut ready = Vec::new();
        while !self.is_ending {
            let next = self.next_deadline();
            let waited = self.alarm.set(next).and_then(|()| self.mailbox.poller.wait(&mut ready));
            if let Err(error) = waited {
                self.worker.hub.log.write(Level::Error, &format!("Polling failed: {error}"));
                break;
            }
            let now = Instant::now();
            if self.worker.clock.is_old(now) {
                self.worker.clock = Clock::new(now, SystemTime::now());
            }
            self.worker.begin_turn(now);
            for event in &ready {
                self.survive(Some(event.key), |thread| thread.handle(*event));
            }
            self.survive(None, Self::fire_timers);
            self.survive(None, Self::end_turn);
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let deadlines = [self.timers.next(), self.accept_again, self.throttle_report];
        deadlines.into_iter().flatten().min()
    }

    fn handle(&mut self, event: Readiness) {
        match event.key {
            WAKER_KEY => self.take_commands(),
            ALARM_KEY => self.alarm.stop(),
            key if key >= LISTENER_KEYS => self.accept((key - LISTENER_KEYS) as usize),
            key => {
                if event.room {
                    self.room(key);
                }
                if event.input || event.gone {
                    self.readable(key, event.gone);
                }
            }
        }
    }

    /// What was staged goes out; what that brought to light is dealt with.
    pub(crate) fn end_turn(&mut self) {
        self.worker.propose();
        // Closing stages bytes too, and may cut off others: until nothing is left.
        for _ in 0..16 {
            self.worker.flush(&[]);
            self.begin_stalls();
            for connection in std::mem::take(&mut self.worker.to_watch) {
                self.ask_owner(&connection, Command::Watch(connection.id));
            }
            let closing = std::mem::take(&mut self.worker.to_close);
            if closing.is_empty() {
                return;
            }
            for connection in closing {
                let reason = connection.closing_reason().unwrap_or(ClosedReason::WriteError);
                self.ask_owner(&connection, Command::Close(connection.id, reason));
            }
        }
    }

    fn ask_owner(&mut self, connection: &Arc<Connection>, command: Command) {
        let owner = connection.owner.load(Ordering::Acquire);
        if owner == self.number {
            self.obey(command);
        } else {
            self.mailboxes[owner].send(command);
        }
    }

    fn begin_stalls(&mut self) {
        for pressure in std::mem::take(&mut self.worker.pressures) {
            if !self.worker.settings.limits.fast_producer_stall
                || pressure.publisher == pressure.destination.id
            {
                continue;
            }
            let Some(key) = self.key_of(pressure.publisher) else { continue };
            let now = self.worker.now;
            let Some(slot) = self.slot(key) else { continue };
            if slot.stall.begin(now, &pressure) {
                slot.is_paused = true;
                set_input(&slot.client.connection, false);
                let stalls = u64::from(pressure.is_severe);
                self.worker.hub.totals.stalls.fetch_add(stalls, Ordering::Relaxed);
                let destination = &pressure.destination;
                destination.stalls.fetch_add(u32::from(pressure.is_severe), Ordering::Relaxed);
                self.schedule(key);
            }
        }
    }

    fn take_commands(&mut self) {
        self.mailbox.waker().reset();
        for command in self.mailbox.take() {
            self.obey(command);
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Adopt(accepted) => self.adopt(accepted),
            Command::AdoptPipe(pipe) => self.adopt_pipe(&pipe),
            Command::Admit(id, admission) => self.answer(id, Ok(&admission)),
            Command::Refuse(id, reason) => self.answer(id, Err(reason)),
            Command::Dismiss(id, reason, error) => self.dismiss(id, reason, &error),
            Command::Reauthorize => self.reauthorize(),
            Command::Close(id, reason) => {
                if let Some(key) = self.key_of(id) {
                    self.close(key, reason);
                }
            }
            Command::Watch(id) => self.watch(id),
            Command::CaughtUp(id) => self.caught_up(id),
            Command::PipeReady(key) => {
                self.room(key);
                self.readable(key, false);
            }
            Command::Measure(id) => self.measure(id),
            Command::List(listing) => self.list(listing),
            Command::CountCache(counting) => self.count_cache(counting),
            Command::Announce => self.announce(),
            Command::Listen(listening) => self.add_listener(listening),
            Command::StopListening => self.listeners.clear(),
            Command::Shutdown => self.end(),
        }
    }

    /// A destination that this publisher waited for has caught up.
    fn caught_up(&mut self, id: u64) {
        let Some(key) = self.key_of(id) else { return };
        if self.slot(key).is_some_and(|slot| slot.stall.end_early()) {
            self.resume(key);
        }
    }

    /// Lets those read on that waited for a destination.
    pub(crate) fn release(&mut self, publishers: Vec<u64>) {
        for publisher in publishers {
            if let Some(connection) = self.worker.hub.connection(publisher) {
                self.ask_owner(&connection, Command::CaughtUp(publisher));
            }
        }
    }

    fn watch(&mut self, id: u64) {
        let Some(key) = self.key_of(id) else { return };
        let Some(slot) = self.slot(key) else { return };
        slot.write_deadline = lock(&slot.client.connection.outbound).deadline();
        if slot.write_deadline.is_none() {
            lock(&slot.client.connection.outbound).is_watched = false;
        }
        self.schedule(key);
    }

    fn announce(&mut self) {
        for (_, slot) in &self.slots {
            if slot.client.is_greeted && slot.client.flags.takes_async_info {
                self.worker.greet(&slot.client);
            }
        }
    }

    fn add_listener(&mut self, listening: Arc<Listening>) {
        let key = LISTENER_KEYS + self.listeners.len() as u64;
        if let Err(error) = self.mailbox.poller.add_shared(&listening.fd, key) {
            self.worker.hub.log.write(Level::Error, &format!("Listening failed: {error}"));
        }
        self.listeners.push(listening);
    }

    fn accept(&mut self, index: usize) {
        if self.accept_again.is_some_and(|again| again > self.worker.now) {
            return;
        }
        self.accept_again = None;
        for _ in 0..ACCEPTS_MAX {
            let Some(listening) = self.listeners.get(index) else { return };
            match listening.accept() {
                Ok(Some(accepted)) => self.place(accepted),
                Ok(None) => return,
                Err(error) => {
                    self.worker.hub.log.write(Level::Error, &format!("Accept error: {error}"));
                    // The listener stays readable: do not spin on it.
                    std::thread::sleep(Duration::from_millis(1));
                    self.accept_again = Some(self.worker.now + ACCEPT_BACKOFF);
                    return;
                }
            }
        }
    }

    /// Gives a connection to the thread with the fewest.
    fn place(&mut self, accepted: Accepted) {
        let own = self.mailbox.load();
        let fewest = (0..self.mailboxes.len()).min_by_key(|&other| self.mailboxes[other].load());
        match fewest {
            Some(other) if other != self.number && self.mailboxes[other].load() < own => {
                self.mailboxes[other].connections.fetch_add(1, Ordering::Relaxed);
                self.mailboxes[other].send(Command::Adopt(accepted));
            }
            _ => {
                self.mailbox.connections.fetch_add(1, Ordering::Relaxed);
                self.adopt(accepted);
            }
        }
    }

    fn adopt(&mut self, accepted: Accepted) {
        let fd = Arc::new(accepted.fd);
        let key = self.next_key();
        let socket = match Socket::new(fd.clone(), self.mailbox.clone(), key) {
            Ok(socket) => socket,
            Err(error) => {
                self.mailbox.connections.fetch_sub(1, Ordering::Relaxed);
                self.worker.hub.log.write(Level::Error, &format!("Polling failed: {error}"));
                return;
            }
        };
        let peer = (accepted.peer.ip().to_canonical().to_string(), accepted.peer.port());
        let way_in = (accepted.tls, accepted.proxy_protocol);
        self.enter(key, Box::new(socket), Inbound::Plain(fd), Kind::Tcp, peer, way_in);
    }

    fn adopt_pipe(&mut self, pipe: &Arc<PipeShared>) {
        self.mailbox.connections.fetch_add(1, Ordering::Relaxed);
        let key = self.next_key();
        let transport = Box::new(PipeTransport { shared: pipe.clone() });
        let peer = (String::from("127.0.0.1"), 0);
        self.enter(key, transport, Inbound::Pipe, Kind::InProcess, peer, (TlsMode::Off, false));
        pipe.set_owner(self.mailbox.clone(), key);
    }

    fn next_key(&mut self) -> u64 {
        self.generation = self.generation.wrapping_add(1) & 0x7FFF_FFFF;
        u64::from(self.generation) << 32 | self.slots.vacant_key() as u64
    }

    fn enter(
        &mut self,
        key: u64,
        transport: Box<dyn Transport>,
        inbound: Inbound,
        kind: Kind,
        peer: (String, u16),
        (tls, proxy_protocol): (TlsMode, bool),
    ) {
        let hub = self.worker.hub.clone();
        let settings = self.worker.settings.clone();
        let text = if peer.0.contains(':') {
            format!("[{}]:{}", peer.0, peer.1)
        } else {
            format!("{}:{}", peer.0, peer.1)
        };
        let outbound = Outbound::new(transport);
        let (id, now_ns) = (hub.next_id(), self.worker.now_ns);
        let connection = Arc::new(Connection::new(id, kind, text, hub.threads, outbound, now_ns));
        connection.owner.store(self.number, Ordering::Release);
        connection.token.store(key as usize, Ordering::Release);
        let now = self.worker.now;
        let account = hub.add_account(GLOBAL_ACCOUNT);
        let must_connect = settings.gate.must_connect();
        let mut client = Client::new(connection.clone(), account, peer, must_connect, now);
        if proxy_protocol {
            // Whose connection it is was not said yet, and the balancer's address is nobody's.
            client.peer_ip = String::new();
        }
        client.keepalive.begin(now, settings.limits.ping_interval);
        if settings.info.nonce {
            client.nonce = self.worker.nonce();
        }
        let is_admitted = hub.register(&connection, settings.limits.connections_max);
        let slot = Slot {
            client,
            inbound,
            stage: Stage::Open,
            tail: Vec::new(),
            wanted_bytes: 0,
            is_paused: false,
            auth_deadline: must_connect.then(|| now + settings.limits.auth_timeout),
            tls_deadline: None,
            write_deadline: None,
            linger_until: None,
            lag: None,
            stall: Stall::default(),
            is_fitted: false,
            scheduled: None,
            generation: (key >> 32) as u32,
        };
        self.slots.insert(slot);
        hub.log.debug(|| format!("{} - Client connection created", connection.log_prefix()));
        if !is_admitted {
            let slot = &self.slots[index_of(key)];
            self.worker.greet(&slot.client);
            self.worker.say(&slot.client, &ClientError::MaximumConnectionsExceeded);
            hub.log.error(|| format!("{} - maximum connections exceeded", connection.log_prefix()));
            self.close(key, ClosedReason::MaximumConnectionsExceeded);
            return;
        }
        if proxy_protocol {
            self.begin_proxied(key, tls);
        } else {
            self.begin(key, tls);
        }
        self.schedule(key);
    }

    /// Sets the timer for the slot's nearest deadline, if that is nearer than the one set.
    pub(crate) fn schedule(&mut self, key: u64) {
        let Some(slot) = self.slots.get_mut(index_of(key)) else { return };
        let Some(next) = slot.next_deadline() else { return };
        if slot.scheduled.is_none_or(|scheduled| next < scheduled) {
            slot.scheduled = Some(next);
            self.timers.schedule(next, key);
        }
    }

    fn fire_timers(&mut self) {
        let now = self.worker.now;
        while let Some((at, key)) = self.timers.pop(now) {
            let Some(slot) = self.slot(key) else { continue };
            if slot.scheduled != Some(at) {
                continue;
            }
            slot.scheduled = None;
            self.fire(key, now);
            self.schedule(key);
        }
        if self.throttle_report.is_some_and(|report| report <= now) {
            self.report_throttled();
        }
        if self.accept_again.is_some_and(|again| again <= now) {
            self.accept_again = None;
            for index in 0..self.listeners.len() {
                self.accept(index);
            }
        }
    }

    fn fire(&mut self, key: u64, now: Instant) {
        let limits = self.worker.settings.limits.clone();
        let Some(slot) = self.slots.get_mut(index_of(key)) else { return };
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
        if slot.stage == Stage::Lingering {
            if is_due(slot.linger_until) {
                self.remove(key);
            }
            return;
        }
        if is_due(slot.tls_deadline) {
            slot.tls_deadline = None;
            self.tls_is_late(key);
            return;
        }
        if is_due(slot.auth_deadline) {
            slot.auth_deadline = None;
            self.worker.say(&slot.client, &ClientError::AuthenticationTimeout);
            self.close(key, ClosedReason::AuthenticationTimeout);
            return;
        }
        if slot.stall.end(now) {
            self.resume(key);
        }
        let Some(slot) = self.slots.get_mut(index_of(key)) else { return };
        if is_due(slot.write_deadline) && self.write_is_late(key, now) {
            return;
        }
        let Some(slot) = self.slots.get_mut(index_of(key)) else { return };
        if slot.client.keepalive.next_look > now {
            return;
        }
        match slot.client.keepalive.look(now, limits.ping_interval, limits.pings_max) {
            Look::Fine => {}
            Look::Ping if slot.stage != Stage::Open => {}
            Look::Ping => {
                let connection = slot.client.connection.clone();
                self.worker.reply(&connection, b"PING\r\n");
            }
            Look::Stale => {
                self.worker.say(&slot.client, &ClientError::StaleConnection);
                self.close(key, ClosedReason::StaleConnection);
            }
        }
    }

    /// The slot of a live key.
    pub(crate) fn slot(&mut self, key: u64) -> Option<&mut Slot> {
        let generation = (key >> 32) as u32;
        self.slots.get_mut(index_of(key)).filter(|slot| slot.generation == generation)
    }

    pub(crate) fn key_of(&mut self, id: u64) -> Option<u64> {
        let connection = self.worker.hub.connection(id)?;
        if connection.owner.load(Ordering::Acquire) != self.number {
            return None;
        }
        let key = connection.token.load(Ordering::Acquire) as u64;
        self.slot(key).map(|_| key)
    }

    /// The keys of all connections.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let key = |(index, slot): (usize, &Slot)| u64::from(slot.generation) << 32 | index as u64;
        self.slots.iter().map(key).collect()
    }

    fn end(&mut self) {
        self.listeners.clear();
        for key in self.keys() {
            self.close(key, ClosedReason::ServerShutdown);
            self.remove(key);
        }
        self.end_turn();
        self.is_ending = true;
    }
}

pub(crate) fn index_of(key: u64) -> usize {
    (key & 0xFFFF_FFFF) as usize
}

pub(crate) fn set_input(connection: &Connection, wanted: bool) {
    if let Some(transport) = lock(&connection.outbound).transport() {
        transport.want_input(wanted);
    }
}
