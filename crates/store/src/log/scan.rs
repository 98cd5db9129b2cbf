//! Reading a log file: every entry that is whole, and what of the rest is damage.

use keelback_planted::{self as planted, Bug};

use super::entry::{ALIGNMENT, body_at, head_at, padded};
use super::header::HEADER_BYTES;

/// Entries and holes of one file.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Offsets of the whole entries, in order.
    pub(super) entries: Vec<usize>,
    /// Where bytes make no entry although they should (offset, bytes).
    pub(super) holes: Vec<(usize, usize)>,
    /// Where what was committed ends.
    pub(super) end: usize,
}

struct Whole {
    offset: usize,
    end: usize,
    batch: u32,
    batch_start: usize,
    is_last: bool,
}

/// Reads the file's bytes. `sealed_end` is where its successor says that it ends.
///
/// In a file without one the last batch may be torn: it was not acknowledged, and is left out as a
/// whole. A batch is written when the one before it is safe, so whatever is missing before the last
/// batch is damage.
pub(super) fn scan(file: &[u8], seed: u64, sealed_end: Option<usize>) -> Scan {
    let readable = &file[..sealed_end.unwrap_or(file.len()).min(file.len())];
    let (whole, mut holes) = find_all(readable, seed);
    let mut scan = Scan::default();
    if let Some(end) = sealed_end {
        let read_to = holes.last().map_or(HEADER_BYTES, |&(at, bytes)| at + bytes);
        let read_to = whole.last().map_or(read_to, |last| last.end.max(read_to));
        if read_to < end {
            holes.push((read_to, end - read_to));
        }
        scan.end = end;
        scan.entries = whole.iter().map(|entry| entry.offset).collect();
        scan.holes = holes;
        return scan;
    }
    let Some(last) = whole.last() else {
        // Nothing was ever committed, as far as can be told.
        scan.end = HEADER_BYTES;
        return scan;
    };
    let (last_batch, last_start) = (last.batch, last.batch_start);
    let is_torn =
        !last.is_last || holes.iter().any(|&(at, bytes)| at + bytes > last_start && at < last.end);
    let is_torn = is_torn && !planted::is(Bug::TornBatchKept);
    scan.end = if is_torn { last_start } else { last.end };
    let kept = whole.iter().filter(|entry| !is_torn || entry.batch != last_batch);
    scan.entries = kept.map(|entry| entry.offset).collect();
    scan.holes = holes.into_iter().filter(|&(at, _)| at < last_start).collect();
    for hole in &mut scan.holes {
        // What reaches into the last batch is damage up to it, and torn from there on.
        hole.1 = hole.1.min(last_start - hole.0);
    }
    scan
}

/// Every whole entry, and what lies between them. What lies behind the last one is no hole unless
/// a whole head announced it.
fn find_all(file: &[u8], seed: u64) -> (Vec<Whole>, Vec<(usize, usize)>) {
    let mut whole: Vec<Whole> = Vec::new();
    let mut holes: Vec<(usize, usize)> = Vec::new();
    let mut hole_start = None;
    let mut at = HEADER_BYTES;
    while at < file.len() {
        let Some(head) = head_at(file, seed, at) else {
            hole_start.get_or_insert(at);
            at += ALIGNMENT;
            continue;
        };
        if let Some(start) = hole_start.take() {
            holes.push((start, at - start));
        }
        let end = at + padded(head.body_bytes);
        if body_at(file, seed, at, &head).is_some() {
            let (batch, batch_start) = (head.batch, head.batch_start as usize);
            whole.push(Whole { offset: at, end, batch, batch_start, is_last: head.is_last });
        } else {
            holes.push((at, end.min(file.len()) - at));
        }
        at = end;
    }
    (whole, holes)
}
