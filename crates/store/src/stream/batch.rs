//! Messages that are stored together or not at all.

use std::collections::{BTreeMap, BTreeSet};

use super::codec::{decode_message, encode_message};
use super::entry::{Discard, Message, Outcome, Refusal, Removed, Rollup};
use super::messages::MESSAGE_BYTES_MAX;
use super::texts::TEXT_BYTES_MAX;
use super::{SEQUENCE_MAX, Stream};
use crate::bytes::{Fields, push_counted};

/// Messages one behind the other, as the log has them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    count: u32,
    text: &'a [u8],
}

impl<'a> Batch<'a> {
    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// The messages, in order.
    pub fn iter(self) -> impl Iterator<Item = Message<'a>> {
        let mut fields = Fields(self.text);
        std::iter::from_fn(move || {
            let text = fields.counted()?;
            // It was read once before, or written by us.
            read_message(text)
        })
    }

    pub(super) fn encode(self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.count.to_le_bytes());
        to.extend_from_slice(self.text);
    }

    /// Reads it; `None` for what `encode` never writes.
    pub(super) fn decode(fields: &mut Fields<'a>) -> Option<Self> {
        let count = fields.u32()?;
        let text = fields.rest();
        let mut rest = Fields(text);
        for _ in 0..count {
            read_message(rest.counted()?)?;
        }
        (count > 0 && rest.is_at_end()).then_some(Self { count, text })
    }
}

fn read_message(text: &[u8]) -> Option<Message<'_>> {
    let mut fields = Fields(text);
    decode_message(&mut fields)
}

/// Gathers the messages of a batch.
#[derive(Debug, Default)]
pub struct BatchText {
    count: u32,
    text: Vec<u8>,
}

impl BatchText {
    /// Adds a message, whose body is held.
    pub fn push(&mut self, message: &Message<'_>) {
        let mut text = Vec::new();
        encode_message(&mut text, message);
        push_counted(&mut self.text, &text);
        self.count += 1;
    }

    /// What was gathered.
    pub fn batch(&self) -> Batch<'_> {
        Batch { count: self.count, text: &self.text }
    }
}

/// What the messages before one would have done.
#[derive(Default)]
struct Staged<'a> {
    ids: BTreeSet<&'a [u8]>,
    /// How many of each subject.
    subjects: BTreeMap<&'a [u8], u64>,
    messages: u64,
    bytes: u64,
}

impl Stream {
    /// Why a batch may not be stored. All of it is held against the stream as it is before the first
    /// of them, as nats-server does it.
    ///
    /// Source: nats-server 2.15 `server/jetstream_batching.go`.
    pub fn check_batch(&self, batch: Batch<'_>) -> Option<Refusal> {
        self.check_messages(batch, batch.count())
    }

    /// As `check_batch`, for a batch the last message of which will be refused: only its conditions
    /// are looked at.
    pub fn check_refused_batch(&self, batch: Batch<'_>) -> Option<Refusal> {
        self.check_messages(batch, batch.count().saturating_sub(1))
    }

    /// The first `limited` of them are held against the limits as well.
    fn check_messages(&self, batch: Batch<'_>, limited: u32) -> Option<Refusal> {
        let mut staged = Staged::default();
        (0..).zip(batch.iter()).find_map(|(number, message)| {
            let refusal = self.check_conditions(&message, &mut staged);
            if number < limited {
                refusal.or_else(|| self.check_limits(&message, &mut staged))
            } else {
                refusal
            }
        })
    }

    fn check_conditions<'a>(
        &self,
        message: &Message<'a>,
        staged: &mut Staged<'a>,
    ) -> Option<Refusal> {
        let (subject, id) = (message.subject, message.msg_id);
        let is_known = || self.duplicate_of(id, message.time_ns).is_some();
        if !id.is_empty() && (!staged.ids.insert(id) || is_known()) {
            return Some(Refusal::BatchHasDuplicate);
        }
        let conditions = &message.conditions;
        if let Some(expected) = conditions.last_seq {
            let last = self.last_seq + staged.messages;
            if expected != last {
                return Some(Refusal::WrongLastSequence { last });
            }
            if staged.messages > 0 {
                return Some(Refusal::BatchExpectsOfItself);
            }
        }
        if let Some(expected) = conditions.last_subject_seq {
            let of_subject = conditions.subject.is_empty();
            let filter = if of_subject { subject } else { conditions.subject };
            if staged.subjects.contains_key(filter) {
                return Some(Refusal::BatchExpectsOfItself);
            }
            let last = self.last_seq_matching(filter).unwrap_or(0);
            if last != expected {
                return Some(Refusal::WrongLastSequence { last });
            }
        }
        let last_id = conditions.last_msg_id;
        if !last_id.is_empty() && (staged.messages > 0 || *last_id != *self.last_msg_id) {
            let last = self.last_msg_id.clone().into_boxed_slice();
            return Some(Refusal::WrongLastMsgId { last });
        }
        match message.rollup {
            Rollup::Subject if staged.subjects.contains_key(subject) => {
                Some(Refusal::BatchRollsUpItself { all: false })
            }
            Rollup::All if staged.messages > 0 => Some(Refusal::BatchRollsUpItself { all: true }),
            _ => None,
        }
    }

    fn check_limits<'a>(&self, message: &Message<'a>, staged: &mut Staged<'a>) -> Option<Refusal> {
        let bytes = self.storage.message_bytes(message.subject, &message.body);
        if bytes > MESSAGE_BYTES_MAX || message.subject.len() > TEXT_BYTES_MAX {
            return Some(Refusal::MessageTooLarge);
        }
        staged.messages += 1;
        staged.bytes += bytes;
        let of_subject = staged.subjects.entry(message.subject).or_default();
        *of_subject += 1;
        if staged.messages > SEQUENCE_MAX - self.last_seq {
            return Some(Refusal::NoSequenceLeft);
        }
        let limits = &self.limits;
        if limits.discard == Discard::Old {
            return None;
        }
        if limits.msgs_max > 0 && self.messages.count() + staged.messages > limits.msgs_max {
            return Some(Refusal::MsgsMax);
        }
        if limits.bytes_max > 0 && self.bytes + staged.bytes > limits.bytes_max {
            return Some(Refusal::BytesMax);
        }
        let is_limited = limits.discard == Discard::NewPerSubject
            && limits.msgs_per_subject_max > 0
            && message.rollup == Rollup::None;
        let held = self.subjects.find(message.subject).map_or(0, |id| self.subjects.get(id).count);
        let is_full = held + *of_subject > limits.msgs_per_subject_max;
        (is_limited && is_full).then_some(Refusal::MsgsPerSubjectMax)
    }

    /// Stores all messages, or none; the outcome has the sequence of the last.
    pub(super) fn store_batch(&mut self, batch: Batch<'_>, removed: &mut Removed) -> Outcome {
        if let Some(refusal) = self.check_batch(batch) {
            return Outcome::Refused(refusal);
        }
        let mut outcome = Outcome::Done;
        for message in batch.iter() {
            outcome = self.store(&unconditional(message), removed);
        }
        outcome
    }
}

/// A message of a batch that was checked: it is stored whatever the ones before it did.
pub(crate) fn unconditional(message: Message<'_>) -> Message<'_> {
    Message { conditions: super::Conditions::default(), ..message }
}
