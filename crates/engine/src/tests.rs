//! The engine from the outside: bytes in, bytes out, time moved by hand.
#![allow(clippy::unwrap_used, clippy::format_push_string)]

mod accounts;
mod counters;
mod delivery;
mod frames;
mod gate;
mod keepalive;
mod log;
mod outbound;
mod permissions;
mod queues;
mod reload;
mod requests;
mod slow_consumers;
mod snapshots;
mod subscriptions;
mod threads;
mod tracing;
