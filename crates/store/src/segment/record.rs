//! One record of a segment as bytes.
//!
//! ```text
//!  0  head check     u64  over bytes 8..48
//!  8  body check     u64  over the body and its padding
//! 16  sequence       u64
//! 24  time           u64  nanoseconds since 1970
//! 32  header bytes   u32
//! 36  payload bytes  u32
//! 40  TTL            u32  seconds; 0 for none, 2^32 - 1 for never
//! 44  subject bytes  u16
//! 46  kind           u8   0 a message, 1 a tombstone
//! 47  flags          u8   1 a marker of an expiry, 2 its headers have a message id
//! 48  body: subject, headers, payload; then zeros up to a multiple of 8
//! ```
//!
//! The seed of the checks is that of the segment and the offset. The payload of a tombstone is the
//! last sequence (u64) of those that are gone from its own sequence on.

use keelback_planted::{self as planted, Bug};

use crate::bytes::{check_at, u16_at, u32_at, u64_at};
use crate::stream::{Body, Storage};

/// What comes before a body (bytes).
pub(super) const HEAD_BYTES: usize = 48;

/// Records begin at multiples of this (bytes).
pub(super) const ALIGNMENT: usize = 8;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message.
    Message,
    /// Sequences that are gone.
    Tombstone,
}

/// A record, as it is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its place in the stream, or the first one that is gone.
    pub sequence: u64,
    /// When it was stored (nanoseconds since 1970).
    pub time_ns: u64,
    /// How long it may live (seconds); 0 without a limit of its own, `u32::MAX` for ever.
    pub ttl_s: u32,
    /// What its headers say: see [`Record::IS_MARKER`] and the next.
    pub flags: u8,
    /// Where it was published; empty in a tombstone.
    pub subject: &'a [u8],
    /// Its header block, with the first line and the empty one; empty when there is none.
    pub headers: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
}

impl Record<'_> {
    /// It tells that its subject's messages are gone.
    pub const IS_MARKER: u8 = 1;
    /// It has a message id.
    pub const HAS_ID: u8 = 2;

    /// Its size as a stream's limits count it (bytes).
    pub fn counted_bytes(&self) -> u64 {
        let header_bytes = self.headers.len() as u32;
        let payload_bytes = self.payload.len() as u32;
        let body = Body::Placed { header_bytes, payload_bytes, place: 0 };
        Storage::File.message_bytes(self.subject, &body)
    }
}

/// A head that checks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) kind: Kind,
    pub(super) sequence: u64,
    pub(super) time_ns: u64,
    ttl_s: u32,
    flags: u8,
    subject_bytes: usize,
    header_bytes: usize,
    payload_bytes: usize,
    body_check: u64,
}

impl Head {
    /// The whole record's length in the file (bytes).
    pub(super) fn record_bytes(&self) -> usize {
        HEAD_BYTES + self.body_bytes().next_multiple_of(ALIGNMENT)
    }

    fn body_bytes(&self) -> usize {
        self.subject_bytes + self.header_bytes + self.payload_bytes
    }
}

/// Appends a record that will stand at `offset` of a file with this seed.
///
/// # Panics
/// The subject is longer than 64 KiB or the rest than 4 GiB: what comes over the wire never is.
pub(super) fn append(file: &mut Vec<u8>, seed: u64, offset: usize, record: &Record<'_>) {
    let fits = u16::try_from(record.subject.len()).is_ok()
        && u32::try_from(record.headers.len()).is_ok()
        && u32::try_from(record.payload.len()).is_ok();
    assert!(fits, "a record of a size that no connection takes");
    let start = file.len();
    file.resize(start + HEAD_BYTES, 0);
    for part in [record.subject, record.headers, record.payload] {
        file.extend_from_slice(part);
    }
    let body_bytes = file.len() - start - HEAD_BYTES;
    file.resize(start + HEAD_BYTES + body_bytes.next_multiple_of(ALIGNMENT), 0);
    let place = offset;
    let body_check = check_at(&file[start + HEAD_BYTES..], seed, place);
    let head = &mut file[start..start + HEAD_BYTES];
    head[8..16].copy_from_slice(&body_check.to_le_bytes());
    head[16..24].copy_from_slice(&record.sequence.to_le_bytes());
    head[24..32].copy_from_slice(&record.time_ns.to_le_bytes());
    head[32..36].copy_from_slice(&(record.headers.len() as u32).to_le_bytes());
    head[36..40].copy_from_slice(&(record.payload.len() as u32).to_le_bytes());
    head[40..44].copy_from_slice(&record.ttl_s.to_le_bytes());
    head[44..46].copy_from_slice(&(record.subject.len() as u16).to_le_bytes());
    head[46] = u8::from(record.kind == Kind::Tombstone);
    head[47] = record.flags;
    let head_check = check_at(&head[8..], seed, place);
    head[..8].copy_from_slice(&head_check.to_le_bytes());
}

/// The head at the beginning of `bytes`, which stand at `offset`; `None` when it does not check.
pub(super) fn head(bytes: &[u8], seed: u64, offset: usize) -> Option<Head> {
    let head = bytes.get(..HEAD_BYTES)?;
    if check_at(&head[8..], seed, offset) != u64_at(head, 0) {
        return None;
    }
    let kind = match head[46] {
        0 => Kind::Message,
        1 => Kind::Tombstone,
        _ => return None,
    };
    Some(Head {
        kind,
        body_check: u64_at(head, 8),
        sequence: u64_at(head, 16),
        time_ns: u64_at(head, 24),
        header_bytes: u32_at(head, 32) as usize,
        payload_bytes: u32_at(head, 36) as usize,
        ttl_s: u32_at(head, 40),
        flags: head[47],
        subject_bytes: usize::from(u16_at(head, 44)),
    })
}

/// The record at the beginning of `bytes`; `None` when its body does not check or is cut off.
pub(super) fn body<'a>(
    bytes: &'a [u8],
    seed: u64,
    offset: usize,
    head: &Head,
) -> Option<Record<'a>> {
    let padded = bytes.get(HEAD_BYTES..head.record_bytes())?;
    let is_whole = check_at(padded, seed, offset) == head.body_check;
    if !is_whole && !planted::is(Bug::RecordUnchecked) {
        return None;
    }
    let (subject, rest) = padded[..head.body_bytes()].split_at(head.subject_bytes);
    let (headers, payload) = rest.split_at(head.header_bytes);
    let Head { kind, sequence, time_ns, ttl_s, flags, .. } = *head;
    Some(Record { kind, sequence, time_ns, ttl_s, flags, subject, headers, payload })
}
