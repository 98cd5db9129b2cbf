//! The archive in which a stream is backed up and restored, as nats-server 2.15 writes it: entries in
//! an S2 stream.
//!
//! ```text
//! "NATSARC1"
//! entries:  name bytes uvarint, time varint (ns), sequence uvarint, header bytes uvarint,
//!           payload bytes uvarint, name, headers, payload
//! the end:  an entry in which all is zero
//! ```
//!
//! `state.json` comes first, then `consumers/NAME` for each consumer, then the messages: their names
//! are their subjects. Sequences that are missing are gone.
//!
//! Source: nats-server 2.15 `server/archive/archive.go`.

use std::fmt;
use std::io::{self, Read, Write};

use minlz::s2;

#[cfg(test)]
mod tests;

const MAGIC: &[u8; 8] = b"NATSARC1";

/// The name of the tar file that older servers write begins so.
const OLDER: &[u8] = b"meta.inf";

const NAME_BYTES_MAX: usize = 1 << 20;

/// An entry of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// A file's name, or a subject.
    pub name: Vec<u8>,
    /// When it was stored (nanoseconds since 1970).
    pub time_ns: i64,
    /// Its place in the stream; 0 for none.
    pub sequence: u64,
    /// A header block; empty when there is none.
    pub headers: Vec<u8>,
    /// What it holds.
    pub payload: Vec<u8>,
}

/// Why an archive cannot be read.
#[derive(Debug)]
pub enum ArchiveError {
    /// It could not be read, or is no S2 stream.
    Read(io::Error),
    /// A tar archive of a server before 2.15.
    Older,
    /// No archive of a stream.
    NoArchive,
    /// It ends before its end mark.
    CutOff,
    /// An entry is larger than entries may be (bytes).
    TooLarge(u64),
}

impl fmt::Display for ArchiveError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(formatter, "the archive cannot be read: {error}"),
            Self::Older => formatter.write_str(
                "the archive is a tar of nats-server before 2.15: restore it there, and back it up \
                 with 2.15",
            ),
            Self::NoArchive => formatter.write_str("this is no archive of a stream"),
            Self::CutOff => formatter.write_str("the archive ends before its end"),
            Self::TooLarge(bytes) => {
                write!(formatter, "the archive has an entry of {bytes} bytes, which is too large")
            }
        }
    }
}

impl std::error::Error for ArchiveError {}

impl From<io::Error> for ArchiveError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::CutOff } else { Self::Read(error) }
    }
}

/// Writes an archive.
pub struct Writer<W: Write> {
    out: s2::Writer<W>,
    head: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins an archive.
    ///
    /// # Errors
    /// As the writer's.
    pub fn new(out: W) -> io::Result<Self> {
        let mut out = s2::Writer::new(out);
        out.write_all(MAGIC)?;
        Ok(Self { out, head: Vec::new() })
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// As the writer's.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        self.head.clear();
        push_uvarint(&mut self.head, entry.name.len() as u64);
        push_uvarint(&mut self.head, zigzag(entry.time_ns));
        push_uvarint(&mut self.head, entry.sequence);
        push_uvarint(&mut self.head, entry.headers.len() as u64);
        push_uvarint(&mut self.head, entry.payload.len() as u64);
        for part in [&self.head, &entry.name, &entry.headers, &entry.payload] {
            self.out.write_all(part)?;
        }
        Ok(())
    }

    /// Writes the end mark and all that waits.
    ///
    /// # Errors
    /// As the writer's.
    pub fn finish(mut self) -> io::Result<()> {
        self.add(&Entry::default())?;
        self.out.flush()
    }
}

/// Reads an archive.
pub struct Reader<R: Read> {
    from: s2::Reader<R>,
    entry_bytes_max: u64,
    has_ended: bool,
}

impl<R: Read> Reader<R> {
    /// Begins to read. No entry may be larger than `entry_bytes_max`: memory does not follow what an
    /// archive claims.
    ///
    /// # Errors
    /// It is none of these archives.
    pub fn new(from: R, entry_bytes_max: u64) -> Result<Self, ArchiveError> {
        let mut from = s2::Reader::new(from);
        let mut magic = [0; MAGIC.len()];
        from.read_exact(&mut magic)?;
        match &magic {
            MAGIC => Ok(Self { from, entry_bytes_max, has_ended: false }),
            older if older == OLDER => Err(ArchiveError::Older),
            _ => Err(ArchiveError::NoArchive),
        }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// The archive is damaged or cut off.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        if self.has_ended {
            return Ok(None);
        }
        let name_bytes = self.uvarint()?;
        let time_ns = unzigzag(self.uvarint()?);
        let sequence = self.uvarint()?;
        let (header_bytes, payload_bytes) = (self.uvarint()?, self.uvarint()?);
        let bytes = header_bytes.saturating_add(payload_bytes);
        if name_bytes > NAME_BYTES_MAX as u64 || bytes > self.entry_bytes_max {
            return Err(ArchiveError::TooLarge(name_bytes.saturating_add(bytes)));
        }
        let name = self.bytes(name_bytes)?;
        let entry = Entry {
            name,
            time_ns,
            sequence,
            headers: self.bytes(header_bytes)?,
            payload: self.bytes(payload_bytes)?,
        };
        self.has_ended = entry == Entry::default();
        Ok((!self.has_ended).then_some(entry))
    }

    fn bytes(&mut self, count: u64) -> Result<Vec<u8>, ArchiveError> {
        let mut bytes = Vec::new();
        // Grows with what is there, not with what is announced.
        (&mut self.from).take(count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == count { Ok(bytes) } else { Err(ArchiveError::CutOff) }
    }

    fn uvarint(&mut self) -> Result<u64, ArchiveError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let mut byte = [0];
            self.from.read_exact(&mut byte)?;
            let part = u64::from(byte[0] & 0x7f);
            if part << shift >> shift != part {
                break;
            }
            value |= part << shift;
            if byte[0] < 0x80 {
                return Ok(value);
            }
        }
        Err(ArchiveError::NoArchive)
    }
}

fn push_uvarint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn zigzag(value: i64) -> u64 {
    (value.cast_unsigned() << 1) ^ (value >> 63).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}
