//! The state of one stream in memory: which messages it holds, and what an entry does to them.
//!
//! A deterministic state machine: entries are applied in order, and two machines that applied the
//! same entries answer every question alike. It reads no clock and draws no random number; it
//! writes to no disk and knows no consumer. Whoever proposes an entry decides its time, the machine
//! decides what goes.
//!
//! Beside its bytes a message takes 22 bytes, 28 where messages are seconds apart, and 16 more
//! where its bytes are here; a subject takes 56 beside its text (`examples/stream_figures.rs`).
//!
//! Bounds of its parts are small in this crate's own tests, so that short tests meet them;
//! `tests/stream.rs` meets the real ones.
//!
//! Source: nats-server 2.15 `server/memstore.go`, `server/filestore.go`; the numbers in
//! `stream/tests.rs` are those that it shows.

mod arena;
mod batch;
mod codec;
mod column;
mod deadlines;
mod duplicates;
mod entry;
mod limits;
mod messages;
mod order;
mod query;
mod reach;
mod rebuild;
mod spans;
mod subjects;
#[cfg(test)]
mod tests;
mod texts;

use keelback_planted::{self as planted, Bug};

use arena::Arena;
use deadlines::Deadlines;
use duplicates::Duplicates;
use messages::{MESSAGE_BYTES_MAX, Messages, Slot};
use spans::Spans;
use subjects::Subjects;
use texts::TEXT_BYTES_MAX;

pub(crate) use batch::unconditional;
pub use batch::{Batch, BatchText};
pub use codec::{decode, encode};
pub use entry::{
    Body, Conditions, Discard, Effects, Entry, Lifetime, Limits, Message, Outcome, Purge, Refusal,
    Removed, Rollup,
};
pub use query::{Content, State, Stored, TooMany};
pub(crate) use rebuild::{Kept, Rebuild};
pub(crate) use spans::{Cold, Loaded, Source};

/// The last sequence that a message may get; one more is still a number.
pub const SEQUENCE_MAX: u64 = u64::MAX - 1;

/// Where a stream's bytes are, and so how limits count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// In files: 30 bytes, subject, payload; with headers 4 bytes and the headers.
    File,
    /// Here: 16 bytes, subject, headers, payload.
    Memory,
}

impl Storage {
    /// A message's size, as limits count it (bytes).
    pub fn message_bytes(self, subject: &[u8], body: &Body<'_>) -> u64 {
        let (header_bytes, payload_bytes) = body.lengths();
        let overhead_bytes = match self {
            Self::File if header_bytes > 0 => 34,
            Self::File => 30,
            Self::Memory => 16,
        };
        overhead_bytes + subject.len() as u64 + header_bytes + payload_bytes
    }
}

/// One stream.
pub struct Stream {
    storage: Storage,
    limits: Limits,
    messages: Messages,
    subjects: Subjects,
    arena: Arena,
    deadlines: Deadlines,
    duplicates: Duplicates,
    bytes: u64,
    /// The first message's, or the one behind the last; zero until something happened.
    first_seq: u64,
    last_seq: u64,
    last_time_ns: Option<u64>,
    /// Of the last message that was accepted; empty if it had none.
    last_msg_id: Vec<u8>,
    /// All before it never expire by age.
    age_checked_seq: u64,
    spans: Spans,
    /// Why messages that are not here could not be read.
    failure: Option<String>,
}

impl Stream {
    /// An empty stream whose first message gets the sequence `first_seq` (or 1, if that is 0).
    ///
    /// `hash_seed` changes nothing that can be seen; drawn at random, it keeps publishers from
    /// choosing subjects that collide.
    pub fn new(storage: Storage, first_seq: u64, limits: Limits, hash_seed: u64) -> Self {
        let mut duplicates = Duplicates::new(hash_seed, duplicates::HELD_BYTES_MAX);
        duplicates.set_window(limits.duplicate_window_ns);
        Self {
            storage,
            limits,
            messages: Messages::default(),
            subjects: Subjects::new(hash_seed),
            arena: Arena::default(),
            deadlines: Deadlines::default(),
            duplicates,
            bytes: 0,
            first_seq,
            last_seq: first_seq.saturating_sub(1),
            last_time_ns: None,
            last_msg_id: Vec::new(),
            age_checked_seq: 0,
            spans: Spans::default(),
            failure: None,
        }
    }

    /// Applies one entry, and says what came of it.
    ///
    /// # Panics
    /// A message's body is of the other kind of storage.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Effects {
        let mut removed = Removed::default();
        let mut expiring = Vec::new();
        let mut outcome = Outcome::Done;
        match *entry {
            Entry::Store(ref message) => outcome = self.store(message, &mut removed),
            Entry::Batch(batch) => outcome = self.store_batch(batch, &mut removed),
            Entry::Pass { time_ns, msg_id } => outcome = self.pass(time_ns, msg_id),
            Entry::Skip { last_seq, time_ns } => self.skip(last_seq, time_ns),
            Entry::Remove { seq } => {
                self.take(seq, &mut removed);
            }
            Entry::Purge(purge) => self.purge(purge, &mut removed),
            Entry::Expire { now_ns } => {
                self.duplicates.expire(now_ns);
                expiring = self.expire(now_ns, &mut removed);
            }
            Entry::Limit(limits) => self.limit(limits, &mut removed),
        }
        removed.sort();
        self.settle();
        Effects { outcome, removed, expiring }
    }

    fn store(&mut self, message: &Message<'_>, removed: &mut Removed) -> Outcome {
        if let Some(outcome) = self.check(message, true) {
            return outcome;
        }
        let bytes = self.storage.message_bytes(message.subject, &message.body);
        if let Some(refusal) = self.refusal(message, bytes) {
            return Outcome::Refused(refusal);
        }
        let seq = self.last_seq + 1;
        let place = self.keep(seq, &message.body);
        let subject = self.subjects.add(message.subject, seq, |seq| self.spans.is_cold(seq));
        let time_ns = message.time_ns;
        let flags = flags_of(message.lifetime, message.is_marker);
        self.messages.push(seq, &Slot { time_ns, place, subject, bytes, flags });
        if let Lifetime::Ttl { ttl_ns } = message.lifetime {
            self.deadlines.add(time_ns.saturating_add(ttl_ns), seq);
        }
        self.bytes += bytes;
        self.spans.add(bytes);
        self.advance(seq, time_ns, message.msg_id);
        self.enforce_subject(subject, removed);
        self.enforce_stream(removed);
        // The message itself may be gone already, if it alone is more than may be.
        if self.messages.contains(seq) {
            self.roll_up(message.rollup, subject, seq, removed);
        }
        if !message.purges.is_empty() {
            let filter = message.purges;
            self.purge(Purge { filter, below_seq: 0, keep: 0 }, removed);
        }
        Outcome::Stored { seq }
    }

    /// What becomes of a message that is not stored for its conditions, or for its id when
    /// `looks_at_ids` says so.
    pub fn check(&self, message: &Message<'_>, looks_at_ids: bool) -> Option<Outcome> {
        let conditions = &message.conditions;
        if let Some(expected) = conditions.last_subject_seq {
            let of_subject = conditions.subject.is_empty();
            let filter = if of_subject { message.subject } else { conditions.subject };
            let last = self.last_seq_matching(filter).unwrap_or(0);
            if last != expected {
                return Some(Outcome::Refused(Refusal::WrongLastSequence { last }));
            }
        }
        let last = self.last_seq;
        if conditions.last_seq.is_some_and(|expected| expected != last) {
            return Some(Outcome::Refused(Refusal::WrongLastSequence { last }));
        }
        if !looks_at_ids {
            return None;
        }
        if let Some(seq) = self.duplicate_of(message.msg_id, message.time_ns) {
            return Some(Outcome::Duplicate { seq });
        }
        if !conditions.last_msg_id.is_empty() && conditions.last_msg_id != self.last_msg_id {
            let last = self.last_msg_id.clone().into_boxed_slice();
            return Some(Outcome::Refused(Refusal::WrongLastMsgId { last }));
        }
        None
    }

    /// Why a message may not be stored.
    fn refusal(&mut self, message: &Message<'_>, bytes: u64) -> Option<Refusal> {
        if bytes > MESSAGE_BYTES_MAX || message.subject.len() > TEXT_BYTES_MAX {
            return Some(Refusal::MessageTooLarge);
        }
        if self.last_seq >= SEQUENCE_MAX {
            return Some(Refusal::NoSequenceLeft);
        }
        let limits = self.limits;
        if limits.discard == Discard::Old {
            return None;
        }
        let subject = self.subjects.find(message.subject);
        // Of a full subject the oldest message will go: it makes room for this one.
        let replaced = subject.filter(|&subject| {
            let count = self.subjects.get(subject).count;
            limits.msgs_per_subject_max > 0 && count >= limits.msgs_per_subject_max
        });
        let is_refused_per_subject =
            limits.discard == Discard::NewPerSubject && message.rollup == Rollup::None;
        if replaced.is_some() && is_refused_per_subject {
            return Some(Refusal::MsgsPerSubjectMax);
        }
        let is_full = limits.msgs_max > 0 && self.messages.count() >= limits.msgs_max;
        if is_full && replaced.is_none() {
            return Some(Refusal::MsgsMax);
        }
        if limits.bytes_max > 0 && self.bytes + bytes > limits.bytes_max {
            let replaced = replaced.and_then(|subject| {
                let seq = self.first_of(subject)?;
                self.slot(seq)
            });
            if replaced.is_none_or(|replaced| replaced.bytes < bytes) {
                return Some(Refusal::BytesMax);
            }
        }
        None
    }

    fn keep(&mut self, seq: u64, body: &Body<'_>) -> u64 {
        match (self.storage, *body) {
            (Storage::File, Body::Placed { place, .. }) => place,
            (Storage::Memory, Body::Held { headers, payload }) => {
                self.arena.append(seq, headers, payload)
            }
            (storage, _) => panic!("the body of a message is not that of {storage:?} storage"),
        }
    }

    fn pass(&mut self, time_ns: u64, msg_id: &[u8]) -> Outcome {
        if let Some(seq) = self.duplicate_of(msg_id, time_ns) {
            return Outcome::Duplicate { seq };
        }
        if self.last_seq >= SEQUENCE_MAX {
            return Outcome::Refused(Refusal::NoSequenceLeft);
        }
        let seq = self.last_seq + 1;
        self.advance(seq, time_ns, msg_id);
        Outcome::Stored { seq }
    }

    fn advance(&mut self, seq: u64, time_ns: u64, msg_id: &[u8]) {
        self.last_seq = seq;
        self.last_time_ns = Some(time_ns);
        self.last_msg_id.clear();
        self.last_msg_id.extend_from_slice(msg_id);
        if !msg_id.is_empty() {
            self.duplicates.add(msg_id, seq, time_ns);
        }
    }

    fn skip(&mut self, last_seq: u64, time_ns: u64) {
        if last_seq > self.last_seq {
            self.last_seq = last_seq.min(SEQUENCE_MAX);
            self.last_time_ns.get_or_insert(time_ns);
        }
    }

    fn roll_up(&mut self, rollup: Rollup, subject: u32, seq: u64, removed: &mut Removed) {
        match rollup {
            Rollup::None => {}
            Rollup::Subject => {
                while let Some(first) = self.first_of(subject)
                    && first < seq
                    && self.take(first, removed)
                {}
            }
            Rollup::All => self.purge_below(seq, removed),
        }
    }

    fn purge(&mut self, purge: Purge<'_>, removed: &mut Removed) {
        let is_all = is_all(purge.filter);
        match purge.below_seq {
            1 => {}
            0 if is_all && purge.keep == 0 => self.purge_all(removed),
            below_seq if is_all && below_seq > self.last_seq => {
                self.purge_all(removed);
                // As far as the sequences go: a first message may be asked for anywhere.
                self.last_seq = (below_seq - 1).min(SEQUENCE_MAX);
                self.first_seq = self.last_seq + 1;
            }
            below_seq if is_all && below_seq > 0 => self.purge_below(below_seq, removed),
            _ => self.purge_matching(purge, removed),
        }
    }

    fn purge_all(&mut self, removed: &mut Removed) {
        if self.messages.count() > 0 {
            removed.messages = self.messages.count();
            removed.bytes = self.bytes;
            removed.add_range(self.first_seq..=self.last_seq);
        }
        self.messages.clear();
        self.subjects.clear();
        self.arena.clear();
        self.deadlines.clear();
        self.spans.clear();
        self.bytes = 0;
        self.first_seq = self.last_seq + 1;
    }

    fn purge_below(&mut self, below_seq: u64, removed: &mut Removed) {
        let mut gone = Removed::default();
        let below_seq = below_seq + u64::from(planted::is(Bug::PurgeTakesOneMore));
        while let Some(seq) = self.first_live()
            && seq < below_seq
            && self.take(seq, &mut gone)
        {}
        let Some(first) = gone.ranges.first() else { return };
        // Where gaps were is nothing left either.
        removed.add_range(*first.start()..=below_seq - 1);
        removed.messages += gone.messages;
        removed.bytes += gone.bytes;
    }

    fn purge_matching(&mut self, purge: Purge<'_>, removed: &mut Removed) {
        if self.has_cold() {
            let matching: Vec<u32> = self.subjects.matching(purge.filter).collect();
            for subject in matching {
                self.reach_all(subject);
            }
        }
        let is_live = |seq| self.messages.contains(seq);
        let matching = self.subjects.matching(purge.filter).map(|id| self.subjects.get(id));
        let mut due: Vec<u64> = matching.flat_map(|subject| subject.sequences(is_live)).collect();
        due.sort_unstable();
        due.truncate(due.len().saturating_sub(purge.keep as usize));
        let below_seq = if purge.below_seq > 0 { purge.below_seq } else { u64::MAX };
        for seq in due.into_iter().take_while(|&seq| seq < below_seq) {
            self.take(seq, removed);
        }
    }

    /// Removes what is due, or names it where a marker is to take its place.
    fn expire(&mut self, now_ns: u64, removed: &mut Removed) -> Vec<u64> {
        let mut expiring = Vec::new();
        if self.limits.age_max_ns > 0
            && let Some(oldest_ns) = now_ns.checked_sub(self.limits.age_max_ns)
        {
            self.expire_by_age(oldest_ns, removed, &mut expiring);
        }
        for (seq, end_ns) in self.deadlines.take_due(now_ns) {
            self.reach(seq);
            if self.messages.contains(seq) && !self.end(seq, removed, &mut expiring) {
                self.deadlines.put_back(end_ns, seq);
            }
        }
        expiring.sort_unstable();
        expiring.dedup();
        expiring
    }

    /// From the first message on, up to one that is younger: time ascends with the sequence.
    fn expire_by_age(&mut self, oldest_ns: u64, removed: &mut Removed, expiring: &mut Vec<u64>) {
        let mut from = self.age_checked_seq;
        loop {
            // A span that is cold tells without being read when the first of it is due.
            let cold = self.spans.cold_from(from).next().map(|(_, cold)| cold);
            let mortal_ns = cold.and_then(|cold| Some((cold.first_seq, cold.mortal_ns?)));
            if let Some((first_seq, mortal_ns)) = mortal_ns
                && mortal_ns > oldest_ns
                && self.messages.next(from).is_none_or(|seq| first_seq < seq)
            {
                return;
            }
            let Some(seq) = self.next_live(from) else { return };
            let Some(slot) = self.messages.get(seq) else { return };
            let is_exempt = slot.is(Slot::NEVER_EXPIRES) && !planted::is(Bug::NeverExpiresIgnored);
            if !is_exempt && slot.time_ns > oldest_ns {
                return;
            }
            if !is_exempt {
                self.end(seq, removed, expiring);
            }
            from = seq + 1;
            if expiring.is_empty() {
                self.age_checked_seq = from;
            }
        }
    }

    /// Ends a message that is due; false if a marker is to do so.
    fn end(&mut self, seq: u64, removed: &mut Removed, expiring: &mut Vec<u64>) -> bool {
        self.reach(seq);
        let needs_marker = self.limits.marks_expiry
            && self.messages.get(seq).is_some_and(|slot| {
                !slot.is(Slot::IS_MARKER) && self.subjects.get(slot.subject).count == 1
            });
        if needs_marker {
            expiring.push(seq);
        } else {
            self.take(seq, removed);
        }
        !needs_marker
    }

    fn limit(&mut self, limits: Limits, removed: &mut Removed) {
        let before = std::mem::replace(&mut self.limits, limits);
        self.duplicates.set_window(limits.duplicate_window_ns);
        self.enforce_stream(removed);
        let (per_subject, before) = (limits.msgs_per_subject_max, before.msgs_per_subject_max);
        if per_subject > 0 && (before == 0 || per_subject < before) {
            let all: Vec<u32> = self.subjects.matching(b">").collect();
            for subject in all {
                self.enforce_subject(subject, removed);
            }
        }
    }

    fn enforce_subject(&mut self, subject: u32, removed: &mut Removed) {
        let max = self.limits.msgs_per_subject_max;
        while max > 0
            && self.subjects.get(subject).count > max
            && let Some(first) = self.first_of(subject)
            && self.take(first, removed)
        {}
    }

    fn enforce_stream(&mut self, removed: &mut Removed) {
        let Limits { msgs_max, bytes_max, discard, .. } = self.limits;
        if discard != Discard::Old {
            return;
        }
        let is_over = |stream: &Self| {
            (msgs_max > 0 && stream.messages.count() > msgs_max)
                || (bytes_max > 0 && stream.bytes > bytes_max)
        };
        while is_over(self)
            && let Some(seq) = self.first_live()
            && self.take(seq, removed)
        {}
    }

    /// What is known of a message.
    fn slot(&mut self, seq: u64) -> Option<Slot> {
        self.reach(seq);
        self.messages.get(seq)
    }

    /// The first message of a subject.
    fn first_of(&mut self, subject: u32) -> Option<u64> {
        self.know_first(subject).then(|| self.subjects.get(subject).first)
    }

    /// Takes a message out, wherever it is known; says whether there was one.
    fn take(&mut self, seq: u64, removed: &mut Removed) -> bool {
        let Some(slot) = self.slot(seq) else { return false };
        // When its last message goes, its first may be what is left.
        if self.subjects.get(slot.subject).last == seq && !self.know_first(slot.subject) {
            return false;
        }
        self.messages.remove(seq);
        if !self.spans.remove(seq, slot.bytes) {
            self.fail("more was removed from a segment than it held");
        }
        let messages = &mut self.messages;
        let is_live = |seq| messages.contains(seq);
        if self.subjects.remove(slot.subject, seq, is_live, &self.spans) {
            self.find_last(slot.subject, seq);
        }
        let messages = &mut self.messages;
        if slot.is(Slot::HAS_TTL) {
            let is_cold = |seq| self.spans.is_cold(seq);
            self.deadlines.forget(|seq| messages.contains(seq) || is_cold(seq));
        }
        if self.storage == Storage::Memory {
            let is_at = |seq, place| messages.get(seq).is_some_and(|slot| slot.place == place);
            for (moved, place) in self.arena.release(slot.place, is_at) {
                if !planted::is(Bug::MovedMessageLost) {
                    messages.set_place(moved, place);
                }
            }
        }
        self.bytes -= slot.bytes;
        removed.add(seq, slot.bytes);
        true
    }

    /// What must hold does not.
    fn fail(&mut self, what: &str) {
        self.failure.get_or_insert_with(|| what.to_owned());
    }

    fn settle(&mut self) {
        match self.first_live() {
            Some(seq) => self.first_seq = seq,
            // A stream to which nothing has happened shows no first sequence.
            None if self.first_seq == 0 && self.last_seq == 0 => {}
            None => self.first_seq = self.last_seq + 1,
        }
    }
}

fn flags_of(lifetime: Lifetime, is_marker: bool) -> u32 {
    let lifetime = match lifetime {
        Lifetime::Limits => 0,
        Lifetime::Ttl { .. } => Slot::HAS_TTL,
        Lifetime::Never => Slot::NEVER_EXPIRES,
    };
    lifetime | if is_marker { Slot::IS_MARKER } else { 0 }
}

/// Whether a filter is none.
fn is_all(filter: &[u8]) -> bool {
    matches!(filter, b"" | b">")
}
