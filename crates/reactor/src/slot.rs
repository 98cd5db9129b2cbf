//! A connection's place in its thread's table.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use keelback_engine::Client;

use crate::listener::TlsMode;
use crate::stall::Stall;

/// Where bytes come from.
pub(crate) enum Inbound {
    /// A plain socket: read without a lock.
    Plain(Arc<OwnedFd>),
    /// A transport whose reading shares state with its writing.
    Shared,
    /// The end of an in-process pipe.
    Pipe,
}

/// Where a connection stands below its protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A header of the PROXY protocol may come before all else.
    Proxied(TlsMode),
    /// The first byte decides between TLS and plain text.
    Peeking(TlsMode),
    /// The TLS handshake is under way; INFO follows it if it was not sent before.
    Handshaking { greets_after: bool },
    /// Protocol.
    Open,
    /// Closed for us; what the peer still sends is thrown away until it closes or `until`.
    Lingering,
}

/// Since when a connection has been too slow, and what waited for it last.
pub(crate) struct Lag {
    pub(crate) since: Instant,
    pub(crate) pieces: usize,
    pub(crate) bytes: usize,
}

/// One connection.
pub(crate) struct Slot {
    pub(crate) client: Client,
    pub(crate) inbound: Inbound,
    pub(crate) stage: Stage,
    /// The start of an operation that is not whole yet.
    pub(crate) tail: Vec<u8>,
    /// What the tail must grow to before it is looked at again.
    pub(crate) wanted_bytes: usize,
    /// Reading waits for Python or for a destination.
    pub(crate) is_paused: bool,
    /// When CONNECT must have come.
    pub(crate) auth_deadline: Option<Instant>,
    /// When the handshake must be done, or the plain INFO is sent.
    pub(crate) tls_deadline: Option<Instant>,
    /// When a write must have been done.
    pub(crate) write_deadline: Option<Instant>,
    /// When lingering ends.
    pub(crate) linger_until: Option<Instant>,
    /// It takes its data, but too slowly.
    pub(crate) lag: Option<Box<Lag>>,
    pub(crate) stall: Stall,
    /// Its receive buffer was looked at.
    pub(crate) is_fitted: bool,
    /// The live entry in the timers.
    pub(crate) scheduled: Option<Instant>,
    pub(crate) generation: u32,
}

impl Slot {
    /// The nearest of its deadlines.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        if self.stage == Stage::Lingering {
            return self.linger_until;
        }
        let mut next = self.client.keepalive.next_look;
        let others =
            [self.auth_deadline, self.tls_deadline, self.write_deadline, self.stall.until()];
        for deadline in others.into_iter().flatten() {
            next = next.min(deadline);
        }
        Some(next)
    }
}
