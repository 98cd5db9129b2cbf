//! A file stream: its state in memory, and the segments that its messages stand in.
//!
//! Entries are applied in memory, behind one lock that the caller holds; records wait there until
//! `flush` writes them. A checkpoint makes safe what was written, without the lock, and says up to
//! where the log is no longer needed. A stream is opened as of its last checkpoint, and the log's
//! entries from [`Durable::applied`] on are applied again: the same state comes of it, and the same
//! records. `docs/store-format.md` has the bytes.
//!
//! Nothing is retried that a failed sync has made doubtful: the stream is *given up*. It answers
//! questions still, and everything else is refused; its owner drops it, opens it anew, and applies
//! the log's entries, which no checkpoint has let go.

mod checkpoint;
mod compact;
mod content;
mod error;
mod ids;
mod live;
mod open;
mod part;
mod shelf;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeSet;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::disk::Disk;
use crate::log::Position;
use crate::manifest::Manifest;
use crate::segment::{Identity, RECORDS_AT, Record, Segment, SegmentError, Stored, record};
use crate::stream::{
    Batch, Body, Effects, Entry, Message, Outcome, Removed, Stream, unconditional,
};

pub use checkpoint::{Checkpoint, Done};
pub use compact::{Compacted, Compaction};
pub use error::{Damage, DamageKind, DurableError};

use content::Obsolete;
use ids::UnreadIds;
use part::{Part, place_of, split_place};
use shelf::Notes;

/// Of a segment, where nothing else is asked for (bytes).
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// More than this is not kept of a buffer that was written (bytes).
const IDLE_BUFFER_BYTES: usize = 1 << 20;

/// Whose a stream is, and how it is written.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The store's number.
    pub store: u128,
    /// The stream's group in the log.
    pub group: u32,
    /// A segment is full at this size (bytes); a longer record has one of its own. At most 2³⁴.
    pub segment_bytes: u64,
    /// Changes nothing that can be seen: see [`Stream::new`].
    pub hash_seed: u64,
}

/// Where a message is: it can be read without the stream's lock.
pub struct Located<F>(Where<F>);

enum Where<F> {
    Waiting(Stored),
    Written { segment: Segment<F>, offset: u64, seq: u64, bytes: u64 },
}

impl<F: crate::disk::File> Located<F> {
    /// Reads and checks the message; `None` if it was erased meanwhile.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn read(self) -> Result<Option<Stored>, SegmentError> {
        let stored = match self.0 {
            Where::Waiting(stored) => stored,
            Where::Written { segment, offset, seq, bytes } => {
                let stored = segment.read_sized(offset, bytes)?;
                if stored.record().sequence != seq {
                    return Err(SegmentError::Damaged { path: segment.path().to_owned(), offset });
                }
                stored
            }
        };
        Ok((!stored.record().is_erased).then_some(stored))
    }
}

/// A file stream.
pub struct Durable<D: Disk> {
    disk: D,
    folder: PathBuf,
    config: Config,
    state: Stream,
    applied: Position,
    /// By their sequences, which ascend and are apart.
    parts: Vec<Part<D::File>>,
    next_number: u64,
    /// Sequences with an id that is remembered and that no record has.
    unrecorded: BTreeSet<u64>,
    unread_ids: Option<UnreadIds<D::File>>,
    /// Damage that was found since it was opened.
    notes: Notes,
    /// Files that go when the next manifest is safe.
    obsolete: Vec<Obsolete>,
    manifest: Arc<Mutex<Manifest<D>>>,
    checkpoint: Option<checkpoint::Running>,
    compaction: Option<compact::Running>,
    /// Of the live maps that were written last.
    map_generation: u64,
    is_given_up: bool,
}

impl<D: Disk + Clone> Durable<D> {
    /// Entries of the log before this place are in it: a replay skips them.
    pub fn applied(&self) -> Position {
        self.applied
    }

    /// What is known of its messages. Where a message is said to be means nothing outside.
    pub fn state(&self) -> &Stream {
        &self.state
    }

    /// The same, to be asked what may have to be read.
    pub fn state_mut(&mut self) -> &mut Stream {
        &mut self.state
    }

    /// What `flush` would write (bytes).
    pub fn waiting_bytes(&self) -> usize {
        self.parts[self.first_waiting()..].iter().map(|part| part.waiting.len()).sum()
    }

    /// From this segment on each has records that wait.
    fn first_waiting(&self) -> usize {
        let written = self.parts.iter().rposition(|part| part.waiting.is_empty());
        written.map_or(0, |last| last + 1)
    }

    /// Files wait to be removed by the next checkpoint.
    pub fn has_obsolete(&self) -> bool {
        !self.obsolete.is_empty()
    }

    /// A sync failed, or what must hold did not: it must be opened anew.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Applies one entry of the log, which ends at `behind`. Bodies of messages are `Held`. It does
    /// not reach the disk.
    ///
    /// # Errors
    /// The stream is given up, or becomes so by what must not be: nothing was applied.
    pub fn apply(&mut self, behind: Position, entry: &Entry<'_>) -> Result<Effects, DurableError> {
        if self.is_given_up {
            return Err(DurableError::GivenUp);
        }
        // Of a question that was asked before: whoever asked was told.
        self.state.take_failure();
        if let Err(error) = self.reach_ids(entry) {
            self.is_given_up = true;
            return Err(error);
        }
        let effects = match *entry {
            Entry::Store(ref message) => self.store(message)?,
            Entry::Batch(batch) => {
                let effects = self.store_batch(batch)?;
                self.check_read()?;
                self.applied = behind;
                return Ok(effects);
            }
            Entry::Pass { msg_id, .. } => {
                let effects = self.state.apply(entry);
                if let Outcome::Stored { seq } = effects.outcome
                    && !msg_id.is_empty()
                {
                    self.unrecorded.insert(seq);
                }
                effects
            }
            _ => self.state.apply(entry),
        };
        self.check_read()?;
        self.note_removed(&effects.removed);
        self.applied = behind;
        Ok(effects)
    }

    /// What an entry did is right if all that it is about could be read.
    fn check_read(&mut self) -> Result<(), DurableError> {
        let Some(why) = self.state.take_failure() else { return Ok(()) };
        self.is_given_up = true;
        Err(DurableError::Unread(why))
    }

    fn store(&mut self, message: &Message<'_>) -> Result<Effects, DurableError> {
        let Body::Held { headers, payload } = message.body else {
            return Err(self.broken("a message was placed by another"));
        };
        let packed = if self.state.limits().packs { record::pack(payload) } else { None };
        let record = Record {
            sequence: self.state.last_seq().saturating_add(1),
            time_ns: message.time_ns,
            lifetime: message.lifetime,
            is_marker: message.is_marker,
            is_erased: false,
            subject: message.subject,
            headers,
            payload: packed.as_deref().unwrap_or(payload),
            packed_from: packed.as_ref().map(|_| payload.len() as u32),
            msg_id: message.msg_id,
        };
        let (number, offset) = self.next_place(record.record_bytes() as u64);
        let Some(place) = place_of(number, offset) else {
            return Err(self.broken("the stream has had too many segments"));
        };
        let (header_bytes, payload_bytes) = (headers.len() as u32, payload.len() as u32);
        let body = Body::Placed { header_bytes, payload_bytes, place };
        let begins = number == self.next_number;
        if begins {
            self.state.begin_span(record.sequence);
        }
        let effects = self.state.apply(&Entry::Store(Message { body, ..*message }));
        if let Outcome::Stored { seq } = effects.outcome {
            if seq != record.sequence {
                return Err(self.broken("a message has another sequence than its record"));
            }
            self.append(number, &record);
        } else if begins {
            self.state.end_span(record.sequence);
        }
        Ok(effects)
    }

    fn store_batch(&mut self, batch: Batch<'_>) -> Result<Effects, DurableError> {
        let mut all = Effects::none();
        if let Some(refusal) = self.state.check_batch(batch) {
            all.outcome = Outcome::Refused(refusal);
            return Ok(all);
        }
        for message in batch.iter() {
            let effects = self.store(&unconditional(message))?;
            if !matches!(effects.outcome, Outcome::Stored { .. }) {
                return Err(self.broken("a batch was stored in part"));
            }
            self.note_removed(&effects.removed);
            all.outcome = effects.outcome;
            all.removed.extend(effects.removed);
        }
        all.removed.sort();
        Ok(all)
    }

    /// Where a record of this length goes: the number of its segment, and the offset.
    fn next_place(&self, record_bytes: u64) -> (u64, u64) {
        match self.parts.last().filter(|part| part.is_open()) {
            Some(part) if part.has_room(record_bytes, self.config.segment_bytes) => {
                (part.number, part.end())
            }
            _ => (self.next_number, RECORDS_AT),
        }
    }

    fn append(&mut self, number: u64, record: &Record<'_>) {
        if number == self.next_number {
            if let Some(full) = self.parts.last_mut() {
                full.is_full = true;
            }
            self.parts.push(Part::new(self.identity(number), record.sequence));
            self.next_number += 1;
        }
        if let Some(part) = self.parts.last_mut() {
            part.append(record);
        }
    }

    /// Takes note of the segments that messages were removed from.
    fn note_removed(&mut self, removed: &Removed) {
        let first_seq = self.state.first_seq();
        for range in &removed.ranges {
            let from = self.parts.partition_point(|part| part.last_seq < *range.start());
            for part in &mut self.parts[from..] {
                if part.first_seq > *range.end() {
                    break;
                }
                // Of what is gone from the front the manifest's first sequence tells.
                part.is_dirty |= *range.end() >= first_seq;
            }
        }
    }

    /// Reads and checks a message.
    ///
    /// # Errors
    /// It is damaged, or the disk refused.
    pub fn read(&mut self, seq: u64) -> Result<Option<Stored>, SegmentError> {
        let read = self.locate(seq)?.map_or(Ok(None), Located::read);
        if let Err(SegmentError::Damaged { path, offset }) = &read {
            let (path, offset) = (path.clone(), *offset);
            let kind = DamageKind::Record { sequences: seq..=seq };
            self.notes.add(Damage { path, offset, kind });
        }
        read
    }

    /// Where a message is, so that it can be read without the lock; `None` where there is none.
    ///
    /// # Errors
    /// It was found damaged when the stream was opened.
    pub fn locate(&mut self, seq: u64) -> Result<Option<Located<D::File>>, SegmentError> {
        let found = self.ask(|state| state.place_and_bytes(seq))?;
        let Some(part) = self.part(seq) else { return Ok(None) };
        let Some((place, bytes)) = found else { return part.lost(seq, &self.folder) };
        let offset = split_place(place).1;
        if offset < part.written
            && let Some(segment) = &part.segment
        {
            let segment = segment.clone();
            return Ok(Some(Located(Where::Written { segment, offset, seq, bytes })));
        }
        let damaged = || SegmentError::Damaged { path: part.path(&self.folder), offset };
        let stored = part.read_waiting(offset).ok_or_else(damaged)?;
        Ok(Some(Located(Where::Waiting(stored))))
    }

    fn part_at(&self, seq: u64) -> Option<usize> {
        let at = self.parts.partition_point(|part| part.last_seq < seq);
        self.parts.get(at).filter(|part| part.first_seq <= seq).map(|_| at)
    }

    fn part(&self, seq: u64) -> Option<&Part<D::File>> {
        self.part_at(seq).map(|at| &self.parts[at])
    }

    /// Writes what waits; it is safe after a checkpoint. While one that closes the stream runs,
    /// everything waits.
    ///
    /// # Errors
    /// The disk refused: it waits still, and this may be tried again. Or the stream is given up.
    pub fn flush(&mut self) -> Result<(), DurableError> {
        if self.is_given_up {
            return Err(DurableError::GivenUp);
        }
        if self.checkpoint.as_ref().is_some_and(|running| running.is_closing) {
            return Ok(());
        }
        let start = self.first_waiting();
        for part in &mut self.parts[start..] {
            let segment = if let Some(segment) = part.segment.take() {
                segment
            } else {
                let path = part.path(&self.folder);
                Segment::create(&self.disk, &path, &part.identity)?
            };
            let segment = part.segment.insert(segment);
            segment.write(&part.waiting, part.written)?;
            part.written += part.waiting.len() as u64;
            part.waiting.clear();
            part.waiting.shrink_to(if part.is_full { 0 } else { IDLE_BUFFER_BYTES });
        }
        Ok(())
    }

    /// Overwrites what a message carries, before the entry that removes it is applied (again, when
    /// the log is replayed); says whether there is such a message. Its subject and id stay, as does
    /// the length of what is gone.
    ///
    /// # Errors
    /// The message is damaged, or the disk refused: then the stream is given up.
    pub fn erase(&mut self, seq: u64) -> Result<bool, DurableError> {
        if self.is_given_up {
            return Err(DurableError::GivenUp);
        }
        let Some(place) = self.ask(|state| state.place(seq))? else { return Ok(false) };
        let Some(at) = self.part_at(seq) else { return Ok(false) };
        if let Some(running) = &mut self.compaction {
            running.erased.push(seq);
        }
        let offset = split_place(place).1;
        let part = &mut self.parts[at];
        match &part.segment {
            Some(segment) if offset < part.written => {
                if let Err(error) = segment.erase(offset) {
                    // What was synced may be torn now, or not be what will be found.
                    self.is_given_up |= matches!(error, SegmentError::Disk { .. });
                    return Err(error.into());
                }
            }
            _ => part.erase_waiting(offset),
        }
        Ok(true)
    }

    /// Removes the stream's files and its folder; the manifests first, so that what is left if this
    /// fails is no stream. It may be tried again by [`Durable::remove_folder`].
    ///
    /// # Errors
    /// The disk refused.
    pub fn delete(self) -> Result<(), DurableError> {
        Self::remove_folder(&self.disk, &self.folder)
    }

    /// Removes what is left of a stream that was deleted.
    ///
    /// # Errors
    /// The disk refused.
    pub fn remove_folder(on: &D, folder: &Path) -> Result<(), DurableError> {
        let refused = |error| DurableError::Disk { path: folder.to_owned(), error };
        let mut names = match on.list(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            names => names.map_err(refused)?,
        };
        names.sort_by_key(|name| !name.starts_with("manifest"));
        for name in names {
            on.remove(&folder.join(name)).map_err(refused)?;
        }
        on.sync_folder(folder).map_err(refused)?;
        on.remove_folder(folder).map_err(refused)
    }

    fn identity(&self, number: u64) -> Identity {
        Identity { store: self.config.store, stream: u64::from(self.config.group), number }
    }

    /// Gives the stream up.
    fn broken(&mut self, what: &'static str) -> DurableError {
        self.is_given_up = true;
        DurableError::Broken(what)
    }

    /// Ids of messages that are no longer live are remembered, though their records go.
    fn keep_ids(&mut self, sequences: RangeInclusive<u64>) {
        let ids = self.state.ids(sequences).map(|(seq, ..)| seq);
        let ids: Vec<u64> = ids.collect();
        let gone = ids.into_iter().filter(|&seq| self.state.place(seq).is_none());
        self.unrecorded.extend(gone);
    }
}
