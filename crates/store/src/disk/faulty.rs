//! A disk in memory that fails as disks do, the same way for the same seed.
//!
//! What is written is seen at once and lost in a power cut, unless it was synced: of what was not,
//! any sectors may have reached the disk, in any order. Names are lost likewise, from the last ones
//! backwards, as journalling file systems lose them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Disk, File};

/// What a torn write is torn into, unless it is said otherwise (bytes).
pub const SECTOR_BYTES: usize = 512;

/// How a read goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFault {
    /// It fails.
    Error,
    /// It finds what stood there before the last sync.
    Stale,
    /// It finds what stands a sector further on.
    Misdirected,
    /// One bit of it is wrong: this one of those that were read.
    Flipped(u64),
    /// It finds half of what was asked for.
    Short,
}

/// What goes wrong, and when. Operations are counted from 0; every call of the traits that changes
/// something is one.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// From this operation on nothing works any more: the power is gone.
    pub power_off_at: Option<u64>,
    /// These fail, with this error; of writes the first half may have been done.
    pub fail_at: BTreeMap<u64, io::ErrorKind>,
    /// Bytes that fit; more is `StorageFull`.
    pub room_bytes: Option<u64>,
    /// These reads go wrong; they are counted apart, from 0.
    pub reads: BTreeMap<u64, ReadFault>,
    /// What a torn write is torn into (bytes); `None` is `SECTOR_BYTES`.
    pub sector_bytes: Option<usize>,
}

/// Draws; the same ones for the same seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A row of draws.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit` (`SplitMix64`).
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit.max(1)
    }
}

type FileId = u64;

#[derive(Clone, Debug)]
enum Naming {
    Link(PathBuf, FileId),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

fn apply(names: &mut BTreeMap<PathBuf, FileId>, naming: &Naming) {
    match naming {
        Naming::Link(path, id) => {
            names.insert(path.clone(), *id);
        }
        Naming::Unlink(path) => {
            names.remove(path);
        }
        Naming::Rename(from, to) => {
            if let Some(id) = names.remove(from) {
                names.insert(to.clone(), id);
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    seen: Vec<u8>,
    /// What leads from the durable content to the seen one.
    unsynced: Vec<Change>,
    /// What was durable before the last sync.
    before: Vec<u8>,
}

impl Content {
    fn change(&mut self, change: Change) {
        make(&mut self.seen, &change, SECTOR_BYTES, |_| true);
        self.unsynced.push(change);
    }
}

impl Content {
    fn read(
        &self,
        buffer: &mut [u8],
        offset: usize,
        fault: Option<ReadFault>,
    ) -> io::Result<usize> {
        let (content, offset) = match fault {
            Some(ReadFault::Error) => return Err(io::Error::other("a sector that cannot be read")),
            Some(ReadFault::Stale) => (&self.before, offset),
            Some(ReadFault::Misdirected) => (&self.seen, offset + SECTOR_BYTES),
            _ => (&self.seen, offset),
        };
        let rest = content.get(offset..).unwrap_or_default();
        let mut count = rest.len().min(buffer.len());
        if fault == Some(ReadFault::Short) && count > 1 {
            count /= 2;
        }
        buffer[..count].copy_from_slice(&rest[..count]);
        if let Some(ReadFault::Flipped(bit)) = fault
            && count > 0
        {
            let bit = bit as usize % (count * 8);
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
        Ok(count)
    }
}

/// Does a change, of a write the sectors that `lands` lets pass.
fn make(
    content: &mut Vec<u8>,
    change: &Change,
    sector_bytes: usize,
    mut lands: impl FnMut(usize) -> bool,
) {
    match change {
        Change::Length(bytes) => content.resize(*bytes, 0),
        Change::Write(offset, bytes) => {
            let end = offset + bytes.len();
            let mut at = *offset;
            while at < end {
                let next = ((at / sector_bytes + 1) * sector_bytes).min(end);
                if lands(at / sector_bytes) {
                    if content.len() < next {
                        content.resize(next, 0);
                    }
                    content[at..next].copy_from_slice(&bytes[at - offset..next - offset]);
                }
                at = next;
            }
        }
    }
}

#[derive(Debug, Default)]
struct State {
    faults: Faults,
    operations: u64,
    reads: u64,
    next_id: FileId,
    files: BTreeMap<FileId, Content>,
    names: BTreeMap<PathBuf, FileId>,
    durable_names: BTreeMap<PathBuf, FileId>,
    unsynced_names: Vec<Naming>,
    folders: BTreeSet<PathBuf>,
    locked: BTreeSet<PathBuf>,
}

impl State {
    /// Counts an operation; says how it fails.
    fn step(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        if self.faults.power_off_at.is_some_and(|at| number >= at) {
            return Err(io::Error::other("the power is off"));
        }
        match self.faults.fail_at.get(&number) {
            Some(kind) => Err((*kind).into()),
            None => Ok(()),
        }
    }

    fn name(&mut self, naming: Naming) {
        apply(&mut self.names, &naming);
        self.unsynced_names.push(naming);
    }

    fn has_room(&self, id: FileId, end: usize) -> bool {
        let Some(room) = self.faults.room_bytes else { return true };
        let kept = self.names.values().collect::<BTreeSet<_>>();
        let others: usize = kept
            .iter()
            .filter(|other| ***other != id)
            .map(|other| self.files[*other].seen.len())
            .sum();
        let own = self.files[&id].seen.len().max(end);
        (others + own) as u64 <= room
    }
}

/// A disk of this kind; clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

impl FaultyDisk {
    /// An empty disk.
    pub fn new(faults: Faults) -> Self {
        let disk = Self::default();
        disk.state().faults = faults;
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// While it lives, every operation waits.
    #[must_use]
    pub fn held(&self) -> impl Drop + '_ {
        self.state()
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How many reads there were.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// Other faults from now on; the counts go on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// The disk as it is found after a power cut, without faults.
    #[must_use]
    pub fn after_power_cut(&self, dice: &mut Dice) -> Self {
        let state = self.state();
        let mut names = state.durable_names.clone();
        let kept = dice.below(state.unsynced_names.len() as u64 + 1) as usize;
        for naming in &state.unsynced_names[..kept] {
            apply(&mut names, naming);
        }
        let sector_bytes = state.faults.sector_bytes.unwrap_or(SECTOR_BYTES);
        let mut files = BTreeMap::new();
        for (&id, content) in &state.files {
            let mut found = content.durable.clone();
            for change in &content.unsynced {
                // Whole, not at all, or some sectors of it.
                let fate = dice.below(3);
                if fate != 0 {
                    make(&mut found, change, sector_bytes, |_| fate == 1 || dice.below(2) == 0);
                }
            }
            let (durable, seen, before) = (found.clone(), found, content.before.clone());
            files.insert(id, Content { durable, seen, unsynced: Vec::new(), before });
        }
        let after = State {
            next_id: state.next_id,
            files,
            durable_names: names.clone(),
            names,
            folders: state.folders.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// The same content on another disk, without faults.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.state();
        let copied = State {
            next_id: state.next_id,
            files: state.files.clone(),
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            unsynced_names: state.unsynced_names.clone(),
            folders: state.folders.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(copied)) }
    }

    /// Every file that there is, with its length (bytes).
    pub fn files(&self) -> Vec<(PathBuf, usize)> {
        let state = self.state();
        state.names.iter().map(|(path, id)| (path.clone(), state.files[id].seen.len())).collect()
    }

    /// Changes a file behind the store's back, durably.
    ///
    /// # Panics
    /// There is no such file.
    pub fn damage(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let id = state.names[path];
        if let Some(content) = state.files.get_mut(&id) {
            change(&mut content.seen);
            content.durable = content.seen.clone();
            content.unsynced.clear();
        }
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Disk for FaultyDisk {
    type File = FaultyFile;
    type Lock = FaultyLock;

    fn create(&self, path: &Path) -> io::Result<FaultyFile> {
        let mut state = self.state();
        state.step()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let id = state.next_id;
        state.next_id += 1;
        state.files.insert(id, Content::default());
        state.name(Naming::Link(path.to_owned(), id));
        Ok(FaultyFile { state: self.state.clone(), id })
    }

    fn open(&self, path: &Path) -> io::Result<FaultyFile> {
        let mut state = self.state();
        state.step()?;
        let id = *state.names.get(path).ok_or_else(not_found)?;
        Ok(FaultyFile { state: self.state.clone(), id })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if !state.names.contains_key(from) {
            return Err(not_found());
        }
        state.name(Naming::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if !state.names.contains_key(path) {
            return Err(not_found());
        }
        state.name(Naming::Unlink(path.to_owned()));
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        if !state.folders.contains(folder) {
            return Err(not_found());
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(inside.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    fn create_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.folders.insert(path.to_owned());
        Ok(())
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if state.names.keys().any(|name| name.parent() == Some(path)) {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        state.folders.remove(path);
        Ok(())
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        state.unsynced_names.clear();
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<FaultyLock> {
        if !self.state().locked.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(FaultyLock { state: self.state.clone(), path: path.to_owned() })
    }
}

/// A lock of such a disk.
#[derive(Debug)]
pub struct FaultyLock {
    state: Arc<Mutex<State>>,
    path: PathBuf,
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).locked.remove(&self.path);
    }
}

/// An open file of such a disk.
#[derive(Debug)]
pub struct FaultyFile {
    state: Arc<Mutex<State>>,
    id: FileId,
}

impl FaultyFile {
    fn with<T>(&self, work: impl FnOnce(&mut State, FileId) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), self.id)
    }
}

impl State {
    fn content(&mut self, id: FileId) -> &mut Content {
        self.files.entry(id).or_default()
    }

    fn write(&mut self, id: FileId, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = offset as usize;
        if let Err(error) = self.step() {
            let half = bytes[..bytes.len() / 2].to_vec();
            self.content(id).change(Change::Write(offset, half));
            return Err(error);
        }
        if !self.has_room(id, offset + bytes.len()) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.content(id).change(Change::Write(offset, bytes.to_vec()));
        Ok(())
    }

    /// A sync that fails drops what waited for it: what is seen is what is durable.
    fn sync(&mut self, id: FileId) -> io::Result<()> {
        let result = self.step();
        let is_off = self.faults.power_off_at.is_some_and(|at| self.operations > at);
        let content = self.content(id);
        if result.is_ok() {
            content.before = std::mem::replace(&mut content.durable, content.seen.clone());
            content.unsynced.clear();
        } else if !is_off {
            content.unsynced.clear();
            content.seen.clone_from(&content.durable);
        }
        result
    }
}

impl File for FaultyFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.with(|state, id| state.content(id).seen.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.with(|state, id| {
            let number = state.reads;
            state.reads += 1;
            let fault = state.faults.reads.get(&number).copied();
            state.content(id).read(buffer, offset as usize, fault)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, id| state.write(id, bytes, offset))
    }

    fn write_durably_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.write(id, bytes, offset)?;
            state.sync(id)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.with(State::sync)
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let has_room = self.with(|state, id| state.has_room(id, bytes as usize));
        if has_room { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.with(|state, id| {
            state.step()?;
            if !state.has_room(id, bytes as usize) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            state.content(id).change(Change::Length(bytes as usize));
            Ok(())
        })
    }
}
