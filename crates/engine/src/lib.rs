//! A message's way through the server: publish, match, deliver; a connection as state and
//! bounded buffers. Time is an argument; there are no threads and no sockets here.
//!
//! A reactor thread owns one [`Worker`] and the [`Client`]s that it reads from. It hands each
//! chunk of input to [`Worker::ingest`] and calls [`Worker::flush`] once a turn.

pub mod account;
pub mod allowance;
#[cfg(any(test, feature = "checks"))]
pub mod checks;
pub mod client;
pub mod clock;
pub mod closed;
pub mod connection;
pub mod deliver;
pub mod events;
mod frames;
pub mod gate;
pub mod hub;
pub mod identity;
pub mod ingest;
pub mod keepalive;
pub mod log;
pub mod outbound;
mod own;
pub mod page;
pub mod proposals;
pub mod publish;
pub mod receiver;
pub mod reload;
pub mod session;
pub mod settings;
pub mod stage;
pub mod streams;
pub mod subscription;
pub mod targets;
#[cfg(test)]
mod tests;
mod tracing;
pub mod worker;

pub use account::Account;
pub use client::Client;
pub use connection::Connection;
pub use hub::Hub;
pub use worker::Worker;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, and goes on after a panic elsewhere: every state behind our locks is whole between
/// two statements, and a panic ends one connection, not the server.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
