//! Batches that are stored whole or not at all: gathered here until the last message has come.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock};

use keelback_jetstream::atomic::{
    self, Added, BatchLimits, Batches, Exceeded, Reason, Staged, Taken,
};
use keelback_jetstream::errors::Refused;
use keelback_jetstream::headers;
use keelback_jetstream::policy::Policy;
use keelback_jetstream::publish::{self, Late};
use keelback_store::disk::Disk;
use keelback_store::stream::{BatchText, Body, Entry};

use super::ingest::StreamReceiver;
use super::running::Running;
use super::{Streams, usage};
use crate::Hub;
use crate::events::Event;
use crate::lock;
use crate::receiver::Message;
use crate::worker::Worker;

/// Of all batches that are not complete (bytes).
const STAGED_BYTES_MAX: usize = 256 << 20;

/// What the batches of all streams take together.
#[derive(Debug, Default)]
pub(super) struct Staging {
    limits: RwLock<BatchLimits>,
    count: AtomicUsize,
    bytes: AtomicUsize,
    /// Batches that are acknowledged now and then.
    fast: AtomicUsize,
}

impl Staging {
    pub(super) fn limits(&self) -> BatchLimits {
        *self.limits.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is taken, but for this.
    fn others(&self, own: Taken) -> Taken {
        let others = |all: &AtomicUsize, own| all.load(Ordering::Relaxed).saturating_sub(own);
        Taken { count: others(&self.count, own.count), bytes: others(&self.bytes, own.bytes) }
    }

    fn replace(&self, before: Taken, after: Taken) {
        replace(&self.count, before.count, after.count);
        replace(&self.bytes, before.bytes, after.bytes);
    }

    /// How many batches other streams have that are acknowledged now and then.
    pub(super) fn other_fast(&self, own: usize) -> usize {
        self.fast.load(Ordering::Relaxed).saturating_sub(own)
    }

    pub(super) fn replace_fast(&self, before: usize, after: usize) {
        replace(&self.fast, before, after);
    }
}

fn replace(all: &AtomicUsize, before: usize, after: usize) {
    // It wraps, and comes out right.
    all.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
}

impl<D: Disk + Clone> Streams<D> {
    /// Bounds the batches that are not complete.
    pub fn set_batch_limits(&self, limits: BatchLimits) {
        *self.staging.limits.write().unwrap_or_else(PoisonError::into_inner) = limits;
    }
}

impl<D: Disk + Clone> Running<D> {
    /// Does something to the batches that are not complete.
    fn with_batches<T>(&self, act: impl FnOnce(&mut Batches) -> T) -> T {
        let mut batches = lock(&self.batches);
        let before = batches.taken();
        let done = act(&mut batches);
        self.staging.replace(before, batches.taken());
        done
    }

    /// Forgets the batches that are not complete: the stream goes, or takes none any more.
    pub(super) fn forget_batches(&self) {
        self.with_batches(Batches::clear);
    }

    /// Gives up batches for which nothing comes.
    pub(super) fn give_up_batches(&self, hub: &Hub, now_ns: u64) {
        for id in self.with_batches(|batches| batches.give_up_due(now_ns)) {
            self.tell_given_up(hub, &id, Reason::Timeout);
        }
    }

    fn tell_given_up(&self, hub: &Hub, id: &[u8], reason: Reason) {
        hub.events.push(Event::BatchAbandoned {
            account: self.account.name.clone(),
            stream: self.name.clone(),
            batch: id.to_vec(),
            reason: reason.name(),
        });
    }
}

impl<D: Disk + Clone> StreamReceiver<D> {
    /// Takes a message of the batch `id`.
    pub(super) fn stage(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        (subject, id): (&[u8], &[u8]),
        message: &Message<'_>,
    ) {
        match self.gather(worker, policy, (subject, id), message) {
            Added::Waits => self.answer(worker, policy, message.reply, |_| {}),
            Added::Complete(messages) => self.complete(worker, policy, &messages, message.reply),
            Added::Refused(refused, reason) => {
                let write = |text: &mut Vec<u8>| refused.write(text, &policy.name);
                self.answer(worker, policy, message.reply, write);
                if let Some(reason) = reason {
                    self.running.tell_given_up(&worker.hub, id, reason);
                }
            }
        }
    }

    /// The limit that a message of so many bytes would exceed.
    pub(super) fn exceeded(&self, bytes: u64) -> Option<Exceeded> {
        self.running.exceeded(bytes).map(|exceeded| match exceeded {
            usage::Exceeded::Server => Exceeded::Server,
            usage::Exceeded::Account => Exceeded::Account,
        })
    }

    fn gather(
        &self,
        worker: &Worker,
        policy: &Policy,
        (subject, id): (&[u8], &[u8]),
        message: &Message<'_>,
    ) -> Added {
        let kept = headers::stored(message.headers);
        let body = Body::Held { headers: &kept, payload: message.payload };
        let exceeded = self.exceeded(policy.storage.message_bytes(subject, &body));
        let bytes = kept.len() + message.payload.len();
        let head = match atomic::read(policy, id, &kept, bytes, exceeded) {
            Ok(head) => head,
            Err(refused) => return Added::Refused(refused, None),
        };
        let staged = Staged {
            subject: subject.to_vec(),
            headers: atomic::stored(Cow::Borrowed(&kept)).into_owned(),
            payload: message.payload.to_vec(),
        };
        let (running, now_ns) = (&self.running, worker.now_ns);
        let staging = &running.staging;
        running.with_batches(|batches| {
            let others = (staging.others(batches.taken()), STAGED_BYTES_MAX);
            batches.add(&head, staged, &staging.limits(), others, now_ns)
        })
    }

    /// Proposes a batch that is complete.
    fn complete(&self, worker: &mut Worker, policy: &Policy, messages: &[Staged], reply: &[u8]) {
        let mut text = BatchText::default();
        let added = messages.iter().try_for_each(|staged| {
            let may_purge = |subject: &[u8]| self.running.may_purge_schedule(subject);
            add(worker, policy, staged, &mut text, &may_purge)
        });
        if let Err(late) = added {
            // What the state says comes first.
            let batch = text.batch();
            let found = if late.is_behind_ids {
                self.running.kept().stream().check_refused_batch(batch)
            } else {
                self.running.kept().stream().check_batch(batch)
            };
            let refused = found.map_or(late.refused, |found| Refused::from(&found));
            self.answer(worker, policy, reply, |text| refused.write(text, &policy.name));
            return;
        }
        self.propose_entry(worker, policy, &Entry::Batch(text.batch()), reply);
    }
}

/// Adds a message, which is the last one if it is refused behind its conditions.
fn add(
    worker: &mut Worker,
    policy: &Policy,
    staged: &Staged,
    text: &mut BatchText,
    may_purge: &dyn Fn(&[u8]) -> bool,
) -> Result<(), Late> {
    let Staged { subject, headers, payload } = staged;
    let early = |refused| Late { refused, is_behind_ids: false };
    publish::check_atomic(headers).map_err(early)?;
    let now_ns = worker.now_ns;
    let random = &mut || worker.next_random() as u32;
    let read = publish::read_staged(policy, subject, headers, payload, now_ns, random);
    let mut proposal = read.map_err(early)?;
    text.push(&proposal.message(now_ns));
    let purges = proposal.purges();
    if !purges.is_empty() && !may_purge(purges) {
        proposal.refuse_by_schedule();
    }
    proposal.late.take().map_or(Ok(()), Err)
}
