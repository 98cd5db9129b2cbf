//! What happens to a message that is published to a stream, and to a request for one that is stored.
//!
//! No socket, no connection, no clock: times are arguments.

pub mod ack;
pub mod atomic;
pub mod counter;
pub mod direct;
mod duration;
pub mod errors;
pub mod fast;
pub mod headers;
pub mod policy;
pub mod publish;
pub mod republish;
pub mod restore;
pub mod schedule;
mod time;
