//! One record of a segment as bytes: `docs/store-format.md`, "Records".
//!
//! Lengths are checked apart from bodies: a damaged body hides no other record. Where a message has
//! an id, the record says where it stands: mostly in the headers.

use keelback_planted::{self as planted, Bug};

use crate::bytes::{check_at, u32_at, u64_at};
use crate::stream::{Body, Lifetime, Storage};

/// What comes before a body (bytes).
pub(crate) const HEAD_BYTES: usize = 48;

/// Records begin at multiples of this (bytes).
pub(crate) const ALIGNMENT: usize = 8;

/// The lowest three are those of a message in memory.
pub(crate) const HAS_TTL: u8 = 1;
pub(crate) const NEVER_EXPIRES: u8 = 2;
pub(crate) const IS_MARKER: u8 = 4;
pub(crate) const HAS_ID: u8 = 8;
/// Its content was overwritten.
pub(crate) const IS_ERASED: u8 = 16;
/// Its payload is packed.
const IS_PACKED: u8 = 32;

/// Shorter payloads are not packed (bytes).
const PACKED_FROM_BYTES: usize = 64;

/// A message as it is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was stored (nanoseconds since 1970).
    pub time_ns: u64,
    /// How long it may stay.
    pub lifetime: Lifetime,
    /// It tells that its subject's messages are gone.
    pub is_marker: bool,
    /// Its content was overwritten by zeros.
    pub is_erased: bool,
    /// Where it was published.
    pub subject: &'a [u8],
    /// Its header block, with the first line and the empty one; empty when there is none.
    pub headers: &'a [u8],
    /// Its payload.
    pub payload: &'a [u8],
    /// The payload is packed: its length before (bytes).
    pub packed_from: Option<u32>,
    /// Its id, empty if it has none.
    pub msg_id: &'a [u8],
}

impl Record<'_> {
    /// Its size, as limits count it (bytes).
    pub(crate) fn size(&self) -> u64 {
        let payload_bytes = self.packed_from.unwrap_or(self.payload.len() as u32);
        let header_bytes = self.headers.len() as u32;
        let body = Body::Placed { header_bytes, payload_bytes, place: 0 };
        Storage::File.message_bytes(self.subject, &body)
    }

    pub(crate) fn flags(&self) -> u8 {
        let lifetime = match self.lifetime {
            Lifetime::Limits => 0,
            Lifetime::Ttl { .. } => HAS_TTL,
            Lifetime::Never => NEVER_EXPIRES,
        };
        let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
        lifetime
            | flag(self.is_marker, IS_MARKER)
            | flag(!self.msg_id.is_empty(), HAS_ID)
            | flag(self.is_erased, IS_ERASED)
            | flag(self.packed_from.is_some(), IS_PACKED)
    }

    /// The id's place in the headers, where it stands there.
    fn id_in_headers(&self) -> Option<usize> {
        memchr::memmem::find(self.headers, self.msg_id)
    }

    /// The whole record's length in the file (bytes).
    pub(crate) fn record_bytes(&self) -> usize {
        let is_apart = !self.msg_id.is_empty() && self.id_in_headers().is_none();
        let id_bytes = if is_apart { self.msg_id.len() } else { 0 };
        let body = extra_bytes(self.flags())
            + self.subject.len()
            + self.headers.len()
            + self.payload.len()
            + id_bytes;
        HEAD_BYTES + body.next_multiple_of(ALIGNMENT)
    }
}

/// A payload as S2; `None` where that saves less than an eighth.
pub(crate) fn pack(payload: &[u8]) -> Option<Vec<u8>> {
    if payload.len() < PACKED_FROM_BYTES {
        return None;
    }
    let packed = minlz::s2::encode(payload);
    (packed.len() + payload.len() / 8 < payload.len()).then_some(packed)
}

/// The payload of a record that is packed; `None` if it is not, or is nothing that `pack` gives.
pub(crate) fn unpack(record: &Record<'_>) -> Option<Vec<u8>> {
    let bytes = record.packed_from? as usize;
    if record.is_erased {
        return Some(vec![0; bytes]);
    }
    let is_right = minlz::s2::decode_len(record.payload).is_ok_and(|(found, _)| found == bytes);
    if is_right { minlz::s2::decode(record.payload).ok() } else { None }
}

/// What stands before the subject: a TTL, the length of what is packed, and where the id is.
fn extra_bytes(flags: u8) -> usize {
    let flags = [HAS_TTL, IS_PACKED, HAS_ID].map(|flag| usize::from(flags & flag != 0));
    8 * flags.iter().sum::<usize>()
}

/// A head that checks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) sequence: u64,
    time_ns: u64,
    body_bytes: usize,
    header_bytes: usize,
    subject_bytes: usize,
    flags: u8,
    body_check: u64,
}

/// The length of most records of messages of this size, as limits count it (bytes).
pub(crate) fn bytes_of(message_bytes: u64) -> usize {
    let overhead = Storage::File.message_bytes(b"", &Body::Held { headers: b"", payload: b"" });
    HEAD_BYTES + (message_bytes.saturating_sub(overhead) as usize).next_multiple_of(ALIGNMENT)
}

impl Head {
    /// The whole record's length in the file (bytes).
    pub(crate) fn record_bytes(&self) -> usize {
        HEAD_BYTES + self.body_bytes.next_multiple_of(ALIGNMENT)
    }
}

/// Appends a record that will stand at `offset` of a file with this seed.
///
/// What a stream takes is far below the 4 GiB that the lengths allow.
pub(crate) fn append(file: &mut Vec<u8>, seed: u64, offset: u64, record: &Record<'_>) {
    let start = file.len();
    file.resize(start + HEAD_BYTES, 0);
    if let Lifetime::Ttl { ttl_ns } = record.lifetime {
        file.extend_from_slice(&ttl_ns.to_le_bytes());
    }
    if let Some(bytes) = record.packed_from {
        file.extend_from_slice(&u64::from(bytes).to_le_bytes());
    }
    let id_in_headers = record.id_in_headers();
    let contents = [record.subject, record.headers, record.payload];
    if !record.msg_id.is_empty() {
        let apart = record.headers.len() + record.payload.len();
        let at = (id_in_headers.unwrap_or(apart) + record.subject.len()) as u32;
        file.extend_from_slice(&at.to_le_bytes());
        file.extend_from_slice(&(record.msg_id.len() as u32).to_le_bytes());
    }
    for part in contents {
        file.extend_from_slice(part);
    }
    if id_in_headers.is_none() {
        file.extend_from_slice(record.msg_id);
    }
    let body_bytes = file.len() - start - HEAD_BYTES;
    file.resize(start + HEAD_BYTES + body_bytes.next_multiple_of(ALIGNMENT), 0);
    let head = &mut file[start..];
    head[16..24].copy_from_slice(&record.sequence.to_le_bytes());
    head[24..32].copy_from_slice(&record.time_ns.to_le_bytes());
    head[32..36].copy_from_slice(&(body_bytes as u32).to_le_bytes());
    head[36..40].copy_from_slice(&(record.headers.len() as u32).to_le_bytes());
    head[40..44].copy_from_slice(&(record.subject.len() as u32).to_le_bytes());
    head[44] = record.flags();
    seal(&mut file[start..], seed, offset);
}

/// Completes a record for its place.
fn seal(record: &mut [u8], seed: u64, offset: u64) {
    let body_check = check_at(&record[HEAD_BYTES..], seed, offset as usize);
    record[8..16].copy_from_slice(&body_check.to_le_bytes());
    let head_check = check_at(&record[8..HEAD_BYTES], seed, offset as usize);
    record[..8].copy_from_slice(&head_check.to_le_bytes());
}

/// The head at the beginning of `bytes`, which stand at `offset`; `None` when it does not check.
pub(crate) fn head(bytes: &[u8], seed: u64, offset: u64) -> Option<Head> {
    let head = bytes.get(..HEAD_BYTES)?;
    if check_at(&head[8..], seed, offset as usize) != u64_at(head, 0) {
        return None;
    }
    let [body_bytes, header_bytes, subject_bytes] =
        [32, 36, 40].map(|at| u32_at(head, at) as usize);
    let flags = head[44];
    let least = extra_bytes(flags) + header_bytes + subject_bytes;
    let (sequence, time_ns) = (u64_at(head, 16), u64_at(head, 24));
    (least <= body_bytes).then_some(Head {
        sequence,
        time_ns,
        body_bytes,
        header_bytes,
        subject_bytes,
        flags,
        body_check: u64_at(head, 8),
    })
}

/// The record at the beginning of `bytes`; `None` when its body does not check or is cut off.
pub(crate) fn body<'a>(bytes: &'a [u8], seed: u64, offset: u64, head: &Head) -> Option<Record<'a>> {
    let padded = bytes.get(HEAD_BYTES..head.record_bytes())?;
    let is_whole = check_at(padded, seed, offset as usize) == head.body_check;
    if is_whole || planted::is(Bug::RecordUnchecked) { parts(bytes, head) } else { None }
}

/// The record at the beginning of `bytes`, which was checked.
pub(crate) fn parts<'a>(bytes: &'a [u8], head: &Head) -> Option<Record<'a>> {
    let padded = bytes.get(HEAD_BYTES..head.record_bytes())?;
    let Head { sequence, time_ns, flags, .. } = *head;
    let (extra, content) = padded[..head.body_bytes].split_at(extra_bytes(flags));
    let lifetime = match flags & (HAS_TTL | NEVER_EXPIRES) {
        0 => Lifetime::Limits,
        HAS_TTL => Lifetime::Ttl { ttl_ns: u64_at(extra, 0) },
        _ => Lifetime::Never,
    };
    let (subject, rest) = content.split_at(head.subject_bytes);
    let (headers, rest) = rest.split_at(head.header_bytes);
    let packed_at = 8 * usize::from(flags & HAS_TTL != 0);
    let packed_from = (flags & IS_PACKED != 0).then(|| u32_at(extra, packed_at));
    let mut payload = rest;
    let mut msg_id = &[][..];
    if flags & HAS_ID != 0 {
        let place = &extra[extra.len() - 8..];
        let (start, length) = (u32_at(place, 0) as usize, u32_at(place, 4) as usize);
        msg_id = content.get(start..start.checked_add(length)?)?;
        if start >= head.subject_bytes + head.header_bytes {
            payload = rest.get(..rest.len().checked_sub(length)?)?;
        }
    }
    Some(Record {
        sequence,
        time_ns,
        lifetime,
        is_marker: flags & IS_MARKER != 0,
        is_erased: flags & IS_ERASED != 0,
        subject,
        headers,
        payload,
        packed_from,
        msg_id,
    })
}

/// Overwrites what a record carries, in its place: subject, id and lengths stay. The record checks.
pub(crate) fn erase(bytes: &mut [u8], seed: u64, offset: u64, head: &Head) {
    let extra = extra_bytes(head.flags);
    let content = HEAD_BYTES + extra;
    let mut id = Vec::new();
    let mut id_at = content;
    if head.flags & HAS_ID != 0 {
        id_at += u32_at(bytes, content - 8) as usize;
        let length = u32_at(bytes, content - 4) as usize;
        id.extend_from_slice(bytes.get(id_at..id_at + length).unwrap_or_default());
    }
    bytes[content + head.subject_bytes..].fill(0);
    bytes[id_at..id_at + id.len()].copy_from_slice(&id);
    bytes[44] |= IS_ERASED;
    seal(bytes, seed, offset);
}
