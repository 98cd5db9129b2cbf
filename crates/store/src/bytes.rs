//! Numbers in bytes, little endian, and the check of bytes in their place.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The check of what stands at `offset` of a file with this seed: bytes in another place, or of
/// another file, do not check.
pub(crate) fn check_at(bytes: &[u8], seed: u64, offset: usize) -> u64 {
    xxh3_64_with_seed(bytes, seed ^ (offset as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const COUNT: usize>(bytes: &[u8], at: usize) -> [u8; COUNT] {
    let mut array = [0; COUNT];
    array.copy_from_slice(&bytes[at..at + COUNT]);
    array
}

/// Reads fields one after the other; `None` where the bytes end too soon.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.take(4).map(|bytes| u32_at(bytes, 0))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.take(8).map(|bytes| u64_at(bytes, 0))
    }

    /// Bytes behind their count (4 bytes).
    pub(crate) fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.u32()?;
        self.take(count as usize)
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Nothing is left.
    pub(crate) fn is_at_end(self) -> bool {
        self.0.is_empty()
    }
}

/// Appends bytes behind their count (4 bytes).
pub(crate) fn push_counted(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    to.extend_from_slice(bytes);
}
