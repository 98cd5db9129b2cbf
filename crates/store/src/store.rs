//! A store that is opened: its streams as their last checkpoints had them, and what the log holds
//! beyond.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::durable::{Config, Durable, DurableError, SEGMENT_BYTES};
use crate::log::{self, Entry, Log, LogError, Position};
use crate::manifest::{Manifest, ManifestError};
use crate::meta::{self, Change, Meta, Reach, StreamRecord};
use crate::root::{Root, RootError};
use crate::segment::SegmentError;
use crate::stream;

#[cfg(test)]
mod tests;

/// The folder of a stream's folders.
const STREAMS: &str = "streams";

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A log file's length (bytes).
    pub log_file_bytes: u32,
    /// Log files that are kept for reuse.
    pub log_spares: usize,
    /// Whether an acknowledgement may come before what it promises is on stable storage.
    pub is_lazy: bool,
    /// Drawn at random: the number of a store that is made, and what keeps strangers from choosing
    /// subjects that collide.
    pub drawn: u128,
    /// A segment of a stream is full at this size (bytes).
    pub segment_bytes: u64,
    /// What may be submitted and not yet be safe (bytes); more is refused.
    pub waiting_bytes_max: usize,
}

/// As nats-server's `max_buffered_size`.
const WAITING_BYTES_MAX: usize = 128 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            log_file_bytes: LOG_FILE_BYTES,
            log_spares: LOG_SPARES,
            is_lazy: false,
            drawn: 0,
            segment_bytes: SEGMENT_BYTES,
            waiting_bytes_max: WAITING_BYTES_MAX,
        }
    }
}

/// A log file's length (bytes): filled ahead of use, so a new store takes that much once it is used.
const LOG_FILE_BYTES: u32 = 64 << 20;

/// Log files that are kept for reuse.
const LOG_SPARES: usize = 2;

/// What keeps a store from being opened.
#[derive(Debug)]
pub enum StoreError {
    /// It is no store, in use, or the disk refused.
    Root(RootError),
    /// Which streams there are cannot be read.
    Manifest(ManifestError),
    /// The log.
    Log(LogError),
    /// A stream.
    Stream {
        /// Its name.
        name: String,
        /// Why.
        error: DurableError,
    },
    /// An entry that no version of this program writes.
    Entry {
        /// Where it stands.
        at: Position,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(error) => error.fmt(formatter),
            Self::Manifest(error) => error.fmt(formatter),
            Self::Log(error) => error.fmt(formatter),
            Self::Stream { name, error } => write!(formatter, "the stream {name:?}: {error}"),
            Self::Entry { at } => write!(
                formatter,
                "the entry at {} of the log's file {:016x} is of a kind that this program does not \
                 know: open the store with the program that wrote it",
                at.offset, at.file
            ),
        }
    }
}

impl std::error::Error for StoreError {}

impl StoreError {
    /// Whether it is the store that is not as it was written.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Root(error) => matches!(error, RootError::Damaged | RootError::Nameless { .. }),
            Self::Manifest(error) => matches!(error, ManifestError::Lost { .. }),
            Self::Stream { error, .. } => !is_version(error),
            Self::Log(_) | Self::Entry { .. } => false,
        }
    }
}

/// Which streams there are, and what remembers it.
pub struct MetaKeeper<D: Disk> {
    /// The streams.
    pub meta: Meta,
    manifest: Manifest<D>,
    /// Nothing of the log before it is needed.
    needed: Position,
}

impl<D: Disk> MetaKeeper<D> {
    /// Applies a change.
    pub fn apply(&mut self, change: Change) {
        self.meta.apply(change);
    }

    /// Writes the manifest: all changes before `applied` are safe in it, and the log may be trimmed up
    /// to the place that this gives: `needed`, unless more was not needed before. (A stream that was
    /// quiet for long names an old place, and needs only what came since.)
    ///
    /// # Errors
    /// The disk refused.
    pub fn save(&mut self, reach: Reach) -> Result<Position, ManifestError> {
        let needed = self.needed.max(reach.needed);
        self.manifest.write(&self.meta.encode(Reach { needed, ..reach }))?;
        self.needed = needed;
        Ok(needed)
    }
}

/// A store that is open.
pub struct Store<D: Disk + Clone> {
    /// Whose it is; held as long as it is used.
    pub root: Root<D>,
    /// Which streams there are.
    pub meta: MetaKeeper<D>,
    /// Their states, by group.
    pub streams: BTreeMap<u32, Durable<D>>,
    /// By group, what of the log is in a stream's files: the rest was applied again, and is not.
    pub checkpointed: BTreeMap<u32, Position>,
    /// What goes on.
    pub log: Log<D>,
    /// All before it was applied.
    pub applied: Position,
    /// What is not as it was written, each named by its file. Nothing is removed for it.
    pub damage: Vec<String>,
    /// All streams are open: a log that is trimmed loses nothing of one that is not.
    pub may_trim: bool,
}

impl<D: Disk + Clone> Store<D> {
    /// Opens a store, or makes one in a directory that is empty.
    ///
    /// # Errors
    /// It cannot be used as it is; nothing was removed.
    pub fn open(disk: &D, options: &Options) -> Result<Self, StoreError> {
        let root = Root::open(disk, options.drawn).map_err(StoreError::Root)?;
        let top = Path::new("");
        let (manifest, content, damaged) =
            Manifest::open(disk.clone(), top, root.store).map_err(StoreError::Manifest)?;
        let mut damage = named("the store's manifest", damaged);
        if root.is_damaged {
            damage.push("a copy of the store's number is damaged: the other one served".to_owned());
        }
        let (meta, reach) = match content.as_deref().map(Meta::decode) {
            None => (Meta::default(), Reach::default()),
            Some(Some(found)) => found,
            Some(None) => {
                let folder = PathBuf::new();
                return Err(StoreError::Manifest(ManifestError::Lost { folder }));
            }
        };
        let (mut streams, mut unopened) = (BTreeMap::new(), BTreeMap::new());
        let mut checkpointed = BTreeMap::new();
        for record in meta.streams() {
            let config = config_of(&root, record.group, options);
            match Durable::open(disk.clone(), &folder_of(record.group), config) {
                Ok((stream, found)) => {
                    damage.extend(named(&record.name, found));
                    checkpointed.insert(record.group, stream.applied());
                    streams.insert(record.group, stream);
                }
                // Another version is no damage, and would be done harm by going on.
                Err(error) if is_version(&error) => return Err(of_stream(record)(error)),
                // It may have been deleted by an entry that is applied below.
                Err(error) => {
                    unopened.insert(record.group, error.to_string());
                }
            }
        }
        // A stream may have been quiet since long before the log was trimmed.
        let meta_applied = reach.applied;
        let from = streams.values().map(Durable::applied).fold(meta_applied, Position::min);
        let from = from.max(reach.needed);
        let mut replay = Replay {
            disk,
            root: &root,
            options,
            meta: MetaKeeper { meta, manifest, needed: reach.needed },
            meta_applied,
            streams,
            checkpointed,
            failure: None,
        };
        let log_options = log::Options {
            store: root.store,
            file_bytes: options.log_file_bytes,
            spares: options.log_spares,
            is_lazy: options.is_lazy,
        };
        let opened = Log::open(disk.clone(), log_options, from, |entry| replay.visit(entry));
        let (log, damaged) = opened.map_err(StoreError::Log)?;
        damage.extend(named("the log", damaged));
        let Replay { meta, streams, checkpointed, failure, .. } = replay;
        if let Some(failure) = failure {
            return Err(failure);
        }
        unopened.retain(|group, _| meta.meta.stream(*group).is_some());
        let what = unopened.iter().map(|(group, why)| {
            let record = meta.meta.stream(*group);
            let name = record.map(|record| record.name.as_str()).unwrap_or_default();
            format!("the stream {name:?} cannot be opened, and is kept as it is: {why}")
        });
        damage.extend(what);
        let applied = log.end();
        let may_trim = unopened.is_empty();
        Ok(Self { root, meta, streams, checkpointed, log, applied, damage, may_trim })
    }
}

/// The entries of the log, as they are applied again.
struct Replay<'a, D: Disk + Clone> {
    disk: &'a D,
    root: &'a Root<D>,
    options: &'a Options,
    meta: MetaKeeper<D>,
    meta_applied: Position,
    streams: BTreeMap<u32, Durable<D>>,
    checkpointed: BTreeMap<u32, Position>,
    failure: Option<StoreError>,
}

impl<D: Disk + Clone> Replay<'_, D> {
    /// The stream of an entry that made it: its files may be there already.
    fn open_or_create(
        &self,
        at: Position,
        record: &StreamRecord,
    ) -> Result<Durable<D>, DurableError> {
        let config = config_of(self.root, record.group, self.options);
        let folder = folder_of(record.group);
        match Durable::open(self.disk.clone(), &folder, config) {
            Err(DurableError::Missing { .. }) => {
                let (first_seq, limits) = (record.first_seq, record.limits);
                Durable::create(self.disk.clone(), &folder, config, at, first_seq, limits)
            }
            opened => opened.map(|(stream, _)| stream),
        }
    }

    /// Whether a stream is made by an entry, and not changed.
    fn is_new(&self, record: &StreamRecord) -> bool {
        self.meta.meta.stream(record.group).is_none() && !self.streams.contains_key(&record.group)
    }

    fn visit(&mut self, entry: Entry<'_>) {
        if self.failure.is_none()
            && let Err(failure) = self.apply(entry)
        {
            self.failure = Some(failure);
        }
    }

    fn apply(&mut self, entry: Entry<'_>) -> Result<(), StoreError> {
        if entry.group == meta::GROUP {
            if entry.at >= self.meta_applied {
                let change =
                    Change::decode(entry.body).ok_or(StoreError::Entry { at: entry.at })?;
                self.change(entry.at, change)?;
            }
            return Ok(());
        }
        // A stream that is gone has entries before its end.
        let Some(stream) = self.streams.get_mut(&entry.group) else { return Ok(()) };
        if entry.at >= stream.applied() {
            let decoded = stream::decode(entry.body).ok_or(StoreError::Entry { at: entry.at })?;
            // A stream that is given up takes nothing, and says so when it is asked to.
            let _ = stream.apply(entry.end(), &decoded);
        }
        Ok(())
    }

    fn change(&mut self, at: Position, change: Change) -> Result<(), StoreError> {
        match &change {
            Change::Put(record) if self.is_new(record) => {
                let stream = self.open_or_create(at, record).map_err(of_stream(record))?;
                self.checkpointed.insert(record.group, stream.applied());
                self.streams.insert(record.group, stream);
            }
            Change::Put(_) => {}
            Change::Drop(group) => {
                if let Some(stream) = self.streams.remove(group) {
                    // What is left of it belongs to nobody; the next start tries again.
                    let _ = stream.delete();
                }
            }
        }
        self.meta.apply(change);
        Ok(())
    }
}

fn is_version(error: &DurableError) -> bool {
    match error {
        DurableError::Version { .. }
        | DurableError::Segment(SegmentError::Version { .. })
        | DurableError::Manifest(ManifestError::Version { .. }) => true,
        DurableError::Unsynced(error) => is_version(error),
        _ => false,
    }
}

fn of_stream(record: &StreamRecord) -> impl FnOnce(DurableError) -> StoreError {
    let name = record.name.clone();
    move |error| StoreError::Stream { name, error }
}

/// The folder of a stream.
pub fn folder_of(group: u32) -> PathBuf {
    Path::new(STREAMS).join(format!("{group:08x}"))
}

fn config_of<D: Disk>(root: &Root<D>, group: u32, options: &Options) -> Config {
    let Options { segment_bytes, drawn, .. } = *options;
    Config { store: root.store, group, segment_bytes, hash_seed: drawn as u64 }
}

/// Damage, by what it is in.
fn named<T: fmt::Display>(what: &str, damage: Vec<T>) -> Vec<String> {
    damage.into_iter().map(|damage| format!("{what}: {damage}")).collect()
}
