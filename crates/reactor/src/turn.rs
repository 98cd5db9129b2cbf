//! A turn of one connection: read a chunk, hand it to the engine, keep what is not whole.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use keelback_engine::closed::LastSubscriptions;
use keelback_engine::ingest::{Ingested, Outcome};
use keelback_engine::lock;
use keelback_engine::log::Level;
use keelback_engine::outbound::Flow;
use keelback_wire::errors::ClosedReason;
use rustix::buffer::spare_capacity;
use rustix::net::{RecvFlags, recv};

use crate::local::fit_receive_buffer;
use crate::slot::{Inbound, Slot, Stage};
use crate::thread::{LISTENER_KEYS, READ_BYTES, Thread, index_of, set_input};
use crate::tls::TLS_ROOM_BYTES;

impl Thread {
    /// There is something to read, or the peer is gone.
    pub(crate) fn readable(&mut self, key: u64, is_gone: bool) {
        let Some(slot) = self.slot(key) else { return };
        if slot.stage == Stage::Lingering {
            self.discard(key);
            return;
        }
        if slot.stage != Stage::Open {
            self.shake_hands(key, is_gone);
            return;
        }
        if slot.is_paused {
            if is_gone {
                self.close(key, ClosedReason::ClientClosed);
            }
            return;
        }
        let index = index_of(key);
        let Some(slot) = self.slots.get_mut(index) else { return };
        match receive(slot, &mut self.buffer) {
            Ok(Chunk::Whole(bytes)) => {
                self.ingest(key, bytes);
                self.end_if_peer_did(key);
            }
            Ok(Chunk::Partial) => {}
            Ok(Chunk::End) => self.close(key, ClosedReason::ClientClosed),
            Err(error) if is_transient(&error) => {
                if is_gone {
                    self.close(key, ClosedReason::ClientClosed);
                }
            }
            Err(_) => self.close(key, ClosedReason::ReadError),
        }
    }

    /// Closes when the peer's last bytes came together with the end of its stream, which the
    /// poller does not tell of. What reading waits for comes first.
    pub(crate) fn end_if_peer_did(&mut self, key: u64) {
        let Some(slot) = self.slot(key) else { return };
        if slot.is_paused || slot.stage != Stage::Open || !matches!(slot.inbound, Inbound::Shared) {
            return;
        }
        let connection = slot.client.connection.clone();
        let has_ended = lock(&connection.outbound).transport().is_some_and(|it| it.has_ended());
        if has_ended {
            self.close(key, ClosedReason::ClientClosed);
        }
    }

    /// Hands `bytes` of the thread's buffer, or the slot's own tail, to the engine.
    pub(crate) fn ingest(&mut self, key: u64, bytes: Input) {
        let index = index_of(key);
        let Some(slot) = self.slots.get_mut(index) else { return };
        let own;
        let input = match bytes {
            Input::Buffer(length) => &self.buffer[..length],
            Input::Tail => {
                own = std::mem::take(&mut slot.tail);
                &own[..]
            }
        };
        let worker = &mut self.worker;
        let client = &mut slot.client;
        let result = catch_unwind(AssertUnwindSafe(|| worker.ingest(client, input)));
        let Ok(Ingested { used_bytes, wanted_bytes, outcome }) = result else {
            self.after_panic(key);
            return;
        };
        keep(slot, &input[used_bytes..], wanted_bytes);
        if matches!(bytes, Input::Buffer(READ_BYTES)) {
            fit(slot);
        }
        if slot.client.phase == keelback_engine::client::Phase::Open {
            slot.auth_deadline = None;
        }
        match outcome {
            Outcome::Continue => {
                // CONNECT brought the first ping nearer.
                if slot.scheduled.is_none_or(|at| slot.client.keepalive.next_look < at) {
                    self.schedule(key);
                }
            }
            Outcome::Ask => {
                slot.is_paused = true;
                set_input(&slot.client.connection, false);
            }
            Outcome::Close(reason) => self.close(key, reason),
        }
    }

    /// Reading goes on: what was kept is looked at first.
    pub(crate) fn resume(&mut self, key: u64) {
        let Some(slot) = self.slot(key) else { return };
        if slot.client.phase == keelback_engine::client::Phase::Asked || slot.stage != Stage::Open {
            return;
        }
        slot.is_paused = false;
        set_input(&slot.client.connection, true);
        if !slot.tail.is_empty() && slot.tail.len() >= slot.wanted_bytes {
            self.ingest(key, Input::Tail);
        }
        self.end_if_peer_did(key);
    }

    /// There is room for what waits.
    pub(crate) fn room(&mut self, key: u64) {
        let now = self.worker.now;
        let deadline = self.worker.settings.limits.write_deadline;
        let Some(slot) = self.slot(key) else { return };
        let mut outbound = lock(&slot.client.connection.outbound);
        let flow = outbound.drain(now, deadline);
        let waiters = outbound.take_waiters();
        drop(outbound);
        self.release(waiters);
        if flow == Flow::Clear {
            self.end_lag(key);
        }
        let Some(slot) = self.slot(key) else { return };
        match flow {
            Flow::Broken => self.close(key, ClosedReason::WriteError),
            Flow::Clear if slot.stage == Stage::Lingering => {
                if let Some(transport) = lock(&slot.client.connection.outbound).transport() {
                    transport.finish();
                }
            }
            Flow::Clear | Flow::Closed | Flow::Waiting(_) => {}
        }
    }

    /// Does a part of the turn. A panic ends the connection that it was about, not the thread:
    /// others are served by it.
    pub(crate) fn survive(&mut self, key: Option<u64>, part: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| part(self))).is_ok() {
            return;
        }
        self.worker.hub.totals.panics.fetch_add(1, Ordering::Relaxed);
        self.worker.hub.log.write(Level::Error, "Internal error in a reactor thread");
        self.worker.drop_staged();
        let Some(key) = key.filter(|&key| key < LISTENER_KEYS) else { return };
        let end = catch_unwind(AssertUnwindSafe(|| {
            let Some(slot) = self.slot(key) else { return };
            let connection = slot.client.connection.clone();
            connection.set_closing(ClosedReason::InternalClient);
            let index = index_of(key);
            self.worker.leave_account(&mut self.slots[index].client);
            self.worker.hub.forget(&connection);
            let (reason, none) = (ClosedReason::InternalClient, LastSubscriptions::default());
            self.worker.hub.note_closed(&connection, reason, none, self.worker.now_ns);
            self.remove(key);
        }));
        if end.is_err() {
            self.worker.drop_staged();
        }
    }

    #[cold]
    fn after_panic(&mut self, key: u64) {
        self.worker.hub.totals.panics.fetch_add(1, Ordering::Relaxed);
        if let Some(slot) = self.slots.get(index_of(key)) {
            let prefix = slot.client.connection.log_prefix();
            self.worker.hub.log.write(Level::Error, &format!("{prefix} - Internal error, closing"));
        }
        self.worker.reset();
        self.close(key, ClosedReason::InternalClient);
    }
}

/// Where the bytes to ingest are.
#[derive(Clone, Copy)]
pub(crate) enum Input {
    /// In the thread's buffer, so many.
    Buffer(usize),
    /// In the slot's tail.
    Tail,
}

enum Chunk {
    Whole(Input),
    /// Read, but the operation is not whole yet.
    Partial,
    End,
}

/// Reads once. A short tail is put before what comes, in the thread's buffer; a long operation
/// grows in the slot, without being copied again.
fn receive(slot: &mut Slot, buffer: &mut [u8]) -> io::Result<Chunk> {
    if slot.wanted_bytes > READ_BYTES {
        return receive_long(slot);
    }
    let kept = slot.tail.len();
    buffer[..kept].copy_from_slice(&slot.tail);
    // A decrypting transport gets all the room there is.
    let end = match slot.inbound {
        Inbound::Plain(_) => READ_BYTES,
        Inbound::Shared | Inbound::Pipe => buffer.len(),
    };
    let count = read(slot, &mut buffer[kept..end])?;
    if count == 0 {
        return Ok(Chunk::End);
    }
    slot.tail.clear();
    Ok(Chunk::Whole(Input::Buffer(kept + count)))
}

fn receive_long(slot: &mut Slot) -> io::Result<Chunk> {
    let kept = slot.tail.len();
    // Memory follows what was sent, not what was announced.
    let step = kept.max(READ_BYTES).min(slot.wanted_bytes - kept);
    let mut tail = std::mem::take(&mut slot.tail);
    let result = match &slot.inbound {
        // Not cleared before: a peer that sends byte by byte must not cost a clearing for each.
        Inbound::Plain(fd) => {
            tail.reserve(step);
            let received = recv(&**fd, spare_capacity(&mut tail), RecvFlags::empty());
            received.map(|(count, _)| count).map_err(io::Error::from)
        }
        Inbound::Shared | Inbound::Pipe => {
            // What was decrypted must all be taken: nothing tells that a session still holds some.
            tail.resize(kept + step.max(TLS_ROOM_BYTES), 0);
            let result = read(slot, &mut tail[kept..]);
            tail.truncate(kept + result.as_ref().map_or(0, |count| *count));
            result
        }
    };
    slot.tail = tail;
    match result? {
        0 => Ok(Chunk::End),
        _ if slot.tail.len() < slot.wanted_bytes => Ok(Chunk::Partial),
        _ => Ok(Chunk::Whole(Input::Tail)),
    }
}

pub(crate) fn read(slot: &Slot, buffer: &mut [u8]) -> io::Result<usize> {
    match &slot.inbound {
        Inbound::Plain(fd) => Ok(recv(&**fd, buffer, RecvFlags::empty())?.0),
        Inbound::Shared | Inbound::Pipe => {
            let mut outbound = lock(&slot.client.connection.outbound);
            match outbound.transport() {
                Some(transport) => transport.read(buffer),
                None => Ok(0),
            }
        }
    }
}

/// The first read that was full tells what kind of connection it is.
fn fit(slot: &mut Slot) {
    if let Inbound::Plain(fd) = &slot.inbound
        && !slot.is_fitted
    {
        slot.is_fitted = true;
        let [messages, payload_bytes, ..] = slot.client.connection.counters.figures();
        fit_receive_buffer(fd, messages, payload_bytes);
    }
}

/// Keeps what is not used of the input.
fn keep(slot: &mut Slot, rest: &[u8], wanted_bytes: usize) {
    slot.wanted_bytes = wanted_bytes;
    slot.tail.clear();
    if rest.is_empty() {
        // An idle connection owns no buffer.
        if slot.tail.capacity() > 4096 {
            slot.tail = Vec::new();
        }
        return;
    }
    slot.tail.extend_from_slice(rest);
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
