//! Protocols as bytes: parsers and writers, one file per protocol. Bytes in, operations out.
//! Knows no socket, no clock, no account.
#![forbid(unsafe_code)]

#[cfg(any(test, feature = "checks"))]
pub mod checks;
pub mod client;
pub mod connect;
pub mod errors;
pub mod info;
mod json;
pub mod proxy;
pub mod quote;
pub mod trace;

pub use json::JsonError;
