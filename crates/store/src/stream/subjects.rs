//! Subjects of the stored messages: for each its count, first and last sequence, and all between.

use std::ops::RangeInclusive;

use hashbrown::HashTable;
use keelback_planted::{self as planted, Bug};
use keelback_subject as subject;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::column::Column;
use super::order::Order;
use super::spans::Spans;
use super::texts::{Place, Texts};

/// Fewer dead sequences than this stay in a subject's list.
const DEAD_MIN: usize = if cfg!(test) { 2 } else { 16 };

#[derive(Default)]
pub(super) struct Subjects {
    /// By number; a free one has no messages.
    all: Vec<Subject>,
    free: Vec<u32>,
    texts: Texts,
    /// Numbers by the hash of the text.
    table: HashTable<u32>,
    order: Order,
    /// Nothing that can be seen depends on it: it keeps publishers from choosing collisions.
    hash_seed: u64,
}

#[derive(Default)]
pub(super) struct Subject {
    text: Place,
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    /// From the third message on.
    list: Option<Box<List>>,
}

/// A subject's sequences that are here, ascending. Removed ones may still be there; the ends are
/// live.
#[derive(Default)]
struct List {
    sequences: Column,
    /// Those before this index are gone.
    start: usize,
    /// Live messages that are in no list, but in spans that are cold (count).
    cold: u64,
    /// The first message is somewhere at or behind `first`: it was in a span that is cold.
    is_first_unknown: bool,
}

/// What a subject knows of the message that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is that one, or there is none.
    Known(Option<u64>),
    /// That one, unless a span that is cold has one which is nearer.
    Perhaps(Option<u64>),
}

impl Subjects {
    pub(super) fn new(hash_seed: u64) -> Self {
        Self { hash_seed, ..Self::default() }
    }

    pub(super) fn count(&self) -> u64 {
        self.table.len() as u64
    }

    pub(super) fn text(&self, id: u32) -> &[u8] {
        self.texts.get(self.all[id as usize].text)
    }

    pub(super) fn get(&self, id: u32) -> &Subject {
        &self.all[id as usize]
    }

    pub(super) fn find(&self, text: &[u8]) -> Option<u32> {
        let hash = xxh3_64_with_seed(text, self.hash_seed);
        self.table.find(hash, |&id| self.text(id) == text).copied()
    }

    /// Adds a message, the newest of the stream; gives the number of its subject. `is_cold` tells of a
    /// message that lives whether it is in a span that is cold.
    pub(super) fn add(&mut self, text: &[u8], sequence: u64, is_cold: impl Fn(u64) -> bool) -> u32 {
        let id = self.number(text);
        self.add_to(id, sequence, is_cold);
        id
    }

    /// The number of a subject that gets a message at once.
    pub(super) fn number(&mut self, text: &[u8]) -> u32 {
        self.find(text).unwrap_or_else(|| self.insert(text))
    }

    /// Adds a message, the newest of the stream, to a subject.
    pub(super) fn add_to(&mut self, id: u32, sequence: u64, is_cold: impl Fn(u64) -> bool) {
        let subject = &mut self.all[id as usize];
        if subject.list.is_none() && subject.count == 2 {
            subject.list_both(is_cold);
        }
        if let Some(list) = &mut subject.list {
            list.sequences.push(sequence);
        }
        if subject.count == 0 {
            subject.first = sequence;
        }
        subject.last = sequence;
        subject.count += 1;
    }

    /// Adds messages of a span that is cold, behind all others: how many, the first and the last.
    pub(super) fn add_cold(
        &mut self,
        id: u32,
        (count, first, last): (u64, u64, u64),
        is_cold: impl Fn(u64) -> bool,
    ) {
        let subject = &mut self.all[id as usize];
        if subject.count + count > 2 {
            if subject.list.is_none() {
                subject.list_both(is_cold);
            }
            if let Some(list) = &mut subject.list {
                list.cold += count;
            }
        }
        if subject.count == 0 {
            subject.first = first;
        }
        subject.last = last;
        subject.count += count;
    }

    /// Forgets a message that is no longer live; `cold` tells where the spans are that are.
    ///
    /// Its first message must be known if its last one goes. Says whether its last message must be
    /// looked for, in a span that is cold.
    pub(super) fn remove(
        &mut self,
        id: u32,
        sequence: u64,
        is_live: impl Fn(u64) -> bool,
        cold: &Spans,
    ) -> bool {
        let subject = &mut self.all[id as usize];
        subject.count -= 1;
        if subject.count == 0 {
            self.forget(id);
            return false;
        }
        if subject.count == 1 {
            subject.keep_one(sequence);
            return false;
        }
        let Some(list) = &mut subject.list else { return false };
        list.trim((subject.count - list.cold) as usize, is_live);
        let (front, back) = list.ends();
        if sequence == subject.first {
            let is_front = list.cold == 0
                || front.is_some_and(|front| !cold.has_cold_within(sequence + 1, front));
            list.is_first_unknown = !is_front;
            subject.first = front.filter(|_| is_front).unwrap_or(sequence + 1);
        }
        if sequence != subject.last || planted::is(Bug::SubjectKeepsRemovedLast) {
            return false;
        }
        subject.last = back.unwrap_or(subject.first);
        list.cold > 0
    }

    /// The messages of a subject in a span are no longer here: how many live.
    pub(super) fn cool(
        &mut self,
        id: u32,
        (span, count): (RangeInclusive<u64>, u64),
        is_live: impl Fn(u64) -> bool,
    ) {
        let subject = &mut self.all[id as usize];
        let Some(list) = &mut subject.list else { return };
        let start = list.sequences.lower_bound(*span.start()).max(list.start);
        let end = list.sequences.lower_bound(span.end().saturating_add(1)).max(start);
        list.sequences.cut(start..end);
        list.cold += count;
        list.trim((subject.count - list.cold) as usize, is_live);
    }

    /// The messages of a subject in a span are here again.
    pub(super) fn warm(&mut self, id: u32, sequences: &[u64]) {
        let subject = &mut self.all[id as usize];
        if let (Some(list), Some(first)) = (&mut subject.list, sequences.first()) {
            // What is dead at the front need not be below them.
            list.sequences.cut(0..std::mem::take(&mut list.start));
            let at = list.sequences.lower_bound(*first);
            list.sequences.insert_all(at, sequences);
            list.cold -= sequences.len() as u64;
        }
    }

    /// A subject's first message was found.
    pub(super) fn set_first(&mut self, id: u32, sequence: u64) {
        let subject = &mut self.all[id as usize];
        subject.first = sequence;
        if let Some(list) = &mut subject.list {
            list.is_first_unknown = false;
        }
    }

    /// A subject's last message was found.
    pub(super) fn set_last(&mut self, id: u32, sequence: u64) {
        self.all[id as usize].last = sequence;
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.hash_seed);
    }

    /// The subjects that `filter` matches, in the order of their texts.
    pub(super) fn matching(&self, filter: &[u8]) -> impl Iterator<Item = u32> {
        let is_all = super::is_all(filter);
        let prefix = if is_all { &[] } else { literal_prefix(filter) };
        // A literal filter is one look-up, anything else a range of the order.
        let is_literal = !is_all && prefix.len() == filter.len();
        let one = is_literal.then(|| self.find(filter)).flatten();
        let range = (!is_literal).then(|| self.order.iter_from(|id| self.text(id) < prefix));
        let range = range.into_iter().flatten();
        let within = range.take_while(move |&id| self.text(id).starts_with(prefix));
        one.into_iter()
            .chain(within.filter(move |&id| is_all || subject::matches(filter, self.text(id))))
    }

    fn insert(&mut self, text: &[u8]) -> u32 {
        let id = self.free.pop().unwrap_or_else(|| {
            self.all.push(Subject::default());
            (self.all.len() - 1) as u32
        });
        self.all[id as usize].text = self.texts.add(text);
        let Self { all, texts, hash_seed, .. } = self;
        let text_of = |id: u32| texts.get(all[id as usize].text);
        let hash_of = |&id: &u32| xxh3_64_with_seed(text_of(id), *hash_seed);
        self.table.insert_unique(hash_of(&id), id, hash_of);
        self.order.insert(id, |other| text_of(other) < text);
        id
    }

    fn forget(&mut self, id: u32) {
        let Self { all, texts, hash_seed, .. } = self;
        let text_of = |id: u32| texts.get(all[id as usize].text);
        let hash_of = |&id: &u32| xxh3_64_with_seed(text_of(id), *hash_seed);
        if let Ok(entry) = self.table.find_entry(hash_of(&id), |&other| other == id) {
            entry.remove();
        }
        self.order.remove(id, |other| text_of(other) < text_of(id));
        if self.table.len() * 8 < self.table.capacity() {
            self.table.shrink_to_fit(hash_of);
        }
        texts.release(all[id as usize].text);
        self.all[id as usize] = Subject::default();
        self.free.push(id);
        if self.table.is_empty() {
            self.clear();
        } else if self.texts.is_mostly_dead() {
            self.rewrite_texts();
        }
    }

    fn rewrite_texts(&mut self) {
        let before = std::mem::take(&mut self.texts);
        for subject in self.all.iter_mut().filter(|subject| subject.count > 0) {
            subject.text = self.texts.add(before.get(subject.text));
        }
    }
}

impl Subject {
    /// The first message at or after `sequence`.
    pub(super) fn next(&self, sequence: u64, is_live: impl Fn(u64) -> bool) -> Answer {
        if sequence > self.last {
            return Answer::Known(None);
        }
        if sequence <= self.first && self.is_first_known() {
            return Answer::Known(Some(self.first));
        }
        let Some(list) = &self.list else { return Answer::Known(Some(self.last)) };
        let found = list.iter_from(sequence).find(|&sequence| is_live(sequence));
        if list.cold == 0 {
            Answer::Known(found)
        } else {
            Answer::Perhaps(found.or(Some(self.last)))
        }
    }

    /// The last message at or before `sequence`.
    pub(super) fn previous(&self, sequence: u64, is_live: impl Fn(u64) -> bool) -> Answer {
        if sequence >= self.last {
            return Answer::Known(Some(self.last));
        }
        if sequence < self.first {
            return Answer::Known(None);
        }
        let Some(list) = &self.list else { return Answer::Known(Some(self.first)) };
        let end = list.sequences.lower_bound(sequence + 1);
        let mut before = (list.start..end).rev().map(|at| list.sequences.get(at));
        let found = before.find(|&other| is_live(other));
        if list.cold == 0 { Answer::Known(found) } else { Answer::Perhaps(found) }
    }

    /// How many messages are at or after `sequence`; `None` where spans that are cold know.
    pub(super) fn count_from(&self, sequence: u64, is_live: impl Fn(u64) -> bool) -> Option<u64> {
        if sequence <= self.first {
            return Some(self.count);
        }
        if sequence > self.last {
            return Some(0);
        }
        let Some(list) = &self.list else { return Some(1) };
        if list.cold > 0 {
            return None;
        }
        if list.len() as u64 == self.count {
            let start = list.sequences.lower_bound(sequence).max(list.start);
            return Some((list.sequences.len() - start) as u64);
        }
        Some(list.iter_from(sequence).filter(|&sequence| is_live(sequence)).count() as u64)
    }

    /// The messages, ascending; none may be in a span that is cold.
    pub(super) fn sequences(&self, is_live: impl Fn(u64) -> bool) -> impl Iterator<Item = u64> {
        let listed = self.list.iter().flat_map(|list| list.iter_from(0));
        let ends = [Some(self.first), (self.count == 2).then_some(self.last)];
        let ends = ends.into_iter().flatten().filter(|_| self.list.is_none());
        ends.chain(listed.filter(move |&sequence| is_live(sequence)))
    }

    /// `first` is the first message, and not only below it.
    pub(super) fn is_first_known(&self) -> bool {
        self.list.as_ref().is_none_or(|list| !list.is_first_unknown)
    }

    /// Some of its messages are in spans that are cold, and cannot be named without those.
    pub(super) fn has_cold(&self) -> bool {
        self.list.as_ref().is_some_and(|list| list.cold > 0)
    }

    /// The first and the last of its messages that are here and listed.
    pub(super) fn listed_ends(&self) -> (Option<u64>, Option<u64>) {
        self.list.as_ref().map_or((None, None), |list| list.ends())
    }

    /// Lists its two messages.
    fn list_both(&mut self, is_cold: impl Fn(u64) -> bool) {
        let mut list = Box::<List>::default();
        let ends = [Some(self.first), (self.count == 2).then_some(self.last)];
        for sequence in ends.into_iter().flatten().take(self.count as usize) {
            if is_cold(sequence) {
                list.cold += 1;
            } else {
                list.sequences.push(sequence);
            }
        }
        self.list = Some(list);
    }

    /// One message is left beside `removed`, which is gone.
    fn keep_one(&mut self, removed: u64) {
        let left = if removed == self.last { self.first } else { self.last };
        self.list = None;
        self.first = left;
        if !planted::is(Bug::SubjectKeepsRemovedLast) {
            self.last = left;
        }
    }
}

impl List {
    fn ends(&self) -> (Option<u64>, Option<u64>) {
        let at = |at: usize| (self.len() > 0).then(|| self.sequences.get(at));
        (at(self.start), at(self.sequences.len().wrapping_sub(1)))
    }

    fn len(&self) -> usize {
        self.sequences.len() - self.start
    }

    fn iter_from(&self, sequence: u64) -> impl Iterator<Item = u64> {
        let start = self.sequences.lower_bound(sequence).max(self.start);
        (start..self.sequences.len()).map(|at| self.sequences.get(at))
    }

    /// Lets the dead go at both ends; all of them when they are more than the `live` ones.
    fn trim(&mut self, live: usize, is_live: impl Fn(u64) -> bool) {
        while self.len() > live && !is_live(self.sequences.get(self.start)) {
            self.start += 1;
        }
        while self.len() > live && !is_live(self.sequences.get(self.sequences.len() - 1)) {
            self.sequences.truncate(self.sequences.len() - 1);
        }
        if self.sequences.len() > 2 * live + DEAD_MIN {
            let mut anew = Column::with_capacity(live);
            for sequence in self.iter_from(0).filter(|&sequence| is_live(sequence)) {
                anew.push(sequence);
            }
            (self.sequences, self.start) = (anew, 0);
        }
    }
}

/// The tokens of `filter` before its first wildcard, with the separator behind them.
fn literal_prefix(filter: &[u8]) -> &[u8] {
    let mut bytes = 0;
    for token in subject::tokens(filter) {
        if matches!(token, b"*" | b">") {
            return &filter[..bytes];
        }
        bytes += token.len() + 1;
    }
    filter
}
