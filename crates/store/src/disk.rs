//! Files, as the store reaches them.
//!
//! One trait, so that tests can put a faulty disk below the very code that ships. Paths are relative
//! to the store's directory.

#[cfg(feature = "checks")]
pub mod faulty;
pub mod overlay;
pub mod real;

use std::io;
use std::path::Path;

/// A directory of files.
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// Holds a lock while it lives.
    type Lock: Send + Sync;

    /// A new, empty file. It may vanish in a power cut until its folder is synced.
    ///
    /// # Errors
    /// It exists, or the disk refuses.
    fn create(&self, path: &Path) -> io::Result<Self::File>;

    /// An existing file, for reading and writing.
    ///
    /// # Errors
    /// It does not exist, or the disk refuses.
    fn open(&self, path: &Path) -> io::Result<Self::File>;

    /// An existing file, for durable writes that go past the system's cache, in whole blocks: see
    /// [`File::block_bytes`]. As `open` where that cannot be.
    ///
    /// # Errors
    /// It does not exist, or the disk refuses.
    fn open_direct(&self, path: &Path) -> io::Result<Self::File> {
        self.open(path)
    }

    /// Gives a file another name, in the place of one that may have it.
    ///
    /// # Errors
    /// The disk refuses.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// The disk refuses.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// There is no such folder, or the disk refuses.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes a folder, with those above it, unless it is there.
    ///
    /// # Errors
    /// The disk refuses.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// Removes a folder without files.
    ///
    /// # Errors
    /// There are files in it, or the disk refuses.
    fn remove_folder(&self, path: &Path) -> io::Result<()>;

    /// Puts the names of a folder on stable storage.
    ///
    /// # Errors
    /// The disk refuses; nothing is known about names that changed since the last sync.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;

    /// Takes the lock that a file stands for; it is made when it is not there.
    ///
    /// # Errors
    /// `WouldBlock` while another holds it, or the disk refuses.
    fn lock(&self, path: &Path) -> io::Result<Self::Lock>;
}

/// Whether a disk refused because it has no room: it may have again.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

/// An open file.
pub trait File: Send + Sync {
    /// Its length (bytes).
    ///
    /// # Errors
    /// The disk refuses.
    fn bytes(&self) -> io::Result<u64>;

    /// Writes begin and end at multiples of this (bytes).
    fn block_bytes(&self) -> usize {
        1
    }

    /// Takes the place for so many bytes, all or nothing, where the disk can.
    ///
    /// # Errors
    /// There is not so much, or the disk refuses.
    fn reserve(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    /// Reads what is there, up to the length of `buffer`; 0 at the end.
    ///
    /// # Errors
    /// The disk refuses.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes`. They are on stable storage after `sync`.
    ///
    /// # Errors
    /// The disk refuses; any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes`, and returns when they, and a length that grew, are on stable storage.
    ///
    /// # Errors
    /// The disk refuses: nothing is known about them, and trying again would prove nothing.
    fn write_durably_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Puts everything that was written on stable storage.
    ///
    /// # Errors
    /// The disk refuses: nothing is known about what was written since the last success, and trying
    /// again would prove nothing (the system may have dropped what it could not write).
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file, or makes it longer by zeros.
    ///
    /// # Errors
    /// The disk refuses.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
}

/// Reads `bytes` from `offset`, or as much as there is.
///
/// # Errors
/// As [`File::read_at`].
pub fn read_up_to(file: &impl File, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; bytes];
    let mut filled = 0;
    while filled < bytes {
        match file.read_at(&mut content[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    content.truncate(filled);
    Ok(content)
}
