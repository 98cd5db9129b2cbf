//! A client connection as its reader sees it: what it said in CONNECT, its subscriptions, what
//! is remembered of its last message. Owned by one reactor thread.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Instant;

use hashbrown::HashTable;
use keelback_interest::Stamp;
use keelback_planted::{self as planted, Bug};
use keelback_wire::connect::ConnectOptions;

use crate::account::Account;
use crate::allowance::Allowance;
use crate::connection::{Connection, Policy};
use crate::keepalive::Keepalive;
use crate::subscription::SubRef;
use crate::targets::Targets;

/// Where a connection stands on its way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// CONNECT must come before anything else.
    MustConnect,
    /// Python was asked; nothing is read meanwhile.
    Asked,
    /// Admitted.
    Open,
}

/// What Python was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether a client may come in.
    Login,
    /// Whether one that is in may stay.
    Reload,
}

/// The last control line of a publisher, and what it came to. Publishers repeat themselves:
/// comparing the whole line is 4 to 5 times cheaper than to parse and match it (measured with
/// 16-byte messages: 69 M/s against 18 M/s with the match cache alone).
#[derive(Default)]
pub struct Memo {
    /// The line with its CRLF; empty when there is none.
    pub line: Vec<u8>,
    /// Line, payload and CRLF.
    pub total_bytes: usize,
    /// Where the tail starts in the line.
    pub tail_at: u32,
    /// Payload with headers.
    pub payload_bytes: u32,
    /// Header block, or `NO_HEADERS`.
    pub header_bytes: u32,
    /// Reply in the line.
    pub reply_bytes: u32,
}

/// The last subject published to and its match result.
pub struct LastMatch {
    /// The subject.
    pub subject: Vec<u8>,
    /// Who gets it.
    pub targets: Arc<Targets>,
    /// Whether that still holds, precisely.
    pub stamp: Stamp,
    /// The account's counter of all changes when that was last known.
    pub any: u64,
}

/// What is kept of CONNECT once it was decided; no secret is.
#[derive(Clone, Debug)]
pub struct Flags {
    /// `+OK` after each operation.
    pub verbose: bool,
    /// Published subjects are checked.
    pub pedantic: bool,
    /// Own messages come back.
    pub echo: bool,
    /// Headers, on both sides.
    pub headers: bool,
    /// 503 when a request reaches nobody.
    pub no_responders: bool,
    /// Takes INFO at any time.
    pub takes_async_info: bool,
}

impl Default for Flags {
    /// What holds for a client that never sends CONNECT.
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            takes_async_info: false,
        }
    }
}

/// A client connection.
pub struct Client {
    /// Its shared side.
    pub connection: Arc<Connection>,
    /// Where it publishes and subscribes.
    pub account: Arc<Account>,
    /// Where it stands.
    pub phase: Phase,
    /// What Python was asked, in [`Phase::Asked`].
    pub question: Question,
    /// The rules changed after Python was asked.
    pub must_ask_again: bool,
    /// What CONNECT said; a reload decides by it again, and later CONNECTs are merged over it.
    pub options: Option<Box<ConnectOptions>>,
    /// What holds.
    pub flags: Flags,
    /// The limits that hold for it.
    pub allowance: Allowance,
    /// It is one of its account's clients.
    pub is_counted: bool,
    /// The user's permissions.
    pub policy: Option<Arc<Policy>>,
    /// CONNECT was received.
    pub has_connected: bool,
    /// The subject of a message that has not arrived as a whole was already called invalid.
    pub told_invalid: bool,
    /// It was let in by what it said before CONNECT, as the user without credentials.
    pub came_early: bool,
    /// The first PONG was sent: INFO may follow at any time.
    pub is_greeted: bool,
    /// To be signed by users with nkeys; empty when INFO had none.
    pub nonce: String,
    /// Peer's address for INFO and authentication.
    pub peer_ip: String,
    /// Peer's port.
    pub peer_port: u16,
    /// Whether the transport is encrypted.
    pub is_tls: bool,
    /// The peer's certificates (DER, leaf first), while they may be needed.
    pub certificates: Vec<Vec<u8>>,
    /// Pings and idleness.
    pub keepalive: Keepalive,
    pub(crate) memo: Memo,
    pub(crate) last_match: Option<LastMatch>,
    pub(crate) traces: bool,
    subs: HashTable<SubRef>,
    hasher: foldhash::fast::RandomState,
}

impl Client {
    /// A connection that was just accepted.
    pub fn new(
        connection: Arc<Connection>,
        account: Arc<Account>,
        (peer_ip, peer_port): (String, u16),
        must_connect: bool,
        now: Instant,
    ) -> Self {
        Self {
            connection,
            account,
            phase: if must_connect { Phase::MustConnect } else { Phase::Open },
            question: Question::Login,
            must_ask_again: false,
            options: None,
            flags: Flags::default(),
            allowance: Allowance::default(),
            is_counted: false,
            policy: None,
            has_connected: false,
            told_invalid: false,
            came_early: false,
            is_greeted: false,
            nonce: String::new(),
            peer_ip,
            peer_port,
            is_tls: false,
            certificates: Vec::new(),
            keepalive: Keepalive::new(now),
            memo: Memo::default(),
            last_match: None,
            traces: false,
            subs: HashTable::new(),
            hasher: foldhash::fast::RandomState::default(),
        }
    }

    /// Whether own messages come back.
    #[inline]
    pub fn has_echo(&self) -> bool {
        self.flags.echo || planted::is(Bug::EchoIgnored)
    }

    /// Whether it wants to hear of requests that reach nobody.
    #[inline]
    pub fn wants_no_responders(&self) -> bool {
        self.flags.no_responders
    }

    /// The live subscription with this sid.
    pub fn find(&self, sid: &[u8]) -> Option<&SubRef> {
        let hash = self.hasher.hash_one(sid);
        self.subs.find(hash, |sub| sub.sid() == sid).filter(|sub| !sub.is_ended())
    }

    /// Adds a subscription; one that ended under the same sid gives way.
    pub(crate) fn add(&mut self, sub: SubRef) {
        let hash = self.hasher.hash_one(sub.sid());
        if let Ok(old) = self.subs.find_entry(hash, |old| old.sid() == sub.sid()) {
            old.remove();
        }
        let hasher = &self.hasher;
        self.subs.insert_unique(hash, sub, |sub| hasher.hash_one(sub.sid()));
    }

    /// Takes the subscription with this sid out of the table.
    pub(crate) fn take(&mut self, sid: &[u8]) -> Option<SubRef> {
        let hash = self.hasher.hash_one(sid);
        let entry = self.subs.find_entry(hash, |sub| sub.sid() == sid).ok()?;
        let sub = entry.remove().0;
        if self.subs.len() * 4 < self.subs.capacity() && self.subs.capacity() > 64 {
            let hasher = &self.hasher;
            self.subs.shrink_to_fit(|sub| hasher.hash_one(sub.sid()));
        }
        Some(sub)
    }

    /// All subscriptions, those included that ended elsewhere.
    pub fn subscriptions(&self) -> impl Iterator<Item = &SubRef> {
        self.subs.iter()
    }

    /// Entries in the table.
    pub fn subscription_count(&self) -> usize {
        self.subs.len()
    }

    /// Forgets the subscriptions that ended on other threads.
    pub(crate) fn sweep(&mut self) {
        self.subs.retain(|sub| !sub.is_ended());
        let hasher = &self.hasher;
        self.subs.shrink_to_fit(|sub| hasher.hash_one(sub.sid()));
        self.connection.ended_subscriptions.store(0, std::sync::atomic::Ordering::Relaxed);
    }

    /// Forgets all subscriptions.
    pub(crate) fn clear_subscriptions(&mut self) {
        self.subs = HashTable::new();
    }

    /// The sid of a plain subscription of this connection that matches `subject`. Of several, any:
    /// nats-server's choice depends on what its cache holds.
    pub(crate) fn plain_sid_for(&self, subject: &[u8]) -> Option<Vec<u8>> {
        // The account's sublist is the quicker way only when this client has many.
        if self.subs.len() <= 16 {
            return self
                .subs
                .iter()
                .find(|sub| {
                    sub.queue().is_empty()
                        && !sub.is_ended()
                        && keelback_subject::matches(sub.subject(), subject)
                })
                .map(|sub| sub.sid().to_vec());
        }
        let mut matched = keelback_interest::Matched::default();
        self.account.sublist().matches(subject, &mut matched);
        let own = matched.plain.iter().find(|sub| Arc::ptr_eq(&sub.connection, &self.connection));
        own.map(|sub| sub.sid().to_vec())
    }

    /// Forgets what was remembered of the last message.
    pub(crate) fn forget_last(&mut self) {
        self.memo.line.clear();
        self.last_match = None;
    }
}
