//! Before the protocol: which of TLS and plain text a peer speaks, and its handshake.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use keelback_engine::client::Phase;
use keelback_engine::identity::Encryption;
use keelback_engine::lock;
use keelback_engine::log::Level;
use keelback_engine::session::TlsOffer;
use keelback_wire::errors::{ClientError, ClosedReason};
use rustix::net::{RecvFlags, recv};

use crate::listener::{First, TlsMode};
use crate::slot::{Inbound, Stage};
use crate::thread::{Thread, index_of};
use crate::tls::HANDSHAKE_RECORD;

/// How long refused handshakes are counted before the log is told.
const THROTTLE_REPORT: Duration = Duration::from_secs(1);

impl Thread {
    /// A new connection: INFO, a handshake, or a look at the first byte.
    pub(crate) fn begin(&mut self, key: u64, mode: TlsMode) {
        let now = self.worker.now;
        let tls = self.tls();
        let index = index_of(key);
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(tls) = tls.filter(|_| mode != TlsMode::Off) else {
            self.worker.greet_first(&slot.client, TlsOffer::None);
            return;
        };
        slot.tls_deadline = Some(now + tls.timeout);
        // The time until the protocol begins is not the client's; see `open`.
        slot.auth_deadline = None;
        match mode {
            TlsMode::Off => {}
            TlsMode::Required => {
                self.worker.greet_first(&slot.client, mode.offer());
                let connection = slot.client.connection.clone();
                self.worker.flush_one(&connection, &[]);
                self.start_handshake(key, false);
            }
            TlsMode::Available => {
                self.worker.greet_first(&slot.client, mode.offer());
                slot.stage = Stage::Peeking(mode);
            }
            TlsMode::First(First { fallback: None, .. }) => self.start_handshake(key, true),
            TlsMode::First(First { fallback: Some(fallback), .. }) => {
                slot.stage = Stage::Peeking(mode);
                slot.tls_deadline = Some(now + fallback);
            }
        }
    }

    /// Something came before the protocol may begin.
    pub(crate) fn shake_hands(&mut self, key: u64, is_gone: bool) {
        let Some(slot) = self.slot(key) else { return };
        match slot.stage {
            Stage::Proxied(mode) => self.read_proxied(key, mode),
            Stage::Peeking(mode) => self.peek(key, mode),
            Stage::Handshaking { greets_after } => self.go_on(key, greets_after),
            Stage::Open | Stage::Lingering => {}
        }
        if is_gone && self.slot(key).is_some_and(|slot| slot.stage != Stage::Open) {
            self.close(key, ClosedReason::ClientClosed);
        }
    }

    fn peek(&mut self, key: u64, mode: TlsMode) {
        let Some(slot) = self.slot(key) else { return };
        let Inbound::Plain(fd) = &slot.inbound else { return };
        let mut first = [0_u8];
        match recv(&**fd, &mut first[..], RecvFlags::PEEK) {
            Ok((0, _)) => self.close(key, ClosedReason::ClientClosed),
            Ok(_) if first[0] == HANDSHAKE_RECORD => {
                self.start_handshake(key, mode != TlsMode::Available);
                self.shake_hands(key, false);
            }
            Ok(_) if mode == TlsMode::Available => {
                self.open(key);
                self.readable(key, false);
            }
            // TLS first, and the peer speaks plain text without having seen INFO: it gets the
            // handshake that it must do.
            Ok(_) => {
                self.start_handshake(key, true);
                self.shake_hands(key, false);
            }
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(_) => self.close(key, ClosedReason::ReadError),
        }
    }

    /// Puts a TLS session around the socket.
    pub(crate) fn start_handshake(&mut self, key: u64, greets_after: bool) {
        let now = self.worker.now;
        if !self.throttle.admits(now) {
            return self.refuse_handshake(key);
        }
        let Some(tls) = self.tls() else { return };
        let Some(slot) = self.slot(key) else { return };
        let Inbound::Plain(fd) = &slot.inbound else { return };
        let fd = fd.clone();
        let connection = slot.client.connection.clone();
        self.worker.hub.log.debug(|| {
            format!("{} - Starting TLS client connection handshake", connection.log_prefix())
        });
        let Some(slot) = self.slot(key) else { return };
        let wrapped = lock(&connection.outbound).upgrade(|inner| tls.wrap(inner, fd));
        slot.inbound = Inbound::Shared;
        slot.stage = Stage::Handshaking { greets_after };
        slot.tls_deadline = Some(now + tls.timeout);
        if wrapped.is_err() {
            self.close(key, ClosedReason::TlsHandshakeFailure);
        }
        self.schedule(key);
    }

    /// Too many handshakes begin: this one shall come later.
    fn refuse_handshake(&mut self, key: u64) {
        let report = self.worker.now + THROTTLE_REPORT;
        self.throttle_report.get_or_insert(report);
        let Some(slot) = self.slots.get(index_of(key)) else { return };
        self.worker.say(&slot.client, &ClientError::ConnectionThrottled);
        self.close(key, ClosedReason::MaximumConnectionsExceeded);
    }

    /// Tells the log how many handshakes were refused.
    pub(crate) fn report_throttled(&mut self) {
        self.throttle_report = None;
        let refused = self.throttle.take_refused();
        if refused > 0 {
            let line = format!("Rejected {refused} connections due to TLS rate limiting");
            self.worker.hub.log.write(Level::Warn, &line);
        }
    }

    fn go_on(&mut self, key: u64, greets_after: bool) {
        let index = index_of(key);
        let connection = self.slots[index].client.connection.clone();
        let mut outbound = lock(&connection.outbound);
        let Some(transport) = outbound.transport() else { return };
        // The client's first operations may come with the end of its handshake.
        let result = transport.read(&mut self.buffer);
        let session = transport.session().unwrap_or_default();
        drop(outbound);
        let count = match result {
            Ok(0) => return self.close(key, ClosedReason::ClientClosed),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => {
                let line = || format!("{} - TLS handshake error: {error}", connection.log_prefix());
                match error.kind() {
                    // Whoever probes the port is no cause for alarm.
                    ErrorKind::Unsupported | ErrorKind::ConnectionReset => {
                        self.worker.hub.log.debug(line);
                    }
                    _ => self.worker.hub.log.error(line),
                }
                return self.close(key, ClosedReason::TlsHandshakeFailure);
            }
        };
        if session.is_handshaking {
            return;
        }
        // By the pins that are in force now, not by those of the handshake's beginning.
        if !self.tls().is_some_and(|tls| tls.allows(&session.certificates)) {
            self.worker.hub.log.error(|| {
                format!("{} - TLS handshake error: certificate not pinned", connection.log_prefix())
            });
            return self.close(key, ClosedReason::TlsHandshakeFailure);
        }
        let log = &self.worker.hub.log;
        log.debug(|| format!("{} - TLS handshake complete", connection.log_prefix()));
        log.debug(|| {
            let (prefix, suite) = (connection.log_prefix(), &session.cipher_suite);
            format!("{prefix} - TLS version {}, cipher suite {suite}", session.version)
        });
        let slot = &mut self.slots[index];
        slot.client.is_tls = true;
        slot.client.certificates = session.certificates.into();
        connection.set_encryption(Encryption {
            version: session.version,
            cipher_suite: session.cipher_suite,
            is_first: greets_after,
            certificates: slot.client.certificates.clone(),
        });
        if greets_after {
            self.worker.greet_after_handshake(&slot.client);
        }
        self.open(key);
        if count > 0 {
            self.ingest(key, crate::turn::Input::Buffer(count));
        }
        self.end_if_peer_did(key);
    }

    /// The protocol begins, and with it the time that the client has for its CONNECT.
    pub(crate) fn open(&mut self, key: u64) {
        let deadline = self.worker.now + self.worker.settings.limits.auth_timeout;
        let Some(slot) = self.slot(key) else { return };
        slot.tls_deadline = None;
        slot.stage = Stage::Open;
        slot.auth_deadline = (slot.client.phase == Phase::MustConnect).then_some(deadline);
        self.schedule(key);
    }

    /// The handshake took too long, or did not begin before the plain INFO is due.
    pub(crate) fn tls_is_late(&mut self, key: u64) {
        let Some(slot) = self.slot(key) else { return };
        match slot.stage {
            Stage::Proxied(mode) => self.proxied_is_late(key, mode),
            // Nobody said that TLS comes: from now on it is the plain protocol.
            Stage::Peeking(TlsMode::Available) => self.open(key),
            // The fallback: INFO in plain, then as always.
            Stage::Peeking(TlsMode::First(First { plain_too: true, .. })) => {
                self.begin(key, TlsMode::Available);
            }
            Stage::Peeking(_) => self.begin(key, TlsMode::Required),
            _ => {
                let prefix = slot.client.connection.log_prefix();
                self.worker.hub.log.debug(|| format!("{prefix} - TLS handshake timeout"));
                self.close(key, ClosedReason::TlsHandshakeFailure);
            }
        }
    }

    pub(crate) fn tls(&self) -> Option<Arc<crate::tls::TlsConfig>> {
        self.tls_config.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}
