//! Segments: a stream's records, in files that are appended to and then sealed.
//!
//! What is appended waits in memory until `flush`, and is safe after `sync`; until then the log has
//! it. A sealed segment ends with an index of its records, so that opening it reads no record. Every
//! record that is read is checked. `docs/store-format.md` has the bytes.

mod index;
mod record;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use index::TRAILER_BYTES;
use keelback_planted::{self as planted, Bug};
use record::{ALIGNMENT, HEAD_BYTES};
use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::u64_at;
use crate::disk::{Disk, File, read_up_to};
use crate::header_block::{self, BLOCK_BYTES};

pub use index::{Index, Place, SubjectEntry};
pub use record::{Kind, Record};

const NAME: [u8; 7] = *b"KBSEG\0\0";
const FIELDS_BYTES: usize = 32;

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 1;

/// Read with a head, so that most records take one call (bytes).
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
            Self::Damaged { path, offset } => {
                write!(formatter, "{}: the record at {offset} is damaged", path.display())
            }
        }
    }
}

impl std::error::Error for SegmentError {}

/// What is not as it was written. Nothing is removed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A copy of the header; the other one served.
    Header,
    /// The index; the records were read in its place.
    Index,
    /// These bytes make no record although they should.
    Hole {
        /// Where they begin.
        offset: u64,
        /// How many.
        bytes: u64,
    },
}

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Stored {
    bytes: Vec<u8>,
    offset: usize,
    seed: u64,
}

impl Stored {
    /// The record.
    pub fn record(&self) -> Record<'_> {
        let head = record::head(&self.bytes, self.seed, self.offset);
        let found = head.and_then(|head| record::body(&self.bytes, self.seed, self.offset, &head));
        // It was checked when it was read, and nothing has written to it.
        found.unwrap_or_else(|| unreachable!("a record that was checked"))
    }
}

/// A segment of a stream.
pub struct Segment<F> {
    file: F,
    path: PathBuf,
    seed: u64,
    /// Where the records that are in the file end.
    written: usize,
    /// Records that wait for `flush`.
    waiting: Vec<u8>,
    index: Index,
    /// Whether the index is kept while records are appended.
    is_indexed: bool,
    is_sealed: bool,
}

impl<F: File> Segment<F> {
    /// Begins a segment.
    ///
    /// # Errors
    /// The disk refused.
    pub fn create<D: Disk<File = F>>(
        on: &D,
        path: &Path,
        identity: &Identity,
    ) -> Result<Self, SegmentError> {
        let refused = |error| SegmentError::Disk { path: path.to_owned(), error };
        let mut file = on.create(path).map_err(refused)?;
        let fields = identity.encode();
        file.write_at(&header_block::encode(NAME, VERSION, &fields), 0).map_err(refused)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            seed: xxh3_64(&fields),
            written: BLOCK_BYTES,
            waiting: Vec::new(),
            index: Index::default(),
            is_indexed: true,
            is_sealed: false,
        })
    }

    /// Keeps no index of what is appended: whoever seals the segment opens it again.
    #[must_use]
    pub fn without_index(mut self) -> Self {
        self.is_indexed = false;
        self.index = Index::default();
        self
    }

    /// Opens a segment. What stands behind the extent of one that is not sealed was never synced:
    /// the log has it, and it is written over.
    ///
    /// # Errors
    /// The disk refused, or it is not this segment.
    pub fn open<D: Disk<File = F>>(
        on: &D,
        path: &Path,
        identity: &Identity,
        extent: Extent,
    ) -> Result<(Self, Vec<Damage>), SegmentError> {
        let refused = |error| SegmentError::Disk { path: path.to_owned(), error };
        let file = on.open(path).map_err(refused)?;
        let mut damage = Vec::new();
        let block = read_up_to(&file, 0, BLOCK_BYTES).map_err(refused)?;
        match header_block::find(&block, NAME, VERSION, FIELDS_BYTES) {
            header_block::Found::Version(version) => {
                return Err(SegmentError::Version { path: path.to_owned(), version });
            }
            header_block::Found::Fields(fields, is_damaged)
                if Identity::decode(fields) == *identity =>
            {
                damage.extend(is_damaged.then_some(Damage::Header));
            }
            _ => return Err(SegmentError::NotThis { path: path.to_owned() }),
        }
        let mut segment = Self {
            file,
            path: path.to_owned(),
            seed: xxh3_64(&identity.encode()),
            written: BLOCK_BYTES,
            waiting: Vec::new(),
            index: Index::default(),
            is_indexed: true,
            is_sealed: extent == Extent::Sealed,
        };
        match extent {
            Extent::Sealed if segment.read_index()? => {}
            Extent::Sealed => {
                damage.push(Damage::Index);
                segment.scan(None, &mut damage)?;
            }
            Extent::Until(end) => segment.scan(Some(end as usize), &mut damage)?,
        }
        Ok((segment, damage))
    }

    /// Appends a record: where it stands.
    ///
    /// # Panics
    /// The segment is sealed.
    pub fn append(&mut self, record: &Record<'_>) -> u64 {
        assert!(!self.is_sealed, "a sealed segment is not appended to");
        let offset = self.written + self.waiting.len();
        record::append(&mut self.waiting, self.seed, offset, record);
        if self.is_indexed {
            self.index.add(offset, record);
        }
        offset as u64
    }

    /// Writes what waits. It is safe after `sync`.
    ///
    /// # Errors
    /// The disk refused; it waits still.
    pub fn flush(&mut self) -> Result<(), SegmentError> {
        let written = self.file.write_at(&self.waiting, self.written as u64);
        written.map_err(|error| self.refused(error))?;
        self.written += self.waiting.len();
        self.waiting.clear();
        Ok(())
    }

    /// Puts what was written on stable storage.
    ///
    /// # Errors
    /// The disk refused: the segment must be given up, and written anew from the log.
    pub fn sync(&mut self) -> Result<(), SegmentError> {
        self.file.sync().map_err(|error| self.refused(error))
    }

    /// Bytes that wait for `flush`.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting.len()
    }

    /// Writes what waits and the index, and syncs. Nothing is appended any more.
    ///
    /// # Errors
    /// The disk refused.
    pub fn seal(&mut self) -> Result<(), SegmentError> {
        self.flush()?;
        let bytes = self.index.encode(self.seed, self.written);
        let end = self.written as u64 + bytes.len() as u64;
        let done = self.file.write_at(&bytes, self.written as u64);
        // A torn record of an earlier life may stand behind it.
        let done = done.and_then(|()| self.file.truncate(end)).and_then(|()| self.file.sync());
        done.map_err(|error| self.refused(error))?;
        self.is_sealed = true;
        Ok(())
    }

    /// Gives its records and subjects away, and keeps no index any more.
    pub fn take_index(&mut self) -> Index {
        self.is_indexed = false;
        std::mem::take(&mut self.index)
    }

    /// Overwrites a record by one of the same length, sequence and time that says nothing.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn erase(&mut self, offset: u64) -> Result<(), SegmentError> {
        self.flush()?;
        let stored = self.read(offset)?;
        let record = stored.record();
        let nothing = vec![0; record.subject.len() + record.headers.len() + record.payload.len()];
        let (subject, rest) = nothing.split_at(record.subject.len());
        let (headers, payload) = rest.split_at(record.headers.len());
        let mut bytes = Vec::new();
        let erased = Record { subject, headers, payload, ..record };
        record::append(&mut bytes, self.seed, offset as usize, &erased);
        self.file.write_durably_at(&bytes, offset).map_err(|error| self.refused(error))
    }

    /// Its records and subjects.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Where its records end (bytes), those that wait included.
    pub fn end(&self) -> u64 {
        (self.written + self.waiting.len()) as u64
    }

    /// Reads the record at `offset`, which the index or `append` named, and checks it.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn read(&self, offset: u64) -> Result<Stored, SegmentError> {
        let at = offset as usize;
        let damaged = || SegmentError::Damaged { path: self.path.clone(), offset };
        let bytes = if at >= self.written {
            self.waiting.get(at - self.written..).ok_or_else(damaged)?.to_vec()
        } else {
            read_up_to(&self.file, offset, READ_BYTES).map_err(|error| self.refused(error))?
        };
        let head = record::head(&bytes, self.seed, at).ok_or_else(damaged)?;
        let record_bytes = head.record_bytes();
        let mut bytes = bytes;
        if bytes.len() < record_bytes && at < self.written {
            let rest = read_up_to(
                &self.file,
                offset + bytes.len() as u64,
                record_bytes.min(self.written - at).saturating_sub(bytes.len()),
            );
            bytes.extend(rest.map_err(|error| self.refused(error))?);
        }
        bytes.truncate(record_bytes);
        record::body(&bytes, self.seed, at, &head).ok_or_else(damaged)?;
        Ok(Stored { bytes, offset: at, seed: self.seed })
    }

    fn refused(&self, error: io::Error) -> SegmentError {
        SegmentError::Disk { path: self.path.clone(), error }
    }

    /// Reads the index at the end of the file; says whether it checks.
    fn read_index(&mut self) -> Result<bool, SegmentError> {
        let bytes = self.file.bytes().map_err(|error| self.refused(error))? as usize;
        let Some(at) = bytes.checked_sub(TRAILER_BYTES) else { return Ok(false) };
        let trailer = read_up_to(&self.file, at as u64, TRAILER_BYTES);
        let trailer = trailer.map_err(|error| self.refused(error))?;
        let Some((start, length)) = index::trailer(&trailer, self.seed, at) else {
            return Ok(false);
        };
        let encoded = read_up_to(&self.file, start as u64, length);
        let encoded = encoded.map_err(|error| self.refused(error))?;
        let Some(index) = Index::decode(&encoded, &trailer, self.seed, start) else {
            return Ok(false);
        };
        (self.index, self.written) = (index, start);
        Ok(true)
    }

    /// Reads the records themselves, up to `end` or as far as there are any.
    fn scan(&mut self, end: Option<usize>, damage: &mut Vec<Damage>) -> Result<(), SegmentError> {
        let there = self.file.bytes().map_err(|error| self.refused(error))? as usize;
        let end = end.filter(|_| !planted::is(Bug::ExtentIgnored)).unwrap_or(there);
        let file = read_up_to(&self.file, 0, end).map_err(|error| self.refused(error))?;
        let mut hole = None;
        let mut note = |from: usize, to: usize| {
            if from < to {
                damage.push(Damage::Hole { offset: from as u64, bytes: (to - from) as u64 });
            }
        };
        let mut at = BLOCK_BYTES;
        while at < file.len() {
            let Some(head) = record::head(&file[at..], self.seed, at) else {
                hole.get_or_insert(at);
                at += ALIGNMENT;
                continue;
            };
            note(hole.take().unwrap_or(at), at);
            let next = at + head.record_bytes();
            match record::body(&file[at..], self.seed, at, &head) {
                Some(record) => {
                    self.index.add(at, &record);
                }
                None => note(at, next.min(end)),
            }
            at = next;
        }
        note(hole.unwrap_or(at), end);
        self.written = end.max(BLOCK_BYTES);
        Ok(())
    }
}

const _: () = assert!(HEAD_BYTES.is_multiple_of(ALIGNMENT));
