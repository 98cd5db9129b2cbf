//! The log of the whole server: what was committed to it is on stable storage.
//!
//! Entries gather in memory; `commit` writes all of them at once, as one batch, and returns when they
//! are safe. Files are filled in turn. A file is sealed by its successor, which says where it ends;
//! what lies behind that end never happened. After a failed write a file is given up: nothing is
//! known about it beyond its last success, so its successor seals it there. Opening a log begins a
//! new file for the same reason.
//!
//! The log knows nothing of what its entries mean. `docs/store-format.md` has the bytes.

mod entry;
mod header;
mod scan;
mod spare;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use entry::BODY_BYTES_MAX;
use header::{Found, HEADER_BYTES, Header};
use scan::Scan;

use keelback_planted::{self as planted, Bug};

use crate::disk::{Disk, File, is_full, read_up_to};
use crate::header_block;

pub use header::VERSION;
pub use spare::Spare;

/// The folder of the log in the store.
pub const FOLDER: &str = "log";

const SUFFIX: &str = ".log";
const SPARE_SUFFIX: &str = ".spare";

/// No file has larger blocks (bytes).
const MOST_BLOCK_BYTES: usize = if cfg!(test) { 1 } else { 4096 };

/// What may wait for one commit (bytes): places in a file are 32 bits.
const BATCH_BYTES_MAX: usize = 1 << 30;

/// How a log is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Drawn when the store was made; files of another store are no files of this log.
    pub store: u128,
    /// A file's length (bytes); a batch that is longer gets a file for itself.
    pub file_bytes: u32,
    /// Files that are kept for reuse instead of being removed.
    pub spares: usize,
    /// Whether a commit returns before what it wrote is safe: then `sync` makes it so.
    pub is_lazy: bool,
}

/// A place in the log. Later places are greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file's ordinal, from 1.
    pub file: u64,
    /// From the beginning of the file (bytes).
    pub offset: u64,
}

impl Position {
    /// So many bytes further in the same file.
    pub(crate) fn behind(self, bytes: usize) -> Self {
        Self { offset: self.offset + bytes as u64, ..self }
    }
}

/// What keeps a log from being written or opened.
#[derive(Debug)]
pub enum LogError {
    /// The disk refused.
    Disk {
        /// At what.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
    /// A file is of a format that this program does not know.
    Version {
        /// Which.
        file: PathBuf,
        /// What it says.
        version: u8,
    },
    /// More waits for the disk than may.
    Busy,
    /// The disk is full: what makes room is taken, and nothing else.
    Full,
    /// An entry is longer than an entry may be.
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl fmt::Display for LogError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { doing, error } => write!(formatter, "{doing}: {error}"),
            Self::Version { file, version } => {
                header_block::show_version(formatter, file, *version, VERSION)
            }
            Self::Full => formatter.write_str("the disk is full"),
            Self::Busy => formatter.write_str("more waits for the disk than may"),
            Self::TooLong { bytes } => {
                write!(formatter, "an entry of {bytes} bytes: the most is {BODY_BYTES_MAX}")
            }
        }
    }
}

impl std::error::Error for LogError {}

impl LogError {
    /// Whether the disk has no room.
    pub fn is_full(&self) -> bool {
        match self {
            Self::Full => true,
            Self::Disk { error, .. } => is_full(error),
            _ => false,
        }
    }
}

fn disk(doing: &'static str) -> impl FnOnce(io::Error) -> LogError {
    move |error| LogError::Disk { doing, error }
}

/// What is not as it was written. Nothing is removed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// These bytes make no entry although they should.
    Hole {
        /// Where they begin.
        at: Position,
        /// How many.
        bytes: u64,
    },
    /// A file's first block is damaged; its other copy served.
    Header {
        /// Which.
        file: u64,
    },
    /// A file that cannot be read as one of this log.
    Unknown {
        /// Its name.
        name: String,
    },
    /// A file is not there.
    Missing {
        /// Which.
        file: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole { at: Position { file, offset }, bytes } => write!(
                formatter,
                "{FOLDER}/{file:016x}{SUFFIX}: {bytes} bytes at {offset} make no entry although they \
                 should"
            ),
            Self::Header { file } => write!(
                formatter,
                "{FOLDER}/{file:016x}{SUFFIX}: a copy of its header is damaged; the other one served"
            ),
            Self::Unknown { name } => {
                write!(formatter, "{FOLDER}/{name}: it cannot be read as a file of this log")
            }
            Self::Missing { file } => {
                write!(formatter, "{FOLDER}/{file:016x}{SUFFIX}: it is not there")
            }
        }
    }
}

/// An entry that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it begins.
    pub at: Position,
    /// To whom it belongs.
    pub group: u32,
    /// What was appended.
    pub body: &'a [u8],
}

/// Entries that are committed together, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Entries(Vec<u8>);

impl Entries {
    /// Adds an entry.
    ///
    /// # Errors
    /// It is too long.
    pub fn push(&mut self, group: u32, body: &[u8]) -> Result<(), LogError> {
        entry::append(&mut self.0, group, |batch| batch.extend_from_slice(body))
    }

    /// Adds an entry, the body of which `write` appends.
    ///
    /// # Errors
    /// It is too long.
    pub fn push_with(
        &mut self,
        group: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), LogError> {
        entry::append(&mut self.0, group, write)
    }

    /// What they take in the log (bytes).
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// They, in order, when the first stands at `first` in the log.
    pub fn iter_from(&self, first: Position) -> impl Iterator<Item = Entry<'_>> {
        entry::unsealed(&self.0).map(move |(offset, group, body)| {
            let at = first.behind(offset);
            Entry { at, group, body }
        })
    }

    /// Behind them, when the first stands at `first` in the log.
    pub fn end_from(&self, first: Position) -> Position {
        first.behind(self.0.len())
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Entry<'_> {
    /// Where the next one may begin.
    pub fn end(&self) -> Position {
        self.at.behind(entry::padded(self.body.len()))
    }
}

struct Active<F> {
    file: F,
    header: Header,
    /// Behind the last batch that is safe.
    end: usize,
    batch: u32,
    /// All of it was written before.
    was_spare: bool,
}

/// The log of a store.
pub struct Log<D: Disk> {
    disk: D,
    options: Options,
    active: Option<Active<D::File>>,
    /// Of the file that the next one seals.
    sealed: (u64, u64),
    next_ordinal: u64,
    /// Where the last batch begins.
    last_batch: Position,
    /// Entries that wait for `commit`.
    pending: Vec<u8>,
    /// Files that are still needed, the active one included (ordinals).
    files: Vec<u64>,
    spares: Vec<u64>,
}

impl<D: Disk> Log<D> {
    /// Opens the log of a store, or makes it. `visit` gets every entry from `from` on, in order.
    ///
    /// # Errors
    /// The disk refused, or a file is of another version. Damage is no error.
    pub fn open(
        disk: D,
        options: Options,
        from: Position,
        mut visit: impl FnMut(Entry<'_>),
    ) -> Result<(Self, Vec<Damage>), LogError> {
        let folder = Path::new(FOLDER);
        disk.create_folder(folder).map_err(self::disk("make the log's folder"))?;
        let mut damage = Vec::new();
        let (headers, spares) = survey(&disk, (options.store, options.file_bytes), &mut damage)?;
        note_missing(&headers, from, &mut damage);
        let mut sealed = (0, 0);
        for (index, header) in headers.iter().enumerate() {
            let next = headers.get(index + 1);
            let sealed_end = next
                .filter(|next| next.previous_ordinal == header.ordinal)
                .map(|next| next.previous_end as usize);
            // Nobody needs what such a file has: it goes with the next trim.
            if let Some(end) = sealed_end.map(|end| end as u64)
                && (Position { file: header.ordinal, offset: end }) <= from
            {
                sealed = (header.ordinal, end);
                continue;
            }
            let bytes = contents(&disk, &path_of(header.ordinal, SUFFIX))?;
            let seed = header.seed();
            let Scan { entries, holes, end } = scan::scan(&bytes, seed, sealed_end);
            let file = header.ordinal;
            for offset in entries {
                let at = Position { file, offset: offset as u64 };
                let Some(head) = entry::head_at(&bytes, seed, offset) else { continue };
                let Some(body) = entry::body_at(&bytes, seed, offset, &head) else { continue };
                if at >= from && head.group != entry::PADDING {
                    visit(Entry { at, group: head.group, body });
                }
            }
            damage.extend(holes.into_iter().map(|(offset, bytes)| Damage::Hole {
                at: Position { file, offset: offset as u64 },
                bytes: bytes as u64,
            }));
            sealed = (file, end as u64);
        }
        let files = headers.iter().map(|header| header.ordinal).collect::<Vec<_>>();
        let last = files.last().copied().unwrap_or(0).max(from.file);
        let last = spares.iter().copied().fold(last, u64::max);
        let log = Self {
            disk,
            options,
            active: None,
            sealed,
            next_ordinal: last + 1,
            last_batch: Position::default(),
            pending: Vec::new(),
            files,
            spares,
        };
        Ok((log, damage))
    }

    /// Where it lies.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// Drops what waits for `commit`.
    pub fn forget_pending(&mut self) {
        self.pending.clear();
    }

    /// Adds an entry to the next batch.
    ///
    /// # Errors
    /// It is too long, for itself or with what waits.
    pub fn append(&mut self, group: u32, body: &[u8]) -> Result<(), LogError> {
        if self.pending.len() + body.len() > BATCH_BYTES_MAX {
            return Err(LogError::TooLong { bytes: body.len() });
        }
        entry::append(&mut self.pending, group, |batch| batch.extend_from_slice(body))
    }

    /// Adds entries to the next batch.
    ///
    /// # Errors
    /// They are too long, with what waits.
    pub fn append_all(&mut self, entries: &Entries) -> Result<(), LogError> {
        if self.pending.len() + entries.0.len() > BATCH_BYTES_MAX {
            return Err(LogError::TooLong { bytes: entries.0.len() });
        }
        self.pending.extend_from_slice(&entries.0);
        Ok(())
    }

    /// Bytes that wait for `commit`.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Writes what waits as one batch, and returns when it is safe: the place behind it.
    ///
    /// # Errors
    /// The disk refused. What waited is dropped: no entry of it will ever be found, unless the disk
    /// refuses every later commit as well until the program ends.
    pub fn commit(&mut self) -> Result<Position, LogError> {
        let mut batch = std::mem::take(&mut self.pending);
        let result = self.write(&mut batch);
        batch.clear();
        self.pending = batch;
        result
    }

    /// Puts on stable storage what lazy commits wrote.
    ///
    /// # Errors
    /// The disk refused: nothing is known about what was committed since the last success.
    pub fn sync(&mut self) -> Result<(), LogError> {
        let Some(active) = &mut self.active else { return Ok(()) };
        let synced = active.file.sync();
        if synced.is_err() {
            self.give_up();
        }
        synced.map_err(disk("sync the log"))
    }

    /// Where the last batch begins that is safe.
    pub fn last_batch(&self) -> Position {
        self.last_batch
    }

    /// Behind the last batch that is safe.
    pub fn end(&self) -> Position {
        let (file, offset) = match &self.active {
            Some(active) => (active.header.ordinal, active.end as u64),
            None => self.sealed,
        };
        Position { file, offset }
    }

    /// Seals the last file by an empty successor: from now on whatever does not check is damage.
    ///
    /// # Errors
    /// The disk refused: the log is as it is after a power cut.
    pub fn close(mut self) -> Result<Position, LogError> {
        self.roll(0, false)?;
        Ok(self.end())
    }

    /// Gives up the files that hold nothing from `from` on.
    ///
    /// # Errors
    /// The disk refused; files may be left, and are given up the next time.
    pub fn trim(&mut self, from: Position) -> Result<(), LogError> {
        let active = self.active.as_ref().map_or(u64::MAX, |active| active.header.ordinal);
        let mut put_aside = Vec::new();
        while let Some(&oldest) = self.files.first() {
            // The last file is needed by the one that will seal it.
            let is_needed = oldest >= from.file && !planted::is(Bug::TrimmedTooFar);
            if is_needed || oldest >= active || self.files.len() == 1 {
                break;
            }
            let path = path_of(oldest, SUFFIX);
            let has_room = self.spares.len() + put_aside.len() < self.options.spares;
            if has_room && is_long_enough(&self.disk, &path, self.options.file_bytes) {
                let spare = path_of(oldest, SPARE_SUFFIX);
                self.disk.rename(&path, &spare).map_err(disk("put a log file aside"))?;
                put_aside.push(oldest);
            } else {
                self.disk.remove(&path).map_err(disk("remove a log file"))?;
            }
            self.files.remove(0);
        }
        if !put_aside.is_empty() {
            // Written over under its old name, a file would look damaged after a power cut.
            self.disk.sync_folder(Path::new(FOLDER)).map_err(disk("sync the log's folder"))?;
            self.spares.append(&mut put_aside);
        }
        Ok(())
    }

    fn write(&mut self, batch: &mut Vec<u8>) -> Result<Position, LogError> {
        if batch.is_empty() {
            return Ok(self.end());
        }
        // What fills the last block may take one more.
        let bytes = batch.len() + 2 * self.block_bytes();
        let limit = self.options.file_bytes as usize;
        let may_fill = !self.spares.is_empty() && bytes + HEADER_BYTES <= limit;
        let must_roll = self
            .active
            .as_ref()
            .is_none_or(|active| active.end + bytes > limit || (may_fill && !active.was_spare));
        if must_roll {
            self.roll(bytes, true)?;
        }
        let Some(active) = &mut self.active else {
            unreachable!("a file was begun");
        };
        entry::pad(batch, active.file.block_bytes());
        entry::seal(batch, active.header.seed(), active.batch, active.end as u32);
        let at = active.end as u64;
        let is_lazy = self.options.is_lazy || planted::is(Bug::AcknowledgedBeforeSync);
        let written = if is_lazy {
            active.file.write_at(batch, at)
        } else {
            active.file.write_durably_at(batch, at)
        };
        match written {
            Ok(()) => {
                self.last_batch = Position { file: active.header.ordinal, offset: at };
                active.end += batch.len();
                active.batch += 1;
                Ok(self.end())
            }
            Err(error) => {
                if planted::is(Bug::FailedFileTrusted) {
                    active.end += batch.len();
                } else {
                    self.give_up();
                }
                Err(disk("write to the log")(error))
            }
        }
    }

    /// The active file is not written to any more; its successor seals it at its last success.
    fn give_up(&mut self) {
        if let Some(active) = self.active.take() {
            self.sealed = (active.header.ordinal, active.end as u64);
        }
    }

    /// Begins a new file, of one that is spare if it may.
    fn roll(&mut self, batch_bytes: usize, takes_spare: bool) -> Result<(), LogError> {
        if self.options.is_lazy {
            // The next file says where this one ends: all before must be there.
            self.sync()?;
        }
        self.give_up();
        let ordinal = self.take_ordinal();
        let (previous_ordinal, mut previous_end) = self.sealed;
        if planted::is(Bug::EndForgotten) {
            previous_end = HEADER_BYTES as u64;
        }
        let header = Header { store: self.options.store, ordinal, previous_ordinal, previous_end };
        let path = path_of(ordinal, SUFFIX);
        let is_long = HEADER_BYTES + batch_bytes > self.options.file_bytes as usize;
        let spare = if is_long || !takes_spare { None } else { self.spares.pop() };
        // Under a log file's name there is always a header that is safe.
        let made = path_of(spare.unwrap_or(ordinal), SPARE_SUFFIX);
        let mut file = match spare {
            Some(_) => self.disk.open(&made).map_err(disk("open a spare log file"))?,
            None => self.disk.create(&made).map_err(disk("make a log file"))?,
        };
        if let Err(error) = file.write_durably_at(&header.encode(), 0) {
            // What stays after all is not used.
            let _ = self.disk.remove(&made);
            return Err(disk("begin a log file")(error));
        }
        self.disk.rename(&made, &path).map_err(disk("name a log file"))?;
        if !planted::is(Bug::NameNotSynced) {
            self.disk.sync_folder(Path::new(FOLDER)).map_err(disk("sync the log's folder"))?;
        }
        // Past the end of a file a direct write takes longer than one through the cache.
        if !self.options.is_lazy && spare.is_some() {
            file = self.disk.open_direct(&path).map_err(disk("open a log file"))?;
        }
        self.files.push(ordinal);
        let was_spare = spare.is_some();
        self.active = Some(Active { file, header, end: HEADER_BYTES, batch: 1, was_spare });
        Ok(())
    }

    fn block_bytes(&self) -> usize {
        self.active.as_ref().map_or(MOST_BLOCK_BYTES, |active| active.file.block_bytes())
    }

    fn take_ordinal(&mut self) -> u64 {
        let ordinal = self.next_ordinal;
        self.next_ordinal += 1;
        ordinal
    }
}

fn path_of(ordinal: u64, suffix: &str) -> PathBuf {
    Path::new(FOLDER).join(format!("{ordinal:016x}{suffix}"))
}

fn ordinal_of(name: &str, suffix: &str) -> Option<u64> {
    let digits = name.strip_suffix(suffix).filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

fn contents<D: Disk>(disk: &D, path: &Path) -> Result<Vec<u8>, LogError> {
    let reading = self::disk("read a log file");
    let read = || {
        let file = disk.open(path)?;
        let bytes = file.bytes()? as usize;
        read_up_to(&file, 0, bytes)
    };
    read().map_err(reading)
}

/// Whether a file that was written before saves anything: one that grows as it is written does not.
fn is_long_enough<D: Disk>(disk: &D, path: &Path, file_bytes: u32) -> bool {
    let bytes = disk.open(path).and_then(|file| file.bytes());
    bytes.is_ok_and(|bytes| bytes >= u64::from(file_bytes / 8 * 7))
}

/// The files that belong to the log, in order, and its spares.
fn survey<D: Disk>(
    disk: &D,
    (store, file_bytes): (u128, u32),
    damage: &mut Vec<Damage>,
) -> Result<(Vec<Header>, Vec<u64>), LogError> {
    let mut headers = Vec::new();
    let mut spares = Vec::new();
    let names = disk.list(Path::new(FOLDER)).map_err(self::disk("list the log's folder"))?;
    for name in names {
        let path = Path::new(FOLDER).join(&name);
        if let Some(ordinal) = ordinal_of(&name, SPARE_SUFFIX) {
            if is_long_enough(disk, &path, file_bytes) {
                spares.push(ordinal);
            } else {
                // One that was not filled to its end. It is tried again if it stays.
                let _ = disk.remove(&path);
            }
            continue;
        }
        let Some(ordinal) = ordinal_of(&name, SUFFIX) else {
            damage.push(Damage::Unknown { name });
            continue;
        };
        let block = disk
            .open(&path)
            .and_then(|file| read_up_to(&file, 0, HEADER_BYTES))
            .map_err(self::disk("read a log file"))?;
        match Header::find(&block) {
            Found::Version(version) => return Err(LogError::Version { file: path, version }),
            Found::Header(header, is_damaged)
                if header.ordinal == ordinal && header.store == store =>
            {
                if is_damaged {
                    damage.push(Damage::Header { file: ordinal });
                }
                headers.push(header);
            }
            Found::Header(..) | Found::Nothing => damage.push(Damage::Unknown { name }),
        }
    }
    Ok((headers, spares))
}

/// Names the files that others speak of, and that are not there.
fn note_missing(headers: &[Header], from: Position, damage: &mut Vec<Damage>) {
    let is_there = |ordinal| headers.iter().any(|header| header.ordinal == ordinal);
    let mut named = headers.iter().map(|header| header.previous_ordinal).collect::<Vec<_>>();
    named.dedup();
    for file in named {
        if file >= from.file.max(1) && !is_there(file) {
            damage.push(Damage::Missing { file });
        }
    }
    if from.file > 0 && headers.iter().all(|header| header.ordinal < from.file) {
        damage.push(Damage::Missing { file: from.file });
    }
}
