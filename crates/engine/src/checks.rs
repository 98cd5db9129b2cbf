//! A server without sockets, and rules that must hold for whatever a client sends it; the unit
//! tests, the corpus test and the fuzz target share them. Not part of the product: built for
//! tests and with the feature `checks` only.
//!
//! Each rule panics when it is broken.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used)]

#[cfg(test)]
mod corpus;
pub mod ingest;
pub mod server;
