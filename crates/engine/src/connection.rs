//! A connection as every thread may see it: its outbound queue, its counters, why it closes.
//! What only its reader needs is in `client.rs`.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::Instant;

use foldhash::{HashMap, HashMapExt};
use keelback_interest::Permissions;
use keelback_planted::{self as planted, Bug};
use keelback_wire::errors::ClosedReason;

use crate::lock;
use crate::outbound::Outbound;

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

/// Who is behind the connection, once it said so.
#[derive(Clone, Default, Debug)]
pub struct Identity {
    /// CONNECT `name`.
    pub name: String,
    /// ` - "v1.2:go:name" - "$G/user:bob"`, the part of the log prefix that CONNECT adds.
    pub log_suffix: String,
    /// The account's name.
    pub account: String,
    /// The user as [`crate::gate::Admission`] names it.
    pub label: String,
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
    identity: RwLock<Option<Box<Identity>>>,
    policy: RwLock<Option<Arc<Policy>>>,
}

impl Connection {
    /// A connection that has said nothing yet.
    pub fn new(id: u64, kind: Kind, peer: String, threads: usize, outbound: Outbound) -> Self {
        Self {
            id,
            kind,
            peer,
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
            policy: RwLock::new(None),
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

    /// Sets the client's address, once.
    pub fn set_source(&self, ip: IpAddr, port: u16) {
        let _ = self.source.set(Box::new((ip, port)));
    }

    /// Who is behind it.
    pub fn identity(&self) -> Identity {
        read(&self.identity).as_deref().cloned().unwrap_or_default()
    }

    /// Sets who is behind it.
    pub fn set_identity(&self, identity: Identity) {
        *write(&self.identity) = Some(Box::new(identity));
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
        let suffix = identity.as_deref().map_or("", |identity| &identity.log_suffix);
        format!("{} - cid:{}{suffix}", self.peer, self.id)
    }
}

fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}
