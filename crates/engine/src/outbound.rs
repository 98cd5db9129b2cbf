//! Bytes on their way to one connection: a bounded list of (block, range), and the transport
//! that takes them. Encoded blocks are shared by all connections that get the same bytes.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keelback_planted::{self as planted, Bug};

use crate::frames::subject_at;

/// Carries bytes out. Behind the outbound lock, so any thread may write.
pub trait Transport: Send {
    /// Takes what it can of `pieces`, in order, without waiting.
    ///
    /// # Errors
    /// `WouldBlock` when nothing could be taken; anything else ends the connection.
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;

    /// Asks (or stops asking) the owner's poller to tell when there is room again.
    fn want_room(&mut self, wanted: bool);

    /// Asks (or stops asking) the owner's poller to tell when there is something to read.
    fn want_input(&mut self, wanted: bool);

    /// Bytes taken from `write` and not yet handed to the kernel (a TLS session's records).
    fn unsent_bytes(&self) -> usize {
        0
    }

    /// Reads, for transports whose reading shares state with writing (TLS, pipes).
    ///
    /// # Errors
    /// As `read(2)`.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// The peer has said that it sends no more, and what it sent before was read.
    fn has_ended(&self) -> bool {
        false
    }

    /// The state of an encrypted session; `None` for plain transports.
    fn session(&self) -> Option<Session> {
        None
    }

    /// No more bytes will be written; what the transport holds may still go.
    fn finish(&mut self);
}

/// What is known of an encrypted session.
#[derive(Clone, Debug, Default)]
pub struct Session {
    /// The handshake is not done.
    pub is_handshaking: bool,
    /// The peer's certificates, DER, leaf first.
    pub certificates: Vec<Vec<u8>>,
    /// `1.2` or `1.3`; empty until the handshake is done.
    pub version: &'static str,
    /// As Go names it.
    pub cipher_suite: String,
}

/// A range of an encoded block.
pub struct Piece {
    block: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Piece {
    /// The range `start..end` of `block`.
    pub fn new(block: Arc<Vec<u8>>, start: usize, end: usize) -> Self {
        Self { block, start, end }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// The range within its block.
    pub fn range(&self) -> (usize, usize) {
        (self.start, self.end)
    }

    /// The subject of the first delivery that is not wholly before its range.
    fn subject(&self) -> Option<&[u8]> {
        subject_at(&self.block[..self.end], self.start)
    }

    /// The block.
    pub fn into_block(self) -> Arc<Vec<u8>> {
        self.block
    }
}

/// Copies are made in blocks of this size: the allocator has such at hand, while each larger one
/// may be mapped anew, and its pages cleared (9 % of the processor time of 128 B one-to-one).
const COPY_BLOCK_BYTES: usize = 32 << 10;

/// A longer start of a message is not kept with the rest of it.
const HEAD_BYTES_MAX: usize = 512;

/// Pieces handed to the kernel in one call at most.
pub const SLICES_MAX: usize = 64;

/// What waits for one connection.
pub struct Outbound {
    transport: Option<Box<dyn Transport>>,
    queue: VecDeque<Piece>,
    pending_bytes: usize,
    is_waiting_for_room: bool,
    /// When what waits now must be out.
    deadline: Option<Instant>,
    /// Bytes that `deadline` covers.
    deadline_bytes: usize,
    /// `taken_bytes` when it was set.
    deadline_taken: u64,
    /// Bytes ever taken by the transport: how a publisher sees that a destination moves.
    taken_bytes: u64,
    /// The owner has a timer for the deadline.
    pub is_watched: bool,
    /// Publishers that read on as soon as nothing waits.
    waiters: Vec<u64>,
    is_cut_off: bool,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// All is out.
    Clear,
    /// This many bytes wait for room.
    Waiting(usize),
    /// The transport failed; the connection must close.
    Broken,
    /// The connection closed before.
    Closed,
}

impl Outbound {
    /// An empty queue before `transport`.
    pub fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport: Some(transport),
            queue: VecDeque::new(),
            pending_bytes: 0,
            is_waiting_for_room: false,
            deadline: None,
            deadline_bytes: 0,
            deadline_taken: 0,
            taken_bytes: 0,
            is_watched: false,
            waiters: Vec::new(),
            is_cut_off: false,
        }
    }

    /// Bytes that wait.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// Pieces that wait.
    pub fn pending_pieces(&self) -> usize {
        self.queue.len()
    }

    /// The subject of the delivery that waits first; empty when not known, since nothing of it is
    /// here but the rest of its payload.
    #[cold]
    pub fn first_subject(&self) -> Box<[u8]> {
        self.queue.iter().find_map(Piece::subject).unwrap_or_default().into()
    }

    /// Whether a write may go straight to the transport.
    pub fn is_clear(&self) -> bool {
        self.queue.is_empty() && !self.is_waiting_for_room
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.transport.is_none()
    }

    /// More would wait than is allowed: nothing more is written, and what waits is let go.
    pub fn cut_off(&mut self) {
        self.is_cut_off = true;
        self.queue = VecDeque::new();
        self.pending_bytes = 0;
    }

    /// Whether it was cut off.
    pub fn is_cut_off(&self) -> bool {
        self.is_cut_off
    }

    /// Notes that a publisher reads on when nothing waits here; false when that is so already.
    pub fn add_waiter(&mut self, publisher: u64) -> bool {
        let must_wait = self.pending_bytes > 0 && self.transport.is_some();
        if must_wait && !self.waiters.contains(&publisher) {
            self.waiters.push(publisher);
        }
        must_wait
    }

    /// The publishers that may read on now.
    pub fn take_waiters(&mut self) -> Vec<u64> {
        if self.pending_bytes > 0 {
            return Vec::new();
        }
        std::mem::take(&mut self.waiters)
    }

    /// Bytes ever taken by the transport.
    pub fn taken_bytes(&self) -> u64 {
        self.taken_bytes
    }

    /// When the write deadline of what waits ends, if something waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The transport, unless closed.
    pub fn transport(&mut self) -> Option<&mut (dyn Transport + 'static)> {
        self.transport.as_deref_mut()
    }

    /// Writes straight to the transport what goes before anything queued; returns the bytes
    /// taken.
    ///
    /// # Errors
    /// As the transport's.
    pub fn write_now(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(transport) = self.transport.as_deref_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let taken = loop {
            match transport.write(slices) {
                Ok(taken) => break taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.taken_bytes += taken as u64;
        Ok(taken)
    }

    /// Queues a piece.
    pub fn push(&mut self, piece: Piece) {
        self.pending_bytes += piece.end - piece.start;
        self.queue.push_back(piece);
    }

    /// Queues a copy, in blocks that are filled to the end: the queue takes hardly more memory than
    /// the bytes in it. A new block begins with `head`, which is not written: how the message
    /// began that goes on in it.
    pub fn push_copy(&mut self, head: &[u8], bytes: &[u8]) {
        let head = if head.len() > HEAD_BYTES_MAX { &[] } else { head };
        let mut rest = bytes;
        if let Some(last) = self.queue.back_mut()
            && let Some(block) = Arc::get_mut(&mut last.block)
            && last.end == block.len()
        {
            let fitting = rest.len().min(block.capacity() - block.len());
            block.extend_from_slice(&rest[..fitting]);
            last.end = block.len();
            self.pending_bytes += fitting;
            rest = &rest[fitting..];
        }
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(COPY_BLOCK_BYTES - head.len()));
            let end = head.len() + now.len();
            // The first piece may stay the only one; when a second comes, more will.
            let wanted = if self.queue.is_empty() { end } else { COPY_BLOCK_BYTES };
            let mut block = Vec::with_capacity(wanted);
            block.extend_from_slice(head);
            block.extend_from_slice(now);
            self.push(Piece::new(Arc::new(block), head.len(), end));
            rest = later;
        }
    }

    /// Writes what is queued as far as it goes, and asks for room when some is left.
    pub fn drain(&mut self, now: Instant, write_deadline: Duration) -> Flow {
        if self.transport.is_none() || self.is_cut_off {
            return Flow::Closed;
        }
        loop {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut wanted = 0;
            let mut count = 0;
            for (slot, piece) in slices.iter_mut().zip(&self.queue) {
                wanted += piece.end - piece.start;
                *slot = IoSlice::new(piece.bytes());
                count += 1;
            }
            // Borrowed apart from `self.queue`, which the slices look into.
            let transport = self.transport.as_deref_mut();
            let Some(transport) = transport else { return Flow::Closed };
            if count == 0 && transport.unsent_bytes() == 0 {
                break;
            }
            let taken = match transport.write(&slices[..count]) {
                Ok(taken) => taken,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return Flow::Broken,
            };
            self.drop_front(taken);
            if taken < wanted || count == 0 {
                break;
            }
        }
        self.settle(now, write_deadline)
    }

    /// Keeps the wish for room and the deadline true after a write.
    pub fn settle(&mut self, now: Instant, write_deadline: Duration) -> Flow {
        let Some(transport) = self.transport.as_deref_mut() else { return Flow::Closed };
        let waiting = self.pending_bytes + transport.unsent_bytes();
        let must_wait = waiting > 0;
        if must_wait != self.is_waiting_for_room {
            self.is_waiting_for_room = must_wait;
            transport.want_room(must_wait);
        }
        if !must_wait {
            self.deadline = None;
            self.deadline_bytes = 0;
            // A burst must not keep its memory for ever.
            if self.queue.capacity() > 256 {
                self.queue.shrink_to(16);
            }
            return Flow::Clear;
        }
        if self.deadline.is_none() || self.deadline_bytes == 0 {
            self.set_deadline(now + write_deadline, waiting);
        }
        Flow::Waiting(waiting)
    }

    /// Gives what waits as long again, if some of it went while the deadline ran; false if not.
    pub fn renew_deadline(&mut self, now: Instant, write_deadline: Duration) -> bool {
        if self.taken_bytes == self.deadline_taken {
            return false;
        }
        self.set_deadline(now + write_deadline, self.pending_bytes.max(1));
        true
    }

    fn set_deadline(&mut self, deadline: Instant, bytes: usize) {
        self.deadline = Some(deadline);
        self.deadline_bytes = bytes;
        self.deadline_taken = self.taken_bytes;
    }

    fn drop_front(&mut self, mut bytes: usize) {
        self.taken_bytes += bytes as u64;
        if !planted::is(Bug::PendingKept) {
            self.pending_bytes -= bytes;
        }
        self.deadline_bytes = self.deadline_bytes.saturating_sub(bytes);
        while bytes > 0 {
            let Some(front) = self.queue.front_mut() else { return };
            let length = front.end - front.start;
            if bytes < length {
                front.start += bytes;
                return;
            }
            bytes -= length;
            self.queue.pop_front();
        }
    }

    /// Puts another transport around the one there is: from now on bytes pass an encoder.
    ///
    /// # Errors
    /// What `wrap` answers; the transport is gone then.
    pub fn upgrade<E>(
        &mut self,
        wrap: impl FnOnce(Box<dyn Transport>) -> Result<Box<dyn Transport>, E>,
    ) -> Result<(), E> {
        if let Some(transport) = self.transport.take() {
            self.transport = Some(wrap(transport)?);
        }
        Ok(())
    }

    /// Gives up what waits and lets the transport go; idempotent.
    pub fn close(&mut self) -> Option<Box<dyn Transport>> {
        self.queue = VecDeque::new();
        self.pending_bytes = 0;
        self.deadline = None;
        self.transport.take()
    }
}
