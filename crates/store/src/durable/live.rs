//! Which messages of a segment live: a file of its own, written anew under the next generation when
//! one was removed from the midst. `docs/store-format.md`, "Live maps".

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::DurableError;
use crate::bytes::u64_at;
use crate::disk::{Disk, File, read_up_to};
use crate::header_block::{self, BLOCK_BYTES};
use crate::segment::Identity;

const NAME: [u8; 7] = *b"KBLIVE\0";
const FIELDS_BYTES: usize = 56;
const VERSION: u8 = 1;

/// Runs of sequences, ascending: first and last.
pub(super) type Runs = Vec<(u64, u64)>;

/// A file with runs, which lie from `base` on.
pub(super) fn encode(identity: &Identity, generation: u64, base: u64, runs: &Runs) -> Vec<u8> {
    let mut content = Vec::new();
    let mut next = base;
    for &(first, last) in runs {
        push_number(&mut content, first - next);
        push_number(&mut content, last - first + 1);
        next = last + 1;
    }
    let check = xxh3_64_with_seed(&content, identity.seed() ^ generation);
    let mut fields = identity.store.to_le_bytes().to_vec();
    for field in [identity.stream, identity.number, generation, content.len() as u64, check] {
        fields.extend_from_slice(&field.to_le_bytes());
    }
    let mut bytes = header_block::encode(NAME, VERSION, &fields);
    // Twice, so that a damaged one does not bring messages back.
    bytes.extend_from_slice(&content);
    bytes.extend_from_slice(&content);
    bytes
}

/// Reads a file: the runs, and whether a copy is damaged; `None` where nothing checks.
///
/// # Errors
/// It is of another version, or the disk refused.
pub(super) fn read<D: Disk>(
    on: &D,
    path: &Path,
    identity: &Identity,
    generation: u64,
    base: u64,
) -> Result<Option<(Runs, bool)>, DurableError> {
    let bytes = match on.open(path).and_then(|file| read_up_to(&file, 0, file.bytes()? as usize)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DurableError::Disk { path: path.to_owned(), error }),
    };
    let (fields, is_damaged) = match header_block::find(&bytes, NAME, VERSION, FIELDS_BYTES) {
        header_block::Found::Version(version) => {
            return Err(DurableError::Version { path: path.to_owned(), version });
        }
        header_block::Found::Fields(fields, is_damaged) => (fields, is_damaged),
        header_block::Found::Nothing => return Ok(None),
    };
    let mut expected = identity.store.to_le_bytes().to_vec();
    for field in [identity.stream, identity.number, generation] {
        expected.extend_from_slice(&field.to_le_bytes());
    }
    if !fields.starts_with(&expected) {
        return Ok(None);
    }
    let (length, check) = (u64_at(fields, 40) as usize, u64_at(fields, 48));
    let rest = bytes.get(BLOCK_BYTES..).unwrap_or_default();
    let copies = [0, length].map(|start| {
        let copy = rest.get(start..start.checked_add(length)?)?;
        let is_whole = xxh3_64_with_seed(copy, identity.seed() ^ generation) == check;
        is_whole.then_some(copy)
    });
    let is_damaged =
        is_damaged || copies.contains(&None) || Some(rest.len()) != length.checked_mul(2);
    let runs = copies[0].or(copies[1]).and_then(|copy| decode(copy, base));
    Ok(runs.map(|runs| (runs, is_damaged)))
}

fn decode(mut content: &[u8], base: u64) -> Option<Runs> {
    let (mut runs, mut next) = (Runs::new(), base);
    while !content.is_empty() {
        let first = next.checked_add(take_number(&mut content)?)?;
        let count = take_number(&mut content)?.checked_sub(1)?;
        let last = first.checked_add(count)?;
        runs.push((first, last));
        next = last.checked_add(1)?;
    }
    Some(runs)
}

/// Appends a number as LEB128.
fn push_number(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
