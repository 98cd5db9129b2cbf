//! Where messages are kept: the log that makes an acknowledgement a promise, and the state of a
//! stream in memory.
//!
//! The disk is a trait. No clock is read and no random number is drawn here: both are arguments.

pub mod commit;
pub mod disk;
pub mod log;
pub mod stream;
