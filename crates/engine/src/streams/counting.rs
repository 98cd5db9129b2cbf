//! Streams of counters: the total that a message makes is known before it is proposed.
//!
//! What stands in the log must be what is stored, so a total is computed on what the messages in
//! flight will have made, and its entry says by its conditions which state it was computed for. Where
//! that is not the state it meets (a message before it was a duplicate, the subject was purged), it
//! is refused, computed anew and proposed again; its publisher does not notice.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use keelback_jetstream::counter;
use keelback_jetstream::errors::Refused;
use keelback_jetstream::policy::Policy;
use keelback_jetstream::publish::{self, Proposal};
use keelback_store::disk::Disk;
use keelback_store::log::Position;
use keelback_store::stream::{Body, Conditions, Entry, Message, Outcome, Refusal, Stream};
use num_bigint::BigInt;

use super::Streams;
use super::ingest::StreamReceiver;
use super::outgoing::Outgoing;
use super::running::{Kept, Running};
use crate::lock;
use crate::proposals::Proposer;
use crate::receiver::Received;
use crate::worker::Worker;

/// What the messages in flight will have made.
#[derive(Debug, Default)]
pub(super) struct Counting {
    /// Of each, for which prediction it was computed.
    in_flight: VecDeque<u64>,
    prediction: u64,
    last_seq: u64,
    /// Last sequence and total, by subject.
    totals: HashMap<Vec<u8>, (u64, BigInt)>,
}

impl Counting {
    /// Nothing is predicted beyond what the stream holds.
    fn begin(&mut self, stream: &Stream) {
        self.prediction += 1;
        self.last_seq = stream.last_seq();
        self.totals.clear();
    }

    /// What the message in flight that is decided now was computed for.
    fn end(&mut self) -> bool {
        let prediction = self.in_flight.pop_front();
        if self.in_flight.is_empty() {
            self.totals.clear();
        }
        prediction == Some(self.prediction)
    }
}

/// A message that is computed anew.
pub(super) struct Again {
    reply: Vec<u8>,
    subject: Vec<u8>,
    headers: Vec<u8>,
    msg_id: Vec<u8>,
    time_ns: u64,
}

impl Again {
    pub(super) fn new(message: &Message<'_>, reply: &[u8]) -> Self {
        let headers = match message.body {
            Body::Held { headers, .. } => headers,
            Body::Placed { .. } => b"",
        };
        Self {
            reply: reply.to_vec(),
            subject: message.subject.to_vec(),
            headers: headers.to_vec(),
            msg_id: message.msg_id.to_vec(),
            time_ns: message.time_ns,
        }
    }
}

impl<D: Disk + Clone> Kept<D> {
    /// The last sequence and the total of a subject.
    fn total(&mut self, subject: &[u8]) -> Result<(u64, BigInt), Refused> {
        let Some(seq) = self.stream().last_seq_matching(subject) else {
            return Ok((0, BigInt::default()));
        };
        let found = self.read(seq).ok().flatten().ok_or_else(counter::broken)?;
        Ok((seq, counter::total(&found.payload)?))
    }
}

impl<D: Disk + Clone> Running<D> {
    /// Takes note of what became of a message; whether it is to be computed anew.
    pub(super) fn counted(&self, outcome: &Outcome, stream: &Stream) -> bool {
        let mut counting = lock(&self.counting);
        let is_stored = matches!(outcome, Outcome::Stored { .. });
        if counting.end() && !is_stored {
            // What was computed behind it was computed for what does not come.
            counting.begin(stream);
        }
        matches!(outcome, Outcome::Refused(Refusal::WrongLastSequence { .. }))
    }

    /// Takes note of a message that the log did not take.
    pub(super) fn not_counted(&self) {
        let kept = self.kept();
        let mut counting = lock(&self.counting);
        if counting.end() {
            counting.begin(kept.stream());
        }
    }

    /// The conditions of a message, and its total, if it is proposed next.
    fn predict(
        &self,
        subject: &[u8],
        increment: &BigInt,
    ) -> Result<(Conditions<'static>, BigInt), Refused> {
        let mut kept = self.kept();
        let mut counting = lock(&self.counting);
        if counting.in_flight.is_empty() {
            counting.begin(kept.stream());
        }
        let (subject_seq, total) = match counting.totals.get(subject) {
            Some((seq, total)) => (*seq, total.clone()),
            None => kept.total(subject)?,
        };
        let conditions = Conditions {
            last_seq: Some(counting.last_seq),
            last_subject_seq: Some(subject_seq),
            ..Conditions::default()
        };
        Ok((conditions, total + increment))
    }

    /// Takes note of a message that is proposed as it was predicted.
    fn follow(&self, subject: &[u8], total: BigInt) {
        let mut counting = lock(&self.counting);
        counting.last_seq += 1;
        let (seq, prediction) = (counting.last_seq, counting.prediction);
        counting.totals.insert(subject.to_vec(), (seq, total));
        counting.in_flight.push_back(prediction);
    }
}

impl<D: Disk + Clone> Streams<D> {
    /// Proposes messages that were computed for another state than they met.
    pub(super) fn count_again(
        &self,
        worker: &mut Worker,
        running: &Arc<Running<D>>,
        policy: &Policy,
        messages: &[Again],
    ) {
        let Some(streams) = self.me.upgrade().filter(|_| !messages.is_empty()) else { return };
        let proposer: Arc<dyn Proposer> = streams;
        let receiver = StreamReceiver { running: running.clone(), proposer };
        let _order = lock(&running.counting_order);
        for again in messages {
            let Ok(Some(increment)) = counter::increment(&again.headers) else { continue };
            let message = Message {
                subject: &again.subject,
                body: Body::Held { headers: &again.headers, payload: b"" },
                time_ns: again.time_ns,
                lifetime: keelback_store::stream::Lifetime::Limits,
                rollup: keelback_store::stream::Rollup::None,
                msg_id: &again.msg_id,
                conditions: Conditions::default(),
                is_marker: false,
                purges: b"",
            };
            receiver.count(worker, policy, &message, &increment, &again.reply);
        }
        worker.propose();
    }
}

impl<D: Disk + Clone> StreamReceiver<D> {
    /// Takes messages that count.
    pub(super) fn receive_counted(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        received: &Received<'_>,
    ) {
        // Entries stand in the log in the order in which they were computed.
        let order = lock(&self.running.counting_order);
        for message in received.iter() {
            let now_ns = worker.now_ns;
            let random = &mut || worker.next_random() as u32;
            let (headers, payload) = (message.headers, message.payload);
            match publish::read(policy, received.subject, headers, payload, now_ns, random) {
                Ok(mut proposal) => {
                    self.refuse_by_limits(policy, &mut proposal);
                    self.count_proposal(worker, policy, &proposal, message.reply);
                }
                Err(refused) => {
                    let write = |text: &mut Vec<u8>| refused.write(text, &policy.name);
                    self.answer(worker, policy, message.reply, write);
                }
            }
        }
        worker.flush_borrowed(received.input);
        worker.propose();
        drop(order);
    }

    fn count_proposal(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        proposal: &Proposal<'_>,
        reply: &[u8],
    ) {
        let message = proposal.message(worker.now_ns);
        if proposal.late.is_some() {
            return self.propose(worker, policy, proposal, reply);
        }
        let Body::Held { headers, .. } = message.body else { return };
        // It was read before, and there is one.
        if let Ok(Some(increment)) = counter::increment(headers) {
            self.count(worker, policy, &message, &increment, reply);
        }
    }

    /// Proposes a message with the total that it makes.
    fn count(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        message: &Message<'_>,
        increment: &BigInt,
        reply: &[u8],
    ) {
        if self.running.is_in_memory() {
            return self.count_in_memory(worker, policy, message, increment, reply);
        }
        let predicted = self.running.predict(message.subject, increment);
        let predicted = predicted.and_then(|(conditions, total)| {
            let payload = stored_payload(worker, policy, message, &total)?;
            Ok((conditions, total, payload))
        });
        let (conditions, total, payload) = match predicted {
            Ok(predicted) => predicted,
            Err(refused) => {
                let found = self.running.kept().stream().check(message, true);
                return self.answer_refused(worker, policy, reply, found.as_ref(), &refused);
            }
        };
        if !self.running.is_failing() {
            self.running.follow(message.subject, total);
        }
        let entry = Entry::Store(Message { conditions, ..with_payload(message, &payload) });
        self.propose_entry(worker, policy, &entry, reply);
    }

    fn count_in_memory(
        &self,
        worker: &mut Worker,
        policy: &Policy,
        message: &Message<'_>,
        increment: &BigInt,
        reply: &[u8],
    ) {
        let mut outgoing = Outgoing::default();
        let mut kept = self.running.kept();
        if let Some(outcome) = kept.stream().check(message, true) {
            drop(kept);
            let write = |text: &mut Vec<u8>| {
                keelback_jetstream::ack::write(text, policy, &outcome);
            };
            return self.answer(worker, policy, reply, write);
        }
        let made = kept
            .total(message.subject)
            .and_then(|(_, total)| stored_payload(worker, policy, message, &(total + increment)));
        match made {
            Ok(payload) => {
                let entry = Entry::Store(with_payload(message, &payload));
                let at = Position::default();
                let effects = kept.apply_and_republish(at, &entry, policy, worker, &mut outgoing);
                drop(kept);
                outgoing.publish_later(worker, &self.running);
                self.answer(worker, policy, reply, |text| {
                    keelback_jetstream::ack::answer(text, policy, &entry, &effects.outcome);
                });
            }
            Err(refused) => {
                drop(kept);
                self.answer_refused(worker, policy, reply, None, &refused);
            }
        }
    }
}

/// What is stored in the place of a message, unless that is too long.
fn stored_payload(
    worker: &Worker,
    policy: &Policy,
    message: &Message<'_>,
    total: &BigInt,
) -> Result<Vec<u8>, Refused> {
    let payload = counter::payload(total);
    let Body::Held { headers, .. } = message.body else { return Ok(payload) };
    let bytes = headers.len() + payload.len();
    let of_server = usize::try_from(worker.settings.limits.payload_bytes_max).ok();
    let most = [policy.message_bytes_max, of_server].into_iter().flatten().min();
    let is_too_long = most.is_some_and(|most| bytes > most);
    if is_too_long { Err(counter::too_long()) } else { Ok(payload) }
}

fn with_payload<'a>(message: &Message<'a>, payload: &'a [u8]) -> Message<'a> {
    let headers = match message.body {
        Body::Held { headers, .. } => headers,
        Body::Placed { .. } => b"",
    };
    Message { body: Body::Held { headers, payload }, ..*message }
}
