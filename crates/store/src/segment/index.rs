//! What a segment holds: its records in order, and its subjects. It stands at the end of a sealed one.
//!
//! ```text
//! records   u32
//! subjects  u32
//! records:  sequence u64, time u64, offset / 8 u32, number of its subject or 2^32 - 1 in a tombstone
//!           u32, size as limits count it u32, TTL u32, flags u32
//! subjects: bytes u16, text, number u32, records u32, first and last record u32 each; in the order of
//!           their bytes
//! zeros up to a multiple of 8
//! trailer:  "KBSEGIDX", where the index begins u64, its bytes u64, check of the index u64,
//!           check of the trailer u64
//! ```

use std::collections::BTreeMap;

use keelback_planted::{self as planted, Bug};

use super::record::{ALIGNMENT, Kind, Record};
use crate::bytes::{check_at, u16_at, u32_at, u64_at};

/// At the very end of a sealed segment (bytes).
pub(super) const TRAILER_BYTES: usize = 40;

const MAGIC: &[u8; 8] = b"KBSEGIDX";
const PLACE_BYTES: usize = 36;
const TOMBSTONE: u32 = u32::MAX;

/// A record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its sequence.
    pub sequence: u64,
    /// When it was stored (nanoseconds since 1970).
    pub time_ns: u64,
    /// Where it stands (bytes).
    pub offset: u64,
    /// What it is.
    pub kind: Kind,
    /// The number of its subject in this segment.
    pub subject: u32,
    /// Its size as limits count it.
    pub bytes: u32,
    /// As in [`Record`].
    pub ttl_s: u32,
    /// As in [`Record`].
    pub flags: u8,
}

/// The records of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectEntry {
    /// By which records name it.
    pub number: u32,
    /// How many.
    pub records: u32,
    /// The first of them, counted in the segment.
    pub first: u32,
    /// The last.
    pub last: u32,
}

/// The records and subjects of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    places: Vec<Place>,
    subjects: BTreeMap<Box<[u8]>, SubjectEntry>,
}

impl Index {
    pub(super) fn add(&mut self, offset: usize, record: &Record<'_>) {
        let number = self.places.len() as u32;
        let Record { kind, sequence, time_ns, ttl_s, flags, subject, .. } = *record;
        let mut place = Place {
            sequence,
            time_ns,
            offset: offset as u64,
            kind,
            subject: 0,
            bytes: record.counted_bytes() as u32,
            ttl_s,
            flags,
        };
        if kind == Kind::Message {
            let next = self.subjects.len() as u32;
            if let Some(entry) = self.subjects.get_mut(subject) {
                (entry.records, entry.last) = (entry.records + 1, number);
                place.subject = entry.number;
            } else {
                let entry = SubjectEntry { number: next, records: 1, first: number, last: number };
                self.subjects.insert(subject.into(), entry);
                place.subject = next;
            }
        }
        self.places.push(place);
    }

    /// The subjects by their numbers.
    pub fn subjects_by_number(&self) -> Vec<&[u8]> {
        let mut by_number = vec![&b""[..]; self.subjects.len()];
        for (subject, entry) in &self.subjects {
            if let Some(place) = by_number.get_mut(entry.number as usize) {
                *place = subject;
            }
        }
        by_number
    }

    /// The records, in the order in which they stand.
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The subjects, in the order of their bytes.
    pub fn subjects(&self) -> impl Iterator<Item = (&[u8], SubjectEntry)> {
        self.subjects.iter().map(|(subject, &entry)| (&**subject, entry))
    }

    /// The records of a subject.
    pub fn subject(&self, subject: &[u8]) -> Option<SubjectEntry> {
        self.subjects.get(subject).copied()
    }

    /// The index and its trailer, to stand at `start`.
    pub(super) fn encode(&self, seed: u64, start: usize) -> Vec<u8> {
        let mut bytes = (self.places.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(&(self.subjects.len() as u32).to_le_bytes());
        for place in &self.places {
            bytes.extend_from_slice(&place.sequence.to_le_bytes());
            bytes.extend_from_slice(&place.time_ns.to_le_bytes());
            bytes.extend_from_slice(&((place.offset / ALIGNMENT as u64) as u32).to_le_bytes());
            let is_message = place.kind == Kind::Message;
            let subject = if is_message { place.subject } else { TOMBSTONE };
            for number in [subject, place.bytes, place.ttl_s, u32::from(place.flags)] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        for (subject, entry) in &self.subjects {
            bytes.extend_from_slice(&(subject.len() as u16).to_le_bytes());
            bytes.extend_from_slice(subject);
            for number in [entry.number, entry.records, entry.first, entry.last] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        bytes.resize(bytes.len().next_multiple_of(ALIGNMENT), 0);
        let mut trailer = MAGIC.to_vec();
        let check = check_at(&bytes, seed, start);
        for number in [start as u64, bytes.len() as u64, check] {
            trailer.extend_from_slice(&number.to_le_bytes());
        }
        let place = start + bytes.len();
        trailer.extend_from_slice(&check_at(&trailer, seed, place).to_le_bytes());
        bytes.extend_from_slice(&trailer);
        bytes
    }

    /// Reads an index; `None` when it is not as it was written.
    pub(super) fn decode(bytes: &[u8], trailer: &[u8], seed: u64, start: usize) -> Option<Self> {
        let is_whole = check_at(bytes, seed, start) == u64_at(trailer, 24);
        if !is_whole && !planted::is(Bug::IndexUnchecked) || bytes.len() < 8 {
            return None;
        }
        let (records, subjects) = (u32_at(bytes, 0) as usize, u32_at(bytes, 4) as usize);
        let subjects_at = records.checked_mul(PLACE_BYTES)?.checked_add(8)?;
        let places = bytes.get(8..subjects_at)?.chunks_exact(PLACE_BYTES).map(|place| {
            let subject = u32_at(place, 20);
            let is_message = subject != TOMBSTONE;
            Place {
                sequence: u64_at(place, 0),
                time_ns: u64_at(place, 8),
                offset: u64::from(u32_at(place, 16)) * ALIGNMENT as u64,
                kind: if is_message { Kind::Message } else { Kind::Tombstone },
                subject: if is_message { subject } else { 0 },
                bytes: u32_at(place, 24),
                ttl_s: u32_at(place, 28),
                flags: u32_at(place, 32) as u8,
            }
        });
        let mut index = Self { places: places.collect(), subjects: BTreeMap::new() };
        let mut rest = &bytes[subjects_at..];
        for _ in 0..subjects {
            let length = rest.get(..2).map(|bytes| usize::from(u16_at(bytes, 0)))?;
            let (entry, later) = rest.get(2..)?.split_at_checked(length + 16)?;
            let [number, records, first, last] = [0, 4, 8, 12].map(|at| u32_at(entry, length + at));
            let found = SubjectEntry { number, records, first, last };
            index.subjects.insert(entry[..length].into(), found);
            rest = later;
        }
        Some(index)
    }
}

/// Where the index begins and how long it is, if the trailer at `at` checks.
pub(super) fn trailer(trailer: &[u8], seed: u64, at: usize) -> Option<(usize, usize)> {
    let is_whole = trailer.len() == TRAILER_BYTES
        && trailer.starts_with(MAGIC)
        && check_at(&trailer[..32], seed, at) == u64_at(trailer, 32);
    let (start, length) =
        (u64_at(trailer.get(..TRAILER_BYTES)?, 8) as usize, u64_at(trailer, 16) as usize);
    (is_whole && start.checked_add(length) == Some(at)).then_some((start, length))
}
