//! Connections that are gone, as far as they are remembered: the last ones, each in little memory.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use keelback_wire::errors::ClosedReason;

use crate::client::Client;
use crate::connection::{Connection, Kind};
use crate::identity::{Encryption, Identity};
use crate::lock;
use crate::subscription::SubRef;

/// Closed connections that are remembered, unless Python says otherwise.
pub const CLOSED_MAX: usize = 10_000;

/// Subscriptions remembered of one closed connection, and bytes of their subjects, queues and sids
/// together: what strangers subscribe to must not fill the memory once they are gone.
pub const CLOSED_SUBSCRIPTIONS_MAX: usize = 32;
const CLOSED_TEXT_BYTES_MAX: usize = 1 << 10;

/// A connection that is gone.
pub struct ClosedConnection {
    /// Its number.
    pub id: u64,
    /// Its transport's kind.
    pub kind: Kind,
    /// Address and port.
    pub peer: Box<str>,
    /// Accepted, active, closed (ns since 1970).
    pub start_ns: u64,
    /// See above.
    pub last_activity_ns: u64,
    /// See above.
    pub stop_ns: u64,
    /// Round trip, 0 when unknown.
    pub rtt_ns: u64,
    /// Bytes that waited for it.
    pub pending_bytes: u64,
    /// As [`crate::connection::Counters::figures`].
    pub figures: [u64; 4],
    /// Times that a publisher waited for it.
    pub stalls: u32,
    /// Why it closed.
    pub reason: ClosedReason,
    /// Who it was.
    pub identity: Option<Arc<Identity>>,
    /// Without certificates.
    pub encryption: Option<Box<Encryption>>,
    /// What it was subscribed to.
    pub subscriptions: LastSubscriptions,
}

/// What a connection was subscribed to when it closed.
#[derive(Default)]
pub struct LastSubscriptions {
    /// How many.
    pub count: u32,
    /// The first of them, within the bounds.
    pub listed: Box<[LastSubscription]>,
}

/// One subscription of a connection that is gone.
pub struct LastSubscription {
    text: Box<[u8]>,
    subject_bytes: u32,
    queue_bytes: u32,
    /// Messages delivered.
    pub delivered: u64,
    /// Its limit, 0 without.
    pub max: u64,
}

impl LastSubscription {
    fn new(sub: &SubRef) -> Self {
        Self {
            text: [sub.subject(), sub.queue(), sub.sid()].concat().into_boxed_slice(),
            subject_bytes: sub.subject().len() as u32,
            queue_bytes: sub.queue().len() as u32,
            delivered: sub.delivered(),
            max: sub.max(),
        }
    }

    /// Subject, queue group and sid.
    pub fn texts(&self) -> [&[u8]; 3] {
        let (subject, rest) = self.text.split_at(self.subject_bytes as usize);
        let (queue, sid) = rest.split_at(self.queue_bytes as usize);
        [subject, queue, sid]
    }
}

impl LastSubscriptions {
    /// Those of a client that is about to lose them.
    pub fn of(client: &Client) -> Self {
        let mut bytes = 0;
        let listed = client
            .subscriptions()
            .filter(|sub| !sub.is_ended())
            .take_while(|sub| {
                bytes += sub.subject().len() + sub.queue().len() + sub.sid().len();
                bytes <= CLOSED_TEXT_BYTES_MAX
            })
            .take(CLOSED_SUBSCRIPTIONS_MAX)
            .map(LastSubscription::new)
            .collect();
        Self { count: client.connection.subscriptions.load(Ordering::Relaxed), listed }
    }
}

impl ClosedConnection {
    /// What is kept of `connection`.
    pub fn new(
        connection: &Connection,
        reason: ClosedReason,
        subscriptions: LastSubscriptions,
        stop_ns: u64,
    ) -> Self {
        let encryption = connection
            .encryption()
            .map(|tls| Box::new(Encryption { certificates: Arc::default(), ..tls.clone() }));
        Self {
            id: connection.id,
            kind: connection.kind,
            peer: connection.peer.as_str().into(),
            start_ns: connection.start_ns,
            last_activity_ns: connection.last_activity_ns(),
            stop_ns,
            rtt_ns: connection.rtt_ns.load(Ordering::Relaxed),
            pending_bytes: lock(&connection.outbound).pending_bytes() as u64,
            figures: connection.counters.figures(),
            stalls: connection.stalls.load(Ordering::Relaxed),
            reason,
            identity: connection.identity(),
            encryption,
            subscriptions,
        }
    }
}

/// The last closed connections, oldest first.
pub(crate) struct ClosedRing {
    records: VecDeque<Arc<ClosedConnection>>,
    /// The number of the first, counted from the first ever.
    first: u64,
    max: usize,
}

impl Default for ClosedRing {
    fn default() -> Self {
        Self { records: VecDeque::new(), first: 0, max: CLOSED_MAX }
    }
}

impl ClosedRing {
    /// Remembers one more; the oldest gives way.
    pub(crate) fn push(&mut self, record: ClosedConnection) {
        self.records.push_back(Arc::new(record));
        self.shrink();
    }

    /// Remembers this many from now on.
    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max;
        self.shrink();
        self.records.shrink_to(max);
    }

    fn shrink(&mut self) {
        while self.records.len() > self.max {
            self.records.pop_front();
            self.first += 1;
        }
    }

    /// Adds up to `at_most` to `found`, from number `from` on; the number to go on with.
    pub(crate) fn read(
        &self,
        from: u64,
        at_most: usize,
        found: &mut Vec<Arc<ClosedConnection>>,
    ) -> Option<u64> {
        let from = from.max(self.first);
        let start = usize::try_from(from - self.first).unwrap_or(usize::MAX);
        let end = start.saturating_add(at_most).min(self.records.len());
        if start >= end {
            return None;
        }
        found.extend(self.records.range(start..end).cloned());
        (end < self.records.len()).then_some(self.first + end as u64)
    }
}
