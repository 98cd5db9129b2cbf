//! What one thread gathered for one connection during a turn, before it takes that
//! connection's lock once and writes.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use keelback_planted::{self as planted, Bug};
use keelback_wire::errors::ClosedReason;

use crate::connection::Connection;
use crate::frames::subject_at;
use crate::lock;
use crate::outbound::{Flow, Outbound, Piece, SLICES_MAX};
use crate::settings::Limits;

/// A stage that reached this size is written before the turn ends. What one read brings fits: each
/// write wakes the peer.
pub const STAGE_BYTES_MAX: usize = 272 << 10;

/// Shared pieces from this size on are listed, smaller ones are copied: an entry of `writev`
/// and a reference count cost about as much as copying so many bytes.
pub const SHARE_BYTES_MIN: usize = 2 << 10;

enum Staged {
    /// A range of the stage's own buffer.
    Own { start: usize, end: usize },
    /// A range of a shared block.
    Shared(Piece),
    /// A range of the input that is being ingested; gone once it is.
    Input { start: usize, end: usize },
}

impl Staged {
    /// The range of whatever it points into.
    fn range(&self) -> (usize, usize) {
        match self {
            Self::Own { start, end } | Self::Input { start, end } => (*start, *end),
            Self::Shared(piece) => piece.range(),
        }
    }
}

/// One connection's bytes of this turn.
#[derive(Default)]
pub struct Stage {
    /// Whose they are; none while the slot is free.
    pub connection: Option<Arc<Connection>>,
    buffer: Vec<u8>,
    pieces: Vec<Staged>,
    bytes: usize,
    /// Messages staged, for the connection's counters.
    pub messages: u64,
    /// Their payload bytes.
    pub message_bytes: u64,
    /// The connection whose messages these are (the last, when there are several).
    pub from: u64,
    /// Some of it answers what the connection said.
    pub has_answers: bool,
    /// The address of the input that a piece points into; 0 when none does.
    borrowed_from: usize,
}

impl Stage {
    /// Bytes staged.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Nothing staged.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends bytes through `write`, which gets the buffer.
    #[inline]
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        write(&mut self.buffer);
        let end = self.buffer.len();
        self.bytes += end - start;
        if let Some(Staged::Own { end: last, .. }) = self.pieces.last_mut() {
            *last = end;
        } else {
            self.pieces.push(Staged::Own { start, end });
        }
    }

    /// Appends a range of a shared block.
    pub fn share(&mut self, block: &Arc<Vec<u8>>, start: usize, end: usize) {
        if end - start < SHARE_BYTES_MIN {
            self.append(|buffer| buffer.extend_from_slice(&block[start..end]));
            return;
        }
        self.bytes += end - start;
        self.pieces.push(Staged::Shared(Piece::new(block.clone(), start, end)));
    }

    /// Appends a range of the input without copying it; the caller flushes before the input
    /// goes, and gives the same input then.
    pub fn borrow_input(&mut self, input: &[u8], start: usize, end: usize) {
        self.bytes += end - start;
        self.borrowed_from = input.as_ptr().addr();
        self.pieces.push(Staged::Input { start, end });
    }

    /// Writes what is staged, queues what the transport does not take, and empties the stage
    /// (its connection stays set).
    ///
    /// # Panics
    /// When a piece points into another input than this one: to stop is better than to send what
    /// somebody else wrote.
    pub fn flush(&mut self, input: &[u8], now: Instant, limits: &Limits) -> Flushed {
        let Some(connection) = self.connection.clone() else { return Flushed::default() };
        if planted::is_every(Bug::FlushLost, 64) {
            self.clear();
        }
        assert!(
            self.borrowed_from == 0 || self.borrowed_from == input.as_ptr().addr(),
            "a stage is flushed with the input it borrows from"
        );
        if self.messages > 0 {
            connection.counters.add_out(self.messages, self.message_bytes);
        }
        let mut outbound = lock(&connection.outbound);
        let flow = self.write_out(&mut outbound, input, now, limits);
        let mut flushed = Flushed { flow: Some(flow), ..Flushed::default() };
        match flow {
            Flow::Waiting(waiting) => {
                flushed.must_watch = !std::mem::replace(&mut outbound.is_watched, true);
                flushed.taken_bytes = outbound.taken_bytes();
                if waiting > limits.pending_bytes_max
                    && connection.set_closing(ClosedReason::SlowConsumerPendingBytes)
                {
                    flushed.cut_off_at = Some(self.first_subject(input));
                }
            }
            Flow::Broken => {
                connection.set_closing(ClosedReason::WriteError);
            }
            Flow::Clear | Flow::Closed => {}
        }
        drop(outbound);
        self.clear();
        flushed
    }

    fn write_out(
        &mut self,
        outbound: &mut Outbound,
        input: &[u8],
        now: Instant,
        limits: &Limits,
    ) -> Flow {
        if outbound.is_closed() || outbound.is_cut_off() {
            return Flow::Closed;
        }
        let mut done = 0;
        if outbound.is_clear() {
            match self.write_directly(outbound, input) {
                Ok(taken) => done = taken,
                Err(_) => return Flow::Broken,
            }
            if done == self.bytes {
                return outbound.settle(now, limits.write_deadline);
            }
        }
        let waiting = outbound.pending_bytes() + self.bytes - done;
        if waiting > limits.pending_bytes_max {
            outbound.cut_off();
            return Flow::Waiting(waiting);
        }
        self.queue_rest(outbound, input, done);
        outbound.settle(now, limits.write_deadline)
    }

    /// Bytes taken, in order, until the transport takes no more.
    fn write_directly(&self, outbound: &mut Outbound, input: &[u8]) -> std::io::Result<usize> {
        let mut total = 0;
        for chunk in self.pieces.chunks(SLICES_MAX) {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut wanted = 0;
            for (slot, piece) in slices.iter_mut().zip(chunk) {
                let bytes = self.bytes_of(piece, input);
                wanted += bytes.len();
                *slot = IoSlice::new(bytes);
            }
            let taken = outbound.write_now(&slices[..chunk.len()])?;
            total += taken;
            if taken < wanted {
                break;
            }
        }
        Ok(total)
    }

    /// The subject of the first message that is still here; empty when there is none.
    #[cold]
    fn first_subject(&self, input: &[u8]) -> Box<[u8]> {
        let Some(piece) = self.pieces.first() else { return Box::default() };
        subject_at(self.bytes_of(piece, input), 0).unwrap_or_default().into()
    }

    fn bytes_of<'a>(&'a self, piece: &'a Staged, input: &'a [u8]) -> &'a [u8] {
        match piece {
            Staged::Own { start, end } => &self.buffer[*start..*end],
            Staged::Shared(piece) => piece.bytes(),
            Staged::Input { start, end } => &input[*start..*end],
        }
    }

    fn queue_rest(&mut self, outbound: &mut Outbound, input: &[u8], mut done: usize) {
        // A buffer that is nearly full of what waits moves as it is. What waits of another is
        // copied: the queue may hold `max_pending` of it, and no more memory than that.
        let waiting = self.bytes - done;
        let may_move = waiting >= self.buffer.capacity() - self.buffer.capacity() / 32;
        let mut buffer: Option<Arc<Vec<u8>>> = None;
        let mut own = (0, 0);
        for piece in self.pieces.drain(..) {
            let (start, end) = piece.range();
            if matches!(piece, Staged::Own { .. }) {
                own = (start, end);
            }
            let skipped = done.min(end - start);
            done -= skipped;
            let start = start + skipped;
            if start == end {
                continue;
            }
            match piece {
                Staged::Shared(piece) => outbound.push(Piece::new(piece.into_block(), start, end)),
                // What stands before it ends with how its message begins.
                Staged::Input { .. } => {
                    let before = buffer.as_deref().unwrap_or(&self.buffer);
                    let head = last_line(&before[own.0..own.1]);
                    outbound.push_copy(head, &input[start..end]);
                }
                Staged::Own { .. } if !may_move => {
                    outbound.push_copy(&[], &self.buffer[start..end]);
                }
                Staged::Own { .. } => {
                    let block =
                        buffer.get_or_insert_with(|| Arc::new(std::mem::take(&mut self.buffer)));
                    outbound.push(Piece::new(block.clone(), start, end));
                }
            }
        }
    }

    /// Whether a piece points into the input.
    pub fn borrows_input(&self) -> bool {
        self.borrowed_from != 0
    }

    /// Forgets what is staged.
    pub fn clear(&mut self) {
        self.pieces.clear();
        self.buffer.clear();
        self.bytes = 0;
        self.messages = 0;
        self.message_bytes = 0;
        self.has_answers = false;
        self.borrowed_from = 0;
    }

    /// Whether it has memory to append to.
    #[inline]
    pub fn has_buffer(&self) -> bool {
        self.buffer.capacity() > 0
    }

    /// Gives it memory to append to; it holds nothing.
    pub fn give_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// Takes its memory away; it holds nothing.
    pub fn take_buffer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.buffer)
    }

    /// Frees the slot.
    pub fn release(&mut self) {
        self.connection = None;
        if self.pieces.capacity() > 1024 {
            self.pieces = Vec::new();
        }
    }
}

/// What follows the last end of a line.
fn last_line(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    &bytes[start..]
}

/// What a flush came to.
#[derive(Clone, Debug, Default)]
pub struct Flushed {
    /// How the transport took it.
    pub flow: Option<Flow>,
    /// The owner must start to watch the write deadline.
    pub must_watch: bool,
    /// Bytes the transport ever took: a later look tells whether it moves.
    pub taken_bytes: u64,
    /// This flush decided that the connection closes, since more waited than allowed; the subject
    /// of the first message in it, empty when not known.
    pub cut_off_at: Option<Box<[u8]>>,
}
