//! A stream is opened: its manifest, then what its segments hold.

use std::path::Path;

use super::snapshot::{PartRecord, Snapshot};
use super::{Damage, Durable, Failure, Part, Setup, path_of, place_at};
use crate::disk::Disk;
use crate::log::Position;
use crate::manifest::Manifest;
use crate::segment::{Extent, Kind, Place, Record, Segment, SegmentError};
use crate::stream::{Found, Lifetime, Storage, Stream};

impl<D: Disk + Clone> Durable<D> {
    /// Opens a stream as its last checkpoint has it, or begins it.
    ///
    /// # Errors
    /// The disk refused, or a file is of another version. Damage is no error.
    pub fn open_or_create(
        disk: D,
        folder: &Path,
        setup: Setup,
    ) -> Result<(Self, Vec<Damage>), Failure> {
        let (manifest, content, found) =
            Manifest::open(disk.clone(), folder, setup.store).map_err(Failure::Manifest)?;
        let mut damage: Vec<_> = found.into_iter().map(Damage::Manifest).collect();
        let snapshot = match content.as_deref().map(Snapshot::decode) {
            None => None,
            Some(None) => return Err(Failure::Content(folder.to_owned())),
            Some(snapshot) => snapshot,
        };
        let limits = snapshot.as_ref().map_or(setup.limits, |snapshot| snapshot.limits);
        let state = Stream::new(Storage::File, setup.first_seq, limits, setup.hash_seed);
        let mut durable = Self {
            disk,
            folder: folder.to_owned(),
            setup,
            state,
            parts: Vec::new(),
            next_number: 1,
            applied: Position::default(),
            checkpointed: Position::default(),
            manifest: Some(manifest),
            failure: None,
        };
        if let Some(snapshot) = snapshot {
            durable.take_up(&snapshot, &mut damage)?;
        }
        durable.note_unknown(&mut damage)?;
        let is_sealed = |part: &Part<D>| part.is_sealed;
        if durable.parts.last().is_none_or(is_sealed) {
            let next_seq = durable.state.state().last_seq + 1;
            if let Err(error) = durable.begin_part(next_seq) {
                durable.failure = Some(error.to_string());
            }
        }
        Ok((durable, damage))
    }

    fn take_up(&mut self, snapshot: &Snapshot, damage: &mut Vec<Damage>) -> Result<(), Failure> {
        self.applied = snapshot.applied;
        self.checkpointed = snapshot.applied;
        self.next_number = snapshot.next_number;
        let mut gone = snapshot.deleted.iter().peekable();
        let first_seq = snapshot.remembered.first_seq;
        let window_ns = snapshot.limits.duplicate_window_ns;
        let ids_from = snapshot.remembered.last_time_ns.unwrap_or(0).saturating_sub(window_ns);
        for record in &snapshot.parts {
            let path = path_of(&self.folder, record.number);
            let extent = if record.end == 0 { Extent::Sealed } else { Extent::Until(record.end) };
            let identity = self.identity(record.number);
            let (mut segment, found) = match Segment::open(&self.disk, &path, &identity, extent) {
                Ok(opened) => opened,
                Err(error) if is_lost(&error) => {
                    damage.push(Damage::Missing { path });
                    continue;
                }
                Err(error) => return Err(Failure::Segment(error)),
            };
            let path = path.clone();
            damage.extend(
                found.into_iter().map(|damage| Damage::Segment { path: path.clone(), damage }),
            );
            let index = segment.take_index();
            let subjects = index.subjects_by_number();
            let mut last_time_ns = 0;
            for place in index.places() {
                if place.kind != Kind::Message {
                    continue;
                }
                last_time_ns = last_time_ns.max(place.time_ns);
                while gone.next_if(|range| *range.end() < place.sequence).is_some() {}
                let is_gone = gone.peek().is_some_and(|range| range.contains(&place.sequence));
                if !is_gone && place.sequence >= first_seq {
                    let subject = subjects.get(place.subject as usize).copied().unwrap_or_default();
                    self.state.take_up(&found_at(record.number, place, subject));
                }
                // The id of a message outlives it.
                let has_id = place.flags & Record::HAS_ID != 0;
                if has_id && place.time_ns >= ids_from {
                    self.take_up_id(&segment, place);
                }
            }
            let is_sealed = record.end == 0;
            let &PartRecord { number, first_seq, .. } = record;
            self.parts.push(Part { number, first_seq, last_time_ns, is_sealed, segment });
        }
        self.state.end_take_up(snapshot.remembered.clone());
        Ok(())
    }

    /// Remembers the id of a message that came within the duplicate window. One that cannot be read
    /// is damage that shows when it is.
    fn take_up_id(&mut self, segment: &Segment<D::File>, place: &Place) {
        if let Ok(stored) = segment.read(place.offset) {
            let id = (self.setup.msg_id_of)(stored.record().headers);
            self.state.take_up_id(id, place.sequence, place.time_ns);
        }
    }

    /// Names files that belong to nothing. A segment behind the last one is of a life that no
    /// checkpoint remembers: the log has what was in it.
    fn note_unknown(&self, damage: &mut Vec<Damage>) -> Result<(), Failure> {
        let names = self.disk.list(&self.folder);
        let names = names.map_err(|error| Failure::Disk { path: self.folder.clone(), error })?;
        for name in names {
            let number = name.strip_suffix(".seg").filter(|digits| digits.len() == 16);
            let number = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
            let is_known = name.starts_with("manifest.")
                || number.is_some_and(|number| {
                    number >= self.next_number || self.parts.iter().any(|it| it.number == number)
                });
            if !is_known && number.is_none() {
                damage.push(Damage::Unknown { path: self.folder.join(name) });
            }
        }
        Ok(())
    }
}

/// Whether a segment is simply not there as what it was.
fn is_lost(error: &SegmentError) -> bool {
    match error {
        SegmentError::NotThis { .. } => true,
        SegmentError::Disk { error, .. } => error.kind() == std::io::ErrorKind::NotFound,
        SegmentError::Version { .. } | SegmentError::Damaged { .. } => false,
    }
}

fn found_at<'a>(number: u64, place: &Place, subject: &'a [u8]) -> Found<'a> {
    let lifetime = match place.ttl_s {
        0 => Lifetime::Limits,
        u32::MAX => Lifetime::Never,
        seconds => Lifetime::Ttl { ttl_ns: u64::from(seconds) * super::NS_PER_S },
    };
    Found {
        seq: place.sequence,
        subject,
        time_ns: place.time_ns,
        place: place_at(number, place.offset),
        bytes: u64::from(place.bytes),
        lifetime,
        is_marker: place.flags & Record::IS_MARKER != 0,
    }
}
