//! A file stream's state from what its files say, and what they must say for it.

use std::ops::RangeInclusive;

use super::messages::Slot;
use super::spans::Cold;
use super::{Lifetime, Limits, Storage, Stream};

/// A message that was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    pub(crate) sequence: u64,
    pub(crate) time_ns: u64,
    pub(crate) place: u64,
    /// As limits count it.
    pub(crate) bytes: u64,
    pub(crate) lifetime: Lifetime,
    pub(crate) is_marker: bool,
}

/// A stream that is put together: messages ascending, ids ascending.
pub(crate) struct Rebuild(Stream);

impl Rebuild {
    pub(crate) fn new(limits: Limits, hash_seed: u64) -> Self {
        Self(Stream::new(Storage::File, 0, limits, hash_seed))
    }

    /// The number of a subject of which a message is kept next.
    pub(crate) fn subject(&mut self, text: &[u8]) -> u32 {
        self.0.subjects.number(text)
    }

    /// Puts a message back, behind all others.
    pub(crate) fn keep(&mut self, kept: &Kept, subject: u32) {
        let Kept { sequence, time_ns, place, bytes, lifetime, is_marker } = *kept;
        let stream = &mut self.0;
        if let Lifetime::Ttl { ttl_ns } = lifetime {
            stream.deadlines.add(time_ns.saturating_add(ttl_ns), sequence);
        }
        let flags = super::flags_of(lifetime, is_marker);
        stream.subjects.add_to(subject, sequence, |seq| stream.spans.is_cold(seq));
        stream.messages.push(sequence, &Slot { time_ns, place, subject, bytes, flags });
        stream.spans.add(bytes);
        stream.bytes += bytes;
    }

    /// Messages that are kept next belong to another segment.
    pub(crate) fn begin_span(&mut self, first_seq: u64) {
        self.0.begin_span(first_seq);
    }

    /// Puts the messages of a segment back without reading them: how many, and their size; of each
    /// subject its text, how many, the first and the last.
    pub(crate) fn keep_cold<'a>(
        &mut self,
        first_seq: u64,
        (live, live_bytes): (u64, u64),
        cold: Cold,
        subjects: impl Iterator<Item = (&'a [u8], u64, u64, u64)>,
    ) {
        let stream = &mut self.0;
        stream.spans.begin_cold(first_seq, live, live_bytes, cold);
        for (text, count, first, last) in subjects {
            let id = stream.subjects.number(text);
            let is_cold = |seq| stream.spans.is_cold(seq);
            stream.subjects.add_cold(id, (count, first, last), is_cold);
        }
        stream.messages.count_absent(live);
        stream.bytes += live_bytes;
    }

    /// The stream; `first_seq` is that of a stream without messages.
    pub(crate) fn finish(
        mut self,
        first_seq: u64,
        last_seq: u64,
        last_time_ns: Option<u64>,
        last_msg_id: &[u8],
    ) -> Stream {
        (self.0.first_seq, self.0.last_seq) = (first_seq, last_seq);
        self.0.last_time_ns = last_time_ns;
        self.0.last_msg_id = last_msg_id.to_vec();
        self.0.settle();
        self.0
    }
}

impl Stream {
    /// Remembers an id, behind all others.
    pub(crate) fn remember(&mut self, msg_id: &[u8], sequence: u64, time_ns: u64) {
        self.duplicates.put_back(msg_id, sequence, time_ns);
    }

    /// Forgets the ids that are over at this time (nanoseconds since 1970).
    pub(crate) fn forget_ids(&mut self, now_ns: u64) {
        self.duplicates.expire(now_ns);
    }

    /// The last sequence that was given.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The id of the last message that was accepted; empty if it had none.
    pub(crate) fn last_msg_id(&self) -> &[u8] {
        &self.last_msg_id
    }

    /// No message is below it.
    pub(crate) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// The first sequence whose id is remembered; behind all sequences if none is.
    pub(crate) fn first_id_seq(&self) -> u64 {
        self.duplicates.first_sequence().unwrap_or(u64::MAX)
    }

    /// Sequence, time and id of what is remembered of these sequences, ascending.
    pub(crate) fn ids(
        &self,
        sequences: RangeInclusive<u64>,
    ) -> impl Iterator<Item = (u64, u64, Vec<u8>)> {
        let end = *sequences.end();
        let from = self.duplicates.iter_from(*sequences.start());
        from.take_while(move |(sequence, ..)| *sequence <= end)
    }

    /// Where a file stream's message is.
    pub(crate) fn place(&mut self, sequence: u64) -> Option<u64> {
        self.place_and_bytes(sequence).map(|(place, _)| place)
    }

    /// Where a file stream's message is, and its size, as limits count it.
    pub(crate) fn place_and_bytes(&mut self, sequence: u64) -> Option<(u64, u64)> {
        let slot = self.slot(sequence).filter(|_| self.storage == Storage::File)?;
        Some((slot.place, slot.bytes))
    }

    /// A file stream's message is somewhere else now.
    pub(crate) fn set_place(&mut self, sequence: u64, place: u64) {
        self.messages.set_place(sequence, place);
    }
}
