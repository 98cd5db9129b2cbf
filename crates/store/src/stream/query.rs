//! What a stream is asked: by sequence, by time, by subject. Empty filters match all subjects.
//!
//! What an answer needs of spans that are cold is read; where that fails, the answer is not to be
//! trusted, and [`Stream::take_failure`] says why.

use std::ops::RangeInclusive;

use keelback_subject as subject;

use super::messages::Slot;
use super::spans::Cold;
use super::subjects::Answer;
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
        let cold = self.spans.cold_from(0).next().map(|(_, cold)| cold);
        let first = cold.filter(|cold| cold.first_seq == self.first_seq);
        let first_time_ns = first.map(|cold| cold.first_time_ns);
        let here = || self.messages.get(self.first_seq).map(|slot| slot.time_ns);
        State {
            messages,
            bytes: self.bytes,
            first_seq: self.first_seq,
            first_time_ns: first_time_ns.or_else(here),
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
    pub fn deleted(&mut self, ranges_max: usize) -> Vec<RangeInclusive<u64>> {
        let (mut gaps, mut expected) = (Vec::new(), self.first_seq);
        let end = (self.messages.count() > 0).then_some(self.last_seq + 1);
        while gaps.len() < ranges_max
            && let Some(end) = end
            && expected < end
        {
            // A span that is cold and has no gaps is passed over.
            let whole = self.spans.whole_from(expected);
            if let Some(last_seq) = whole {
                expected = last_seq + 1;
                continue;
            }
            let next = self.find_live(expected).unwrap_or(end);
            if next > expected {
                gaps.push(expected..=next - 1);
                expected = next;
                continue;
            }
            if !self.reach(next) {
                break;
            }
            let stops = self.messages.iter_from(next).map(|(seq, _)| seq);
            let run = stops.zip(next..).take_while(|(seq, expected)| seq == expected).count();
            expected = next + run as u64;
        }
        gaps
    }

    /// The message with this sequence.
    pub fn get(&mut self, seq: u64) -> Option<Stored<'_>> {
        self.slot(seq).map(|slot| self.stored(seq, &slot))
    }

    /// The messages at or after `seq`, ascending: all of them are read.
    pub fn messages_from(&mut self, seq: u64) -> impl Iterator<Item = Stored<'_>> {
        self.reach_range(seq..=u64::MAX);
        self.messages.iter_from(seq).map(|(seq, slot)| self.stored(seq, &slot))
    }

    /// The first sequences in this range that have a message.
    pub fn sequences(&mut self, range: RangeInclusive<u64>, count_max: usize) -> Vec<u64> {
        let (mut found, mut from) = (Vec::new(), *range.start());
        while found.len() < count_max
            && let Some(next) = self.next_live(from).filter(|next| next <= range.end())
        {
            // As far as they are here.
            let end =
                self.spans.cold_from(next).next().map_or(u64::MAX, |(_, cold)| cold.first_seq);
            let here = self.messages.iter_from(next).map(|(seq, _)| seq);
            let here = here.take_while(|seq| seq <= range.end() && *seq < end);
            found.extend(here.take(count_max - found.len()));
            from = found.last().map_or(next, |last| last + 1);
        }
        found
    }

    /// The messages with these sequences that are here, as runs: first and last.
    pub(crate) fn runs_here(&self, range: RangeInclusive<u64>) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        let live = self.messages.iter_from(*range.start()).map(|(seq, _)| seq);
        for seq in live.take_while(|seq| seq <= range.end()) {
            match runs.last_mut() {
                Some(run) if run.1 + 1 == seq => run.1 = seq,
                _ => runs.push((seq, seq)),
            }
        }
        runs
    }

    /// The first message, by sequence, whose time is at or after `time_ns`; behind the end if none.
    ///
    /// "Up to a time" means all below this sequence.
    pub fn seq_at(&mut self, time_ns: u64) -> u64 {
        loop {
            let found = self.messages.first_at_or_after(time_ns);
            let nearer = self.spans.cold_from(0).find(|(_, cold)| {
                cold.time_ns_max >= time_ns && found.is_none_or(|found| cold.first_seq < found)
            });
            let Some(at) = nearer.map(|(at, _)| at) else {
                return found.unwrap_or(self.last_seq + 1);
            };
            if !self.warm(at) {
                return self.last_seq + 1;
            }
        }
    }

    /// The last message of the subjects that `filter` matches.
    pub fn last_matching(&mut self, filter: &[u8]) -> Option<Stored<'_>> {
        self.last_seq_matching(filter).and_then(|seq| self.get(seq))
    }

    /// Its sequence.
    pub fn last_seq_matching(&self, filter: &[u8]) -> Option<u64> {
        let matching = self.subjects.matching(filter);
        matching.map(|id| self.subjects.get(id).last).max()
    }

    /// The first message at or after `seq` whose subject `filter` matches.
    pub fn next_matching(&mut self, filter: &[u8], seq: u64) -> Option<Stored<'_>> {
        let found = if is_all(filter) { self.next_live(seq) } else { self.next_of(filter, seq) };
        found.and_then(|seq| self.get(seq))
    }

    fn next_of(&mut self, filter: &[u8], seq: u64) -> Option<u64> {
        let mut from = seq;
        if !subject::is_literal(filter) && self.reach(seq) {
            let end = self.spans.cold_from(seq).next().map_or(u64::MAX, |(_, cold)| cold.first_seq);
            let scanned = self.messages.iter_from(seq).take(SCANNED_MAX);
            for (seq, slot) in scanned.take_while(|(seq, _)| *seq < end) {
                if subject::matches(filter, self.subjects.text(slot.subject)) {
                    return Some(seq);
                }
                from = seq + 1;
            }
        }
        loop {
            let is_live = |seq| self.messages.contains(seq);
            let (mut nearest, mut is_known) = (None, true);
            for subject in self.subjects.matching(filter) {
                let answer = self.subjects.get(subject).next(from, is_live);
                is_known &= matches!(answer, Answer::Known(_));
                let (Answer::Known(found) | Answer::Perhaps(found)) = answer;
                nearest = nearest.into_iter().chain(found).min();
            }
            let cold = self.spans.cold_from(from).next().filter(|_| !is_known);
            let cold = cold.filter(|(_, cold)| nearest.is_none_or(|it| cold.first_seq < it));
            if !cold.map(|(at, _)| at).is_some_and(|at| self.warm(at)) {
                return nearest;
            }
        }
    }

    /// The sequence of the last message up to `up_to_seq` of each subject that a filter matches;
    /// ascending.
    ///
    /// # Errors
    /// They are more than `count_max`.
    pub fn last_of_each(
        &mut self,
        filters: &[&[u8]],
        up_to_seq: u64,
        count_max: usize,
    ) -> Result<Vec<u64>, TooMany> {
        loop {
            let is_live = |seq| self.messages.contains(seq);
            let (mut found, mut unread) = (Vec::new(), None);
            for subject in filters.iter().flat_map(|filter| self.subjects.matching(filter)) {
                let subject = self.subjects.get(subject);
                let answer = subject.previous(up_to_seq, is_live);
                let (Answer::Known(last) | Answer::Perhaps(last)) = answer;
                if matches!(answer, Answer::Perhaps(_)) {
                    let cold = self.spans.last_cold_below(up_to_seq.saturating_add(1));
                    let is_nearer = |cold: &Cold| last.is_none_or(|last| cold.last_seq > last);
                    let nearer = cold.filter(|(_, cold)| is_nearer(cold));
                    unread = unread.or(nearer.map(|(at, _)| at));
                }
                found.extend(last);
                // Filters that overlap find the same: those do not count twice.
                if found.len() > count_max {
                    found.sort_unstable();
                    found.dedup();
                    if found.len() > count_max {
                        return Err(TooMany);
                    }
                }
            }
            if !unread.is_some_and(|at| self.warm(at)) {
                found.sort_unstable();
                found.dedup();
                return Ok(found);
            }
        }
    }

    /// The subjects that `filter` matches, in their order, with their messages (count).
    pub fn subjects_matching(&self, filter: &[u8]) -> impl Iterator<Item = (&[u8], u64)> {
        let matching = self.subjects.matching(filter);
        matching.map(|id| (self.subjects.text(id), self.subjects.get(id).count))
    }

    /// How many messages at or after `seq` the filter matches.
    pub fn count_from(&mut self, filter: &[u8], seq: u64) -> u64 {
        if is_all(filter) && seq <= self.first_seq {
            return self.messages.count();
        }
        if let Some(count) = self.count_here(filter, seq) {
            return count;
        }
        self.reach_range(0..=u64::MAX);
        self.count_here(filter, seq).unwrap_or_else(|| {
            self.fail("messages of a subject are in no segment");
            0
        })
    }

    /// How many there are, if no span that is cold is to be asked.
    fn count_here(&self, filter: &[u8], seq: u64) -> Option<u64> {
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
        let by_age = if self.limits.age_max_ns > 0 { self.first_mortal_ns() } else { None };
        let by_age = by_age.map(|time_ns| time_ns.saturating_add(self.limits.age_max_ns));
        [by_age, self.deadlines.first_ns()].into_iter().flatten().min()
    }

    /// When the first message was stored that its age may end.
    fn first_mortal_ns(&self) -> Option<u64> {
        let from = self.age_checked_seq;
        let mut here = self.messages.iter_from(from);
        let here = here.find(|(_, slot)| !slot.is(Slot::NEVER_EXPIRES));
        let mut cold = self.spans.cold_from(from).map(|(_, cold)| cold);
        let cold = cold.find_map(|cold| Some((cold.first_seq, cold.mortal_ns?)));
        let here = here.map(|(seq, slot)| (seq, slot.time_ns));
        [here, cold].into_iter().flatten().min().map(|(_, time_ns)| time_ns)
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
