//! The first block of a log file: whose it is, and where the one before it ends.
//!
//! ```text
//!  8  store            u128, drawn when the store was made
//! 24  ordinal          u64, in the file's name too
//! 32  previous ordinal u64, 0 for none
//! 40  previous end     u64, where what was committed there ends (offset)
//! ```
//!
//! A file whose successor names its end is *sealed*: whatever does not check before that end is
//! damage, and what comes behind it never happened.

use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::u64_at;
use crate::header_block::{self, BLOCK_BYTES};

/// The first block (bytes); entries begin behind it.
pub(super) const HEADER_BYTES: usize = BLOCK_BYTES;

const NAME: [u8; 7] = *b"KBLOG\0\0";
const FIELDS_BYTES: usize = 40;

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) store: u128,
    pub(super) ordinal: u64,
    pub(super) previous_ordinal: u64,
    pub(super) previous_end: u64,
}

/// What the first block of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Both copies are whole, or (`true`) only one is.
    Header(Header, bool),
    /// Of a format that this program does not know.
    Version(u8),
    /// Nothing.
    Nothing,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = self.store.to_le_bytes().to_vec();
        for field in [self.ordinal, self.previous_ordinal, self.previous_end] {
            fields.extend_from_slice(&field.to_le_bytes());
        }
        header_block::encode(NAME, VERSION, &fields)
    }

    pub(super) fn find(file: &[u8]) -> Found {
        match header_block::find(file, NAME, VERSION, FIELDS_BYTES) {
            header_block::Found::Fields(fields, is_damaged) => {
                let [low, high, ordinal, previous_ordinal, previous_end] =
                    [0, 8, 16, 24, 32].map(|at| u64_at(fields, at));
                let store = u128::from(low) | u128::from(high) << 64;
                Found::Header(Self { store, ordinal, previous_ordinal, previous_end }, is_damaged)
            }
            header_block::Found::Version(version) => Found::Version(version),
            header_block::Found::Nothing => Found::Nothing,
        }
    }

    /// What the checks of the file's entries begin with.
    pub(super) fn seed(&self) -> u64 {
        let mut identity = [0; 24];
        identity[..16].copy_from_slice(&self.store.to_le_bytes());
        identity[16..].copy_from_slice(&self.ordinal.to_le_bytes());
        xxh3_64(&identity)
    }
}
