//! Messages that are not here: of spans that are cold. Whoever asks for one warms its span.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::Stream;
use super::messages::{Block, Slot};
use super::rebuild::Kept;
use super::spans::{Cold, Loaded, Source};

impl Stream {
    /// Messages from this one on, which is yet to come, are in another segment.
    pub(crate) fn begin_span(&mut self, first_seq: u64) {
        self.spans.begin(first_seq);
    }

    /// The segment whose messages began there is gone.
    pub(crate) fn end_span(&mut self, first_seq: u64) {
        self.spans.end(first_seq);
    }

    /// The segments whose messages begin in this range are one, with messages from `first_seq` on.
    pub(crate) fn join_spans(&mut self, begins: RangeInclusive<u64>, first_seq: u64) {
        self.spans.join(begins, first_seq);
    }

    /// Messages that live in the segment whose messages begin there (count), and their size.
    pub(crate) fn live_in(&self, first_seq: u64) -> (u64, u64) {
        self.spans.live(first_seq)
    }

    /// Why messages that are not here could not be read: what was answered or done since then is not
    /// to be trusted.
    pub fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }

    /// Where segments begin whose messages nobody asked for since this was last called.
    pub(crate) fn sweep(&mut self) -> Vec<u64> {
        self.spans.sweep()
    }

    /// Lets the messages of the segment go that begin there, unless somebody asked for them since the
    /// last sweep; says whether it did. They are read from `source` when they are asked for.
    pub(crate) fn cool(
        &mut self,
        first_seq: u64,
        source: impl FnOnce() -> Box<dyn Source>,
    ) -> bool {
        let Some((at, last_seq)) = self.spans.idle(first_seq) else { return false };
        if !self.deadlines.is_exact() {
            let messages = &self.messages;
            let is_here = |seq| seq >= first_seq && seq <= last_seq;
            self.deadlines.prune(|seq| !is_here(seq) || messages.contains(seq));
        }
        let blocks = self.messages.take_range(first_seq..=last_seq);
        let mut live = blocks.iter().flat_map(Block::live_slots).peekable();
        let Some(mut cold) = live.peek().map(|(seq, slot)| Cold::new(*seq, slot.time_ns, source()))
        else {
            return false;
        };
        let mut of_subjects = HashMap::<u32, u64>::new();
        for (seq, slot) in live {
            *of_subjects.entry(slot.subject).or_default() += 1;
            cold.add(seq, slot.time_ns, slot.is(Slot::NEVER_EXPIRES));
        }
        let messages = &self.messages;
        for (subject, count) in of_subjects {
            let is_live = |seq| messages.contains(seq);
            self.subjects.cool(subject, (first_seq..=last_seq, count), is_live);
        }
        self.spans.cool(at, Box::new(cold));
        true
    }

    /// Segments whose messages are here, and all (count).
    #[cfg(test)]
    pub(crate) fn span_counts(&self) -> (usize, usize) {
        self.spans.counts()
    }

    /// Whether any message is not here.
    pub(super) fn has_cold(&self) -> bool {
        self.spans.has_cold()
    }

    /// Has the message with this sequence here, if there is one.
    pub(super) fn reach(&mut self, seq: u64) -> bool {
        self.spans.use_at(seq).is_none_or(|at| self.warm(at))
    }

    /// Has the messages of a span here; says whether they are.
    pub(super) fn warm(&mut self, at: usize) -> bool {
        let Some((cold, live, live_bytes)) = self.spans.warm(at) else { return true };
        let loaded = cold.source.load().and_then(|loaded| self.matched(loaded, live, live_bytes));
        match loaded {
            Ok((loaded, ids)) => {
                self.put_back(&loaded.messages, &ids);
                true
            }
            Err(why) => {
                self.failure.get_or_insert(why);
                self.spans.cool(at, cold);
                false
            }
        }
    }

    /// What was read, with the numbers of its subjects, if it is what it is to be.
    fn matched(
        &self,
        mut loaded: Loaded,
        live: u64,
        live_bytes: u64,
    ) -> Result<(Loaded, Vec<Option<u32>>), String> {
        // What is gone from the front is not told anew each time.
        let gone = loaded.messages.partition_point(|(kept, _)| kept.sequence < self.first_seq);
        loaded.messages.drain(..gone);
        let ids: Vec<_> = loaded.subjects.iter().map(|text| self.subjects.find(text)).collect();
        let bytes: u64 = loaded.messages.iter().map(|(kept, _)| kept.bytes).sum();
        let is_known = |subject: u32| ids.get(subject as usize).is_some_and(Option::is_some);
        let is_right = loaded.messages.len() as u64 == live
            && bytes == live_bytes
            && loaded.messages.iter().all(|(_, subject)| is_known(*subject));
        if is_right {
            Ok((loaded, ids))
        } else {
            Err("a segment does not hold what it held when it was read before".to_owned())
        }
    }

    fn put_back(&mut self, messages: &[(Kept, u32)], ids: &[Option<u32>]) {
        let id_of = |subject: u32| ids[subject as usize].unwrap_or_default();
        let slots =
            messages.iter().map(|(kept, subject)| (kept.sequence, kept.slot(id_of(*subject))));
        self.messages.put_back(slots);
        // Gathered by subject, each ascending: counted first, so that one buffer holds all.
        let mut ends = vec![0_usize; ids.len() + 1];
        for (_, subject) in messages {
            ends[*subject as usize + 1] += 1;
        }
        for at in 1..ends.len() {
            ends[at] += ends[at - 1];
        }
        let mut next = ends.clone();
        let mut gathered = vec![0; messages.len()];
        for (kept, subject) in messages {
            gathered[next[*subject as usize]] = kept.sequence;
            next[*subject as usize] += 1;
        }
        for (subject, range) in ends.windows(2).enumerate() {
            self.subjects.warm(id_of(subject as u32), &gathered[range[0]..range[1]]);
        }
    }

    /// The first message.
    pub(super) fn first_live(&self) -> Option<u64> {
        let cold = self.spans.cold_from(0).next().map(|(_, cold)| cold.first_seq);
        [cold, self.messages.first()].into_iter().flatten().min()
    }

    /// The first message at or after `seq`; it need not be here.
    pub(super) fn find_live(&mut self, seq: u64) -> Option<u64> {
        let cold = self.spans.cold_from(seq).next().map(|(_, cold)| cold.first_seq);
        let found = self.messages.next(seq);
        match cold {
            Some(cold) if cold >= seq => Some(found.map_or(cold, |found| found.min(cold))),
            Some(_) => self.next_live(seq),
            None => found,
        }
    }

    /// The first message at or after `seq`; it is here.
    pub(super) fn next_live(&mut self, seq: u64) -> Option<u64> {
        loop {
            let found = self.messages.next(seq);
            let cold = self.spans.cold_from(seq).next();
            let cold = cold.filter(|(_, cold)| found.is_none_or(|found| cold.first_seq < found));
            let at = cold.map(|(at, _)| at);
            if !at.is_some_and(|at| self.warm(at)) {
                self.spans.use_at(found.unwrap_or(seq));
                return found;
            }
        }
    }

    /// Has the first message of a subject known; says whether it is.
    pub(super) fn know_first(&mut self, subject: u32) -> bool {
        while !self.subjects.get(subject).is_first_known() {
            let bound = self.subjects.get(subject).first;
            let (listed, _) = self.subjects.get(subject).listed_ends();
            let cold = self.spans.cold_from(bound).next();
            let cold = cold.filter(|(_, cold)| listed.is_none_or(|first| cold.first_seq < first));
            match (cold, listed) {
                (Some((at, _)), _) => {
                    if !self.warm(at) {
                        return false;
                    }
                }
                (None, Some(first)) => self.subjects.set_first(subject, first),
                (None, None) => return false,
            }
        }
        true
    }

    /// Finds the last message of a subject, which is below `before`.
    pub(super) fn find_last(&mut self, subject: u32, before: u64) {
        loop {
            let (_, listed) = self.subjects.get(subject).listed_ends();
            let cold = self.spans.last_cold_below(before);
            let cold = cold.filter(|(_, cold)| listed.is_none_or(|last| cold.last_seq > last));
            match (cold, listed) {
                (Some((at, _)), _) => {
                    if !self.warm(at) {
                        return;
                    }
                }
                (None, Some(last)) => return self.subjects.set_last(subject, last),
                (None, None) => return,
            }
        }
    }

    /// Has all messages of a subject here.
    pub(super) fn reach_all(&mut self, subject: u32) {
        if !self.subjects.get(subject).has_cold() {
            return;
        }
        let (from, last) = (self.subjects.get(subject).first, self.subjects.get(subject).last);
        self.reach_range(from..=last);
    }

    /// Has all messages with these sequences here; says whether they are.
    pub(super) fn reach_range(&mut self, sequences: RangeInclusive<u64>) -> bool {
        loop {
            let cold = self.spans.cold_from(*sequences.start()).next();
            let cold = cold.filter(|(_, cold)| cold.first_seq <= *sequences.end());
            let Some(at) = cold.map(|(at, _)| at) else { return true };
            if !self.warm(at) {
                return false;
            }
        }
    }
}

impl Cold {
    /// Without a message yet.
    pub(crate) fn new(first_seq: u64, first_time_ns: u64, source: Box<dyn Source>) -> Self {
        let (last_seq, time_ns_max, mortal_ns) = (first_seq, first_time_ns, None);
        Self { first_seq, first_time_ns, last_seq, time_ns_max, mortal_ns, source }
    }

    /// With one more.
    fn add(&mut self, seq: u64, time_ns: u64, never_expires: bool) {
        self.last_seq = seq;
        self.time_ns_max = self.time_ns_max.max(time_ns);
        if !never_expires {
            self.mortal_ns.get_or_insert(time_ns);
        }
    }
}

impl Kept {
    fn slot(&self, subject: u32) -> Slot {
        let Self { time_ns, place, bytes, lifetime, is_marker, .. } = *self;
        Slot { time_ns, place, subject, bytes, flags: super::flags_of(lifetime, is_marker) }
    }
}
