//! The end of a connection: what is staged goes out, the peer gets a moment to read it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keelback_engine::closed::LastSubscriptions;
use keelback_engine::lock;
use keelback_engine::outbound::Flow;
use keelback_planted::{self as planted, Bug};
use keelback_wire::errors::ClosedReason;

use crate::slot::{Inbound, Stage};
use crate::thread::{Thread, index_of};
use crate::turn::read;

/// How long a closed connection stays to be read by its peer. To close a socket that has unread
/// input resets it, and a reset may overtake the `-ERR` that explains it.
const LINGER: Duration = Duration::from_millis(500);

/// Input thrown away in one turn while lingering.
const DISCARD_TURNS_MAX: usize = 8;

impl Thread {
    /// Closes a connection; the first reason counts.
    pub(crate) fn close(&mut self, key: u64, reason: ClosedReason) {
        let Some(slot) = self.slot(key) else { return };
        if slot.stage == Stage::Lingering {
            return;
        }
        let connection = slot.client.connection.clone();
        connection.set_closing(reason);
        let reason = connection.closing_reason().unwrap_or(reason);
        let was_open = !matches!(slot.stage, Stage::Handshaking { .. });
        slot.stage = Stage::Lingering;
        let index = index_of(key);
        let subscriptions = LastSubscriptions::of(&self.slots[index].client);
        if !planted::is(Bug::CloseKeepsSubscriptions) {
            self.worker.drop_subscriptions(&mut self.slots[index].client);
        }
        self.worker.flush_one(&connection, &[]);
        let hub = self.worker.hub.clone();
        hub.forget(&connection);
        hub.note_closed(&connection, reason, subscriptions, self.worker.now_ns);
        hub.log.debug(|| {
            format!("{} - Client connection closed: {}", connection.log_prefix(), reason.as_str())
        });
        // A handshake that failed has its alert to be read.
        let has_words = was_open || reason == ClosedReason::TlsHandshakeFailure;
        let says_goodbye = has_words && !is_abrupt(reason);
        let now = self.worker.now;
        let deadline = self.worker.settings.limits.write_deadline;
        // The end of a plain stream is told by closing it.
        let must_finish = reason != ClosedReason::ClientClosed
            || !matches!(self.slots[index].inbound, Inbound::Plain(_));
        let mut outbound = lock(&connection.outbound);
        if says_goodbye
            && outbound.drain(now, deadline) == Flow::Clear
            && must_finish
            && let Some(transport) = outbound.transport()
        {
            transport.finish();
        }
        drop(outbound);
        if !says_goodbye || reason == ClosedReason::ClientClosed {
            self.remove(key);
            return;
        }
        let slot = &mut self.slots[index];
        slot.tail = Vec::new();
        slot.is_paused = false;
        slot.linger_until = Some(now + LINGER);
        if let Some(transport) = lock(&connection.outbound).transport() {
            transport.want_input(true);
        }
        self.schedule(key);
    }

    /// Throws away what a peer sends after we closed.
    pub(crate) fn discard(&mut self, key: u64) {
        let index = index_of(key);
        for _ in 0..DISCARD_TURNS_MAX {
            match read(&self.slots[index], &mut self.buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        self.remove(key);
    }

    /// Lets the transport go.
    pub(crate) fn remove(&mut self, key: u64) {
        if self.slot(key).is_none() {
            return;
        }
        let slot = self.slots.remove(index_of(key));
        drop(slot.inbound);
        lock(&slot.client.connection.outbound).close();
        self.mailbox.connections.fetch_sub(1, Ordering::Relaxed);
        if self.slots.is_empty() {
            self.slots.shrink_to_fit();
        }
    }

    /// The write deadline of a connection came; true when it closed.
    pub(crate) fn write_is_late(&mut self, key: u64, now: Instant) -> bool {
        let limit = self.worker.settings.limits.write_deadline;
        let Some(slot) = self.slot(key) else { return true };
        let connection = slot.client.connection.clone();
        let mut outbound = lock(&connection.outbound);
        let deadline = outbound.deadline();
        let (pieces, bytes) = (outbound.pending_pieces(), outbound.pending_bytes());
        outbound.is_watched = deadline.is_some();
        drop(outbound);
        slot.write_deadline = deadline;
        if deadline.is_none_or(|at| at > now) {
            return false;
        }
        let reason = ClosedReason::SlowConsumerWriteDeadline;
        if connection.set_closing(reason) {
            self.worker.hub.log.write(
                keelback_engine::log::Level::Info,
                &format!(
                    "{} - Slow Consumer Detected: WriteDeadline of {limit:?} exceeded with {pieces} chunks of {bytes} total bytes.",
                    connection.log_prefix()
                ),
            );
            self.worker.hub.count_slow_consumer(&connection, bytes, String::new(), reason);
        }
        self.close(key, reason);
        true
    }
}

/// Reasons after which nothing more is written.
fn is_abrupt(reason: ClosedReason) -> bool {
    matches!(
        reason,
        ClosedReason::ReadError
            | ClosedReason::WriteError
            | ClosedReason::SlowConsumerPendingBytes
            | ClosedReason::SlowConsumerWriteDeadline
    )
}
