//! What is asked of a stream, and what came of it.

use std::fmt;
use std::ops::RangeInclusive;

use super::batch::Batch;

/// A change of a stream. Times are decided by whoever proposes it, never where it is applied.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// Store a message; its sequence is the next one.
    Store(Message<'a>),
    /// Store messages, all or none; their sequences are the next ones.
    Batch(Batch<'a>),
    /// A message that nobody is interested in: it takes the next sequence and is not stored.
    Pass {
        /// When it was accepted.
        time_ns: u64,
        /// Its id, empty if it has none.
        msg_id: &'a [u8],
    },
    /// Leave out all sequences up to this one, as a mirror does where its origin has gaps.
    Skip {
        /// The last one that is left out.
        last_seq: u64,
        /// Becomes the time of the last message if there was none yet.
        time_ns: u64,
    },
    /// Remove one message.
    Remove {
        /// Which.
        seq: u64,
    },
    /// Remove many messages.
    Purge(Purge<'a>),
    /// Remove what is too old at this time, and forget message ids.
    Expire {
        /// The time that was proposed.
        now_ns: u64,
    },
    /// Put other limits in force.
    Limit(Limits),
}

/// A message that is to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// A valid subject without wildcards.
    pub subject: &'a [u8],
    /// Its bytes, or where they are.
    pub body: Body<'a>,
    /// Since 1970.
    pub time_ns: u64,
    /// How long it may stay.
    pub lifetime: Lifetime,
    /// What it replaces.
    pub rollup: Rollup,
    /// Its id, empty if it has none.
    pub msg_id: &'a [u8],
    /// What must hold for it to be stored.
    pub conditions: Conditions<'a>,
    /// It tells that its subject's messages are gone; it leaves no such message itself.
    pub is_marker: bool,
    /// All messages of this other subject go when it is stored; empty for none.
    pub purges: &'a [u8],
}

/// What must hold for a message to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Conditions<'a> {
    /// The last sequence of the stream.
    pub last_seq: Option<u64>,
    /// The sequence of the last message with its subject, or with `subject`; 0 if there is none.
    pub last_subject_seq: Option<u64>,
    /// Other subjects than the message's to look at, which may have wildcards; empty for its own.
    pub subject: &'a [u8],
    /// The id of the last message that was stored, empty for any.
    pub last_msg_id: &'a [u8],
}

/// The bytes of a message.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// A file stream's: they are at a place that only the caller understands.
    Placed {
        /// Length of the headers, zero without any.
        header_bytes: u32,
        /// Length of the payload.
        payload_bytes: u32,
        /// Where they are.
        place: u64,
    },
    /// A memory stream's: they are copied.
    Held {
        /// As on the wire, empty without any.
        headers: &'a [u8],
        /// The message without its headers.
        payload: &'a [u8],
    },
}

impl Body<'_> {
    /// Lengths of headers and payload.
    pub(super) fn lengths(&self) -> (u64, u64) {
        match *self {
            Self::Placed { header_bytes, payload_bytes, .. } => {
                (header_bytes.into(), payload_bytes.into())
            }
            Self::Held { headers, payload } => (headers.len() as u64, payload.len() as u64),
        }
    }
}

/// How long a message may stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as the stream's limits allow.
    #[default]
    Limits,
    /// So long at most, and no longer than the stream's limits allow.
    Ttl {
        /// From its time on.
        ttl_ns: u64,
    },
    /// The stream's age limit does not hold for it.
    Never,
}

/// What a message replaces when it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rollup {
    /// Nothing.
    #[default]
    None,
    /// All other messages of its subject.
    Subject,
    /// All other messages.
    All,
}

/// Which messages to remove. Zero means that a bound is absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Purge<'a> {
    /// Of which subjects; empty for all.
    pub filter: &'a [u8],
    /// Only those below this sequence: 1 purges nothing. Beyond the end and for all subjects, the
    /// next message gets this sequence.
    pub below_seq: u64,
    /// The newest that stay, of all that the filter matches (count).
    pub keep: u64,
}

/// How much a stream holds. Zero means without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages (count).
    pub msgs_max: u64,
    /// Their size: see [`Storage`](super::Storage).
    pub bytes_max: u64,
    /// Messages of one subject (count).
    pub msgs_per_subject_max: u64,
    /// Age of a message.
    pub age_max_ns: u64,
    /// What goes when a limit is met.
    pub discard: Discard,
    /// How long message ids are remembered; zero remembers none.
    pub duplicate_window_ns: u64,
    /// A subject's last message is not removed by age: [`Effects::expiring`] names it, and whoever
    /// proposed the expiry proposes a marker that replaces it.
    pub marks_expiry: bool,
    /// Payloads are packed, where they are in files.
    pub packs: bool,
}

/// What goes when a limit is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Discard {
    /// The oldest messages.
    #[default]
    Old,
    /// The new message, unless it replaces an older one of its subject.
    New,
    /// The new message, also where its subject is full.
    NewPerSubject,
}

/// What came of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effects {
    /// What became of the message, if the entry had one.
    pub outcome: Outcome,
    /// What was removed.
    pub removed: Removed,
    /// Messages that are due, in the place of which a marker is to be stored.
    pub expiring: Vec<u64>,
}

impl Effects {
    /// Nothing.
    pub fn none() -> Self {
        Self { outcome: Outcome::Done, removed: Removed::default(), expiring: Vec::new() }
    }
}

/// What became of an entry's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The entry had none.
    Done,
    /// It has this sequence.
    Stored {
        /// The one it was given; of a batch, that of the last message.
        seq: u64,
    },
    /// One with the same id has this sequence.
    Duplicate {
        /// The one that was given then.
        seq: u64,
    },
    /// It was refused.
    Refused(Refusal),
}

/// Why a message was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `msgs_max`.
    MsgsMax,
    /// `bytes_max`.
    BytesMax,
    /// `msgs_per_subject_max`.
    MsgsPerSubjectMax,
    /// No stream takes one of this size.
    MessageTooLarge,
    /// The stream has given its last sequence.
    NoSequenceLeft,
    /// The stream takes nothing now: its disk does not.
    Failed,
    /// Another last sequence was expected, of the stream or of a subject.
    WrongLastSequence {
        /// The one that there is.
        last: u64,
    },
    /// Another id of the last message was expected.
    WrongLastMsgId {
        /// The one that it has, empty without one.
        last: Box<[u8]>,
    },
    /// Two messages of a batch have the same id, or one has an id that is remembered.
    BatchHasDuplicate,
    /// A message of a batch has a condition that those before it decide.
    BatchExpectsOfItself,
    /// A message of a batch would replace one before it.
    BatchRollsUpItself {
        /// Whatever its subject.
        all: bool,
    },
}

impl fmt::Display for Refusal {
    /// As nats-server says it, except that it knows no last sequence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the disk takes nothing",
            Self::WrongLastSequence { .. } | Self::BatchExpectsOfItself => "wrong last sequence",
            Self::WrongLastMsgId { .. } => "wrong last msg ID",
            Self::MsgsMax => "maximum messages exceeded",
            Self::BytesMax => "maximum bytes exceeded",
            Self::MsgsPerSubjectMax => "maximum messages per subject exceeded",
            Self::MessageTooLarge => "message too large",
            Self::NoSequenceLeft => "no sequence left",
            Self::BatchHasDuplicate => "the batch has a duplicate",
            Self::BatchRollsUpItself { all: false } => "batch rollup sub invalid",
            Self::BatchRollsUpItself { all: true } => "batch rollup all invalid",
        })
    }
}

/// Messages that were removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Where they were, ascending and apart: nothing is left in these.
    pub ranges: Vec<RangeInclusive<u64>>,
    /// How many.
    pub messages: u64,
    /// Their size.
    pub bytes: u64,
}

impl Removed {
    pub(super) fn add(&mut self, seq: u64, bytes: u64) {
        self.messages += 1;
        self.bytes += bytes;
        self.add_range(seq..=seq);
    }

    /// Adds what another entry removed.
    pub(crate) fn extend(&mut self, other: Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        for range in other.ranges {
            self.add_range(range);
        }
    }

    pub(super) fn add_range(&mut self, range: RangeInclusive<u64>) {
        match self.ranges.last_mut() {
            // Sequences end before the last number: one more is one.
            Some(last) if (*last.start()..=last.end() + 1).contains(range.start()) => {
                *last = *last.start()..=*range.end().max(last.end());
            }
            _ => self.ranges.push(range),
        }
    }

    /// Brings ranges that were added in another order into theirs.
    pub(crate) fn sort(&mut self) {
        if self.ranges.is_sorted_by(|one, next| one.end() + 1 < *next.start()) {
            return;
        }
        let mut ranges = std::mem::take(&mut self.ranges);
        ranges.sort_unstable_by_key(|range| *range.start());
        for range in ranges {
            self.add_range(range);
        }
    }
}
