//! Rules that must hold for any bytes; the unit tests, the corpus test and the fuzz targets share
//! them. Not part of the product: built for tests and with the feature `checks` only.
//!
//! Each panics when its rule is broken.
#![allow(clippy::missing_panics_doc)]

pub mod client;
pub mod connect;
#[cfg(test)]
mod corpus;
mod plain;
