//! The first block of every file of the store: whose it is. It stands twice in 4,096 bytes.
//!
//! ```text
//!  0  a name of seven bytes, then the version
//!  8  fields, as many as the kind of file has
//!     check  u64  XXH3-64 over all before it
//!     zeros up to 2048, then the same again
//! ```

use std::fmt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use crate::bytes::u64_at;

/// The first block (bytes).
pub(crate) const BLOCK_BYTES: usize = 4096;

const COPY_BYTES: usize = BLOCK_BYTES / 2;
const FIELDS_AT: usize = 8;

/// What the first block of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Its fields; `true` when only one of the copies is whole.
    Fields(&'a [u8], bool),
    /// Of a format that this program does not know.
    Version(u8),
    /// Nothing.
    Nothing,
}

/// Says that a file is of a format that this program does not know.
pub(crate) fn show_version(
    formatter: &mut fmt::Formatter<'_>,
    file: &Path,
    version: u8,
    known: u8,
) -> fmt::Result {
    write!(
        formatter,
        "{}: format {version}, and this program knows {known}: open the store with the program \
         that wrote it",
        file.display()
    )
}

pub(crate) fn encode(name: [u8; 7], version: u8, fields: &[u8]) -> Vec<u8> {
    let mut copy = name.to_vec();
    copy.push(version);
    copy.extend_from_slice(fields);
    let check = xxh3_64(&copy);
    copy.extend_from_slice(&check.to_le_bytes());
    copy.resize(COPY_BYTES, 0);
    copy.repeat(2)
}

pub(crate) fn find(file: &[u8], name: [u8; 7], version: u8, fields_bytes: usize) -> Found<'_> {
    let copies = [0, COPY_BYTES].map(|at| {
        let copy = file.get(at..at + COPY_BYTES)?;
        decode(copy, name, version, fields_bytes)
    });
    match copies {
        [Some(Err(version)), _] | [_, Some(Err(version))] => Found::Version(version),
        [Some(Ok(first)), Some(Ok(second))] => Found::Fields(first, first != second),
        [Some(Ok(fields)), None] | [None, Some(Ok(fields))] => Found::Fields(fields, true),
        [None, None] => Found::Nothing,
    }
}

/// One copy; an error is the version of a whole header of another format.
fn decode(
    copy: &[u8],
    name: [u8; 7],
    version: u8,
    fields_bytes: usize,
) -> Option<Result<&[u8], u8>> {
    let checked = FIELDS_AT + fields_bytes;
    let is_whole = copy.starts_with(&name)
        && u64_at(copy, checked) == xxh3_64(&copy[..checked])
        && copy[checked + 8..].iter().all(|&byte| byte == 0);
    if !is_whole {
        return None;
    }
    let found = copy[FIELDS_AT - 1];
    Some(if found == version { Ok(&copy[FIELDS_AT..checked]) } else { Err(found) })
}
