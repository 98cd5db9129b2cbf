//! TLS, all of it: a listener's compiled configuration, and a transport that encrypts.

mod config;
mod peer;
mod transport;

pub use config::{TlsConfig, TlsOptions};
pub(crate) use transport::TLS_ROOM_BYTES;

/// The first byte of a record with which a handshake begins.
pub(crate) const HANDSHAKE_RECORD: u8 = 0x16;
