//! Where messages are kept: the log that makes an acknowledgement a promise, the state of a
//! stream in memory, and its files.
//!
//! The disk is a trait. No clock is read and no random number is drawn here: both are arguments.

pub mod archive;
mod bytes;
pub mod check;
pub mod commit;
pub mod disk;
pub mod durable;
mod header_block;
pub mod log;
pub mod manifest;
pub mod meta;
pub mod root;
pub mod segment;
pub mod store;
pub mod stream;
