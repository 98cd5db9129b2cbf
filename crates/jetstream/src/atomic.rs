//! Batches that are stored whole or not at all: what the headers of a message say of its batch, and
//! the gathering of what comes before the last one.
//!
//! Source: nats-server 2.15 `server/stream.go`, `processJetStreamAtomicBatchMsg`; ADR-50.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::errors::{self, Refused};
use crate::headers::{self, find};
use crate::policy::Policy;

const ID: &[u8] = b"Nats-Batch-Id";
const SEQUENCE: &[u8] = b"Nats-Batch-Sequence";
const COMMIT: &[u8] = b"Nats-Batch-Commit";
const API_LEVEL: &[u8] = b"Nats-Required-Api-Level";

/// What this server has.
const API_LEVEL_MAX: i64 = 5;

const ID_BYTES_MAX: usize = 64;

/// Of one batch (bytes): it is one entry of the log.
const BATCH_BYTES_MAX: usize = 64 << 20;

/// Beside subject, headers and payload (bytes).
const MESSAGE_BYTES: usize = 128;

/// The batch of a message; `None` for one that is alone.
pub fn id(headers: &[u8]) -> Option<&[u8]> {
    find(headers, ID).filter(|id| !id.is_empty())
}

/// A message of a batch that is not complete.
#[derive(Debug)]
pub struct Staged {
    /// As it was published.
    pub subject: Vec<u8>,
    /// As they are stored.
    pub headers: Vec<u8>,
    /// The message without its headers.
    pub payload: Vec<u8>,
}

/// How a message ends its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Commit {
    /// It is the last.
    WithMessage,
    /// The one before was the last; it is not stored itself.
    EndOfBatch,
    Invalid,
}

/// What a message says of its batch.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    id: &'a [u8],
    sequence: u64,
    commit: Option<Commit>,
    /// It asks for an API that this server has not.
    is_beyond: bool,
}

/// A limit that a message exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exceeded {
    /// The server's.
    Server,
    /// The account's.
    Account,
}

/// Reads what a message with these headers says of its batch `id`. `bytes` is its size.
///
/// # Errors
/// What is answered; the batch stays as it is.
pub fn read<'a>(
    policy: &Policy,
    id: &'a [u8],
    headers: &[u8],
    bytes: usize,
    exceeded: Option<Exceeded>,
) -> Result<Head<'a>, Refused> {
    check_message(policy, bytes, exceeded)?;
    if !policy.allows_atomic {
        return Err(errors::atomic_disabled());
    }
    if id.len() > ID_BYTES_MAX {
        return Err(errors::batch_id_invalid());
    }
    let sequence = find(headers, SEQUENCE).and_then(sequence);
    let sequence = sequence.ok_or_else(errors::batch_sequence_missing)?;
    let commit = find(headers, COMMIT).map(|value| match value {
        b"1" => Commit::WithMessage,
        b"eob" => Commit::EndOfBatch,
        _ => Commit::Invalid,
    });
    Ok(Head { id, sequence, commit, is_beyond: asks_beyond(headers) })
}

/// Whether a message asks for an API that this server has not.
pub fn asks_beyond(headers: &[u8]) -> bool {
    find(headers, API_LEVEL).filter(|level| !level.is_empty()).is_some_and(is_beyond)
}

/// What is checked of each message of a batch, of whatever kind.
pub(crate) fn check_message(
    policy: &Policy,
    bytes: usize,
    exceeded: Option<Exceeded>,
) -> Result<(), Refused> {
    if policy.is_sealed {
        return Err(errors::sealed());
    }
    match exceeded {
        Some(Exceeded::Server) => return Err(errors::insufficient_resources()),
        Some(Exceeded::Account) => return Err(errors::account_resources_exceeded()),
        None => {}
    }
    let is_too_long = policy.message_bytes_max.is_some_and(|max| bytes > max);
    if is_too_long { Err(errors::message_too_long()) } else { Ok(()) }
}

fn sequence(digits: &[u8]) -> Option<u64> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

fn is_beyond(level: &[u8]) -> bool {
    let level = std::str::from_utf8(level).ok().and_then(|level| level.parse::<i64>().ok());
    level.is_none_or(|level| level > API_LEVEL_MAX)
}

/// The headers of a message of a batch, as they are stored.
pub fn stored(headers: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    headers::without(headers, API_LEVEL)
}

const OPEN_OF_STREAM: usize = 50;
const OPEN_OF_ALL: usize = 1000;

/// How many batches there may be, and how large.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// That are not complete, of a stream; as many as usual if it is not said.
    pub open_of_stream: Option<usize>,
    /// That are not complete, of the server.
    pub open_of_all: Option<usize>,
    /// In one batch (count).
    pub messages: u64,
    /// Without a message for so long a batch is abandoned.
    pub timeout_ns: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { open_of_stream: None, open_of_all: None, messages: 1000, timeout_ns: 10_000_000_000 }
    }
}

/// Why a batch was given up, as its advisory says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing came.
    Timeout,
    /// More came than may.
    Large,
    /// A message is missing.
    Incomplete,
    /// It asks for another API.
    Unsupported,
}

impl Reason {
    /// Its name in the advisory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Large => "large",
            Self::Incomplete => "incomplete",
            Self::Unsupported => "unsupported",
        }
    }
}

/// What became of a message.
#[derive(Debug)]
pub enum Added {
    /// It waits for the others.
    Waits,
    /// The batch is complete: its messages.
    Complete(Vec<Staged>),
    /// It was refused; with a reason, the batch is given up.
    Refused(Refused, Option<Reason>),
}

/// A batch that is not complete.
#[derive(Debug, Default)]
struct Open {
    messages: Vec<Staged>,
    bytes: usize,
    last_sequence: u64,
    due_ns: u64,
}

/// What a stream's open batches take of what the server has for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Batches.
    pub count: usize,
    /// Bytes of their messages.
    pub bytes: usize,
}

/// The batches of a stream that are not complete.
#[derive(Debug, Default)]
pub struct Batches {
    open: HashMap<Vec<u8>, Open>,
    bytes: usize,
}

impl Batches {
    /// What they take.
    pub fn taken(&self) -> Taken {
        Taken { count: self.open.len(), bytes: self.bytes }
    }

    /// Adds a message to its batch. `others` is what the batches of other streams take, and
    /// `bytes_max` what all may take.
    pub fn add(
        &mut self,
        head: &Head<'_>,
        message: Staged,
        limits: &BatchLimits,
        (others, bytes_max): (Taken, usize),
        now_ns: u64,
    ) -> Added {
        let is_end = head.commit == Some(Commit::EndOfBatch);
        let is_large = head.sequence - u64::from(is_end && head.sequence > 0) > limits.messages;
        if !self.open.contains_key(head.id) {
            if head.sequence != 1 {
                let refused = if is_large {
                    errors::batch_too_large(limits.messages)
                } else {
                    errors::batch_incomplete()
                };
                return Added::Refused(refused, None);
            }
            let count = self.open.len() + 1;
            let of_stream = limits.open_of_stream.unwrap_or(OPEN_OF_STREAM);
            let of_all = limits.open_of_all.unwrap_or(OPEN_OF_ALL);
            if count > of_stream || others.count + count > of_all {
                return Added::Refused(errors::atomic_too_many(), None);
            }
            self.open.insert(head.id.to_vec(), Open::default());
        }
        if head.commit == Some(Commit::Invalid) {
            self.remove(head.id);
            return Added::Refused(errors::batch_commit_invalid(), None);
        }
        if head.is_beyond {
            return self.give_up(head.id, errors::api_level_required(), Reason::Unsupported);
        }
        let Some(batch) = self.open.get_mut(head.id) else { return Added::Waits };
        batch.due_ns = now_ns.saturating_add(limits.timeout_ns);
        batch.last_sequence += 1;
        if batch.last_sequence != head.sequence || (is_end && head.sequence == 1) {
            return self.give_up(head.id, errors::batch_incomplete(), Reason::Incomplete);
        }
        let bytes = message.subject.len() + message.headers.len() + message.payload.len();
        let bytes = bytes + MESSAGE_BYTES;
        let is_large = is_large || batch.bytes + bytes > BATCH_BYTES_MAX;
        if is_large || others.bytes + self.bytes + bytes > bytes_max {
            let refused = errors::batch_too_large(limits.messages);
            return self.give_up(head.id, refused, Reason::Large);
        }
        if !is_end {
            batch.messages.push(message);
            batch.bytes += bytes;
            self.bytes += bytes;
        }
        if head.commit.is_none() {
            return Added::Waits;
        }
        let mut messages = self.remove(head.id);
        if is_end && let Some(last) = messages.last_mut() {
            // As if it had been told with the last message.
            let headers = Cow::Owned(std::mem::take(&mut last.headers));
            last.headers = headers::with(&headers, COMMIT, b"1").into_owned();
        }
        Added::Complete(messages)
    }

    /// Gives up those for which nothing came: their ids.
    pub fn give_up_due(&mut self, now_ns: u64) -> Vec<Vec<u8>> {
        let due = self.open.iter().filter(|(_, batch)| batch.due_ns <= now_ns);
        let due: Vec<_> = due.map(|(id, _)| id.clone()).collect();
        for id in &due {
            self.remove(id);
        }
        due
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    fn give_up(&mut self, id: &[u8], refused: Refused, reason: Reason) -> Added {
        self.remove(id);
        Added::Refused(refused, Some(reason))
    }

    fn remove(&mut self, id: &[u8]) -> Vec<Staged> {
        let batch = self.open.remove(id).unwrap_or_default();
        self.bytes -= batch.bytes;
        batch.messages
    }
}

#[cfg(test)]
mod tests {
    use keelback_store::stream::{Limits, Storage};

    use super::*;

    const OTHERS: (Taken, usize) = (Taken { count: 0, bytes: 0 }, 1 << 20);

    fn add(batches: &mut Batches, headers: &str, now_ns: u64) -> Added {
        let headers = format!("NATS/1.0\r\n{headers}\r\n\r\n").into_bytes();
        let mut policy = Policy::new("S", Storage::Memory, Limits::default());
        policy.allows_atomic = true;
        let limits = BatchLimits { messages: 3, timeout_ns: 10, ..BatchLimits::default() };
        let message = Staged { subject: b"s".to_vec(), headers: headers.clone(), payload: vec![1] };
        match read(&policy, id(&headers).unwrap_or_default(), &headers, 0, None) {
            Ok(head) => batches.add(&head, message, &limits, OTHERS, now_ns),
            Err(refused) => Added::Refused(refused, None),
        }
    }

    fn line(sequence: u64, more: &str) -> String {
        format!("Nats-Batch-Id: b\r\nNats-Batch-Sequence: {sequence}{more}")
    }

    #[test]
    fn a_batch_is_complete_with_its_last_message() {
        for (end, count) in [("\r\nNats-Batch-Commit: 1", 3), ("\r\nNats-Batch-Commit: eob", 2)] {
            let mut batches = Batches::default();
            assert!(matches!(add(&mut batches, &line(1, ""), 0), Added::Waits));
            assert!(matches!(add(&mut batches, &line(2, ""), 0), Added::Waits));
            let Added::Complete(messages) = add(&mut batches, &line(3, end), 0) else {
                panic!("it is not complete");
            };
            assert_eq!(messages.len(), count);
            assert_eq!(find(&messages[count - 1].headers, COMMIT), Some(&b"1"[..]));
            assert_eq!(batches.taken(), Taken::default());
        }
    }

    #[test]
    fn a_batch_with_a_gap_is_given_up() {
        let mut batches = Batches::default();
        assert!(matches!(add(&mut batches, &line(1, ""), 0), Added::Waits));
        let added = add(&mut batches, &line(3, ""), 0);
        assert!(matches!(added, Added::Refused(_, Some(Reason::Incomplete))));
        assert!(matches!(add(&mut batches, &line(2, ""), 0), Added::Refused(_, None)));
    }

    #[test]
    fn a_batch_that_is_too_large_is_given_up() {
        let mut batches = Batches::default();
        for sequence in 1..=3 {
            assert!(matches!(add(&mut batches, &line(sequence, ""), 0), Added::Waits));
        }
        let added = add(&mut batches, &line(4, ""), 0);
        assert!(matches!(added, Added::Refused(_, Some(Reason::Large))));
        assert_eq!(batches.taken(), Taken::default());
    }

    #[test]
    fn a_batch_that_is_forgotten_is_given_up() {
        let mut batches = Batches::default();
        assert!(matches!(add(&mut batches, &line(1, ""), 5), Added::Waits));
        assert!(batches.give_up_due(14).is_empty());
        assert!(matches!(add(&mut batches, &line(2, ""), 14), Added::Waits));
        assert!(batches.give_up_due(23).is_empty());
        assert_eq!(batches.give_up_due(24), [b"b"]);
        assert_eq!(batches.taken(), Taken::default());
    }
}
