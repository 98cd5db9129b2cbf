//! What a stream is asked: by sequence, by time, by subject. Empty filters match all subjects.

use std::ops::RangeInclusive;

use keelback_subject as subject;

use super::messages::Slot;
use super::{Limits, Storage, Stream, is_all};

/// Messages that are looked at one by one for a wildcard filter, before its subjects are asked
/// (count): a filter that matches often is answered by the first few.
const SCANNED_MAX: usize = if cfg!(test) { 4 } else { 256 };

/// What a stream shows of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Stored ones (count).
    pub messages: u64,
    /// Their size, as limits count it.
    pub bytes: u64,
    /// The first message's; the last one and 1 if there is none; 0 if nothing ever happened.
    pub first_seq: u64,
    /// The first message's, if there is one.
    pub first_time_ns: Option<u64>,
    /// The last that was given.
    pub last_seq: u64,
    /// When it was given, if one was.
    pub last_time_ns: Option<u64>,
    /// Of the stored messages (count).
    pub subjects: u64,
    /// Sequences between the first and the last without a message (count).
    pub deleted: u64,
}

/// A stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored<'a> {
    /// Its sequence.
    pub seq: u64,
    /// Its subject.
    pub subject: &'a [u8],
    /// Its time.
    pub time_ns: u64,
    /// Its size, as limits count it.
    pub bytes: u64,
    /// Its bytes, or where they are.
    pub content: Content<'a>,
}

/// The bytes of a stored message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// At this place, which the caller handed in.
    Placed(u64),
    /// Here.
    Held {
        /// As on the wire, empty without any.
        headers: &'a [u8],
        /// The message without its headers.
        payload: &'a [u8],
    },
}

/// More subjects match than may be answered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

impl Stream {
    /// What it shows of itself.
    pub fn state(&self) -> State {
        let messages = self.messages.count();
        State {
            messages,
            bytes: self.bytes,
            first_seq: self.first_seq,
            first_time_ns: self.messages.get(self.first_seq).map(|slot| slot.time_ns),
            last_seq: self.last_seq,
            last_time_ns: self.last_time_ns,
            subjects: self.subjects.count(),
            deleted: if messages == 0 { 0 } else { self.last_seq - self.first_seq + 1 - messages },
        }
    }

    /// What its messages take, as nats-server counts it.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Sequences between the first and the last without a message: the first ranges of them.
    pub fn deleted(&self, ranges_max: usize) -> Vec<RangeInclusive<u64>> {
        let end = (self.messages.count() > 0).then_some(self.last_seq + 1);
        let mut expected = self.first_seq;
        let stops = self.messages.iter_from(0).map(|(seq, _)| seq).chain(end);
        let gaps = stops.filter_map(|seq| {
            let gap = (seq > expected).then(|| expected..=seq - 1);
            expected = seq.saturating_add(1);
            gap
        });
        gaps.take(ranges_max).collect()
    }

    /// The message with this sequence.
    pub fn get(&self, seq: u64) -> Option<Stored<'_>> {
        self.messages.get(seq).map(|slot| self.stored(seq, &slot))
    }

    /// The messages at or after `seq`, ascending.
    pub fn messages_from(&self, seq: u64) -> impl Iterator<Item = Stored<'_>> {
        self.messages.iter_from(seq).map(|(seq, slot)| self.stored(seq, &slot))
    }

    /// The first message, by sequence, whose time is at or after `time_ns`; behind the end if none.
    ///
    /// "Up to a time" means all below this sequence.
    pub fn seq_at(&self, time_ns: u64) -> u64 {
        self.messages.first_at_or_after(time_ns).unwrap_or(self.last_seq + 1)
    }

    /// The last message of the subjects that `filter` matches.
    pub fn last_matching(&self, filter: &[u8]) -> Option<Stored<'_>> {
        self.last_seq_matching(filter).and_then(|seq| self.get(seq))
    }

    /// Its sequence.
    pub fn last_seq_matching(&self, filter: &[u8]) -> Option<u64> {
        let matching = self.subjects.matching(filter);
        matching.map(|id| self.subjects.get(id).last).max()
    }

    /// The first message at or after `seq` whose subject `filter` matches.
    pub fn next_matching(&self, filter: &[u8], seq: u64) -> Option<Stored<'_>> {
        if is_all(filter) {
            return self.messages.next(seq).and_then(|seq| self.get(seq));
        }
        let is_match = |slot: &Slot| subject::matches(filter, self.subjects.text(slot.subject));
        let mut from = seq;
        if !subject::is_literal(filter) {
            let mut scanned = self.messages.iter_from(seq).take(SCANNED_MAX);
            let found = scanned.find(|(seq, slot)| {
                from = seq + 1;
                is_match(slot)
            });
            if let Some((seq, slot)) = found {
                return Some(self.stored(seq, &slot));
            }
        }
        let is_live = |seq| self.messages.contains(seq);
        let matching = self.subjects.matching(filter);
        let seq = matching.filter_map(|id| self.subjects.get(id).next(from, is_live)).min()?;
        self.get(seq)
    }

    /// The sequence of the last message up to `up_to_seq` of each subject that a filter matches;
    /// ascending.
    ///
    /// # Errors
    /// They are more than `count_max`.
    pub fn last_of_each(
        &self,
        filters: &[&[u8]],
        up_to_seq: u64,
        count_max: usize,
    ) -> Result<Vec<u64>, TooMany> {
        let is_live = |seq| self.messages.contains(seq);
        let mut found = Vec::new();
        for filter in filters {
            for id in self.subjects.matching(filter) {
                found.extend(self.subjects.get(id).previous(up_to_seq, is_live));
                // Filters that overlap find the same: those do not count twice.
                if found.len() > count_max {
                    found.sort_unstable();
                    found.dedup();
                    if found.len() > count_max {
                        return Err(TooMany);
                    }
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The subjects that `filter` matches, in their order, with their messages (count).
    pub fn subjects_matching(&self, filter: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
        let matching = self.subjects.matching(filter);
        matching.map(|id| (self.subjects.text(id), self.subjects.get(id).count))
    }

    /// How many messages at or after `seq` the filter matches.
    pub fn count_from(&self, filter: &[u8], seq: u64) -> u64 {
        if is_all(filter) && seq <= self.first_seq {
            return self.messages.count();
        }
        let is_live = |seq| self.messages.contains(seq);
        let matching = self.subjects.matching(filter);
        matching.map(|id| self.subjects.get(id).count_from(seq, is_live)).sum()
    }

    /// The sequence of the message with this id that came within the duplicate window.
    pub fn duplicate_of(&self, msg_id: &[u8], now_ns: u64) -> Option<u64> {
        if msg_id.is_empty() { None } else { self.duplicates.find(msg_id, now_ns) }
    }

    /// Message ids that are remembered (count).
    pub fn remembered_ids(&self) -> usize {
        self.duplicates.count()
    }

    /// What the bytes of a memory stream take, those that are gone and not yet freed included.
    pub fn held_bytes(&self) -> usize {
        self.arena.held_bytes()
    }

    /// When an expiry is worth proposing: no message is due earlier.
    pub fn next_expiry_ns(&self) -> Option<u64> {
        let mut unchecked = self.messages.iter_from(self.age_checked_seq);
        let mortal = unchecked.find(|(_, slot)| !slot.is(Slot::NEVER_EXPIRES));
        let by_age = mortal.filter(|_| self.limits.age_max_ns > 0);
        let by_age = by_age.map(|(_, slot)| slot.time_ns.saturating_add(self.limits.age_max_ns));
        [by_age, self.deadlines.first_ns()].into_iter().flatten().min()
    }

    fn stored(&self, seq: u64, slot: &Slot) -> Stored<'_> {
        let content = match self.storage {
            Storage::File => Content::Placed(slot.place),
            Storage::Memory => {
                let (headers, payload) = self.arena.get(slot.place);
                Content::Held { headers, payload }
            }
        };
        let subject = self.subjects.text(slot.subject);
        Stored { seq, subject, time_ns: slot.time_ns, bytes: slot.bytes, content }
    }
}
