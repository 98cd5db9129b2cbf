//! What a segment holds: its records in order, and its subjects. It stands at the end of a sealed one.
//!
//! ```text
//! records   u32
//! subjects  u32
//! records:  sequence u64, time i64, offset / 8 u32, 0 or 2^32 - 1 in a tombstone u32
//! subjects: bytes u16, text, records u32, first and last record u32 each; in the order of their bytes
//! zeros up to a multiple of 8
//! trailer:  "KBSEGIDX", where the index begins u64, its bytes u64, check of the index u64,
//!           check of the trailer u64
//! ```

use std::collections::BTreeMap;

use keelback_planted::{self as planted, Bug};

use super::record::{ALIGNMENT, Kind};
use crate::bytes::{check_at, i64_at, u16_at, u32_at, u64_at};

/// At the very end of a sealed segment (bytes).
pub(super) const TRAILER_BYTES: usize = 40;

const MAGIC: &[u8; 8] = b"KBSEGIDX";
const PLACE_BYTES: usize = 24;
const TOMBSTONE: u32 = u32::MAX;

/// A record of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its sequence.
    pub sequence: u64,
    /// When it was stored (nanoseconds since 1970).
    pub time_ns: i64,
    /// Where it stands (bytes).
    pub offset: u64,
    /// What it is.
    pub kind: Kind,
}

/// The records of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubjectEntry {
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
    pub(super) fn add(
        &mut self,
        offset: usize,
        kind: Kind,
        sequence: u64,
        time_ns: i64,
        subject: &[u8],
    ) {
        let number = self.places.len() as u32;
        self.places.push(Place { sequence, time_ns, offset: offset as u64, kind });
        if kind == Kind::Tombstone {
            return;
        }
        if let Some(entry) = self.subjects.get_mut(subject) {
            (entry.records, entry.last) = (entry.records + 1, number);
        } else {
            let entry = SubjectEntry { records: 1, first: number, last: number };
            self.subjects.insert(subject.into(), entry);
        }
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
            let mark = if place.kind == Kind::Tombstone { TOMBSTONE } else { 0 };
            bytes.extend_from_slice(&mark.to_le_bytes());
        }
        for (subject, entry) in &self.subjects {
            bytes.extend_from_slice(&(subject.len() as u16).to_le_bytes());
            bytes.extend_from_slice(subject);
            for number in [entry.records, entry.first, entry.last] {
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
            let is_message = u32_at(place, 20) != TOMBSTONE;
            Place {
                sequence: u64_at(place, 0),
                time_ns: i64_at(place, 8),
                offset: u64::from(u32_at(place, 16)) * ALIGNMENT as u64,
                kind: if is_message { Kind::Message } else { Kind::Tombstone },
            }
        });
        let mut index = Self { places: places.collect(), subjects: BTreeMap::new() };
        let mut rest = &bytes[subjects_at..];
        for _ in 0..subjects {
            let length = rest.get(..2).map(|bytes| usize::from(u16_at(bytes, 0)))?;
            let (entry, later) = rest.get(2..)?.split_at_checked(length + 12)?;
            let [records, first, last] = [0, 4, 8].map(|at| u32_at(entry, length + at));
            index.subjects.insert(entry[..length].into(), SubjectEntry { records, first, last });
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
