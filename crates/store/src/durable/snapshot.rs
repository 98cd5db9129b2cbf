//! What the manifest of a stream remembers.

use std::ops::RangeInclusive;

use crate::bytes::{Fields, push_counted};
use crate::log::Position;
use crate::stream::{Limits, Remembered};

/// A segment, as the manifest has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartRecord {
    pub(super) number: u64,
    pub(super) first_seq: u64,
    /// Where its records end that are safe; 0 if it is sealed.
    pub(super) end: u64,
}

/// The content of a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) applied: Position,
    pub(super) next_number: u64,
    pub(super) limits: Limits,
    pub(super) remembered: Remembered,
    pub(super) parts: Vec<PartRecord>,
    /// Sequences between the first and the last that are gone.
    pub(super) deleted: Vec<RangeInclusive<u64>>,
}

impl Snapshot {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut content = Vec::new();
        let remembered = &self.remembered;
        for number in [
            self.applied.file,
            self.applied.offset,
            self.next_number,
            remembered.first_seq,
            remembered.last_seq,
            u64::from(remembered.last_time_ns.is_some()),
            remembered.last_time_ns.unwrap_or(0),
        ] {
            content.extend_from_slice(&number.to_le_bytes());
        }
        self.limits.encode(&mut content);
        push_counted(&mut content, &remembered.last_msg_id);
        content.extend_from_slice(&(self.parts.len() as u32).to_le_bytes());
        for part in &self.parts {
            for number in [part.number, part.first_seq, part.end] {
                content.extend_from_slice(&number.to_le_bytes());
            }
        }
        content.extend_from_slice(&(self.deleted.len() as u64).to_le_bytes());
        let mut behind = remembered.first_seq;
        for range in &self.deleted {
            push_varint(&mut content, range.start() - behind);
            push_varint(&mut content, range.end() - range.start());
            behind = *range.end();
        }
        content
    }

    /// Reads a content; `None` for what `encode` never writes.
    pub(super) fn decode(content: &[u8]) -> Option<Self> {
        let mut fields = Fields(content);
        let applied = Position { file: fields.u64()?, offset: fields.u64()? };
        let next_number = fields.u64()?;
        let (first_seq, last_seq) = (fields.u64()?, fields.u64()?);
        let (has_time, time_ns) = (fields.u64()?, fields.u64()?);
        let last_time_ns = (has_time != 0).then_some(time_ns);
        let limits = Limits::decode(&mut fields)?;
        let last_msg_id = fields.counted()?.to_vec();
        let mut parts = Vec::new();
        for _ in 0..fields.u32()? {
            let [number, first_seq, end] = [fields.u64()?, fields.u64()?, fields.u64()?];
            parts.push(PartRecord { number, first_seq, end });
        }
        let mut deleted = Vec::new();
        let mut behind = first_seq;
        for _ in 0..fields.u64()? {
            let start = behind.checked_add(varint(&mut fields)?)?;
            behind = start.checked_add(varint(&mut fields)?)?;
            deleted.push(start..=behind);
        }
        let remembered = Remembered { first_seq, last_seq, last_time_ns, last_msg_id };
        let found = Self { applied, next_number, limits, remembered, parts, deleted };
        fields.is_at_end().then_some(found)
    }
}

/// Seven bits in a byte, the lowest first; the highest bit says that more follow.
fn push_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn varint(fields: &mut Fields<'_>) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = fields.u8()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_remembered_is_found_again() {
        let remembered = Remembered {
            first_seq: 3,
            last_seq: 1 << 40,
            last_time_ns: Some(9),
            last_msg_id: b"id".to_vec(),
        };
        let snapshot = Snapshot {
            applied: Position { file: 1, offset: 2 },
            next_number: 8,
            limits: Limits { msgs_max: 5, ..Limits::default() },
            remembered,
            parts: vec![PartRecord { number: 7, first_seq: 1, end: 0 }],
            deleted: vec![4..=4, 6..=300, 70_000..=1 << 39],
        };
        let content = snapshot.encode();
        assert_eq!(Snapshot::decode(&content), Some(snapshot));
        for end in 0..content.len() {
            assert_eq!(Snapshot::decode(&content[..end]), None, "cut at {end}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_content_or_nothing(
            bytes in proptest::collection::vec(any::<u8>(), 0..300)
        ) {
            let _ = Snapshot::decode(&bytes);
        }
    }
}
