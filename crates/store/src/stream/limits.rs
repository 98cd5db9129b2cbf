//! A stream's limits as bytes: in the log and in manifests.

use super::{Discard, Limits};
use crate::bytes::Fields;

const MARKS_EXPIRY: u8 = 1;
const PACKS: u8 = 2;

impl Limits {
    /// Appends them: five numbers of 8 bytes, what goes when a limit is met (1 byte), flags (1 byte).
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        for number in [
            self.msgs_max,
            self.bytes_max,
            self.msgs_per_subject_max,
            self.age_max_ns,
            self.duplicate_window_ns,
        ] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.push(match self.discard {
            Discard::Old => 0,
            Discard::New => 1,
            Discard::NewPerSubject => 2,
        });
        let marks_expiry = if self.marks_expiry { MARKS_EXPIRY } else { 0 };
        to.push(marks_expiry | if self.packs { PACKS } else { 0 });
    }

    /// Reads them; `None` for what `encode` never writes.
    pub(crate) fn decode(fields: &mut Fields<'_>) -> Option<Self> {
        let limits = Self {
            msgs_max: fields.u64()?,
            bytes_max: fields.u64()?,
            msgs_per_subject_max: fields.u64()?,
            age_max_ns: fields.u64()?,
            duplicate_window_ns: fields.u64()?,
            discard: match fields.u8()? {
                0 => Discard::Old,
                1 => Discard::New,
                2 => Discard::NewPerSubject,
                _ => return None,
            },
            ..Self::default()
        };
        let flags = fields.u8().filter(|flags| flags & !(MARKS_EXPIRY | PACKS) == 0)?;
        Some(Self { marks_expiry: flags & MARKS_EXPIRY != 0, packs: flags & PACKS != 0, ..limits })
    }
}
