//! Subjects of the stored messages: for each its count, first and last sequence, and all between.

use hashbrown::HashTable;
use keelback_planted::{self as planted, Bug};
use keelback_subject as subject;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::column::Column;
use super::order::Order;
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

/// A subject's sequences, ascending. Removed ones may still be there; the ends are live.
#[derive(Default)]
struct List {
    sequences: Column,
    /// Those before this index are gone.
    start: usize,
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

    /// Adds a message, the newest of the stream; gives the number of its subject.
    pub(super) fn add(&mut self, text: &[u8], sequence: u64) -> u32 {
        let id = self.number(text);
        self.add_to(id, sequence);
        id
    }

    /// The number of a subject that gets a message at once.
    pub(super) fn number(&mut self, text: &[u8]) -> u32 {
        self.find(text).unwrap_or_else(|| self.insert(text))
    }

    /// Adds a message, the newest of the stream, to a subject.
    pub(super) fn add_to(&mut self, id: u32, sequence: u64) {
        let subject = &mut self.all[id as usize];
        match &mut subject.list {
            Some(list) => list.sequences.push(sequence),
            None if subject.count == 2 => {
                let mut list = Box::<List>::default();
                for sequence in [subject.first, subject.last, sequence] {
                    list.sequences.push(sequence);
                }
                subject.list = Some(list);
            }
            None => {}
        }
        if subject.count == 0 {
            subject.first = sequence;
        }
        subject.last = sequence;
        subject.count += 1;
    }

    /// Forgets a message that is no longer live.
    pub(super) fn remove(&mut self, id: u32, sequence: u64, is_live: impl Fn(u64) -> bool) {
        let subject = &mut self.all[id as usize];
        subject.count -= 1;
        if subject.count == 0 {
            self.forget(id);
            return;
        }
        if subject.count == 1 {
            subject.keep_one(sequence, is_live);
            return;
        }
        if let Some(list) = &mut subject.list {
            list.trim(subject.count as usize, is_live);
            subject.first = list.sequences.get(list.start);
            if !planted::is(Bug::SubjectKeepsRemovedLast) {
                subject.last = list.sequences.get(list.sequences.len() - 1);
            }
        }
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
    pub(super) fn next(&self, sequence: u64, is_live: impl Fn(u64) -> bool) -> Option<u64> {
        if sequence <= self.first {
            return Some(self.first);
        }
        if sequence > self.last {
            return None;
        }
        let Some(list) = &self.list else { return Some(self.last) };
        list.iter_from(sequence).find(|&sequence| is_live(sequence))
    }

    /// The last message at or before `sequence`.
    pub(super) fn previous(&self, sequence: u64, is_live: impl Fn(u64) -> bool) -> Option<u64> {
        if sequence >= self.last {
            return Some(self.last);
        }
        if sequence < self.first {
            return None;
        }
        let Some(list) = &self.list else { return Some(self.first) };
        let end = list.sequences.lower_bound(sequence + 1);
        (list.start..end).rev().map(|at| list.sequences.get(at)).find(|&other| is_live(other))
    }

    /// How many messages are at or after `sequence`.
    pub(super) fn count_from(&self, sequence: u64, is_live: impl Fn(u64) -> bool) -> u64 {
        if sequence <= self.first {
            return self.count;
        }
        if sequence > self.last {
            return 0;
        }
        let Some(list) = &self.list else { return 1 };
        if list.len() as u64 == self.count {
            return (list.sequences.len() - list.sequences.lower_bound(sequence)) as u64;
        }
        list.iter_from(sequence).filter(|&sequence| is_live(sequence)).count() as u64
    }

    /// The messages, ascending.
    pub(super) fn sequences(&self, is_live: impl Fn(u64) -> bool) -> impl Iterator<Item = u64> {
        let listed = self.list.iter().flat_map(|list| list.iter_from(0));
        let ends = [Some(self.first), (self.count == 2).then_some(self.last)];
        let ends = ends.into_iter().flatten().filter(|_| self.list.is_none());
        ends.chain(listed.filter(move |&sequence| is_live(sequence)))
    }

    /// One message is left beside `removed`, which is gone.
    fn keep_one(&mut self, removed: u64, is_live: impl Fn(u64) -> bool) {
        let left = match self.list.take() {
            Some(list) => list.iter_from(0).find(|&sequence| is_live(sequence)),
            None if removed == self.first => Some(self.last),
            None => Some(self.first),
        };
        self.first = left.unwrap_or(self.first);
        if !planted::is(Bug::SubjectKeepsRemovedLast) {
            self.last = self.first;
        }
    }
}

impl List {
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
            *self = Self { sequences: anew, start: 0 };
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
