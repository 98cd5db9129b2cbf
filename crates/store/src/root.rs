//! The store's directory: whose it is, and that nobody else uses it.

use std::fmt;
use std::io;
use std::path::Path;

use crate::bytes::u64_at;
use crate::disk::{Disk, File, read_up_to};
use crate::header_block::{self, BLOCK_BYTES, Found};

#[cfg(test)]
mod tests;

const NAME: [u8; 7] = *b"KBSTORE";
const FIELDS_BYTES: usize = 16;
const FILE: &str = "store";
const BESIDE: &str = "store.new";
const LOCK: &str = "lock";

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 2;

/// What keeps a store from being opened.
#[derive(Debug)]
pub enum RootError {
    /// Another process has it open.
    Locked,
    /// The disk refused.
    Disk {
        /// At what.
        doing: &'static str,
        /// Why.
        error: io::Error,
    },
    /// Of a format that this program does not know.
    Version(u8),
    /// The file that says whose store it is cannot be read.
    Damaged,
    /// There are files of a store, but not the one that says whose.
    Nameless {
        /// One of them.
        found: String,
    },
}

impl fmt::Display for RootError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => formatter.write_str("the store is used by another process"),
            Self::Disk { doing, error } => write!(formatter, "{doing}: {error}"),
            Self::Version(version) => write!(
                formatter,
                "the store is of format {version}, and this program knows {VERSION}: open it with \
                 the program that wrote it"
            ),
            Self::Damaged => {
                write!(formatter, "the file `{FILE}` of the store is damaged: put its copy back")
            }
            Self::Nameless { found } => write!(
                formatter,
                "the directory holds `{found}` and no file `{FILE}`: it is no store, or that file \
                 was lost"
            ),
        }
    }
}

impl std::error::Error for RootError {}

/// A store that is open, and locked.
pub struct Root<D: Disk> {
    /// Drawn when the store was made. Every file of it carries the number.
    pub store: u128,
    /// One of the copies of the number is damaged; the other one served.
    pub is_damaged: bool,
    _lock: D::Lock,
}

impl<D: Disk> Root<D> {
    /// Opens a store, or makes one with the number `drawn` in a directory that is empty.
    ///
    /// # Errors
    /// It is in use, of another version, damaged, or something else than a store.
    pub fn open(on: &D, drawn: u128) -> Result<Self, RootError> {
        let top = Path::new("");
        on.create_folder(top).map_err(refused("make the store's directory"))?;
        let lock = on.lock(Path::new(LOCK)).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => RootError::Locked,
            _ => RootError::Disk { doing: "lock the store", error },
        })?;
        let names = on.list(top).map_err(refused("list the store's directory"))?;
        if !names.iter().any(|name| name == FILE) {
            if let Some(found) = names.into_iter().find(|name| name != LOCK && name != BESIDE) {
                return Err(RootError::Nameless { found });
            }
            make(on, drawn).map_err(refused("make the store"))?;
        }
        let read = || read_up_to(&on.open(Path::new(FILE))?, 0, BLOCK_BYTES);
        let block = read().map_err(refused("read the store's file"))?;
        match header_block::find(&block, NAME, VERSION, FIELDS_BYTES) {
            Found::Fields(fields, is_damaged) => {
                let store = u128::from(u64_at(fields, 0)) | u128::from(u64_at(fields, 8)) << 64;
                Ok(Self { store, is_damaged, _lock: lock })
            }
            Found::Version(version) => Err(RootError::Version(version)),
            Found::Nothing => Err(RootError::Damaged),
        }
    }
}

fn make<D: Disk>(on: &D, number: u128) -> io::Result<()> {
    let beside = Path::new(BESIDE);
    match on.remove(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = on.create(beside)?;
    file.write_durably_at(&header_block::encode(NAME, VERSION, &number.to_le_bytes()), 0)?;
    on.rename(beside, Path::new(FILE))?;
    on.sync_folder(Path::new(""))
}

fn refused(doing: &'static str) -> impl FnOnce(io::Error) -> RootError {
    move |error| RootError::Disk { doing, error }
}
