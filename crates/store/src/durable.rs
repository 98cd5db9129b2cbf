//! One stream in files: its state in memory, its records in segments, written behind the log.
//!
//! An entry is applied when the log has made it safe. Its record waits in memory and is written to
//! the active segment in large pieces; a *checkpoint* makes all of that safe, and remembers up to
//! where the log is in it. Whatever came later is applied again when the stream is opened, to the
//! same effect: so a stream that is opened is what it was. `docs/store-format.md` has the bytes.

mod checkpoint;
mod open;
mod snapshot;

use std::fmt;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::log::Position;
use crate::manifest::{self, Manifest, ManifestError};
use crate::segment::{self, Identity, Kind, Record, Segment, SegmentError, Stored};
use crate::stream::{Body, Effects, Entry, Lifetime, Limits, Message, Outcome, Refusal, Stream};

pub use checkpoint::{Checkpoint, Done};
use snapshot::PartRecord;

/// A segment that is as long is full (bytes).
const SEGMENT_BYTES: u64 = if cfg!(test) { 8 << 10 } else { 64 << 20 };

/// What waits is written when it is so much (bytes): large writes are sequential ones.
const FLUSH_BYTES: usize = if cfg!(test) { 1 << 10 } else { 512 << 10 };

/// What may wait when the disk takes nothing (bytes); more is refused.
const WAITING_BYTES_MAX: usize = if cfg!(test) { 64 << 10 } else { 64 << 20 };

/// In a place the offset stands, divided by 8, below the number of the segment.
const OFFSET_BITS: u32 = 32;

const NS_PER_S: u64 = 1_000_000_000;

/// Whose stream it is, and how it begins.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// The store's number.
    pub store: u128,
    /// The stream's group in the log.
    pub group: u32,
    /// The first message of a new stream gets this sequence.
    pub first_seq: u64,
    /// The limits of a new stream.
    pub limits: Limits,
    /// See [`Stream::new`].
    pub hash_seed: u64,
    /// Finds the message id in a header block; empty without one.
    pub msg_id_of: fn(&[u8]) -> &[u8],
}

/// What keeps a stream from being used, or from doing something.
#[derive(Debug)]
pub enum Failure {
    /// Its manifest.
    Manifest(ManifestError),
    /// One of its segments.
    Segment(SegmentError),
    /// The disk refused.
    Disk {
        /// Where.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// What the manifest says cannot be.
    Content(PathBuf),
    /// A sync failed: nothing is known about what was written since the last checkpoint. The log
    /// has it; the stream must be opened again.
    GivenUp(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => error.fmt(formatter),
            Self::Segment(error) => error.fmt(formatter),
            Self::Disk { path, error } => write!(formatter, "{}: {error}", path.display()),
            Self::Content(folder) => {
                write!(formatter, "{}: the manifest says what cannot be", folder.display())
            }
            Self::GivenUp(why) => {
                write!(formatter, "a sync failed, and the stream waits for a restart: {why}")
            }
        }
    }
}

impl std::error::Error for Failure {}

/// What is not as it was written. Nothing is removed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// In a manifest.
    Manifest(manifest::Damage),
    /// In a segment.
    Segment {
        /// Which file.
        path: PathBuf,
        /// What.
        damage: segment::Damage,
    },
    /// A segment is not there, or is another one.
    Missing {
        /// Which file.
        path: PathBuf,
    },
    /// A file that belongs to nothing.
    Unknown {
        /// Which.
        path: PathBuf,
    },
}

/// A segment of the stream.
struct Part<D: Disk> {
    number: u64,
    /// No record has an earlier sequence.
    first_seq: u64,
    /// Of its last record.
    last_time_ns: u64,
    is_sealed: bool,
    segment: Segment<D::File>,
}

/// A stream in files.
pub struct Durable<D: Disk> {
    disk: D,
    folder: PathBuf,
    setup: Setup,
    state: Stream,
    /// In their order; the last one is appended to.
    parts: Vec<Part<D>>,
    next_number: u64,
    /// All entries before it were applied.
    applied: Position,
    /// All entries before it are in files that are safe.
    checkpointed: Position,
    /// None while a checkpoint is written.
    manifest: Option<Manifest<D>>,
    failure: Option<String>,
}

impl<D: Disk + Clone> Durable<D> {
    /// All entries of the log before it are in the stream.
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// Which messages there are.
    pub fn state(&self) -> &Stream {
        &self.state
    }

    /// Why it takes nothing any more, or nothing now; `None` while it works.
    pub fn failure(&self) -> Option<String> {
        let is_full = || self.waiting_bytes() > WAITING_BYTES_MAX;
        self.failure.clone().or_else(|| is_full().then(|| "the disk takes nothing".to_owned()))
    }

    /// Whether the log has entries that no checkpoint has.
    pub fn is_dirty(&self) -> bool {
        self.applied > self.checkpointed || self.failure.is_some()
    }

    /// All entries before it are in files that are safe: the log is not needed for them.
    pub fn checkpointed(&self) -> Position {
        self.checkpointed
    }

    /// Applies an entry; `behind` is where the log has the next one. Bodies of messages are held.
    ///
    /// What the disk takes now makes no difference: the same entries have the same effects when they
    /// are applied again. So whoever proposes looks at `failure` first. A stream that was given up
    /// applies nothing, and finds the entries in the log when it is opened again.
    pub fn apply(&mut self, behind: Position, entry: &Entry<'_>) -> Effects {
        if self.failure.is_some() {
            return Effects { outcome: Outcome::Refused(Refusal::Failed), ..Effects::none() };
        }
        self.applied = behind;
        let Entry::Store(message) = entry else { return self.state.apply(entry) };
        let Body::Held { headers, payload } = message.body else {
            return self.state.apply(entry);
        };
        // Lengths that a record cannot say.
        if message.subject.len() > usize::from(u16::MAX) {
            let outcome = Outcome::Refused(Refusal::MessageTooLarge);
            return Effects { outcome, ..Effects::none() };
        }
        self.roll_if_full();
        let Some(part) = self.parts.last_mut() else { return Effects::none() };
        let placed = Body::Placed {
            header_bytes: headers.len() as u32,
            payload_bytes: payload.len() as u32,
            place: place_at(part.number, part.segment.end()),
        };
        let effects = self.state.apply(&Entry::Store(Message { body: placed, ..*message }));
        if let Outcome::Stored { seq } = effects.outcome {
            part.segment.append(&record_of(message, seq, headers, payload));
            part.last_time_ns = part.last_time_ns.max(message.time_ns);
            if part.segment.waiting_bytes() >= FLUSH_BYTES {
                // What the disk does not take now waits.
                let _ = part.segment.flush();
            }
        }
        effects
    }

    /// Reads the message with this sequence, if there is one.
    ///
    /// # Errors
    /// Its record is damaged, or the disk refused.
    pub fn read(&self, seq: u64) -> Result<Option<Stored>, Failure> {
        let Some(found) = self.state.get(seq) else { return Ok(None) };
        let crate::stream::Content::Placed(place) = found.content else { return Ok(None) };
        let (number, offset) = at_place(place);
        let at = self.parts.partition_point(|part| part.number < number);
        let part = self.parts.get(at).filter(|part| part.number == number);
        let damaged = || {
            let path = path_of(&self.folder, number);
            Failure::Segment(SegmentError::Damaged { path, offset })
        };
        let stored = part.ok_or_else(damaged)?.segment.read(offset).map_err(Failure::Segment)?;
        // A record of another message would be a wrong answer.
        let record = stored.record();
        let is_it = record.sequence == seq && record.subject == found.subject;
        if is_it { Ok(Some(stored)) } else { Err(damaged()) }
    }

    /// Overwrites the bytes of a message, in the file and for good; it is to be removed then.
    ///
    /// # Errors
    /// The disk refused.
    pub fn erase(&mut self, seq: u64) -> Result<(), Failure> {
        let Some(crate::stream::Content::Placed(place)) =
            self.state.get(seq).map(|found| found.content)
        else {
            return Ok(());
        };
        let (number, offset) = at_place(place);
        let part = self.parts.iter_mut().find(|part| part.number == number);
        part.map_or(Ok(()), |part| part.segment.erase(offset).map_err(Failure::Segment))
    }

    /// Removes all its files.
    ///
    /// # Errors
    /// The disk refused; what is left belongs to nobody.
    pub fn delete(self) -> Result<(), Failure> {
        let Self { disk, folder, parts, .. } = self;
        drop(parts);
        let refused = |error| Failure::Disk { path: folder.clone(), error };
        for name in disk.list(&folder).map_err(refused)? {
            disk.remove(&folder.join(name)).map_err(refused)?;
        }
        disk.sync_folder(&folder).map_err(refused)
    }

    /// Bytes that wait to be written.
    pub fn waiting_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.segment.waiting_bytes()).sum()
    }

    /// Begins another segment where the last one is full; it goes on if the disk takes no other.
    fn roll_if_full(&mut self) {
        if self.parts.last().is_some_and(|part| part.segment.end() >= SEGMENT_BYTES) {
            let next_seq = self.state.state().last_seq + 1;
            let _ = self.begin_part(next_seq);
        }
    }

    fn begin_part(&mut self, first_seq: u64) -> Result<(), SegmentError> {
        let number = self.next_number;
        let path = path_of(&self.folder, number);
        // What stands there is of a life that no checkpoint remembers.
        match self.disk.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(SegmentError::Disk { path, error });
            }
            _ => {}
        }
        let segment = Segment::create(&self.disk, &path, &self.identity(number))?.without_index();
        self.parts.push(Part { number, first_seq, last_time_ns: 0, is_sealed: false, segment });
        self.next_number += 1;
        Ok(())
    }

    fn identity(&self, number: u64) -> Identity {
        Identity { store: self.setup.store, stream: self.setup.group.into(), number }
    }
}

fn record_of<'a>(
    message: &Message<'a>,
    seq: u64,
    headers: &'a [u8],
    payload: &'a [u8],
) -> Record<'a> {
    let ttl_s = match message.lifetime {
        Lifetime::Limits => 0,
        Lifetime::Never => u32::MAX,
        Lifetime::Ttl { ttl_ns } => (ttl_ns / NS_PER_S).clamp(1, u64::from(u32::MAX) - 1) as u32,
    };
    let marker = if message.is_marker { Record::IS_MARKER } else { 0 };
    let id = if message.msg_id.is_empty() { 0 } else { Record::HAS_ID };
    Record {
        kind: Kind::Message,
        sequence: seq,
        time_ns: message.time_ns,
        ttl_s,
        flags: marker | id,
        subject: message.subject,
        headers,
        payload,
    }
}

/// A segment's number and an offset in it as one number.
fn place_at(number: u64, offset: u64) -> u64 {
    (number << OFFSET_BITS) | (offset / 8)
}

fn at_place(place: u64) -> (u64, u64) {
    (place >> OFFSET_BITS, (place & ((1 << OFFSET_BITS) - 1)) * 8)
}

fn path_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:016x}.seg"))
}
