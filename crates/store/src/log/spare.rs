//! Log files that are ready for use. On a full disk they are what room there is for all else.

use super::{Log, LogError, SPARE_SUFFIX, disk, path_of};
use crate::disk::{Disk, File};

/// Written at once when a spare file is filled (bytes).
const FILL_BYTES: usize = 1 << 20;

/// A spare file that is to be filled, apart from the log: it takes its time.
#[derive(Clone, Copy, Debug)]
pub struct Spare {
    ordinal: u64,
    bytes: u32,
}

impl Spare {
    /// Makes and fills it; one that cannot be filled does not stay.
    ///
    /// # Errors
    /// The disk refused.
    pub fn fill<D: Disk>(self, on: &D) -> Result<(), LogError> {
        let path = path_of(self.ordinal, SPARE_SUFFIX);
        let file = on.create(&path).map_err(disk("make a spare log file"))?;
        let filled = self.fill_file(&file);
        if filled.is_err() {
            // What stays after all is not used.
            let _ = on.remove(&path);
        }
        filled
    }

    fn fill_file(self, file: &impl File) -> Result<(), LogError> {
        file.reserve(u64::from(self.bytes)).map_err(disk("make room for a spare log file"))?;
        let zeros = vec![0; FILL_BYTES.min(self.bytes as usize)];
        let mut at = 0;
        while at < self.bytes as usize {
            let bytes = zeros.len().min(self.bytes as usize - at);
            file.write_at(&zeros[..bytes], at as u64).map_err(disk("fill a spare log file"))?;
            at += bytes;
        }
        file.sync().map_err(disk("sync a spare log file"))
    }
}

impl<D: Disk> Log<D> {
    /// A file to make ready for use, unless there is one: blocks that were written before are safe
    /// sooner. `add_spare` tells that it is.
    pub fn wanted_spare(&mut self) -> Option<Spare> {
        let is_wanted = self.spares.is_empty() && self.options.spares > 0;
        is_wanted.then(|| Spare { ordinal: self.take_ordinal(), bytes: self.options.file_bytes })
    }

    /// Whether the disk has room for a spare file, where it says so: nothing is left behind.
    ///
    /// # Errors
    /// It has not, or the disk refused.
    pub fn look_for_room(&mut self) -> Result<(), LogError> {
        let path = path_of(self.take_ordinal(), SPARE_SUFFIX);
        let file = self.disk.create(&path).map_err(disk("make a spare log file"))?;
        let room = file.reserve(u64::from(self.options.file_bytes));
        let removed = self.disk.remove(&path);
        room.and(removed).map_err(disk("make room for a spare log file"))
    }

    /// Gives up spare files: what else must be written has their room.
    pub fn remove_spares(&mut self) {
        // One that stays is used when the log is opened again.
        for ordinal in self.spares.drain(..) {
            let _ = self.disk.remove(&path_of(ordinal, SPARE_SUFFIX));
        }
    }

    /// Whether a spare file is ready.
    pub fn has_spare(&self) -> bool {
        !self.spares.is_empty()
    }

    /// A spare file is ready.
    pub fn add_spare(&mut self, spare: Spare) {
        self.spares.push(spare.ordinal);
    }
}
