//! Messages that are read from their segment when somebody asks for them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::live::{self, Runs};
use super::part::{Part, map_path, place_of};
use super::{Damage, DamageKind, Durable, DurableError};
use crate::disk::Disk;
use crate::segment::{self, Extent, Identity, Index, Place, Segment, SegmentError};
use crate::stream::{Kept, Loaded, Source, Stream};

/// Damage that was found while messages were read; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Notes(Arc<Mutex<Vec<Damage>>>);

impl Notes {
    pub(super) fn add(&self, damage: Damage) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !noted.contains(&damage) {
            noted.push(damage);
        }
    }

    fn take(&self) -> Vec<Damage> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A sealed segment, from which its messages are read.
pub(super) struct Shelf<D: Disk> {
    disk: D,
    identity: Identity,
    segment: Segment<D::File>,
    /// At most the first message's sequence.
    first_seq: u64,
    /// At least the last one's.
    last_seq: u64,
    /// The generation of its live map, and where that is; 0 without one.
    map: (u64, PathBuf),
    notes: Notes,
}

impl<D: Disk + Clone> Shelf<D> {
    pub(super) fn new(
        disk: &D,
        folder: &Path,
        part: &Part<D::File>,
        segment: &Segment<D::File>,
        notes: &Notes,
    ) -> Self {
        Self {
            disk: disk.clone(),
            identity: part.identity,
            segment: segment.clone(),
            first_seq: part.first_seq,
            last_seq: part.last_seq,
            map: (part.map, map_path(folder, part.number, part.map)),
            notes: notes.clone(),
        }
    }

    fn read(&self) -> Result<Loaded, DurableError> {
        let sequences = self.first_seq..=self.last_seq;
        let (index, end, damage) = self.segment.records(Extent::Sealed, sequences)?;
        for damage in damage {
            let path = self.segment.path().to_owned();
            match damage {
                // What it says of them is not what was counted.
                segment::Damage::Hole(hole) => {
                    let offset = hole.offset;
                    return Err(SegmentError::Damaged { path, offset }.into());
                }
                segment::Damage::Header | segment::Damage::Index => {
                    self.notes.add(Damage { path, offset: end, kind: DamageKind::Index });
                }
            }
        }
        let mut messages = Vec::with_capacity(index.places().len());
        for record in living(&index, self.runs()?.as_ref(), 0) {
            let kept = kept_of(self.identity.number, record);
            let kept = kept.ok_or(DurableError::Broken("a segment's number is too large"))?;
            messages.push((kept, record.subject));
        }
        let subjects = 0..index.subjects().len() as u32;
        let subjects = subjects.map(|subject| index.text(subject).into()).collect();
        Ok(Loaded { subjects, messages })
    }

    fn runs(&self) -> Result<Option<Runs>, DurableError> {
        let (generation, path) = &self.map;
        if *generation == 0 {
            return Ok(None);
        }
        let found = live::read(&self.disk, path, &self.identity, *generation, self.first_seq)?;
        let lost = || SegmentError::Damaged { path: path.clone(), offset: 0 };
        let (runs, is_damaged) = found.ok_or_else(lost)?;
        if is_damaged {
            let (path, kind) = (path.clone(), DamageKind::LiveMapCopy);
            self.notes.add(Damage { path, offset: 0, kind });
        }
        Ok(Some(runs))
    }
}

impl<D: Disk + Clone + Send> Source for Shelf<D>
where
    D::File: Send + Sync,
{
    fn load(&self) -> Result<Loaded, String> {
        self.read().map_err(|error| error.to_string())
    }
}

impl<D: Disk + Clone> Durable<D> {
    /// Where segments begin whose messages need not be here: nobody asked for them since this was
    /// last called, and they can be read again.
    pub fn sweep(&mut self) -> Vec<u64> {
        let idle = self.state.sweep();
        let open = self.parts.last().filter(|part| part.is_open()).map(|part| part.first_seq);
        if open.is_some_and(|first_seq| idle.contains(&first_seq)) {
            self.rest();
        }
        idle
    }

    /// Lets the messages go that [`Durable::sweep`] named, unless somebody asked for them since; says
    /// whether it did.
    pub fn cool(&mut self, first_seq: u64) -> bool {
        // The live maps of a checkpoint that runs are not written yet.
        if self.is_given_up || self.checkpoint.is_some() {
            return false;
        }
        let Some(part) = self.parts.iter().find(|part| part.first_seq == first_seq) else {
            return false;
        };
        let may_be_read =
            part.is_sealed && !part.is_damaged() && !part.is_dirty && !part.is_compacted;
        let Some(segment) = part.segment.as_ref().filter(|_| may_be_read) else { return false };
        let source = Shelf::new(&self.disk, &self.folder, part, segment, &self.notes);
        self.state.cool(first_seq, || Box::new(source))
    }

    /// Asks which messages there are; what the answer needs is read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ask<T>(&mut self, question: impl FnOnce(&mut Stream) -> T) -> Result<T, SegmentError> {
        let answer = question(&mut self.state);
        let Some(why) = self.state.take_failure() else { return Ok(answer) };
        let (path, kind) = (self.folder.clone(), DamageKind::Unread { why: why.clone() });
        self.notes.add(Damage { path, offset: 0, kind });
        Err(SegmentError::Unread { why })
    }

    /// Damage that was found since this was last called, beside what opening found.
    pub fn take_damage(&mut self) -> Vec<Damage> {
        self.notes.take()
    }
}

/// The records of a segment that live.
pub(super) fn living<'a>(
    index: &'a Index,
    runs: Option<&'a Runs>,
    floor_seq: u64,
) -> impl Iterator<Item = &'a Place> {
    let mut runs = runs.map(|runs| runs.iter().peekable());
    index.places().iter().filter(move |record| {
        let seq = record.sequence;
        let is_live = runs.as_mut().is_none_or(|runs| {
            while runs.next_if(|run| run.1 < seq).is_some() {}
            runs.peek().is_some_and(|run| run.0 <= seq)
        });
        is_live && seq >= floor_seq
    })
}

/// What a stream keeps of a record; `None` if it is too far.
pub(super) fn kept_of(number: u64, record: &Place) -> Option<Kept> {
    Some(Kept {
        sequence: record.sequence,
        time_ns: record.time_ns,
        place: place_of(number, record.offset)?,
        bytes: record.size,
        lifetime: record.lifetime,
        is_marker: record.is_marker,
    })
}
