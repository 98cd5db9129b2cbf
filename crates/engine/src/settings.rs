//! What Python decided for the whole server: limits, INFO, gate. Replaced as one piece.

use std::sync::Arc;
use std::time::Duration;

use keelback_wire::info::{PreparedInfo, ServerInfo};

use crate::gate::Gate;

/// What follows when a write took longer than its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteTimeout {
    /// The connection closes.
    Close,
    /// It gets as long again, if it took anything at all.
    Retry,
}

/// What one client may ask of the server.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most connections at once; negative refuses all.
    pub connections_max: i64,
    /// Most subscriptions of one connection; 0 is without limit.
    pub subscriptions_max: usize,
    /// Most tokens of a subscribed subject; 0 is without limit.
    pub subscription_tokens_max: usize,
    /// Largest payload, headers included (bytes); negative is without limit.
    pub payload_bytes_max: i64,
    /// Longest argument part of a control line (bytes).
    pub control_line_bytes_max: usize,
    /// Most bytes that may wait for one connection.
    pub pending_bytes_max: usize,
    /// How long one write of what waited may take.
    pub write_deadline: Duration,
    /// Silence after which a client is pinged.
    pub ping_interval: Duration,
    /// Unanswered pings after which a client is stale.
    pub pings_max: u32,
    /// How long a client may take to send its CONNECT when authentication is required.
    pub auth_timeout: Duration,
    /// Payload bytes shown in a trace; 0 shows all.
    pub traced_bytes_max: usize,
    /// A trace shows headers only.
    pub trace_headers: bool,
    /// Match results are remembered by thread; else only a connection's last one is.
    pub sublist_cache: bool,
    /// What a client comes to that was given too little room for too long.
    pub write_timeout: WriteTimeout,
    /// Whether publishers are slowed for destinations that lag.
    pub fast_producer_stall: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 65536,
            subscriptions_max: 0,
            subscription_tokens_max: 0,
            payload_bytes_max: 1 << 20,
            control_line_bytes_max: 4096,
            pending_bytes_max: 64 << 20,
            write_deadline: Duration::from_secs(10),
            ping_interval: Duration::from_secs(120),
            pings_max: 2,
            auth_timeout: Duration::from_secs(2),
            traced_bytes_max: 0,
            trace_headers: false,
            sublist_cache: true,
            write_timeout: WriteTimeout::Close,
            fast_producer_stall: true,
        }
    }
}

impl Limits {
    /// The parser's share of the limits.
    pub fn wire(&self) -> keelback_wire::client::Limits {
        keelback_wire::client::Limits {
            control_line_bytes_max: self.control_line_bytes_max,
            payload_bytes_max: usize::try_from(self.payload_bytes_max).ok(),
        }
    }
}

/// What clients are told of the server.
#[derive(Clone, Debug)]
pub struct Info {
    /// The line, but for each connection's part.
    pub line: PreparedInfo,
    /// Headers are supported.
    pub headers: bool,
    /// Clients get a nonce to sign.
    pub nonce: bool,
    /// Clients must use TLS, those of the same process excepted.
    pub tls_required: bool,
}

impl Info {
    /// Prepares the line; `nonce` asks clients to sign one.
    pub fn new(server: &ServerInfo, nonce: bool) -> Self {
        Self {
            line: server.prepare(),
            headers: server.headers,
            nonce,
            tls_required: server.tls_required,
        }
    }
}

/// Everything that a connection reads of the server's configuration.
#[derive(Clone)]
pub struct Settings {
    /// Limits of a client.
    pub limits: Arc<Limits>,
    /// INFO.
    pub info: Arc<Info>,
    /// Who may connect.
    pub gate: Arc<Gate>,
    /// Raised at each replacement, so that a client sees that its copy is old.
    pub version: u64,
}
