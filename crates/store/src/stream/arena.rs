//! The bytes of a memory stream's messages, in chunks.
//!
//! ```text
//! 0  sequence       u64
//! 8  header bytes   u32
//! 12 payload bytes  u32
//! 16 headers, then payload
//! ```
//!
//! A chunk without a live message is freed. One that is more than half dead is emptied by moving
//! what lives: so at most twice what lives is held, and one chunk.

use std::collections::VecDeque;

const HEAD_BYTES: usize = 16;

/// A place is the number of a chunk above these bits, and an offset in it.
const OFFSET_BITS: u32 = if cfg!(test) { 8 } else { 18 };

const CHUNK_BYTES: usize = 1 << OFFSET_BITS;

/// Larger messages have a chunk of their own, so that no more than a quarter of one is left empty.
const SHARED_BYTES_MAX: usize = CHUNK_BYTES / 4;

#[derive(Default)]
pub(super) struct Arena {
    chunks: VecDeque<Chunk>,
    /// The number of the first chunk.
    first: u64,
    /// The number of the chunk that is being filled.
    active: Option<u64>,
}

#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    live_bytes: usize,
}

impl Arena {
    /// Keeps a message; gives its place.
    pub(super) fn append(&mut self, sequence: u64, headers: &[u8], payload: &[u8]) -> u64 {
        let bytes = HEAD_BYTES + headers.len() + payload.len();
        let number = self.chunk_for(bytes);
        let chunk = &mut self.chunks[(number - self.first) as usize];
        let place = number << OFFSET_BITS | chunk.bytes.len() as u64;
        chunk.bytes.extend_from_slice(&sequence.to_le_bytes());
        chunk.bytes.extend_from_slice(&(headers.len() as u32).to_le_bytes());
        chunk.bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        chunk.bytes.extend_from_slice(headers);
        chunk.bytes.extend_from_slice(payload);
        chunk.live_bytes += bytes;
        place
    }

    /// Headers and payload of a message that is kept.
    pub(super) fn get(&self, place: u64) -> (&[u8], &[u8]) {
        let record = &self.chunk(place).bytes[offset(place)..];
        let (header_bytes, bytes) = lengths(record);
        record[HEAD_BYTES..bytes].split_at(header_bytes)
    }

    /// Lets a message go. What comes back was moved for it: sequences, and where they are now.
    ///
    /// `is_live` tells whether the message with a sequence is the one at a place.
    pub(super) fn release(
        &mut self,
        place: u64,
        is_live: impl Fn(u64, u64) -> bool,
    ) -> Vec<(u64, u64)> {
        let number = place >> OFFSET_BITS;
        let index = (number - self.first) as usize;
        let chunk = &mut self.chunks[index];
        chunk.live_bytes -= lengths(&chunk.bytes[offset(place)..]).1;
        let mut moves = Vec::new();
        // A chunk that is being filled is mostly alive when it is full, if it does not begin dead.
        let is_settled = self.active != Some(number) || chunk.bytes.len() > SHARED_BYTES_MAX;
        if chunk.live_bytes == 0 {
            self.free(number);
        } else if is_settled && chunk.live_bytes * 2 < chunk.bytes.len() {
            let bytes = std::mem::take(&mut chunk.bytes);
            self.active = self.active.filter(|&active| active != number);
            moves = self.evacuate(number, &bytes, is_live);
            self.free(number);
        }
        moves
    }

    /// What the chunks take (bytes).
    pub(super) fn held_bytes(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.bytes.capacity()).sum()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn evacuate(
        &mut self,
        number: u64,
        bytes: &[u8],
        is_live: impl Fn(u64, u64) -> bool,
    ) -> Vec<(u64, u64)> {
        let mut moves = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let record = &bytes[at..];
            let (header_bytes, record_bytes) = lengths(record);
            let (sequence, from) = (sequence_of(record), number << OFFSET_BITS | at as u64);
            if is_live(sequence, from) {
                let (headers, payload) = record[HEAD_BYTES..record_bytes].split_at(header_bytes);
                moves.push((sequence, self.append(sequence, headers, payload)));
            }
            at += record_bytes;
        }
        moves
    }

    fn chunk(&self, place: u64) -> &Chunk {
        &self.chunks[((place >> OFFSET_BITS) - self.first) as usize]
    }

    /// The chunk that takes so many bytes more.
    fn chunk_for(&mut self, bytes: usize) -> u64 {
        if bytes > SHARED_BYTES_MAX {
            return self.add(Vec::with_capacity(bytes));
        }
        if let Some(active) = self.active {
            let used_bytes = self.chunks[(active - self.first) as usize].bytes.len();
            if used_bytes + bytes <= CHUNK_BYTES {
                return active;
            }
        }
        let added = self.add(Vec::new());
        self.active = Some(added);
        added
    }

    fn add(&mut self, bytes: Vec<u8>) -> u64 {
        self.chunks.push_back(Chunk { bytes, live_bytes: 0 });
        self.first + self.chunks.len() as u64 - 1
    }

    fn free(&mut self, number: u64) {
        self.chunks[(number - self.first) as usize] = Chunk::default();
        if self.active == Some(number) {
            self.active = None;
        }
        while self.chunks.front().is_some_and(|chunk| chunk.live_bytes == 0) {
            self.chunks.pop_front();
            self.first += 1;
        }
    }
}

fn offset(place: u64) -> usize {
    (place & (CHUNK_BYTES as u64 - 1)) as usize
}

/// The lengths of a record's headers, and of all of it.
fn lengths(record: &[u8]) -> (usize, usize) {
    let length_at = |at| {
        let mut length = [0; 4];
        length.copy_from_slice(&record[at..at + 4]);
        u32::from_le_bytes(length) as usize
    };
    (length_at(8), HEAD_BYTES + length_at(8) + length_at(12))
}

fn sequence_of(record: &[u8]) -> u64 {
    let mut sequence = [0; 8];
    sequence.copy_from_slice(&record[..8]);
    u64::from_le_bytes(sequence)
}
