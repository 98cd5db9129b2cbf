//! Batches that are acknowledged now and then: each message is an entry for itself.

use std::borrow::Cow;
use std::sync::Arc;

use keelback_jetstream::atomic;
use keelback_jetstream::errors::Refused;
use keelback_jetstream::fast::{self, Answers, Failure, FastBatches, FastLimits, Head, Held, Next};
use keelback_jetstream::headers;
use keelback_jetstream::policy::Policy;
use keelback_jetstream::publish::{self, Proposal};
use keelback_store::disk::Disk;
use keelback_store::stream::{BatchText, Body, Discard, Entry, Outcome, Refusal, Stream};

use super::Streams;
use super::ingest::StreamReceiver;
use super::outgoing::Outgoing;
use super::running::Running;
use crate::lock;
use crate::proposals::Proposer;
use crate::receiver::Message;
use crate::worker::Worker;

const OPEN_OF_STREAM: usize = 1000;
const OPEN_OF_ALL: usize = 50_000;

impl<D: Disk + Clone> Running<D> {
    fn with_fast<T>(&self, act: impl FnOnce(&mut FastBatches) -> T) -> T {
        let mut batches = lock(&self.fast);
        let before = batches.count();
        let done = act(&mut batches);
        self.staging.replace_fast(before, batches.count());
        done
    }

    pub(super) fn forget_fast(&self) {
        self.with_fast(FastBatches::clear);
    }

    pub(super) fn forget_due_fast(&self, now_ns: u64) {
        self.with_fast(|batches| batches.forget_due(now_ns));
    }

    /// What became of a message of a batch that was proposed: what its publisher is told.
    pub(super) fn decided(
        &self,
        policy: &Policy,
        (reply, entry): (&[u8], &Entry<'_>),
        outcome: &Outcome,
        stream: &Stream,
    ) -> Answers {
        let (mut answers, Ok(head)) = (Answers::new(), fast::parse(reply)) else {
            return Answers::new();
        };
        self.with_fast(|batches| match outcome {
            Outcome::Stored { seq } => batches.stored(policy, &head, *seq, &mut answers),
            Outcome::Refused(refusal) => {
                let failure = failure_of(refusal, entry, stream);
                batches.failed(policy, &head, &failure, &mut answers);
            }
            Outcome::Done | Outcome::Duplicate { .. } => {}
        });
        answers
    }

    /// What waited for the message with this reply.
    fn released(&self, reply: &[u8]) -> Vec<Held> {
        let Ok(head) = fast::parse(reply) else { return Vec::new() };
        self.with_fast(|batches| batches.release(&head))
    }
}

/// Why the message of an entry was not stored.
fn failure_of(refusal: &Refusal, entry: &Entry<'_>, stream: &Stream) -> Failure {
    let message = match entry {
        Entry::Batch(batch) => batch.iter().next(),
        _ => None,
    };
    let known = message.and_then(|it| stream.duplicate_of(it.msg_id, it.time_ns));
    match (refusal, known) {
        (Refusal::BatchHasDuplicate, Some(seq)) => Failure::Duplicate(seq),
        _ => Failure::Refused(Refused::from(refusal)),
    }
}

impl<D: Disk + Clone> Streams<D> {
    /// Takes what waited for a message that is decided now.
    pub(super) fn take_released(
        &self,
        worker: &mut Worker,
        running: &Arc<Running<D>>,
        policy: &Policy,
        reply: &[u8],
    ) {
        let held = running.released(reply);
        let Some(streams) = self.me.upgrade().filter(|_| !held.is_empty()) else { return };
        let proposer: Arc<dyn Proposer> = streams;
        let receiver = StreamReceiver { running: running.clone(), proposer };
        for Held { reply, subject, headers, payload } in &held {
            let message = Message { reply, headers, payload };
            receiver.take_fast(worker, policy, subject, &message);
        }
        worker.propose();
    }
}

impl<D: Disk + Clone> StreamReceiver<D> {
    /// Takes a message of a batch.
    pub(super) fn take_fast(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        subject: &[u8],
        message: &Message<'_>,
    ) {
        let reply = message.reply;
        let kept = headers::stored(message.headers);
        let bytes = kept.len() + message.payload.len();
        let body = Body::Held { headers: &kept, payload: message.payload };
        let exceeded = self.exceeded(policy.storage.message_bytes(subject, &body));
        let head = match fast::check(policy, fast::parse(reply), bytes, exceeded) {
            Ok(head) => head,
            Err(refused) => return self.refuse(worker, policy, reply, &refused),
        };
        if self.running.with_fast(|batches| batches.is_holding(&head)) {
            return self.hold(worker, policy, (&head, subject), message);
        }
        let mut answers = Answers::new();
        let next = self.next(policy, &head, &kept, worker.now_ns, &mut answers);
        self.tell(worker, reply, &mut answers);
        match next {
            Ok(Next::Propose) => {
                let kept = atomic::stored(Cow::Borrowed(&kept));
                let now_ns = worker.now_ns;
                let random = &mut || worker.next_random() as u32;
                let payload = message.payload;
                let read = publish::read_staged(policy, subject, &kept, payload, now_ns, random);
                match read {
                    Ok(proposal) => self.propose_fast(worker, policy, (&head, reply), proposal),
                    Err(refused) => {
                        self.fail(worker, policy, (&head, reply), &Failure::Refused(refused));
                    }
                }
            }
            Ok(Next::Done) => {}
            Err(refused) => self.refuse(worker, policy, reply, &refused),
        }
    }

    fn next(
        &self,
        policy: &Policy,
        head: &Head<'_>,
        headers: &[u8],
        now_ns: u64,
        answers: &mut Answers,
    ) -> Result<Next, Refused> {
        let is_beyond = atomic::asks_beyond(headers);
        let staging = &self.running.staging;
        let limits = staging.limits();
        let limits = FastLimits {
            of_stream: limits.open_of_stream.unwrap_or(OPEN_OF_STREAM),
            of_all: limits.open_of_all.unwrap_or(OPEN_OF_ALL),
            timeout_ns: limits.timeout_ns,
        };
        self.running.with_fast(|batches| {
            let others = staging.other_fast(batches.count());
            batches.receive(policy, head, is_beyond, (&limits, others, now_ns), answers)
        })
    }

    fn propose_fast(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        (head, reply): (&Head<'_>, &[u8]),
        mut proposal: Proposal<'_>,
    ) {
        let mut text = BatchText::default();
        text.push(&proposal.message(worker.now_ns));
        let purges = proposal.purges();
        if !purges.is_empty() && !self.running.may_purge_schedule(purges) {
            proposal.refuse_by_schedule();
        }
        let entry = Entry::Batch(text.batch());
        if let Some(late) = proposal.late.take() {
            let failure = {
                let kept = self.running.kept();
                let found = kept.stream().check_refused_batch(text.batch());
                found.map(|refusal| failure_of(&refusal, &entry, kept.stream()))
            };
            let failure = failure.unwrap_or(Failure::Refused(late.refused));
            return self.fail(worker, policy, (head, reply), &failure);
        }
        // Where a message may be refused, those behind it must not be stored before that is known.
        let may_be_refused = proposal.has_conditions() || policy.limits.discard != Discard::Old;
        self.running.with_fast(|batches| batches.propose(head, may_be_refused));
        self.propose_entry(worker, policy, &entry, reply);
        if self.running.is_in_memory() || self.running.is_failing() {
            // It was decided at once: nothing came behind it.
            self.running.released(reply);
        }
    }

    fn hold(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        (head, subject): (&Head<'_>, &[u8]),
        message: &Message<'_>,
    ) {
        let waiting = Held {
            reply: message.reply.to_vec(),
            subject: subject.to_vec(),
            headers: message.headers.to_vec(),
            payload: message.payload.to_vec(),
        };
        if let Err(refused) = self.running.with_fast(|batches| batches.hold(head, waiting)) {
            self.refuse(worker, policy, message.reply, &refused);
        }
    }

    fn fail(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        (head, reply): (&Head<'_>, &[u8]),
        failure: &Failure,
    ) {
        let mut answers = Answers::new();
        self.running.with_fast(|batches| batches.fail(policy, head, failure, &mut answers));
        self.tell(worker, reply, &mut answers);
    }

    fn refuse(&self, worker: &mut Worker, policy: &Policy, reply: &[u8], refused: &Refused) {
        self.answer(worker, policy, reply, |text| refused.write(text, &policy.name));
    }

    /// Sends what a publisher is told.
    pub(super) fn tell(&self, worker: &mut Worker, reply: &[u8], answers: &mut Answers) {
        // What becomes of the message is told behind it, by another thread.
        worker.answers_first |= !answers.is_empty();
        for answer in answers.drain(..) {
            worker.answer_with(&self.running.account, reply, |text| {
                text.extend_from_slice(&answer);
            });
        }
    }
}

impl Outgoing {
    /// Adds what a publisher of a batch is told.
    pub(super) fn tell(&mut self, reply: &[u8], answers: Answers) {
        for answer in answers {
            self.answer(reply, |text| text.extend_from_slice(&answer));
        }
    }
}
