//! Subjects' texts, one behind the other in chunks: a text has no allocation of its own.

const CHUNK_BYTES: usize = if cfg!(test) { 32 } else { 64 << 10 };

/// A place is the number of a chunk and an offset in it, above a length.
const LENGTH_BITS: u32 = 20;
const OFFSET_BITS: u32 = 17;

const _: () = assert!(CHUNK_BYTES < 1 << OFFSET_BITS);

/// The longest text (bytes).
pub(super) const TEXT_BYTES_MAX: usize = (1 << LENGTH_BITS) - 1;

/// Where a text is.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place(u64);

#[derive(Default)]
pub(super) struct Texts {
    chunks: Vec<Vec<u8>>,
    live_bytes: usize,
    dead_bytes: usize,
}

impl Texts {
    /// Keeps a text.
    ///
    /// # Panics
    /// It is longer than `TEXT_BYTES_MAX`.
    pub(super) fn add(&mut self, text: &[u8]) -> Place {
        assert!(text.len() <= TEXT_BYTES_MAX, "a subject of {} bytes", text.len());
        if self.chunks.last().is_none_or(|chunk| chunk.len() + text.len() > CHUNK_BYTES) {
            self.chunks.push(Vec::new());
        }
        let number = self.chunks.len() - 1;
        let chunk = &mut self.chunks[number];
        let offset = chunk.len();
        chunk.extend_from_slice(text);
        self.live_bytes += text.len();
        Place(((number as u64) << OFFSET_BITS | offset as u64) << LENGTH_BITS | text.len() as u64)
    }

    pub(super) fn get(&self, place: Place) -> &[u8] {
        let bits = |from: u32, count: u32| (place.0 >> from & ((1 << count) - 1)) as usize;
        let offset = bits(LENGTH_BITS, OFFSET_BITS);
        let chunk = &self.chunks[(place.0 >> (LENGTH_BITS + OFFSET_BITS)) as usize];
        &chunk[offset..offset + bits(0, LENGTH_BITS)]
    }

    /// Lets a text go; it can be read until all are written anew.
    pub(super) fn release(&mut self, place: Place) {
        let bytes = self.get(place).len();
        self.live_bytes -= bytes;
        self.dead_bytes += bytes;
    }

    /// Whether it is time to write all that live anew.
    pub(super) fn is_mostly_dead(&self) -> bool {
        self.dead_bytes > self.live_bytes + CHUNK_BYTES
    }
}
