//! Making safe what was written, without the stream's lock.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use keelback_planted::{self as planted, Bug};

use super::content::{Content, Obsolete};
use super::live;
use super::part::{map_path, segment_path};
use super::{Durable, DurableError};
use crate::disk::{Disk, File};
use crate::log::Position;
use crate::manifest::{Manifest, ManifestError};
use crate::segment::{RECORDS_AT, Segment};

/// An empty segment of so many bytes goes although it may be written to.
const ROOM_BYTES: u64 = 64 << 10;

/// A segment that is written to is sealed when the stream is closed if it has this part of a whole
/// one: opening it would read all that it holds.
const CLOSED_PART: u64 = 16;

/// It is sealed as well when nobody uses it and it has this part of one: its messages need not be in
/// memory then.
const IDLE_PART: u64 = 4;

/// What the stream remembers of a checkpoint that runs.
pub(super) struct Running {
    pub(super) is_closing: bool,
    /// Segments whose live maps it writes.
    maps: Vec<u64>,
}

/// A checkpoint that was begun.
#[must_use = "it does nothing unless it runs"]
pub struct Checkpoint<D: Disk> {
    disk: D,
    folder: PathBuf,
    manifest: Arc<Mutex<Manifest<D>>>,
    content: Vec<u8>,
    segments: Vec<Work<D::File>>,
    /// Files that are written whole.
    maps: Vec<(PathBuf, Vec<u8>)>,
    obsolete: Vec<Obsolete>,
    applied: Position,
}

struct Work<F> {
    segment: Segment<F>,
    number: u64,
    end: u64,
    sequences: std::ops::RangeInclusive<u64>,
    holes: Vec<u64>,
    needs_index: bool,
    is_sealed: bool,
}

/// A checkpoint that is safe.
#[derive(Debug)]
pub struct Done {
    applied: Position,
    /// Number, end, and whether it is sealed.
    segments: Vec<(u64, u64, bool)>,
    removed: Vec<Obsolete>,
}

impl<D: Disk + Clone> Durable<D> {
    /// Begins a checkpoint of what was applied; what waits is written first. One that closes the
    /// stream also has it opened faster: nothing is written to it meanwhile.
    ///
    /// # Errors
    /// The disk refused, another one runs, or the stream is given up.
    pub fn begin_checkpoint(&mut self, is_closing: bool) -> Result<Checkpoint<D>, DurableError> {
        if self.checkpoint.is_some() {
            return Err(DurableError::Busy);
        }
        // First: on a full disk what waits for a segment that goes needs no room.
        self.drop_empty()?;
        self.flush()?;
        let first_id_seq = self.first_id_seq();
        self.unrecorded.retain(|&seq| seq >= first_id_seq);
        // A generation that failed is not used again: its files may be found later.
        self.map_generation += 1;
        let generation = self.map_generation;
        let (mut maps, mut mapped) = (Vec::new(), Vec::new());
        for at in 0..self.parts.len() {
            let part = &mut self.parts[at];
            if part.is_dirty && !part.is_absent {
                let runs = self.state.runs_here(part.first_seq..=part.last_seq);
                let identity = &part.identity;
                let bytes = live::encode(identity, generation, part.first_seq, &runs);
                if part.map > 0 {
                    self.obsolete.push(Obsolete { number: part.number, map: part.map });
                }
                (part.map, part.is_dirty) = (generation, false);
                maps.push((part.map_path(&self.folder), bytes));
                mapped.push(part.number);
            }
        }
        if is_closing {
            self.fill_open(CLOSED_PART);
        }
        let segments = self.work(is_closing);
        let mut content = self.content();
        for work in segments.iter().filter(|work| work.is_sealed) {
            let listed = content.segments.iter_mut().find(|listed| listed.number == work.number);
            if let Some(listed) = listed {
                listed.extent = crate::segment::Extent::Sealed;
            }
        }
        self.checkpoint = Some(Running { is_closing, maps: mapped });
        Ok(Checkpoint {
            disk: self.disk.clone(),
            folder: self.folder.clone(),
            manifest: self.manifest.clone(),
            content: content.encode(),
            segments,
            maps,
            obsolete: self.obsolete.clone(),
            applied: self.applied,
        })
    }

    /// Ends a checkpoint: the log's entries before this place are safe here.
    ///
    /// # Errors
    /// It failed. Where a sync failed, the stream is given up; otherwise another one may be begun.
    pub fn finish_checkpoint(
        &mut self,
        result: Result<Done, DurableError>,
    ) -> Result<Position, DurableError> {
        let Some(running) = self.checkpoint.take() else {
            return Err(self.broken("a checkpoint ended that was not begun"));
        };
        match result {
            Ok(done) => {
                for (number, end, is_sealed) in done.segments {
                    if let Some(part) = self.parts.iter_mut().find(|part| part.number == number) {
                        (part.synced, part.is_sealed) = (end, is_sealed);
                    }
                }
                self.obsolete.retain(|file| !done.removed.contains(file));
                Ok(done.applied)
            }
            Err(error) => {
                for part in &mut self.parts {
                    part.is_dirty |= running.maps.contains(&part.number);
                }
                let is_doubtful = matches!(error, DurableError::Unsynced(_));
                self.is_given_up |= is_doubtful && !planted::is(Bug::FailedSegmentTrusted);
                Err(error)
            }
        }
    }

    /// Segments without a live message go; the one that is written to only if that makes much room.
    fn drop_empty(&mut self) -> Result<(), DurableError> {
        let open = self.parts.last().filter(|part| part.is_open() && part.end() < ROOM_BYTES);
        let open = open.map(|part| part.number);
        let (compaction, state) = (self.compaction.as_ref(), &self.state);
        let is_empty = |part: &super::Part<D::File>| {
            let is_read = compaction.is_some_and(|running| running.from.contains(&part.number));
            let is_empty = state.live_in(part.first_seq).0 == 0;
            is_empty && !part.is_damaged() && !is_read && Some(part.number) != open
        };
        let empty: Vec<u64> =
            self.parts.iter().filter(|part| is_empty(part)).map(|part| part.number).collect();
        if empty.is_empty() {
            return Ok(());
        }
        self.read_ids()?;
        let is_empty = |part: &super::Part<D::File>| empty.contains(&part.number);
        let mut ranges = Vec::new();
        for part in self.parts.iter().filter(|part| is_empty(part)) {
            ranges.push(part.first_seq..=part.last_seq);
            self.obsolete.push(Obsolete { number: part.number, map: 0 });
            if part.map > 0 {
                self.obsolete.push(Obsolete { number: part.number, map: part.map });
            }
        }
        self.parts.retain(|part| !is_empty(part));
        for range in ranges {
            self.state.end_span(*range.start());
            self.keep_ids(range);
        }
        Ok(())
    }

    /// Ids of messages before it are forgotten.
    fn first_id_seq(&self) -> u64 {
        let unread = self.unread_ids.as_ref().map(|unread| unread.first_seq);
        unread.unwrap_or_else(|| self.state.first_id_seq())
    }

    /// Appends nothing more to the segment that is written to, if it has this part of a whole one: the
    /// next checkpoint seals it.
    fn fill_open(&mut self, part_of: u64) {
        let full_bytes = self.config.segment_bytes.saturating_sub(RECORDS_AT) / part_of;
        let open = self.parts.last_mut().filter(|part| part.is_open());
        if let Some(part) = open.filter(|part| part.end() - RECORDS_AT >= full_bytes) {
            part.is_full = true;
        }
    }

    /// Nobody has used the segment that is written to for a while.
    pub(super) fn rest(&mut self) {
        self.fill_open(IDLE_PART);
    }

    /// A segment that nothing is appended to is to be sealed by the next checkpoint.
    pub fn has_unsealed(&self) -> bool {
        let mut full = self.parts.iter().filter(|part| part.is_full && !part.is_absent);
        full.any(|part| !part.is_sealed)
    }

    fn work(&self, is_closing: bool) -> Vec<Work<D::File>> {
        let open = self.parts.last().filter(|part| part.is_open()).map(|part| part.number);
        let mut segments = Vec::new();
        for part in self.parts.iter().filter(|part| !part.is_sealed && !part.is_absent) {
            let is_sealed = Some(part.number) != open;
            let is_needed = is_sealed || is_closing || part.synced < part.written;
            let Some(segment) = part.segment.as_ref().filter(|_| is_needed) else { continue };
            segments.push(Work {
                segment: segment.clone(),
                number: part.number,
                end: part.written,
                sequences: part.first_seq..=part.last_seq,
                holes: part.holes.iter().map(|hole| hole.offset).collect(),
                needs_index: is_sealed || is_closing,
                is_sealed,
            });
        }
        segments
    }

    pub(super) fn content(&self) -> Content {
        let state = &self.state;
        let first_id_seq = self.first_id_seq();
        let unrecorded = self.unrecorded.range(first_id_seq..);
        let mut ids: Vec<_> = unrecorded.flat_map(|&seq| state.ids(seq..=seq)).collect();
        if let Some(unread) = &self.unread_ids {
            ids.clone_from(&unread.unrecorded);
        }
        let first_seq = state.first_seq();
        let mut obsolete = self.obsolete.clone();
        // What it writes is nothing if it does not end.
        let begun = self.compaction.as_ref().map(|running| running.number);
        obsolete.extend(begun.map(|number| Obsolete { number, map: 0 }));
        Content {
            applied: self.applied,
            next_number: self.next_number,
            first_seq,
            last_seq: state.last_seq(),
            last_time_ns: state.state().last_time_ns,
            limits: *state.limits(),
            last_msg_id: self.state.last_msg_id().to_vec(),
            first_id_seq,
            ids_now_ns: self.unread_ids.as_ref().map_or(0, |unread| unread.now_ns),
            ids,
            segments: self.parts.iter().map(|part| part.listed(first_seq)).collect(),
            obsolete,
        }
    }

    pub(super) fn write_manifest(&self, content: &[u8]) -> Result<(), ManifestError> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner).write(content)
    }
}

impl<D: Disk> Checkpoint<D> {
    /// Makes it safe: syncs segments, writes their indexes, live maps and the manifest, removes what
    /// is no longer needed.
    ///
    /// # Errors
    /// The disk refused: to be handed to `finish_checkpoint` like a success.
    pub fn run(self) -> Result<Done, DurableError> {
        for work in &self.segments {
            if work.needs_index {
                work.segment.seal(work.end, work.sequences.clone(), &work.holes)?;
            }
            if planted::is(Bug::SegmentNotSynced) {
                continue;
            }
            work.segment.sync().map_err(|error| DurableError::Unsynced(Box::new(error.into())))?;
        }
        for (path, bytes) in &self.maps {
            self.write_map(path, bytes)?;
        }
        let synced = self.disk.sync_folder(&self.folder);
        synced.map_err(|error| {
            let path = self.folder.clone();
            DurableError::Unsynced(Box::new(DurableError::Disk { path, error }))
        })?;
        let mut manifest = self.manifest.lock().unwrap_or_else(PoisonError::into_inner);
        manifest.write(&self.content)?;
        let removed = self.obsolete.iter().copied().filter(|file| self.remove(*file)).collect();
        let segments = self.segments.iter();
        let segments = segments.map(|work| (work.number, work.end, work.is_sealed)).collect();
        Ok(Done { applied: self.applied, segments, removed })
    }

    fn write_map(&self, path: &std::path::Path, bytes: &[u8]) -> Result<(), DurableError> {
        let write = || {
            match self.disk.remove(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.disk.create(path)?.write_durably_at(bytes, 0)
        };
        write().map_err(|error| DurableError::Disk { path: path.to_owned(), error })
    }

    /// Says whether a file is gone; one that is not is tried again with the next checkpoint.
    fn remove(&self, file: Obsolete) -> bool {
        let path = match file.map {
            0 => segment_path(&self.folder, file.number),
            map => map_path(&self.folder, file.number, map),
        };
        let removed = self.disk.remove(&path);
        removed.map_or_else(|error| error.kind() == std::io::ErrorKind::NotFound, |()| true)
    }
}
