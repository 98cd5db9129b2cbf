//! Segments: a stream's records, in files that are appended to and then sealed.
//!
//! A sealed segment ends with an index of its records, so that opening it reads no record. Every
//! record that is read is checked. What is not in a file yet is the stream's: `durable`.
//! `docs/store-format.md` has the bytes.

mod index;
pub(crate) mod record;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use index::{TRAILER_BYTES, Trailer};
use keelback_planted::{self as planted, Bug};
use record::{ALIGNMENT, HEAD_BYTES, Head};
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::u64_at;
use crate::disk::{Disk, File, read_up_to};
use crate::header_block::{self, BLOCK_BYTES};

pub(crate) use index::Builder;
pub use index::{Contents, Index, Place, SubjectEntry, Summary};
pub use record::Record;

/// Where the records of a segment begin (bytes).
pub(crate) const RECORDS_AT: u64 = BLOCK_BYTES as u64;

const NAME: [u8; 7] = *b"KBSEG\0\0";
const FIELDS_BYTES: usize = 32;

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 2;

/// Read with a head of which nothing is known, so that most records take one call (bytes).
const READ_BYTES: usize = 1024;

/// Whose a segment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The store's number.
    pub store: u128,
    /// The stream's group in the log.
    pub stream: u64,
    /// Counted within the stream.
    pub number: u64,
}

impl Identity {
    /// The seed of the checks in it.
    pub(crate) fn seed(&self) -> u64 {
        xxh3_64(&self.encode())
    }

    fn encode(&self) -> Vec<u8> {
        let mut fields = self.store.to_le_bytes().to_vec();
        fields.extend_from_slice(&self.stream.to_le_bytes());
        fields.extend_from_slice(&self.number.to_le_bytes());
        fields
    }

    fn decode(fields: &[u8]) -> Self {
        let [low, high, stream, number] = [0, 8, 16, 24].map(|at| u64_at(fields, at));
        Self { store: u128::from(low) | u128::from(high) << 64, stream, number }
    }
}

/// How much of a segment is safe, as its stream remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// All of it, and its index.
    Sealed,
    /// Its records up to there (bytes).
    Until(u64),
}

/// What keeps a segment from being used.
#[derive(Debug)]
pub enum SegmentError {
    /// The disk refused.
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Of a format that this program does not know.
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        version: u8,
    },
    /// It is no segment, or another one.
    NotThis {
        /// Which file.
        path: PathBuf,
    },
    /// What a segment held was not read again.
    Unread {
        /// Why.
        why: String,
    },
    /// The record there is not as it was written.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where (bytes).
        offset: u64,
    },
}

impl fmt::Display for SegmentError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { path, error } => write!(formatter, "{}: {error}", path.display()),
            Self::Version { path, version } => {
                header_block::show_version(formatter, path, *version, VERSION)
            }
            Self::NotThis { path } => {
                write!(formatter, "{}: no segment of this stream, or damaged", path.display())
            }
            Self::Unread { why } => formatter.write_str(why),
            Self::Damaged { path, offset } => {
                write!(formatter, "{}: the record at {offset} is damaged", path.display())
            }
        }
    }
}

impl std::error::Error for SegmentError {}

/// What is not as it was written. Nothing is removed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A copy of the header; the other one served.
    Header,
    /// The index; the records were read in its place.
    Index,
    /// These bytes make no record although they should.
    Hole(Hole),
}

/// Bytes that make no record although they should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hole {
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
    /// Their messages had some of these sequences.
    pub sequences: RangeInclusive<u64>,
}

/// A record that was read and checked.
#[derive(Clone, Debug)]
pub struct Stored {
    bytes: Vec<u8>,
    head: Head,
    /// The payload, where it is packed.
    unpacked: Option<Vec<u8>>,
}

impl Stored {
    /// The record at the beginning of `bytes`, which stand at `offset`; `None` if it is damaged.
    pub(crate) fn check(mut bytes: Vec<u8>, seed: u64, offset: u64) -> Option<Self> {
        let head = record::head(&bytes, seed, offset)?;
        let record = record::body(&bytes, seed, offset, &head)?;
        let unpacked = match record.packed_from {
            Some(_) => Some(record::unpack(&record)?),
            None => None,
        };
        bytes.truncate(head.record_bytes());
        Some(Self { bytes, head, unpacked })
    }

    /// The record, unpacked.
    pub fn record(&self) -> Record<'_> {
        let record = self.written();
        match &self.unpacked {
            Some(payload) => Record { payload, packed_from: None, ..record },
            None => record,
        }
    }

    /// The record as it was written.
    pub(crate) fn written(&self) -> Record<'_> {
        let parts = record::parts(&self.bytes, &self.head);
        // It was checked when it was read, and nothing has written to it.
        parts.unwrap_or_else(|| unreachable!("a record that was checked"))
    }
}

/// The file of a segment; clones are the same file.
pub struct Segment<F> {
    file: Arc<F>,
    path: Arc<Path>,
    seed: u64,
}

impl<F> Clone for Segment<F> {
    fn clone(&self) -> Self {
        Self { file: self.file.clone(), path: self.path.clone(), seed: self.seed }
    }
}

impl<F: File> Segment<F> {
    /// Begins a segment, in the place of one that was begun behind the last checkpoint. Its name is
    /// safe when the folder is synced.
    ///
    /// # Errors
    /// The disk refused.
    pub fn create<D: Disk<File = F>>(
        on: &D,
        path: &Path,
        identity: &Identity,
    ) -> Result<Self, SegmentError> {
        let refused = |error| SegmentError::Disk { path: path.to_owned(), error };
        match on.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
            _ => {}
        }
        let file = on.create(path).map_err(refused)?;
        let block = header_block::encode(NAME, VERSION, &identity.encode());
        file.write_at(&block, 0).map_err(refused)?;
        Ok(Self { file: Arc::new(file), path: path.into(), seed: identity.seed() })
    }

    /// Opens a segment; says whether a copy of its header is damaged.
    ///
    /// # Errors
    /// The disk refused, or it is not this segment.
    pub fn open<D: Disk<File = F>>(
        on: &D,
        path: &Path,
        identity: &Identity,
    ) -> Result<(Self, Option<Damage>), SegmentError> {
        let refused = |error| SegmentError::Disk { path: path.to_owned(), error };
        let file = on.open(path).map_err(refused)?;
        let block = read_up_to(&file, 0, BLOCK_BYTES).map_err(refused)?;
        let is_damaged = match header_block::find(&block, NAME, VERSION, FIELDS_BYTES) {
            header_block::Found::Version(version) => {
                return Err(SegmentError::Version { path: path.to_owned(), version });
            }
            header_block::Found::Fields(fields, is_damaged)
                if Identity::decode(fields) == *identity =>
            {
                is_damaged
            }
            _ => return Err(SegmentError::NotThis { path: path.to_owned() }),
        };
        let segment = Self { file: Arc::new(file), path: path.into(), seed: identity.seed() };
        Ok((segment, is_damaged.then_some(Damage::Header)))
    }

    /// Which file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes bytes, which are safe after `sync`.
    ///
    /// # Errors
    /// The disk refused: any part of them may have been written.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Result<(), SegmentError> {
        self.file.write_at(bytes, offset).map_err(|error| self.refused(error))
    }

    /// Puts what was written on stable storage.
    ///
    /// # Errors
    /// The disk refused: what was written since the last success must be written anew from the log.
    pub fn sync(&self) -> Result<(), SegmentError> {
        self.file.sync().map_err(|error| self.refused(error))
    }

    /// Reads the record at `offset` and checks it.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn read(&self, offset: u64) -> Result<Stored, SegmentError> {
        self.read_first(offset, READ_BYTES)
    }

    /// As `read`, of a message of this size, as limits count it: one call for most, of no more than
    /// there is.
    ///
    /// # Errors
    /// As `read`.
    pub fn read_sized(&self, offset: u64, message_bytes: u64) -> Result<Stored, SegmentError> {
        self.read_first(offset, record::bytes_of(message_bytes))
    }

    fn read_first(&self, offset: u64, first_bytes: usize) -> Result<Stored, SegmentError> {
        let damaged = || SegmentError::Damaged { path: self.path.to_path_buf(), offset };
        let mut bytes = self.bytes_at(offset, first_bytes)?;
        let head = record::head(&bytes, self.seed, offset).ok_or_else(damaged)?;
        let rest = head.record_bytes().saturating_sub(bytes.len());
        if rest > 0 {
            bytes.extend(self.bytes_at(offset + bytes.len() as u64, rest)?);
        }
        Stored::check(bytes, self.seed, offset).ok_or_else(damaged)
    }

    /// Overwrites what the record at `offset` carries, durably.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn erase(&self, offset: u64) -> Result<(), SegmentError> {
        let Stored { mut bytes, head, .. } = self.read(offset)?;
        record::erase(&mut bytes, self.seed, offset, &head);
        self.write(&bytes, offset)?;
        self.sync()
    }

    /// Its records, where they end (bytes), and what is not as it was written. They are read one by
    /// one where no index tells of them; `sequences` are those that it may hold.
    ///
    /// # Errors
    /// The disk refused.
    pub fn records(
        &self,
        extent: Extent,
        sequences: RangeInclusive<u64>,
    ) -> Result<(Index, u64, Vec<Damage>), SegmentError> {
        let indexed = self.read_index()?;
        let (end, mut damage) = match extent {
            Extent::Sealed => match indexed {
                Some((index, end)) => return Ok((index, end, Vec::new())),
                None => (None, vec![Damage::Index]),
            },
            Extent::Until(end) => match indexed {
                // Written when the stream was closed: what was written since stands behind it.
                Some((index, at)) if at == end => return Ok((index, end, Vec::new())),
                _ => (Some(end), Vec::new()),
            },
        };
        let (builder, end, holes) = self.scan(end, sequences)?;
        damage.extend(holes.into_iter().map(Damage::Hole));
        Ok((builder.finish(), end, damage))
    }

    /// Reads and checks every record, and holds the index against them.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn verify(
        &self,
        extent: Extent,
        sequences: RangeInclusive<u64>,
    ) -> Result<Verified, SegmentError> {
        let indexed = self.read_index()?;
        let end = match (extent, &indexed) {
            (Extent::Until(end), _) => Some(end),
            (Extent::Sealed, Some((_, end))) => Some(*end),
            (Extent::Sealed, None) => None,
        };
        let (builder, end, holes) = self.scan(end, sequences)?;
        let index = builder.finish();
        // One that was written when the stream was closed may have records behind it.
        let index_is_right = match indexed {
            Some((found, at)) if at == end => found == index,
            _ => true,
        };
        let holes = holes.iter().map(|hole| hole.offset).collect();
        Ok(Verified { records: index.places().len() as u64, holes, index_is_right })
    }

    /// Puts an index behind its records, which end at `end`; it is safe after `sync`. Nothing may
    /// be appended any more, unless the stream remembers the end.
    ///
    /// # Errors
    /// There is a hole that does not begin at one of the `known` offsets, or the disk refused.
    pub fn seal(
        &self,
        end: u64,
        sequences: RangeInclusive<u64>,
        known: &[u64],
    ) -> Result<(), SegmentError> {
        let (builder, _, holes) = self.scan(Some(end), sequences)?;
        if let Some(hole) = holes.iter().find(|hole| !known.contains(&hole.offset)) {
            let path = self.path.to_path_buf();
            return Err(SegmentError::Damaged { path, offset: hole.offset });
        }
        self.write_index(&builder.finish(), end)
    }

    /// Writes an index behind the records, which end at `end`; it is safe after `sync`.
    ///
    /// # Errors
    /// The disk refused.
    pub(crate) fn write_index(&self, index: &Index, end: u64) -> Result<(), SegmentError> {
        let bytes = index.encode(self.seed, end);
        self.write(&bytes, end)?;
        // A torn record of an earlier life may stand behind it.
        let cut = self.file.truncate(end + bytes.len() as u64);
        cut.map_err(|error| self.refused(error))
    }

    fn refused(&self, error: io::Error) -> SegmentError {
        SegmentError::Disk { path: self.path.to_path_buf(), error }
    }

    fn bytes_at(&self, offset: u64, bytes: usize) -> Result<Vec<u8>, SegmentError> {
        read_up_to(&*self.file, offset, bytes).map_err(|error| self.refused(error))
    }

    /// What a sealed segment says of its records without naming them; `None` if that does not check.
    ///
    /// # Errors
    /// The disk refused.
    pub fn contents(&self) -> Result<Option<Contents>, SegmentError> {
        let Some((trailer, at)) = self.trailer()? else { return Ok(None) };
        let start = trailer.subjects_at();
        let Some(bytes) = at.checked_sub(start) else { return Ok(None) };
        let encoded = self.bytes_at(start, bytes as usize)?;
        Ok(Contents::decode(&encoded, &trailer, self.seed))
    }

    /// Reads the index at the end of the file, and where it begins; `None` if it does not check.
    fn read_index(&self) -> Result<Option<(Index, u64)>, SegmentError> {
        let Some((trailer, at)) = self.trailer()? else { return Ok(None) };
        let encoded = self.bytes_at(trailer.start, (at - trailer.start) as usize)?;
        let index = Index::decode(&encoded, &trailer, self.seed);
        Ok(index.map(|index| (index, trailer.start)))
    }

    /// Reads the trailer of the index, and where that stands; `None` if it does not check.
    fn trailer(&self) -> Result<Option<(Trailer, u64)>, SegmentError> {
        let bytes = self.file.bytes().map_err(|error| self.refused(error))?;
        let Some(at) = bytes.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
        let trailer = self.bytes_at(at, TRAILER_BYTES)?;
        Ok(Trailer::decode(&trailer, self.seed, at).map(|trailer| (trailer, at)))
    }

    /// Reads the records themselves, up to `end` or as far as there are any.
    fn scan(
        &self,
        extent: Option<u64>,
        sequences: RangeInclusive<u64>,
    ) -> Result<(Builder, u64, Vec<Hole>), SegmentError> {
        let there = self.file.bytes().map_err(|error| self.refused(error))?;
        let end = extent.filter(|_| !planted::is(Bug::ExtentIgnored)).unwrap_or(there);
        let file = self.bytes_at(0, end.min(there) as usize)?;
        let mut scan = Scan::new(*sequences.start());
        let mut at = RECORDS_AT;
        while at < file.len() as u64 {
            let bytes = &file[at as usize..];
            let Some(head) = record::head(bytes, self.seed, at) else {
                scan.hole.get_or_insert(at);
                at += ALIGNMENT as u64;
                continue;
            };
            scan.close_hole(at, head.sequence.saturating_sub(1));
            let next = at + head.record_bytes() as u64;
            if let Some(record) = record::body(bytes, self.seed, at, &head) {
                scan.builder.add(at, &record);
            } else {
                scan.hole = Some(at);
                scan.next_seq = head.sequence;
                scan.close_hole(next.min(end), head.sequence);
            }
            scan.next_seq = head.sequence.saturating_add(1);
            at = next;
        }
        if extent.is_none() {
            // What is left of an index makes no record; records may be missing before it.
            let is_missing = scan.next_seq <= *sequences.end();
            scan.hole = is_missing.then(|| scan.hole.unwrap_or(at).min(end));
        } else if at < end {
            scan.hole.get_or_insert(at);
        }
        scan.close_hole(end, *sequences.end());
        Ok((scan.builder, end.max(RECORDS_AT), scan.holes))
    }
}

/// What a segment was found to hold.
#[derive(Debug)]
pub(crate) struct Verified {
    pub(crate) records: u64,
    /// Where bytes make no record.
    pub(crate) holes: Vec<u64>,
    pub(crate) index_is_right: bool,
}

/// A pass over records.
struct Scan {
    builder: Builder,
    holes: Vec<Hole>,
    /// Where a hole began.
    hole: Option<u64>,
    /// The first sequence that may stand next.
    next_seq: u64,
}

impl Scan {
    fn new(next_seq: u64) -> Self {
        Self { builder: Builder::default(), holes: Vec::new(), hole: None, next_seq }
    }

    fn close_hole(&mut self, end: u64, last_seq: u64) {
        let Some(offset) = self.hole.take() else { return };
        let (bytes, sequences) = (end.saturating_sub(offset), self.next_seq..=last_seq);
        self.holes.push(Hole { offset, bytes, sequences });
    }
}

const _: () = assert!(HEAD_BYTES.is_multiple_of(ALIGNMENT));
