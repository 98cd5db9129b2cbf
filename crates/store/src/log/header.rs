//! The first block of a log file: whose it is, and where the one before it ends.
//!
//! ```text
//!  0  "KBLOG\0\0\1"     the last byte is the version
//!  8  store            u128, drawn when the store was made
//! 24  ordinal          u64, in the file's name too
//! 32  previous ordinal u64, 0 for none
//! 40  previous end     u64, where what was committed there ends (offset)
//! 48  check            u64  XXH3-64 over bytes 0..48
//! 56  zeros up to 2048, then the same again
//! ```
//!
//! It stands twice, for one of them to be damaged. A file whose successor names its end is *sealed*:
//! whatever does not check before that end is damage, and what comes behind it never happened.

use xxhash_rust::xxh3::xxh3_64;

use super::entry::u64_at;

/// The first block (bytes); entries begin behind it.
pub(super) const HEADER_BYTES: usize = 4096;

const COPY_BYTES: usize = HEADER_BYTES / 2;
const CHECKED_BYTES: usize = 48;
const MAGIC: &[u8; 7] = b"KBLOG\0\0";

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
        let mut copy = vec![0; COPY_BYTES];
        copy[..7].copy_from_slice(MAGIC);
        copy[7] = VERSION;
        copy[8..24].copy_from_slice(&self.store.to_le_bytes());
        copy[24..32].copy_from_slice(&self.ordinal.to_le_bytes());
        copy[32..40].copy_from_slice(&self.previous_ordinal.to_le_bytes());
        copy[40..48].copy_from_slice(&self.previous_end.to_le_bytes());
        let check = xxh3_64(&copy[..CHECKED_BYTES]);
        copy[48..56].copy_from_slice(&check.to_le_bytes());
        copy.repeat(2)
    }

    pub(super) fn find(file: &[u8]) -> Found {
        let copies = [0, COPY_BYTES].map(|at| file.get(at..at + COPY_BYTES).and_then(decode));
        match copies {
            [Some(Err(version)), _] | [_, Some(Err(version))] => Found::Version(version),
            [Some(Ok(first)), Some(Ok(second))] => Found::Header(first, first != second),
            [Some(Ok(header)), None] | [None, Some(Ok(header))] => Found::Header(header, true),
            [None, None] => Found::Nothing,
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

/// One copy; an error is the version of a whole header of another format.
fn decode(copy: &[u8]) -> Option<Result<Header, u8>> {
    let is_whole = copy.starts_with(MAGIC)
        && u64_at(copy, 48) == xxh3_64(&copy[..CHECKED_BYTES])
        && copy[56..].iter().all(|&byte| byte == 0);
    if !is_whole {
        return None;
    }
    if copy[7] != VERSION {
        return Some(Err(copy[7]));
    }
    let store = u128::from(u64_at(copy, 8)) | u128::from(u64_at(copy, 16)) << 64;
    let [ordinal, previous_ordinal, previous_end] = [24, 32, 40].map(|at| u64_at(copy, at));
    Some(Ok(Header { store, ordinal, previous_ordinal, previous_end }))
}
