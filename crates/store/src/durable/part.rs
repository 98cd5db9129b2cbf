//! What is known in memory of a segment of a stream.

use std::path::{Path, PathBuf};

use super::Located;
use super::content::Listed;
use crate::segment::{
    Extent, Hole, Identity, RECORDS_AT, Record, Segment, SegmentError, Stored,
    record::{self, ALIGNMENT},
};

/// A place is the number of a segment above an offset, which is counted in records' alignment: so
/// places in a segment lie close together.
const OFFSET_BITS: u32 = 32;

/// The place that a stream keeps for a record; `None` if it is too far.
pub(super) fn place_of(number: u64, offset: u64) -> Option<u64> {
    let (number, offset) = (u32::try_from(number).ok()?, offset / ALIGNMENT as u64);
    let offset = u32::try_from(offset).ok()?;
    Some(u64::from(number) << OFFSET_BITS | u64::from(offset))
}

/// The number of the segment, and the offset.
pub(super) fn split_place(place: u64) -> (u64, u64) {
    (place >> OFFSET_BITS, (place & ((1 << OFFSET_BITS) - 1)) * ALIGNMENT as u64)
}

pub(super) struct Part<F> {
    pub(super) identity: Identity,
    pub(super) number: u64,
    /// Its file, when there is one.
    pub(super) segment: Option<Segment<F>>,
    /// Where the records that are in the file end.
    pub(super) written: u64,
    /// Up to there they are safe.
    pub(super) synced: u64,
    /// Records behind those.
    pub(super) waiting: Vec<u8>,
    /// Nothing is appended any more.
    pub(super) is_full: bool,
    /// Its index is safe.
    pub(super) is_sealed: bool,
    /// There should be a file, and is none.
    pub(super) is_absent: bool,
    /// It is being written anew, or that failed.
    pub(super) is_compacted: bool,
    /// Its live map does not tell what lives: messages were removed from its midst.
    pub(super) is_dirty: bool,
    /// The generation of its live map; 0 without one.
    pub(super) map: u64,
    /// At most the first message's.
    pub(super) first_seq: u64,
    /// At least the last message's.
    pub(super) last_seq: u64,
    /// What is below it is gone, as long as the file is not there.
    pub(super) floor_seq: u64,
    /// The size of all records, as limits count it.
    pub(super) bytes: u64,
    /// What was found damaged.
    pub(super) holes: Vec<Hole>,
}

impl<F> Part<F> {
    pub(super) fn new(identity: Identity, first_seq: u64) -> Self {
        Self {
            identity,
            number: identity.number,
            segment: None,
            written: RECORDS_AT,
            synced: 0,
            waiting: Vec::new(),
            is_full: false,
            is_sealed: false,
            is_absent: false,
            is_compacted: false,
            is_dirty: false,
            map: 0,
            first_seq,
            last_seq: first_seq,
            floor_seq: 0,
            bytes: 0,
            holes: Vec::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_full && !self.is_sealed && !self.is_absent
    }

    /// Where its records end, those that wait included.
    pub(super) fn end(&self) -> u64 {
        self.written + self.waiting.len() as u64
    }

    /// The first record always has room.
    pub(super) fn has_room(&self, record_bytes: u64, segment_bytes: u64) -> bool {
        self.end() == RECORDS_AT || self.end() + record_bytes <= segment_bytes
    }

    pub(super) fn append(&mut self, record: &Record<'_>) {
        let end = self.end();
        record::append(&mut self.waiting, self.identity.seed(), end, record);
        // A live map tells of all records.
        self.is_dirty |= self.map > 0;
        self.last_seq = record.sequence;
        self.bytes += record.size();
    }

    fn waiting_at(&self, offset: u64) -> Option<(usize, usize)> {
        let start = offset.checked_sub(self.written)? as usize;
        let head = record::head(self.waiting.get(start..)?, self.identity.seed(), offset)?;
        Some((start, start + head.record_bytes()))
    }

    pub(super) fn read_waiting(&self, offset: u64) -> Option<Stored> {
        let (start, end) = self.waiting_at(offset)?;
        let bytes = self.waiting.get(start..end)?.to_vec();
        Stored::check(bytes, self.identity.seed(), offset)
    }

    pub(super) fn erase_waiting(&mut self, offset: u64) {
        let Some((start, end)) = self.waiting_at(offset) else { return };
        let seed = self.identity.seed();
        if let Some(bytes) = self.waiting.get_mut(start..end)
            && let Some(head) = record::head(bytes, seed, offset)
        {
            record::erase(bytes, seed, offset, &head);
        }
    }

    /// What is said of a message that the state does not know.
    pub(super) fn lost(&self, seq: u64, folder: &Path) -> Result<Option<Located<F>>, SegmentError> {
        let hole = self.holes.iter().find(|hole| hole.sequences.contains(&seq));
        let offset = hole.map(|hole| hole.offset).or(self.is_absent.then_some(0));
        let path = self.path(folder);
        offset.map_or(Ok(None), |offset| Err(SegmentError::Damaged { path, offset }))
    }

    /// Whether something of it is damaged: then it is not removed.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_absent || !self.holes.is_empty()
    }

    /// As it is listed when messages below `floor_seq` are gone.
    pub(super) fn listed(&self, floor_seq: u64) -> Listed {
        Listed {
            number: self.number,
            extent: if self.is_sealed { Extent::Sealed } else { Extent::Until(self.written) },
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            floor_seq: if self.is_absent { self.floor_seq } else { floor_seq },
            map: self.map,
            holes: self.holes.clone(),
        }
    }

    pub(super) fn path(&self, folder: &Path) -> PathBuf {
        segment_path(folder, self.number)
    }

    pub(super) fn map_path(&self, folder: &Path) -> PathBuf {
        map_path(folder, self.number, self.map)
    }
}

pub(super) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08x}.segment"))
}

pub(super) fn map_path(folder: &Path, number: u64, map: u64) -> PathBuf {
    folder.join(format!("{number:08x}.{map:016x}.live"))
}
