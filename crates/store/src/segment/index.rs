//! What a segment holds: its records in order, and its subjects. It stands at the end of a sealed
//! one, in blocks that are checked apart, so that a piece of it can be read: `docs/store-format.md`,
//! "Index".

use std::collections::BTreeMap;

use keelback_planted::{self as planted, Bug};

use super::record::{self, ALIGNMENT, Record};
use crate::bytes::{Fields, check_at, u32_at, u64_at};
use crate::stream::Lifetime;

/// At the very end of a sealed segment (bytes).
pub(super) const TRAILER_BYTES: usize = 88;

/// Before its own check (bytes).
const TRAILER_CHECKED_BYTES: usize = TRAILER_BYTES - 8;

/// Stands for no time.
const NO_TIME: u64 = u64::MAX;

const MAGIC: &[u8; 8] = b"KBSEGIDX";

/// A block and its check (bytes).
const BLOCK_BYTES: usize = 4096;
const BLOCK_CONTENT_BYTES: usize = BLOCK_BYTES - 8;

/// A record or a subject (bytes).
const ENTRY_BYTES: usize = 28;
const TTL_BYTES: usize = 8;

// No entry stands in two blocks.
const _: () = assert!(BLOCK_CONTENT_BYTES.is_multiple_of(ENTRY_BYTES));
const _: () = assert!(BLOCK_CONTENT_BYTES.is_multiple_of(TTL_BYTES));

const SIZE_BITS: u32 = 28;

/// A record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its sequence.
    pub sequence: u64,
    /// When it was stored (nanoseconds since 1970).
    pub time_ns: u64,
    /// Where it stands (bytes).
    pub offset: u64,
    /// Its size, as limits count it (bytes).
    pub size: u64,
    /// How long it may stay.
    pub lifetime: Lifetime,
    /// It tells that its subject's messages are gone.
    pub is_marker: bool,
    /// It has an id.
    pub has_id: bool,
    /// The number of its subject.
    pub subject: u32,
}

/// The records of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectEntry {
    text_start: u32,
    text_bytes: u32,
    /// How many.
    pub records: u32,
    /// The first one's sequence.
    pub first_seq: u64,
    /// The last one's.
    pub last_seq: u64,
}

/// The records and subjects of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    places: Vec<Place>,
    /// In the order of their texts.
    subjects: Vec<SubjectEntry>,
    texts: Vec<u8>,
}

/// Gathers an index from records in their order.
#[derive(Default)]
pub(crate) struct Builder {
    places: Vec<Place>,
    numbers: BTreeMap<Box<[u8]>, u32>,
}

impl Builder {
    pub(crate) fn add(&mut self, offset: u64, record: &Record<'_>) {
        let next = self.numbers.len() as u32;
        let subject = match self.numbers.get(record.subject) {
            Some(&number) => number,
            None => *self.numbers.entry(record.subject.into()).or_insert(next),
        };
        self.places.push(Place {
            sequence: record.sequence,
            time_ns: record.time_ns,
            offset,
            size: record.size(),
            lifetime: record.lifetime,
            is_marker: record.is_marker,
            has_id: !record.msg_id.is_empty(),
            subject,
        });
    }

    pub(crate) fn finish(self) -> Index {
        let Self { mut places, numbers } = self;
        let mut ordered = vec![0; numbers.len()];
        let (mut subjects, mut texts) = (Vec::with_capacity(numbers.len()), Vec::new());
        for (order, (text, number)) in numbers.iter().enumerate() {
            ordered[*number as usize] = order as u32;
            let (text_start, text_bytes) = (texts.len() as u32, text.len() as u32);
            let (records, first_seq, last_seq) = (0, 0, 0);
            subjects.push(SubjectEntry { text_start, text_bytes, records, first_seq, last_seq });
            texts.extend_from_slice(text);
        }
        for place in &mut places {
            place.subject = ordered[place.subject as usize];
            let subject = &mut subjects[place.subject as usize];
            if subject.records == 0 {
                subject.first_seq = place.sequence;
            }
            subject.last_seq = place.sequence;
            subject.records += 1;
        }
        Index { places, subjects, texts }
    }
}

impl Index {
    /// The records, in the order in which they stand.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The subjects, in the order of their bytes.
    pub fn subjects(&self) -> &[SubjectEntry] {
        &self.subjects
    }

    /// The text of a subject.
    pub fn text(&self, subject: u32) -> &[u8] {
        self.subjects[subject as usize].text(&self.texts)
    }

    /// What its records are together; `None` without any.
    fn summary(&self) -> Option<Summary> {
        let (first, last) = self.places.first().zip(self.places.last())?;
        let mortal = self.places.iter().find(|place| place.lifetime != Lifetime::Never);
        Some(Summary {
            first_seq: first.sequence,
            last_seq: last.sequence,
            first_time_ns: first.time_ns,
            time_ns_max: self.places.iter().map(|place| place.time_ns).max()?,
            mortal_ns: mortal.map(|place| place.time_ns),
            size: self.places.iter().map(|place| place.size).sum(),
        })
    }

    /// The index and its trailer, to stand at `start`.
    pub(super) fn encode(&self, seed: u64, start: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (mut ttls, mut ttl_count) = (Vec::new(), 0_u32);
        let mut records = Vec::with_capacity(self.places.len() * ENTRY_BYTES);
        for place in &self.places {
            records.extend_from_slice(&place.sequence.to_le_bytes());
            records.extend_from_slice(&place.time_ns.to_le_bytes());
            records.extend_from_slice(&((place.offset / ALIGNMENT as u64) as u32).to_le_bytes());
            let sized = place.size as u32 | u32::from(flags(place)) << SIZE_BITS;
            records.extend_from_slice(&sized.to_le_bytes());
            records.extend_from_slice(&place.subject.to_le_bytes());
            if let Lifetime::Ttl { ttl_ns } = place.lifetime {
                ttls.extend_from_slice(&ttl_ns.to_le_bytes());
                ttl_count += 1;
            }
        }
        let mut subjects = Vec::with_capacity(self.subjects.len() * ENTRY_BYTES);
        for subject in &self.subjects {
            let SubjectEntry { text_start, text_bytes, records, first_seq, last_seq } = *subject;
            for number in [text_start, text_bytes, records] {
                subjects.extend_from_slice(&number.to_le_bytes());
            }
            for number in [first_seq, last_seq] {
                subjects.extend_from_slice(&number.to_le_bytes());
            }
        }
        for section in [&records, &ttls, &subjects, &self.texts] {
            append_blocks(&mut bytes, section, seed, start);
        }
        let mut trailer = MAGIC.to_vec();
        let counts = [self.places.len(), ttl_count as usize, self.subjects.len(), self.texts.len()];
        for count in counts {
            trailer.extend_from_slice(&(count as u32).to_le_bytes());
        }
        trailer.extend_from_slice(&start.to_le_bytes());
        let summary = self.summary().unwrap_or_default();
        for number in [
            summary.first_seq,
            summary.last_seq,
            summary.first_time_ns,
            summary.time_ns_max,
            summary.mortal_ns.unwrap_or(NO_TIME),
            summary.size,
        ] {
            trailer.extend_from_slice(&number.to_le_bytes());
        }
        let check = check_at(&trailer, seed, start as usize + bytes.len());
        trailer.extend_from_slice(&check.to_le_bytes());
        bytes.extend_from_slice(&trailer);
        bytes
    }

    /// Reads an index; `None` when it is not as it was written.
    pub(super) fn decode(bytes: &[u8], trailer: &Trailer, seed: u64) -> Option<Self> {
        let mut blocks = Blocks { rest: bytes, seed, at: trailer.start as usize };
        let [records, ttls, subjects, text_bytes] = trailer.counts.map(|count| count as usize);
        let records = blocks.section(records * ENTRY_BYTES)?;
        let ttls = blocks.section(ttls * TTL_BYTES)?;
        let (of_subjects, texts) = blocks.subjects(subjects, text_bytes)?;
        let mut ttls = Fields(&ttls);
        let mut places = Vec::with_capacity(records.len() / ENTRY_BYTES);
        for entry in records.chunks_exact(ENTRY_BYTES) {
            places.push(decode_place(entry, &mut ttls, subjects)?);
        }
        Some(Self { places, subjects: of_subjects, texts })
    }
}

/// What the records of a segment are together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The first record's sequence.
    pub first_seq: u64,
    /// The last one's.
    pub last_seq: u64,
    /// When the first was stored.
    pub first_time_ns: u64,
    /// When the youngest was.
    pub time_ns_max: u64,
    /// When the first was that may end by its age.
    pub mortal_ns: Option<u64>,
    /// Their size, as limits count it (bytes).
    pub size: u64,
}

/// What a sealed segment says of its records without naming them.
pub struct Contents {
    /// All of them.
    pub summary: Summary,
    /// How many there are.
    pub records: u32,
    /// How many of them end at a time of their own.
    pub ttls: u32,
    /// Where they end in the file (bytes).
    pub end: u64,
    subjects: Vec<SubjectEntry>,
    texts: Vec<u8>,
}

impl Contents {
    /// Text and records of each subject, in the order of their bytes.
    pub fn subjects(&self) -> impl Iterator<Item = (&[u8], &SubjectEntry)> {
        self.subjects.iter().map(|subject| (subject.text(&self.texts), subject))
    }

    /// Reads them, from the bytes at [`Trailer::subjects_at`]; `None` when they are not as they were
    /// written.
    pub(super) fn decode(bytes: &[u8], trailer: &Trailer, seed: u64) -> Option<Self> {
        let mut blocks = Blocks { rest: bytes, seed, at: trailer.subjects_at() as usize };
        let [records, ttls, subjects, text_bytes] = trailer.counts;
        let (subjects, texts) = blocks.subjects(subjects as usize, text_bytes as usize)?;
        let (summary, end) = (trailer.summary, trailer.start);
        Some(Self { summary, records, ttls, end, subjects, texts })
    }
}

impl SubjectEntry {
    fn text<'a>(&self, texts: &'a [u8]) -> &'a [u8] {
        &texts[self.text_start as usize..][..self.text_bytes as usize]
    }
}

fn flags(place: &Place) -> u8 {
    let lifetime = match place.lifetime {
        Lifetime::Limits => 0,
        Lifetime::Ttl { .. } => record::HAS_TTL,
        Lifetime::Never => record::NEVER_EXPIRES,
    };
    let marker = if place.is_marker { record::IS_MARKER } else { 0 };
    lifetime | marker | if place.has_id { record::HAS_ID } else { 0 }
}

fn decode_place(entry: &[u8], ttls: &mut Fields<'_>, subjects: usize) -> Option<Place> {
    let sized = u32_at(entry, 20);
    let flags = (sized >> SIZE_BITS) as u8;
    let lifetime = match flags & (record::HAS_TTL | record::NEVER_EXPIRES) {
        0 => Lifetime::Limits,
        record::HAS_TTL => Lifetime::Ttl { ttl_ns: ttls.u64()? },
        _ => Lifetime::Never,
    };
    let subject = u32_at(entry, 24);
    ((subject as usize) < subjects).then_some(Place {
        sequence: u64_at(entry, 0),
        time_ns: u64_at(entry, 8),
        offset: u64::from(u32_at(entry, 16)) * ALIGNMENT as u64,
        size: u64::from(sized & ((1 << SIZE_BITS) - 1)),
        lifetime,
        is_marker: flags & record::IS_MARKER != 0,
        has_id: flags & record::HAS_ID != 0,
        subject,
    })
}

fn append_blocks(bytes: &mut Vec<u8>, section: &[u8], seed: u64, start: u64) {
    for content in section.chunks(BLOCK_CONTENT_BYTES) {
        let check = check_at(content, seed, start as usize + bytes.len());
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&check.to_le_bytes());
    }
}

/// Reads sections one after the other.
struct Blocks<'a> {
    rest: &'a [u8],
    seed: u64,
    at: usize,
}

impl Blocks<'_> {
    fn section(&mut self, bytes: usize) -> Option<Vec<u8>> {
        let mut section = Vec::with_capacity(bytes.min(self.rest.len()));
        while section.len() < bytes {
            let count = (bytes - section.len()).min(BLOCK_CONTENT_BYTES);
            let (block, rest) = self.rest.split_at_checked(count + 8)?;
            let is_whole = check_at(&block[..count], self.seed, self.at) == u64_at(block, count);
            if !is_whole && !planted::is(Bug::IndexUnchecked) {
                return None;
            }
            section.extend_from_slice(&block[..count]);
            (self.rest, self.at) = (rest, self.at + count + 8);
        }
        Some(section)
    }

    /// The subjects, and their texts.
    fn subjects(
        &mut self,
        count: usize,
        text_bytes: usize,
    ) -> Option<(Vec<SubjectEntry>, Vec<u8>)> {
        let entries = self.section(count * ENTRY_BYTES)?;
        let texts = self.section(text_bytes)?;
        let subjects = entries.chunks_exact(ENTRY_BYTES).map(|entry| {
            let [text_start, text_bytes, records] = [0, 4, 8].map(|at| u32_at(entry, at));
            let [first_seq, last_seq] = [12, 20].map(|at| u64_at(entry, at));
            let end = text_start.checked_add(text_bytes)? as usize;
            let subject = SubjectEntry { text_start, text_bytes, records, first_seq, last_seq };
            (end <= texts.len()).then_some(subject)
        });
        let subjects = subjects.collect::<Option<_>>()?;
        Some((subjects, texts))
    }
}

/// What a section takes with its checks (bytes).
fn with_checks(bytes: u64) -> u64 {
    bytes + bytes.div_ceil(BLOCK_CONTENT_BYTES as u64) * 8
}

/// What the end of a sealed segment says.
pub(super) struct Trailer {
    /// Where the index begins.
    pub(super) start: u64,
    counts: [u32; 4],
    summary: Summary,
}

impl Trailer {
    /// The trailer, if the one that stands at `at` checks.
    pub(super) fn decode(bytes: &[u8], seed: u64, at: u64) -> Option<Self> {
        let is_whole = bytes.len() == TRAILER_BYTES
            && bytes.starts_with(MAGIC)
            && check_at(&bytes[..TRAILER_CHECKED_BYTES], seed, at as usize)
                == u64_at(bytes, TRAILER_CHECKED_BYTES);
        let start = is_whole.then(|| u64_at(bytes, 24)).filter(|&start| start <= at)?;
        let [first_seq, last_seq, first_time_ns, time_ns_max, mortal_ns, size] =
            [32, 40, 48, 56, 64, 72].map(|at| u64_at(bytes, at));
        let mortal_ns = (mortal_ns != NO_TIME).then_some(mortal_ns);
        let summary = Summary { first_seq, last_seq, first_time_ns, time_ns_max, mortal_ns, size };
        Some(Self { start, counts: [8, 12, 16, 20].map(|at| u32_at(bytes, at)), summary })
    }

    /// Where the subjects begin.
    pub(super) fn subjects_at(&self) -> u64 {
        let [records, ttls, ..] = self.counts.map(u64::from);
        let before = [records * ENTRY_BYTES as u64, ttls * TTL_BYTES as u64];
        self.start + before.into_iter().map(with_checks).sum::<u64>()
    }
}
