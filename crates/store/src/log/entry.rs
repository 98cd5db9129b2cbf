//! One entry of the log as bytes.
//!
//! ```text
//!  0  head check   u64  over bytes 8..32
//!  8  body bytes   u32
//! 12  group        u32
//! 16  batch        u32  counted within the file, from 1
//! 20  batch start  u32  offset in the file of the batch's first entry; the lowest bit: last of it
//! 24  body check   u64  over the body and its padding
//! 32  body, then zeros up to a multiple of 8
//! ```
//!
//! Little endian; checks are XXH3-64 with the seed of the file and the offset, so that an entry in
//! another place or of another file is none. Lengths are checked apart from bodies: a damaged body
//! hides no other entry.

use keelback_planted::{self as planted, Bug};

use crate::bytes::{check_at, u32_at, u64_at};
use crate::log::LogError;

/// What comes before a body (bytes).
pub(super) const HEAD_BYTES: usize = 32;

/// Entries begin at multiples of this (bytes).
pub(super) const ALIGNMENT: usize = 8;

/// The longest body (bytes): far above the largest message.
pub(super) const BODY_BYTES_MAX: usize = 128 << 20;

/// An entry's length in the file (bytes).
pub(super) fn padded(body_bytes: usize) -> usize {
    HEAD_BYTES + body_bytes.next_multiple_of(ALIGNMENT)
}

/// What is checked by the head check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) body_bytes: usize,
    pub(super) group: u32,
    pub(super) batch: u32,
    pub(super) batch_start: u32,
    pub(super) is_last: bool,
    body_check: u64,
}

/// Appends an entry whose place is not known yet: `seal` completes it. `write` appends its body.
pub(super) fn append(
    batch: &mut Vec<u8>,
    group: u32,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<(), LogError> {
    let start = batch.len();
    batch.resize(start + HEAD_BYTES, 0);
    write(batch);
    let bytes = batch.len() - start - HEAD_BYTES;
    if bytes > BODY_BYTES_MAX {
        batch.truncate(start);
        return Err(LogError::TooLong { bytes });
    }
    batch[start + 8..start + 12].copy_from_slice(&(bytes as u32).to_le_bytes());
    batch[start + 12..start + 16].copy_from_slice(&group.to_le_bytes());
    batch.resize(start + padded(bytes), 0);
    Ok(())
}

/// The group of what only fills up a block.
pub(super) const PADDING: u32 = u32::MAX;

/// Fills a batch up to a multiple of `block_bytes`, by an entry that belongs to nobody.
pub(super) fn pad(batch: &mut Vec<u8>, block_bytes: usize) {
    let mut gap = batch.len().next_multiple_of(block_bytes) - batch.len();
    if gap == 0 {
        return;
    }
    if gap < HEAD_BYTES {
        gap += block_bytes;
    }
    let start = batch.len();
    batch.resize(start + gap, 0);
    let body_bytes = (gap - HEAD_BYTES) as u32;
    batch[start + 8..start + 12].copy_from_slice(&body_bytes.to_le_bytes());
    batch[start + 12..start + 16].copy_from_slice(&PADDING.to_le_bytes());
}

/// Entries that `append` wrote and `seal` has not completed: offset, group and body of each.
pub(super) fn unsealed(batch: &[u8]) -> impl Iterator<Item = (usize, u32, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let head = batch.get(at..at + HEAD_BYTES)?;
        let (bytes, group) = (u32_at(head, 8) as usize, u32_at(head, 12));
        let start = at;
        at += padded(bytes);
        Some((start, group, &batch[start + HEAD_BYTES..start + HEAD_BYTES + bytes]))
    })
}

/// Completes the entries of a batch for their place.
pub(super) fn seal(entries: &mut [u8], seed: u64, batch: u32, batch_start: u32) {
    let mut at = 0;
    while at < entries.len() {
        let body_bytes = u32_at(entries, at + 8) as usize;
        let end = at + padded(body_bytes);
        let is_last = end == entries.len();
        let place = batch_start as usize + at;
        let body_check = check_at(&entries[at + HEAD_BYTES..end], seed, place);
        entries[at + 16..at + 20].copy_from_slice(&batch.to_le_bytes());
        let marked = batch_start | u32::from(is_last);
        entries[at + 20..at + 24].copy_from_slice(&marked.to_le_bytes());
        entries[at + 24..at + 32].copy_from_slice(&body_check.to_le_bytes());
        let head_check = check_at(&entries[at + 8..at + HEAD_BYTES], seed, place);
        entries[at..at + 8].copy_from_slice(&head_check.to_le_bytes());
        at = end;
    }
}

/// The head at `offset` of a file's bytes; `None` when there is none.
pub(super) fn head_at(file: &[u8], seed: u64, offset: usize) -> Option<Head> {
    let head = file.get(offset..offset.checked_add(HEAD_BYTES)?)?;
    if check_at(&head[8..], seed, offset) != u64_at(head, 0) {
        return None;
    }
    let start = u32_at(head, 20);
    Some(Head {
        body_bytes: u32_at(head, 8) as usize,
        group: u32_at(head, 12),
        batch: u32_at(head, 16),
        batch_start: start & !1,
        is_last: start & 1 == 1,
        body_check: u64_at(head, 24),
    })
}

/// The body of the entry at `offset`; `None` when it is damaged, or goes beyond the file.
pub(super) fn body_at<'a>(
    file: &'a [u8],
    seed: u64,
    offset: usize,
    head: &Head,
) -> Option<&'a [u8]> {
    let padded_body =
        file.get(offset + HEAD_BYTES..offset.checked_add(padded(head.body_bytes))?)?;
    let is_whole = check_at(padded_body, seed, offset) == head.body_check;
    (is_whole || planted::is(Bug::BodyUnchecked)).then(|| &padded_body[..head.body_bytes])
}
