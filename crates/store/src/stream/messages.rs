//! Messages by sequence: what is known of each, beside its subject's text and its bytes.
//!
//! Blocks of messages in ascending order, each a set of columns: a message has no allocation of its
//! own. A block that is half dead is written anew, and joined with its neighbour if both are small,
//! so that few messages among many deleted sequences take little.

use std::collections::VecDeque;
use std::ops::RangeInclusive;

use super::column::Column;

/// Messages in a block (count): its columns then take some KiB, and a removal moves no more.
const BLOCK_MESSAGES: usize = if cfg!(test) { 16 } else { 512 };

/// Fewer dead messages than this stay where they are.
const DEAD_MIN: usize = if cfg!(test) { 2 } else { 16 };

/// Stands for the subject of a removed message.
const DEAD: u32 = u32::MAX;

const SIZE_BITS: u32 = 28;

/// The largest message as limits count it (bytes).
pub(super) const MESSAGE_BYTES_MAX: u64 = (1 << SIZE_BITS) - 1;

/// What is known of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) time_ns: u64,
    pub(super) place: u64,
    pub(super) subject: u32,
    /// As limits count it.
    pub(super) bytes: u64,
    pub(super) flags: u32,
}

impl Slot {
    /// It has a lifetime of its own.
    pub(super) const HAS_TTL: u32 = 1;
    /// Its age does not end it.
    pub(super) const NEVER_EXPIRES: u32 = 2;
    /// It tells that its subject's messages are gone.
    pub(super) const IS_MARKER: u32 = 4;

    pub(super) fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

#[derive(Default)]
pub(super) struct Messages {
    /// Ascending; none is without a live message.
    blocks: VecDeque<Block>,
    /// Those that were taken out for a while included.
    count: u64,
}

impl Messages {
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Appends a message; `sequence` is above all that are here.
    pub(super) fn push(&mut self, sequence: u64, slot: &Slot) {
        let has_room = self.blocks.back().is_some_and(|block| block.has_room(sequence));
        if !has_room {
            self.blocks.push_back(Block::new(sequence, 0));
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(sequence, slot);
            self.count += 1;
        }
    }

    pub(super) fn get(&self, sequence: u64) -> Option<Slot> {
        let block = &self.blocks[self.block_of(sequence)?];
        block.position(sequence).map(|at| block.slot(at))
    }

    pub(super) fn contains(&self, sequence: u64) -> bool {
        self.block_of(sequence).is_some_and(|at| self.blocks[at].position(sequence).is_some())
    }

    pub(super) fn set_place(&mut self, sequence: u64, place: u64) {
        let Some(block) = self.block_of(sequence).map(|at| &mut self.blocks[at]) else { return };
        if let Some(at) = block.position(sequence) {
            block.places.set(at, place);
        }
    }

    /// Removes a message, and says what was known of it.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Slot> {
        let index = self.block_of(sequence)?;
        let block = &mut self.blocks[index];
        let at = block.position(sequence)?;
        let slot = block.slot(at);
        block.subjects[at] = DEAD;
        block.live -= 1;
        block.start = block.live_from(block.start).unwrap_or(0);
        self.count -= 1;
        if block.live == 0 {
            self.blocks.remove(index);
        } else if block.live * 2 < block.len() && block.len() - block.live >= DEAD_MIN {
            self.compact(index);
        }
        Some(slot)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn first(&self) -> Option<u64> {
        let block = self.blocks.front()?;
        Some(block.sequence(block.start))
    }

    /// The first message at or after `sequence`.
    pub(super) fn next(&self, sequence: u64) -> Option<u64> {
        self.iter_from(sequence).next().map(|(sequence, _)| sequence)
    }

    /// The messages at or after `sequence`, ascending.
    pub(super) fn iter_from(&self, sequence: u64) -> impl Iterator<Item = (u64, Slot)> {
        let start = self.block_of(sequence).unwrap_or(0);
        self.blocks.range(start..).flat_map(move |block| {
            let start = block.lower_bound(sequence).max(block.start);
            (start..block.len())
                .filter(|&at| block.is_live(at))
                .map(|at| (block.sequence(at), block.slot(at)))
        })
    }

    /// The first message, by sequence, whose time is at or after `time_ns`.
    pub(super) fn first_at_or_after(&self, time_ns: u64) -> Option<u64> {
        // Times may go back where a clock was set: so blocks are asked for their latest.
        self.blocks.iter().filter(|block| block.time_ns_max >= time_ns).find_map(|block| {
            (0..block.len())
                .find(|&at| block.is_live(at) && block.times.get(at) >= time_ns)
                .map(|at| block.sequence(at))
        })
    }

    /// Takes the blocks with these sequences out for a while; those that hold others too are divided.
    pub(super) fn take_range(&mut self, sequences: RangeInclusive<u64>) -> Vec<Block> {
        let start = self.divide(*sequences.start());
        let end = sequences.end().checked_add(1).map_or(self.blocks.len(), |end| self.divide(end));
        self.blocks.drain(start..end).collect()
    }

    /// Counts messages that are put back later.
    pub(super) fn count_absent(&mut self, count: u64) {
        self.count += count;
    }

    /// Puts messages back, ascending, where no others are.
    pub(super) fn put_back(&mut self, messages: impl Iterator<Item = (u64, Slot)>) {
        let mut blocks = VecDeque::<Block>::new();
        for (sequence, slot) in messages {
            if !blocks.back().is_some_and(|block| block.has_room(sequence)) {
                blocks.push_back(Block::new(sequence, 0));
            }
            if let Some(block) = blocks.back_mut() {
                block.push(sequence, &slot);
            }
        }
        let Some(first) = blocks.front().map(|block| block.first) else { return };
        let at = self.divide(first);
        let mut behind = self.blocks.split_off(at);
        self.blocks.append(&mut blocks);
        self.blocks.append(&mut behind);
    }

    /// The first block with nothing below `sequence`; the one that it stands in is divided.
    fn divide(&mut self, sequence: u64) -> usize {
        let at = self.blocks.partition_point(|block| block.first < sequence);
        let Some(index) = at.checked_sub(1) else { return at };
        if self.blocks[index].sequence(self.blocks[index].len() - 1) < sequence {
            return at;
        }
        let block = std::mem::replace(&mut self.blocks[index], Block::new(0, 0));
        let mut halves: [Option<Block>; 2] = [None, None];
        for (seq, slot) in block.live_slots() {
            let half = &mut halves[usize::from(seq >= sequence)];
            half.get_or_insert_with(|| Block::new(seq, 0)).push(seq, &slot);
        }
        let [below, above] = halves;
        let has_below = below.is_some();
        self.blocks.remove(index);
        for half in [above, below].into_iter().flatten() {
            self.blocks.insert(index, half);
        }
        index + usize::from(has_below)
    }

    fn block_of(&self, sequence: u64) -> Option<usize> {
        // Without gaps the block is known by counting back from the end.
        let distance = self.blocks.back()?.first.saturating_sub(sequence);
        let back = usize::try_from(distance.div_ceil(BLOCK_MESSAGES as u64)).ok()?;
        if let Some(index) = (self.blocks.len() - 1).checked_sub(back)
            && self.blocks[index].first <= sequence
            && self.blocks.get(index + 1).is_none_or(|next| next.first > sequence)
        {
            return Some(index);
        }
        self.blocks.partition_point(|block| block.first <= sequence).checked_sub(1)
    }

    /// Writes a block anew, together with the next one if both are small.
    fn compact(&mut self, index: usize) {
        let block = &self.blocks[index];
        let joined = self.blocks.get(index + 1).filter(|next| block.may_join(next));
        let count = block.live + joined.map_or(0, |next| next.live);
        let live = block.live_slots().chain(joined.into_iter().flat_map(Block::live_slots));
        let mut anew: Option<Block> = None;
        for (sequence, slot) in live {
            anew.get_or_insert_with(|| Block::new(sequence, count)).push(sequence, &slot);
        }
        if joined.is_some() {
            self.blocks.remove(index + 1);
        }
        if let Some(anew) = anew {
            self.blocks[index] = anew;
        }
    }
}

pub(super) struct Block {
    first: u64,
    /// Distances from `first`; empty while each is its index.
    distances: Vec<u32>,
    times: Column,
    /// At least the time of each live message.
    time_ns_max: u64,
    places: Column,
    subjects: Vec<u32>,
    /// Size below, flags above.
    sizes: Vec<u32>,
    live: usize,
    /// The first live message.
    start: usize,
}

impl Block {
    fn new(first: u64, count: usize) -> Self {
        Self {
            first,
            distances: Vec::new(),
            times: Column::with_capacity(count),
            time_ns_max: 0,
            places: Column::with_capacity(count),
            subjects: Vec::with_capacity(count),
            sizes: Vec::with_capacity(count),
            live: 0,
            start: 0,
        }
    }

    fn len(&self) -> usize {
        self.subjects.len()
    }

    fn has_room(&self, sequence: u64) -> bool {
        self.len() < BLOCK_MESSAGES && u32::try_from(sequence - self.first).is_ok()
    }

    fn may_join(&self, next: &Self) -> bool {
        // Half a block, so that what was joined is not full at once.
        self.live + next.live <= BLOCK_MESSAGES / 2
            && u32::try_from(next.sequence(next.len() - 1) - self.first).is_ok()
    }

    fn push(&mut self, sequence: u64, slot: &Slot) {
        let distance = (sequence - self.first) as u32;
        let is_dense = self.distances.is_empty();
        if is_dense && distance as usize != self.len() {
            self.distances = (0..self.len() as u32).collect();
        }
        if !is_dense || distance as usize != self.len() {
            self.distances.push(distance);
        }
        self.times.push(slot.time_ns);
        self.time_ns_max = self.time_ns_max.max(slot.time_ns);
        self.places.push(slot.place);
        self.subjects.push(slot.subject);
        self.sizes.push(slot.bytes as u32 | slot.flags << SIZE_BITS);
        self.live += 1;
    }

    fn sequence(&self, at: usize) -> u64 {
        self.first + self.distances.get(at).map_or(at as u64, |&distance| u64::from(distance))
    }

    /// The first index whose sequence is at least `sequence`.
    fn lower_bound(&self, sequence: u64) -> usize {
        let distance = sequence.saturating_sub(self.first);
        if self.distances.is_empty() {
            distance.min(self.len() as u64) as usize
        } else {
            self.distances.partition_point(|&other| u64::from(other) < distance)
        }
    }

    /// Where a live message is.
    fn position(&self, sequence: u64) -> Option<usize> {
        let at = self.lower_bound(sequence);
        (at < self.len() && self.sequence(at) == sequence && self.is_live(at)).then_some(at)
    }

    fn is_live(&self, at: usize) -> bool {
        self.subjects[at] != DEAD
    }

    fn live_from(&self, start: usize) -> Option<usize> {
        (start..self.len()).find(|&at| self.is_live(at))
    }

    fn slot(&self, at: usize) -> Slot {
        let size = self.sizes[at];
        Slot {
            time_ns: self.times.get(at),
            place: self.places.get(at),
            subject: self.subjects[at],
            bytes: u64::from(size) & MESSAGE_BYTES_MAX,
            flags: size >> SIZE_BITS,
        }
    }

    /// The messages that live, ascending.
    pub(super) fn live_slots(&self) -> impl Iterator<Item = (u64, Slot)> {
        let live = (0..self.len()).filter(|&at| self.is_live(at));
        live.map(|at| (self.sequence(at), self.slot(at)))
    }
}
