//! Threads, sockets, TLS, timers: what moves bytes between the engine and the world.
//!
//! Each thread polls its own connections, reads one chunk of each that is ready, and writes
//! what the engine staged once a turn. The thread that staged bytes for a connection writes
//! them itself, whoever owns it: ownership is of reading.

pub mod command;
pub mod listener;
pub mod pipe;
mod poller;
mod reactor;
mod slot;
mod socket;
mod thread;
mod timers;
mod turn;
mod close;
mod stall;
pub mod tls;
mod handshake;

pub use command::Command;
pub use listener::ListenerOptions;
pub use reactor::Reactor;
pub use poller::Waker;
