//! What a folder of the store remembers: bytes that are replaced as a whole, each time under the next
//! *generation*, in two files one after the other.
//!
//! A file is written beside, and takes the name when it is safe: one that does not check is damaged,
//! never torn. The first file is written first, so the second may be one generation behind; anything
//! else is a file from another time.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::bytes::u64_at;
use crate::disk::{Disk, File, is_full, read_up_to};
use crate::header_block::{self, BLOCK_BYTES};

#[cfg(test)]
mod tests;

const NAME: [u8; 7] = *b"KBMAN\0\0";
const FIELDS_BYTES: usize = 40;
const FILES: [&str; 2] = ["manifest.1", "manifest.2"];
const BESIDE: &str = "manifest.new";

/// The format that is written, and the only one that is read.
pub const VERSION: u8 = 2;

/// The longest content (bytes): far above what a store of a hundred thousand streams remembers.
const CONTENT_BYTES_MAX: usize = 1 << 30;

/// What keeps a manifest from being read or written.
#[derive(Debug)]
pub enum ManifestError {
    /// The disk refused.
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Of a format that this program does not know.
    Version {
        /// Which file.
        path: PathBuf,
        /// What it says.
        version: u8,
    },
    /// Both files are damaged.
    Lost {
        /// In which folder.
        folder: PathBuf,
    },
}

impl ManifestError {
    /// Whether the disk has no room.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Disk { error, .. } if is_full(error))
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { path, error } => write!(formatter, "{}: {error}", path.display()),
            Self::Version { path, version } => {
                header_block::show_version(formatter, path, *version, VERSION)
            }
            Self::Lost { folder } => {
                write!(formatter, "{}: both manifests are damaged", folder.display())
            }
        }
    }
}

impl std::error::Error for ManifestError {}

/// What is not as it was written. Nothing is removed for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A copy of a file's header; the other one served.
    Header(PathBuf),
    /// A file does not check; the other one served.
    File(PathBuf),
    /// A file is not there; the other one served.
    Missing(PathBuf),
    /// A file is of an earlier generation than it can be; the other one served.
    Earlier(PathBuf),
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, what) = match self {
            Self::Header(path) => (path, "a copy of its header is damaged"),
            Self::File(path) => (path, "it is damaged"),
            Self::Missing(path) => (path, "it is not there"),
            Self::Earlier(path) => (path, "it is of an earlier generation than it can be"),
        };
        write!(formatter, "{}: {what}; the other one served", path.display())
    }
}

/// The manifest of a folder.
pub struct Manifest<D: Disk> {
    disk: D,
    folder: PathBuf,
    store: u128,
    generation: u64,
}

struct Found {
    generation: u64,
    content: Vec<u8>,
}

impl<D: Disk> Manifest<D> {
    /// Opens the manifest of a folder: its content, or `None` where there never was one.
    ///
    /// # Errors
    /// The disk refused, a file is of another version, or both are damaged.
    #[allow(clippy::type_complexity)] // Three things that are used apart.
    pub fn open(
        disk: D,
        folder: &Path,
        store: u128,
    ) -> Result<(Self, Option<Vec<u8>>, Vec<Damage>), ManifestError> {
        let refused = |error| ManifestError::Disk { path: folder.to_owned(), error };
        disk.create_folder(folder).map_err(refused)?;
        let mut manifest = Self { disk, folder: folder.to_owned(), store, generation: 0 };
        let mut damage = Vec::new();
        let first = manifest.read(FILES[0], &mut damage)?;
        let second = manifest.read(FILES[1], &mut damage)?;
        let was_never =
            damage.len() == 2 && damage.iter().all(|damage| matches!(damage, Damage::Missing(_)));
        if was_never {
            return Ok((manifest, None, Vec::new()));
        }
        let [one, other] = [&first, &second].map(|it| it.as_ref().map_or(0, |it| it.generation));
        if first.is_some() && second.is_some() && one != other && one != other + 1 {
            damage.push(Damage::Earlier(manifest.path(FILES[usize::from(one > other)])));
        }
        // The first manifest ever may have been cut off behind its first file.
        if second.is_none() && one == 1 {
            damage.retain(|it| *it != Damage::Missing(manifest.path(FILES[1])));
        }
        let newest = if one >= other { first } else { second };
        let Some(Found { generation, content }) = newest else {
            return Err(ManifestError::Lost { folder: folder.to_owned() });
        };
        manifest.generation = generation;
        Ok((manifest, Some(content), damage))
    }

    /// Replaces the content; it is safe when this returns.
    ///
    /// # Errors
    /// The disk refused: what is found later is the content of before, or this one.
    pub fn write(&mut self, content: &[u8]) -> Result<(), ManifestError> {
        let refused = |error| ManifestError::Disk { path: self.folder.clone(), error };
        if content.len() > CONTENT_BYTES_MAX {
            return Err(refused(io::ErrorKind::FileTooLarge.into()));
        }
        // A generation that failed is not used again: it may be found later.
        self.generation += 1;
        let bytes = self.encode(content);
        for name in FILES {
            self.replace(name, &bytes).map_err(refused)?;
        }
        Ok(())
    }

    /// Counted from 1; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn encode(&self, content: &[u8]) -> Vec<u8> {
        let check = xxh3_64_with_seed(content, self.generation);
        let mut fields = self.store.to_le_bytes().to_vec();
        for field in [self.generation, content.len() as u64, check] {
            fields.extend_from_slice(&field.to_le_bytes());
        }
        let mut bytes = header_block::encode(NAME, VERSION, &fields);
        bytes.extend_from_slice(content);
        bytes
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let beside = self.path(BESIDE);
        match self.disk.remove(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = self.disk.create(&beside)?;
        file.write_durably_at(bytes, 0)?;
        self.disk.rename(&beside, &self.path(name))?;
        self.disk.sync_folder(&self.folder)
    }

    fn read(&self, name: &str, damage: &mut Vec<Damage>) -> Result<Option<Found>, ManifestError> {
        let path = self.path(name);
        let read = || {
            let file = self.disk.open(&path)?;
            let bytes = (file.bytes()? as usize).min(BLOCK_BYTES + CONTENT_BYTES_MAX + 1);
            read_up_to(&file, 0, bytes)
        };
        let bytes = match read() {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                damage.push(Damage::Missing(path));
                return Ok(None);
            }
            Err(error) => return Err(ManifestError::Disk { path, error }),
        };
        match header_block::find(&bytes, NAME, VERSION, FIELDS_BYTES) {
            header_block::Found::Version(version) => Err(ManifestError::Version { path, version }),
            header_block::Found::Fields(fields, is_damaged) => {
                let content = bytes.get(BLOCK_BYTES..);
                let found = content.and_then(|content| self.decode(fields, content));
                if found.is_none() {
                    damage.push(Damage::File(path));
                } else if is_damaged {
                    damage.push(Damage::Header(path));
                }
                Ok(found)
            }
            header_block::Found::Nothing => {
                damage.push(Damage::File(path));
                Ok(None)
            }
        }
    }

    fn decode(&self, fields: &[u8], content: &[u8]) -> Option<Found> {
        let [low, high, generation, bytes, check] = [0, 8, 16, 24, 32].map(|at| u64_at(fields, at));
        let is_whole = u128::from(low) | u128::from(high) << 64 == self.store
            && content.len() as u64 == bytes
            && xxh3_64_with_seed(content, generation) == check;
        is_whole.then(|| Found { generation, content: content.to_vec() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}
