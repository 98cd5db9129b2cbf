//! Numbers in bytes, little endian, and the check of bytes in their place.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The check of what stands at `offset` of a file with this seed: bytes in another place, or of
/// another file, do not check.
pub(crate) fn check_at(bytes: &[u8], seed: u64, offset: usize) -> u64 {
    xxh3_64_with_seed(bytes, seed ^ (offset as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}

pub(crate) fn i64_at(bytes: &[u8], at: usize) -> i64 {
    i64::from_le_bytes(array_at(bytes, at))
}

fn array_at<const COUNT: usize>(bytes: &[u8], at: usize) -> [u8; COUNT] {
    let mut array = [0; COUNT];
    array.copy_from_slice(&bytes[at..at + COUNT]);
    array
}
