//! Protocols as bytes: parsers and writers, one file per protocol. Bytes in, operations out.
//! Knows no socket, no clock, no account.
#![forbid(unsafe_code)]

pub mod client;
mod quote;
