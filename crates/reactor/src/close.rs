//! The end of a connection: what is staged goes out, the peer gets a moment to read it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use keelback_engine::closed::LastSubscriptions;
use keelback_engine::hub::whom;
use keelback_engine::lock;
use keelback_engine::log::Level;
use keelback_engine::outbound::Flow;
use keelback_engine::settings::WriteTimeout;
use keelback_planted::{self as planted, Bug};
use keelback_wire::errors::ClosedReason;

use crate::slot::{Inbound, Lag, Stage};
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
            self.worker.leave_account(&mut self.slots[index].client);
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
        let limits = self.worker.settings.limits.clone();
        let limit = limits.write_deadline;
        let may_retry = limits.write_timeout == WriteTimeout::Retry;
        let Some(slot) = self.slot(key) else { return true };
        let connection = slot.client.connection.clone();
        let mut outbound = lock(&connection.outbound);
        let mut deadline = outbound.deadline();
        let (pieces, bytes) = (outbound.pending_pieces(), outbound.pending_bytes());
        outbound.is_watched = deadline.is_some();
        let is_late = deadline.is_some_and(|at| at <= now);
        let may_go_on = is_late && may_retry && outbound.renew_deadline(now, limit);
        if may_go_on {
            deadline = outbound.deadline();
        }
        let is_cut_off = is_late && !may_go_on;
        let subject = if is_cut_off { outbound.first_subject() } else { Box::default() };
        drop(outbound);
        slot.write_deadline = deadline;
        if !is_late {
            if deadline.is_none() {
                self.end_lag(key);
            }
            return false;
        }
        if may_go_on {
            self.note_lag(key, pieces, bytes);
            return false;
        }
        let reason = ClosedReason::SlowConsumerWriteDeadline;
        if connection.set_closing(reason) {
            self.worker.hub.log.write(
                Level::Info,
                &format!(
                    "{} - Slow Consumer Detected: WriteDeadline of {limit:?} exceeded with {pieces} chunks of {bytes} total bytes. ({})",
                    connection.log_prefix(),
                    whom(&connection, &subject),
                ),
            );
            self.worker.hub.count_slow_consumer(&connection, bytes, &subject, reason);
        }
        self.close(key, reason);
        true
    }
}

impl Thread {
    /// A connection was too slow, and takes its data all the same.
    fn note_lag(&mut self, key: u64, pieces: usize, bytes: usize) {
        let now = self.worker.now;
        let limit = self.worker.settings.limits.write_deadline;
        let Some(slot) = self.slot(key) else { return };
        let since = slot
            .lag
            .as_ref()
            .map_or_else(|| now.checked_sub(limit).unwrap_or(now), |lag| lag.since);
        let state = if slot.lag.is_some() { "State" } else { "Detected" };
        slot.lag = Some(Box::new(Lag { since, pieces, bytes }));
        let prefix = slot.client.connection.log_prefix();
        let hub = &self.worker.hub;
        hub.totals.slow_consumers.fetch_add(1, Ordering::Relaxed);
        hub.log.write(
            Level::Info,
            &format!(
                "{prefix} - Slow Consumer {state}: WriteDeadline of {limit:?} exceeded with {pieces} chunks of {bytes} total bytes."
            ),
        );
    }

    /// Nothing waits any more for a connection that was too slow.
    pub(crate) fn end_lag(&mut self, key: u64) {
        let now = self.worker.now;
        let Some(slot) = self.slot(key) else { return };
        let Some(lag) = slot.lag.take() else { return };
        let prefix = slot.client.connection.log_prefix();
        self.worker.hub.log.write(
            Level::Info,
            &format!(
                "{prefix} - Slow Consumer Recovered: Flush took {:.3}s with {} chunks of {} total bytes.",
                now.duration_since(lag.since).as_secs_f64(),
                lag.pieces,
                lag.bytes
            ),
        );
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
