//! Writing segments anew that are mostly deleted.

use std::path::PathBuf;

use super::content::Obsolete;
use super::part::{Part, place_of, segment_path, split_place};
use super::{Durable, DurableError};
use crate::disk::{Disk, File};
use crate::segment::{Builder, Identity, Index, RECORDS_AT, Segment, SegmentError, record};

/// What the stream remembers of a compaction that runs.
pub(super) struct Running {
    /// Of the segment that it writes.
    pub(super) number: u64,
    /// Of those that it reads; they stand side by side.
    pub(super) from: Vec<u64>,
    /// Messages that were erased since it began.
    pub(super) erased: Vec<u64>,
}

/// A compaction that was begun.
#[must_use = "it does nothing unless it runs"]
pub struct Compaction<D: Disk> {
    disk: D,
    path: PathBuf,
    identity: Identity,
    /// Sequence, place, and the segment that it is in.
    messages: Vec<(u64, u64, Segment<D::File>)>,
}

/// A segment that was written anew.
pub struct Compacted<F> {
    segment: Segment<F>,
    end: u64,
    index: Index,
    /// Where each message was.
    before: Vec<u64>,
}

impl<D: Disk + Clone> Durable<D> {
    /// Begins to write sealed segments anew of which more than half was removed, as many as make
    /// one; `None` where there are none. Segments with damage stay as they are.
    ///
    /// # Errors
    /// Another one runs, or the stream is given up.
    pub fn begin_compaction(&mut self) -> Result<Option<Compaction<D>>, DurableError> {
        if self.is_given_up {
            return Err(DurableError::GivenUp);
        }
        if self.compaction.is_some() {
            return Err(DurableError::Busy);
        }
        let state = &self.state;
        let is_due = |part: &Part<D::File>| {
            let (live, live_bytes) = state.live_in(part.first_seq);
            part.is_sealed
                && !part.is_damaged()
                && !part.is_compacted
                && live > 0
                && live_bytes * 2 < part.bytes
        };
        let Some(start) = self.parts.iter().position(is_due) else { return Ok(None) };
        let mut bytes = 0;
        let due = self.parts[start..].iter().take_while(|part| {
            let (_, live_bytes) = state.live_in(part.first_seq);
            bytes += live_bytes;
            is_due(part) && (bytes <= self.config.segment_bytes || bytes == live_bytes)
        });
        let end = start + due.count();
        let mut messages = Vec::new();
        for part in &self.parts[start..end] {
            let Some(segment) = &part.segment else { continue };
            for seq in self.state.sequences(part.first_seq..=part.last_seq, usize::MAX) {
                let place = self.state.place(seq);
                messages.extend(place.map(|place| (seq, place, segment.clone())));
            }
        }
        let identity = self.identity(self.next_number);
        self.next_number += 1;
        let from = self.parts[start..end].iter_mut().map(|part| {
            part.is_compacted = true;
            part.number
        });
        let (number, from) = (identity.number, from.collect());
        self.compaction = Some(Running { number, from, erased: Vec::new() });
        let path = segment_path(&self.folder, number);
        Ok(Some(Compaction { disk: self.disk.clone(), path, identity, messages }))
    }

    /// Ends a compaction. The segments that were written anew go with the next checkpoint.
    ///
    /// # Errors
    /// It failed: they stay, and are not tried again until the stream is opened anew.
    pub fn finish_compaction(
        &mut self,
        result: Result<Compacted<D::File>, DurableError>,
    ) -> Result<(), DurableError> {
        let Some(running) = self.compaction.take() else {
            return Err(self.broken("a compaction ended that was not begun"));
        };
        let result = self.read_ids().and(result).and_then(|compacted| {
            compacted.erase(&running.erased)?;
            Ok(compacted)
        });
        let compacted = match result {
            Ok(compacted) => compacted,
            Err(error) => {
                self.obsolete.push(Obsolete { number: running.number, map: 0 });
                return Err(error);
            }
        };
        let is_from = |part: &Part<D::File>| running.from.contains(&part.number);
        let start = self.parts.iter().position(is_from);
        let count = self.parts.iter().filter(|part| is_from(part)).count();
        let (Some(start), true) = (start, count == running.from.len()) else {
            return Err(self.broken("a segment went while it was written anew"));
        };
        let range = self.parts[start].first_seq..=self.parts[start + count - 1].last_seq;
        let part = self.compacted_part(running.number, start, start + count, compacted)?;
        for old in self.parts.splice(start..start + count, [part]) {
            self.obsolete.push(Obsolete { number: old.number, map: 0 });
            if old.map > 0 {
                self.obsolete.push(Obsolete { number: old.number, map: old.map });
            }
        }
        self.keep_ids(range);
        Ok(())
    }

    /// What stands in the place of the segments from `start` to `end`.
    fn compacted_part(
        &mut self,
        number: u64,
        start: usize,
        end: usize,
        compacted: Compacted<D::File>,
    ) -> Result<Part<D::File>, DurableError> {
        let places = compacted.index.places();
        let ends = places.first().zip(places.last());
        let ends = ends.map(|(first, last)| (first.sequence, last.sequence));
        let whole = (self.parts[start].first_seq, self.parts[end - 1].last_seq);
        let (first_seq, last_seq) = ends.unwrap_or(whole);
        let mut part = Part::new(self.identity(number), first_seq);
        part.last_seq = last_seq;
        (part.is_full, part.is_sealed) = (true, true);
        (part.written, part.synced) = (compacted.end, compacted.end);
        part.segment = Some(compacted.segment);
        for (record, before) in compacted.index.places().iter().zip(compacted.before) {
            part.bytes += record.size;
            let Some(place) = place_of(number, record.offset) else {
                return Err(self.broken("the stream has had too many segments"));
            };
            // It may have been removed while it was written.
            if self.state.place(record.sequence) == Some(before) {
                self.state.set_place(record.sequence, place);
            } else {
                part.is_dirty = true;
            }
        }
        let begins = self.parts[start].first_seq..=self.parts[end - 1].first_seq;
        self.state.join_spans(begins, first_seq);
        Ok(part)
    }
}

impl<F: File> Compacted<F> {
    /// Erases what was erased meanwhile where it came from.
    fn erase(&self, sequences: &[u64]) -> Result<(), SegmentError> {
        let places = self.index.places();
        for seq in sequences {
            if let Ok(at) = places.binary_search_by_key(seq, |place| place.sequence) {
                self.segment.erase(places[at].offset)?;
            }
        }
        Ok(())
    }
}

impl<D: Disk> Compaction<D> {
    /// Reads and checks what lives, writes it anew, and syncs it.
    ///
    /// # Errors
    /// A record is damaged, or the disk refused: to be handed to `finish_compaction` like a success.
    pub fn run(self) -> Result<Compacted<D::File>, DurableError> {
        let seed = self.identity.seed();
        let (mut bytes, mut builder) = (Vec::new(), Builder::default());
        let mut before = Vec::with_capacity(self.messages.len());
        for (seq, place, segment) in self.messages {
            let stored = segment.read(split_place(place).1)?;
            let record = stored.written();
            if record.sequence != seq {
                return Err(DurableError::Broken("a record has another sequence"));
            }
            let offset = RECORDS_AT + bytes.len() as u64;
            record::append(&mut bytes, seed, offset, &record);
            builder.add(offset, &record);
            before.push(place);
        }
        let segment = Segment::create(&self.disk, &self.path, &self.identity)?;
        segment.write(&bytes, RECORDS_AT)?;
        let (index, end) = (builder.finish(), RECORDS_AT + bytes.len() as u64);
        segment.write_index(&index, end)?;
        segment.sync()?;
        Ok(Compacted { segment, end, index, before })
    }
}
