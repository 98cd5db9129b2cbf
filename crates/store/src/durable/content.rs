//! What a stream's manifest says: `docs/store-format.md`, "A stream's manifest".

use crate::bytes::{Fields, push_counted};
use crate::log::Position;
use crate::segment::{Extent, Hole};
use crate::stream::Limits;

/// What a stream was at a checkpoint, beside what its segments and live maps say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) applied: Position,
    pub(super) next_number: u64,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    pub(super) last_time_ns: Option<u64>,
    pub(super) limits: Limits,
    pub(super) last_msg_id: Vec<u8>,
    /// Ids of messages before it are forgotten.
    pub(super) first_id_seq: u64,
    /// So are those that are over at this time (nanoseconds since 1970).
    pub(super) ids_now_ns: u64,
    /// Sequence, time and id where no record has it.
    pub(super) ids: Vec<(u64, u64, Vec<u8>)>,
    pub(super) segments: Vec<Listed>,
    pub(super) obsolete: Vec<Obsolete>,
}

/// A segment, as the manifest lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) number: u64,
    pub(super) extent: Extent,
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// What is below it is gone.
    pub(super) floor_seq: u64,
    /// Of its live map; 0 without one.
    pub(super) map: u64,
    /// Damage that was found.
    pub(super) holes: Vec<Hole>,
}

/// A file that may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Obsolete {
    pub(super) number: u64,
    /// Of the live map; 0 stands for the segment itself.
    pub(super) map: u64,
}

impl Content {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for number in [
            self.applied.file,
            self.applied.offset,
            self.next_number,
            self.first_seq,
            self.last_seq,
            u64::from(self.last_time_ns.is_some()),
            self.last_time_ns.unwrap_or(0),
            self.first_id_seq,
            self.ids_now_ns,
        ] {
            push(&mut bytes, number);
        }
        self.limits.encode(&mut bytes);
        push_counted(&mut bytes, &self.last_msg_id);
        push(&mut bytes, self.ids.len() as u64);
        for (seq, time_ns, id) in &self.ids {
            push(&mut bytes, *seq);
            push(&mut bytes, *time_ns);
            push_counted(&mut bytes, id);
        }
        push(&mut bytes, self.segments.len() as u64);
        for segment in &self.segments {
            segment.encode(&mut bytes);
        }
        push(&mut bytes, self.obsolete.len() as u64);
        for file in &self.obsolete {
            push(&mut bytes, file.number);
            push(&mut bytes, file.map);
        }
        bytes
    }

    /// Reads it; `None` for what `encode` never writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields(bytes);
        let applied = Position { file: fields.u64()?, offset: fields.u64()? };
        let [next_number, first_seq, last_seq] = [fields.u64()?, fields.u64()?, fields.u64()?];
        let (has_time, last_time_ns) = (fields.u64()? == 1, fields.u64()?);
        let content = Self {
            applied,
            next_number,
            first_seq,
            last_seq,
            last_time_ns: has_time.then_some(last_time_ns),
            first_id_seq: fields.u64()?,
            ids_now_ns: fields.u64()?,
            limits: Limits::decode(&mut fields)?,
            last_msg_id: fields.counted()?.to_vec(),
            ids: list(&mut fields, |fields| {
                Some((fields.u64()?, fields.u64()?, fields.counted()?.to_vec()))
            })?,
            segments: list(&mut fields, Listed::decode)?,
            obsolete: list(&mut fields, |fields| {
                Some(Obsolete { number: fields.u64()?, map: fields.u64()? })
            })?,
        };
        fields.is_at_end().then_some(content)
    }
}

impl Listed {
    fn encode(&self, bytes: &mut Vec<u8>) {
        let end = match self.extent {
            Extent::Sealed => 0,
            Extent::Until(end) => end,
        };
        for number in [self.number, end, self.first_seq, self.last_seq, self.floor_seq, self.map] {
            push(bytes, number);
        }
        push(bytes, self.holes.len() as u64);
        for Hole { offset, bytes: length, sequences } in &self.holes {
            for number in [*offset, *length, *sequences.start(), *sequences.end()] {
                push(bytes, number);
            }
        }
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            number: fields.u64()?,
            extent: match fields.u64()? {
                0 => Extent::Sealed,
                end => Extent::Until(end),
            },
            first_seq: fields.u64()?,
            last_seq: fields.u64()?,
            floor_seq: fields.u64()?,
            map: fields.u64()?,
            holes: list(fields, |fields| {
                let (offset, bytes) = (fields.u64()?, fields.u64()?);
                Some(Hole { offset, bytes, sequences: fields.u64()?..=fields.u64()? })
            })?,
        })
    }
}

fn push(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// Reads what stands behind its number (8 bytes).
fn list<T>(
    fields: &mut Fields<'_>,
    mut one: impl FnMut(&mut Fields<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = fields.u64()?;
    (0..count).map(|_| one(fields)).collect()
}
