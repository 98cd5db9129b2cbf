//! Batches that are acknowledged now and then: their control is in the reply subject of each message.
//!
//! `<prefix>.<id>.<flow>.<gap>.<sequence>.<operation>.$FI`. A message is *pending* from when it is
//! proposed until it is known what became of it.
//!
//! Source: nats-server 2.15 `server/stream.go`, `processJetStreamFastBatchMsg`; ADR-50.

mod reply;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::ack;
use crate::atomic::{self, Exceeded};
use crate::errors::{self, Refused};
use crate::policy::Policy;

pub use reply::{Head, Invalid, is_fast, parse};

const ID_BYTES_MAX: usize = 64;

/// Messages between two acknowledgements, of all batches of a stream together (count).
const FLOW_MAX: u16 = 500;

/// What is not decided by the batch.
///
/// # Errors
/// What is answered; the batch stays as it is.
pub fn check<'a>(
    policy: &Policy,
    head: Result<Head<'a>, Invalid>,
    bytes: usize,
    exceeded: Option<Exceeded>,
) -> Result<Head<'a>, Refused> {
    atomic::check_message(policy, bytes, exceeded)?;
    if !policy.allows_batched {
        return Err(errors::batch_disabled());
    }
    let head = head.map_err(|Invalid| errors::batch_pattern_invalid())?;
    if head.id.len() > ID_BYTES_MAX { Err(errors::fast_id_invalid()) } else { Ok(head) }
}

/// How many batches there may be.
#[derive(Clone, Copy, Debug)]
pub struct FastLimits {
    /// Of a stream.
    pub of_stream: usize,
    /// Of the server.
    pub of_all: usize,
    /// Without a message for so long a batch is forgotten.
    pub timeout_ns: u64,
}

/// What is sent to the reply subject of the message at hand.
pub type Answers = Vec<Vec<u8>>;

/// What is to be done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Done,
    /// It is to be proposed: `propose` or `fail` is called next.
    Propose,
}

/// What became of a message that was not stored.
#[derive(Debug)]
pub enum Failure {
    /// One with the same id has this sequence.
    Duplicate(u64),
    /// It was refused.
    Refused(Refused),
}

/// A message that waits until another is decided.
#[derive(Debug)]
pub struct Held {
    /// Its reply subject.
    pub reply: Vec<u8>,
    /// Its subject.
    pub subject: Vec<u8>,
    /// The header block; empty without one.
    pub headers: Vec<u8>,
    /// The message without its headers.
    pub payload: Vec<u8>,
}

/// Messages of one batch that wait until another is decided (count).
const HELD_MAX: usize = 4096;

/// A batch.
#[derive(Debug)]
struct Fast {
    /// The highest that came.
    last: u64,
    /// The highest that is decided.
    decided: u64,
    /// That of the last acknowledgement.
    told: u64,
    /// In the stream, of the last message that was stored.
    stored_seq: u64,
    pending: u32,
    ack_every: u16,
    ack_every_max: u16,
    gap_ok: bool,
    /// It ends when all that is pending is decided.
    is_ending: bool,
    due_ns: u64,
    /// What came while a message is pending on which all that follows depends.
    held: Option<Vec<Held>>,
}

/// The batches of a stream.
#[derive(Debug, Default)]
pub struct FastBatches {
    open: HashMap<Vec<u8>, Fast>,
}

impl FastBatches {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Takes a message. `others` is the number of batches of other streams; `is_beyond` says that it
    /// asks for an API that this server has not.
    ///
    /// # Errors
    /// What is answered.
    pub fn receive(
        &mut self,
        policy: &Policy,
        head: &Head<'_>,
        is_beyond: bool,
        (limits, others, now_ns): (&FastLimits, usize, u64),
        answers: &mut Answers,
    ) -> Result<Next, Refused> {
        self.forget_due(now_ns);
        if !self.open.contains_key(head.id) {
            self.begin(head, limits, others)?;
        }
        if is_beyond {
            self.open.remove(head.id);
            return Err(errors::api_level_required());
        }
        let count = self.open.len();
        let Some(batch) = self.open.get_mut(head.id) else { return Ok(Next::Done) };
        batch.due_ns = now_ns.saturating_add(limits.timeout_ns);
        if head.is_ping {
            batch.ping(head, count, answers);
            self.end_if_decided(policy, head.id, answers);
            return Ok(Next::Done);
        }
        if batch.is_ending {
            // Who sends it waits for the last acknowledgement.
            return Ok(Next::Done);
        }
        if !batch.follow(head, answers) {
            batch.is_ending = true;
            batch.catch_up();
            self.end_if_decided(policy, head.id, answers);
            return Ok(Next::Done);
        }
        if head.is_commit {
            batch.is_ending = true;
            if head.is_end {
                batch.last -= 1;
                batch.catch_up();
                self.end_if_decided(policy, head.id, answers);
                return Ok(Next::Done);
            }
        } else if head.sequence == 1 && !policy.no_ack {
            answers.push(flow_ack(0, batch.ack_every));
        }
        Ok(Next::Propose)
    }

    fn begin(
        &mut self,
        head: &Head<'_>,
        limits: &FastLimits,
        others: usize,
    ) -> Result<(), Refused> {
        if head.sequence != 1 || head.is_ping {
            return Err(errors::fast_id_unknown());
        }
        let count = self.open.len() + 1;
        if count > limits.of_stream || others + count > limits.of_all {
            return Err(errors::fast_too_many());
        }
        let batch = Fast {
            last: 0,
            decided: 0,
            told: 0,
            stored_seq: 0,
            pending: 0,
            ack_every: if count > 1 { 1 } else { head.flow.min(FLOW_MAX) },
            ack_every_max: head.flow,
            gap_ok: head.gap_ok,
            is_ending: false,
            due_ns: 0,
            held: None,
        };
        self.open.insert(head.id.to_vec(), batch);
        Ok(())
    }

    /// The message at hand is proposed. Where `decides`, those behind it are held until it is decided.
    pub fn propose(&mut self, head: &Head<'_>, decides: bool) {
        if let Some(batch) = self.open.get_mut(head.id) {
            batch.pending += 1;
            if decides && !batch.gap_ok {
                batch.held = Some(Vec::new());
            }
        }
    }

    /// Whether a message of this batch is to be held.
    pub fn is_holding(&self, head: &Head<'_>) -> bool {
        self.open.get(head.id).is_some_and(|batch| batch.held.is_some())
    }

    /// Holds a message.
    ///
    /// # Errors
    /// More wait than may.
    pub fn hold(&mut self, head: &Head<'_>, message: Held) -> Result<(), Refused> {
        let waiting = self.open.get_mut(head.id).and_then(|batch| batch.held.as_mut());
        match waiting {
            Some(waiting) if waiting.len() < HELD_MAX => {
                waiting.push(message);
                Ok(())
            }
            _ => Err(errors::fast_too_many()),
        }
    }

    /// What was held, once nothing is pending.
    pub fn release(&mut self, head: &Head<'_>) -> Vec<Held> {
        let batch = self.open.get_mut(head.id).filter(|batch| batch.pending == 0);
        batch.and_then(|batch| batch.held.take()).unwrap_or_default()
    }

    /// A message that was pending is stored.
    pub fn stored(&mut self, policy: &Policy, head: &Head<'_>, seq: u64, answers: &mut Answers) {
        let count = self.open.len();
        let Some(batch) = self.open.get_mut(head.id) else { return };
        batch.pending = batch.pending.saturating_sub(1);
        batch.stored_seq = seq;
        batch.decided = batch.decided.max(head.sequence);
        batch.catch_up();
        if !self.end_if_decided(policy, head.id, answers)
            && let Some(batch) = self.open.get_mut(head.id)
        {
            batch.acknowledge(count, answers);
        }
    }

    /// A message that was pending is not stored.
    pub fn failed(
        &mut self,
        policy: &Policy,
        head: &Head<'_>,
        failure: &Failure,
        answers: &mut Answers,
    ) {
        if let Some(batch) = self.open.get_mut(head.id) {
            batch.pending = batch.pending.saturating_sub(1);
        }
        self.fail(policy, head, failure, answers);
    }

    /// The message at hand is not stored.
    pub fn fail(
        &mut self,
        policy: &Policy,
        head: &Head<'_>,
        failure: &Failure,
        answers: &mut Answers,
    ) {
        let count = self.open.len();
        let Some(batch) = self.open.get_mut(head.id) else { return };
        let is_duplicate = matches!(failure, Failure::Duplicate(_));
        if is_duplicate {
            batch.catch_up();
            if batch.pending == 0 {
                batch.acknowledge(count, answers);
            }
            if !head.is_commit {
                self.end_if_decided(policy, head.id, answers);
                return;
            }
        }
        if !head.gap_ok && batch.last == 1 {
            // As to a message alone.
            self.open.remove(head.id);
            answers.push(alone(policy, head, failure));
            return;
        }
        if let Failure::Refused(refused) = failure {
            answers.push(flow_error(head.sequence, refused));
            if head.gap_ok && !head.is_commit {
                batch.catch_up_if_ending();
                self.end_if_decided(policy, head.id, answers);
                return;
            }
            batch.last = batch.last.min(head.sequence - 1);
            batch.catch_up();
        }
        batch.is_ending = true;
        self.end_if_decided(policy, head.id, answers);
    }

    /// Ends a batch that is to end, if nothing of it is pending.
    fn end_if_decided(&mut self, policy: &Policy, id: &[u8], answers: &mut Answers) -> bool {
        let ended = self.open.get(id).filter(|batch| batch.is_ending);
        let Some(batch) = ended.filter(|batch| batch.last == batch.decided) else { return false };
        let (seq, count) = (batch.stored_seq, batch.last);
        self.open.remove(id);
        let mut text = Vec::new();
        ack::write_batch(&mut text, policy, seq, id, count);
        answers.push(text);
        true
    }

    /// Forgets those for which nothing comes.
    pub fn forget_due(&mut self, now_ns: u64) {
        self.open.retain(|_, batch| batch.is_ending || batch.due_ns > now_ns);
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.open.clear();
    }
}

impl Fast {
    /// Whether a message may follow those before it.
    fn follow(&mut self, head: &Head<'_>, answers: &mut Answers) -> bool {
        let expected = self.last + 1;
        if head.sequence != expected {
            answers.push(flow_gap(expected, head.sequence));
        }
        let may_follow = head.sequence == expected || (self.gap_ok && head.sequence > expected);
        if may_follow {
            self.last = head.sequence;
        }
        may_follow
    }

    fn ping(&mut self, head: &Head<'_>, count: usize, answers: &mut Answers) {
        if head.sequence > self.last {
            answers.push(flow_gap(self.last + 1, head.sequence + 1));
            if self.gap_ok {
                self.last = head.sequence;
                self.catch_up();
                if self.acknowledge(count, answers) {
                    return;
                }
            } else {
                self.is_ending = true;
                if self.last == self.decided {
                    return;
                }
            }
        }
        answers.push(flow_ack(self.told, self.ack_every));
    }

    /// With nothing pending all that came is decided.
    fn catch_up(&mut self) {
        if self.pending == 0 {
            self.decided = self.last;
        }
    }

    fn catch_up_if_ending(&mut self) {
        if self.is_ending {
            self.catch_up();
        }
    }

    /// Acknowledges what is decided, if it is enough; `count` batches share what there is.
    fn acknowledge(&mut self, count: usize, answers: &mut Answers) -> bool {
        let every = u64::from(self.ack_every);
        if self.decided < self.told + every {
            return false;
        }
        self.told += (self.decided - self.told) / every * every;
        let share = usize::from(FLOW_MAX) / count.max(1);
        let most = u16::try_from(share).unwrap_or(FLOW_MAX).clamp(1, self.ack_every_max);
        if self.ack_every < most {
            self.ack_every = self.ack_every.saturating_mul(2).min(most);
        } else if self.ack_every > most {
            self.ack_every = (self.ack_every / 2).max(most);
        }
        answers.push(flow_ack(self.told, self.ack_every));
        true
    }
}

/// What is answered to the first message of a batch that it ends.
fn alone(policy: &Policy, head: &Head<'_>, failure: &Failure) -> Vec<u8> {
    let mut text = Vec::new();
    match failure {
        Failure::Duplicate(seq) => {
            ack::write_duplicate_batch(&mut text, policy, *seq, head.id, head.sequence);
        }
        Failure::Refused(refused) => refused.write(&mut text, &policy.name),
    }
    text
}

fn flow_ack(sequence: u64, every: u16) -> Vec<u8> {
    format!(r#"{{"type":"ack","seq":{sequence},"msgs":{every}}}"#).into_bytes()
}

fn flow_gap(expected: u64, sequence: u64) -> Vec<u8> {
    format!(r#"{{"type":"gap","last_seq":{expected},"seq":{sequence}}}"#).into_bytes()
}

fn flow_error(sequence: u64, refused: &Refused) -> Vec<u8> {
    let mut head = String::new();
    // Writing to a String cannot fail.
    let _ = write!(head, r#"{{"type":"err","seq":{sequence},"error":"#);
    let mut text = head.into_bytes();
    refused.write_error(&mut text);
    text.push(b'}');
    text
}
