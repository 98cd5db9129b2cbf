//! Threads, sockets, TLS, timers: what moves bytes between the engine and the world.
//!
//! Each thread polls its own connections, reads one chunk of each that is ready, and writes
//! what the engine staged once a turn. The thread that staged bytes for a connection writes
//! them itself, whoever owns it: ownership is of reading.

mod admission;
mod alarm;
mod close;
pub mod command;
mod expiry_clock;
mod handshake;
pub mod listener;
mod local;
pub mod pipe;
mod poller;
mod proxy;
mod reactor;
mod slot;
mod snapshot;
mod socket;
mod stall;
mod system;
mod tender;
mod thread;
mod throttle;
mod timers;
pub mod tls;
mod turn;

pub use command::Command;
pub use listener::ListenerOptions;
pub use poller::Waker;
pub use reactor::Reactor;
pub use snapshot::SublistStats;
