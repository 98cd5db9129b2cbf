//! One subscription, as the sublist, its connection and the match results share it.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keelback_interest::Interest;
use keelback_planted::{self as planted, Bug};

use crate::connection::Connection;

/// A subscription of a client. A million of them is an ordinary day: the three texts share one
/// allocation.
pub struct Subscription {
    /// Who gets the messages.
    pub connection: Arc<Connection>,
    text: Box<[u8]>,
    subject_bytes: u32,
    queue_bytes: u32,
    /// Messages delivered since SUB.
    delivered: AtomicU64,
    /// Messages after which the subscription ends; 0 is never.
    max: AtomicU64,
    /// Set once, by whoever ends it.
    ended: AtomicBool,
    /// Each delivery asks the permissions' deny list.
    is_filtered: AtomicBool,
    /// Each delivery with a reply grants the permission to respond.
    grants_responses: AtomicBool,
}

impl Subscription {
    /// The subject as subscribed.
    pub fn subject(&self) -> &[u8] {
        &self.text[..self.subject_bytes as usize]
    }

    /// The queue group; empty is none.
    pub fn queue(&self) -> &[u8] {
        let start = self.subject_bytes as usize;
        &self.text[start..start + self.queue_bytes as usize]
    }

    /// The subscription id that its client chose.
    pub fn sid(&self) -> &[u8] {
        &self.text[(self.subject_bytes + self.queue_bytes) as usize..]
    }

    /// Whether a delivery needs more than a copy: a limit, a filter, a grant.
    pub fn is_checked(&self) -> bool {
        self.is_filtered() || self.grants_responses() || self.max.load(Ordering::Relaxed) > 0
    }

    /// Whether each delivery asks the permissions' deny list.
    pub fn is_filtered(&self) -> bool {
        self.is_filtered.load(Ordering::Relaxed)
    }

    /// Whether each delivery with a reply grants the permission to respond.
    pub fn grants_responses(&self) -> bool {
        self.grants_responses.load(Ordering::Relaxed)
    }

    /// Takes up other permissions; true when deliveries are looked at otherwise than before.
    pub fn set_checks(&self, is_filtered: bool, grants_responses: bool) -> bool {
        let was_filtered = self.is_filtered.swap(is_filtered, Ordering::Relaxed);
        let did_grant = self.grants_responses.swap(grants_responses, Ordering::Relaxed);
        (was_filtered, did_grant) != (is_filtered, grants_responses)
    }

    /// Whether it ended (UNSUB, its max, or its connection).
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Ends it; true for the one who did.
    pub fn end(&self) -> bool {
        !self.ended.swap(true, Ordering::AcqRel)
    }

    /// Counts `messages` deliveries of a subscription without a limit.
    pub fn count(&self, messages: u64) {
        self.delivered.fetch_add(messages, Ordering::Relaxed);
    }

    /// Sets the limit; true when it is reached already.
    pub fn set_max(&self, max: u64) -> bool {
        self.max.store(max, Ordering::Release);
        max <= self.delivered.load(Ordering::Acquire)
    }

    /// Messages after which it ends; 0 is never.
    pub fn max(&self) -> u64 {
        self.max.load(Ordering::Relaxed)
    }

    /// Claims one delivery under the limit.
    pub fn claim(&self) -> Claim {
        let number = self.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        let off = u64::from(planted::is(Bug::MaxOffByOne));
        match self.max.load(Ordering::Acquire) {
            0 => Claim::Granted,
            max if number < max + off => Claim::Granted,
            max if number == max + off => Claim::Last,
            _ => Claim::Refused,
        }
    }
}

/// The answer to one delivery asked of a limited subscription.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Claim {
    /// Deliver.
    Granted,
    /// Deliver, and end the subscription.
    Last,
    /// The limit was reached before.
    Refused,
}

/// A shared handle.
#[derive(Clone)]
pub struct SubRef(Arc<Subscription>);

impl SubRef {
    /// A subscription that has delivered nothing yet.
    pub fn new(
        connection: Arc<Connection>,
        (subject, queue, sid): (&[u8], &[u8], &[u8]),
        is_filtered: bool,
        grants_responses: bool,
    ) -> Self {
        Self(Arc::new(Subscription {
            connection,
            text: [subject, queue, sid].concat().into_boxed_slice(),
            subject_bytes: subject.len() as u32,
            queue_bytes: queue.len() as u32,
            delivered: AtomicU64::new(0),
            max: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            is_filtered: AtomicBool::new(is_filtered),
            grants_responses: AtomicBool::new(grants_responses),
        }))
    }
}

impl Deref for SubRef {
    type Target = Subscription;

    fn deref(&self) -> &Subscription {
        &self.0
    }
}

impl Interest for SubRef {
    fn subject(&self) -> &[u8] {
        self.0.subject()
    }

    fn queue(&self) -> &[u8] {
        self.0.queue()
    }

    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}
