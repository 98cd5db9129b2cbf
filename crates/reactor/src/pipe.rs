//! The in-process transport: two bounded buffers in memory and a waker for each side.

use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, OnceLock};

use keelback_engine::lock;
use keelback_engine::outbound::Transport;

use crate::command::{Command, Mailbox};
use crate::poller::Waker;

/// Bytes that may stand in one direction; the writer waits beyond it.
const PIPE_BYTES_MAX: usize = 256 << 10;

#[derive(Default)]
struct Lane {
    bytes: Vec<u8>,
    /// How much of `bytes` was read already.
    start: usize,
    /// No more will be written.
    is_finished: bool,
    /// The writer waits for room.
    is_wanted: bool,
}

impl Lane {
    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn write(&mut self, data: &[u8]) -> usize {
        let taken = data.len().min(PIPE_BYTES_MAX - self.len());
        if self.start > 0 && self.bytes.len() + taken > PIPE_BYTES_MAX {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(&data[..taken]);
        taken
    }

    fn read(&mut self, buffer: &mut [u8]) -> usize {
        let taken = buffer.len().min(self.len());
        buffer[..taken].copy_from_slice(&self.bytes[self.start..self.start + taken]);
        self.start += taken;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            // An idle pipe owns little.
            self.bytes.shrink_to(4096);
        }
        taken
    }
}

/// Both ends of a pipe.
pub struct PipeShared {
    to_server: Mutex<Lane>,
    to_client: Mutex<Lane>,
    client_waker: Waker,
    owner: OnceLock<(Arc<Mailbox>, u64)>,
}

impl PipeShared {
    /// A pipe without an owner yet.
    ///
    /// # Errors
    /// No descriptor could be had.
    pub(crate) fn new() -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            to_server: Mutex::default(),
            to_client: Mutex::default(),
            client_waker: Waker::new()?,
            owner: OnceLock::new(),
        }))
    }

    pub(crate) fn set_owner(&self, mailbox: Arc<Mailbox>, key: u64) {
        let _ = self.owner.set((mailbox, key));
        self.notify_server();
    }

    fn notify_server(&self) {
        if let Some((mailbox, key)) = self.owner.get() {
            mailbox.send(Command::PipeReady(*key));
        }
    }

    /// The descriptor that tells the client of bytes, or of room it waited for.
    pub fn waker(&self) -> &Waker {
        &self.client_waker
    }

    /// Client to server: bytes taken, possibly none.
    ///
    /// # Errors
    /// `BrokenPipe` when the server closed.
    pub fn send(&self, data: &[u8]) -> io::Result<usize> {
        if lock(&self.to_client).is_finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut lane = lock(&self.to_server);
        if lane.is_finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = lane.write(data);
        lane.is_wanted = taken < data.len();
        drop(lane);
        if taken > 0 {
            self.notify_server();
        }
        Ok(taken)
    }

    /// Server to client: bytes, `Some(empty)` at the end, `None` when there are none yet.
    pub fn recv(&self, at_most: usize) -> Option<Vec<u8>> {
        let mut lane = lock(&self.to_client);
        let mut buffer = vec![0; at_most.min(lane.len())];
        lane.read(&mut buffer);
        let is_end = buffer.is_empty() && lane.is_finished;
        let is_wanted = !buffer.is_empty() && std::mem::take(&mut lane.is_wanted);
        if lane.len() == 0 && !lane.is_finished {
            self.client_waker.reset();
        }
        drop(lane);
        if is_wanted {
            self.notify_server();
        }
        (is_end || !buffer.is_empty()).then_some(buffer)
    }

    /// The client goes.
    pub fn close(&self) {
        lock(&self.to_server).is_finished = true;
        self.notify_server();
    }

    /// Server side: whether the client went or wrote.
    pub(crate) fn has_input(&self) -> bool {
        let lane = lock(&self.to_server);
        lane.len() > 0 || lane.is_finished
    }
}

/// The server's end as a transport.
pub(crate) struct PipeTransport {
    pub(crate) shared: Arc<PipeShared>,
}

impl Transport for PipeTransport {
    fn write(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut lane = lock(&self.shared.to_client);
        if lane.is_finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut total = 0;
        for piece in pieces {
            let taken = lane.write(piece);
            total += taken;
            if taken < piece.len() {
                break;
            }
        }
        drop(lane);
        if total == 0 && pieces.iter().any(|piece| !piece.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.shared.client_waker.wake();
        Ok(total)
    }

    fn want_room(&mut self, wanted: bool) {
        let mut lane = lock(&self.shared.to_client);
        lane.is_wanted = wanted;
        // Room may have come between the write that found none and this wish.
        let has_room = wanted && lane.len() < PIPE_BYTES_MAX;
        drop(lane);
        if has_room {
            self.shared.notify_server();
        }
    }

    fn want_input(&mut self, wanted: bool) {
        if wanted && self.shared.has_input() {
            self.shared.notify_server();
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut lane = lock(&self.shared.to_server);
        let taken = lane.read(buffer);
        let is_finished = lane.is_finished;
        let is_wanted = taken > 0 && std::mem::take(&mut lane.is_wanted);
        let has_more = lane.len() > 0;
        drop(lane);
        if is_wanted {
            self.shared.client_waker.wake();
        }
        if has_more {
            self.shared.notify_server();
        }
        if taken == 0 && !is_finished {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(taken)
    }

    fn finish(&mut self) {
        lock(&self.shared.to_client).is_finished = true;
        self.shared.client_waker.wake();
    }
}

impl Drop for PipeTransport {
    fn drop(&mut self) {
        self.finish();
        lock(&self.shared.to_server).is_finished = true;
    }
}
