//! A connection as every thread may see it: its outbound queue, its counters, why it closes.
//! What only its reader needs is in `client.rs`.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Instant;

use foldhash::{HashMap, HashMapExt};
use keelback_interest::Permissions;
use keelback_planted::{self as planted, Bug};
use keelback_wire::errors::ClosedReason;

use crate::account::Account;
use crate::identity::{Encryption, Identity};
use crate::lock;
use crate::outbound::Outbound;
use crate::receiver::Receiver;

/// What carries a connection's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A socket.
    Tcp,
    /// A memory pipe of the same process.
    InProcess,
}

/// Traffic, both ways.
#[derive(Default)]
pub struct Counters {
    /// Messages published by this side.
    pub in_msgs: AtomicU64,
    /// Their payload bytes.
    pub in_bytes: AtomicU64,
    /// Messages delivered to it.
    pub out_msgs: AtomicU64,
    /// Bytes delivered to it.
    pub out_bytes: AtomicU64,
}

impl Counters {
    /// In msgs and bytes, out msgs and bytes.
    pub fn figures(&self) -> [u64; 4] {
        [&self.in_msgs, &self.in_bytes, &self.out_msgs, &self.out_bytes]
            .map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Adds what such figures say.
    pub fn add(&self, [in_msgs, in_bytes, out_msgs, out_bytes]: [u64; 4]) {
        self.add_in(in_msgs, in_bytes);
        self.add_out(out_msgs, out_bytes);
    }

    /// Adds a batch that came in.
    pub fn add_in(&self, msgs: u64, bytes: u64) {
        self.in_msgs.fetch_add(msgs, Ordering::Relaxed);
        self.in_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Adds a batch that went out.
    pub fn add_out(&self, msgs: u64, bytes: u64) {
        self.out_msgs.fetch_add(msgs, Ordering::Relaxed);
        self.out_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// What a user may do, with the replies that it may answer for a while.
pub struct Policy {
    /// The compiled lists.
    pub permissions: Arc<Permissions>,
    /// Replies granted by `allow_responses`: uses so far, and since when.
    granted: Mutex<Granted>,
}

struct Granted {
    replies: HashMap<Box<[u8]>, (i64, Instant)>,
    added: usize,
    pruned: Instant,
}

/// After so many grants, or a second, the old ones are pruned (nats-server's numbers).
const GRANTS_BETWEEN_PRUNES: usize = 4096;

impl Policy {
    /// A policy with nothing granted.
    pub fn new(permissions: Arc<Permissions>, now: Instant) -> Self {
        let granted = Granted { replies: HashMap::new(), added: 0, pruned: now };
        Self { permissions, granted: Mutex::new(granted) }
    }

    /// Remembers that a message asked for an answer at `reply`. Asking again while that may
    /// still be answered counts as an answer and starts nothing anew, as in nats-server.
    pub fn grant(&self, reply: &[u8], now: Instant) {
        let Some(rule) = self.permissions.responses() else { return };
        if self.permissions.may_publish(reply) || self.may_respond(reply, now) {
            return;
        }
        let mut granted = lock(&self.granted);
        granted.replies.insert(reply.into(), (0, now));
        granted.added += 1;
        let is_due = now.duration_since(granted.pruned).as_secs() >= 1;
        if granted.added > GRANTS_BETWEEN_PRUNES || is_due {
            let expires = rule.expires;
            granted.replies.retain(|_, (uses, since)| {
                (rule.max < 0 || *uses < rule.max)
                    && expires.is_none_or(|expires| now.duration_since(*since) <= expires)
            });
            granted.added = 0;
            granted.pruned = now;
        }
    }

    /// Replies that are remembered, those that expired lately included.
    #[cfg(test)]
    pub(crate) fn granted_count(&self) -> usize {
        lock(&self.granted).replies.len()
    }

    /// Whether `subject` answers a message that came in; each call counts as an answer.
    pub fn may_respond(&self, subject: &[u8], now: Instant) -> bool {
        let Some(rule) = self.permissions.responses() else { return false };
        let mut granted = lock(&self.granted);
        let Some((uses, since)) = granted.replies.get_mut(subject) else { return false };
        *uses += 1;
        let is_fresh = planted::is(Bug::ResponseNeverExpires)
            || rule.expires.is_none_or(|expires| now.duration_since(*since) <= expires);
        let is_left = rule.max < 0 || *uses <= rule.max;
        if !is_fresh || (rule.max >= 0 && *uses >= rule.max) {
            granted.replies.remove(subject);
        }
        is_fresh && is_left
    }
}

/// A connection, shared.
pub struct Connection {
    /// Number within this server; what users know as cid.
    pub id: u64,
    /// Its transport's kind.
    pub kind: Kind,
    /// `127.0.0.1:1234`, the start of its log lines.
    pub peer: String,
    /// When it was accepted (ns since 1970).
    pub start_ns: u64,
    /// Its last message, either way, or change of interest (ns since 1970).
    last_activity_ns: AtomicU64,
    /// The last round trip (ns); 0 while none is known.
    pub rtt_ns: AtomicU64,
    /// Times that a publisher waited for it.
    pub stalls: AtomicU32,
    /// Bytes on their way out. A leaf lock.
    pub outbound: Mutex<Outbound>,
    /// Traffic.
    pub counters: Counters,
    /// The client reads headers.
    pub has_headers: AtomicBool,
    /// Subscriptions that ended on other threads and still stand in the client's table.
    pub ended_subscriptions: AtomicU32,
    /// Live subscriptions.
    pub subscriptions: AtomicU32,
    /// The slot in each thread's staging table plus one; only that thread reads or writes it.
    stage_slots: Box<[AtomicU32]>,
    /// The reactor thread that reads from it.
    pub owner: AtomicUsize,
    /// Its place in that thread's table.
    pub token: AtomicUsize,
    closing: AtomicU8,
    source: OnceLock<Box<(IpAddr, u16)>>,
    identity: RwLock<Option<Arc<Identity>>>,
    encryption: OnceLock<Box<Encryption>>,
    policy: RwLock<Option<Arc<Policy>>>,
    /// Takes messages in the place of a peer.
    pub(crate) receiver: Option<Arc<dyn Receiver>>,
}

impl Connection {
    /// A connection that has said nothing yet.
    pub fn new(
        id: u64,
        kind: Kind,
        peer: String,
        threads: usize,
        outbound: Outbound,
        start_ns: u64,
    ) -> Self {
        Self {
            id,
            kind,
            peer,
            start_ns,
            last_activity_ns: AtomicU64::new(start_ns),
            rtt_ns: AtomicU64::new(0),
            stalls: AtomicU32::new(0),
            outbound: Mutex::new(outbound),
            counters: Counters::default(),
            has_headers: AtomicBool::new(false),
            ended_subscriptions: AtomicU32::new(0),
            subscriptions: AtomicU32::new(0),
            stage_slots: (0..threads).map(|_| AtomicU32::new(0)).collect(),
            owner: AtomicUsize::new(0),
            token: AtomicUsize::new(usize::MAX),
            closing: AtomicU8::new(0),
            source: OnceLock::new(),
            identity: RwLock::new(None),
            encryption: OnceLock::new(),
            policy: RwLock::new(None),
            receiver: None,
        }
    }

    /// The staging slot of `thread`, plus one; 0 is none.
    pub(crate) fn stage_slot(&self, thread: usize) -> &AtomicU32 {
        &self.stage_slots[thread]
    }

    /// Decides that the connection closes; the first reason stays. True for the first.
    pub fn set_closing(&self, reason: ClosedReason) -> bool {
        let code = reason as u8 + 1;
        self.closing.compare_exchange(0, code, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether somebody decided that it closes.
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire) != 0
    }

    /// Why it closes, if it does.
    pub fn closing_reason(&self) -> Option<ClosedReason> {
        let code = self.closing.load(Ordering::Acquire).checked_sub(1)?;
        ClosedReason::ALL.iter().copied().find(|reason| *reason as u8 == code)
    }

    /// The client's address, when a balancer said it (PROXY protocol).
    pub fn source(&self) -> Option<(IpAddr, u16)> {
        self.source.get().map(|source| **source)
    }

    /// Where the client is: as a balancer said, or else the peer.
    pub fn client_address(&self) -> String {
        match self.source() {
            Some((ip, port)) => SocketAddr::new(ip, port).to_string(),
            None => self.peer.clone(),
        }
    }

    /// Sets the client's address, once.
    pub fn set_source(&self, ip: IpAddr, port: u16) {
        let _ = self.source.set(Box::new((ip, port)));
    }

    /// Notes a message or a change of interest.
    #[inline]
    pub fn touch(&self, now_ns: u64) {
        self.last_activity_ns.store(now_ns, Ordering::Relaxed);
    }

    /// When the last one was.
    pub fn last_activity_ns(&self) -> u64 {
        self.last_activity_ns.load(Ordering::Relaxed)
    }

    /// Who is behind it, once it said so.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        read(&self.identity).clone()
    }

    /// Sets who is behind it. What it did in another account stays there; `first` is the account
    /// of a connection that has said nothing yet.
    pub fn set_identity(&self, mut identity: Identity, first: &Account) {
        let old = self.identity();
        let account = old.as_ref().map_or(first, |old| &old.account);
        if account.id == identity.account.id {
            identity.before = old.as_ref().and_then(|old| old.before.clone());
        } else if self.counters.figures() != [0; 4] {
            account.gone.add(self.account_figures());
            identity.before = Some(Box::new(self.counters.figures()));
        }
        *write(&self.identity) = Some(Arc::new(identity));
    }

    /// What it did in the account that it is in.
    pub fn account_figures(&self) -> [u64; 4] {
        let mut figures = self.counters.figures();
        if let Some(before) = read(&self.identity).as_ref().and_then(|it| it.before.as_deref()) {
            for (figure, before) in figures.iter_mut().zip(before) {
                *figure -= before;
            }
        }
        figures
    }

    /// How it is encrypted, if it is.
    pub fn encryption(&self) -> Option<&Encryption> {
        self.encryption.get().map(|encryption| &**encryption)
    }

    /// The handshake is done.
    pub fn set_encryption(&self, encryption: Encryption) {
        // Twice is not possible: a connection shakes hands once.
        let _ = self.encryption.set(Box::new(encryption));
    }

    /// The user's permissions.
    pub fn policy(&self) -> Option<Arc<Policy>> {
        read(&self.policy).clone()
    }

    /// Sets the user's permissions.
    pub fn set_policy(&self, policy: Option<Arc<Policy>>) {
        *write(&self.policy) = policy;
    }

    /// `127.0.0.1:1234 - cid:5 - "v1:go:name" - "$G/user:bob"`.
    pub fn log_prefix(&self) -> String {
        let identity = read(&self.identity);
        let suffix = identity.as_deref().map(Identity::log_suffix).unwrap_or_default();
        format!("{} - cid:{}{suffix}", self.peer, self.id)
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
