//! Message ids of the last while, so that a message which is sent again is stored once.

use std::collections::VecDeque;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Most that the ids of one stream take (bytes): more than a million of usual length. The oldest are
/// forgotten early rather than let a publisher fill the memory.
pub(super) const HELD_BYTES_MAX: usize = 128 << 20;

/// What an id takes beside its text (bytes).
const ID_BYTES: usize = size_of::<Record>() + 2 * size_of::<u64>();

#[derive(Default)]
pub(super) struct Duplicates {
    window_ns: u64,
    held_bytes_max: usize,
    /// In the order in which they came.
    records: VecDeque<Record>,
    /// The number of the first record, counted from the beginning of the stream.
    first: u64,
    texts: VecDeque<u8>,
    /// How many bytes of text were let go.
    texts_start: u64,
    /// Numbers of records by the hash of the text.
    table: HashTable<u64>,
    hash_seed: u64,
}

struct Record {
    hash: u64,
    text_start: u64,
    text_bytes: u32,
    sequence: u64,
    time_ns: u64,
}

impl Duplicates {
    pub(super) fn new(hash_seed: u64, held_bytes_max: usize) -> Self {
        Self { held_bytes_max, hash_seed, ..Self::default() }
    }

    /// Sets how long ids are kept; zero keeps none.
    pub(super) fn set_window(&mut self, window_ns: u64) {
        if window_ns == 0 {
            *self = Self::new(self.hash_seed, self.held_bytes_max);
        }
        self.window_ns = window_ns;
    }

    pub(super) fn count(&self) -> usize {
        self.records.len()
    }

    /// The sequence that the message with this id got, if that is within the window of `now_ns`.
    pub(super) fn find(&self, id: &[u8], now_ns: u64) -> Option<u64> {
        let hash = xxh3_64_with_seed(id, self.hash_seed);
        let number = self.table.find(hash, |&number| self.text_is(number, id))?;
        let record = self.record(*number);
        (!self.is_over(record, now_ns)).then_some(record.sequence)
    }

    /// Remembers an id that is not found at this time.
    pub(super) fn add(&mut self, id: &[u8], sequence: u64, time_ns: u64) {
        if self.window_ns == 0 {
            return;
        }
        self.expire(time_ns);
        let added_bytes = id.len() + ID_BYTES;
        while self.count() > 0 && self.held_bytes() + added_bytes > self.held_bytes_max {
            self.forget_first();
        }
        self.put_back(id, sequence, time_ns);
    }

    /// Remembers an id behind all others.
    pub(super) fn put_back(&mut self, id: &[u8], sequence: u64, time_ns: u64) {
        let hash = xxh3_64_with_seed(id, self.hash_seed);
        // One that is over but not the first in line, as after a clock was set back, gives way.
        let old = self.table.find(hash, |&number| self.text_is(number, id)).copied();
        if let Some(old) = old {
            self.unlist(hash, old);
        }
        let number = self.first + self.records.len() as u64;
        let text_start = self.texts_start + self.texts.len() as u64;
        let text_bytes = id.len() as u32;
        self.records.push_back(Record { hash, text_start, text_bytes, sequence, time_ns });
        self.texts.extend(id);
        let (records, first) = (&self.records, self.first);
        self.table.insert_unique(hash, number, |&number| records[(number - first) as usize].hash);
    }

    /// The first sequence whose id is here.
    pub(super) fn first_sequence(&self) -> Option<u64> {
        self.records.front().map(|record| record.sequence)
    }

    /// Sequence, time and id of what is here from `sequence` on, ascending.
    pub(super) fn iter_from(&self, sequence: u64) -> impl Iterator<Item = (u64, u64, Vec<u8>)> {
        let start = self.records.partition_point(|record| record.sequence < sequence);
        self.records.range(start..).map(|record| {
            let start = (record.text_start - self.texts_start) as usize;
            let text = self.texts.range(start..start + record.text_bytes as usize);
            (record.sequence, record.time_ns, text.copied().collect())
        })
    }

    /// Forgets what is over at `now_ns`.
    pub(super) fn expire(&mut self, now_ns: u64) {
        while self.records.front().is_some_and(|record| self.is_over(record, now_ns)) {
            self.forget_first();
        }
        // What a burst took is given back.
        if self.records.len() * 4 < self.records.capacity() {
            let (records, first) = (&self.records, self.first);
            let hash_of = |&number: &u64| records[(number - first) as usize].hash;
            self.table.shrink_to_fit(hash_of);
            self.records.shrink_to(self.records.len() * 2);
            self.texts.shrink_to(self.texts.len() * 2);
        }
    }

    fn forget_first(&mut self) {
        let Some(record) = self.records.front() else { return };
        let (hash, text_bytes) = (record.hash, record.text_bytes);
        self.unlist(hash, self.first);
        self.texts.drain(..text_bytes as usize);
        self.texts_start += u64::from(text_bytes);
        self.records.pop_front();
        self.first += 1;
    }

    /// It is not listed when a later message with the same id took its place.
    fn unlist(&mut self, hash: u64, number: u64) {
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == number) {
            entry.remove();
        }
    }

    fn record(&self, number: u64) -> &Record {
        &self.records[(number - self.first) as usize]
    }

    fn text_is(&self, number: u64, id: &[u8]) -> bool {
        let record = self.record(number);
        let start = (record.text_start - self.texts_start) as usize;
        let end = start + record.text_bytes as usize;
        self.texts.range(start..end).eq(id)
    }

    fn is_over(&self, record: &Record, now_ns: u64) -> bool {
        record.time_ns.saturating_add(self.window_ns) <= now_ns
    }

    fn held_bytes(&self) -> usize {
        self.texts.len() + self.records.len() * ID_BYTES
    }
}
