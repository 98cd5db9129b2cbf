//! Message ids of before a stream was opened: they are read when the first entry comes that is about
//! ids, for they may be over until then.

use std::ops::RangeInclusive;

use keelback_planted::{self as planted, Bug};

use super::content::Content;
use super::shelf::Notes;
use super::{Damage, DamageKind, Durable, DurableError};
use crate::disk::{Disk, File};
use crate::segment::{Extent, Index, Segment, SegmentError};
use crate::stream::Entry;

/// Sequence, time and text.
pub(super) type Id = (u64, u64, Vec<u8>);

/// What was not read yet.
pub(super) struct UnreadIds<F> {
    /// No earlier message's is remembered.
    pub(super) first_seq: u64,
    /// Those that no record has.
    pub(super) unrecorded: Vec<Id>,
    within: Vec<(Segment<F>, Within)>,
    /// The stream was told this time: what is over at it is forgotten (nanoseconds since 1970).
    pub(super) now_ns: u64,
}

/// Where a segment has ids.
enum Within {
    /// Sequence, time and place of each record that has one.
    These(Vec<(u64, u64, u64)>),
    /// Its index says it; the sequences that it may have.
    Sealed(RangeInclusive<u64>),
}

impl<F: File> UnreadIds<F> {
    pub(super) fn new(content: &Content) -> Self {
        Self {
            first_seq: content.first_id_seq,
            unrecorded: content.ids.clone(),
            within: Vec::new(),
            now_ns: content.ids_now_ns,
        }
    }

    /// A segment may have some.
    pub(super) fn look_in(&mut self, segment: &Segment<F>, sequences: RangeInclusive<u64>) {
        if *sequences.end() >= self.first_seq {
            self.within.push((segment.clone(), Within::Sealed(sequences)));
        }
    }

    /// A segment has those of these records.
    pub(super) fn look_at(&mut self, segment: &Segment<F>, index: &Index) {
        let with_id = self.with_id(index);
        if !with_id.is_empty() {
            self.within.push((segment.clone(), Within::These(with_id)));
        }
    }

    fn with_id(&self, index: &Index) -> Vec<(u64, u64, u64)> {
        let places = index.places();
        let start = places.partition_point(|record| record.sequence < self.first_seq);
        let with_id = places[start..].iter().filter(|record| record.has_id);
        with_id.map(|record| (record.sequence, record.time_ns, record.offset)).collect()
    }

    fn read(&self, notes: &Notes) -> Result<Vec<Id>, SegmentError> {
        let mut ids = self.unrecorded.clone();
        for (segment, within) in &self.within {
            let found = match within {
                Within::These(found) => found,
                Within::Sealed(sequences) => {
                    let (index, ..) = segment.records(Extent::Sealed, sequences.clone())?;
                    &self.with_id(&index)
                }
            };
            for &(seq, time_ns, offset) in found {
                match segment.read(offset) {
                    Ok(stored) => ids.push((seq, time_ns, stored.record().msg_id.to_vec())),
                    Err(SegmentError::Damaged { path, offset }) => {
                        let kind = DamageKind::Record { sequences: seq..=seq };
                        notes.add(Damage { path, offset, kind });
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        ids.sort_unstable_by_key(|(seq, ..)| *seq);
        ids.dedup_by_key(|(seq, ..)| *seq);
        Ok(ids)
    }
}

impl<D: Disk + Clone> Durable<D> {
    /// Has the ids here that an entry may be about, which is applied next.
    pub(super) fn reach_ids(&mut self, entry: &Entry<'_>) -> Result<(), DurableError> {
        let Some(unread) = &mut self.unread_ids else { return Ok(()) };
        match *entry {
            Entry::Expire { now_ns } => unread.now_ns = unread.now_ns.max(now_ns),
            Entry::Store(message) if message.msg_id.is_empty() => {}
            Entry::Skip { .. } | Entry::Remove { .. } | Entry::Purge(_) => {}
            // A new window may keep ids for longer, or none.
            Entry::Limit(_) | Entry::Store(_) | Entry::Batch(_) | Entry::Pass { .. } => {
                return self.read_ids();
            }
        }
        Ok(())
    }

    /// As [`Stream::duplicate_of`](crate::stream::Stream::duplicate_of).
    ///
    /// # Errors
    /// The disk refused.
    pub fn duplicate_of(
        &mut self,
        msg_id: &[u8],
        now_ns: u64,
    ) -> Result<Option<u64>, DurableError> {
        if !msg_id.is_empty() {
            self.read_ids()?;
        }
        Ok(self.state.duplicate_of(msg_id, now_ns))
    }

    /// Has all ids here that are remembered.
    ///
    /// # Errors
    /// The disk refused: this may be tried again.
    pub fn read_ids(&mut self) -> Result<(), DurableError> {
        let Some(unread) = &self.unread_ids else { return Ok(()) };
        let ids = unread.read(&self.notes)?;
        let now_ns = unread.now_ns;
        for (seq, time_ns, id) in ids.iter().filter(|_| !planted::is(Bug::IdsForgotten)) {
            self.state.remember(id, *seq, *time_ns);
        }
        self.state.forget_ids(now_ns);
        self.unread_ids = None;
        Ok(())
    }
}
