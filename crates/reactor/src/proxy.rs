//! Before TLS and protocol: the header in which a load balancer says whose connection it is.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use keelback_engine::log::Level;
use keelback_wire::errors::ClosedReason;
use keelback_wire::proxy::{HEADER_BYTES_MAX, Step, Unfinished, next_header, unfinished};
use rustix::io::Errno;
use rustix::net::{RecvFlags, getpeername, recv};

use crate::listener::{First, TlsMode};
use crate::slot::{Inbound, Stage};
use crate::thread::{READ_BYTES, Thread, index_of};

/// How long a peer may take to send its header, or anything else.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

// A header is looked at as a whole, in the thread's buffer.
const _: () = assert!(2 * HEADER_BYTES_MAX <= READ_BYTES);

impl Thread {
    /// A new connection on a listener behind balancers. INFO does not tell their address.
    pub(crate) fn begin_proxied(&mut self, key: u64, mode: TlsMode) {
        let now = self.worker.now;
        let index = index_of(key);
        let Some(slot) = self.slots.get_mut(index) else { return };
        let wait = match mode {
            TlsMode::First(First { fallback: Some(fallback), .. }) => fallback,
            _ => HEADER_TIMEOUT,
        };
        slot.stage = Stage::Proxied(mode);
        slot.tls_deadline = Some(now + wait);
        slot.auth_deadline = None;
        if !matches!(mode, TlsMode::First(_)) {
            self.worker.greet_first(&slot.client, mode.offer());
            let connection = slot.client.connection.clone();
            self.worker.flush_one(&connection, &[]);
        }
    }

    /// Some of the header came, or something else.
    pub(crate) fn read_proxied(&mut self, key: u64, mode: TlsMode) {
        let index = index_of(key);
        let slot = &mut self.slots[index];
        let Inbound::Plain(fd) = &slot.inbound else { return };
        let fd = fd.clone();
        let kept = slot.tail.len();
        self.buffer[..kept].copy_from_slice(&slot.tail);
        let room = &mut self.buffer[kept..kept + HEADER_BYTES_MAX];
        // Only the header is taken: what is behind it belongs to TLS, or to the protocol.
        let came = match recv(&*fd, room, RecvFlags::PEEK) {
            Ok((0, _)) => return self.end_unfinished(key, Unfinished::Ended),
            Ok((came, _)) => came,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => return self.close(key, ClosedReason::ReadError),
        };
        match next_header(&self.buffer[..kept + came]) {
            Ok(Step::More) => {
                let slot = &mut self.slots[index];
                slot.tail.extend_from_slice(&self.buffer[kept..kept + came]);
                self.take_peeked(key, came);
            }
            Ok(Step::Absent) => self.after_header(key, mode, None),
            Ok(Step::Header { used_bytes, source }) => {
                self.slots[index].tail = Vec::new();
                if self.take_peeked(key, used_bytes - kept) {
                    self.after_header(key, mode, source);
                }
            }
            Err(error) => self.refuse_header(key, &error.to_string()),
        }
    }

    /// The peer ended before its header did, or the time did.
    fn end_unfinished(&mut self, key: u64, end: Unfinished) {
        let Some(slot) = self.slot(key) else { return };
        let problem = unfinished(&slot.tail, end);
        self.refuse_header(key, &problem);
    }

    /// The time is up: for the header, or for a handshake to begin before INFO.
    pub(crate) fn proxied_is_late(&mut self, key: u64, mode: TlsMode) {
        let TlsMode::First(First { fallback: Some(_), plain_too }) = mode else {
            return self.end_unfinished(key, Unfinished::Late);
        };
        self.begin_proxied(key, if plain_too { TlsMode::Available } else { TlsMode::Required });
    }

    /// Takes bytes that were looked at; false when the connection closed.
    fn take_peeked(&mut self, key: u64, bytes: usize) -> bool {
        let slot = &self.slots[index_of(key)];
        let Inbound::Plain(fd) = &slot.inbound else { return false };
        match recv(&**fd, &mut self.buffer[..bytes], RecvFlags::empty()) {
            Ok((taken, _)) if taken == bytes => true,
            _ => {
                self.close(key, ClosedReason::ReadError);
                false
            }
        }
    }

    /// Goes on as on any other listener, but for INFO, which was sent.
    fn after_header(&mut self, key: u64, mode: TlsMode, source: Option<(IpAddr, u16)>) {
        let now = self.worker.now;
        let timeout = self.tls().map(|tls| tls.timeout).unwrap_or_default();
        let slot = &mut self.slots[index_of(key)];
        match source {
            Some((ip, port)) => {
                slot.client.peer_ip = ip.to_string();
                slot.client.peer_port = port;
                slot.client.connection.set_source(ip, port);
            }
            None => slot.client.peer_ip = peer_ip(&slot.inbound),
        }
        slot.tls_deadline = None;
        let is_plain = !slot.tail.is_empty();
        match mode {
            TlsMode::Available if !is_plain => {
                slot.stage = Stage::Peeking(mode);
                slot.tls_deadline = Some(now + timeout);
                self.schedule(key);
                self.shake_hands(key, false);
            }
            TlsMode::Off | TlsMode::Available => {
                self.open(key);
                self.readable(key, false);
            }
            // What was taken for the start of a header is no handshake.
            _ if is_plain => self.close(key, ClosedReason::TlsHandshakeFailure),
            TlsMode::Required | TlsMode::First(_) => {
                self.start_handshake(key, mode != TlsMode::Required);
                self.shake_hands(key, false);
            }
        }
    }

    fn refuse_header(&mut self, key: u64, problem: &str) {
        let Some(slot) = self.slot(key) else { return };
        let peer = slot.client.connection.peer.clone();
        let line = format!("Error reading PROXY protocol header from {peer}: {problem}");
        self.worker.hub.log.write(Level::Warn, &line);
        self.close(key, ClosedReason::ProtocolViolation);
    }
}

/// The address of whoever connected itself.
fn peer_ip(inbound: &Inbound) -> String {
    let Inbound::Plain(fd) = inbound else { return String::new() };
    let address = getpeername(&**fd).ok().flatten();
    let address = address.and_then(|address| SocketAddr::try_from(address).ok());
    address.map_or_else(String::new, |address| address.ip().to_canonical().to_string())
}
